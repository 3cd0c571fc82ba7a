// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/agent-client.h"

#include <string.h>

#include "lib/json-rpc.h"

G_DEFINE_QUARK(agent - client - error - quark, agent_client_error)

G_STATIC_ASSERT((int)AGENT_CLIENT_ERROR_COMMAND == (int)JSON_RPC_ERROR_COMMAND);
G_STATIC_ASSERT((int)AGENT_CLIENT_ERROR_NOT_FOUND == (int)JSON_RPC_ERROR_NOT_FOUND);
G_STATIC_ASSERT((int)AGENT_CLIENT_ERROR_PROTOCOL == (int)JSON_RPC_ERROR_PROTOCOL);
G_STATIC_ASSERT((int)AGENT_CLIENT_ERROR_CLOSED == (int)JSON_RPC_ERROR_CLOSED);
G_STATIC_ASSERT((int)AGENT_CLIENT_ERROR_TIMEOUT == (int)JSON_RPC_ERROR_TIMEOUT);

struct AgentClient {
    JsonRpc *rpc;
    gint64 sync_id;
};

/* 0xFF makes the agent forget what an earlier client left half written; the newline ends what it skips of
 * that. */
static void on_connected(gpointer owner)
{
    AgentClient *client = owner;
    g_autofree char *text = NULL;

    client->sync_id =
        (gint64)g_random_int() << 20 | g_random_int_range(0, 1 << 20); /* exact as a double, too */
    text = g_strdup_printf(
        "\xff\n{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": %" G_GINT64_FORMAT "}}\n",
        client->sync_id);
    json_rpc_send(client->rpc, text, strlen(text));
}

/* Whatever comes before the answer to our own guest-sync-delimited was meant for somebody else. */
static void on_value(JsonNode *value, const GError *error, gpointer owner)
{
    AgentClient *client = owner;
    JsonNode *number;

    if (!json_rpc_is_opening(client->rpc)) {
        /* An answer beyond all limits must not look like none. */
        if (g_error_matches(error, JSON_STREAM_ERROR, JSON_STREAM_ERROR_LIMIT)) {
            g_autofree char *message =
                g_strdup_printf("the guest agent's answer is too large (%s)", error->message);

            json_rpc_fail(client->rpc, message);
            return;
        }
        g_debug("guest agent: not a reply to a call: dropped");
        return;
    }
    if (!value || !JSON_NODE_HOLDS_OBJECT(value)) {
        return;
    }
    number = json_object_get_member(json_node_get_object(value), "return");
    if (number && JSON_NODE_HOLDS_VALUE(number) && json_node_get_value_type(number) == G_TYPE_INT64 &&
        json_node_get_int(number) == client->sync_id) {
        json_rpc_opened(client->rpc, NULL);
    }
}

static const JsonRpcHandlers handlers = {
    .peer = "the guest agent",
    .error_domain = agent_client_error_quark,
    .connected = on_connected,
    .value = on_value,
};

void agent_client_open_async(const char *path, guint timeout_ms, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data)
{
    AgentClient *client = g_new0(AgentClient, 1);

    client->rpc = json_rpc_new(&handlers, client, (GDestroyNotify)agent_client_close);
    json_rpc_open_async(client->rpc, path, timeout_ms, cancellable, callback, user_data);
}

AgentClient *agent_client_open_finish(GAsyncResult *result, GError **error)
{
    return json_rpc_open_finish(result, error);
}

AgentClient *agent_client_open(const char *path, guint timeout_ms, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_ref_thread_default();
    g_autoptr(GAsyncResult) result = NULL;

    agent_client_open_async(path, timeout_ms, NULL, json_rpc_keep_result, &result);
    json_rpc_wait_result(context, &result);
    return agent_client_open_finish(result, error);
}

void agent_client_close(AgentClient *client)
{
    if (client) {
        json_rpc_free(client->rpc);
        g_free(client);
    }
}

JsonNode *agent_client_call(AgentClient *client, const char *command, JsonObject *arguments, guint timeout_ms,
                            GError **error)
{
    return json_rpc_call(client->rpc, command, arguments, timeout_ms, error);
}

void agent_client_call_async(AgentClient *client, const char *command, JsonObject *arguments,
                             guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data)
{
    json_rpc_call_async(client->rpc, command, arguments, timeout_ms, cancellable, callback, user_data);
}

JsonNode *agent_client_call_finish(GAsyncResult *result, GError **error)
{
    return json_rpc_call_finish(result, error);
}
