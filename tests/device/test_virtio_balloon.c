// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/virtio/virtio-balloon.h"
#include "tests/device/driver.h"
#include "tests/check-run.h"

#define DRIVER_BASE 0x100000
#define PAGES_BASE  (8u << 20) /* guest memory that the tests give away */
#define PAGE        4096u
#define HUGE        512u        /* pages in a huge one */
#define TELLS       (1ull << 0) /* VIRTIO_BALLOON_F_MUST_TELL_HOST */
#define ALL                                                                                                  \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_EVENT_IDX | 1 << 1 | 1 << 4 |                             \
     1 << 5) /* stats, poison, reporting */

enum { INFLATE, DEFLATE, STATS, REPORTING };

static Rig *rig;
static Device *balloon;
static Driver *driver;
static DriverQueue *queues[4];
static guint64 driver_end_of_rings;

static void start(const char *options, guint64 features, guint queue_count)
{
    rig = rig_new();
    balloon = rig_device(rig, options);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    ck_assert(driver_negotiate(driver, features));
    for (guint i = 0; i < queue_count; i++) {
        queues[i] = driver_setup_queue(driver, i, 128);
    }
    driver_end_of_rings = driver->next_free;
    driver_ok(driver);
}

static void set_up(void)
{
    start("virtio-balloon-pci,id=balloon0,free-page-reporting=on", ALL, 4);
}

/* A driver that tells the host when it takes pages out, as Linux' does. */
static void set_up_teller(void)
{
    start("virtio-balloon-pci,id=balloon0,free-page-reporting=on", ALL | TELLS, 4);
}

static void tear_down(void)
{
    g_free(driver);
    rig_free(rig);
}

static guint32 config(guint offset)
{
    return (guint32)io_bus_read(rig->env.mmio, driver->config + offset, 4);
}

static void set_config(guint offset, guint32 value)
{
    io_bus_write(rig->env.mmio, driver->config + offset, 4, value);
    rig_settle();
}

static guint8 *page(guint index)
{
    return guest_memory_range(rig->memory, PAGES_BASE + index * PAGE, PAGE);
}

static void fill_pages(guint count)
{
    for (guint i = 0; i < count; i++) {
        memset(page(i), 0x5a, PAGE);
    }
}

static gboolean is_given_back(guint index)
{
    return page(index)[0] == 0 && page(index)[PAGE - 1] == 0;
}

static guint64 put_bytes(const void *bytes, guint32 length)
{
    guint64 address = driver_alloc(driver, MAX(length, 1));
    ck_assert(guest_memory_write(rig->memory, address, bytes, length));
    return address;
}

static void tell(guint queue, const guint32 *pages, guint count)
{
    guint32 length = count * (guint32)sizeof(*pages);
    DriverBuffer buffer = {.address = put_bytes(pages, length), .length = length};
    driver_add(driver, queues[queue], &buffer, 1);
    driver_kick(driver, queues[queue]);
    driver_wait_used(driver, queues[queue], NULL);
}

static void inflate(const guint32 *pages, guint count)
{
    tell(INFLATE, pages, count);
}

/* Pages from the index on, one after the other. */
static void tell_run(guint queue, guint index, guint count)
{
    g_autofree guint32 *pages = g_new(guint32, count);
    for (guint i = 0; i < count; i++) {
        pages[i] = PAGES_BASE / PAGE + index + i;
    }
    tell(queue, pages, count);
    driver->next_free = driver_end_of_rings;
}

static gboolean given_back(gpointer index)
{
    return is_given_back(GPOINTER_TO_UINT(index));
}

static void wait_given_back(guint index)
{
    rig_wait(given_back, GUINT_TO_POINTER(index));
}

/* As long as nothing waits any more. */
static void wait_out(void)
{
    gint64 begin = g_get_monotonic_time();
    while (g_get_monotonic_time() - begin < G_USEC_PER_SEC / 2) {
        rig_settle();
        g_usleep(1000);
    }
}

static JsonObject *get_property(const char *name)
{
    for (const DeviceProperty *property = balloon->type->properties; property->name; property++) {
        if (!strcmp(property->name, name)) {
            g_autoptr(JsonNode) value = property->get(balloon, NULL);
            return json_node_dup_object(value);
        }
    }
    ck_abort();
}

static gboolean set_interval(gint64 seconds)
{
    g_autoptr(JsonNode) value = json_node_init_int(json_node_alloc(), seconds);
    return balloon->type->properties[1].set(balloon, value, NULL);
}

START_TEST (target_is_told_and_answered) {
    ck_assert_uint_eq(virtio_balloon_actual(balloon), RIG_RAM);
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    virtio_balloon_set_target(balloon, RIG_RAM - 100 * PAGE);
    ck_assert_uint_eq(config(0), 100);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100), 1);
    set_config(4, 40);
    ck_assert_uint_eq(virtio_balloon_actual(balloon), RIG_RAM - 40 * PAGE);
    virtio_balloon_set_target(balloon, 2 * (guint64)RIG_RAM);
    ck_assert_uint_eq(config(0), 0);
    set_config(4, 0xffffffff); /* more than there is */
    ck_assert_uint_eq(virtio_balloon_actual(balloon), 0);
}
END_TEST

START_TEST (changes_are_told_once_a_second) {
    for (guint i = 1; i <= 10; i++) {
        set_config(4, i);
    }
    ck_assert_uint_eq(rig->events->len, 1);
    ck_assert_str_eq(rig->events->pdata[0], "BALLOON_CHANGE {\"actual\":16773120}");
    gint64 begin = g_get_monotonic_time();
    while (rig->events->len < 2 && g_get_monotonic_time() - begin < 5 * G_USEC_PER_SEC) {
        rig_settle();
        g_usleep(1000);
    }
    ck_assert_int_ge(g_get_monotonic_time() - begin, G_USEC_PER_SEC * 9 / 10);
    ck_assert_uint_eq(rig->events->len, 2);
    ck_assert_str_eq(rig->events->pdata[1], "BALLOON_CHANGE {\"actual\":16736256}");
}
END_TEST

START_TEST (inflated_pages_are_given_back) {
    static const guint32 offsets[] = {7, 3, 4, 5, 5, 9};
    guint32 pages[G_N_ELEMENTS(offsets)];
    fill_pages(12);
    for (guint i = 0; i < G_N_ELEMENTS(offsets); i++) {
        pages[i] = PAGES_BASE / PAGE + offsets[i];
    }
    inflate(pages, G_N_ELEMENTS(pages));
    for (guint i = 0; i < 12; i++) {
        ck_assert_msg(is_given_back(i) == (i == 3 || i == 4 || i == 5 || i == 7 || i == 9), "page %u", i);
    }
}
END_TEST

START_TEST (pages_outside_ram_are_harmless) {
    guint32 pages[] = {0xffffffff,        RIG_RAM / PAGE, RIG_RAM / PAGE + 1,
                       PAGES_BASE / PAGE, 0xfffffffe,     0x100000};
    fill_pages(2);
    inflate(pages, G_N_ELEMENTS(pages));
    ck_assert(is_given_back(0));
    ck_assert(!is_given_back(1));
    /* A run that begins in RAM and ends beyond it. */
    guint32 last[] = {RIG_RAM / PAGE - 1, RIG_RAM / PAGE};
    memset(guest_memory_range(rig->memory, RIG_RAM - PAGE, PAGE), 1, PAGE);
    inflate(last, 2);
    ck_assert_uint_eq(*(guint8 *)guest_memory_range(rig->memory, RIG_RAM - PAGE, 1), 0);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
}
END_TEST

START_TEST (absurd_requests_break_the_device_only) {
    DriverBuffer buffer = {.address = 0x200000, .length = 4 << 20};
    driver_add(driver, queues[INFLATE], &buffer, 1);
    driver_kick(driver, queues[INFLATE]);
    rig_settle();
    ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
}
END_TEST

static void push_stats(const void *bytes, guint32 length)
{
    DriverBuffer buffer = {.address = put_bytes(bytes, length), .length = length};
    driver_add(driver, queues[STATS], &buffer, 1);
    driver_kick(driver, queues[STATS]);
    rig_settle();
}

START_TEST (statistics_are_asked_for_and_shown) {
    static const guint8 first[] = {4,  0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, /* free memory 4096 */
                                   15, 0, 7,    0,    0, 0, 0, 0, 0, 0, /* direct reclaims 7 */
                                   99, 0, 1,    0,    0, 0, 0, 0, 0, 0, /* not known */
                                   5,  0, 1};                           /* cut off */
    g_autoptr(JsonObject) none = get_property("guest-stats");
    ck_assert_int_eq(json_object_get_int_member(none, "last-update"), 0);
    push_stats(first, sizeof(first));
    g_autoptr(JsonObject) all = get_property("guest-stats");
    JsonObject *stats = json_object_get_object_member(all, "stats");
    ck_assert_uint_eq(json_object_get_size(stats), 2);
    ck_assert_int_eq(json_object_get_int_member(stats, "stat-free-memory"), 4096);
    ck_assert_int_eq(json_object_get_int_member(stats, "stat-direct-reclaims"), 7);
    ck_assert_int_ne(json_object_get_int_member(all, "last-update"), 0);
    /* The buffer stays with the device until statistics are wanted. */
    ck_assert(set_interval(1));
    driver_wait_used(driver, queues[STATS], NULL);
    push_stats(first, 10);
    driver_wait_used(driver, queues[STATS], NULL); /* by the timer */
    ck_assert(set_interval(0));
    ck_assert(!set_interval(-1));
    ck_assert(!set_interval(G_MAXINT64));
}
END_TEST

START_TEST (reported_pages_are_given_back_unless_poisoned) {
    fill_pages(8);
    DriverBuffer free_range = {.address = PAGES_BASE + PAGE, .length = 2 * PAGE, .is_in = TRUE};
    driver_add(driver, queues[REPORTING], &free_range, 1);
    driver_kick(driver, queues[REPORTING]);
    driver_wait_used(driver, queues[REPORTING], NULL);
    ck_assert(!is_given_back(0) && is_given_back(1) && is_given_back(2) && !is_given_back(3));
    /* Only whole pages inside the range. */
    DriverBuffer odd = {.address = PAGES_BASE + 4 * PAGE + 1, .length = 2 * PAGE, .is_in = TRUE};
    driver_add(driver, queues[REPORTING], &odd, 1);
    driver_kick(driver, queues[REPORTING]);
    driver_wait_used(driver, queues[REPORTING], NULL);
    ck_assert(!is_given_back(4) && is_given_back(5) && page(6)[0] == 0x5a);
    set_config(12, 0xaaaaaaaa);
    DriverBuffer poisoned = {.address = PAGES_BASE + 7 * PAGE, .length = PAGE, .is_in = TRUE};
    driver_add(driver, queues[REPORTING], &poisoned, 1);
    driver_kick(driver, queues[REPORTING]);
    driver_wait_used(driver, queues[REPORTING], NULL);
    ck_assert(!is_given_back(7));
}
END_TEST

START_TEST (reset_forgets_what_the_driver_said) {
    set_config(4, 40);
    set_config(12, 1);
    push_stats("\4\0\1\0\0\0\0\0\0\0", 10);
    rig_reset(rig);
    rig_settle();
    ck_assert_uint_eq(virtio_balloon_actual(balloon), RIG_RAM);
    ck_assert_uint_eq(config(12), 0);
    g_autoptr(JsonObject) all = get_property("guest-stats");
    ck_assert_uint_eq(json_object_get_size(json_object_get_object_member(all, "stats")), 0);
    ck_assert(set_interval(1)); /* nothing is pushed into a dead ring */
    rig_settle();
}
END_TEST

START_TEST (configuration_writes_are_bounded) {
    for (guint offset = 0; offset < 4096; offset += 2) {
        for (guint size = 1; size <= 8; size *= 2) {
            io_bus_write(rig->env.mmio, driver->config + offset, size, 0x0123456789abcdefull);
        }
    }
    ck_assert_uint_eq(config(0), 0); /* the device's own */
}
END_TEST

START_TEST (random_rings) {
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    for (guint round = 0; round < 3000; round++) {
        guint index = (guint)g_rand_int_range(random, 0, 4);
        DriverQueue *queue = queues[index];
        for (guint i = 0; i < 4; i++) { /* a descriptor table of noise, mostly in RAM */
            guint64 descriptor[2] = {g_rand_int(random) % (RIG_RAM + 0x10000),
                                     (guint64)g_rand_int(random) % 70000 |
                                         (guint64)(g_rand_int(random) & 0x0003000f) << 32};
            guest_memory_write(rig->memory, queue->desc + 16 * i, descriptor, 16);
        }
        guint16 head = (guint16)(g_rand_int(random) % 5);
        guest_memory_write(rig->memory, queue->avail + 4 + 2 * (queue->avail_index % 128), &head, 2);
        queue->avail_index++;
        guest_memory_write(rig->memory, queue->avail + 2, &queue->avail_index, 2);
        driver_kick(driver, queue);
        rig_settle();
        if (driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET) {
            driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
            ck_assert(driver_negotiate(driver, ALL));
            driver->next_free = DRIVER_BASE; /* the rings' memory is used again */
            for (guint i = 0; i < 4; i++) {
                queues[i] = driver_setup_queue(driver, i, 128);
            }
            driver_ok(driver);
        }
    }
}
END_TEST

START_TEST (huge_pages_are_given_back_whole) {
    fill_pages(2 * HUGE);
    tell_run(INFLATE, 0, HUGE / 2);
    ck_assert(!is_given_back(0) && !is_given_back(HUGE / 2 - 1));
    tell_run(INFLATE, HUGE / 2, HUGE / 2);
    for (guint i = 0; i < 2 * HUGE; i++) {
        ck_assert_msg(is_given_back(i) == (i < HUGE), "page %u", i);
    }
    /* What is no whole one waits for a moment only. */
    tell_run(INFLATE, HUGE + 7, 2);
    ck_assert(!is_given_back(HUGE + 7));
    wait_given_back(HUGE + 7);
    ck_assert(!is_given_back(HUGE + 6) && is_given_back(HUGE + 8) && !is_given_back(HUGE + 9));
}
END_TEST

START_TEST (a_deflated_page_stays_the_guests) {
    fill_pages(16);
    tell_run(INFLATE, 0, 16);
    tell_run(DEFLATE, 3, 2);
    tell_run(DEFLATE, 100, 4); /* that were never inflated */
    wait_given_back(0);
    for (guint i = 0; i < 16; i++) {
        ck_assert_msg(is_given_back(i) == (i != 3 && i != 4), "page %u", i);
    }
}
END_TEST

START_TEST (a_reset_takes_the_pages_out) {
    fill_pages(16);
    tell_run(INFLATE, 0, 16);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    wait_out();
    ck_assert(!is_given_back(0) && !is_given_back(15));
}
END_TEST

START_TEST (waiting_is_bounded) {
    fill_pages(1);
    tell_run(INFLATE, 0, 1);
    guint32 far[64];
    for (guint i = 0; i < G_N_ELEMENTS(far); i++) {
        far[i] = 0xffffffff - i * HUGE;
    }
    inflate(far, G_N_ELEMENTS(far) - 1);
    ck_assert(!is_given_back(0));
    inflate(far + G_N_ELEMENTS(far) - 1, 1);
    ck_assert(is_given_back(0));
}
END_TEST

/* The guest's own pages keep what it writes, and what is in the balloon at the end is the host's. */
START_TEST (nothing_is_lost_in_any_order) {
    g_autoptr(GRand) random = g_rand_new_with_seed(11);
    gboolean taken[2 * HUGE] = {FALSE};
    fill_pages(2 * HUGE);
    for (guint round = 0; round < 2000; round++) {
        guint count = (guint)g_rand_int_range(random, 1, round % 7 == 0 ? 300 : 20);
        guint index = (guint)g_rand_int_range(random, 0, 2 * HUGE - (gint)count);
        gboolean in = g_rand_boolean(random);
        tell_run(in ? INFLATE : DEFLATE, index, count);
        for (guint i = index; i < index + count; i++) {
            if (!in && taken[i]) {
                memset(page(i), 0x5a, PAGE);
            }
            taken[i] = in;
        }
    }
    wait_out();
    for (guint i = 0; i < 2 * HUGE; i++) {
        ck_assert_msg(taken[i] ? is_given_back(i) : page(i)[0] == 0x5a && page(i)[PAGE - 1] == 0x5a,
                      "page %u", i);
    }
}
END_TEST

START_TEST (one_balloon_a_machine) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, "virtio-balloon-pci", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "Only one balloon"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-balloon");
    TCase *tcase = tcase_create("virtio-balloon");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, target_is_told_and_answered);
    tcase_add_test(tcase, changes_are_told_once_a_second);
    tcase_add_test(tcase, inflated_pages_are_given_back);
    tcase_add_test(tcase, pages_outside_ram_are_harmless);
    tcase_add_test(tcase, absurd_requests_break_the_device_only);
    tcase_add_test(tcase, statistics_are_asked_for_and_shown);
    tcase_add_test(tcase, reported_pages_are_given_back_unless_poisoned);
    tcase_add_test(tcase, reset_forgets_what_the_driver_said);
    tcase_add_test(tcase, configuration_writes_are_bounded);
    tcase_add_test(tcase, random_rings);
    tcase_add_test(tcase, one_balloon_a_machine);
    suite_add_tcase(suite, tcase);
    TCase *teller = tcase_create("a driver that tells");
    tcase_set_timeout(teller, 60);
    tcase_add_checked_fixture(teller, set_up_teller, tear_down);
    tcase_add_test(teller, huge_pages_are_given_back_whole);
    tcase_add_test(teller, a_deflated_page_stays_the_guests);
    tcase_add_test(teller, a_reset_takes_the_pages_out);
    tcase_add_test(teller, waiting_is_bounded);
    tcase_add_test(teller, nothing_is_lost_in_any_order);
    suite_add_tcase(suite, teller);
    return check_run(suite);
}
