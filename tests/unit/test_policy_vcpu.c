// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-vcpu.h"
#include "tests/check-run.h"

#define GUESTS 3

/* Guests of 1 to 8 vCPUs that change as they are told, unless they are stubborn. */
typedef struct {
    PolicyVcpuConfig config;
    PolicyVcpuHost host;
    PolicyVcpuGuest guests[GUESTS];
    PolicyVcpuGuestState states[GUESTS];
    PolicyVcpuDecision decisions[GUESTS];
    gint64 now;
    gint64 wants[GUESTS], waits[GUESTS]; /* ms a second */
    gboolean stubborn;
} World;

static World world;

static void set_up(void)
{
    world = (World){.host = {.cpus = 16, .busy = 300}, .now = 1000};
    policy_vcpu_config_init(&world.config);
    for (guint i = 0; i < GUESTS; i++)
        world.guests[i] =
            (PolicyVcpuGuest){.flags = POLICY_VCPU_RUNS | POLICY_VCPU_PLUGS | POLICY_VCPU_UNPLUGS,
                              .shares = 1000,
                              .vcpus = 2,
                              .min = 1,
                              .max = 8,
                              .granule = 1};
}

static void tick(void)
{
    for (guint i = 0; i < GUESTS; i++) {
        world.guests[i].time_ms += MIN(world.wants[i], world.guests[i].vcpus * 1000 - world.waits[i]);
        world.guests[i].wait_ms += world.waits[i];
    }
    world.now += 1000;
    policy_vcpu_plan(&world.config, &world.host, world.guests, world.states, world.decisions, GUESTS,
                     world.now);
    for (guint i = 0; i < GUESTS; i++)
        if (world.decisions[i].changed && !world.stubborn)
            world.guests[i].vcpus = world.decisions[i].vcpus;
}

static void ticks(int seconds)
{
    for (int s = 0; s < seconds; s++)
        tick();
}

START_TEST (test_busy_guest_gets_vcpus_and_loses_them) {
    world.config.changes = 1000;
    for (int cycle = 0; cycle < 50; cycle++) {
        gint32 before = world.guests[0].vcpus;
        world.wants[0] = 8000;
        ticks(15);
        ck_assert_int_eq(world.guests[0].vcpus, before * 2); /* doubled */
        ticks(62);
        ck_assert_int_eq(world.guests[0].vcpus, before * 2 + 1); /* then one by one */
        world.wants[0] = 20;
        ticks(302);
        ck_assert_int_lt(world.guests[0].vcpus, before * 2 + 1);
        ticks(1500);
        ck_assert_int_eq(world.guests[0].vcpus, 1);
    }
    ck_assert_int_eq(world.guests[1].vcpus, 1); /* idle all the time */
}
END_TEST

START_TEST (test_steady_guest_is_left_alone) {
    world.wants[0] = 1400; /* of 2000: neither busy, nor enough with one */
    for (int s = 0; s < 4000; s++) {
        tick();
        ck_assert(!world.decisions[0].changed);
    }
}
END_TEST

START_TEST (test_short_peaks_change_nothing) {
    for (int s = 0; s < 2000; s++) {
        world.wants[0] = s % 60 < 8 ? 2000 : 900;
        tick();
        ck_assert(!world.decisions[0].changed);
    }
}
END_TEST

START_TEST (test_nothing_is_added_to_a_full_host) {
    world.wants[0] = world.wants[1] = 2000;
    world.host.busy = 990;
    world.waits[1] = 500;
    ticks(100);
    ck_assert_int_eq(world.guests[0].vcpus, 2);
    world.host.busy = 300;
    ticks(30);
    ck_assert_int_gt(world.guests[0].vcpus, 2);
    ck_assert_int_eq(world.guests[1].vcpus, 2); /* it waits: more vCPUs would wait, too */
}
END_TEST

START_TEST (test_refusal_is_taken_back_and_backed_off) {
    world.stubborn = TRUE;
    world.wants[0] = 10;
    world.wants[1] = world.wants[2] = 1500;
    int asked = 0, taken_back = 0;
    for (int s = 0; s < 3 * 3600; s++) {
        tick();
        if (!world.decisions[0].changed)
            continue;
        if (world.decisions[0].reason == POLICY_VCPU_REASON_CALM) {
            asked++;
            world.guests[0].flags |= POLICY_VCPU_REFUSED;
            continue;
        }
        ck_assert_int_eq(world.decisions[0].reason, POLICY_VCPU_REASON_REFUSED);
        ck_assert_int_eq(world.decisions[0].vcpus, 2);
        world.guests[0].flags &= ~(guint32)POLICY_VCPU_REFUSED;
        taken_back++;
    }
    ck_assert_int_eq(asked, taken_back);
    ck_assert_int_ge(asked, 2);
    ck_assert_int_le(asked, 3); /* once an hour */
}
END_TEST

START_TEST (test_changes_are_rationed) {
    world.config.down_ms = world.config.down_pause_ms = 1000;
    world.config.up_pause_ms = 0;
    int changes = 0;
    for (int s = 0; s < 7200; s++) {
        world.wants[0] = s % 60 < 30 ? 8000 : 10;
        tick();
        changes += world.decisions[0].changed;
    }
    ck_assert_int_ge(changes, 12);
    ck_assert_int_le(changes, 12 + 24);
}
END_TEST

START_TEST (test_granule_minimum_and_lack_of_agent_are_kept) {
    world.guests[0].granule = 4;
    world.guests[0].vcpus = 4;
    world.guests[1].min = 2;
    world.guests[2].flags &= ~(guint32)POLICY_VCPU_UNPLUGS;
    world.wants[0] = 4000;
    ticks(15);
    ck_assert_int_eq(world.guests[0].vcpus, 8);
    world.wants[0] = 10;
    ticks(2000);
    ck_assert_int_eq(world.guests[0].vcpus, 4);
    ck_assert_int_eq(world.guests[1].vcpus, 2);
    ck_assert_int_eq(world.guests[2].vcpus, 2);
    world.guests[1].vcpus = 1;
    tick();
    ck_assert_int_eq(world.decisions[1].reason, POLICY_VCPU_REASON_LIMITS);
}
END_TEST

START_TEST (test_crowd_holds_who_uses_most) {
    world.host = (PolicyVcpuHost){.cpus = 4, .busy = 1000};
    world.guests[0].vcpus = 8;
    world.wants[0] = 3000;
    world.wants[1] = 600;
    world.waits[1] = 400;
    gint32 quota = 0;
    for (int s = 0; s < 60; s++) {
        tick();
        if (world.decisions[0].quota_changed)
            quota = world.decisions[0].quota;
        ck_assert(!world.decisions[1].quota_changed);
    }
    ck_assert_int_eq(quota, 2000);
    world.waits[1] = 0;
    world.host.busy = 700;
    gboolean lifted = FALSE;
    for (int s = 0; s < 90; s++) {
        tick();
        lifted |= world.decisions[0].quota_changed && world.decisions[0].reason == POLICY_VCPU_REASON_ROOM;
    }
    ck_assert(lifted);
}
END_TEST

START_TEST (test_nonsense_keeps_the_bounds) {
    static const gint64 odd[] = {0, -1, 1, 7, 1000, 1 << 20, G_MAXINT32, (gint64)1 << 40};
    guint32 seed = 4711;
    for (int s = 0; s < 20000; s++) {
        PolicyVcpuGuest *guest = &world.guests[0];
        gint64 *numbers[] = {&guest->time_ms, &guest->wait_ms};
        for (gsize k = 0; k < G_N_ELEMENTS(numbers); k++) {
            seed = seed * 1664525 + 1013904223;
            *numbers[k] = odd[(seed >> 16) % G_N_ELEMENTS(odd)];
        }
        guest->flags = seed >> 28;
        world.now += 1 + (seed >> 18) % 3000;
        policy_vcpu_plan(&world.config, &world.host, world.guests, world.states, world.decisions, GUESTS,
                         world.now);
        if (!world.decisions[0].changed)
            continue;
        ck_assert_int_ge(world.decisions[0].vcpus, 1);
        ck_assert_int_le(world.decisions[0].vcpus, 8);
        guest->vcpus = world.decisions[0].vcpus;
    }
    for (int i = 0; i < POLICY_VCPU_REASONS; i++)
        ck_assert_str_ne(policy_vcpu_reason_name((PolicyVcpuReason)i), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy-vcpu");
    TCase *cases = tcase_create("vcpu");
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, test_busy_guest_gets_vcpus_and_loses_them);
    tcase_add_test(cases, test_steady_guest_is_left_alone);
    tcase_add_test(cases, test_short_peaks_change_nothing);
    tcase_add_test(cases, test_nothing_is_added_to_a_full_host);
    tcase_add_test(cases, test_refusal_is_taken_back_and_backed_off);
    tcase_add_test(cases, test_changes_are_rationed);
    tcase_add_test(cases, test_granule_minimum_and_lack_of_agent_are_kept);
    tcase_add_test(cases, test_crowd_holds_who_uses_most);
    tcase_add_test(cases, test_nonsense_keeps_the_bounds);
    suite_add_tcase(suite, cases);
    return check_run(suite);
}
