// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost-vsock: sockets between host and guest without a network (virtio 1.2, section 5.10), moved by the
 * kernel's vhost. What is here is the device; its two data queues are /dev/vhost-vsock's from DRIVER_OK to
 * the reset.
 */
#pragma once

#include "host-vmm/device.h"

/* -device vhost-vsock-pci,guest-cid=N[,vhostfd=N][,id=] */
extern const DeviceType vhost_vsock_pci_type;
