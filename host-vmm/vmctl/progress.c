// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-vmm/vmctl/print.h"

enum { INTERVAL_US = 100000, LABEL_COLUMNS = 24, BAR_COLUMNS = 24, DEFAULT_COLUMNS = 80 };

struct Progress {
    char *label;
    guint64 total, first;
    gboolean enabled, begun, shown;
    gint64 started, last;
};

Progress *progress_new(const char *label, guint64 total)
{
    Progress *progress = g_new0(Progress, 1);

    progress->label = print_visible(label);
    progress->total = total;
    progress->enabled = isatty(STDERR_FILENO) == 1;
    return progress;
}

/* As many columns as the terminal has, so that the line can be written over. */
static glong columns(void)
{
    struct winsize size = {0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : DEFAULT_COLUMNS;
}

static void show(const Progress *progress, guint64 done, gint64 now)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *size = print_size(done), *cut = NULL;
    double seconds = (double)(now - progress->started) / G_USEC_PER_SEC;
    double speed = seconds > 0.2 ? (double)(done - progress->first) / seconds : 0;
    glong length = g_utf8_strlen(progress->label, -1);

    g_string_append(line, length > LABEL_COLUMNS
                              ? g_utf8_offset_to_pointer(progress->label, length - LABEL_COLUMNS)
                              : progress->label);
    if (progress->total > 0) {
        double part = CLAMP((double)done / (double)progress->total, 0, 1);
        int filled = (int)(part * BAR_COLUMNS);

        g_string_append_printf(line, " %3d%% [", (int)(part * 100));
        for (int i = 0; i < BAR_COLUMNS; i++)
            g_string_append_c(line, i < filled ? '=' : i == filled ? '>' : ' ');
        g_string_append_c(line, ']');
    }
    g_string_append_printf(line, " %s", size);
    if (speed >= 1) {
        g_autofree char *per_second = print_size((guint64)speed);

        g_string_append_printf(line, " %s/s", per_second);
        if (progress->total > done) {
            g_autofree char *left = print_duration((guint64)((double)(progress->total - done) / speed));

            g_string_append_printf(line, ", %s left", left);
        }
    }
    cut = g_utf8_substring(line->str, 0, MIN(columns() - 1, g_utf8_strlen(line->str, -1)));
    fprintf(stderr, "\r%s\033[K", cut);
    fflush(stderr);
}

void progress_set(Progress *progress, guint64 done)
{
    gint64 now = g_get_monotonic_time();

    if (!progress->begun) {
        progress->begun = TRUE;
        progress->started = now;
        progress->first = done;
    }
    if (!progress->enabled || (progress->shown && now - progress->last < INTERVAL_US))
        return;
    progress->last = now;
    progress->shown = TRUE;
    show(progress, MAX(done, progress->first), now);
}

void progress_free(Progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    g_free(progress->label);
    g_free(progress);
}
