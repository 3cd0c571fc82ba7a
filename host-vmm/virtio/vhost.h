// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vhost: what all of the kernel's vhost devices (/dev/vhost-net, /dev/vhost-vsock) have in common: they read
 * virtqueues in guest RAM, take kicks by an eventfd and answer by another one.
 *
 * Linux include/uapi/linux/vhost.h. Thread-safe only as far as the caller locks.
 */
#pragma once

#include "host-vmm/memory/guest-memory.h"

typedef struct VhostRing {
    guint16 size;
    guint16 next_avail;           /* where to begin */
    void *desc, *driver, *device; /* the ring's parts, here */
    int kick, call, error;        /* eventfds; error is signalled when the ring is corrupt */
} VhostRing;

/* Opens /dev/NAME (module NAME with an underscore), or takes fd, also on failure, if it is not -1; owns it
 * for this process. features: virtio's bits that this kernel's vhost knows, and vhost's own. -1 and error:
 * "NAME: …". */
int vhost_open(const char *name, int fd, guint64 *features, GError **error);
/* The driver's features, guest RAM and the first `count` rings; the device's own start comes after it. */
gboolean vhost_set_up(const char *name, int fd, guint64 features, const GuestMemory *memory,
                      const VhostRing *rings, guint count, GError **error);
/* From errno: "NAME: what: …"; returns FALSE. */
gboolean vhost_fail(const char *name, const char *what, GError **error);
