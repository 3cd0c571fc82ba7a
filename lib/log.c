// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

typedef struct Sink {
    int fd;
    char *path; /* NULL: stderr */
    LogLevel level;
    LogFilter filter;
    gpointer user_data;
} Sink;

typedef struct Log {
    char *program;
    gboolean journal; /* stderr is systemd's */
    GArray *sinks;    /* of Sink */
    GMutex lock;      /* guards what follows, and that lines stay whole */
    gboolean paused;
    guint64 left_out;
} Log;

/* GLib has one log writer for a process and no way to ask for it: this is that writer's state. */
static Log the_log;

static const char *level_word(GLogLevelFlags level)
{
    switch (level & G_LOG_LEVEL_MASK) {
    case G_LOG_LEVEL_ERROR:
        return "error";
    case G_LOG_LEVEL_CRITICAL:
        return "critical";
    case G_LOG_LEVEL_WARNING:
        return "warning";
    case G_LOG_LEVEL_MESSAGE:
        return "message";
    case G_LOG_LEVEL_INFO:
        return "info";
    default:
        return "debug";
    }
}

static gboolean is_wanted(const Sink *log, GLogLevelFlags level, gboolean foreign)
{
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) {
        return TRUE;
    }
    if (level & G_LOG_LEVEL_MESSAGE) {
        return log->level >= LOG_NORMAL;
    }
    return log->level >= LOG_VERBOSE && !foreign; /* libraries' own chatter is not ours to print */
}

/* One line of it: a message may quote what a guest or a peer sent. */
static void append_text(GString *line, const char *text, gssize length)
{
    gsize bytes = length < 0 ? strlen(text) : (gsize)length;

    for (gsize i = 0; i < bytes; i++) {
        guint8 c = (guint8)text[i];

        if (c < 0x20 || c == 0x7f) {
            g_string_append_printf(line, "\\x%02x", c);
        } else {
            g_string_append_c(line, (char)c);
        }
    }
}

/* syslog(3)'s numbers. */
static int priority(GLogLevelFlags level)
{
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) {
        return 3;
    }
    return level & G_LOG_LEVEL_WARNING   ? 4
           : level & G_LOG_LEVEL_MESSAGE ? 5
           : level & G_LOG_LEVEL_INFO    ? 6
                                         : 7;
}

static void write_line(const Log *log, const Sink *sink, GLogLevelFlags level, const char *text,
                       gssize length)
{
    g_autoptr(GString) line = g_string_new(NULL);
    gint64 now = g_get_real_time();
    gsize done = 0;

    if (sink->path != NULL) {
        g_string_printf(line, "%" G_GINT64_FORMAT ".%06d: %s: ", now / G_USEC_PER_SEC,
                        (int)(now % G_USEC_PER_SEC), level_word(level));
    } else if (log->journal) {
        g_string_printf(line, "<%d>", priority(level));
    } else {
        g_string_printf(line, "%s: ", log->program);
    }
    append_text(line, text, length);
    g_string_append_c(line, '\n');
    while (done < line->len) {
        gssize written = write(sink->fd, line->str + done, line->len - done);

        if (written < 0 && errno != EINTR) {
            return; /* a full disk or a closed stderr: there is nobody left to tell */
        }
        done += written > 0 ? (gsize)written : 0;
    }
}

static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields,
                                  gpointer user_data)
{
    Log *log = user_data;
    const char *text = NULL;
    gssize length = 0;
    gboolean foreign = FALSE;

    for (gsize i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].key, "MESSAGE") == 0) {
            text = fields[i].value;
            length = fields[i].length;
        } else if (strcmp(fields[i].key, "GLIB_DOMAIN") == 0) {
            foreign = TRUE; /* the suite sets no domain */
        }
    }
    if (!text) {
        return G_LOG_WRITER_HANDLED;
    }
    g_mutex_lock(&log->lock);
    for (guint i = 0; i < log->sinks->len; i++) {
        const Sink *sink = &g_array_index(log->sinks, Sink, i);

        if (!is_wanted(sink, level, foreign) || (sink->filter && !sink->filter(text, sink->user_data))) {
            continue;
        }
        if (log->paused) {
            log->left_out += i == 0;
        } else {
            write_line(log, sink, level, text, length);
        }
    }
    g_mutex_unlock(&log->lock);
    return G_LOG_WRITER_HANDLED;
}

void log_emergency(const char *text)
{
    const Log *log = &the_log;
    const Sink *sink = log->sinks != NULL && log->sinks->len > 0 ? &g_array_index(log->sinks, Sink, 0) : NULL;
    char line[512];
    int length = g_snprintf(line, sizeof(line), "%s: %s\n",
                            sink != NULL && sink->path != NULL ? "critical"
                            : log->program != NULL             ? log->program
                                                               : "critical",
                            text);

    if (write(sink != NULL ? sink->fd : STDERR_FILENO, line, MIN((gsize)length, sizeof(line) - 1)) < 0) {
        return; /* as in write_line() */
    }
}

static int open_file(const char *path, GError **error)
{
    int fd = g_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0) {
        int code = errno;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "cannot open log file '%s': %s", path,
                    g_strerror(code));
    }
    return fd;
}

gboolean log_add_file(const char *path, LogLevel level, LogFilter filter, gpointer user_data, GError **error)
{
    Sink sink = {open_file(path, error), NULL, level, filter, user_data};

    if (sink.fd < 0) {
        return FALSE;
    }
    sink.path = g_strdup(path);
    g_mutex_lock(&the_log.lock);
    g_array_append_val(the_log.sinks, sink);
    g_mutex_unlock(&the_log.lock);
    return TRUE;
}

gboolean log_to_file(const char *path, GError **error)
{
    int fd = open_file(path, error);

    if (fd >= 0) {
        Sink *first = &g_array_index(the_log.sinks, Sink, 0);

        g_mutex_lock(&the_log.lock);
        first->fd = fd;
        first->path = g_strdup(path);
        g_mutex_unlock(&the_log.lock);
    }
    return fd >= 0;
}

void log_reopen(void)
{
    g_mutex_lock(&the_log.lock);
    for (guint i = 0; i < the_log.sinks->len; i++) {
        Sink *sink = &g_array_index(the_log.sinks, Sink, i);
        int fd = sink->path != NULL ? open_file(sink->path, NULL) : -1;

        if (fd >= 0) {
            close(sink->fd);
            sink->fd = fd;
        }
    }
    g_mutex_unlock(&the_log.lock);
}

gboolean log_open(const char *program, const char *path, LogLevel level, GError **error)
{
    Log *log = &the_log;
    Sink standard = {STDERR_FILENO, NULL, level, NULL, NULL};

    g_return_val_if_fail(program != NULL && log->program == NULL, FALSE);

    log->sinks = g_array_new(FALSE, FALSE, sizeof(Sink));
    if (path == NULL) {
        g_array_append_val(log->sinks, standard);
    } else if (!log_add_file(path, level, NULL, NULL, error)) {
        g_clear_pointer(&log->sinks, g_array_unref);
        return FALSE;
    }
    log->program = g_strdup(program);
    log->journal = g_getenv("JOURNAL_STREAM") != NULL && g_log_writer_is_journald(STDERR_FILENO);
    g_log_set_writer_func(write_log, log, NULL);
    return TRUE;
}

void log_pause(gboolean paused)
{
    Log *log = &the_log;
    guint64 left_out = 0;

    g_mutex_lock(&log->lock);
    if (log->paused && !paused) {
        left_out = log->left_out;
    }
    log->left_out = 0;
    log->paused = paused;
    g_mutex_unlock(&log->lock);
    if (left_out) {
        g_message("%" G_GUINT64_FORMAT " log lines were left out while logging was paused", left_out);
    }
}
