// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Output to a file, and to nowhere.
 */
#include "host-vmm/char/chardev-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

typedef struct FileChardev {
    Chardev parent;
    int fd;
} FileChardev;

static gboolean open_file(Chardev *chardev, OptSet *options, GError **error)
{
    FileChardev *self = (FileChardev *)chardev;
    const char *path = optset_need_string(options, "path", error);
    gboolean append = FALSE;

    self->fd = -1;
    if (path == NULL || !optset_bool(options, "append", &append, error) || !optset_finish(options, error)) {
        return FALSE;
    }
    /* 0600: what a guest says on its console is not for everybody. Non-blocking, for the sake of FIFOs. */
    self->fd = open(
        path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (append ? O_APPEND : O_TRUNC), 0600);
    if (self->fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: cannot open '%s': %s",
                    optset_what(options), path, g_strerror(errno));
        return FALSE;
    }
    chardev_connected(chardev, -1, self->fd);
    return TRUE;
}

static void close_file(Chardev *chardev)
{
    FileChardev *self = (FileChardev *)chardev;

    if (self->fd >= 0) {
        close(self->fd);
    }
}

static char *describe_file(Chardev *chardev)
{
    return g_strdup("file");
}

static gboolean open_null(Chardev *chardev, OptSet *options, GError **error)
{
    if (!optset_finish(options, error)) {
        return FALSE;
    }
    chardev_connected(chardev, -1, -1);
    return TRUE;
}

static void close_null(Chardev *chardev)
{
}

static char *describe_null(Chardev *chardev)
{
    return g_strdup("null");
}

const ChardevKind CHARDEV_FILE = {
    .name = "file",
    .size = sizeof(FileChardev),
    .open = open_file,
    .close = close_file,
    .describe = describe_file,
};

const ChardevKind CHARDEV_NULL = {
    .name = "null",
    .size = sizeof(Chardev),
    .open = open_null,
    .close = close_null,
    .describe = describe_null,
};
