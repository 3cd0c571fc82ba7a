// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake-netdev: a back end that tests play: packets to receive are put in by hand, what was sent is kept.
 */
#pragma once

#include "tests/device/driver.h"

#define FAKE_NET_QUEUES 4

/* What tap offers at most. */
#define FAKE_NET_FEATURES                                                                                    \
    (VNET_GUEST_OFFLOADS | 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |                      \
     1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_UFO |        \
     1ull << VIRTIO_NET_F_HOST_USO)

typedef struct FakePacket {
    VnetHeader header;
    gsize length;
    guint8 *frame;
} FakePacket;

typedef struct FakeQueue {
    GQueue input; /* FakePacket */
    gboolean wanted;
    gboolean blocked; /* has said NETDEV_FULL */
} FakeQueue;

typedef struct FakeNetState {
    FakeQueue queue[FAKE_NET_QUEUES];
    GQueue sent; /* FakePacket, of all queues */
    guint room;  /* packets that it still takes; G_MAXUINT: any number */
    gboolean drop;
    guint64 offloads;
    guint queues_used;
    guint flushes;
    gboolean is_lost; /* receive() says -1 */
} FakeNetState;

/* Adds one to the rig; queues 1 to FAKE_NET_QUEUES. is_vnet FALSE: frames only, as a socket. */
NetDev *fake_netdev_new(Rig *rig, const char *id, guint queues, gboolean is_vnet);
FakeNetState *fake_netdev_state(NetDev *netdev);
/* A packet from outside; header NULL: all zero. Tells the NIC if it wants input. */
void fake_netdev_feed(NetDev *netdev, guint queue, const VnetHeader *header, const void *frame, gsize length);
/* Takes `room` more packets now. */
void fake_netdev_open(NetDev *netdev, guint room);
/* The oldest packet sent, or NULL; freed with fake_packet_free(). */
FakePacket *fake_netdev_take(NetDev *netdev);
void fake_packet_free(FakePacket *packet);
void fake_netdev_set_carrier(NetDev *netdev, gboolean carrier);
