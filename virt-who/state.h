// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * state: what virt-who remembers from one start to the next: run_data.json, in upstream's shape with members
 * of our own. It is replaced as a whole and synced, so that a process killed at any moment leaves the old one
 * or the new.
 */
#pragma once

#include "virt-who/destination.h"

typedef struct State State;

typedef struct StateSource {
    gint64 retrieved; /* seconds since 1970; 0: never */
    guint hypervisors, guests;
    GHashTable *ids; /* of hosts: machine or name -> the id it was reported by */
} StateSource;

/* An absent or broken file is an empty state (broken: told). */
State *state_load(const char *path);
void state_free(State *state);
/* FALSE: could not be written, which is told once. */
gboolean state_save(State *state);

/* Made if it is not there; borrowed. */
StateSource *state_source(State *state, const char *name);
/* What was kept of a destination, if it is the same one (fingerprint); owned by the caller. */
DestinationState state_take_destination(const State *state, const char *name, const char *fingerprint);
/* When the last report was sent to it, and its job; 0, NULL: never. */
gint64 state_last_sent(const State *state, const char *name, const char **job, const char **job_state);
void state_set_destination(State *state, const char *name, const char *fingerprint,
                           const DestinationState *destination);
/* "2026-11-21 23:48:25 UTC"; NULL for 0. Owned. */
char *state_time(gint64 seconds);
