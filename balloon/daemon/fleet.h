// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fleet: the guests that the policy plans for, each in a place of its own that it keeps, and one step of the
 * policy over all of them. The daemon and the replay of its log both work on this, so that they cannot
 * differ.
 */
#pragma once

#include "balloon/daemon/law.h"
#include "balloon/policy.h"

#define FLEET_MAX 65536

/* What the daemon knows of a guest beside what the policy sees. */
typedef struct FleetGuest {
    char *key;  /* source and uuid */
    char *name; /* its owner's, for people */
    char *uuid;
    gpointer source; /* who it was learnt from */
    gint64 updated;  /* the time that its last statistics bear, s since 1970 */
    gint64 told_at;  /* the same in the policy's clock, ms */
    gint64 seen_at;
    gint64 looked_at; /* when its monitor last answered; 0: never */
    int pid;          /* its monitor's process on this machine; 0: not known */
    int id;           /* of this run of it: another one is another life */
    gint64 whole;     /* MiB that it could have */
    gboolean runs;
    gboolean paused;           /* by a person */
    gboolean unmanaged;        /* by the configuration */
    gboolean no_ksm;           /* likewise: what it has is not worth a scan */
    gint32 vcpu_min, vcpu_max; /* by the configuration; 0: not said */
    gboolean no_numa;          /* likewise: it is not led to a node */
    gboolean lives;            /* is not paused, as far as is known; its monitor may be silent */
    char *class;
    gboolean has_period;         /* its driver was asked for statistics */
    PolicyReason reason;         /* of its last change */
    gint64 changed_at, was, now; /* when; from and to, MiB */
    guint64 changes;
    guint64 refused; /* changes that its hypervisor refused */
} FleetGuest;

/* The laws beside that of memory. */
typedef enum { FLEET_KSM, FLEET_VCPU, FLEET_NUMA, FLEET_LAWS } FleetLaw;
extern const LawClass *const FLEET_CLASSES[FLEET_LAWS];

typedef struct Fleet {
    PolicyConfig config;
    PolicyState state;
    PolicyHost host;
    gboolean dry_run; /* nothing is done: what was planned is forgotten at once */
    guint count;      /* places; those in between may be empty */
    guint room;
    FleetGuest *places; /* key NULL: an empty one */
    PolicyGuest *guests;
    PolicyGuestState *states;
    PolicyDecision *decisions;
    guint *order;
    GHashTable *index; /* key -> place + 1 */
    Law laws[FLEET_LAWS];
} Fleet;

void fleet_init(Fleet *fleet, const PolicyConfig *config);
void fleet_clear(Fleet *fleet);
/* Its place; -1: it is not there. */
gint fleet_find(const Fleet *fleet, const char *key);
/* Gives a new guest the first empty place. -1: there are FLEET_MAX. */
gint fleet_add(Fleet *fleet, const char *key, const char *name);
/* The same at a place that is told. FALSE if it is taken, or too far. */
gboolean fleet_add_at(Fleet *fleet, guint place, const char *key, const char *name);
void fleet_remove(Fleet *fleet, guint place);
/* The policy begins anew with this guest, at the size that it has. */
void fleet_forget(Fleet *fleet, guint place);
/* config NULL: that law is off. */
void fleet_set_law(Fleet *fleet, FleetLaw number, gconstpointer config);
/* One step of the policy, and of each law that is on, at `now`, ms. */
void fleet_plan(Fleet *fleet, gint64 now);
/* A number made of all decisions and states of the memory law (law_check() is that of others): two runs that
 * agree in it went the same way. */
guint64 fleet_check(const Fleet *fleet);
