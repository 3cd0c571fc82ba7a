// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/control.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balloon/daemon/report.h"
#include "lib/command.h"

#define CLIENTS_MAX 16
#define IDLE_MS     30000
#define BACKLOG     128
#define READ_CHUNK  512 /* what is asked in one is answered before more is read */
/* A status of thousands of guests fits; a client that does not read is not worth more. */
#define QUEUE_KEPT 4096
#define QUEUE_MAX  (16 << 20)

struct Control {
    Loop *loop;
    char *path;
    GSocket *listener;
    GSource *accepting;
    CommandServer *commands;
    GPtrArray *clients;
};

typedef struct Client {
    Control *control;
    GSocket *socket;
    GSource *input, *output;
    guint idle;
    gint64 heard_at; /* monotonic, us */
    GString *queue;
    gsize sent;        /* of queue */
    gboolean too_much; /* was asked at once */
    CommandSession *session;
} Client;

/* ---- commands ---- */

static void capabilities(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_empty(call);
}

static void query_status(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_object(call, report_status(((Control *)data)->loop));
}

static void explain(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const Loop *loop = ((Control *)data)->loop;
    const char *name = command_string(arguments, "guest", "");
    gint place = loop_find(loop, name);
    if (place < 0)
        command_call_fail(call, "there is no guest \"%s\"", name);
    else
        command_call_return_object(call, report_explain(loop, (guint)place));
}

static void set_paused(CommandCall *call, JsonObject *arguments, Control *control, gboolean paused)
{
    const char *name = command_string(arguments, "guest", NULL);
    if (!loop_set_paused(control->loop, name, paused)) {
        command_call_fail(call, "there is no guest \"%s\"", name);
        return;
    }
    g_message("%s %s", name != NULL ? name : "All guests", paused ? "paused" : "resumed");
    command_call_return_empty(call);
}

static void pause_guests(CommandCall *call, JsonObject *arguments, gpointer data)
{
    set_paused(call, arguments, data, TRUE);
}

static void resume_guests(CommandCall *call, JsonObject *arguments, gpointer data)
{
    set_paused(call, arguments, data, FALSE);
}

static const CommandArg CAPABILITIES_ARGS[] = {{"enable", COMMAND_ARG_ANY, .optional = TRUE}, {NULL}};
static const CommandArg GUEST_ARGS[] = {{"guest", COMMAND_ARG_STRING}, {NULL}};
static const CommandArg MAYBE_GUEST_ARGS[] = {{"guest", COMMAND_ARG_STRING, .optional = TRUE}, {NULL}};

static const Command COMMANDS[] = {
    {"qmp_capabilities", CAPABILITIES_ARGS, capabilities, COMMAND_BEFORE_NEGOTIATION},
    {"query-status", NULL, query_status, COMMAND_FLAG_NONE},
    {"explain", GUEST_ARGS, explain, COMMAND_FLAG_NONE},
    {"pause", MAYBE_GUEST_ARGS, pause_guests, COMMAND_FLAG_NONE},
    {"resume", MAYBE_GUEST_ARGS, resume_guests, COMMAND_FLAG_NONE},
    {NULL, NULL, NULL, COMMAND_FLAG_NONE},
};

/* ---- a client ---- */

static void drop_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void client_free(gpointer data)
{
    Client *client = data;
    drop_source(&client->input);
    drop_source(&client->output);
    g_source_remove(client->idle);
    command_session_free(client->session);
    g_object_unref(client->socket);
    g_string_free(client->queue, TRUE);
    g_free(client);
}

static void drop(Client *client)
{
    g_ptr_array_remove_fast(client->control->clients, client);
}

static gboolean on_idle(gpointer user_data)
{
    Client *client = user_data;
    client->idle = g_timeout_add(IDLE_MS, on_idle, client); /* for client_free() to remove */
    drop(client);
    return G_SOURCE_REMOVE;
}

/* It has read or said something. */
static void note_life(Client *client)
{
    if (client->idle != 0)
        g_source_remove(client->idle);
    client->idle = g_timeout_add(IDLE_MS, on_idle, client);
    client->heard_at = g_get_monotonic_time();
}

static gsize waiting(const Client *client)
{
    return client->queue->len - client->sent;
}

/* FALSE: it has gone. */
static gboolean flush(Client *client)
{
    while (waiting(client) > 0) {
        g_autoptr(GError) error = NULL;
        gssize sent =
            g_socket_send(client->socket, client->queue->str + client->sent, waiting(client), NULL, &error);
        if (sent < 0)
            return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        client->sent += (gsize)sent;
        note_life(client);
    }
    if (client->sent > QUEUE_KEPT) { /* large ones are not kept */
        g_string_free(client->queue, TRUE);
        client->queue = g_string_new(NULL);
    }
    g_string_truncate(client->queue, 0);
    client->sent = 0;
    return TRUE;
}

static void listen_to(Client *client);

static gboolean on_output(GSocket *socket, GIOCondition condition, gpointer user_data)
{
    Client *client = user_data;
    if (!flush(client)) {
        drop(client);
        return G_SOURCE_REMOVE;
    }
    if (waiting(client) > 0)
        return G_SOURCE_CONTINUE;
    drop_source(&client->output);
    listen_to(client);
    return G_SOURCE_REMOVE;
}

static void on_reply(const char *data, gsize length, gpointer user_data)
{
    Client *client = user_data;
    client->too_much |= client->queue->len + length > QUEUE_MAX;
    if (!client->too_much)
        g_string_append_len(client->queue, data, (gssize)length);
}

static gboolean on_input(GSocket *socket, GIOCondition condition, gpointer user_data)
{
    Client *client = user_data;
    char buffer[READ_CHUNK];
    g_autoptr(GError) error = NULL;
    gssize got = g_socket_receive(socket, buffer, sizeof buffer, NULL, &error);
    if (got < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        return G_SOURCE_CONTINUE;
    if (got > 0)
        command_session_feed(client->session, buffer, (gsize)got);
    if (got <= 0 || client->too_much || !flush(client)) {
        drop(client);
        return G_SOURCE_REMOVE;
    }
    note_life(client);
    if (waiting(client) == 0)
        return G_SOURCE_CONTINUE;
    /* Who does not read what it has asked for is not asked what else it wants. */
    client->output = g_socket_create_source(socket, G_IO_OUT, NULL);
    g_source_set_callback(client->output, G_SOURCE_FUNC(on_output), client, NULL);
    g_source_attach(client->output, NULL);
    drop_source(&client->input);
    return G_SOURCE_REMOVE;
}

static void listen_to(Client *client)
{
    client->input = g_socket_create_source(client->socket, G_IO_IN, NULL);
    g_source_set_callback(client->input, G_SOURCE_FUNC(on_input), client, NULL);
    g_source_attach(client->input, NULL);
}

static JsonNode *greeting(void)
{
    JsonNode *node = json_node_init_object(json_node_alloc(), NULL);
    JsonObject *object = json_object_new(), *qmp = json_object_new();
    json_object_set_object_member(qmp, "version", json_object_new());
    json_object_set_array_member(qmp, "capabilities", json_array_new());
    json_object_set_object_member(object, "QMP", qmp);
    json_node_take_object(node, object);
    return node;
}

static gboolean may_enter(const Control *control, GSocket *socket)
{
    g_autoptr(GCredentials) peer = g_socket_get_credentials(socket, NULL);
    uid_t uid = peer != NULL ? g_credentials_get_unix_user(peer, NULL) : (uid_t)-1;
    if (uid == 0 || uid == geteuid())
        return TRUE;
    gint32 other = control->loop->settings->control_uid;
    return uid != (uid_t)-1 && other >= 0 && uid == (uid_t)other;
}

/* Those who keep their connections and say nothing do not shut others out. */
static void drop_longest_silent(Control *control)
{
    Client *longest = control->clients->pdata[0];
    for (guint i = 1; i < control->clients->len; i++) {
        Client *client = control->clients->pdata[i];
        if (client->heard_at < longest->heard_at)
            longest = client;
    }
    drop(longest);
}

static gboolean on_accept(GSocket *listener, GIOCondition condition, gpointer user_data)
{
    Control *control = user_data;
    g_autoptr(GSocket) socket = g_socket_accept(listener, NULL, NULL);
    if (socket == NULL)
        return G_SOURCE_CONTINUE;
    if (!may_enter(control, socket)) {
        g_info("A user that is not allowed to has tried to control the daemon");
        return G_SOURCE_CONTINUE;
    }
    if (control->clients->len >= CLIENTS_MAX)
        drop_longest_silent(control);
    g_socket_set_blocking(socket, FALSE);
    Client *client = g_new0(Client, 1);
    client->control = control;
    client->socket = g_steal_pointer(&socket);
    client->queue = g_string_new(NULL);
    note_life(client);
    client->session = command_session_new(control->commands, on_reply, client, greeting());
    listen_to(client);
    g_ptr_array_add(control->clients, client);
    if (!flush(client))
        drop(client);
    return G_SOURCE_CONTINUE;
}

/* ---- the socket ---- */

char *control_default_path(void)
{
    return geteuid() == 0 ? g_strdup("/run/balloond.sock")
                          : g_build_filename(g_get_user_runtime_dir(), "balloond.sock", NULL);
}

/* One that a daemon which was killed has left. FALSE: somebody listens. */
static gboolean clear_way(GSocketAddress *address, const char *path, GError **error)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return TRUE;
    g_autoptr(GSocket) probe = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, error);
    if (probe == NULL)
        return FALSE;
    g_socket_set_blocking(probe, FALSE);
    g_autoptr(GError) reason = NULL;
    if (!S_ISSOCK(info.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s is no socket", path);
        return FALSE;
    }
    if (!g_socket_connect(probe, address, NULL, &reason) &&
        g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)) {
        g_unlink(path);
        return TRUE;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s: another daemon listens there", path);
    return FALSE;
}

Control *control_new(const char *path, Loop *loop, GError **error)
{
    static const Command *const tables[] = {COMMANDS, NULL};
    static const JsonStreamLimits limits = {64 << 10, 1024, 16};
    g_autoptr(GSocketAddress) address = NULL;
    if (strlen(path) > 107) { /* unix(7) */
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME, "%s: too long for a socket", path);
        return NULL;
    }
    address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) listener = clear_way(address, path, error)
                                      ? g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, error)
                                      : NULL;
    if (listener == NULL)
        return NULL;
    /* Who may is found out by the peer's uid. */
    if (!g_socket_bind(listener, address, FALSE, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    g_socket_set_listen_backlog(listener, BACKLOG);
    g_chmod(path, loop->settings->control_uid >= 0 ? 0666 : 0600);
    if (!g_socket_listen(listener, error)) {
        g_unlink(path);
        return NULL;
    }
    g_socket_set_blocking(listener, FALSE);
    Control *control = g_new0(Control, 1);
    control->loop = loop;
    control->path = g_strdup(path);
    control->listener = g_steal_pointer(&listener);
    control->clients = g_ptr_array_new_with_free_func(client_free);
    control->commands = command_server_new(COMMAND_DIALECT_QMP, tables, control);
    command_server_set_limits(control->commands, &limits);
    control->accepting = g_socket_create_source(control->listener, G_IO_IN, NULL);
    g_source_set_callback(control->accepting, G_SOURCE_FUNC(on_accept), control, NULL);
    g_source_attach(control->accepting, NULL);
    return control;
}

void control_free(Control *control)
{
    if (control == NULL)
        return;
    drop_source(&control->accepting);
    g_ptr_array_unref(control->clients);
    command_server_free(control->commands);
    g_object_unref(control->listener);
    g_unlink(control->path);
    g_free(control->path);
    g_free(control);
}
