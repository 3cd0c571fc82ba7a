// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim-model: a host and its guests, second by second, in whole MiB.
 *
 * A guest has what its balloon leaves it, less its kernel's part. What its programs want is resident as far
 * as there is room, hot pages first; the rest is in the guest's swap. File cache fills what is left, slowly.
 * On the host a guest holds what it uses, or without free page reporting the most that it used since its
 * balloon last took memory from it. If all together hold more than the host has, the host swaps: first what
 * is not in use, then cold, then hot pages.
 */
#pragma once

#include "balloon/sim/sim-input.h"

/* What a guest's driver told at some second. */
typedef struct SimReport {
    gboolean told;
    gint64 usable, unused, caches;
    gint64 swapped_in, swapped_out, faults;
} SimReport;

typedef struct SimState {
    const SimGuest *guest;
    gboolean runs;
    gint64 demand, hot, want_cache, cpu;            /* from the trace */
    gint64 actual, target;                          /* MiB */
    gint64 resident, cached, swapped;               /* of its programs; file cache; in its own swap */
    gint64 held;                                    /* of the host's memory */
    gint64 hot_miss;                                /* MiB of its working set that are not there */
    gint64 swapped_in, swapped_out, faults, cpu_ms; /* since it started */
    gint64 moved;                                   /* MiB that its balloon moved in this second, with sign */
    SimReport *reports;                             /* of the last seconds: one more than its lag */
} SimState;

typedef struct SimModel {
    const SimInput *input;
    guint row; /* next of the demand rows */
    gint32 t;  /* second */
    SimState *guests;
    SimReport *reports; /* of all guests */
    guint count;
    gint64 total;        /* MiB of the host */
    gboolean reporting;  /* guests give free pages back by themselves */
    gint64 available;    /* MiB of the host that are free */
    gint64 host_swapped; /* MiB of guests' pages that the host has swapped out */
    gint64 host_swap_out;
} SimModel;

void sim_model_init(SimModel *model, const SimInput *input, gint64 host_mib, gboolean reporting);
void sim_model_clear(SimModel *model);
/* Plays second model->t: demand rows, balloons towards their targets, memory, reports. */
void sim_model_step(SimModel *model);
/* What is known of a guest now: the report of `lag` seconds ago; told FALSE: none. */
const SimReport *sim_model_report(const SimModel *model, const SimState *state);
/* The guest's kernel's own part, MiB: page descriptors and code. */
gint64 sim_model_kernel(const SimGuest *guest);
