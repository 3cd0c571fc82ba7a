// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/vcpus.h"

#include <string.h>

#include "balloon/daemon/law-vcpu.h"

#define NS_PER_MS  1000000
#define PLUG_MS    5000 /* for a call */
#define OFFLINE_MS 4000
#define ONLINE_MS  2000
#define AGAIN_MS   300  /* a guest takes a moment to find a new vCPU */
#define WHOLE_MS   9000 /* after that it is left as it is: the law looks at what came of it after 10 s */
#define VCPUS_MAX  4096

typedef enum { STEP_PLUG, STEP_ONLINE, STEP_OFFLINE, STEP_UNPLUG } Step;

/* A change of a guest's vCPUs that is on its way. */
typedef struct Job {
    Vcpus *vcpus;
    char *key;
    Step step;
    guint wanted;
    gboolean comes; /* the guest has to find a new vCPU first: its agent is asked again */
    guint next;     /* wanted instead, when this step is over; 0: nothing else */
    gint64 deadline;
    guint timer;
} Job;

struct Vcpus {
    Fleet *fleet;
    Host *host;
    VcpusSourceFunc source_of;
    guint *acting;
    VcpuMode mode;
    GHashTable *jobs;             /* key -> Job */
    GHashTable *refusals;         /* keys of guests that refused a removal since the last plan */
    gint64 busy_ticks, all_ticks; /* of /proc/stat, at the last look */
    guint64 added, removed, refused;
};

/* ---- what is seen ---- */

static void job_free(gpointer data)
{
    Job *job = data;
    if (job->timer != 0)
        g_source_remove(job->timer);
    g_free(job->key);
    g_free(job);
}

Vcpus *vcpus_new(Fleet *fleet, Host *host, VcpusSourceFunc source_of, guint *acting)
{
    Vcpus *vcpus = g_new0(Vcpus, 1);
    vcpus->fleet = fleet;
    vcpus->host = host;
    vcpus->source_of = source_of;
    vcpus->acting = acting;
    vcpus->jobs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, job_free);
    vcpus->refusals = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return vcpus;
}

void vcpus_free(Vcpus *vcpus)
{
    if (vcpus == NULL)
        return;
    g_hash_table_unref(vcpus->jobs);
    g_hash_table_unref(vcpus->refusals);
    g_free(vcpus);
}

static Law *law_of(const Vcpus *vcpus)
{
    return &vcpus->fleet->laws[FLEET_VCPU];
}

void vcpus_configure(Vcpus *vcpus, const Settings *settings, gboolean active, gboolean dry_run)
{
    LawVcpuConfig config = {.policy = settings->vcpu,
                            .advises = dry_run || settings->vcpu_mode == VCPU_ADVISE};
    vcpus->mode = active ? (VcpuMode)settings->vcpu_mode : VCPU_OFF;
    fleet_set_law(vcpus->fleet, FLEET_VCPU, vcpus->mode != VCPU_OFF ? &config : NULL);
}

DomainWants vcpus_wants(const Vcpus *vcpus)
{
    return vcpus->mode != VCPU_OFF ? DOMAIN_WANT_VCPUS : 0;
}

void vcpus_take(Vcpus *vcpus, guint place, const Domain *domain)
{
    const FleetGuest *guest = &vcpus->fleet->places[place];
    PolicyVcpuGuest *seen = vcpus->mode != VCPU_OFF ? law_part(law_of(vcpus), LAW_GUEST, place) : NULL;
    guint64 time = 0, wait = 0;
    guint told = 0;
    if (seen == NULL)
        return;
    for (guint i = 0; i < domain->n_vcpus; i++) {
        const DomainVcpu *vcpu = &domain->vcpu[i];
        if (vcpu->time == DOMAIN_UNKNOWN)
            continue;
        told++;
        time += vcpu->time / NS_PER_MS;
        wait += vcpu->delay != DOMAIN_UNKNOWN ? vcpu->delay / NS_PER_MS : 0;
    }
    seen->flags = 0;
    if (told == 0 || domain->vcpus == 0 || domain->vcpus > VCPUS_MAX)
        return;
    seen->flags = POLICY_VCPU_RUNS | POLICY_VCPU_PLUGS | POLICY_VCPU_UNPLUGS;
    seen->shares = MAX(vcpus->fleet->guests[place].shares, 1);
    seen->vcpus = (gint32)domain->vcpus;
    seen->min = MAX(guest->vcpu_min, (gint32)MIN(domain->vcpus_min, VCPUS_MAX));
    seen->max = (gint32)MIN(domain->vcpus_max, VCPUS_MAX);
    if (guest->vcpu_max > 0)
        seen->max = MIN(seen->max, guest->vcpu_max);
    seen->granule = 1;
    seen->time_ms = (gint64)MIN(time, G_MAXINT64);
    seen->wait_ms = (gint64)MIN(wait, G_MAXINT64);
}

/* /proc/stat: "cpu  user nice system idle iowait irq softirq steal …", in ticks; then a line each CPU. */
static void look_at_host(Vcpus *vcpus, PolicyVcpuHost *seen)
{
    const char *text = host_read(vcpus->host, "/proc/stat");
    gint64 all = 0, idle = 0;
    gint32 cpus = 0;
    if (text == NULL || !g_str_has_prefix(text, "cpu "))
        return;
    char *at = (char *)text + strlen("cpu ");
    for (guint i = 0; i < 8; i++) {
        gint64 ticks = g_ascii_strtoll(at, &at, 10);
        all += ticks;
        idle += i == 3 || i == 4 ? ticks : 0;
    }
    for (const char *line = text; (line = strstr(line, "\ncpu")) != NULL; line++)
        cpus += g_ascii_isdigit(line[strlen("\ncpu")]);
    gint64 busy = all - idle;
    if (vcpus->all_ticks > 0 && all > vcpus->all_ticks)
        seen->busy = (gint32)CLAMP((busy - vcpus->busy_ticks) * 1000 / (all - vcpus->all_ticks), 0, 1000);
    vcpus->busy_ticks = busy;
    vcpus->all_ticks = all;
    seen->cpus = cpus;
}

void vcpus_look(Vcpus *vcpus, gint64 now)
{
    const Fleet *fleet = vcpus->fleet;
    if (vcpus->mode == VCPU_OFF)
        return;
    look_at_host(vcpus, law_part(law_of(vcpus), LAW_HOST, 0));
    for (guint i = 0; i < fleet->count; i++) {
        PolicyVcpuGuest *seen = law_part(law_of(vcpus), LAW_GUEST, i);
        if (fleet->places[i].key == NULL)
            continue;
        if (fleet->guests[i].flags == 0) /* paused, unmanaged, silent */
            seen->flags = 0;
        else if (g_hash_table_contains(vcpus->refusals, fleet->places[i].key))
            seen->flags |= POLICY_VCPU_REFUSED;
    }
    g_hash_table_remove_all(vcpus->refusals);
}

/* ---- what was decided ---- */

static void go_on(Job *job);

static void refuse(Job *job, const char *name, const char *why)
{
    job->vcpus->refused++;
    g_hash_table_add(job->vcpus->refusals, g_strdup(job->key));
    g_message("%s: %u vCPUs: %s", name, job->wanted, why);
}

static void end(Job *job)
{
    g_hash_table_remove(job->vcpus->jobs, job->key);
}

static gboolean on_again(gpointer user_data)
{
    Job *job = user_data;
    job->timer = 0;
    go_on(job);
    return G_SOURCE_REMOVE;
}

/* A step has succeeded, or not. */
static void next_step(Job *job, const FleetGuest *guest, const GError *error)
{
    gboolean late = g_get_monotonic_time() / 1000 >= job->deadline;
    switch (job->step) {
    case STEP_PLUG:
        if (error != NULL) {
            g_message("%s: %u vCPUs: %s", guest->name, job->wanted, error->message);
            end(job);
            return;
        }
        job->vcpus->added++;
        job->step = STEP_ONLINE;
        go_on(job);
        return;
    case STEP_ONLINE:
        if (error == NULL || late || !job->comes) {
            if (error != NULL)
                g_info("%s: whether it uses its %u vCPUs is not known: %s", guest->name, job->wanted,
                       error->message);
            end(job);
            return;
        }
        job->timer = g_timeout_add(AGAIN_MS, on_again, job);
        return;
    case STEP_OFFLINE:
        if (error != NULL) {
            refuse(job, guest->name, error->message);
            end(job);
            return;
        }
        job->step = STEP_UNPLUG;
        go_on(job);
        return;
    default:
        if (error != NULL)
            refuse(job, guest->name, error->message);
        else
            job->vcpus->removed++;
        end(job);
    }
}

static void set_course(Job *job, guint wanted, guint present)
{
    job->step = wanted < present ? STEP_OFFLINE : STEP_PLUG;
    job->wanted = wanted;
    job->comes = wanted > present;
    job->next = 0;
    job->deadline = g_get_monotonic_time() / 1000 + WHOLE_MS;
}

static gint place_of(const Job *job)
{
    gint place = fleet_find(job->vcpus->fleet, job->key);
    return place >= 0 && job->vcpus->mode == VCPU_ACT && !job->vcpus->fleet->dry_run ? place : -1;
}

static void on_acted(GObject *object, GAsyncResult *result, gpointer user_data)
{
    Job *job = user_data;
    g_autoptr(GError) error = NULL;
    gint place = place_of(job);
    domain_source_act_finish(result, &error);
    --*job->vcpus->acting;
    if (place < 0 || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        end(job); /* it has gone, or we go */
    } else if (job->next != 0) {
        const PolicyVcpuGuest *seen = law_part(law_of(job->vcpus), LAW_GUEST, (guint)place);
        set_course(job, job->next, (guint)seen->vcpus);
        go_on(job);
    } else {
        next_step(job, &job->vcpus->fleet->places[place], error);
    }
}

static void go_on(Job *job)
{
    static const struct {
        DomainAction action;
        guint timeout;
    } calls[] = {[STEP_PLUG] = {DOMAIN_ACTION_SET_VCPUS, PLUG_MS},
                 [STEP_ONLINE] = {DOMAIN_ACTION_ONLINE_VCPUS, ONLINE_MS},
                 [STEP_OFFLINE] = {DOMAIN_ACTION_ONLINE_VCPUS, OFFLINE_MS},
                 [STEP_UNPLUG] = {DOMAIN_ACTION_SET_VCPUS, PLUG_MS}};
    gint place = place_of(job);
    const FleetGuest *guest = place >= 0 ? &job->vcpus->fleet->places[place] : NULL;
    DomainSource *source = guest != NULL ? job->vcpus->source_of(guest) : NULL;
    if (source == NULL) {
        end(job);
        return;
    }
    ++*job->vcpus->acting;
    domain_source_act_async(source, guest->uuid, calls[job->step].action, job->wanted,
                            calls[job->step].timeout, NULL, on_acted, job);
}

static void begin(Vcpus *vcpus, const char *key, guint wanted, guint present)
{
    Job *job = g_hash_table_lookup(vcpus->jobs, key);
    if (job != NULL && job->timer == 0) {
        job->next = wanted; /* a call is on its way */
        return;
    }
    if (job == NULL) {
        job = g_new0(Job, 1);
        job->vcpus = vcpus;
        job->key = g_strdup(key);
        g_hash_table_insert(vcpus->jobs, job->key, job);
    } else {
        g_source_remove(job->timer);
        job->timer = 0;
    }
    set_course(job, wanted, present);
    go_on(job);
}

void vcpus_act(Vcpus *vcpus)
{
    const Fleet *fleet = vcpus->fleet;
    if (vcpus->mode == VCPU_OFF)
        return;
    gboolean does = vcpus->mode == VCPU_ACT && !fleet->dry_run;
    for (guint i = 0; i < fleet->count; i++) {
        const PolicyVcpuDecision *decision = law_part(law_of(vcpus), LAW_DECISION, i);
        const PolicyVcpuGuest *seen = law_part(law_of(vcpus), LAW_GUEST, i);
        if (fleet->places[i].key == NULL || !decision->changed || decision->vcpus < 1)
            continue;
        g_info("%s: %d -> %d vCPUs (%s)%s", fleet->places[i].name, seen->vcpus, decision->vcpus,
               policy_vcpu_reason_name(decision->reason), does ? "" : ", not done");
        if (does)
            begin(vcpus, fleet->places[i].key, (guint)decision->vcpus, (guint)seen->vcpus);
    }
}

/* ---- what is told of it ---- */

static const char *const MODE_NAMES[] = {"off", "advise", "act"};

JsonObject *vcpus_status(const Vcpus *vcpus)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "mode", MODE_NAMES[vcpus->mode]);
    if (vcpus->mode == VCPU_OFF)
        return object;
    const PolicyVcpuHost *host = law_part(law_of(vcpus), LAW_HOST, 0);
    json_object_set_int_member(object, "cpus", host->cpus);
    json_object_set_int_member(object, "busy", host->busy);
    json_object_set_int_member(object, "added", (gint64)vcpus->added);
    json_object_set_int_member(object, "removed", (gint64)vcpus->removed);
    json_object_set_int_member(object, "refused", (gint64)vcpus->refused);
    json_object_set_int_member(object, "under_way", g_hash_table_size(vcpus->jobs));
    return object;
}

/* ms until a moment; what is past is left out. */
static void add_left(JsonObject *object, const char *name, gint64 moment, gint64 now)
{
    if (moment > now)
        json_object_set_int_member(object, name, moment - now);
}

JsonObject *vcpus_explain(const Vcpus *vcpus, guint place, gint64 now)
{
    if (vcpus->mode == VCPU_OFF)
        return NULL;
    const PolicyVcpuGuest *seen = law_part(law_of(vcpus), LAW_GUEST, place);
    const PolicyVcpuGuestState *state = law_part(law_of(vcpus), LAW_GUEST_STATE, place);
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "vcpus", seen->vcpus);
    json_object_set_int_member(object, "min", seen->min);
    json_object_set_int_member(object, "max", seen->max);
    json_object_set_int_member(object, "time_ms", seen->time_ms);
    json_object_set_int_member(object, "wait_ms", seen->wait_ms);
    json_object_set_int_member(object, "wants", state->wants);
    json_object_set_int_member(object, "waits", state->waits);
    if (state->asked > 0)
        json_object_set_int_member(object, "asked", state->asked);
    if (state->busy_since > 0)
        json_object_set_int_member(object, "busy_for", now - state->busy_since);
    if (state->calm_since > 0)
        json_object_set_int_member(object, "calm_for", now - state->calm_since);
    json_object_set_int_member(object, "changes_left", state->tokens / 1000);
    add_left(object, "no_addition_for", state->add_after, now);
    add_left(object, "no_removal_for", state->remove_after, now);
    return object;
}

static void add_counter(GString *out, const char *name, const char *help, guint64 value)
{
    g_string_append_printf(out, "# TYPE balloond_vcpus_%s counter\n# HELP balloond_vcpus_%s %s\n", name, name,
                           help);
    g_string_append_printf(out, "balloond_vcpus_%s_total %" G_GUINT64_FORMAT "\n", name, value);
}

void vcpus_metrics(const Vcpus *vcpus, GString *out)
{
    if (vcpus->mode == VCPU_OFF)
        return;
    add_counter(out, "added", "Guests that were given vCPUs.", vcpus->added);
    add_counter(out, "removed", "Guests that were asked for vCPUs and put them offline.", vcpus->removed);
    add_counter(out, "refused", "Guests that kept vCPUs that were asked for.", vcpus->refused);
}
