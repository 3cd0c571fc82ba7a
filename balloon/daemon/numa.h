// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * numa: the NUMA law at work: where guests' memory and vCPUs are goes into its records; what it decides is
 * told (advise) or done (act): the affinity of vCPUs' threads, which is kept (keep.h) and put back, and pages
 * that are moved by a child process, a slice at a time.
 *
 * sched_setaffinity(2) and move_pages(2) rather than libvirt's calls or cgroups: they work alike for all
 * guests of this host, are undone by the same means after a crash, and leave no trace in the owner's
 * configuration. When the owner pins a guest meanwhile, that is seen and stays.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "balloon/daemon/fleet.h"
#include "balloon/daemon/host.h"
#include "balloon/daemon/keep.h"
#include "balloon/daemon/settings.h"

typedef struct Numa Numa;

/* The CPUs that a thread may run on: "PID/TID/START", START the time at which it was started (proc(5)). */
extern const KeepKind NUMA_AFFINITIES;

/* host and keep are borrowed. */
Numa *numa_new(Host *host, Keep *keep, gboolean dry_run);
void numa_free(Numa *numa);
/* From now on this holds: the law is switched on or off. active: FALSE if the guests are not of this host. */
void numa_configure(Numa *numa, Fleet *fleet, const Settings *settings, gboolean active);
/* Before the plan: fills the law's records; one guest at most is looked at each time. */
void numa_look(Numa *numa, Fleet *fleet, gint64 now, gboolean paused);
/* After it. */
void numa_act(Numa *numa, Fleet *fleet);
/* Before a place is given up. */
void numa_forget(Numa *numa, guint place);

/* For the status: "numa"; of one guest, NULL if nothing is known. Text of OpenMetrics. */
JsonObject *numa_status(const Numa *numa, const Fleet *fleet);
JsonObject *numa_explain(const Numa *numa, const Fleet *fleet, guint place);
void numa_metrics(const Numa *numa, const Fleet *fleet, GString *out);
