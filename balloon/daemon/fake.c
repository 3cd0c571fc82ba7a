// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/fake.h"

#include "balloon/sim/sim-model.h"

#define KIB_PER_MIB 1024

typedef struct FakeSource {
    DomainSource source;
    SimInput *input;
    SimModel model;
    char **uuids;        /* by guest */
    GHashTable *numbers; /* uuid -> guest */
    DomainHost *host;
} FakeSource;

static guint64 kib(gint64 mib)
{
    return (guint64)mib * KIB_PER_MIB;
}

static Domain *domain_of(const FakeSource *self, guint number)
{
    const SimModel *model = &self->model;
    const SimState *state = &model->guests[number];
    const SimReport *report = sim_model_report(model, state);
    Domain *domain = domain_new(state->guest->name, self->uuids[number]);
    DomainMemory *memory = &domain->memory;
    domain->id = (int)number + 1;
    domain->state = DOMAIN_STATE_RUNNING;
    domain->answers = TRUE;
    domain->parts = DOMAIN_HAS_CPU | DOMAIN_HAS_MEMORY;
    domain->cpu_time = (guint64)state->cpu_ms * 1000000;
    domain->vcpus = domain->vcpus_max = (guint)MAX(state->guest->vcpus, 1);
    memory->maximum = kib(state->guest->max);
    memory->current = kib(state->actual);
    memory->rss = kib(state->held);
    memory->updated = 0;
    if (report->told) {
        memory->updated = (guint64)MAX(model->t - 1 - state->guest->lag, 1);
        memory->usable = kib(report->usable);
        memory->unused = kib(report->unused);
        memory->caches = kib(report->caches);
        memory->swap_in = kib(report->swapped_in);
        memory->swap_out = kib(report->swapped_out);
        memory->major_faults = (guint64)report->faults;
    }
    return domain;
}

static void refresh(DomainSource *source, DomainWants wants, const char *const *first, guint timeout_ms,
                    Pending *task)
{
    FakeSource *self = (FakeSource *)source;
    SimModel *model = &self->model;
    DomainSnapshot *snapshot = domain_snapshot_new(domain_host_ref(self->host));
    if (model->t < self->input->seconds)
        sim_model_step(model);
    for (guint i = 0; i < model->count; i++)
        if (model->guests[i].runs)
            g_ptr_array_add(snapshot->domains, domain_of(self, i));
    pending_return_pointer(task, snapshot, (GDestroyNotify)domain_snapshot_unref);
    g_object_unref(task);
}

static void act(DomainSource *source, const char *uuid, DomainAction action, guint64 value, guint timeout_ms,
                Pending *task)
{
    FakeSource *self = (FakeSource *)source;
    gpointer number;
    SimState *found = g_hash_table_lookup_extended(self->numbers, uuid, NULL, &number)
                          ? &self->model.guests[GPOINTER_TO_UINT(number)]
                          : NULL;
    if (found == NULL || !found->runs) {
        pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_NO_DOMAIN, "it does not run");
    } else if (action == DOMAIN_ACTION_SET_BALLOON) {
        found->target = (gint64)(value / KIB_PER_MIB);
        pending_return_boolean(task, TRUE);
    } else if (action == DOMAIN_ACTION_SET_STATS_PERIOD) {
        pending_return_boolean(task, TRUE);
    } else {
        pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNSUPPORTED,
                                 "a fake guest has nothing but memory");
    }
    g_object_unref(task);
}

static void detail(DomainSource *source, const char *uuid, guint timeout_ms, Pending *task)
{
    pending_return_pointer(task, domain_detail_new(), (GDestroyNotify)domain_detail_free);
    g_object_unref(task);
}

static void free_source(DomainSource *source)
{
    FakeSource *self = (FakeSource *)source;
    sim_model_clear(&self->model);
    sim_input_free(self->input);
    domain_host_unref(self->host);
    g_hash_table_unref(self->numbers);
    g_strfreev(self->uuids);
    g_free(self);
}

DomainSource *fake_source_new(const char *guests, const char *demand, gint64 memory, GError **error)
{
    static const DomainSourceClass class = {refresh, detail, act, free_source};
    SimInput *input = sim_input_spool(guests, demand, error);
    if (input == NULL)
        return NULL;
    FakeSource *self = g_new0(FakeSource, 1);
    self->source.class = &class;
    self->source.label = g_strdup("fake");
    self->input = input;
    self->host = domain_host_new();
    self->host->hostname = g_strdup("fake");
    sim_model_init(&self->model, input, memory, FALSE);
    self->uuids = g_new0(char *, self->model.count + 1);
    self->numbers = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < self->model.count; i++) {
        g_autoptr(Domain) domain = domain_new(self->model.guests[i].guest->name, NULL);
        self->uuids[i] = g_strdup(domain->uuid);
        g_hash_table_insert(self->numbers, self->uuids[i], GUINT_TO_POINTER(i));
    }
    return &self->source;
}

void fake_source_look(DomainSource *source, PolicyHost *seen)
{
    const SimModel *model = &((FakeSource *)source)->model;
    *seen = (PolicyHost){model->total, model->available, POLICY_UNKNOWN};
}

gint64 fake_source_second(DomainSource *source)
{
    return ((FakeSource *)source)->model.t;
}

gboolean fake_source_is_over(DomainSource *source)
{
    const FakeSource *self = (FakeSource *)source;
    return self->model.t >= self->input->seconds;
}
