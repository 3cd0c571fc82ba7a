// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/pending.h"

#include <string.h>

#include "tests/check-run.h"

typedef struct Seen {
    guint calls, freed;
    gpointer value;
    gboolean truth;
    GError *error;
    Pending *pending; /* that a source answers */
} Seen;

static guint freed;

static void note_freed(gpointer data)
{
    freed++;
}

static void on_answer(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Seen *seen = user_data;

    ck_assert_ptr_null(source);
    ck_assert_ptr_eq(g_async_result_get_user_data(result), user_data);
    seen->calls++;
    seen->value = pending_take_pointer(result, &seen->error);
}

static void on_truth(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Seen *seen = user_data;

    seen->calls++;
    seen->truth = pending_take_boolean(result, &seen->error);
}

static void on_nothing(GObject *source, GAsyncResult *result, gpointer user_data)
{
    ((Seen *)user_data)->calls++;
}

static void go_round(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

START_TEST (test_an_answer_comes_from_the_loop) {
    Seen seen = {0};
    g_autoptr(Pending) pending = pending_new(NULL, on_answer, &seen);

    pending_return_pointer(pending, &seen, NULL);
    ck_assert_uint_eq(seen.calls, 0); /* who asked is still on the stack */
    go_round();
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_ptr_eq(seen.value, &seen);
}
END_TEST

static gboolean answer(gpointer user_data)
{
    Seen *seen = user_data;

    pending_return_boolean(seen->pending, TRUE);
    seen->freed = seen->calls; /* how often it was called by now */
    return G_SOURCE_REMOVE;
}

START_TEST (test_a_later_one_comes_at_once) {
    Seen seen = {0};

    seen.pending = pending_new(NULL, on_truth, &seen);
    g_idle_add(answer, &seen);
    go_round();
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_uint_eq(seen.freed, 1);
    ck_assert(seen.truth);
    g_object_unref(seen.pending);
}
END_TEST

static gboolean ask_and_answer(gpointer user_data)
{
    Seen *seen = user_data;

    seen->pending = pending_new(NULL, on_truth, seen);
    return answer(seen);
}

START_TEST (test_within_one_dispatch_it_does_not) {
    Seen seen = {0};

    g_idle_add(ask_and_answer, &seen);
    go_round();
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_uint_eq(seen.freed, 0);
    g_object_unref(seen.pending);
}
END_TEST

START_TEST (test_errors) {
    Seen seen = {0};
    Pending *pending = pending_new(NULL, on_answer, &seen);

    pending_return_new_error(pending, G_IO_ERROR, G_IO_ERROR_BUSY, "number %d", 5);
    g_object_unref(pending);
    go_round();
    ck_assert(g_error_matches(seen.error, G_IO_ERROR, G_IO_ERROR_BUSY));
    ck_assert_str_eq(seen.error->message, "number 5");
    ck_assert_ptr_null(seen.value);
    g_clear_error(&seen.error);
}
END_TEST

START_TEST (test_cancelled_before_it_is_taken) {
    Seen seen = {0};
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Pending *pending = pending_new(cancellable, on_answer, &seen);

    freed = 0;
    pending_return_pointer(pending, &seen, note_freed);
    g_object_unref(pending);
    g_cancellable_cancel(cancellable);
    go_round();
    ck_assert(g_error_matches(seen.error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    ck_assert_uint_eq(freed, 1);
    g_clear_error(&seen.error);
}
END_TEST

START_TEST (test_what_nobody_takes_is_freed) {
    Seen seen = {0};
    Pending *pending = pending_new(NULL, on_nothing, &seen);

    freed = 0;
    pending_set_data(pending, &seen, note_freed);
    pending_return_pointer(pending, &seen, note_freed);
    g_object_unref(pending);
    ck_assert_uint_eq(freed, 0);
    go_round();
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_uint_eq(freed, 2);
    pending = pending_new(NULL, NULL, NULL);
    pending_return_error(pending, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, "nobody hears"));
    g_object_unref(pending);
    go_round();
}
END_TEST

START_TEST (test_no_thread) {
    Seen seen = {0};
    Pending *pending = pending_new(NULL, on_answer, &seen);
    g_autoptr(GDir) threads = g_dir_open("/proc/self/task", 0, NULL);
    guint count = 0;

    pending_return_pointer(pending, &seen, NULL);
    g_object_unref(pending);
    go_round();
    while (threads != NULL && g_dir_read_name(threads) != NULL) {
        count++;
    }
    ck_assert_uint_le(count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pending");
    TCase *tcase = tcase_create("pending");

    tcase_add_test(tcase, test_an_answer_comes_from_the_loop);
    tcase_add_test(tcase, test_a_later_one_comes_at_once);
    tcase_add_test(tcase, test_within_one_dispatch_it_does_not);
    tcase_add_test(tcase, test_errors);
    tcase_add_test(tcase, test_cancelled_before_it_is_taken);
    tcase_add_test(tcase, test_what_nobody_takes_is_freed);
    tcase_add_test(tcase, test_no_thread);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
