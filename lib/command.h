// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * command: the one declarative table that both JSON servers (the guest agent, the monitor's QMP) are written
 * as.
 *
 * A row names a command, its arguments with type and optionality, its handler and its flags. Checking
 * requests and arguments, the error texts, guest-info and query-commands all come from these rows: adding a
 * command is adding a row and a function.
 *
 * A CommandServer is a table with its state (which commands are allowed now). A CommandSession is one peer:
 * it takes bytes and writes reply lines. A handler may finish its CommandCall at once or later, from any
 * source of the same main context; if the peer has gone by then, the reply is dropped. Replies of one session
 * are written in the order in which calls are finished: handlers that finish at once answer in the order of
 * requests.
 *
 * Every request is answered; garbage, at most once a line or every 4 KiB. What is no object is garbage, with
 * the rest of its line; so is an object without "execute" in a line that has had an error already. A line
 * that begins with
 * {"execute" begins a request, even if the one before it was cut off.
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct Command Command;
typedef struct CommandServer CommandServer;
typedef struct CommandSession CommandSession;
typedef struct CommandCall CommandCall;

typedef enum {
    COMMAND_ARG_INT,    /* int64 */
    COMMAND_ARG_NUMBER, /* integer or float */
    COMMAND_ARG_STRING,
    COMMAND_ARG_BOOL,
    COMMAND_ARG_ARRAY,     /* of `element` */
    COMMAND_ARG_OBJECT,    /* with `members` */
    COMMAND_ARG_ENUM,      /* a string out of `values` */
    COMMAND_ARG_ALTERNATE, /* any of the types in `members` (told apart by JSON type); errors name `type_name`
                            */
    COMMAND_ARG_ANY,
} CommandArgType;

typedef struct CommandArg {
    const char *name; /* NULL ends a list; an array's element needs none */
    CommandArgType type;
    gboolean optional;
    const char *const *values;        /* ENUM: NULL-terminated words */
    const struct CommandArg *members; /* OBJECT, ALTERNATE: ended by a row without a name */
    const struct CommandArg *element; /* ARRAY */
    const char
        *type_name; /* what "expected: …" says; NULL: integer, string, boolean, array, object, number */
} CommandArg;

typedef enum {
    COMMAND_FLAG_NONE = 0,
    COMMAND_WHEN_FROZEN = 1 << 0,        /* agent: stays enabled while file systems are frozen */
    COMMAND_BEFORE_NEGOTIATION = 1 << 1, /* QMP: allowed before qmp_capabilities (and only then) */
    COMMAND_NO_REPLY = 1 << 2,           /* no reply on success ("success-response": false) */
    COMMAND_DELIMITED_REPLY = 1 << 3,    /* reply is prefixed with byte 0xFF (guest-sync-delimited) */
    COMMAND_LOOSE_ARGS = 1 << 4,         /* members beyond `args` are taken as they are (device_add) */
} CommandFlags;

/* Must finish `call` exactly once, now or later: command_call_return(), _return_empty() or _fail().
 * `arguments` is checked against the row, never NULL (an empty object if none was sent), valid until the call
 * is finished. `data` is the CommandServer's. */
typedef void (*CommandHandler)(CommandCall *call, JsonObject *arguments, gpointer data);

struct Command {
    const char *name;       /* NULL ends a table */
    const CommandArg *args; /* NULL: takes none */
    CommandHandler handler;
    CommandFlags flags;
};

/* ---- server ---- */

typedef enum {
    COMMAND_DIALECT_AGENT, /* no greeting, no negotiation */
    COMMAND_DIALECT_QMP,   /* greeting and qmp_capabilities first; its row belongs to the table like any other
                            */
} CommandDialect;

/* `tables`: NULL-terminated array of tables (each ended by a nameless row), all kept by reference. */
CommandServer *command_server_new(CommandDialect dialect, const Command *const *tables, gpointer data);
void command_server_free(CommandServer *server); /* after its sessions */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandServer, command_server_free)

const Command *command_server_find(CommandServer *server, const char *name);
/* Calls func for each row, in the order of the tables. */
typedef void (*CommandVisitor)(const Command *command, gboolean enabled, gpointer user_data);
void command_server_foreach(CommandServer *server, CommandVisitor func, gpointer user_data);
/* Disables or enables by name ("Command x has been disabled: reason"); FALSE if there is no such command. */
gboolean command_server_set_enabled(CommandServer *server, const char *name, gboolean enabled,
                                    const char *reason);
/* While frozen the COMMAND_WHEN_FROZEN rows are enabled, even if they were disabled, and no others. */
void command_server_set_frozen(CommandServer *server, gboolean frozen);
/* Asked before each call, when its arguments have been checked: what it returns (g_free) is the call's error
 * and its handler is not called; NULL lets it pass. */
typedef char *(*CommandGuard)(const Command *command, JsonObject *arguments, gpointer data);
void command_server_set_guard(CommandServer *server, CommandGuard guard);
/* Of sessions made from now on; NULL: the default ones. */
void command_server_set_limits(CommandServer *server, const JsonStreamLimits *limits);
gboolean command_server_is_enabled(CommandServer *server, const Command *command);

/* ---- session: one peer ---- */

/* Is given whole lines (`\n` last), or a line's pieces one after the other, to send; must take them all
 * (queue what the peer does not read yet). */
typedef void (*CommandWriteFunc)(const char *data, gsize length, gpointer user_data);

/* greeting: what QMP sends first (taken; NULL for the agent). */
CommandSession *command_session_new(CommandServer *server, CommandWriteFunc write, gpointer user_data,
                                    JsonNode *greeting);
/* Unfinished calls live on; their replies are dropped. May be called from a handler or the write function. */
void command_session_free(CommandSession *session);
void command_session_feed(CommandSession *session, const void *data, gsize length);
/* Forgets a half-read request (the peer has disconnected); from a handler also what follows in the same
 * bytes. */
void command_session_reset(CommandSession *session);
/* QMP: TRUE after a qmp_capabilities that succeeded. */
gboolean command_session_is_negotiated(const CommandSession *session);
/* QMP: sends {"event": name, "data": data, "timestamp": {"seconds", "microseconds"}}; nothing before
 * negotiation. `data` (borrowed) may be NULL. */
void command_session_send_event(CommandSession *session, const char *name, JsonObject *data);
/* For replies in pieces: whether the peer has room for more; without it there always is. Where it said no,
 * command_session_room() is to be called when that has changed. */
void command_session_set_room(CommandSession *session, gboolean (*has_room)(gpointer user_data));
void command_session_room(CommandSession *session);
/* Whether one is being sent: requests that are fed now would have their replies kept in memory. */
gboolean command_session_is_sending(const CommandSession *session);
/* Calls not yet finished. A reader that wants backpressure stops feeding above a bound. */
guint command_session_pending(const CommandSession *session);

/* ---- call: one request being answered ---- */

const Command *command_call_command(const CommandCall *call);
CommandServer *command_call_server(const CommandCall *call);
/* NULL once the peer has gone. */
CommandSession *command_call_session(const CommandCall *call);
/* `value` is taken; the call is gone afterwards. */
void command_call_return(CommandCall *call, JsonNode *value);
void command_call_return_object(CommandCall *call, JsonObject *value); /* taken */
void command_call_return_array(CommandCall *call, JsonArray *value);   /* taken */
void command_call_return_int(CommandCall *call, gint64 value);
void command_call_return_empty(CommandCall *call); /* {} */
/* {"error": {"class": "GenericError", "desc": text}} */
void command_call_fail(CommandCall *call, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* class: "CommandNotFound", "DeviceNotFound", "DeviceNotActive", "KVMMissingCap" or "GenericError" */
void command_call_fail_class(CommandCall *call, const char *error_class, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Fails with the error's message and frees it. */
void command_call_take_error(CommandCall *call, GError *error);

/* ---- a reply in pieces: for what must never be in memory as a whole ----
 *
 * {"return": {"NAME": "TEXT…", more such…, the members of `rest`}}. While one is being sent, other replies of
 * the session wait; a call may fail until its first piece. */

/* Calls func once when a piece may be sent, perhaps at once: no other call's pieces are being sent and the
 * peer has read what was sent before. Also if the peer has gone: what is sent is dropped then. */
void command_call_when_room(CommandCall *call, void (*func)(gpointer user_data), gpointer user_data);
/* After that: sends a piece of the text of member `name` (a static string), printable ASCII without quotes
 * and backslashes. Another name than the last one begins another member. */
void command_call_send_text(CommandCall *call, const char *name, const char *text, gsize length);
/* Ends the reply; `rest` is taken, the call is gone afterwards. */
void command_call_send_end(CommandCall *call, JsonObject *rest);

/* ---- arguments in a handler, already checked ---- */

gboolean command_has(JsonObject *arguments, const char *name);
gint64 command_int(JsonObject *arguments, const char *name, gint64 fallback);
gboolean command_bool(JsonObject *arguments, const char *name, gboolean fallback);
/* Borrowed from arguments; an embedded NUL ends it. */
const char *command_string(JsonObject *arguments, const char *name, const char *fallback);

/* Checks a value tree against rows on its own (used by tests and by -device / -object in JSON). */
gboolean command_check_arguments(JsonObject *arguments, const CommandArg *args, gboolean loose,
                                 GError **error);
