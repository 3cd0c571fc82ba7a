// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-net through its registers and rings: its control queue, and many queues. */
#include <string.h>

#include "tests/device/net-rig.h"
#include "tests/check-run.h"

static guint8 set_mode(guint8 mode, guint8 on)
{
    return net_command(VIRTIO_NET_CTRL_RX, mode, &on, 1);
}

/* Whether a frame to this address comes through. */
static gboolean passes_vlan(const char *mac, int vlan)
{
    guint8 frame[64];
    guint64 before = net_counted().rx_packets;
    net_fill_frame(frame, sizeof frame, 1);
    for (guint i = 0; i < 6; i++)
        frame[i] = (guint8)g_ascii_strtoull(mac + 3 * i, NULL, 16);
    if (vlan >= 0) {
        packet_put16(frame + 12, 0x8100);
        packet_put16(frame + 14, (guint16)(0xe000 | vlan));
    }
    net_add_rx(128);
    net_kick(RX);
    fake_netdev_feed(netdev, 0, NULL, frame, sizeof frame);
    rig_settle();
    gboolean passed = net_counted().rx_packets > before;
    if (passed)
        driver_wait_used(driver, queue[RX], NULL);
    return passed;
}

static gboolean passes(const char *mac)
{
    return passes_vlan(mac, -1);
}

START_TEST (receive_modes) {
    net_set_up(CONTROL_FEATURES);
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
    ck_assert_uint_eq(net_counted().rx_drops, 6);
    net_tear_down();
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
    net_set_up(CONTROL_FEATURES);
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    g_autoptr(GByteArray) data = g_byte_array_new();
    put_table(data, 2, 2, 0x02);
    put_table(data, 64, 64, 0x33);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, data->len),
                      VIRTIO_NET_OK);
    ck_assert(passes("02:00:00:00:00:01"));
    ck_assert(!passes("02:00:00:00:00:02"));
    ck_assert(passes("33:00:00:00:00:3f"));
    ck_assert(!passes("33:00:00:00:00:40"));
    /* More than there is room for: all of that kind pass. */
    g_byte_array_set_size(data, 0);
    put_table(data, 0, 0, 0);
    put_table(data, 300, 300, 0x33);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, data->len),
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
        ck_assert_uint_eq(
            net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, data->len),
            VIRTIO_NET_ERR);
    }
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data->data, 7),
                      VIRTIO_NET_ERR);
    ck_assert(passes("33:99:00:00:00:01"));
    /* Another address of its own, until a reset. */
    const guint8 mac[] = {2, 0, 0, 0, 0, 9};
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6), VIRTIO_NET_OK);
    ck_assert(passes("02:00:00:00:00:09"));
    ck_assert(!passes("52:54:00:00:00:01"));
    ck_assert_uint_eq(net_config(5, 1), 9);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 5), VIRTIO_NET_ERR);
    net_start(CONTROL_FEATURES, 3);
    ck_assert_uint_eq(net_config(5, 1), 1);
    ck_assert(passes("02:00:00:00:00:77"));
    net_tear_down();
}
END_TEST

START_TEST (vlans) {
    guint16 vlan = 100;
    net_set_up(CONTROL_FEATURES);
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    ck_assert(passes("52:54:00:00:00:01"));
    ck_assert(!passes_vlan("52:54:00:00:00:01", 100));
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), VIRTIO_NET_OK);
    ck_assert(passes_vlan("52:54:00:00:00:01", 100));
    ck_assert(!passes_vlan("52:54:00:00:00:01", 101));
    ck_assert(!passes_vlan("02:00:00:00:00:77", 100));
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &vlan, 2), VIRTIO_NET_OK);
    ck_assert(!passes_vlan("52:54:00:00:00:01", 100));
    vlan = 4096;
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_VLAN, 2, &vlan, 2), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 1), VIRTIO_NET_ERR);
    net_tear_down();
    /* A driver that knows nothing of VLANs gets them all. */
    net_set_up(CONTROL_FEATURES & ~BIT(VIRTIO_NET_F_CTRL_VLAN));
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    ck_assert(passes_vlan("52:54:00:00:00:01", 100));
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), VIRTIO_NET_ERR);
    net_tear_down();
}
END_TEST

START_TEST (offloads_change) {
    net_set_up(CONTROL_FEATURES);
    guint64 both = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4), wanted = 0;
    ck_assert_uint_eq(state->offloads, both);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->offloads, 0);
    wanted = BIT(VIRTIO_NET_F_GUEST_CSUM);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->offloads, wanted);
    wanted = both | BIT(VIRTIO_NET_F_GUEST_TSO6); /* was not negotiated */
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_ERR);
    wanted = BIT(VIRTIO_NET_F_CSUM);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 8), VIRTIO_NET_ERR);
    wanted = both;
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &wanted, 7), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 1, &wanted, 8), VIRTIO_NET_ERR);
    ck_assert_uint_eq(state->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert_uint_eq(state->offloads, 0);
    net_tear_down();
}
END_TEST

START_TEST (bad_commands) {
    net_set_up(CONTROL_FEATURES);
    const guint8 on = 1;
    ck_assert_uint_eq(net_command(6, 0, &on, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(255, 255, &on, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(set_mode(6, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(set_mode(255, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_RX, 0, NULL, 0), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MAC, 2, &on, 1), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_ANNOUNCE, 1, NULL, 0), VIRTIO_NET_ERR);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_MQ, 0, "\1", 2), VIRTIO_NET_ERR); /* not negotiated */
    /* One byte is no command; no answer's place is no way to go on. */
    DriverBuffer short_one[] = {{driver_alloc(driver, 1), 1, FALSE}, {driver_alloc(driver, 1), 1, TRUE}};
    driver_add(driver, queue[CONTROL], short_one, 2);
    net_kick(CONTROL);
    driver_wait_used(driver, queue[CONTROL], NULL);
    ck_assert_uint_eq(*net_at(short_one[1].address, 1), VIRTIO_NET_ERR);
    driver_add(driver, queue[CONTROL], short_one, 1);
    net_kick(CONTROL);
    ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    net_start(CONTROL_FEATURES, 3);
    ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1), VIRTIO_NET_OK);
    net_tear_down();
}
END_TEST

START_TEST (filter_is_told) {
    net_set_up(CONTROL_FEATURES);
    guint16 vlan = 100;
    const guint8 table[] = {1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0};
    set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0);
    set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
    ck_assert_uint_eq(rig->events->len, 1); /* the second waits until somebody has looked */
    ck_assert_str_eq(rig->events->pdata[0],
                     "NIC_RX_FILTER_CHANGED "
                     "{\"name\":\"net0\",\"path\":\"/machine/peripheral/net0/virtio-backend\"}");
    net_command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2);
    net_command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof table);
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
    net_tear_down();
}
END_TEST

/* ---- many queues ---- */

#define MQ_FEATURES (CONTROL_FEATURES | BIT(VIRTIO_NET_F_MQ))

static guint8 use_pairs(guint16 count)
{
    return net_command_on(8, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &count, 2);
}

static gboolean receives_on(guint pair)
{
    guint8 frame[60];
    DriverBuffer buffer = {driver_alloc(driver, 128), 128, TRUE};
    net_fill_frame(frame, sizeof frame, 1);
    driver_add(driver, queue[2 * pair], &buffer, 1);
    net_kick(2 * pair);
    fake_netdev_feed(netdev, pair, NULL, frame, sizeof frame);
    rig_settle();
    gboolean got = driver_has_used(driver, queue[2 * pair]);
    if (got)
        driver_wait_used(driver, queue[2 * pair], NULL);
    return got;
}

START_TEST (queue_pairs) {
    net_create(",mq=on", 4, TRUE);
    ck_assert_uint_eq(state->queues_used, 1);
    net_start(MQ_FEATURES, 9);
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
    net_fill_frame(frame, sizeof frame, 4);
    net_add_tx_raw(5, &header, frame, sizeof frame);
    net_kick(5);
    net_check_sent(60, 4);
    ck_assert_uint_eq(use_pairs(1), VIRTIO_NET_OK);
    ck_assert_uint_eq(state->queues_used, 1);
    ck_assert(!state->queue[1].wanted && !state->queue[2].wanted);
    ck_assert_uint_eq(use_pairs(4), VIRTIO_NET_OK);
    /* A reset begins with one again. */
    net_start(MQ_FEATURES, 9);
    ck_assert(receives_on(0));
    ck_assert_uint_eq(state->queues_used, 1);
    net_tear_down();
}
END_TEST

START_TEST (a_driver_without_mq_finds_its_control_queue) {
    net_create(",mq=on", 4, TRUE);
    net_start(CONTROL_FEATURES, 3);
    ck_assert_uint_eq(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
    ck_assert(passes("52:54:00:00:00:01"));
    ck_assert(!passes("02:00:00:00:00:77"));
    net_add_tx(60, 1);
    net_kick(TX);
    net_check_sent(60, 1);
    net_tear_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-net-control");
    TCase *tcase = tcase_create("virtio-net-control");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, receive_modes);
    tcase_add_test(tcase, mac_tables);
    tcase_add_test(tcase, vlans);
    tcase_add_test(tcase, offloads_change);
    tcase_add_test(tcase, bad_commands);
    tcase_add_test(tcase, filter_is_told);
    tcase_add_test(tcase, queue_pairs);
    tcase_add_test(tcase, a_driver_without_mq_finds_its_control_queue);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
