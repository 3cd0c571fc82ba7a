// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/device/driver.h"
#include "tests/check-run.h"

#define DRIVER_BASE 0x100000
#define FEATURES    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)

static Rig *rig;
static Driver *driver;
static DriverQueue *queue;

static void start_driver(guint64 features)
{
    ck_assert(driver_negotiate(driver, features));
    queue = driver_setup_queue(driver, 0, 8);
    driver_ok(driver);
}

static void set_up(const char *options, guint64 features)
{
    rig = rig_new();
    rig_device(rig, options);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    start_driver(features);
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

static void set_up_with_file(const char *path)
{
    rig = rig_new();
    g_autofree char *object = g_strdup_printf("rng-random,id=o,filename=%s", path);
    rig_object(rig, object);
    rig_device(rig, "virtio-rng-pci,rng=o");
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    start_driver(FEATURES);
}

/* Bytes of a known file, in the order that they are asked for, over several segments. */
START_TEST (takes_them_from_the_object) {
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("virt-suite-rng-XXXXXX", &path, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "abcdefghijklmnop", 16), 16);
    close(fd);
    set_up_with_file(path);
    guint64 at = driver_alloc(driver, 64);
    DriverBuffer buffers[] = {{at, 3, TRUE}, {at + 32, 4, TRUE}};
    driver_add(driver, queue, buffers, 2);
    guint64 rest = add_in(64);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 7);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 9);
    char text[48] = {0};
    ck_assert(guest_memory_read(rig->memory, at, text, 40));
    ck_assert_str_eq(text, "abc");
    ck_assert_str_eq(text + 32, "defg");
    memset(text, 0, sizeof text);
    ck_assert(guest_memory_read(rig->memory, rest, text, 10));
    ck_assert_str_eq(text, "hijklmnop");
    /* The file is at its end: the request stays, nothing spins. */
    add_in(8);
    driver_kick(driver, queue);
    rig_settle();
    driver_kick(driver, queue);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue));
    unlink(path);
    tear_down();
}
END_TEST

START_TEST (waits_for_a_slow_source_and_may_be_reset_meanwhile) {
    g_autofree char *folder = g_dir_make_tmp("virt-suite-rng-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "fifo", NULL);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int source = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    set_up_with_file(path);
    guint64 first = add_in(16);
    driver_kick(driver, queue);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue));
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert_int_eq(write(source, "0123456789", 10), 10);
    rig_settle();
    guint8 bytes[16], zero[16] = {0};
    ck_assert(guest_memory_read(rig->memory, first, bytes, 16));
    ck_assert_mem_eq(bytes, zero, 16);
    start_driver(FEATURES);
    guint64 second = add_in(16);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 10);
    ck_assert(guest_memory_read(rig->memory, second, bytes, 10));
    ck_assert_mem_eq(bytes, "0123456789", 10);
    add_in(16);
    driver_kick(driver, queue);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue));
    ck_assert_int_eq(write(source, "abc", 3), 3);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 3);
    /* Destroyed while it waits. */
    add_in(16);
    driver_kick(driver, queue);
    rig_settle();
    close(source);
    unlink(path);
    rmdir(folder);
    tear_down();
}
END_TEST

START_TEST (rate_is_limited) {
    set_up("virtio-rng-pci,max-bytes=100,period=300", FEATURES);
    gint64 begin = g_get_monotonic_time();
    for (guint i = 0; i < 4; i++)
        add_in(64);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 64);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 36);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue) || g_get_monotonic_time() - begin >= 290000);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 64);
    ck_assert(g_get_monotonic_time() - begin >= 290000);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 36);
    tear_down();
}
END_TEST

START_TEST (odd_requests) {
    set_up("virtio-rng-pci", FEATURES);
    /* Much at once: a part; none at all; nothing to write into. */
    guint64 at = driver_alloc(driver, 1 << 20);
    DriverBuffer large = {at, 1 << 20, TRUE}, empty = {at, 0, TRUE}, out = {at, 16, FALSE};
    driver_add(driver, queue, &large, 1);
    driver_add(driver, queue, &empty, 1);
    driver_add(driver, queue, &out, 1);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 65536);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 0);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 0);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    tear_down();
}
END_TEST

START_TEST (many_requests) {
    set_up("virtio-rng-pci", FEATURES);
    guint64 at = driver_alloc(driver, 32);
    for (guint i = 0; i < 5000; i++) {
        DriverBuffer buffer = {at, 32, TRUE};
        guint count = 1 + i % 8;
        for (guint j = 0; j < count; j++)
            driver_add(driver, queue, &buffer, 1);
        driver_kick(driver, queue);
        for (guint j = 0; j < count; j++)
            ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 32);
    }
    tear_down();
}
END_TEST

/* A driver on another CPU kicks only when EVENT_IDX says so, and then waits: a kick that it was wrongly told
 * to leave out is a request that is never answered. */

#define REQUEST_PAIRS 100000

typedef struct Vcpu {
    gint done, failed; /* atomic */
    guint kicks;
} Vcpu;

static void add_frugally(Vcpu *vcpu, const guint16 *avail_event, guint64 at)
{
    /* Without room: the quickest to be answered, so that the device soon looks for more. */
    DriverBuffer buffer = {at, 0, TRUE};
    __atomic_thread_fence(__ATOMIC_RELEASE);
    driver_add(driver, queue, &buffer, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(avail_event, __ATOMIC_RELAXED) == (guint16)(queue->avail_index - 1)) {
        driver_kick(driver, queue);
        vcpu->kicks++;
    }
}

static gpointer frugal_vcpu(gpointer data)
{
    Vcpu *vcpu = data;
    guint64 at = driver_alloc(driver, 32);
    const guint16 *avail_event = guest_memory_range(rig->memory, queue->used + 4 + 8 * queue->size, 2);
    const guint16 *used_index = guest_memory_range(rig->memory, queue->used + 2, 2);
    for (guint i = 0; i < REQUEST_PAIRS && !vcpu->failed; i++) {
        /* The second comes when the device has just found, or not found, the first. */
        add_frugally(vcpu, avail_event, at);
        for (volatile guint delay = 0; delay < i % 2000; delay++)
            ;
        add_frugally(vcpu, avail_event, at);
        gint64 limit = 0;
        for (guint spins = 0; __atomic_load_n(used_index, __ATOMIC_ACQUIRE) != queue->avail_index; spins++) {
            if (spins < 1000)
                continue;
            if (limit == 0)
                limit = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;
            if (g_get_monotonic_time() > limit) {
                g_atomic_int_set(&vcpu->failed, 1);
                break;
            }
            g_thread_yield();
        }
    }
    g_atomic_int_set(&vcpu->done, 1);
    g_main_context_wakeup(NULL);
    return NULL;
}

START_TEST (no_kick_is_lost) {
    Vcpu vcpu = {0};
    set_up("virtio-rng-pci", FEATURES);
    GThread *thread = g_thread_new("vcpu", frugal_vcpu, &vcpu);
    while (!g_atomic_int_get(&vcpu.done))
        g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
    ck_assert(!vcpu.failed);
    ck_assert_uint_lt(vcpu.kicks, 2 * REQUEST_PAIRS);
    tear_down();
}
END_TEST

static const struct {
    const char *options, *error;
} bad_options[] = {
    {"virtio-rng-pci,rng=no", "-device virtio-rng-pci: rng=no: there is no object of this id"},
    {"virtio-rng-pci,period=0",
     "-device virtio-rng-pci: 'period' must be a number from 1 to 2147483647, not '0'"},
    {"virtio-rng-pci,max-bytes=many",
     "-device virtio-rng-pci: 'max-bytes' must be a size like 512M or 2G, not 'many'"},
};

START_TEST (bad_options_are_told) {
    rig = rig_new();
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, bad_options[_i].options, &error));
    ck_assert_str_eq(error->message, bad_options[_i].error);
    rig_free(rig);
}
END_TEST

static const struct {
    const char *options, *error;
} bad_objects[] = {
    {"rng-random", "-object rng-random: 'id' is missing"},
    {"rng-egd,id=a", "-object rng-egd: type 'rng-egd' is not known"},
    {"rng-builtin,id=taken", "-object rng-builtin: Duplicate object ID 'taken'"},
    {"rng-random,id=a,filename=/no/such/file",
     "-object rng-random,id=a: cannot open '/no/such/file': No such file or directory"},
    {"rng-builtin,id=a,filename=/dev/zero", "-object rng-builtin: unknown property 'filename'"},
};

START_TEST (bad_objects_are_told) {
    g_autoptr(ObjectSet) set = object_set_new();
    g_autoptr(OptSet) first = optset_parse("-object", "rng-builtin,id=taken", "qom-type", NULL);
    ck_assert_ptr_nonnull(object_set_add(set, first, NULL));
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) options = optset_parse("-object", bad_objects[_i].options, "qom-type", NULL);
    ck_assert_ptr_null(object_set_add(set, options, &error));
    ck_assert_str_eq(error->message, bad_objects[_i].error);
    ck_assert_ptr_null(object_set_find(set, "a"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-rng");
    TCase *c = tcase_create("virtio-rng");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, fills_buffers_with_different_bytes);
    tcase_add_test(c, takes_them_from_the_object);
    tcase_add_test(c, waits_for_a_slow_source_and_may_be_reset_meanwhile);
    tcase_add_test(c, rate_is_limited);
    tcase_add_test(c, odd_requests);
    tcase_add_test(c, many_requests);
    tcase_add_test(c, no_kick_is_lost);
    tcase_add_loop_test(c, bad_options_are_told, 0, G_N_ELEMENTS(bad_options));
    tcase_add_loop_test(c, bad_objects_are_told, 0, G_N_ELEMENTS(bad_objects));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
