// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/os-release */
#include "guest-agent/os-release.h"
#include "tests/check-run.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>

static void expect(GHashTable *fields, const char *name, const char *value)
{
    ck_assert_pstr_eq(g_hash_table_lookup(fields, name), value);
}

START_TEST (takes_the_shells_quoting_off) {
    g_autoptr(GHashTable) fields = os_release_parse("ID=debian\n"
                                                    "NAME=\"Debian GNU/Linux\"\n"
                                                    "VERSION='12 (bookworm)'\n"
                                                    "A=\"say \\\"hi\\\" \\$5 \\\\ \\`x\\`\"\n"
                                                    "B=one\\ two\n"
                                                    "C=\n"
                                                    "D=\"\"\n"
                                                    "E=a\"b c\"'d'\n"
                                                    "F=\"it\\'s \\n\"\n"
                                                    "G=\"a\"\"b\"\n");
    expect(fields, "ID", "debian");
    expect(fields, "NAME", "Debian GNU/Linux");
    expect(fields, "VERSION", "12 (bookworm)");
    expect(fields, "A", "say \"hi\" $5 \\ `x`");
    expect(fields, "B", "one two");
    expect(fields, "C", "");
    expect(fields, "D", "");
    expect(fields, "E", "ab cd");
    expect(fields, "F", "it's \\n"); /* the one thing that is qemu-ga's, not the shell's */
    expect(fields, "G", "ab");
}
END_TEST

START_TEST (leaves_out_what_is_no_assignment) {
    g_autoptr(GHashTable) fields =
        os_release_parse("# ID=comment\n\n  \nno equals sign\n=value\n  ID=x  \r\nID2=y");
    ck_assert_uint_eq(g_hash_table_size(fields), 2);
    expect(fields, "ID", "x");
    expect(fields, "ID2", "y");
}
END_TEST

START_TEST (survives_broken_quoting_and_bytes) {
    g_autoptr(GHashTable) fields = os_release_parse("A=\"no end\nB=caf\xe9\nC='\n");
    expect(fields, "A", "\"no end");
    expect(fields, "B", "caf\xef\xbf\xbd");
    expect(fields, "C", "'");
}
END_TEST

START_TEST (the_environment_names_the_file) {
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("os-release-XXXXXX", &path, NULL);
    ck_assert_int_ge(fd, 0);
    close(fd);
    g_file_set_contents(path, "ID=test\n", -1, NULL);
    g_setenv("QGA_OS_RELEASE", path, TRUE);
    g_autoptr(GHashTable) fields = os_release_load();
    ck_assert_ptr_nonnull(fields);
    expect(fields, "ID", "test");
    g_unlink(path);
    ck_assert_ptr_null(os_release_load()); /* and no other file instead */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent os-release");
    TCase *tcase = tcase_create("os-release");
    tcase_add_test(tcase, takes_the_shells_quoting_off);
    tcase_add_test(tcase, leaves_out_what_is_no_assignment);
    tcase_add_test(tcase, survives_broken_quoting_and_bytes);
    tcase_add_test(tcase, the_environment_names_the_file);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
