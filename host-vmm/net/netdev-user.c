// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user: a network of the guest's own behind libslirp, which needs no rights: addresses by DHCP, the outside
 * through this process's sockets, and ports forwarded to the guest.
 *
 * libslirp is no wire and has no MTU towards itself: the guest's TCP segments of up to 64 KiB go to it whole,
 * and those that it makes are put together again for a guest that takes them.
 */
#include <arpa/inet.h>
#include <libslirp.h>
#include <string.h>

#include "host-vmm/net/coalesce.h"
#include "host-vmm/net/hostfwd.h"
#include "host-vmm/net/netdev-private.h"
#include "host-vmm/net/user-options.h"

/* Packets for the guest that wait for buffers: from the first limit on sockets are not read any more, which
 * slows the peers down; beyond the second packets are dropped, as libslirp's interface allows. */
#define QUEUE_FULL  (1u << 20)
#define QUEUE_LIMIT (16u << 20)

typedef struct Packet {
    struct Packet *next;
    guint32 length;
    guint8 data[];
} Packet;

typedef struct UserPoll {
    GPollFD fd;
    guint round; /* of prepare() in which it was asked for last */
} UserPoll;

typedef struct User User;

/* The source that runs libslirp. */
typedef struct UserSource {
    GSource source;
    User *user;
    guint round;
    gboolean filled;   /* libslirp has been asked since it was last served */
    GPtrArray *asked;  /* of UserPoll*, in libslirp's order of this round */
    GHashTable *polls; /* descriptor -> UserPoll*, owned */
    gint64 deadline;   /* monotonic µs; -1: none */
} UserSource;

struct User {
    NetDev parent;
    Slirp *slirp;
    UserSource *source;
    gboolean input; /* the NIC wants packets */
    gboolean poked; /* libslirp may have packets that waited for an address */
    Packet *first, *last;
    gsize queued;     /* bytes */
    guint64 offloads; /* atomic */
    guint64 dropped;
};

/* ---- what libslirp calls ---- */

static ssize_t on_packet(const void *data, size_t length, void *opaque)
{
    User *self = opaque;
    if (self->parent.front == NULL || length > PACKET_MAX || self->queued + length > QUEUE_LIMIT) {
        self->dropped++;
        return (ssize_t)length;
    }
    Packet *packet = g_malloc(sizeof *packet + length);
    packet->next = NULL;
    packet->length = (guint32)length;
    memcpy(packet->data, data, length);
    if (self->last != NULL)
        self->last->next = packet;
    else
        self->first = packet;
    self->last = packet;
    self->queued += length;
    return (ssize_t)length;
}

static void on_guest_error(const char *message, void *opaque)
{
    g_debug("netdev '%s': %s", ((User *)opaque)->parent.id, message);
}

static int64_t clock_ns(void *opaque)
{
    return g_get_monotonic_time() * 1000;
}

typedef struct UserTimer {
    GSource *source; /* NULL: not running */
    SlirpTimerCb func;
    void *data;
} UserTimer;

static gboolean on_timer(gpointer user_data)
{
    UserTimer *timer = user_data;
    g_clear_pointer(&timer->source, g_source_unref);
    timer->func(timer->data);
    return G_SOURCE_REMOVE;
}

static void *timer_new(SlirpTimerCb func, void *data, void *opaque)
{
    UserTimer *timer = g_new0(UserTimer, 1);
    timer->func = func;
    timer->data = data;
    return timer;
}

static void timer_stop(UserTimer *timer)
{
    if (timer->source != NULL)
        g_source_destroy(timer->source);
    g_clear_pointer(&timer->source, g_source_unref);
}

static void timer_free(void *data, void *opaque)
{
    timer_stop(data);
    g_free(data);
}

static void timer_mod(void *data, int64_t expire_ms, void *opaque)
{
    UserTimer *timer = data;
    timer_stop(timer);
    timer->source = g_timeout_source_new(0);
    g_source_set_ready_time(timer->source, expire_ms * 1000);
    g_source_set_callback(timer->source, on_timer, timer, NULL);
    g_source_attach(timer->source, NULL);
}

/* The descriptors to wait for are asked for anew before each wait. */
static void ignore_fd(int fd, void *opaque)
{
}

static void ignore(void *opaque)
{
}

static const SlirpCb callbacks = {
    .send_packet = on_packet,
    .guest_error = on_guest_error,
    .clock_get_ns = clock_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = ignore,
};

/* ---- the source ---- */

static gushort to_poll(int events)
{
    return (gushort)((events & SLIRP_POLL_IN ? G_IO_IN : 0) | (events & SLIRP_POLL_OUT ? G_IO_OUT : 0) |
                     (events & SLIRP_POLL_PRI ? G_IO_PRI : 0));
}

static int from_poll(gushort events)
{
    return (events & G_IO_IN ? SLIRP_POLL_IN : 0) | (events & G_IO_OUT ? SLIRP_POLL_OUT : 0) |
           (events & G_IO_PRI ? SLIRP_POLL_PRI : 0) | (events & G_IO_ERR ? SLIRP_POLL_ERR : 0) |
           (events & G_IO_HUP ? SLIRP_POLL_HUP : 0);
}

static int add_poll(int fd, int events, void *opaque)
{
    UserSource *source = opaque;
    UserPoll *poll = g_hash_table_lookup(source->polls, GINT_TO_POINTER(fd));
    if (poll == NULL) {
        poll = g_new0(UserPoll, 1);
        poll->fd.fd = fd;
        g_hash_table_insert(source->polls, GINT_TO_POINTER(fd), poll);
        g_source_add_poll(&source->source, &poll->fd);
    }
    poll->fd.events = to_poll(events);
    poll->fd.revents = 0;
    poll->round = source->round;
    g_ptr_array_add(source->asked, poll);
    return (int)source->asked->len - 1;
}

static int get_revents(int index, void *opaque)
{
    UserSource *source = opaque;
    if (index < 0 || (guint)index >= source->asked->len)
        return 0;
    const UserPoll *poll = source->asked->pdata[index];
    return from_poll(poll->fd.revents);
}

/* Those that were not asked for in this round. */
static gboolean is_stale(gpointer key, gpointer value, gpointer user_data)
{
    UserSource *source = user_data;
    UserPoll *poll = value;
    if (poll->round == source->round)
        return FALSE;
    g_source_remove_poll(&source->source, &poll->fd);
    return TRUE;
}

static gboolean prepare(GSource *base, int *timeout)
{
    UserSource *source = (UserSource *)base;
    User *self = source->user;
    *timeout = -1;
    if (self->first != NULL && self->input)
        return TRUE;
    source->round++;
    source->deadline = -1;
    g_ptr_array_set_size(source->asked, 0);
    source->filled = self->queued < QUEUE_FULL;
    if (source->filled) {
        uint32_t wait_ms = G_MAXINT;
        slirp_pollfds_fill(self->slirp, &wait_ms, add_poll, source);
        if (self->poked)
            wait_ms = 0;
        if (wait_ms < G_MAXINT) {
            *timeout = (int)wait_ms;
            source->deadline = g_get_monotonic_time() + (gint64)wait_ms * 1000;
        }
    }
    if (g_hash_table_size(source->polls) != source->asked->len)
        g_hash_table_foreach_remove(source->polls, is_stale, source);
    return FALSE;
}

static gboolean check(GSource *base)
{
    UserSource *source = (UserSource *)base;
    User *self = source->user;
    if (self->first != NULL && self->input)
        return TRUE;
    for (guint i = 0; i < source->asked->len; i++) {
        const UserPoll *poll = source->asked->pdata[i];
        if (poll->fd.revents != 0)
            return TRUE;
    }
    return source->deadline >= 0 && g_get_monotonic_time() >= source->deadline;
}

static gboolean dispatch(GSource *base, GSourceFunc callback, gpointer user_data)
{
    UserSource *source = (UserSource *)base;
    User *self = source->user;
    if (source->filled) {
        source->filled = self->poked = FALSE;
        slirp_pollfds_poll(self->slirp, 0, get_revents, source);
    }
    if (self->first != NULL && self->input)
        netdev_readable(&self->parent, 0);
    return G_SOURCE_CONTINUE;
}

static void finalize(GSource *base)
{
    UserSource *source = (UserSource *)base;
    g_ptr_array_unref(source->asked);
    g_hash_table_unref(source->polls);
}

static GSourceFuncs funcs = {.prepare = prepare, .check = check, .dispatch = dispatch, .finalize = finalize};

static void start_source(User *self)
{
    self->source = (UserSource *)g_source_new(&funcs, sizeof *self->source);
    self->source->user = self;
    self->source->asked = g_ptr_array_new();
    self->source->polls = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g_source_attach(&self->source->source, self->parent.context);
}

static void stop_source(User *self)
{
    if (self->source == NULL)
        return;
    g_source_destroy(&self->source->source);
    g_source_unref(&self->source->source);
    self->source = NULL;
}

/* ---- data ---- */

static void drop_first(User *self)
{
    Packet *packet = self->first;
    self->first = packet->next;
    if (self->first == NULL)
        self->last = NULL;
    self->queued -= packet->length;
    g_free(packet);
}

/* Where in the NIC's buffers the next bytes go. */
typedef struct Writer {
    const struct iovec *iov;
    guint left;
    gsize offset; /* in *iov */
} Writer;

static void write_bytes(Writer *writer, const guint8 *from, gsize length)
{
    while (length > 0 && writer->left > 0) {
        gsize part = MIN(writer->iov->iov_len - writer->offset, length);
        memcpy((guint8 *)writer->iov->iov_base + writer->offset, from, part);
        from += part;
        length -= part;
        writer->offset += part;
        if (writer->offset == writer->iov->iov_len) {
            writer->iov++;
            writer->left--;
            writer->offset = 0;
        }
    }
}

/* How many packets from the first on are one to the guest. */
static guint coalesce_queue(User *self, Coalesce *coalesce)
{
    guint64 features = __atomic_load_n(&self->offloads, __ATOMIC_RELAXED);
    guint count = 1;
    gsize payload;
    if (self->first->next == NULL ||
        !coalesce_begin(coalesce, features, self->first->data, self->first->length))
        return 1;
    for (Packet *packet = self->first->next;
         packet != NULL && coalesce_add(coalesce, packet->data, packet->length, &payload);
         packet = packet->next)
        count++;
    return count;
}

static gssize receive(NetDev *netdev, guint queue, struct iovec *iov, guint count)
{
    User *self = (User *)netdev;
    VnetHeader *header = iov[0].iov_base;
    Writer writer = {.iov = iov + 1, .left = count - 1};
    Coalesce coalesce = {.is_trusted = TRUE};
    if (self->first == NULL)
        return 0;
    guint packets = coalesce_queue(self, &coalesce);
    gsize length = self->first->length, skip = 0;
    if (packets > 1) {
        coalesce_finish(&coalesce, header);
        length = coalesce.length;
    } else {
        /* libslirp has just computed or checked the checksums. */
        header->flags = VNET_DATA_VALID;
    }
    for (guint i = 0; i < packets; i++) {
        write_bytes(&writer, self->first->data + skip, self->first->length - skip);
        drop_first(self);
        skip = coalesce.parsed.payload;
    }
    return (gssize)length;
}

static NetDevSend send_frame(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length)
{
    User *self = (User *)netdev;
    const guint8 *frame = iov[0].iov_base;
    if (count > 1 || frame != netdev->frame) {
        gsize done = 0;
        for (guint i = 0; i < count && done < length; i++) {
            gsize part = MIN(iov[i].iov_len, length - done);
            memcpy(netdev->frame + done, iov[i].iov_base, part);
            done += part;
        }
        frame = netdev->frame;
    }
    slirp_input(self->slirp, frame, (int)length);
    /* An answer to who has an address lets go of what waited for it; IPv6 has its own (neighbour
     * advertisement). */
    guint16 type = packet_get16(frame + 12);
    if (type == ETHERTYPE_ARP || (type == ETHERTYPE_IPV6 && length > 20 && frame[20] == IPPROTO_ICMPV6))
        self->poked = TRUE;
    return NETDEV_SENT;
}

static void want_input(NetDev *netdev, guint queue, gboolean wanted)
{
    ((User *)netdev)->input = wanted;
}

static void set_offloads(NetDev *netdev, guint64 features)
{
    __atomic_store_n(&((User *)netdev)->offloads, features, __ATOMIC_RELAXED);
}

static void attached(NetDev *netdev)
{
    User *self = (User *)netdev;
    self->input = FALSE;
    start_source(self);
}

static void detached(NetDev *netdev)
{
    User *self = (User *)netdev;
    stop_source(self);
    while (self->first != NULL)
        drop_first(self);
}

/* ---- opening ---- */

static gboolean add_forwards(User *self, const UserOptions *user, GError **error)
{
    for (guint i = 0; i < user->forwards->len; i++) {
        const HostForward *forward = &g_array_index(user->forwards, HostForward, i);
        if (slirp_add_hostfwd(self->slirp, forward->is_udp, forward->host_address, forward->host_port,
                              forward->guest_address, forward->guest_port) == 0)
            continue;
        int number = errno;
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &forward->host_address, text, sizeof text);
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number),
                    "Could not set up host forwarding of %s port %s:%u: %s", forward->is_udp ? "UDP" : "TCP",
                    text, forward->host_port, g_strerror(number));
        return FALSE;
    }
    return TRUE;
}

static gboolean open_user(NetDev *netdev, OptSet *options, GError **error)
{
    User *self = (User *)netdev;
    g_autoptr(UserOptions) user = user_options_parse(options, error);
    if (user == NULL || !optset_finish(options, error))
        return FALSE;
    SlirpConfig config = {
        .version = 1,
        .restricted = user->restricted,
        .in_enabled = user->ipv4,
        .vnetwork = user->network,
        .vnetmask = user->netmask,
        .vhost = user->host,
        .in6_enabled = user->ipv6,
        .vprefix_addr6 = user->prefix6,
        .vprefix_len = user->prefix6_length,
        .vhost6 = user->host6,
        .vhostname = user->hostname,
        .vdhcp_start = user->dhcp_start,
        .vnameserver = user->dns,
        .vnameserver6 = user->dns6,
        .vdnssearch = user->dns_search[0] != NULL ? (const char **)user->dns_search : NULL,
        .vdomainname = user->domain,
    };
    self->slirp = slirp_new(&config, &callbacks, self);
    if (self->slirp == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: libslirp does not take this configuration",
                    optset_what(options));
        return FALSE;
    }
    netdev->takes_jumbo = TRUE;
    netdev->features =
        1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 |
        1ull << VIRTIO_NET_F_GUEST_TSO6 | 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
        1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_UFO | 1ull << VIRTIO_NET_F_HOST_USO;
    return add_forwards(self, user, error);
}

static void close_user(NetDev *netdev)
{
    User *self = (User *)netdev;
    detached(netdev);
    if (self->dropped > 0)
        g_info("netdev '%s': %" G_GUINT64_FORMAT " packets found no room", netdev->id, self->dropped);
    g_clear_pointer(&self->slirp, slirp_cleanup);
}

const NetDevKind NETDEV_USER = {
    .name = "user",
    .description =
        "a network of the guest's own by libslirp [hostfwd=[tcp|udp]:[ADDR]:PORT-[ADDR]:PORT,net=ADDR/LEN,"
        "host=,dns=,dhcpstart=,hostname=,domainname=,dnssearch=,restrict=,ipv4=,ipv6=,ipv6-net=,ipv6-host=,"
        "ipv6-dns=]",
    .size = sizeof(User),
    .open = open_user,
    .close = close_user,
    .attached = attached,
    .detached = detached,
    .want_input = want_input,
    .set_offloads = set_offloads,
    .receive = receive,
    .send = send_frame,
};
