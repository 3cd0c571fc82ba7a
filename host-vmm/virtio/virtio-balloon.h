// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-balloon: memory that the guest gives back on request, says that it does not need, and its statistics
 * (virtio 1.2, section 5.5).
 *
 * virtio-balloon-pci[,deflate-on-oom=on][,free-page-reporting=on][,page-poison=off]. Properties guest-stats
 * and guest-stats-polling-interval as QEMU's. Event BALLOON_CHANGE, at most one a second.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_BALLOON_ID 5

extern const DeviceType virtio_balloon_pci_type;

/* The machine's balloon, or NULL. */
Device *virtio_balloon_find(const DeviceEnv *env);
/* Asks the guest to make do with `size` bytes; more than it has is all that it has. Main thread. */
void virtio_balloon_set_target(Device *device, guint64 size);
/* What the guest has now, bytes: RAM less what is in the balloon, as the driver says. */
guint64 virtio_balloon_actual(Device *device);
