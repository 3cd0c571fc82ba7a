// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings: balloond's configuration file (a GKeyFile), read as a whole or refused as a whole.
 *
 * Groups: [host] [balloon] [ksm] [vcpu] [numa] [audit] [status] [control], and any number of [class NAME],
 * [guest NAME] and [connect NAME]. What is not there has its default. Every problem is told as "FILE:LINE:
 * reason": keys and groups that are not known, twice there, values without a unit or out of range, marks in
 * the wrong order.
 */
#pragma once

#include "balloon/policy-ksm.h"
#include "balloon/policy-numa.h"
#include "balloon/policy-vcpu.h"
#include "balloon/policy.h"

/* A part of a guest's maximum: permille of it, or MiB where permille is 0. Both 0: not said. */
typedef struct Amount {
    gint32 permille;
    gint64 mib;
} Amount;

/* A [class NAME] or a [guest NAME]. */
typedef struct Rule {
    char *name;
    char **match; /* a class: patterns of guests' names, with * and ? */
    Amount min, max;
    gint32 shares;             /* 0: not said */
    gboolean manage;           /* else its size is left as it is */
    gboolean ksm;              /* what it has is worth a scan */
    gint32 vcpu_min, vcpu_max; /* 0: not said */
    gboolean numa;             /* it may be led to a node */
} Rule;

typedef enum { VCPU_OFF, VCPU_ADVISE, VCPU_ACT } VcpuMode;

typedef enum { CONNECT_LIBVIRT, CONNECT_MONITOR, CONNECT_FAKE } ConnectType;

typedef struct Connect {
    char *name;
    char *type_word;
    ConnectType type;
    char *uri;             /* libvirt; NULL: libvirt's default */
    char *folder;          /* host-vmm; NULL: its runtime folder */
    char *guests, *demand; /* fake: a simulator's files */
    gint64 memory;         /* fake: bytes of its host */
} Connect;

/* Settings of /sys/kernel/mm/ksm that hold while the daemon runs; -1: left as they are. */
typedef struct KsmFixed {
    gint32 smart_scan, use_zero_pages, merge_across_nodes; /* 0 or 1 */
    gint32 max_page_sharing;
} KsmFixed;

typedef enum { NUMA_OFF, NUMA_ADVISE, NUMA_ACT } NumaMode;

typedef struct Settings {
    PolicyConfig policy;
    PolicyKsmConfig ksm;
    KsmFixed ksm_fixed;
    NumaMode numa_mode;
    PolicyNumaConfig numa;
    gint64 numa_sample_ms; /* between two looks at where a guest's memory is */
    PolicyVcpuConfig vcpu;
    gint32 vcpu_mode; /* VcpuMode */
    gint64 tick_ms;
    gint64 stats_ms;    /* how often guests tell their statistics; whole seconds */
    char *audit_file;   /* NULL: none is written */
    gint64 audit_bytes; /* the file is begun anew beyond that, with one before it kept */
    char *status_file, *metrics_file;
    gint64 status_ms;
    char *socket;
    gint32 control_uid;          /* who may control the daemon, beside root and its own user; -1: nobody */
    GPtrArray *classes, *guests; /* of Rule */
    GPtrArray *connects;         /* of Connect; never empty */
} Settings;

#define SETTINGS_ERROR (settings_error_quark())
GQuark settings_error_quark(void);
typedef enum { SETTINGS_ERROR_UNREADABLE, SETTINGS_ERROR_WRONG } SettingsError;

/* The defaults: what an empty file says. */
Settings *settings_new(void);
/* NULL and all that is wrong, a line each. */
Settings *settings_parse(const char *path, const char *text, GError **error);
Settings *settings_read(const char *path, GError **error);
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/* What holds for a guest: its [guest], for what that does not say its first [class] that matches, for the
 * rest the defaults. max is the most that it may have and is cut; min 0: the policy's own. */
typedef struct Terms {
    const char *class; /* NULL: none */
    gint64 max, min;   /* MiB */
    gint32 shares;
    gboolean manage;
    gboolean ksm, numa;
    gint32 vcpu_min, vcpu_max; /* 0: not said */
} Terms;
Terms settings_terms(const Settings *settings, const char *guest, gint64 max);
