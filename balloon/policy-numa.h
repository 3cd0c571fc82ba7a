// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy-numa: on which node of the host each guest should be, as a pure function of what was seen (see
 * docs/policy.md).
 *
 * A guest that fits a node and works far from its memory is led there when that is worth the moving: its
 * vCPUs first, then its memory, slice by slice. What the kernel does as well is left to the kernel. No I/O,
 * integers only; memory is in MiB, shares of something are in permille, time is in ms.
 */
#pragma once

#include <glib.h>

#define POLICY_NUMA_NODES 64

typedef struct PolicyNumaConfig {
    gint32 local_permille;  /* of a guest's accesses: with fewer to its own node it is looked at */
    gint32 samples;         /* so many times in a row */
    gint32 gain;            /* times that what is won must exceed the cost of moving */
    gint64 horizon_ms;      /* in which it is won */
    gint64 rate;            /* MiB/s at which memory is moved */
    gint64 slice;           /* MiB moved in one step */
    gint32 margin_permille; /* of a guest's need: free on its node beyond it */
    gint32 memory_permille; /* of its CPU time that a guest waits for memory */
    gint64 pause_ms;        /* between two moves of a guest */
    guint in_flight;        /* guests on the move at a time */
    gint32 pressure;        /* permille of time waited for memory, at which no slice is moved */
} PolicyNumaConfig;

void policy_numa_config_init(PolicyNumaConfig *config);

typedef struct PolicyNumaHost {
    guint nodes;
    struct {
        gint64 free; /* MiB that are available */
        gint32 cpus;
        gint32 busy; /* permille of its CPUs */
    } node[POLICY_NUMA_NODES];
    guint8 distance[POLICY_NUMA_NODES][POLICY_NUMA_NODES]; /* as in ACPI's SLIT: 10 is local */
    gboolean balances;                                     /* the kernel's own NUMA balancing is on */
    gint32 psi_some; /* permille of the last 10 s in which something waited for memory; -1: not known */
} PolicyNumaHost;

typedef enum {
    POLICY_NUMA_RUNS = 1 << 0,   /* and is neither paused nor migrating: else nothing is planned for it */
    POLICY_NUMA_LOCKED = 1 << 1, /* its memory cannot be moved: huge pages, locked, given to a device */
    POLICY_NUMA_OWN = 1 << 2,    /* it has nodes of its own, or was placed by its owner: leave it alone */
} PolicyNumaFlags;

typedef struct PolicyNumaGuest {
    guint32 flags; /* PolicyNumaFlags */
    gint64 need;   /* MiB; of PolicyDecision.need */
    gint32 vcpus;
    gint64 resident[POLICY_NUMA_NODES]; /* MiB on each node */
    gint64 ran_ms[POLICY_NUMA_NODES];   /* CPU time of its vCPUs on each node since the last plan */
    gint64 sampled_at;                  /* when that was looked at; a sample is counted once */
} PolicyNumaGuest;

typedef struct PolicyNumaGuestState {
    gint64 sampled_at;
    gint64 period_ms; /* between the last two samples */
    gint32 local;     /* permille of its accesses that stay on their node */
    gint32 samples;   /* in a row in which they were too few */
    gboolean moving;
    gboolean pinned; /* its vCPUs, to node */
    guint node;      /* where to */
    gint64 left;     /* MiB that may still be moved, lest a guest that is not followed is moved for ever */
    gint64 moved_at; /* when a move last began */
} PolicyNumaGuestState;

typedef enum {
    POLICY_NUMA_STAY,
    POLICY_NUMA_PIN,   /* the vCPUs to the node, and new memory from it */
    POLICY_NUMA_MOVE,  /* so many MiB of its memory to the node */
    POLICY_NUMA_UNPIN, /* its vCPUs: back to the kernel */
    POLICY_NUMA_ACTIONS
} PolicyNumaAction;
const char *policy_numa_action_name(PolicyNumaAction action);

typedef enum {
    POLICY_NUMA_REASON_NONE,
    POLICY_NUMA_REASON_LOCAL,   /* it is well where it is */
    POLICY_NUMA_REASON_KERNEL,  /* the kernel balances it, and knows more */
    POLICY_NUMA_REASON_OWNER,   /* its owner has placed it */
    POLICY_NUMA_REASON_NO_ROOM, /* no node has room for it */
    POLICY_NUMA_REASON_COST,    /* moving it would cost more than it brings */
    POLICY_NUMA_REASON_WAITS,   /* for its turn, or for calm */
    POLICY_NUMA_REASON_REMOTE,  /* it works far from its memory */
    POLICY_NUMA_REASON_ARRIVED,
    POLICY_NUMA_REASONS
} PolicyNumaReason;
const char *policy_numa_reason_name(PolicyNumaReason reason);

typedef struct PolicyNumaDecision {
    PolicyNumaAction action;
    PolicyNumaReason reason;
    guint node;
    gint64 mib;
    gint32 local;            /* what it was derived from */
    gint64 gain_ms, cost_ms; /* CPU time */
} PolicyNumaDecision;

/* One step, every second or so; arrays as in policy_plan(). In advise mode the caller only tells what is
 * decided. */
void policy_numa_plan(const PolicyNumaConfig *config, const PolicyNumaHost *host,
                      const PolicyNumaGuest *guests, PolicyNumaGuestState *states,
                      PolicyNumaDecision *decisions, guint count, gint64 now);

/* The nodes that a new guest with so many vCPUs and MiB is best placed on, as a bit mask: one if it fits one,
 * else the nearest that hold it together; 0 if all together do not. */
guint64 policy_numa_place(const PolicyNumaHost *host, gint32 vcpus, gint64 mib);
