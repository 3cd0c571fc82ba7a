// SPDX-License-Identifier: GPL-2.0-or-later
/* The replay of what the log has of the laws beside that of memory. */
#include "balloon/daemon/audit-private.h"
#include "balloon/daemon/audit.h"

#include <string.h>

static JsonObject *logged_of(JsonObject *line, const Law *law)
{
    JsonObject *laws = replay_object(line, "laws");
    return laws != NULL ? replay_object(laws, law->class->name) : NULL;
}

/* FALSE: no guest has that place. */
static gboolean has_place(const Fleet *fleet, gint64 place)
{
    return place >= 0 && place < fleet->count && fleet->places[place].key != NULL;
}

static gboolean take_states(const Fleet *fleet, const Law *law, JsonObject *logged)
{
    const LawClass *class = law->class;
    JsonArray *guests = replay_array(logged, "guests");
    if (!replay_state(logged, law->part[LAW_STATE], class->part[LAW_STATE].size) || guests == NULL)
        return FALSE;
    for (guint i = 0; i < json_array_get_length(guests); i++) {
        JsonNode *node = json_array_get_element(guests, i);
        JsonObject *guest = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        gint64 place;
        if (guest == NULL || !replay_number(json_object_get_member(guest, "place"), &place) ||
            !has_place(fleet, place) ||
            !replay_state(guest, law_part(law, LAW_GUEST_STATE, (guint)place),
                          class->part[LAW_GUEST_STATE].size))
            return FALSE;
    }
    return TRUE;
}

gboolean replay_laws_config(Fleet *fleet, JsonObject *line, gboolean start, GError **error)
{
    for (guint i = 0; i < FLEET_LAWS; i++) {
        Law *law = &fleet->laws[i];
        JsonObject *logged = logged_of(line, law);
        JsonObject *fields = logged != NULL ? replay_object(logged, "config") : NULL;
        if (logged != NULL && fields == NULL)
            return replay_bad(error, "there is no configuration of %s in it", law->class->name);
        g_autofree gpointer config =
            fields != NULL ? g_malloc0(MAX(law->class->part[LAW_CONFIG].size, 1)) : NULL;
        if (fields != NULL)
            record_read(law->class->part[LAW_CONFIG].fields, fields, config);
        if (logged != NULL && json_object_has_member(logged, "anew"))
            fleet_set_law(fleet, i, NULL);
        fleet_set_law(fleet, i, config);
        if (start && logged != NULL && !take_states(fleet, law, logged))
            return replay_bad(error, "the state of %s is not whole", law->class->name);
    }
    return TRUE;
}

typedef gboolean (*PlaceFunc)(const Law *law, LawPart part, guint place, JsonObject *fields, GError **error);

/* Each guest that a member names by its place. */
static gboolean each_place(const Fleet *fleet, const Law *law, JsonObject *logged, const char *name,
                           LawPart part, PlaceFunc func, GError **error)
{
    JsonObject *object = replay_object(logged, name);
    g_autoptr(GList) names = object != NULL ? json_object_get_members(object) : NULL;
    for (GList *at = names; at != NULL; at = at->next) {
        JsonObject *fields = replay_object(object, at->data);
        guint64 place;
        if (fields == NULL || law->class->part[part].fields == NULL ||
            !g_ascii_string_to_unsigned(at->data, 10, 0, FLEET_MAX, &place, NULL) ||
            !has_place(fleet, (gint64)place))
            return replay_bad(error, "%s: it names a guest that is not there", law->class->name);
        if (!func(law, part, (guint)place, fields, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean take(const Law *law, LawPart part, guint place, JsonObject *fields, GError **error)
{
    record_read(law->class->part[part].fields, fields, law_part(law, part, place));
    return TRUE;
}

gboolean replay_laws_see(Fleet *fleet, JsonObject *line, GError **error)
{
    for (guint i = 0; i < FLEET_LAWS; i++) {
        const Law *law = &fleet->laws[i];
        JsonObject *logged = logged_of(line, law);
        JsonObject *host = logged != NULL ? replay_object(logged, "host") : NULL;
        if (!law->on)
            continue;
        if (logged == NULL)
            return replay_bad(error, "it has nothing of %s", law->class->name);
        if (host != NULL)
            record_read(law->class->part[LAW_HOST].fields, host, law->part[LAW_HOST]);
        if (!each_place(fleet, law, logged, "seen", LAW_GUEST, take, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean compare(const Law *law, LawPart part, guint place, JsonObject *fields, GError **error)
{
    gint64 there, here;
    const RecordField *field =
        record_compare(law->class->part[part].fields, fields, law_part(law, part, place), &there, &here);
    if (field == NULL)
        return TRUE;
    g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_DIFFERS,
                "%s: the log has %s %" G_GINT64_FORMAT ", the policy says %" G_GINT64_FORMAT,
                law->class->name, field->name, there, here);
    return FALSE;
}

gboolean replay_laws_compare(const Fleet *fleet, JsonObject *line, guint64 *decisions, GError **error)
{
    for (guint i = 0; i < FLEET_LAWS; i++) {
        const Law *law = &fleet->laws[i];
        JsonObject *logged = logged_of(line, law);
        if (!law->on || logged == NULL)
            continue;
        JsonObject *verdict = replay_object(logged, "decided"), *changed = replay_object(logged, "changed");
        g_autofree char *now = g_strdup_printf("%016" G_GINT64_MODIFIER "x", law_check(law, fleet->count));
        if (verdict != NULL && law->class->part[LAW_VERDICT].fields == NULL)
            return replay_bad(error, "%s decides nothing for the host", law->class->name);
        if ((verdict != NULL && !compare(law, LAW_VERDICT, 0, verdict, error)) ||
            !each_place(fleet, law, logged, "changed", LAW_DECISION, compare, error))
            return FALSE;
        const char *check = replay_text(logged, "check");
        if (g_strcmp0(check, now) != 0) {
            g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_DIFFERS,
                        "what %s remembers is not the same: the log has %s, the policy says %s",
                        law->class->name, check != NULL ? check : "no check", now);
            return FALSE;
        }
        *decisions += (verdict != NULL) + (changed != NULL ? json_object_get_size(changed) : 0);
    }
    return TRUE;
}
