// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-net through its registers and rings: what the guest sends. */
#include <string.h>

#include "tests/device/net-rig.h"
#include "tests/check-run.h"

START_TEST (sends_frames) {
    net_set_up(USUAL);
    net_add_tx(60, 1);
    net_add_tx(1514, 2);
    net_add_tx(14, 3);
    net_kick(TX);
    net_check_sent(60, 1);
    net_check_sent(1514, 2);
    net_check_sent(14, 3);
    for (guint i = 0; i < 3; i++)
        ck_assert_uint_eq(driver_wait_used(driver, queue[TX], NULL), 0);
    VirtioNetCounters counters = net_counted();
    ck_assert_uint_eq(counters.tx_packets, 3);
    ck_assert_uint_eq(counters.tx_bytes, 60 + 1514 + 14);
    ck_assert_uint_eq(counters.tx_errors + counters.tx_drops + counters.rx_packets, 0);
    ck_assert_uint_ge(state->flushes, 1);
    net_tear_down();
}
END_TEST

/* However the driver cuts header and frame into buffers. */
START_TEST (sends_from_scattered_buffers) {
    net_set_up(USUAL);
    guint8 whole[HEADER + 600] = {0};
    net_fill_frame(whole + HEADER, 600, 5);
    for (guint first = 1; first < 330; first += first < 30 ? 1 : 37) {
        DriverBuffer buffers[40];
        guint count = 0;
        for (guint done = 0; done < sizeof whole; count++) {
            guint32 part = (guint32)MIN(MAX(first, sizeof whole / 38), sizeof whole - done);
            if (done == 0)
                part = first;
            buffers[count] = (DriverBuffer){driver_alloc(driver, part), part, FALSE};
            memcpy(net_at(buffers[count].address, part), whole + done, part);
            done += part;
        }
        driver_add(driver, queue[TX], buffers, count);
        net_kick(TX);
        net_check_sent(600, 5);
        driver_wait_used(driver, queue[TX], NULL);
    }
    net_tear_down();
}
END_TEST

START_TEST (headers_go_along_if_they_are_good) {
    net_set_up(USUAL);
    guint8 frame[200];
    net_fill_frame(frame, sizeof frame, 1);
    VnetHeader header = {.flags = 0xff & ~VNET_NEEDS_CSUM, .num_buffers = 7};
    net_add_tx_raw(TX, &header, frame, sizeof frame);
    header = (VnetHeader){.flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
    net_add_tx_raw(TX, &header, frame, sizeof frame);
    header.csum_start = 190; /* beyond the end */
    net_add_tx_raw(TX, &header, frame, sizeof frame);
    header = (VnetHeader){
        .flags = VNET_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4, .csum_start = 34, .csum_offset = 16};
    net_add_tx_raw(TX, &header, frame, sizeof frame); /* segments of nothing, and no TCP */
    header = (VnetHeader){0};
    net_add_tx_raw(TX, &header, frame, 13);
    DriverBuffer no_header = {driver_alloc(driver, 11), 11, FALSE};
    driver_add(driver, queue[TX], &no_header, 1);
    DriverBuffer no_out = {driver_alloc(driver, 64), 64, TRUE};
    driver_add(driver, queue[TX], &no_out, 1);
    net_kick(TX);
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
    net_check_nothing_sent();
    ck_assert_uint_eq(net_counted().tx_errors, 5);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    net_tear_down();
}
END_TEST

START_TEST (too_long_frames_are_dropped) {
    net_set_up(USUAL);
    DriverBuffer buffer = {0x400000, HEADER + PACKET_MAX, FALSE};
    memset(net_at(buffer.address, buffer.length), 0, buffer.length);
    driver_add(driver, queue[TX], &buffer, 1);
    net_kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    FakePacket *packet = fake_netdev_take(netdev);
    ck_assert_uint_eq(packet->length, PACKET_MAX);
    fake_packet_free(packet);
    buffer.length++;
    driver_add(driver, queue[TX], &buffer, 1);
    buffer.length = RIG_RAM - 0x400000;
    driver_add(driver, queue[TX], &buffer, 1);
    net_kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    driver_wait_used(driver, queue[TX], NULL);
    net_check_nothing_sent();
    ck_assert_uint_eq(net_counted().tx_errors, 2);
    net_tear_down();
}
END_TEST

/* More segments than a system call takes: an indirect table of 1024. */
START_TEST (chains_of_a_thousand) {
    net_set_up(USUAL);
    guint64 table = driver_alloc(driver, 1024 * 16), bytes = driver_alloc(driver, 1024 * 16);
    net_fill_frame(net_at(bytes + HEADER, 1024 * 16 - HEADER), 1024 * 16 - HEADER, 9);
    for (guint i = 0; i < 1024; i++)
        driver_put_desc(driver, table, i, bytes + 16 * i, 16, i < 1023 ? 1 : 0, (guint16)(i + 1));
    driver_put_desc(driver, queue[TX]->desc, 0, table, 1024 * 16, 4, 0);
    driver_put16(driver, queue[TX]->avail + 4, 0);
    driver_put16(driver, queue[TX]->avail + 2, 1);
    net_kick(TX);
    net_check_sent(1024 * 16 - HEADER, 9);
    net_tear_down();
}
END_TEST

START_TEST (a_full_back_end_loses_nothing) {
    net_set_up(USUAL);
    fake_netdev_open(netdev, 2);
    for (guint8 i = 0; i < 10; i++)
        net_add_tx(100, i);
    net_kick(TX);
    net_check_sent(100, 0);
    net_check_sent(100, 1);
    net_check_nothing_sent();
    driver_wait_used(driver, queue[TX], NULL);
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert(!driver_has_used(driver, queue[TX])); /* the ring is what holds them */
    net_add_tx(100, 10);
    net_kick(TX);
    net_check_nothing_sent();
    fake_netdev_open(netdev, 3);
    rig_settle();
    for (guint8 i = 2; i < 5; i++)
        net_check_sent(100, i);
    net_check_nothing_sent();
    fake_netdev_open(netdev, G_MAXUINT);
    rig_settle();
    for (guint8 i = 5; i < 11; i++)
        net_check_sent(100, i);
    for (guint i = 0; i < 9; i++)
        driver_wait_used(driver, queue[TX], NULL);
    ck_assert_uint_eq(net_counted().tx_packets, 11);
    net_tear_down();
}
END_TEST

/* A batch ends, the rest follows without a further kick. */
START_TEST (long_queues_are_sent_to_their_end) {
    net_create(",tx_queue_size=1024", 1, TRUE);
    ck_assert(driver_negotiate(driver, USUAL));
    queue[TX] = driver_setup_queue(driver, TX, 1024);
    driver_ok(driver);
    for (guint i = 0; i < 1000; i++)
        net_add_tx(60, (guint8)i);
    driver_kick(driver, queue[TX]);
    rig_settle();
    for (guint i = 0; i < 1000; i++)
        net_check_sent(60, (guint8)i);
    net_check_nothing_sent();
    net_tear_down();
}
END_TEST

START_TEST (what_nobody_takes_is_dropped) {
    net_set_up(USUAL);
    state->drop = TRUE;
    net_add_tx(60, 1);
    net_kick(TX);
    driver_wait_used(driver, queue[TX], NULL);
    ck_assert_uint_eq(net_counted().tx_drops, 1);
    net_tear_down();
}
END_TEST

/* A TCP packet of 4000 bytes of payload. */
static gsize fill_tcp(guint8 *frame)
{
    net_fill_frame(frame, 54 + 4000, 1);
    memset(frame + 14, 0, 40);
    packet_put16(frame + 12, ETHERTYPE_IPV4);
    frame[14] = 0x45;
    frame[23] = IP_PROTO_TCP;
    frame[46] = 5 << 4;
    return 54 + 4000;
}

START_TEST (segments_for_a_back_end_that_cannot) {
    net_create("", 1, FALSE);
    net_start(USUAL, 3);
    guint8 frame[54 + 4000];
    gsize length = fill_tcp(frame);
    VnetHeader header = {.flags = VNET_NEEDS_CSUM,
                         .gso_type = VNET_GSO_TCPV4,
                         .gso_size = 1000,
                         .csum_start = 34,
                         .csum_offset = 16};
    fake_netdev_open(netdev, 2);
    net_add_tx_raw(TX, &header, frame, (guint32)length);
    net_add_tx(60, 7);
    net_kick(TX);
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
    net_check_sent(60, 7);
    net_check_nothing_sent();
    net_tear_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-net-tx");
    TCase *tcase = tcase_create("virtio-net-tx");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, sends_frames);
    tcase_add_test(tcase, sends_from_scattered_buffers);
    tcase_add_test(tcase, headers_go_along_if_they_are_good);
    tcase_add_test(tcase, too_long_frames_are_dropped);
    tcase_add_test(tcase, chains_of_a_thousand);
    tcase_add_test(tcase, a_full_back_end_loses_nothing);
    tcase_add_test(tcase, long_queues_are_sent_to_their_end);
    tcase_add_test(tcase, what_nobody_takes_is_dropped);
    tcase_add_test(tcase, segments_for_a_back_end_that_cannot);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
