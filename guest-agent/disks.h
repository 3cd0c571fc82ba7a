// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * disks: block devices as sysfs shows them, and where they are plugged in, in the terms in which a host knows
 * its own disks: controller, bus, target, unit.
 *
 * `root` is put before each file name looked at ("" for the real ones); what udev knows beyond sysfs (serial
 * numbers) is asked for with "" only. May block.
 */
#pragma once

#include "lib/jsonstream.h"

/* The answer of guest-get-disks, ordered by name, a disk's partitions after it. NULL with the cause in
 * *errnum. */
JsonArray *disks_list(const char *root, int *errnum);

/* The name of a block device ("vda1"; "MAJOR:MINOR" if it is not in sysfs), and into `disks` the addresses of
 * the disks that it lies on: itself, or what a virtual one (device mapper, RAID) is made of. A file system's
 * "name" and "disk" in guest-get-fsinfo. g_free. */
char *disks_of_device(const char *root, guint major, guint minor, JsonArray *disks);
