// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk's requests in the life of its machine: resets, pauses, errors, an end, a new size, limits. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/check-run.h"
#include "tests/device/blk.h"

/* ---- reset, pause, errors: what is in flight ---- */

static gboolean is_reset(gpointer user_data)
{
    return driver_status(blk.driver) == 0;
}

/* A disk that takes a second for each request holds some back: a reset ends them, and they touch nothing. */
START_TEST (reset_with_requests_in_flight) {
    blk.thread = _i % 2;
    blk_make_image();
    blk.rig = NULL;
    blk_set_up_on("raw", "", BLK_ALL);
    ThrottleConfig slow;
    throttle_config_init(&slow);
    slow.limits[THROTTLE_OPS_TOTAL].average = 1;
    drive_set_throttle(drive_set_find(blk.rig->env.drives, "d"), &slow, NULL);
    guint64 data[8];
    for (guint round = 0; round < 20; round++) {
        blk.driver->next_free = BLK_DRIVER_BASE;
        blk_start_driver(BLK_ALL);
        for (guint i = 0; i < 8; i++) {
            data[i] = driver_alloc(blk.driver, 65536);
            memset(blk_ram(data[i]), 0xdd, 65536);
            blk_ask(VIRTIO_BLK_T_IN, i * 128, data[i], 65536);
        }
        driver_kick(blk.driver, blk.queue);
        if (round % 3 != 0)
            g_usleep(round * 50);
        if (_i < 2) {
            driver_write(blk.driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
            rig_wait(is_reset, NULL);
        } else {
            rig_reset(blk.rig);
            ck_assert_uint_eq(driver_status(blk.driver), 0);
            driver_msix_enable(blk.driver);
        }
        for (guint i = 0; i < 8; i++)
            memset(blk_ram(data[i]), 0xee, 65536);
        g_usleep(2000);
        for (guint i = 0; i < 8; i++)
            ck_assert_uint_eq(*(guint8 *)blk_ram(data[i] + 40000), 0xee);
    }
    blk_tear_down();
}
END_TEST

/* While the status is not yet 0 the driver can do nothing. */
START_TEST (a_reset_takes_its_time) {
    blk.thread = 1;
    blk_make_image();
    blk.rig = NULL;
    blk_set_up_on("raw", "", BLK_ALL);
    for (guint round = 0; round < 200; round++) {
        blk.driver->next_free = BLK_DRIVER_BASE;
        driver_write(blk.driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
        rig_wait(is_reset, NULL);
        blk_start_driver(BLK_ALL);
        for (guint i = 0; i < 16; i++)
            blk_ask(VIRTIO_BLK_T_IN, 0, driver_alloc(blk.driver, 65536), 65536);
        driver_kick(blk.driver, blk.queue);
        g_usleep(round);
        driver_write(blk.driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
        driver_write(blk.driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    }
    rig_wait(is_reset, NULL);
    blk_tear_down();
}
END_TEST

static void pause_disk(void)
{
    Device *device = device_find(&blk.rig->env, "d");
    device->pause(device);
}

static void resume_disk(void)
{
    Device *device = device_find(&blk.rig->env, "d");
    device->resume(device);
}

START_TEST (pause_and_resume) {
    blk.thread = _i;
    blk_set_up("");
    guint64 mark = blk.driver->next_free;
    for (guint round = 0; round < 50; round++) {
        blk.driver->next_free = mark;
        guint64 data[8];
        for (guint i = 0; i < 8; i++) {
            data[i] = driver_alloc(blk.driver, 4096);
            blk_ask(VIRTIO_BLK_T_IN, i * 8, data[i], 4096);
        }
        driver_kick(blk.driver, blk.queue);
        if (round % 2 == 0)
            g_usleep(round * 4);
        pause_disk();
        guint16 used = driver_get16(blk.driver, blk.queue->used + 2);
        driver_kick(blk.driver, blk.queue);
        g_usleep(300);
        rig_settle();
        ck_assert_uint_eq(driver_get16(blk.driver, blk.queue->used + 2), used);
        resume_disk();
        for (guint i = 0; i < 8; i++) {
            driver_wait_used(blk.driver, blk.queue, NULL);
            blk_check_pattern(data[i], i * 4096, 4096);
        }
    }
    blk_tear_down();
}
END_TEST

static gboolean has_stopped(gpointer user_data)
{
    return g_atomic_int_get(&blk.rig->io_errors) > 0;
}

static gboolean has_event(const char *text)
{
    gboolean found = FALSE;
    g_mutex_lock(&blk.rig->events_lock);
    for (guint i = 0; i < blk.rig->events->len; i++)
        found = found || strstr(blk.rig->events->pdata[i], text) != NULL;
    g_mutex_unlock(&blk.rig->events_lock);
    return found;
}

/* A file must not become larger than this: writes beyond it fail. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST (a_failed_write_stops_the_guest_and_is_tried_again) {
    blk.thread = _i;
    blk_make_image();
    blk.rig = NULL;
    blk_set_up_on("raw,file.aio=threads", "werror=stop", BLK_ALL);
    guint64 data = blk_fill(0x42, 512);
    limit_files(65536);
    BlkAsked good = blk_ask(VIRTIO_BLK_T_OUT, 0, data, 512);
    driver_kick(blk.driver, blk.queue);
    driver_wait_used(blk.driver, blk.queue, NULL);
    ck_assert_uint_eq(blk_status_of(&good), VIRTIO_BLK_S_OK);
    BlkAsked bad[3];
    for (guint i = 0; i < 3; i++)
        bad[i] = blk_ask(VIRTIO_BLK_T_OUT, 1000 + i, data, 512);
    driver_kick(blk.driver, blk.queue);
    rig_wait(has_stopped, NULL);
    pause_disk();
    ck_assert_int_eq(blk.rig->io_errors, 1);
    ck_assert(has_event("\"operation\":\"write\",\"action\":\"stop\",\"nospace\":false"));
    ck_assert_int_eq(drive_status(drive_set_find(blk.rig->env.drives, "d")), DRIVE_FAILED);
    ck_assert(!driver_has_used(blk.driver, blk.queue));
    if (_i == 2) { /* a reset instead of another try */
        rig_reset(blk.rig);
        resume_disk();
        driver_msix_enable(blk.driver);
        blk_start_driver(BLK_ALL);
        ck_assert_uint_ne(blk_image_byte(1000 * 512), 0x42);
    } else {
        /* Still the same: it stops once more. */
        resume_disk();
        while (g_atomic_int_get(&blk.rig->io_errors) < 2)
            g_main_context_iteration(NULL, FALSE);
        pause_disk();
        limit_files(RLIM_INFINITY);
        resume_disk();
        for (guint i = 0; i < 3; i++)
            driver_wait_used(blk.driver, blk.queue, NULL);
        for (guint i = 0; i < 3; i++)
            ck_assert_uint_eq(blk_status_of(&bad[i]), VIRTIO_BLK_S_OK);
        ck_assert_uint_eq(blk_image_byte(1002 * 512), 0x42);
        ck_assert_int_eq(drive_status(drive_set_find(blk.rig->env.drives, "d")), DRIVE_OK);
    }
    blk_tear_down();
}
END_TEST

static const struct {
    const char *option;
    guint8 status;
    const char *event;
} policies[] = {
    {"werror=report", VIRTIO_BLK_S_IOERR, "\"action\":\"report\""},
    {"werror=ignore", VIRTIO_BLK_S_OK, "\"action\":\"ignore\""},
    {"werror=enospc", VIRTIO_BLK_S_IOERR, "\"action\":\"report\""},
};

START_TEST (error_policies) {
    blk_make_image();
    blk.rig = NULL;
    blk_set_up_on("raw,file.aio=threads", policies[_i].option, BLK_ALL);
    guint64 data = blk_fill(0x42, 512);
    gint64 begun = g_get_monotonic_time();
    limit_files(65536);
    for (guint i = 0; i < 5; i++)
        ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 1000, data, 512), policies[_i].status);
    limit_files(RLIM_INFINITY);
    ck_assert(has_event(policies[_i].event));
    ck_assert_uint_le(blk.rig->events->len, 1 + (guint)((g_get_monotonic_time() - begun) / G_USEC_PER_SEC));
    ck_assert_int_eq(blk.rig->io_errors, 0);
    blk_tear_down();
}
END_TEST

/* Destroyed with requests of all kinds on their way. */
START_TEST (destroyed_in_flight) {
    blk.thread = _i % 2;
    blk_set_up("");
    if (_i >= 2) {
        ThrottleConfig slow;
        throttle_config_init(&slow);
        slow.limits[THROTTLE_OPS_TOTAL].average = 1;
        drive_set_throttle(drive_set_find(blk.rig->env.drives, "d"), &slow, NULL);
    }
    for (guint i = 0; i < 8; i++)
        blk_ask(i % 2 == 0 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, i * 64, driver_alloc(blk.driver, 32768),
                32768);
    blk_ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
    driver_kick(blk.driver, blk.queue);
    if (_i == 1 || _i == 3)
        g_usleep(200);
    blk_tear_down();
}
END_TEST

/* ---- changes while it runs ---- */

START_TEST (resize_is_told) {
    blk.thread = _i;
    blk_set_up("");
    rig_take_interrupts(blk.rig, 0x100);
    driver_write(blk.driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    guint64 generation = driver_read(blk.driver, VIRTIO_PCI_CONFIG_GENERATION, 1);
    ck_assert_int_eq(drive_resize(drive_set_find(blk.rig->env.drives, "d"), 2 * BLK_IMAGE), 0);
    ck_assert_uint_eq(rig_take_interrupts(blk.rig, 0x100), 1);
    ck_assert_uint_ne(driver_read(blk.driver, VIRTIO_PCI_CONFIG_GENERATION, 1), generation);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_CAPACITY, 8), 2 * BLK_IMAGE / 512);
    guint64 data = blk_fill(7, 512);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 2 * BLK_IMAGE / 512 - 1, data, 512), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(blk_image_byte(2 * BLK_IMAGE - 1), 7);
    blk_tear_down();
}
END_TEST

START_TEST (throttled_and_let_go) {
    blk.thread = _i;
    blk_set_up("");
    Drive *drive = drive_set_find(blk.rig->env.drives, "d");
    ThrottleConfig config;
    throttle_config_init(&config);
    config.limits[THROTTLE_OPS_TOTAL].average = 100;
    drive_set_throttle(drive, &config, NULL);
    ck_assert_str_eq(throttle_group_name(drive_throttle_group(drive)),
                     "/machine/peripheral/d/virtio-backend");
    guint64 data = driver_alloc(blk.driver, 512);
    gint64 begun = g_get_monotonic_time();
    for (guint i = 0; i < 16; i++)
        blk_ask(VIRTIO_BLK_T_IN, 0, data, 512);
    driver_kick(blk.driver, blk.queue);
    for (guint i = 0; i < 16; i++)
        driver_wait_used(blk.driver, blk.queue, NULL);
    /* Ten at once, then one each 10 ms. */
    ck_assert_int_ge(g_get_monotonic_time() - begun, 45000);
    config.limits[THROTTLE_OPS_TOTAL].average = 1;
    drive_set_throttle(drive, &config, NULL);
    for (guint i = 0; i < 16; i++)
        blk_ask(VIRTIO_BLK_T_IN, 0, data, 512);
    driver_kick(blk.driver, blk.queue);
    driver_wait_used(blk.driver, blk.queue, NULL);
    config.limits[THROTTLE_OPS_TOTAL].average = 0;
    drive_set_throttle(drive, &config, NULL);
    ck_assert_ptr_null(drive_throttle_group(drive));
    begun = g_get_monotonic_time();
    for (guint i = 1; i < 16; i++)
        driver_wait_used(blk.driver, blk.queue, NULL);
    ck_assert_int_lt(g_get_monotonic_time() - begun, 10 * G_USEC_PER_SEC);
    blk_tear_down();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-blk-life");
    TCase *c = tcase_create("virtio-blk-life");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, reset_with_requests_in_flight, 0, 4);
    tcase_add_test(c, a_reset_takes_its_time);
    tcase_add_loop_test(c, pause_and_resume, 0, 2);
    tcase_add_loop_test(c, a_failed_write_stops_the_guest_and_is_tried_again, 0, 3);
    tcase_add_loop_test(c, error_policies, 0, G_N_ELEMENTS(policies));
    tcase_add_loop_test(c, destroyed_in_flight, 0, 4);
    tcase_add_loop_test(c, resize_is_told, 0, 2);
    tcase_add_loop_test(c, throttled_and_let_go, 0, 2);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
