// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To the guest: packets go from the back end straight into the driver's buffers. Buffers are taken ahead, so
 * that the longest packet fits, and those that a short one leaves are the next one's.
 */
#include <string.h>

#include "host-vmm/virtio/virtio-net-private.h"

/* Room to have at first: an ordinary frame's. A longer one shows how much it takes. */
#define ORDINARY_ROOM 2048u

static VirtQueue *ring_of(VirtioNet *net, const NetPair *pair)
{
    return &net->virtio.queues[virtio_net_rx_queue(pair)].ring;
}

static gboolean is_mergeable(const VirtioNet *net)
{
    return virtio_net_has(net, VIRTIO_NET_F_MRG_RXBUF);
}

void virtio_net_rx_reset(NetPair *pair)
{
    for (guint i = 0; i < pair->held_count; i++)
        g_free(pair->held[pair->held_start + i]);
    pair->held_start = pair->held_count = 0;
    pair->iov_start = 1;
    pair->iov_count = 0;
    pair->room = 0;
    pair->trimmed = FALSE;
    pair->wanted = ORDINARY_ROOM;
    pair->late_length = 0;
}

/* ---- buffers ---- */

/* Makes room at the ends of the arrays for one more, of any size. */
static void compact(NetPair *pair)
{
    if (pair->held_start + pair->held_count == VIRTQUEUE_MAX_SIZE) {
        memmove(pair->held, pair->held + pair->held_start, pair->held_count * sizeof pair->held[0]);
        pair->held_start = 0;
    }
    if (pair->iov_start > 1 && pair->iov_start + pair->iov_count + VIRTQUEUE_MAX_SEGMENTS > NET_RX_SEGMENTS) {
        memmove(pair->iov + 1, pair->iov + pair->iov_start, pair->iov_count * sizeof pair->iov[0]);
        pair->iov_start = 1;
    }
}

/* The first buffer's header goes another way. */
static void trim(NetPair *pair)
{
    gsize header = sizeof(VnetHeader);
    if (pair->trimmed || pair->held_count == 0)
        return;
    for (guint i = pair->iov_start; header > 0; i++) {
        gsize part = MIN(header, pair->iov[i].iov_len);
        pair->iov[i].iov_base = (guint8 *)pair->iov[i].iov_base + part;
        pair->iov[i].iov_len -= part;
        header -= part;
    }
    pair->room -= sizeof(VnetHeader);
    pair->trimmed = TRUE;
}

/* Whether more would help. */
static gboolean is_short(const VirtioNet *net, const NetPair *pair)
{
    if (!is_mergeable(net))
        return pair->held_count == 0;
    return pair->room < pair->wanted && pair->iov_count + VIRTQUEUE_MAX_SEGMENTS <= NET_RX_SEGMENTS;
}

/* Takes buffers until there is room enough, or none is left. */
static void take_buffers(VirtioNet *net, NetPair *pair)
{
    while (is_short(net, pair)) {
        VirtQueueElement *element = virtio_device_pop(&net->virtio, virtio_net_rx_queue(pair));
        if (element == NULL)
            break;
        if (element->in_bytes <= sizeof(VnetHeader)) {
            g_free(element);
            virtio_device_fail(&net->virtio, "a receive buffer without room for a header and a frame");
            return;
        }
        compact(pair);
        pair->held[pair->held_start + pair->held_count++] = element;
        memcpy(pair->iov + pair->iov_start + pair->iov_count, element->in,
               element->in_count * sizeof(struct iovec));
        pair->iov_count += element->in_count;
        pair->room += element->in_bytes;
    }
    trim(pair);
}

/* Gives back the buffers that the frame of `length` bytes, which is in them already, takes. */
static void complete(VirtioNet *net, NetPair *pair, VnetHeader *header, gsize length)
{
    guint32 written[VIRTQUEUE_MAX_SIZE];
    VirtQueueElement **elements = pair->held + pair->held_start;
    guint count = 0;
    gsize left = length;
    do {
        gsize head = count == 0 ? sizeof *header : 0;
        gsize room = elements[count]->in_bytes - head;
        gsize part = MIN(room, left);
        written[count] = (guint32)(head + part);
        pair->room -= room;
        pair->iov_start += elements[count]->in_count;
        pair->iov_count -= elements[count]->in_count;
        left -= part;
        count++;
    } while (left > 0);
    header->num_buffers = (guint16)count;
    virtqueue_element_write(elements[0], 0, header, sizeof *header);
    pair->held_start += count;
    pair->held_count -= count;
    pair->trimmed = FALSE;
    virtqueue_push_many(ring_of(net, pair), elements, written, count);
    net->counters.rx_packets++;
    net->counters.rx_bytes += length;
}

/* ---- packets ---- */

/* Copies the first bytes of what iov holds; returns how many. */
static gsize peek(const struct iovec *iov, guint count, guint8 *to, gsize length)
{
    gsize done = 0;
    for (guint i = 0; i < count && done < length; i++) {
        gsize part = MIN(iov[i].iov_len, length - done);
        memcpy(to + done, iov[i].iov_base, part);
        done += part;
    }
    return done;
}

/* Counts the packet if the guest does not get it. iov: where it is. */
static gboolean is_wanted(VirtioNet *net, const struct iovec *iov, guint count, gsize length)
{
    guint8 head[NET_FILTER_HEAD];
    if (length < ETHERNET_HEADER) {
        net->counters.rx_errors++;
        return FALSE;
    }
    if (!virtio_net_link(net)) {
        net->counters.rx_drops++;
        return FALSE;
    }
    if (net->filter.promiscuous)
        return TRUE;
    gsize got = peek(iov, count, head, MIN(length, sizeof head));
    if (got >= ETHERNET_HEADER && virtio_net_filter_passes(&net->filter, net->mac, head, got))
        return TRUE;
    net->counters.rx_drops++;
    return FALSE;
}

/* Only what was negotiated may be in a header. */
static void mask_header(const VirtioNet *net, VnetHeader *header)
{
    if ((net->offloads & 1ull << VIRTIO_NET_F_GUEST_CSUM) == 0)
        header->flags &= (guint8)~VNET_DATA_VALID;
}

/* A packet that did not fit: it waits in `late` until there are buffers enough. */
static void keep_late(VirtioNet *net, NetPair *pair, const struct iovec *iov, guint count, gsize length,
                      const VnetHeader *header)
{
    if (pair->late == NULL)
        pair->late = g_malloc(PACKET_MAX);
    pair->late_length = peek(iov, count, pair->late, length);
    pair->late_header = *header;
    pair->wanted = MAX(pair->wanted, MIN(length, (gsize)PACKET_MAX) + sizeof *header);
}

/* FALSE: not yet. */
static gboolean deliver_late(VirtioNet *net, NetPair *pair)
{
    gsize length = pair->late_length, done = 0;
    take_buffers(net, pair);
    if (!net->virtio.running)
        return FALSE;
    if (length > pair->room || pair->held_count == 0) {
        /* No driver can give more than all it has. */
        if (pair->held_count < ring_of(net, pair)->size && is_short(net, pair))
            return FALSE;
        net->counters.rx_errors++;
        pair->late_length = 0;
        return TRUE;
    }
    for (guint i = pair->iov_start; done < length; i++) {
        gsize part = MIN(pair->iov[i].iov_len, length - done);
        memcpy(pair->iov[i].iov_base, pair->late + done, part);
        done += part;
    }
    complete(net, pair, &pair->late_header, length);
    pair->late_length = 0;
    return TRUE;
}

typedef enum { RECEIVED, NOTHING, NO_BUFFERS } Received;

static Received receive_one(VirtioNet *net, NetPair *pair, gsize *bytes)
{
    VnetHeader header;
    if (pair->late_length > 0)
        return deliver_late(net, pair) ? RECEIVED : NO_BUFFERS;
    take_buffers(net, pair);
    if (!net->virtio.running)
        return NOTHING;
    if (pair->held_count == 0)
        return NO_BUFFERS;

    struct iovec *iov = pair->iov + pair->iov_start - 1;
    guint count = is_mergeable(net) ? pair->iov_count : pair->held[pair->held_start]->in_count;
    gsize room = pair->room;
    if (count > NET_RX_AT_A_TIME) {
        for (guint i = NET_RX_AT_A_TIME; i < count; i++)
            room -= iov[1 + i].iov_len;
        count = NET_RX_AT_A_TIME;
    }
    iov[0] = (struct iovec){&header, sizeof header};
    struct iovec behind = iov[1 + count];
    iov[1 + count] = (struct iovec){net->scratch, PACKET_MAX};
    gssize got = netdev_receive(net->netdev, pair->index, iov, count + 2);
    gsize length = got > 0 ? (gsize)got : 0;
    gboolean wanted = length > 0 && is_wanted(net, iov + 1, count + 1, length);
    mask_header(net, &header);
    if (wanted && length > room) {
        if (is_mergeable(net))
            keep_late(net, pair, iov + 1, count + 1, MIN(length, (gsize)PACKET_MAX), &header);
        else
            net->counters.rx_errors++;
        wanted = FALSE;
    }
    iov[1 + count] = behind;
    *bytes += length;
    if (wanted)
        complete(net, pair, &header, length);
    return got > 0 ? RECEIVED : NOTHING;
}

void virtio_net_receive(VirtioNet *net, NetPair *pair)
{
    guint index = virtio_net_rx_queue(pair);
    VirtQueue *ring = ring_of(net, pair);
    guint packets = 0;
    gsize bytes = 0;
    if (net->netdev == NULL || virtio_net_vhost_has(pair))
        return;
    if (!net->virtio.running || !ring->enabled || pair->index >= net->pairs) {
        netdev_want_input(net->netdev, pair->index, FALSE);
        return;
    }
    netdev_want_input(net->netdev, pair->index, TRUE);
    virtqueue_stop_kicks(ring);
    while (packets < NET_BATCH_PACKETS && bytes < NET_BATCH_BYTES) {
        Received received = receive_one(net, pair, &bytes);
        if (received == NOTHING)
            break;
        packets++;
        if (received == RECEIVED)
            continue;
        /* Counted: a guest may take back what it showed. */
        if (virtqueue_want_kicks(ring)) {
            virtqueue_stop_kicks(ring);
            continue;
        }
        netdev_want_input(net->netdev, pair->index, FALSE);
        break;
    }
    virtio_device_notify(&net->virtio, index);
    if (packets >= NET_BATCH_PACKETS || bytes >= NET_BATCH_BYTES)
        virtio_device_kick(&net->virtio, index);
}
