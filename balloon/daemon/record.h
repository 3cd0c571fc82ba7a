// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * record: the numbers of a struct by their names, to write them to a log, to read them back, and to compare.
 * Numbers are signed or unsigned, of 1, 4 or 8 bytes; a row of them is a member of its own or an array.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef struct RecordField {
    const char *name;
    gsize offset, size; /* of the first; size 1, 4 or 8 */
    guint count;        /* numbers; 1: no array */
    gsize stride;       /* from one to the next */
} RecordField;

/* Tables of them end with a row of zeros. */
#define RECORD_FIELD(type, member)                                                                           \
    {                                                                                                        \
#member, G_STRUCT_OFFSET(type, member), sizeof(((type *)NULL)->member), 1, 0                         \
    }
/* `first`: the member that is the first number, as in node[0].free. */
#define RECORD_ARRAY(type, word, first, count, stride)                                                       \
    {                                                                                                        \
        word, G_STRUCT_OFFSET(type, first), sizeof(((type *)NULL)->first), count, stride                     \
    }

/* The first number of a field. */
gint64 record_get(const RecordField *field, gconstpointer record);
void record_put(const RecordField *field, gpointer record, gint64 value);

/* Appends "name": value of each field that is not as in `before` (NULL: of all), with commas between them.
 * FALSE: there was none. Zeros at the end of an array are left out. */
gboolean record_write(GString *out, const RecordField *fields, gconstpointer record, gconstpointer before);
/* Sets those that are there. */
void record_read(const RecordField *fields, JsonObject *from, gpointer record);
/* The first field that is there and is not the same; NULL. */
const RecordField *record_compare(const RecordField *fields, JsonObject *from, gconstpointer record,
                                  gint64 *there, gint64 *here);
/* Makes a number of one before and another one, or all fields. */
guint64 record_mix(guint64 hash, gint64 number);
guint64 record_mix_all(guint64 hash, const RecordField *fields, gconstpointer record);
