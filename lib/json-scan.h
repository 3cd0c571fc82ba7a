// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-scan: the inner loop that jsonstream's reader and writer share.
 *
 * A base64 payload is megabytes of characters that mean nothing to JSON. They are passed over in blocks of
 * fixed size, in a form that compilers turn into vector instructions, so that big strings are bounded by
 * memory bandwidth, not by a lexer's state machine.
 */
#pragma once

#include <glib.h>

#define JSON_SCAN_BLOCK 64

static inline gboolean json_scan_is_plain(guint8 c, guint8 quote)
{
    /* As signed char, the bytes from 0x80 are below 0x20 too. */
    return (gint8)c >= 0x20 && c != quote && c != '\\' && c != 0x7f;
}

/* How many bytes at the front of text are printable ASCII other than the quote and the backslash. */
static inline gsize json_scan_plain(const guint8 *text, gsize length, guint8 quote)
{
    gsize done = 0;

    while (length - done >= JSON_SCAN_BLOCK) {
        const guint8 *block = text + done;
        guint8 special = 0;

        for (int i = 0; i < JSON_SCAN_BLOCK; i++) {
            special |= (guint8)(((gint8)block[i] < 0x20) | (block[i] == quote) | (block[i] == '\\') |
                                (block[i] == 0x7f));
        }
        if (special) {
            break;
        }
        done += JSON_SCAN_BLOCK;
    }
    while (done < length && json_scan_is_plain(text[done], quote)) {
        done++;
    }
    return done;
}
