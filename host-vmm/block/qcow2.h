// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2: QEMU's image format, versions 2 and 3, on any node that can be resized (or is large enough already).
 *
 * Not done: encryption, external data files, extended L2 entries, keeping bitmaps, making or deleting
 * snapshots (an image that has some is used as it should be), writing compressed clusters.
 */
#pragma once

#include "host-vmm/block/block.h"

typedef struct Qcow2 Qcow2;

/* What -blockdev can say, in bytes; 0: the default. */
typedef struct Qcow2Options {
    guint64 l2_cache_size, refcount_cache_size;
    gboolean pass_discard; /* of the guest, to the file */
} Qcow2Options;

/* A node of this driver whose `file` (and `read_only`) is set: reads its header and tables. Without a backing
 * node yet. After FALSE the driver's close() must not be called. */
gboolean qcow2_start(BlockNode *node, const Qcow2Options *options, GError **error);
/* What the image says about its backing image; NULL: nothing. Borrowed. */
const char *qcow2_backing_name(BlockNode *node);
const char *qcow2_backing_format(BlockNode *node);
