// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-source: where guests are learnt of: a libvirt connection, or the host-vmm guests of this machine.
 *
 * A source lives on the thread-default main context in which it was made; all its callbacks come from there,
 * and nothing here blocks. A program with libvirt sources has to run GLib's default main context, which is
 * where libvirt puts its own. Each call has a deadline. A source that has lost its hypervisor goes on trying
 * to reach it at each refresh, with pauses that grow to 10 s.
 */
#pragma once

#include "lib/domain.h"
#include "lib/pending.h"

typedef struct DomainSource DomainSource;

#define DOMAIN_SOURCE_ERROR (domain_source_error_quark())
GQuark domain_source_error_quark(void);
typedef enum {
    DOMAIN_SOURCE_ERROR_UNREACHABLE, /* the hypervisor is not there (any more), or does not let us in */
    DOMAIN_SOURCE_ERROR_NO_DOMAIN,   /* no such guest */
    DOMAIN_SOURCE_ERROR_FAILED,      /* it said no */
    DOMAIN_SOURCE_ERROR_TIMEOUT,     /* no answer in time */
    DOMAIN_SOURCE_ERROR_BUSY,        /* an earlier call has not come back yet: its connection is stuck */
    DOMAIN_SOURCE_ERROR_UNSUPPORTED, /* not with this kind of source, or built without it */
} DomainSourceError;

typedef enum {
    DOMAIN_SOURCE_DEFAULT = 0,
    DOMAIN_SOURCE_WRITABLE =
        1 << 0, /* domain_source_act_async() is wanted; libvirt connections are read-only else */
} DomainSourceFlags;

/* Any libvirt URI; NULL: libvirt's default. Connects at the first refresh. NULL and UNSUPPORTED if built
 * without libvirt, or its library is not installed. */
DomainSource *domain_source_new_libvirt(const char *uri, DomainSourceFlags flags, GError **error);
/* The same with a name and a password for those drivers and transports that ask for them; both are copied. */
DomainSource *domain_source_new_libvirt_login(const char *uri, DomainSourceFlags flags, const char *user,
                                              const char *password, GError **error);
/* The host-vmm guests below a runtime folder; NULL: runtime_dir_path(). */
DomainSource *domain_source_new_monitor(const char *folder);
/* What is pending fails with CANCELLED. Waits a second at most for a libvirt connection to
 * close; a call that hangs is left behind. */
void domain_source_free(DomainSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainSource, domain_source_free)

/* How messages name it: the URI, or "host-vmm". */
const char *domain_source_label(DomainSource *source);
/* libvirt's URI, with the default resolved once it is connected; NULL for other sources. */
const char *domain_source_uri(DomainSource *source);

typedef enum {
    DOMAIN_SOURCE_CHANGED,      /* guests have come, gone, or changed their state: worth a refresh */
    DOMAIN_SOURCE_DISCONNECTED, /* the hypervisor has gone; what is known is old */
} DomainSourceEvent;
typedef void (*DomainSourceFunc)(DomainSource *source, DomainSourceEvent event, gpointer user_data);
void domain_source_set_func(DomainSource *source, DomainSourceFunc func, gpointer user_data);

/* What a snapshot should hold beyond state, CPU time and memory. What comes in one answer anyway comes
 * regardless. */
typedef enum {
    DOMAIN_WANT_BLOCKS = 1 << 0,
    DOMAIN_WANT_NICS = 1 << 1,
    DOMAIN_WANT_VCPUS = 1 << 2,
    DOMAIN_WANT_PCPUS = 1 << 3, /* DomainVcpu.cpu: one more call for each guest with libvirt */
    DOMAIN_WANT_ALL = 7,
    /* Alone: only who the guests are and their states, for thousands of them by a few calls; and who the host
     * is: its uuid and sockets. */
    DOMAIN_WANT_IDENTITY = 1 << 4,
} DomainWants;

/* first: UUIDs (NULL-terminated, may be NULL) whose devices are asked for first, where a driver has to be
 * asked for each: then 64 guests are asked at a refresh, in turn, and the others come without that part. */
void domain_source_refresh_async(DomainSource *source, DomainWants wants, const char *const *first,
                                 guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback,
                                 gpointer user_data);
DomainSnapshot *domain_source_refresh_finish(GAsyncResult *result, GError **error);

void domain_source_detail_async(DomainSource *source, const char *uuid, guint timeout_ms,
                                GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
DomainDetail *domain_source_detail_finish(GAsyncResult *result, GError **error);

typedef enum {
    DOMAIN_ACTION_PAUSE,
    DOMAIN_ACTION_RESUME,
    DOMAIN_ACTION_SHUTDOWN,         /* the power button */
    DOMAIN_ACTION_SET_VCPUS,        /* value: how many. The guest may take its time to give one back */
    DOMAIN_ACTION_ONLINE_VCPUS,     /* value: how many the guest is to use, asked of its agent */
    DOMAIN_ACTION_SET_BALLOON,      /* value: KiB */
    DOMAIN_ACTION_SET_STATS_PERIOD, /* value: s between the statistics that its balloon driver tells */
} DomainAction;

void domain_source_act_async(DomainSource *source, const char *uuid, DomainAction action, guint64 value,
                             guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data);
gboolean domain_source_act_finish(GAsyncResult *result, GError **error);

/* ---- for implementations ---- */

typedef struct DomainSourceClass {
    void (*refresh)(DomainSource *source, DomainWants wants, const char *const *first, guint timeout_ms,
                    Pending *task);
    void (*detail)(DomainSource *source, const char *uuid, guint timeout_ms, Pending *task);
    void (*act)(DomainSource *source, const char *uuid, DomainAction action, guint64 value, guint timeout_ms,
                Pending *task);
    void (*free)(DomainSource *source);
} DomainSourceClass; /* each takes the task */

struct DomainSource {
    const DomainSourceClass *class;
    char *label;
    char *uri;
    DomainSourceFunc func;
    gpointer func_data;
};

void domain_source_emit(DomainSource *source, DomainSourceEvent event);
