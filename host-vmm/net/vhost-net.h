// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost-net: the kernel's own virtio-net data plane (/dev/vhost-net) for one queue pair: it reads the rings
 * in guest RAM, takes kicks by an eventfd, answers by another one, and moves the packets from and to a tap
 * itself.
 *
 * Linux include/uapi/linux/vhost.h. Thread-safe only as far as the caller locks.
 */
#pragma once

#include "host-vmm/virtio/vhost.h"

typedef struct VhostNet VhostNet;

/* fd: an open /dev/vhost-net (taken, also on failure), or -1: it is opened here. */
VhostNet *vhost_net_new(int fd, GError **error);
void vhost_net_free(VhostNet *vhost);
/* Of virtio's feature bits those that this kernel's vhost knows. */
guint64 vhost_net_features(const VhostNet *vhost);

#define VHOST_NET_RX 0
#define VHOST_NET_TX 1

/* Begins. features: the driver's. backend: a tap's descriptor with vnet headers of 12 bytes. After a failure
 * it is stopped. */
gboolean vhost_net_start(VhostNet *vhost, const GuestMemory *memory, guint64 features,
                         const VhostRing rings[2], int backend, GError **error);
/* Returns when nothing is touched any more. */
void vhost_net_stop(VhostNet *vhost);
