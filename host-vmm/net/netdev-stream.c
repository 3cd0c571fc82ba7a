// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stream: a unix stream socket to one peer (another guest's, a switch, passt): each frame behind its length
 * as 32 bits, big-endian, as QEMU frames them. While nobody is connected the guest has no link.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <glib-unix.h>

#include "host-vmm/char/unix-listen.h"
#include "host-vmm/net/coalesce.h"
#include "host-vmm/net/netdev-private.h"
#include "host-vmm/net/socket-address.h"

#define PREFIX          4u
#define IN_SIZE         (256u << 10)
#define OUT_SIZE        (512u << 10)
#define OUT_FULL        (256u << 10) /* no more is taken from here on */
#define OUT_SEND        (64u << 10)  /* sent before the end of the batch */
#define ACCEPT_RETRY_MS 1000         /* when there are no descriptors left */

G_STATIC_ASSERT(OUT_FULL + PREFIX + PACKET_MAX <= OUT_SIZE);
G_STATIC_ASSERT(PREFIX + PACKET_MAX <= IN_SIZE);

typedef struct Buffer {
    guint8 *data;
    gsize start, end, size;
} Buffer;

typedef struct Stream {
    NetDev parent;
    SocketAddress address;
    gboolean is_server;
    guint reconnect_s;   /* 0: never */
    UnixListen listener; /* fd -1: a client's; path NULL: inherited */
    GSource *listen_source;
    GSource *timer; /* next try to connect or accept */

    int peer; /* -1: none */
    NetPoll *poll;
    Buffer in, out;
    gboolean input, blocked;
    guint64 offloads; /* atomic */
} Stream;

static void seek_peer(Stream *self);

static void drop_source(GSource **source)
{
    if (*source != NULL)
        g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* ---- buffers ---- */

static gsize buffered(const Buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Room behind what is there. */
static gsize make_room(Buffer *buffer, gsize wanted)
{
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
    if (buffer->size - buffer->end < wanted && buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start, buffered(buffer));
        buffer->end = buffered(buffer);
        buffer->start = 0;
    }
    return buffer->size - buffer->end;
}

/* ---- the connection ---- */

static void set_events(Stream *self)
{
    if (self->poll != NULL)
        net_poll_want(self->poll, (self->input ? G_IO_IN : 0) | (buffered(&self->out) > 0 ? G_IO_OUT : 0));
}

static void on_event(GIOCondition condition, guint index, gpointer user_data);

static void watch(Stream *self)
{
    if (self->peer < 0 || self->parent.front == NULL || self->poll != NULL)
        return;
    self->poll = net_poll_new(self->peer, on_event, 0, self, self->parent.context);
    set_events(self);
}

static JsonObject *event_data(Stream *self)
{
    JsonObject *data = json_object_new();
    json_object_set_string_member(data, "netdev-id", self->parent.id);
    return data;
}

static void connected(Stream *self, int fd)
{
    self->peer = fd;
    self->in = (Buffer){.data = g_malloc(IN_SIZE), .size = IN_SIZE};
    self->out = (Buffer){.data = g_malloc(OUT_SIZE), .size = OUT_SIZE};
    self->blocked = FALSE;
    watch(self);
    netdev_set_carrier(&self->parent, TRUE);
    JsonObject *data = event_data(self);
    json_object_set_object_member(data, "addr", socket_address_describe(&self->address));
    netdev_emit(&self->parent, "NETDEV_STREAM_CONNECTED", data);
}

static void close_peer(Stream *self)
{
    g_clear_pointer(&self->poll, net_poll_free);
    g_clear_pointer(&self->in.data, g_free);
    g_clear_pointer(&self->out.data, g_free);
    self->in = self->out = (Buffer){0};
    if (self->peer >= 0)
        close(self->peer);
    self->peer = -1;
}

static void disconnected(Stream *self, const char *why)
{
    g_message("netdev '%s': the peer has gone (%s)", self->parent.id, why);
    close_peer(self);
    netdev_set_carrier(&self->parent, FALSE);
    netdev_emit(&self->parent, "NETDEV_STREAM_DISCONNECTED", event_data(self));
    seek_peer(self);
}

static gboolean on_timer(gpointer user_data)
{
    Stream *self = user_data;
    g_clear_pointer(&self->timer, g_source_unref);
    if (self->is_server) {
        seek_peer(self);
        return G_SOURCE_REMOVE;
    }
    int fd = unix_connect(self->address.path, NULL);
    if (fd >= 0)
        connected(self, fd);
    else
        seek_peer(self);
    return G_SOURCE_REMOVE;
}

static void start_timer(Stream *self, guint milliseconds)
{
    self->timer = g_timeout_source_new(milliseconds);
    g_source_set_callback(self->timer, on_timer, self, NULL);
    g_source_attach(self->timer, NULL);
}

static gboolean on_connection(int fd, GIOCondition condition, gpointer user_data)
{
    Stream *self = user_data;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return G_SOURCE_CONTINUE;
    g_clear_pointer(&self->listen_source, g_source_unref);
    if (peer >= 0) {
        connected(self, peer);
    } else {
        g_warning("netdev '%s': cannot accept a connection: %s", self->parent.id, g_strerror(errno));
        start_timer(self, ACCEPT_RETRY_MS);
    }
    return G_SOURCE_REMOVE;
}

/* A server lets the next one in, the others wait in the kernel's queue; a client may try again. */
static void seek_peer(Stream *self)
{
    if (self->is_server) {
        self->listen_source = g_unix_fd_source_new(self->listener.fd, G_IO_IN);
        g_source_set_callback(self->listen_source, G_SOURCE_FUNC(on_connection), self, NULL);
        g_source_attach(self->listen_source, NULL);
    } else if (self->reconnect_s > 0) {
        start_timer(self, self->reconnect_s * 1000);
    }
}

/* ---- data ---- */

/* FALSE: the peer has gone. */
static gboolean send_buffered(Stream *self)
{
    while (buffered(&self->out) > 0) {
        gssize sent = send(self->peer, self->out.data + self->out.start, buffered(&self->out),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            self->out.start += (gsize)sent;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            disconnected(self, g_strerror(errno));
            return FALSE;
        }
    }
    set_events(self);
    return TRUE;
}

static NetDevSend send_frame(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length)
{
    Stream *self = (Stream *)netdev;
    if (self->peer < 0)
        return NETDEV_DROPPED;
    if (buffered(&self->out) >= OUT_SEND && !send_buffered(self))
        return NETDEV_DROPPED;
    if (buffered(&self->out) >= OUT_FULL) {
        self->blocked = TRUE;
        return NETDEV_FULL;
    }
    make_room(&self->out, PREFIX + length);
    guint8 *to = self->out.data + self->out.end;
    packet_put32(to, (guint32)length);
    to += PREFIX;
    gsize done = 0;
    for (guint i = 0; i < count && done < length; i++) {
        gsize part = MIN(iov[i].iov_len, length - done);
        memcpy(to + done, iov[i].iov_base, part);
        done += part;
    }
    self->out.end += PREFIX + length;
    return NETDEV_SENT;
}

static void flush(NetDev *netdev, guint queue)
{
    Stream *self = (Stream *)netdev;
    if (self->peer >= 0)
        send_buffered(self);
}

/* The length of the frame whose prefix is `offset` bytes into what is buffered; 0: not all of it is there;
 * -1: no such frame. */
static gssize frame_at(const Stream *self, gsize offset)
{
    gsize got = buffered(&self->in) - offset;
    if (got < PREFIX)
        return 0;
    guint32 length = packet_get32(self->in.data + self->in.start + offset);
    if (length == 0 || length > PACKET_MAX)
        return -1;
    return got >= PREFIX + length ? (gssize)length : 0;
}

/* Takes the first frame, which is there, and those that it can be put together with. */
static gsize take_frames(Stream *self, gsize first, struct iovec *iov, guint count)
{
    guint64 offloads = __atomic_load_n(&self->offloads, __ATOMIC_RELAXED);
    Coalesce coalesce = {0};
    guint8 *frame = self->in.data + self->in.start + PREFIX;
    gsize end = PREFIX + first, length = first, payload;
    gssize next = frame_at(self, end);
    if (next > 0 && coalesce_begin(&coalesce, offloads, frame, first)) {
        while (next > 0 && coalesce_add(&coalesce, self->in.data + self->in.start + end + PREFIX, (gsize)next,
                                        &payload)) {
            /* The payloads move together; what was between them has been read. */
            gsize part = (gsize)next - payload;
            memmove(frame + length, self->in.data + self->in.start + end + PREFIX + payload, part);
            length += part;
            end += PREFIX + (gsize)next;
            next = frame_at(self, end);
        }
        if (length > first)
            coalesce_finish(&coalesce, iov[0].iov_base);
    }
    gsize done = 0;
    for (guint i = 1; i < count && done < length; i++) {
        gsize part = MIN(iov[i].iov_len, length - done);
        memcpy(iov[i].iov_base, frame + done, part);
        done += part;
    }
    self->in.start += end;
    return length;
}

static gssize receive(NetDev *netdev, guint queue, struct iovec *iov, guint count)
{
    Stream *self = (Stream *)netdev;
    while (self->peer >= 0) {
        gssize length = frame_at(self, 0);
        if (length > 0)
            return (gssize)take_frames(self, (gsize)length, iov, count);
        if (length < 0) {
            disconnected(self, "it sent a frame of impossible length");
            break;
        }
        gsize room = make_room(&self->in, PREFIX + PACKET_MAX);
        gssize got = recv(self->peer, self->in.data + self->in.end, room, MSG_DONTWAIT);
        if (got > 0)
            self->in.end += (gsize)got;
        else if (got < 0 && errno == EAGAIN)
            break;
        else if (got == 0 || errno != EINTR)
            disconnected(self, got == 0 ? "it closed the connection" : g_strerror(errno));
    }
    return 0;
}

static void set_offloads(NetDev *netdev, guint64 features)
{
    __atomic_store_n(&((Stream *)netdev)->offloads, features, __ATOMIC_RELAXED);
}

static void on_event(GIOCondition condition, guint index, gpointer user_data)
{
    Stream *self = user_data;
    if ((condition & G_IO_OUT) != 0 && !send_buffered(self))
        return;
    if (self->blocked && buffered(&self->out) < OUT_SEND) {
        self->blocked = FALSE;
        netdev_writable(&self->parent, 0);
    }
    if ((condition & G_IO_IN) != 0 && self->input)
        netdev_readable(&self->parent, 0);
    /* What a peer has sent before it went is taken as long as somebody wants it. */
    else if (self->peer >= 0 && (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) != 0)
        disconnected(self, "it closed the connection");
}

static void attached(NetDev *netdev)
{
    Stream *self = (Stream *)netdev;
    self->input = self->blocked = FALSE;
    watch(self);
}

static void detached(NetDev *netdev)
{
    g_clear_pointer(&((Stream *)netdev)->poll, net_poll_free);
}

static void want_input(NetDev *netdev, guint queue, gboolean wanted)
{
    Stream *self = (Stream *)netdev;
    self->input = wanted;
    set_events(self);
}

/* ---- opening ---- */

static gboolean open_socket(Stream *self, const char *what, GError **error)
{
    if (self->address.path == NULL) {
        if (!socket_address_inherit(&self->address, SOCK_STREAM, self->is_server, what, error))
            return FALSE;
        if (self->is_server)
            self->listener.fd = self->address.fd;
        else
            connected(self, self->address.fd);
        return TRUE;
    }
    if (self->is_server)
        return unix_listen_open(&self->listener, self->address.path, error);
    g_autoptr(GError) problem = NULL;
    int fd = unix_connect(self->address.path, &problem);
    if (fd >= 0) {
        connected(self, fd);
    } else if (self->reconnect_s > 0) {
        g_message("%s: %s; trying again every %u s", what, problem->message, self->reconnect_s);
    } else {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    return TRUE;
}

static gboolean open_stream(NetDev *netdev, OptSet *options, GError **error)
{
    Stream *self = (Stream *)netdev;
    const char *what = optset_what(options);
    guint64 reconnect_s = 0;
    self->listener.fd = self->peer = self->address.fd = -1;
    if (!optset_bool(options, "server", &self->is_server, error) ||
        !optset_uint(options, "reconnect", 0, G_MAXINT / 1000, &reconnect_s, error) ||
        !socket_address_parse(&self->address, options, "addr", netdev_fds(netdev), error) ||
        !optset_finish(options, error))
        return FALSE;
    if (reconnect_s > 0 && (self->is_server || self->address.path == NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: 'reconnect' needs a path to connect to", what);
        return FALSE;
    }
    self->reconnect_s = (guint)reconnect_s;
    /* What comes in as segments is put together, if the guest can take that. */
    netdev->features = 1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 |
                       1ull << VIRTIO_NET_F_GUEST_TSO6 | 1ull << VIRTIO_NET_F_CSUM |
                       1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
                       1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_USO;
    netdev->carrier = FALSE;
    if (!open_socket(self, what, error))
        return FALSE;
    if (self->peer < 0)
        seek_peer(self);
    return TRUE;
}

static void close_stream(NetDev *netdev)
{
    Stream *self = (Stream *)netdev;
    drop_source(&self->listen_source);
    drop_source(&self->timer);
    close_peer(self);
    unix_listen_close(&self->listener);
    socket_address_clear(&self->address);
}

const NetDevKind NETDEV_STREAM = {
    .name = "stream",
    .description =
        "a unix socket [server=on|off,addr.type=unix|fd,addr.path=PATH|addr.str=N,reconnect=SECONDS]",
    .size = sizeof(Stream),
    .open = open_stream,
    .close = close_stream,
    .attached = attached,
    .detached = detached,
    .want_input = want_input,
    .set_offloads = set_offloads,
    .receive = receive,
    .send = send_frame,
    .flush = flush,
};
