// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes jsonstream: whatever comes, the result does not depend on how it is cut into pieces, what was read
 * can be written and read again, and errors are not more than lines plus one per 4 KiB.
 *
 * The first byte of the input chooses the size of the pieces, the rest is the stream.
 */
#include "lib/jsonstream.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

typedef struct Result {
    GString *text;
    guint errors;
} Result;

/* Small enough that the fuzzer reaches them. */
static const JsonStreamLimits limits = {.max_bytes = 200, .max_tokens = 40, .max_depth = 8};

static void take(JsonNode *value, const GError *error, gpointer user_data)
{
    Result *result = user_data;

    if (error) {
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        g_string_append_printf(result->text, "! %s\n", error->message);
        result->errors++;
        return;
    }

    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) again = g_string_new(NULL);
    g_autoptr(JsonNode) copy = NULL;

    json_write(value, text);
    for (gsize i = 0; i < text->len; i++) {
        g_assert_true(text->str[i] >= 0x20 && text->str[i] < 0x7f);
    }
    copy = json_parse_text(text->str, (gssize)text->len, NULL);
    g_assert_nonnull(copy);
    json_write(copy, again);
    g_assert_cmpstr(text->str, ==, again->str);
    g_string_append_printf(result->text, "= %s\n", text->str);
}

static Result parse(const guint8 *data, gsize size, gsize piece, const JsonStreamLimits *with)
{
    Result result = {.text = g_string_new(NULL)};
    g_autoptr(JsonStream) stream = json_stream_new(with, take, &result);

    json_stream_set_first_name(stream, "execute");
    for (gsize done = 0; done < size; done += piece) {
        json_stream_feed(stream, data + done, MIN(piece, size - done));
    }
    return result;
}

static void compare(const guint8 *data, gsize size, gsize piece, const JsonStreamLimits *with)
{
    Result whole = parse(data, size, MAX(size, 1), with);
    Result pieces = parse(data, size, piece, with);
    guint lines = 1;

    for (gsize i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    g_assert_cmpstr(whole.text->str, ==, pieces.text->str);
    g_assert_cmpuint(whole.errors, <=, lines + size / 4096);
    g_string_free(whole.text, TRUE);
    g_string_free(pieces.text, TRUE);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    gsize piece;

    if (size == 0) {
        return 0;
    }
    piece = data[0] % 16 + 1;
    compare(data + 1, size - 1, piece, NULL);
    compare(data + 1, size - 1, piece, &limits);
    return 0;
}
