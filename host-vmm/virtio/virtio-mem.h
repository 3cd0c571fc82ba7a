// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-mem: memory that comes and goes in blocks while the guest runs (virtio 1.2, section 5.15).
 *
 * virtio-mem-pci,memdev=ID[,requested-size=SIZE][,block-size=SIZE]. The backend's size is the most that it
 * can ever be; the host asks for a size (property requested-size), the guest plugs and unplugs blocks until
 * it is so. Event MEMORY_DEVICE_SIZE_CHANGE, at most one a second for each device.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_MEM_ID 24

extern const DeviceType virtio_mem_pci_type;

/* Whether it is one. */
gboolean virtio_mem_check(const Device *device);
/* How much of it the guest has now, bytes. */
guint64 virtio_mem_size(Device *device);
/* What query-memory-devices says of it; owned. */
JsonObject *virtio_mem_describe(Device *device);
