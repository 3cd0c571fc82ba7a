// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/jsonstream.h"

#include <string.h>

typedef struct TextParse {
    JsonNode *value;
    GError *error;
    gboolean more; /* than one value */
} TextParse;

static void take_text_value(JsonNode *value, const GError *error, gpointer user_data)
{
    TextParse *parse = user_data;

    if (error) {
        if (!parse->error) {
            parse->error = g_error_copy(error);
        }
    } else if (parse->value) {
        parse->more = TRUE;
    } else {
        parse->value = json_node_ref(value);
    }
}

JsonNode *json_parse_text(const char *text, gssize length, GError **error)
{
    g_return_val_if_fail(text != NULL, NULL);

    TextParse parse = {0};
    g_autoptr(JsonStream) stream = json_stream_new(NULL, take_text_value, &parse);
    g_autoptr(JsonNode) value = NULL;

    json_stream_feed(stream, text, length < 0 ? strlen(text) : (gsize)length);
    json_stream_feed(stream, "\n", 1); /* ends a number */
    value = parse.value;
    if (parse.error) {
        g_propagate_error(error, parse.error);
        return NULL;
    }
    if (parse.more || !value || json_stream_is_partial(stream)) {
        g_set_error(error, JSON_STREAM_ERROR, JSON_STREAM_ERROR_PARSE, "JSON parse error, %s",
                    json_stream_is_partial(stream) ? "premature end of text"
                    : value                        ? "more than one value"
                                                   : "expecting value");
        return NULL;
    }
    return g_steal_pointer(&value);
}
