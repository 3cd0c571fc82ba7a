// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vnet-header: what goes with a packet between a NIC and its back end: virtio's own header (virtio 1.2,
 * section 5.1.6), which is Linux's vnet header of tap too, and the feature bits that say what may stand in
 * it.
 *
 * A packet whose header asks for nothing is an Ethernet frame as it goes over a wire (without its checksum).
 * One with VNET_NEEDS_CSUM has a TCP or UDP checksum that is still to be computed; one with a GSO type is a
 * TCP or UDP packet of up to 64 KiB that is still to be cut into segments of gso_size bytes of payload.
 */
#pragma once

#include "host-vmm/net/packet.h"

/* Little-endian, as this host is. */
typedef struct VnetHeader {
    guint8 flags;
    guint8 gso_type;
    guint16 hdr_len; /* a hint: bytes of all the headers of a GSO packet */
    guint16 gso_size;
    guint16 csum_start;  /* the checksum covers all from here on (offset in the frame) */
    guint16 csum_offset; /* and goes here, counted from csum_start */
    guint16 num_buffers; /* towards the guest only; the NIC sets it */
} VnetHeader;
G_STATIC_ASSERT(sizeof(VnetHeader) == 12);

#define VNET_NEEDS_CSUM 1u /* flags */
#define VNET_DATA_VALID 2u /* towards the guest: the checksum was checked */

#define VNET_GSO_NONE   0u /* gso_type */
#define VNET_GSO_TCPV4  1u
#define VNET_GSO_UDP    3u /* by IP fragmentation */
#define VNET_GSO_TCPV6  4u
#define VNET_GSO_UDP_L4 5u /* a datagram each */
#define VNET_GSO_ECN    0x80u

/* Feature bits (section 5.1.3) that are about packets; the rest is virtio-net.h's. HOST: what the driver may
 * send to us, GUEST: what it can receive. */
#define VIRTIO_NET_F_CSUM       0
#define VIRTIO_NET_F_GUEST_CSUM 1
#define VIRTIO_NET_F_GUEST_TSO4 7
#define VIRTIO_NET_F_GUEST_TSO6 8
#define VIRTIO_NET_F_GUEST_ECN  9
#define VIRTIO_NET_F_GUEST_UFO  10
#define VIRTIO_NET_F_HOST_TSO4  11
#define VIRTIO_NET_F_HOST_TSO6  12
#define VIRTIO_NET_F_HOST_ECN   13
#define VIRTIO_NET_F_HOST_UFO   14
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO   56

#define VNET_GUEST_OFFLOADS                                                                                  \
    (1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |   \
     1ull << VIRTIO_NET_F_GUEST_ECN | 1ull << VIRTIO_NET_F_GUEST_UFO | 1ull << VIRTIO_NET_F_GUEST_USO4 |     \
     1ull << VIRTIO_NET_F_GUEST_USO6)

/* Bytes at the beginning of a frame within which all headers of a GSO packet must lie. */
#define VNET_HEAD 256u

/* Checks what a guest has put in front of a frame of `length` bytes, of which the first MIN(length,
 * VNET_HEAD) are at `head`, and makes it what it should be: unknown flags are dropped, hdr_len is counted
 * anew. FALSE: the header asks for what was not negotiated (`features`: the driver's) or for what the frame
 * is not; the packet must not go on. *parsed is filled in for a GSO packet. */
gboolean vnet_header_check(VnetHeader *header, guint64 features, const guint8 *head, gsize length,
                           PacketHeaders *parsed);
