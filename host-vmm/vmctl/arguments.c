// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/arguments.h"

#include <string.h>

#include "lib/jsonstream.h"
#include "host-vmm/vmctl/vmctl.h"

/* "0", "-7", "42"; not "007", "+1" or "-0", which are text that somebody wants kept as it is. */
static gboolean is_integer(const char *text, gint64 *value)
{
    const char *digits = *text == '-' ? text + 1 : text;

    if (!g_ascii_isdigit(*digits) || (*digits == '0' && (digits[1] != '\0' || digits != text)))
        return FALSE;
    return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, value, NULL);
}

static JsonNode *guess_value(const char *text)
{
    JsonNode *node = json_node_new(JSON_NODE_VALUE);
    gint64 integer;

    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        json_node_set_boolean(node, *text == 't');
    else if (is_integer(text, &integer))
        json_node_set_int(node, integer);
    else
        json_node_set_string(node, text);
    return node;
}

static gboolean add(JsonObject *arguments, const char *name, JsonNode *value, GError **error)
{
    if (json_object_has_member(arguments, name)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "argument '%s' is given twice", name);
        json_node_unref(value);
        return FALSE;
    }
    json_object_set_member(arguments, name, value);
    return TRUE;
}

static gboolean parse_object(JsonObject *arguments, const char *word, GError **error)
{
    g_autoptr(JsonNode) node = json_parse_text(word, -1, error);
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;

    if (node == NULL) {
        g_prefix_error(error, "%s: ", word);
        return FALSE;
    }
    json_object_iter_init(&iter, json_node_get_object(node));
    while (json_object_iter_next(&iter, &name, &member))
        if (!add(arguments, name, json_node_copy(member), error))
            return FALSE;
    return TRUE;
}

static gboolean parse_word(JsonObject *arguments, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *name = NULL;
    JsonNode *value;

    if (!g_utf8_validate(word, -1, NULL)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "'%s' is not UTF-8, which JSON has to be", word);
        return FALSE;
    }
    if (*word == '{')
        return parse_object(arguments, word, error);
    if (equals == NULL || equals == word || (equals == word + 1 && *word == ':')) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE,
                    "'%s' is not of the form ARG=VALUE, ARG==TEXT or ARG:=JSON", word);
        return FALSE;
    }
    if (equals[-1] == ':') {
        name = g_strndup(word, (gsize)(equals - word) - 1);
        value = json_parse_text(equals + 1, -1, error);
        if (value == NULL) {
            g_prefix_error(error, "%s: ", word);
            return FALSE;
        }
    } else {
        name = g_strndup(word, (gsize)(equals - word));
        if (equals[1] == '=') {
            value = json_node_new(JSON_NODE_VALUE);
            json_node_set_string(value, equals + 2);
        } else {
            value = guess_value(equals + 1);
        }
    }
    return add(arguments, name, value, error);
}

JsonObject *arguments_parse(char **words, GError **error)
{
    g_autoptr(JsonObject) arguments = json_object_new();
    GError *problem = NULL;

    for (guint i = 0; words[i] != NULL; i++)
        if (!parse_word(arguments, words[i], &problem)) {
            if (problem->domain == JSON_STREAM_ERROR) { /* what was typed is wrong, not what a peer sent */
                g_set_error_literal(error, VMCTL_ERROR, VMCTL_USAGE, problem->message);
                g_error_free(problem);
            } else {
                g_propagate_error(error, problem);
            }
            return NULL;
        }
    return g_steal_pointer(&arguments);
}
