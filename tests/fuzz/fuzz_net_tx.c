// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes what a guest's packet goes through before a back end gets it: the check of its vnet header, and what
 * is done in software. The input is the features that were negotiated (a byte), a length to stretch the frame
 * to (two bytes), the header, the frame.
 *
 * Whatever passes must be what it says: checksums within the frame, segments that are whole packets and
 * together carry all of the payload.
 */
#include <string.h>

#include "host-vmm/net/coalesce.h"
#include "host-vmm/net/segment.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define PREFIX (3 + sizeof(VnetHeader))

typedef struct Segments {
    const PacketHeaders *parsed;
    const guint8 *payload; /* of the original */
    gsize done;
    guint count;
} Segments;

static void check_segment(const guint8 *frame, gsize length, gpointer user_data)
{
    Segments *segments = user_data;
    PacketHeaders parsed;
    g_assert_true(packet_parse(frame, length, length, &parsed));
    g_assert_cmpuint(parsed.l4, ==, segments->parsed->l4);
    g_assert_cmpuint(parsed.payload, ==, segments->parsed->payload);
    gsize part = length - parsed.payload;
    g_assert_cmpint(memcmp(frame + parsed.payload, segments->payload + segments->done, part), ==, 0);
    segments->done += part;
    segments->count++;
    /* A sum over what has its own checksum in it is all ones. */
    guint64 sum = packet_pseudo_sum(frame, &parsed, (guint32)(length - parsed.l4));
    g_assert_cmpuint(packet_fold(packet_sum(frame + parsed.l4, length - parsed.l4, sum)), ==, 0);
}

static void try_gso(const VnetHeader *header, const PacketHeaders *parsed, guint8 *frame, gsize length)
{
    guint8 type = header->gso_type & (guint8)~VNET_GSO_ECN;
    g_autofree guint8 *original = g_malloc(length);
    memcpy(original, frame, length);
    if (type != VNET_GSO_UDP) {
        Segments segments = {.parsed = parsed, .payload = original + parsed->payload};
        segment_packet(header, parsed, frame, length, check_segment, &segments);
        g_assert_cmpuint(segments.done, ==, length - parsed->payload);
        g_assert_cmpuint(segments.count, <=, 65535 / 8 + 1);
        memcpy(frame, original, length);
    }
    segment_complete(parsed, frame, length);
    Segments whole = {.parsed = parsed, .payload = original + parsed->payload};
    check_segment(frame, length, &whole);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    if (size < PREFIX)
        return 0;
    guint64 features = (guint64)(data[0] & 1) << VIRTIO_NET_F_CSUM |
                       (guint64)(data[0] >> 1 & 1) << VIRTIO_NET_F_HOST_TSO4 |
                       (guint64)(data[0] >> 2 & 1) << VIRTIO_NET_F_HOST_TSO6 |
                       (guint64)(data[0] >> 3 & 1) << VIRTIO_NET_F_HOST_ECN |
                       (guint64)(data[0] >> 4 & 1) << VIRTIO_NET_F_HOST_UFO |
                       (guint64)(data[0] >> 5 & 1) << VIRTIO_NET_F_HOST_USO;
    gsize length = MAX(size - PREFIX, (gsize)packet_get16(data + 1));
    VnetHeader header;
    memcpy(&header, data + 3, sizeof header);
    /* Exactly as long as it is, for the sanitizer to see who reads on. */
    g_autofree guint8 *head = g_malloc(MAX(MIN(length, VNET_HEAD), 1));
    g_autofree guint8 *frame = g_malloc0(MAX(length, 1));
    memcpy(frame, data + PREFIX, size - PREFIX);
    memcpy(head, frame, MIN(length, VNET_HEAD));
    PacketHeaders parsed;
    if (!vnet_header_check(&header, features, head, length, &parsed))
        return 0;
    if (header.gso_type != VNET_GSO_NONE)
        try_gso(&header, &parsed, frame, length);
    else if ((header.flags & VNET_NEEDS_CSUM) != 0)
        segment_checksum(&header, frame, length);

    /* The same bytes from outside. */
    Coalesce coalesce = {.is_trusted = data[0] >> 6 & 1};
    gsize payload;
    VnetHeader made;
    if (coalesce_begin(&coalesce, VNET_GUEST_OFFLOADS, frame, length) &&
        coalesce_add(&coalesce, head, MIN(length, VNET_HEAD), &payload))
        coalesce_finish(&coalesce, &made);
    return 0;
}
