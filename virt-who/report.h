// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report: what a source has found, and how it is written: hosts with their guests, or just the guests of this
 * machine.
 */
#pragma once

#include <gio/gio.h>

typedef struct ReportGuest {
    char *uuid;
    const char *type; /* interned: virtWhoType */
    int state;        /* libvirt's virDomainState, 0 to 7 */
} ReportGuest;

typedef struct ReportHost {
    char *id;       /* NULL: not known (guest lists only) */
    char *name;     /* NULL: none */
    char *machine;  /* the fact dmi.system.uuid; NULL: not told */
    char *facts;    /* a JSON object; NULL: none */
    GArray *guests; /* of ReportGuest */
} ReportHost;

typedef struct Report {
    gatomicrefcount references;
    gboolean is_list; /* one host, this machine, whose guests go to its own consumer */
    GPtrArray *hosts; /* of ReportHost */
} Report;

Report *report_new(gboolean is_list);
Report *report_ref(Report *report);
void report_unref(Report *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Report, report_unref)

/* Borrowed; id may be NULL. */
ReportHost *report_add_host(Report *report, const char *id, const char *name);
void report_host_add_guest(ReportHost *host, const char *uuid, const char *type, int state);
guint report_count_guests(const GPtrArray *hosts);

/* The hosts of several reports, borrowed, sorted by id. An id that is there twice: if both are the same
 * machine (dmi.system.uuid, else name) its guests are merged, else the first one stays. owned: keeps what was
 * merged; doubles: of char *, gets the ids of different machines. */
GPtrArray *report_merge(Report *const *reports, guint count, GPtrArray **owned, GPtrArray *doubles);

/* The guests of all of them as those of one machine. */
Report *report_join(Report *const *reports, guint count);

/* {"hypervisors": […]}; sorted: guests in the order of their ids, for the wire. */
void report_write_hosts(const GPtrArray *hosts, gboolean sorted, GString *out);
/* {"guestIds": […]} and the id of the host, if it is known; plain: guests are written as UUIDs only. */
void report_write_list(const ReportHost *host, gboolean sorted, gboolean plain, GString *out);
/* {ID: [guest…]…}, for servers before hypervisors_async. */
void report_write_map(const GPtrArray *hosts, GString *out);
void report_write_string(const char *text, GString *out);
/* One line of JSON as Python writes it with an indent of 4. */
char *report_indent(const char *json);
