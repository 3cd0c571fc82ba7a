// SPDX-License-Identifier: GPL-2.0-or-later
/* sim-score: what a run was worth, as one line of JSON; whole numbers inside, so that any build prints the
 * same. */
#pragma once

#include "balloon/sim/sim-model.h"

/* The longest wait that is told apart, s. */
#define SIM_WAIT_MAX 3600

typedef struct SimWaits {
    guint64 count;
    guint32 of[SIM_WAIT_MAX + 1]; /* waits that took so many seconds */
} SimWaits;

typedef struct SimGuestScore {
    gint64 target; /* before this second; 0: not yet seen */
    int direction;
    gint32 misses_since; /* -1: all of its working set is there */
    gint64 pain;         /* MiB.s */
    gint64 seconds, missing_seconds;
    gint64 swapped_out; /* at the last second */
} SimGuestScore;

typedef struct SimScore {
    gint32 warm_up; /* s that do not count */
    gint64 seconds, guest_seconds;
    gint64 hot_miss, cold_miss;                           /* MiB.s */
    gint64 guest_swap_out, host_swap_out, host_swap_peak; /* MiB */
    gint64 below_crit, lowest;                            /* s; MiB */
    gint64 held, most;                                    /* MiB.s: that guests held; that they could have */
    gint64 reversals, moved, changes, minimum_violations;
    gint32 short_since;
    SimWaits storms, deficits;
    SimGuestScore *guests;
} SimScore;

void sim_score_init(SimScore *score, const SimModel *model, gint32 warm_up);
void sim_score_clear(SimScore *score);
/* After the model's step and the policy's. */
void sim_score_step(SimScore *score, const SimModel *model);
/* One line without its end; free with g_free. */
char *sim_score_json(const SimScore *score, const SimModel *model, const char *policy);
