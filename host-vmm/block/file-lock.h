// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file-lock: who uses an image file, told to other processes by locks on single bytes of it (open file
 * description locks, fcntl(2)).
 *
 * QEMU's convention, so that QEMU, qemu-img and we respect each other: for permission number i (0 consistent
 * read, 1 write, 2 write unchanged, 3 resize) a read lock on byte 100 + i says that it is used, one on byte
 * 200 + i that nobody else may use it. Whether somebody stands against us is asked by testing for a write
 * lock.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    FILE_LOCK_NONE,
    FILE_LOCK_READ,  /* others may read */
    FILE_LOCK_WRITE, /* likewise, while we write: what they read is what was flushed */
} FileLockMode;

/* Goes from what `fd` holds to another. FALSE and error: somebody else uses it (G_IO_ERROR_BUSY; what we held
 * is as it was), or the file system has no locks (G_IO_ERROR_NOT_SUPPORTED). */
gboolean file_lock_set(int fd, FileLockMode from, FileLockMode to, GError **error);
