// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net-private: between virtio-net.c (the device), virtio-net-rx.c and -tx.c (its data),
 * virtio-net-vhost.c (its data in the kernel), virtio-net-control.c (its control queue) and
 * virtio-net-filter.c (which frames the driver wants).
 */
#pragma once

#include "host-vmm/net/netdev.h"
#include "host-vmm/virtio/virtio-net.h"
#include "host-vmm/virtio/virtio-pci.h"

#define NET_MAC         6u
#define NET_MAC_ENTRIES 64u /* as QEMU; a driver that wants more gets everything */
#define NET_VLANS       4096u

/* Work done before others get their turn. */
#define NET_BATCH_PACKETS 256u
#define NET_BATCH_BYTES   (4u << 20)

/* Segments of buffers at hand, of which some are given to the back end at a time (IOV_MAX is 1024, and header
 * and overflow come to them). */
#define NET_RX_SEGMENTS  1536u
#define NET_RX_AT_A_TIME 1000u

typedef struct NetFilter {
    gboolean promiscuous, all_multicast, all_unicast;
    gboolean no_multicast, no_unicast, no_broadcast;
    gboolean multicast_overflow, unicast_overflow; /* more than fits: all pass */
    guint unicast_count, multicast_count;
    guint8 unicast[NET_MAC_ENTRIES][NET_MAC], multicast[NET_MAC_ENTRIES][NET_MAC];
    guint32 vlans[NET_VLANS / 32];
} NetFilter;

typedef struct NetPairVhost NetPairVhost;

/* All under the device's lock. */
typedef struct NetPair {
    guint index;
    NetPairVhost *vhost; /* NULL: the back end has none */

    /* Buffers taken from the driver and not filled yet, in order, and where they are. iov[iov_start - 1] is
     * free: the header goes there. */
    VirtQueueElement *held[VIRTQUEUE_MAX_SIZE];
    guint held_start, held_count;
    struct iovec iov[1 + NET_RX_SEGMENTS + 1];
    guint iov_start, iov_count;
    gsize room;       /* bytes for frames in them */
    gboolean trimmed; /* the first one's room for the header is cut off iov */
    gsize wanted;     /* room to have before a packet is taken */
    /* A packet that was longer than the buffers at hand. */
    guint8 *late;
    gsize late_length;
    VnetHeader late_header;

    VirtQueueElement *blocked; /* taken; the back end could not */
    gboolean is_blocked;       /* until writable() */
} NetPair;

typedef struct VirtioNet {
    VirtioDevice virtio;
    VirtioPci *pci;
    guint max_pairs;
    guint8 permanent_mac[NET_MAC];
    char *id; /* for events; NULL: none */

    /* Under virtio.lock. */
    NetDev *
        netdev; /* NULL: none, or no more; used on the context's thread only, but for netdev_set_offloads() */
    gboolean link_up;
    guint pairs;            /* that the driver uses */
    gboolean pairs_changed; /* and the back end has not heard of it */
    guint64 offloads;       /* of VNET_GUEST_OFFLOADS: what the driver takes now */
    guint8 mac[NET_MAC];
    NetFilter filter;
    gboolean filter_told; /* of a change; nobody has asked since */
    gboolean filter_news; /* an event is due */
    VirtioNetCounters counters;
    NetPair *pair;   /* max_pairs of them */
    guint8 *scratch; /* PACKET_MAX bytes: what does not fit into the driver's buffers */
} VirtioNet;

static inline gboolean virtio_net_has(const VirtioNet *net, guint bit)
{
    return (net->virtio.driver_features & 1ull << bit) != 0;
}

/* Whether frames go through now. */
gboolean virtio_net_link(const VirtioNet *net);
/* Brings the configuration's status up to date. */
void virtio_net_update_status(VirtioNet *net, gboolean announce);
void virtio_net_set_mac(VirtioNet *net, const guint8 *mac);
/* The back end is told what the driver has chosen, on the context's thread. */
void virtio_net_apply_pairs(VirtioNet *net);

static inline guint virtio_net_rx_queue(const NetPair *pair)
{
    return 2 * pair->index;
}

static inline guint virtio_net_tx_queue(const NetPair *pair)
{
    return 2 * pair->index + 1;
}

/* With the lock held, on the context's thread. */
void virtio_net_receive(VirtioNet *net, NetPair *pair);
void virtio_net_send(VirtioNet *net, NetPair *pair);
void virtio_net_control(VirtioNet *net, guint index);

/* ---- vhost ---- */

/* At creation, and at the end. */
gboolean virtio_net_vhost_init(VirtioNet *net, GError **error);
void virtio_net_vhost_clear(VirtioNet *net);
/* What may be offered beside it. */
guint64 virtio_net_vhost_features(NetDev *netdev);
/* Whether the kernel has the pair's rings: nobody else may touch them. Lock held. */
gboolean virtio_net_vhost_has(const NetPair *pair);
/* Gives the kernel the pairs that it should have now, and takes back the others. Lock held, on the context's
 * thread. */
void virtio_net_vhost_sync(VirtioNet *net);
/* Takes all back. Lock held. */
void virtio_net_vhost_stop(VirtioNet *net);

/* With the lock held. */
void virtio_net_rx_reset(NetPair *pair);
void virtio_net_tx_reset(NetPair *pair);

void virtio_net_filter_reset(NetFilter *filter);
/* The driver will set up VLANs itself: none from now on. */
void virtio_net_filter_use_vlans(NetFilter *filter);
/* head: the frame's first bytes, at least an Ethernet header and, if that many are there, a VLAN tag. */
gboolean virtio_net_filter_passes(const NetFilter *filter, const guint8 *mac, const guint8 *head,
                                  gsize length);
#define NET_FILTER_HEAD 18u
void virtio_net_filter_describe(const NetFilter *filter, JsonObject *info);
