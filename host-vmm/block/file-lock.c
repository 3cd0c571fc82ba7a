// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/file-lock.h"

#include <errno.h>
#include <fcntl.h>

#define USED_BASE     100
#define UNSHARED_BASE 200
#define PERMISSIONS   4u

#define CONSISTENT_READ (1u << 0)
#define WRITE           (1u << 1)
#define RESIZE          (1u << 3)

/* 0 or -errno. */
static int lock_byte(int fd, int type, guint at)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int result;
    do
        result = fcntl(fd, F_OFD_SETLK, &lock);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

/* 1: another one holds a lock there; 0: nobody; -errno. */
static int is_held(int fd, guint at)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int result;
    do
        result = fcntl(fd, F_OFD_GETLK, &lock);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return -errno;
    return lock.l_type != F_UNLCK;
}

/* Drops the locks of permissions that are not in the sets. */
static void drop_others(int fd, guint used, guint unshared)
{
    for (guint i = 0; i < PERMISSIONS; i++) {
        if ((used & 1u << i) == 0)
            lock_byte(fd, F_UNLCK, USED_BASE + i);
        if ((unshared & 1u << i) == 0)
            lock_byte(fd, F_UNLCK, UNSHARED_BASE + i);
    }
}

static int take(int fd, guint used, guint unshared)
{
    int result = 0;
    for (guint i = 0; i < PERMISSIONS && result == 0; i++) {
        if ((used & 1u << i) != 0)
            result = lock_byte(fd, F_RDLCK, USED_BASE + i);
        if (result == 0 && (unshared & 1u << i) != 0)
            result = lock_byte(fd, F_RDLCK, UNSHARED_BASE + i);
    }
    /* After taking ours: of two who come at the same time at least one sees the other. */
    for (guint i = 0; i < PERMISSIONS && result == 0; i++) {
        if ((used & 1u << i) != 0)
            result = is_held(fd, UNSHARED_BASE + i);
        if (result == 0 && (unshared & 1u << i) != 0)
            result = is_held(fd, USED_BASE + i);
    }
    return result;
}

static guint used_by(FileLockMode mode)
{
    return mode == FILE_LOCK_WRITE ? CONSISTENT_READ | WRITE | RESIZE
                                   : (mode == FILE_LOCK_READ ? CONSISTENT_READ : 0);
}

static guint unshared_by(FileLockMode mode)
{
    return mode == FILE_LOCK_NONE ? 0 : WRITE | RESIZE;
}

gboolean file_lock_set(int fd, FileLockMode from, FileLockMode to, GError **error)
{
    int result = take(fd, used_by(to), unshared_by(to));
    if (result == 0) {
        drop_others(fd, used_by(to), unshared_by(to));
        return TRUE;
    }
    drop_others(fd, used_by(from), unshared_by(from));
    if (result == 1 || result == -EAGAIN || result == -EACCES)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_BUSY, "in use by another process");
    else
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "cannot be locked: %s", g_strerror(-result));
    return FALSE;
}
