// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>

#include "host-vmm/optset.h"
#include "lib/jsonstream.h"
#include "tests/check-run.h"

static OptSet *parsed(const char *text, const char *implied)
{
    g_autoptr(GError) error = NULL;
    OptSet *options = optset_parse("-device", text, implied, &error);

    ck_assert_msg(options != NULL, "%s: %s", text, error != NULL ? error->message : "?");
    return options;
}

static void refused(const char *text, const char *message)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(optset_parse("-device", text, "driver", &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_ptr_nonnull(strstr(error->message, message));
}

START_TEST (comma_syntax) {
    g_autoptr(OptSet) options = parsed("virtio-rng-pci,id=rng0,path=a,,b=c,,,flag,nowait,addr=0x6", "driver");

    ck_assert_str_eq(optset_what(options), "-device virtio-rng-pci");
    ck_assert_str_eq(optset_string(options, "driver"), "virtio-rng-pci");
    ck_assert_str_eq(optset_string(options, "id"), "rng0");
    ck_assert_str_eq(optset_string(options, "path"), "a,b=c,");
    ck_assert_str_eq(optset_string(options, "flag"), "on");
    ck_assert_str_eq(optset_string(options, "wait"), "off");
    ck_assert_str_eq(optset_string(options, "addr"), "0x6");
    ck_assert_ptr_null(optset_string(options, "none"));
    ck_assert(optset_finish(options, NULL));
}
END_TEST

START_TEST (first_word) {
    g_autoptr(OptSet) without = parsed("on,x=1", NULL);
    g_autoptr(OptSet) keyed = parsed("id=a,driver=x", "driver");
    g_autoptr(OptSet) twice = parsed("a=1,a=2,", NULL);
    g_autoptr(OptSet) empty = parsed("", "driver");
    g_autoptr(OptSet) comma = parsed(",,x", "driver");

    ck_assert_str_eq(optset_string(without, "on"), "on");
    ck_assert_str_eq(optset_what(without), "-device");
    ck_assert_str_eq(optset_what(keyed), "-device x");
    ck_assert_str_eq(optset_string(twice, "a"), "2");
    ck_assert(!optset_has(empty, "driver"));
    ck_assert(optset_finish(empty, NULL));
    ck_assert_str_eq(optset_string(comma, "driver"), ",x");
}
END_TEST

START_TEST (json_syntax) {
    g_autoptr(OptSet) options =
        parsed("{'driver':'virtio-rng-pci','nr':-3,'big':4294967296,'wait':false,'multi':true,'f':1.5,"
               "'cache':{'direct':true,'deep':{'x':''}},'a,b':'c,d'}",
               "driver");
    gboolean wait = TRUE, direct = FALSE;
    guint64 number = 0;

    ck_assert_str_eq(optset_what(options), "-device virtio-rng-pci");
    ck_assert_str_eq(optset_string(options, "nr"), "-3");
    ck_assert(optset_uint(options, "big", 0, G_MAXUINT64, &number, NULL));
    ck_assert_uint_eq(number, 4294967296ull);
    ck_assert(optset_bool(options, "wait", &wait, NULL));
    ck_assert(!wait);
    ck_assert_str_eq(optset_string(options, "multi"), "on");
    ck_assert_str_eq(optset_string(options, "f"), "1.5");
    ck_assert(optset_bool(options, "cache.direct", &direct, NULL));
    ck_assert(direct);
    ck_assert_str_eq(optset_string(options, "cache.deep.x"), "");
    ck_assert_str_eq(optset_string(options, "a,b"), "c,d");
}
END_TEST

START_TEST (from_json) {
    g_autoptr(JsonNode) node = json_parse_text("{\"id\": \"r\", \"qom-type\": \"rng-random\"}", -1, NULL);
    g_autoptr(OptSet) options = optset_from_json("object-add", json_node_get_object(node), NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_str_eq(optset_what(options), "object-add rng-random");
    ck_assert(!optset_finish(options, &error));
    ck_assert_str_eq(error->message, "object-add rng-random: unknown property 'id'");
}
END_TEST

static void check_list(const char *text, const char *wanted)
{
    g_autoptr(OptSet) options = parsed(text, NULL);
    g_auto(GStrv) values = optset_list(options, "fwd");
    g_autofree char *joined = g_strjoinv("|", values);

    ck_assert_str_eq(joined, wanted);
    ck_assert(optset_finish(options, NULL));
}

START_TEST (lists) {
    check_list("", "");
    check_list("fwd=a,fwd=b,fwd=c", "a|b|c");
    check_list("fwd.0=a,fwd.1.str=b", "a|b");
    check_list("{'fwd':['a',{'str':'b'},3]}", "a|b|3");
    check_list("{'fwd':'a'}", "a");

    g_autoptr(OptSet) others = parsed("fwdx=1,fwd.x=2,fwd.1x=3,fwd.1.other=4,fw=5", NULL);
    g_auto(GStrv) none = optset_list(others, "fwd");
    ck_assert_ptr_null(none[0]);
    ck_assert(!optset_finish(others, NULL));
}
END_TEST

/* "backing": null says that there shall be none. */
START_TEST (null_is_empty) {
    g_autoptr(OptSet) options = parsed("{'a':null,'b':{'c':null}}", NULL);
    ck_assert_str_eq(optset_string(options, "a"), "");
    ck_assert_str_eq(optset_string(options, "b.c"), "");
    ck_assert_ptr_null(optset_string(options, "c"));
}
END_TEST

/* A child's own properties, and what it has from its parent. */
START_TEST (inner_sets) {
    g_autoptr(OptSet) options = parsed("file.driver=file,file.cache.direct=on,filex=1,driver=raw", NULL);
    g_autoptr(OptSet) inner = optset_take(options, "file");
    ck_assert_str_eq(optset_string(inner, "driver"), "file");
    optset_set_default(inner, "cache.direct", "off");
    optset_set_default(inner, "read-only", "on");
    ck_assert_str_eq(optset_string(inner, "cache.direct"), "on");
    ck_assert_str_eq(optset_string(inner, "read-only"), "on");
    ck_assert_ptr_null(optset_string(inner, "x"));
    ck_assert(optset_finish(inner, NULL));
    ck_assert_ptr_null(optset_take(options, "backing"));
    /* What was taken is known, the rest is not. */
    ck_assert_str_eq(optset_string(options, "driver"), "raw");
    g_autoptr(GError) error = NULL;
    ck_assert(!optset_finish(options, &error));
    ck_assert_msg(strstr(error->message, "'filex'") != NULL, "%s", error->message);
}
END_TEST

START_TEST (bad_input) {
    refused("x,=1", "-device: a value without a name: '=1'");
    refused("x,id=1st", "'1st' cannot be an id");
    refused("x,id=", "'' cannot be an id");
    refused("x,id=a b", "cannot be an id");
    refused("{", "-device: JSON parse error");
    refused("{'a':1", "-device: JSON parse error");
    refused("{'a':[null]}", "'a.0' must be a string, a number or a boolean");
    refused("{'id':'../x'}", "cannot be an id");
    refused("{}{}", "-device");
}
END_TEST

START_TEST (unknown_property) {
    g_autoptr(OptSet) options = parsed("virtio-rng-pci,rng=r,colour=red", "driver");
    g_autoptr(GError) error = NULL;

    optset_ignore(options, "driver");
    ck_assert(optset_has(options, "rng"));
    ck_assert(!optset_finish(options, &error));
    ck_assert_str_eq(error->message, "-device virtio-rng-pci: unknown property 'rng'");
    g_clear_error(&error);
    ck_assert_str_eq(optset_string(options, "rng"), "r");
    ck_assert(!optset_finish(options, &error));
    ck_assert_str_eq(error->message, "-device virtio-rng-pci: unknown property 'colour'");
    g_clear_error(&error);
    ck_assert_ptr_null(optset_need_string(options, "chardev", &error));
    ck_assert_str_eq(error->message, "-device virtio-rng-pci: 'chardev' is missing");
}
END_TEST

START_TEST (booleans) {
    g_autoptr(OptSet) options = parsed("a=on,b=yes,c=true,d=off,e=no,f=false,g=1,h=", NULL);
    static const char *const on[] = {"a", "b", "c"}, *const off[] = {"d", "e", "f"},
                             *const bad[] = {"g", "h"};
    gboolean value = TRUE;

    for (guint i = 0; i < 3; i++) {
        value = FALSE;
        ck_assert(optset_bool(options, on[i], &value, NULL));
        ck_assert(value);
        ck_assert(optset_bool(options, off[i], &value, NULL));
        ck_assert(!value);
    }
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;

        ck_assert(!optset_bool(options, bad[i], &value, &error));
        ck_assert_ptr_nonnull(strstr(error->message, "must be on or off"));
    }
    value = TRUE;
    ck_assert(optset_bool(options, "absent", &value, NULL));
    ck_assert(value);
}
END_TEST

START_TEST (numbers) {
    g_autoptr(OptSet) options =
        parsed("dec=31,hex=0x1F,top=18446744073709551615,over=18446744073709551616,neg=-1,"
               "plus=+1,space= 1,trail=1x,empty=,hexonly=0x,big=32",
               NULL);
    static const char *const bad[] = {"over", "neg", "plus", "space", "trail", "empty", "hexonly"};
    guint64 value = 7;

    ck_assert(optset_uint(options, "dec", 0, 31, &value, NULL));
    ck_assert_uint_eq(value, 31);
    ck_assert(optset_uint(options, "hex", 0, 31, &value, NULL));
    ck_assert_uint_eq(value, 31);
    ck_assert(optset_uint(options, "top", 0, G_MAXUINT64, &value, NULL));
    ck_assert_uint_eq(value, G_MAXUINT64);
    value = 7;
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert_msg(!optset_uint(options, bad[i], 0, G_MAXUINT64, &value, NULL), "%s", bad[i]);
    }
    ck_assert(!optset_uint(options, "big", 1, 31, &value, NULL));
    ck_assert(optset_uint(options, "absent", 0, 1, &value, NULL));
    ck_assert_uint_eq(value, 7);
}
END_TEST

START_TEST (sizes) {
    static const struct {
        const char *text;
        guint64 unit, bytes;
    } good[] = {
        {"512", 1 << 20, 512ull << 20},
        {"512", 1, 512},
        {"512M", 1, 512ull << 20},
        {"2g", 1 << 20, 2ull << 30},
        {"1.5G", 1 << 20, 3ull << 29},
        {"4k", 1, 4096},
        {"1T", 1, 1ull << 40},
        {"8192b", 1 << 20, 8192},
        {"0", 1 << 20, 0},
        {"0x1000", 1 << 20, 4096},
    };
    static const char *const bad[] = {
        "", "M", "12X", "1MM", "-1", "1 G", "16777216T", "99999999999999999999", ".5G"};

    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *text = g_strconcat("size=", good[i].text, NULL);
        g_autoptr(OptSet) options = parsed(text, NULL);
        guint64 value = 1;

        ck_assert_msg(optset_size(options, "size", good[i].unit, &value, NULL), "%s", text);
        ck_assert_uint_eq(value, good[i].bytes);
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = g_strconcat("size=", bad[i], NULL);
        g_autoptr(OptSet) options = parsed(text, NULL);
        guint64 value = 1;

        ck_assert_msg(!optset_size(options, "size", 1 << 20, &value, NULL), "%s", text);
        ck_assert_uint_eq(value, 1);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optset");
    TCase *tcase = tcase_create("optset");

    tcase_add_test(tcase, comma_syntax);
    tcase_add_test(tcase, first_word);
    tcase_add_test(tcase, json_syntax);
    tcase_add_test(tcase, from_json);
    tcase_add_test(tcase, lists);
    tcase_add_test(tcase, null_is_empty);
    tcase_add_test(tcase, inner_sets);
    tcase_add_test(tcase, bad_input);
    tcase_add_test(tcase, unknown_property);
    tcase_add_test(tcase, booleans);
    tcase_add_test(tcase, numbers);
    tcase_add_test(tcase, sizes);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
