// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * disk-address: where a disk is plugged in, read off its folder's name in sysfs
 * ("/sys/devices/pci0000:00/0000:00:03.0/virtio0/block/vda"), in the numbers by which a host's configuration
 * calls it. They are those of qemu-ga, since hosts compare them with their own.
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct DiskAddress {
    gint64 domain, pci_bus, slot, function; /* of the PCI controller; -1: not known or not PCI */
    const char *bus_type;                   /* a word of the protocol's GuestDiskBusType; "unknown" */
    guint bus, target, unit;
    gboolean is_ccw; /* channel I/O (s390x); its numbers: */
    guint cssid, ssid, subchno, devno;
} DiskAddress;

/* `folder`: the real folder of the disk or one of its partitions, without `root`, which is put before each
 * file name looked at ("" for the real ones). Fills in *address in any case; TRUE if something is known. */
gboolean disk_address_read(const char *root, const char *folder, DiskAddress *address);

/* {"pci-controller": {…}, "bus-type", "bus", "target", "unit", "ccw-address"?}: all of them always, since
 * hosts refuse an address that lacks one. */
JsonObject *disk_address_to_json(const DiskAddress *address);
