// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/device/driver.h"

#define DRIVER_BASE 0x100000
#define FEATURES    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)

static Rig *rig;
static Driver *driver;
static DriverQueue *queue;

static void set_up(const char *options, guint64 features)
{
    rig = rig_new();
    rig_device(rig, options);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    ck_assert(driver_negotiate(driver, features));
    queue = driver_setup_queue(driver, 0, 8);
    driver_ok(driver);
}

static void tear_down(void)
{
    g_free(driver);
    rig_free(rig);
}

static guint64 add_in(guint32 length)
{
    DriverBuffer buffer = {.address = driver_alloc(driver, length), .length = length, .is_in = TRUE};
    driver_add(driver, queue, &buffer, 1);
    return buffer.address;
}

START_TEST (fills_buffers_with_different_bytes) {
    set_up("virtio-rng-pci", FEATURES);
    guint8 first[64], second[64], zero[64] = {0};
    guint64 a = add_in(64), b = add_in(64);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 64);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 64);
    ck_assert(guest_memory_read(rig->memory, a, first, 64) && guest_memory_read(rig->memory, b, second, 64));
    ck_assert_mem_ne(first, zero, 64);
    ck_assert_mem_ne(second, zero, 64);
    ck_assert_mem_ne(first, second, 64);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x101), 1);
    tear_down();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-rng");
    TCase *c = tcase_create("virtio-rng");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, fills_buffers_with_different_bytes);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
