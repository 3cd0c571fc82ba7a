// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-zero: discarding and writing zeroes, which is a matter of L2 entries as far as whole clusters are
 * concerned.
 *
 * As QEMU does it: what is discarded reads as zeroes afterwards, never as the backing image's data. Version 2
 * has no entry for zeroes: there a discard is done only where there is no backing image, and zeroes are
 * written.
 */
#include <errno.h>
#include <unistd.h>

#include "host-vmm/block/qcow2-private.h"

#define LIMBO_PAUSE_US 1000 /* for data I/O to end, before still more is freed */
#define MANY_IN_LIMBO  65536u

/* What an entry becomes. */
static guint64 changed(Qcow2 *self, guint64 entry, Qcow2Change change)
{
    Qcow2Extent extent = qcow2_decode(self, entry);
    guint64 zeroes = self->version >= 3 ? QCOW2_ZERO : 0;
    switch (change) {
    case QCOW2_FORGET:
        return 0;
    case QCOW2_ZERO_KEEP:
        if (extent.kind == QCOW2_ZEROES || (extent.kind == QCOW2_DATA && self->version >= 3))
            return entry | QCOW2_ZERO;
        break;
    default:
        break;
    }
    return extent.kind == QCOW2_ABSENT && self->node.backing == NULL ? entry : zeroes;
}

/* With lock: [first, first + count), which is in one piece of a table. */
static int change_piece(Qcow2 *self, guint64 first, guint64 count, Qcow2Change change)
{
    guint64 offset = first << self->cluster_bits;
    CachedTable *table;
    guint index;
    gboolean any = FALSE;
    int result;
    do {
        result = qcow2_load(self, offset);
    } while (result == 0 && qcow2_wait_unclaimed(self, first, count));
    for (guint64 i = 0; i < count && result == 0 && !any; i++) {
        Qcow2Extent extent;
        if (!qcow2_lookup(self, offset + (i << self->cluster_bits), self->cluster_size, &extent))
            return -EIO;
        if (extent.kind == QCOW2_BAD)
            return qcow2_corrupt(
                self, "entry 0x%" G_GINT64_MODIFIER "x for the guest's offset 0x%" G_GINT64_MODIFIER "x",
                extent.entry, offset + (i << self->cluster_bits));
        any = changed(self, extent.entry, change) != extent.entry;
    }
    if (result < 0 || !any)
        return result;
    result = qcow2_table_for_write(self, offset, &table, &index);
    for (guint i = 0; i < count && result == 0; i++) {
        guint64 old = qcow2_entry(table, index + i);
        guint64 now = changed(self, old, change);
        if (now == old)
            continue;
        qcow2_set_entry(self, table, index + i, now);
        if ((now & QCOW2_OFFSET_MASK) == 0)
            result = qcow2_free_entry(self, old, TRUE);
    }
    return result;
}

/* The guest clusters from `first` on for which there is no table at all. */
static guint64 count_without_table(Qcow2 *self, guint64 first, guint64 count)
{
    guint64 none = 0;
    while (none < count) {
        guint64 cluster = first + none;
        if (self->l1[cluster >> self->l2_bits] != 0)
            break;
        none += (1ull << self->l2_bits) - (cluster & ((1ull << self->l2_bits) - 1));
    }
    return MIN(none, count);
}

/* One step of it; lets others go on in between. */
static int change_some(Qcow2 *self, guint64 first, guint64 count, Qcow2Change change, guint64 *done)
{
    gboolean pause = FALSE;
    g_mutex_lock(&self->lock);
    int result = qcow2_prepare(self);
    *done = 0;
    if (result == 0 && (self->node.backing == NULL || change == QCOW2_FORGET))
        *done = count_without_table(self, first, count);
    if (result == 0 && *done == 0) {
        guint64 in_piece = qcow2_entries_in_piece(self);
        guint64 some = MIN(count, in_piece - first % in_piece);
        result = change_piece(self, first, some, change);
        if (result == 0)
            *done = some;
        else if (result == -ENOSPC && qcow2_make_space(self))
            result = 0;
    }
    if (result == 0)
        result = qcow2_tidy(self);
    pause = g_queue_get_length(&self->limbo) > MANY_IN_LIMBO;
    g_mutex_unlock(&self->lock);
    if (pause)
        g_usleep(LIMBO_PAUSE_US);
    return result;
}

int qcow2_change(Qcow2 *self, guint64 first, guint64 count, Qcow2Change change)
{
    if (self->version < 3 && self->node.backing != NULL && change != QCOW2_FORGET)
        return -ENOTSUP;
    int result = qcow2_check_writable(self);
    while (count > 0 && result == 0) {
        guint64 done;
        result = change_some(self, first, count, change, &done);
        first += done;
        count -= done;
    }
    return result;
}

/* ---- the driver's calls ---- */

/* The last cluster is whole if it is whole up to the end of the disk. */
static guint64 end_of_whole(Qcow2 *self, guint64 end)
{
    return end >= qcow2_size(self) ? qcow2_clusters(self, end) : end >> self->cluster_bits;
}

int qcow2_discard(BlockNode *node, guint64 offset, guint64 length)
{
    Qcow2 *self = (Qcow2 *)node;
    guint64 first = qcow2_clusters(self, offset), end = end_of_whole(self, offset + length);
    return first < end ? qcow2_change(self, first, end - first, QCOW2_DISCARD) : 0;
}

int qcow2_zero_part(Qcow2 *self, guint64 offset, guint64 length)
{
    Qcow2Extent extent;
    guint epoch;
    if (length == 0)
        return 0;
    int result = qcow2_map(self, offset, length, &extent, &epoch);
    qcow2_leave(self, epoch);
    if (result < 0 || extent.kind == QCOW2_ZEROES ||
        (extent.kind == QCOW2_ABSENT && self->node.backing == NULL))
        return result;
    struct iovec segment = {self->zeroes, length};
    return qcow2_write(self, offset, length, &segment, 1);
}

int qcow2_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    Qcow2 *self = (Qcow2 *)node;
    guint64 limit = offset + length;
    guint64 first = qcow2_clusters(self, offset), end = end_of_whole(self, limit);
    gboolean unmap = (flags & BLOCK_MAY_UNMAP) != 0 || self->version < 3;
    int result;
    if (first > end) {
        result = qcow2_zero_part(self, offset, length);
    } else {
        result = qcow2_zero_part(self, offset, MIN(first << self->cluster_bits, limit) - offset);
        if (result == 0 && first < end)
            result = qcow2_change(self, first, end - first, unmap ? QCOW2_ZERO_UNMAP : QCOW2_ZERO_KEEP);
        if (result == 0 && end << self->cluster_bits < limit)
            result = qcow2_zero_part(self, end << self->cluster_bits, limit - (end << self->cluster_bits));
    }
    return result == 0 && (flags & BLOCK_FUA) != 0 ? qcow2_flush(self) : result;
}
