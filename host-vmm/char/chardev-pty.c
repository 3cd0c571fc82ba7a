// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pseudo-terminal: its peer is whoever has the other side open.
 *
 * The kernel tells when the last one has closed it (a hang-up, all the time from then on), but not when
 * somebody opens it: that is seen by inotify, or where that cannot be had by looking once a second.
 */
#include "host-vmm/char/chardev-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#define LOOK_AGAIN_MS 1000

typedef struct PtyChardev {
    Chardev parent;
    int fd;         /* our side */
    char name[64];  /* "/dev/pts/3" */
    int inotify;    /* -1: by timer */
    GSource *watch; /* for somebody to open the other side */
} PtyChardev;

static void stop_watching(PtyChardev *self)
{
    if (self->watch != NULL) {
        g_source_destroy(self->watch);
        g_clear_pointer(&self->watch, g_source_unref);
    }
}

/* TRUE if there is a peer now, or bytes that one has left behind. */
static gboolean look(PtyChardev *self)
{
    struct pollfd poll_fd = {self->fd, POLLIN, 0};

    if (poll(&poll_fd, 1, 0) < 0 || (poll_fd.revents & (POLLIN | POLLHUP)) == POLLHUP) {
        return FALSE;
    }
    stop_watching(self);
    chardev_connected(&self->parent, self->fd, self->fd);
    return TRUE;
}

static gboolean opened(int fd, GIOCondition condition, gpointer user_data)
{
    PtyChardev *self = user_data;
    guint8 events[4096];

    /* What they say does not matter: there is one thing to see. */
    while (read(fd, events, sizeof(events)) > 0) {
    }
    return look(self) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean time_to_look(gpointer user_data)
{
    return look(user_data) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void watch_for_opening(PtyChardev *self)
{
    if (self->inotify >= 0) {
        self->watch = g_unix_fd_source_new(self->inotify, G_IO_IN);
        g_source_set_callback(self->watch, G_SOURCE_FUNC(opened), self, NULL);
    } else {
        self->watch = g_timeout_source_new(LOOK_AGAIN_MS);
        g_source_set_callback(self->watch, time_to_look, self, NULL);
    }
    g_source_attach(self->watch, NULL);
}

static gboolean make_pair(PtyChardev *self)
{
    struct termios modes;
    int other;

    self->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (self->fd < 0 || grantpt(self->fd) < 0 || unlockpt(self->fd) < 0 ||
        ptsname_r(self->fd, self->name, sizeof(self->name)) != 0) {
        return FALSE;
    }
    /* Opened and closed once, for raw modes and so that the hang-up is seen from the beginning. */
    other = open(self->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (other < 0 || tcgetattr(other, &modes) < 0) {
        return FALSE;
    }
    cfmakeraw(&modes);
    if (tcsetattr(other, TCSANOW, &modes) < 0) {
        close(other);
        return FALSE;
    }
    return close(other) == 0;
}

static gboolean open_pty(Chardev *chardev, OptSet *options, GError **error)
{
    PtyChardev *self = (PtyChardev *)chardev;

    self->fd = self->inotify = -1;
    if (!optset_finish(options, error)) {
        return FALSE;
    }
    if (!make_pair(self)) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: cannot make a pseudo-terminal: %s",
                    optset_what(options), g_strerror(errno));
        return FALSE;
    }
    self->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (self->inotify >= 0 && inotify_add_watch(self->inotify, self->name, IN_OPEN) < 0) {
        close(self->inotify);
        self->inotify = -1;
    }
    /* Whoever starts us (a person, libvirt) looks for this line as QEMU writes it. */
    fprintf(stderr, "char device redirected to %s (label %s)\n", self->name, chardev->id);
    watch_for_opening(self);
    return TRUE;
}

static char *describe_pty(Chardev *chardev)
{
    return g_strdup_printf("pty:%s", ((PtyChardev *)chardev)->name);
}

static void pty_peer_gone(Chardev *chardev)
{
    /* Who has opened it since the hang-up has left an event in the queue. */
    watch_for_opening((PtyChardev *)chardev);
}

static void close_pty(Chardev *chardev)
{
    PtyChardev *self = (PtyChardev *)chardev;

    stop_watching(self);
    if (self->inotify >= 0) {
        close(self->inotify);
    }
    if (self->fd >= 0) {
        close(self->fd);
    }
}

const ChardevKind CHARDEV_PTY = {
    .name = "pty",
    .size = sizeof(PtyChardev),
    .open = open_pty,
    .close = close_pty,
    .describe = describe_pty,
    .peer_gone = pty_peer_gone,
};
