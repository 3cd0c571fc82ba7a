// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/device/fake-netdev.h"

#include <string.h>

#include "host-vmm/net/netdev-private.h"

typedef struct FakeNet {
    NetDev parent;
    FakeNetState state;
} FakeNet;

FakeNetState *fake_netdev_state(NetDev *netdev)
{
    return &((FakeNet *)netdev)->state;
}

void fake_packet_free(FakePacket *packet)
{
    if (packet != NULL)
        g_free(packet->frame);
    g_free(packet);
}

static FakePacket *packet_new(const VnetHeader *header, gsize length)
{
    FakePacket *packet = g_new0(FakePacket, 1);
    if (header != NULL)
        packet->header = *header;
    packet->length = length;
    packet->frame = g_malloc(MAX(length, 1));
    return packet;
}

static gboolean fake_open(NetDev *netdev, OptSet *options, GError **error)
{
    FakeNetState *state = fake_netdev_state(netdev);
    guint64 queues = 1;
    netdev->is_vnet = TRUE;
    if (!optset_uint(options, "queues", 1, FAKE_NET_QUEUES, &queues, error) ||
        !optset_bool(options, "vnet", &netdev->is_vnet, error))
        return FALSE;
    netdev->queues = (guint)queues;
    netdev->features = netdev->is_vnet ? FAKE_NET_FEATURES : FAKE_NET_FEATURES & ~VNET_GUEST_OFFLOADS;
    state->room = G_MAXUINT;
    return TRUE;
}

static void fake_close(NetDev *netdev)
{
    FakeNetState *state = fake_netdev_state(netdev);
    for (guint i = 0; i < FAKE_NET_QUEUES; i++)
        g_queue_clear_full(&state->queue[i].input, (GDestroyNotify)fake_packet_free);
    g_queue_clear_full(&state->sent, (GDestroyNotify)fake_packet_free);
}

static void want_input(NetDev *netdev, guint queue, gboolean wanted)
{
    fake_netdev_state(netdev)->queue[queue].wanted = wanted;
}

static void set_offloads(NetDev *netdev, guint64 features)
{
    fake_netdev_state(netdev)->offloads = features;
}

static void use_queues(NetDev *netdev, guint count)
{
    fake_netdev_state(netdev)->queues_used = count;
}

static void flush(NetDev *netdev, guint queue)
{
    fake_netdev_state(netdev)->flushes++;
}

static gssize receive(NetDev *netdev, guint queue, struct iovec *iov, guint count)
{
    FakeNetState *state = fake_netdev_state(netdev);
    if (state->is_lost)
        return -1;
    FakePacket *packet = g_queue_pop_head(&state->queue[queue].input);
    if (packet == NULL)
        return 0;
    gsize length = packet->length, done = 0;
    memcpy(iov[0].iov_base, &packet->header, sizeof packet->header);
    for (guint i = 1; i < count; i++) {
        gsize part = MIN(iov[i].iov_len, length - done);
        memcpy(iov[i].iov_base, packet->frame + done, part);
        done += part;
    }
    g_assert_cmpuint(done, ==, length); /* it promised room */
    fake_packet_free(packet);
    return (gssize)length;
}

/* What a guest made must have been checked: with everything negotiated it passes once more, and does not
 * change. */
static void check_header(const struct iovec *iov, gsize length)
{
    VnetHeader header = *(const VnetHeader *)iov[0].iov_base;
    PacketHeaders parsed;
    g_assert_cmpuint(iov[1].iov_len, ==, MIN(length, VNET_HEAD));
    g_assert_true(vnet_header_check(&header, FAKE_NET_FEATURES, iov[1].iov_base, length, &parsed));
    g_assert_cmpmem(&header, sizeof header, iov[0].iov_base, sizeof header);
}

static NetDevSend send_packet(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length)
{
    FakeNetState *state = fake_netdev_state(netdev);
    g_assert_cmpuint(count, <=, 1024);
    if (state->drop)
        return NETDEV_DROPPED;
    if (state->room == 0) {
        state->queue[queue].blocked = TRUE;
        return NETDEV_FULL;
    }
    if (state->room != G_MAXUINT)
        state->room--;
    if (netdev->is_vnet)
        check_header(iov, length);
    FakePacket *packet = packet_new(netdev->is_vnet ? iov[0].iov_base : NULL, length);
    gsize done = 0;
    for (guint i = netdev->is_vnet ? 1 : 0; i < count; i++) {
        g_assert_cmpuint(iov[i].iov_len, <=, length - done);
        memcpy(packet->frame + done, iov[i].iov_base, iov[i].iov_len);
        done += iov[i].iov_len;
    }
    g_assert_cmpuint(done, ==, length);
    g_queue_push_tail(&state->sent, packet);
    return NETDEV_SENT;
}

static const NetDevKind fake_kind = {
    .name = "fake",
    .description = "for tests",
    .size = sizeof(FakeNet),
    .open = fake_open,
    .close = fake_close,
    .want_input = want_input,
    .set_offloads = set_offloads,
    .use_queues = use_queues,
    .receive = receive,
    .send = send_packet,
    .flush = flush,
};

NetDev *fake_netdev_new(Rig *rig, const char *id, guint queues, gboolean is_vnet)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text =
        g_strdup_printf("fake,id=%s,queues=%u,vnet=%s", id, queues, is_vnet ? "on" : "off");
    g_autoptr(OptSet) options = optset_parse("-netdev", text, "type", &error);
    g_assert_nonnull(options);
    optset_ignore(options, "type");
    NetDev *netdev = netdev_set_add_kind(rig->env.netdevs, &fake_kind, options, &error);
    g_assert_no_error(error);
    return netdev;
}

void fake_netdev_feed(NetDev *netdev, guint queue, const VnetHeader *header, const void *frame, gsize length)
{
    FakeNetState *state = fake_netdev_state(netdev);
    FakePacket *packet = packet_new(header, length);
    memcpy(packet->frame, frame, length);
    g_queue_push_tail(&state->queue[queue].input, packet);
    if (state->queue[queue].wanted)
        netdev_readable(netdev, queue);
}

void fake_netdev_open(NetDev *netdev, guint room)
{
    FakeNetState *state = fake_netdev_state(netdev);
    state->room = room;
    for (guint i = 0; i < netdev->queues; i++) {
        if (!state->queue[i].blocked)
            continue;
        state->queue[i].blocked = FALSE;
        netdev_writable(netdev, i);
    }
}

FakePacket *fake_netdev_take(NetDev *netdev)
{
    return g_queue_pop_head(&fake_netdev_state(netdev)->sent);
}

void fake_netdev_set_carrier(NetDev *netdev, gboolean carrier)
{
    netdev_set_carrier(netdev, carrier);
}
