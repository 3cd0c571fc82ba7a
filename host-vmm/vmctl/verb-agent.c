// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "host-vmm/vmctl/agent-words.h"
#include "host-vmm/vmctl/arguments.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/replies.h"

enum {
    AGENT_TIMEOUT_S = 30,
    /* How long a command that answers only if it fails is waited for. */
    REFUSAL_MS = 5000,
};

/* ARG=VALUE of these is text, or one more text of a list, whatever it looks like: what the protocol wants. */
static const char *const TEXTS[] = {"path", "mode", "username", "password", "input-data", "buf-b64", NULL};
static const char *const LISTS[] = {"arg", "env", "keys", "mountpoints", NULL};
static const ArgumentTypes TYPES = {.texts = TEXTS, .lists = LISTS};

/* guest-shutdown and the like say nothing when they succeed. Which commands are of that kind the agent itself
 * tells. */
static gboolean answers_success(AgentLink *link, const char *command, gint64 deadline)
{
    if (!g_str_has_prefix(command, "guest-shutdown") && !g_str_has_prefix(command, "guest-suspend"))
        return TRUE; /* the only ones that there are or have been: spare the others a question */
    return object_bool(agent_link_command(link, command, deadline), "success-response", TRUE);
}

static int call(const AgentTarget *target, const char *command, JsonObject *arguments, gint64 deadline)
{
    g_autoptr(AgentLink) link = NULL;
    g_autoptr(JsonNode) reply = NULL;
    GError *error = NULL;
    gboolean silent;

    link = agent_link_open(target, deadline, &error);
    if (link == NULL) {
        json_object_unref(arguments);
        return complain_error(error);
    }
    silent = !answers_success(link, command, deadline);
    reply = agent_link_call(link, command, arguments,
                            silent ? MIN(deadline, deadline_after_ms(REFUSAL_MS)) : deadline, &error);
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

static int list(const AgentTarget *target, gint64 deadline)
{
    GError *error = NULL;
    g_autoptr(AgentLink) link = agent_link_open(target, deadline, &error);
    g_autoptr(JsonNode) info = NULL;
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    JsonObject *row;

    if (link == NULL)
        return complain_error(error);
    info = agent_link_call(link, "guest-info", NULL, deadline, &error);
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

/* ---- the words ---- */

static const struct {
    const char *name;
    int (*run)(const AgentTask *task, char **words);
} WORDS[] = {
    {"push", agent_push}, {"pull", agent_pull},   {"freeze", agent_freeze},
    {"thaw", agent_thaw}, {"vcpus", agent_vcpus},
};

/* Passes over options, with their values. */
static char **skip_options(const GOptionEntry *entries, char **words, gboolean *names_agent)
{
    for (; *words != NULL && **words == '-' && (*words)[1] != '\0' && strcmp(*words, "--") != 0; words++)
        for (const GOptionEntry *entry = entries; entry->long_name != NULL; entry++) {
            gboolean is_short = (*words)[1] == entry->short_name;
            gboolean is_long =
                g_str_has_prefix(*words, "--") && g_str_has_prefix(*words + 2, entry->long_name);
            const char *rest = is_long ? *words + 2 + strlen(entry->long_name) : *words + 2;

            if ((!is_short && !is_long) || (is_long && *rest != '\0' && *rest != '='))
                continue;
            if (strcmp(entry->long_name, "socket") == 0 || strcmp(entry->long_name, "domain") == 0)
                *names_agent = TRUE;
            if (entry->arg != G_OPTION_ARG_NONE && *rest == '\0' && words[1] != NULL)
                words++;
            break;
        }
    return words;
}

/* exec's program and its arguments, whose options are not ours: cut off from the words. NULL: it is not exec.
 */
static char **cut_program(const GOptionEntry *entries, char **words)
{
    gboolean names_agent = FALSE;
    char **at = skip_options(entries, words, &names_agent);
    char **program;
    gsize length;

    if (!names_agent && *at != NULL)
        at = skip_options(entries, at + 1, &names_agent); /* the guest's name */
    if (*at == NULL || strcmp(*at, "exec") != 0)
        return NULL;
    at = skip_options(entries, at + 1, &names_agent);
    length = g_strv_length(at);
    program = g_new0(char *, length + 1);
    memcpy(program, *at != NULL && strcmp(*at, "--") == 0 ? at + 1 : at,
           (*at != NULL && strcmp(*at, "--") == 0 ? length - 1 : length) * sizeof *at);
    *at = NULL;
    return program;
}

static int run_word(const AgentTask *task, char **words, char **program)
{
    JsonObject *arguments;
    GError *error = NULL;

    if (program != NULL)
        return agent_exec(task, program);
    if (words[0] == NULL)
        return options_usage_error(task->verb, "which command? (--list prints them)");
    for (guint i = 0; i < G_N_ELEMENTS(WORDS); i++)
        if (strcmp(words[0], WORDS[i].name) == 0)
            return WORDS[i].run(task, words + 1);
    arguments = arguments_parse(words + 1, &TYPES, &error);
    if (arguments == NULL)
        return complain_error(error);
    return call(&task->target, words[0], arguments, deadline_after_ms(task->timeout_ms));
}

static int run(const Verb *verb, char **words)
{
    g_autofree char *timeout = NULL, *socket = NULL, *uri = NULL, *domain = NULL;
    g_auto(GStrv) environment = NULL;
    gboolean want_list = FALSE, resume = FALSE, no_check = FALSE, no_input = FALSE;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout,
         "give up after so many seconds in all (30); push and\npull: without progress; exec: never, unless "
         "given",
         "S"},
        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &socket, "an agent's unix socket, instead of GUEST",
         "PATH"},
        {"domain", 'd', 0, G_OPTION_ARG_FILENAME, &domain,
         "a libvirt domain's name, UUID or number, instead of\nGUEST", "NAME"},
        {"connect", 'c', 0, G_OPTION_ARG_FILENAME, &uri, "with --domain: libvirt's URI (its default)", "URI"},
        {"list", 'l', 0, G_OPTION_ARG_NONE, &want_list, "print the names of the agent's commands", NULL},
        {"resume", 'r', 0, G_OPTION_ARG_NONE, &resume, "push, pull: go on where an earlier one stopped",
         NULL},
        {"no-check", 0, 0, G_OPTION_ARG_NONE, &no_check, "push, pull: do not compare checksums", NULL},
        {"env", 'e', 0, G_OPTION_ARG_FILENAME_ARRAY, &environment,
         "exec: all of the program's environment (repeated)", "NAME=VALUE"},
        {"no-input", 'n', 0, G_OPTION_ARG_NONE, &no_input, "exec: do not read standard input", NULL},
        {NULL},
    };
    g_autofree char **program = cut_program(entries, words);
    g_autoptr(Guest) guest = NULL;
    GError *error = NULL;
    AgentTask task = {.verb = verb, .timeout_ms = AGENT_TIMEOUT_S * 1000};
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (timeout != NULL && !options_parse_seconds("--timeout", timeout, &task.timeout_ms, &error))
        return complain_error(error);
    if (domain != NULL && socket != NULL)
        return options_usage_error(verb, "--socket and --domain do not go together");
    if (uri != NULL && domain == NULL)
        return options_usage_error(verb, "--connect goes with --domain");
    if (domain == NULL && socket == NULL && words[0] == NULL)
        return options_usage_error(verb, "which guest?");
    if (domain == NULL && (guest = guest_new_for(socket, &words, &error)) == NULL)
        return complain_error(error);
    task.has_timeout = timeout != NULL;
    task.resume = resume;
    task.check = !no_check;
    task.no_input = no_input;
    task.environment = environment;
    task.target.guest = guest;
    task.target.domain = domain;
    task.target.uri = uri;
    if (want_list)
        return words[0] != NULL ? options_usage_error(verb, "--list takes no command")
                                : list(&task.target, deadline_after_ms(task.timeout_ms));
    return run_word(&task, words, program);
}

const Verb VERB_AGENT = {
    .name = "agent",
    .usage = "GUEST COMMAND [ARG=VALUE…] [--timeout S]\n"
             "GUEST --list [--timeout S]\n"
             "GUEST exec [--env NAME=VALUE…] [--no-input] [--timeout S] PROGRAM [ARG…]\n"
             "GUEST push FILE PATH [--resume] [--no-check]\n"
             "GUEST pull PATH [FILE] [--resume] [--no-check]\n"
             "GUEST freeze [MOUNTPOINT…]\n"
             "GUEST thaw\n"
             "GUEST vcpus [COUNT | on=LIST… off=LIST…]\n"
             "--socket PATH …\n"
             "[--connect URI] --domain NAME …",
    .summary = "have the agent in a guest carry out a command",
    .help = "Sends a command to the guest's agent and prints what it returns, as JSON. GUEST is a\n"
            "name or the path of an agent's unix socket; with --domain it is a guest of libvirt.\n"
            "If the agent does not answer yet (the guest is booting), it is waited for until the\n"
            "deadline.\n"
            "\n"
            "exec runs a program in the guest as if it were here: standard input, output and error,\n"
            "Ctrl-C, exit status; 255 if vmctl itself failed. Its options stand before PROGRAM.\n"
            "push and pull carry a file into the guest and out of it; \"-\" is standard input or\n"
            "output. A connection that breaks is made anew, and checksums are compared at the end.\n"
            "freeze makes filesystems stand still, for a snapshot, until thaw.\n"
            "vcpus tells which processors the guest uses, and has it use more or fewer.\n"
            "\n"
            "Arguments:\n"
            "  ARG=VALUE     true and false are booleans, a decimal integer is a number, all\n"
            "                else is text; arguments that are always text are known, and so are\n"
            "                lists (arg, env, keys, mountpoints), where each adds one\n"
            "  ARG==TEXT     always text\n"
            "  ARG:=JSON     any JSON value\n"
            "  ARG@=FILE     the file's bytes as base64; \"-\" is standard input\n"
            "  '{\"ARG\": …}'  all members of a JSON object\n"
            "\n"
            "Examples:\n"
            "  vmctl agent demo guest-get-osinfo\n"
            "  vmctl agent demo exec uname -r\n"
            "  tar c folder | vmctl agent demo exec tar x -C /srv\n"
            "  vmctl agent demo push disk.tar /var/tmp/\n"
            "  vmctl agent demo guest-exec path=/bin/ls arg=-l arg=/ capture-output=true\n"
            "  vmctl agent --connect qemu:///system --domain demo guest-get-users",
    .run = run,
};
