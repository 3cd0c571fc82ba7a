// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/clock.h"

static gint64 real_wall(Clock *clock)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static guint real_add(Clock *clock, guint64 delay_ms, GSourceFunc func, gpointer user_data)
{
    /* Whole seconds share their wake-ups with others. */
    return delay_ms >= 30000 ? g_timeout_add_seconds((guint)(delay_ms / 1000), func, user_data)
                             : g_timeout_add((guint)delay_ms, func, user_data);
}

static void real_remove(Clock *clock, guint id)
{
    g_source_remove(id);
}

static double real_random(Clock *clock)
{
    return g_random_double();
}

Clock *clock_real(void)
{
    static Clock clock = {real_wall, real_add, real_remove, real_random};

    return &clock;
}
