// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/audit.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

struct Audit {
    int fd;
};

Audit *audit_new(void)
{
    Audit *audit = g_new(Audit, 1);
    audit->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return audit;
}

void audit_free(Audit *audit)
{
    if (audit->fd >= 0)
        close(audit->fd);
    g_free(audit);
}

void audit_log(Audit *audit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *raw = g_strdup_vprintf(format, args);
    va_end(args);
    if (strlen(raw) > LINE_MAX_BYTES)
        strcpy(raw + LINE_MAX_BYTES - 3, "...");
    g_autofree char *valid = g_utf8_make_valid(raw, -1);
    g_autoptr(GString) text = g_string_new(NULL);
    for (const char *c = valid; *c; c++) {
        if ((guchar)*c < 0x20 || *c == 0x7f)
            g_string_append_printf(text, "\\x%02x", (guchar)*c);
        else
            g_string_append_c(text, *c);
    }
    g_info("%s", text->str);

    time_t now = time(NULL);
    struct tm tm;
    char stamp[32]; /* RFC 3164, section 4.1.2 */
    strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", localtime_r(&now, &tm));
    g_autofree char *line =
        g_strdup_printf("<%d>%s guest-agent[%d]: %s", LOG_DAEMON | LOG_INFO, stamp, (int)getpid(), text->str);
    static const struct sockaddr_un LOGGER = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    if (sendto(audit->fd, line, strlen(line), MSG_NOSIGNAL, (const struct sockaddr *)&LOGGER, sizeof LOGGER) <
        0)
        g_debug("no system log takes that line");
}
