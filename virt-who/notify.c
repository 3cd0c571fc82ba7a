// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

gboolean notify_send(const char *lines)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    gssize sent = -1;
    gsize length;
    int fd;

    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path) {
        return FALSE;
    }
    length = strlen(path);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract one */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        sent = sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
        close(fd);
    }
    return sent >= 0;
}

guint notify_watchdog_ms(void)
{
    const char *text = g_getenv("WATCHDOG_USEC"), *pid = g_getenv("WATCHDOG_PID");
    guint64 us = 0;

    if (text == NULL || (pid != NULL && g_ascii_strtoll(pid, NULL, 10) != getpid()) ||
        !g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT, &us, NULL)) {
        return 0;
    }
    return (guint)MAX(us / 2000, 1);
}
