// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/coalesce.h"

#include <string.h>

#define IPV4_LENGTH   2u
#define IPV4_FRAGMENT 6u
#define IPV4_SOURCE   12u
#define IPV6_LENGTH   4u
#define IPV6_NEXT     6u
#define IPV6_HEADER   40u

#define TCP_SEQUENCE 4u
#define TCP_ACK      8u
#define TCP_FLAGS    13u
#define TCP_WINDOW   14u
#define TCP_CHECKSUM 16u
#define TCP_OPTIONS  20u
#define FLAG_PSH     0x08u
#define FLAG_ACK     0x10u

/* The end of the packet as IP says; a frame may have padding behind it. FALSE: they do not agree. */
static gboolean is_whole(const guint8 *frame, const PacketHeaders *parsed, gsize length)
{
    const guint8 *ip = frame + parsed->l3;
    gsize end = parsed->l3 + (parsed->is_ipv6 ? IPV6_HEADER + packet_get16(ip + IPV6_LENGTH)
                                              : packet_get16(ip + IPV4_LENGTH));
    return end == length;
}

static gboolean is_right(const Coalesce *self, const guint8 *frame, const PacketHeaders *parsed, gsize length)
{
    if (self->is_trusted)
        return TRUE;
    guint64 sum = packet_pseudo_sum(frame, parsed, (guint32)(length - parsed->l4));
    return packet_fold(packet_sum(frame + parsed->l4, length - parsed->l4, sum)) == 0;
}

gboolean coalesce_begin(Coalesce *self, guint64 features, guint8 *frame, gsize length)
{
    PacketHeaders *parsed = &self->parsed;
    if (!packet_parse(frame, length, length, parsed) || parsed->protocol != IP_PROTO_TCP ||
        parsed->payload > VNET_HEAD || !is_whole(frame, parsed, length))
        return FALSE;
    guint needed = parsed->is_ipv6 ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_GUEST_TSO4;
    guint8 flags = frame[parsed->l4 + TCP_FLAGS];
    /* The end of a burst, or anything but data, waits for nobody. */
    if ((features & 1ull << needed) == 0 || length == parsed->payload || flags != FLAG_ACK ||
        !is_right(self, frame, parsed, length))
        return FALSE;
    self->first = frame;
    self->segment = (guint)length - parsed->payload;
    self->next_sequence = packet_get32(frame + parsed->l4 + TCP_SEQUENCE) + self->segment;
    self->length = length;
    self->is_complete = FALSE;
    self->push = 0;
    return TRUE;
}

/* The same connection, acknowledgement, window, options and service. */
static gboolean is_alike(const Coalesce *self, const guint8 *frame)
{
    const PacketHeaders *at = &self->parsed;
    const guint8 *a = self->first, *b = frame;
#define SAME(from, count) (memcmp(a + (from), b + (from), (count)) == 0)
    if (!SAME(0, at->l3))
        return FALSE;
    if (at->is_ipv6) {
        if (!SAME(at->l3, IPV6_LENGTH) || !SAME(at->l3 + IPV6_NEXT, at->l4 - at->l3 - IPV6_NEXT))
            return FALSE;
    } else if (!SAME(at->l3, IPV4_LENGTH) || !SAME(at->l3 + IPV4_FRAGMENT, 4) ||
               !SAME(at->l3 + IPV4_SOURCE, at->l4 - at->l3 - IPV4_SOURCE)) {
        return FALSE;
    }
    return SAME(at->l4, TCP_SEQUENCE) && SAME(at->l4 + TCP_ACK, TCP_FLAGS - TCP_ACK) &&
           SAME(at->l4 + TCP_WINDOW, 2) && SAME(at->l4 + TCP_OPTIONS, at->payload - at->l4 - TCP_OPTIONS);
#undef SAME
}

gboolean coalesce_add(Coalesce *self, const guint8 *frame, gsize length, gsize *payload)
{
    PacketHeaders parsed;
    const PacketHeaders *first = &self->parsed;
    if (self->is_complete || !packet_parse(frame, length, length, &parsed) || parsed.l3 != first->l3 ||
        parsed.l4 != first->l4 || parsed.payload != first->payload || parsed.protocol != IP_PROTO_TCP ||
        !is_whole(frame, &parsed, length))
        return FALSE;
    gsize part = length - parsed.payload;
    guint8 flags = frame[parsed.l4 + TCP_FLAGS];
    if ((flags & (guint8)~FLAG_PSH) != FLAG_ACK || part == 0 || part > self->segment ||
        packet_get32(frame + parsed.l4 + TCP_SEQUENCE) != self->next_sequence ||
        self->length + part - first->l3 > G_MAXUINT16 || !is_alike(self, frame) ||
        !is_right(self, frame, &parsed, length))
        return FALSE;
    self->length += part;
    self->next_sequence += (guint32)part;
    self->push = flags & FLAG_PSH;
    self->is_complete = part < self->segment || self->push != 0;
    *payload = parsed.payload;
    return TRUE;
}

void coalesce_finish(Coalesce *self, VnetHeader *header)
{
    const PacketHeaders *parsed = &self->parsed;
    guint8 *tcp = self->first + parsed->l4;
    tcp[TCP_FLAGS] |= self->push;
    packet_set_lengths(self->first, parsed, self->length);
    packet_set_ip_checksum(self->first, parsed);
    /* The pseudo header's sum, as a driver would leave it (section 5.1.6.2). */
    guint16 sum =
        (guint16)~packet_fold(packet_pseudo_sum(self->first, parsed, (guint32)(self->length - parsed->l4)));
    memcpy(tcp + TCP_CHECKSUM, &sum, sizeof sum);
    *header = (VnetHeader){.flags = VNET_NEEDS_CSUM,
                           .gso_type = parsed->is_ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4,
                           .hdr_len = (guint16)parsed->payload,
                           .gso_size = (guint16)self->segment,
                           .csum_start = (guint16)parsed->l4,
                           .csum_offset = TCP_CHECKSUM};
}
