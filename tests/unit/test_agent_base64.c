// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/base64 */
#include "guest-agent/base64.h"
#include "tests/check-run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void expect_decoded(const char *text, const char *bytes, gsize length)
{
    g_autoptr(GError) error = NULL;
    gsize size = 99;
    g_autofree guint8 *data = base64_decode(text, strlen(text), &size, &error);
    ck_assert_msg(data != NULL, "%s: %s", text, error ? error->message : "?");
    ck_assert_uint_eq(size, length);
    ck_assert_msg(memcmp(data, bytes, length) == 0, "%s", text);
}

static void expect_refused(const char *text, gsize length)
{
    g_autoptr(GError) error = NULL;
    gsize size;
    ck_assert_ptr_null(base64_decode(text, length, &size, &error));
    ck_assert_str_eq(error->message, "Base64 data contains invalid characters");
}

START_TEST (decodes_the_examples_of_rfc_4648) {
    expect_decoded("", "", 0);
    expect_decoded("Zg==", "f", 1);
    expect_decoded("Zm8=", "fo", 2);
    expect_decoded("Zm9v", "foo", 3);
    expect_decoded("Zm9vYg==", "foob", 4);
    expect_decoded("Zm9vYmE=", "fooba", 5);
    expect_decoded("Zm9vYmFy", "foobar", 6);
}
END_TEST

START_TEST (skips_line_feeds_anywhere) {
    expect_decoded("\nZ\nm\n9\n\nvY\nmFy\n", "foobar", 6);
    expect_decoded("\n\n", "", 0);
}
END_TEST

/* As qemu-ga 7.2 and 10.0 do it. */
START_TEST (takes_padding_in_the_middle_and_drops_a_cut_tail) {
    expect_decoded("QQ==QQ==", "AA", 2);
    expect_decoded("QUI", "", 0);
    expect_decoded("QUJDRA", "ABC", 3);
    expect_decoded("QUJDRA=", "ABC", 3);
    expect_decoded("Q", "", 0);
}
END_TEST

START_TEST (refuses_what_is_not_in_the_alphabet) {
    expect_refused("Q-_D", 4);
    expect_refused("QUJD QUJD", 9);
    expect_refused("QUJD\r\n", 6);
    expect_refused("QUJDQUJDQUJDQUJD!", 17);
    expect_refused("QUJ\0", 4);
    expect_refused("QU\xc3\xa9", 4);
    expect_refused("QUI*", 4);
}
END_TEST

START_TEST (agrees_with_glib_both_ways) {
    GRand *random = g_rand_new_with_seed(1);
    for (gsize size = 0; size < 300; size++) {
        guint8 data[300];
        for (gsize i = 0; i < size; i++)
            data[i] = (guint8)g_rand_int(random);
        g_autofree char *expected = g_base64_encode(data, size);
        g_autoptr(GString) text = g_string_new("before");
        base64_append(text, data, size);
        ck_assert_str_eq(text->str + 6, expected);
        ck_assert_uint_eq(text->len, 6 + strlen(expected));
        expect_decoded(expected, (const char *)data, size);
    }
    g_rand_free(random);
}
END_TEST

START_TEST (pieces_of_three_bytes_make_one_text) {
    g_autoptr(GString) text = g_string_new(NULL);
    base64_append(text, (const guint8 *)"foo", 3);
    base64_append(text, (const guint8 *)"", 0);
    base64_append(text, (const guint8 *)"ba", 2);
    ck_assert_str_eq(text->str, "Zm9vYmE=");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent base64");
    TCase *tcase = tcase_create("base64");
    tcase_add_test(tcase, decodes_the_examples_of_rfc_4648);
    tcase_add_test(tcase, skips_line_feeds_anywhere);
    tcase_add_test(tcase, takes_padding_in_the_middle_and_drops_a_cut_tail);
    tcase_add_test(tcase, refuses_what_is_not_in_the_alphabet);
    tcase_add_test(tcase, agrees_with_glib_both_ways);
    tcase_add_test(tcase, pieces_of_three_bytes_make_one_text);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
