// SPDX-License-Identifier: GPL-2.0-or-later
/* mounts: the guest's file systems that lie on a block device, in the order in which they were mounted. */
#pragma once

#include <gio/gio.h>

typedef struct Mount {
    char *path; /* in the file system's own bytes, which need not be UTF-8 */
    char *type;
    guint major, minor; /* of the device, as in /sys/dev/block/MAJOR:MINOR */
} Mount;

/* Of Mount (g_ptr_array_unref frees it), out of ROOT/proc/self/mountinfo (proc_pid_mountinfo(5)). Left out
 * are file systems without a device (major 0, but for btrfs, whose device is asked for by the name it was
 * mounted from) and a second mount of the same one. `root` is put before each file name looked at ("" for the
 * real ones). */
GPtrArray *mounts_list(const char *root, GError **error);
