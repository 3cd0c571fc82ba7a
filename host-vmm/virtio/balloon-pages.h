// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef VIRT_SUITE_HOST_VMM_VIRTIO_BALLOON_PAGES_H
#define VIRT_SUITE_HOST_VMM_VIRTIO_BALLOON_PAGES_H

/*
 * Pages that a balloon has taken, on their way to the host. A huge page of the host's that is given back in
 * pieces is split first, and what is left of it is mapped into the guest by 4 KiB, a fault each: drivers
 * inflate by 1 MiB, half of it. So pages wait until their 2 MiB are complete, or until balloon_pages_flush().
 *
 * A page that waits is still the guest's: it has to be removed when the driver deflates it, before the driver
 * is told that it may use it.
 *
 * Not thread-safe.
 */

#include <glib.h>

#include "host-vmm/memory/guest-memory.h"

typedef struct BalloonPages BalloonPages;

/* memory is borrowed. Free with balloon_pages_free(), which gives nothing back. */
BalloonPages *balloon_pages_new(const GuestMemory *memory);
void balloon_pages_free(BalloonPages *self);

/* page: a guest-physical address / 4096, any value: what is no RAM is passed over, the same page twice is no
 * harm. */
void balloon_pages_add(BalloonPages *self, guint32 page);
/* A page that does not wait (any more) is passed over. */
void balloon_pages_remove(BalloonPages *self, guint32 page);
/* Gives back all that waits. */
void balloon_pages_flush(BalloonPages *self);
/* Nothing waits any more, and nothing is given back. */
void balloon_pages_forget(BalloonPages *self);
/* Of how many huge pages a part waits. */
guint balloon_pages_waiting(const BalloonPages *self);

#endif
