// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy.h"
#include "tests/check-run.h"

#include <string.h>

#define GUESTS 6

/* A host of 16 GiB and guests of 4 GiB whose balloons follow at once. */
typedef struct {
    PolicyConfig config;
    PolicyState state;
    PolicyHost host;
    PolicyGuest guests[GUESTS];
    PolicyGuestState states[GUESTS];
    PolicyDecision decisions[GUESTS];
    guint order[GUESTS];
    gint64 now;
    gint64 used[GUESTS]; /* what they tell that they use */
    gboolean follows;
} World;

static World world;

static void set_up(void)
{
    world = (World){.host = {.total = 16384, .available = 8000, .psi_full = POLICY_UNKNOWN}, .now = 1000, .follows = TRUE};
    policy_config_init(&world.config);
    for (guint i = 0; i < GUESTS; i++) {
        world.guests[i] = (PolicyGuest){.flags = POLICY_GUEST_RUNS | POLICY_GUEST_BALLOON, .shares = 1000, .max = 4096, .min = 512,
                                        .actual = 4096, .rss = 4096};
        world.used[i] = 1000;
    }
}

/* One second. */
static void tick(void)
{
    for (guint i = 0; i < GUESTS; i++) {
        PolicyGuest *guest = &world.guests[i];
        if (guest->stats_age >= 0)
            guest->usable = MAX(guest->actual - world.used[i], 0);
        guest->unused = guest->usable;
    }
    policy_plan(&world.config, &world.state, &world.host, world.guests, world.states, world.decisions, world.order, GUESTS,
                world.now);
    for (guint i = 0; i < GUESTS; i++)
        if (world.decisions[i].changed && world.follows) {
            gint64 target = world.decisions[i].target;
            world.host.available += MAX(world.guests[i].rss - target, 0);
            world.guests[i].actual = target;
            world.guests[i].rss = MIN(world.guests[i].rss, target);
        }
    world.now += 1000;
}

static void ticks(int count)
{
    for (int i = 0; i < count; i++)
        tick();
}

START_TEST(test_leaves_guests_alone_while_memory_is_ample)
{
    world.host.available = 10000;
    for (int i = 0; i < 1000; i++) {
        tick();
        for (guint g = 0; g < GUESTS; g++)
            ck_assert(!world.decisions[g].changed);
    }
}
END_TEST

START_TEST(test_takes_what_is_not_used_when_short)
{
    ticks(700); /* what they used twenty minutes ago counts */
    world.host.available = 900;
    ticks(60);
    ck_assert_int_ge(world.host.available, 16384 * world.config.soft_permille / 1000);
    for (guint g = 0; g < GUESTS; g++)
        ck_assert_int_ge(world.guests[g].actual, 1000 + 64);
}
END_TEST

START_TEST(test_starving_guest_is_fed_at_once)
{
    world.guests[0].actual = 1024;
    world.guests[0].rss = 1024;
    world.used[0] = 1020;
    ticks(3);
    gint64 before = world.guests[0].actual;
    for (int s = 0; s < 6; s++) {
        world.guests[0].swapped_in += 200;
        tick();
    }
    ck_assert_int_gt(world.guests[0].actual, before + 200);
}
END_TEST

START_TEST(test_growth_is_met_before_it_hurts)
{
    world.guests[0].actual = world.guests[0].rss = 1200;
    world.used[0] = 1190;
    tick();
    ck_assert(world.decisions[0].changed);
    ck_assert_int_eq(world.decisions[0].reason, POLICY_REASON_NEED);
    ck_assert_int_ge(world.decisions[0].target, 1190 + 64);
    ck_assert_int_eq(world.decisions[0].used, 1190);
}
END_TEST

START_TEST(test_below_minimum_is_put_right)
{
    world.guests[3].actual = world.guests[3].rss = 300;
    world.used[3] = 100;
    tick();
    ck_assert_int_eq(world.decisions[3].target, 512);
    ck_assert_int_eq(world.decisions[3].reason, POLICY_REASON_MINIMUM);
}
END_TEST

START_TEST(test_silent_guest_keeps_three_quarters)
{
    for (guint g = 0; g < GUESTS; g++) {
        world.guests[g].stats_age = POLICY_UNKNOWN;
        world.guests[g].usable = POLICY_UNKNOWN;
    }
    for (int s = 0; s < 300; s++) {
        world.host.available = 16384 * 6 / 100;
        for (guint g = 0; g < GUESTS; g++)
            world.guests[g].cpu_ms += 500; /* they are busy */
        tick();
        for (guint g = 0; g < GUESTS; g++)
            ck_assert_int_ge(world.guests[g].actual, 4096 * 3 / 4);
    }
}
END_TEST

START_TEST(test_old_statistics_take_nothing)
{
    for (guint g = 0; g < GUESTS; g++)
        world.guests[g].stats_age = 60000;
    for (int s = 0; s < 100; s++) {
        world.host.available = 200;
        tick();
        for (guint g = 0; g < GUESTS; g++)
            ck_assert_int_eq(world.guests[g].actual, 4096);
    }
}
END_TEST

START_TEST(test_balloon_that_does_not_move_is_given_up)
{
    world.follows = FALSE;
    ticks(700);
    world.host.available = 100;
    int stalls = 0;
    for (int s = 0; s < 120; s++) {
        tick();
        if (world.decisions[0].changed && world.decisions[0].reason == POLICY_REASON_STALLED) {
            stalls++;
            ck_assert_int_eq(world.decisions[0].target, 4096);
        }
    }
    ck_assert_int_eq(stalls, 3);
    ck_assert_int_eq(world.decisions[0].trust, POLICY_TRUST_NODRIVER);
    ticks(600); /* and asked again after ten minutes */
    ck_assert_int_eq(world.states[0].failures, 4);
    ticks(1100); /* then after twenty */
    ck_assert_int_eq(world.states[0].failures, 4);
    ticks(200);
    ck_assert_int_eq(world.states[0].failures, 5);
}
END_TEST

START_TEST(test_who_swaps_with_much_free_is_not_believed)
{
    for (int s = 0; s < 20; s++) {
        world.guests[1].swapped_in += 500;
        tick();
    }
    ck_assert_int_eq(world.decisions[1].trust, POLICY_TRUST_LYING);
    ck_assert_int_eq(world.decisions[0].trust, POLICY_TRUST_FULL);
}
END_TEST

/* One that lies again as soon as it is believed again. */
START_TEST(test_who_lies_again_is_not_believed_for_long)
{
    PolicyGuestState *state = &world.states[1];
    for (int s = 0; s < 20; s++) {
        world.guests[1].swapped_in += 500;
        tick();
    }
    ck_assert_int_eq(state->trust, POLICY_TRUST_LYING);
    ck_assert_int_le(state->doubt_until, world.now + 600000);
    ticks(700);
    ck_assert_int_eq(state->trust, POLICY_TRUST_FULL);
    for (int s = 0; s < 20; s++) {
        world.guests[1].swapped_in += 500;
        tick();
    }
    ck_assert_int_eq(state->trust, POLICY_TRUST_LYING);
    ticks(3000);
    ck_assert_int_eq(state->trust, POLICY_TRUST_LYING);
}
END_TEST

/* Guest 0 wants much for a minute, every three minutes; guest 1 wanted as much once. */
START_TEST(test_who_rests_for_long_pays_first)
{
    for (guint g = 2; g < GUESTS; g++)
        world.used[g] = 4000;
    world.used[1] = 3500;
    for (int s = 0; s < 1500; s++) {
        world.used[0] = s % 180 < 60 ? 3500 : 600;
        if (s == 60)
            world.used[1] = 600;
        tick();
    }
    for (int s = 0; s < 30; s++) {
        world.used[0] = 600;
        world.host.available = 16384 * 45 / 1000;
        tick();
    }
    ck_assert_int_lt(world.guests[1].actual, 1000);
    ck_assert_int_ge(world.guests[0].actual, 3500); /* it would want it back in two minutes */
}
END_TEST

/* What vCPUs do is all that is known of it; while they do nothing it is not given back what was taken. */
START_TEST(test_silent_guest_is_given_back_when_it_works)
{
    world.guests[0].stats_age = world.guests[0].usable = POLICY_UNKNOWN;
    world.guests[0].actual = world.guests[0].rss = 2048;
    world.now = 300000;
    for (int s = 0; s < 300; s++) {
        world.host.available = 16384 / 10;
        tick();
    }
    ck_assert_int_eq(world.guests[0].actual, 2048);
    for (int s = 0; s < 60; s++) {
        world.guests[0].cpu_ms += 900;
        tick();
    }
    ck_assert_int_eq(world.guests[0].actual, 3072);
}
END_TEST

START_TEST(test_idle_guests_pay_before_those_with_more_shares)
{
    for (guint g = 0; g < GUESTS; g++)
        world.guests[g].shares = g == 2 ? 100 : 4000;
    ticks(1000); /* a quarter of an hour without need: as likely as not half an hour */
    world.host.available = 16384 * 7 / 100;
    tick();
    ck_assert_int_eq(world.decisions[2].reason, POLICY_REASON_SOFT);
    ck_assert_int_lt(world.decisions[2].target, 4096);
    for (guint g = 0; g < GUESTS; g++)
        if (g != 2)
            ck_assert_int_ne(world.decisions[g].reason, POLICY_REASON_SOFT);
}
END_TEST

/* Guest 0 is led down, then hurts and is led up; the next time that may be undone comes later each time. */
START_TEST(test_cut_that_did_not_last_is_not_repeated_soon)
{
    gint64 hold = 0;
    for (int round = 0; round < 4; round++) {
        PolicyGuestState *state = &world.states[0];
        for (int s = 0; s < 60 && (s == 0 || state->direction >= 0); s++) {
            world.host.available = 0; /* all are cut */
            tick();
        }
        ck_assert_int_lt(state->direction, 0);
        world.host.available = 16384;
        for (int s = 0; s < 10 && state->direction < 0; s++) {
            world.guests[0].swapped_in += 300;
            world.used[0] = world.guests[0].actual;
            tick();
        }
        ck_assert_int_gt(state->direction, 0);
        ck_assert_int_ge(state->hold, 150 * 1000);
        ck_assert_int_le(state->hold, 30 * 60 * 1000);
        ck_assert(state->hold > hold || hold == 30 * 60 * 1000);
        hold = state->hold;
        ticks(60);
    }
}
END_TEST

/* All have been led up once; then little memory is missing for long. How many are led down. */
static int turned_of_those_led_up(gboolean one_hurts)
{
    world.config.reversals = 1;
    ticks(2);
    for (guint g = 0; g < GUESTS; g++) {
        world.states[g].direction = 1;
        world.states[g].hold = 60000;
        world.used[g] = 3900;
    }
    int turned = 0;
    for (int s = 0; s < 300; s++) {
        world.host.available = 16384 * 45 / 1000;
        world.guests[0].swapped_in += one_hurts ? 100 : 0;
        tick();
    }
    for (guint g = 0; g < GUESTS; g++)
        turned += world.states[g].direction < 0;
    return turned;
}

START_TEST(test_reversals_are_rationed)
{
    ck_assert_int_eq(turned_of_those_led_up(FALSE), 2); /* those at once; an hour would bring three more */
}
END_TEST

/* One of six in pain that cannot be met is many. */
START_TEST(test_reversals_are_not_rationed_while_many_are_in_pain)
{
    ck_assert_int_gt(turned_of_those_led_up(TRUE), 3);
}
END_TEST

START_TEST(test_host_without_guests)
{
    for (int s = 0; s < 3; s++) {
        world.host.available = 100;
        policy_plan(&world.config, &world.state, &world.host, NULL, NULL, NULL, NULL, 0, world.now);
        world.now += 1000;
    }
    ck_assert_int_eq(world.state.available, 100);
}
END_TEST

/* SplitMix64. */
static guint64 chance(guint64 *seed)
{
    guint64 z = *seed += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Whatever is seen, even nonsense: sizes stay between minimum and maximum, and the same sights give the same
 * decisions. */
START_TEST(test_nonsense_keeps_the_bounds)
{
    guint64 seed = (guint64)_i + 1;
    static const gint64 odd[] = {0, -1, 1, 63, 64, 511, 512, 4095, 4096, 4097, 16384, 1 << 20, G_MAXINT32, (gint64)1 << 40};
    PolicyGuestState twin_states[GUESTS] = {{0}};
    PolicyState twin_state = {0};
    for (int s = 0; s < 3000; s++) {
        world.host.available = odd[chance(&seed) % G_N_ELEMENTS(odd)];
        for (guint g = 0; g < GUESTS; g++) {
            PolicyGuest *guest = &world.guests[g];
            gint64 *numbers[] = {&guest->rss, &guest->cpu_ms, &guest->stats_age, &guest->usable, &guest->unused, &guest->caches,
                                 &guest->swapped_in, &guest->swapped_out, &guest->major_faults};
            for (gsize k = 0; k < G_N_ELEMENTS(numbers); k++)
                if (chance(&seed) % 3 == 0)
                    *numbers[k] = odd[chance(&seed) % G_N_ELEMENTS(odd)];
            guest->flags = chance(&seed) % 8;
        }
        PolicyDecision twins[GUESTS];
        policy_plan(&world.config, &twin_state, &world.host, world.guests, twin_states, twins, world.order, GUESTS, world.now);
        policy_plan(&world.config, &world.state, &world.host, world.guests, world.states, world.decisions, world.order, GUESTS,
                    world.now);
        for (guint g = 0; g < GUESTS; g++) {
            const PolicyDecision *decision = &world.decisions[g];
            ck_assert_int_eq(decision->target, twins[g].target);
            ck_assert_int_eq(decision->reason, twins[g].reason);
            if (!decision->changed)
                continue;
            ck_assert(world.guests[g].flags & POLICY_GUEST_RUNS);
            ck_assert_int_ge(decision->target, 512);
            ck_assert_int_le(decision->target, 4096);
            world.guests[g].actual = decision->target;
        }
        world.now += 1 + (gint64)(chance(&seed) % 5000);
    }
}
END_TEST

START_TEST(test_names)
{
    for (int i = 0; i < POLICY_REASON_COUNT; i++)
        ck_assert_str_ne(policy_reason_name((PolicyReason)i), "?");
    for (int i = 0; i < POLICY_TRUST_COUNT; i++)
        ck_assert_str_ne(policy_trust_name((PolicyTrust)i), "?");
    ck_assert_str_eq(policy_reason_name(POLICY_REASON_COUNT), "?");
    ck_assert_str_eq(policy_trust_name(POLICY_TRUST_COUNT), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *cases = tcase_create("memory");
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, test_leaves_guests_alone_while_memory_is_ample);
    tcase_add_test(cases, test_takes_what_is_not_used_when_short);
    tcase_add_test(cases, test_starving_guest_is_fed_at_once);
    tcase_add_test(cases, test_growth_is_met_before_it_hurts);
    tcase_add_test(cases, test_below_minimum_is_put_right);
    tcase_add_test(cases, test_silent_guest_keeps_three_quarters);
    tcase_add_test(cases, test_old_statistics_take_nothing);
    tcase_add_test(cases, test_balloon_that_does_not_move_is_given_up);
    tcase_add_test(cases, test_who_swaps_with_much_free_is_not_believed);
    tcase_add_test(cases, test_who_lies_again_is_not_believed_for_long);
    tcase_add_test(cases, test_who_rests_for_long_pays_first);
    tcase_add_test(cases, test_silent_guest_is_given_back_when_it_works);
    tcase_add_test(cases, test_idle_guests_pay_before_those_with_more_shares);
    tcase_add_test(cases, test_cut_that_did_not_last_is_not_repeated_soon);
    tcase_add_test(cases, test_reversals_are_rationed);
    tcase_add_test(cases, test_reversals_are_not_rationed_while_many_are_in_pain);
    tcase_add_test(cases, test_host_without_guests);
    tcase_add_loop_test(cases, test_nonsense_keeps_the_bounds, 0, 20);
    tcase_add_test(cases, test_names);
    suite_add_tcase(suite, cases);
    return check_run(suite);
}
