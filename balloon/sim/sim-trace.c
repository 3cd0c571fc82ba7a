// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-trace.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>

/* ---- chance ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static guint64 chance(guint64 *state)
{
    guint64 z = *state += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static gint64 between(guint64 *state, gint64 low, gint64 high)
{
    return low + (gint64)(chance(state) % (guint64)(high - low + 1));
}

/* ---- kinds of guests ---- */

typedef enum { SHAPE_STEADY, SHAPE_WAVE, SHAPE_JOBS, SHAPE_LEAK } Shape;

/* Shares of a guest's maximum in percent, times in s: each guest draws its own from these ranges. */
static const struct {
    const char *name;
    Shape shape;
    int weight;                /* how many there are of 100 */
    int size_low, size_high;   /* of its maximum, in quarters of a GiB */
    int base_low, base_high;   /* what it wants at rest */
    int peak_low, peak_high;   /* and when it is busy */
    int hot;                   /* of what it wants, in use at rest; when busy 10 to 30 more */
    int cache_low, cache_high; /* file cache */
    int busy_low, busy_high;   /* how long it is busy, or half a wave */
    int rest_low, rest_high;   /* and at rest */
    int ramp_low, ramp_high;   /* from one to the other */
    int shares;
} kinds[] = {
    {"db", SHAPE_STEADY, 14, 12, 32, 50, 65, 60, 75, 70, 15, 40, 300, 900, 600, 1800, 30, 120, 2000},
    {"web", SHAPE_WAVE, 26, 4, 12, 18, 30, 40, 70, 55, 10, 30, 300, 1200, 300, 1200, 60, 300, 1000},
    {"batch", SHAPE_JOBS, 14, 8, 24, 6, 12, 45, 85, 25, 5, 30, 120, 600, 300, 1500, 10, 60, 500},
    {"ci", SHAPE_JOBS, 14, 8, 16, 8, 15, 40, 75, 25, 20, 60, 30, 150, 90, 480, 4, 20, 500},
    {"desktop", SHAPE_JOBS, 14, 8, 16, 20, 35, 40, 65, 30, 10, 30, 60, 400, 120, 900, 5, 40, 1000},
    {"idle", SHAPE_STEADY, 12, 4, 8, 15, 30, 30, 45, 10, 5, 15, 10, 60, 900, 3600, 5, 20, 250},
    {"leak", SHAPE_LEAK, 6, 6, 16, 15, 25, 70, 85, 20, 5, 15, 900, 2700, 10, 60, 5, 10, 500},
};

typedef struct {
    gsize kind;
    gint64 max, min;
    gint64 base, peak, hot_rest, hot_busy, cache; /* MiB */
    gint64 from, to;                              /* the ramp it is on */
    gint32 ramp_at, ramp;                         /* its start and length, s */
    gint32 next;                                  /* when the phase ends */
    gboolean busy;
    gint32 boots; /* when it starts */
    gint32 noise_at;
    gint64 noise;
    gint32 storm_until;
    gint64 storm;
    int vcpus, cpu_rest, cpu_busy;
    gint32 last_demand, last_hot, last_cache, last_cpu;
} Player;

/* load: permille of what the table says that this fleet wants. */
static void draw_player(Player *player, guint64 *state, gsize kind, gint64 max, gint64 load)
{
    *player = (Player){.kind = kind, .max = max, .last_demand = -2};
    player->min = max * between(state, 12, 30) / 100;
    player->base = max * between(state, kinds[kind].base_low, kinds[kind].base_high) * load / 100000;
    player->peak = max * between(state, kinds[kind].peak_low, kinds[kind].peak_high) * load / 100000;
    player->hot_rest = kinds[kind].hot + between(state, -8, 8);
    player->hot_busy = MIN(player->hot_rest + between(state, 10, 30), 95);
    if (kinds[kind].shape == SHAPE_JOBS)
        player->hot_busy = between(state, 75, 95);
    player->cache = max * between(state, kinds[kind].cache_low, kinds[kind].cache_high) / 100;
    player->vcpus = (int)between(state, 1, 4);
    player->cpu_rest = (int)between(state, 1, 8);
    player->cpu_busy = (int)between(state, 40, 95) * player->vcpus;
    player->busy = between(state, 0, 1);
    player->from = player->to = player->busy ? player->peak : player->base;
    player->ramp = 1;
    player->next = (gint32)between(state, 1, kinds[kind].rest_high);
    player->boots = between(state, 0, 9) == 0 ? (gint32)between(state, 60, 3000) : 0;
}

/* What it wants now, on its way from one level to the other. */
static gint64 level(const Player *player, gint32 t)
{
    gint64 done = MIN(t - player->ramp_at, player->ramp);
    return player->from + (player->to - player->from) * done / player->ramp;
}

static void next_phase(Player *player, guint64 *state, gint32 t)
{
    gsize kind = player->kind;
    player->from = level(player, t);
    player->busy = !player->busy;
    gint64 wanted = player->busy ? player->peak : player->base;
    /* No two phases are alike. */
    wanted += (player->peak - player->base) * between(state, -15, 10) / 100;
    player->to = CLAMP(wanted, player->max / 40, player->max * 95 / 100);
    player->ramp_at = t;
    gint64 length = player->busy ? between(state, kinds[kind].busy_low, kinds[kind].busy_high)
                                 : between(state, kinds[kind].rest_low, kinds[kind].rest_high);
    gint64 ramp = between(state, kinds[kind].ramp_low, kinds[kind].ramp_high);
    if (kinds[kind].shape == SHAPE_WAVE || (kinds[kind].shape == SHAPE_LEAK && player->busy))
        ramp = length; /* up and down all the time; a leak grows until it is restarted */
    player->ramp = (gint32)ramp;
    player->next = t + (gint32)MAX(length, ramp);
}

static void play(Player *player, guint64 *state, gint32 t, guint number, FILE *file)
{
    gint32 demand = -1, hot = 0, cache = 0, cpu = 0;
    if (t >= player->boots) {
        if (t >= player->next)
            next_phase(player, state, t);
        if (t >= player->noise_at) {
            player->noise = player->max * between(state, -8, 8) / 1000;
            player->noise_at = t + (gint32)between(state, 3, 12);
        }
        gint64 wants = level(player, t) + player->noise;
        gint64 share = player->busy ? player->hot_busy : player->hot_rest;
        if (t < player->storm_until) {
            wants += player->storm;
            share = MAX(share, 80);
        }
        gint32 since = t - player->boots;
        if (player->boots > 0 && since < 20)
            wants = wants * (since + 1) / 20;
        wants = CLAMP(wants, player->max / 40, player->max * 97 / 100);
        demand = (gint32)wants;
        hot = (gint32)(wants * share / 100);
        cache = (gint32)player->cache;
        cpu = player->busy || t < player->storm_until ? player->cpu_busy : player->cpu_rest;
    }
    if (demand == player->last_demand && hot == player->last_hot && cpu == player->last_cpu)
        return;
    player->last_demand = demand;
    player->last_hot = hot;
    player->last_cpu = cpu;
    fprintf(file, "%d,g%u,%d,%d,%d,%d,%d\n", t, number, demand, hot, cache, 5 + (int)(number % 4) * 10, cpu);
}

/* Many guests want much at once: cron's hour, a deployment. */
static void storm(Player *players, guint count, guint64 *state, gint32 t)
{
    gint64 share = between(state, 15, 40);
    gint32 until = t + (gint32)between(state, 30, 180);
    for (guint i = 0; i < count; i++)
        if (between(state, 1, 100) <= share) {
            players[i].storm_until = until;
            players[i].storm = players[i].max * between(state, 8, 30) / 100;
        }
}

static FILE *open_file(const char *path, GError **error)
{
    FILE *file = g_fopen(path, "w");
    if (!file)
        g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s: %s", path,
                    g_strerror(errno));
    return file;
}

static gboolean close_file(FILE *file, const char *path, GError **error)
{
    gboolean failed = ferror(file) != 0;
    if ((fclose(file) != 0 || failed) && error && !*error) {
        g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s: cannot write", path);
        return FALSE;
    }
    return !failed;
}

static void write_guest(const Player *player, guint64 *state, guint number, FILE *file)
{
    gint64 kind = between(state, 1, 100);
    const char *stats = kind <= 88 ? "full" : kind <= 93 ? "nostats" : kind <= 97 ? "lying" : "nodriver";
    gint64 lag = between(state, 1, 10) <= 8 ? between(state, 1, 3) : between(state, 4, 10);
    fprintf(file,
            "g%u,%s,%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT ",%d,%d,image%u,0,%s,%" G_GINT64_FORMAT
            ",%" G_GINT64_FORMAT "\n",
            number, kinds[player->kind].name, player->max, player->min, kinds[player->kind].shares,
            player->vcpus, number % 7, stats, lag, between(state, 80, 600));
}

gboolean sim_trace_write(const SimTraceOptions *options, const char *guests_path, const char *demand_path,
                         GError **error)
{
    guint64 state = options->seed * G_GUINT64_CONSTANT(0x2545f4914f6cdd1d) + 1;
    g_autofree Player *players = g_new0(Player, options->guests);
    g_autofree gsize *drawn = g_new(gsize, options->guests);
    g_autofree gint64 *sizes = g_new(gint64, options->guests);
    gint64 sum = 0, load = between(&state, 700, 1000);
    for (guint i = 0; i < options->guests; i++) {
        gint64 ticket = between(&state, 1, 100);
        gsize kind = 0;
        for (; kind + 1 < G_N_ELEMENTS(kinds) && ticket > kinds[kind].weight; kind++)
            ticket -= kinds[kind].weight;
        drawn[i] = kind;
        sizes[i] = between(&state, kinds[kind].size_low, kinds[kind].size_high) * 256;
        sum += sizes[i];
    }
    FILE *file = open_file(guests_path, error);
    if (!file)
        return FALSE;
    fputs("guest,class,max_mib,min_mib,shares,vcpus_max,image,node,stats,lag_s,rate_mib_s\n", file);
    for (guint i = 0; i < options->guests; i++) {
        gint64 max = options->sum_mib > 0 ? MAX(sizes[i] * options->sum_mib / sum, 256) : sizes[i];
        draw_player(&players[i], &state, drawn[i], max, load);
        write_guest(&players[i], &state, i, file);
    }
    if (!close_file(file, guests_path, error) || !(file = open_file(demand_path, error)))
        return FALSE;
    fputs("t,guest,demand_mib,hot_mib,cache_mib,dup_pct,cpu_pct\n", file);
    gint32 next_storm = (gint32)between(&state, 300, 900);
    for (gint32 t = 0; t < options->seconds; t++) {
        if (t == next_storm) {
            storm(players, options->guests, &state, t);
            next_storm = t + (gint32)between(&state, 400, 1500);
        }
        for (guint i = 0; i < options->guests; i++)
            play(&players[i], &state, t, i, file);
    }
    return close_file(file, demand_path, error);
}
