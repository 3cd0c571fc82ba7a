// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vcpus: the vCPU law at work: what guests' vCPUs did goes into its records, and what it decides is done: a
 * vCPU is plugged and put online by the guest's agent; or put offline by the agent and then unplugged. Each
 * step has a deadline, and a guest that refuses one is told to the law, which backs off.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "balloon/daemon/fleet.h"
#include "balloon/daemon/host.h"
#include "balloon/daemon/settings.h"
#include "lib/domain-source.h"

typedef struct Vcpus Vcpus;

/* Where a guest's actions go; NULL: its source is not there now. */
typedef DomainSource *(*VcpusSourceFunc)(const FleetGuest *guest);

/* fleet and host are borrowed. acting: counts calls that have not come back. */
Vcpus *vcpus_new(Fleet *fleet, Host *host, VcpusSourceFunc source_of, guint *acting);
/* After all calls have come back. */
void vcpus_free(Vcpus *vcpus);
/* From now on this holds: the law is switched on or off. active: FALSE if the guests are not of this host. */
void vcpus_configure(Vcpus *vcpus, const Settings *settings, gboolean active, gboolean dry_run);
/* What sources have to be asked for. */
DomainWants vcpus_wants(const Vcpus *vcpus);
/* A guest as its source tells it. */
void vcpus_take(Vcpus *vcpus, guint place, const Domain *domain);
/* Before the plan, and after it. */
void vcpus_look(Vcpus *vcpus, gint64 now);
void vcpus_act(Vcpus *vcpus);

/* For the status: "vcpu"; of one guest: what is seen of it, NULL if nothing is. Text of OpenMetrics. */
JsonObject *vcpus_status(const Vcpus *vcpus);
JsonObject *vcpus_explain(const Vcpus *vcpus, guint place, gint64 now);
void vcpus_metrics(const Vcpus *vcpus, GString *out);
