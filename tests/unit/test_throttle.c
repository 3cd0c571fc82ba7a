// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/throttle-group.h"

#define SECOND 1000000000ll
#define KIB    1024u

static Throttle throttle;
static ThrottleConfig config;
static gint64 now;

static void set_up(void)
{
    throttle_config_init(&config);
    now = 5 * SECOND;
}

static void limit(ThrottleKind kind, guint64 average, guint64 max, guint64 length)
{
    config.limits[kind] = (ThrottleLimit){average, max, length};
}

static void begin(void)
{
    g_autoptr(GError) error = NULL;
    ck_assert_msg(throttle_config_check(&config, &error), "%s", error != NULL ? error->message : "");
    throttle_init(&throttle, &config, now);
}

/* How many requests of this size go within so many seconds, when there is always another one. The clock jumps
 * to when the next one may go, as a timer of 1 ms at best would have it. */
static guint64 count_for(double seconds, gboolean is_write, guint64 bytes)
{
    gint64 end = now + (gint64)(seconds * SECOND);
    guint64 count = 0;
    while (now < end) {
        gint64 wait = throttle_wait(&throttle, is_write, now);
        if (wait == 0) {
            throttle_account(&throttle, is_write, bytes);
            count++;
        } else {
            now += (wait + 999999) / 1000000 * 1000000;
        }
    }
    return count;
}

static void check_near(double got, double wanted)
{
    ck_assert_msg(got <= wanted * 1.03 && got >= wanted * 0.97, "%.1f instead of %.1f", got, wanted);
}

START_TEST (rates_are_met) {
    static const struct {
        ThrottleKind kind;
        guint64 average, bytes;
        gboolean is_write;
    } cases[] = {
        {THROTTLE_OPS_TOTAL, 100, 4 * KIB, FALSE},
        {THROTTLE_OPS_READ, 10, 4 * KIB, FALSE},
        {THROTTLE_OPS_WRITE, 100000, 512, TRUE},
        {THROTTLE_OPS_TOTAL, 7, 512, TRUE},
        {THROTTLE_BPS_TOTAL, 10 << 20, 64 * KIB, TRUE},
        {THROTTLE_BPS_READ, 100 << 20, 1 << 20, FALSE},
        {THROTTLE_BPS_WRITE, 1 << 20, 4 * KIB, TRUE},
        {THROTTLE_BPS_TOTAL, G_GUINT64_CONSTANT(20) << 30, 1 << 20, FALSE},
    };
    limit(cases[_i].kind, cases[_i].average, 0, 1);
    begin();
    guint64 count = count_for(10, cases[_i].is_write, cases[_i].bytes);
    double rate = (double)count / 10 * (cases[_i].kind < THROTTLE_OPS_TOTAL ? (double)cases[_i].bytes : 1);
    /* A request more at the beginning, which at low rates is more than the hundredth of slack. */
    check_near(rate - (cases[_i].average < 100 ? 0.1 : 0), (double)cases[_i].average);
}
END_TEST

/* The average holds from the first second on: nothing is saved up while idle but a tenth of a second's worth.
 */
START_TEST (idling_saves_nothing) {
    limit(THROTTLE_OPS_TOTAL, 100, 0, 1);
    begin();
    now += 1000 * SECOND;
    ck_assert_uint_le(count_for(1, FALSE, 512), 112);
    ck_assert_uint_le(count_for(1, FALSE, 512), 101);
}
END_TEST

START_TEST (limits_of_the_other_direction_do_not_count) {
    limit(THROTTLE_OPS_WRITE, 1, 0, 1);
    limit(THROTTLE_BPS_WRITE, 1, 0, 1);
    begin();
    throttle_account(&throttle, TRUE, 1 << 20);
    ck_assert_int_gt(throttle_wait(&throttle, TRUE, now), 0);
    for (guint i = 0; i < 1000; i++) {
        ck_assert_int_eq(throttle_wait(&throttle, FALSE, now), 0);
        throttle_account(&throttle, FALSE, 1 << 20);
    }
    ck_assert_int_gt(throttle_wait(&throttle, TRUE, now), 0);
}
END_TEST

START_TEST (reads_and_writes_share_the_total) {
    limit(THROTTLE_BPS_TOTAL, 1 << 20, 0, 1);
    begin();
    guint64 bytes = 0;
    gint64 end = now + 10 * SECOND;
    for (guint i = 0; now < end; i++) {
        gint64 wait = throttle_wait(&throttle, i % 2 == 0, now);
        now += wait;
        throttle_account(&throttle, i % 2 == 0, 16 * KIB);
        bytes += 16 * KIB;
    }
    check_near((double)bytes / 10, 1 << 20);
}
END_TEST

/* 500 a second for 4 s, then 100. */
START_TEST (bursts_last_as_long_as_they_may) {
    limit(THROTTLE_OPS_TOTAL, 100, 500, 4);
    begin();
    guint64 first = count_for(1, FALSE, 512);
    check_near((double)first, 550); /* with a tenth of a second's worth at once */
    check_near((double)count_for(3, FALSE, 512), 1500);
    /* What the bucket of 2,000 leaked meanwhile goes on for another second. */
    guint64 rest = count_for(1, FALSE, 512);
    ck_assert_uint_ge(rest, 400);
    count_for(5, FALSE, 512);
    check_near((double)count_for(10, FALSE, 512), 1000);
    /* After rest, again. */
    now += 60 * SECOND;
    check_near((double)count_for(2, FALSE, 512), 1050);
}
END_TEST

START_TEST (a_burst_of_one_second) {
    limit(THROTTLE_OPS_TOTAL, 100, 1000, 1);
    begin();
    /* As much as the bucket holds may go at once. */
    guint64 count = 0;
    while (throttle_wait(&throttle, FALSE, now) == 0) {
        throttle_account(&throttle, FALSE, 512);
        count++;
    }
    ck_assert_uint_ge(count, 1000);
    ck_assert_uint_le(count, 1001);
    check_near((double)count_for(10, FALSE, 512), 1000);
}
END_TEST

START_TEST (large_requests_count_as_several) {
    limit(THROTTLE_OPS_TOTAL, 100, 0, 1);
    config.op_size = 4 * KIB;
    begin();
    check_near((double)count_for(10, FALSE, 16 * KIB) * 4, 1000);
    throttle_init(&throttle, &config, now);
    check_near((double)count_for(10, FALSE, 512), 1000);
}
END_TEST

START_TEST (a_huge_request_is_paid_for_afterwards) {
    limit(THROTTLE_BPS_TOTAL, 1 << 20, 0, 1);
    begin();
    ck_assert_int_eq(throttle_wait(&throttle, FALSE, now), 0);
    throttle_account(&throttle, FALSE, 10 << 20);
    check_near((double)throttle_wait(&throttle, FALSE, now), 9.9 * SECOND);
}
END_TEST

START_TEST (nothing_set_never_waits) {
    begin();
    ck_assert(!throttle_config_is_set(&config));
    for (guint i = 0; i < 1000; i++) {
        throttle_account(&throttle, TRUE, 1 << 30);
        ck_assert_int_eq(throttle_wait(&throttle, TRUE, now), 0);
    }
}
END_TEST

START_TEST (a_clock_that_goes_back) {
    limit(THROTTLE_OPS_TOTAL, 1, 0, 1);
    begin();
    throttle_account(&throttle, TRUE, 1);
    gint64 wait = throttle_wait(&throttle, TRUE, now);
    ck_assert_int_le(throttle_wait(&throttle, TRUE, now - 5 * SECOND), wait);
    ck_assert_int_gt(throttle_wait(&throttle, TRUE, now - 5 * SECOND), 0);
}
END_TEST

static const struct {
    const char *options, *error; /* NULL: good */
} options[] = {
    {"t.bps-total=1000,t.iops-read=5,t.iops-size=512", NULL},
    {"t.bps-read=1,t.bps-write=1", NULL},
    {"t.iops-total=10,t.iops-total-max=20,t.iops-total-max-length=5", NULL},
    {"t.bps-total=1,t.bps-write=1", "exclude each other"},
    {"t.iops-total=1,t.iops-read=1", "exclude each other"},
    {"t.iops-total-max=1", "iops-total-max needs iops-total"},
    {"t.iops-read=10,t.iops-read-max=9", "iops-read-max is less than iops-read"},
    {"t.bps-read=10,t.bps-read-max-length=2", "bps-read-max-length needs bps-read-max"},
    {"t.bps-read=10,t.bps-read-max=20,t.bps-read-max-length=0", "must be 1 s at least"},
    {"t.bps-read=10,t.bps-read-max=1000000000000,t.bps-read-max-length=100000", "is too long"},
    {"t.iops-size=512", "iops-size needs a limit of operations"},
    {"t.bps-total=1000000000000001", "is beyond 1000000000000000"},
    {"t.bps-total=-1", "must be a number"},
    {"t.bps-total=1k", "must be a number"},
};

START_TEST (options_are_checked) {
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) set = optset_parse("-x", options[_i].options, NULL, &error);
    gboolean good = throttle_config_parse(&config, set, "t.", &error) && optset_finish(set, &error);
    ck_assert_int_eq(good, options[_i].error == NULL);
    if (!good)
        ck_assert_msg(strstr(error->message, options[_i].error) != NULL, "%s", error->message);
}
END_TEST

/* ---- groups, by the real clock ---- */

#define DISKS 3

typedef struct Disk {
    ThrottleMember *member;
    BlockRequest requests[16];
    guint passed, writes;
} Disk;

static IoContext *io;
static ThrottleGroup *group;
static Disk disks[DISKS];
static gboolean running;

/* Each comes again at once. */
static void on_pass(BlockRequest *request, gpointer user_data)
{
    Disk *disk = user_data;
    disk->passed++;
    disk->writes += request->op == BLOCK_WRITE;
    if (running)
        throttle_member_submit(disk->member, request);
}

static void start_disks(guint count, guint depth, gboolean mixed)
{
    io = io_context_new_main();
    group = throttle_group_new("g");
    throttle_group_set(group, &config);
    running = TRUE;
    for (guint i = 0; i < count; i++) {
        disks[i] = (Disk){.member = throttle_member_new(group, io, on_pass, &disks[i])};
        for (guint j = 0; j < depth; j++) {
            disks[i].requests[j] =
                (BlockRequest){.op = mixed && j % 2 == 0 ? BLOCK_WRITE : BLOCK_READ, .length = 4096};
        }
    }
    for (guint j = 0; j < depth; j++) {
        for (guint i = 0; i < count; i++)
            throttle_member_submit(disks[i].member, &disks[i].requests[j]);
    }
}

/* Until so many requests of all disks have passed. Returns how long that took, in us. */
static gint64 run_until(guint wanted)
{
    gint64 begun = g_get_monotonic_time();
    for (;;) {
        guint sum = 0;
        for (guint i = 0; i < DISKS; i++)
            sum += disks[i].passed;
        gint64 passed = g_get_monotonic_time() - begun;
        if (sum >= wanted)
            return passed;
        ck_assert_int_lt(passed, 30 * G_USEC_PER_SEC);
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(200);
    }
}

static void stop_disks(guint count)
{
    running = FALSE;
    for (guint i = 0; i < count; i++) {
        throttle_member_release(disks[i].member);
        throttle_member_free(disks[i].member);
    }
    throttle_group_unref(group);
    io_context_free(io);
}

START_TEST (members_take_turns) {
    /* So few a second that next to nothing passes at once when this process was not let run for a while. */
    limit(THROTTLE_OPS_TOTAL, 30, 0, 1);
    /* The first disk has many more requests waiting than the others. */
    start_disks(DISKS, 2, _i == 1);
    BlockRequest more[14] = {0};
    for (guint i = 0; i < G_N_ELEMENTS(more); i++) {
        more[i] = (BlockRequest){.op = BLOCK_READ, .length = 4096};
        throttle_member_submit(disks[0].member, &more[i]);
    }
    ck_assert_int_ge(run_until(60), 1700000);
    for (guint i = 0; i < DISKS; i++)
        ck_assert_uint_ge(disks[i].passed, 14);
    stop_disks(DISKS);
}
END_TEST

/* Under one limit for both, writes do not starve reads. */
START_TEST (reads_and_writes_alternate) {
    limit(THROTTLE_OPS_TOTAL, 40, 0, 1);
    start_disks(1, 16, FALSE);
    BlockRequest write = {.op = BLOCK_WRITE, .length = 4096};
    Disk *disk = &disks[0];
    throttle_member_submit(disk->member, &write);
    run_until(60);
    /* The one write that waits goes about as often as all the reads together. */
    ck_assert_uint_ge(disk->writes, disk->passed * 3 / 10);
    stop_disks(1);
}
END_TEST

START_TEST (a_change_counts_at_once) {
    limit(THROTTLE_OPS_TOTAL, 1, 0, 1);
    start_disks(1, 4, FALSE);
    run_until(1);
    limit(THROTTLE_OPS_TOTAL, 1000, 0, 1);
    throttle_group_set(group, &config);
    run_until(150); /* within its time, at one a second never */
    stop_disks(1);
}
END_TEST

START_TEST (flushes_and_discards_pass) {
    limit(THROTTLE_OPS_TOTAL, 1, 0, 1);
    start_disks(1, 3, FALSE);
    running = FALSE;
    guint before = disks[0].passed;
    BlockRequest flush = {.op = BLOCK_FLUSH}, discard = {.op = BLOCK_DISCARD, .length = 512};
    throttle_member_submit(disks[0].member, &flush);
    throttle_member_submit(disks[0].member, &discard);
    ck_assert_uint_eq(disks[0].passed, before + 2);
    stop_disks(1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("throttle");
    TCase *c = tcase_create("throttle");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, set_up, NULL);
    tcase_add_loop_test(c, rates_are_met, 0, 8);
    tcase_add_test(c, idling_saves_nothing);
    tcase_add_test(c, limits_of_the_other_direction_do_not_count);
    tcase_add_test(c, reads_and_writes_share_the_total);
    tcase_add_test(c, bursts_last_as_long_as_they_may);
    tcase_add_test(c, a_burst_of_one_second);
    tcase_add_test(c, large_requests_count_as_several);
    tcase_add_test(c, a_huge_request_is_paid_for_afterwards);
    tcase_add_test(c, nothing_set_never_waits);
    tcase_add_test(c, a_clock_that_goes_back);
    tcase_add_loop_test(c, options_are_checked, 0, G_N_ELEMENTS(options));
    tcase_add_loop_test(c, members_take_turns, 0, 2);
    tcase_add_test(c, reads_and_writes_alternate);
    tcase_add_test(c, a_change_counts_at_once);
    tcase_add_test(c, flushes_and_discards_pass);
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
