// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-net through its registers and rings, on a back end that the test plays. */
#include <string.h>

#include "host-vmm/virtio/virtio-net.h"
#include "tests/device/fake-netdev.h"
#include "tests/check-run.h"

#define DRIVER_BASE 0x100000
#define BIT(b)      (1ull << (b))
#define BASE        (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX))
#define USUAL                                                                                                \
    (BASE | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CSUM) |                      \
     BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX))
#define MERGEABLE      (USUAL | BIT(VIRTIO_NET_F_MRG_RXBUF))
#define HEADER         12u
#define RX             0u
#define TX             1u
#define CONTROL        2u
#define QUEUE_SIZE     64u
#define RX_MESSAGE     0x101u /* what driver_msix_enable() gives queue 0 */
#define CONFIG_MESSAGE 0x100u

static Rig *rig;
static Device *nic;
static NetDev *netdev;
static FakeNetState *state;
static Driver *driver;
static DriverQueue *queue[9];

static void create(const char *options, guint queues, gboolean is_vnet)
{
    g_autofree char *text =
        g_strdup_printf("virtio-net-pci,id=net0,netdev=n0,mac=52:54:00:00:00:01%s", options);
    rig = rig_new();
    netdev = fake_netdev_new(rig, "n0", queues, is_vnet);
    state = fake_netdev_state(netdev);
    nic = rig_device(rig, text);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
}

static void start(guint64 features, guint queues)
{
    ck_assert(driver_negotiate(driver, features));
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    for (guint i = 0; i < queues; i++)
        queue[i] = driver_setup_queue(driver, i, QUEUE_SIZE);
    driver_ok(driver);
    rig_settle();
}

static void set_up(guint64 features)
{
    create("", 1, TRUE);
    start(features, 3);
}

static void tear_down(void)
{
    g_free(driver);
    rig_free(rig);
}

static guint64 config(guint offset, guint size)
{
    return io_bus_read(rig->env.mmio, driver->config + offset, size);
}

static guint8 *at(guint64 address, gsize length)
{
    guint8 *host = guest_memory_range(rig->memory, address, length);
    ck_assert_ptr_nonnull(host);
    return host;
}

static VirtioNetCounters counted(void)
{
    VirtioNetCounters counters;
    virtio_net_counters(nic, &counters);
    return counters;
}

/* A frame to 52:54:00:00:00:01 whose bytes say what they are. */
static void fill_frame(guint8 *frame, gsize length, guint8 seed)
{
    static const guint8 head[14] = {0x52, 0x54, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
    for (gsize i = 0; i < length; i++)
        frame[i] = i < sizeof head ? head[i] : (guint8)(seed + i * 3 + i / 251);
}

static void feed(gsize length, guint8 seed)
{
    g_autofree guint8 *frame = g_malloc(MAX(length, 1));
    fill_frame(frame, length, seed);
    fake_netdev_feed(netdev, 0, NULL, frame, length);
}

static guint64 add_rx(guint32 length)
{
    DriverBuffer buffer = {driver_alloc(driver, length), length, TRUE};
    driver_add(driver, queue[RX], &buffer, 1);
    return buffer.address;
}

static void kick(guint index)
{
    driver_kick(driver, queue[index]);
    rig_settle();
}

/* Puts header and frame into one buffer; returns where. */
static guint64 add_tx_raw(guint index, const VnetHeader *header, const void *frame, guint32 length)
{
    DriverBuffer buffer = {driver_alloc(driver, HEADER + length), HEADER + length, FALSE};
    memcpy(at(buffer.address, HEADER + length), header, HEADER);
    if (length > 0)
        memcpy(at(buffer.address, HEADER + length) + HEADER, frame, length);
    driver_add(driver, queue[index], &buffer, 1);
    return buffer.address;
}

static void add_tx(guint32 length, guint8 seed)
{
    const VnetHeader header = {0};
    g_autofree guint8 *frame = g_malloc(MAX(length, 1));
    fill_frame(frame, length, seed);
    add_tx_raw(TX, &header, frame, length);
}

static void check_sent(gsize length, guint8 seed)
{
    g_autofree guint8 *frame = g_malloc(length);
    FakePacket *packet = fake_netdev_take(netdev);
    fill_frame(frame, length, seed);
    ck_assert_ptr_nonnull(packet);
    ck_assert_uint_eq(packet->length, length);
    ck_assert_mem_eq(packet->frame, frame, length);
    fake_packet_free(packet);
}

static void check_nothing_sent(void)
{
    ck_assert_ptr_null(fake_netdev_take(netdev));
}

/* The next received frame, which is in one buffer at `address`. */
static void check_received(guint64 address, gsize length, guint8 seed, guint16 buffers)
{
    g_autofree guint8 *frame = g_malloc(length);
    fill_frame(frame, length, seed);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), HEADER + length);
    ck_assert_uint_eq(driver_get16(driver, address + 10), buffers);
    ck_assert_mem_eq(at(address + HEADER, length), frame, length);
}

/* ---- what it offers ---- */

START_TEST (offers_what_the_back_end_can) {
    const guint64 own = BASE | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
                        BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
                        BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
                        BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
                        BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
    create("", 1, TRUE);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0x10411af4);
    ck_assert_uint_eq(rig_config_read(rig, 2, 8, 4) >> 8, 0x020000);
    ck_assert_uint_eq(driver_offered(driver), own | FAKE_NET_FEATURES);
    tear_down();

    create("", 1, FALSE);
    ck_assert_uint_eq(driver_offered(driver), own | (FAKE_NET_FEATURES & ~VNET_GUEST_OFFLOADS));
    tear_down();

    create(",csum=off,guest_csum=off", 1, TRUE);
    ck_assert_uint_eq(driver_offered(driver), own);
    tear_down();

    create(",gso=off,guest_tso4=off,mrg_rxbuf=off,event_idx=off,status=off", 1, TRUE);
    guint64 offered = driver_offered(driver);
    ck_assert_uint_eq(
        offered & (BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_UFO) |
                   BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                   BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_EVENT_IDX) |
                   BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE)),
        0);
    ck_assert_uint_ne(offered & BIT(VIRTIO_NET_F_CSUM), 0);
    tear_down();

    create(",ctrl_vq=off", 1, TRUE);
    ck_assert_uint_eq(
        driver_offered(driver) &
            (own & ~(BASE | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS))),
        0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 2);
    tear_down();
}
END_TEST

START_TEST (configuration) {
    create(",host_mtu=9000,speed=10000,duplex=full,rx_queue_size=1024,tx_queue_size=512", 4, TRUE);
    ck_assert_uint_eq(driver_offered(driver) &
                          (BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_SPEED_DUPLEX) | BIT(VIRTIO_NET_F_MQ)),
                      BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_SPEED_DUPLEX));
    ck_assert_mem_eq((guint64[]){config(VIRTIO_NET_CONFIG_MAC, 8)},
                     ((guint8[]){0x52, 0x54, 0, 0, 0, 1, 1, 0}), 8);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_MAX_PAIRS, 2), 1);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_MTU, 2), 9000);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_SPEED, 4), 10000);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_DUPLEX, 1), 1);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_SIZE, 4), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 3);
    static const guint sizes[] = {1024, 512, 64};
    for (guint i = 0; i < 3; i++) {
        driver_write(driver, VIRTIO_PCI_QUEUE_SELECT, 2, i);
        ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), sizes[i]);
    }
    tear_down();

    create(",mq=on", 4, TRUE);
    ck_assert_uint_ne(driver_offered(driver) & BIT(VIRTIO_NET_F_MQ), 0);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_MAX_PAIRS, 2), 4);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 9);
    tear_down();

    create(",mq=on", 1, TRUE); /* one queue is not many */
    ck_assert_uint_eq(driver_offered(driver) & BIT(VIRTIO_NET_F_MQ), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 3);
    tear_down();
}
END_TEST

static void refused(const char *options, const char *wanted)
{
    g_autoptr(GError) error = NULL;
    ck_assert_msg(rig_try_device(rig, options, &error) == NULL, "%s", options);
    ck_assert_msg(strstr(error->message, wanted) != NULL, "%s: %s", options, error->message);
    ck_assert_ptr_null(strchr(error->message, '\n'));
}

START_TEST (bad_options) {
    create("", 1, TRUE);
    fake_netdev_new(rig, "n1", 1, TRUE);
    refused("virtio-net-pci,netdev=nobody", "netdev=nobody: there is no netdev of this id");
    refused("virtio-net-pci,netdev=n0", "netdev 'n0' is already in use by device 'net0'");
    refused("virtio-net-pci,netdev=n1,mac=1:2:3:4:5:6", "mac=1:2:3:4:5:6: not the address of one card");
    refused("virtio-net-pci,netdev=n1,mac=53:54:00:00:00:01", "not the address of one card"); /* a group's */
    refused("virtio-net-pci,netdev=n1,mac=52:54:00:00:00:0g", "not the address of one card");
    refused("virtio-net-pci,netdev=n1,mac=52-54-00-00-00-01", "not the address of one card");
    refused("virtio-net-pci,netdev=n1,mac=52:54:00:00:00:01:02", "not the address of one card");
    refused("virtio-net-pci,netdev=n1,rx_queue_size=300", "rx_queue_size=300: must be a power of two");
    refused("virtio-net-pci,netdev=n1,tx_queue_size=128",
            "'tx_queue_size' must be a number from 256 to 1024");
    refused("virtio-net-pci,netdev=n1,host_mtu=67", "'host_mtu' must be a number from 68 to 65535");
    refused("virtio-net-pci,netdev=n1,duplex=both", "duplex=both: must be half or full");
    refused("virtio-net-pci,netdev=n1,csum=maybe", "'csum' must be on or off");
    refused("virtio-net-pci,netdev=n1,tx=timer", "tx=timer is not supported");
    refused("virtio-net-pci,netdev=n1,colour=red", "unknown property 'colour'");
    refused("virtio-net-pci,netdev=n1,addr=2", "already used by");
    /* n1 is free again after all that. */
    rig_device(rig, "virtio-net-pci,netdev=n1");
    tear_down();
}
END_TEST

START_TEST (macs_without_mac) {
    rig = rig_new();
    rig_device(rig, "virtio-net-pci");
    rig_device(rig, "virtio-net-pci");
    rig_assign(rig);
    driver = driver_new(rig, 3, DRIVER_BASE);
    ck_assert_mem_eq((guint64[]){config(VIRTIO_NET_CONFIG_MAC, 8)},
                     ((guint8[]){0x52, 0x54, 0, 0x12, 0x34, 0x57, 0, 0}), 8);
    tear_down();
}
END_TEST

/* ---- from the guest ---- */

START_TEST (sends_frames) {
    set_up(USUAL);
    add_tx(60, 1);
    add_tx(1514, 2);
    add_tx(14, 3);
    kick(TX);
    check_sent(60, 1);
    check_sent(1514, 2);
    check_sent(14, 3);
    for (guint i = 0; i < 3; i++)
        ck_assert_uint_eq(driver_wait_used(driver, queue[TX], NULL), 0);
    VirtioNetCounters counters = counted();
    ck_assert_uint_eq(counters.tx_packets, 3);
    ck_assert_uint_eq(counters.tx_bytes, 60 + 1514 + 14);
    ck_assert_uint_eq(counters.tx_errors + counters.tx_drops + counters.rx_packets, 0);
    ck_assert_uint_ge(state->flushes, 1);
    tear_down();
}
END_TEST

/* However the driver cuts header and frame into buffers. */
START_TEST (sends_from_scattered_buffers) {
    set_up(USUAL);
    guint8 whole[HEADER + 600] = {0};
    fill_frame(whole + HEADER, 600, 5);
    for (guint first = 1; first < 330; first += first < 30 ? 1 : 37) {
        DriverBuffer buffers[40];
        guint count = 0;
        for (guint done = 0; done < sizeof whole; count++) {
            guint32 part = (guint32)MIN(MAX(first, sizeof whole / 38), sizeof whole - done);
            if (done == 0)
                part = first;
            buffers[count] = (DriverBuffer){driver_alloc(driver, part), part, FALSE};
            memcpy(at(buffers[count].address, part), whole + done, part);
            done += part;
        }
        driver_add(driver, queue[TX], buffers, count);
        kick(TX);
        check_sent(600, 5);
        driver_wait_used(driver, queue[TX], NULL);
    }
    tear_down();
}
END_TEST

START_TEST (headers_go_along_if_they_are_good) {
    set_up(USUAL);
    guint8 frame[200];
    fill_frame(frame, sizeof frame, 1);
    VnetHeader header = {.flags = 0xff & ~VNET_NEEDS_CSUM, .num_buffers = 7};
    add_tx_raw(TX, &header, frame, sizeof frame);
    header = (VnetHeader){.flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
    add_tx_raw(TX, &header, frame, sizeof frame);
    header.csum_start = 190; /* beyond the end */
    add_tx_raw(TX, &header, frame, sizeof frame);
    header = (VnetHeader){
        .flags = VNET_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4, .csum_start = 34, .csum_offset = 16};
    add_tx_raw(TX, &header, frame, sizeof frame); /* segments of nothing, and no TCP */
    header = (VnetHeader){0};
    add_tx_raw(TX, &header, frame, 13);
    DriverBuffer no_header = {driver_alloc(driver, 11), 11, FALSE};
    driver_add(driver, queue[TX], &no_header, 1);
    DriverBuffer no_out = {driver_alloc(driver, 64), 64, TRUE};
    driver_add(driver, queue[TX], &no_out, 1);
    kick(TX);
    for (guint i = 0; i < 7; i++)
        driver_wait_used(driver, queue[TX], NULL);
    FakePacket *plain = fake_netdev_take(netdev), *partial = fake_netdev_take(netdev);
    ck_assert_ptr_nonnull(partial);
    VnetHeader zero = {0};
    ck_assert_mem_eq(&plain->header, &zero, sizeof zero);
    ck_assert_uint_eq(partial->header.flags, VNET_NEEDS_CSUM);
    ck_assert_uint_eq(partial->header.csum_start, 34);
    ck_assert_uint_eq(partial->header.csum_offset, 16);
    fake_packet_free(plain);
    fake_packet_free(partial);
    check_nothing_sent();
    ck_assert_uint_eq(counted().tx_errors, 5);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    tear_down();
}
END_TEST

START_TEST (too_long_frames_are_dropped) {
    set_up(USUAL);
    DriverBuffer buffer = {0x400000, HEADER + PACKET_MAX, FALSE};
    memset(at(buffer.address, buffer.length), 0, buffer.length);
    driver_add(driver, queue[TX], &buffer, 1);
    kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    FakePacket *packet = fake_netdev_take(netdev);
    ck_assert_uint_eq(packet->length, PACKET_MAX);
    fake_packet_free(packet);
    buffer.length++;
    driver_add(driver, queue[TX], &buffer, 1);
    buffer.length = RIG_RAM - 0x400000;
    driver_add(driver, queue[TX], &buffer, 1);
    kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    driver_wait_used(driver, queue[TX], NULL);
    check_nothing_sent();
    ck_assert_uint_eq(counted().tx_errors, 2);
    tear_down();
}
END_TEST

/* More segments than a system call takes: an indirect table of 1024. */
START_TEST (chains_of_a_thousand) {
    set_up(USUAL);
    guint64 table = driver_alloc(driver, 1024 * 16), bytes = driver_alloc(driver, 1024 * 16);
    fill_frame(at(bytes + HEADER, 1024 * 16 - HEADER), 1024 * 16 - HEADER, 9);
    for (guint i = 0; i < 1024; i++)
        driver_put_desc(driver, table, i, bytes + 16 * i, 16, i < 1023 ? 1 : 0, (guint16)(i + 1));
    driver_put_desc(driver, queue[TX]->desc, 0, table, 1024 * 16, 4, 0);
    driver_put16(driver, queue[TX]->avail + 4, 0);
    driver_put16(driver, queue[TX]->avail + 2, 1);
    kick(TX);
    check_sent(1024 * 16 - HEADER, 9);
    tear_down();
}
END_TEST

START_TEST (a_full_back_end_loses_nothing) {
    set_up(USUAL);
    fake_netdev_open(netdev, 2);
    for (guint8 i = 0; i < 10; i++)
        add_tx(100, i);
    kick(TX);
    check_sent(100, 0);
    check_sent(100, 1);
    check_nothing_sent();
    driver_wait_used(driver, queue[TX], NULL);
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert(!driver_has_used(driver, queue[TX])); /* the ring is what holds them */
    add_tx(100, 10);
    kick(TX);
    check_nothing_sent();
    fake_netdev_open(netdev, 3);
    rig_settle();
    for (guint8 i = 2; i < 5; i++)
        check_sent(100, i);
    check_nothing_sent();
    fake_netdev_open(netdev, G_MAXUINT);
    rig_settle();
    for (guint8 i = 5; i < 11; i++)
        check_sent(100, i);
    for (guint i = 0; i < 9; i++)
        driver_wait_used(driver, queue[TX], NULL);
    ck_assert_uint_eq(counted().tx_packets, 11);
    tear_down();
}
END_TEST

/* A batch ends, the rest follows without a further kick. */
START_TEST (long_queues_are_sent_to_their_end) {
    create(",tx_queue_size=1024", 1, TRUE);
    ck_assert(driver_negotiate(driver, USUAL));
    queue[TX] = driver_setup_queue(driver, TX, 1024);
    driver_ok(driver);
    for (guint i = 0; i < 1000; i++)
        add_tx(60, (guint8)i);
    driver_kick(driver, queue[TX]);
    rig_settle();
    for (guint i = 0; i < 1000; i++)
        check_sent(60, (guint8)i);
    check_nothing_sent();
    tear_down();
}
END_TEST

START_TEST (what_nobody_takes_is_dropped) {
    set_up(USUAL);
    state->drop = TRUE;
    add_tx(60, 1);
    kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert_uint_eq(counted().tx_drops, 1);
    tear_down();
}
END_TEST

/* A TCP packet of 4000 bytes of payload. */
static gsize fill_tcp(guint8 *frame)
{
    fill_frame(frame, 54 + 4000, 1);
    memset(frame + 14, 0, 40);
    packet_put16(frame + 12, ETHERTYPE_IPV4);
    frame[14] = 0x45;
    frame[23] = IP_PROTO_TCP;
    frame[46] = 5 << 4;
    return 54 + 4000;
}

START_TEST (segments_for_a_back_end_that_cannot) {
    create("", 1, FALSE);
    start(USUAL, 3);
    guint8 frame[54 + 4000];
    gsize length = fill_tcp(frame);
    VnetHeader header = {.flags = VNET_NEEDS_CSUM,
                         .gso_type = VNET_GSO_TCPV4,
                         .gso_size = 1000,
                         .csum_start = 34,
                         .csum_offset = 16};
    fake_netdev_open(netdev, 2);
    add_tx_raw(TX, &header, frame, (guint32)length);
    add_tx(60, 7);
    kick(TX);
    /* Two of four went; the packet is taken, its rest waits before the next one. */
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert(!driver_has_used(driver, queue[TX]));
    ck_assert_uint_eq(state->sent.length, 2);
    fake_netdev_open(netdev, 1);
    rig_settle();
    ck_assert_uint_eq(state->sent.length, 3);
    fake_netdev_open(netdev, G_MAXUINT);
    rig_settle();
    driver_wait_used(driver, queue[TX], NULL);
    for (guint i = 0; i < 4; i++) {
        FakePacket *packet = fake_netdev_take(netdev);
        PacketHeaders headers;
        ck_assert_uint_eq(packet->length, 1054);
        ck_assert(packet_parse(packet->frame, packet->length, packet->length, &headers));
        ck_assert_uint_eq(packet_get32(packet->frame + 38), 1000 * i);
        ck_assert_mem_eq(packet->frame + 54, frame + 54 + 1000 * i, 1000);
        fake_packet_free(packet);
    }
    check_sent(60, 7);
    check_nothing_sent();
    tear_down();
}
END_TEST

/* ---- to the guest ---- */

START_TEST (receives_into_single_buffers) {
    set_up(USUAL);
    guint64 a = add_rx(1526), b = add_rx(1526);
    kick(RX);
    ck_assert(state->queue[0].wanted);
    feed(60, 1);
    feed(1514, 2);
    rig_settle();
    check_received(a, 60, 1, 1);
    check_received(b, 1514, 2, 1);
    ck_assert_uint_ge(rig_take_interrupts(rig, RX_MESSAGE), 1);
    VirtioNetCounters counters = counted();
    ck_assert_uint_eq(counters.rx_packets, 2);
    ck_assert_uint_eq(counters.rx_bytes, 60 + 1514);
    tear_down();
}
END_TEST

START_TEST (longer_than_a_single_buffer_is_lost) {
    set_up(USUAL);
    guint64 a = add_rx(HEADER + 100);
    kick(RX);
    feed(101, 1);
    feed(100, 2);
    rig_settle();
    check_received(a, 100, 2, 1);
    ck_assert_uint_eq(counted().rx_errors, 1);
    ck_assert_uint_eq(counted().rx_packets, 1);
    tear_down();
}
END_TEST

START_TEST (receives_over_many_buffers) {
    set_up(MERGEABLE);
    guint64 buffers[8];
    for (guint i = 0; i < 8; i++)
        buffers[i] = add_rx(200);
    kick(RX);
    feed(500, 1); /* 188 + 200 + 112 */
    feed(188, 2); /* just fits one */
    feed(189, 3); /* two */
    rig_settle();
    guint8 frame[500];
    fill_frame(frame, 500, 1);
    guint32 lengths[] = {200, 200, 112};
    gsize done = 0;
    ck_assert_uint_eq(driver_get16(driver, buffers[0] + 10), 3);
    for (guint i = 0; i < 3; i++) {
        guint head = i == 0 ? HEADER : 0;
        ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), lengths[i]);
        ck_assert_mem_eq(at(buffers[i] + head, lengths[i] - head), frame + done, lengths[i] - head);
        done += lengths[i] - head;
    }
    check_received(buffers[3], 188, 2, 1);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 200);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 1);
    ck_assert_uint_eq(driver_get16(driver, buffers[4] + 10), 2);
    ck_assert(!driver_has_used(driver, queue[RX]));
    tear_down();
}
END_TEST

/* Packets of 64 KiB over buffers of every size: nothing is lost, every byte is where it belongs. */
START_TEST (receives_the_biggest) {
    static const guint32 sizes[] = {1536, 4096, 65536 + HEADER, 13, 700};
    g_autofree guint8 *frame = g_malloc(65000);
    for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
        create(",rx_queue_size=1024", 1, TRUE);
        ck_assert(driver_negotiate(driver, MERGEABLE));
        queue[RX] = driver_setup_queue(driver, RX, 1024);
        driver_ok(driver);
        gsize length = sizes[s] == 13 ? 3000 : 65000;
        guint count = (guint)((length + HEADER + sizes[s] - 1) / sizes[s]);
        fill_frame(frame, length, 3);
        for (guint round = 0; round < 3; round++) {
            g_autofree guint64 *buffers = g_new(guint64, count);
            driver->next_free = 0x200000;
            for (guint i = 0; i < count; i++)
                buffers[i] = add_rx(sizes[s]);
            kick(RX);
            feed(length, 3);
            rig_settle();
            ck_assert_uint_eq(driver_get16(driver, buffers[0] + 10), count);
            gsize done = 0;
            for (guint i = 0; i < count; i++) {
                guint head = i == 0 ? HEADER : 0;
                guint32 used = driver_wait_used(driver, queue[RX], NULL);
                ck_assert_mem_eq(at(buffers[i], used) + head, frame + done, used - head);
                done += used - head;
            }
            ck_assert_uint_eq(done, length);
        }
        tear_down();
    }
}
END_TEST

START_TEST (a_long_packet_waits_for_buffers) {
    set_up(MERGEABLE);
    guint64 a = add_rx(200);
    kick(RX);
    feed(500, 1);
    feed(60, 2);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue[RX]));
    ck_assert(!state->queue[0].wanted);
    guint64 b = add_rx(200);
    kick(RX);
    ck_assert(!driver_has_used(driver, queue[RX]));
    add_rx(200);
    guint64 d = add_rx(200);
    kick(RX);
    guint8 frame[500];
    fill_frame(frame, 500, 1);
    ck_assert_uint_eq(driver_get16(driver, a + 10), 3);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 200);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 200);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 112);
    ck_assert_mem_eq(at(a + HEADER, 188), frame, 188);
    ck_assert_mem_eq(at(b, 200), frame + 188, 200);
    check_received(d, 60, 2, 1);
    ck_assert_uint_eq(counted().rx_errors, 0);
    tear_down();
}
END_TEST

START_TEST (a_packet_that_never_fits_is_lost) {
    set_up(MERGEABLE);
    for (guint i = 0; i < QUEUE_SIZE; i++)
        add_rx(100); /* 6400 bytes is all that there is */
    kick(RX);
    feed(7000, 1);
    feed(60, 2);
    rig_settle();
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), HEADER + 60);
    ck_assert_uint_eq(counted().rx_errors, 1);
    ck_assert_uint_eq(counted().rx_packets, 1);
    tear_down();
}
END_TEST

START_TEST (packets_wait_where_they_are) {
    set_up(MERGEABLE);
    ck_assert(!state->queue[0].wanted); /* no buffers yet */
    for (guint8 i = 0; i < 20; i++)
        feed(100, i);
    rig_settle();
    ck_assert_uint_eq(state->queue[0].input.length, 20);
    guint64 buffers[20];
    for (guint i = 0; i < 5; i++)
        buffers[i] = add_rx(HEADER + 100);
    kick(RX);
    ck_assert_uint_eq(state->queue[0].input.length, 15);
    ck_assert(!state->queue[0].wanted);
    for (guint i = 5; i < 20; i++)
        buffers[i] = add_rx(HEADER + 100);
    kick(RX);
    for (guint8 i = 0; i < 20; i++)
        check_received(buffers[i], 100, i, 1);
    tear_down();
}
END_TEST

START_TEST (long_inputs_are_received_to_their_end) {
    create(",rx_queue_size=1024", 1, TRUE);
    ck_assert(driver_negotiate(driver, USUAL));
    queue[RX] = driver_setup_queue(driver, RX, 1024);
    driver_ok(driver);
    g_autofree guint64 *buffers = g_new(guint64, 1000);
    for (guint i = 0; i < 1000; i++)
        buffers[i] = add_rx(128);
    for (guint i = 0; i < 1000; i++)
        feed(60, (guint8)i);
    driver_kick(driver, queue[RX]);
    rig_settle();
    for (guint i = 0; i < 1000; i++)
        check_received(buffers[i], 60, (guint8)i, 1);
    tear_down();
}
END_TEST

START_TEST (headers_arrive) {
    set_up(MERGEABLE | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
    ck_assert_uint_eq(state->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
    guint64 a = add_rx(300), b = add_rx(300);
    kick(RX);
    guint8 frame[60];
    fill_frame(frame, 60, 1);
    VnetHeader header = {VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 1000, 34, 16, 77};
    fake_netdev_feed(netdev, 0, &header, frame, 60);
    header = (VnetHeader){.flags = VNET_DATA_VALID};
    fake_netdev_feed(netdev, 0, &header, frame, 60);
    rig_settle();
    VnetHeader wanted = {VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 1000, 34, 16, 1};
    ck_assert_mem_eq(at(a, HEADER), &wanted, HEADER);
    ck_assert_uint_eq(*at(b, 1), VNET_DATA_VALID);
    tear_down();

    /* A driver that did not ask for it is told nothing about checksums. */
    set_up(MERGEABLE);
    ck_assert_uint_eq(state->offloads, 0);
    a = add_rx(300);
    kick(RX);
    fake_netdev_feed(netdev, 0, &header, frame, 60);
    rig_settle();
    ck_assert_uint_eq(*at(a, 1), 0);
    tear_down();
}
END_TEST

START_TEST (buffers_without_room_break_the_device) {
    static const guint32 sizes[] = {1, 11, 12};
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        set_up(MERGEABLE);
        add_rx(sizes[i]);
        kick(RX);
        ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
        ck_assert_uint_ge(rig_take_interrupts(rig, CONFIG_MESSAGE), 1);
        feed(60, 1); /* nobody takes it */
        rig_settle();
        start(MERGEABLE, 3);
        guint64 a = add_rx(300);
        kick(RX);
        check_received(a, 60, 1, 1);
        tear_down();
    }
}
END_TEST

START_TEST (garbage_from_outside) {
    set_up(MERGEABLE);
    guint64 a = add_rx(300);
    kick(RX);
    feed(1, 1);
    feed(13, 1);
    feed(14, 2);
    rig_settle();
    check_received(a, 14, 2, 1);
    ck_assert_uint_eq(counted().rx_errors, 2);
    state->is_lost = TRUE;
    add_rx(300);
    kick(RX);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    tear_down();
}
END_TEST

/* ---- control ---- */

#define CONTROL_FEATURES                                                                                     \
    (MERGEABLE | BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |                             \
     BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |                               \
     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4))

static guint8 command_on(guint index, guint8 class, guint8 command, const void *data, guint32 length)
{
    guint64 head = driver_alloc(driver, 2), body = driver_alloc(driver, length + 1),
            answer = driver_alloc(driver, 1);
    at(head, 2)[0] = class;
    at(head, 2)[1] = command;
    if (length > 0)
        memcpy(at(body, length), data, length);
    *at(answer, 1) = 0xee;
    DriverBuffer buffers[] = {{head, 2, FALSE}, {body, length, FALSE}, {answer, 1, TRUE}};
    if (length == 0)
        buffers[1] = buffers[2];
    driver_add(driver, queue[index], buffers, length == 0 ? 2 : 3);
    driver_kick(driver, queue[index]);
    ck_assert_uint_eq(driver_wait_used(driver, queue[index], NULL), 1);
    rig_settle();
    return *at(answer, 1);
}

static guint8 command(guint8 class, guint8 number, const void *data, guint32 length)
{
    return command_on(CONTROL, class, number, data, length);
}

static guint8 set_mode(guint8 mode, guint8 on)
{
    return command(VIRTIO_NET_CTRL_RX, mode, &on, 1);
}

/* Whether a frame to this address comes through. */
static gboolean passes_vlan(const char *mac, int vlan)
{
    guint8 frame[64];
    guint64 before = counted().rx_packets;
    fill_frame(frame, sizeof frame, 1);
    for (guint i = 0; i < 6; i++)
        frame[i] = (guint8)g_ascii_strtoull(mac + 3 * i, NULL, 16);
    if (vlan >= 0) {
        packet_put16(frame + 12, 0x8100);
        packet_put16(frame + 14, (guint16)(0xe000 | vlan));
    }
    add_rx(128);
    kick(RX);
    fake_netdev_feed(netdev, 0, NULL, frame, sizeof frame);
    rig_settle();
    gboolean passed = counted().rx_packets > before;
    if (passed)
        driver_wait_used(driver, queue[RX], NULL);
    return passed;
}

static gboolean passes(const char *mac)
{
    return passes_vlan(mac, -1);
}

START_TEST (receive_modes) {
    set_up(CONTROL_FEATURES);
    ck_assert(passes("02:00:00:00:00:77")); /* promiscuous until told otherwise */
    ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    ck_assert(passes("52:54:00:00:00:01"));
    ck_assert(passes("ff:ff:ff:ff:ff:ff"));
    ck_assert(!passes("02:00:00:00:00:77"));
    ck_assert(!passes("33:33:00:00:00:01"));
    set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
    ck_assert(passes("33:33:00:00:00:01"));
    ck_assert(!passes("02:00:00:00:00:77"));
    set_mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1);
    ck_assert(passes("02:00:00:00:00:77"));
    set_mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1);
    ck_assert(!passes("33:33:00:00:00:01"));
    ck_assert(passes("ff:ff:ff:ff:ff:ff"));
    set_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1);
    ck_assert(!passes("ff:ff:ff:ff:ff:ff"));
    set_mode(VIRTIO_NET_CTRL_RX_NOUNI, 1);
    ck_assert(!passes("52:54:00:00:00:01"));
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1);
    ck_assert(passes("52:54:00:00:00:01"));
    ck_assert_uint_eq(counted().rx_drops, 6);
    tear_down();
}
END_TEST

static void put_table(GByteArray *data, guint32 announced, guint32 count, guint8 first)
{
    g_byte_array_append(data, (const guint8 *)&announced, 4);
    for (guint32 i = 0; i < count; i++) {
        const guint8 mac[6] = {first, 0, 0, 0, (guint8)(i >> 8), (guint8)i};
        g_byte_array_append(data, mac, 6);
    }
}

START_TEST (mac_tables) {
    set_up(CONTROL_FEATURES);
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    g_autoptr(GByteArray) data = g_byte_array_new();
    put_table(data, 2, 2, 0x02);
    put_table(data, 64, 64, 0x33);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, data->len),
                      VIRTIO_NET_OK);
    ck_assert(passes("02:00:00:00:00:01"));
    ck_assert(!passes("02:00:00:00:00:02"));
    ck_assert(passes("33:00:00:00:00:3f"));
    ck_assert(!passes("33:00:00:00:00:40"));
    /* More than there is room for: all of that kind pass. */
    g_byte_array_set_size(data, 0);
    put_table(data, 0, 0, 0);
    put_table(data, 300, 300, 0x33);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, data->len),
                      VIRTIO_NET_OK);
    ck_assert(!passes("02:00:00:00:00:01"));
    ck_assert(passes("33:99:00:00:00:01"));
    /* Tables that are not all there change nothing. */
    static const guint32 announced[][2] = {
        {3, 0}, {0, 1}, {G_MAXUINT32, 0}, {0x2aaaaaab, 0}, {0, G_MAXUINT32}};
    for (guint i = 0; i < G_N_ELEMENTS(announced); i++) {
        g_byte_array_set_size(data, 0);
        put_table(data, announced[i][0], 0, 0x02);
        put_table(data, announced[i][1], 0, 0x33);
        ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, data->len),
                          VIRTIO_NET_ERR);
    }
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, 7),
                      VIRTIO_NET_ERR);
    ck_assert(passes("33:99:00:00:00:01"));
    /* Another address of its own, until a reset. */
    const guint8 mac[] = {2, 0, 0, 0, 0, 9};
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6), VIRTIO_NET_OK);
    ck_assert(passes("02:00:00:00:00:09"));
    ck_assert(!passes("52:54:00:00:00:01"));
    ck_assert_uint_eq(config(5, 1), 9);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 5), VIRTIO_NET_ERR);
    start(CONTROL_FEATURES, 3);
    ck_assert_uint_eq(config(5, 1), 1);
    ck_assert(passes("02:00:00:00:00:77"));
    tear_down();
}
END_TEST

START_TEST (vlans) {
    guint16 vlan = 100;
    set_up(CONTROL_FEATURES);
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    ck_assert(passes("52:54:00:00:00:01"));
    ck_assert(!passes_vlan("52:54:00:00:00:01", 100));
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), VIRTIO_NET_OK);
    ck_assert(passes_vlan("52:54:00:00:00:01", 100));
    ck_assert(!passes_vlan("52:54:00:00:00:01", 101));
    ck_assert(!passes_vlan("02:00:00:00:00:77", 100));
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &vlan, 2), VIRTIO_NET_OK);
    ck_assert(!passes_vlan("52:54:00:00:00:01", 100));
    vlan = 4096;
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_VLAN, 2, &vlan, 2), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 1), VIRTIO_NET_ERR);
    tear_down();
    /* A driver that knows nothing of VLANs gets them all. */
    set_up(CONTROL_FEATURES & ~BIT(VIRTIO_NET_F_CTRL_VLAN));
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    ck_assert(passes_vlan("52:54:00:00:00:01", 100));
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), VIRTIO_NET_ERR);
    tear_down();
}
END_TEST

START_TEST (offloads_change) {
    set_up(CONTROL_FEATURES);
    guint64 both = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4), wanted = 0;
    ck_assert_uint_eq(state->offloads, both);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->offloads, 0);
    wanted = BIT(VIRTIO_NET_F_GUEST_CSUM);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->offloads, wanted);
    wanted = both | BIT(VIRTIO_NET_F_GUEST_TSO6); /* was not negotiated */
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_ERR);
    wanted = BIT(VIRTIO_NET_F_CSUM);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_ERR);
    wanted = both;
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 7), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 1, &wanted, 8), VIRTIO_NET_ERR);
    ck_assert_uint_eq(state->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert_uint_eq(state->offloads, 0);
    tear_down();
}
END_TEST

START_TEST (bad_commands) {
    set_up(CONTROL_FEATURES);
    const guint8 on = 1;
    ck_assert_uint_eq(command(6, 0, &on, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(255, 255, &on, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(set_mode(6, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(set_mode(255, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_RX, 0, NULL, 0), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MAC, 2, &on, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_ANNOUNCE, 1, NULL, 0), VIRTIO_NET_ERR);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_MQ, 0, "\1", 2), VIRTIO_NET_ERR); /* not negotiated */
    /* One byte is no command; no answer's place is no way to go on. */
    DriverBuffer short_one[] = {{driver_alloc(driver, 1), 1, FALSE}, {driver_alloc(driver, 1), 1, TRUE}};
    driver_add(driver, queue[CONTROL], short_one, 2);
    kick(CONTROL);
    driver_wait_used(driver, queue[CONTROL], NULL);
    ck_assert_uint_eq(*at(short_one[1].address, 1), VIRTIO_NET_ERR);
    driver_add(driver, queue[CONTROL], short_one, 1);
    kick(CONTROL);
    ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    start(CONTROL_FEATURES, 3);
    ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1), VIRTIO_NET_OK);
    tear_down();
}
END_TEST

START_TEST (filter_is_told) {
    set_up(CONTROL_FEATURES);
    guint16 vlan = 100;
    const guint8 table[] = {1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0};
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
    ck_assert_uint_eq(rig->events->len, 1); /* the second waits until somebody has looked */
    ck_assert_str_eq(rig->events->pdata[0],
                     "NIC_RX_FILTER_CHANGED "
                     "{\"name\":\"net0\",\"path\":\"/machine/peripheral/net0/virtio-backend\"}");
    command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2);
    command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof table);
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, virtio_net_rx_filter(nic));
    g_autofree char *text = json_to_string(node, FALSE);
    ck_assert_str_eq(
        text,
        "{\"name\":\"net0\",\"main-mac\":\"52:54:00:00:00:01\",\"promiscuous\":false,\"multicast\":\"all\","
        "\"unicast\":\"normal\",\"vlan\":\"normal\",\"broadcast-allowed\":true,\"multicast-overflow\":false,"
        "\"unicast-overflow\":false,\"vlan-table\":[100],\"unicast-table\":[\"02:00:00:00:00:09\"],"
        "\"multicast-table\":[]}");
    set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 0);
    ck_assert_uint_eq(rig->events->len, 2);
    tear_down();
}
END_TEST

/* ---- many queues ---- */

#define MQ_FEATURES (CONTROL_FEATURES | BIT(VIRTIO_NET_F_MQ))

static guint8 use_pairs(guint16 count)
{
    return command_on(8, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &count, 2);
}

static gboolean receives_on(guint pair)
{
    guint8 frame[60];
    DriverBuffer buffer = {driver_alloc(driver, 128), 128, TRUE};
    fill_frame(frame, sizeof frame, 1);
    driver_add(driver, queue[2 * pair], &buffer, 1);
    kick(2 * pair);
    fake_netdev_feed(netdev, pair, NULL, frame, sizeof frame);
    rig_settle();
    gboolean got = driver_has_used(driver, queue[2 * pair]);
    if (got)
        driver_wait_used(driver, queue[2 * pair], NULL);
    return got;
}

START_TEST (queue_pairs) {
    create(",mq=on", 4, TRUE);
    ck_assert_uint_eq(state->queues_used, 1);
    start(MQ_FEATURES, 9);
    ck_assert(receives_on(0));
    ck_assert(!receives_on(1));
    ck_assert_uint_eq(use_pairs(3), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->queues_used, 3);
    ck_assert(driver_has_used(driver, queue[2])); /* what waited */
    driver_wait_used(driver, queue[2], NULL);
    ck_assert(receives_on(1));
    ck_assert(receives_on(2));
    ck_assert(!receives_on(3));
    ck_assert_uint_eq(use_pairs(0), VIRTIO_NET_ERR);
    ck_assert_uint_eq(use_pairs(5), VIRTIO_NET_ERR);
    ck_assert_uint_eq(state->queues_used, 3);
    const VnetHeader header = {0};
    guint8 frame[60];
    fill_frame(frame, sizeof frame, 4);
    add_tx_raw(5, &header, frame, sizeof frame);
    kick(5);
    check_sent(60, 4);
    ck_assert_uint_eq(use_pairs(1), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->queues_used, 1);
    ck_assert(!state->queue[1].wanted && !state->queue[2].wanted);
    ck_assert_uint_eq(use_pairs(4), VIRTIO_NET_OK);
    /* A reset begins with one again. */
    start(MQ_FEATURES, 9);
    ck_assert(receives_on(0));
    ck_assert_uint_eq(state->queues_used, 1);
    tear_down();
}
END_TEST

START_TEST (a_driver_without_mq_finds_its_control_queue) {
    create(",mq=on", 4, TRUE);
    start(CONTROL_FEATURES, 3);
    ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    ck_assert(passes("52:54:00:00:00:01"));
    ck_assert(!passes("02:00:00:00:00:77"));
    add_tx(60, 1);
    kick(TX);
    check_sent(60, 1);
    tear_down();
}
END_TEST

/* ---- link, resets, ends ---- */

START_TEST (link_goes_down_and_up) {
    set_up(CONTROL_FEATURES);
    add_rx(300);
    kick(RX);
    rig_take_interrupts(rig, CONFIG_MESSAGE);
    virtio_net_set_link(nic, FALSE);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, CONFIG_MESSAGE), 1);
    virtio_net_set_link(nic, FALSE);
    ck_assert_uint_eq(rig_take_interrupts(rig, CONFIG_MESSAGE), 0);
    feed(60, 1);
    add_tx(60, 1);
    kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    check_nothing_sent();
    ck_assert_uint_eq(counted().rx_drops, 1);
    ck_assert_uint_eq(counted().tx_drops, 1);
    /* The other end of the cable. */
    netdev_set_link(netdev, FALSE);
    virtio_net_set_link(nic, TRUE);
    rig_settle();
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    netdev_set_link(netdev, TRUE);
    rig_settle();
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0),
                      VIRTIO_NET_OK);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP);
    feed(60, 2);
    rig_settle();
    ck_assert(driver_has_used(driver, queue[RX]));
    /* And the back end's own. */
    fake_netdev_set_carrier(netdev, FALSE);
    rig_settle();
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    tear_down();

    set_up(USUAL); /* nobody is asked to announce who cannot */
    virtio_net_set_link(nic, FALSE);
    virtio_net_set_link(nic, TRUE);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP);
    tear_down();
}
END_TEST

START_TEST (blocked_packets_go_when_the_peer_goes) {
    set_up(USUAL);
    fake_netdev_open(netdev, 0);
    add_tx(60, 1);
    kick(TX);
    ck_assert(!driver_has_used(driver, queue[TX]));
    fake_netdev_set_carrier(netdev, FALSE);
    rig_settle();
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert_uint_eq(counted().tx_drops, 1);
    tear_down();
}
END_TEST

START_TEST (resets_in_flight) {
    set_up(MERGEABLE);
    for (guint round = 0; round < 5; round++) {
        fake_netdev_open(netdev, 0);
        add_tx(60, 1);
        add_tx(60, 2);
        kick(TX); /* one is held */
        add_rx(100);
        add_rx(100);
        kick(RX);
        feed(1000, 1); /* another waits for buffers */
        rig_settle();
        if (round % 2 == 0)
            rig_reset(rig);
        driver_msix_enable(driver);
        start(MERGEABLE, 3);
        fake_netdev_open(netdev, G_MAXUINT);
        rig_settle();
        check_nothing_sent();
        guint64 a = add_rx(1600);
        kick(RX);
        ck_assert(!driver_has_used(driver, queue[RX]));
        feed(500, 9);
        rig_settle();
        check_received(a, 500, 9, 1);
        add_tx(70, 5);
        kick(TX);
        check_sent(70, 5);
        driver->next_free = DRIVER_BASE;
    }
    tear_down();
}
END_TEST

START_TEST (the_back_end_is_removed) {
    set_up(CONTROL_FEATURES);
    fake_netdev_open(netdev, 0);
    add_tx(60, 1);
    kick(TX);
    add_rx(100);
    kick(RX);
    ck_assert(netdev_set_remove(rig->env.netdevs, "n0"));
    ck_assert(!netdev_set_remove(rig->env.netdevs, "n0"));
    rig_settle();
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    driver_wait_used(driver, queue[TX], NULL);
    add_tx(60, 2);
    kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    kick(RX);
    guint64 none = 0;
    ck_assert_uint_eq(command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &none, 8), VIRTIO_NET_OK);
    virtio_net_set_link(nic, FALSE);
    virtio_net_set_link(nic, TRUE);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    ck_assert_uint_eq(counted().tx_drops, 2);
    start(CONTROL_FEATURES, 3);
    tear_down();
}
END_TEST

START_TEST (a_card_without_a_back_end) {
    rig = rig_new();
    nic = rig_device(rig, "virtio-net-pci,id=net0");
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    start(BASE | BIT(VIRTIO_NET_F_STATUS), 2);
    ck_assert_uint_eq(config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    add_tx(60, 1);
    kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    add_rx(100);
    kick(RX);
    ck_assert_uint_eq(counted().tx_drops, 1);
    tear_down();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-net");
    TCase *c = tcase_create("virtio-net");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, offers_what_the_back_end_can);
    tcase_add_test(c, configuration);
    tcase_add_test(c, bad_options);
    tcase_add_test(c, macs_without_mac);
    tcase_add_test(c, sends_frames);
    tcase_add_test(c, sends_from_scattered_buffers);
    tcase_add_test(c, headers_go_along_if_they_are_good);
    tcase_add_test(c, too_long_frames_are_dropped);
    tcase_add_test(c, chains_of_a_thousand);
    tcase_add_test(c, a_full_back_end_loses_nothing);
    tcase_add_test(c, long_queues_are_sent_to_their_end);
    tcase_add_test(c, what_nobody_takes_is_dropped);
    tcase_add_test(c, segments_for_a_back_end_that_cannot);
    tcase_add_test(c, receives_into_single_buffers);
    tcase_add_test(c, longer_than_a_single_buffer_is_lost);
    tcase_add_test(c, receives_over_many_buffers);
    tcase_add_test(c, receives_the_biggest);
    tcase_add_test(c, a_long_packet_waits_for_buffers);
    tcase_add_test(c, a_packet_that_never_fits_is_lost);
    tcase_add_test(c, packets_wait_where_they_are);
    tcase_add_test(c, long_inputs_are_received_to_their_end);
    tcase_add_test(c, headers_arrive);
    tcase_add_test(c, buffers_without_room_break_the_device);
    tcase_add_test(c, garbage_from_outside);
    tcase_add_test(c, receive_modes);
    tcase_add_test(c, mac_tables);
    tcase_add_test(c, vlans);
    tcase_add_test(c, offloads_change);
    tcase_add_test(c, bad_commands);
    tcase_add_test(c, filter_is_told);
    tcase_add_test(c, queue_pairs);
    tcase_add_test(c, a_driver_without_mq_finds_its_control_queue);
    tcase_add_test(c, link_goes_down_and_up);
    tcase_add_test(c, blocked_packets_go_when_the_peer_goes);
    tcase_add_test(c, resets_in_flight);
    tcase_add_test(c, the_back_end_is_removed);
    tcase_add_test(c, a_card_without_a_back_end);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
