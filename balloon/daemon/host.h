// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host: what this machine's kernel says of its memory: /proc/meminfo, /proc/pressure/memory, /proc/vmstat.
 * Tests make up a machine in a folder (root).
 */
#pragma once

#include <gio/gio.h>

#include "balloon/policy.h"

typedef struct HostRates {
    gint64 swapped_in, swapped_out; /* pages a second; POLICY_UNKNOWN: not known (yet) */
    gint64 major_faults;            /* a second */
} HostRates;

typedef struct Host Host;

/* root: "" for this machine. */
Host *host_new(const char *root);
void host_free(Host *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_free)

/* MemAvailable holds no shared memory, so that of guests is not counted as free. now: ms. FALSE and error:
 * /proc/meminfo does not say how much there is and how much of it is available. */
gboolean host_look(Host *host, gint64 now, PolicyHost *seen, HostRates *rates, GError **error);

/* The text of a file such as /proc/meminfo (what is beyond 32 KiB is cut off), until the next one is read;
 * NULL: it is not there, or empty. */
const char *host_read(Host *host, const char *name);
/* The number behind a word that begins a line of a text. */
gboolean host_number(const char *text, const char *word, gint64 *value);
/* Permille of the last 10 s in which some, or all ("full"), tasks waited for "memory", "cpu" or "io";
 * POLICY_UNKNOWN. */
gint32 host_pressure(Host *host, const char *resource, const char *kind);
/* What names of files are below. */
const char *host_root(const Host *host);

/* Calls func from the main context when tasks begin to wait for memory: 50 ms out of 500 ms, or, where the
 * kernel wants a privilege for that, 150 ms out of 2 s (PSI triggers, Documentation/accounting/psi.rst).
 * FALSE: the kernel has none, or root is not this machine; the tick alone is relied on then. */
gboolean host_watch(Host *host, void (*func)(gpointer user_data), gpointer user_data);
