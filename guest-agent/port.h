// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * port: where a virtio-serial port's device node is, and being told when one may have come.
 *
 * udev makes links /dev/virtio-ports/NAME. Where there is no udev (an initramfs) the kernel still makes
 * /dev/vportNpM (devtmpfs) and tells the name in /sys/class/virtio-ports/vportNpM/name.
 */
#pragma once

#include <gio/gio.h>

/* The node to open for `path`: the path itself if it exists, else, for a path in /dev/virtio-ports, the
 * /dev/vportNpM whose name in sysfs is its last component; NULL if there is none now. Owned. `root` is put
 * before each file name looked at ("" for the real ones). */
char *port_find(const char *path, const char *root);

typedef struct PortWatch PortWatch;

/* Calls func from the main loop whenever a port for `path` may have come: on the kernel's events about virtio
 * ports and on changes in the folder of `path` (or, while that does not exist, the nearest one above it). No
 * polling. */
PortWatch *port_watch_new(const char *path, void (*func)(gpointer user_data), gpointer user_data);
void port_watch_free(PortWatch *watch);
