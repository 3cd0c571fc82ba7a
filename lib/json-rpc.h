// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-rpc: calls with ids and deadlines over a json-client: what qmp-client and agent-client have in common.
 *
 * A reply finds its call by its id. One that nobody waits for any more (its call timed out or was cancelled)
 * is dropped. Callbacks are called from the main context that was the thread's default at json_rpc_new().
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct JsonRpc JsonRpc;

/* The codes of QmpClientError and AgentClientError, under the domain that is given to json_rpc_new(). */
typedef enum {
    JSON_RPC_ERROR_COMMAND,
    JSON_RPC_ERROR_NOT_FOUND,
    JSON_RPC_ERROR_PROTOCOL,
    JSON_RPC_ERROR_CLOSED,
    JSON_RPC_ERROR_TIMEOUT,
} JsonRpcError;

/* What the two protocols do differently. All may close the client (and so free the JsonRpc). */
typedef struct JsonRpcHandlers {
    const char *peer; /* in error messages: "the guest agent" */
    GQuark (*error_domain)(void);
    /* The socket is connected: send what begins the conversation. */
    void (*connected)(gpointer owner);
    /* A value that is no reply to a call, borrowed. value NULL: garbage, `error` says what. */
    void (*value)(JsonNode *value, const GError *error, gpointer owner);
    /* The connection has ended, after it was open; calls have failed. May be NULL. */
    void (*ended)(gpointer owner);
} JsonRpcHandlers;

/* `owner` is what an open returns, owned by the caller then; owner_free frees it if the open fails. */
JsonRpc *json_rpc_new(const JsonRpcHandlers *handlers, gpointer owner, GDestroyNotify owner_free);
/* Calls that are not finished fail with CLOSED; their callbacks are still called. */
void json_rpc_free(JsonRpc *rpc);
GMainContext *json_rpc_context(JsonRpc *rpc);
gboolean json_rpc_is_ended(const JsonRpc *rpc);

/* Connects to a unix socket; done when json_rpc_opened() is called, timeout_ms bounds the whole. Once. */
void json_rpc_open_async(JsonRpc *rpc, const char *path, guint timeout_ms, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data);
gboolean json_rpc_is_opening(const JsonRpc *rpc);
/* The conversation has begun well (error NULL) or not (taken). */
void json_rpc_opened(JsonRpc *rpc, GError *error);
/* The owner, or NULL and error. */
gpointer json_rpc_open_finish(GAsyncResult *result, GError **error);

/* Sends bytes as they are. FALSE if the peer does not read. */
gboolean json_rpc_send(JsonRpc *rpc, const void *data, gsize length);
/* The text of a request, without a newline. arguments: taken, may be NULL; so may id. */
GString *json_rpc_request(const char *command, JsonObject *arguments, const char *id);
/* arguments: taken, may be NULL. */
void json_rpc_call_async(JsonRpc *rpc, const char *command, JsonObject *arguments, guint timeout_ms,
                         GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
JsonNode *json_rpc_call_finish(GAsyncResult *result, GError **error);
JsonNode *json_rpc_call(JsonRpc *rpc, const char *command, JsonObject *arguments, guint timeout_ms,
                        GError **error);
/* What the peer sends is not its protocol: calls fail with PROTOCOL, the connection is closed. */
void json_rpc_fail(JsonRpc *rpc, const char *message);

/* For synchronous forms: a GAsyncReadyCallback that keeps the result in the GAsyncResult * that user_data
 * points to, and the wait for it. */
void json_rpc_keep_result(GObject *source, GAsyncResult *result, gpointer user_data);
void json_rpc_wait_result(GMainContext *context, GAsyncResult **result);
