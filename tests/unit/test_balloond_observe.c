// SPDX-License-Identifier: GPL-2.0-or-later
/* What a source tells of a guest's memory, as the policy sees it: above all, when it was told. */
#include "balloon/daemon/observe.h"
#include "tests/check-run.h"

#define WALL 1700000000 /* s: the wall clock when the policy's is 0 */

typedef struct Watched {
    FleetGuest guest;
    PolicyGuest seen;
} Watched;

static void look(Watched *watched, gint64 now, gint64 actual, gint64 updated, gint64 usable)
{
    g_autoptr(Domain) domain = domain_new("guest", NULL);
    domain->memory.maximum = 1024 << 10;
    domain->memory.current = (guint64)actual << 10;
    if (updated > 0) {
        domain->memory.updated = (guint64)(WALL + updated);
        domain->memory.usable = (guint64)usable << 10;
        domain->memory.rss = 300 << 10;
    }
    observe_memory(&watched->guest, &watched->seen, domain, now, (gint64)WALL * 1000 + now);
}

static Watched watched_new(void)
{
    return (Watched){.guest = {.updated = -1, .whole = 1024}, .seen = {.stats_age = POLICY_UNKNOWN}};
}

START_TEST (test_a_guest_that_never_told_is_unknown) {
    Watched watched = watched_new();
    look(&watched, 10000, 1024, 0, 0);
    ck_assert_int_eq(watched.seen.actual, 1024);
    ck_assert_int_eq(watched.seen.stats_age, POLICY_UNKNOWN);
    ck_assert_int_eq(watched.seen.usable, POLICY_UNKNOWN);
    ck_assert_int_eq(watched.seen.rss, POLICY_UNKNOWN);
}
END_TEST

START_TEST (test_statistics_that_are_missing_once_grow_old) {
    Watched watched = watched_new();
    look(&watched, 10500, 1024, 10, 800);
    ck_assert_int_eq(watched.seen.stats_age, 500);
    look(&watched, 11500, 1024, 0, 0);
    ck_assert_int_eq(watched.seen.stats_age, 1500);
    ck_assert_int_eq(watched.seen.usable, 800);
    ck_assert_int_eq(watched.seen.rss, 300);
    look(&watched, 12500, 1024, 12, 700);
    ck_assert_int_eq(watched.seen.stats_age, 500);
    ck_assert_int_eq(watched.seen.usable, 700);
}
END_TEST

START_TEST (test_new_statistics_were_told_after_the_last_look) {
    Watched watched = watched_new();
    look(&watched, 10100, 1024, 9, 800);
    look(&watched, 10800, 1024, 9, 800);
    look(&watched, 10900, 1024, 10, 700); /* whole seconds: it says 10, but it was not there at 10.8 */
    ck_assert_int_eq(watched.seen.stats_age, 100);
    look(&watched, 11900, 1024, 11, 700);
    ck_assert_int_eq(watched.seen.stats_age, 600); /* half a second after the ones before at least */
}
END_TEST

START_TEST (test_no_burst_is_made_of_a_second) {
    Watched watched = watched_new();
    look(&watched, 10970, 1024, 9, 800);
    look(&watched, 11970, 1024, 11, 800); /* told between: at 11.0 for all that is known */
    gint64 first = 11970 - watched.seen.stats_age;
    look(&watched, 11980, 1024, 12, 800); /* a clock that jumps */
    gint64 second = 11980 - watched.seen.stats_age;
    ck_assert_int_ge(second, first + 500);
    ck_assert_int_le(second, 11980);
}
END_TEST

START_TEST (test_what_was_told_while_the_balloon_moved_is_passed_over) {
    Watched watched = watched_new();
    look(&watched, 10500, 1024, 10, 900);
    look(&watched, 11500, 256, 11, 100); /* of 1024, or of 256? */
    ck_assert_int_eq(watched.seen.actual, 256);
    ck_assert_int_eq(watched.seen.usable, 900);
    ck_assert_int_eq(watched.seen.stats_age, 1500);
    look(&watched, 11600, 256, 11, 100); /* the same ones are no clearer now */
    ck_assert_int_eq(watched.seen.usable, 900);
    look(&watched, 12500, 256, 12, 100);
    ck_assert_int_eq(watched.seen.usable, 100);
    ck_assert_int_eq(watched.seen.stats_age, 500);
}
END_TEST

START_TEST (test_a_balloon_that_moves_for_long_does_not_make_it_dumb) {
    Watched watched = watched_new();
    look(&watched, 10500, 1024, 10, 900);
    for (gint64 t = 11; t < 14; t++)
        look(&watched, t * 1000 + 500, 1024 - (t - 10) * 100, t, 900 - (t - 10) * 100);
    ck_assert_int_eq(watched.seen.usable, 600);
    ck_assert_int_le(watched.seen.stats_age, 1000);
}
END_TEST

START_TEST (test_another_life_begins_anew) {
    Watched watched = watched_new();
    look(&watched, 10500, 512, 10, 300);
    observe_forget(&watched.guest);
    look(&watched, 11500, 1024, 0, 0);
    ck_assert_int_eq(watched.seen.stats_age, POLICY_UNKNOWN);
    ck_assert_int_eq(watched.seen.usable, POLICY_UNKNOWN);
    look(&watched, 12500, 1024, 12, 900);
    ck_assert_int_eq(watched.seen.usable, 900);
}
END_TEST

START_TEST (test_clocks_and_numbers_beyond_reason) {
    Watched watched = watched_new();
    look(&watched, 10500, 1024, 99999, 900); /* it tells of the future */
    ck_assert_int_eq(watched.seen.stats_age, 0);
    look(&watched, 11500, 5000, 10, 900); /* more than it could have */
    ck_assert_int_eq(watched.seen.actual, 1024);
    g_autoptr(Domain) domain = domain_new("guest", NULL);
    domain->memory.maximum = domain->memory.current = 1 << 20;
    domain->memory.updated = G_MAXUINT64 - 1;
    observe_memory(&watched.guest, &watched.seen, domain, 12500, (gint64)WALL * 1000);
    ck_assert_int_ge(watched.seen.stats_age, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balloond_observe");
    TCase *cases = tcase_create("time");
    tcase_add_test(cases, test_a_guest_that_never_told_is_unknown);
    tcase_add_test(cases, test_statistics_that_are_missing_once_grow_old);
    tcase_add_test(cases, test_new_statistics_were_told_after_the_last_look);
    tcase_add_test(cases, test_no_burst_is_made_of_a_second);
    tcase_add_test(cases, test_what_was_told_while_the_balloon_moved_is_passed_over);
    tcase_add_test(cases, test_a_balloon_that_moves_for_long_does_not_make_it_dumb);
    tcase_add_test(cases, test_another_life_begins_anew);
    tcase_add_test(cases, test_clocks_and_numbers_beyond_reason);
    suite_add_tcase(suite, cases);
    return check_run(suite);
}
