// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-scsi-private: between the adapter and the disks on its bus. */
#pragma once

#include "host-vmm/scsi/scsi-unit.h"
#include "host-vmm/virtio/virtio-pci.h"
#include "host-vmm/virtio/virtio-scsi.h"

#define SCSI_MAX_TARGET 255
#define SCSI_MAX_LUN    16383
#define SCSI_MAX_UNITS  256

typedef struct VirtioScsi VirtioScsi;

/* A disk on the bus. Its place and unit do not change while it is there. */
typedef struct ScsiDevice {
    Device device;
    VirtioScsi *scsi; /* NULL: not on a bus yet */
    guint target, lun;
    ScsiUnit *unit;
    Drive *drive;
    char *id;

    /* Under the adapter's lock. */
    guint outstanding; /* commands of its own */
    gboolean changed;  /* the adapter's thread has to tell the driver of a new capacity */
} ScsiDevice;

/* The adapter whose bus is named (NULL: the first). NULL and error if there is none. */
VirtioScsi *virtio_scsi_find(DeviceEnv *env, const char *bus, GError **error);
IoContext *virtio_scsi_io(const VirtioScsi *scsi);
const char *virtio_scsi_bus(const VirtioScsi *scsi);
/* Puts a disk onto the bus; lun -1: the first free one of its target, target -1: the first free target. */
gboolean virtio_scsi_join(VirtioScsi *scsi, ScsiDevice *disk, int target, int lun, GError **error);
void virtio_scsi_leave(ScsiDevice *disk); /* with nothing in flight */
/* The disk's length has changed. Main thread. */
void virtio_scsi_capacity_changed(ScsiDevice *disk);
