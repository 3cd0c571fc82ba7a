// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log: where a program's g_warning/g_message/g_info/g_debug lines go.
 *
 * A line is "<seconds>.<microseconds>: <level>: <text>" in a file, or "<program>: <text>" on stderr.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    LOG_QUIET /* critical and warning only */,
    LOG_NORMAL /* and message */,
    LOG_VERBOSE /* all */
} LogLevel;

/* Installs the writer for this process. `path` NULL: stderr. FALSE if the file cannot be opened for appending
 * (created 0600). Call once, before threads. */
gboolean log_open(const char *program, const char *path, LogLevel level, GError **error);
/* From now on to the file, after a log_open() without one. FALSE: as before. */
gboolean log_to_file(const char *path, GError **error);
/* While paused nothing is written (file systems are frozen); lines in between are counted and the count is
 * told. */
void log_pause(gboolean paused);
