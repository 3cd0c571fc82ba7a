// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/memory.h"
#include "tests/check-run.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_OWN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_OWN_HEAP 1
#endif
#endif

#define BLOCKS      65536
#define BLOCK_BYTES 1000

/* Bytes of this process in RAM. */
static gsize resident(void)
{
    g_autofree char *text = NULL;
    unsigned long pages = 0;

    ck_assert(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    ck_assert_int_eq(sscanf(text, "%*u %lu", &pages), 1);
    return (gsize)pages * (gsize)sysconf(_SC_PAGESIZE);
}

/* Takes and frees 64 MB so that the heap cannot shrink by itself: its last block stays in use. */
static gpointer leave_a_hole(void)
{
    gpointer *blocks = g_new(gpointer, BLOCKS);
    gpointer last;

    for (guint i = 0; i < BLOCKS; i++) {
        blocks[i] = g_malloc(BLOCK_BYTES);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    last = g_malloc(BLOCK_BYTES);
    for (guint i = 0; i < BLOCKS; i++) {
        g_free(blocks[i]);
    }
    g_free(blocks);
    return last;
}

START_TEST (given_back_now) {
    gsize before = resident();
    gpointer last = leave_a_hole();

    memory_give_back();
#if defined(__GLIBC__) && !defined(HAS_OWN_HEAP)
    ck_assert_uint_lt(resident(), before + (8 << 20));
#else
    ck_assert_uint_gt(before, 0);
#endif
    g_free(last);
}
END_TEST

START_TEST (given_back_later) {
    gsize before = resident();
    gpointer last = leave_a_hole();
    gint64 start = g_get_monotonic_time();

    for (guint i = 0; i < 1000; i++) {
        memory_give_back_later();
    }
    while (g_get_monotonic_time() - start < 3 * G_USEC_PER_SEC / 2) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(10000);
    }
#if defined(__GLIBC__) && !defined(HAS_OWN_HEAP)
    ck_assert_uint_lt(resident(), before + (8 << 20));
#else
    ck_assert_uint_gt(before, 0);
#endif
    g_free(last);
}
END_TEST

/* What runs goes on as if nothing had been. */
START_TEST (code_dropped) {
    for (guint i = 0; i < 3; i++) {
        g_autofree char *before = g_strdup_printf("%u %s", i, g_get_user_name());

        memory_drop_code();
        g_autofree char *after = g_strdup_printf("%u %s", i, g_get_user_name());
        ck_assert_str_eq(before, after);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 30);
    tcase_add_test(all, given_back_now);
    tcase_add_test(all, given_back_later);
    tcase_add_test(all, code_dropped);
    suite_add_tcase(suite, all);
    return check_run(suite);
}
