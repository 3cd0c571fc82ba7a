// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-ksm.h"
#include "tests/check-run.h"

#define GUESTS  4
#define TICK_MS 500

/* A host of 16 GiB on which ksmd does as it is told: a page costs 1 us the first two times, 4 us when it is
 * merged, and then 0.25 us (measured: 0.27); what is merged is `same` permille of a guest. */
typedef struct {
    PolicyKsmConfig config;
    PolicyKsmState state;
    PolicyKsmHost host;
    PolicyKsmGuest guests[GUESTS];
    PolicyKsmGuestState states[GUESTS];
    PolicyKsmDecision decision;
    gint64 now, scanned, cpu_us, same[GUESTS];
    int passes[GUESTS]; /* over each guest's pages since they were written */
} World;

static World world;

static void set_up(void)
{
    world = (World){.host = {.total = 16384, .available = 4000, .cpu_pressure = -1}, .now = 1000};
    policy_ksm_config_init(&world.config);
}

static void arrive(guint guest, gint64 mib, gint64 same)
{
    world.guests[guest] = (PolicyKsmGuest){.counts = TRUE, .mergeable = mib};
    world.same[guest] = mib * same / 1000;
    world.passes[guest] = 0;
}

static void end_pass(void)
{
    world.host.full_scans++;
    for (guint g = 0; g < GUESTS; g++)
        if (world.guests[g].counts && ++world.passes[g] == 2) {
            world.host.profit += world.same[g];
            world.guests[g].merged += world.same[g];
            world.cpu_us += world.same[g] * 256 * 4;
        }
}

static void tick(void)
{
    gint64 all = 0;
    gboolean fresh = FALSE;
    for (guint g = 0; g < GUESTS; g++) {
        all += world.guests[g].counts ? world.guests[g].mergeable * 256 : 0;
        fresh = fresh || (world.guests[g].counts && world.passes[g] < 2);
    }
    policy_ksm_plan(&world.config, &world.state, &world.host, world.guests, world.states, GUESTS, world.now,
                    &world.decision);
    for (gint64 us = 0; world.decision.run && us < TICK_MS * 1000 && all > 0;) {
        us += world.decision.sleep_ms * 1000 + world.decision.pages;
        world.scanned += world.decision.pages;
        world.cpu_us += fresh ? world.decision.pages : world.decision.pages / 4;
        if (world.scanned >= all) {
            world.scanned = 0;
            end_pass();
        }
    }
    world.host.cpu_ms = world.cpu_us / 1000;
    world.now += TICK_MS;
}

static void ticks(gint64 ms)
{
    for (gint64 end = world.now + ms; world.now < end;)
        tick();
}

START_TEST (test_arrival_is_merged_at_once_and_then_there_is_silence) {
    ticks(60000);
    ck_assert_int_eq(world.host.full_scans, 0);
    for (guint g = 0; g < GUESTS; g++)
        arrive(g, 256, 900);
    tick();
    ck_assert_int_eq(world.decision.reason, POLICY_KSM_REASON_GROWN);
    ticks(5500);
    ck_assert_int_eq(world.host.profit, 4 * 230);
    ticks(3000);
    ck_assert(!world.decision.run);
    ck_assert_int_le(world.host.cpu_ms, 2000);
    gint64 before = world.host.cpu_ms;
    ticks(3600000);
    ck_assert_int_le(world.host.cpu_ms - before, 36000);
}
END_TEST

START_TEST (test_nothing_is_scanned_while_the_host_is_relaxed) {
    world.host.available = 12000;
    arrive(0, 2048, 900);
    ticks(3600000);
    ck_assert_int_eq(world.host.cpu_ms, 0);
    world.host.available = 3000; /* but what came meanwhile is not forgotten */
    tick();
    ck_assert_int_eq(world.decision.phase, POLICY_KSM_BURST);
    world.host.available = 12000;
    tick();
    ck_assert(!world.decision.run);
    ck_assert_int_eq(world.decision.reason, POLICY_KSM_REASON_RELAXED);
    world.config.mode = POLICY_KSM_ALWAYS;
    tick();
    ck_assert(world.decision.run);
    world.config.mode = POLICY_KSM_OFF;
    tick();
    ck_assert(!world.decision.run);
}
END_TEST

/* One goes as another comes: the sum stays, yet there is something new. */
START_TEST (test_growth_is_seen_for_each_guest) {
    arrive(0, 512, 500);
    ticks(20000);
    ck_assert(!world.decision.run);
    world.guests[0] = (PolicyKsmGuest){0};
    world.states[0] = (PolicyKsmGuestState){0};
    arrive(1, 512, 500);
    tick();
    ck_assert_int_eq(world.decision.reason, POLICY_KSM_REASON_GROWN);
}
END_TEST

START_TEST (test_unique_memory_is_given_up) {
    arrive(0, 1024, 0);
    for (int s = 0; s < 200; s++) {
        world.guests[0].mergeable += 32; /* it grows all the time */
        world.passes[0] = 0;
        ticks(1000);
    }
    ck_assert_uint_ge(world.state.fruitless, 2);
    gint64 before = world.host.cpu_ms;
    for (int s = 0; s < 1800; s++) {
        world.guests[0].mergeable += 1;
        ticks(1000);
    }
    ck_assert_int_le(world.host.cpu_ms - before, 1800 * 5); /* 0.5 % */
}
END_TEST

/* Guests come and go that have nothing in common: their being new is no reason any more. */
START_TEST (test_new_guests_of_unique_memory_start_no_bursts) {
    int bursts = 0;
    for (int s = 0; s < 1200; s++) {
        if (s % 60 == 0) {
            world.states[0] = (PolicyKsmGuestState){0};
            arrive(0, 512, 0);
        }
        tick();
        bursts += world.decision.reason == POLICY_KSM_REASON_GROWN;
    }
    ck_assert_int_eq(bursts, 2);
}
END_TEST

START_TEST (test_budget_holds_in_the_long_run) {
    world.host.total = 1 << 20;
    world.host.available = 300000;
    world.config.pass_ms = 1000;
    arrive(0, 400000, 100);
    ticks(600000);
    ck_assert_int_gt(world.host.cpu_ms, 600000 / 20);
    ck_assert_int_le(world.host.cpu_ms, 600000 * 3 / 10 + 2 * world.config.burst_ms);
    world.host.available = 1000; /* in need it may use a CPU */
    gint32 before = world.decision.pages;
    tick();
    ck_assert_int_gt(world.decision.pages, before);
}
END_TEST

START_TEST (test_nonsense_keeps_the_bounds) {
    static const gint64 odd[] = {0, -1, 1, 255, 4096, 1 << 20, G_MAXINT32, (gint64)1 << 40};
    guint32 seed = 12345;
    for (int s = 0; s < 20000; s++) {
        gint64 *numbers[] = {&world.host.available, &world.host.full_scans,     &world.host.profit,
                             &world.host.cpu_ms,    &world.guests[0].mergeable, &world.guests[1].merged};
        for (gsize k = 0; k < G_N_ELEMENTS(numbers); k++) {
            seed = seed * 1664525 + 1013904223;
            *numbers[k] = odd[(seed >> 16) % G_N_ELEMENTS(odd)];
        }
        world.guests[0].counts = seed >> 31;
        policy_ksm_plan(&world.config, &world.state, &world.host, world.guests, world.states, GUESTS,
                        world.now, &world.decision);
        ck_assert_int_ge(world.decision.pages, 64);
        ck_assert_int_le(world.decision.pages, 30000);
        ck_assert_int_eq(world.decision.sleep_ms, 10);
        world.now += 1 + (seed >> 20);
    }
    for (int i = 0; i < POLICY_KSM_REASONS; i++)
        ck_assert_str_ne(policy_ksm_reason_name((PolicyKsmReason)i), "?");
    for (int i = 0; i < POLICY_KSM_PHASES; i++)
        ck_assert_str_ne(policy_ksm_phase_name((PolicyKsmPhase)i), "?");
}
END_TEST

/* What a guest that has gone had merged stays counted until the next scan clears it away. */
START_TEST (test_another_guests_end_does_not_hide_the_gain) {
    world.config.mode = POLICY_KSM_ALWAYS;
    arrive(0, 256, 900);
    world.host.profit = 230;
    tick();
    ck_assert_int_eq(world.decision.phase, POLICY_KSM_BURST);
    world.host.profit = 0;
    ticks(3000);
    ck_assert_int_eq(world.host.profit, 230);
    for (int i = 0; i < 100 && world.decision.phase == POLICY_KSM_BURST; i++)
        tick();
    ck_assert_int_eq(world.decision.reason, POLICY_KSM_REASON_WORTH);
}
END_TEST

/* What came while a scan ended was not scanned whole: it is news. */
START_TEST (test_what_came_late_is_not_forgotten) {
    world.config.mode = POLICY_KSM_ALWAYS;
    arrive(0, 256, 900);
    for (int i = 0; i < 100 && world.decision.phase != POLICY_KSM_VERIFY; i++)
        tick();
    ck_assert_int_eq(world.decision.phase, POLICY_KSM_VERIFY);
    world.guests[0].mergeable = 512; /* nothing of that is merged in the pass that ends the scan */
    for (int i = 0; i < 100 && world.decision.run; i++)
        tick();
    ck_assert_int_eq(world.decision.reason, POLICY_KSM_REASON_DONE);
    tick();
    ck_assert_int_eq(world.decision.reason, POLICY_KSM_REASON_GROWN);
}
END_TEST

/* On a busy host ksmd waits for its turn: it is given more pages for each. */
START_TEST (test_a_slow_scanner_is_given_more) {
    world.config.mode = POLICY_KSM_ALWAYS;
    arrive(0, 1024, 900);
    world.host.scanned = 1;
    tick();
    gint32 first = world.decision.pages;
    world.host.scanned += first * 5; /* in half a second */
    tick();
    ck_assert_int_ge(world.decision.pages, first * 3);
    world.host.tracked = 4096; /* others have offered more */
    gint32 before = world.decision.pages;
    world.host.scanned += before * 5;
    tick();
    ck_assert_int_ge(world.decision.pages, MIN(before * 2, 30000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy-ksm");
    TCase *cases = tcase_create("ksm");
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, test_arrival_is_merged_at_once_and_then_there_is_silence);
    tcase_add_test(cases, test_nothing_is_scanned_while_the_host_is_relaxed);
    tcase_add_test(cases, test_growth_is_seen_for_each_guest);
    tcase_add_test(cases, test_unique_memory_is_given_up);
    tcase_add_test(cases, test_new_guests_of_unique_memory_start_no_bursts);
    tcase_add_test(cases, test_budget_holds_in_the_long_run);
    tcase_add_test(cases, test_nonsense_keeps_the_bounds);
    tcase_add_test(cases, test_another_guests_end_does_not_hide_the_gain);
    tcase_add_test(cases, test_what_came_late_is_not_forgotten);
    tcase_add_test(cases, test_a_slow_scanner_is_given_more);
    suite_add_tcase(suite, cases);
    return check_run(suite);
}
