// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inspect: what can be learnt of guests in a given time, of all of them at once: a guest that is dead or
 * stuck costs the deadline once, not once each.
 */
#pragma once

#include "host-vmm/vmctl/guest.h"

typedef enum {
    AGENT_UNKNOWN, /* the monitor did not say, or the guest is not running */
    AGENT_NO_PORT, /* the guest has no agent socket */
    AGENT_CLOSED,  /* nobody in the guest has opened the port */
    AGENT_BUSY,    /* another program is connected to it */
    AGENT_SILENT,  /* opened, but does not answer */
    AGENT_ANSWERS,
} AgentState;

typedef struct GuestReport {
    Guest *guest; /* owned */
    GuestLife life;
    pid_t pid;           /* 0: unknown */
    gint64 uptime;       /* of the monitor's process, s; -1: unknown */
    char *state;         /* QMP's word of query-status, or "no-answer", "starting", "ended", "dead" */
    GError *error;       /* why QMP told nothing, or NULL */
    JsonObject *version; /* what the greeting says, or NULL; these are owned */
    JsonNode *status, *cpus, *chardevs, *memory; /* replies, or NULL: query-status, query-cpus-fast, … */
    AgentState agent;
    JsonNode *agent_info; /* guest-info's reply, or NULL */
} GuestReport;

void guest_report_free(GuestReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestReport, guest_report_free)

/* Takes the guests' ownership. Returns reports (GPtrArray of GuestReport, which frees them) after timeout_ms
 * at the most. */
GPtrArray *inspect_guests(GPtrArray *guests, guint timeout_ms);

/* Number of vCPUs, -1: unknown. */
int guest_report_vcpus(const GuestReport *report);
/* Bytes of guest memory, 0: unknown. */
guint64 guest_report_memory(const GuestReport *report);
/* "yes", "no", "in-use", "no-answer", "no-port" or "unknown". */
const char *guest_report_agent_word(const GuestReport *report);
/* What list and status print in JSON: name, state, pid, vcpus, memory (bytes), agent, uptime (s); null if
 * unknown. Owned. */
JsonObject *guest_report_summary(const GuestReport *report);
