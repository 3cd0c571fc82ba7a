// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "host-vmm/vmctl/arguments.h"
#include "host-vmm/vmctl/guest.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/replies.h"

enum { QMP_TIMEOUT_S = 30 };

static int call(const Guest *guest, const char *command, JsonObject *arguments, gint64 deadline)
{
    GError *error = NULL;
    g_autoptr(QmpClient) qmp = guest_open_qmp(guest, deadline, &error);
    g_autoptr(JsonNode) reply = NULL;

    if (qmp == NULL) {
        json_object_unref(arguments);
        return complain_error(error);
    }
    reply = qmp_client_call(qmp, command, arguments, MAX(1, deadline_left_ms(deadline)), &error);
    if (reply == NULL)
        return complain_error(error);
    print_json(reply);
    return VMCTL_OK;
}

static gint compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list(const Guest *guest, gint64 deadline)
{
    GError *error = NULL;
    g_autoptr(QmpClient) qmp = guest_open_qmp(guest, deadline, &error);
    g_autoptr(JsonNode) reply = NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    JsonObject *row;

    if (qmp == NULL)
        return complain_error(error);
    reply = qmp_client_call(qmp, "query-commands", NULL, MAX(1, deadline_left_ms(deadline)), &error);
    if (reply == NULL)
        return complain_error(error);
    for (guint i = 0; (row = reply_object(reply, i)) != NULL; i++)
        g_ptr_array_add(names, print_visible(object_string(row, "name", "?")));
    g_ptr_array_sort(names, compare_strings);
    for (guint i = 0; i < names->len; i++)
        printf("%s\n", (const char *)g_ptr_array_index(names, i));
    return VMCTL_OK;
}

typedef struct Watch {
    const char *until; /* the event to end after, or NULL */
    gboolean seen, closed, timed_out;
} Watch;

static void on_event(QmpClient *client, const char *name, JsonObject *data, gpointer user_data)
{
    Watch *watch = user_data;
    g_autoptr(JsonNode) node = NULL;
    JsonObject *event;

    if (name == NULL) {
        watch->closed = TRUE;
        return;
    }
    if (watch->seen)
        return;
    node = json_node_new(JSON_NODE_OBJECT);
    event = json_object_new();
    json_node_take_object(node, event);
    json_object_set_string_member(event, "event", name);
    if (data != NULL)
        json_object_set_object_member(event, "data", json_object_ref(data));
    print_json_line(node);
    watch->seen = watch->until != NULL && strcmp(name, watch->until) == 0;
}

static gboolean on_deadline(gpointer user_data)
{
    ((Watch *)user_data)->timed_out = TRUE;
    return G_SOURCE_REMOVE;
}

/* timeout_ms 0: for ever. */
static int watch_events(const Guest *guest, guint timeout_ms, const char *until)
{
    GError *error = NULL;
    gint64 deadline = deadline_after_ms(timeout_ms > 0 ? timeout_ms : QMP_TIMEOUT_S * 1000);
    g_autoptr(QmpClient) qmp = guest_open_qmp(guest, deadline, &error);
    Watch watch = {.until = until};
    guint timer = 0;

    if (qmp == NULL)
        return complain_error(error);
    qmp_client_set_event_func(qmp, on_event, &watch);
    if (timeout_ms > 0)
        timer = g_timeout_add(MAX(1, deadline_left_ms(deadline)), on_deadline, &watch);
    while (!watch.seen && !watch.closed && !watch.timed_out)
        g_main_context_iteration(NULL, TRUE);
    qmp_client_set_event_func(qmp, NULL, NULL);
    if (timer != 0 && !watch.timed_out)
        g_source_remove(timer);
    if (until == NULL || watch.seen)
        return VMCTL_OK;
    complain("%s has not come %s", until,
             watch.closed ? "before the monitor closed the connection" : "in time");
    return watch.closed ? VMCTL_FAILED : VMCTL_TIMED_OUT;
}

static int run(const Verb *verb, char **words)
{
    g_autofree char *timeout = NULL, *socket = NULL, *until = NULL;
    gboolean want_list = FALSE, events = FALSE;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout,
         "give up after so many seconds in all (30; with\n--events: none)", "S"},
        {"socket", 's', 0, G_OPTION_ARG_FILENAME, &socket, "a QMP unix socket, instead of GUEST", "PATH"},
        {"list", 'l', 0, G_OPTION_ARG_NONE, &want_list, "print the names of the monitor's commands", NULL},
        {"events", 'e', 0, G_OPTION_ARG_NONE, &events, "print events, one JSON object a line, as they come",
         NULL},
        {"until", 0, 0, G_OPTION_ARG_FILENAME, &until, "with --events: end after the event of this name",
         "EVENT"},
        {NULL},
    };
    g_autoptr(Guest) guest = NULL;
    JsonObject *arguments;
    GError *error = NULL;
    guint timeout_ms = 0;
    gint64 deadline;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (timeout != NULL && !options_parse_seconds("--timeout", timeout, &timeout_ms, &error))
        return complain_error(error);
    deadline = deadline_after_ms(timeout_ms > 0 ? timeout_ms : QMP_TIMEOUT_S * 1000);
    if (until != NULL && !events)
        return options_usage_error(verb, "--until goes with --events");
    if (want_list && events)
        return options_usage_error(verb, "--list and --events do not go together");
    if (socket == NULL && words[0] == NULL)
        return options_usage_error(verb, "which guest?");
    guest = guest_new_for(socket, &words, &error);
    if (guest == NULL)
        return complain_error(error);
    if ((want_list || events) && words[0] != NULL)
        return options_usage_error(verb, "%s takes no command", want_list ? "--list" : "--events");
    if (want_list)
        return list(guest, deadline);
    if (events)
        return watch_events(guest, timeout_ms, until);
    if (words[0] == NULL)
        return options_usage_error(verb, "which command? (--list prints them)");
    arguments = arguments_parse(words + 1, NULL, &error);
    if (arguments == NULL)
        return complain_error(error);
    return call(guest, words[0], arguments, deadline);
}

const Verb VERB_QMP = {
    .name = "qmp",
    .usage = "GUEST COMMAND [ARG=VALUE…] [--timeout S]\n"
             "GUEST --list [--timeout S]\n"
             "GUEST --events [--until EVENT] [--timeout S]\n"
             "--socket PATH …",
    .summary = "send a QMP command to a guest's monitor, or watch its events",
    .help = "Sends a command to the guest's monitor and prints what it returns, as JSON. GUEST is\n"
            "a name or the path of a QMP socket; any QEMU's will do. With --events it prints each\n"
            "event as a line of JSON until the deadline or the end of the guest.\n"
            "\n"
            "Arguments are written as for vmctl agent: ARG=VALUE (a boolean, an integer or text),\n"
            "ARG==TEXT, ARG:=JSON, or a whole JSON object.\n"
            "\n"
            "Examples:\n"
            "  vmctl qmp demo query-status\n"
            "  vmctl qmp demo --events --until SHUTDOWN --timeout 60",
    .run = run,
};
