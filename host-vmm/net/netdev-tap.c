// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap: an interface of the host's (or a macvtap's descriptor): the kernel does checksums and segmentation, by
 * vnet headers. Linux Documentation/networking/tuntap.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-vmm/net/netdev-private.h"
#include "host-vmm/net/tap-script.h"

#define TUN_DEVICE "/dev/net/tun"

/* Linux 6.2 has them. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

typedef struct TapQueue {
    int fd;        /* -1: none */
    NetPoll *poll; /* NULL: not attached, or the interface is gone */
    gboolean input, blocked;
    gboolean in_use; /* as TUNSETQUEUE left it */
    VhostNet *vhost; /* NULL: we move the packets */
} TapQueue;

typedef struct Tap {
    NetDev parent;
    char name[IFNAMSIZ];
    TapScript *down_script; /* NULL: none */
    gboolean is_multi;      /* the kernel's flag: queues can be switched */
    gboolean lost;
    guint queue_count;
    TapQueue queue[NETDEV_MAX_QUEUES];
} Tap;

static gboolean fail(GError **error, int number, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean fail(GError **error, int number, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_IO_ERROR,
                        number != 0 ? (int)g_io_error_from_errno(number) : G_IO_ERROR_INVALID_ARGUMENT, text);
    return FALSE;
}

/* ---- data ---- */

static void lose(Tap *self, const char *why)
{
    for (guint i = 0; i < self->queue_count; i++)
        g_clear_pointer(&self->queue[i].poll, net_poll_free);
    if (self->lost)
        return;
    self->lost = TRUE;
    g_warning("netdev '%s': the tap interface '%s' is gone (%s); the guest's link is down", self->parent.id,
              self->name, why);
    netdev_set_carrier(&self->parent, FALSE);
}

static void on_event(GIOCondition condition, guint index, gpointer user_data)
{
    Tap *self = user_data;
    if ((condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) != 0) {
        lose(self, "it was removed");
        return;
    }
    if ((condition & G_IO_OUT) != 0) {
        self->queue[index].blocked = FALSE;
        net_poll_switch(self->queue[index].poll, G_IO_OUT, FALSE);
        netdev_writable(&self->parent, index);
    }
    if ((condition & G_IO_IN) != 0)
        netdev_readable(&self->parent, index);
}

static void set_events(TapQueue *queue)
{
    if (queue->poll != NULL)
        net_poll_want(queue->poll, (queue->input ? G_IO_IN : 0) | (queue->blocked ? G_IO_OUT : 0));
}

static void want_input(NetDev *netdev, guint index, gboolean wanted)
{
    Tap *self = (Tap *)netdev;
    self->queue[index].input = wanted;
    set_events(&self->queue[index]);
}

static gssize receive(NetDev *netdev, guint index, struct iovec *iov, guint count)
{
    Tap *self = (Tap *)netdev;
    gssize got;
    if (self->lost)
        return -1;
    do
        got = netdev->is_vnet ? readv(self->queue[index].fd, iov, (int)count)
                              : readv(self->queue[index].fd, iov + 1, (int)count - 1);
    while (got < 0 && errno == EINTR);
    if (netdev->is_vnet && got >= 0)
        got = MAX(got - (gssize)sizeof(VnetHeader), 0);
    if (got >= 0 || errno == EAGAIN)
        return MAX(got, 0);
    lose(self, g_strerror(errno));
    return -1;
}

static NetDevSend send_packet(NetDev *netdev, guint index, const struct iovec *iov, guint count, gsize length)
{
    Tap *self = (Tap *)netdev;
    TapQueue *queue = &self->queue[index];
    if (self->lost || !queue->in_use)
        return NETDEV_DROPPED;
    gssize sent;
    do
        sent = writev(queue->fd, iov, (int)count);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return NETDEV_SENT;
    if (errno == EAGAIN) {
        queue->blocked = TRUE;
        set_events(queue);
        return NETDEV_FULL;
    }
    /* EIO: the interface is down; EINVAL: the kernel does not like the packet. Both are the packet's end
     * only. */
    if (errno == EBADFD || errno == ENODEV)
        lose(self, g_strerror(errno));
    return NETDEV_DROPPED;
}

static void attached(NetDev *netdev)
{
    Tap *self = (Tap *)netdev;
    for (guint i = 0; i < self->queue_count && !self->lost; i++) {
        self->queue[i].poll = net_poll_new(self->queue[i].fd, on_event, i, self, netdev->context);
        self->queue[i].input = self->queue[i].blocked = FALSE;
    }
}

static void detached(NetDev *netdev)
{
    Tap *self = (Tap *)netdev;
    for (guint i = 0; i < self->queue_count; i++)
        g_clear_pointer(&self->queue[i].poll, net_poll_free);
}

static void use_queues(NetDev *netdev, guint count)
{
    Tap *self = (Tap *)netdev;
    for (guint i = 0; i < self->queue_count && self->is_multi && !self->lost; i++) {
        TapQueue *queue = &self->queue[i];
        gboolean wanted = i < count;
        if (queue->in_use == wanted)
            continue;
        struct ifreq request = {.ifr_flags = wanted ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};
        /* A queue without a driver behind it would swallow the packets of some connections. */
        if (ioctl(queue->fd, TUNSETQUEUE, &request) < 0)
            g_warning("netdev '%s': queue %u cannot be switched %s: %s", netdev->id, i, wanted ? "on" : "off",
                      g_strerror(errno));
        else
            queue->in_use = wanted;
        /* A detached descriptor polls as an error. */
        if (!queue->in_use) {
            g_clear_pointer(&queue->poll, net_poll_free);
        } else if (queue->poll == NULL && netdev->front != NULL) {
            queue->poll = net_poll_new(queue->fd, on_event, i, self, netdev->context);
            set_events(queue);
        }
    }
}

static VhostNet *vhost(NetDev *netdev, guint index, int *backend)
{
    Tap *self = (Tap *)netdev;
    *backend = self->queue[index].fd;
    return self->queue[index].vhost;
}

/* ---- offloads ---- */

static guint tun_flags(guint64 features)
{
    static const struct {
        guint bit, flag;
    } map[] = {
        {VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
        {VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6}, {VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
        {VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO},   {VIRTIO_NET_F_GUEST_USO4, TUN_F_USO4},
        {VIRTIO_NET_F_GUEST_USO6, TUN_F_USO6},
    };
    guint flags = 0;
    for (guint i = 0; i < G_N_ELEMENTS(map); i++) {
        if ((features & 1ull << map[i].bit) != 0)
            flags |= map[i].flag;
    }
    /* Without checksums the kernel takes none of the others. */
    return (flags & TUN_F_CSUM) != 0 ? flags : 0;
}

static void set_offloads(NetDev *netdev, guint64 features)
{
    Tap *self = (Tap *)netdev;
    /* One queue's is every queue's. A lost interface takes none, which is no news. */
    if (netdev->is_vnet &&
        ioctl(self->queue[0].fd, TUNSETOFFLOAD, tun_flags(features & netdev->features)) < 0)
        g_debug("netdev '%s': TUNSETOFFLOAD: %s", netdev->id, g_strerror(errno));
}

static gboolean takes(int fd, guint flags)
{
    return ioctl(fd, TUNSETOFFLOAD, flags) == 0;
}

/* What this kernel can. */
static void probe_features(Tap *self)
{
    NetDev *netdev = &self->parent;
    int fd = self->queue[0].fd;
    if (!netdev->is_vnet) {
        /* Nothing comes in that is not complete; what goes out is completed in software. */
        netdev->features = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
                           1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_HOST_ECN |
                           1ull << VIRTIO_NET_F_HOST_USO;
        return;
    }
    const guint tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    if (takes(fd, tso))
        netdev->features = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |
                           1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
                           1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6;
    if (takes(fd, tso | TUN_F_TSO_ECN))
        netdev->features |= 1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_GUEST_ECN;
    if (takes(fd, tso | TUN_F_UFO))
        netdev->features |= 1ull << VIRTIO_NET_F_HOST_UFO | 1ull << VIRTIO_NET_F_GUEST_UFO;
    if (takes(fd, tso | TUN_F_USO4 | TUN_F_USO6))
        netdev->features |=
            1ull << VIRTIO_NET_F_HOST_USO | 1ull << VIRTIO_NET_F_GUEST_USO4 | 1ull << VIRTIO_NET_F_GUEST_USO6;
    takes(fd, 0);
}

/* ---- opening ---- */

static gboolean set_header_size(int fd)
{
    int size = sizeof(VnetHeader);
    return ioctl(fd, TUNSETVNETHDRSZ, &size) == 0;
}

/* Takes a descriptor of a tap over: ours, or inherited. */
static gboolean take_fd(Tap *self, int fd, gboolean inherited, const char *what, GError **error)
{
    struct ifreq request = {0};
    if (ioctl(fd, TUNGETIFF, &request) < 0 || (request.ifr_flags & IFF_TAP) == 0)
        return fail(error, 0, "%s: fd=%d is not an open tap interface", what, fd);
    if ((request.ifr_flags & IFF_NO_PI) == 0)
        return fail(error, 0, "%s: fd=%d was opened without IFF_NO_PI", what, fd);
    gboolean is_vnet = (request.ifr_flags & IFF_VNET_HDR) != 0;
    if (self->queue_count > 0 && is_vnet != self->parent.is_vnet)
        return fail(error, 0, "%s: some of the queues have vnet headers and some have not", what);
    self->parent.is_vnet = is_vnet;
    if (is_vnet && !set_header_size(fd))
        return fail(error, errno, "%s: TUNSETVNETHDRSZ: %s", what, g_strerror(errno));
    int flags = fcntl(fd, F_GETFL);
    if (inherited &&
        (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0))
        return fail(error, errno, "%s: fd=%d: %s", what, fd, g_strerror(errno));
    self->is_multi = (request.ifr_flags & IFF_MULTI_QUEUE) != 0;
    g_strlcpy(self->name, request.ifr_name, sizeof self->name);
    self->queue[self->queue_count++] = (TapQueue){.fd = fd, .in_use = TRUE};
    return TRUE;
}

static gboolean inherit(Tap *self, const char *fds, const char *what, GError **error)
{
    g_auto(GStrv) words = g_strsplit(fds, ":", -1);
    if (g_strv_length(words) > NETDEV_MAX_QUEUES)
        return fail(error, 0, "%s: more than the %d queues that are supported", what, NETDEV_MAX_QUEUES);
    for (guint i = 0; words[i] != NULL; i++) {
        gboolean owned;
        int fd = fd_store_take(netdev_fds(&self->parent), words[i], what, &owned, error);
        if (fd < 0)
            return FALSE;
        for (guint k = 0; k < self->queue_count; k++) {
            if (self->queue[k].fd == fd)
                return fail(error, 0, "%s: fd=%d is given twice", what, fd);
        }
        if (!take_fd(self, fd, TRUE, what, error)) {
            if (owned)
                close(fd);
            return FALSE;
        }
    }
    return self->queue_count > 0 || fail(error, 0, "%s: 'fds' is empty", what);
}

static gboolean fail_open(const char *what, const char *name, int number, GError **error)
{
    const char *hint = "";
    if (number == EPERM && *name == '\0')
        hint = ": making an interface needs CAP_NET_ADMIN; name one that you may use by ifname=";
    else if (number == EPERM)
        hint = ": there is none of this name that you may use; as root: ip tuntap add NAME mode tap user YOU";
    else if (number == EBUSY)
        hint = ": another process has it";
    else if (number == EINVAL)
        hint = ": an interface of this name is there that is not a tap, or not one with as many queues";
    return fail(error, number, "%s: cannot open tap interface '%s': %s%s", what, name, g_strerror(number),
                hint);
}

static gboolean open_queue(Tap *self, const char *name, gboolean want_vnet, gboolean is_multi,
                           const char *what, GError **error)
{
    int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail(error, errno, "%s: cannot open " TUN_DEVICE ": %s%s", what, g_strerror(errno),
                    errno == ENOENT || errno == ENODEV ? " (as root: modprobe tun)" : "");
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (want_vnet)
        request.ifr_flags |= IFF_VNET_HDR;
    if (is_multi)
        request.ifr_flags |= IFF_MULTI_QUEUE;
    g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        int number = errno;
        close(fd);
        return fail_open(what, name, number, error);
    }
    if (!take_fd(self, fd, FALSE, what, error)) {
        close(fd);
        return FALSE;
    }
    return TRUE;
}

static gboolean open_name(Tap *self, const char *name, guint queues, gboolean want_vnet, const char *what,
                          GError **error)
{
    if (name != NULL && (*name == '\0' || strlen(name) >= IFNAMSIZ))
        return fail(error, 0, "%s: '%s' cannot be an interface's name: it must have 1 to %d bytes", what,
                    name, IFNAMSIZ - 1);
    for (guint i = 0; i < queues; i++) {
        /* Without a name the kernel chooses one, which the other queues then have to use. */
        const char *wanted = i > 0 ? self->name : name != NULL ? name : "";
        if (!open_queue(self, wanted, want_vnet, queues > 1, what, error))
            return FALSE;
    }
    return TRUE;
}

/* One for each queue. */
static gboolean open_vhost(Tap *self, OptSet *options, GError **error)
{
    const char *what = optset_what(options);
    const char *fd = optset_string(options, "vhostfd"), *fds = optset_string(options, "vhostfds");
    gboolean has_fds = fd != NULL || fds != NULL, force = FALSE;
    gboolean on = has_fds;
    g_auto(GStrv) words = g_strsplit(fd != NULL ? fd : fds != NULL ? fds : "", ":", -1);
    if (!optset_bool(options, "vhost", &on, error) || !optset_bool(options, "vhostforce", &force, error))
        return FALSE;
    if (!on && !force)
        return !has_fds || fail(error, 0, "%s: 'vhostfd' needs vhost=on", what);
    if (!self->parent.is_vnet)
        return fail(error, 0, "%s: vhost=on needs vnet_hdr=on", what);
    if (has_fds && g_strv_length(words) != self->queue_count)
        return fail(error, 0, "%s: one vhost descriptor is needed for each of the %u queues", what,
                    self->queue_count);
    for (guint i = 0; i < self->queue_count; i++) {
        gboolean owned;
        int number = has_fds ? fd_store_take(netdev_fds(&self->parent), words[i], what, &owned, error) : -1;
        if (has_fds && number < 0)
            return FALSE;
        self->queue[i].vhost = vhost_net_new(number, error);
        if (self->queue[i].vhost == NULL) {
            g_prefix_error(error, "%s: ", what);
            return FALSE;
        }
    }
    return TRUE;
}

/* "no" and absence: none. */
static const char *script_option(OptSet *options, const char *key)
{
    const char *script = optset_string(options, key);
    return script == NULL || *script == '\0' || strcmp(script, "no") == 0 ? NULL : script;
}

static gboolean set_send_buffer(Tap *self, OptSet *options, GError **error)
{
    guint64 size = 0;
    if (!optset_size(options, "sndbuf", 1, &size, error))
        return FALSE;
    int value = (int)MIN(size, G_MAXINT);
    for (guint i = 0; i < self->queue_count && size > 0; i++) {
        if (ioctl(self->queue[i].fd, TUNSETSNDBUF, &value) < 0)
            return fail(error, errno, "%s: TUNSETSNDBUF: %s", optset_what(options), g_strerror(errno));
    }
    return TRUE;
}

static gboolean open_tap(NetDev *netdev, OptSet *options, GError **error)
{
    Tap *self = (Tap *)netdev;
    const char *what = optset_what(options);
    const char *fd = optset_string(options, "fd"), *fds = optset_string(options, "fds");
    const char *name = optset_string(options, "ifname");
    const char *up_script = script_option(options, "script"),
               *down_script = script_option(options, "downscript");
    guint64 queues = 1;
    gboolean want_vnet = TRUE;
    if (!optset_bool(options, "vnet_hdr", &want_vnet, error) ||
        !optset_uint(options, "queues", 1, NETDEV_MAX_QUEUES, &queues, error))
        return FALSE;
    if (optset_has(options, "br") || optset_has(options, "helper"))
        return fail(error, 0,
                    "%s: no helper is run ('br', 'helper'): name an interface, or give its descriptor", what);
    if (fd != NULL || fds != NULL) {
        static const char *const own[] = {"ifname", "script", "downscript", "vnet_hdr", "queues"};
        for (guint i = 0; i < G_N_ELEMENTS(own); i++) {
            if (optset_has(options, own[i]))
                return fail(error, 0, "%s: '%s' cannot go with '%s'", what, own[i],
                            fd != NULL ? "fd" : "fds");
        }
        if (fd != NULL && fds != NULL)
            return fail(error, 0, "%s: 'fds' cannot go with 'fd'", what);
        if (!inherit(self, fd != NULL ? fd : fds, what, error))
            return FALSE;
    } else if (!open_name(self, name, (guint)queues, want_vnet, what, error)) {
        return FALSE;
    }
    netdev->queues = self->queue_count;
    probe_features(self);
    if (!set_send_buffer(self, options, error) || !open_vhost(self, options, error) ||
        !optset_finish(options, error))
        return FALSE;
    if ((up_script != NULL && !tap_script_run(up_script, self->name, error)) ||
        (down_script != NULL && !(self->down_script = tap_script_prepare(down_script, self->name, error)))) {
        g_prefix_error(error, "%s: ", what);
        return FALSE;
    }
    return TRUE;
}

static void close_tap(NetDev *netdev)
{
    Tap *self = (Tap *)netdev;
    g_autoptr(GError) error = NULL;
    detached(netdev);
    if (self->down_script != NULL && !tap_script_finish(self->down_script, &error))
        g_warning("netdev '%s': %s", netdev->id, error->message);
    for (guint i = 0; i < self->queue_count; i++) {
        vhost_net_free(self->queue[i].vhost);
        close(self->queue[i].fd);
    }
}

const NetDevKind NETDEV_TAP = {
    .name = "tap",
    .description =
        "a tap interface [fd=N|fds=N:N|ifname=NAME,queues=N,vhost=on|off,script=FILE,downscript=FILE,"
        "sndbuf=SIZE]",
    .size = sizeof(Tap),
    .open = open_tap,
    .close = close_tap,
    .attached = attached,
    .detached = detached,
    .want_input = want_input,
    .set_offloads = set_offloads,
    .use_queues = use_queues,
    .receive = receive,
    .send = send_packet,
    .vhost = vhost,
};
