// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packet: where the headers of an Ethernet frame are, and the Internet checksum (RFC 1071).
 *
 * Frames are hostile: nothing is read beyond what is there.
 */
#pragma once

#include <gio/gio.h>

#define ETHERNET_HEADER 14u
#define ETHERTYPE_ARP   0x0806u
#define ETHERTYPE_IPV4  0x0800u
#define ETHERTYPE_IPV6  0x86ddu
#define IP_PROTO_TCP    6u
#define IP_PROTO_UDP    17u

/* The longest frame there is: an IP packet of 65535 bytes behind an Ethernet header and two VLAN tags. */
#define PACKET_MAX (ETHERNET_HEADER + 8u + 65535u)

typedef struct PacketHeaders {
    guint16 ethertype; /* behind VLAN tags */
    gboolean is_ipv6;
    guint8 protocol; /* IP_PROTO_TCP or IP_PROTO_UDP */
    guint l3;        /* offset of the IP header */
    guint l4;        /* of the TCP or UDP header */
    guint payload;   /* of what is behind it */
} PacketHeaders;

/* A TCP or UDP packet over IPv4 or IPv6, not a fragment, all headers of which lie in the first `available`
 * bytes of a frame of `length` bytes. IPv6 extension headers that do not concern hosts' reassembly are passed
 * over. FALSE: it is something else, or cut off. The IP header's length field is not looked at. */
gboolean packet_parse(const guint8 *frame, gsize available, gsize length, PacketHeaders *headers);

guint16 packet_get16(const guint8 *at); /* big-endian, as all in packets */
void packet_put16(guint8 *at, guint16 value);
guint32 packet_get32(const guint8 *at);
void packet_put32(guint8 *at, guint32 value);

/* Sum of 16-bit words as they lie in memory (the last one padded with zero), added to `sum`. */
guint64 packet_sum(const guint8 *data, gsize length, guint64 sum);
/* Folds and inverts it: to be stored by memcpy(), not as a big-endian number. */
guint16 packet_fold(guint64 sum);
/* The sum of the pseudo header of a packet whose TCP or UDP part has `length` bytes. */
guint64 packet_pseudo_sum(const guint8 *frame, const PacketHeaders *headers, guint32 length);
/* Computes a TCP or UDP checksum anew over what is there up to `length`, and an IPv4 header's. */
void packet_set_l4_checksum(guint8 *frame, const PacketHeaders *headers, gsize length);
void packet_set_ip_checksum(guint8 *frame, const PacketHeaders *headers);
/* Sets the length fields of the IP header (and of UDP's) for a frame that ends at `length`. */
void packet_set_lengths(guint8 *frame, const PacketHeaders *headers, gsize length);
