// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-libvirt: the files that know libvirt share this: domain-libvirt.c has the connection, one guest's
 * page and actions; domain-libvirt-refresh.c the statistics of all guests; domain-libvirt-list.c just who
 * they are, and who the host is. All of it belongs to the worker's thread.
 */
#pragma once

#include "lib/domain-fields.h"
#include "lib/domain-worker.h"
#include "lib/libvirt-api.h"

typedef struct Connection {
    DomainWorker *worker;
    char *uri, *user, *password;
    gboolean writable;
    virConnectPtr connection;
    int lifecycle_callback; /* < 0: the driver tells no events */
    gboolean is_new;
    DomainHost *host;
    gboolean identified; /* the host's capabilities were asked for */
    /* for refreshes */
    gboolean asks_each;  /* not QEMU, where a busy guest would hold us up: what the bulk record lacks is asked
                            for */
    gboolean no_nowait;  /* the driver does not know the flag */
    gboolean no_bulk;    /* the driver has no bulk statistics, or nothing but the state in them */
    guint bulk_parts;    /* parts that a bulk record has had */
    guint turn;          /* where the next round of device questions begins */
    GHashTable *devices; /* uuid -> DomainXml, for them */
    GPtrArray *last;     /* of Domain: the last refresh's */
    GPtrArray *handles;  /* of virDomainPtr, for the same ones, if they were listed */
    guint changes;       /* of events, before they were listed */
    gint64 listed_at;
    DomainFieldsHint *hint;
    /* */
    gint64 retry_at, pause;
    char *why;
} Connection;

/* What the connection remembers of guests, when it is made and when it is lost. */
void domain_libvirt_forget(Connection *self);
/* NULL: the reason is in libvirt's last error. */
DomainSnapshot *domain_libvirt_refresh(Connection *self, const DomainJob *job);
guint64 domain_libvirt_number(const virTypedParameter *parameter);
Domain *domain_libvirt_new_domain(virDomainPtr handle);
/* DOMAIN_WANT_IDENTITY. NULL: libvirt's last error. */
DomainSnapshot *domain_libvirt_list(Connection *self);
/* Opens a connection, with a password if there is one. NULL: libvirt's last error. */
virConnectPtr domain_libvirt_open(const Connection *self);
