// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * freeze-hooks: what has to be told before file systems are frozen and after they are thawed (databases): a
 * program, or the programs of a folder, called with the one argument "freeze" or "thaw".
 *
 * In a folder they are called by name in order, for a thaw backwards; files that are not executable, and the
 * left-overs of editors and package managers (~ .bak .orig .rpm* .dpkg-* .sample), are passed over.
 */
#pragma once

#include <gio/gio.h>

/* error (taken): the first hook that failed, or took too long. */
typedef void (*FreezeHooksFunc)(GError *error, gpointer user_data);

/* Calls one after the other. One that fails at "freeze" ends the row, and those that were called before it
 * are called with "thaw"; at "thaw" the others are called all the same. path NULL: there are none; a program
 * that cannot be called is an error, a folder that is not there is not. timeout_ms 0: no limit. done is
 * called from the main loop. */
void freeze_hooks_run(const char *path, gboolean thaw, guint timeout_ms, FreezeHooksFunc done,
                      gpointer user_data);
/* Starts all with "thaw" and waits for none: when the agent is ending. */
void freeze_hooks_start_thaw(const char *path);
