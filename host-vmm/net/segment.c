// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/segment.h"

#include <string.h>

#define IPV4_ID      4u
#define TCP_SEQUENCE 4u
#define TCP_FLAGS    13u
#define TCP_FIN      0x01u
#define TCP_PSH      0x08u
#define TCP_CWR      0x80u

void segment_checksum(const VnetHeader *header, guint8 *frame, gsize length)
{
    guint8 *field = frame + header->csum_start + header->csum_offset;
    /* The driver has put the pseudo header's sum there. */
    guint16 checksum = packet_fold(packet_sum(frame + header->csum_start, length - header->csum_start, 0));
    /* The two forms of zero are the same to TCP, and UDP needs this one. */
    if (checksum == 0)
        checksum = 0xffff;
    memcpy(field, &checksum, sizeof checksum);
}

void segment_complete(const PacketHeaders *parsed, guint8 *frame, gsize length)
{
    packet_set_lengths(frame, parsed, length);
    packet_set_ip_checksum(frame, parsed);
    packet_set_l4_checksum(frame, parsed, length);
}

/* Headers of segment `index` of payload that begins `done` bytes into the whole. */
static void adapt_headers(guint8 *frame, const PacketHeaders *parsed, const guint8 *headers, guint index,
                          gsize done, gboolean is_last)
{
    memcpy(frame, headers, parsed->payload);
    if (!parsed->is_ipv6) {
        guint8 *id = frame + parsed->l3 + IPV4_ID;
        packet_put16(id, (guint16)(packet_get16(id) + index));
    }
    if (parsed->protocol != IP_PROTO_TCP)
        return;
    guint8 *tcp = frame + parsed->l4;
    packet_put32(tcp + TCP_SEQUENCE, packet_get32(tcp + TCP_SEQUENCE) + (guint32)done);
    if (!is_last)
        tcp[TCP_FLAGS] &= (guint8) ~(TCP_FIN | TCP_PSH);
    /* The sender's answer to congestion is said once (RFC 3168, section 6.1.2). */
    if (index > 0)
        tcp[TCP_FLAGS] &= (guint8)~TCP_CWR;
}

void segment_packet(const VnetHeader *header, const PacketHeaders *parsed, guint8 *frame, gsize length,
                    SegmentFunc func, gpointer user_data)
{
    guint8 headers[VNET_HEAD];
    memcpy(headers, frame, parsed->payload);
    gsize payload = length - parsed->payload;
    guint index = 0;
    /* Each segment is made where its payload lies: its headers overwrite payload that has gone already. */
    for (gsize done = 0; done < payload; done += header->gso_size, index++) {
        guint8 *segment = frame + done;
        gsize part = MIN(header->gso_size, payload - done);
        adapt_headers(segment, parsed, headers, index, done, done + part == payload);
        segment_complete(parsed, segment, parsed->payload + part);
        func(segment, parsed->payload + part, user_data);
    }
}
