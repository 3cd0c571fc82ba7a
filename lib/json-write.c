// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/jsonstream.h"

#include <math.h>
#include <string.h>

#include "lib/json-scan.h"

static void append_code_unit(GString *out, guint unit)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\',
                    'u',
                    digits[(unit >> 12) & 15],
                    digits[(unit >> 8) & 15],
                    digits[(unit >> 4) & 15],
                    digits[unit & 15]};

    g_string_append_len(out, text, sizeof(text));
}

static void append_special(GString *out, guint8 c)
{
    switch (c) {
    case '"':
        g_string_append_len(out, "\\\"", 2);
        break;
    case '\\':
        g_string_append_len(out, "\\\\", 2);
        break;
    case '\b':
        g_string_append_len(out, "\\b", 2);
        break;
    case '\f':
        g_string_append_len(out, "\\f", 2);
        break;
    case '\n':
        g_string_append_len(out, "\\n", 2);
        break;
    case '\r':
        g_string_append_len(out, "\\r", 2);
        break;
    case '\t':
        g_string_append_len(out, "\\t", 2);
        break;
    default:
        append_code_unit(out, c);
    }
}

static void write_string(const char *text, GString *out)
{
    const guint8 *p = (const guint8 *)text;
    gsize left = strlen(text);

    g_string_append_c(out, '"');
    while (left) {
        gsize run = json_scan_plain(p, left, '"');

        g_string_append_len(out, (const char *)p, (gssize)run);
        p += run;
        left -= run;
        if (!left) {
            break;
        }
        if (*p < 0x80) {
            append_special(out, *p);
            p++;
            left--;
            continue;
        }

        /* Bytes that are not UTF-8 (a file name, a helper's stderr) must not make the reply unreadable. */
        gunichar c = g_utf8_get_char_validated((const char *)p, (gssize)left);
        gsize length = 1;

        if (c == (gunichar)-1 || c == (gunichar)-2) {
            c = 0xfffd;
        } else {
            length = (gsize)g_unichar_to_utf8(c, NULL);
        }
        if (c > 0xffff) {
            append_code_unit(out, 0xd800 + ((c - 0x10000) >> 10));
            append_code_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            append_code_unit(out, c);
        }
        p += length;
        left -= length;
    }
    g_string_append_c(out, '"');
}

/* The shortest text that reads back as the same double and, with a point or an exponent, as a double at all.
 */
static void write_double(double value, GString *out)
{
    static const char *const formats[] = {"%.15g", "%.16g", "%.17g"};
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (isnan(value)) {
        g_string_append(out, "null"); /* JSON has no word for it */
        return;
    }
    if (isinf(value)) {
        g_string_append(out, value < 0 ? "-1e999" : "1e999"); /* what every reader takes for infinity */
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_ascii_formatd(text, sizeof(text), formats[i], value);
        if (g_ascii_strtod(text, NULL) == value) {
            break;
        }
    }
    g_string_append(out, text);
    if (!strpbrk(text, ".e")) {
        g_string_append(out, ".0");
    }
}

static void write_integer(gint64 value, GString *out)
{
    char text[24];
    int length = g_snprintf(text, sizeof(text), "%" G_GINT64_FORMAT, value);

    g_string_append_len(out, text, length);
}

static void write_object(JsonObject *object, GString *out)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;
    const char *separator = "";

    g_string_append_c(out, '{');
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &member)) {
        g_string_append(out, separator);
        write_string(name, out);
        g_string_append_len(out, ": ", 2);
        json_write(member, out);
        separator = ", ";
    }
    g_string_append_c(out, '}');
}

static void write_array(JsonArray *array, GString *out)
{
    guint length = json_array_get_length(array);

    g_string_append_c(out, '[');
    for (guint i = 0; i < length; i++) {
        if (i) {
            g_string_append_len(out, ", ", 2);
        }
        json_write(json_array_get_element(array, i), out);
    }
    g_string_append_c(out, ']');
}

void json_write(const JsonNode *value, GString *out)
{
    JsonNode *node = (JsonNode *)value; /* json-glib's getters are not const, but only read */

    g_return_if_fail(value != NULL && out != NULL);

    switch (json_node_get_node_type(node)) {
    case JSON_NODE_OBJECT:
        write_object(json_node_get_object(node), out);
        break;
    case JSON_NODE_ARRAY:
        write_array(json_node_get_array(node), out);
        break;
    case JSON_NODE_NULL:
        g_string_append_len(out, "null", 4);
        break;
    case JSON_NODE_VALUE:
        switch (json_node_get_value_type(node)) {
        case G_TYPE_STRING: {
            const char *text = json_node_get_string(node);

            write_string(text ? text : "", out);
            break;
        }
        case G_TYPE_BOOLEAN:
            g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
            break;
        case G_TYPE_DOUBLE:
            write_double(json_node_get_double(node), out);
            break;
        default:
            write_integer(json_node_get_int(node), out);
        }
        break;
    }
}
