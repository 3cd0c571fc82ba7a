// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check-run.h"
#include "virt-who/ini.h"
#include "virt-who/report.h"
#include "virt-who/secret.h"
#include "virt-who/server.h"
#include "virt-who/source.h"

static IniFile *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    IniFile *file = ini_parse("F", text, strlen(text), &error);

    ck_assert_msg(file != NULL, "%s: %s", text, error != NULL ? error->message : "?");
    return file;
}

/* Each is what Python's ConfigParser makes of it, quotes taken off. */
START_TEST (ini_values) {
    static const struct {
        const char *text, *value;
    } cases[] = {
        {"[s]\nk=v\n", "v"},
        {"[s]\nk : v \n", "v"},
        {"[s]\nK = v", "v"},
        {"[s]\r\nk=v\r\n", "v"},
        {"[s]\rk=v\r", "v"},
        {"\xef\xbb\xbf[s]\nk=v\n", "v"},
        {"; c\n[s]\n# c\nk=v # not a comment\n", "v # not a comment"},
        {"[s]\nk=a\n b\n\tc\n", "a\nb\nc"},
        {"[s]\nk=a\n\n b\n\n", "a\n\nb"},
        {"[s]\nk=a\n # c\n b\n", "a\nb"},
        {"[s]\n  k=a\n  l=b\n", "a"},
        {"[s]\nk=\n", ""},
        {"[s]\nk='a b'\n", "a b"},
        {"[s]\nk=\"a'\n", "\"a'"},
        {"[s]\nk='\n", "'"},
        {"[s]\nk=a=b:c\n", "a=b:c"},
        {"[s]\nk=100%\n", "100%"},
        {"[s]\nk=100%%\n", "100%"},
        {"[s]\nk=%(L)s/x\nl=%(m)s\nm=deep\n", "deep/x"},
        {"[s]\nk=%(none)s\n", "%(none)s"},
        {"[s]\nk=%(k)s\n", "%(k)s"},
        {"[DEFAULT]\nbase=/x\n[s]\nk=%(base)s/y\n", "/x/y"},
        {"[DEFAULT]\nk=d\n[s]\nl=1\n", "d"},
        {"[DEFAULT]\nk=d\n[s]\nk=o\n", "o"},
        {"[s]\nk=1\nk=2\n", "2"},
        {"[s]\nk=1\n[t]\nx=1\n[s]\nk=3\n", "3"},
        {"[s]trailing\nk=v\n", "v"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(IniFile) file = parse(cases[i].text);
        const IniSection *section = ini_section(file, "s");

        ck_assert_ptr_nonnull(section);
        ck_assert_str_eq(ini_text(section, "k", "(none)"), cases[i].value);
    }
}
END_TEST

START_TEST (ini_refused) {
    static const char *const cases[] = {"k=v\n", "x\n[s]\n", "[s]\nword\n", "[s]\n=v\n", "[s]\nk=\xff\n"};
    g_autoptr(GString) bomb = g_string_new("[s]\nk0=xxxxxxxxxx\n");
    g_autoptr(GString) fan = g_string_new("[s]\na0=\n");

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        ck_assert_ptr_null(ini_parse("F", cases[i], strlen(cases[i]), NULL));
    }
    ck_assert_ptr_null(ini_parse("F", "[s]\nk=a\0b\n", 10, NULL));
    for (guint i = 1; i < 10; i++) {
        g_string_append_printf(bomb, "k%u=", i);
        g_string_append_printf(fan, "a%u=", i);
        for (guint j = 0; j < 1000; j++) {
            g_string_append_printf(bomb, "%%(k%u)s", i - 1);
            g_string_append_printf(fan, "%%(a%u)s", i - 1);
        }
        g_string_append_c(bomb, '\n');
        g_string_append_c(fan, '\n');
    }
    ck_assert_ptr_null(ini_parse("F", bomb->str, bomb->len, NULL));
    ck_assert_ptr_null(ini_parse("F", fan->str, fan->len, NULL));
}
END_TEST

START_TEST (uris) {
    static const struct {
        const char *server, *user, *uri;
    } cases[] = {
        {NULL, NULL, NULL},
        {"", "u", NULL},
        {"host", NULL, "qemu+ssh://host/system?no_tty=1"},
        {"host", "joe", "qemu+ssh://joe@host/system?no_tty=1"},
        {"ann@host", NULL, "qemu+ssh://ann@host/system?no_tty=1"},
        {"ann@host", "joe", "qemu+ssh://joe@host/system?no_tty=1"},
        {"host:2222/session", NULL, "qemu+ssh://host:2222/session?no_tty=1"},
        {"qemu+ssh://h/system?keyfile=/k", NULL, "qemu+ssh://h/system?keyfile=/k&no_tty=1"},
        {"qemu+ssh://h/?no_tty=0", NULL, "qemu+ssh://h/system?no_tty=0"},
        {"qemu+tls://h:16514/", NULL, "qemu+tls://h:16514/system"},
        {"qemu+unix:///system?socket=/run/s", "joe", "qemu+unix:///system?socket=/run/s"},
        {"lxc:///", NULL, "lxc:///system"},
        {"test:///default", NULL, "test:///default"},
        {"xen+ssh://[::1]:22", "r", "xen+ssh://r@[::1]:22/system?no_tty=1"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *uri = source_libvirt_uri(cases[i].server, cases[i].user);

        ck_assert_msg(g_strcmp0(uri, cases[i].uri) == 0, "%s: %s", cases[i].server, uri);
    }
}
END_TEST

START_TEST (no_proxy) {
    ck_assert(server_skips_proxy("*", "a.b"));
    ck_assert(server_skips_proxy("x, b.c", "a.b.c"));
    ck_assert(server_skips_proxy(".b.c,x", "a.b.c"));
    ck_assert(server_skips_proxy("*.b.c", "a.B.c"));
    ck_assert(server_skips_proxy("a.b.c", "a.b.c"));
    ck_assert(!server_skips_proxy("b.c", "ab.c"));
    ck_assert(!server_skips_proxy("", "a"));
    ck_assert(!server_skips_proxy("a.b", "b"));
}
END_TEST

START_TEST (indentation) {
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{}", "{}"},
        {"[]", "[]"},
        {"{\"a\": [1, 2], \"b\": {}}", "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": {}\n}"},
        {"{\"a{[,\\\"\": \"]}\"}", "{\n    \"a{[,\\\"\": \"]}\"\n}"}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = report_indent(cases[i].json);

        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST (encryption) {
    SecretKey key;

    for (guint i = 0; i < SECRET_BLOCK; i++) {
        key.key[i] = (guint8)i;
        key.iv[i] = (guint8)(0xf0 + i);
    }
    for (guint length = 1; length < 70; length++) {
        g_autofree char *text = g_strnfill(length, 'x');
        g_autofree char *hex = secret_encrypt(&key, text);
        char *back = secret_decrypt(&key, hex, NULL);

        ck_assert_uint_eq(strlen(hex), (length / SECRET_BLOCK + 1) * SECRET_BLOCK * 2);
        ck_assert_str_eq(back, text);
        secret_free(back);
        hex[0] = hex[0] == 'g' ? 'h' : 'g';
        ck_assert_ptr_null(secret_decrypt(&key, hex, NULL));
    }
}
END_TEST

START_TEST (merging) {
    g_autoptr(Report) a = report_new(FALSE);
    g_autoptr(Report) b = report_new(FALSE);
    Report *const both[] = {a, b};
    g_autoptr(GPtrArray) doubles = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) owned = NULL;
    g_autoptr(GPtrArray) hosts = NULL;
    g_autoptr(GString) out = g_string_new(NULL);

    report_host_add_guest(report_add_host(a, "Z", "n"), "g1", "libvirt", 5);
    report_host_add_guest(report_add_host(b, "z", "n"), "g1", "libvirt", 1);
    report_host_add_guest(b->hosts->pdata[0], "g0", "libvirt", 5);
    report_add_host(a, "b", "one");
    report_add_host(b, "B", "two");
    hosts = report_merge(both, 2, &owned, doubles);
    ck_assert_uint_eq(hosts->len, 2);
    ck_assert_uint_eq(doubles->len, 1);
    ck_assert_str_eq(doubles->pdata[0], "B");
    report_write_hosts(hosts, TRUE, out);
    ck_assert_str_eq(
        out->str,
        "{\"hypervisors\": [{\"hypervisorId\": {\"hypervisorId\": \"Z\"}, \"name\": \"n\", \"guestIds\": "
        "[{\"guestId\": \"g0\", \"state\": 5, \"attributes\": {\"virtWhoType\": \"libvirt\", \"active\": "
        "0}}, "
        "{\"guestId\": \"g1\", \"state\": 1, \"attributes\": {\"virtWhoType\": \"libvirt\", \"active\": "
        "1}}]}, "
        "{\"hypervisorId\": {\"hypervisorId\": \"b\"}, \"name\": \"one\", \"guestIds\": []}]}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("who");
    TCase *tc = tcase_create("who");

    tcase_add_test(tc, ini_values);
    tcase_add_test(tc, ini_refused);
    tcase_add_test(tc, uris);
    tcase_add_test(tc, no_proxy);
    tcase_add_test(tc, indentation);
    tcase_add_test(tc, encryption);
    tcase_add_test(tc, merging);
    suite_add_tcase(suite, tc);
    return check_run(suite);
}
