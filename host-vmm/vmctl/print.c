// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/print.h"

#include <stdio.h>
#include <string.h>

#include "lib/jsonstream.h"

/* Whether a terminal might obey the character, or a reader be fooled by it (U+202E turns text around). */
static gboolean is_unsafe(gunichar character)
{
    return g_unichar_iscntrl(character) || g_unichar_type(character) == G_UNICODE_FORMAT ||
           g_unichar_type(character) == G_UNICODE_LINE_SEPARATOR ||
           g_unichar_type(character) == G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *print_visible(const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text != '\0') {
        gunichar character = g_utf8_get_char_validated(text, -1);

        if (character == (gunichar)-1 || character == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (guchar)*text++);
            continue;
        }
        if (!is_unsafe(character))
            g_string_append_unichar(out, character);
        else if (character < 0x80)
            g_string_append_printf(out, "\\x%02x", character);
        else
            g_string_append_printf(out, "\\u{%x}", character);
        text = g_utf8_next_char(text);
    }
    return g_string_free(out, FALSE);
}

static void write_string(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    while (*text != '\0') {
        gsize plain = 0;

        /* Most of a long text (a file in base64) needs no look at single characters. */
        while ((guchar)text[plain] >= 0x20 && (guchar)text[plain] < 0x7f && text[plain] != '"' &&
               text[plain] != '\\')
            plain++;
        g_string_append_len(out, text, (gssize)plain);
        text += plain;
        if (*text == '\0')
            break;
        gunichar character = g_utf8_get_char(text);
        if (character == '"' || character == '\\')
            g_string_append_printf(out, "\\%c", (char)character);
        else if (character == '\n')
            g_string_append(out, "\\n");
        else if (character == '\t')
            g_string_append(out, "\\t");
        else if (character == '\r')
            g_string_append(out, "\\r");
        else if (!is_unsafe(character))
            g_string_append_unichar(out, character);
        else if (character < 0x10000)
            g_string_append_printf(out, "\\u%04x", character);
        else
            g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + ((character - 0x10000) >> 10),
                                   0xdc00 + (character & 0x3ff));
        text = g_utf8_next_char(text);
    }
    g_string_append_c(out, '"');
}

static void break_line(GString *out, gboolean pretty, guint depth)
{
    if (!pretty)
        return;
    g_string_append_c(out, '\n');
    for (guint i = 0; i < depth; i++)
        g_string_append(out, "  ");
}

/* Depth is bounded by what jsonstream lets in. */
static void write_value(GString *out, const JsonNode *value, gboolean pretty, guint depth)
{
    JsonNode *node = (JsonNode *)value; /* json-glib's getters do not take const */

    if (JSON_NODE_HOLDS_OBJECT(node)) {
        JsonObject *object = json_node_get_object(node);
        JsonObjectIter iter;
        const char *name;
        JsonNode *member;
        gboolean first = TRUE;

        g_string_append_c(out, '{');
        json_object_iter_init(&iter, object);
        while (json_object_iter_next(&iter, &name, &member)) {
            if (!first)
                g_string_append(out, pretty ? "," : ", ");
            first = FALSE;
            break_line(out, pretty, depth + 1);
            write_string(out, name);
            g_string_append(out, ": ");
            write_value(out, member, pretty, depth + 1);
        }
        if (!first)
            break_line(out, pretty, depth);
        g_string_append_c(out, '}');
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *array = json_node_get_array(node);
        guint length = json_array_get_length(array);

        g_string_append_c(out, '[');
        for (guint i = 0; i < length; i++) {
            if (i > 0)
                g_string_append(out, pretty ? "," : ", ");
            break_line(out, pretty, depth + 1);
            write_value(out, json_array_get_element(array, i), pretty, depth + 1);
        }
        if (length > 0)
            break_line(out, pretty, depth);
        g_string_append_c(out, ']');
    } else if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING) {
        write_string(out, json_node_get_string(node));
    } else {
        json_write(node, out);
    }
}

static void print_value(const JsonNode *value, gboolean pretty)
{
    g_autoptr(GString) out = g_string_new(NULL);

    write_value(out, value, pretty, 0);
    g_string_append_c(out, '\n');
    fwrite(out->str, 1, out->len, stdout);
}

void print_json(const JsonNode *value)
{
    print_value(value, TRUE);
}

void print_json_line(const JsonNode *value)
{
    print_value(value, FALSE);
    fflush(stdout);
}

void print_table(const GPtrArray *cells, guint columns)
{
    g_autofree glong *widths = g_new0(glong, columns);

    for (guint i = 0; i < cells->len; i++)
        widths[i % columns] = MAX(widths[i % columns], g_utf8_strlen(g_ptr_array_index(cells, i), -1));
    for (guint i = 0; i < cells->len; i++) {
        const char *cell = g_ptr_array_index(cells, i);
        gboolean last = i % columns == columns - 1;
        /* printf pads by bytes. */
        int padding = last ? 0 : (int)(widths[i % columns] - g_utf8_strlen(cell, -1)) + 2;

        printf("%s%*s%s", cell, padding, "", last ? "\n" : "");
    }
}

char *print_size(guint64 bytes)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    guint unit = 0;
    guint64 scale = 1;

    while (unit + 1 < G_N_ELEMENTS(UNITS) && bytes / scale >= 1024) {
        scale *= 1024;
        unit++;
    }
    if (bytes % scale == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " %s", bytes / scale, UNITS[unit]);
    return g_strdup_printf("%.1f %s", (double)bytes / (double)scale, UNITS[unit]);
}

char *print_duration(guint64 seconds)
{
    guint64 minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

    if (days > 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " d %" G_GUINT64_FORMAT " h", days, hours % 24);
    if (hours > 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " h %" G_GUINT64_FORMAT " min", hours, minutes % 60);
    if (minutes > 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT " min %" G_GUINT64_FORMAT " s", minutes, seconds % 60);
    return g_strdup_printf("%" G_GUINT64_FORMAT " s", seconds);
}
