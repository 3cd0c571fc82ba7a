// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/rtc.h"
#include "guest-agent/rights.h"
#include "guest-agent/text-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/rtc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define RTC_NODE "/dev/rtc0"

gboolean rtc_is_there(void)
{
    return access(RTC_NODE, F_OK) == 0;
}

static gboolean is_local(void)
{
    g_autofree char *text = text_file_read("", "/etc/adjtime", NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", 4);
    return g_strv_length(lines) > 2 && g_str_has_prefix(lines[2], "LOCAL");
}

static gboolean fail(const char *what, GError **error)
{
    int errnum = errno;
    g_autofree char *why = rights_explain(errnum, CAP_SYS_TIME);
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "%s: %s", what, why);
    return FALSE;
}

/* 0, or -1 with errno. */
static int call_clock(int flags, unsigned long request, struct rtc_time *time)
{
    int fd = open(RTC_NODE, flags | O_CLOEXEC);
    int result = fd < 0 ? -1 : ioctl(fd, request, time);
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    errno = errnum;
    return result;
}

gboolean rtc_write_from_system(GError **error)
{
    time_t now = time(NULL);
    struct tm tm;
    if (!(is_local() ? localtime_r(&now, &tm) : gmtime_r(&now, &tm)))
        return fail("failed to set hardware clock to system time", error);
    struct rtc_time clock = {.tm_sec = tm.tm_sec,
                             .tm_min = tm.tm_min,
                             .tm_hour = tm.tm_hour,
                             .tm_mday = tm.tm_mday,
                             .tm_mon = tm.tm_mon,
                             .tm_year = tm.tm_year};
    return call_clock(O_WRONLY, RTC_SET_TIME, &clock) == 0 ||
           fail("failed to set hardware clock to system time", error);
}

gboolean rtc_read_to_system(GError **error)
{
    struct rtc_time clock;
    if (call_clock(O_RDONLY, RTC_RD_TIME, &clock) < 0)
        return fail("failed to read the hardware clock", error);
    struct tm tm = {.tm_sec = clock.tm_sec,
                    .tm_min = clock.tm_min,
                    .tm_hour = clock.tm_hour,
                    .tm_mday = clock.tm_mday,
                    .tm_mon = clock.tm_mon,
                    .tm_year = clock.tm_year,
                    .tm_isdst = -1};
    struct timeval now = {.tv_sec = is_local() ? mktime(&tm) : timegm(&tm)};
    return settimeofday(&now, NULL) == 0 || fail("Failed to set time to guest", error);
}
