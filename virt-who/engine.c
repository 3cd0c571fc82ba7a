// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/engine.h"

#include <string.h>

#include "virt-who/http.h"
#include "virt-who/server.h"

#define COLLECT_MS    2000  /* events of a source */
#define GATHER_MS     60000 /* for an answer of a source */
#define MAX_FAILED_MS 60000 /* longest pause before a source that failed is asked again */

static void gather(EngineItem *item);

/* ---- the end of a run that ends ---- */

static gboolean on_done(gpointer user_data)
{
    Engine *engine = user_data;

    engine->done_timer = 0;
    engine->funcs.done(engine, engine->user_data);
    return G_SOURCE_REMOVE;
}

static void check_done(Engine *engine)
{
    if (engine->done || !(engine->options.oneshot || engine->options.gather_only || engine->options.probe)) {
        return;
    }
    for (guint i = 0; i < engine->items->len; i++) {
        if (!((const EngineItem *)engine->items->pdata[i])->known) {
            return;
        }
    }
    for (guint i = 0; i < engine->targets->len; i++) {
        if (!((const EngineTarget *)engine->targets->pdata[i])->idle) {
            return;
        }
    }
    engine->done = TRUE;
    engine->done_timer = engine->clock->add(engine->clock, 0, on_done, engine); /* not from within a source */
}

gboolean engine_is_good(const Engine *engine)
{
    for (guint i = 0; i < engine->items->len; i++) {
        const EngineItem *item = engine->items->pdata[i];

        if (item->problem != NULL || (item->target == NULL && !engine->options.gather_only)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < engine->targets->len; i++) {
        if (!((const EngineTarget *)engine->targets->pdata[i])->ok) {
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- what a destination is told ---- */

/* The last good reports of its sections. */
static GPtrArray *reports_of(const EngineTarget *target)
{
    GPtrArray *reports = g_ptr_array_new();

    for (guint i = 0; i < target->items->len; i++) {
        const EngineItem *item = target->items->pdata[i];

        if (item->report != NULL) {
            g_ptr_array_add(reports, item->report);
        }
    }
    return reports;
}

static void tell_doubles(EngineTarget *target, GPtrArray *doubles)
{
    for (guint i = 0; i < doubles->len; i++) {
        if (g_hash_table_add(target->doubles, g_strdup(doubles->pdata[i]))) {
            g_warning(
                "The hypervisor id '%s' is assigned to 2 different systems. Only one will be recorded at the "
                "server.",
                (char *)doubles->pdata[i]);
        }
    }
}

static void write_body(EngineTarget *target, DestinationBody how, GString *out, guint *hosts, guint *guests)
{
    g_autoptr(GPtrArray) reports = reports_of(target);
    Report *const *list = (Report *const *)reports->pdata;

    if (target->kind == DESTINATION_LIST) {
        g_autoptr(Report) all = report_join(list, reports->len);

        *hosts = all->hosts->len;
        *guests = report_count_guests(all->hosts);
        if (all->hosts->len > 0) {
            report_write_list(all->hosts->pdata[0], TRUE, how == DESTINATION_BODY_PLAIN, out);
        }
    } else {
        g_autoptr(GPtrArray) doubles = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) owned = NULL;
        g_autoptr(GPtrArray) merged = report_merge(list, reports->len, &owned, doubles);

        tell_doubles(target, doubles);
        *hosts = merged->len;
        *guests = report_count_guests(merged);
        if (how == DESTINATION_BODY_MAP) {
            report_write_map(merged, out);
        } else {
            report_write_hosts(merged, TRUE, out);
        }
    }
}

static void offer(EngineTarget *target)
{
    g_autoptr(GString) body = g_string_new(NULL);
    g_autofree char *hash = NULL;
    guint hosts, guests;
    gboolean force = target->force;

    write_body(target, DESTINATION_BODY_USUAL, body, &hosts, &guests);
    target->idle = FALSE;
    if (hosts == 0) {
        destination_forget(target->destination);
        return;
    }
    target->force = FALSE;
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body->str, (gssize)body->len);
    destination_offer(target->destination, hash, hosts, guests, force);
}

/* The first report waits for all sources, for an interval at most. */
static gboolean can_offer(const EngineTarget *target)
{
    gboolean all = TRUE, any = FALSE;

    for (guint i = 0; i < target->items->len; i++) {
        const EngineItem *item = target->items->pdata[i];

        all = all && item->known;
        any = any || item->report != NULL;
    }
    return any && (all || target->engine->clock->wall(target->engine->clock) >=
                              target->engine->started + target->engine->set->settings.interval);
}

static void on_write(Destination *destination, DestinationBody how, GString *out, gpointer user_data)
{
    guint hosts, guests;

    write_body(user_data, how, out, &hosts, &guests);
}

static void on_changed(Destination *destination, gpointer user_data)
{
    EngineTarget *target = user_data;
    Engine *engine = target->engine;

    if (!engine->options.probe) {
        state_set_destination(engine->state, target->name, target->fingerprint,
                              destination_state(destination));
        state_save(engine->state);
    }
    engine->funcs.changed(engine, engine->user_data);
}

static void on_idle(Destination *destination, gboolean ok, gpointer user_data)
{
    EngineTarget *target = user_data;

    target->idle = TRUE;
    target->ok = ok;
    check_done(target->engine);
}

/* What was sent before this start is sent once more when its interval is over. */
static gboolean on_resend(gpointer user_data)
{
    EngineTarget *target = user_data;

    target->resend_timer = 0;
    target->force = TRUE;
    if (can_offer(target)) {
        offer(target);
    }
    return G_SOURCE_REMOVE;
}

/* ---- gathering ---- */

static gboolean on_item_timer(gpointer user_data)
{
    EngineItem *item = user_data;

    item->timer = 0;
    gather(item);
    return G_SOURCE_REMOVE;
}

static void gather_in(EngineItem *item, guint64 delay_ms)
{
    Clock *clock = item->engine->clock;

    if (item->timer == 0) {
        item->timer = clock->add(clock, delay_ms, on_item_timer, item);
    }
}

static void gather(EngineItem *item)
{
    if (item->gathering) {
        item->again = TRUE;
        return;
    }
    item->gathering = TRUE;
    source_gather(item->source, GATHER_MS);
}

static void tell_new_ids(EngineItem *item, StateSource *kept)
{
    for (guint i = 0; i < item->report->hosts->len; i++) {
        const ReportHost *host = item->report->hosts->pdata[i];
        const char *key = host->machine != NULL ? host->machine : host->name;
        const char *before = key != NULL ? g_hash_table_lookup(kept->ids, key) : NULL;

        if (key == NULL || host->id == NULL || g_strcmp0(before, host->id) == 0) {
            continue;
        }
        if (before != NULL) {
            g_warning("Config \"%s\": the host %s was reported as '%s' and is reported as '%s' from now on; "
                      "the server "
                      "may keep both",
                      item->config->name, host->name != NULL ? host->name : key, before, host->id);
        }
        g_hash_table_insert(kept->ids, g_strdup(key), g_strdup(host->id));
    }
}

static void take_report(EngineItem *item, Report *report)
{
    Engine *engine = item->engine;
    StateSource *kept = state_source(engine->state, item->config->name);
    guint guests = report_count_guests(report->hosts);

    if (item->problem != NULL) {
        g_message("Config \"%s\": %s answers again", item->config->name, source_label(item->source));
    }
    g_clear_pointer(&item->problem, g_free);
    item->failures = 0;
    g_clear_pointer(&item->report, report_unref);
    item->report = report_ref(report);
    kept->retrieved = engine->clock->wall(engine->clock);
    kept->hypervisors = report->is_list ? 0 : report->hosts->len;
    kept->guests = guests;
    engine->gathered++;
    g_info("Report for config \"%s\" gathered, placing in datastore", item->config->name);
    if (!report->is_list) {
        g_info("Hosts-to-guests mapping for config \"%s\": %u hypervisors and %u guests found",
               item->config->name, report->hosts->len, guests);
        if (!engine->options.gather_only && !engine->options.probe) {
            tell_new_ids(item, kept);
        }
    }
}

static void take_failure(EngineItem *item, const GError *error)
{
    Engine *engine = item->engine;

    if (g_strcmp0(item->problem, error->message) != 0) {
        g_warning("Config \"%s\": %s: %s", item->config->name, source_label(item->source), error->message);
        g_free(item->problem);
        item->problem = g_strdup(error->message);
    }
    item->failures++;
    if (!engine->options.oneshot && !engine->options.gather_only && !engine->options.probe) {
        gather_in(item, MIN(1000u << MIN(item->failures, 10), MAX_FAILED_MS));
    }
}

static void on_gathered(Source *source, Report *report, const GError *error, gpointer user_data)
{
    EngineItem *item = user_data;
    Engine *engine = item->engine;

    item->gathering = FALSE;
    item->known = TRUE;
    if (report != NULL) {
        take_report(item, report);
    } else {
        take_failure(item, error);
    }
    engine->funcs.changed(engine, engine->user_data);
    if (item->again) {
        item->again = FALSE;
        gather_in(item, COLLECT_MS);
    }
    if (item->target != NULL && !engine->options.probe) {
        if (can_offer(item->target)) {
            offer(item->target);
        } else {
            gboolean waits = FALSE;

            for (guint i = 0; i < item->target->items->len; i++) {
                waits = waits || !((const EngineItem *)item->target->items->pdata[i])->known;
            }
            item->target->idle = !waits;
        }
    }
    check_done(engine);
}

static void on_source_changed(Source *source, gpointer user_data)
{
    EngineItem *item = user_data;

    if (item->known && !item->engine->done) {
        gather_in(item, COLLECT_MS);
    }
}

static gboolean on_interval(gpointer user_data)
{
    Engine *engine = user_data;

    engine->timer = engine->clock->add(engine->clock, (guint64)engine->set->settings.interval * 1000,
                                       on_interval, engine);
    for (guint i = 0; i < engine->items->len; i++) {
        gather(engine->items->pdata[i]);
    }
    for (guint i = 0; i < engine->targets->len; i++) {
        destination_beat(((EngineTarget *)engine->targets->pdata[i])->destination);
    }
    return G_SOURCE_REMOVE;
}

/* ---- setting up ---- */

static void target_free(gpointer data)
{
    EngineTarget *target = data;

    if (target->resend_timer != 0) {
        target->engine->clock->remove(target->engine->clock, target->resend_timer);
    }
    if (target->destination != NULL) {
        destination_free(target->destination);
    }
    g_ptr_array_unref(target->items);
    g_hash_table_unref(target->doubles);
    g_free(target->name);
    g_free(target->fingerprint);
    g_free(target->label);
    g_free(target);
}

static void item_free(gpointer data)
{
    EngineItem *item = data;

    if (item->timer != 0) {
        item->engine->clock->remove(item->engine->clock, item->timer);
    }
    if (item->source != NULL) {
        source_free(item->source);
    }
    g_clear_pointer(&item->report, report_unref);
    g_free(item->problem);
    g_free(item);
}

static EngineTarget *find_target(Engine *engine, DestinationKind kind, const char *owner,
                                 const char *fingerprint)
{
    for (guint i = 0; i < engine->targets->len; i++) {
        EngineTarget *target = engine->targets->pdata[i];

        if (target->kind == kind && g_strcmp0(target->owner, owner) == 0 &&
            strcmp(target->fingerprint, fingerprint) == 0) {
            return target;
        }
    }
    return NULL;
}

static void add_to_target(EngineItem *item)
{
    Engine *engine = item->engine;
    const Conf *config = item->config;
    g_autoptr(Server) server = server_new(config, engine->set->rhsm,
                                          (const char *const *)engine->set->environment, engine->paths->root);
    g_autofree char *server_key = server_fingerprint(server);
    DestinationKind kind = config->is_hypervisor ? DESTINATION_HOSTS : DESTINATION_LIST;
    g_autofree char *fingerprint =
        g_strdup_printf("%s %s", server_key, kind == DESTINATION_HOSTS ? config->owner : "");
    EngineTarget *target;
    char *names;

    if (config->is_hypervisor && config->owner == NULL) {
        g_warning("Config \"%s\": without \"owner\" its hosts can be printed, but not sent", config->name);
        return;
    }
    target = find_target(engine, kind, config->owner, fingerprint);
    if (target == NULL) {
        target = g_new0(EngineTarget, 1);
        target->engine = engine;
        target->kind = kind;
        target->fingerprint = g_steal_pointer(&fingerprint);
        target->owner = config->owner;
        target->label = server_url(server);
        target->items = g_ptr_array_new();
        target->doubles = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        target->force = engine->options.force;
        if (server->insecure) {
            g_warning("Config \"%s\": the certificate of %s is NOT verified (insecure): anybody in between "
                      "can read "
                      "and change what is sent",
                      config->name, target->label);
        }
        g_ptr_array_add(engine->targets, target);
    }
    names =
        target->name != NULL ? g_strconcat(target->name, ", ", config->name, NULL) : g_strdup(config->name);
    g_free(target->name);
    target->name = names;
    g_ptr_array_add(target->items, item);
    item->target = target;
}

static void open_target(EngineTarget *target)
{
    Engine *engine = target->engine;
    const EngineItem *item = target->items->pdata[0];
    const DestinationFuncs funcs = {on_write, on_changed, on_idle};
    DestinationState kept = state_take_destination(engine->state, target->name, target->fingerprint);
    DestinationOptions options = {target->kind,
                                  target->name,
                                  target->owner,
                                  engine->set->settings.reporter_id,
                                  engine->set->settings.interval,
                                  engine->options.oneshot};
    gint64 interval = engine->set->settings.interval;
    gint64 age = engine->started - kept.sent;

    if (engine->options.oneshot || kept.hash == NULL || age < 0 || age >= interval) {
        target->force = TRUE;
    } else if (!target->force && !engine->options.probe) {
        target->resend_timer =
            engine->clock->add(engine->clock, (guint64)(interval - age) * 1000, on_resend, target);
    }
    target->destination = destination_new(
        &options,
        http_transport_new(server_new(item->config, engine->set->rhsm,
                                      (const char *const *)engine->set->environment, engine->paths->root)),
        engine->clock, &kept, &funcs, target);
}

Engine *engine_new(const ConfSet *set, const Paths *paths, State *state, const EngineOptions *options,
                   const EngineFuncs *funcs, gpointer user_data)
{
    const SourceFuncs source_funcs = {on_source_changed, on_gathered};
    Engine *engine = g_new0(Engine, 1);

    engine->set = set;
    engine->paths = paths;
    engine->state = state;
    engine->clock = clock_real();
    engine->options = *options;
    engine->funcs = *funcs;
    engine->user_data = user_data;
    engine->started = engine->clock->wall(engine->clock);
    engine->items = g_ptr_array_new_with_free_func(item_free);
    engine->targets = g_ptr_array_new_with_free_func(target_free);
    for (guint i = 0; i < set->configs->len; i++) {
        g_autoptr(GError) error = NULL;
        EngineItem *item = g_new0(EngineItem, 1);

        item->engine = engine;
        item->config = set->configs->pdata[i];
        g_info("Using configuration \"%s\" (\"%s\" mode)", item->config->name,
               conf_type_name(item->config->type));
        item->source = source_new(item->config, &source_funcs, item, &error);
        g_ptr_array_add(engine->items, item);
        if (item->source == NULL) {
            g_warning("Config \"%s\": %s", item->config->name, error->message);
            item->problem = g_strdup(error->message);
            item->known = TRUE;
        }
        if (!options->gather_only) {
            add_to_target(item);
        }
    }
    for (guint i = 0; i < engine->targets->len; i++) {
        open_target(engine->targets->pdata[i]);
    }
    return engine;
}

void engine_start(Engine *engine)
{
    gboolean daemon = !engine->options.oneshot && !engine->options.gather_only && !engine->options.probe;

    for (guint i = 0; i < engine->targets->len; i++) {
        EngineTarget *target = engine->targets->pdata[i];

        if (engine->options.probe) {
            destination_probe(target->destination);
        } else {
            destination_beat(target->destination);
        }
    }
    for (guint i = 0; i < engine->items->len; i++) {
        EngineItem *item = engine->items->pdata[i];

        if (item->source != NULL) {
            gather(item);
        }
    }
    if (daemon) {
        engine->timer = engine->clock->add(engine->clock, (guint64)engine->set->settings.interval * 1000,
                                           on_interval, engine);
    }
    check_done(engine);
}

void engine_free(Engine *engine)
{
    if (engine->timer != 0) {
        engine->clock->remove(engine->clock, engine->timer);
    }
    if (engine->done_timer != 0) {
        engine->clock->remove(engine->clock, engine->done_timer);
    }
    g_ptr_array_unref(engine->items);
    g_ptr_array_unref(engine->targets);
    g_free(engine);
}
