// SPDX-License-Identifier: GPL-2.0-or-later
/* disk-udev: what udev has found out about a disk. */
#pragma once

#include <glib.h>

/* ID_SERIAL of the device with this real folder in sysfs (g_free); NULL if udev is not there or knows none.
 */
char *disk_udev_serial(const char *folder);
