// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-numa.h"
#include "tests/check-run.h"

#define GUESTS 3

/* Four nodes of 8 CPUs in two pairs; guests of 4 GiB that run on node 0 with their memory on node 1. */
typedef struct {
    PolicyNumaConfig config;
    PolicyNumaHost host;
    PolicyNumaGuest guests[GUESTS];
    PolicyNumaGuestState states[GUESTS];
    PolicyNumaDecision decisions[GUESTS];
    gint64 now;
    int pins, moves, unpins;
} World;

static World world;

static void set_up(void)
{
    world = (World){.host = {.nodes = 4, .psi_some = -1}, .now = 1000};
    policy_numa_config_init(&world.config);
    for (guint n = 0; n < 4; n++) {
        world.host.node[n].free = n == 0 ? 1000 : 6000;
        world.host.node[n].cpus = 8;
        world.host.node[n].busy = 200;
        for (guint k = 0; k < 4; k++)
            world.host.distance[n][k] = n == k ? 10 : n / 2 == k / 2 ? 16 : 28;
    }
    for (guint i = 0; i < GUESTS; i++)
        world.guests[i] = (PolicyNumaGuest){
            .flags = POLICY_NUMA_RUNS, .need = 4096, .vcpus = 2, .resident = {0, 4096}, .ran_ms = {30000}};
}

/* A sample each 30 s; who is pinned runs there. */
static void tick(void)
{
    if (world.now / 1000 % 30 == 1)
        for (guint i = 0; i < GUESTS; i++)
            world.guests[i].sampled_at = world.now;
    policy_numa_plan(&world.config, &world.host, world.guests, world.states, world.decisions, GUESTS,
                     world.now);
    for (guint i = 0; i < GUESTS; i++) {
        const PolicyNumaDecision *decision = &world.decisions[i];
        PolicyNumaGuest *guest = &world.guests[i];
        if (decision->action == POLICY_NUMA_PIN) {
            world.pins++;
            for (guint n = 0; n < 4; n++)
                guest->ran_ms[n] = n == decision->node ? 30000 : 0;
        } else if (decision->action == POLICY_NUMA_MOVE) {
            ck_assert_int_le(decision->mib, world.config.slice);
            gint64 left = decision->mib;
            for (guint n = 0; n < 4; n++)
                if (n != decision->node) {
                    gint64 part = MIN(left, guest->resident[n]);
                    guest->resident[n] -= part;
                    guest->resident[decision->node] += part;
                    left -= part;
                }
            ck_assert_int_eq(left, 0);
            world.moves++;
        }
        world.unpins += decision->action == POLICY_NUMA_UNPIN;
    }
    world.now += 1000;
}

static void ticks(int seconds)
{
    for (int s = 0; s < seconds; s++)
        tick();
}

START_TEST (test_vcpus_go_to_the_memory) {
    ticks(60);
    ck_assert_int_eq(world.pins, 0); /* three samples first */
    ticks(600);
    ck_assert_int_eq(world.pins, GUESTS);
    ck_assert_int_eq(world.moves, 0); /* it was all there */
    for (guint i = 0; i < GUESTS; i++)
        ck_assert_int_eq(world.decisions[i].local, 1000);
}
END_TEST

START_TEST (test_memory_follows_in_slices) {
    for (guint i = 0; i < GUESTS; i++) {
        world.guests[i].resident[1] = 3000;
        world.guests[i].resident[2] = 1096;
    }
    for (int s = 0; s < 600; s++) {
        tick();
        guint moving = 0;
        for (guint i = 0; i < GUESTS; i++)
            moving += world.states[i].moving;
        ck_assert_uint_le(moving, world.config.in_flight);
    }
    ck_assert_int_eq(world.pins, GUESTS);
    ck_assert_int_eq(world.moves, GUESTS * 5);
    for (guint i = 0; i < GUESTS; i++)
        ck_assert_int_eq(world.guests[i].resident[1], 4096);
    ck_assert_int_eq(world.unpins, 0);
}
END_TEST

START_TEST (test_slices_wait_for_calm_and_pins_end_with_balancing) {
    world.guests[0].resident[1] = 3000;
    world.guests[0].resident[2] = 1096;
    world.host.balances = TRUE;
    world.host.psi_some = 500;
    ticks(300);
    ck_assert_int_gt(world.pins, 0);
    ck_assert_int_eq(world.moves, 0);
    ck_assert_int_eq(world.decisions[0].reason, POLICY_NUMA_REASON_WAITS);
    world.host.psi_some = 0;
    ticks(300);
    ck_assert_int_eq(world.moves, 5);
    ck_assert_int_eq(world.unpins, GUESTS);
}
END_TEST

static PolicyNumaReason reason_of_first(void)
{
    PolicyNumaReason reason = POLICY_NUMA_REASON_NONE;
    for (int s = 0; s < 200; s++) {
        tick();
        if (world.decisions[0].reason != POLICY_NUMA_REASON_NONE)
            reason = world.decisions[0].reason;
    }
    return reason;
}

START_TEST (test_reasons_to_stay) {
    world.guests[1].flags = world.guests[2].flags = 0;
    switch (_i) {
    case 0: /* it hardly runs */
        world.guests[0].resident[2] = 2000;
        world.guests[0].ran_ms[0] = 20;
        ck_assert_int_eq(reason_of_first(), POLICY_NUMA_REASON_COST);
        break;
    case 1:
        world.guests[0].flags |= POLICY_NUMA_OWN;
        ck_assert_int_eq(reason_of_first(), POLICY_NUMA_REASON_OWNER);
        break;
    case 2: /* larger than a node */
        world.guests[0].need = 32768;
        ck_assert_int_eq(reason_of_first(), POLICY_NUMA_REASON_NO_ROOM);
        break;
    case 3:
        world.guests[0].need = 32768;
        world.host.balances = TRUE;
        ck_assert_int_eq(reason_of_first(), POLICY_NUMA_REASON_KERNEL);
        break;
    case 4:
        world.host.nodes = 1;
        ck_assert_int_eq(reason_of_first(), POLICY_NUMA_REASON_LOCAL);
        break;
    default:
        world.guests[0].flags = 0;
        ck_assert_int_eq(reason_of_first(), POLICY_NUMA_REASON_NONE);
    }
    ck_assert_int_eq(world.pins, 0);
}
END_TEST

START_TEST (test_locked_memory_stays) {
    world.guests[0].flags |= POLICY_NUMA_LOCKED;
    world.guests[0].resident[1] = 3000;
    world.guests[0].resident[2] = 1000;
    world.guests[1].flags = world.guests[2].flags = 0;
    ticks(300);
    ck_assert_int_eq(world.pins, 1);
    ck_assert_int_eq(world.moves, 0);
    world.host.node[1].busy = 990; /* let go when its node has no CPU time left */
    ticks(2);
    ck_assert_int_eq(world.unpins, 1);
}
END_TEST

START_TEST (test_placing) {
    ck_assert_uint_eq(policy_numa_place(&world.host, 2, 500) & (policy_numa_place(&world.host, 2, 500) - 1),
                      0);
    ck_assert_uint_ne(policy_numa_place(&world.host, 2, 5000), 1);  /* node 0 is full */
    ck_assert_uint_eq(policy_numa_place(&world.host, 2, 8000), 12); /* the pair with room */
    ck_assert_uint_eq(policy_numa_place(&world.host, 12, 500), 12);
    ck_assert_uint_eq(policy_numa_place(&world.host, 32, 19000), 15);
    ck_assert_uint_eq(policy_numa_place(&world.host, 33, 500), 0);
    ck_assert_uint_eq(policy_numa_place(&world.host, 1, 19001), 0);
}
END_TEST

START_TEST (test_names) {
    for (int i = 0; i < POLICY_NUMA_ACTIONS; i++)
        ck_assert_str_ne(policy_numa_action_name((PolicyNumaAction)i), "?");
    for (int i = 0; i < POLICY_NUMA_REASONS; i++)
        ck_assert_str_ne(policy_numa_reason_name((PolicyNumaReason)i), "?");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy-numa");
    TCase *cases = tcase_create("numa");
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, test_vcpus_go_to_the_memory);
    tcase_add_test(cases, test_memory_follows_in_slices);
    tcase_add_test(cases, test_slices_wait_for_calm_and_pins_end_with_balancing);
    tcase_add_loop_test(cases, test_reasons_to_stay, 0, 6);
    tcase_add_test(cases, test_locked_memory_stays);
    tcase_add_test(cases, test_placing);
    tcase_add_test(cases, test_names);
    suite_add_tcase(suite, cases);
    return check_run(suite);
}
