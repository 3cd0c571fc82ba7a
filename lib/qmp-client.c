// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/qmp-client.h"

#include <string.h>

#include "lib/json-rpc.h"

#define SEEN_EVENT_NAMES 256 /* kept for qmp_client_wait_event(): a server has far fewer */

G_DEFINE_QUARK(qmp - client - error - quark, qmp_client_error)

G_STATIC_ASSERT((int)QMP_CLIENT_ERROR_COMMAND == (int)JSON_RPC_ERROR_COMMAND);
G_STATIC_ASSERT((int)QMP_CLIENT_ERROR_NOT_FOUND == (int)JSON_RPC_ERROR_NOT_FOUND);
G_STATIC_ASSERT((int)QMP_CLIENT_ERROR_PROTOCOL == (int)JSON_RPC_ERROR_PROTOCOL);
G_STATIC_ASSERT((int)QMP_CLIENT_ERROR_CLOSED == (int)JSON_RPC_ERROR_CLOSED);
G_STATIC_ASSERT((int)QMP_CLIENT_ERROR_TIMEOUT == (int)JSON_RPC_ERROR_TIMEOUT);

struct QmpClient {
    gint references; /* the owner's and one of each wait in progress */
    JsonRpc *rpc;    /* NULL once closed */
    guint open_timeout_ms;
    JsonObject *version;
    QmpClientEventFunc event_func;
    gpointer event_data;
    GHashTable *seen; /* names of events that came and were not waited for */
};

static void client_unref(QmpClient *client)
{
    if (--client->references) {
        return;
    }
    g_clear_pointer(&client->version, json_object_unref);
    g_hash_table_unref(client->seen);
    g_free(client);
}

static JsonObject *object_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

/* ---- opening ---- */

static void on_connected(gpointer owner)
{
    /* The server speaks first. */
}

static void on_negotiated(GObject *source, GAsyncResult *result, gpointer user_data)
{
    QmpClient *client = user_data;
    GError *error = NULL;
    JsonNode *value = json_rpc_call_finish(result, &error);

    g_clear_pointer(&value, json_node_unref); /* {} */
    if (g_error_matches(error, QMP_CLIENT_ERROR, QMP_CLIENT_ERROR_CLOSED)) {
        g_error_free(error); /* the open has failed for the same reason, and the client is gone */
        return;
    }
    json_rpc_opened(client->rpc, error);
}

static void take_greeting(QmpClient *client, JsonObject *message)
{
    JsonObject *greeting = message ? object_member(message, "QMP") : NULL;
    JsonObject *version = greeting ? object_member(greeting, "version") : NULL;

    if (!version) {
        json_rpc_fail(client->rpc, "what answers there is not a QMP server");
        return;
    }
    client->version = json_object_ref(version);
    json_rpc_call_async(client->rpc, "qmp_capabilities", NULL, client->open_timeout_ms, NULL, on_negotiated,
                        client);
}

/* ---- events ---- */

static void take_event(QmpClient *client, JsonObject *message)
{
    JsonNode *name = json_object_get_member(message, "event");

    if (!name || !JSON_NODE_HOLDS_VALUE(name) || json_node_get_value_type(name) != G_TYPE_STRING) {
        g_debug("QMP: neither a reply nor an event: dropped");
        return;
    }
    if (g_hash_table_size(client->seen) < SEEN_EVENT_NAMES) {
        g_hash_table_add(client->seen, json_node_dup_string(name));
    }
    if (client->event_func) {
        client->event_func(client, json_node_get_string(name), object_member(message, "data"),
                           client->event_data);
    }
}

static void on_value(JsonNode *value, const GError *error, gpointer owner)
{
    QmpClient *client = owner;
    JsonObject *message = value && JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;

    if (!client->version) {
        take_greeting(client, message);
    } else if (message) {
        take_event(client, message);
    } else {
        json_rpc_fail(client->rpc,
                      error ? error->message : "the QMP server sent a value that is not an object");
    }
}

static void on_ended(gpointer owner)
{
    QmpClient *client = owner;

    if (client->event_func) {
        client->event_func(client, NULL, NULL, client->event_data);
    }
}

void qmp_client_set_event_func(QmpClient *client, QmpClientEventFunc func, gpointer user_data)
{
    client->event_func = func;
    client->event_data = user_data;
}

static gboolean set_flag(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_CONTINUE;
}

gboolean qmp_client_wait_event(QmpClient *client, const char *name, guint timeout_ms, GError **error)
{
    g_autoptr(GSource) timer = g_timeout_source_new(timeout_ms);
    g_autoptr(GMainContext) context = g_main_context_ref(json_rpc_context(client->rpc));
    gboolean late = FALSE;
    gboolean ended;
    gboolean seen;

    g_source_set_callback(timer, set_flag, &late, NULL);
    g_source_attach(timer, context);
    client->references++;
    for (;;) {
        seen = g_hash_table_remove(client->seen, name);
        ended = !client->rpc || json_rpc_is_ended(client->rpc);
        if (seen || ended || late) {
            break;
        }
        g_main_context_iteration(context, TRUE);
    }
    client_unref(client);
    g_source_destroy(timer);
    if (!seen) {
        g_set_error(error, QMP_CLIENT_ERROR, ended ? QMP_CLIENT_ERROR_CLOSED : QMP_CLIENT_ERROR_TIMEOUT,
                    ended ? "the connection ended before event %s" : "no event %s in time", name);
    }
    return seen;
}

/* ---- entry points ---- */

static const JsonRpcHandlers handlers = {
    .peer = "the QMP server",
    .error_domain = qmp_client_error_quark,
    .connected = on_connected,
    .value = on_value,
    .ended = on_ended,
};

void qmp_client_open_async(const char *path, guint timeout_ms, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data)
{
    QmpClient *client = g_new0(QmpClient, 1);

    client->references = 1;
    client->open_timeout_ms = timeout_ms;
    client->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    client->rpc = json_rpc_new(&handlers, client, (GDestroyNotify)qmp_client_close);
    json_rpc_open_async(client->rpc, path, timeout_ms, cancellable, callback, user_data);
}

QmpClient *qmp_client_open_finish(GAsyncResult *result, GError **error)
{
    return json_rpc_open_finish(result, error);
}

QmpClient *qmp_client_open(const char *path, guint timeout_ms, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();
    g_autoptr(GAsyncResult) result = NULL;

    qmp_client_open_async(path, timeout_ms, NULL, json_rpc_keep_result, &result);
    json_rpc_wait_result(context, &result);
    return qmp_client_open_finish(result, error);
}

void qmp_client_close(QmpClient *client)
{
    if (!client) {
        return;
    }
    client->event_func = NULL;
    json_rpc_free(g_steal_pointer(&client->rpc));
    client_unref(client);
}

JsonObject *qmp_client_version(QmpClient *client)
{
    return client->version;
}

JsonNode *qmp_client_call(QmpClient *client, const char *command, JsonObject *arguments, guint timeout_ms,
                          GError **error)
{
    return json_rpc_call(client->rpc, command, arguments, timeout_ms, error);
}

void qmp_client_call_async(QmpClient *client, const char *command, JsonObject *arguments, guint timeout_ms,
                           GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    json_rpc_call_async(client->rpc, command, arguments, timeout_ms, cancellable, callback, user_data);
}

JsonNode *qmp_client_call_finish(GAsyncResult *result, GError **error)
{
    return json_rpc_call_finish(result, error);
}
