// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/jsonstream.h"
#include "host-vmm/vmctl/vmctl.h"

enum { MAX_FILE = 40 << 20 }; /* as base64 it has to fit into a message of 64 MiB */

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

static JsonNode *text_node(const char *text)
{
    JsonNode *node = json_node_new(JSON_NODE_VALUE);

    json_node_set_string(node, text);
    return node;
}

/* The bytes of a file or of standard input, as base64 text. */
static JsonNode *file_value(const char *path, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    guint8 buffer[65536];
    ssize_t length = fd < 0 ? -1 : 0;

    while (fd >= 0 && data->len <= MAX_FILE) {
        length = read(fd, buffer, sizeof buffer);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            break;
        g_byte_array_append(data, buffer, (guint)length);
    }
    if (length < 0)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot read %s: %s", path, g_strerror(errno));
    if (fd > STDERR_FILENO)
        close(fd);
    if (length < 0)
        return NULL;
    if (data->len > MAX_FILE) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                    "%s has more than %d MiB, which is too much for one message", path, MAX_FILE >> 20);
        return NULL;
    }
    g_autofree char *text = g_base64_encode(data->data, data->len);
    return text_node(text);
}

static gboolean is_one_of(const char *const *names, const char *name)
{
    return names != NULL && g_strv_contains(names, name);
}

/* One more text for an array, which is begun by the first. */
static gboolean add_to_list(JsonObject *arguments, const char *name, const char *text, GError **error)
{
    JsonNode *list = json_object_get_member(arguments, name);

    if (list == NULL) {
        json_object_set_array_member(arguments, name, json_array_new());
        list = json_object_get_member(arguments, name);
    }
    if (!JSON_NODE_HOLDS_ARRAY(list)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "argument '%s' is given twice", name);
        return FALSE;
    }
    json_array_add_string_element(json_node_get_array(list), text);
    return TRUE;
}

static gboolean parse_word(JsonObject *arguments, const char *word, const ArgumentTypes *types,
                           GError **error)
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
    if (equals == NULL || equals == word || (equals == word + 1 && strchr(":@", *word) != NULL)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE,
                    "'%s' is not of the form ARG=VALUE, ARG==TEXT, ARG:=JSON or ARG@=FILE", word);
        return FALSE;
    }
    if (equals[-1] == ':') {
        name = g_strndup(word, (gsize)(equals - word) - 1);
        value = json_parse_text(equals + 1, -1, error);
        if (value == NULL) {
            g_prefix_error(error, "%s: ", word);
            return FALSE;
        }
    } else if (equals[-1] == '@') {
        name = g_strndup(word, (gsize)(equals - word) - 1);
        value = file_value(equals + 1, error);
        if (value == NULL)
            return FALSE;
    } else {
        const char *text = equals[1] == '=' ? equals + 2 : equals + 1;

        name = g_strndup(word, (gsize)(equals - word));
        if (types != NULL && is_one_of(types->lists, name))
            return add_to_list(arguments, name, text, error);
        if (equals[1] == '=' || (types != NULL && is_one_of(types->texts, name)))
            value = text_node(text);
        else
            value = guess_value(text);
    }
    return add(arguments, name, value, error);
}

JsonObject *arguments_parse(char **words, const ArgumentTypes *types, GError **error)
{
    g_autoptr(JsonObject) arguments = json_object_new();
    GError *problem = NULL;

    for (guint i = 0; words[i] != NULL; i++)
        if (!parse_word(arguments, words[i], types, &problem)) {
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
