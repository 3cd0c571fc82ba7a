// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unix-listen: a unix socket at a path (listening, or for datagrams), which outlives neither its process nor
 * stops the next one.
 */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

typedef struct UnixListen {
    int fd;
    char *path; /* absolute */
    dev_t device;
    ino_t inode; /* what is at path is ours as long as it is this */
} UnixListen;

/* Binds and listens, mode 0600, non-blocking, close-on-exec. A socket at `path` that nobody serves any more
 * is replaced; one that is served ("… is already in use by another process") and anything else are errors.
 * Two that start at the same moment are kept apart by a lock on the folder. */
gboolean unix_listen_open(UnixListen *listener, const char *path, GError **error);
/* The same for a datagram socket, which does not listen. */
gboolean unix_bind_datagram(UnixListen *listener, const char *path, GError **error);
/* Closes; unlinks the path if what is there is still ours. */
void unix_listen_close(UnixListen *listener);

/* A non-blocking connected socket; -1 and error. ECONNREFUSED is G_IO_ERROR_CONNECTION_REFUSED, and so on. */
int unix_connect(const char *path, GError **error);
int unix_connect_datagram(const char *path, GError **error);
