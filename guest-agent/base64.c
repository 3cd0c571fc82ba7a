// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/base64.h"

#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n";

guint8 *base64_decode(const char *text, gsize length, gsize *size, GError **error)
{
    if (strspn(text, ALPHABET) != length) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                            "Base64 data contains invalid characters");
        return NULL;
    }
    int state = 0;
    guint save = 0;
    guint8 *data = g_malloc(length / 4 * 3 + 3);
    *size = g_base64_decode_step(text, length, data, &state, &save);
    return data;
}

void base64_append(GString *text, const guint8 *data, gsize size)
{
    gsize start = text->len;
    int state = 0, save = 0;
    g_string_set_size(text, start + (size / 3 + 1) * 4 + 4);
    gsize length = g_base64_encode_step(data, size, FALSE, text->str + start, &state, &save);
    length += g_base64_encode_close(FALSE, text->str + start + length, &state, &save);
    g_string_truncate(text, start + length);
}
