// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-rng: the entropy device (virtio 1.2, section 5.4): one queue of buffers to be filled with random
 * bytes.
 *
 * virtio-rng-pci,rng=OBJECT[,max-bytes=N,period=MS]: at most N bytes in each period.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_RNG_ID 4

extern const DeviceType virtio_rng_pci_type;
