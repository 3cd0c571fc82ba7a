// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/replies.h"

#include <string.h>

JsonObject *reply_as_object(JsonNode *reply)
{
    return reply != NULL && JSON_NODE_HOLDS_OBJECT(reply) ? json_node_get_object(reply) : NULL;
}

JsonObject *reply_object(JsonNode *reply, guint index)
{
    JsonArray *array = reply != NULL && JSON_NODE_HOLDS_ARRAY(reply) ? json_node_get_array(reply) : NULL;

    if (array == NULL || index >= json_array_get_length(array))
        return NULL;
    return reply_as_object(json_array_get_element(array, index));
}

static JsonNode *typed_member(JsonObject *object, const char *name, GType type)
{
    JsonNode *node = object == NULL ? NULL : json_object_get_member(object, name);

    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type ? node
                                                                                                 : NULL;
}

const char *object_string(JsonObject *object, const char *name, const char *fallback)
{
    JsonNode *node = typed_member(object, name, G_TYPE_STRING);

    return node == NULL ? fallback : json_node_get_string(node);
}

gint64 object_int(JsonObject *object, const char *name, gint64 fallback)
{
    JsonNode *node = typed_member(object, name, G_TYPE_INT64);

    return node == NULL ? fallback : json_node_get_int(node);
}

gboolean object_bool(JsonObject *object, const char *name, gboolean fallback)
{
    JsonNode *node = typed_member(object, name, G_TYPE_BOOLEAN);

    return node == NULL ? fallback : json_node_get_boolean(node);
}

JsonObject *object_object(JsonObject *object, const char *name)
{
    return object == NULL ? NULL : reply_as_object(json_object_get_member(object, name));
}

JsonNode *object_array(JsonObject *object, const char *name)
{
    JsonNode *node = object == NULL ? NULL : json_object_get_member(object, name);

    return node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? node : NULL;
}

gboolean chardev_has_path(JsonObject *chardev, const char *path)
{
    const char *at = strstr(object_string(chardev, "filename", ""), "unix:");

    if (at == NULL || !g_str_has_prefix(at + strlen("unix:"), path))
        return FALSE;
    at += strlen("unix:") + strlen(path);
    return *at == '\0' || *at == ',';
}

gboolean chardev_is_connected(JsonObject *chardev)
{
    return !g_str_has_prefix(object_string(chardev, "filename", ""), "disconnected:");
}

gboolean chardev_is_opened_by_guest(JsonObject *chardev)
{
    return object_bool(chardev, "frontend-open", TRUE);
}
