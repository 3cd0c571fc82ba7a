// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-model.h"

#include <string.h>

#include "balloon/sim/sim-spool.h"

/* The host's own part: its kernel and daemons; and what a monitor takes beside its guest's memory. */
#define HOST_BASE    1024
#define MONITOR_BASE 32
/* MiB/s at which a guest's disk brings file cache and swapped pages back. */
#define CACHE_RATE     64
#define SWAP_RATE      128
#define FAULTS_PER_MIB 256

gint64 sim_model_kernel(const SimGuest *guest)
{
    return 24 + guest->max / 64; /* a page descriptor is 1/64 of a page */
}

void sim_model_init(SimModel *model, const SimInput *input, gint64 host_mib, gboolean reporting)
{
    *model = (SimModel){.input = input, .total = host_mib, .available = host_mib, .reporting = reporting};
    model->count = input->guests->len;
    model->guests = g_new0(SimState, model->count);
    gsize reports = 0;
    for (guint i = 0; i < model->count; i++) {
        model->guests[i].guest = &g_array_index(input->guests, SimGuest, i);
        reports += (gsize)model->guests[i].guest->lag + 1;
    }
    model->reports = g_new0(SimReport, reports);
    reports = 0;
    for (guint i = 0; i < model->count; i++) {
        model->guests[i].reports = model->reports + reports;
        reports += (gsize)model->guests[i].guest->lag + 1;
    }
}

void sim_model_clear(SimModel *model)
{
    g_clear_pointer(&model->guests, g_free);
    g_clear_pointer(&model->reports, g_free);
}

/* A guest that starts is as large as it may be, holds nothing and has told nothing. */
static void start_or_stop(SimState *state, gboolean runs)
{
    const SimGuest *guest = state->guest;
    SimReport *reports = state->reports;
    gint64 hot = state->hot, demand = state->demand, cache = state->want_cache, cpu = state->cpu;
    if (runs == state->runs)
        return;
    memset(reports, 0, ((gsize)guest->lag + 1) * sizeof reports[0]);
    *state = (SimState){.guest = guest,
                        .reports = reports,
                        .runs = runs,
                        .demand = demand,
                        .hot = hot,
                        .want_cache = cache,
                        .cpu = cpu};
    if (runs)
        state->actual = state->target = guest->max;
}

static const SimDemand *next_row(const SimModel *model)
{
    const GArray *rows = model->input->demand;
    if (rows == NULL)
        return sim_spool_peek(model->input->spool);
    return model->row < rows->len ? &g_array_index(rows, SimDemand, model->row) : NULL;
}

static void pass_row(SimModel *model)
{
    if (model->input->demand == NULL)
        sim_spool_pass(model->input->spool);
    model->row++;
}

static void take_rows(SimModel *model)
{
    const SimDemand *row;
    for (; (row = next_row(model)) != NULL && row->t <= model->t; pass_row(model)) {
        SimState *state = &model->guests[row->guest];
        start_or_stop(state, row->demand >= 0);
        gint64 room = state->guest->max - sim_model_kernel(state->guest);
        state->demand = CLAMP(row->demand, 0, MAX(room, 0));
        state->hot = CLAMP(row->hot, 0, state->demand);
        state->want_cache = MAX(row->cache, 0);
        state->cpu = MAX(row->cpu, 0);
    }
}

static void move_balloon(SimState *state)
{
    const SimGuest *guest = state->guest;
    gint64 before = state->actual;
    if (guest->stats != SIM_STATS_NODRIVER) {
        gint64 gap = state->target - state->actual;
        state->actual += CLAMP(gap, -guest->rate, guest->rate);
    }
    state->moved = state->actual - before;
}

static void use_memory(SimState *state, gboolean reporting)
{
    const SimGuest *guest = state->guest;
    gint64 kernel = sim_model_kernel(guest);
    gint64 room = MAX(state->actual - kernel, 0);
    /* What its programs free was as likely in swap as not; what they ask for anew is resident. */
    gint64 before = state->resident + state->swapped;
    if (state->demand < before)
        state->swapped = state->swapped * state->demand / before;
    state->resident = state->demand - state->swapped;
    if (state->resident > room) {
        state->swapped_out += state->resident - room;
        state->swapped += state->resident - room;
        state->resident = room;
    }
    /* Pages of the working set come back as fast as the disk is, cold ones stay where they are. Those that
     * find no room push each other out. */
    gint64 wanted = MAX(state->hot - state->resident, 0);
    gint64 read = MIN(wanted, SWAP_RATE);
    gint64 found = MIN(read, room - state->resident);
    state->swapped_in += read;
    state->swapped_out += read - found;
    state->faults += read * FAULTS_PER_MIB;
    state->swapped -= found;
    state->resident += found;
    state->hot_miss = MAX(state->hot - state->resident, 0);
    gint64 cache = MIN(state->want_cache, room - state->resident);
    state->cached = MIN(cache, state->cached + CACHE_RATE);
    gint64 used = MIN(kernel, state->actual) + state->resident + state->cached;
    state->held = reporting ? used : MIN(state->actual, MAX(state->held, used));
    state->cpu_ms += state->cpu * 10;
}

/* What the host cannot hold it swaps out: what no guest would miss, then cold pages, then hot ones. */
static void use_host(SimModel *model)
{
    gint64 held = HOST_BASE, hot = 0;
    for (guint i = 0; i < model->count; i++) {
        const SimState *state = &model->guests[i];
        if (state->runs) {
            held += state->held + MONITOR_BASE;
            hot += MIN(sim_model_kernel(state->guest) + MIN(state->hot, state->resident), state->held);
        }
    }
    gint64 lacking = MAX(held - model->total, 0);
    model->available = MAX(model->total - held, 0);
    model->host_swap_out += MAX(lacking - model->host_swapped, 0);
    model->host_swapped = lacking;
    gint64 missing = lacking - (held - hot);
    for (guint i = 0; missing > 0 && hot > 0 && i < model->count; i++) {
        SimState *state = &model->guests[i];
        if (state->runs)
            state->hot_miss += MIN(state->hot, state->resident) * missing / hot;
    }
}

static void report(const SimModel *model, SimState *state)
{
    SimReport *now = &state->reports[model->t % (state->guest->lag + 1)];
    gint64 room = MAX(state->actual - sim_model_kernel(state->guest), 0);
    gint64 unused = room - state->resident - state->cached;
    *now = (SimReport){.told = state->runs && (state->guest->stats == SIM_STATS_FULL ||
                                               state->guest->stats == SIM_STATS_LYING),
                       .usable = unused + state->cached * 9 / 10, /* some of it is written to or mapped */
                       .unused = unused,
                       .caches = state->cached,
                       .swapped_in = state->swapped_in,
                       .swapped_out = state->swapped_out,
                       .faults = state->faults};
    if (state->guest->stats ==
        SIM_STATS_LYING) { /* as drivers do that count ballooned pages or caches wrongly */
        now->unused = state->actual * 7 / 10;
        now->usable = state->actual * 8 / 10;
        now->caches = state->actual / 10;
    }
}

void sim_model_step(SimModel *model)
{
    take_rows(model);
    for (guint i = 0; i < model->count; i++) {
        SimState *state = &model->guests[i];
        if (state->runs) {
            move_balloon(state);
            use_memory(state, model->reporting);
        } else {
            state->moved = 0;
        }
    }
    use_host(model);
    for (guint i = 0; i < model->count; i++)
        report(model, &model->guests[i]);
    model->t++;
}

const SimReport *sim_model_report(const SimModel *model, const SimState *state)
{
    gint32 when = model->t - 1 - state->guest->lag;
    static const SimReport nothing;
    return when >= 0 ? &state->reports[when % (state->guest->lag + 1)] : &nothing;
}
