// SPDX-License-Identifier: GPL-2.0-or-later
/* What the log has of the laws beside that of memory. */
#include "balloon/daemon/audit-private.h"

#include <string.h>

void audit_laws_init(Law *logged)
{
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_init(&logged[i], FLEET_CLASSES[i]);
}

void audit_laws_clear(Law *logged)
{
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_clear(&logged[i]);
}

void audit_laws_forget(Law *logged, guint place)
{
    for (guint i = 0; i < FLEET_LAWS; i++)
        law_forget(&logged[i], place, TRUE);
}

/* What it remembers, as it is. */
static void add_states(GString *out, const Fleet *fleet, const Law *law)
{
    gboolean any = FALSE;
    g_string_append(out, ", \"state\": ");
    audit_add_bytes(out, law->part[LAW_STATE], law->class->part[LAW_STATE].size);
    g_string_append(out, ", \"guests\": [");
    for (guint i = 0; i < fleet->count; i++) {
        if (fleet->places[i].key == NULL)
            continue;
        g_string_append_printf(out, "%s{\"place\": %u, \"state\": ", any ? ", " : "", i);
        audit_add_bytes(out, law_part(law, LAW_GUEST_STATE, i), law->class->part[LAW_GUEST_STATE].size);
        g_string_append_c(out, '}');
        any = TRUE;
    }
    g_string_append_c(out, ']');
}

void audit_laws_add_config(Law *logged, GString *out, const Fleet *fleet, gboolean start)
{
    gboolean any = FALSE;
    g_string_append(out, ", \"laws\": {");
    for (guint i = 0; i < FLEET_LAWS; i++) {
        const Law *law = &fleet->laws[i];
        gboolean anew = start || logged[i].runs != law->runs;
        if (anew)
            law_set(&logged[i], NULL);
        law_set(&logged[i], law->part[LAW_CONFIG]);
        logged[i].runs = law->runs;
        if (!law->on)
            continue;
        g_string_append_printf(out, "%s\"%s\": {%s\"config\": {", any ? ", " : "", law->class->name,
                               anew && !start ? "\"anew\": true, " : "");
        record_write(out, law->class->part[LAW_CONFIG].fields, law->part[LAW_CONFIG], NULL);
        g_string_append_c(out, '}');
        if (start)
            add_states(out, fleet, law);
        g_string_append_c(out, '}');
        any = TRUE;
    }
    g_string_append_c(out, '}');
}

/* "NAME": what is not as it was logged before, if there is any. */
static void add_record(Law *logged, GString *out, const Law *law, LawPart part, guint place, const char *name,
                       gboolean *any)
{
    const RecordField *fields = law->class->part[part].fields;
    gsize before = out->len;
    if (fields == NULL)
        return;
    gpointer now = law_part(law, part, place), then = law_part(logged, part, place);
    g_string_append_printf(out, "%s\"%s\": {", *any ? ", " : "", name);
    if (!record_write(out, fields, now, then)) {
        g_string_truncate(out, before);
        return;
    }
    g_string_append_c(out, '}');
    memcpy(then, now, law->class->part[part].size);
    *any = TRUE;
}

static void add_records(Law *logged, GString *out, const Fleet *fleet, const Law *law, LawPart part,
                        const char *name, gboolean *any)
{
    gsize before = out->len;
    gboolean some = FALSE;
    g_string_append_printf(out, "%s\"%s\": {", *any ? ", " : "", name);
    for (guint i = 0; i < fleet->count; i++) {
        char number[16];
        g_snprintf(number, sizeof number, "%u", i);
        if (fleet->places[i].key != NULL)
            add_record(logged, out, law, part, i, number, &some);
    }
    if (some)
        g_string_append_c(out, '}');
    else
        g_string_truncate(out, before);
    *any = *any || some;
}

void audit_laws_add_tick(Law *logged, GString *out, const Fleet *fleet)
{
    gboolean any = FALSE;
    for (guint i = 0; i < FLEET_LAWS; i++) {
        const Law *law = &fleet->laws[i];
        gboolean some = FALSE;
        if (!law->on)
            continue;
        law_make_room(&logged[i], law->room);
        g_string_append_printf(out, "%s\"%s\": {", any ? ", " : ", \"laws\": {", law->class->name);
        add_record(&logged[i], out, law, LAW_HOST, 0, "host", &some);
        add_records(&logged[i], out, fleet, law, LAW_GUEST, "seen", &some);
        add_record(&logged[i], out, law, LAW_VERDICT, 0, "decided", &some);
        add_records(&logged[i], out, fleet, law, LAW_DECISION, "changed", &some);
        g_string_append_printf(out, "%s\"check\": \"%016" G_GINT64_MODIFIER "x\"}", some ? ", " : "",
                               law_check(law, fleet->count));
        any = TRUE;
    }
    if (any)
        g_string_append_c(out, '}');
}
