// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/command.h"

#include <string.h>

#include "lib/memory.h"

#define DEFAULT_REASON "the command is not allowed"

/* A row with what has become of it. */
typedef struct Entry {
    const Command *command;
    gboolean disabled;
    char *reason;
} Entry;

struct CommandServer {
    gint references; /* the owner's and one of each unfinished call */
    CommandDialect dialect;
    GPtrArray *entries;  /* of Entry, in the order of the tables */
    GHashTable *by_name; /* borrowed from entries */
    gpointer data;
    gboolean frozen;
    JsonStreamLimits limits;
    CommandGuard guard; /* NULL: none */
};

struct CommandSession {
    gint references; /* the owner's and one while bytes are being fed */
    CommandServer *server;
    CommandWriteFunc write; /* NULL once the owner has freed it */
    gpointer user_data;
    JsonStream *stream;
    GHashTable *calls; /* set of unfinished CommandCall */
    gboolean negotiated;
    gboolean dispatching;

    gboolean (*has_room)(gpointer user_data); /* NULL: always */
    CommandCall *sending;                     /* whose reply goes out in pieces now */
    GString *kept;                            /* replies that wait for its end */
    GQueue waiting;                           /* of Waiter */
};

/* A call that waits for its turn, or for room, to send a piece. */
typedef struct Waiter {
    CommandCall *call;
    void (*func)(gpointer user_data);
    gpointer user_data;
} Waiter;

struct CommandCall {
    CommandServer *server;
    CommandSession *session; /* NULL once the peer has gone */
    const Command *command;
    JsonObject *arguments;
    JsonNode *id;           /* NULL: none was sent */
    const char *piece_name; /* of the member whose text is being sent; NULL: none yet */
    gsize piece_bytes;      /* sent so far */
};

/* ---- server ---- */

static void entry_free(gpointer data)
{
    Entry *entry = data;

    g_free(entry->reason);
    g_free(entry);
}

CommandServer *command_server_new(CommandDialect dialect, const Command *const *tables, gpointer data)
{
    g_return_val_if_fail(tables != NULL, NULL);

    CommandServer *server = g_new0(CommandServer, 1);

    server->references = 1;
    server->dialect = dialect;
    server->entries = g_ptr_array_new_with_free_func(entry_free);
    server->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    server->data = data;
    server->limits = JSON_STREAM_DEFAULT_LIMITS;
    for (; *tables; tables++) {
        for (const Command *command = *tables; command->name; command++) {
            Entry *entry = g_new0(Entry, 1);

            entry->command = command;
            g_ptr_array_add(server->entries, entry);
            if (!g_hash_table_insert(server->by_name, (gpointer)command->name, entry)) {
                g_critical("command %s is in the tables twice", command->name);
            }
        }
    }
    return server;
}

static void server_unref(CommandServer *server)
{
    if (--server->references) {
        return;
    }
    g_hash_table_unref(server->by_name);
    g_ptr_array_unref(server->entries);
    g_free(server);
}

void command_server_free(CommandServer *server)
{
    if (server) {
        server_unref(server);
    }
}

static Entry *find_entry(CommandServer *server, const char *name)
{
    return g_hash_table_lookup(server->by_name, name);
}

static gboolean entry_is_enabled(const CommandServer *server, const Entry *entry)
{
    /* as with qemu-ga, being frozen comes before every list: who froze must be able to thaw */
    return server->frozen ? (entry->command->flags & COMMAND_WHEN_FROZEN) != 0 : !entry->disabled;
}

const Command *command_server_find(CommandServer *server, const char *name)
{
    Entry *entry = find_entry(server, name);

    return entry ? entry->command : NULL;
}

void command_server_foreach(CommandServer *server, CommandVisitor func, gpointer user_data)
{
    for (guint i = 0; i < server->entries->len; i++) {
        Entry *entry = g_ptr_array_index(server->entries, i);

        func(entry->command, entry_is_enabled(server, entry), user_data);
    }
}

gboolean command_server_set_enabled(CommandServer *server, const char *name, gboolean enabled,
                                    const char *reason)
{
    Entry *entry = find_entry(server, name);

    if (!entry) {
        return FALSE;
    }
    entry->disabled = !enabled;
    g_free(entry->reason);
    entry->reason = g_strdup(reason);
    return TRUE;
}

void command_server_set_frozen(CommandServer *server, gboolean frozen)
{
    server->frozen = frozen;
}

void command_server_set_guard(CommandServer *server, CommandGuard guard)
{
    server->guard = guard;
}

void command_server_set_limits(CommandServer *server, const JsonStreamLimits *limits)
{
    server->limits = limits ? *limits : JSON_STREAM_DEFAULT_LIMITS;
}

gboolean command_server_is_enabled(CommandServer *server, const Command *command)
{
    Entry *entry = find_entry(server, command->name);

    return entry && entry_is_enabled(server, entry);
}

/* ---- replies ---- */

static void session_write(CommandSession *session, JsonNode *message, gboolean delimited)
{
    g_autoptr(GString) line = g_string_new(delimited ? "\xff" : NULL);

    json_write(message, line);
    g_string_append_c(line, '\n');
    if (line->len > MEMORY_HUGE_BYTES) {
        memory_give_back_later();
    }
    if (session->sending) {
        g_string_append_len(session->kept, line->str, (gssize)line->len);
    } else if (session->write) {
        session->write(line->str, line->len, session->user_data);
    }
}

/* Sends {name: value, "id": id}. `value` is taken. */
static void session_reply(CommandSession *session, const char *name, JsonNode *value, JsonNode *id,
                          gboolean delimited)
{
    g_autoptr(JsonNode) message = json_node_init_object(json_node_alloc(), NULL);
    JsonObject *object = json_object_new();

    json_object_set_member(object, name, value);
    if (id) {
        json_object_set_member(object, "id", json_node_copy(id));
    }
    json_node_take_object(message, object);
    session_write(session, message, delimited);
}

static void session_reply_error(CommandSession *session, const char *error_class, const char *desc,
                                JsonNode *id)
{
    JsonObject *object = json_object_new();
    JsonNode *value = json_node_init_object(json_node_alloc(), NULL);

    if (session->dispatching) {
        json_stream_quiet_line(session->stream);
    }
    json_object_set_string_member(object, "class", error_class);
    json_object_set_string_member(object, "desc", desc);
    json_node_take_object(value, object);
    session_reply(session, "error", value, id, FALSE);
}

/* ---- calls ---- */

static void session_unref(CommandSession *session);
static void end_sending(CommandSession *session);

static void call_free(CommandCall *call)
{
    CommandSession *session = call->session;
    gboolean was_sending = session && session->sending == call;

    if (session) {
        g_hash_table_remove(session->calls, call);
    }
    server_unref(call->server);
    json_object_unref(call->arguments);
    g_clear_pointer(&call->id, json_node_unref);
    g_free(call);
    if (was_sending) {
        end_sending(session);
    }
}

const Command *command_call_command(const CommandCall *call)
{
    return call->command;
}

CommandServer *command_call_server(const CommandCall *call)
{
    return call->server;
}

CommandSession *command_call_session(const CommandCall *call)
{
    return call->session;
}

void command_call_return(CommandCall *call, JsonNode *value)
{
    g_return_if_fail(call != NULL && value != NULL);

    CommandSession *session = call->session;
    CommandFlags flags = call->command->flags;

    if (session && (flags & COMMAND_BEFORE_NEGOTIATION)) {
        session->negotiated = TRUE;
    }
    if (session && !(flags & COMMAND_NO_REPLY)) {
        /* The write function may free the session; the call notices by then. */
        session_reply(session, "return", value, call->id, (flags & COMMAND_DELIMITED_REPLY) != 0);
    } else {
        json_node_unref(value);
    }
    call_free(call);
}

void command_call_return_object(CommandCall *call, JsonObject *value)
{
    JsonNode *node = json_node_init_object(json_node_alloc(), NULL);

    json_node_take_object(node, value);
    command_call_return(call, node);
}

void command_call_return_array(CommandCall *call, JsonArray *value)
{
    JsonNode *node = json_node_init_array(json_node_alloc(), NULL);

    json_node_take_array(node, value);
    command_call_return(call, node);
}

void command_call_return_int(CommandCall *call, gint64 value)
{
    command_call_return(call, json_node_init_int(json_node_alloc(), value));
}

void command_call_return_empty(CommandCall *call)
{
    command_call_return_object(call, json_object_new());
}

static void call_fail(CommandCall *call, const char *error_class, const char *desc)
{
    if (call->session) {
        session_reply_error(call->session, error_class, desc, call->id);
    }
    call_free(call);
}

void command_call_fail(CommandCall *call, const char *format, ...)
{
    g_autofree char *desc = NULL;
    va_list args;

    va_start(args, format);
    desc = g_strdup_vprintf(format, args);
    va_end(args);
    call_fail(call, "GenericError", desc);
}

void command_call_fail_class(CommandCall *call, const char *error_class, const char *format, ...)
{
    g_autofree char *desc = NULL;
    va_list args;

    va_start(args, format);
    desc = g_strdup_vprintf(format, args);
    va_end(args);
    call_fail(call, error_class, desc);
}

void command_call_take_error(CommandCall *call, GError *error)
{
    call_fail(call, "GenericError", error->message);
    g_error_free(error);
}

/* ---- replies in pieces ---- */

static gboolean may_send(const CommandSession *session, const CommandCall *call)
{
    return (!session->sending || session->sending == call) &&
           (!session->has_room || session->has_room(session->user_data));
}

void command_session_room(CommandSession *session)
{
    session->references++; /* a piece may be the end of the peer */
    for (GList *link = session->waiting.head; link && session->write;) {
        Waiter *waiter = link->data;

        if (!may_send(session, waiter->call)) {
            link = link->next;
            continue;
        }
        g_queue_delete_link(&session->waiting, link);
        session->sending = waiter->call;
        waiter->func(waiter->user_data);
        g_free(waiter);
        link = session->waiting.head;
    }
    session_unref(session);
}

/* The reply in pieces is complete: the others follow. */
static void end_sending(CommandSession *session)
{
    session->sending = NULL;
    session->references++;
    if (session->kept->len && session->write) {
        g_autoptr(GString) kept = session->kept;

        session->kept = g_string_new(NULL);
        session->write(kept->str, kept->len, session->user_data);
    }
    command_session_room(session);
    session_unref(session);
}

void command_call_when_room(CommandCall *call, void (*func)(gpointer user_data), gpointer user_data)
{
    CommandSession *session = call->session;

    if (!session || may_send(session, call)) {
        if (session) {
            session->sending = call;
        }
        func(user_data);
        return;
    }

    Waiter *waiter = g_new(Waiter, 1);

    *waiter = (Waiter){call, func, user_data};
    g_queue_push_tail(&session->waiting, waiter);
}

static void send_piece(CommandCall *call, const char *text, gsize length)
{
    call->piece_bytes += length;
    if (call->session && call->session->write) {
        call->session->write(text, length, call->session->user_data);
    }
}

void command_call_send_text(CommandCall *call, const char *name, const char *text, gsize length)
{
    g_return_if_fail(!call->session || call->session->sending == call);

    if (!call->piece_name || strcmp(call->piece_name, name) != 0) {
        g_autofree char *begin =
            g_strdup_printf("%s\"%s\": \"", call->piece_name ? "\", " : "{\"return\": {", name);

        call->piece_name = name;
        send_piece(call, begin, strlen(begin));
    }
    send_piece(call, text, length);
}

void command_call_send_end(CommandCall *call, JsonObject *rest)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), rest);
    g_autoptr(GString) members = g_string_new(NULL);
    g_autoptr(GString) end = g_string_new("\"");

    json_write(node, members); /* {…} */
    if (members->len > 2) {
        g_string_append(end, ", ");
        g_string_append_len(end, members->str + 1, (gssize)members->len - 2);
    }
    g_string_append_c(end, '}');
    if (call->id) {
        g_string_append(end, ", \"id\": ");
        json_write(call->id, end);
    }
    g_string_append(end, "}\n");
    send_piece(call, end->str, end->len);
    if (call->piece_bytes > MEMORY_HUGE_BYTES) {
        memory_give_back_later();
    }
    json_object_unref(rest);
    call_free(call);
}

/* ---- requests ---- */

typedef struct Request {
    const char *execute; /* borrowed, as all here */
    JsonObject *arguments;
    JsonNode *id;
} Request;

static gboolean is_string(JsonNode *value)
{
    return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_STRING;
}

/* What the request lacks or has too much of (owned), or NULL if it is well formed. `request->id` is set
 * anyway. */
static char *read_request(JsonNode *value, Request *request)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;

    if (!JSON_NODE_HOLDS_OBJECT(value)) {
        return g_strdup("QMP input must be a JSON object");
    }
    request->id = json_object_get_member(json_node_get_object(value), "id");
    json_object_iter_init_ordered(&iter, json_node_get_object(value));
    while (json_object_iter_next_ordered(&iter, &name, &member)) {
        if (strcmp(name, "execute") == 0) {
            if (!is_string(member)) {
                return g_strdup("QMP input member 'execute' must be a string");
            }
            request->execute = json_node_get_string(member);
        } else if (strcmp(name, "arguments") == 0) {
            if (!JSON_NODE_HOLDS_OBJECT(member)) {
                return g_strdup("QMP input member 'arguments' must be an object");
            }
            request->arguments = json_node_get_object(member);
        } else if (strcmp(name, "id") != 0) {
            return g_strdup_printf("QMP input member '%s' is unexpected", name);
        }
    }
    return request->execute ? NULL : g_strdup("QMP input lacks member 'execute'");
}

/* The desc of a CommandNotFound error (owned), or NULL if the command may run now. */
static char *check_allowed(CommandSession *session, const char *name, const Entry *entry)
{
    if (session->server->dialect == COMMAND_DIALECT_QMP) {
        gboolean negotiates = entry && (entry->command->flags & COMMAND_BEFORE_NEGOTIATION);

        if (!session->negotiated && !negotiates) {
            return g_strdup("Expecting capabilities negotiation with 'qmp_capabilities'");
        }
        if (session->negotiated && negotiates) {
            return g_strdup_printf("Capabilities negotiation is already complete, command '%s' ignored",
                                   name);
        }
    }
    if (!entry) {
        return g_strdup_printf("The command %s has not been found", name);
    }
    if (!entry_is_enabled(session->server, entry)) {
        return g_strdup_printf("Command %s has been disabled: %s", name,
                               entry->disabled && entry->reason ? entry->reason : DEFAULT_REASON);
    }
    return NULL;
}

/* What is no request at all may be but a part of the garbage around it, whose line has had its error. */
static void refuse_malformed(CommandSession *session, JsonNode *value, const char *what, JsonNode *id)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
    gboolean is_request = object && json_object_has_member(object, "execute");
    gboolean answered = is_request || !json_stream_is_quiet(session->stream);

    if (!object) {
        json_stream_skip_line(session->stream);
    }
    if (answered) {
        session_reply_error(session, "GenericError", what, id);
    }
}

static void dispatch(CommandSession *session, JsonNode *value)
{
    Request request = {0};
    g_autofree char *malformed = read_request(value, &request);
    g_autoptr(JsonObject) arguments = NULL;
    g_autoptr(GError) error = NULL;

    if (malformed) {
        refuse_malformed(session, value, malformed, request.id);
        return;
    }

    Entry *entry = find_entry(session->server, request.execute);
    g_autofree char *refusal = check_allowed(session, request.execute, entry);

    if (refusal) {
        session_reply_error(session, "CommandNotFound", refusal, request.id);
        return;
    }

    const Command *command = entry->command;

    arguments = request.arguments ? json_object_ref(request.arguments) : json_object_new();
    if (!command_check_arguments(arguments, command->args, (command->flags & COMMAND_LOOSE_ARGS) != 0,
                                 &error)) {
        session_reply_error(session, "GenericError", error->message, request.id);
        return;
    }

    CommandServer *server = session->server;
    g_autofree char *forbidden = server->guard ? server->guard(command, arguments, server->data) : NULL;

    if (forbidden) {
        session_reply_error(session, "GenericError", forbidden, request.id);
        return;
    }

    CommandCall *call = g_new0(CommandCall, 1);

    call->server = session->server;
    call->server->references++;
    call->session = session;
    call->command = command;
    call->arguments = json_object_ref(arguments);
    call->id = request.id ? json_node_copy(request.id) : NULL;
    g_hash_table_add(session->calls, call);
    command->handler(call, arguments, session->server->data);
}

/* ---- sessions ---- */

static void session_unref(CommandSession *session)
{
    if (--session->references) {
        return;
    }
    json_stream_free(session->stream);
    g_hash_table_unref(session->calls);
    g_string_free(session->kept, TRUE);
    g_free(session);
}

static void on_value(JsonNode *value, const GError *error, gpointer user_data)
{
    CommandSession *session = user_data;

    if (!session->write) {
        return; /* freed by a handler, with more requests in the same bytes */
    }
    session->dispatching = TRUE;
    if (error) {
        session_reply_error(session, "GenericError", error->message, NULL);
    } else {
        dispatch(session, value);
    }
    session->dispatching = FALSE;
}

CommandSession *command_session_new(CommandServer *server, CommandWriteFunc write, gpointer user_data,
                                    JsonNode *greeting)
{
    g_return_val_if_fail(server != NULL && write != NULL, NULL);

    CommandSession *session = g_new0(CommandSession, 1);

    session->references = 1;
    session->server = server;
    session->write = write;
    session->user_data = user_data;
    session->stream = json_stream_new(&server->limits, on_value, session);
    json_stream_set_first_name(session->stream, "execute");
    session->calls = g_hash_table_new(NULL, NULL);
    session->kept = g_string_new(NULL);
    g_queue_init(&session->waiting);
    if (greeting) {
        session_write(session, greeting, FALSE);
        json_node_unref(greeting);
    }
    return session;
}

void command_session_free(CommandSession *session)
{
    GHashTableIter iter;
    gpointer call;

    if (!session) {
        return;
    }
    session->write = NULL;
    g_hash_table_iter_init(&iter, session->calls);
    while (g_hash_table_iter_next(&iter, &call, NULL)) {
        ((CommandCall *)call)->session = NULL;
    }
    g_hash_table_remove_all(session->calls);

    Waiter *waiter;

    while ((waiter = g_queue_pop_head(&session->waiting))) { /* they find that the peer has gone */
        waiter->func(waiter->user_data);
        g_free(waiter);
    }
    session_unref(session);
}

void command_session_feed(CommandSession *session, const void *data, gsize length)
{
    session->references++;
    json_stream_feed(session->stream, data, length);
    session_unref(session);
}

void command_session_reset(CommandSession *session)
{
    json_stream_reset(session->stream);
}

gboolean command_session_is_negotiated(const CommandSession *session)
{
    return session->negotiated;
}

void command_session_send_event(CommandSession *session, const char *name, JsonObject *data)
{
    if (session->server->dialect != COMMAND_DIALECT_QMP || !session->negotiated) {
        return;
    }

    gint64 now = g_get_real_time();
    g_autoptr(JsonNode) message = json_node_init_object(json_node_alloc(), NULL);
    JsonObject *object = json_object_new();
    JsonObject *timestamp = json_object_new();

    json_object_set_int_member(timestamp, "seconds", now / G_USEC_PER_SEC);
    json_object_set_int_member(timestamp, "microseconds", now % G_USEC_PER_SEC);
    json_object_set_object_member(object, "timestamp", timestamp);
    json_object_set_string_member(object, "event", name);
    if (data) {
        json_object_set_object_member(object, "data", json_object_ref(data));
    }
    json_node_take_object(message, object);
    session_write(session, message, FALSE);
}

void command_session_set_room(CommandSession *session, gboolean (*has_room)(gpointer user_data))
{
    session->has_room = has_room;
}

gboolean command_session_is_sending(const CommandSession *session)
{
    return session->sending != NULL;
}

guint command_session_pending(const CommandSession *session)
{
    return g_hash_table_size(session->calls);
}
