// SPDX-License-Identifier: GPL-2.0-or-later
/* Methods unix-listen and vsock-listen, and a socket that systemd listens on for us. One client at a time; a
 * second waits in the backlog. */
#include "guest-agent/transport.h"
#include "guest-agent/peer.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/vm_sockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG       64   /* clients that wait for the one before them to go */
#define SHORT_WAIT_MS 1000 /* when descriptors or memory are short */

typedef struct Listener {
    TransportHost host;
    char *path;
    struct stat made; /* our socket file, to remove no other one at the end */
    int fd;
    guint watch; /* for clients, or the timer until we look for them again; 0 while one is served */
    Peer *peer;
} Listener;

static void listener_wait(Listener *listener);

static void on_closed(Peer *peer, int errnum, gpointer user_data)
{
    Listener *listener = user_data;
    if (errnum)
        g_info("client lost: %s", g_strerror(errnum));
    else
        g_debug("client has closed");
    peer_free(peer);
    listener->peer = NULL;
    listener_wait(listener);
}

static gboolean wait_again(gpointer user_data)
{
    listener_wait(user_data);
    return G_SOURCE_REMOVE;
}

static gboolean on_client(int fd, GIOCondition condition, gpointer user_data)
{
    Listener *listener = user_data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return G_SOURCE_CONTINUE;
        g_warning("cannot accept a client on %s: %s; trying again", listener->path, g_strerror(errno));
        listener->watch = g_timeout_add(SHORT_WAIT_MS, wait_again, listener);
        return G_SOURCE_REMOVE;
    }
    listener->peer = peer_new(listener->host.server, client, CHANNEL_STREAM, on_closed, listener);
    if (!listener->peer) {
        g_warning("cannot serve a client: %s", g_strerror(errno));
        return G_SOURCE_CONTINUE;
    }
    g_debug("client connected");
    listener->watch = 0;
    return G_SOURCE_REMOVE;
}

static void listener_wait(Listener *listener)
{
    listener->watch = g_unix_fd_add(listener->fd, G_IO_IN, on_client, listener);
}

static void listener_stop(gpointer transport)
{
    Listener *listener = transport;
    if (listener->watch)
        g_source_remove(listener->watch);
    peer_free(listener->peer);
    if (listener->fd >= 0)
        close(listener->fd);
    struct stat now;
    if (listener->made.st_ino && lstat(listener->path, &now) == 0 && now.st_ino == listener->made.st_ino &&
        now.st_dev == listener->made.st_dev)
        unlink(listener->path);
    g_free(listener->path);
    g_free(listener);
}

static gboolean fail(GError **error, const char *what, const char *path)
{
    int errnum = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errnum), "cannot %s %s: %s", what, path,
                g_strerror(errnum));
    return FALSE;
}

/* Removes a socket that nobody listens on any more (its owner was killed); leaves everything else alone. */
static gboolean clear_way(const char *path, const struct sockaddr_un *address, GError **error)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? TRUE : fail(error, "look at", path);
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return fail(error, "make the socket", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(error, "make a socket for", path);
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int errnum = errno;
    close(fd);
    if (result == 0 || errnum != ECONNREFUSED) {
        errno = result == 0 || errnum == EAGAIN ? EADDRINUSE : errnum;
        return fail(error, "listen on", path);
    }
    return unlink(path) == 0 || errno == ENOENT ? TRUE : fail(error, "remove the stale socket", path);
}

static gboolean open_unix(Listener *listener, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(listener->path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return fail(error, "listen on", listener->path);
    }
    strcpy(address.sun_path, listener->path);
    if (!clear_way(listener->path, &address, error))
        return FALSE;
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return fail(error, "make a socket for", listener->path);
    /* who may connect may run anything as the agent's user */
    mode_t mask = umask(0177);
    int result = bind(listener->fd, (const struct sockaddr *)&address, sizeof address);
    int errnum = errno;
    umask(mask);
    errno = errnum;
    if (result < 0)
        return fail(error, "listen on", listener->path);
    if (lstat(listener->path, &listener->made) < 0 || listen(listener->fd, BACKLOG) < 0)
        return fail(error, "listen on", listener->path);
    return TRUE;
}

/* CID:PORT; the CID may be "any" or -1. */
static gboolean parse_vsock(const char *path, struct sockaddr_vm *address)
{
    g_auto(GStrv) parts = g_strsplit(path, ":", -1);
    guint64 cid = VMADDR_CID_ANY, port;
    if (g_strv_length(parts) != 2 || !g_ascii_string_to_unsigned(parts[1], 10, 0, G_MAXUINT32, &port, NULL))
        return FALSE;
    if (!g_str_equal(parts[0], "any") && !g_str_equal(parts[0], "-1") &&
        !g_ascii_string_to_unsigned(parts[0], 10, 0, G_MAXUINT32, &cid, NULL))
        return FALSE;
    *address = (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = (guint)cid, .svm_port = (guint)port};
    return TRUE;
}

static gboolean open_vsock(Listener *listener, GError **error)
{
    struct sockaddr_vm address;
    if (!parse_vsock(listener->path, &address)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' is not CID:PORT", listener->path);
        return FALSE;
    }
    listener->fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return fail(error, "make a vsock socket for", listener->path);
    if (bind(listener->fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener->fd, BACKLOG) < 0)
        return fail(error, "listen on vsock", listener->path);
    return TRUE;
}

/* The path is the descriptor's number. */
static gboolean open_inherited(Listener *listener, GError **error)
{
    int fd = atoi(listener->path), listens = 0, domain = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
        return fail(error, "use socket", listener->path);
    size = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
        return fail(error, "use socket", listener->path);
    if (!listens || (domain != AF_UNIX && domain != AF_VSOCK)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "socket %d that we were started with is no listening unix or vsock socket", fd);
        return FALSE;
    }
    listener->fd = fd;
    return g_unix_set_fd_nonblocking(fd, TRUE, error);
}

static gpointer start(const char *path, const TransportHost *host,
                      gboolean (*open_listener)(Listener *, GError **), GError **error)
{
    Listener *listener = g_new0(Listener, 1);
    listener->host = *host;
    listener->path = g_strdup(path);
    listener->fd = -1;
    if (!open_listener(listener, error)) {
        listener_stop(listener);
        return NULL;
    }
    listener_wait(listener);
    return listener;
}

static gpointer start_unix(const char *path, const TransportHost *host, GError **error)
{
    return start(path, host, open_unix, error);
}

static gpointer start_vsock(const char *path, const TransportHost *host, GError **error)
{
    return start(path, host, open_vsock, error);
}

static gpointer start_inherited(const char *path, const TransportHost *host, GError **error)
{
    return start(path, host, open_inherited, error);
}

const TransportOps TRANSPORT_UNIX_LISTEN = {"unix-listen", NULL, start_unix, listener_stop};
const TransportOps TRANSPORT_VSOCK_LISTEN = {"vsock-listen", NULL, start_vsock, listener_stop};
const TransportOps TRANSPORT_INHERITED = {"inherited socket", NULL, start_inherited, listener_stop};
