// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit: what the host made the agent do, for the guest's administrator: lines in the system log, at level
 * info, whatever the log level of the agent's own log. Never holds input data, environments or passwords.
 *
 * Own and not syslog(3): that one blocks while the system's logger does not read, and the logger of a guest
 * whose file systems are frozen does not.
 */
#pragma once

#include <glib.h>

typedef struct Audit Audit;

Audit *audit_new(void);
void audit_free(Audit *audit);
/* Sends a line (control characters escaped, cut at 1 KiB) and gives it to the agent's log as well (g_info).
 * Lost if there is no logger. */
void audit_log(Audit *audit, const char *format, ...) G_GNUC_PRINTF(2, 3);
