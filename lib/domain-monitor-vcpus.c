// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many of its vCPUs a host-vmm guest uses: guest-get-vcpus, then guest-set-vcpus for those that have to
 * change, until there are no more.
 */
#include "lib/agent-client.h"
#include "lib/domain-monitor-guest.h"
#include "lib/domain-qmp.h"

#define MAX_VCPUS 4096

typedef struct OnlineCall {
    Pending *task;
    AgentClient *agent;
    guint wanted;
    gint64 deadline;
} OnlineCall;

typedef struct Row {
    gint64 id;
    gboolean online, can_offline;
} Row;

static guint left_ms(const OnlineCall *call)
{
    return (guint)MAX((call->deadline - g_get_monotonic_time()) / 1000, 1);
}

/* error: taken; NULL: it is done. */
static void online_done(OnlineCall *call, GError *error)
{
    g_clear_pointer(&call->agent, agent_client_close);
    if (error != NULL) {
        pending_return_new_error(call->task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED, "%s",
                                 error->message);
        g_error_free(error);
    } else {
        pending_return_boolean(call->task, TRUE);
    }
    g_object_unref(call->task);
    g_free(call);
}

static gboolean boolean_of(JsonObject *object, const char *name)
{
    JsonNode *node = object != NULL ? json_object_get_member(object, name) : NULL;

    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_boolean(node);
}

static int by_id(gconstpointer a, gconstpointer b)
{
    const Row *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static GArray *rows_of(JsonNode *reply)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(Row));

    for (guint i = 0; i < MIN(domain_qmp_length(reply), MAX_VCPUS); i++) {
        JsonObject *object = domain_qmp_element(reply, i);
        guint64 id = object != NULL ? domain_qmp_uint(object, "logical-id") : DOMAIN_UNKNOWN;
        Row row = {(gint64)id, boolean_of(object, "online"), boolean_of(object, "can-offline")};

        if (id < MAX_VCPUS) {
            g_array_append_val(rows, row);
        }
    }
    g_array_sort(rows, by_id);
    return rows;
}

static void add(JsonArray *changes, gint64 id, gboolean online)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "logical-id", id);
    json_object_set_boolean_member(object, "online", online);
    json_array_add_object_element(changes, object);
}

/* By number, the first that are off come on, the last that can go off. NULL and error: it has not so many. */
static JsonArray *changes_for(const GArray *rows, guint wanted, GError **error)
{
    JsonArray *changes = json_array_new();
    guint online = 0;

    for (guint i = 0; i < rows->len; i++) {
        online += g_array_index(rows, Row, i).online ? 1 : 0;
    }
    for (guint i = 0; i < rows->len && online < wanted; i++) {
        if (!g_array_index(rows, Row, i).online) {
            add(changes, g_array_index(rows, Row, i).id, TRUE);
            online++;
        }
    }
    for (guint i = rows->len; i-- > 0 && online > wanted;) {
        if (g_array_index(rows, Row, i).online && g_array_index(rows, Row, i).can_offline) {
            add(changes, g_array_index(rows, Row, i).id, FALSE);
            online--;
        }
    }
    if (online != wanted) {
        json_array_unref(changes);
        g_set_error(error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED,
                    "the guest can have %u vCPUs online now, not %u", online, wanted);
        return NULL;
    }
    return changes;
}

static void ask_vcpus(OnlineCall *call);

static void on_set(GObject *source, GAsyncResult *result, gpointer user_data)
{
    OnlineCall *call = user_data;
    GError *error = NULL;
    JsonNode *reply = agent_client_call_finish(result, &error);

    /* The agent may have done only a part: what is left is looked at anew. None at all is a refusal. */
    if (reply != NULL && (!JSON_NODE_HOLDS_VALUE(reply) || json_node_get_int(reply) <= 0)) {
        error = g_error_new(DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_FAILED, "the agent has changed no vCPU");
    }
    g_clear_pointer(&reply, json_node_unref);
    if (error != NULL) {
        online_done(call, error);
    } else {
        ask_vcpus(call);
    }
}

static void on_vcpus(GObject *source, GAsyncResult *result, gpointer user_data)
{
    OnlineCall *call = user_data;
    GError *error = NULL;
    JsonNode *reply = agent_client_call_finish(result, &error);
    g_autoptr(GArray) rows = reply != NULL ? rows_of(reply) : NULL;
    JsonArray *changes = rows != NULL ? changes_for(rows, call->wanted, &error) : NULL;

    g_clear_pointer(&reply, json_node_unref);
    if (changes == NULL || json_array_get_length(changes) == 0) {
        g_clear_pointer(&changes, json_array_unref);
        online_done(call, error);
        return;
    }
    JsonObject *arguments = json_object_new();
    json_object_set_array_member(arguments, "vcpus", changes);
    agent_client_call_async(call->agent, "guest-set-vcpus", arguments, left_ms(call), NULL, on_set, call);
}

static void ask_vcpus(OnlineCall *call)
{
    agent_client_call_async(call->agent, "guest-get-vcpus", NULL, left_ms(call), NULL, on_vcpus, call);
}

static void on_agent(GObject *source, GAsyncResult *result, gpointer user_data)
{
    OnlineCall *call = user_data;
    GError *error = NULL;

    call->agent = agent_client_open_finish(result, &error);
    if (call->agent == NULL) {
        online_done(call, error);
    } else {
        ask_vcpus(call);
    }
}

void monitor_guest_online_vcpus(MonitorGuest *guest, guint count, guint timeout_ms, Pending *task)
{
    OnlineCall *call = g_new0(OnlineCall, 1);

    call->task = task;
    call->wanted = count;
    call->deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    if (g_file_test(monitor_guest_agent_path(guest), G_FILE_TEST_EXISTS)) {
        agent_client_open_async(monitor_guest_agent_path(guest), timeout_ms, NULL, on_agent, call);
    } else {
        online_done(call, g_error_new(DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNREACHABLE,
                                      "the guest has no agent port"));
    }
}
