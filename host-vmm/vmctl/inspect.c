// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/vmctl/replies.h"
#include "host-vmm/vmctl/vmctl.h"

/* One guest being asked. The clients are closed when all guests are done, not from within their callbacks. */
typedef struct Probe {
    GuestReport *report;
    gint64 deadline;
    guint *running; /* probes not done yet */
    guint query;    /* index of the one under way */
    QmpClient *qmp;
    AgentClient *agent;
} Probe;

typedef struct Query {
    const char *command;
    gsize offset; /* of the JsonNode * in GuestReport */
} Query;

static const Query QUERIES[] = {
    {"query-status", G_STRUCT_OFFSET(GuestReport, status)},
    {"query-cpus-fast", G_STRUCT_OFFSET(GuestReport, cpus)},
    {"query-chardev", G_STRUCT_OFFSET(GuestReport, chardevs)},
    {"query-memory-size-summary", G_STRUCT_OFFSET(GuestReport, memory)},
};

void guest_report_free(GuestReport *report)
{
    guest_free(report->guest);
    g_free(report->state);
    g_clear_error(&report->error);
    g_clear_pointer(&report->version, json_object_unref);
    g_clear_pointer(&report->status, json_node_unref);
    g_clear_pointer(&report->cpus, json_node_unref);
    g_clear_pointer(&report->chardevs, json_node_unref);
    g_clear_pointer(&report->memory, json_node_unref);
    g_clear_pointer(&report->agent_info, json_node_unref);
    g_free(report);
}

static void probe_free(gpointer data)
{
    Probe *probe = data;

    g_clear_pointer(&probe->qmp, qmp_client_close);
    g_clear_pointer(&probe->agent, agent_client_close);
    g_free(probe);
}

static void probe_done(Probe *probe)
{
    (*probe->running)--;
}

static guint probe_time(const Probe *probe)
{
    return MAX(1, deadline_left_ms(probe->deadline));
}

static void probe_no_answer(Probe *probe, GError *error)
{
    g_free(probe->report->state);
    probe->report->state = g_strdup("no-answer");
    probe->report->error = error;
    probe_done(probe);
}

static void on_agent_info(GObject *source, GAsyncResult *result, gpointer data)
{
    Probe *probe = data;
    g_autoptr(GError) error = NULL;

    probe->report->agent_info = agent_client_call_finish(result, &error);
    /* It has answered the synchronisation; that it does not know guest-info is another matter. */
    if (probe->report->agent_info == NULL && error->domain == AGENT_CLIENT_ERROR &&
        error->code != AGENT_CLIENT_ERROR_COMMAND && error->code != AGENT_CLIENT_ERROR_NOT_FOUND)
        probe->report->agent = AGENT_SILENT;
    probe_done(probe);
}

static void on_agent_open(GObject *source, GAsyncResult *result, gpointer data)
{
    Probe *probe = data;

    probe->agent = agent_client_open_finish(result, NULL);
    if (probe->agent == NULL) {
        probe->report->agent = AGENT_SILENT;
        probe_done(probe);
        return;
    }
    probe->report->agent = AGENT_ANSWERS;
    agent_client_call_async(probe->agent, "guest-info", NULL, probe_time(probe), NULL, on_agent_info, probe);
}

/* The monitor knows whether asking the agent makes sense: one that is not there would cost the whole
 * deadline. */
static void ask_agent(Probe *probe)
{
    GuestReport *report = probe->report;
    JsonObject *chardev = NULL;

    if (access(report->guest->agent, F_OK) != 0) {
        report->agent = AGENT_NO_PORT;
        probe_done(probe);
        return;
    }
    for (guint i = 0; (chardev = reply_object(report->chardevs, i)) != NULL; i++)
        if (chardev_has_path(chardev, report->guest->agent))
            break;
    if (chardev == NULL)
        report->agent = AGENT_UNKNOWN;
    else if (!chardev_is_opened_by_guest(chardev))
        report->agent = AGENT_CLOSED;
    else if (chardev_is_connected(chardev))
        report->agent = AGENT_BUSY;
    else if (g_strcmp0(report->state, "running") == 0) {
        agent_client_open_async(report->guest->agent, probe_time(probe), NULL, on_agent_open, probe);
        return;
    }
    probe_done(probe);
}

static void next_query(Probe *probe);

static void on_reply(GObject *source, GAsyncResult *result, gpointer data)
{
    Probe *probe = data;
    GError *error = NULL;
    JsonNode *reply = qmp_client_call_finish(result, &error);

    if (reply != NULL)
        *(JsonNode **)G_STRUCT_MEMBER_P(probe->report, QUERIES[probe->query].offset) = reply;
    else if (!g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_COMMAND) &&
             !g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_NOT_FOUND)) {
        probe_no_answer(probe, error);
        return;
    }
    g_clear_error(&error); /* a monitor without this query: the column stays empty */
    probe->query++;
    next_query(probe);
}

static void next_query(Probe *probe)
{
    if (probe->query < G_N_ELEMENTS(QUERIES)) {
        qmp_client_call_async(probe->qmp, QUERIES[probe->query].command, NULL, probe_time(probe), NULL,
                              on_reply, probe);
        return;
    }
    g_free(probe->report->state);
    probe->report->state =
        g_strdup(object_string(reply_as_object(probe->report->status), "status", "unknown"));
    ask_agent(probe);
}

static void on_qmp_open(GObject *source, GAsyncResult *result, gpointer data)
{
    Probe *probe = data;
    GError *error = NULL;

    probe->qmp = qmp_client_open_finish(result, &error);
    if (probe->qmp == NULL) {
        probe_no_answer(probe, error);
        return;
    }
    probe->report->version = json_object_ref(qmp_client_version(probe->qmp));
    next_query(probe);
}

/* Field 22 of /proc/PID/stat (proc(5)): start in clock ticks since boot. The name in field 2 may hold
 * anything. */
static gint64 process_uptime(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    struct timespec now;
    const char *at;
    gint64 ticks = sysconf(_SC_CLK_TCK);

    if (!g_file_get_contents(path, &text, NULL, NULL) || (at = strrchr(text, ')')) == NULL)
        return -1;
    for (guint field = 2; field < 22 && at != NULL; field++) {
        at = strchr(at, ' ');
        if (at != NULL)
            at++;
    }
    if (at == NULL || ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return -1;
    return MAX(0, (gint64)now.tv_sec - g_ascii_strtoll(at, NULL, 10) / ticks);
}

static const char *life_word(GuestLife life)
{
    switch (life) {
    case GUEST_ABSENT:
        return "absent";
    case GUEST_STARTING:
        return "starting";
    case GUEST_ALIVE:
        return "no-answer"; /* until it has answered */
    case GUEST_ENDED:
        return "ended";
    case GUEST_DEAD:
        return "dead";
    }
    g_return_val_if_reached("unknown");
}

GPtrArray *inspect_guests(GPtrArray *guests, guint timeout_ms)
{
    GPtrArray *reports = g_ptr_array_new_with_free_func((GDestroyNotify)guest_report_free);
    g_autoptr(GPtrArray) probes = g_ptr_array_new_with_free_func(probe_free);
    gint64 deadline = deadline_after_ms(timeout_ms);
    guint running = 0;

    for (guint i = 0; i < guests->len; i++) {
        GuestReport *report = g_new0(GuestReport, 1);

        report->guest = g_ptr_array_index(guests, i);
        report->life = guest_life(report->guest, &report->pid);
        report->uptime = report->pid > 0 ? process_uptime(report->pid) : -1;
        report->state = g_strdup(life_word(report->life));
        g_ptr_array_add(reports, report);
        if (report->life == GUEST_ALIVE) {
            Probe *probe = g_new0(Probe, 1);
            probe->report = report;
            probe->deadline = deadline;
            probe->running = &running;
            running++;
            g_ptr_array_add(probes, probe);
            qmp_client_open_async(report->guest->qmp, timeout_ms, NULL, on_qmp_open, probe);
        }
    }
    g_ptr_array_set_free_func(guests, NULL);
    g_ptr_array_unref(guests);
    while (running > 0)
        g_main_context_iteration(NULL, TRUE);
    return reports;
}

int guest_report_vcpus(const GuestReport *report)
{
    if (report->cpus == NULL || !JSON_NODE_HOLDS_ARRAY(report->cpus))
        return -1;
    return (int)json_array_get_length(json_node_get_array(report->cpus));
}

guint64 guest_report_memory(const GuestReport *report)
{
    return (guint64)MAX(0, object_int(reply_as_object(report->memory), "base-memory", 0));
}

const char *guest_report_agent_word(const GuestReport *report)
{
    switch (report->agent) {
    case AGENT_UNKNOWN:
        return "unknown";
    case AGENT_NO_PORT:
        return "no-port";
    case AGENT_CLOSED:
        return "no";
    case AGENT_BUSY:
        return "in-use";
    case AGENT_SILENT:
        return "no-answer";
    case AGENT_ANSWERS:
        return "yes";
    }
    g_return_val_if_reached("unknown");
}

static void set_number(JsonObject *object, const char *name, gboolean known, gint64 value)
{
    if (known)
        json_object_set_int_member(object, name, value);
    else
        json_object_set_null_member(object, name);
}

JsonObject *guest_report_summary(const GuestReport *report)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "name", report->guest->label);
    json_object_set_string_member(object, "state", report->state);
    set_number(object, "pid", report->pid > 0, report->pid);
    set_number(object, "vcpus", guest_report_vcpus(report) >= 0, guest_report_vcpus(report));
    set_number(object, "memory", guest_report_memory(report) > 0, (gint64)guest_report_memory(report));
    json_object_set_string_member(object, "agent", guest_report_agent_word(report));
    set_number(object, "uptime", report->uptime >= 0, report->uptime);
    return object;
}
