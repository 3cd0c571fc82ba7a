// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "host-vmm/vmctl/arguments.h"
#include "host-vmm/vmctl/guest.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/replies.h"

enum {
    AGENT_TIMEOUT_S = 30,
    /* How long a command that answers only if it fails is waited for. */
    REFUSAL_MS = 5000,
};

/* guest-info's row of a command, or NULL. */
static JsonObject *find_command(JsonNode *info, const char *name)
{
    JsonNode *commands = object_array(reply_as_object(info), "supported_commands");
    JsonObject *row;

    for (guint i = 0; (row = reply_object(commands, i)) != NULL; i++)
        if (strcmp(object_string(row, "name", ""), name) == 0)
            return row;
    return NULL;
}

/* guest-shutdown and the like say nothing when they succeed. Which commands are of that kind the agent itself
 * tells. */
static gboolean answers_success(AgentClient *agent, const char *command, gint64 deadline)
{
    g_autoptr(JsonNode) info = NULL;

    if (!g_str_has_prefix(command, "guest-shutdown") && !g_str_has_prefix(command, "guest-suspend"))
        return TRUE; /* the only ones that there are or have been: spare the others a question */
    info = agent_client_call(agent, "guest-info", NULL, MAX(1, deadline_left_ms(deadline)), NULL);
    return object_bool(find_command(info, command), "success-response", TRUE);
}

static int call(const Guest *guest, const char *command, JsonObject *arguments, gint64 deadline)
{
    g_autoptr(AgentClient) agent = NULL;
    g_autoptr(JsonNode) reply = NULL;
    GError *error = NULL;
    gboolean silent;
    guint wait;

    agent = guest_open_agent(guest, deadline, &error);
    if (agent == NULL) {
        json_object_unref(arguments);
        return complain_error(error);
    }
    silent = !answers_success(agent, command, deadline);
    wait = MAX(1, deadline_left_ms(deadline));
    reply = agent_client_call(agent, command, arguments, silent ? MIN(wait, REFUSAL_MS) : wait, &error);
    if (reply != NULL) {
        print_json(reply);
        return VMCTL_OK;
    }
    if (silent && (g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_TIMEOUT) ||
                   g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_CLOSED))) {
        g_error_free(error);
        complain("%s: sent, and not refused (it gives no answer when it succeeds)", command);
        return VMCTL_OK;
    }
    return complain_error(error);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(object_string(*(JsonObject *const *)a, "name", ""),
                  object_string(*(JsonObject *const *)b, "name", ""));
}

static int list(const Guest *guest, gint64 deadline)
{
    GError *error = NULL;
    g_autoptr(AgentClient) agent = guest_open_agent(guest, deadline, &error);
    g_autoptr(JsonNode) info = NULL;
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    JsonObject *row;

    if (agent == NULL)
        return complain_error(error);
    info = agent_client_call(agent, "guest-info", NULL, MAX(1, deadline_left_ms(deadline)), &error);
    if (info == NULL)
        return complain_error(error);
    JsonNode *commands = object_array(reply_as_object(info), "supported_commands");
    for (guint i = 0; (row = reply_object(commands, i)) != NULL; i++)
        g_ptr_array_add(rows, row);
    g_ptr_array_sort(rows, compare_names);
    for (guint i = 0; i < rows->len; i++) {
        row = g_ptr_array_index(rows, i);
        g_autofree char *name = print_visible(object_string(row, "name", "?"));
        printf("%s%s\n", name, object_bool(row, "enabled", TRUE) ? "" : " (disabled)");
    }
    return VMCTL_OK;
}

static int run(const Verb *verb, char **words)
{
    g_autofree char *timeout = NULL, *socket = NULL;
    gboolean want_list = FALSE;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout, "give up after so many seconds in all (30)",
         "S"},
        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &socket, "an agent's unix socket, instead of GUEST",
         "PATH"},
        {"list", 'l', 0, G_OPTION_ARG_NONE, &want_list, "print the names of the agent's commands", NULL},
        {NULL},
    };
    g_autoptr(Guest) guest = NULL;
    JsonObject *arguments;
    GError *error = NULL;
    guint timeout_ms = AGENT_TIMEOUT_S * 1000;
    gint64 deadline;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (timeout != NULL && !options_parse_seconds("--timeout", timeout, &timeout_ms, &error))
        return complain_error(error);
    deadline = deadline_after_ms(timeout_ms);
    if (socket == NULL && words[0] == NULL)
        return options_usage_error(verb, "which guest?");
    guest = guest_new_for(socket, &words, &error);
    if (guest == NULL)
        return complain_error(error);
    if (want_list)
        return words[0] != NULL ? options_usage_error(verb, "--list takes no command")
                                : list(guest, deadline);
    if (words[0] == NULL)
        return options_usage_error(verb, "which command? (--list prints them)");
    arguments = arguments_parse(words + 1, &error);
    if (arguments == NULL)
        return complain_error(error);
    return call(guest, words[0], arguments, deadline);
}

const Verb VERB_AGENT = {
    .name = "agent",
    .usage = "GUEST COMMAND [ARG=VALUE…] [--timeout S]\n"
             "GUEST --list [--timeout S]\n"
             "--socket PATH COMMAND [ARG=VALUE…]",
    .summary = "have the agent in a guest carry out a command",
    .help = "Sends a command to the guest's agent and prints what it returns, as JSON. GUEST is a\n"
            "name or the path of an agent's unix socket. If the agent does not answer yet (the\n"
            "guest is booting), it is waited for until the deadline.\n"
            "\n"
            "Arguments:\n"
            "  ARG=VALUE     true and false are booleans, a decimal integer is a number, all\n"
            "                else is text\n"
            "  ARG==TEXT     always text\n"
            "  ARG:=JSON     any JSON value\n"
            "  '{\"ARG\": …}'  all members of a JSON object\n"
            "\n"
            "Examples:\n"
            "  vmctl agent demo guest-get-osinfo\n"
            "  vmctl agent demo guest-exec path=/bin/uname arg:='[\"-r\"]' capture-output=true\n"
            "  vmctl agent demo guest-exec-status pid=1234",
    .run = run,
};
