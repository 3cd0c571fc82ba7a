// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jsonstream: cuts a byte stream into JSON values.
 *
 * An agent port and a QMP socket carry values back to back, broken anywhere, with or without newlines.
 * This is the one place with limits on size and depth, and the one that recovers after garbage: noise costs
 * at most one error per line or per 4 KiB. Accepted beyond RFC 8259: single-quoted strings. Refused: comments,
 * trailing commas, raw control bytes in strings, invalid or overlong UTF-8, lone surrogates, duplicate keys.
 * Byte 0xFF resets the lexer anywhere, inside a string too.
 *
 * Integers that fit int64 become G_TYPE_INT64 nodes, every other number G_TYPE_DOUBLE.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

typedef struct JsonStream JsonStream;

typedef struct JsonStreamLimits {
    gsize max_bytes;  /* token text of one value, bytes */
    guint max_tokens; /* tokens of one value */
    guint max_depth;  /* nesting of arrays and objects */
} JsonStreamLimits;

/* QEMU's own limits: 64 MiB, 2 Mi tokens, 1,024 levels. */
extern const JsonStreamLimits JSON_STREAM_DEFAULT_LIMITS;

#define JSON_STREAM_ERROR (json_stream_error_quark())
GQuark json_stream_error_quark(void);
typedef enum {
    JSON_STREAM_ERROR_PARSE, /* message begins "JSON parse error, " */
    JSON_STREAM_ERROR_LIMIT, /* "JSON token size|token count|nesting depth limit exceeded" */
} JsonStreamError;

/* Called for each complete value (error NULL) or each piece of garbage (value NULL). `value` is borrowed.
 * The callee may call json_stream_reset() but must not free the stream. */
typedef void (*JsonStreamFunc)(JsonNode *value, const GError *error, gpointer user_data);

/* limits NULL: the default ones. */
JsonStream *json_stream_new(const JsonStreamLimits *limits, JsonStreamFunc func, gpointer user_data);
void json_stream_free(JsonStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonStream, json_stream_free)

/* Feeds `length` bytes; calls the function for what they complete. */
void json_stream_feed(JsonStream *stream, const void *data, gsize length);

/* Forgets a half-read value (a peer has disconnected). */
void json_stream_reset(JsonStream *stream);

/* Whether a value is half read (nothing but white space so far: FALSE). */
gboolean json_stream_is_partial(const JsonStream *stream);

/* Parses exactly one value from text (command-line options, tests). NULL and error if it is not one. */
JsonNode *json_parse_text(const char *text, gssize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Appends a value's text: one line, a space after ':' and ',', non-ASCII as \uXXXX (as QEMU writes). */
void json_write(const JsonNode *value, GString *out);
