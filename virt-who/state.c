// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/state.h"

#include <string.h>

#include <glib/gstdio.h>

#include "lib/domain-qmp.h"
#include "lib/jsonstream.h"
#include "virt-who/ini.h"
#include "virt-who/report.h"

#define MAX_BYTES (16 << 20)
#define MAX_IDS   20000 /* of one source */

typedef struct Kept {
    char *fingerprint;
    DestinationState state;
} Kept;

struct State {
    char *path;
    GHashTable *sources;      /* name -> StateSource */
    GHashTable *destinations; /* name -> Kept */
    gboolean told;
};

static void source_free(gpointer data)
{
    StateSource *source = data;

    g_hash_table_unref(source->ids);
    g_free(source);
}

static void kept_free(gpointer data)
{
    Kept *kept = data;

    g_free(kept->fingerprint);
    destination_state_clear(&kept->state);
    g_free(kept);
}

char *state_time(gint64 seconds)
{
    g_autoptr(GDateTime) time = seconds > 0 ? g_date_time_new_from_unix_utc(seconds) : NULL;

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC") : NULL;
}

/* ---- reading ---- */

static gint64 number_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64
               ? MAX(json_node_get_int(node), 0)
               : 0;
}

static void read_source(JsonObject *all, const char *name, JsonNode *node, gpointer user_data)
{
    State *state = user_data;
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    JsonObject *ids = object != NULL ? domain_qmp_object(object, "ids") : NULL;
    StateSource *source;

    if (object == NULL) {
        return;
    }
    source = state_source(state, name);
    source->retrieved = number_member(object, "retrieved");
    source->hypervisors = (guint)number_member(object, "hypervisors");
    source->guests = (guint)number_member(object, "guests");
    if (ids != NULL) {
        JsonObjectIter iter;
        const char *key;

        json_object_iter_init(&iter, ids);
        while (json_object_iter_next(&iter, &key, NULL) && g_hash_table_size(source->ids) < MAX_IDS) {
            const char *id = domain_qmp_string(ids, key);

            if (id != NULL) {
                g_hash_table_insert(source->ids, g_strdup(key), g_strdup(id));
            }
        }
    }
}

static void read_destination(JsonObject *all, const char *name, JsonNode *node, gpointer user_data)
{
    State *state = user_data;
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    Kept *kept;

    if (object == NULL) {
        return;
    }
    kept = g_new0(Kept, 1);
    kept->fingerprint = g_strdup(domain_qmp_string(object, "server"));
    kept->state.hash = g_strdup(domain_qmp_string(object, "hash"));
    kept->state.sent = number_member(object, "sent");
    kept->state.job = g_strdup(domain_qmp_string(object, "job"));
    kept->state.last_job = g_strdup(domain_qmp_string(object, "last_job_id"));
    kept->state.job_state = g_strdup(domain_qmp_string(object, "last_job_state"));
    kept->state.hosts = (guint)number_member(object, "hypervisors");
    kept->state.guests = (guint)number_member(object, "guests");
    g_hash_table_insert(state->destinations, g_strdup(name), kept);
}

State *state_load(const char *path)
{
    State *state = g_new0(State, 1);
    gsize length;
    g_autofree char *text = ini_read_bytes(path, MAX_BYTES, &length, NULL, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = text != NULL ? json_parse_text(text, (gssize)length, &error) : NULL;

    state->path = g_strdup(path);
    state->sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, source_free);
    state->destinations = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, kept_free);
    if (error != NULL || (root != NULL && !JSON_NODE_HOLDS_OBJECT(root))) {
        g_warning("%s is broken, it is begun anew%s%s", path, error != NULL ? ": " : "",
                  error != NULL ? error->message : "");
    } else if (root != NULL) {
        JsonObject *sources = domain_qmp_object(json_node_get_object(root), "sources");
        JsonObject *destinations = domain_qmp_object(json_node_get_object(root), "destinations");

        if (sources != NULL) {
            json_object_foreach_member(sources, read_source, state);
        }
        if (destinations != NULL) {
            json_object_foreach_member(destinations, read_destination, state);
        }
    }
    return state;
}

void state_free(State *state)
{
    g_free(state->path);
    g_hash_table_unref(state->sources);
    g_hash_table_unref(state->destinations);
    g_free(state);
}

/* ---- writing ---- */

static void write_text(GString *out, const char *name, const char *text)
{
    g_string_append_printf(out, ", \"%s\": ", name);
    if (text != NULL) {
        report_write_string(text, out);
    } else {
        g_string_append(out, "null");
    }
}

static void write_source(GString *out, const StateSource *source)
{
    g_autofree char *when = state_time(source->retrieved);
    GHashTableIter iter;
    gpointer key, id;
    const char *separator = "";

    g_string_append_printf(out, "{\"hypervisors\": %u, \"guests\": %u, \"retrieved\": %" G_GINT64_FORMAT,
                           source->hypervisors, source->guests, source->retrieved);
    write_text(out, "last_successful_retrieve", when);
    g_string_append(out, ", \"ids\": {");
    g_hash_table_iter_init(&iter, source->ids);
    while (g_hash_table_iter_next(&iter, &key, &id)) {
        g_string_append(out, separator);
        report_write_string(key, out);
        g_string_append(out, ": ");
        report_write_string(id, out);
        separator = ", ";
    }
    g_string_append(out, "}}");
}

static void write_destination(GString *out, const Kept *kept)
{
    const DestinationState *state = &kept->state;
    g_autofree char *when = state_time(state->sent);

    g_string_append_printf(out, "{\"sent\": %" G_GINT64_FORMAT ", \"hypervisors\": %u, \"guests\": %u",
                           state->sent, state->hosts, state->guests);
    write_text(out, "last_successful_send", when);
    write_text(out, "last_job_id", state->last_job);
    write_text(out, "last_job_state", state->job_state);
    write_text(out, "server", kept->fingerprint);
    write_text(out, "hash", state->hash);
    write_text(out, "job", state->job);
    g_string_append_c(out, '}');
}

gboolean state_save(State *state)
{
    g_autoptr(GString) out = g_string_new("{\"sources\": {");
    g_autofree char *folder = g_path_get_dirname(state->path);
    g_autoptr(GError) error = NULL;
    GHashTableIter iter;
    gpointer name, value;
    const char *separator = "";

    g_hash_table_iter_init(&iter, state->sources);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        g_string_append(out, separator);
        report_write_string(name, out);
        g_string_append(out, ": ");
        write_source(out, value);
        separator = ", ";
    }
    g_string_append(out, "}, \"destinations\": {");
    separator = "";
    g_hash_table_iter_init(&iter, state->destinations);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        g_string_append(out, separator);
        report_write_string(name, out);
        g_string_append(out, ": ");
        write_destination(out, value);
        separator = ", ";
    }
    g_string_append(out, "}}\n");
    g_mkdir_with_parents(folder, 0700);
    if (!g_file_set_contents_full(state->path, out->str, (gssize)out->len,
                                  G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600,
                                  &error)) {
        if (!state->told) {
            g_warning("What was sent is not remembered for the next start: %s", error->message);
        }
        state->told = TRUE;
        return FALSE;
    }
    return TRUE;
}

/* ---- the parts ---- */

StateSource *state_source(State *state, const char *name)
{
    StateSource *source = g_hash_table_lookup(state->sources, name);

    if (source == NULL) {
        source = g_new0(StateSource, 1);
        source->ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_hash_table_insert(state->sources, g_strdup(name), source);
    }
    return source;
}

static DestinationState copy_kept(const DestinationState *from)
{
    return (DestinationState){.hash = g_strdup(from->hash),
                              .sent = from->sent,
                              .job = g_strdup(from->job),
                              .last_job = g_strdup(from->last_job),
                              .job_state = g_strdup(from->job_state),
                              .hosts = from->hosts,
                              .guests = from->guests};
}

DestinationState state_take_destination(const State *state, const char *name, const char *fingerprint)
{
    const Kept *kept = g_hash_table_lookup(state->destinations, name);

    return kept != NULL && g_strcmp0(kept->fingerprint, fingerprint) == 0 ? copy_kept(&kept->state)
                                                                          : (DestinationState){0};
}

gint64 state_last_sent(const State *state, const char *name, const char **job, const char **job_state)
{
    const Kept *kept = g_hash_table_lookup(state->destinations, name);

    *job = kept != NULL ? kept->state.last_job : NULL;
    *job_state = kept != NULL ? kept->state.job_state : NULL;
    return kept != NULL ? kept->state.sent : 0;
}

void state_set_destination(State *state, const char *name, const char *fingerprint,
                           const DestinationState *destination)
{
    Kept *kept = g_new0(Kept, 1);

    kept->fingerprint = g_strdup(fingerprint);
    kept->state = copy_kept(destination);
    g_hash_table_insert(state->destinations, g_strdup(name), kept);
}
