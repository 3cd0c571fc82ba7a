// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"
#include "guest-agent/disk-udev.h"

#if HAVE_LIBUDEV
#include <libudev.h>

char *disk_udev_serial(const char *folder)
{
    struct udev *udev = udev_new();
    struct udev_device *device = udev ? udev_device_new_from_syspath(udev, folder) : NULL;
    const char *serial = device ? udev_device_get_property_value(device, "ID_SERIAL") : NULL;
    char *copy = serial && *serial ? g_strdup(serial) : NULL;
    udev_device_unref(device);
    udev_unref(udev);
    return copy;
}
#else
char *disk_udev_serial(const char *folder)
{
    return NULL;
}
#endif
