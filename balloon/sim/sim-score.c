// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-score.h"

#define CRIT_PERMILLE 30
#define SOFT_PERMILLE 60
/* A guest suffers that misses part of its working set for more than 1 % of the time. */
#define SUFFERING_PERMILLE 10

void sim_score_init(SimScore *score, const SimModel *model, gint32 warm_up)
{
    *score = (SimScore){.warm_up = warm_up, .lowest = model->total, .short_since = -1};
    score->guests = g_new0(SimGuestScore, model->count);
    for (guint i = 0; i < model->count; i++)
        score->guests[i].misses_since = -1;
}

void sim_score_clear(SimScore *score)
{
    g_clear_pointer(&score->guests, g_free);
}

static void add_wait(SimWaits *waits, gint32 seconds)
{
    waits->count++;
    waits->of[MIN(seconds, SIM_WAIT_MAX)]++;
}

/* The wait that so many permille of all do not exceed; 0 without any. */
static gint32 wait_at(const SimWaits *waits, guint permille)
{
    guint64 wanted = (waits->count * permille + 999) / 1000, sum = 0;
    for (gint32 seconds = 0; seconds <= SIM_WAIT_MAX; seconds++) {
        sum += waits->of[seconds];
        if (wanted > 0 && sum >= wanted)
            return seconds;
    }
    return 0;
}

static void score_guest(SimScore *score, SimGuestScore *mine, const SimState *state, gboolean counts,
                        gint32 t)
{
    if (!state->runs) {
        *mine = (SimGuestScore){.misses_since = -1,
                                .pain = mine->pain,
                                .seconds = mine->seconds,
                                .missing_seconds = mine->missing_seconds};
        return;
    }
    gint64 before = mine->target != 0 ? mine->target : state->guest->max;
    int direction = state->target > before ? 1 : state->target < before ? -1 : 0;
    gint64 swapped = state->swapped_out - mine->swapped_out;
    mine->target = state->target;
    mine->swapped_out = state->swapped_out;
    gboolean reversed = direction != 0 && mine->direction != 0 && direction != mine->direction;
    if (direction != 0)
        mine->direction = direction;
    gboolean misses = state->hot_miss > 0;
    if (misses && mine->misses_since < 0)
        mine->misses_since = t;
    if (!counts)
        return;
    if (!misses && mine->misses_since >= 0)
        add_wait(&score->deficits, t - mine->misses_since);
    if (!misses)
        mine->misses_since = -1;
    score->guest_seconds++;
    score->hot_miss += state->hot_miss;
    score->cold_miss += state->swapped - MIN(state->swapped, state->hot_miss);
    score->guest_swap_out += swapped;
    score->held += state->held;
    score->most += state->guest->max;
    score->changes += direction != 0;
    score->reversals += reversed;
    score->moved += ABS(state->moved);
    score->minimum_violations += state->target < state->guest->min;
    mine->pain += state->hot_miss;
    mine->seconds++;
    mine->missing_seconds += misses;
}

void sim_score_step(SimScore *score, const SimModel *model)
{
    gint32 t = model->t - 1;
    gboolean counts = t >= score->warm_up;
    for (guint i = 0; i < model->count; i++)
        score_guest(score, &score->guests[i], &model->guests[i], counts, t);
    if (!counts)
        return;
    score->seconds++;
    score->lowest = MIN(score->lowest, model->available);
    score->below_crit += model->available * 1000 < model->total * CRIT_PERMILLE;
    score->host_swap_peak = MAX(score->host_swap_peak, model->host_swapped);
    score->host_swap_out = model->host_swap_out;
    gboolean is_short = model->available * 1000 < model->total * SOFT_PERMILLE;
    if (is_short && score->short_since < 0) {
        score->short_since = t;
    } else if (!is_short && score->short_since >= 0) {
        add_wait(&score->storms, t - score->short_since);
        score->short_since = -1;
    }
}

/* "12.3" of a number of tenths. */
static void put_tenths(GString *text, const char *name, gint64 tenths)
{
    g_string_append_printf(text, ", \"%s\": %s%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT, name,
                           tenths < 0 ? "-" : "", ABS(tenths) / 10, ABS(tenths) % 10);
}

static void put_hundredths(GString *text, const char *name, gint64 hundredths)
{
    g_string_append_printf(text, ", \"%s\": %" G_GINT64_FORMAT ".%02" G_GINT64_FORMAT, name, hundredths / 100,
                           hundredths % 100);
}

static void put(GString *text, const char *name, gint64 number)
{
    g_string_append_printf(text, ", \"%s\": %" G_GINT64_FORMAT, name, number);
}

/* Jain's index of the guests' well-being, 1 / (1 + missing permille of their maximum), weighed by shares;
 * 1000: all fare alike. */
static gint64 jain_permille(const SimScore *score, const SimModel *model)
{
    __int128 sum = 0, squares = 0, weights = 0;
    for (guint i = 0; i < model->count; i++) {
        const SimGuestScore *mine = &score->guests[i];
        const SimGuest *guest = model->guests[i].guest;
        if (mine->seconds == 0)
            continue;
        gint64 pain = mine->pain * 1000 / (guest->max * mine->seconds);
        gint64 well = 1000000 / (1 + pain);
        sum += (__int128)well * guest->shares;
        squares += (__int128)well * well * guest->shares;
        weights += guest->shares;
    }
    return squares == 0 ? 1000 : (gint64)(sum * sum * 1000 / (weights * squares));
}

char *sim_score_json(const SimScore *score, const SimModel *model, const char *policy)
{
    gint64 suffering = 0;
    for (guint i = 0; i < model->count; i++) {
        const SimGuestScore *mine = &score->guests[i];
        suffering += mine->seconds > 0 && mine->missing_seconds * 1000 > mine->seconds * SUFFERING_PERMILLE;
    }
    gint64 guest_seconds = MAX(score->guest_seconds, 1);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "{\"policy\": \"%s\"", policy);
    put(text, "guests", model->count);
    put(text, "host_mib", model->total);
    put(text, "seconds", score->seconds);
    put_tenths(text, "hot_miss_gib_s", score->hot_miss * 10 / 1024);
    put_tenths(text, "cold_miss_gib_s", score->cold_miss * 10 / 1024);
    put_tenths(text, "guest_swap_out_gib", score->guest_swap_out * 10 / 1024);
    put_tenths(text, "host_swap_out_gib", score->host_swap_out * 10 / 1024);
    put_tenths(text, "host_swap_peak_gib", score->host_swap_peak * 10 / 1024);
    put(text, "below_crit_s", score->below_crit);
    put(text, "lowest_available_mib", score->lowest);
    put_tenths(text, "returned_pct", (score->most - score->held) * 1000 / MAX(score->most, 1));
    put(text, "storm_s_p50", wait_at(&score->storms, 500));
    put(text, "storm_s_p99", wait_at(&score->storms, 990));
    put(text, "deficit_s_p50", wait_at(&score->deficits, 500));
    put(text, "deficit_s_p99", wait_at(&score->deficits, 990));
    put_hundredths(text, "reversals_per_gh", score->reversals * 360000 / guest_seconds);
    put_hundredths(text, "moved_gib_per_gh", score->moved * 360000 / 1024 / guest_seconds);
    put_hundredths(text, "decisions_per_s", score->changes * 100 / MAX(score->seconds, 1));
    g_string_append_printf(text, ", \"jain\": 0.%03" G_GINT64_FORMAT, MIN(jain_permille(score, model), 999));
    put(text, "suffering_guests", suffering);
    put(text, "minimum_violations", score->minimum_violations);
    g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}
