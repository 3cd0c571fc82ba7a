// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemonize: going to the background, told to be done only when it is.
 */
#pragma once

#include <gio/gio.h>

/* Forks; before there are threads. Returns in the child, a new session's leader that still has its standard
 * streams (for error lines), with a descriptor for daemonize_finish(). The parent stays in here until that,
 * and ends with status 0, or with 1 if the child dies earlier. If the parent is killed while it waits, the
 * child gets SIGTERM. */
int daemonize_begin(GError **error);
/* Standard streams go to /dev/null, the working directory becomes "/", the parent ends. */
gboolean daemonize_finish(int fd, GError **error);
