// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log: where a program's g_warning/g_message/g_info/g_debug lines go.
 *
 * A line is "<seconds>.<microseconds>: <level>: <text>" in a file, or "<program>: <text>" on stderr; where
 * stderr is the journal (systemd.exec(5), JOURNAL_STREAM), "<priority>text".
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
/* Chooses the messages of a file. */
typedef gboolean (*LogFilter)(const char *message, gpointer user_data);
/* One more file beside the first; filter may be NULL. Not from other threads than log_open(). */
gboolean log_add_file(const char *path, LogLevel level, LogFilter filter, gpointer user_data, GError **error);
/* Opens all files anew: they have been moved away by a log rotation. What cannot be opened stays as it was.
 */
void log_reopen(void);
/* A line in the log right now, whatever other threads are doing: from a signal handler that ends the process. */
void log_emergency(const char *text);
/* While paused nothing is written (file systems are frozen); lines in between are counted and the count is
 * told. */
void log_pause(gboolean paused);
