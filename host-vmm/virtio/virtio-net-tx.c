// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the guest: a packet's headers are copied and checked, the rest goes from the driver's buffers straight
 * to the back end.
 */
#include <string.h>

#include "host-vmm/virtio/virtio-net-private.h"

/* What writev() and sendmsg() take. */
#define MAX_SEGMENTS 1024u

void virtio_net_tx_reset(NetPair *pair)
{
    g_clear_pointer(&pair->blocked, g_free);
    pair->is_blocked = FALSE;
}

/* Segments of the element's out buffers from `skip` on; 0: more than `max`. */
static guint segments_behind(const VirtQueueElement *element, gsize skip, struct iovec *iov, guint max)
{
    guint count = 0;
    for (guint i = 0; i < element->out_count; i++) {
        const struct iovec *from = &element->out[i];
        if (skip >= from->iov_len) {
            skip -= from->iov_len;
            continue;
        }
        if (count == max)
            return 0;
        iov[count++] = (struct iovec){(guint8 *)from->iov_base + skip, from->iov_len - skip};
        skip = 0;
    }
    return count;
}

/* Counts it. NETDEV_FULL: to be tried again. */
static NetDevSend send_one(VirtioNet *net, NetPair *pair, const VirtQueueElement *element, gsize *bytes)
{
    VnetHeader header;
    guint8 head[VNET_HEAD];
    PacketHeaders parsed = {0};
    struct iovec iov[MAX_SEGMENTS];
    if (element->out_bytes < sizeof header + ETHERNET_HEADER ||
        element->out_bytes > sizeof header + PACKET_MAX) {
        net->counters.tx_errors++;
        return NETDEV_DROPPED;
    }
    gsize length = element->out_bytes - sizeof header;
    gsize head_length = MIN(length, sizeof head);
    *bytes += length;
    virtqueue_element_read(element, 0, &header, sizeof header);
    virtqueue_element_read(element, sizeof header, head, head_length);
    if (!vnet_header_check(&header, net->virtio.driver_features, head, length, &parsed)) {
        net->counters.tx_errors++;
        return NETDEV_DROPPED;
    }
    if (!virtio_net_link(net)) {
        net->counters.tx_drops++;
        return NETDEV_DROPPED;
    }
    iov[0] = (struct iovec){&header, sizeof header};
    iov[1] = (struct iovec){head, head_length};
    guint count = 2;
    if (length > head_length) {
        guint more = segments_behind(element, sizeof header + head_length, iov + 2, MAX_SEGMENTS - 2);
        if (more == 0) {
            gsize rest = length - head_length;
            virtqueue_element_read(element, sizeof header + head_length, net->scratch, rest);
            iov[2] = (struct iovec){net->scratch, rest};
            more = 1;
        }
        count += more;
    }
    NetDevSend sent = netdev_send(net->netdev, pair->index, iov, count, length, &parsed);
    if (sent == NETDEV_SENT) {
        net->counters.tx_packets++;
        net->counters.tx_bytes += length;
    } else if (sent == NETDEV_DROPPED) {
        net->counters.tx_drops++;
    }
    return sent;
}

void virtio_net_send(VirtioNet *net, NetPair *pair)
{
    VirtioDevice *device = &net->virtio;
    guint index = virtio_net_tx_queue(pair);
    VirtQueue *ring = &device->queues[index].ring;
    guint packets = 0;
    gsize bytes = 0;
    if (pair->is_blocked || virtio_net_vhost_has(pair))
        return;
    virtqueue_stop_kicks(ring);
    while (device->running) {
        if (packets >= NET_BATCH_PACKETS || bytes >= NET_BATCH_BYTES) {
            virtio_device_kick(device, index);
            break;
        }
        packets++; /* tries too: a guest may take back what it showed */
        VirtQueueElement *element = g_steal_pointer(&pair->blocked);
        if (element == NULL)
            element = virtio_device_pop(device, index);
        if (element == NULL) {
            if (!virtqueue_want_kicks(ring))
                break;
            continue;
        }
        if (send_one(net, pair, element, &bytes) == NETDEV_FULL) {
            pair->blocked = element;
            pair->is_blocked = TRUE;
            break;
        }
        virtqueue_push(ring, element, 0);
    }
    if (net->netdev != NULL)
        netdev_flush(net->netdev, pair->index);
    virtio_device_notify(device, index);
}
