// SPDX-License-Identifier: GPL-2.0-or-later
/* The i6300esb watchdog through its configuration space and memory. */
#include <check.h>

#include "tests/device/driver.h"
#include "tests/check-run.h"

#define SETTINGS 0x60
#define LOCK     0x68
#define LOCKED   1u
#define ENABLED  2u
#define FREE_RUN 4u
#define FAST     4u
#define SILENT   0x20u
#define TIMER1   0u
#define TIMER2   4u
#define RELOAD   0xcu
#define SLOT     2

/* A fast tick is 0.96 us, a slow one 0.98 ms. */
#define MS_TICKS 1042u

static Rig *rig;
static Device *watchdog;
static guint64 bar;

static void set_up(void)
{
    rig = rig_new();
    watchdog = rig_device(rig, "i6300esb,id=w,addr=2");
    rig_assign(rig);
    bar = rig_config_read(rig, SLOT, 0x10, 4) & ~0xfull;
}

static void tear_down(void)
{
    rig_free(rig);
}

static guint64 get(guint offset)
{
    return io_bus_read(rig->env.mmio, bar + offset, 4);
}

static void put(guint offset, guint32 value)
{
    io_bus_write(rig->env.mmio, bar + RELOAD, 2, 0x80);
    io_bus_write(rig->env.mmio, bar + RELOAD, 2, 0x86);
    io_bus_write(rig->env.mmio, bar + offset, 4, value);
}

static guint alarms(void)
{
    g_mutex_lock(&rig->events_lock);
    guint count = rig->alarms[DEVICE_ALARM_WATCHDOG];
    g_mutex_unlock(&rig->events_lock);
    return count;
}

static gboolean has_alarm(gpointer user_data)
{
    return alarms() > 0;
}

/* Both stages of that many ms. */
static void arm(guint32 ms, guint settings)
{
    gboolean fast = ms < 1000; /* the counters have 20 bits */
    rig_config_write(rig, SLOT, SETTINGS, 2, (fast ? FAST : 0) | 3 | settings);
    put(TIMER1, fast ? ms * MS_TICKS : ms);
    put(TIMER2, fast ? ms * MS_TICKS : ms);
    rig_config_write(rig, SLOT, LOCK, 1, ENABLED);
}

/* Lets the main loop run for that long. */
static void run_for(guint ms)
{
    for (gint64 end = g_get_monotonic_time() + ms * 1000; g_get_monotonic_time() < end; g_usleep(1000)) {
        rig_settle();
    }
}

START_TEST (it_is_the_one_that_drivers_know) {
    ck_assert_uint_eq(rig_config_read(rig, SLOT, 0, 4), 0x25ab8086);
    ck_assert_uint_eq(rig_config_read(rig, SLOT, 0xa, 2), 0x0880);
    ck_assert_uint_eq(get(TIMER1), 0xfffff);
    ck_assert_uint_eq(get(TIMER2), 0xfffff);
    ck_assert_uint_eq(get(RELOAD), 0);
}
END_TEST

START_TEST (it_fires_after_both_stages) {
    gint64 begun = g_get_monotonic_time();
    arm(20, 0);
    rig_wait(has_alarm, NULL);
    ck_assert_int_ge(g_get_monotonic_time() - begun, 39 * 1000);
    ck_assert_uint_eq(get(RELOAD), 0x200); /* it remembers */
    run_for(100);
    ck_assert_uint_eq(alarms(), 1);
    ck_assert_uint_eq(rig_config_read(rig, SLOT, LOCK, 1), 0); /* it is off */
    rig_reset(rig);
    ck_assert_uint_eq(get(RELOAD), 0x200); /* over a reset */
    put(RELOAD, 0x200);
    ck_assert_uint_eq(get(RELOAD), 0);
}
END_TEST

START_TEST (a_guest_that_reloads_it_is_left_alone) {
    arm(100000, 0);
    for (guint i = 0; i < 20; i++) {
        put(RELOAD, 0x100);
        run_for(10);
    }
    ck_assert_uint_eq(alarms(), 0);
}
END_TEST

START_TEST (reloading_begins_with_the_first_stage) {
    arm(150, 0);
    gint64 begun = g_get_monotonic_time();
    while (g_get_monotonic_time() - begun < 200 * 1000) { /* the second stage runs */
        rig_settle();
        g_usleep(1000);
    }
    begun = g_get_monotonic_time();
    put(RELOAD, 0x100);
    if (alarms() == 0) { /* unless this machine stood still meanwhile */
        rig_wait(has_alarm, NULL);
        ck_assert_int_ge(g_get_monotonic_time() - begun, 299 * 1000);
    }
}
END_TEST

START_TEST (writes_need_the_sequence) {
    io_bus_write(rig->env.mmio, bar + TIMER1, 4, 5);
    ck_assert_uint_eq(get(TIMER1), 0xfffff);
    io_bus_write(rig->env.mmio, bar + RELOAD, 2, 0x86); /* the wrong way round */
    io_bus_write(rig->env.mmio, bar + RELOAD, 2, 0x80);
    io_bus_write(rig->env.mmio, bar + TIMER1, 4, 5);
    ck_assert_uint_eq(get(TIMER1), 0xfffff);
    put(TIMER1, 5);
    ck_assert_uint_eq(get(TIMER1), 5);
    io_bus_write(rig->env.mmio, bar + TIMER1, 4, 6); /* it holds for one write */
    ck_assert_uint_eq(get(TIMER1), 5);
    put(TIMER2, 0xffffffff);
    ck_assert_uint_eq(get(TIMER2), 0xfffff);
}
END_TEST

START_TEST (locked_it_cannot_be_stopped) {
    arm(100, 0);
    rig_config_write(rig, SLOT, LOCK, 1, ENABLED | LOCKED);
    rig_config_write(rig, SLOT, LOCK, 1, 0);
    ck_assert_uint_eq(rig_config_read(rig, SLOT, LOCK, 1), ENABLED | LOCKED);
    rig_wait(has_alarm, NULL);
}
END_TEST

START_TEST (stopped_or_silent_it_does_nothing) {
    arm(10, 0);
    rig_config_write(rig, SLOT, LOCK, 1, 0);
    run_for(60);
    arm(10, SILENT);
    run_for(60);
    rig_config_write(rig, SLOT, LOCK, 1, 0);
    rig_config_write(rig, SLOT, LOCK, 1, ENABLED | FREE_RUN);
    run_for(60);
    ck_assert_uint_eq(alarms(), 0);
    rig_reset(rig);
    run_for(60);
    ck_assert_uint_eq(alarms(), 0);
}
END_TEST

START_TEST (it_stands_still_with_the_machine) {
    arm(30, 0);
    watchdog->pause(watchdog);
    run_for(200);
    ck_assert_uint_eq(alarms(), 0);
    watchdog->resume(watchdog);
    rig_wait(has_alarm, NULL);
    watchdog->pause(watchdog); /* nothing runs: nothing to keep */
    watchdog->resume(watchdog);
    run_for(100);
    ck_assert_uint_eq(alarms(), 1);
}
END_TEST

START_TEST (random_accesses) {
    g_autoptr(GRand) random = g_rand_new_with_seed(6300);
    for (guint i = 0; i < 20000; i++) {
        guint size = 1u << g_rand_int_range(random, 0, 4);
        if (g_rand_boolean(random)) {
            io_bus_write(rig->env.mmio, bar + (guint)g_rand_int_range(random, 0, 4088), size,
                         g_rand_int(random));
        } else {
            rig_config_write(rig, SLOT, (guint)g_rand_int_range(random, 0x5c, 0x6c), MIN(size, 2),
                             g_rand_int(random));
        }
        if (i % 100 == 0) {
            rig_settle();
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i6300esb");
    TCase *tcase = tcase_create("i6300esb");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, it_is_the_one_that_drivers_know);
    tcase_add_test(tcase, it_fires_after_both_stages);
    tcase_add_test(tcase, a_guest_that_reloads_it_is_left_alone);
    tcase_add_test(tcase, reloading_begins_with_the_first_stage);
    tcase_add_test(tcase, writes_need_the_sequence);
    tcase_add_test(tcase, locked_it_cannot_be_stopped);
    tcase_add_test(tcase, stopped_or_silent_it_does_nothing);
    tcase_add_test(tcase, it_stands_still_with_the_machine);
    tcase_add_test(tcase, random_accesses);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
