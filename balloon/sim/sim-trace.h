// SPDX-License-Identifier: GPL-2.0-or-later
/* sim-trace: makes up guests and what they want, to feed the simulator; the same numbers for the same seed.
 */
#pragma once

#include <glib.h>

typedef struct SimTraceOptions {
    guint64 seed;
    guint guests;
    gint32 seconds;
    gint64 sum_mib; /* of the guests' maxima, about */
} SimTraceOptions;

/* Writes both files (see sim-input.h). */
gboolean sim_trace_write(const SimTraceOptions *options, const char *guests_path, const char *demand_path,
                         GError **error);
