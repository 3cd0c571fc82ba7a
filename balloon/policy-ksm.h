// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy-ksm: when ksmd scans, and how fast, as a pure function of what was seen (see docs/policy.md).
 *
 * The kernel's scanner is off unless there is something new to find: a burst when a guest has grown, a look
 * at what it brought, then silence but for a seldom pass. Like policy_plan() it does no I/O and computes in
 * integers only. Memory is in MiB, shares of something are in permille, time is in ms.
 */
#pragma once

#include <glib.h>

typedef enum {
    POLICY_KSM_OFF,   /* never scan */
    POLICY_KSM_AUTO,  /* while the host is not relaxed */
    POLICY_KSM_ALWAYS /* whenever a guest has grown */
} PolicyKsmMode;

typedef struct PolicyKsmConfig {
    PolicyKsmMode mode;
    gint32 start_permille;  /* of the host's memory: auto mode scans while less is available */
    gint32 short_permille;  /* below: the scanner may use a whole CPU */
    gint32 budget_permille; /* of one CPU, over time */
    gint64 burst_ms;        /* CPU time that a burst may use before that counts */
    gint64 profit_floor;    /* MiB that a second of CPU time must bring for a scan to go on */
    gint64 pass_ms;         /* between two passes while no guest grows */
} PolicyKsmConfig;

void policy_ksm_config_init(PolicyKsmConfig *config);

/* What is seen of the host: /proc/meminfo, /sys/kernel/mm/ksm, ksmd's schedstat. */
typedef struct PolicyKsmHost {
    gint64 total, available; /* MiB */
    gint64 full_scans;       /* passes over all memory since boot */
    gint64 profit;           /* MiB saved, less what the scanner's own tables take; may be negative */
    gint64 cpu_ms;           /* CPU time of ksmd since it started */
    gint64 tracked;          /* MiB that the scanner has in its tables, whosoever they are */
    gint64 scanned;          /* pages that it has looked at since boot; 0: not known */
    gint32 cpu_pressure; /* permille of the last 10 s in which something waited for a CPU; -1: not known */
} PolicyKsmHost;

/* What is seen of a guest's process: /proc/PID/ksm_stat, or its resident size where there is none. */
typedef struct PolicyKsmGuest {
    gboolean counts;  /* runs, and may be merged: not confidential, not opted out */
    gint64 mergeable; /* MiB that the scanner looks at, or would */
    gint64 merged;    /* MiB of them that it has merged */
} PolicyKsmGuest;

typedef struct PolicyKsmGuestState {
    gint64 scanned;      /* MiB of which two whole passes have been made */
    gint64 newer, older; /* MiB that it had at the end of the last pass of this scan, and of that before */
    gint64 merged;       /* when the scan began */
    guint fruitless;     /* scans in a row that merged nothing of what was new */
} PolicyKsmGuestState;

typedef enum {
    POLICY_KSM_QUIET,
    POLICY_KSM_BURST,  /* two whole passes: the first takes checksums, the second merges */
    POLICY_KSM_VERIFY, /* further ones, while they are worth their CPU time */
    POLICY_KSM_PASS,   /* one, now and then */
    POLICY_KSM_PHASES
} PolicyKsmPhase;
const char *policy_ksm_phase_name(PolicyKsmPhase phase);

typedef enum {
    POLICY_KSM_REASON_NONE,
    POLICY_KSM_REASON_GROWN,     /* a guest has grown since it was scanned */
    POLICY_KSM_REASON_DUE,       /* long since the last pass */
    POLICY_KSM_REASON_WORTH,     /* these passes are done: it goes on while it brings something */
    POLICY_KSM_REASON_DONE,      /* it brings no more */
    POLICY_KSM_REASON_FRUITLESS, /* it brought nothing */
    POLICY_KSM_REASON_RELAXED,   /* the host has memory to spare, or the mode is off */
    POLICY_KSM_REASONS
} PolicyKsmReason;
const char *policy_ksm_reason_name(PolicyKsmReason reason);

/* All zeros: nothing was seen yet. */
typedef struct PolicyKsmState {
    gint64 now;
    PolicyKsmPhase phase;
    gint64 since;       /* when the phase began */
    gint64 began_scans; /* full_scans when the scan began */
    gint64 scans;       /* at the last plan */
    gint64 began_cpu, began_profit;
    gint64 seen_scans, seen_cpu, seen_profit; /* when its worth was last looked at */
    gint64 cpu_ms;                            /* at the last plan */
    gint64 credit;                            /* CPU time that may still be used, in 1/1000 ms */
    gint64 rest_until;                        /* no scan before */
    gint64 scanned;                           /* at the last plan */
    gint64 wakes;                             /* of ksmd in 1000 s, as seen; 0: not yet */
    gint32 pages;                             /* for each, as decided; 0: it did not run */
    guint fruitless;                          /* scans in a row that brought nothing */
} PolicyKsmState;

/* What is written to /sys/kernel/mm/ksm: run 1 or 0, pages_to_scan, sleep_millisecs. */
typedef struct PolicyKsmDecision {
    gboolean run;
    gint32 pages, sleep_ms;
    PolicyKsmPhase phase;
    PolicyKsmReason reason; /* of the phase's last change, NONE when it did not change in this step */
} PolicyKsmDecision;

/* One step, every half second or second. `guests` and `states` are arrays of `count`, a guest keeps its place
 * (its state is zeroed by the caller when it goes). now: ms, never goes back. */
void policy_ksm_plan(const PolicyKsmConfig *config, PolicyKsmState *state, const PolicyKsmHost *host,
                     const PolicyKsmGuest *guests, PolicyKsmGuestState *states, guint count, gint64 now,
                     PolicyKsmDecision *decision);
