// SPDX-License-Identifier: GPL-2.0-or-later
/* ksm-private: what ksm.c does and ksm-report.c tells. */
#pragma once

#include "balloon/daemon/ksm.h"
#include "balloon/policy-ksm.h"

#define KSM_PAGES_PER_MIB 256 /* of 4 KiB, which is what KSM merges on x86 */

/* A guest's process, as it was when looked at. */
typedef struct KsmProcess {
    int pid;
    gboolean offers; /* some of its memory to the scanner, as far as the kernel tells */
    gint64 asked_at; /* when that was read; 0: never */
} KsmProcess;

struct Ksm {
    Host *host;
    Keep *keep;
    gboolean dry_run;
    PolicyKsmMode mode;
    KsmFixed fixed;
    char *why_not;     /* why nothing is done although the mode is not off */
    int ksmd;          /* its process; 0: not seen */
    GArray *processes; /* of KsmProcess, by place */
    guint next;        /* place that is looked at next */
    gboolean runs;     /* as last written; the scanner at work */
    PolicyKsmDecision done;
    gboolean refused; /* a setting was refused, and that told */
    gint64 acted_at;
    PolicyKsmReason reason; /* of the last change */
    guint64 bursts;
    gint64 sharing; /* pages */
};
