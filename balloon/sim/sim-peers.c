// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-peers.h"

/* ---- none: guests keep all ---- */

static void none_step(SimPeer *peer, SimModel *model)
{
}

/* ---- fixed: each has its share of the host, once and for all ---- */

static void fixed_step(SimPeer *peer, SimModel *model)
{
    gint64 sum = 0;
    for (guint i = 0; i < model->count; i++)
        sum += model->guests[i].guest->max;
    gint64 room = model->total * 9 / 10;
    for (guint i = 0; i < model->count; i++) {
        const SimGuest *guest = model->guests[i].guest;
        model->guests[i].target = sum <= room ? guest->max : MAX(guest->min, guest->max * room / sum);
    }
}

/* ---- MOM's default balloon policy: samples each 5 s, rules each 10 s on the mean of 10 samples ---- */

#define MOM_SAMPLES  10
#define MOM_SAMPLE_S 5
#define MOM_PERIOD_S 10

/* Below 20 % of host memory free each guest is led towards what it uses (which counts its file cache) and, of
 * its size, the share that is free on the host, 5 % less when only 5 % are free; above, guests grow. At most
 * 5 % of a guest's size in one go, nothing below 0.25 %. */
static void mom_step(SimPeer *peer, SimModel *model)
{
    gint32 t = model->t - 1;
    if (t % MOM_SAMPLE_S != 0)
        return;
    guint slot = (guint)(t / MOM_SAMPLE_S) % MOM_SAMPLES;
    gint64 *host = peer->history + (gsize)model->count * MOM_SAMPLES;
    host[slot] = model->available;
    peer->samples = MIN(peer->samples + 1, MOM_SAMPLES);
    for (guint i = 0; i < model->count; i++) {
        const SimReport *report = sim_model_report(model, &model->guests[i]);
        peer->history[i * MOM_SAMPLES + slot] = report->told ? report->unused : -1;
    }
    if (t % MOM_PERIOD_S != 0)
        return;
    gint64 free = 0;
    for (guint s = 0; s < peer->samples; s++)
        free += host[s];
    gint64 free_permille = free * 1000 / peer->samples / model->total;
    for (guint i = 0; i < model->count; i++) {
        SimState *state = &model->guests[i];
        gint64 unused = 0, samples = 0;
        for (guint s = 0; s < peer->samples; s++)
            if (peer->history[i * MOM_SAMPLES + s] >= 0) {
                unused += peer->history[i * MOM_SAMPLES + s];
                samples++;
            }
        if (!state->runs || samples == 0)
            continue;
        gint64 current = state->actual, used = current - unused / samples, wanted;
        if (free_permille >= 200) {
            wanted = MIN(MAX(current * 105 / 100, used * 120 / 100), state->guest->max);
        } else {
            gint64 keep = free_permille <= 50 ? free_permille - 50 : free_permille;
            wanted = MAX(state->guest->min, used + keep * current / 1000);
            wanted = MAX(wanted, current - current * 5 / 100);
            if (wanted >= current)
                continue;
        }
        if (ABS(wanted - current) * 400 >= current)
            state->target = wanted;
    }
}

/* ---- Proxmox's: leads the host to 80 % used, at most 100 MiB a guest each 10 s ---- */

#define PVE_STEP 100

static void pve_step(SimPeer *peer, SimModel *model)
{
    if ((model->t - 1) % 10 != 0)
        return;
    gint64 goal = model->total * 8 / 10 - (model->total - model->available), shares = 0;
    if (ABS(goal) < 10)
        return;
    for (guint i = 0; i < model->count; i++)
        shares += model->guests[i].runs ? model->guests[i].guest->shares : 0;
    /* Growing: first those that are short; shrinking: first those that are not, then all. */
    for (int pass = 0; pass < 2 && ABS(goal) >= 10; pass++) {
        for (guint i = 0; i < model->count && ABS(goal) >= 10; i++) {
            SimState *state = &model->guests[i];
            const SimReport *report = sim_model_report(model, state);
            if (!state->runs)
                continue;
            gint64 free = report->told ? report->unused + report->caches : state->actual;
            gboolean pressed = free * 4 <= state->guest->min;
            if ((goal > 0) == (pass == 1) ? pressed : !pressed)
                continue;
            gint64 share = MAX(ABS(goal) * state->guest->shares / MAX(shares, 1), 1);
            gint64 step = MIN(MAX(share, 10), PVE_STEP);
            gint64 wanted =
                CLAMP(state->actual + (goal > 0 ? step : -step), state->guest->min, state->guest->max);
            goal -= wanted - state->actual;
            state->target = wanted;
        }
    }
}

static const struct {
    const char *name;
    void (*step)(SimPeer *peer, SimModel *model);
} policies[] = {{"none", none_step}, {"fixed", fixed_step}, {"mom", mom_step}, {"pve", pve_step}};

SimPeer *sim_peer_new(const char *name, const SimModel *model)
{
    for (gsize i = 0; i < G_N_ELEMENTS(policies); i++)
        if (g_str_equal(policies[i].name, name)) {
            SimPeer *peer = g_new0(SimPeer, 1);
            peer->step = policies[i].step;
            peer->history = g_new0(gint64, ((gsize)model->count + 1) * MOM_SAMPLES);
            for (gsize k = 0; k < ((gsize)model->count + 1) * MOM_SAMPLES; k++)
                peer->history[k] = -1;
            return peer;
        }
    return NULL;
}

void sim_peer_free(SimPeer *peer)
{
    g_free(peer->history);
    g_free(peer);
}
