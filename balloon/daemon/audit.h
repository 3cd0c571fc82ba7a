// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit: everything that the policy saw and decided, one JSON object a line, from which the decisions can be
 * computed again bit by bit.
 *
 * A file begins with a "start" line: the configuration, and what the policy remembered where the log goes on
 * from an earlier file. Each "tick" line has the time, the host, who has come and gone, what has changed in
 * what is seen of each guest since the tick before, the decisions that change something, and a check over
 * all of them. The laws beside that of memory have members of their own in each line; law.h says how one is
 * added. docs/balloond.md has the names.
 */
#pragma once

#include <gio/gio.h>

#include "balloon/daemon/fleet.h"

typedef struct Audit Audit;

#define AUDIT_ERROR (audit_error_quark())
GQuark audit_error_quark(void);
typedef enum { AUDIT_ERROR_FILE, AUDIT_ERROR_FORMAT, AUDIT_ERROR_DIFFERS } AuditError;

/* Begins a file; one that is there becomes PATH.1. bytes: beyond that likewise. */
Audit *audit_open(const char *path, gint64 bytes, const Fleet *fleet, GError **error);
void audit_close(Audit *audit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Audit, audit_close)

/* Between a tick's observations and its plan, so that the log has what happened to the places in order. */
void audit_note_come(Audit *audit, const Fleet *fleet, guint place);
void audit_note_gone(Audit *audit, guint place);
void audit_note_forgotten(Audit *audit, guint place);
/* The configuration has changed. */
void audit_note_config(Audit *audit, const Fleet *fleet);
/* After the plan. A line that could not be written is told once by a warning, and a new file is begun when
 * that is possible again. */
void audit_tick(Audit *audit, const Fleet *fleet, gint64 now);

typedef struct AuditReplay {
    guint64 ticks, decisions;
} AuditReplay;
/* Called for each tick after it was computed again; may be NULL. */
typedef void (*AuditReplayFunc)(const Fleet *fleet, gint64 now, gpointer user_data);

/* Computes a log's decisions again. FALSE and "FILE:LINE: …" at the first one that is not the same, or what
 * does not belong there. A last line that was cut off is passed over. */
gboolean audit_replay(const char *path, AuditReplayFunc func, gpointer user_data, AuditReplay *result,
                      GError **error);
