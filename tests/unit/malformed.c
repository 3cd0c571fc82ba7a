// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/malformed.h"

#include <string.h>

/* None is a whole object: two requests in a line may have two answers. */
static const char *const tokens[] = {
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "'",
    "\\",
    "nul",
    "tru",
    "1e400",
    "-",
    "01",
    "1.",
    "/*",
    "\\u0000",
    "\\ud800",
    "\\udc00x",
    "\\x",
    "\xc0\x80",
    "\xed\xa0",
    "\x7f",
    "\r",
    "\t",
    "\x01",
    "\xff",
    "\xff\xff",
    "\xf4\x90\xff",

    "[]",
    "\"\"",
    "null",
    "{\"a\":[{",
    "}}}}}}}}",
    "]]]]]]]]",
    "9223372036854775808",
    "\"execute\"",
    "\"id\":",
    "'''",
    "[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"id\":1,\"id\":2",
};

static guint below(GRand *random, gsize limit)
{
    return limit ? (guint)g_rand_int_range(random, 0, (gint32)limit) : 0;
}

static char any_byte(GRand *random)
{
    char c = (char)below(random, 256);

    return c == '\n' ? '\r' : c;
}

static void damage(GRand *random, GString *message)
{
    gsize at = below(random, message->len + 1);
    gsize last = message->len ? below(random, message->len) : 0;

    switch (below(random, 8)) {
    case 0: /* cut off */
        g_string_truncate(message, at);
        break;
    case 1: { /* a hole */
        gsize length = 1 + below(random, 12);

        g_string_erase(message, (gssize)at, (gssize)MIN(length, message->len - at));
        break;
    }
    case 2: { /* a stutter */
        g_autofree char *piece = g_strndup(message->str + at, 1 + below(random, 8));

        g_string_insert(message, (gssize)at, piece);
        break;
    }
    case 3: /* a wrong byte */
        if (message->len) {
            message->str[last] = any_byte(random);
        }
        break;
    case 4: /* a flipped bit */
        if (message->len) {
            char c = (char)(message->str[last] ^ (1 << below(random, 8)));

            message->str[last] = c == '\n' ? ' ' : c;
        }
        break;
    default: { /* something that means something */
        const char *token = tokens[below(random, G_N_ELEMENTS(tokens))];

        g_string_insert(message, (gssize)at, token);
    }
    }
}

GString *malformed_message(guint32 seed, const char *const *requests)
{
    GRand *random = g_rand_new_with_seed(seed);
    GString *message = g_string_new(NULL);

    if (below(random, 10) == 0) {
        for (guint length = 1 + below(random, 300); length; length--) {
            g_string_append_c(message, any_byte(random));
        }
    } else {
        g_string_append(message, requests[below(random, g_strv_length((char **)requests))]);
        for (guint times = 1 + below(random, 4); times; times--) {
            damage(random, message);
        }
    }
    g_rand_free(random);
    return message;
}
