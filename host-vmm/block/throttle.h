// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * throttle: when a request may go, by leaky buckets. Pure arithmetic: the time is given.
 *
 * Each limit is a bucket that leaks at its average rate. A request is poured in when it goes; while the
 * bucket holds more than a tenth of a second's worth, the next one waits. With a burst (`max` for `length`
 * seconds) the bucket holds as much as the burst, and a second one, leaking at `max`, keeps the burst itself
 * to its rate. A large request may overfill a bucket: who comes after it waits for longer, so the average
 * holds.
 */
#pragma once

#include <gio/gio.h>

#include "host-vmm/optset.h"

typedef enum {
    THROTTLE_BPS_TOTAL,
    THROTTLE_BPS_READ,
    THROTTLE_BPS_WRITE,
    THROTTLE_OPS_TOTAL,
    THROTTLE_OPS_READ,
    THROTTLE_OPS_WRITE,
    THROTTLE_LIMITS
} ThrottleKind;

typedef struct ThrottleLimit {
    guint64 average; /* bytes or operations a second; 0: no limit */
    guint64 max;     /* in bursts; 0: no bursts beyond a tenth of a second */
    guint64 length;  /* s that a burst may last; 1 at least */
} ThrottleLimit;

typedef struct ThrottleConfig {
    ThrottleLimit limits[THROTTLE_LIMITS];
    guint64 op_size; /* bytes: a request of more counts as several operations; 0: as one */
} ThrottleConfig;

typedef struct Throttle {
    ThrottleConfig config;
    double level[THROTTLE_LIMITS], burst[THROTTLE_LIMITS];
    gint64 leaked; /* ns: when the levels were true */
} Throttle;

/* How a limit is called: base[0] "bps-total" (-drive's throttling.KEY), "bps" (QMP), and so on. */
typedef struct ThrottleName {
    const char *option; /* "bps-total", "bps-total-max", "bps-total-max-length" */
    const char *qmp;    /* "bps", "bps_max", "bps_max_length" */
} ThrottleName;
extern const ThrottleName throttle_names[THROTTLE_LIMITS];

/* All zero, but for lengths of 1. */
void throttle_config_init(ThrottleConfig *config);
gboolean throttle_config_is_set(const ThrottleConfig *config);
/* FALSE and error if the limits contradict each other or are beyond what can be computed (10^15). */
gboolean throttle_config_check(const ThrottleConfig *config, GError **error);
/* From PREFIX + "bps-total" and so on, PREFIX + "iops-size"; checked. A prefix of "x-" has no "iops-" but
 * "iops-" too. */
gboolean throttle_config_parse(ThrottleConfig *config, OptSet *options, const char *prefix, GError **error);

/* Times are monotonic, in ns. The configuration is checked. */
void throttle_init(Throttle *throttle, const ThrottleConfig *config, gint64 now);
/* How long, in ns, until a request may go; 0: now. */
gint64 throttle_wait(Throttle *throttle, gboolean is_write, gint64 now);
/* It goes. */
void throttle_account(Throttle *throttle, gboolean is_write, guint64 bytes);
