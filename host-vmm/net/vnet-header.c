// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/vnet-header.h"

#include <string.h>

/* A guest must not turn one packet into tens of thousands: no TCP has so small segments, and Linux cuts UDP
 * into 128 at most (UDP_MAX_SEGMENTS). */
#define MIN_TCP_GSO_SIZE 8u
#define MAX_UDP_SEGMENTS 128u

static gboolean has(guint64 features, guint bit)
{
    return (features & 1ull << bit) != 0;
}

/* What kind of packet a GSO type wants, and whether it was negotiated. */
static gboolean is_allowed(guint8 type, guint64 features, const PacketHeaders *parsed)
{
    switch (type) {
    case VNET_GSO_TCPV4:
        return has(features, VIRTIO_NET_F_HOST_TSO4) && parsed->protocol == IP_PROTO_TCP && !parsed->is_ipv6;
    case VNET_GSO_TCPV6:
        return has(features, VIRTIO_NET_F_HOST_TSO6) && parsed->protocol == IP_PROTO_TCP && parsed->is_ipv6;
    case VNET_GSO_UDP:
        return has(features, VIRTIO_NET_F_HOST_UFO) && parsed->protocol == IP_PROTO_UDP;
    case VNET_GSO_UDP_L4:
        return has(features, VIRTIO_NET_F_HOST_USO) && parsed->protocol == IP_PROTO_UDP;
    default:
        return FALSE;
    }
}

static gboolean check_gso(VnetHeader *header, guint64 features, const guint8 *head, gsize length,
                          PacketHeaders *parsed)
{
    guint8 type = header->gso_type & (guint8)~VNET_GSO_ECN;
    if (!packet_parse(head, MIN(length, VNET_HEAD), length, parsed) || !is_allowed(type, features, parsed))
        return FALSE;
    if ((header->gso_type & VNET_GSO_ECN) != 0 &&
        (parsed->protocol != IP_PROTO_TCP || !has(features, VIRTIO_NET_F_HOST_ECN)))
        return FALSE;
    /* The length fields of IP count from its header on. */
    if (length - parsed->l3 > G_MAXUINT16 || length <= parsed->payload)
        return FALSE;
    gsize payload = length - parsed->payload;
    if (parsed->protocol == IP_PROTO_TCP ? header->gso_size < MIN_TCP_GSO_SIZE
                                         : payload > (gsize)header->gso_size * MAX_UDP_SEGMENTS)
        return FALSE;
    /* Section 5.1.6.2: a GSO packet has its checksum left to us, and where it is is no choice. */
    if ((header->flags & VNET_NEEDS_CSUM) == 0 || header->csum_start != parsed->l4 ||
        header->csum_offset != (parsed->protocol == IP_PROTO_TCP ? 16 : 6))
        return FALSE;
    header->hdr_len = (guint16)parsed->payload;
    return TRUE;
}

gboolean vnet_header_check(VnetHeader *header, guint64 features, const guint8 *head, gsize length,
                           PacketHeaders *parsed)
{
    header->flags &= VNET_NEEDS_CSUM;
    header->num_buffers = 0;
    if (length < ETHERNET_HEADER || length > PACKET_MAX)
        return FALSE;
    if ((header->flags & VNET_NEEDS_CSUM) != 0) {
        if (!has(features, VIRTIO_NET_F_CSUM) || header->csum_start < ETHERNET_HEADER ||
            (gsize)header->csum_start + header->csum_offset + 2 > length)
            return FALSE;
    } else {
        header->csum_start = header->csum_offset = 0;
    }
    if (header->gso_type != VNET_GSO_NONE)
        return check_gso(header, features, head, length, parsed);
    header->gso_size = header->hdr_len = 0;
    return TRUE;
}
