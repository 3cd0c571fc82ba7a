// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy: what each guest's memory should be, as a pure function of what was seen.
 *
 * policy_plan() does no I/O, knows no clock but the one it is given, computes in integers only and depends on
 * nothing but its arguments: the daemon, the simulator and the replay of an audit log run this same object
 * file and get the same answers. Memory is in MiB, shares of something are in permille, time is in ms.
 *
 * docs/policy.md tells the laws and gives the reason of each constant.
 */
#pragma once

#include <glib.h>

#define POLICY_UNKNOWN (-1)

typedef struct PolicyConfig {
    gint32 high_permille; /* of the host's memory: with this much available, guests are given back what was
                             taken */
    gint32
        ease_permille; /* below: what a guest has not needed for a quarter of an hour is taken, bit by bit */
    gint32 soft_permille;  /* below: memory is taken from the guests that need it least */
    gint32 crit_permille;  /* below: from all, down to their minimum */
    gint32 tax_permille;   /* idle tax: what an idle page costs its guest more than one in use */
    gint32 guard_permille; /* of what a guest uses: left free beyond it */
    gint32 min_permille;   /* of a guest's maximum: its minimum when nothing else is said */
    gint32 dark_permille;  /* of its maximum: the floor of a guest that says nothing about its memory */
    gint32 reversals;      /* changes of direction in an hour, times the number of guests */
    gint64 hold_ms;        /* after a guest was given memory, before any is taken from it */
    gint64 probe_ms;       /* between two cuts into memory that a guest uses */
} PolicyConfig;

void policy_config_init(PolicyConfig *config);

/* What is seen of the host at one moment. */
typedef struct PolicyHost {
    gint64 total;     /* MiB */
    gint64 available; /* MiB: without swapping; less what guests hold in shared memory */
    gint32 psi_full;  /* permille of the last 10 s in which all tasks waited for memory; POLICY_UNKNOWN */
} PolicyHost;

/* What a guest does that forbids to act on it. */
typedef enum {
    POLICY_GUEST_RUNS = 1 << 0,    /* else nothing is planned for it */
    POLICY_GUEST_BALLOON = 1 << 1, /* has a balloon device */
    POLICY_GUEST_REPORTS = 1 << 2, /* gives free pages back by itself (free page reporting) */
} PolicyGuestFlags;

/* What is seen of a guest at one moment. A number that is not told is POLICY_UNKNOWN. */
typedef struct PolicyGuest {
    guint32 flags;                  /* PolicyGuestFlags */
    gint32 shares;                  /* its weight beside others; > 0 */
    gint64 max, min;                /* MiB; min 0: PolicyConfig.min_permille decides */
    gint64 actual;                  /* MiB that the balloon leaves it now */
    gint64 rss;                     /* MiB of the host that it holds */
    gint64 cpu_ms;                  /* CPU time of its vCPUs since it started */
    gint64 stats_age;               /* ms since it told the following; POLICY_UNKNOWN: never */
    gint64 usable;                  /* MiB that it could use without swapping */
    gint64 unused;                  /* MiB of those that hold nothing */
    gint64 caches;                  /* MiB of file cache */
    gint64 swapped_in, swapped_out; /* MiB since it started */
    gint64 major_faults;            /* since it started */
} PolicyGuest;

/* How far a guest's own words are believed. */
typedef enum {
    POLICY_TRUST_FULL,
    POLICY_TRUST_STALE,    /* its statistics are too old to act on: it may only be given memory */
    POLICY_TRUST_DARK,     /* never told any */
    POLICY_TRUST_LYING,    /* they contradict what the host sees */
    POLICY_TRUST_NODRIVER, /* it does not follow its balloon */
    POLICY_TRUST_COUNT
} PolicyTrust;
const char *policy_trust_name(PolicyTrust trust);

/* Why a guest has the size that it has. */
typedef enum {
    POLICY_REASON_NONE,      /* nothing was changed */
    POLICY_REASON_ADOPTED,   /* its size was found at the start */
    POLICY_REASON_NEED,      /* it uses more than before */
    POLICY_REASON_PAIN,      /* it swaps or faults */
    POLICY_REASON_MINIMUM,   /* it was below its minimum */
    POLICY_REASON_GIVE_BACK, /* the host has memory to spare again */
    POLICY_REASON_EASE,      /* not needed for a quarter of an hour */
    POLICY_REASON_SOFT,      /* the host is short: not needed for some minutes */
    POLICY_REASON_SHORT,     /* the host is short: not needed now */
    POLICY_REASON_PROBE,     /* the host is short: memory in use that may be cold */
    POLICY_REASON_CRITICAL,  /* the host is about to swap */
    POLICY_REASON_STALLED,   /* its balloon did not follow: taken back */
    POLICY_REASON_COUNT
} PolicyReason;
const char *policy_reason_name(PolicyReason reason);

typedef struct PolicyDecision {
    gint64 target; /* MiB that the balloon should leave it */
    PolicyReason reason;
    gboolean changed; /* else target is what it was */
    /* What it was derived from, for the log and for `explain`. */
    gint64 used, guard, need;
    PolicyTrust trust;
} PolicyDecision;

#define POLICY_PEAKS   80 /* slots of POLICY_PEAK_MS: forty minutes */
#define POLICY_PEAK_MS 30000
#define POLICY_TRACK   32 /* how many past sizes are remembered, one a plan */

/* What the policy remembers of a guest. All zeros: a guest that was not seen before. */
typedef struct PolicyGuestState {
    gboolean known;
    PolicyTrust trust;
    gint64 since;                  /* when it was first seen */
    gint64 target;                 /* last asked for */
    gint64 target_at, target_from; /* when, and its size then */
    /* its size in the last plans, to know which one old statistics were told of */
    struct {
        gint64 at;
        gint64 actual;
    } track[POLICY_TRACK];
    guint track_next;
    gint64 told_at; /* when its last statistics were told */
    gint64 used;    /* MiB, then */
    gint64 usable;
    gint32 peak[POLICY_PEAKS];    /* the most that it used in each slot */
    gint32 hurt[2][POLICY_PEAKS]; /* the largest size at which it hurt in each slot, at rest and at work */
    gint64 peak_slot;             /* number of the slot that is being filled: time / POLICY_PEAK_MS */
    gint64 jump;                  /* MiB it grew by in a reaction time, the most, fading; in 1/16 MiB */
    gint64 swapped_in, swapped_out, major_faults;
    gint64 in_swap;          /* MiB that it has swapped out and may want back */
    gint64 pain;             /* MiB/s that it reads back from swap, smoothed; in 1/16 MiB */
    gint64 hurt_at;          /* when it last was in pain */
    gint64 hurt_since;       /* when the pain began; 0: it has none */
    gint64 grown_at, cut_at; /* when it was last given memory, when some was taken */
    gint64 turned_at;        /* when the direction last changed */
    gint32 direction;        /* of the last change: 1 grown, -1 shrunk */
    gint64 hold;     /* ms: how long it keeps what it was given; longer after cuts that did not last */
    gint64 squeezed; /* it was cut below what it used: its lack of free memory is our doing */
    gint32 failures; /* targets that were not followed in a row */
    gint64 retry_at; /* a guest without a driver is asked again then */
    gint64 cpu_ms, cpu_at;
    gint32 busy;           /* permille of one CPU, smoothed */
    gint32 quick;          /* the same, smoothed less */
    gint32 busiest;        /* the most of busy, fading in an hour */
    gboolean works;        /* its vCPUs are at work, by its own measure */
    gint64 busy_at;        /* when it was not idle */
    gint32 contradictions; /* of its statistics, in a row */
    gint64 doubt_until;
} PolicyGuestState;

typedef struct PolicyState {
    gint64 now;
    gint64 calm_since;         /* when the host last was short; 0: is now */
    gint64 tokens;             /* reversals that the guests together may still make, in 1/1000 */
    gint64 tokens_rest;        /* what was earned of the next thousandth */
    gint64 available, falling; /* at the last plan; MiB/s at which it falls, smoothed, in 1/16 */
} PolicyState;

/*
 * One step, every second or so. `guests`, `states` and `decisions` are arrays of `count`, a guest keeps its
 * place from call to call (its state is zeroed by the caller when it goes); `order` is room for `count`
 * numbers. now: ms, never goes back.
 */
void policy_plan(const PolicyConfig *config, PolicyState *state, const PolicyHost *host,
                 const PolicyGuest *guests, PolicyGuestState *states, PolicyDecision *decisions, guint *order,
                 guint count, gint64 now);
