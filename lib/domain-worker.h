// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-worker: a DomainSource made of calls that block: they are done one after the other in a thread of
 * their own, and the caller's thread keeps the deadlines. While a call is overdue, others are refused at
 * once; a snapshot that comes too late is the next refresh's answer.
 */
#pragma once

#include "lib/domain-source.h"

typedef struct DomainWorker DomainWorker;

typedef struct DomainJob {
    DomainWants wants;
    char **first; /* may be NULL */
    char *uuid;
    DomainAction action;
    guint64 value;
} DomainJob;

/* All but renew are called from the worker's thread only, free last. */
typedef struct DomainBlocking {
    DomainSnapshot *(*refresh)(gpointer self, const DomainJob *job, GError **error);
    DomainDetail *(*detail)(gpointer self, const DomainJob *job, GError **error);
    gboolean (*act)(gpointer self, const DomainJob *job, GError **error);
    /* Owned; NULL: has not changed. Becomes domain_source_uri(). */
    char *(*new_uri)(gpointer self);
    void (*free)(gpointer self);
    /* Another one that has the same to do, with a connection of its own, while this one is in a call that
     * does not come back: only what never changes may be read of it. From the source's thread. NULL: not
     * possible. */
    gpointer (*renew)(gpointer self, DomainWorker *worker);
} DomainBlocking;

/* For the implementation, that emits events with it. self is to be set before the first refresh. */
DomainSource *domain_worker_new(const DomainBlocking *blocking, const char *label, DomainWorker **worker);
void domain_worker_set_self(DomainWorker *worker, gpointer self);
DomainWorker *domain_worker_ref(DomainWorker *worker);
void domain_worker_unref(gpointer worker);
/* From any thread; comes in the source's. */
void domain_worker_emit(DomainWorker *worker, DomainSourceEvent event);
/* How many DOMAIN_SOURCE_CHANGED have been emitted. From any thread. */
guint domain_worker_changes(DomainWorker *worker);
