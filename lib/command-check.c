// SPDX-License-Identifier: GPL-2.0-or-later
/* Checking arguments against rows. The order of checks and the texts are QEMU's, which tests and people know.
 */
#include "lib/command.h"

#include <string.h>

static const char *type_word(const CommandArg *arg)
{
    if (arg->type_name) {
        return arg->type_name;
    }
    switch (arg->type) {
    case COMMAND_ARG_INT:
        return "integer";
    case COMMAND_ARG_NUMBER:
        return "number";
    case COMMAND_ARG_BOOL:
        return "boolean";
    case COMMAND_ARG_ARRAY:
        return "array";
    case COMMAND_ARG_OBJECT:
        return "object";
    default:
        return "string";
    }
}

static gboolean has_type(JsonNode *value, CommandArgType type)
{
    switch (type) {
    case COMMAND_ARG_INT:
        return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_INT64;
    case COMMAND_ARG_NUMBER:
        return JSON_NODE_HOLDS_VALUE(value) && (json_node_get_value_type(value) == G_TYPE_INT64 ||
                                                json_node_get_value_type(value) == G_TYPE_DOUBLE);
    case COMMAND_ARG_STRING:
    case COMMAND_ARG_ENUM:
        return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_STRING;
    case COMMAND_ARG_BOOL:
        return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_BOOLEAN;
    case COMMAND_ARG_ARRAY:
        return JSON_NODE_HOLDS_ARRAY(value);
    case COMMAND_ARG_OBJECT:
        return JSON_NODE_HOLDS_OBJECT(value);
    default:
        return TRUE;
    }
}

/* `path` names the value in errors: "vcpus[0].online". Each function leaves it as it was. */
static gboolean check_members(JsonObject *object, const CommandArg *args, gboolean loose, GString *path,
                              GError **error);

static gboolean check_value(JsonNode *value, const CommandArg *arg, GString *path, GError **error)
{
    const CommandArg *kind = arg;

    if (arg->type == COMMAND_ARG_ALTERNATE) {
        kind = arg->members;
        while (kind->name && !has_type(value, kind->type)) {
            kind++;
        }
    }
    if (!kind->name && kind != arg) {
        kind = NULL; /* none of the alternatives */
    }
    if (!kind || !has_type(value, kind->type)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "Invalid parameter type for '%s', expected: %s", path->str, type_word(arg));
        return FALSE;
    }
    if (kind->type == COMMAND_ARG_ENUM) {
        const char *word = json_node_get_string(value);

        if (!g_strv_contains(kind->values, word)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "Parameter '%s' does not accept value '%s'", path->str, word);
            return FALSE;
        }
    } else if (kind->type == COMMAND_ARG_ARRAY && kind->element) {
        JsonArray *array = json_node_get_array(value);
        gsize length = path->len;

        for (guint i = 0; i < json_array_get_length(array); i++) {
            gboolean ok;

            g_string_append_printf(path, "[%u]", i);
            ok = check_value(json_array_get_element(array, i), kind->element, path, error);
            g_string_truncate(path, length);
            if (!ok) {
                return FALSE;
            }
        }
    } else if (kind->type == COMMAND_ARG_OBJECT && kind->members) {
        return check_members(json_node_get_object(value), kind->members, FALSE, path, error);
    }
    return TRUE;
}

static const CommandArg *find_arg(const CommandArg *args, const char *name)
{
    for (const CommandArg *arg = args; arg && arg->name; arg++) {
        if (strcmp(arg->name, name) == 0) {
            return arg;
        }
    }
    return NULL;
}

static void push_name(GString *path, const char *name)
{
    if (path->len) {
        g_string_append_c(path, '.');
    }
    g_string_append(path, name);
}

static gboolean check_members(JsonObject *object, const CommandArg *args, gboolean loose, GString *path,
                              GError **error)
{
    gsize length = path->len;
    JsonObjectIter iter;
    const char *name;

    for (const CommandArg *arg = args; arg && arg->name; arg++) {
        JsonNode *value = json_object_get_member(object, arg->name);
        gboolean ok = TRUE;

        push_name(path, arg->name);
        if (value) {
            ok = check_value(value, arg, path, error);
        } else if (!arg->optional) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "Parameter '%s' is missing",
                        path->str);
            ok = FALSE;
        }
        g_string_truncate(path, length);
        if (!ok) {
            return FALSE;
        }
    }
    if (loose) {
        return TRUE;
    }
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, NULL)) {
        if (!find_arg(args, name)) {
            push_name(path, name);
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "Parameter '%s' is unexpected",
                        path->str);
            g_string_truncate(path, length);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean command_check_arguments(JsonObject *arguments, const CommandArg *args, gboolean loose,
                                 GError **error)
{
    g_autoptr(GString) path = g_string_new(NULL);

    g_return_val_if_fail(arguments != NULL, FALSE);
    return check_members(arguments, args, loose, path, error);
}

gboolean command_has(JsonObject *arguments, const char *name)
{
    return json_object_has_member(arguments, name);
}

gint64 command_int(JsonObject *arguments, const char *name, gint64 fallback)
{
    JsonNode *value = json_object_get_member(arguments, name);

    return value ? json_node_get_int(value) : fallback;
}

gboolean command_bool(JsonObject *arguments, const char *name, gboolean fallback)
{
    JsonNode *value = json_object_get_member(arguments, name);

    return value ? json_node_get_boolean(value) : fallback;
}

const char *command_string(JsonObject *arguments, const char *name, const char *fallback)
{
    JsonNode *value = json_object_get_member(arguments, name);

    return value ? json_node_get_string(value) : fallback;
}
