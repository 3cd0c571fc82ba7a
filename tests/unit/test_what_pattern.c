// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check-run.h"
#include "virt-what/pattern.h"

#define ROUNDS 200000

static bool matches(const char *pattern, const char *text)
{
    return pattern_matches(pattern, text, strlen(text));
}

START_TEST (by_hand) {
    ck_assert(matches("", ""));
    ck_assert(!matches("", "a"));
    ck_assert(matches("*", ""));
    ck_assert(matches("*VxID: *", "VxID: 49152"));
    ck_assert(!matches("*VxID: 0", "VxID: 01"));
    ck_assert(matches("a[]b]c", "a]c"));
    ck_assert(matches("a[!]b]c", "axc"));
    ck_assert(matches("[a-c][!a-c]", "bd"));
    ck_assert(matches("[a-]", "-"));
    ck_assert(!matches("[!0-9]", "5"));
    ck_assert(matches("?*?", "ab"));
    ck_assert(!matches("?*?", "a"));
    // What is longer than the text says is not looked at.
    ck_assert(pattern_matches("ab", "abc", 2));
}
END_TEST

START_TEST (what_is_good) {
    ck_assert(pattern_is_good("*a*[!b]?", 2));
    ck_assert(!pattern_is_good("*a*[!b]?", 1));
    ck_assert(pattern_is_good("[*][]*]", 0));
    ck_assert(!pattern_is_good("a\\*", 9));
    ck_assert(!pattern_is_good("[a", 9));
    ck_assert(!pattern_is_good("a[", 9));
    ck_assert(!pattern_is_good("a[!", 9));
    ck_assert(!pattern_is_good("[]", 9));
    ck_assert(!pattern_is_good("[!]", 9));
}
END_TEST

/* Random patterns mean what the C library's function for the shells' patterns takes them for. */
START_TEST (as_the_shells) {
    static const char pattern_letters[] = "aab-*?[]!", text_letters[] = "ab-]!";
    unsigned state = 1, compared = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char pattern[10], text[10];
        size_t lengths[2];
        char *both[2] = {pattern, text};
        const char *letters[2] = {pattern_letters, text_letters};
        for (int i = 0; i < 2; i++) {
            state = state * 1103515245u + 12345u;
            lengths[i] = state / 65536 % 9;
            for (size_t k = 0; k < lengths[i]; k++) {
                state = state * 1103515245u + 12345u;
                both[i][k] = letters[i][state / 65536 % strlen(letters[i])];
            }
            both[i][lengths[i]] = '\0';
        }
        if (!pattern_is_good(pattern, 8) || strstr(pattern, "[[") || strstr(pattern, "--"))
            continue;
        compared++;
        ck_assert_msg(matches(pattern, text) == (fnmatch(pattern, text, FNM_NOESCAPE) == 0),
                      "\"%s\" and \"%s\"", pattern, text);
    }
    ck_assert_uint_gt(compared, ROUNDS / 4);
}
END_TEST

/* A pattern that others take the power of its stars for. */
START_TEST (long_to_fail) {
    enum { LENGTH = 1 << 20 };
    char *text = malloc(LENGTH);
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LENGTH);
    ck_assert(!pattern_matches("*a*a*a*a*a*a*a*b", text, LENGTH));
    ck_assert(pattern_matches("*a*a*a*a*a*a*a*a", text, LENGTH));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("what_pattern");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 30);
    tcase_add_test(all, by_hand);
    tcase_add_test(all, what_is_good);
    tcase_add_test(all, as_the_shells);
    tcase_add_test(all, long_to_fail);
    suite_add_tcase(suite, all);
    return check_run(suite);
}
