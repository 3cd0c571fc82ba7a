// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jsonstream.h"
#include "tests/unit/malformed.h"
#include "tests/check-run.h"

/* Values and errors as lines: "= {...}" and "! message". */
typedef struct Log {
    GString *text;
    guint values;
    guint errors;
} Log;

static void write_log(JsonNode *value, const GError *error, gpointer user_data)
{
    Log *log = user_data;

    ck_assert((value != NULL) != (error != NULL));
    if (value) {
        log->values++;
        g_string_append(log->text, "= ");
        json_write(value, log->text);
    } else {
        log->errors++;
        ck_assert(error->domain == JSON_STREAM_ERROR);
        ck_assert(error->code != JSON_STREAM_ERROR_PARSE ||
                  g_str_has_prefix(error->message, "JSON parse error, "));
        ck_assert(g_utf8_validate(error->message, -1, NULL));
        g_string_append_printf(log->text, "! %s", error->message);
    }
    g_string_append_c(log->text, '\n');
}

/* What `length` bytes come to, fed in pieces of `piece` bytes after a first one of `first`. */
static char *parse_in_pieces(const char *text, gsize length, gsize first, gsize piece,
                             const JsonStreamLimits *limits)
{
    Log log = {.text = g_string_new(NULL)};
    g_autoptr(JsonStream) stream = json_stream_new(limits, write_log, &log);
    gsize done = MIN(first, length);

    json_stream_set_first_name(stream, "execute");
    json_stream_feed(stream, text, done);
    while (done < length) {
        gsize n = MIN(piece, length - done);

        json_stream_feed(stream, text + done, n);
        done += n;
    }
    return g_string_free(log.text, FALSE);
}

static char *parse(const char *text)
{
    return parse_in_pieces(text, strlen(text), strlen(text), 1, NULL);
}

/* The text comes to this, wherever it is broken. */
static void expect_bytes(const char *text, gsize length, const char *expected)
{
    for (gsize first = 0; first <= length; first++) {
        g_autofree char *log = parse_in_pieces(text, length, first, length, NULL);

        ck_assert_msg(strcmp(log, expected) == 0, "broken after %zu:\n%s\nexpected:\n%s", first, log,
                      expected);
    }
    for (gsize piece = 1; piece < 4; piece++) {
        g_autofree char *log = parse_in_pieces(text, length, piece, piece, NULL);

        ck_assert_msg(strcmp(log, expected) == 0, "in pieces of %zu:\n%s\nexpected:\n%s", piece, log,
                      expected);
    }
}

static void expect(const char *text, const char *expected)
{
    expect_bytes(text, strlen(text), expected);
}

START_TEST (values) {
    expect("{}", "= {}\n");
    expect(" [ ] ", "= []\n");
    expect("{\"execute\": \"guest-ping\", \"id\": [1, -2, true, false, null, {\"a\": {}}]}\r\n",
           "= {\"execute\": \"guest-ping\", \"id\": [1, -2, true, false, null, {\"a\": {}}]}\n");
    expect("{'a':'b\"c','d':\"e'f\"}", "= {\"a\": \"b\\\"c\", \"d\": \"e'f\"}\n");
    expect("{}{}[[]]\n\n\"x\" 12 true\n", "= {}\n= {}\n= [[]]\n= \"x\"\n= 12\n= true\n");
    expect("{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ]\n}\n", "= {\"a\": [1, {\"b\": 2}]}\n");
    /* a bracket that begins a line begins no new value where one is in its place */
    expect("{\"v\":[\n{\"a\":1},\n{\"a\":2}\n]}", "= {\"v\": [{\"a\": 1}, {\"a\": 2}]}\n");
    /* a number or a word needs something after it */
    expect("12", "");
    expect("tru", "");
}
END_TEST

START_TEST (numbers) {
    expect("[0,-0,9223372036854775807,-9223372036854775808]",
           "= [0, 0, 9223372036854775807, -9223372036854775808]\n");
    expect("[9223372036854775808,18446744073709551615,1e400,-1e400]",
           "= [9.223372036854776e+18, 1.8446744073709552e+19, 1e999, -1e999]\n");
    expect("[1.5,1e2,1E+2,5e-1,0.1,-0.0,1.0]", "= [1.5, 100.0, 100.0, 0.5, 0.1, -0.0, 1.0]\n");
    for (const char *const *bad =
             (const char *const[]){"01", "1.", ".5", "-", "+1", "1e", "1e+", "0x10", "1.2.3", "--1", "NaN",
                                   "Infinity", "-Infinity", "1_000", "1e5.5", NULL};
         *bad; bad++) {
        g_autofree char *text = g_strdup_printf("[%s]\n{}\n", *bad);
        g_autofree char *log = parse(text);

        ck_assert_msg(g_str_has_prefix(log, "! JSON parse error, ") && g_str_has_suffix(log, "\n= {}\n"),
                      "%s: %s", *bad, log);
    }
}
END_TEST

START_TEST (number_types) {
    const struct {
        const char *text;
        GType type;
    } cases[] = {
        {"1", G_TYPE_INT64},
        {"-9223372036854775808", G_TYPE_INT64},
        {"9223372036854775808", G_TYPE_DOUBLE},
        {"1.0", G_TYPE_DOUBLE},
        {"1e3", G_TYPE_DOUBLE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonNode) value = json_parse_text(cases[i].text, -1, NULL);

        ck_assert_ptr_nonnull(value);
        ck_assert(json_node_get_value_type(value) == cases[i].type);
    }
}
END_TEST

START_TEST (doubles_round_trip) {
    const double cases[] = {0.1,        1.0 / 3, 1e22, 1e23, 5e-324, DBL_MAX,           DBL_MIN,
                            123456.789, 2.5,     1e15, 1e17, -0.0,   1729872000.123456, 9007199254740993.0};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonNode) node = json_node_init_double(json_node_alloc(), cases[i]);
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(JsonNode) again = NULL;

        json_write(node, text);
        again = json_parse_text(text->str, -1, NULL);
        ck_assert_ptr_nonnull(again);
        ck_assert_msg(json_node_get_value_type(again) == G_TYPE_DOUBLE, "%s", text->str);
        ck_assert(json_node_get_double(again) == cases[i]);
    }

    g_autoptr(JsonNode) nan_node = json_node_init_double(json_node_alloc(), NAN);
    g_autoptr(GString) text = g_string_new(NULL);

    json_write(nan_node, text);
    ck_assert_str_eq(text->str, "null");
}
END_TEST

START_TEST (strings) {
    expect("[\"\\b\\f\\n\\r\\t\\\\\\/\\\"\\'\"]", "= [\"\\b\\f\\n\\r\\t\\\\/\\\"'\"]\n");
    expect("[\"\\u0041\\u00e9\\u20ac\\uD83D\\uDe00\"]", "= [\"A\\u00e9\\u20ac\\ud83d\\ude00\"]\n");
    expect("[\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\x7f\"]",
           "= [\"\\u0080\\u07ff\\u0800\\ud7ff\\ue000\\ud800\\udc00\\udbff\\udfff\\u007f\"]\n");
    expect("[\"a\\u0000b\",\"c\"]", "= [\"a\", \"c\"]\n"); /* ends the C string */
    expect("[\"\\ufffe\\uffff\"]", "= [\"\\ufffe\\uffff\"]\n");
}
END_TEST

START_TEST (bad_strings) {
    const char *const utf8[] = {"\x80",
                                "\xbf",
                                "\xc0\x80",
                                "\xc1\xbf",
                                "\xc3(",
                                "\xe0\x80\x80",
                                "\xe0\x9f\xbf",
                                "\xed\xa0\x80",
                                "\xed\xbf\xbf",
                                "\xe2\x82",
                                "\xf0\x80\x80\x80",
                                "\xf0\x8f\xbf\xbf",
                                "\xf4\x90\x80\x80",
                                "\xf5\x80\x80\x80",
                                "\xfe",
                                "\xc3",
                                "\xf0\x90\x80",
                                NULL};
    const char *const escapes[] = {
        "\\x",     "\\u12",          "\\u123g",        "\\ud800", "\\ud800x", "\\ud800\\n",
        "\\udc00", "\\ud800\\ud800", "\\ud800\\u0041", "\\U0041", "\\",       "\\\x01",
        NULL};

    for (const char *const *bad = utf8; *bad; bad++) {
        g_autofree char *text = g_strdup_printf("{\"a\":\"%s\",\"b\":1}{}", *bad);

        expect(text, "! JSON parse error, invalid UTF-8 sequence in string\n= {}\n");
    }
    for (const char *const *bad = escapes; *bad; bad++) {
        g_autofree char *text = g_strdup_printf("{\"a\":\"%s\",\"b\":1}\n{}", *bad);
        g_autofree char *log = parse(text);

        /* where the quote itself is eaten by a bad escape, the newline is what ends it */
        ck_assert_msg(strstr(log, "! JSON parse error, invalid escape sequence in string\n") ||
                          strcmp(*bad, "\\") == 0,
                      "%s: %s", *bad, log);
        ck_assert_msg(g_str_has_suffix(log, "= {}\n"), "%s: %s", *bad, log);
    }
    expect("{\"a\":\"\x01\"}{}", "! JSON parse error, control character in string\n= {}\n");
    expect("{\"a\":\"b\n{}", "! JSON parse error, control character in string\n= {}\n");
    expect("{\"a\":'\t'}{}", "! JSON parse error, control character in string\n= {}\n");
}
END_TEST

START_TEST (grammar_errors) {
    expect("{\"a\" 1}{}", "! JSON parse error, expecting ':'\n= {}\n");
    expect("{\"a\":1 \"b\":2}{}", "! JSON parse error, expecting ',' or '}'\n= {}\n");
    expect("[1 2]{}", "! JSON parse error, expecting ',' or ']'\n= {}\n");
    expect("{\"a\":1,}{}", "! JSON parse error, expecting member name\n= {}\n");
    expect("[1,]{}", "! JSON parse error, expecting value\n= {}\n");
    expect("{,}{}", "! JSON parse error, expecting member name\n= {}\n");
    expect("{1:2}{}", "! JSON parse error, expecting member name\n= {}\n");
    expect("{\"a\":}{}", "! JSON parse error, expecting value\n= {}\n");
    expect("[1}{}", "! JSON parse error, expecting ',' or ']'\n= {}\n");
    expect("{\"a\":[}]}\n{}", "! JSON parse error, expecting value\n= {}\n");
    expect("{\"a\":1,\"a\":2}{}", "! JSON parse error, duplicate key\n= {}\n");
    expect("{\"a\":1,\"\\u0061\":2}{}", "! JSON parse error, duplicate key\n= {}\n");
    expect("[nul]{}", "! JSON parse error, invalid keyword 'nul'\n= {}\n");
    expect("[True]{}", "! JSON parse error, invalid keyword 'True'\n= {}\n");
    expect("[/* c */ 1]{}", "! JSON parse error, stray '/'\n= {}\n");
    expect("// c\n{}", "! JSON parse error, stray '/'\n= {}\n");
    expect("[#]{}", "! JSON parse error, stray '#'\n= {}\n");
    expect("[\x01]{}", "! JSON parse error, stray '\\x01'\n= {}\n");
    expect("[\xc3\xa9]{}", "! JSON parse error, stray '\\xc3'\n= {}\n");
    expect("]\n{}", "! JSON parse error, stray ']'\n= {}\n");
    expect(",\n{}", "! JSON parse error, stray ','\n= {}\n");
}
END_TEST

START_TEST (recovery) {
    /* one error a line, however much is wrong in it */
    expect("foo bar ; , } ] baz\n{}\n", "! JSON parse error, invalid keyword 'foo'\n= {}\n");
    expect("[x][y][z]{}\n[x]\n",
           "! JSON parse error, invalid keyword 'x'\n= {}\n! JSON parse error, invalid keyword "
           "'x'\n");
    /* nothing inside a refused value is taken for a value */
    expect("{\"x\" \"{\\\"execute\\\":1}\", {\"execute\":2}}{\"execute\":3}",
           "! JSON parse error, expecting ':'\n= {\"execute\": 3}\n");
    expect("{\"a\":\"\\q \\\" }{'execute':1}\"}{\"execute\":2}",
           "! JSON parse error, invalid escape sequence in string\n= {\"execute\": 2}\n");
    expect("x {\"execute\":1}\n{\"execute\":2}\n",
           "! JSON parse error, invalid keyword 'x'\n= {\"execute\": 2}\n");
    /* a value that was cut off by the end of its line */
    expect("{\"execute\":\"a\"\n{\"execute\":\"b\"}\n",
           "! JSON parse error, expecting ',' or '}'\n= {\"execute\": \"b\"}\n");
    expect("{\"execute\":\"a\",\n{\"execute\":\"b\"}\n",
           "! JSON parse error, expecting member name\n= {\"execute\": \"b\"}\n");
    expect("{\"execute\":\"a\",\"arguments\":\n{\"execute\":\"b\"}\n",
           "! JSON parse error, unfinished value before a new line's '{'\n= {\"execute\": \"b\"}\n");
    expect(
        "{\"execute\":\"a\",\"arguments\":{\"v\":[\n {'execute':\"b\", \"id\": 1}\n",
        "! JSON parse error, unfinished value before a new line's '{'\n= {\"execute\": \"b\", \"id\": 1}\n");
    expect("{\"execute\":\"a\",\"arguments\":{\"v\":tru\n{\"execute\":\"b\"}\n",
           "! JSON parse error, invalid keyword 'tru'\n= {\"execute\": \"b\"}\n");
    /* the line has had its error before the value that is cut off began */
    expect("[x]{\"execute\":\n{\"execute\":\"b\"}\n",
           "! JSON parse error, invalid keyword 'x'\n= {\"execute\": \"b\"}\n");
    expect("[x][{\"a\":1}\n[2]\n", "! JSON parse error, invalid keyword 'x'\n= [2]\n");
}
END_TEST

START_TEST (reset_byte) {
    expect("\xff", "");
    expect("\xff\xff\n\xff {}\xff", "= {}\n");
    expect("{\"a\":\"b\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("{\"a\":1\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("[1\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("tru\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("\"\\u12\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("\"\\\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("\"\xe2\x82\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
    expect("\"\\ud800\xff\"x\"", "! JSON parse error, stray '\\xff'\n= \"x\"\n");
    /* what is being skipped has had its error */
    expect("foo \xff{}", "! JSON parse error, invalid keyword 'foo'\n= {}\n");
    expect("[\xff[\xff[\xff{}", "! JSON parse error, stray '\\xff'\n= {}\n");
}
END_TEST

START_TEST (reset_byte_anywhere) {
    const char *text = "{\"execute\": \"a\\u00e9\xc3\xa9\", 'b': [12, -1.5e3, true, null, {\"c\": {}}]}";

    for (gsize at = 0; at <= strlen(text); at++) {
        g_autoptr(GString) broken = g_string_new_len(text, (gssize)at);
        g_autofree char *log = NULL;

        g_string_append(broken, "\xff{\"ok\":1}");
        log = parse(broken->str);
        if (at == 0) {
            ck_assert_str_eq(log, "= {\"ok\": 1}\n");
        } else if (at == strlen(text)) {
            ck_assert_int_eq(g_str_has_suffix(log, "}\n= {\"ok\": 1}\n"), 1);
        } else {
            ck_assert_str_eq(log, "! JSON parse error, stray '\\xff'\n= {\"ok\": 1}\n");
        }
    }
}
END_TEST

START_TEST (every_cut) {
    /* A valid request cut off anywhere, then a whole one on the next line. */
    const char *text = "{\"execute\": \"a\", \"arguments\": {\"s\": \"x\\n\", \"v\": [{\"n\": 1}, {\"n\": "
                       "-2.5}], \"t\": true}}";

    for (gsize at = 1; at < strlen(text); at++) {
        g_autofree char *head = g_strndup(text, at);
        g_autofree char *broken = g_strdup_printf("%s\n{\"execute\":\"b\"}\n", head);
        g_autofree char *log = parse(broken);

        ck_assert_msg(g_str_has_prefix(log, "! ") && g_str_has_suffix(log, "\n= {\"execute\": \"b\"}\n"),
                      "%s: %s", head, log);
        ck_assert_ptr_eq(strchr(log, '!'), strrchr(log, '!'));
    }
}
END_TEST

static void count(JsonNode *value, const GError *error, gpointer user_data)
{
    Log *log = user_data;

    if (value) {
        log->values++;
    } else {
        log->errors++;
    }
}

START_TEST (noise_is_answered_sparingly) {
    Log log = {0};
    g_autoptr(JsonStream) stream = json_stream_new(NULL, count, &log);
    GRand *random = g_rand_new_with_seed(1);
    guint lines = 0;

    for (guint i = 0; i < (1 << 20); i++) {
        guint8 c = (guint8)g_rand_int_range(random, 0, 256);

        lines += c == '\n';
        json_stream_feed(stream, &c, 1);
    }
    g_rand_free(random);
    ck_assert_uint_ge(log.errors, 1);
    ck_assert_uint_le(log.errors, lines + (1 << 20) / 4096 + 1);

    /* brackets, which recover soonest, without a newline */
    json_stream_reset(stream);
    log = (Log){0};
    for (guint i = 0; i < (1 << 18); i++) {
        json_stream_feed(stream, "[x]", 3);
    }
    ck_assert_uint_ge(log.errors, 2);
    ck_assert_uint_le(log.errors, 3 * (1 << 18) / 4096 + 1);
}
END_TEST

START_TEST (long_line_without_newline) {
    Log log = {0};
    g_autoptr(JsonStream) stream = json_stream_new(NULL, count, &log);
    g_autofree char *block = g_malloc(65536);

    memset(block, 'a', 65536);
    for (guint i = 0; i < 160; i++) {
        json_stream_feed(stream, block, 65536);
    }
    json_stream_feed(stream, "\n{}\n", 4);
    ck_assert_uint_eq(log.errors, 1);
    ck_assert_uint_eq(log.values, 1);
}
END_TEST

START_TEST (small_limits) {
    const JsonStreamLimits limits = {.max_bytes = 40, .max_tokens = 9, .max_depth = 4};
    const struct {
        const char *text;
        const char *log;
    } cases[] = {
        {"[[[[]]]]", "= [[[[]]]]\n"},
        {"[[[[[]]]]]{}", "! JSON nesting depth limit exceeded\n= {}\n"},
        {"{\"a\":[{\"a\":[{}]}]}{}", "! JSON nesting depth limit exceeded\n= {}\n"},
        {"[1,2,3,4]", "= [1, 2, 3, 4]\n"},
        {"[1,2,3,4,5]{}", "! JSON token count limit exceeded\n= {}\n"},
        {"[\"345678901234567890123456789012345678\"]", "= [\"345678901234567890123456789012345678\"]\n"},
        {"[\"3456789012345678901234567890123456789\"]{}", "! JSON token size limit exceeded\n= {}\n"},
        {"[          \"345678901234567890123456789012\"             ]",
         "= [\"345678901234567890123456789012\"]\n"},
        {"[\"a\",\"\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\"]{}",
         "! JSON token size limit exceeded\n= {}\n"},
        {"[\"a\","
         "\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
         "\xc3\xa9"
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"]{}",
         "! JSON token size limit exceeded\n= {}\n"},
        {"[12345678901234567890123456789012345678901234567890]{}",
         "! JSON token size limit exceeded\n= {}\n"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gsize length = strlen(cases[i].text);

        for (gsize first = 0; first <= length; first++) {
            g_autofree char *log = parse_in_pieces(cases[i].text, length, first, length, &limits);

            ck_assert_str_eq(log, cases[i].log);
        }
    }
}
END_TEST

START_TEST (default_limits) {
    ck_assert_uint_eq(JSON_STREAM_DEFAULT_LIMITS.max_bytes, 67108864);
    ck_assert_uint_eq(JSON_STREAM_DEFAULT_LIMITS.max_tokens, 2097152);
    ck_assert_uint_eq(JSON_STREAM_DEFAULT_LIMITS.max_depth, 1024);
}
END_TEST

static char *nested(guint depth, const char *open, const char *close)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < depth; i++) {
        g_string_append(text, open);
    }
    g_string_append(text, "1");
    for (guint i = 0; i < depth; i++) {
        g_string_append(text, close);
    }
    g_string_append(text, "\n{}\n");
    return g_string_free(text, FALSE);
}

START_TEST (deep_nesting) {
    const struct {
        guint depth;
        gboolean good;
    } cases[] = {{1024, TRUE}, {1025, FALSE}, {100000, FALSE}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *arrays = nested(cases[i].depth, "[", "]");
        g_autofree char *objects = nested(cases[i].depth, "{\"a\":", "}");
        g_autofree char *array_log = parse(arrays);
        g_autofree char *object_log = parse(objects);

        ck_assert_int_eq(array_log[0], cases[i].good ? '=' : '!');
        ck_assert_int_eq(object_log[0], cases[i].good ? '=' : '!');
        ck_assert_int_eq(g_str_has_suffix(array_log, "\n= {}\n"), 1);
        ck_assert_int_eq(g_str_has_suffix(object_log, "\n= {}\n"), 1);
        if (!cases[i].good) {
            ck_assert_str_eq(array_log, "! JSON nesting depth limit exceeded\n= {}\n");
            ck_assert_str_eq(object_log, "! JSON nesting depth limit exceeded\n= {}\n");
        }
    }
}
END_TEST

START_TEST (huge_strings) {
    Log log = {.text = g_string_new(NULL)};
    g_autoptr(JsonStream) stream = json_stream_new(NULL, write_log, &log);
    g_autofree char *block = g_malloc(1 << 20);

    memset(block, 'A', 1 << 20);
    /* 70 MiB is refused, at the place where it gets too long, and the rest is skipped */
    json_stream_feed(stream, "{\"a\":\"", 6);
    for (guint i = 0; i < 63; i++) {
        json_stream_feed(stream, block, 1 << 20);
    }
    ck_assert_uint_eq(log.errors, 0);
    for (guint i = 63; i < 70; i++) {
        json_stream_feed(stream, block, 1 << 20);
    }
    ck_assert_uint_eq(log.errors, 1);
    ck_assert(!json_stream_is_partial(stream));
    json_stream_feed(stream, "\"} {}", 5);
    ck_assert_str_eq(log.text->str, "! JSON token size limit exceeded\n= {}\n");
    g_string_free(log.text, TRUE);
}
END_TEST

START_TEST (too_many_tokens) {
    g_autoptr(GString) text = g_string_new("[");
    g_autofree char *log = NULL;

    for (guint i = 0; i < 1500000; i++) {
        g_string_append(text, "1,");
    }
    g_string_append(text, "1]{}");
    log = parse(text->str);
    ck_assert_str_eq(log, "! JSON token count limit exceeded\n= {}\n");
}
END_TEST

START_TEST (too_many_members) {
    g_autoptr(GString) text = g_string_new("{");
    g_autofree char *log = NULL;

    for (guint i = 0; i < JSON_STREAM_MAX_MEMBERS; i++) {
        g_string_append_printf(text, "\"m%u\":%u,", i, i);
    }
    g_string_append(text, "\"more\":0}{}");
    log = parse(text->str);
    ck_assert_str_eq(log, "! JSON object member limit exceeded\n= {}\n");
}
END_TEST

START_TEST (partial_and_reset) {
    Log log = {.text = g_string_new(NULL)};
    g_autoptr(JsonStream) stream = json_stream_new(NULL, write_log, &log);

    ck_assert(!json_stream_is_partial(stream));
    json_stream_feed(stream, " \r\n\t", 4);
    ck_assert(!json_stream_is_partial(stream));
    for (const char *const *half = (const char *const[]){"{", "[1,", "\"ab", "\"\\", "\"\\u1", "\"\xc3", "tr",
                                                         "-1", "{\"a\":\"b\",\"c\"", NULL};
         *half; half++) {
        json_stream_feed(stream, *half, strlen(*half));
        ck_assert(json_stream_is_partial(stream));
        json_stream_reset(stream);
        ck_assert(!json_stream_is_partial(stream));
        json_stream_feed(stream, "[2]", 3);
    }
    ck_assert_uint_eq(log.values, 9);
    ck_assert_uint_eq(log.errors, 0);
    json_stream_feed(stream, "foo ", 4);
    ck_assert(!json_stream_is_partial(stream));
    json_stream_reset(stream);
    json_stream_feed(stream, "{}", 2);
    ck_assert_uint_eq(log.values, 10);
    g_string_free(log.text, TRUE);
}
END_TEST

typedef struct Owner {
    JsonStream *stream;
    gboolean frees;
    guint calls;
} Owner;

static void drop_stream(JsonNode *value, const GError *error, gpointer user_data)
{
    Owner *owner = user_data;

    owner->calls++;
    if (owner->frees) {
        json_stream_free(g_steal_pointer(&owner->stream));
    } else {
        json_stream_reset(owner->stream);
    }
}

START_TEST (freed_or_reset_by_callback) {
    const char *const texts[] = {"{}[1]\"a\" 1 {", "foo {}",     "[x]{}",   "{\"execute\":\n{\"execute\":1}",
                                 "{\"a\":1\n[1]",  "[\"\x01\"]", "[\xff{}", NULL};

    for (const char *const *text = texts; *text; text++) {
        Owner owner = {.frees = TRUE};

        owner.stream = json_stream_new(NULL, drop_stream, &owner);
        json_stream_set_first_name(owner.stream, "execute");
        json_stream_feed(owner.stream, *text, strlen(*text));
        ck_assert_uint_eq(owner.calls, 1);
        ck_assert_ptr_null(owner.stream);

        owner = (Owner){0};
        owner.stream = json_stream_new(NULL, drop_stream, &owner);
        json_stream_set_first_name(owner.stream, "execute");
        json_stream_feed(owner.stream, *text, strlen(*text));
        ck_assert_uint_eq(owner.calls, 1); /* the rest of the bytes is forgotten */
        ck_assert(!json_stream_is_partial(owner.stream));
        owner.calls = 0;
        json_stream_feed(owner.stream, "{}", 2);
        ck_assert_uint_eq(owner.calls, 1);
        json_stream_free(owner.stream);
    }
}
END_TEST

START_TEST (whole_texts) {
    g_autoptr(JsonNode) number = json_parse_text(" 12 ", -1, NULL);
    g_autoptr(JsonNode) object = json_parse_text("{\"a\":1}xyz", 7, NULL);

    ck_assert_ptr_nonnull(number);
    ck_assert_int_eq(json_node_get_int(number), 12);
    ck_assert_ptr_nonnull(object);
    for (const char *const *bad = (const char *const[]){"", " ", "{", "{}{}", "{} x", "tru", "\"a", NULL};
         *bad; bad++) {
        g_autoptr(GError) error = NULL;

        ck_assert_ptr_null(json_parse_text(*bad, -1, &error));
        ck_assert_ptr_nonnull(error);
        ck_assert(error->domain == JSON_STREAM_ERROR);
    }
}
END_TEST

START_TEST (written_text) {
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), NULL);
    JsonObject *object = json_object_new();
    g_autoptr(GString) text = g_string_new("> ");

    json_object_set_string_member(object, "not utf-8 \xff\xe2\x82", "\xc3(");
    json_object_set_int_member(object, "i", G_MININT64);
    json_object_set_double_member(object, "d", 3);
    json_object_set_null_member(object, "n");
    json_object_set_boolean_member(object, "b", TRUE);
    json_object_set_string_member(object, "s", "\x1f\x7f\xc2\x80\xf0\x9f\x98\x80/");
    json_node_take_object(node, object);
    json_write(node, text);
    ck_assert_str_eq(text->str,
                     "> {\"not utf-8 \\ufffd\\ufffd\\ufffd\": \"\\ufffd(\", \"i\": -9223372036854775808, "
                     "\"d\": 3.0, \"n\": null, \"b\": true, "
                     "\"s\": \"\\u001f\\u007f\\u0080\\ud83d\\ude00/\"}");
}
END_TEST

START_TEST (long_strings_round_trip) {
    /* Lengths around the scanner's block, with a special character at each place. */
    for (gsize length = 0; length < 200; length += 7) {
        for (gsize at = 0; at < length; at++) {
            g_autofree char *raw = g_strnfill(length, 'x');
            g_autoptr(JsonNode) node = NULL;
            g_autoptr(JsonNode) again = NULL;
            g_autoptr(GString) text = g_string_new(NULL);

            raw[at] = "\"\\\n\x7f'"[at % 5];
            node = json_node_init_string(json_node_alloc(), raw);
            json_write(node, text);
            again = json_parse_text(text->str, -1, NULL);
            ck_assert_ptr_nonnull(again);
            ck_assert_str_eq(json_node_get_string(again), raw);
        }
    }
}
END_TEST

static const char *const requests[] = {
    "{\"execute\": \"guest-ping\"}",
    "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": -123456}, \"id\": \"libvirt-7\"}",
    "{\"arguments\": {\"v\": [{\"n\": 1, \"on\": true}, {\"n\": 2.5, \"s\": \"a\\u00e9\xc3\xa9\"}]}, "
    "\"execute\": \"x\"}",
    "{'execute': 'query-status', 'id': {'a': [null, 1e3, {}]}}",
    NULL,
};

START_TEST (malformed_lines) {
    for (guint32 seed = 0; seed < 1000; seed++) {
        Log log = {.text = g_string_new(NULL)};
        g_autoptr(JsonStream) stream = json_stream_new(NULL, write_log, &log);
        g_autoptr(GString) message = malformed_message(seed, requests);
        g_autofree char *whole = NULL;
        g_autofree char *bytewise = NULL;

        json_stream_set_first_name(stream, "execute");
        g_string_append(message, "\n{\"execute\": \"next\"}\n");
        json_stream_feed(stream, message->str, message->len);
        ck_assert_msg(log.errors <= 1, "seed %u: %s: %s", seed, message->str, log.text->str);
        ck_assert_msg(g_str_has_suffix(log.text->str, "= {\"execute\": \"next\"}\n"), "seed %u: %s: %s", seed,
                      message->str, log.text->str);

        whole = g_string_free(log.text, FALSE);
        bytewise = parse_in_pieces(message->str, message->len, 1, 1, NULL);
        ck_assert_str_eq(whole, bytewise);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jsonstream");
    TCase *reading = tcase_create("reading");
    TCase *bounds = tcase_create("bounds");
    TCase *writing = tcase_create("writing");

    tcase_add_test(reading, values);
    tcase_add_test(reading, numbers);
    tcase_add_test(reading, number_types);
    tcase_add_test(reading, strings);
    tcase_add_test(reading, bad_strings);
    tcase_add_test(reading, grammar_errors);
    tcase_add_test(reading, recovery);
    tcase_add_test(reading, reset_byte);
    tcase_add_test(reading, reset_byte_anywhere);
    tcase_add_test(reading, every_cut);
    tcase_add_test(reading, partial_and_reset);
    tcase_add_test(reading, freed_or_reset_by_callback);
    tcase_add_test(reading, whole_texts);
    tcase_add_test(reading, malformed_lines);
    tcase_add_test(bounds, noise_is_answered_sparingly);
    tcase_add_test(bounds, long_line_without_newline);
    tcase_add_test(bounds, small_limits);
    tcase_add_test(bounds, default_limits);
    tcase_add_test(bounds, deep_nesting);
    tcase_add_test(bounds, huge_strings);
    tcase_add_test(bounds, too_many_tokens);
    tcase_add_test(bounds, too_many_members);
    tcase_set_timeout(bounds, 60);
    tcase_add_test(writing, doubles_round_trip);
    tcase_add_test(writing, written_text);
    tcase_add_test(writing, long_strings_round_trip);
    suite_add_tcase(suite, reading);
    suite_add_tcase(suite, bounds);
    suite_add_tcase(suite, writing);
    return check_run(suite);
}
