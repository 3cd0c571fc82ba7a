// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/char/unix-listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG      16
#define LOCK_TRIES   200 /* times 10 ms */
#define LOCK_WAIT_US 10000

static gboolean set_address(struct sockaddr_un *address, const char *path, GError **error)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (*path == '\0' || strlen(path) >= sizeof(address->sun_path)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME,
                    "'%s' cannot be a socket's path: it must have 1 to %zu bytes", path,
                    sizeof(address->sun_path) - 1);
        return FALSE;
    }
    memcpy(address->sun_path, path, strlen(path));
    return TRUE;
}

static gboolean fail(int number, const char *what, const char *path, GError **error)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "%s '%s': %s", what, path,
                g_strerror(number));
    return FALSE;
}

static int connect_address(const struct sockaddr_un *address, int type)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        int number = errno;

        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

static int connect_path(const char *path, int type, GError **error)
{
    struct sockaddr_un address;
    int fd;

    if (!set_address(&address, path, error)) {
        return -1;
    }
    fd = connect_address(&address, type);
    if (fd < 0) {
        fail(errno, "cannot connect to", path, error);
    }
    return fd;
}

int unix_connect(const char *path, GError **error)
{
    return connect_path(path, SOCK_STREAM, error);
}

int unix_connect_datagram(const char *path, GError **error)
{
    return connect_path(path, SOCK_DGRAM, error);
}

/* A lock on the folder, or -1: it only keeps starters apart, so that a folder that cannot be locked, or that
 * somebody holds for other reasons, is no error. */
static int lock_folder(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (guint i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && i < LOCK_TRIES;
         i++) {
        g_usleep(LOCK_WAIT_US);
    }
    return fd;
}

/* Makes room for a socket at path. */
static gboolean remove_stale(const struct sockaddr_un *address, int type, const char *path, GError **error)
{
    struct stat info;
    int fd;

    if (lstat(path, &info) < 0) {
        return errno == ENOENT || fail(errno, "cannot look at", path, error);
    }
    if (!S_ISSOCK(info.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "'%s' is there already, and is not a socket", path);
        return FALSE;
    }
    fd = connect_address(address, type);
    if (fd < 0 && errno == ECONNREFUSED) {
        return unlink(path) == 0 || errno == ENOENT ||
               fail(errno, "cannot remove the left-over", path, error);
    }
    if (fd >= 0) {
        close(fd);
    } else if (errno == ENOENT) {
        return TRUE;
    } else if (errno != EAGAIN && errno != EPROTOTYPE) {
        return fail(errno, "cannot find out whether somebody uses", path, error);
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE, "'%s' is already in use by another process",
                path);
    return FALSE;
}

static gboolean bind_path(UnixListen *listener, const struct sockaddr_un *address, int type, GError **error)
{
    struct stat info;

    listener->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Linux takes the mode of a bound path from the socket's own: no need to change the whole process's
     * umask. */
    if (listener->fd < 0 || fchmod(listener->fd, 0600) < 0) {
        return fail(errno, "cannot make a socket for", listener->path, error);
    }
    if (bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        return fail(errno, "cannot bind", listener->path, error);
    }
    if (lstat(listener->path, &info) < 0) {
        return fail(errno, "cannot look at", listener->path, error);
    }
    listener->device = info.st_dev;
    listener->inode = info.st_ino;
    return type == SOCK_DGRAM || listen(listener->fd, BACKLOG) == 0 ||
           fail(errno, "cannot listen on", listener->path, error);
}

static gboolean open_path(UnixListen *listener, const char *path, int type, GError **error)
{
    struct sockaddr_un address;
    gboolean ok;
    int lock;

    listener->fd = -1;
    listener->path = NULL;
    listener->inode = 0;
    if (!set_address(&address, path, error)) {
        return FALSE;
    }
    listener->path = g_canonicalize_filename(path, NULL);
    lock = lock_folder(path);
    ok = remove_stale(&address, type, path, error) && bind_path(listener, &address, type, error);
    if (lock >= 0) {
        close(lock);
    }
    if (!ok) {
        unix_listen_close(listener);
    }
    return ok;
}

gboolean unix_listen_open(UnixListen *listener, const char *path, GError **error)
{
    return open_path(listener, path, SOCK_STREAM, error);
}

gboolean unix_bind_datagram(UnixListen *listener, const char *path, GError **error)
{
    return open_path(listener, path, SOCK_DGRAM, error);
}

void unix_listen_close(UnixListen *listener)
{
    struct stat info;

    if (listener->path != NULL && listener->inode != 0 && lstat(listener->path, &info) == 0 &&
        info.st_dev == listener->device && info.st_ino == listener->inode) {
        unlink(listener->path);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    g_clear_pointer(&listener->path, g_free);
}
