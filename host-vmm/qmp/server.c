// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/qmp/server.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/qmp/commands.h"

#define READ_CHUNK     4096
#define MOST_FDS       4           /* that are looked at in one message; the kernel closes further ones */
#define QUEUE_COMFORT  (1u << 20)  /* above this a client is not read from */
#define QUEUE_LIMIT    (16u << 20) /* above this it is dropped */
#define FLUSH_SLICE_US 2000

/* Whoever is at the other end of one stream: a connection of its own, or a character device's peer. */
typedef struct Client {
    QmpServer *server;
    GSocketConnection *connection; /* or NULL */
    Chardev *chardev;              /* or NULL */
    CommandSession *session;       /* NULL: nobody is there */
    GByteArray *queue;             /* not yet taken by the stream */
    GSource *input, *output;       /* of the connection */
    GSource *burial;               /* to be dropped from the main loop: it may be in use right now */
    int fd;                        /* that came with the bytes that are being read; -1: none */
} Client;

struct QmpServer {
    QmpContext context;
    CommandServer *commands;
    GPtrArray *clients; /* owned */
};

static void clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void close_fd(Client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
}

static void client_free(gpointer data)
{
    Client *client = data;

    close_fd(client);
    clear_source(&client->input);
    clear_source(&client->output);
    clear_source(&client->burial);
    g_clear_pointer(&client->session, command_session_free);
    if (client->chardev != NULL) {
        chardev_detach(client->chardev);
    }
    if (client->connection != NULL) {
        g_io_stream_close(G_IO_STREAM(client->connection), NULL, NULL);
        g_object_unref(client->connection);
    }
    g_byte_array_unref(client->queue);
    g_free(client);
}

static Client *client_new(QmpServer *server)
{
    Client *client = g_new0(Client, 1);

    client->server = server;
    client->queue = g_byte_array_new();
    client->fd = -1;
    g_ptr_array_add(server->clients, client);
    return client;
}

static int client_fd(const Client *client)
{
    return g_socket_get_fd(g_socket_connection_get_socket(client->connection));
}

/* ---- dropping ---- */

static gboolean bury(gpointer user_data)
{
    Client *client = user_data;

    g_ptr_array_remove(client->server->clients, client);
    return G_SOURCE_REMOVE;
}

static gboolean is_anybody_there(const QmpServer *server)
{
    for (guint i = 0; i < server->clients->len; i++) {
        if (((Client *)server->clients->pdata[i])->session != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Nothing is sent or read any more. A connection is closed soon; a character device's peer just goes unheard
 * until it leaves. */
static void drop(Client *client)
{
    gboolean was_there = client->session != NULL;

    g_clear_pointer(&client->session, command_session_free);
    if (was_there && !is_anybody_there(client->server)) {
        fd_store_clients_gone(machine_device_env(client->server->context.machine)->fds);
    }
    clear_source(&client->input);
    clear_source(&client->output);
    g_byte_array_set_size(client->queue, 0);
    if (client->connection != NULL && client->burial == NULL) {
        client->burial = g_idle_source_new();
        g_source_set_callback(client->burial, bury, client, NULL);
        g_source_attach(client->burial, NULL);
    }
}

/* ---- output ---- */

/* How much the stream takes now; -1: it is broken. */
static gssize put(Client *client, const guint8 *data, gsize length)
{
    gssize sent;

    if (client->connection == NULL) {
        return (gssize)chardev_write(client->chardev, data, length);
    }
    do {
        sent = send(client_fd(client), data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static gboolean output_ready(int fd, GIOCondition condition, gpointer user_data);
static void watch_input(Client *client);

/* Sends what is queued, as far as it goes. */
static void send_queue(Client *client)
{
    gboolean was_full = client->queue->len > QUEUE_COMFORT;

    while (client->queue->len > 0) {
        gssize sent = put(client, client->queue->data, client->queue->len);

        if (sent < 0) {
            drop(client);
            return;
        }
        if (sent == 0) {
            break;
        }
        g_byte_array_remove_range(client->queue, 0, (guint)sent);
    }
    if (client->connection != NULL && client->queue->len > 0 && client->output == NULL) {
        client->output = g_unix_fd_source_new(client_fd(client), G_IO_OUT);
        g_source_set_callback(client->output, G_SOURCE_FUNC(output_ready), client, NULL);
        g_source_attach(client->output, NULL);
    }
    if (was_full && client->queue->len <= QUEUE_COMFORT) {
        if (client->chardev != NULL) {
            chardev_accept_input(client->chardev);
        } else {
            watch_input(client);
        }
    }
}

static gboolean output_ready(int fd, GIOCondition condition, gpointer user_data)
{
    Client *client = user_data;

    send_queue(client);
    if (client->output != NULL && client->queue->len == 0) {
        g_clear_pointer(&client->output, g_source_unref);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void session_write(const char *data, gsize length, gpointer user_data)
{
    Client *client = user_data;

    if (length > QUEUE_LIMIT - MIN(client->queue->len, QUEUE_LIMIT)) {
        g_warning("a QMP client does not read: dropped with %u bytes unread", client->queue->len);
        drop(client);
        return;
    }
    g_byte_array_append(client->queue, (const guint8 *)data, (guint)length);
    if (client->queue->len == length) {
        send_queue(client);
    }
}

/* ---- input ---- */

static void begin_session(Client *client)
{
    JsonNode *greeting = json_node_init_object(json_node_alloc(), NULL);
    JsonObject *object = json_object_new(), *qmp = json_object_new();

    json_object_set_object_member(qmp, "version", qmp_version());
    json_object_set_array_member(qmp, "capabilities", json_array_new());
    json_object_set_object_member(object, "QMP", qmp);
    json_node_take_object(greeting, object);
    client->session = command_session_new(client->server->commands, session_write, client, greeting);
}

/* Keeps the first descriptor of a message; all others are closed. */
static void keep_first_fd(Client *client, struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (gsize i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
            if (client->fd < 0) {
                client->fd = fd;
            } else {
                close(fd);
            }
        }
    }
}

/* As recv(). One that nobody asked for is closed when the next one comes: the kernel ends a read behind the
 * bytes that a descriptor came with, which are run before the next read. */
static gssize receive(Client *client, int fd, guint8 *buffer, gsize size)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MOST_FDS * sizeof(int))];
    } control;
    struct iovec segment = {buffer, size};
    struct msghdr message = {.msg_iov = &segment,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    gssize got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got >= 0 && message.msg_controllen > 0) {
        close_fd(client);
        keep_first_fd(client, &message);
    }
    return got;
}

static gboolean input_ready(int fd, GIOCondition condition, gpointer user_data)
{
    Client *client = user_data;
    guint8 buffer[READ_CHUNK];
    gssize got;

    if (client->queue->len > QUEUE_COMFORT && (condition & (G_IO_HUP | G_IO_ERR)) == 0) {
        g_clear_pointer(&client->input, g_source_unref);
        return G_SOURCE_REMOVE;
    }
    got = receive(client, fd, buffer, sizeof(buffer));
    if (got > 0) {
        command_session_feed(client->session, buffer, (gsize)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(client);
    }
    return client->input != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void watch_input(Client *client)
{
    if (client->input == NULL && client->session != NULL) {
        client->input = g_unix_fd_source_new(client_fd(client), G_IO_IN);
        g_source_set_callback(client->input, G_SOURCE_FUNC(input_ready), client, NULL);
        g_source_attach(client->input, NULL);
    }
}

static void on_connection(GSocketConnection *connection, gpointer user_data)
{
    Client *client = client_new(user_data);

    client->connection = connection;
    begin_session(client);
    watch_input(client);
}

/* ---- on a character device with one peer ---- */

static gsize front_can_receive(gpointer user_data)
{
    Client *client = user_data;

    return client->queue->len > QUEUE_COMFORT ? 0 : READ_CHUNK;
}

static void front_receive(gpointer user_data, const guint8 *data, gsize length)
{
    Client *client = user_data;

    if (client->session != NULL) {
        command_session_feed(client->session, data, length);
    }
}

static void front_open_changed(gpointer user_data, gboolean open)
{
    Client *client = user_data;

    drop(client);
    if (open) {
        begin_session(client);
    }
}

static void front_can_write(gpointer user_data)
{
    send_queue(user_data);
}

static const ChardevFront front = {front_can_receive, front_receive, front_open_changed, front_can_write};

/* ---- the server ---- */

static void on_event(const char *name, JsonObject *data, gpointer user_data)
{
    QmpServer *server = user_data;

    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];

        if (client->session != NULL) {
            command_session_send_event(client->session, name, data);
        }
    }
}

static int take_fd(const CommandSession *session, gpointer user_data)
{
    QmpServer *server = user_data;

    for (guint i = 0; session != NULL && i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];

        if (client->session == session) {
            int fd = client->fd;

            client->fd = -1;
            return fd;
        }
    }
    return -1;
}

QmpServer *qmp_server_new(Machine *machine, ChardevSet *chardevs)
{
    static const Command *const tables[] = {QMP_COMMANDS_MONITOR, QMP_COMMANDS_MACHINE,
                                            QMP_COMMANDS_ACTIONS, QMP_COMMANDS_INPUT,
                                            QMP_COMMANDS_CPU,     QMP_COMMANDS_DEVICE,
                                            QMP_COMMANDS_BALLOON, QMP_COMMANDS_QOM,
                                            QMP_COMMANDS_STATS,   QMP_COMMANDS_CHAR,
                                            QMP_COMMANDS_BLOCK,   QMP_COMMANDS_NET,
                                            QMP_COMMANDS_FD,      NULL};
    QmpServer *server = g_new0(QmpServer, 1);

    server->context.machine = machine;
    server->context.chardevs = chardevs;
    server->context.take_fd = take_fd;
    server->context.take_fd_data = server;
    server->commands = command_server_new(COMMAND_DIALECT_QMP, tables, &server->context);
    server->clients = g_ptr_array_new_with_free_func(client_free);
    machine_set_event_func(machine, on_event, server);
    return server;
}

void qmp_server_free(QmpServer *server)
{
    if (server == NULL) {
        return;
    }
    machine_set_event_func(server->context.machine, NULL, NULL);
    g_ptr_array_unref(server->clients);
    command_server_free(server->commands);
    g_free(server);
}

/* There is no monitor for people: vmctl is that. */
static gboolean check_mode(OptSet *options, GError **error)
{
    const char *mode = optset_string(options, "mode");
    gboolean pretty = FALSE;

    if (g_strcmp0(mode, "control") != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "%s: only mode=control (QMP) is supported",
                    optset_what(options));
        return FALSE;
    }
    if (!optset_bool(options, "pretty", &pretty, error)) {
        return FALSE;
    }
    if (pretty) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "%s: pretty=on is not supported",
                    optset_what(options));
    }
    return !pretty;
}

gboolean qmp_server_add_monitor(QmpServer *server, OptSet *options, GError **error)
{
    const char *id = optset_need_string(options, "chardev", error);
    Chardev *chardev;
    Client *client;

    if (id == NULL || !check_mode(options, error)) {
        return FALSE;
    }
    optset_ignore(options, "id");
    if (!optset_finish(options, error)) {
        return FALSE;
    }
    chardev = chardev_set_find(server->context.chardevs, id);
    if (chardev == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: there is no chardev '%s'",
                    optset_what(options), id);
        return FALSE;
    }
    if (chardev_is_listening(chardev)) {
        return chardev_accept_many(chardev, "a monitor", on_connection, server, error);
    }
    client = client_new(server);
    if (!chardev_attach(chardev, "a monitor", &front, client, error)) {
        g_ptr_array_remove(server->clients, client);
        return FALSE;
    }
    client->chardev = chardev;
    return TRUE;
}

static gboolean is_flushed(const QmpServer *server)
{
    for (guint i = 0; i < server->clients->len; i++) {
        if (((Client *)server->clients->pdata[i])->queue->len > 0) {
            return FALSE;
        }
    }
    return TRUE;
}

void qmp_server_flush(QmpServer *server, guint timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;

    while (!is_flushed(server) && g_get_monotonic_time() < deadline) {
        if (!g_main_context_iteration(NULL, FALSE)) {
            g_usleep(FLUSH_SLICE_US);
        }
    }
}
