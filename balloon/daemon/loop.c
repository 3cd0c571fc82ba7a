// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/loop.h"

#include <string.h>

#include "balloon/daemon/fake.h"
#include "balloon/daemon/observe.h"
#include "balloon/daemon/report.h"

#define KIB_PER_MIB 1024
#define REFRESH_MS  800              /* for an answer of a source: less than a tick */
#define ACT_MS      5000             /* for a change */
#define URGENT_MS   200              /* the least between two ticks when the kernel tells of pressure */
#define FORGET_MS   (10 * 60 * 1000) /* guests whose source is silent for so long are forgotten */
/* The laws take a moment of 0 for never: on a machine that has just been started that must be long ago. */
#define NEVER_MS       ((gint64)24 * 60 * 60 * 1000)
#define SETTLE_PERIODS 2 /* of statistics */

/* ---- feeds ---- */

static DomainSource *open_source(const Connect *connect, gboolean dry_run, GError **error)
{
    switch (connect->type) {
    case CONNECT_LIBVIRT:
        return domain_source_new_libvirt(connect->uri,
                                         dry_run ? DOMAIN_SOURCE_DEFAULT : DOMAIN_SOURCE_WRITABLE, error);
    case CONNECT_FAKE:
        return fake_source_new(connect->guests, connect->demand, connect->memory >> 20, error);
    default:
        return domain_source_new_monitor(connect->folder);
    }
}

static void feed_free(Feed *feed)
{
    g_clear_pointer(&feed->source, domain_source_free);
    g_clear_pointer(&feed->snapshot, domain_snapshot_unref);
    g_clear_pointer(&feed->why, g_free);
    feed->connect = NULL;
    if (!feed->asked)
        g_free(feed);
}

static GPtrArray *open_feeds(Loop *loop, const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) feeds = g_ptr_array_new_with_free_func((GDestroyNotify)feed_free);
    for (guint i = 0; i < settings->connects->len; i++) {
        Feed *feed = g_new0(Feed, 1);
        feed->loop = loop;
        feed->connect = settings->connects->pdata[i];
        g_ptr_array_add(feeds, feed);
        feed->source = open_source(feed->connect, loop->dry_run, error);
        if (feed->source == NULL) {
            g_prefix_error(error, "[connect %s]: ", feed->connect->name);
            return NULL;
        }
    }
    return g_steal_pointer(&feeds);
}

static void set_feeds(Loop *loop, GPtrArray *feeds)
{
    const Feed *first = feeds->pdata[0];
    g_clear_pointer(&loop->feeds, g_ptr_array_unref);
    loop->feeds = feeds;
    loop->fake = first->connect->type == CONNECT_FAKE ? first->source : NULL;
    for (guint i = 0; i < loop->fleet.count; i++)
        loop->fleet.places[i].source = NULL;
}

/* ---- guests ---- */

const char *loop_why_not(const Loop *loop, guint place)
{
    const FleetGuest *guest = &loop->fleet.places[place];
    if (guest->unmanaged)
        return "the configuration says so";
    if (loop->paused || guest->paused)
        return "paused";
    if (!guest->runs)
        return "it does not run, or its monitor does not answer";
    if (loop->now < loop->settle_until)
        return "the daemon has just started";
    return NULL;
}

static void apply_terms(const Loop *loop, guint place)
{
    FleetGuest *guest = &loop->fleet.places[place];
    PolicyGuest *seen = &loop->fleet.guests[place];
    Terms terms = settings_terms(loop->settings, guest->name, guest->whole);
    g_free(guest->class);
    guest->class = g_strdup(terms.class);
    guest->unmanaged = !terms.manage;
    guest->no_ksm = !terms.ksm;
    guest->no_numa = !terms.numa;
    guest->vcpu_min = terms.vcpu_min;
    guest->vcpu_max = terms.vcpu_max;
    seen->max = terms.max;
    seen->min = terms.min;
    seen->shares = terms.shares;
}

static void take_memory(const Loop *loop, guint place, const Domain *domain)
{
    FleetGuest *guest = &loop->fleet.places[place];
    PolicyGuest *seen = &loop->fleet.guests[place];
    const DomainMemory *memory = &domain->memory;
    gint64 whole = memory->maximum == DOMAIN_UNKNOWN ? 0 : (gint64)(memory->maximum / KIB_PER_MIB);
    guest->lives = domain->state == DOMAIN_STATE_RUNNING || domain->state == DOMAIN_STATE_BLOCKED;
    guest->runs = guest->lives && domain->answers && whole > 0 && memory->current != DOMAIN_UNKNOWN;
    if (guest->runs) {
        if (whole != guest->whole) {
            guest->whole = whole;
            apply_terms(loop, place);
        }
        observe_memory(guest, seen, domain, loop->now, loop->fake != NULL ? 0 : g_get_real_time() / 1000);
    }
    seen->flags = loop_why_not(loop, place) == NULL ? POLICY_GUEST_RUNS | POLICY_GUEST_BALLOON : 0;
}

static void on_period(GObject *object, GAsyncResult *result, gpointer user_data)
{
    Loop *loop = user_data;
    g_autoptr(GError) error = NULL;
    loop->acting--;
    if (!domain_source_act_finish(result, &error))
        g_info("A guest does not tell its statistics regularly: %s", error->message);
}

static void ask_for_statistics(Loop *loop, FleetGuest *guest)
{
    const Feed *feed = guest->source;
    if (guest->has_period || loop->dry_run)
        return;
    guest->has_period = TRUE;
    loop->acting++;
    domain_source_act_async(feed->source, guest->uuid, DOMAIN_ACTION_SET_STATS_PERIOD,
                            (guint64)loop->settings->stats_ms / 1000, ACT_MS, NULL, on_period, loop);
}

static void take_domain(Loop *loop, Feed *feed, const Domain *domain)
{
    g_autofree char *key = g_strdup_printf("%s/%s", feed->connect->name, domain->uuid);
    gint place = fleet_find(&loop->fleet, key);
    if (domain->id < 0 || domain->state == DOMAIN_STATE_SHUTOFF)
        return; /* a definition, no guest: if it was one, it is gone */
    if (place < 0) {
        place = fleet_add(&loop->fleet, key, domain->name);
        if (place < 0)
            return;
        loop->fleet.places[place].uuid = g_strdup(domain->uuid);
        if (loop->audit != NULL)
            audit_note_come(loop->audit, &loop->fleet, (guint)place);
    }
    FleetGuest *guest = &loop->fleet.places[place];
    if (guest->id != domain->id && guest->id != 0) { /* started anew: what it told is of another life */
        fleet_forget(&loop->fleet, (guint)place);
        if (loop->audit != NULL)
            audit_note_forgotten(loop->audit, (guint)place);
        guest->has_period = FALSE;
        observe_forget(guest);
        guest->pid = 0;
        processes_forget(loop->processes, domain->uuid);
    }
    guest->id = domain->id;
    if (domain->pid > 0)
        guest->pid = domain->pid;
    else if (guest->pid == 0 && loop->fake == NULL)
        guest->pid = processes_find(loop->processes, domain->uuid, loop->now);
    guest->source = feed;
    guest->seen_at = loop->now;
    take_memory(loop, (guint)place, domain);
    vcpus_take(loop->vcpus, (guint)place, domain);
    if (guest->runs)
        ask_for_statistics(loop, guest);
}

/* Those that their source does not name any more are gone; those of a source that does not answer wait. */
static void sort_out_missing(Loop *loop)
{
    for (guint i = 0; i < loop->fleet.count; i++) {
        FleetGuest *guest = &loop->fleet.places[i];
        const Feed *feed = guest->source;
        if (guest->key == NULL || guest->seen_at == loop->now)
            continue;
        if (feed != NULL && feed->failing && loop->now - guest->seen_at < FORGET_MS) {
            guest->runs = guest->lives = FALSE;
            loop->fleet.guests[i].flags = 0;
            continue;
        }
        g_info("%s has gone", guest->name);
        processes_forget(loop->processes, guest->uuid);
        numa_forget(loop->numa, i);
        fleet_remove(&loop->fleet, i);
        if (loop->audit != NULL)
            audit_note_gone(loop->audit, i);
    }
}

/* ---- what was decided ---- */

typedef struct Change {
    Loop *loop;
    char *key;
    gint64 target;
} Change;

static void on_changed(GObject *object, GAsyncResult *result, gpointer user_data)
{
    Change *change = user_data;
    g_autoptr(GError) error = NULL;
    gint place = fleet_find(&change->loop->fleet, change->key);
    change->loop->acting--;
    if (!domain_source_act_finish(result, &error)) {
        change->loop->refused++;
        if (place >= 0) {
            FleetGuest *guest = &change->loop->fleet.places[place];
            if (guest->refused++ == 0)
                g_warning("%s: %" G_GINT64_FORMAT " MiB: %s", guest->name, change->target, error->message);
        }
    }
    g_free(change->key);
    g_free(change);
}

static void carry_out(Loop *loop)
{
    for (guint i = 0; i < loop->fleet.count; i++) {
        FleetGuest *guest = &loop->fleet.places[i];
        const PolicyDecision *decision = &loop->fleet.decisions[i];
        const Feed *feed = guest->source;
        if (guest->key == NULL || !decision->changed || feed == NULL)
            continue;
        guest->reason = decision->reason;
        guest->changed_at = loop->now;
        guest->was = loop->fleet.guests[i].actual;
        guest->now = decision->target;
        guest->changes++;
        loop->changes++;
        g_info("%s: %" G_GINT64_FORMAT " -> %" G_GINT64_FORMAT " MiB (%s)%s", guest->name, guest->was,
               guest->now, policy_reason_name(decision->reason), loop->dry_run ? ", not done" : "");
        if (loop->dry_run)
            continue;
        Change *change = g_new0(Change, 1);
        *change = (Change){loop, g_strdup(guest->key), decision->target};
        loop->acting++;
        domain_source_act_async(feed->source, guest->uuid, DOMAIN_ACTION_SET_BALLOON,
                                (guint64)decision->target * KIB_PER_MIB, ACT_MS, NULL, on_changed, change);
    }
}

/* ---- a tick ---- */

static gboolean look_at_host(Loop *loop)
{
    g_autoptr(GError) error = NULL;
    if (loop->fake != NULL) {
        loop->now = fake_source_second(loop->fake) * 1000;
        fake_source_look(loop->fake, &loop->fleet.host);
        return TRUE;
    }
    loop->now = g_get_monotonic_time() / 1000 + NEVER_MS;
    gboolean good = host_look(loop->host, loop->now, &loop->fleet.host, &loop->rates, &error);
    if (!good && !loop->blind)
        g_warning("Nothing is done until the host can be looked at: %s", error->message);
    loop->blind = !good;
    return good;
}

static void step(Loop *loop)
{
    if (!look_at_host(loop))
        return;
    if (loop->settle_until == 0)
        loop->settle_until = loop->now + SETTLE_PERIODS * loop->settings->stats_ms;
    for (guint i = 0; i < loop->feeds->len; i++) {
        Feed *feed = loop->feeds->pdata[i];
        if (feed->snapshot == NULL)
            continue;
        feed->guests = feed->snapshot->domains->len;
        for (guint j = 0; j < feed->snapshot->domains->len; j++)
            take_domain(loop, feed, feed->snapshot->domains->pdata[j]);
        g_clear_pointer(&feed->snapshot, domain_snapshot_unref);
    }
    sort_out_missing(loop);
    ksm_look(loop->ksm, &loop->fleet);
    numa_look(loop->numa, &loop->fleet, loop->now, loop->paused);
    vcpus_look(loop->vcpus, loop->now);
    fleet_plan(&loop->fleet, loop->now);
    if (loop->audit != NULL)
        audit_tick(loop->audit, &loop->fleet, loop->now);
    carry_out(loop);
    ksm_act(loop->ksm, &loop->fleet, loop->paused);
    numa_act(loop->numa, &loop->fleet);
    vcpus_act(loop->vcpus);
    loop->ticks++;
    if (loop->fake != NULL && fake_source_is_over(loop->fake) && loop->on_over != NULL)
        loop->on_over(loop->over_data);
}

static void on_refreshed(GObject *object, GAsyncResult *result, gpointer user_data)
{
    Feed *feed = user_data;
    Loop *loop = feed->loop;
    g_autoptr(GError) error = NULL;
    DomainSnapshot *snapshot = domain_source_refresh_finish(result, &error);
    feed->asked = FALSE;
    loop->outstanding--;
    if (feed->connect == NULL) { /* dropped meanwhile */
        g_clear_pointer(&snapshot, domain_snapshot_unref);
        feed_free(feed);
    } else {
        feed->snapshot = snapshot;
        if (snapshot == NULL && !feed->failing)
            g_warning("%s: %s", feed->connect->name, error->message);
        else if (snapshot != NULL && feed->failing)
            g_message("%s: it answers again", feed->connect->name);
        feed->failing = snapshot == NULL;
        g_free(feed->why);
        feed->why = g_strdup(error != NULL ? error->message : NULL);
    }
    if (loop->outstanding == 0 && loop->timer != 0)
        step(loop);
}

static void tick(Loop *loop)
{
    if (loop->outstanding > 0) {
        loop->late++;
        return;
    }
    loop->ticked_at = g_get_monotonic_time() / 1000;
    guint timeout = (guint)MIN(REFRESH_MS, MAX(loop->settings->tick_ms * 4 / 5, 100));
    loop->outstanding = loop->feeds->len;
    for (guint i = 0; i < loop->feeds->len; i++) {
        Feed *feed = loop->feeds->pdata[i];
        feed->asked = TRUE;
        domain_source_refresh_async(feed->source, vcpus_wants(loop->vcpus), NULL, timeout, NULL, on_refreshed,
                                    feed);
    }
}

static gboolean on_timer(gpointer user_data)
{
    tick(user_data);
    return G_SOURCE_CONTINUE;
}

static void on_pressure(gpointer user_data)
{
    Loop *loop = user_data;
    if (loop->outstanding == 0 && g_get_monotonic_time() / 1000 - loop->ticked_at >= URGENT_MS)
        tick(loop);
}

/* ---- the whole ---- */

/* Settings of the host that laws change, see keep.h. */
static const KeepKind *const KINDS[] = {&KSM_SETTINGS, &NUMA_AFFINITIES, NULL};

static void configure_laws(Loop *loop, const Settings *settings)
{
    ksm_configure(loop->ksm, &loop->fleet, settings, loop->fake == NULL);
    numa_configure(loop->numa, &loop->fleet, settings, loop->fake == NULL);
    vcpus_configure(loop->vcpus, settings, loop->fake == NULL, loop->dry_run);
}

static DomainSource *source_of(const FleetGuest *guest)
{
    const Feed *feed = guest->source;
    return feed != NULL ? feed->source : NULL;
}

static gboolean on_status(gpointer user_data)
{
    report_write_files(user_data);
    return G_SOURCE_CONTINUE;
}

static void set_timers(Loop *loop)
{
    if (loop->timer != 0)
        g_source_remove(loop->timer);
    if (loop->status_timer != 0)
        g_source_remove(loop->status_timer);
    loop->timer = g_timeout_add((guint)loop->settings->tick_ms, on_timer, loop);
    loop->status_timer = g_timeout_add((guint)loop->settings->status_ms, on_status, loop);
}

Loop *loop_new(Settings *settings, const char *root, gboolean dry_run, void (*on_over)(gpointer user_data),
               gpointer user_data, GError **error)
{
    Loop *loop = g_new0(Loop, 1);
    loop->dry_run = dry_run;
    loop->on_over = on_over;
    loop->over_data = user_data;
    loop->rates = (HostRates){POLICY_UNKNOWN, POLICY_UNKNOWN, POLICY_UNKNOWN};
    fleet_init(&loop->fleet, &settings->policy);
    loop->fleet.dry_run = dry_run;
    loop->host = host_new(root);
    loop->keep = keep_open(root, KINDS, dry_run);
    loop->processes = processes_new(root);
    loop->ksm = ksm_new(loop->host, loop->keep, dry_run);
    loop->numa = numa_new(loop->host, loop->keep, dry_run);
    loop->vcpus = vcpus_new(&loop->fleet, loop->host, source_of, &loop->acting);
    GPtrArray *feeds = open_feeds(loop, settings, error);
    if (feeds != NULL) {
        set_feeds(loop, feeds);
        configure_laws(loop, settings);
    }
    if (feeds != NULL && settings->audit_file != NULL)
        loop->audit = audit_open(settings->audit_file, settings->audit_bytes, &loop->fleet, error);
    if (feeds == NULL || (settings->audit_file != NULL && loop->audit == NULL)) {
        loop_free(loop);
        return NULL;
    }
    loop->settings = settings;
    return loop;
}

void loop_start(Loop *loop)
{
    loop->watches = loop->fake == NULL && host_watch(loop->host, on_pressure, loop);
    set_timers(loop);
    tick(loop);
}

void loop_free(Loop *loop)
{
    if (loop->timer != 0)
        g_source_remove(loop->timer);
    if (loop->status_timer != 0)
        g_source_remove(loop->status_timer);
    loop->timer = loop->status_timer = 0;
    g_clear_pointer(&loop->feeds, g_ptr_array_unref); /* what was asked of them comes back as cancelled */
    while ((loop->outstanding > 0 || loop->acting > 0) && g_main_context_iteration(NULL, FALSE))
        continue;
    g_clear_pointer(&loop->audit, audit_close);
    g_clear_pointer(&loop->ksm, ksm_free);
    g_clear_pointer(&loop->numa, numa_free);
    g_clear_pointer(&loop->vcpus, vcpus_free);
    g_clear_pointer(&loop->processes, processes_free);
    g_clear_pointer(&loop->keep, keep_free);
    g_clear_pointer(&loop->host, host_free);
    fleet_clear(&loop->fleet);
    settings_free(loop->settings);
    g_free(loop);
}

static gboolean same_connects(const Settings *one, const Settings *other)
{
    gboolean same = one->connects->len == other->connects->len;
    for (guint i = 0; same && i < one->connects->len; i++) {
        const Connect *a = one->connects->pdata[i], *b = other->connects->pdata[i];
        same = g_strcmp0(a->name, b->name) == 0 && a->type == b->type && g_strcmp0(a->uri, b->uri) == 0 &&
               g_strcmp0(a->folder, b->folder) == 0 && g_strcmp0(a->guests, b->guests) == 0 &&
               g_strcmp0(a->demand, b->demand) == 0 && a->memory == b->memory;
    }
    return same;
}

gboolean loop_reload(Loop *loop, Settings *settings, GError **error)
{
    if (same_connects(loop->settings, settings)) {
        for (guint i = 0; i < loop->feeds->len; i++)
            ((Feed *)loop->feeds->pdata[i])->connect = settings->connects->pdata[i];
    } else {
        const Connect *first = settings->connects->pdata[0];
        if (loop->fake != NULL || first->type == CONNECT_FAKE) {
            g_set_error(error, SETTINGS_ERROR, SETTINGS_ERROR_WRONG,
                        "a fake source has a clock of its own: start the daemon anew for that");
            return FALSE;
        }
        GPtrArray *feeds = open_feeds(loop, settings, error);
        if (feeds == NULL)
            return FALSE;
        set_feeds(loop, feeds);
    }
    settings_free(loop->settings);
    loop->settings = settings;
    loop->fleet.config = settings->policy;
    configure_laws(loop, settings);
    for (guint i = 0; i < loop->fleet.count; i++) {
        loop->fleet.places[i].has_period = FALSE;
        if (loop->fleet.places[i].key != NULL)
            apply_terms(loop, i);
    }
    if (loop->audit != NULL)
        audit_note_config(loop->audit, &loop->fleet);
    if (loop->timer != 0)
        set_timers(loop);
    return TRUE;
}

gint loop_find(const Loop *loop, const char *name)
{
    for (guint i = 0; i < loop->fleet.count; i++) {
        const FleetGuest *guest = &loop->fleet.places[i];
        if (guest->key != NULL && (strcmp(guest->name, name) == 0 || g_strcmp0(guest->uuid, name) == 0))
            return (gint)i;
    }
    return -1;
}

/* A size that somebody else may have changed meanwhile is adopted. */
static void begin_anew(Loop *loop, guint place)
{
    fleet_forget(&loop->fleet, place);
    if (loop->audit != NULL)
        audit_note_forgotten(loop->audit, place);
}

gboolean loop_set_paused(Loop *loop, const char *name, gboolean paused)
{
    gint place = name != NULL ? loop_find(loop, name) : -1;
    if (name != NULL && place < 0)
        return FALSE;
    if (place >= 0) {
        loop->fleet.places[place].paused = paused;
        begin_anew(loop, (guint)place);
        return TRUE;
    }
    loop->paused = paused;
    for (guint i = 0; i < loop->fleet.count; i++) {
        if (loop->fleet.places[i].key == NULL)
            continue;
        if (!paused)
            loop->fleet.places[i].paused = FALSE;
        begin_anew(loop, i);
    }
    return TRUE;
}
