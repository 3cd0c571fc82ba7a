// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * destination: one owner at one entitlement server (or this machine's own consumer), and what it has been
 * told.
 *
 * A report goes out when it differs from the last one that the server took, at once; a heartbeat once an
 * interval. Errors are tried again with pauses that double, from 15 s to 10 min, 25 % up or down by chance;
 * Retry-After is kept to the second; what the server refuses for good (4xx) waits for the interval. While a
 * job that the server has made of a report has not ended, the next report waits, for 15 min at most.
 *
 * Knows neither HTTP nor GLib's clock: see transport.h, clock.h.
 */
#pragma once

#include "virt-who/clock.h"
#include "virt-who/transport.h"

typedef struct Destination Destination;

typedef enum { DESTINATION_HOSTS, DESTINATION_LIST } DestinationKind;

/* How the body is to be written. */
typedef enum {
    DESTINATION_BODY_USUAL,
    DESTINATION_BODY_MAP,   /* hosts: for a server without hypervisors_async */
    DESTINATION_BODY_PLAIN, /* list: guests are UUIDs only */
} DestinationBody;

typedef struct DestinationFuncs {
    void (*write)(Destination *destination, DestinationBody how, GString *out, gpointer user_data);
    /* Something of DestinationState is new: to be kept, before anything else is done. */
    void (*changed)(Destination *destination, gpointer user_data);
    /* There is nothing to do just now. ok: all that was to be sent was taken, and its job has not failed. */
    void (*idle)(Destination *destination, gboolean ok, gpointer user_data);
} DestinationFuncs;

/* What survives the process. Strings are owned. */
typedef struct DestinationState {
    char *hash;     /* of the report that was taken last; NULL: none */
    gint64 sent;    /* when, seconds since 1970 */
    char *job;      /* that is not known to have ended; NULL: none */
    char *last_job; /* the last one's id, and how it ended; NULL: not known */
    char *job_state;
    guint hosts, guests; /* of that report */
    /* not kept */
    gint64 heartbeat;                  /* when the server took the last one */
    guint failures;                    /* in a row */
    guint64 reports, requests, errors; /* since the start */
    char *problem;                     /* the last one; NULL: all is well */
    gint64 next;                       /* when is tried again; 0: nothing is planned */
} DestinationState;

void destination_state_clear(DestinationState *state);

typedef struct DestinationOptions {
    DestinationKind kind;
    const char *name;  /* of its sections, for messages */
    const char *owner; /* NULL: no heartbeat, and hosts cannot be told */
    const char *reporter_id;
    guint interval;   /* seconds */
    gboolean oneshot; /* never tries again; follows its job for a minute */
} DestinationOptions;

/* transport, state's strings: taken. */
Destination *destination_new(const DestinationOptions *options, Transport *transport, Clock *clock,
                             DestinationState *state, const DestinationFuncs *funcs, gpointer user_data);
void destination_free(Destination *destination);

/* A report is there; hash: of its body. force: sends it though the server has had it. */
void destination_offer(Destination *destination, const char *hash, guint hosts, guint guests, gboolean force);
/* The mapping has become empty: nothing is sent, and the next report is sent whatever it is. */
void destination_forget(Destination *destination);
/* To be called once an interval. */
void destination_beat(Destination *destination);
/* Asks /status and for a heartbeat only; then idle() is called. */
void destination_probe(Destination *destination);

const DestinationState *destination_state(const Destination *destination);
const char *destination_name(const Destination *destination);
