// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/base64.h"

#include <string.h>

static const char ALPHABET[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* In a decoding table: not one of the 64. A group with such a character goes the slow way. */
#define OTHER 0xff000000u

typedef struct Tables {
    guint32 decode[4][256]; /* the character at each place of a group, shifted to its bits of the three bytes;
                             * the first byte is the lowest */
    char encode[4096][2];   /* the two characters of 12 bits */
} Tables;

/* Computed once, never changed. */
static void fill_tables(Tables *tables)
{
    memset(tables->decode, 0xff, sizeof tables->decode);
    for (guint32 value = 0; value < 64; value++) {
        guchar c = (guchar)ALPHABET[value];
        tables->decode[0][c] = value << 2;
        tables->decode[1][c] = value >> 4 | (value & 15) << 12;
        tables->decode[2][c] = (value >> 2) << 8 | (value & 3) << 22;
        tables->decode[3][c] = value << 16;
    }
    for (guint value = 0; value < 4096; value++) {
        tables->encode[value][0] = ALPHABET[value >> 6];
        tables->encode[value][1] = ALPHABET[value & 63];
    }
}

static const Tables *get_tables(void)
{
    static Tables tables;
    static gsize filled;
    if (g_once_init_enter(&filled)) {
        fill_tables(&tables);
        g_once_init_leave(&filled, 1);
    }
    return &tables;
}

/* One group with line feeds or padding in it: advances *at to its end. Returns bytes written (0: no whole
 * group is left), -1 on a character that must not be. */
static int decode_slowly(const Tables *t, const char **at, const char *end, guint8 *out)
{
    guchar group[4];
    int n = 0;
    while (n < 4 && *at < end) {
        guchar c = (guchar) * (*at)++;
        if (c == '\n')
            continue;
        if (c != '=' && t->decode[0][c] == G_MAXUINT32)
            return -1;
        group[n++] = c;
    }
    if (n < 4)
        return 0;
    guint32 bytes = 0;
    for (int i = 0; i < 4; i++)
        bytes |= group[i] == '=' ? 0 : t->decode[i][group[i]];
    out[0] = (guint8)bytes;
    out[1] = (guint8)(bytes >> 8);
    out[2] = (guint8)(bytes >> 16);
    return group[3] != '=' ? 3 : group[2] != '=' ? 2 : 1;
}

guint8 *base64_decode(const char *text, gsize length, gsize *size, GError **error)
{
    const Tables *t = get_tables();
    const char *at = text, *end = text + length;
    g_autofree guint8 *data = g_malloc(length / 4 * 3 + 4); /* a group is stored as four bytes */
    guint8 *out = data;
    while (at < end) {
        while (end - at >= 4) {
            guint32 bytes = t->decode[0][(guchar)at[0]] | t->decode[1][(guchar)at[1]] |
                            t->decode[2][(guchar)at[2]] | t->decode[3][(guchar)at[3]];
            if (bytes & OTHER)
                break;
            bytes = GUINT32_TO_LE(bytes);
            memcpy(out, &bytes, 4);
            at += 4;
            out += 3;
        }
        int n = decode_slowly(t, &at, end, out);
        if (n < 0) {
            g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                "Base64 data contains invalid characters");
            return NULL;
        }
        out += n;
    }
    *size = (gsize)(out - data);
    return g_steal_pointer(&data);
}

void base64_append(GString *text, const guint8 *data, gsize size)
{
    const Tables *t = get_tables();
    gsize at = 0, start = text->len;
    g_string_set_size(text, start + (size + 2) / 3 * 4);
    char *out = text->str + start;
    for (; size - at >= 3; at += 3, out += 4) {
        guint bits = (guint)data[at] << 16 | (guint)data[at + 1] << 8 | data[at + 2];
        memcpy(out, t->encode[bits >> 12], 2);
        memcpy(out + 2, t->encode[bits & 4095], 2);
    }
    if (at < size) {
        guint bits = (guint)data[at] << 16 | (at + 1 < size ? (guint)data[at + 1] << 8 : 0);
        memcpy(out, t->encode[bits >> 12], 2);
        memcpy(out + 2, t->encode[bits & 4095], 2);
        out[3] = '=';
        if (at + 1 == size)
            out[2] = '=';
    }
}
