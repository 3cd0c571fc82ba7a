// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets: where their headers are, checksums, vnet headers that a guest made up, segmentation and its
 * reverse. */
#include <string.h>

#include "host-vmm/net/coalesce.h"
#include "host-vmm/net/segment.h"
#include "tests/check-run.h"

#define ALL                                                                                                  \
    (1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |           \
     1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_UFO | 1ull << VIRTIO_NET_F_HOST_USO)
#define GUEST_TSO (1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6)

static guint8 *copy_of(const guint8 *data, gsize length)
{
    guint8 *copy = g_malloc(length);
    memcpy(copy, data, length);
    return copy;
}

typedef struct Frame {
    guint8 data[PACKET_MAX];
    gsize length;
    guint l3, l4, payload;
} Frame;

typedef struct Shape {
    gboolean is_ipv6, is_udp;
    guint vlans, extensions; /* IPv6 destination options of 8 bytes each */
    guint ip_options, tcp_options;
    gsize payload;
} Shape;

/* A packet that a guest would leave to us: no checksum but the pseudo header's sum. */
static void build(Frame *frame, const Shape *shape)
{
    guint8 *at = frame->data;
    memset(frame->data, 0, sizeof frame->data);
    for (guint i = 0; i < 12; i++)
        *at++ = (guint8)(0x50 + i);
    for (guint i = 0; i < shape->vlans; i++, at += 4) {
        packet_put16(at, i == 0 && shape->vlans == 2 ? 0x88a8 : 0x8100);
        packet_put16(at + 2, (guint16)(i + 5));
    }
    packet_put16(at, shape->is_ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
    at += 2;
    frame->l3 = (guint)(at - frame->data);
    guint8 protocol = shape->is_udp ? IP_PROTO_UDP : IP_PROTO_TCP;
    if (shape->is_ipv6) {
        at[0] = 0x60;
        at[6] = shape->extensions > 0 ? 60 : protocol;
        at[7] = 64;
        for (guint i = 8; i < 40; i++)
            at[i] = (guint8)(i * 3);
        at += 40;
        for (guint i = 0; i < shape->extensions; i++, at += 8)
            at[0] = i + 1 < shape->extensions ? 60 : protocol;
    } else {
        at[0] = (guint8)(0x45 + shape->ip_options);
        packet_put16(at + 4, 0x1000); /* id */
        at[6] = 0x40;                 /* do not fragment */
        at[8] = 64;
        at[9] = protocol;
        for (guint i = 12; i < 20; i++)
            at[i] = (guint8)(i * 5);
        at += 20 + 4 * shape->ip_options;
    }
    frame->l4 = (guint)(at - frame->data);
    packet_put16(at, 4000);
    packet_put16(at + 2, 80);
    if (shape->is_udp) {
        at += 8;
    } else {
        packet_put32(at + 4, 0xfffffff0); /* wraps within the packet */
        packet_put32(at + 8, 77);
        at[12] = (guint8)((5 + shape->tcp_options) << 4);
        at[13] = 0x98; /* CWR, PSH, ACK */
        packet_put16(at + 14, 5000);
        memset(at + 20, 1, 4 * shape->tcp_options);
        at += 20 + 4 * shape->tcp_options;
    }
    frame->payload = (guint)(at - frame->data);
    for (gsize i = 0; i < shape->payload; i++)
        at[i] = (guint8)(i * 7 + i / 256);
    frame->length = frame->payload + shape->payload;
    PacketHeaders headers = {
        .is_ipv6 = shape->is_ipv6, .protocol = protocol, .l3 = frame->l3, .l4 = frame->l4};
    packet_set_lengths(frame->data, &headers, frame->length);
    packet_set_ip_checksum(frame->data, &headers);
    guint16 sum =
        (guint16)~packet_fold(packet_pseudo_sum(frame->data, &headers, (guint32)(frame->length - frame->l4)));
    memcpy(frame->data + frame->l4 + (shape->is_udp ? 6 : 16), &sum, 2);
}

static VnetHeader gso_header(const Frame *frame, guint8 type, guint16 size)
{
    return (VnetHeader){.flags = VNET_NEEDS_CSUM,
                        .gso_type = type,
                        .gso_size = size,
                        .csum_start = (guint16)frame->l4,
                        .csum_offset = type == VNET_GSO_UDP || type == VNET_GSO_UDP_L4 ? 6 : 16};
}

/* The checksum as RFC 1071 has it, one word after the other. */
static guint16 reference_sum(const guint8 *data, gsize length, guint32 sum)
{
    for (gsize i = 0; i < length; i += 2)
        sum += (guint32)data[i] << 8 | (i + 1 < length ? data[i + 1] : 0);
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (guint16)~sum;
}

/* All checksums and lengths of a finished packet. */
static void check_finished(const guint8 *frame, gsize length, PacketHeaders *headers)
{
    ck_assert(packet_parse(frame, length, length, headers));
    const guint8 *ip = frame + headers->l3;
    gsize part = length - headers->l4;
    guint32 pseudo = (guint32)(headers->protocol + part);
    if (headers->is_ipv6) {
        ck_assert_uint_eq(packet_get16(ip + 4), length - headers->l3 - 40);
        for (guint i = 8; i < 40; i += 2)
            pseudo += packet_get16(ip + i);
    } else {
        ck_assert_uint_eq(packet_get16(ip + 2), length - headers->l3);
        ck_assert_uint_eq(reference_sum(ip, headers->l4 - headers->l3, 0), 0);
        for (guint i = 12; i < 20; i += 2)
            pseudo += packet_get16(ip + i);
    }
    if (headers->protocol == IP_PROTO_UDP)
        ck_assert_uint_eq(packet_get16(frame + headers->l4 + 4), part);
    ck_assert_uint_eq(reference_sum(frame + headers->l4, part, pseudo), 0);
}

/* ---- checksums ---- */

START_TEST (sums_are_those_of_the_rfc) {
    guint8 data[1500];
    for (guint i = 0; i < sizeof data; i++)
        data[i] = (guint8)(i * 31 + i / 7);
    for (gsize offset = 0; offset < 5; offset++) {
        for (gsize length = 0; length < 200; length++) {
            guint16 got = packet_fold(packet_sum(data + offset, length, 0));
            guint16 wanted = reference_sum(data + offset, length, 0);
            ck_assert_uint_eq(packet_get16((guint8 *)&got), wanted);
        }
    }
    memset(data, 0xff, sizeof data);
    ck_assert_uint_eq(packet_fold(packet_sum(data, sizeof data, 0)), 0);
    g_autofree guint8 *much = g_malloc(PACKET_MAX);
    memset(much, 0xff, PACKET_MAX);
    ck_assert_uint_eq(packet_fold(packet_sum(much, PACKET_MAX - 1, 0)), 0);
    /* In two parts. */
    guint16 whole = packet_fold(packet_sum(much, 100, 0));
    guint16 parts = packet_fold(packet_sum(much + 40, 60, packet_sum(much, 40, 0)));
    ck_assert_uint_eq(whole, parts);
}
END_TEST

START_TEST (partial_checksums_are_completed) {
    static const Shape shapes[] = {
        {.payload = 100},
        {.payload = 101, .is_udp = TRUE},
        {.payload = 0},
        {.payload = 33, .is_ipv6 = TRUE},
        {.payload = 1, .is_ipv6 = TRUE, .is_udp = TRUE, .vlans = 1},
    };
    Frame frame;
    PacketHeaders headers;
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        build(&frame, &shapes[i]);
        VnetHeader header = gso_header(&frame, shapes[i].is_udp ? VNET_GSO_UDP : VNET_GSO_TCPV4, 0);
        header.gso_type = VNET_GSO_NONE;
        ck_assert(vnet_header_check(&header, ALL, frame.data, frame.length, &headers));
        segment_checksum(&header, frame.data, frame.length);
        check_finished(frame.data, frame.length, &headers);
    }
}
END_TEST

/* ---- headers ---- */

START_TEST (headers_are_found) {
    Frame frame;
    PacketHeaders headers;
    for (guint bits = 0; bits < 64; bits++) {
        Shape shape = {.is_ipv6 = bits & 1,
                       .is_udp = (bits & 2) != 0,
                       .vlans = bits >> 2 & 3,
                       .extensions = (bits & 1) != 0 ? bits >> 4 : 0,
                       .ip_options = (bits & 1) == 0 ? bits >> 4 : 0,
                       .tcp_options = (bits & 2) == 0 ? bits >> 4 : 0,
                       .payload = 50};
        if (shape.vlans == 3) {
            build(&frame, &shape);
            ck_assert(!packet_parse(frame.data, frame.length, frame.length, &headers));
            continue;
        }
        build(&frame, &shape);
        ck_assert(packet_parse(frame.data, frame.length, frame.length, &headers));
        ck_assert_uint_eq(headers.l3, frame.l3);
        ck_assert_uint_eq(headers.l4, frame.l4);
        ck_assert_uint_eq(headers.payload, frame.payload);
        ck_assert_uint_eq(headers.is_ipv6, shape.is_ipv6);
        ck_assert_uint_eq(headers.protocol, shape.is_udp ? IP_PROTO_UDP : IP_PROTO_TCP);
        /* Cut off anywhere, it is not one; and nothing is read behind the end (for the sanitizer to see). */
        for (gsize cut = 0; cut < frame.payload; cut++) {
            g_autofree guint8 *copy = copy_of(frame.data, MAX(cut, 1));
            ck_assert(!packet_parse(copy, cut, frame.length, &headers));
            ck_assert(!packet_parse(copy, MAX(cut, 1), cut, &headers));
        }
    }
}
END_TEST

START_TEST (what_is_no_tcp_or_udp_packet_is_refused) {
    Frame frame;
    PacketHeaders headers;
    const Shape v4 = {.payload = 50}, v6 = {.payload = 50, .is_ipv6 = TRUE, .extensions = 3};
    static const struct {
        gboolean is_ipv6;
        guint offset; /* from l3 */
        guint8 value;
    } changes[] = {
        {FALSE, 0, 0x65},  /* version 6 in an IPv4 packet */
        {FALSE, 0, 0x44},  /* header of 16 bytes */
        {FALSE, 0, 0x4f},  /* header beyond TCP's */
        {FALSE, 6, 0x20},  /* more fragments */
        {FALSE, 7, 1},     /* a later fragment */
        {FALSE, 9, 1},     /* ICMP */
        {FALSE, 32, 0x40}, /* TCP header of 16 bytes */
        {TRUE, 0, 0x45},   /* version 4 */
        {TRUE, 6, 44},     /* a fragment */
        {TRUE, 6, 58},     /* ICMPv6 */
        {TRUE, 41, 255},   /* an extension header that is longer than all */
    };
    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        build(&frame, changes[i].is_ipv6 ? &v6 : &v4);
        ck_assert(packet_parse(frame.data, frame.length, frame.length, &headers));
        frame.data[frame.l3 + changes[i].offset] = changes[i].value;
        if (changes[i].value == 0x4f) /* leaves too little for TCP in a frame this short */
            frame.length = frame.l3 + 60 + 19;
        ck_assert_msg(!packet_parse(frame.data, frame.length, frame.length, &headers), "change %u", i);
    }
    /* Extension headers without end. */
    Shape deep = {.payload = 10, .is_ipv6 = TRUE, .extensions = 9};
    build(&frame, &deep);
    ck_assert(!packet_parse(frame.data, frame.length, frame.length, &headers));
    build(&frame, &v4);
    packet_put16(frame.data + 12, ETHERTYPE_ARP);
    ck_assert(!packet_parse(frame.data, frame.length, frame.length, &headers));
}
END_TEST

/* ---- vnet headers ---- */

static gboolean accepts(const Frame *frame, VnetHeader header, guint64 features)
{
    PacketHeaders headers;
    g_autofree guint8 *head = copy_of(frame->data, MIN(MAX(frame->length, 1), VNET_HEAD));
    return vnet_header_check(&header, features, head, frame->length, &headers);
}

START_TEST (plain_frames) {
    Frame frame;
    const Shape shape = {.payload = 50};
    PacketHeaders headers;
    build(&frame, &shape);
    VnetHeader header = {
        .flags = 0xfe, .hdr_len = 9, .gso_size = 9, .csum_start = 9, .csum_offset = 9, .num_buffers = 9};
    ck_assert(vnet_header_check(&header, 0, frame.data, frame.length, &headers));
    VnetHeader none = {0};
    ck_assert_mem_eq(&header, &none, sizeof none);
    frame.length = 13;
    ck_assert(!accepts(&frame, none, ALL));
    frame.length = 14;
    ck_assert(accepts(&frame, none, ALL));
    frame.length = PACKET_MAX;
    ck_assert(accepts(&frame, none, ALL));
    frame.length = PACKET_MAX + 1;
    frame.data[0] = 0;
    ck_assert(!vnet_header_check(&none, ALL, frame.data, PACKET_MAX + 1, &headers));
}
END_TEST

START_TEST (checksum_offsets) {
    Frame frame;
    const Shape shape = {.payload = 50};
    build(&frame, &shape);
    VnetHeader header = {.flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
    ck_assert(accepts(&frame, header, ALL));
    ck_assert(!accepts(&frame, header, ALL & ~(1ull << VIRTIO_NET_F_CSUM)));
    header.csum_start = 13; /* within the Ethernet header */
    ck_assert(!accepts(&frame, header, ALL));
    header.csum_start = (guint16)(frame.length - 18);
    ck_assert(accepts(&frame, header, ALL));
    header.csum_start++;
    ck_assert(!accepts(&frame, header, ALL));
    header = (VnetHeader){.flags = VNET_NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 0xffff};
    ck_assert(!accepts(&frame, header, ALL));
    header.csum_start = 14;
    ck_assert(!accepts(&frame, header, ALL));
}
END_TEST

START_TEST (gso_headers) {
    Frame tcp4, tcp6, udp4;
    const Shape shape4 = {.payload = 5000}, shape6 = {.payload = 5000, .is_ipv6 = TRUE},
                shape_udp = {.payload = 5000, .is_udp = TRUE};
    build(&tcp4, &shape4);
    build(&tcp6, &shape6);
    build(&udp4, &shape_udp);
    VnetHeader good = gso_header(&tcp4, VNET_GSO_TCPV4, 1448), bad;
    PacketHeaders headers;
    VnetHeader checked = good;
    checked.hdr_len = 0xffff;
    ck_assert(vnet_header_check(&checked, ALL, tcp4.data, tcp4.length, &headers));
    ck_assert_uint_eq(checked.hdr_len, 54);
    ck_assert_uint_eq(headers.payload, 54);

    ck_assert(accepts(&tcp4, good, ALL));
    ck_assert(accepts(&tcp6, gso_header(&tcp6, VNET_GSO_TCPV6, 1428), ALL));
    ck_assert(accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP, 1480), ALL));
    ck_assert(accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP_L4, 1000), ALL));
    /* Each needs its own feature. */
    ck_assert(!accepts(&tcp4, good, ALL & ~(1ull << VIRTIO_NET_F_HOST_TSO4)));
    ck_assert(
        !accepts(&tcp6, gso_header(&tcp6, VNET_GSO_TCPV6, 1428), ALL & ~(1ull << VIRTIO_NET_F_HOST_TSO6)));
    ck_assert(!accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP, 1480), ALL & ~(1ull << VIRTIO_NET_F_HOST_UFO)));
    ck_assert(
        !accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP_L4, 1000), ALL & ~(1ull << VIRTIO_NET_F_HOST_USO)));
    /* The type is the packet's. */
    ck_assert(!accepts(&tcp4, gso_header(&tcp4, VNET_GSO_TCPV6, 1448), ALL));
    ck_assert(!accepts(&tcp6, gso_header(&tcp6, VNET_GSO_TCPV4, 1448), ALL));
    ck_assert(!accepts(&tcp4, gso_header(&tcp4, VNET_GSO_UDP_L4, 1448), ALL));
    ck_assert(!accepts(&udp4, gso_header(&udp4, VNET_GSO_TCPV4, 1448), ALL));
    ck_assert(!accepts(&tcp4, gso_header(&tcp4, 2, 1448), ALL));
    ck_assert(!accepts(&tcp4, gso_header(&tcp4, 0x7f, 1448), ALL));
    /* ECN is for TCP, and asked for. */
    bad = good;
    bad.gso_type |= VNET_GSO_ECN;
    ck_assert(accepts(&tcp4, bad, ALL));
    ck_assert(!accepts(&tcp4, bad, ALL & ~(1ull << VIRTIO_NET_F_HOST_ECN)));
    ck_assert(!accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP_L4 | VNET_GSO_ECN, 1000), ALL));
    ck_assert(!accepts(&tcp4, gso_header(&tcp4, VNET_GSO_ECN, 1000), ALL));
    /* Sizes that would make storms of packets. */
    bad = good;
    for (guint16 size = 0; size < 8; size++) {
        bad.gso_size = size;
        ck_assert(!accepts(&tcp4, bad, ALL));
    }
    ck_assert(!accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP_L4, 0), ALL));
    ck_assert(!accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP_L4, 39), ALL));
    ck_assert(accepts(&udp4, gso_header(&udp4, VNET_GSO_UDP_L4, 40), ALL));
    /* The checksum's place is no choice. */
    bad = good;
    bad.flags = 0;
    ck_assert(!accepts(&tcp4, bad, ALL));
    bad = good;
    bad.csum_start++;
    ck_assert(!accepts(&tcp4, bad, ALL));
    bad = good;
    bad.csum_offset = 6;
    ck_assert(!accepts(&tcp4, bad, ALL));
    /* No payload, not all headers, a frame that is no packet, more than IP can say. */
    tcp4.length = tcp4.payload;
    ck_assert(!accepts(&tcp4, good, ALL));
    tcp4.length = tcp4.payload - 1;
    ck_assert(!accepts(&tcp4, good, ALL));
    tcp4.length = ETHERNET_HEADER + 65535;
    ck_assert(accepts(&tcp4, good, ALL));
    tcp4.length++;
    ck_assert(!accepts(&tcp4, good, ALL));
    packet_put16(tcp4.data + 12, ETHERTYPE_ARP);
    tcp4.length = 5000;
    ck_assert(!accepts(&tcp4, good, ALL));
    /* Headers that reach beyond what is looked at. */
    Shape deep = {.payload = 5000, .is_ipv6 = TRUE, .extensions = 8};
    build(&tcp6, &deep);
    ck_assert(accepts(&tcp6, gso_header(&tcp6, VNET_GSO_TCPV6, 1000), ALL));
    tcp6.data[tcp6.l3 + 41] = 25; /* 200 bytes more */
    ck_assert(!accepts(&tcp6, gso_header(&tcp6, VNET_GSO_TCPV6, 1000), ALL));
}
END_TEST

START_TEST (random_headers_never_pass_what_is_not_there) {
    GRand *random = g_rand_new_with_seed(1);
    Frame frame;
    for (guint i = 0; i < 200000; i++) {
        guint8 head[VNET_HEAD];
        VnetHeader header;
        PacketHeaders headers;
        gsize length = (gsize)g_rand_int_range(random, 0, i % 2 != 0 ? 300 : 70000);
        if (i % 64 == 0) {
            Shape shape = {.is_ipv6 = g_rand_boolean(random),
                           .is_udp = g_rand_boolean(random),
                           .vlans = (guint)g_rand_int_range(random, 0, 3),
                           .payload = 100};
            build(&frame, &shape);
        }
        memcpy(head, frame.data, sizeof head);
        for (guint k = 0; k < 4; k++)
            head[g_rand_int_range(random, 12, 100)] = (guint8)g_rand_int(random);
        for (guint k = 0; k < sizeof header; k++)
            ((guint8 *)&header)[k] = (guint8)g_rand_int(random);
        header.flags &= 1;
        if (i % 3 != 0) {
            header.csum_start = (guint16)frame.l4;
            header.csum_offset = 16;
        }
        header.gso_type &= 0x87;
        if (!vnet_header_check(&header, ALL, head, length, &headers))
            continue;
        ck_assert_uint_ge(length, ETHERNET_HEADER);
        if ((header.flags & VNET_NEEDS_CSUM) != 0)
            ck_assert_uint_le((gsize)header.csum_start + header.csum_offset + 2, length);
        if (header.gso_type != VNET_GSO_NONE) {
            ck_assert_uint_lt(headers.payload, length);
            ck_assert_uint_le(headers.payload, VNET_HEAD);
            ck_assert_uint_gt(header.gso_size, 0);
        }
    }
    g_rand_free(random);
}
END_TEST

/* ---- segments ---- */

static void collect(const guint8 *frame, gsize length, gpointer user_data)
{
    g_ptr_array_add(user_data, g_bytes_new(frame, length));
}

static GPtrArray *cut(Frame *frame, guint8 type, guint16 size)
{
    GPtrArray *frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    VnetHeader header = gso_header(frame, type, size);
    PacketHeaders parsed;
    ck_assert(vnet_header_check(&header, ALL, frame->data, frame->length, &parsed));
    segment_packet(&header, &parsed, frame->data, frame->length, collect, frames);
    return frames;
}

/* Cuts and looks at each piece; puts them together again where that is possible. */
static void check_segments(const Shape *shape, guint8 type, guint16 size)
{
    Frame frame, original;
    build(&frame, shape);
    original = frame;
    g_autoptr(GPtrArray) frames = cut(&frame, type, size);
    gsize done = 0;
    ck_assert_uint_eq(frames->len, (shape->payload + size - 1) / size);
    for (guint i = 0; i < frames->len; i++) {
        gsize length;
        const guint8 *data = g_bytes_get_data(frames->pdata[i], &length);
        PacketHeaders headers;
        check_finished(data, length, &headers);
        ck_assert_uint_eq(headers.payload, original.payload);
        gsize part = length - headers.payload;
        ck_assert_uint_eq(part, MIN(size, shape->payload - done));
        ck_assert_mem_eq(data + headers.payload, original.data + original.payload + done, part);
        ck_assert_mem_eq(data, original.data, headers.l3); /* Ethernet, VLANs */
        if (!shape->is_ipv6)
            ck_assert_uint_eq(packet_get16(data + headers.l3 + 4), 0x1000 + i);
        if (!shape->is_udp) {
            const guint8 *tcp = data + headers.l4;
            gboolean is_last = i + 1 == frames->len;
            ck_assert_uint_eq(packet_get32(tcp + 4), (guint32)(0xfffffff0 + done));
            ck_assert_uint_eq(tcp[13] & 0x08, is_last ? 0x08 : 0);
            ck_assert_uint_eq(tcp[13] & 0x80, i == 0 ? 0x80 : 0);
            ck_assert_uint_eq(tcp[13] & 0x10, 0x10);
        }
        done += part;
    }
    ck_assert_uint_eq(done, shape->payload);
}

START_TEST (segments_are_whole_packets) {
    for (guint bits = 0; bits < 32; bits++) {
        Shape shape = {.is_ipv6 = bits & 1,
                       .is_udp = (bits & 2) != 0,
                       .vlans = bits >> 2 & 1,
                       .ip_options = (bits & 9) == 8,
                       .extensions = (bits & 9) == 9,
                       .tcp_options = (bits & 2) == 0 ? bits >> 4 & 1 : 0};
        guint8 type = shape.is_udp ? VNET_GSO_UDP_L4 : shape.is_ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
        static const gsize payloads[] = {1, 999, 1000, 1001, 1448, 30000, 65000};
        for (guint i = 0; i < G_N_ELEMENTS(payloads); i++) {
            shape.payload = payloads[i];
            check_segments(&shape, type, 1000);
            if (payloads[i] <= 1448) /* shorter than the headers that they are put before */
                check_segments(&shape, type, 12);
        }
    }
}
END_TEST

START_TEST (one_big_packet) {
    const Shape shapes[] = {
        {.payload = 65000}, {.payload = 65000, .is_ipv6 = TRUE}, {.payload = 9000, .is_udp = TRUE}};
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        Frame frame;
        PacketHeaders parsed;
        build(&frame, &shapes[i]);
        ck_assert(packet_parse(frame.data, frame.length, frame.length, &parsed));
        memset(frame.data + frame.l3 + (parsed.is_ipv6 ? 4 : 2), 0,
               2); /* what Linux leaves there is no promise */
        segment_complete(&parsed, frame.data, frame.length);
        check_finished(frame.data, frame.length, &parsed);
    }
}
END_TEST

START_TEST (no_udp_checksum_of_zero) {
    /* With a payload that makes it so. */
    const Shape shape = {.payload = 2, .is_udp = TRUE};
    Frame frame;
    PacketHeaders parsed;
    build(&frame, &shape);
    ck_assert(packet_parse(frame.data, frame.length, frame.length, &parsed));
    memset(frame.data + frame.payload, 0, 2);
    segment_complete(&parsed, frame.data, frame.length);
    memcpy(frame.data + frame.payload, frame.data + frame.l4 + 6, 2);
    segment_complete(&parsed, frame.data, frame.length);
    ck_assert_uint_eq(packet_get16(frame.data + frame.l4 + 6), 0xffff);
}
END_TEST

/* ---- and back ---- */

static guint8 *dup_bytes(GPtrArray *frames, guint index, gsize *length)
{
    const guint8 *data = g_bytes_get_data(frames->pdata[index], length);
    return copy_of(data, *length);
}

START_TEST (segments_become_one_packet_again) {
    for (guint is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
        Shape shape = {.payload = 20500, .is_ipv6 = is_ipv6, .tcp_options = 3};
        Frame frame, original;
        build(&frame, &shape);
        frame.data[frame.l4 + 13] = 0x18; /* PSH, ACK */
        original = frame;
        g_autoptr(GPtrArray) frames = cut(&frame, is_ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4, 1000);
        Coalesce coalesce = {.is_trusted = TRUE};
        gsize length, payload;
        g_autofree guint8 *first = dup_bytes(frames, 0, &length);
        GByteArray *whole = g_byte_array_new();
        ck_assert(!coalesce_begin(&coalesce, 0, first, length));
        ck_assert(coalesce_begin(&coalesce, GUEST_TSO, first, length));
        for (guint i = 1; i < frames->len; i++) {
            g_autofree guint8 *next = dup_bytes(frames, i, &length);
            ck_assert(coalesce_add(&coalesce, next, length, &payload));
            g_byte_array_append(whole, next + payload, (guint)(length - payload));
        }
        VnetHeader header = {0};
        coalesce_finish(&coalesce, &header);
        g_byte_array_prepend(whole, first, original.payload + 1000);
        ck_assert_uint_eq(whole->len, original.length);
        ck_assert_uint_eq(coalesce.length, original.length);
        ck_assert_mem_eq(whole->data, original.data, original.length);
        ck_assert_uint_eq(header.gso_size, 1000);
        ck_assert_uint_eq(header.hdr_len, original.payload);
        PacketHeaders parsed;
        ck_assert(vnet_header_check(&header, ALL, whole->data, whole->len, &parsed));
        g_byte_array_unref(whole);
    }
}
END_TEST

START_TEST (only_what_belongs_together_is_put_together) {
    const Shape shape = {.payload = 4000, .tcp_options = 3};
    Frame frame;
    build(&frame, &shape);
    frame.data[frame.l4 + 13] = 0x10;
    g_autoptr(GPtrArray) frames = cut(&frame, VNET_GSO_TCPV4, 1000);
    Coalesce coalesce = {.is_trusted = TRUE};
    gsize length, payload;
    g_autofree guint8 *first = dup_bytes(frames, 0, &length);
    static const struct {
        guint from_l3;
        guint8 value;
    } changes[] = {
        {1, 8},     /* service */
        {8, 1},     /* time to live */
        {16, 9},    /* another host */
        {20, 9},    /* another port */
        {24, 9},    /* not the next */
        {28, 9},    /* another acknowledgement */
        {33, 0x11}, /* FIN */
        {33, 0x30}, /* URG */
        {34, 9},    /* another window */
        {40, 8},    /* other options */
        {3, 0},     /* a length that is not the frame's */
    };
    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        gsize next_length;
        g_autofree guint8 *next = dup_bytes(frames, 1, &next_length);
        ck_assert(coalesce_begin(&coalesce, GUEST_TSO, first, length));
        next[frame.l3 + changes[i].from_l3] = changes[i].value;
        ck_assert_msg(!coalesce_add(&coalesce, next, next_length, &payload), "change %u", i);
    }
    /* Not in order, not twice, not after a short one, not without data. */
    gsize l1, l2;
    g_autofree guint8 *second = dup_bytes(frames, 1, &l1), *third = dup_bytes(frames, 2, &l2);
    ck_assert(coalesce_begin(&coalesce, GUEST_TSO, first, length));
    ck_assert(!coalesce_add(&coalesce, third, l2, &payload));
    ck_assert(coalesce_add(&coalesce, second, l1, &payload));
    ck_assert(!coalesce_add(&coalesce, second, l1, &payload));
    PacketHeaders parsed;
    ck_assert(packet_parse(third, l2, l2, &parsed));
    packet_set_lengths(third, &parsed, parsed.payload);
    ck_assert(!coalesce_add(&coalesce, third, parsed.payload, &payload));
    packet_set_lengths(third, &parsed, l2 - 1);
    ck_assert(coalesce_add(&coalesce, third, l2 - 1, &payload));
    ck_assert(coalesce.is_complete);
    g_autofree guint8 *fourth = dup_bytes(frames, 3, &l2);
    packet_put32(fourth + frame.l4 + 4, coalesce.next_sequence);
    ck_assert(!coalesce_add(&coalesce, fourth, l2, &payload));
    /* What cannot begin. */
    first[frame.l4 + 13] = 0x18;
    ck_assert(!coalesce_begin(&coalesce, GUEST_TSO, first, length));
    first[frame.l4 + 13] = 0x12;
    ck_assert(!coalesce_begin(&coalesce, GUEST_TSO, first, length));
    first[frame.l4 + 13] = 0x10;
    ck_assert(!coalesce_begin(&coalesce, 1ull << VIRTIO_NET_F_GUEST_TSO6, first, length));
}
END_TEST

START_TEST (broken_checksums_are_left_to_the_guest) {
    const Shape shape = {.payload = 3000};
    Frame frame;
    build(&frame, &shape);
    frame.data[frame.l4 + 13] = 0x10;
    g_autoptr(GPtrArray) frames = cut(&frame, VNET_GSO_TCPV4, 1000);
    gsize length, l1, payload;
    g_autofree guint8 *first = dup_bytes(frames, 0, &length), *second = dup_bytes(frames, 1, &l1);
    Coalesce coalesce = {0}, trusting = {.is_trusted = TRUE};
    ck_assert(coalesce_begin(&coalesce, GUEST_TSO, first, length));
    second[l1 - 1] ^= 1;
    ck_assert(!coalesce_add(&coalesce, second, l1, &payload));
    ck_assert(coalesce_begin(&trusting, GUEST_TSO, first, length));
    ck_assert(coalesce_add(&trusting, second, l1, &payload));
    second[l1 - 1] ^= 1;
    ck_assert(coalesce_add(&coalesce, second, l1, &payload));
    first[length - 1] ^= 1;
    ck_assert(!coalesce_begin(&coalesce, GUEST_TSO, first, length));
}
END_TEST

START_TEST (never_more_than_ip_can_say) {
    const Shape shape = {.payload = 65000};
    Frame frame;
    build(&frame, &shape);
    frame.data[frame.l4 + 13] = 0x10;
    g_autoptr(GPtrArray) frames = cut(&frame, VNET_GSO_TCPV4, 1000);
    Coalesce coalesce = {.is_trusted = TRUE};
    gsize length, payload;
    g_autofree guint8 *first = dup_bytes(frames, 0, &length);
    ck_assert(coalesce_begin(&coalesce, GUEST_TSO, first, length));
    guint added = 1;
    for (;; added++) {
        g_autofree guint8 *next = dup_bytes(frames, 1, &length);
        packet_put32(next + frame.l4 + 4, coalesce.next_sequence);
        if (!coalesce_add(&coalesce, next, length, &payload))
            break;
    }
    ck_assert_uint_eq(added, 65);
    ck_assert_uint_le(coalesce.length - frame.l3, 65535);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("net-packet");
    TCase *c = tcase_create("net-packet");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, sums_are_those_of_the_rfc);
    tcase_add_test(c, partial_checksums_are_completed);
    tcase_add_test(c, headers_are_found);
    tcase_add_test(c, what_is_no_tcp_or_udp_packet_is_refused);
    tcase_add_test(c, plain_frames);
    tcase_add_test(c, checksum_offsets);
    tcase_add_test(c, gso_headers);
    tcase_add_test(c, random_headers_never_pass_what_is_not_there);
    tcase_add_test(c, segments_are_whole_packets);
    tcase_add_test(c, one_big_packet);
    tcase_add_test(c, no_udp_checksum_of_zero);
    tcase_add_test(c, segments_become_one_packet_again);
    tcase_add_test(c, only_what_belongs_together_is_put_together);
    tcase_add_test(c, broken_checksums_are_left_to_the_guest);
    tcase_add_test(c, never_more_than_ip_can_say);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
