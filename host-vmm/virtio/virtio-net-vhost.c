// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * With vhost=on the kernel moves a pair's packets, from DRIVER_OK to the reset; what it does not do is done
 * here: link, control queue. While the link is down, or if the kernel refuses, the pair is ours.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vmm/net/net-poll.h"
#include "host-vmm/virtio/virtio-net-private.h"

/* What one pair needs to be the kernel's. All of it is there as long as the device. */
struct NetPairVhost {
    VirtioNet *net;
    VhostNet *vhost;
    int backend;
    guint first; /* queue; the other is the next */
    gboolean is_running;
    gboolean is_refused; /* until the next reset */
    int call[2], error[2];
    NetPoll *call_poll[2], *error_poll[2];
};

static void drain(int fd)
{
    guint64 count;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        g_warning("an eventfd could not be read: %s", g_strerror(errno));
}

/* Where the transport cannot let the kernel raise the interrupt by itself. */
static void on_call(GIOCondition condition, guint index, gpointer user_data)
{
    NetPairVhost *self = user_data;
    VirtioDevice *device = &self->net->virtio;
    drain(self->call[index]);
    g_mutex_lock(&device->lock);
    if (self->is_running && device->running)
        device->transport_ops->queue_interrupt(device->transport, self->first + index);
    g_mutex_unlock(&device->lock);
}

/* The rings are ours again, as the kernel left them. */
static void take_back(NetPairVhost *self)
{
    VirtioDevice *device = &self->net->virtio;
    for (guint i = 0; i < 2; i++) {
        device->transport_ops->set_irq_fd(device->transport, self->first + i, -1);
        virtqueue_take_back(&device->queues[self->first + i].ring);
        virtio_device_take_back(device, self->first + i);
    }
    self->is_running = FALSE;
}

static void stop_pair(NetPairVhost *self)
{
    vhost_net_stop(self->vhost);
    take_back(self);
}

/* The kernel gave up on a ring: the driver has broken it, or the tap is gone. We find out which by going on
 * ourselves. */
static void on_error(GIOCondition condition, guint index, gpointer user_data)
{
    NetPairVhost *self = user_data;
    VirtioDevice *device = &self->net->virtio;
    drain(self->error[index]);
    g_mutex_lock(&device->lock);
    if (self->is_running) {
        g_info("%s: vhost gave up on queue %u; packets are moved without it", device->name,
               self->first + index);
        self->is_refused = TRUE;
        stop_pair(self);
    }
    g_mutex_unlock(&device->lock);
}

static void pair_clear(NetPairVhost *self)
{
    for (guint i = 0; i < 2; i++) {
        net_poll_free(self->call_poll[i]);
        net_poll_free(self->error_poll[i]);
        if (self->call[i] >= 0)
            close(self->call[i]);
        if (self->error[i] >= 0)
            close(self->error[i]);
    }
    g_free(self);
}

static NetPairVhost *pair_new(VirtioNet *net, guint index, VhostNet *vhost, int backend, GError **error)
{
    NetPairVhost *self = g_new0(NetPairVhost, 1);
    self->net = net;
    self->vhost = vhost;
    self->backend = backend;
    self->first = 2 * index;
    for (guint i = 0; i < 2; i++) {
        self->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        self->error[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (self->call[0] < 0 || self->call[1] < 0 || self->error[0] < 0 || self->error[1] < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "eventfd: %s", g_strerror(errno));
        pair_clear(self);
        return NULL;
    }
    for (guint i = 0; i < 2; i++) {
        self->call_poll[i] = net_poll_new(self->call[i], on_call, i, self, net->virtio.context);
        self->error_poll[i] = net_poll_new(self->error[i], on_error, i, self, net->virtio.context);
        net_poll_want(self->error_poll[i], G_IO_IN);
    }
    return self;
}

gboolean virtio_net_vhost_init(VirtioNet *net, GError **error)
{
    for (guint i = 0; i < net->max_pairs && net->netdev != NULL; i++) {
        int backend;
        VhostNet *vhost = netdev_vhost(net->netdev, i, &backend);
        if (vhost == NULL)
            break;
        net->pair[i].vhost = pair_new(net, i, vhost, backend, error);
        if (net->pair[i].vhost == NULL)
            return FALSE;
    }
    return TRUE;
}

void virtio_net_vhost_clear(VirtioNet *net)
{
    for (guint i = 0; i < net->max_pairs; i++) {
        if (net->pair[i].vhost != NULL)
            pair_clear(net->pair[i].vhost);
    }
}

guint64 virtio_net_vhost_features(NetDev *netdev)
{
    /* Of a ring, and of how packets lie in it; the others are the tap's affair. */
    const guint64 rings = 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX |
                          1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MRG_RXBUF;
    int backend;
    VhostNet *vhost = netdev != NULL ? netdev_vhost(netdev, 0, &backend) : NULL;
    return vhost != NULL ? vhost_net_features(vhost) | ~rings : G_MAXUINT64;
}

gboolean virtio_net_vhost_has(const NetPair *pair)
{
    return pair->vhost != NULL && pair->vhost->is_running;
}

static VhostRing ring_of(NetPairVhost *self, guint i, guint16 next_avail, int kick)
{
    const VirtQueue *ring = &self->net->virtio.queues[self->first + i].ring;
    return (VhostRing){.size = ring->size,
                       .next_avail = next_avail,
                       .desc = ring->desc,
                       .driver = ring->driver,
                       .device = ring->device,
                       .kick = kick,
                       .call = self->call[i],
                       .error = self->error[i]};
}

static void start_pair(NetPairVhost *self, NetPair *pair)
{
    VirtioDevice *device = &self->net->virtio;
    VhostRing rings[2];
    g_autoptr(GError) error = NULL;
    guint held[2] = {pair->held_count, pair->blocked != NULL ? 1 : 0};
    netdev_want_input(self->net->netdev, pair->index, FALSE);
    virtio_net_rx_reset(pair);
    virtio_net_tx_reset(pair);
    for (guint i = 0; i < 2; i++) {
        guint index = self->first + i;
        guint16 next_avail = virtqueue_hand_over(&device->queues[index].ring, held[i]);
        rings[i] = ring_of(self, i, next_avail, virtio_device_hand_over(device, index));
        gboolean is_direct = device->transport_ops->set_irq_fd(device->transport, index, self->call[i]);
        net_poll_want(self->call_poll[i], is_direct ? 0 : G_IO_IN);
    }
    self->is_running = vhost_net_start(self->vhost, device->env->memory, device->driver_features, rings,
                                       self->backend, &error);
    if (!self->is_running) {
        g_warning("%s: %s; packets are moved without it", device->name, error->message);
        self->is_refused = TRUE;
        take_back(self);
        return;
    }
    /* A kick that was on its way to us is not lost. */
    virtio_device_kick(device, self->first);
    virtio_device_kick(device, self->first + 1);
}

void virtio_net_vhost_sync(VirtioNet *net)
{
    VirtioDevice *device = &net->virtio;
    for (guint i = 0; i < net->max_pairs && net->pair[i].vhost != NULL; i++) {
        NetPairVhost *self = net->pair[i].vhost;
        gboolean wanted = device->running && i < net->pairs && virtio_net_link(net) && !self->is_refused &&
                          device->queues[2 * i].ring.enabled && device->queues[2 * i + 1].ring.enabled;
        if (wanted && !self->is_running)
            start_pair(self, &net->pair[i]);
        else if (!wanted && self->is_running)
            stop_pair(self);
    }
}

void virtio_net_vhost_stop(VirtioNet *net)
{
    for (guint i = 0; i < net->max_pairs && net->pair[i].vhost != NULL; i++) {
        if (net->pair[i].vhost->is_running)
            stop_pair(net->pair[i].vhost);
        net->pair[i].vhost->is_refused = FALSE;
    }
}
