// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-monitor-guest: the conversation with one host-vmm guest for domain-monitor: its QMP socket, its
 * agent, and what the kernel says of its process. Nothing blocks, each step has a deadline, and a guest that
 * has been silent once is only asked for its status until it answers again.
 */
#pragma once

#include "lib/domain-source.h"
#include "lib/qmp-client.h"

typedef struct MonitorGuest MonitorGuest;

/* Something about it has changed; it may be gone. */
typedef void (*MonitorGuestFunc)(gpointer user_data);

/* name: of its folder. changed may be NULL. */
MonitorGuest *monitor_guest_new(const char *name, const char *qmp_path, const char *agent_path,
                                MonitorGuestFunc changed, gpointer user_data);
/* Ends what is going on; those who hold a reference find it without a client. */
void monitor_guest_free(MonitorGuest *guest);
MonitorGuest *monitor_guest_ref(MonitorGuest *guest);
void monitor_guest_unref(MonitorGuest *guest);

/* done is called once, perhaps before this returns; not if the guest is freed. FALSE (and done will not be
 * called): the last one is still going on. */
gboolean monitor_guest_refresh(MonitorGuest *guest, DomainWants wants, guint timeout_ms,
                               MonitorGuestFunc done, gpointer user_data);
/* It has not answered in time last time: others should not wait for it. */
gboolean monitor_guest_is_silent(const MonitorGuest *guest);
/* As it was at the last refresh, borrowed; NULL: nobody is there. */
Domain *monitor_guest_domain(const MonitorGuest *guest);

/* Borrowed; NULL if it is not there. */
QmpClient *monitor_guest_client(const MonitorGuest *guest);
const char *monitor_guest_agent_path(const MonitorGuest *guest);
/* The QOM path of its balloon, borrowed; NULL: it has none that is known. */
const char *monitor_guest_balloon(const MonitorGuest *guest);

/* In domain-monitor-vcpus.c: has the guest's agent put so many of its vCPUs online. task: taken; returns a
 * boolean. */
void monitor_guest_online_vcpus(MonitorGuest *guest, guint count, guint timeout_ms, Pending *task);
/* In domain-monitor-calls.c. task: taken; returns a DomainDetail, or a boolean. */
void monitor_guest_detail(MonitorGuest *guest, guint timeout_ms, Pending *task);
void monitor_guest_act(MonitorGuest *guest, DomainAction action, guint64 value, guint timeout_ms,
                       Pending *task);
