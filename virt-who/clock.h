// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clock: time as the report's state machine sees it: GLib's, or one that a test turns.
 */
#pragma once

#include <glib.h>

typedef struct Clock Clock;

struct Clock {
    /* Seconds since 1970. */
    gint64 (*wall)(Clock *clock);
    /* Calls func once; the id is not 0. */
    guint (*add)(Clock *clock, guint64 delay_ms, GSourceFunc func, gpointer user_data);
    void (*remove)(Clock *clock, guint id);
    /* 0 to 1. */
    double (*random)(Clock *clock);
};

/* GLib's, on the default main context. */
Clock *clock_real(void);
