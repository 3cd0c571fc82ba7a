// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon: the process itself: signals that end it, descriptors it was started with, the background, the pid
 * file.
 */
#pragma once

#include <gio/gio.h>

typedef struct Daemon Daemon;

/* To be called first thing: descriptors 0-2 are open, others do not go to our children, PATH is set. SIGTERM
 * and SIGINT are blocked already then: they are since before any library was initialised, and only ever read
 * from a descriptor, so that they cannot come at a bad moment. */
void daemon_prepare_process(void);

/* With `background`, the process that returns is a child in a session of its own with umask 0077 in "/"; the
 * parent waits for daemon_ready() or the child's end and exits with 0 or 1. */
Daemon *daemon_begin(gboolean background, GError **error);
/* Makes and locks the pid file, once; in the background the path must be absolute. */
gboolean daemon_make_pid_file(Daemon *daemon, const char *path, GError **error);
/* All that could fail at the start has not: the parent may go. */
void daemon_ready(Daemon *daemon);
/* Calls func from the main loop when SIGTERM or SIGINT comes, or has come. */
gboolean daemon_on_signal(Daemon *daemon, void (*func)(gpointer user_data), gpointer user_data,
                          GError **error);
/* Removes the pid file. */
void daemon_end(Daemon *daemon);
