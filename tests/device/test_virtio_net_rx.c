// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-net through its registers and rings: what the guest receives. */
#include <string.h>

#include "tests/device/net-rig.h"
#include "tests/check-run.h"

START_TEST (receives_into_single_buffers) {
    net_set_up(USUAL);
    guint64 a = net_add_rx(1526), b = net_add_rx(1526);
    net_kick(RX);
    ck_assert(state->queue[0].wanted);
    net_feed(60, 1);
    net_feed(1514, 2);
    rig_settle();
    net_check_received(a, 60, 1, 1);
    net_check_received(b, 1514, 2, 1);
    ck_assert_uint_ge(rig_take_interrupts(rig, RX_MESSAGE), 1);
    VirtioNetCounters counters = net_counted();
    ck_assert_uint_eq(counters.rx_packets, 2);
    ck_assert_uint_eq(counters.rx_bytes, 60 + 1514);
    net_tear_down();
}
END_TEST

START_TEST (longer_than_a_single_buffer_is_lost) {
    net_set_up(USUAL);
    guint64 a = net_add_rx(HEADER + 100);
    net_kick(RX);
    net_feed(101, 1);
    net_feed(100, 2);
    rig_settle();
    net_check_received(a, 100, 2, 1);
    ck_assert_uint_eq(net_counted().rx_errors, 1);
    ck_assert_uint_eq(net_counted().rx_packets, 1);
    net_tear_down();
}
END_TEST

START_TEST (receives_over_many_buffers) {
    net_set_up(MERGEABLE);
    guint64 buffers[8];
    for (guint i = 0; i < 8; i++)
        buffers[i] = net_add_rx(200);
    net_kick(RX);
    net_feed(500, 1); /* 188 + 200 + 112 */
    net_feed(188, 2); /* just fits one */
    net_feed(189, 3); /* two */
    rig_settle();
    guint8 frame[500];
    net_fill_frame(frame, 500, 1);
    guint32 lengths[] = {200, 200, 112};
    gsize done = 0;
    ck_assert_uint_eq(driver_get16(driver, buffers[0] + 10), 3);
    for (guint i = 0; i < 3; i++) {
        guint head = i == 0 ? HEADER : 0;
        ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), lengths[i]);
        ck_assert_mem_eq(net_at(buffers[i] + head, lengths[i] - head), frame + done, lengths[i] - head);
        done += lengths[i] - head;
    }
    net_check_received(buffers[3], 188, 2, 1);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 200);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 1);
    ck_assert_uint_eq(driver_get16(driver, buffers[4] + 10), 2);
    ck_assert(!driver_has_used(driver, queue[RX]));
    net_tear_down();
}
END_TEST

/* Packets of 64 KiB over buffers of every size: nothing is lost, every byte is where it belongs. */
START_TEST (receives_the_biggest) {
    static const guint32 sizes[] = {1536, 4096, 65536 + HEADER, 13, 700};
    g_autofree guint8 *frame = g_malloc(65000);
    for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
        net_create(",rx_queue_size=1024", 1, TRUE);
        ck_assert(driver_negotiate(driver, MERGEABLE));
        queue[RX] = driver_setup_queue(driver, RX, 1024);
        driver_ok(driver);
        gsize length = sizes[s] == 13 ? 3000 : 65000;
        guint count = (guint)((length + HEADER + sizes[s] - 1) / sizes[s]);
        net_fill_frame(frame, length, 3);
        for (guint round = 0; round < 3; round++) {
            g_autofree guint64 *buffers = g_new(guint64, count);
            driver->next_free = 0x200000;
            for (guint i = 0; i < count; i++)
                buffers[i] = net_add_rx(sizes[s]);
            net_kick(RX);
            net_feed(length, 3);
            rig_settle();
            ck_assert_uint_eq(driver_get16(driver, buffers[0] + 10), count);
            gsize done = 0;
            for (guint i = 0; i < count; i++) {
                guint head = i == 0 ? HEADER : 0;
                guint32 used = driver_wait_used(driver, queue[RX], NULL);
                ck_assert_mem_eq(net_at(buffers[i], used) + head, frame + done, used - head);
                done += used - head;
            }
            ck_assert_uint_eq(done, length);
        }
        net_tear_down();
    }
}
END_TEST

START_TEST (a_long_packet_waits_for_buffers) {
    net_set_up(MERGEABLE);
    guint64 a = net_add_rx(200);
    net_kick(RX);
    net_feed(500, 1);
    net_feed(60, 2);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue[RX]));
    ck_assert(!state->queue[0].wanted);
    guint64 b = net_add_rx(200);
    net_kick(RX);
    ck_assert(!driver_has_used(driver, queue[RX]));
    net_add_rx(200);
    guint64 d = net_add_rx(200);
    net_kick(RX);
    guint8 frame[500];
    net_fill_frame(frame, 500, 1);
    ck_assert_uint_eq(driver_get16(driver, a + 10), 3);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 200);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 200);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), 112);
    ck_assert_mem_eq(net_at(a + HEADER, 188), frame, 188);
    ck_assert_mem_eq(net_at(b, 200), frame + 188, 200);
    net_check_received(d, 60, 2, 1);
    ck_assert_uint_eq(net_counted().rx_errors, 0);
    net_tear_down();
}
END_TEST

START_TEST (a_packet_that_never_fits_is_lost) {
    net_set_up(MERGEABLE);
    for (guint i = 0; i < QUEUE_SIZE; i++)
        net_add_rx(100); /* 6400 bytes is all that there is */
    net_kick(RX);
    net_feed(7000, 1);
    net_feed(60, 2);
    rig_settle();
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), HEADER + 60);
    ck_assert_uint_eq(net_counted().rx_errors, 1);
    ck_assert_uint_eq(net_counted().rx_packets, 1);
    net_tear_down();
}
END_TEST

START_TEST (packets_wait_where_they_are) {
    net_set_up(MERGEABLE);
    ck_assert(!state->queue[0].wanted); /* no buffers yet */
    for (guint8 i = 0; i < 20; i++)
        net_feed(100, i);
    rig_settle();
    ck_assert_uint_eq(state->queue[0].input.length, 20);
    guint64 buffers[20];
    for (guint i = 0; i < 5; i++)
        buffers[i] = net_add_rx(HEADER + 100);
    net_kick(RX);
    ck_assert_uint_eq(state->queue[0].input.length, 15);
    ck_assert(!state->queue[0].wanted);
    for (guint i = 5; i < 20; i++)
        buffers[i] = net_add_rx(HEADER + 100);
    net_kick(RX);
    for (guint8 i = 0; i < 20; i++)
        net_check_received(buffers[i], 100, i, 1);
    net_tear_down();
}
END_TEST

START_TEST (long_inputs_are_received_to_their_end) {
    net_create(",rx_queue_size=1024", 1, TRUE);
    ck_assert(driver_negotiate(driver, USUAL));
    queue[RX] = driver_setup_queue(driver, RX, 1024);
    driver_ok(driver);
    g_autofree guint64 *buffers = g_new(guint64, 1000);
    for (guint i = 0; i < 1000; i++)
        buffers[i] = net_add_rx(128);
    for (guint i = 0; i < 1000; i++)
        net_feed(60, (guint8)i);
    driver_kick(driver, queue[RX]);
    rig_settle();
    for (guint i = 0; i < 1000; i++)
        net_check_received(buffers[i], 60, (guint8)i, 1);
    net_tear_down();
}
END_TEST

START_TEST (headers_arrive) {
    net_set_up(MERGEABLE | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
    ck_assert_uint_eq(state->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
    guint64 a = net_add_rx(300), b = net_add_rx(300);
    net_kick(RX);
    guint8 frame[60];
    net_fill_frame(frame, 60, 1);
    VnetHeader header = {VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 1000, 34, 16, 77};
    fake_netdev_feed(netdev, 0, &header, frame, 60);
    header = (VnetHeader){.flags = VNET_DATA_VALID};
    fake_netdev_feed(netdev, 0, &header, frame, 60);
    rig_settle();
    VnetHeader wanted = {VNET_NEEDS_CSUM, VNET_GSO_TCPV4, 54, 1000, 34, 16, 1};
    ck_assert_mem_eq(net_at(a, HEADER), &wanted, HEADER);
    ck_assert_uint_eq(*net_at(b, 1), VNET_DATA_VALID);
    net_tear_down();

    /* A driver that did not ask for it is told nothing about checksums. */
    net_set_up(MERGEABLE);
    ck_assert_uint_eq(state->offloads, 0);
    a = net_add_rx(300);
    net_kick(RX);
    fake_netdev_feed(netdev, 0, &header, frame, 60);
    rig_settle();
    ck_assert_uint_eq(*net_at(a, 1), 0);
    net_tear_down();
}
END_TEST

START_TEST (buffers_without_room_break_the_device) {
    static const guint32 sizes[] = {1, 11, 12};
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        net_set_up(MERGEABLE);
        net_add_rx(sizes[i]);
        net_kick(RX);
        ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
        ck_assert_uint_ge(rig_take_interrupts(rig, CONFIG_MESSAGE), 1);
        net_feed(60, 1); /* nobody takes it */
        rig_settle();
        net_start(MERGEABLE, 3);
        guint64 a = net_add_rx(300);
        net_kick(RX);
        net_check_received(a, 60, 1, 1);
        net_tear_down();
    }
}
END_TEST

START_TEST (garbage_from_outside) {
    net_set_up(MERGEABLE);
    guint64 a = net_add_rx(300);
    net_kick(RX);
    net_feed(1, 1);
    net_feed(13, 1);
    net_feed(14, 2);
    rig_settle();
    net_check_received(a, 14, 2, 1);
    ck_assert_uint_eq(net_counted().rx_errors, 2);
    state->is_lost = TRUE;
    net_add_rx(300);
    net_kick(RX);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    net_tear_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-net-rx");
    TCase *tcase = tcase_create("virtio-net-rx");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, receives_into_single_buffers);
    tcase_add_test(tcase, longer_than_a_single_buffer_is_lost);
    tcase_add_test(tcase, receives_over_many_buffers);
    tcase_add_test(tcase, receives_the_biggest);
    tcase_add_test(tcase, a_long_packet_waits_for_buffers);
    tcase_add_test(tcase, a_packet_that_never_fits_is_lost);
    tcase_add_test(tcase, packets_wait_where_they_are);
    tcase_add_test(tcase, long_inputs_are_received_to_their_end);
    tcase_add_test(tcase, headers_arrive);
    tcase_add_test(tcase, buffers_without_room_break_the_device);
    tcase_add_test(tcase, garbage_from_outside);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
