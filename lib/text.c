// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/text.h"

#include <string.h>

#define MAX_COMBINING 8

/* What would move the cursor, or swap what is around it. */
static gboolean is_harmful(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);

    return type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR ||
           type == G_UNICODE_PARAGRAPH_SEPARATOR || type == G_UNICODE_SURROGATE ||
           type == G_UNICODE_UNASSIGNED || type == G_UNICODE_PRIVATE_USE;
}

static guint width_of(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

char *text_clean(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_sized_new(strlen(valid));

    for (const char *p = valid; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(out, is_harmful(c) ? '?' : c);
    }
    return g_string_free(out, FALSE);
}

guint text_width(const char *text)
{
    guint width = 0;

    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        width += width_of(g_utf8_get_char(p));
    }
    return width;
}

char *text_fit(const char *text, guint width, gboolean pad)
{
    g_autofree char *clean = text_clean(text);
    GString *out = g_string_sized_new(width + 1);
    guint used = 0, combining = 0;

    for (const char *p = clean; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        guint of_this = width_of(c);

        if (used + of_this > width) {
            break;
        }
        combining = of_this == 0 ? combining + 1 : 0;
        /* One at the very beginning would join what is in front of it. */
        if (combining <= MAX_COMBINING && (of_this > 0 || used > 0)) {
            g_string_append_unichar(out, c);
            used += of_this;
        }
    }
    for (; pad && used < width; used++) {
        g_string_append_c(out, ' ');
    }
    return g_string_free(out, FALSE);
}
