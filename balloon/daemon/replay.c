// SPDX-License-Identifier: GPL-2.0-or-later
/* Computes the decisions of an audit log again. */
#include "balloon/daemon/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balloon/daemon/audit-private.h"
#include "lib/jsonstream.h"

typedef struct Replay {
    Fleet fleet;
    gboolean started;
    gint64 *told; /* when each place's statistics were told; -1: never */
    guint room;
    AuditReplayFunc func;
    gpointer data;
    AuditReplay result;
} Replay;

gboolean replay_bad(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, AUDIT_ERROR, AUDIT_ERROR_FORMAT, text);
    return FALSE;
}

/* ---- members ---- */

static JsonNode *member(JsonObject *object, const char *name, JsonNodeType type)
{
    JsonNode *node = json_object_get_member(object, name);
    return node != NULL && json_node_get_node_type(node) == type ? node : NULL;
}

JsonObject *replay_object(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name, JSON_NODE_OBJECT);
    return node != NULL ? json_node_get_object(node) : NULL;
}

const char *replay_text(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                           : NULL;
}

gboolean replay_number(JsonNode *node, gint64 *value)
{
    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    *value = json_node_get_int(node);
    return TRUE;
}

static gboolean number_in(JsonObject *object, const char *name, gint64 *value)
{
    return replay_number(json_object_get_member(object, name), value);
}

gboolean replay_state(JsonObject *from, gpointer record, gsize size)
{
    const char *text = replay_text(from, "state");
    gsize length = 0;
    g_autofree guchar *bytes = text != NULL ? g_base64_decode(text, &length) : NULL;
    if (bytes == NULL || length != size)
        return FALSE;
    memcpy(record, bytes, size);
    return TRUE;
}

/* ---- places ---- */

static gboolean come(Replay *replay, gint64 place, const char *key, const char *name)
{
    if (place < 0 || place >= FLEET_MAX || key == NULL || name == NULL ||
        !fleet_add_at(&replay->fleet, (guint)place, key, name))
        return FALSE;
    if (replay->room < replay->fleet.room) {
        replay->told = g_renew(gint64, replay->told, replay->fleet.room);
        replay->room = replay->fleet.room;
    }
    replay->told[place] = -1;
    memset(&replay->fleet.guests[place], 0, sizeof(PolicyGuest));
    return TRUE;
}

static gboolean is_taken(const Replay *replay, gint64 place)
{
    return place >= 0 && place < replay->fleet.count && replay->fleet.places[place].key != NULL;
}

JsonArray *replay_array(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name, JSON_NODE_ARRAY);
    return node != NULL ? json_node_get_array(node) : NULL;
}

static gboolean take_places(Replay *replay, JsonObject *line, const char *name,
                            void (*func)(Fleet *fleet, guint place))
{
    JsonArray *places = replay_array(line, name);
    for (guint i = 0; places != NULL && i < json_array_get_length(places); i++) {
        gint64 place;
        if (!replay_number(json_array_get_element(places, i), &place) || place < 0 ||
            place >= replay->fleet.count)
            return FALSE;
        func(&replay->fleet, (guint)place);
    }
    return TRUE;
}

static gboolean take_come(Replay *replay, JsonObject *line)
{
    JsonArray *rows = replay_array(line, "come");
    for (guint i = 0; rows != NULL && i < json_array_get_length(rows); i++) {
        JsonNode *node = json_array_get_element(rows, i);
        JsonArray *row = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
        gint64 place;
        if (row == NULL || json_array_get_length(row) != 3 ||
            !replay_number(json_array_get_element(row, 0), &place))
            return FALSE;
        JsonNode *key = json_array_get_element(row, 1), *name = json_array_get_element(row, 2);
        if (!JSON_NODE_HOLDS_VALUE(key) || !JSON_NODE_HOLDS_VALUE(name) ||
            !come(replay, place, json_node_get_string(key), json_node_get_string(name)))
            return FALSE;
    }
    return TRUE;
}

static gboolean take_seen(Replay *replay, JsonObject *seen)
{
    g_autoptr(GList) names = json_object_get_members(seen);
    for (GList *name = names; name != NULL; name = name->next) {
        JsonObject *fields = replay_object(seen, name->data);
        guint64 place;
        gint64 told;
        if (fields == NULL || !g_ascii_string_to_unsigned(name->data, 10, 0, FLEET_MAX, &place, NULL) ||
            !is_taken(replay, (gint64)place))
            return FALSE;
        record_read(AUDIT_GUEST, fields, &replay->fleet.guests[place]);
        if (number_in(fields, "told", &told))
            replay->told[place] = told;
    }
    return TRUE;
}

/* ---- lines ---- */

static gboolean take_config(Replay *replay, JsonObject *line, gboolean start, GError **error)
{
    JsonObject *config = replay_object(line, "config");
    JsonNode *dry_run = json_object_get_member(line, "dry_run");
    if (config == NULL || dry_run == NULL || !JSON_NODE_HOLDS_VALUE(dry_run))
        return replay_bad(error, "there is no configuration in it");
    record_read(AUDIT_CONFIG, config, &replay->fleet.config);
    replay->fleet.dry_run = json_node_get_boolean(dry_run);
    return replay_laws_config(&replay->fleet, line, start, error);
}

static gboolean take_start(Replay *replay, JsonObject *line, GError **error)
{
    PolicyConfig config;
    g_autofree char *layout = audit_layout();
    const char *written = replay_text(line, "layout");
    JsonArray *guests = replay_array(line, "guests");
    if (written == NULL || strcmp(written, layout) != 0)
        return replay_bad(error, "it was written by another version: %s, this one is %s",
                          written != NULL ? written : "unknown", layout);
    policy_config_init(&config);
    if (replay->started)
        fleet_clear(&replay->fleet);
    fleet_init(&replay->fleet, &config);
    replay->started = TRUE;
    if (!replay_state(line, &replay->fleet.state, sizeof replay->fleet.state) || guests == NULL)
        return replay_bad(error, "the policy's state is not whole");
    for (guint i = 0; i < json_array_get_length(guests); i++) {
        JsonNode *node = json_array_get_element(guests, i);
        JsonObject *guest = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        gint64 place;
        if (guest == NULL || !number_in(guest, "place", &place) ||
            !come(replay, place, replay_text(guest, "key"), replay_text(guest, "name")) ||
            !replay_state(guest, &replay->fleet.states[place], sizeof(PolicyGuestState)))
            return replay_bad(error, "guest %u of it is not whole", i);
    }
    return take_config(replay, line, TRUE, error);
}

static gboolean differs(GError **error, const Fleet *fleet, guint place, const char *what, gint64 logged,
                        gint64 now)
{
    g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_DIFFERS,
                "%s: the log has %s %" G_GINT64_FORMAT ", the policy says %" G_GINT64_FORMAT,
                fleet->places[place].name, what, logged, now);
    return FALSE;
}

static gboolean compare(Replay *replay, JsonObject *line, GError **error)
{
    const Fleet *fleet = &replay->fleet;
    JsonObject *changed = replay_object(line, "changed");
    const char *check = replay_text(line, "check");
    g_autofree char *now = g_strdup_printf("%016" G_GINT64_MODIFIER "x", fleet_check(fleet));
    for (guint i = 0; i < fleet->count; i++) {
        const PolicyDecision *decision = &fleet->decisions[i];
        char number[16];
        g_snprintf(number, sizeof number, "%u", i);
        JsonObject *logged = changed != NULL ? replay_object(changed, number) : NULL;
        if (!is_taken(replay, i))
            continue;
        if ((logged != NULL) != (decision->changed != FALSE))
            return differs(error, fleet, i, "changes", logged != NULL, decision->changed != FALSE);
        gint64 there = 0, here = 0;
        const RecordField *field =
            logged != NULL ? record_compare(AUDIT_DECISION, logged, decision, &there, &here) : NULL;
        if (field != NULL)
            return differs(error, fleet, i, field->name, there, here);
        const char *reason = logged != NULL ? replay_text(logged, "reason") : NULL;
        if (logged != NULL && g_strcmp0(reason, policy_reason_name(decision->reason)) != 0) {
            g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_DIFFERS, "%s: the log has %s, the policy says %s",
                        fleet->places[i].name, reason != NULL ? reason : "no reason",
                        policy_reason_name(decision->reason));
            return FALSE;
        }
        replay->result.decisions += logged != NULL;
    }
    if (check == NULL || strcmp(check, now) != 0) {
        g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_DIFFERS,
                    "what the policy remembers is not the same: the log has %s, the policy says %s",
                    check != NULL ? check : "no check", now);
        return FALSE;
    }
    return TRUE;
}

static gboolean take_tick(Replay *replay, JsonObject *line, GError **error)
{
    JsonObject *host = replay_object(line, "host"), *seen = replay_object(line, "seen");
    gint64 now;
    if (host == NULL || seen == NULL || !number_in(line, "t", &now) || now < replay->fleet.state.now)
        return replay_bad(error, "the tick is not whole");
    record_read(AUDIT_HOST, host, &replay->fleet.host);
    if (!take_places(replay, line, "gone", fleet_remove) || !take_come(replay, line) ||
        !take_places(replay, line, "forgotten", fleet_forget) || !take_seen(replay, seen))
        return replay_bad(error, "it names a guest that is not there");
    for (guint i = 0; i < replay->fleet.count; i++)
        if (is_taken(replay, i))
            replay->fleet.guests[i].stats_age = replay->told[i] < 0 ? POLICY_UNKNOWN : now - replay->told[i];
    if (!replay_laws_see(&replay->fleet, line, error))
        return FALSE;
    fleet_plan(&replay->fleet, now);
    replay->result.ticks++;
    if (!compare(replay, line, error) ||
        !replay_laws_compare(&replay->fleet, line, &replay->result.decisions, error))
        return FALSE;
    if (replay->func != NULL)
        replay->func(&replay->fleet, now, replay->data);
    return TRUE;
}

static gboolean take_line(Replay *replay, const char *text, gssize length, GError **error)
{
    g_autoptr(JsonNode) node = json_parse_text(text, length, error);
    if (node == NULL)
        return FALSE;
    JsonObject *line = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    const char *kind = line != NULL ? replay_text(line, "kind") : NULL;
    if (g_strcmp0(kind, "start") == 0)
        return take_start(replay, line, error);
    if (!replay->started)
        return replay_bad(error, "the log does not begin with a start line");
    if (g_strcmp0(kind, "tick") == 0)
        return take_tick(replay, line, error);
    return g_strcmp0(kind, "config") == 0 ? take_config(replay, line, FALSE, error)
                                          : replay_bad(error, "this is no line of an audit log");
}

gboolean audit_replay(const char *path, AuditReplayFunc func, gpointer user_data, AuditReplay *result,
                      GError **error)
{
    Replay replay = {.func = func, .data = user_data};
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    gboolean good = file != NULL;
    guint number = 0;
    if (file == NULL)
        g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_FILE, "%s: %s", path, g_strerror(errno));
    while (good) {
        ssize_t length = getline(&text, &room, file);
        if (length <= 0 || text[length - 1] != '\n') /* the end, or the daemon was killed while it wrote */
            break;
        number++;
        good = take_line(&replay, text, length, error);
    }
    if (good && !replay.started) {
        g_set_error(error, AUDIT_ERROR, AUDIT_ERROR_FORMAT, "%s: this is no audit log", path);
        good = FALSE;
    } else if (!good && number > 0) {
        g_prefix_error(error, "%s:%u: ", path, number);
    }
    if (replay.started)
        fleet_clear(&replay.fleet);
    *result = replay.result;
    g_free(replay.told);
    free(text);
    if (file != NULL)
        fclose(file);
    return good;
}
