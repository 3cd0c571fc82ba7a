// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * engine: sources on one side, destinations on the other. Sections with the same owner at the same server
 * share a destination, and their hosts go out as one report. An event of a source is collected for two
 * seconds, so that a boot storm is one report.
 */
#pragma once

#include "virt-who/conf.h"
#include "virt-who/destination.h"
#include "virt-who/source.h"
#include "virt-who/state.h"

typedef struct Engine Engine;

typedef struct EngineItem {
    Engine *engine;
    const Conf *config;
    Source *source;
    struct EngineTarget *target; /* NULL: its report cannot be sent */
    Report *report;              /* the last good one; NULL: none yet */
    gboolean known;              /* has answered, well or not */
    char *problem;               /* of the last gathering; NULL: it was good */
    guint failures;
    gboolean gathering, again;
    guint timer;
} EngineItem;

typedef struct EngineTarget {
    Engine *engine;
    DestinationKind kind;
    char *name, *fingerprint, *label;
    const char *owner;
    GPtrArray *items; /* of EngineItem, borrowed */
    Destination *destination;
    GHashTable *doubles; /* ids that were told of */
    gboolean force, idle, ok;
    guint resend_timer;
} EngineTarget;

typedef struct EngineOptions {
    gboolean gather_only; /* --print: no destinations */
    gboolean oneshot;
    gboolean probe; /* --status: sources are asked, servers are probed, nothing is sent */
    gboolean force; /* what was sent before is sent again */
} EngineOptions;

/* done: all sources have answered and all destinations are idle; only once, and not in the daemon. changed:
 * something that a status shows. */
typedef struct EngineFuncs {
    void (*done)(Engine *engine, gpointer user_data);
    void (*changed)(Engine *engine, gpointer user_data);
} EngineFuncs;

struct Engine {
    const ConfSet *set;
    const Paths *paths;
    State *state;
    Clock *clock;
    EngineOptions options;
    EngineFuncs funcs;
    gpointer user_data;
    GPtrArray *items;   /* of EngineItem */
    GPtrArray *targets; /* of EngineTarget */
    guint timer, done_timer;
    gint64 started;
    guint64 gathered; /* reports */
    gboolean done;
};

/* All but funcs are borrowed. */
Engine *engine_new(const ConfSet *set, const Paths *paths, State *state, const EngineOptions *options,
                   const EngineFuncs *funcs, gpointer user_data);
void engine_free(Engine *engine);
void engine_start(Engine *engine);
/* Whether every source and every destination has done well. */
gboolean engine_is_good(const Engine *engine);
