// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json-string.h"

#include <string.h>

#include "lib/json-scan.h"

#define SURROGATE_OFFSET (0x10000 - (0xd800 << 10) - 0xdc00)

static const char bad_utf8[] = "invalid UTF-8 sequence in string";
static const char bad_escape[] = "invalid escape sequence in string";

void json_string_begin(JsonString *string, guint8 quote)
{
    g_string_truncate(string->text, 0);
    string->quote = quote;
    string->state = JSON_STRING_PLAIN;
    string->high_surrogate = 0;
}

/* The first byte of a character of several bytes (RFC 3629, section 4). */
static gboolean begin_utf8(JsonString *string, guint8 c)
{
    string->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    string->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        string->utf8_left = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        string->utf8_left = 2;
    } else if (c >= 0xf0 && c <= 0xf4) {
        string->utf8_left = 3;
    } else {
        return FALSE;
    }
    g_string_append_c(string->text, (char)c);
    string->state = JSON_STRING_UTF8;
    return TRUE;
}

static gboolean take_utf8(JsonString *string, guint8 c)
{
    if (c < string->utf8_low || c > string->utf8_high) {
        return FALSE;
    }
    g_string_append_c(string->text, (char)c);
    string->utf8_low = 0x80;
    string->utf8_high = 0xbf;
    if (--string->utf8_left == 0) {
        string->state = JSON_STRING_PLAIN;
    }
    return TRUE;
}

static gboolean take_escape(JsonString *string, guint8 c)
{
    static const char from[] = "\"'\\/bfnrt";
    static const char to[] = "\"'\\/\b\f\n\r\t";
    const char *found = c ? strchr(from, c) : NULL;

    if (c == 'u') {
        string->hex = 0;
        string->hex_left = 4;
        string->state = JSON_STRING_HEX;
        return TRUE;
    }
    if (!found || string->high_surrogate) {
        return FALSE;
    }
    g_string_append_c(string->text, to[found - from]);
    string->state = JSON_STRING_PLAIN;
    return TRUE;
}

static gboolean take_hex(JsonString *string, guint8 c)
{
    guint unit;
    gboolean is_low;

    if (!g_ascii_isxdigit(c)) {
        return FALSE;
    }
    unit = string->hex << 4 | (guint)g_ascii_xdigit_value((char)c);
    is_low = unit >= 0xdc00 && unit <= 0xdfff;
    if (string->hex_left > 1) {
        string->hex = unit;
        string->hex_left--;
        return TRUE;
    }
    if (is_low != (string->high_surrogate != 0)) {
        return FALSE;
    }
    string->state = JSON_STRING_PLAIN;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        string->high_surrogate = unit;
        return TRUE;
    }
    if (is_low) {
        unit += (string->high_surrogate << 10) + SURROGATE_OFFSET;
        string->high_surrogate = 0;
    }
    g_string_append_unichar(string->text, unit);
    return TRUE;
}

static JsonStringStatus take_plain(JsonString *string, const guint8 **p, const guint8 *end,
                                   const char **error)
{
    gsize run;

    if (string->high_surrogate && **p != '\\') {
        *error = bad_escape;
        return JSON_STRING_BAD;
    }
    run = json_scan_plain(*p, (gsize)(end - *p), string->quote);
    if (run) {
        g_string_append_len(string->text, (const char *)*p, (gssize)run);
        *p += run;
        return JSON_STRING_MORE;
    }
    if (**p < 0x20) {
        *error = "control character in string";
        return JSON_STRING_BAD;
    }
    if (**p >= 0x80) {
        if (!begin_utf8(string, **p)) {
            *error = bad_utf8;
            return JSON_STRING_BAD;
        }
    } else if (**p == string->quote) {
        (*p)++;
        return JSON_STRING_DONE;
    } else if (**p == '\\') {
        string->state = JSON_STRING_ESCAPE;
    } else {
        g_string_append_c(string->text,
                          (char)**p); /* DEL, which the scanner stops at for the writer's sake */
    }
    (*p)++;
    return JSON_STRING_MORE;
}

/* Takes one run or byte. BAD changes nothing. */
static JsonStringStatus take_next(JsonString *string, const guint8 **p, const guint8 *end, const char **error)
{
    gboolean good;

    switch (string->state) {
    case JSON_STRING_UTF8:
        good = take_utf8(string, **p);
        *error = bad_utf8;
        break;
    case JSON_STRING_ESCAPE:
        good = take_escape(string, **p);
        *error = bad_escape;
        break;
    case JSON_STRING_HEX:
        good = take_hex(string, **p);
        *error = bad_escape;
        break;
    default:
        return take_plain(string, p, end, error);
    }
    if (!good) {
        return JSON_STRING_BAD;
    }
    (*p)++;
    return JSON_STRING_MORE;
}

JsonStringStatus json_string_take(JsonString *string, const guint8 **p, const guint8 *end, const char **error)
{
    JsonStringStatus status = take_next(string, p, end, error);

    while (status == JSON_STRING_MORE && *p < end) {
        gboolean ends = string->state == JSON_STRING_PLAIN && **p == string->quote;

        if (ends || take_next(string, p, end, error) == JSON_STRING_BAD) {
            break; /* told next time, from its own place */
        }
    }
    return status;
}
