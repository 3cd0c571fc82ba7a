// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/jsonstream.h"

#include <string.h>

#include "lib/json-number.h"
#include "lib/json-scan.h"
#include "lib/json-string.h"
#include "lib/memory.h"

#define NOISE_BYTES     4096  /* one error per line or per so many bytes */
#define TEXT_KEEP_BYTES 65536 /* a token buffer above this is given back after its value */
#define WORD_BYTES      4096  /* longest number or keyword */
#define SHOWN_BYTES     32    /* of a bad token, in an error's message */
#define RESET_BYTE      0xff

G_DEFINE_QUARK(json - stream - error - quark, json_stream_error)

const JsonStreamLimits JSON_STREAM_DEFAULT_LIMITS = {
    .max_bytes = 64 << 20,
    .max_tokens = 2 << 20,
    .max_depth = 1024,
};

typedef enum {
    LEX_BLANK, /* between tokens */
    LEX_WORD,  /* a keyword or a number: letters, digits, '+', '-', '.' */
    LEX_STRING,
    LEX_SKIP, /* passing over garbage */
} LexState;

typedef enum {
    WANT_VALUE,
    WANT_VALUE_OR_END, /* after '[' */
    WANT_NAME,
    WANT_NAME_OR_END, /* after '{' */
    WANT_COLON,
    WANT_COMMA,
} Want;

/* A container whose end has not come yet. */
typedef struct Frame {
    JsonObject *object; /* or */
    JsonArray *array;
    char *name;           /* of the member whose value comes next */
    gboolean begins_line; /* its bracket was the first token of a line */
} Frame;

struct JsonStream {
    JsonStreamLimits limits;
    JsonStreamFunc func;
    gpointer user_data;
    const char *first_name;

    /* the value being read */
    LexState lex;
    Want want;
    GArray *frames; /* of Frame; its length is the depth */
    gsize bytes;    /* of token text */
    guint tokens;

    /* the token being read */
    JsonString string; /* its text is a word's text, too */

    /* garbage being passed over */
    guint64 skip_depth; /* brackets to close; 0: until the next line */
    guint8 skip_quote;  /* in a string; 0: not */
    gboolean skip_escape;

    /* where we are */
    guint64 offset;
    gboolean line_begins; /* nothing but white space in this line so far */
    gboolean quiet;       /* no garbage is reported in this line any more, since: */
    guint64 quiet_offset;
    gboolean begun_quiet; /* the value being read began on an earlier line that was quiet by its end */

    gboolean feeding;
    gboolean forget; /* a callback has reset or freed it: the feed in progress ends */
    gboolean freed;
};

static void frame_clear(gpointer data)
{
    Frame *frame = data;

    g_clear_pointer(&frame->object, json_object_unref);
    g_clear_pointer(&frame->array, json_array_unref);
    g_clear_pointer(&frame->name, g_free);
}

static Frame *top_frame(JsonStream *stream)
{
    return stream->frames->len ? &g_array_index(stream->frames, Frame, stream->frames->len - 1) : NULL;
}

JsonStream *json_stream_new(const JsonStreamLimits *limits, JsonStreamFunc func, gpointer user_data)
{
    g_return_val_if_fail(func != NULL, NULL);

    JsonStream *stream = g_new0(JsonStream, 1);

    stream->limits = limits ? *limits : JSON_STREAM_DEFAULT_LIMITS;
    stream->func = func;
    stream->user_data = user_data;
    stream->frames = g_array_new(FALSE, TRUE, sizeof(Frame));
    g_array_set_clear_func(stream->frames, frame_clear);
    stream->string.text = g_string_new(NULL);
    stream->line_begins = TRUE;
    return stream;
}

void json_stream_free(JsonStream *stream)
{
    if (!stream) {
        return;
    }
    if (stream->feeding) {
        stream->forget = TRUE;
        stream->freed = TRUE;
        return;
    }
    g_array_unref(stream->frames);
    g_string_free(stream->string.text, TRUE);
    g_free(stream);
}

void json_stream_set_first_name(JsonStream *stream, const char *name)
{
    stream->first_name = name;
}

/* ---- ends of values, good and bad ---- */

/* Forgets the value being read; what is known of the line stays. */
static void begin_value(JsonStream *stream)
{
    if (stream->bytes > MEMORY_HUGE_BYTES || stream->tokens > MEMORY_HUGE_TOKENS) {
        memory_give_back_later();
    }
    stream->lex = LEX_BLANK;
    stream->want = WANT_VALUE;
    g_array_set_size(stream->frames, 0);
    stream->bytes = 0;
    stream->tokens = 0;
    stream->begun_quiet = FALSE;
    if (stream->string.text->allocated_len > TEXT_KEEP_BYTES) {
        g_string_free(stream->string.text, TRUE);
        stream->string.text = g_string_new(NULL);
    } else {
        g_string_truncate(stream->string.text, 0);
    }
}

/* The last thing a step does: the callee may have reset or freed the stream. */
static void report(JsonStream *stream, JsonStreamError code, const char *message)
{
    if (json_stream_is_quiet(stream)) {
        return;
    }
    json_stream_quiet_line(stream);

    g_autoptr(GError) error = g_error_new_literal(JSON_STREAM_ERROR, code, message);

    stream->func(NULL, error, stream->user_data);
}

/* The value being read was cut off by the end of its line; what follows is innocent. */
static void report_cut_off(JsonStream *stream, gboolean begun_quiet, const char *message)
{
    if (!begun_quiet) { /* else that line has had its error */
        report(stream, JSON_STREAM_ERROR_PARSE, message);
    }
}

/* `depth`: of brackets to close; 0: until the next line. `quote`: of the string that we are in, else 0. */
static void begin_skip(JsonStream *stream, guint depth, guint8 quote)
{
    stream->lex = LEX_SKIP;
    stream->skip_depth = depth;
    stream->skip_quote = quote;
    stream->skip_escape = FALSE;
}

/* Gives the value being read up and passes over the rest of it. `quote`: of the string that we are in, else
 * 0. */
static void fail(JsonStream *stream, JsonStreamError code, const char *message, guint8 quote)
{
    guint depth = stream->frames->len;

    begin_value(stream);
    begin_skip(stream, depth, quote);
    report(stream, code, message);
}

static void fail_parse(JsonStream *stream, const char *what, guint8 quote)
{
    g_autofree char *message = g_strconcat("JSON parse error, ", what, NULL);

    fail(stream, JSON_STREAM_ERROR_PARSE, message, quote);
}

/* As fail_parse, naming the text that does not belong there. */
static void fail_text(JsonStream *stream, const char *what, const guint8 *text, gsize length)
{
    g_autoptr(GString) shown = g_string_new(what);

    g_string_append(shown, " '");
    for (gsize i = 0; i < MIN(length, SHOWN_BYTES); i++) {
        if (text[i] >= 0x20 && text[i] < 0x7f) {
            g_string_append_c(shown, (char)text[i]);
        } else {
            g_string_append_printf(shown, "\\x%02x", text[i]);
        }
    }
    g_string_append(shown, length > SHOWN_BYTES ? "…'" : "'");
    fail_parse(stream, shown->str, 0);
}

/* How many of `bytes` more the limit leaves room for. */
static gsize room_for(const JsonStream *stream, gsize bytes)
{
    return MIN(bytes, stream->limits.max_bytes - stream->bytes);
}

static void fail_size(JsonStream *stream, guint8 quote)
{
    fail(stream, JSON_STREAM_ERROR_LIMIT, "JSON token size limit exceeded", quote);
}

/* `node` (taken) is complete: it goes into its container or, if it has none, to the owner. */
static void value_done(JsonStream *stream, JsonNode *node)
{
    Frame *frame = top_frame(stream);

    if (!frame) {
        begin_value(stream);
        stream->func(node, NULL, stream->user_data);
        json_node_unref(node);
        return;
    }
    if (frame->object) {
        json_object_set_member(frame->object, frame->name, node);
        g_clear_pointer(&frame->name, g_free);
    } else {
        json_array_add_element(frame->array, node);
    }
    stream->want = WANT_COMMA;
}

/* ---- grammar ---- */

static gboolean wants_value(const JsonStream *stream)
{
    return stream->want == WANT_VALUE || stream->want == WANT_VALUE_OR_END;
}

static const char *wanted(JsonStream *stream)
{
    switch (stream->want) {
    case WANT_NAME:
    case WANT_NAME_OR_END:
        return "expecting member name";
    case WANT_COLON:
        return "expecting ':'";
    case WANT_COMMA:
        return top_frame(stream)->object ? "expecting ',' or '}'" : "expecting ',' or ']'";
    default:
        return "expecting value";
    }
}

static const guint8 *open_container(JsonStream *stream, const guint8 *p, gboolean begins_line)
{
    if (!wants_value(stream)) {
        g_autofree char *message = g_strconcat("JSON parse error, ", wanted(stream), NULL);
        gboolean begun_quiet = stream->begun_quiet;

        if (!begins_line) {
            fail(stream, JSON_STREAM_ERROR_PARSE, message, 0);
            return p;
        }
        begin_value(stream);
        stream->line_begins = TRUE; /* reads the bracket again */
        report_cut_off(stream, begun_quiet, message);
        return p;
    }
    if (stream->frames->len >= stream->limits.max_depth) {
        fail(stream, JSON_STREAM_ERROR_LIMIT, "JSON nesting depth limit exceeded", 0);
        return p;
    }

    Frame frame = {.begins_line = begins_line};

    if (*p == '{') {
        frame.object = json_object_new();
        stream->want = WANT_NAME_OR_END;
    } else {
        frame.array = json_array_new();
        stream->want = WANT_VALUE_OR_END;
    }
    g_array_append_val(stream->frames, frame);
    return p + 1;
}

static const guint8 *close_container(JsonStream *stream, const guint8 *p)
{
    Frame *frame = top_frame(stream);
    gboolean fits;

    if (!frame) {
        fail_text(stream, "stray", p, 1);
        return p;
    }
    if (*p == '}') {
        fits = frame->object && (stream->want == WANT_NAME_OR_END || stream->want == WANT_COMMA);
    } else {
        fits = frame->array && (stream->want == WANT_VALUE_OR_END || stream->want == WANT_COMMA);
    }
    if (!fits) {
        fail_parse(stream, wanted(stream), 0);
        return p;
    }

    JsonNode *node = json_node_alloc();

    if (frame->object) {
        json_node_init(node, JSON_NODE_OBJECT);
        json_node_take_object(node, g_steal_pointer(&frame->object));
    } else {
        json_node_init(node, JSON_NODE_ARRAY);
        json_node_take_array(node, g_steal_pointer(&frame->array));
    }
    g_array_set_size(stream->frames, stream->frames->len - 1);
    value_done(stream, node);
    return p + 1;
}

static const guint8 *separate(JsonStream *stream, const guint8 *p)
{
    Frame *frame = top_frame(stream);

    if (!frame) {
        fail_text(stream, "stray", p, 1);
        return p;
    }
    if (*p == ':' && stream->want == WANT_COLON) {
        stream->want = WANT_VALUE;
    } else if (*p == ',' && stream->want == WANT_COMMA) {
        stream->want = frame->object ? WANT_NAME : WANT_VALUE;
    } else {
        fail_parse(stream, wanted(stream), 0);
        return p;
    }
    return p + 1;
}

/* ---- tokens ---- */

static gboolean is_word_byte(guint8 c)
{
    return g_ascii_isalnum(c) || c == '-' || c == '+' || c == '.' || c == '_';
}

static void fail_word(JsonStream *stream)
{
    g_autofree char *word = g_strdup(stream->string.text->str); /* failing empties the buffer */

    fail_text(stream, g_ascii_isalpha(*word) ? "invalid keyword" : "stray", (const guint8 *)word,
              strlen(word));
}

static void word_done(JsonStream *stream)
{
    const char *text = stream->string.text->str;
    JsonNode *node = NULL;

    stream->lex = LEX_BLANK;
    if (strcmp(text, "true") == 0) {
        node = json_node_init_boolean(json_node_alloc(), TRUE);
    } else if (strcmp(text, "false") == 0) {
        node = json_node_init_boolean(json_node_alloc(), FALSE);
    } else if (strcmp(text, "null") == 0) {
        node = json_node_init_null(json_node_alloc());
    } else {
        node = json_number_parse(text);
    }
    if (!node) {
        fail_word(stream);
        return;
    }
    value_done(stream, node);
}

static const guint8 *lex_word(JsonStream *stream, const guint8 *p, const guint8 *end)
{
    gsize room = WORD_BYTES - stream->string.text->len;
    gsize length = room_for(stream, (gsize)(end - p));
    gsize run = 0;

    while (run < room && run < length && is_word_byte(p[run])) {
        run++;
    }
    if (run) {
        g_string_append_len(stream->string.text, (const char *)p, (gssize)run);
        stream->bytes += run;
    } else if (!is_word_byte(*p)) {
        word_done(stream);
    } else if (room) {
        fail_size(stream, 0);
    } else {
        fail_word(stream);
    }
    return p + run;
}

/* A line that begins like a request inside a half-read value: the value was cut off. */
static void restart_at_top_frame(JsonStream *stream)
{
    guint last = stream->frames->len - 1;
    Frame frame = g_array_index(stream->frames, Frame, last);
    gboolean begun_quiet = stream->begun_quiet;

    memset(&g_array_index(stream->frames, Frame, last), 0, sizeof(Frame));
    begin_value(stream);
    g_array_append_val(stream->frames, frame);
    stream->tokens = 2;
    stream->want = WANT_COLON;
    report_cut_off(stream, begun_quiet, "JSON parse error, unfinished value before a new line's '{'");
}

static void string_done(JsonStream *stream)
{
    const char *text = stream->string.text->str;
    Frame *frame = top_frame(stream);

    stream->lex = LEX_BLANK;
    if (wants_value(stream)) {
        JsonNode *node = json_node_init_string(json_node_alloc(), text);

        if (stream->string.text->allocated_len > TEXT_KEEP_BYTES) {
            g_string_free(stream->string.text, TRUE);
            stream->string.text = g_string_new(NULL);
        }
        value_done(stream, node);
        return;
    }
    if (json_object_has_member(frame->object, text)) {
        fail_parse(stream, "duplicate key", 0);
        return;
    }
    if (json_object_get_size(frame->object) >= JSON_STREAM_MAX_MEMBERS) {
        fail(stream, JSON_STREAM_ERROR_LIMIT, "JSON object member limit exceeded", 0);
        return;
    }
    frame->name = g_strdup(text);
    stream->want = WANT_COLON;
    if (stream->first_name && frame->begins_line && stream->frames->len > 1 &&
        json_object_get_size(frame->object) == 0 && strcmp(text, stream->first_name) == 0) {
        restart_at_top_frame(stream);
    }
}

static const guint8 *lex_string(JsonStream *stream, const guint8 *p, const guint8 *end)
{
    const guint8 *start = p;
    gsize room = room_for(stream, (gsize)(end - p));
    const char *error;

    if (!room) {
        fail_size(stream, stream->string.quote);
        return p;
    }
    switch (json_string_take(&stream->string, &p, p + room, &error)) {
    case JSON_STRING_MORE:
        stream->bytes += (gsize)(p - start);
        break;
    case JSON_STRING_DONE:
        stream->bytes += (gsize)(p - start);
        string_done(stream);
        break;
    case JSON_STRING_BAD:
        fail_parse(stream, error, stream->string.quote);
        break;
    }
    return p;
}

/* Passes over garbage, from which nothing is kept. */
static const guint8 *lex_skip(JsonStream *stream, const guint8 *p, const guint8 *end)
{
    while (p < end) {
        guint8 c = *p;

        if (c == '\n' || c == RESET_BYTE) {
            stream->lex = LEX_BLANK;
            return p;
        }
        if (stream->skip_escape) {
            stream->skip_escape = FALSE;
        } else if (stream->skip_quote) {
            gsize run = json_scan_plain(p, (gsize)(end - p), stream->skip_quote);

            if (run) {
                p += run;
                continue;
            }
            stream->skip_escape = c == '\\';
            if (c == stream->skip_quote) {
                stream->skip_quote = 0;
            }
        } else if (stream->skip_depth) {
            if (c == '"' || c == '\'') {
                stream->skip_quote = c;
            } else if (c == '{' || c == '[') {
                stream->skip_depth++;
            } else if ((c == '}' || c == ']') && --stream->skip_depth == 0) {
                stream->lex = LEX_BLANK;
                return p + 1;
            }
        }
        p++;
    }
    return p;
}

static const guint8 *lex_blank(JsonStream *stream, const guint8 *p, const guint8 *end)
{
    if (*p == ' ' || *p == '\t' || *p == '\r') {
        do {
            p++;
        } while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'));
        return p;
    }
    if (*p == '\n') {
        stream->line_begins = TRUE;
        stream->begun_quiet = stream->frames->len && (stream->quiet || stream->begun_quiet);
        stream->quiet = FALSE;
        return p + 1;
    }

    gboolean begins_line = stream->line_begins;
    gboolean is_string = *p == '"' || *p == '\'';
    gboolean is_word = is_word_byte(*p);

    stream->line_begins = FALSE;
    if (stream->tokens >= stream->limits.max_tokens) {
        fail(stream, JSON_STREAM_ERROR_LIMIT, "JSON token count limit exceeded", 0);
        return p;
    }
    stream->tokens++;
    if (is_word) {
        if (!wants_value(stream)) {
            fail_parse(stream, wanted(stream), 0);
            return p;
        }
        g_string_truncate(stream->string.text, 0);
        stream->lex = LEX_WORD;
        return p;
    }
    if (!room_for(stream, 1)) {
        fail_size(stream, 0);
        return p;
    }
    stream->bytes++;
    if (is_string) {
        if (!wants_value(stream) && stream->want != WANT_NAME && stream->want != WANT_NAME_OR_END) {
            fail_parse(stream, wanted(stream), 0);
            return p;
        }
        json_string_begin(&stream->string, *p);
        stream->lex = LEX_STRING;
        return p + 1;
    }
    switch (*p) {
    case '{':
    case '[':
        return open_container(stream, p, begins_line);
    case '}':
    case ']':
        return close_container(stream, p);
    case ':':
    case ',':
        return separate(stream, p);
    default:
        fail_text(stream, "stray", p, 1);
        return p;
    }
}

/* ---- entry points ---- */

static const guint8 *reset_byte(JsonStream *stream, const guint8 *p)
{
    gboolean partial = json_stream_is_partial(stream);

    begin_value(stream);
    if (partial) {
        report(stream, JSON_STREAM_ERROR_PARSE, "JSON parse error, stray '\\xff'");
    }
    return p + 1;
}

static const guint8 *step(JsonStream *stream, const guint8 *p, const guint8 *end)
{
    if (*p == RESET_BYTE) {
        return reset_byte(stream, p);
    }
    switch (stream->lex) {
    case LEX_BLANK:
        return lex_blank(stream, p, end);
    case LEX_WORD:
        return lex_word(stream, p, end);
    case LEX_STRING:
        return lex_string(stream, p, end);
    default:
        return lex_skip(stream, p, end);
    }
}

void json_stream_feed(JsonStream *stream, const void *data, gsize length)
{
    g_return_if_fail(stream != NULL && !stream->feeding);

    const guint8 *p = data;
    const guint8 *end = p + length;

    stream->feeding = TRUE;
    stream->forget = FALSE;
    while (p < end && !stream->forget) {
        const guint8 *next = step(stream, p, end);

        stream->offset += (guint64)(next - p);
        p = next;
    }
    stream->feeding = FALSE;
    if (stream->freed) {
        json_stream_free(stream);
    }
}

void json_stream_reset(JsonStream *stream)
{
    begin_value(stream);
    stream->line_begins = TRUE;
    stream->quiet = FALSE;
    stream->forget = TRUE;
}

void json_stream_quiet_line(JsonStream *stream)
{
    stream->quiet = TRUE;
    stream->quiet_offset = stream->offset;
}

gboolean json_stream_is_quiet(const JsonStream *stream)
{
    return stream->quiet && stream->offset - stream->quiet_offset < NOISE_BYTES;
}

void json_stream_skip_line(JsonStream *stream)
{
    begin_value(stream);
    begin_skip(stream, 0, 0);
}

gboolean json_stream_is_partial(const JsonStream *stream)
{
    return stream->frames->len > 0 || (stream->lex != LEX_BLANK && stream->lex != LEX_SKIP);
}
