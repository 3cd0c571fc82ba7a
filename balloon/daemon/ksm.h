// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ksm: the KSM law at work: what /sys/kernel/mm/ksm, ksmd and the guests' processes say goes into its
 * records, and what it decides is written there. What is changed is kept (keep.h) and put back when the law
 * is switched off, or the daemon ends.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "balloon/daemon/fleet.h"
#include "balloon/daemon/host.h"
#include "balloon/daemon/keep.h"
#include "balloon/daemon/settings.h"

typedef struct Ksm Ksm;

extern const KeepKind KSM_SETTINGS;

/* host and keep are borrowed. */
Ksm *ksm_new(Host *host, Keep *keep, gboolean dry_run);
void ksm_free(Ksm *ksm);
/* From now on this holds: the law is switched on or off. active: FALSE if the guests are not of this host. */
void ksm_configure(Ksm *ksm, Fleet *fleet, const Settings *settings, gboolean active);
/* Before the plan: fills the law's records. A bounded number of guests is looked at each time, in turn. */
void ksm_look(Ksm *ksm, Fleet *fleet);
/* After it. paused: nothing is scanned. */
void ksm_act(Ksm *ksm, const Fleet *fleet, gboolean paused);

/* For the status: "ksm"; of one guest: what is seen of it, NULL if nothing is. Text of OpenMetrics. */
JsonObject *ksm_status(const Ksm *ksm, const Fleet *fleet);
JsonObject *ksm_explain(const Fleet *fleet, guint place);
void ksm_metrics(const Ksm *ksm, const Fleet *fleet, GString *out);
