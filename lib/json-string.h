// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-string: decodes the body of one JSON string, fed in pieces.
 *
 * UTF-8 is checked (RFC 3629: no overlong forms, surrogates, nor anything above U+10FFFF), surrogate pairs of
 * \uXXXX are joined. A \u0000 becomes a byte 0 in the text.
 */
#pragma once

#include <glib.h>

typedef enum {
    JSON_STRING_MORE, /* not at the end yet */
    JSON_STRING_DONE, /* the closing quote has been passed */
    JSON_STRING_BAD,
} JsonStringStatus;

typedef struct JsonString {
    GString *text; /* what has been decoded */
    guint8 quote;
    enum { JSON_STRING_PLAIN, JSON_STRING_UTF8, JSON_STRING_ESCAPE, JSON_STRING_HEX } state;
    guint8 utf8_left; /* bytes of this character still to come; the next one lies in: */
    guint8 utf8_low;
    guint8 utf8_high;
    guint8 hex_left; /* digits of \uXXXX still to come */
    guint hex;
    guint high_surrogate; /* waits for its low half; 0: none */
} JsonString;

/* Begins a new string after its opening quote (' or "). Keeps the text's buffer. */
void json_string_begin(JsonString *string, guint8 quote);

/* Takes the next run or character from *p (*p < end) and moves *p behind it. If what stands there is BAD, *p
 * is left on it and *error (static) says what is wrong. */
JsonStringStatus json_string_take(JsonString *string, const guint8 **p, const guint8 *end,
                                  const char **error);
