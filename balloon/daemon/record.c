// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/record.h"

static gint64 get(const RecordField *field, gconstpointer record, guint i)
{
    const char *at = (const char *)record + field->offset + i * field->stride;
    return field->size == 1   ? *(const guint8 *)at
           : field->size == 4 ? *(const gint32 *)at
                              : *(const gint64 *)at;
}

static void put(const RecordField *field, gpointer record, guint i, gint64 value)
{
    char *at = (char *)record + field->offset + i * field->stride;
    if (field->size == 1)
        *(guint8 *)at = (guint8)CLAMP(value, 0, G_MAXUINT8);
    else if (field->size == 4)
        *(gint32 *)at = (gint32)CLAMP(value, G_MININT32, G_MAXINT32);
    else
        *(gint64 *)at = value;
}

gint64 record_get(const RecordField *field, gconstpointer record)
{
    return get(field, record, 0);
}

void record_put(const RecordField *field, gpointer record, gint64 value)
{
    put(field, record, 0, value);
}

static gboolean same(const RecordField *field, gconstpointer one, gconstpointer other)
{
    for (guint i = 0; i < field->count; i++)
        if (get(field, one, i) != get(field, other, i))
            return FALSE;
    return TRUE;
}

gboolean record_write(GString *out, const RecordField *fields, gconstpointer record, gconstpointer before)
{
    gboolean any = FALSE;
    for (const RecordField *field = fields; field->name != NULL; field++) {
        if (before != NULL && same(field, record, before))
            continue;
        g_string_append_printf(out, "%s\"%s\": ", any ? ", " : "", field->name);
        any = TRUE;
        if (field->count == 1) {
            g_string_append_printf(out, "%" G_GINT64_FORMAT, get(field, record, 0));
            continue;
        }
        guint count = field->count;
        while (count > 0 && get(field, record, count - 1) == 0)
            count--;
        g_string_append_c(out, '[');
        for (guint i = 0; i < count; i++)
            g_string_append_printf(out, "%s%" G_GINT64_FORMAT, i > 0 ? ", " : "", get(field, record, i));
        g_string_append_c(out, ']');
    }
    return any;
}

/* The i-th number of a member; those that were left out are 0. FALSE: it is not there, or no number. */
static gboolean number_at(JsonNode *node, guint i, gint64 *value)
{
    *value = 0;
    if (node != NULL && JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *array = json_node_get_array(node);
        if (i >= json_array_get_length(array))
            return TRUE;
        node = json_array_get_element(array, i);
    }
    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    *value = json_node_get_int(node);
    return TRUE;
}

void record_read(const RecordField *fields, JsonObject *from, gpointer record)
{
    gint64 value;
    for (const RecordField *field = fields; field->name != NULL; field++) {
        JsonNode *node = json_object_get_member(from, field->name);
        for (guint i = 0; node != NULL && i < field->count; i++)
            if (number_at(node, i, &value))
                put(field, record, i, value);
    }
}

const RecordField *record_compare(const RecordField *fields, JsonObject *from, gconstpointer record,
                                  gint64 *there, gint64 *here)
{
    for (const RecordField *field = fields; field->name != NULL; field++) {
        JsonNode *node = json_object_get_member(from, field->name);
        for (guint i = 0; node != NULL && i < field->count; i++) {
            *here = get(field, record, i);
            if (!number_at(node, i, there) || *there != *here)
                return field;
        }
    }
    return NULL;
}

guint64 record_mix(guint64 hash, gint64 number)
{
    hash ^= (guint64)number;
    hash *= 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 29);
}

guint64 record_mix_all(guint64 hash, const RecordField *fields, gconstpointer record)
{
    for (const RecordField *field = fields; field->name != NULL; field++)
        for (guint i = 0; i < field->count; i++)
            hash = record_mix(hash, get(field, record, i));
    return hash;
}
