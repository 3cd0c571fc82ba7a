// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/packet.h"

#include <string.h>

#define ETHERTYPE_AT   12u
#define ETHERTYPE_VLAN 0x8100u /* 802.1Q */
#define ETHERTYPE_QINQ 0x88a8u /* 802.1ad */
#define VLAN_TAG       4u
#define MAX_VLAN_TAGS  2

/* IPv4 (RFC 791). */
#define IPV4_HEADER      20u
#define IPV4_LENGTH      2u
#define IPV4_FRAGMENT    6u
#define IPV4_PROTOCOL    9u
#define IPV4_CHECKSUM    10u
#define IPV4_SOURCE      12u
#define IPV4_ADDRESSES   8u      /* both */
#define IPV4_IS_FRAGMENT 0x3fffu /* more to come, or an offset */

/* IPv6 (RFC 8200). */
#define IPV6_HEADER         40u
#define IPV6_LENGTH         4u
#define IPV6_NEXT_HEADER    6u
#define IPV6_SOURCE         8u
#define IPV6_ADDRESSES      32u
#define IPV6_HOP_BY_HOP     0u
#define IPV6_ROUTING        43u
#define IPV6_DESTINATION    60u
#define IPV6_MAX_EXTENSIONS 8

#define TCP_HEADER   20u
#define TCP_OFFSET   12u
#define TCP_CHECKSUM 16u
#define UDP_HEADER   8u
#define UDP_LENGTH   4u
#define UDP_CHECKSUM 6u

guint16 packet_get16(const guint8 *at)
{
    return (guint16)(at[0] << 8 | at[1]);
}

void packet_put16(guint8 *at, guint16 value)
{
    at[0] = (guint8)(value >> 8);
    at[1] = (guint8)value;
}

guint32 packet_get32(const guint8 *at)
{
    return (guint32)packet_get16(at) << 16 | packet_get16(at + 2);
}

void packet_put32(guint8 *at, guint32 value)
{
    packet_put16(at, (guint16)(value >> 16));
    packet_put16(at + 2, (guint16)value);
}

/* ---- where the headers are ---- */

static gboolean parse_ipv4(const guint8 *frame, gsize available, PacketHeaders *headers)
{
    const guint8 *ip = frame + headers->l3;
    if (available < headers->l3 + IPV4_HEADER || ip[0] >> 4 != 4)
        return FALSE;
    guint header = 4u * (ip[0] & 15u);
    if (header < IPV4_HEADER || (packet_get16(ip + IPV4_FRAGMENT) & IPV4_IS_FRAGMENT) != 0)
        return FALSE;
    headers->is_ipv6 = FALSE;
    headers->protocol = ip[IPV4_PROTOCOL];
    headers->l4 = headers->l3 + header;
    return TRUE;
}

static gboolean parse_ipv6(const guint8 *frame, gsize available, PacketHeaders *headers)
{
    const guint8 *ip = frame + headers->l3;
    if (available < headers->l3 + IPV6_HEADER || ip[0] >> 4 != 6)
        return FALSE;
    guint8 next = ip[IPV6_NEXT_HEADER];
    guint at = headers->l3 + IPV6_HEADER;
    for (guint i = 0; next == IPV6_HOP_BY_HOP || next == IPV6_ROUTING || next == IPV6_DESTINATION; i++) {
        if (i == IPV6_MAX_EXTENSIONS || at + 2 > available)
            return FALSE;
        next = frame[at];
        at += 8u * (frame[at + 1] + 1u);
    }
    headers->is_ipv6 = TRUE;
    headers->protocol = next;
    headers->l4 = at;
    return TRUE;
}

gboolean packet_parse(const guint8 *frame, gsize available, gsize length, PacketHeaders *headers)
{
    guint at = ETHERTYPE_AT;
    available = MIN(available, length);
    for (guint i = 0;; i++) {
        if (at + 2 > available)
            return FALSE;
        headers->ethertype = packet_get16(frame + at);
        if (headers->ethertype != ETHERTYPE_VLAN && headers->ethertype != ETHERTYPE_QINQ)
            break;
        if (i == MAX_VLAN_TAGS)
            return FALSE;
        at += VLAN_TAG;
    }
    headers->l3 = at + 2;
    gboolean is_ip = headers->ethertype == ETHERTYPE_IPV4   ? parse_ipv4(frame, available, headers)
                     : headers->ethertype == ETHERTYPE_IPV6 ? parse_ipv6(frame, available, headers)
                                                            : FALSE;
    if (!is_ip)
        return FALSE;
    if (headers->protocol == IP_PROTO_UDP) {
        headers->payload = headers->l4 + UDP_HEADER;
    } else if (headers->protocol == IP_PROTO_TCP && headers->l4 + TCP_HEADER <= available) {
        guint header = 4u * (frame[headers->l4 + TCP_OFFSET] >> 4);
        if (header < TCP_HEADER)
            return FALSE;
        headers->payload = headers->l4 + header;
    } else {
        return FALSE;
    }
    return headers->payload <= available;
}

/* ---- checksums ---- */

/* A sum of 16-bit words may be made of wider ones, for 2^16 is 1 modulo 0xffff. Four of them keep the
 * processor busy. */
guint64 packet_sum(const guint8 *data, gsize length, guint64 sum)
{
    guint64 a = 0, b = 0, c = 0, d = 0;
    for (; length >= 16; data += 16, length -= 16) {
        guint32 words[4];
        memcpy(words, data, sizeof words);
        a += words[0];
        b += words[1];
        c += words[2];
        d += words[3];
    }
    sum += (a & 0xffffffffu) + (a >> 32);
    sum += (b & 0xffffffffu) + (b >> 32);
    sum += (c & 0xffffffffu) + (c >> 32);
    sum += (d & 0xffffffffu) + (d >> 32);
    for (; length >= 2; data += 2, length -= 2) {
        guint16 word;
        memcpy(&word, data, sizeof word);
        sum += word;
    }
    if (length > 0)
        sum += data[0]; /* little-endian: the first byte of a word is the low one */
    return sum;
}

guint16 packet_fold(guint64 sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (guint16)~sum;
}

guint64 packet_pseudo_sum(const guint8 *frame, const PacketHeaders *headers, guint32 length)
{
    const guint8 *ip = frame + headers->l3;
    guint8 rest[8] = {0};
    packet_put32(rest, length);
    rest[7] = headers->protocol;
    guint64 sum = packet_sum(rest, sizeof rest, 0);
    return headers->is_ipv6 ? packet_sum(ip + IPV6_SOURCE, IPV6_ADDRESSES, sum)
                            : packet_sum(ip + IPV4_SOURCE, IPV4_ADDRESSES, sum);
}

void packet_set_l4_checksum(guint8 *frame, const PacketHeaders *headers, gsize length)
{
    guint8 *field = frame + headers->l4 + (headers->protocol == IP_PROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
    gsize part = length - headers->l4;
    memset(field, 0, 2);
    guint64 sum = packet_pseudo_sum(frame, headers, (guint32)part);
    guint16 checksum = packet_fold(packet_sum(frame + headers->l4, part, sum));
    /* Zero says that there is none (RFC 768). */
    if (checksum == 0 && headers->protocol == IP_PROTO_UDP)
        checksum = 0xffff;
    memcpy(field, &checksum, sizeof checksum);
}

void packet_set_ip_checksum(guint8 *frame, const PacketHeaders *headers)
{
    guint8 *ip = frame + headers->l3;
    if (headers->is_ipv6)
        return;
    memset(ip + IPV4_CHECKSUM, 0, 2);
    guint16 checksum = packet_fold(packet_sum(ip, 4u * (ip[0] & 15u), 0));
    memcpy(ip + IPV4_CHECKSUM, &checksum, sizeof checksum);
}

void packet_set_lengths(guint8 *frame, const PacketHeaders *headers, gsize length)
{
    guint8 *ip = frame + headers->l3;
    if (headers->is_ipv6)
        packet_put16(ip + IPV6_LENGTH, (guint16)(length - headers->l3 - IPV6_HEADER));
    else
        packet_put16(ip + IPV4_LENGTH, (guint16)(length - headers->l3));
    if (headers->protocol == IP_PROTO_UDP)
        packet_put16(frame + headers->l4 + UDP_LENGTH, (guint16)(length - headers->l4));
}
