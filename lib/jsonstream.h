// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * jsonstream: cuts a byte stream into JSON values.
 *
 * An agent port and a QMP socket carry values back to back, broken anywhere, with or without newlines.
 * This is the one place with limits on size and depth, and the one that recovers after garbage: noise costs
 * at most one error per line or per 4 KiB. Accepted beyond RFC 8259: single-quoted strings. Refused:
 * comments, trailing commas, raw control bytes in strings, invalid or overlong UTF-8, lone surrogates,
 * duplicate keys. A \u0000 in a string is taken and ends the C string there.
 *
 * After an error, parsing goes on
 * - after the bracket that closes the bad value, where there is one on this line (what its strings hold is
 * never taken for a value, so that a refused request cannot smuggle in another);
 * - else at the next line;
 * - at once, if what does not fit is a bracket that begins a line: the value before it was cut off.
 *
 * Byte 0xFF resets the lexer anywhere, inside a string too. That is one error if a value was half read, and
 * none if nothing was: clients that begin with 0xFF to be sure (guest-sync-delimited) get only their reply.
 * (qemu-ga answers each 0xFF by an error; its clients have to forgive that, and do.)
 *
 * Errors and values depend on the bytes alone, not on how they are cut into feeds.
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
    JSON_STREAM_ERROR_LIMIT, /* "JSON token size|token count|nesting depth|object member limit exceeded" */
} JsonStreamError;

/* json-glib hashes names without a secret, so that a peer can make them collide: no object has more members.
 */
#define JSON_STREAM_MAX_MEMBERS 16384

/* Called for each complete value (error NULL) or each piece of garbage (value NULL). `value` is borrowed.
 * The callee may reset or free the stream, but not feed it. */
typedef void (*JsonStreamFunc)(JsonNode *value, const GError *error, gpointer user_data);

/* limits NULL: the default ones. */
JsonStream *json_stream_new(const JsonStreamLimits *limits, JsonStreamFunc func, gpointer user_data);
void json_stream_free(JsonStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonStream, json_stream_free)

/* A line that begins with an object whose first member has this name (a static string) begins a new value,
 * even where the half-read value before it could take an object: a request that was cut off does not swallow
 * the next one. Servers set "execute". */
void json_stream_set_first_name(JsonStream *stream, const char *name);

/* Feeds `length` bytes; calls the function for what they complete. */
void json_stream_feed(JsonStream *stream, const void *data, gsize length);

/* Forgets a half-read value (a peer has disconnected). From the callback: the rest of the bytes being fed,
 * too. */
void json_stream_reset(JsonStream *stream);

/* For the callee that has answered a value by an error: garbage in the rest of this line (or in the next 4
 * KiB) is a part of the same trouble and is not reported. */
void json_stream_quiet_line(JsonStream *stream);
/* Whether that is so, or garbage has been reported in this line (or in the last 4 KiB). */
gboolean json_stream_is_quiet(const JsonStream *stream);
/* For the callee to whom this value was garbage: passes over the rest of its line. */
void json_stream_skip_line(JsonStream *stream);

/* Whether a value is half read (nothing but white space so far: FALSE). */
gboolean json_stream_is_partial(const JsonStream *stream);

/* Parses exactly one value from text (command-line options, tests). NULL and error if it is not one. */
JsonNode *json_parse_text(const char *text, gssize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Appends a value's text: one line, a space after ':' and ',', non-ASCII as \uXXXX (as QEMU writes). Doubles
 * read back as the same double; infinities become 1e999, NaN null, bytes that are not UTF-8 \ufffd. */
void json_write(const JsonNode *value, GString *out);
