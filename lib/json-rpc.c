// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json-rpc.h"

#include <string.h>

#include "lib/json-client.h"
#include "lib/pending.h"

#define RETRY_MS   20 /* between tries while the listener's queue is full */
#define DESC_BYTES 4096

struct JsonRpc {
    gint references; /* the owner's and one while ending */
    gboolean freed;
    const JsonRpcHandlers *handlers;
    gpointer owner;
    GDestroyNotify owner_free;
    GMainContext *context;
    JsonClient *client; /* NULL before the connection and after its end */
    gboolean ended;
    char *path;

    /* while opening */
    Pending *opening;
    guint open_timeout_ms;
    GSource *open_deadline;
    GSource *open_cancelled;
    GSource *retry;

    /* calls */
    char *id_prefix; /* random: what an earlier client of this port called must not look like ours */
    guint64 next_id;
    GQueue calls;      /* of Call, in the order of sending */
    GHashTable *by_id; /* id → its link in calls */
};

typedef struct Call {
    JsonRpc *rpc;  /* NULL once finished */
    Pending *task; /* which owns this struct */
    char *id;
    char *command;
    guint timeout_ms;
    GSource *deadline;
    GSource *cancelled;
} Call;

static void rpc_unref(JsonRpc *rpc)
{
    if (--rpc->references) {
        return;
    }
    g_hash_table_unref(rpc->by_id);
    g_main_context_unref(rpc->context);
    g_free(rpc->id_prefix);
    g_free(rpc->path);
    g_free(rpc);
}

static void drop_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static GSource *start_timer(JsonRpc *rpc, guint timeout_ms, GSourceFunc func, gpointer data)
{
    GSource *source = g_timeout_source_new(timeout_ms);

    g_source_set_callback(source, func, data, NULL);
    g_source_attach(source, rpc->context);
    return source;
}

static GSource *watch_cancellable(JsonRpc *rpc, GCancellable *cancellable, GCancellableSourceFunc func,
                                  gpointer data)
{
    GSource *source;

    if (!cancellable) {
        return NULL;
    }
    source = g_cancellable_source_new(cancellable);
    g_source_set_callback(source, G_SOURCE_FUNC(func), data, NULL);
    g_source_attach(source, rpc->context);
    return source;
}

static GError *rpc_error(const JsonRpc *rpc, JsonRpcError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static GError *rpc_error(const JsonRpc *rpc, JsonRpcError code, const char *format, ...)
{
    va_list args;
    GError *error;

    va_start(args, format);
    error = g_error_new_valist(rpc->handlers->error_domain(), (gint)code, format, args);
    va_end(args);
    return error;
}

static GError *closed_error(const JsonRpc *rpc)
{
    return rpc_error(rpc, JSON_RPC_ERROR_CLOSED, "%s has closed the connection", rpc->handlers->peer);
}

/* ---- calls ---- */

static void call_free(gpointer data)
{
    Call *call = data;

    g_free(call->id);
    g_free(call->command);
    g_free(call);
}

/* Takes the call out of the books; returns its task (owned), to be given its result. */
static Pending *call_finished(Call *call)
{
    JsonRpc *rpc = call->rpc;
    GList *link = g_hash_table_lookup(rpc->by_id, call->id);

    g_hash_table_remove(rpc->by_id, call->id);
    g_queue_delete_link(&rpc->calls, link);
    drop_source(&call->deadline);
    drop_source(&call->cancelled);
    call->rpc = NULL;
    return call->task;
}

static void call_fail(Call *call, GError *error)
{
    g_autoptr(Pending) task = call_finished(call);

    pending_return_error(task, error);
}

static gboolean on_call_deadline(gpointer user_data)
{
    Call *call = user_data;

    call_fail(call, rpc_error(call->rpc, JSON_RPC_ERROR_TIMEOUT, "%s: no answer from %s within %u ms",
                              call->command, call->rpc->handlers->peer, call->timeout_ms));
    return G_SOURCE_REMOVE;
}

static gboolean on_call_cancelled(GCancellable *cancellable, gpointer user_data)
{
    Call *call = user_data;

    call_fail(call, g_error_new(G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s was cancelled", call->command));
    return G_SOURCE_REMOVE;
}

/* Fails them all. The callbacks may start new calls: only those of now are meant. */
static void fail_calls(JsonRpc *rpc, JsonRpcError code, const char *message)
{
    g_autoptr(GPtrArray) tasks = g_ptr_array_new_with_free_func(g_object_unref);
    GQuark domain = rpc->handlers->error_domain();

    while (!g_queue_is_empty(&rpc->calls)) {
        g_ptr_array_add(tasks, call_finished(g_queue_peek_head(&rpc->calls)));
    }
    for (guint i = 0; i < tasks->len; i++) { /* the JsonRpc may go meanwhile */
        pending_return_new_error(tasks->pdata[i], domain, (gint)code, "%s", message);
    }
}

GString *json_rpc_request(const char *command, JsonObject *arguments, const char *id)
{
    g_autoptr(JsonNode) message = json_node_init_object(json_node_alloc(), NULL);
    JsonObject *object = json_object_new();
    GString *text = g_string_new(NULL);

    json_object_set_string_member(object, "execute", command);
    if (arguments) {
        json_object_set_object_member(object, "arguments", arguments);
    }
    if (id) {
        json_object_set_string_member(object, "id", id);
    }
    json_node_take_object(message, object);
    json_write(message, text);
    return text;
}

void json_rpc_call_async(JsonRpc *rpc, const char *command, JsonObject *arguments, guint timeout_ms,
                         GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_main_context_push_thread_default(rpc->context);

    /* Without the cancellable: what was answered before it was cancelled is answered. */
    g_autoptr(Pending) task = pending_new(NULL, callback, user_data);

    g_main_context_pop_thread_default(rpc->context);

    Call *call = g_new0(Call, 1);

    call->id = g_strdup_printf("%s%" G_GUINT64_FORMAT, rpc->id_prefix, rpc->next_id++);
    call->command = g_strdup(command);
    call->timeout_ms = timeout_ms;
    pending_set_data(task, call, call_free);

    GString *text = json_rpc_request(command, arguments, call->id);

    g_string_append_c(text, '\n');

    g_autoptr(GBytes) bytes = g_string_free_to_bytes(text);

    if (!rpc->client) {
        pending_return_error(task, closed_error(rpc));
        return;
    }
    if (!json_client_send(rpc->client, bytes)) {
        pending_return_error(task,
                             rpc_error(rpc, JSON_RPC_ERROR_TIMEOUT, "%s: %s does not read what it is sent",
                                       command, rpc->handlers->peer));
        return;
    }
    call->rpc = rpc;
    call->task = g_object_ref(task);
    g_queue_push_tail(&rpc->calls, call);
    g_hash_table_insert(rpc->by_id, call->id, g_queue_peek_tail_link(&rpc->calls));
    call->deadline = start_timer(rpc, timeout_ms, on_call_deadline, call);
    call->cancelled = watch_cancellable(rpc, cancellable, on_call_cancelled, call);
}

JsonNode *json_rpc_call_finish(GAsyncResult *result, GError **error)
{
    return pending_take_pointer(result, error);
}

JsonNode *json_rpc_call(JsonRpc *rpc, const char *command, JsonObject *arguments, guint timeout_ms,
                        GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_ref(rpc->context); /* an event's handler may close us */
    g_autoptr(GAsyncResult) result = NULL;

    json_rpc_call_async(rpc, command, arguments, timeout_ms, NULL, json_rpc_keep_result, &result);
    json_rpc_wait_result(context, &result);
    return json_rpc_call_finish(result, error);
}

void json_rpc_keep_result(GObject *source, GAsyncResult *result, gpointer user_data)
{
    GAsyncResult **kept = user_data;

    *kept = g_object_ref(result);
}

void json_rpc_wait_result(GMainContext *context, GAsyncResult **result)
{
    while (!*result) {
        g_main_context_iteration(context, TRUE);
    }
}

/* ---- replies ---- */

static const char *string_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

/* A peer's text ends up on somebody's terminal: no control characters (nor C1 ones), and not without end. */
static char *harmless(const char *text)
{
    g_autoptr(GString) clean = g_string_new(NULL);

    for (; *text && clean->len < DESC_BYTES; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        g_string_append_unichar(clean, g_unichar_iscntrl(c) ? '?' : c);
    }
    return g_string_free(g_steal_pointer(&clean), FALSE);
}

static GError *reply_error(const JsonRpc *rpc, JsonNode *node)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    const char *desc = object ? string_member(object, "desc") : NULL;
    const char *error_class = object ? string_member(object, "class") : NULL;
    gboolean not_found =
        g_strcmp0(error_class, "CommandNotFound") == 0 || g_strcmp0(error_class, "DeviceNotFound") == 0;
    g_autofree char *message = NULL;

    if (!desc) {
        return rpc_error(rpc, JSON_RPC_ERROR_PROTOCOL, "%s sent an error without a description",
                         rpc->handlers->peer);
    }
    message = harmless(desc);
    return rpc_error(rpc, not_found ? JSON_RPC_ERROR_NOT_FOUND : JSON_RPC_ERROR_COMMAND, "%s", message);
}

static void finish_by_reply(Call *call, JsonObject *reply)
{
    JsonNode *error = json_object_get_member(reply, "error");
    GError *failure = error ? reply_error(call->rpc, error) : NULL;
    g_autoptr(Pending) task = call_finished(call);

    if (failure) {
        pending_return_error(task, failure);
    } else {
        pending_return_pointer(task, json_node_copy(json_object_get_member(reply, "return")),
                               (GDestroyNotify)json_node_unref);
    }
}

/* Whether the value was a reply (to a call of ours, or of nobody's any more). */
static gboolean take_reply(JsonRpc *rpc, JsonNode *value)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
    const char *id;

    if (!object || (!json_object_has_member(object, "return") && !json_object_has_member(object, "error"))) {
        return FALSE;
    }
    id = string_member(object, "id");
    if (id) {
        GList *link = g_hash_table_lookup(rpc->by_id, id);

        if (link) {
            finish_by_reply(link->data, object);
        } else {
            g_debug("%s answered a call that nobody waits for: dropped", rpc->handlers->peer);
        }
        return TRUE;
    }
    if (rpc->opening || !json_object_has_member(object, "error") || g_queue_is_empty(&rpc->calls)) {
        return FALSE;
    }
    /* An error without an id: the peer could not even read a request. Servers answer in order. */
    finish_by_reply(g_queue_peek_head(&rpc->calls), object);
    return TRUE;
}

/* ---- the connection ---- */

static void end(JsonRpc *rpc, JsonRpcError code, const char *message)
{
    g_clear_pointer(&rpc->client, json_client_free);
    rpc->ended = TRUE;
    if (rpc->opening) {
        json_rpc_opened(rpc, rpc_error(rpc, code, "%s", message));
        return;
    }
    rpc->references++;
    fail_calls(rpc, code, message);
    if (!rpc->freed && rpc->handlers->ended) {
        rpc->handlers->ended(rpc->owner);
    }
    rpc_unref(rpc);
}

static void on_value(JsonNode *value, const GError *error, gpointer user_data)
{
    JsonRpc *rpc = user_data;

    if (!value && !error) {
        g_autofree char *message = g_strdup_printf("%s has closed the connection", rpc->handlers->peer);

        end(rpc, JSON_RPC_ERROR_CLOSED, message);
    } else if (!value || !take_reply(rpc, value)) {
        rpc->handlers->value(value, error, rpc->owner);
    }
}

static gboolean try_connect(gpointer user_data)
{
    JsonRpc *rpc = user_data;
    g_autoptr(GError) error = NULL;
    GSocket *socket = json_client_connect(rpc->path, &error);

    drop_source(&rpc->retry);
    if (socket) {
        g_main_context_push_thread_default(rpc->context);
        rpc->client = json_client_new(socket, on_value, rpc);
        g_main_context_pop_thread_default(rpc->context);
        rpc->handlers->connected(rpc->owner);
    } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        rpc->retry = start_timer(rpc, RETRY_MS, try_connect, rpc);
    } else {
        json_rpc_opened(rpc, g_steal_pointer(&error));
    }
    return G_SOURCE_REMOVE;
}

static gboolean on_open_deadline(gpointer user_data)
{
    JsonRpc *rpc = user_data;

    json_rpc_opened(rpc, rpc_error(rpc, JSON_RPC_ERROR_TIMEOUT, "no answer from %s at '%s' within %u ms",
                                   rpc->handlers->peer, rpc->path, rpc->open_timeout_ms));
    return G_SOURCE_REMOVE;
}

static gboolean on_open_cancelled(GCancellable *cancellable, gpointer user_data)
{
    JsonRpc *rpc = user_data;

    json_rpc_opened(
        rpc, g_error_new(G_IO_ERROR, G_IO_ERROR_CANCELLED, "connecting to '%s' was cancelled", rpc->path));
    return G_SOURCE_REMOVE;
}

void json_rpc_open_async(JsonRpc *rpc, const char *path, guint timeout_ms, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data)
{
    rpc->opening = pending_new(NULL, callback, user_data);
    rpc->path = g_strdup(path);
    rpc->open_timeout_ms = timeout_ms;
    rpc->open_deadline = start_timer(rpc, timeout_ms, on_open_deadline, rpc);
    rpc->open_cancelled = watch_cancellable(rpc, cancellable, on_open_cancelled, rpc);
    try_connect(rpc);
}

gboolean json_rpc_is_opening(const JsonRpc *rpc)
{
    return rpc->opening != NULL;
}

void json_rpc_opened(JsonRpc *rpc, GError *error)
{
    g_autoptr(Pending) task = g_steal_pointer(&rpc->opening);

    drop_source(&rpc->open_deadline);
    drop_source(&rpc->open_cancelled);
    drop_source(&rpc->retry);
    if (error) {
        rpc->owner_free(rpc->owner);
        pending_return_error(task, error);
    } else {
        pending_return_pointer(task, rpc->owner, rpc->owner_free);
    }
}

gpointer json_rpc_open_finish(GAsyncResult *result, GError **error)
{
    return pending_take_pointer(result, error);
}

gboolean json_rpc_send(JsonRpc *rpc, const void *data, gsize length)
{
    g_autoptr(GBytes) bytes = g_bytes_new(data, length);

    return rpc->client && json_client_send(rpc->client, bytes);
}

void json_rpc_fail(JsonRpc *rpc, const char *message)
{
    end(rpc, JSON_RPC_ERROR_PROTOCOL, message);
}

/* ---- life ---- */

JsonRpc *json_rpc_new(const JsonRpcHandlers *handlers, gpointer owner, GDestroyNotify owner_free)
{
    JsonRpc *rpc = g_new0(JsonRpc, 1);

    rpc->references = 1;
    rpc->handlers = handlers;
    rpc->owner = owner;
    rpc->owner_free = owner_free;
    rpc->context = g_main_context_ref_thread_default();
    rpc->id_prefix = g_strdup_printf("vs-%08x-", g_random_int());
    g_queue_init(&rpc->calls);
    rpc->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    return rpc;
}

void json_rpc_free(JsonRpc *rpc)
{
    g_autofree char *message = g_strdup_printf("the connection to %s was closed", rpc->handlers->peer);

    rpc->freed = TRUE;
    rpc->ended = TRUE;
    g_clear_pointer(&rpc->client, json_client_free);
    fail_calls(rpc, JSON_RPC_ERROR_CLOSED, message);
    rpc_unref(rpc);
}

GMainContext *json_rpc_context(JsonRpc *rpc)
{
    return rpc->context;
}

gboolean json_rpc_is_ended(const JsonRpc *rpc)
{
    return rpc->ended;
}
