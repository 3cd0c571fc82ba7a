// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/law.h"

#include <string.h>

void law_init(Law *law, const LawClass *class)
{
    *law = (Law){.class = class};
}

void law_clear(Law *law)
{
    for (guint i = 0; i < LAW_PARTS; i++)
        g_clear_pointer(&law->part[i], g_free);
    law->room = 0;
    law->on = FALSE;
}

void law_set(Law *law, gconstpointer config)
{
    if (config == NULL) {
        law_clear(law);
        return;
    }
    for (guint i = 0; !law->on && i < LAW_SHARED; i++)
        law->part[i] = g_malloc0(MAX(law->class->part[i].size, 1));
    law->runs += !law->on;
    memcpy(law->part[LAW_CONFIG], config, law->class->part[LAW_CONFIG].size);
    law->on = TRUE;
}

void law_make_room(Law *law, guint count)
{
    if (!law->on || count <= law->room)
        return;
    guint room = MAX(count, law->room * 2);
    for (guint i = LAW_SHARED; i < LAW_PARTS; i++) {
        gsize size = MAX(law->class->part[i].size, 1);
        law->part[i] = g_realloc_n(law->part[i], room, size);
        memset((char *)law->part[i] + law->room * size, 0, (room - law->room) * size);
    }
    law->room = room;
}

gpointer law_part(const Law *law, LawPart part, guint place)
{
    if (!law->on || part < LAW_SHARED)
        return law->part[part];
    g_return_val_if_fail(place < law->room, NULL);
    return (char *)law->part[part] + place * law->class->part[part].size;
}

void law_forget(Law *law, guint place, gboolean seen)
{
    for (LawPart i = LAW_SHARED; law->on && place < law->room && i < LAW_PARTS; i++)
        if (seen || i != LAW_GUEST)
            memset(law_part(law, i, place), 0, law->class->part[i].size);
}

guint64 law_check(const Law *law, guint count)
{
    guint64 hash = 0;
    for (LawPart i = 0; i < LAW_PARTS; i++) {
        const RecordField *fields = law->class->part[i].fields;
        if (fields == NULL || i == LAW_CONFIG || i == LAW_HOST || i == LAW_GUEST)
            continue;
        for (guint place = 0; place < (i < LAW_SHARED ? 1 : count); place++)
            hash = record_mix_all(hash, fields, law_part(law, i, place));
    }
    return hash;
}
