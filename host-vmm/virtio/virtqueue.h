// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtqueue: the device's side of a split virtqueue (virtio 1.2, section 2.7), with indirect descriptors and
 * EVENT_IDX.
 *
 * Everything in the ring is hostile: an index, an address, a length or a chain that cannot be is an error,
 * after which the queue stays broken until it is reset. Nothing is touched outside guest RAM. The owner
 * locks: one thread at a time.
 */
#pragma once

#include <sys/uio.h>

#include "host-vmm/memory/guest-memory.h"

#define VIRTQUEUE_MAX_SIZE     1024 /* entries we ever offer; the specification's limit is 32768 */
#define VIRTQUEUE_MAX_SEGMENTS 1024 /* of one chain */

typedef struct VirtQueue {
    const GuestMemory *memory;
    guint16 max_size; /* a power of two */

    /* As the driver sets it up before it enables the queue. */
    guint16 size;
    guint64 desc_address, driver_address, device_address;
    gboolean enabled;

    /* Running. */
    gboolean broken;
    gboolean indirect, event_idx;   /* negotiated */
    guint8 *desc, *driver, *device; /* the three parts, here */
    guint16 seen_avail;             /* the driver's index as last read */
    guint16 next_avail;             /* the next entry to take */
    guint16 used;                   /* our index in the used ring */
    guint in_use;                   /* taken and not given back */
    guint unsignalled;              /* given back since virtqueue_should_interrupt() was last asked */
    gboolean kicks_wanted;
} VirtQueue;

/* One taken chain: first the buffers to read, then those to write. Freed with g_free() (after a reset too).
 */
typedef struct VirtQueueElement {
    guint16 head;
    guint out_count, in_count;
    guint32 out_bytes, in_bytes;
    struct iovec *out, *in; /* in guest RAM, of which the guest may change the contents at any time */
    struct iovec segments[];
} VirtQueueElement;

/* size: a power of two up to VIRTQUEUE_MAX_SIZE. */
void virtqueue_init(VirtQueue *queue, const GuestMemory *memory, guint16 max_size);
/* To power-on. Elements still held are the holder's to free and must not be pushed any more. */
void virtqueue_reset(VirtQueue *queue);
/* The driver's choice of size: FALSE (and nothing changed) if it is not a power of two from 1 to max_size. */
gboolean virtqueue_set_size(VirtQueue *queue, guint size);
/* Checks where the three parts lie and takes them into use. An error leaves the queue broken. */
gboolean virtqueue_enable(VirtQueue *queue, GError **error);

/* The next chain; NULL without error: there is none, with error: the ring is corrupt and the queue now
 * broken. */
VirtQueueElement *virtqueue_pop(VirtQueue *queue, GError **error);
/* Gives a chain back with `written` bytes put into its in buffers, and frees it. Interrupts nobody. */
void virtqueue_push(VirtQueue *queue, VirtQueueElement *element, guint32 written);
/* The same for several chains at once, which the driver sees all together: what belongs together must not be
 * seen in part. The elements are freed; written: of each. */
void virtqueue_push_many(VirtQueue *queue, VirtQueueElement *const *elements, const guint32 *written,
                         guint count);
/* Whether the driver wants an interrupt for what was pushed since the last call. */
gboolean virtqueue_should_interrupt(VirtQueue *queue);

/* Asks the driver not to kick: for the time that the ring is polled anyhow. */
void virtqueue_stop_kicks(VirtQueue *queue);
/* Asks for kicks again. TRUE: more is there already, for which no kick may come. Reads the ring, may break
 * it. */
gboolean virtqueue_want_kicks(VirtQueue *queue);

/* Somebody else (the kernel's vhost) goes on from here: the chains taken last, `held` of them, count as not
 * taken (their elements are the holder's to free). Returns the index of the next entry to take. Nothing else
 * may be called until virtqueue_take_back() or virtqueue_reset(). */
guint16 virtqueue_hand_over(VirtQueue *queue, guint held);
/* What the other one took and did not give back counts as not taken. */
void virtqueue_take_back(VirtQueue *queue);

/* Copies from the out buffers at `offset`, to the in buffers at `offset`; returns how much there was or
 * fitted. */
gsize virtqueue_element_read(const VirtQueueElement *element, gsize offset, void *to, gsize length);
gsize virtqueue_element_write(const VirtQueueElement *element, gsize offset, const void *from, gsize length);
