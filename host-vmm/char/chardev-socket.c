// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unix sockets: one that listens lets in one peer at a time (the others wait in the kernel's queue), unless
 * its front end serves many; one that connects may come back by itself.
 */
#include "host-vmm/char/chardev-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-vmm/char/unix-listen.h"

#define ACCEPT_RETRY_MS 1000 /* when there are no descriptors left */

typedef struct SocketChardev {
    Chardev parent;
    char *path; /* for people: as given, or as the inherited socket is bound; may be "" */
    gboolean is_server;
    UnixListen listener; /* a server's; path NULL if inherited */
    GSource *listen_source;
    int peer; /* -1: none */
    guint reconnect_s;
    GSource *timer; /* next try to connect or accept */

    ChardevAcceptFunc accept_func; /* every connection goes there */
    gpointer accept_data;
    GPtrArray *connections; /* those that are alive, by weak reference */
} SocketChardev;

static void let_in(SocketChardev *self);

static void clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static void start_timer(SocketChardev *self, guint milliseconds, GSourceFunc func)
{
    self->timer = g_timeout_source_new(milliseconds);
    g_source_set_callback(self->timer, func, self, NULL);
    g_source_attach(self->timer, NULL);
}

/* ---- listening ---- */

static void connection_finalized(gpointer user_data, GObject *where)
{
    SocketChardev *self = user_data;

    g_ptr_array_remove_fast(self->connections, where);
}

static void hand_over(SocketChardev *self, int fd)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, &error);
    GSocketConnection *connection;

    if (socket == NULL) {
        g_warning("chardev '%s': %s", self->parent.id, error->message);
        close(fd);
        return;
    }
    connection = g_socket_connection_factory_create_connection(socket);
    g_ptr_array_add(self->connections, connection);
    g_object_weak_ref(G_OBJECT(connection), connection_finalized, self);
    self->accept_func(connection, self->accept_data);
}

static void take_peer(SocketChardev *self, int fd)
{
    if (self->accept_func != NULL) {
        hand_over(self, fd);
    } else {
        self->peer = fd;
        chardev_connected(&self->parent, fd, fd);
    }
}

static gboolean let_in_again(gpointer user_data)
{
    SocketChardev *self = user_data;

    g_clear_pointer(&self->timer, g_source_unref);
    let_in(self);
    return G_SOURCE_REMOVE;
}

static gboolean listener_ready(int fd, GIOCondition condition, gpointer user_data)
{
    SocketChardev *self = user_data;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (peer < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
            return G_SOURCE_CONTINUE;
        }
        g_warning("chardev '%s': cannot accept a connection: %s", self->parent.id, g_strerror(errno));
        g_clear_pointer(&self->listen_source, g_source_unref);
        start_timer(self, ACCEPT_RETRY_MS, let_in_again);
        return G_SOURCE_REMOVE;
    }
    if (self->accept_func != NULL) {
        take_peer(self, peer);
        return G_SOURCE_CONTINUE;
    }
    g_clear_pointer(&self->listen_source, g_source_unref);
    take_peer(self, peer);
    return G_SOURCE_REMOVE;
}

/* Waits for the next connection. */
static void let_in(SocketChardev *self)
{
    if (self->listener.fd < 0 || self->peer >= 0 || self->listen_source != NULL || self->timer != NULL) {
        return;
    }
    self->listen_source = g_unix_fd_source_new(self->listener.fd, G_IO_IN);
    g_source_set_callback(self->listen_source, G_SOURCE_FUNC(listener_ready), self, NULL);
    g_source_attach(self->listen_source, NULL);
}

static char *describe_socket(Chardev *chardev)
{
    SocketChardev *self = (SocketChardev *)chardev;
    gboolean alone = !chardev_is_open(chardev) && self->connections->len == 0;

    return g_strdup_printf("%sunix:%s%s", alone ? "disconnected:" : "", self->path,
                           self->is_server ? ",server=on" : "");
}

static gboolean wait_for_peer(SocketChardev *self, const char *what, GError **error)
{
    g_message("chardev '%s': waiting for a connection to unix:%s", self->parent.id, self->path);
    let_in(self);
    while (self->peer < 0) {
        if (chardev_set_is_cancelled(self->parent.set)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                        "%s: stopped while waiting for a connection to '%s'", what, self->path);
            return FALSE;
        }
        g_main_context_iteration(NULL, TRUE);
    }
    return TRUE;
}

/* ---- connecting ---- */

static gboolean try_again(gpointer user_data)
{
    SocketChardev *self = user_data;

    int fd = unix_connect(self->path, NULL);

    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    g_clear_pointer(&self->timer, g_source_unref);
    take_peer(self, fd);
    return G_SOURCE_REMOVE;
}

/* ---- options ---- */

static char *socket_path(int fd, gboolean of_peer)
{
    struct sockaddr_un address = {0};
    socklen_t length = sizeof(address) - 1;
    int result = of_peer ? getpeername(fd, (struct sockaddr *)&address, &length)
                         : getsockname(fd, (struct sockaddr *)&address, &length);

    return g_strdup(result == 0 && address.sun_family == AF_UNIX ? address.sun_path : "");
}

static int get_option(int fd, int option)
{
    int value = 0;
    socklen_t length = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

static gboolean inherit(SocketChardev *self, int fd, const char *what, GError **error)
{
    int flags;

    if (chardev_set_has_fd(self->parent.set, fd)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s: fd=%d is used by another chardev", what, fd);
        return FALSE;
    }
    if (get_option(fd, SO_TYPE) != SOCK_STREAM) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: fd=%d is not an open stream socket",
                    what, fd);
        return FALSE;
    }
    if ((get_option(fd, SO_ACCEPTCONN) == 1) != self->is_server) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    self->is_server ? "%s: fd=%d is not a listening socket, but server=on was given"
                                    : "%s: fd=%d is a listening socket: server=on is needed",
                    what, fd);
        return FALSE;
    }
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: fd=%d: %s", what, fd,
                    g_strerror(errno));
        return FALSE;
    }
    self->path = socket_path(fd, !self->is_server);
    if (self->is_server) {
        self->listener.fd = fd;
    } else {
        take_peer(self, fd);
    }
    return TRUE;
}

static gboolean open_path(SocketChardev *self, const char *what, GError **error)
{
    g_autoptr(GError) problem = NULL;
    int fd;

    if (self->is_server) {
        if (!unix_listen_open(&self->listener, self->path, error)) {
            g_prefix_error(error, "%s: ", what);
            return FALSE;
        }
        return TRUE;
    }
    fd = unix_connect(self->path, &problem);
    if (fd >= 0) {
        take_peer(self, fd);
    } else if (self->reconnect_s > 0) {
        g_message("%s: %s; trying again every %u s", what, problem->message, self->reconnect_s);
        start_timer(self, self->reconnect_s * 1000, try_again);
    } else {
        g_propagate_prefixed_error(error, g_steal_pointer(&problem), "%s: ", what);
        return FALSE;
    }
    return TRUE;
}

static gboolean open_socket(Chardev *chardev, OptSet *options, GError **error)
{
    SocketChardev *self = (SocketChardev *)chardev;
    const char *what = optset_what(options);
    const char *path = optset_string(options, "path");
    gboolean wait = TRUE, has_wait = optset_has(options, "wait");
    guint64 fd = 0, reconnect_s = 0;

    self->listener.fd = -1;
    self->peer = -1;
    self->connections = g_ptr_array_new();
    if (optset_has(options, "host") || optset_has(options, "port")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "%s: network sockets (host, port) are not supported, only unix ones (path, fd)", what);
        return FALSE;
    }
    if (!optset_bool(options, "server", &self->is_server, error) ||
        !optset_bool(options, "wait", &wait, error) || !optset_uint(options, "fd", 0, G_MAXINT, &fd, error) ||
        !optset_uint(options, "reconnect", 0, G_MAXINT / 1000, &reconnect_s, error) ||
        !optset_finish(options, error)) {
        return FALSE;
    }
    if ((path != NULL) == optset_has(options, "fd")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: needs either 'path' or 'fd'", what);
        return FALSE;
    }
    if (has_wait && !self->is_server) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: 'wait' needs server=on", what);
        return FALSE;
    }
    if (reconnect_s > 0 && (self->is_server || path == NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: 'reconnect' needs a path to connect to", what);
        return FALSE;
    }
    self->reconnect_s = (guint)reconnect_s;
    if (path == NULL) {
        if (!inherit(self, (int)fd, what, error)) {
            return FALSE;
        }
    } else {
        /* A client that comes back may do so after the working directory has changed. */
        self->path = reconnect_s > 0 ? g_canonicalize_filename(path, NULL) : g_strdup(path);
        if (!open_path(self, what, error)) {
            return FALSE;
        }
    }
    return !self->is_server || !wait || wait_for_peer(self, what, error);
}

/* ---- life ---- */

static void socket_attached(Chardev *chardev)
{
    let_in((SocketChardev *)chardev);
}

static void socket_peer_gone(Chardev *chardev)
{
    SocketChardev *self = (SocketChardev *)chardev;

    close(self->peer);
    self->peer = -1;
    let_in(self);
    if (self->reconnect_s > 0 && self->timer == NULL) {
        start_timer(self, self->reconnect_s * 1000, try_again);
    }
}

static void close_socket(Chardev *chardev)
{
    SocketChardev *self = (SocketChardev *)chardev;

    clear_source(&self->listen_source);
    clear_source(&self->timer);
    for (guint i = 0; i < self->connections->len; i++) {
        g_object_weak_unref(self->connections->pdata[i], connection_finalized, self);
    }
    g_ptr_array_unref(self->connections);
    if (self->peer >= 0) {
        close(self->peer);
    }
    unix_listen_close(&self->listener);
    g_free(self->path);
}

int chardev_socket_listener(const Chardev *chardev)
{
    return chardev->kind == &CHARDEV_SOCKET ? ((const SocketChardev *)chardev)->listener.fd : -1;
}

void chardev_socket_accept_many(Chardev *chardev, ChardevAcceptFunc func, gpointer user_data)
{
    SocketChardev *self = (SocketChardev *)chardev;

    self->accept_func = func;
    self->accept_data = user_data;
    if (self->peer >= 0) {
        /* It was let in by wait=on, as an ordinary peer. */
        int peer = fcntl(self->peer, F_DUPFD_CLOEXEC, 0);

        chardev_disconnected(chardev);
        if (peer >= 0) {
            take_peer(self, peer);
        }
    }
    let_in(self);
}

const ChardevKind CHARDEV_SOCKET = {
    .name = "socket",
    .size = sizeof(SocketChardev),
    .open = open_socket,
    .close = close_socket,
    .describe = describe_socket,
    .attached = socket_attached,
    .peer_gone = socket_peer_gone,
};
