// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-net through its registers and rings: what it offers, its link, resets and ends. */
#include <string.h>

#include "tests/device/net-rig.h"
#include "tests/check-run.h"

/* ---- what it offers ---- */

START_TEST (offers_what_the_back_end_can) {
    const guint64 own = BASE | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
                        BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
                        BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
                        BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
                        BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
    net_create("", 1, TRUE);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0x10411af4);
    ck_assert_uint_eq(rig_config_read(rig, 2, 8, 4) >> 8, 0x020000);
    ck_assert_uint_eq(driver_offered(driver), own | FAKE_NET_FEATURES);
    net_tear_down();

    net_create("", 1, FALSE);
    ck_assert_uint_eq(driver_offered(driver), own | (FAKE_NET_FEATURES & ~VNET_GUEST_OFFLOADS));
    net_tear_down();

    net_create(",csum=off,guest_csum=off", 1, TRUE);
    ck_assert_uint_eq(driver_offered(driver), own);
    net_tear_down();

    net_create(",gso=off,guest_tso4=off,mrg_rxbuf=off,event_idx=off,status=off", 1, TRUE);
    guint64 offered = driver_offered(driver);
    ck_assert_uint_eq(
        offered & (BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_UFO) |
                   BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                   BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_EVENT_IDX) |
                   BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE)),
        0);
    ck_assert_uint_ne(offered & BIT(VIRTIO_NET_F_CSUM), 0);
    net_tear_down();

    net_create(",ctrl_vq=off", 1, TRUE);
    ck_assert_uint_eq(
        driver_offered(driver) &
            (own & ~(BASE | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS))),
        0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 2);
    net_tear_down();
}
END_TEST

START_TEST (configuration) {
    net_create(",host_mtu=9000,speed=10000,duplex=full,rx_queue_size=1024,tx_queue_size=512", 4, TRUE);
    ck_assert_uint_eq(driver_offered(driver) &
                          (BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_SPEED_DUPLEX) | BIT(VIRTIO_NET_F_MQ)),
                      BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_SPEED_DUPLEX));
    ck_assert_mem_eq((guint64[]){net_config(VIRTIO_NET_CONFIG_MAC, 8)},
                     ((guint8[]){0x52, 0x54, 0, 0, 0, 1, 1, 0}), 8);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_MAX_PAIRS, 2), 1);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_MTU, 2), 9000);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_SPEED, 4), 10000);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_DUPLEX, 1), 1);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_SIZE, 4), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 3);
    static const guint sizes[] = {1024, 512, 64};
    for (guint i = 0; i < 3; i++) {
        driver_write(driver, VIRTIO_PCI_QUEUE_SELECT, 2, i);
        ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), sizes[i]);
    }
    net_tear_down();

    net_create(",mq=on", 4, TRUE);
    ck_assert_uint_ne(driver_offered(driver) & BIT(VIRTIO_NET_F_MQ), 0);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_MAX_PAIRS, 2), 4);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 9);
    net_tear_down();

    net_create(",mq=on", 1, TRUE); /* one queue is not many */
    ck_assert_uint_eq(driver_offered(driver) & BIT(VIRTIO_NET_F_MQ), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 3);
    net_tear_down();
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
    net_create("", 1, TRUE);
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
    net_tear_down();
}
END_TEST

START_TEST (macs_without_mac) {
    rig = rig_new();
    rig_device(rig, "virtio-net-pci");
    rig_device(rig, "virtio-net-pci");
    rig_assign(rig);
    driver = driver_new(rig, 3, DRIVER_BASE);
    ck_assert_mem_eq((guint64[]){net_config(VIRTIO_NET_CONFIG_MAC, 8)},
                     ((guint8[]){0x52, 0x54, 0, 0x12, 0x34, 0x57, 0, 0}), 8);
    net_tear_down();
}
END_TEST

/* ---- link, resets, ends ---- */

START_TEST (link_goes_down_and_up) {
    net_set_up(CONTROL_FEATURES);
    net_add_rx(300);
    net_kick(RX);
    rig_take_interrupts(rig, CONFIG_MESSAGE);
    virtio_net_set_link(nic, FALSE);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, CONFIG_MESSAGE), 1);
    virtio_net_set_link(nic, FALSE);
    ck_assert_uint_eq(rig_take_interrupts(rig, CONFIG_MESSAGE), 0);
    net_feed(60, 1);
    net_add_tx(60, 1);
    net_kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    net_check_nothing_sent();
    ck_assert_uint_eq(net_counted().rx_drops, 1);
    ck_assert_uint_eq(net_counted().tx_drops, 1);
    /* The other end of the cable. */
    netdev_set_link(netdev, FALSE);
    virtio_net_set_link(nic, TRUE);
    rig_settle();
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    netdev_set_link(netdev, TRUE);
    rig_settle();
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0),
                      VIRTIO_NET_OK);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP);
    net_feed(60, 2);
    rig_settle();
    ck_assert(driver_has_used(driver, queue[RX]));
    /* And the back end's own. */
    fake_netdev_set_carrier(netdev, FALSE);
    rig_settle();
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    net_tear_down();

    net_set_up(USUAL); /* nobody is asked to announce who cannot */
    virtio_net_set_link(nic, FALSE);
    virtio_net_set_link(nic, TRUE);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), VIRTIO_NET_S_LINK_UP);
    net_tear_down();
}
END_TEST

START_TEST (blocked_packets_go_when_the_peer_goes) {
    net_set_up(USUAL);
    fake_netdev_open(netdev, 0);
    net_add_tx(60, 1);
    net_kick(TX);
    ck_assert(!driver_has_used(driver, queue[TX]));
    fake_netdev_set_carrier(netdev, FALSE);
    rig_settle();
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert_uint_eq(net_counted().tx_drops, 1);
    net_tear_down();
}
END_TEST

START_TEST (resets_in_flight) {
    net_set_up(MERGEABLE);
    for (guint round = 0; round < 5; round++) {
        fake_netdev_open(netdev, 0);
        net_add_tx(60, 1);
        net_add_tx(60, 2);
        net_kick(TX); /* one is held */
        net_add_rx(100);
        net_add_rx(100);
        net_kick(RX);
        net_feed(1000, 1); /* another waits for buffers */
        rig_settle();
        if (round % 2 == 0)
            rig_reset(rig);
        driver_msix_enable(driver);
        net_start(MERGEABLE, 3);
        fake_netdev_open(netdev, G_MAXUINT);
        rig_settle();
        net_check_nothing_sent();
        guint64 a = net_add_rx(1600);
        net_kick(RX);
        ck_assert(!driver_has_used(driver, queue[RX]));
        net_feed(500, 9);
        rig_settle();
        net_check_received(a, 500, 9, 1);
        net_add_tx(70, 5);
        net_kick(TX);
        net_check_sent(70, 5);
        driver->next_free = DRIVER_BASE;
    }
    net_tear_down();
}
END_TEST

START_TEST (the_back_end_is_removed) {
    net_set_up(CONTROL_FEATURES);
    fake_netdev_open(netdev, 0);
    net_add_tx(60, 1);
    net_kick(TX);
    net_add_rx(100);
    net_kick(RX);
    ck_assert(netdev_set_remove(rig->env.netdevs, "n0"));
    ck_assert(!netdev_set_remove(rig->env.netdevs, "n0"));
    rig_settle();
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    driver_wait_used(driver, queue[TX], NULL);
    net_add_tx(60, 2);
    net_kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    net_kick(RX);
    guint64 none = 0;
    ck_assert_uint_eq(net_command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &none, 8), VIRTIO_NET_OK);
    virtio_net_set_link(nic, FALSE);
    virtio_net_set_link(nic, TRUE);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    ck_assert_uint_eq(net_counted().tx_drops, 2);
    net_start(CONTROL_FEATURES, 3);
    net_tear_down();
}
END_TEST

START_TEST (a_card_without_a_back_end) {
    rig = rig_new();
    nic = rig_device(rig, "virtio-net-pci,id=net0");
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    net_start(BASE | BIT(VIRTIO_NET_F_STATUS), 2);
    ck_assert_uint_eq(net_config(VIRTIO_NET_CONFIG_STATUS, 2), 0);
    net_add_tx(60, 1);
    net_kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    net_add_rx(100);
    net_kick(RX);
    ck_assert_uint_eq(net_counted().tx_drops, 1);
    net_tear_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-net");
    TCase *tcase = tcase_create("virtio-net");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, offers_what_the_back_end_can);
    tcase_add_test(tcase, configuration);
    tcase_add_test(tcase, bad_options);
    tcase_add_test(tcase, macs_without_mac);
    tcase_add_test(tcase, link_goes_down_and_up);
    tcase_add_test(tcase, blocked_packets_go_when_the_peer_goes);
    tcase_add_test(tcase, resets_in_flight);
    tcase_add_test(tcase, the_back_end_is_removed);
    tcase_add_test(tcase, a_card_without_a_back_end);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
