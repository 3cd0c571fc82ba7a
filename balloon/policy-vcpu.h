// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy-vcpu: how many vCPUs each guest should have, as a pure function of what was seen (see
 * docs/policy.md).
 *
 * A guest that keeps its vCPUs busy gets more, one that could do with fewer for minutes loses some. No I/O,
 * integers only; shares of something are in permille, time is in ms.
 */
#pragma once

#include <glib.h>

typedef struct PolicyVcpuConfig {
    gint32 up_permille;   /* of its vCPUs' time: busier for up_ms, it gets more */
    gint32 down_permille; /* with fewer vCPUs it would be no busier than this for down_ms: it loses some */
    gint64 up_ms, down_ms;
    gint32 wait_permille;  /* of what its vCPUs want, waiting for a CPU: with more, vCPUs would not help */
    gint32 crowd_permille; /* with more, those that use more than their share are held to it */
    gint64 up_pause_ms;    /* between one addition and the next */
    gint64 down_pause_ms;  /* after any change, before a removal */
    gint32 changes;        /* of a guest in an hour */
    gint64 answer_ms;      /* in which a change is to be seen */
    gint64 refused_ms;     /* after a removal that was refused */
    gint32 host_permille;  /* of the host's CPUs busy: with more, nobody gets vCPUs */
} PolicyVcpuConfig;

void policy_vcpu_config_init(PolicyVcpuConfig *config);

typedef struct PolicyVcpuHost {
    gint32 cpus;
    gint32 busy; /* permille of all of them */
} PolicyVcpuHost;

typedef enum {
    POLICY_VCPU_RUNS = 1 << 0,    /* and is neither paused nor migrating: else nothing is planned for it */
    POLICY_VCPU_PLUGS = 1 << 1,   /* vCPUs can be added */
    POLICY_VCPU_UNPLUGS = 1 << 2, /* and be removed: it has an agent or takes part in unplug */
    POLICY_VCPU_REFUSED = 1 << 3, /* since the last plan it refused a removal */
} PolicyVcpuFlags;

typedef struct PolicyVcpuGuest {
    guint32 flags; /* PolicyVcpuFlags */
    gint32 shares;
    gint32 vcpus, min, max; /* that it has online; limits */
    gint32 granule;         /* vCPUs that come and go together (threads, sockets, nodes); at least 1 */
    gint64 time_ms;         /* CPU time of all its vCPUs since it started */
    gint64 wait_ms;         /* time that they waited for a CPU since it started */
} PolicyVcpuGuest;

typedef struct PolicyVcpuGuestState {
    gboolean known;
    gint64 seen_at; /* by the last plan in which it ran */
    gint64 time_ms, wait_ms;
    gint32 wants;      /* permille of one CPU: runs or waits, smoothed */
    gint32 waits;      /* permille of that, waiting, smoothed */
    gint64 busy_since; /* 0: is not */
    gint64 calm_since; /* could do with fewer; 0: could not */
    gint32 calm_peak;  /* the most it wanted since */
    gint64 added_at, changed_at;
    gint32 added;        /* additions in a row: the first doubles */
    gint32 asked;        /* what it was to have; 0: nothing is under way */
    gint32 had;          /* before */
    gint64 add_after;    /* no addition before, as one was not seen to happen */
    gint64 remove_after; /* no removal before, as one was refused */
    gint32 tokens;       /* changes that it may still make, in 1/1000 */
    gint64 tokens_rest;
    gboolean held; /* has a quota */
    gint64 uncrowded_since;
} PolicyVcpuGuestState;

typedef enum {
    POLICY_VCPU_REASON_NONE,
    POLICY_VCPU_REASON_BUSY,    /* it keeps its vCPUs busy */
    POLICY_VCPU_REASON_CALM,    /* fewer are enough */
    POLICY_VCPU_REASON_LIMITS,  /* it had fewer or more than its limits say */
    POLICY_VCPU_REASON_REFUSED, /* a removal was refused or not seen: taken back */
    POLICY_VCPU_REASON_CROWDED, /* others wait for CPUs while it uses more than its share */
    POLICY_VCPU_REASON_ROOM,    /* nobody waits any more: its quota is lifted */
    POLICY_VCPU_REASONS
} PolicyVcpuReason;
const char *policy_vcpu_reason_name(PolicyVcpuReason reason);

typedef struct PolicyVcpuDecision {
    gint32 vcpus;     /* that it should have */
    gint32 quota;     /* permille of one CPU that all its vCPUs may use together; 0: no limit */
    gboolean changed; /* vcpus is not what it has */
    gboolean quota_changed;
    PolicyVcpuReason reason;
    gint32 wants, waits; /* what it was derived from */
} PolicyVcpuDecision;

/* One step, every second or so; arrays as in policy_plan(). */
void policy_vcpu_plan(const PolicyVcpuConfig *config, const PolicyVcpuHost *host,
                      const PolicyVcpuGuest *guests, PolicyVcpuGuestState *states,
                      PolicyVcpuDecision *decisions, guint count, gint64 now);
