// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is asked of a host-vmm guest beside its refreshes: its own page's facts, and actions.
 */
#include <string.h>

#include "lib/agent-client.h"
#include "lib/domain-monitor-guest.h"
#include "lib/domain-proc.h"
#include "lib/domain-qmp.h"

#define MAX_CHANGES 256

static guint left_ms(gint64 deadline)
{
    return (guint)MAX((deadline - g_get_monotonic_time()) / 1000, 1);
}

static JsonObject *object_of(JsonNode *value)
{
    return JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
}

/* ---- detail ---- */

typedef struct DetailCall {
    Pending *task;
    DomainDetail *detail;
    AgentClient *agent;
    guint outstanding;
    gint64 deadline;
} DetailCall;

static void detail_done(DetailCall *call)
{
    if (--call->outstanding == 0) {
        g_clear_pointer(&call->agent, agent_client_close);
        pending_return_pointer(call->task, call->detail, (GDestroyNotify)domain_detail_free);
        g_object_unref(call->task);
        g_free(call);
    }
}

static void on_block(GObject *source, GAsyncResult *result, gpointer user_data)
{
    DetailCall *call = user_data;
    JsonNode *value = qmp_client_call_finish(result, NULL);

    if (value != NULL) {
        domain_qmp_take_limits(call->detail, value);
        json_node_unref(value);
    }
    detail_done(call);
}

static void on_osinfo(GObject *source, GAsyncResult *result, gpointer user_data)
{
    DetailCall *call = user_data;
    JsonNode *value = agent_client_call_finish(result, NULL);

    if (value != NULL) {
        call->detail->os_name = g_strdup(domain_qmp_string(object_of(value), "pretty-name"));
        call->detail->kernel = g_strdup(domain_qmp_string(object_of(value), "kernel-release"));
        json_node_unref(value);
    }
    detail_done(call);
}

static void on_hostname(GObject *source, GAsyncResult *result, gpointer user_data)
{
    DetailCall *call = user_data;
    JsonNode *value = agent_client_call_finish(result, NULL);

    if (value != NULL) {
        call->detail->guest_host = g_strdup(domain_qmp_string(object_of(value), "host-name"));
        json_node_unref(value);
    }
    detail_done(call);
}

/* guest-get-load, as qemu-ga has it since 10.0. */
static void on_load(GObject *source, GAsyncResult *result, gpointer user_data)
{
    static const char *const names[] = {"load1m", "load5m", "load15m"};
    DetailCall *call = user_data;
    JsonNode *value = agent_client_call_finish(result, NULL);
    JsonObject *object = value != NULL ? object_of(value) : NULL;

    for (guint i = 0; object != NULL && i < G_N_ELEMENTS(names); i++) {
        JsonNode *load = json_object_get_member(object, names[i]);

        if (load != NULL && JSON_NODE_HOLDS_VALUE(load)) {
            call->detail->load[i] = json_node_get_double(load);
        }
    }
    g_clear_pointer(&value, json_node_unref);
    detail_done(call);
}

static void on_agent(GObject *source, GAsyncResult *result, gpointer user_data)
{
    DetailCall *call = user_data;
    g_autoptr(GError) error = NULL;

    call->agent = agent_client_open_finish(result, &error);
    if (call->agent != NULL) {
        call->outstanding += 3;
        agent_client_call_async(call->agent, "guest-get-osinfo", NULL, left_ms(call->deadline), NULL,
                                on_osinfo, call);
        agent_client_call_async(call->agent, "guest-get-host-name", NULL, left_ms(call->deadline), NULL,
                                on_hostname, call);
        agent_client_call_async(call->agent, "guest-get-load", NULL, left_ms(call->deadline), NULL, on_load,
                                call);
    } else {
        call->detail->agent_note = g_strdup(error->message);
    }
    detail_done(call);
}

void monitor_guest_detail(MonitorGuest *guest, guint timeout_ms, Pending *task)
{
    DetailCall *call = g_new0(DetailCall, 1);
    QmpClient *qmp = monitor_guest_client(guest);
    const Domain *domain = monitor_guest_domain(guest);

    call->task = task;
    call->detail = domain_detail_new();
    call->detail->ksm_shared = domain_proc_ksm(domain != NULL ? domain->pid : 0);
    call->deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    call->outstanding = 1;
    if (qmp != NULL) {
        call->outstanding++;
        qmp_client_call_async(qmp, "query-block", NULL, timeout_ms, NULL, on_block, call);
    }
    if (g_file_test(monitor_guest_agent_path(guest), G_FILE_TEST_EXISTS)) {
        call->outstanding++;
        agent_client_open_async(monitor_guest_agent_path(guest), timeout_ms * 2 / 3 + 1, NULL, on_agent,
                                call);
    } else {
        call->detail->agent_note = g_strdup("the guest has no agent port");
    }
    detail_done(call);
}

/* ---- actions ---- */

typedef struct ActCall {
    MonitorGuest *guest; /* a reference */
    Pending *task;
    guint wanted;
    guint timeout_ms;
    guint outstanding;
    GError *error;
} ActCall;

static void act_done(ActCall *call)
{
    if (--call->outstanding > 0) {
        return;
    }
    if (call->error != NULL) {
        pending_return_new_error(call->task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED, "%s",
                                 call->error->message);
        g_error_free(call->error);
    } else {
        pending_return_boolean(call->task, TRUE);
    }
    g_object_unref(call->task);
    monitor_guest_unref(call->guest);
    g_free(call);
}

static void on_acted(GObject *source, GAsyncResult *result, gpointer user_data)
{
    ActCall *call = user_data;
    JsonNode *value = qmp_client_call_finish(result, call->error == NULL ? &call->error : NULL);

    g_clear_pointer(&value, json_node_unref);
    act_done(call);
}

static void act_ask(ActCall *call, const char *command, JsonObject *arguments)
{
    call->outstanding++;
    qmp_client_call_async(monitor_guest_client(call->guest), command, arguments, call->timeout_ms, NULL,
                          on_acted, call);
}

/* The rows of query-hotpluggable-cpus, the last place first: fill empty ones from the front, clear from the
 * back those that were plugged. */
static void change_vcpus(ActCall *call, JsonNode *rows)
{
    static const char prefix[] = "/machine/peripheral/";
    guint count = domain_qmp_length(rows), present = 0, changes = 0;

    for (guint i = 0; i < count; i++) {
        present += domain_qmp_string(domain_qmp_element(rows, i), "qom-path") != NULL;
    }
    for (guint i = count; i-- > 0 && present < call->wanted && changes < MAX_CHANGES;) {
        JsonObject *row = domain_qmp_element(rows, i);
        JsonObject *props = domain_qmp_object(row, "props");
        const char *type = domain_qmp_string(row, "type");

        if (type != NULL && props != NULL && domain_qmp_string(row, "qom-path") == NULL) {
            JsonObject *arguments = json_object_new();
            g_autofree char *id = g_strdup_printf("vcpu%u", count - 1 - i);
            g_autoptr(GList) names = json_object_get_members(props);

            json_object_set_string_member(arguments, "driver", type);
            json_object_set_string_member(arguments, "id", id);
            for (GList *name = names; name != NULL; name = name->next) {
                json_object_set_member(arguments, name->data,
                                       json_node_copy(json_object_get_member(props, name->data)));
            }
            act_ask(call, "device_add", arguments);
            present++;
            changes++;
        }
    }
    for (guint i = 0; i < count && present > call->wanted && changes < MAX_CHANGES; i++) {
        const char *path = domain_qmp_string(domain_qmp_element(rows, i), "qom-path");

        if (path != NULL && g_str_has_prefix(path, prefix)) {
            JsonObject *arguments = json_object_new();

            json_object_set_string_member(arguments, "id", path + strlen(prefix));
            act_ask(call, "device_del", arguments);
            present--;
            changes++;
        }
    }
    if (present != call->wanted && call->error == NULL) {
        call->error = g_error_new(DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED,
                                  "%u vCPUs are not possible: %u places, and those it was started with stay",
                                  call->wanted, count);
    }
}

static void on_places(GObject *source, GAsyncResult *result, gpointer user_data)
{
    ActCall *call = user_data;
    JsonNode *rows = qmp_client_call_finish(result, &call->error);

    if (rows != NULL && monitor_guest_client(call->guest) != NULL) {
        change_vcpus(call, rows);
    }
    g_clear_pointer(&rows, json_node_unref);
    act_done(call);
}

void monitor_guest_act(MonitorGuest *guest, DomainAction action, guint64 value, guint timeout_ms,
                       Pending *task)
{
    QmpClient *qmp = monitor_guest_client(guest);
    const Domain *domain = monitor_guest_domain(guest);
    ActCall *call;
    JsonObject *arguments;

    if (action == DOMAIN_ACTION_ONLINE_VCPUS) {
        monitor_guest_online_vcpus(guest, (guint)MIN(value, G_MAXINT), timeout_ms, task);
        return;
    }
    if (qmp == NULL) {
        pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNREACHABLE,
                                 "%s does not run", domain != NULL ? domain->name : "it");
        g_object_unref(task);
        return;
    }
    call = g_new0(ActCall, 1);
    call->guest = monitor_guest_ref(guest);
    call->task = task;
    call->timeout_ms = timeout_ms;
    call->outstanding = 1;
    switch (action) {
    case DOMAIN_ACTION_PAUSE:
        act_ask(call, "stop", NULL);
        break;
    case DOMAIN_ACTION_RESUME:
        act_ask(call, "cont", NULL);
        break;
    case DOMAIN_ACTION_SHUTDOWN:
        act_ask(call, "system_powerdown", NULL);
        break;
    case DOMAIN_ACTION_SET_VCPUS:
        call->wanted = (guint)MIN(value, G_MAXINT);
        call->outstanding++;
        qmp_client_call_async(qmp, "query-hotpluggable-cpus", NULL, timeout_ms, NULL, on_places, call);
        break;
    case DOMAIN_ACTION_ONLINE_VCPUS:
        break; /* has gone another way */
    case DOMAIN_ACTION_SET_BALLOON:
        arguments = json_object_new();
        json_object_set_int_member(arguments, "value", (gint64)MIN(value, G_MAXINT64 / 1024) * 1024);
        act_ask(call, "balloon", arguments);
        break;
    case DOMAIN_ACTION_SET_STATS_PERIOD:
        if (monitor_guest_balloon(guest) == NULL) {
            call->error = g_error_new(DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED, "it has no balloon");
            break;
        }
        arguments = json_object_new();
        json_object_set_string_member(arguments, "path", monitor_guest_balloon(guest));
        json_object_set_string_member(arguments, "property", "guest-stats-polling-interval");
        json_object_set_int_member(arguments, "value", (gint64)MIN(value, G_MAXINT32 / 1000));
        act_ask(call, "qom-set", arguments);
        break;
    }
    act_done(call);
}
