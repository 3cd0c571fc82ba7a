// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim-input: the two files that a simulation is fed with.
 *
 * guests CSV: guest,class,max_mib,min_mib,shares,vcpus_max,image,node,stats,lag_s,rate_mib_s
 * demand CSV: t,guest,demand_mib,hot_mib,cache_mib,dup_pct,cpu_pct
 * Both may begin with that line. A row of the second holds until the guest's next one; demand -1: it does not
 * run.
 */
#pragma once

#include <glib.h>

#define SIM_GUESTS_MAX  100000
#define SIM_SECONDS_MAX (7 * 24 * 3600)
#define SIM_LAG_MAX     60

/* How a guest's balloon driver behaves. */
typedef enum { SIM_STATS_FULL, SIM_STATS_NONE, SIM_STATS_LYING, SIM_STATS_NODRIVER } SimStats;

typedef struct SimGuest {
    char *name;
    char *class;
    gint64 max, min; /* MiB */
    gint32 shares;
    gint32 vcpus;
    gint32 lag;  /* s: age of its statistics */
    gint32 rate; /* MiB/s: how fast its balloon moves */
    SimStats stats;
} SimGuest;

typedef struct SimDemand {
    gint32 t; /* s */
    gint32 guest;
    gint32 demand, hot, cache; /* MiB; demand -1: does not run */
    gint32 cpu;                /* percent of one CPU */
} SimDemand;

typedef struct SimInput {
    GArray *guests; /* of SimGuest */
    GArray *demand; /* of SimDemand, in the order of their times; NULL: they are in the spool */
    struct SimSpool *spool;
    gint32 seconds; /* until the last row, it included */
} SimInput;

/* NULL and an error of "file:line: what" when a file cannot be read or a line is no good. */
SimInput *sim_input_read(const char *guests_path, const char *demand_path, GError **error);
/* The same for who plays it slowly: the rows stay in a file (see sim-spool.h). They have to be in the order
 * of their times. */
SimInput *sim_input_spool(const char *guests_path, const char *demand_path, GError **error);
void sim_input_free(SimInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SimInput, sim_input_free)
