// SPDX-License-Identifier: GPL-2.0-or-later
/* numa-private: what numa.c does, numa-process.c sees of a guest's process, and numa-report.c tells. */
#pragma once

#include "balloon/daemon/nodes.h"
#include "balloon/daemon/numa.h"
#include "balloon/policy-numa.h"

typedef struct NumaThread {
    int id;
    char *setting; /* of NUMA_AFFINITIES */
    guint cpu;     /* that it last ran on */
    gint64 ran_ms;
} NumaThread;

/* What is seen of a guest's process. */
typedef struct NumaSight {
    gint64 rss; /* MiB */
    gint64 resident[POLICY_NUMA_NODES];
    gboolean locked; /* most of it cannot be moved */
    gboolean bound;  /* its owner has bound its memory to nodes */
    char *allowed;   /* nodes that it may use: "0-1" */
    GArray *threads; /* of NumaThread: its vCPUs, or all where none can be told */
} NumaSight;

/* Costs some ms at most. FALSE: it has gone, or may not be looked at. */
gboolean numa_sight_take(NumaSight *sight, const char *root, int pid);
void numa_sight_clear(NumaSight *sight);

/* Moves up to so many MiB of a process's memory to a node, in a child process. cursor: where the one before
 * ended; 0. done is called with what was moved and where that ended (0: it came to the end). NULL: it could
 * not be begun. */
typedef struct NumaMove NumaMove;
typedef void (*NumaMoveFunc)(gint64 moved, guint64 cursor, gpointer user_data);
NumaMove *numa_move_begin(const char *root, int pid, guint node, gint64 mib, guint64 cursor,
                          NumaMoveFunc done, gpointer user_data);
/* It goes on by itself, but nobody is told. */
void numa_move_forget(NumaMove *move);

typedef struct NumaPlace {
    int pid;
    gint64 looked_at;
    GHashTable *ran;         /* thread -> ms that it had run, of the last look */
    GPtrArray *pinned;       /* settings of NUMA_AFFINITIES that were set */
    gboolean owned;          /* its owner has pinned it meanwhile */
    guint64 cursor;          /* of the next slice */
    NumaMove *move;          /* under way */
    struct Numa *numa;       /* for its callback */
    gint64 moved;            /* MiB */
    PolicyNumaDecision last; /* the last that said something */
} NumaPlace;

struct Numa {
    Host *host;
    Keep *keep;
    gboolean dry_run;
    NumaMode mode;
    gint64 sample_ms;
    char *why_not;
    char *online;                  /* nodes: "0-1" */
    char *cpus[POLICY_NUMA_NODES]; /* "0-3"; NULL: no such node */
    GArray *node_of;               /* of guint8: CPU -> node */
    Nodes nodes;                   /* as last looked at */
    GPtrArray *places;             /* of NumaPlace */
    guint next;
    guint64 pins, refused;
    gint64 moved; /* MiB */
};
