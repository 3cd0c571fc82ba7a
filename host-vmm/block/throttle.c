// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/throttle.h"

#define NS_PER_S 1e9
#define LIMIT    G_GUINT64_CONSTANT(1000000000000000) /* 10^15, as in QEMU: what a double still counts */
#define SLACK    10.0                                 /* a bucket without bursts holds a tenth of a second */

const ThrottleName throttle_names[THROTTLE_LIMITS] = {
    [THROTTLE_BPS_TOTAL] = {"bps-total", "bps"},    [THROTTLE_BPS_READ] = {"bps-read", "bps_rd"},
    [THROTTLE_BPS_WRITE] = {"bps-write", "bps_wr"}, [THROTTLE_OPS_TOTAL] = {"iops-total", "iops"},
    [THROTTLE_OPS_READ] = {"iops-read", "iops_rd"}, [THROTTLE_OPS_WRITE] = {"iops-write", "iops_wr"},
};

void throttle_config_init(ThrottleConfig *config)
{
    *config = (ThrottleConfig){0};
    for (guint i = 0; i < THROTTLE_LIMITS; i++)
        config->limits[i].length = 1;
}

gboolean throttle_config_is_set(const ThrottleConfig *config)
{
    for (guint i = 0; i < THROTTLE_LIMITS; i++) {
        if (config->limits[i].average > 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (error != NULL)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, args);
    va_end(args);
    return FALSE;
}

static gboolean check_limit(const ThrottleLimit *limit, const char *name, GError **error)
{
    if (limit->average > LIMIT || limit->max > LIMIT)
        return fail(error, "throttling: %s is beyond %" G_GUINT64_FORMAT, name, LIMIT);
    if (limit->max > 0 && limit->average == 0)
        return fail(error, "throttling: %s-max needs %s", name, name);
    if (limit->max > 0 && limit->max < limit->average)
        return fail(error, "throttling: %s-max is less than %s", name, name);
    if (limit->length == 0)
        return fail(error, "throttling: %s-max-length must be 1 s at least", name);
    if (limit->length > 1 && limit->max == 0)
        return fail(error, "throttling: %s-max-length needs %s-max", name, name);
    if (limit->max > 0 && limit->length > LIMIT / limit->max)
        return fail(error, "throttling: %s-max-length is too long for %s-max", name, name);
    return TRUE;
}

static gboolean is_mixed(const ThrottleConfig *config, ThrottleKind total)
{
    const ThrottleLimit *limits = &config->limits[total];
    return (limits[0].average > 0 && (limits[1].average > 0 || limits[2].average > 0)) ||
           (limits[0].max > 0 && (limits[1].max > 0 || limits[2].max > 0));
}

gboolean throttle_config_check(const ThrottleConfig *config, GError **error)
{
    if (is_mixed(config, THROTTLE_BPS_TOTAL) || is_mixed(config, THROTTLE_OPS_TOTAL))
        return fail(error,
                    "throttling: a limit for the total and one for reads or writes alone exclude each other");
    for (guint i = 0; i < THROTTLE_LIMITS; i++) {
        if (!check_limit(&config->limits[i], throttle_names[i].option, error))
            return FALSE;
    }
    if (config->op_size > 0 && config->limits[THROTTLE_OPS_TOTAL].average == 0 &&
        config->limits[THROTTLE_OPS_READ].average == 0 && config->limits[THROTTLE_OPS_WRITE].average == 0)
        return fail(error, "throttling: iops-size needs a limit of operations");
    if (config->op_size > LIMIT)
        return fail(error, "throttling: iops-size is beyond %" G_GUINT64_FORMAT, LIMIT);
    return TRUE;
}

static gboolean parse_one(OptSet *options, const char *prefix, const char *name, const char *suffix,
                          guint64 *value, GError **error)
{
    g_autofree char *key = g_strconcat(prefix, name, suffix, NULL);
    return optset_uint(options, key, 0, G_MAXINT64, value, error);
}

gboolean throttle_config_parse(ThrottleConfig *config, OptSet *options, const char *prefix, GError **error)
{
    throttle_config_init(config);
    for (guint i = 0; i < THROTTLE_LIMITS; i++) {
        const char *name = throttle_names[i].option;
        if (!parse_one(options, prefix, name, "", &config->limits[i].average, error) ||
            !parse_one(options, prefix, name, "-max", &config->limits[i].max, error) ||
            !parse_one(options, prefix, name, "-max-length", &config->limits[i].length, error))
            return FALSE;
    }
    return parse_one(options, prefix, "iops-size", "", &config->op_size, error) &&
           throttle_config_check(config, error);
}

/* ---- buckets ---- */

void throttle_init(Throttle *throttle, const ThrottleConfig *config, gint64 now)
{
    *throttle = (Throttle){.config = *config, .leaked = now};
}

static void leak(Throttle *throttle, gint64 now)
{
    double seconds = (double)MAX(now - throttle->leaked, 0) / NS_PER_S;
    throttle->leaked = now;
    for (guint i = 0; i < THROTTLE_LIMITS; i++) {
        const ThrottleLimit *limit = &throttle->config.limits[i];
        throttle->level[i] = MAX(throttle->level[i] - seconds * (double)limit->average, 0);
        throttle->burst[i] = MAX(throttle->burst[i] - seconds * (double)limit->max, 0);
    }
}

static double excess_time(double level, double size, guint64 rate)
{
    return level > size ? (level - size) / (double)rate : 0;
}

/* In s. */
static double bucket_wait(const Throttle *throttle, ThrottleKind kind)
{
    const ThrottleLimit *limit = &throttle->config.limits[kind];
    if (limit->average == 0)
        return 0;
    double size =
        limit->max > 0 ? (double)limit->max * (double)limit->length : (double)limit->average / SLACK;
    double wait = excess_time(throttle->level[kind], size, limit->average);
    /* A burst of one second is as large as its bucket: nothing to keep apart. */
    if (limit->length > 1)
        wait = MAX(wait, excess_time(throttle->burst[kind], (double)limit->max / SLACK, limit->max));
    return wait;
}

static const ThrottleKind kinds[2][4] = {
    {THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_OPS_TOTAL, THROTTLE_OPS_READ},
    {THROTTLE_BPS_TOTAL, THROTTLE_BPS_WRITE, THROTTLE_OPS_TOTAL, THROTTLE_OPS_WRITE},
};

gint64 throttle_wait(Throttle *throttle, gboolean is_write, gint64 now)
{
    double longest = 0;
    leak(throttle, now);
    for (guint i = 0; i < G_N_ELEMENTS(kinds[0]); i++)
        longest = MAX(longest, bucket_wait(throttle, kinds[is_write ? 1 : 0][i]));
    return longest > 0 ? (gint64)(longest * NS_PER_S) + 1 : 0;
}

void throttle_account(Throttle *throttle, gboolean is_write, guint64 bytes)
{
    guint64 op_size = throttle->config.op_size;
    double operations = op_size > 0 && bytes > op_size ? (double)bytes / (double)op_size : 1;
    for (guint i = 0; i < G_N_ELEMENTS(kinds[0]); i++) {
        ThrottleKind kind = kinds[is_write ? 1 : 0][i];
        double units = kind < THROTTLE_OPS_TOTAL ? (double)bytes : operations;
        throttle->level[kind] += units;
        throttle->burst[kind] += units;
    }
}
