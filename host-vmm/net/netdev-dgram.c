// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dgram: unix datagram sockets, a frame each. The peer need not be there, nor stay: what is sent to nobody is
 * dropped.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/char/unix-listen.h"
#include "host-vmm/net/netdev-private.h"
#include "host-vmm/net/socket-address.h"

#define CONNECT_INTERVAL_US (G_USEC_PER_SEC / 2)
/* Datagrams that are no frames, thrown away before others get their turn. */
#define MAX_JUNK 64

typedef struct Dgram {
    NetDev parent;
    SocketAddress local, remote;
    UnixListen listener; /* our path; its fd is where we receive */
    int fd;              /* to receive from */
    int peer; /* connected to the remote, to send to: only then can be waited for room. -1: not there */
    gint64 next_connect;         /* monotonic, µs */
    NetPoll *in_poll, *out_poll; /* the same if there is but one descriptor */
    gboolean input, blocked;
} Dgram;

static void on_event(GIOCondition condition, guint index, gpointer user_data);

static gboolean is_one(const Dgram *self)
{
    return self->remote.path == NULL;
}

static void set_events(Dgram *self)
{
    if (self->in_poll != NULL)
        net_poll_switch(self->in_poll, G_IO_IN, self->input);
    if (self->out_poll != NULL)
        net_poll_switch(self->out_poll, G_IO_OUT, self->blocked);
}

static void watch_peer(Dgram *self)
{
    if (self->parent.front == NULL || self->peer < 0)
        return;
    self->out_poll =
        is_one(self) ? self->in_poll : net_poll_new(self->peer, on_event, 1, self, self->parent.context);
    set_events(self);
}

static void unwatch_peer(Dgram *self)
{
    if (!is_one(self))
        net_poll_free(self->out_poll);
    self->out_poll = NULL;
}

static void lose_peer(Dgram *self)
{
    if (is_one(self))
        return;
    unwatch_peer(self);
    close(self->peer);
    self->peer = -1;
    self->blocked = FALSE;
}

/* The peer may come at any time; a guest that sends much must not make us look for it all the time. */
static gboolean find_peer(Dgram *self)
{
    if (self->peer >= 0)
        return TRUE;
    gint64 now = g_get_monotonic_time();
    if (now < self->next_connect)
        return FALSE;
    self->next_connect = now + CONNECT_INTERVAL_US;
    self->peer = unix_connect_datagram(self->remote.path, NULL);
    watch_peer(self);
    return self->peer >= 0;
}

static NetDevSend send_frame(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length)
{
    Dgram *self = (Dgram *)netdev;
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    for (guint attempt = 0; attempt < 2 && find_peer(self); attempt++) {
        gssize sent;
        do
            sent = sendmsg(self->peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (sent < 0 && errno == EINTR);
        if (sent >= 0)
            return NETDEV_SENT;
        if (errno == EAGAIN) {
            self->blocked = TRUE;
            set_events(self);
            return NETDEV_FULL;
        }
        if (errno == EMSGSIZE || errno == ENOBUFS)
            break;
        /* It went away, and may be back under the same path. */
        lose_peer(self);
    }
    return NETDEV_DROPPED;
}

static gssize receive(NetDev *netdev, guint queue, struct iovec *iov, guint count)
{
    Dgram *self = (Dgram *)netdev;
    for (guint i = 0; i < MAX_JUNK; i++) {
        struct msghdr message = {.msg_iov = iov + 1, .msg_iovlen = count - 1};
        gssize got = recvmsg(self->fd, &message, MSG_DONTWAIT);
        if (got > 0 && (message.msg_flags & MSG_TRUNC) == 0)
            return got;
        if (got < 0 && errno != EINTR && errno != ECONNRESET && errno != ECONNREFUSED)
            break;
    }
    return 0;
}

static void on_event(GIOCondition condition, guint index, gpointer user_data)
{
    Dgram *self = user_data;
    if ((condition & G_IO_ERR) != 0) {
        /* Only this makes it pass; what it was does not matter. */
        int number;
        socklen_t length = sizeof number;
        getsockopt(index == 0 ? self->fd : self->peer, SOL_SOCKET, SO_ERROR, &number, &length);
    }
    if ((condition & (G_IO_HUP | G_IO_NVAL)) != 0 && (condition & G_IO_IN) == 0) {
        /* A socket pair's other end is closed, or the connected path is. */
        if (index == 0) {
            g_message("netdev '%s': the peer has gone", self->parent.id);
            unwatch_peer(self);
            g_clear_pointer(&self->in_poll, net_poll_free);
            netdev_set_carrier(&self->parent, FALSE);
            return;
        }
        lose_peer(self);
        netdev_writable(&self->parent, 0);
        return;
    }
    if (self->blocked && (condition & (G_IO_OUT | G_IO_ERR)) != 0) {
        self->blocked = FALSE;
        set_events(self);
        netdev_writable(&self->parent, 0);
    }
    if (index == 0 && (condition & G_IO_IN) != 0)
        netdev_readable(&self->parent, 0);
}

static void attached(NetDev *netdev)
{
    Dgram *self = (Dgram *)netdev;
    self->input = self->blocked = FALSE;
    self->in_poll = net_poll_new(self->fd, on_event, 0, self, netdev->context);
    watch_peer(self);
}

static void detached(NetDev *netdev)
{
    Dgram *self = (Dgram *)netdev;
    unwatch_peer(self);
    g_clear_pointer(&self->in_poll, net_poll_free);
}

static void want_input(NetDev *netdev, guint queue, gboolean wanted)
{
    Dgram *self = (Dgram *)netdev;
    self->input = wanted;
    set_events(self);
}

static gboolean open_sockets(Dgram *self, const char *what, GError **error)
{
    if (self->local.path == NULL) {
        if (!socket_address_inherit(&self->local, SOCK_DGRAM, FALSE, what, error))
            return FALSE;
        self->fd = self->peer = self->local.fd;
        return TRUE;
    }
    if (!unix_bind_datagram(&self->listener, self->local.path, error))
        return FALSE;
    self->fd = self->listener.fd;
    return TRUE;
}

static gboolean open_dgram(NetDev *netdev, OptSet *options, GError **error)
{
    Dgram *self = (Dgram *)netdev;
    const char *what = optset_what(options);
    gboolean has_remote = socket_address_is_given(options, "remote");
    self->listener.fd = self->fd = self->peer = self->local.fd = self->remote.fd = -1;
    if (!socket_address_parse(&self->local, options, "local", netdev_fds(netdev), error) ||
        (has_remote && !socket_address_parse(&self->remote, options, "remote", netdev_fds(netdev), error)) ||
        !optset_finish(options, error))
        return FALSE;
    if ((self->local.path != NULL) != (self->remote.path != NULL) || self->remote.fd >= 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: needs two paths (local.type=unix and remote.type=unix), or one socket "
                    "(local.type=fd alone)",
                    what);
        return FALSE;
    }
    netdev->features = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
                       1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_HOST_ECN |
                       1ull << VIRTIO_NET_F_HOST_USO;
    return open_sockets(self, what, error);
}

static void close_dgram(NetDev *netdev)
{
    Dgram *self = (Dgram *)netdev;
    if (self->peer >= 0)
        close(self->peer);
    unix_listen_close(&self->listener);
    socket_address_clear(&self->local);
    socket_address_clear(&self->remote);
}

const NetDevKind NETDEV_DGRAM = {
    .name = "dgram",
    .description = "unix datagrams [local.type=unix,local.path=PATH,remote.type=unix,remote.path=PATH]",
    .size = sizeof(Dgram),
    .open = open_dgram,
    .close = close_dgram,
    .attached = attached,
    .detached = detached,
    .want_input = want_input,
    .receive = receive,
    .send = send_frame,
};
