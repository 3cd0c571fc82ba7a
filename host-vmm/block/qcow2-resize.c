// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-resize: what is new reads as zeroes, also where the backing image has something, or where something
 * is left behind the end of the disk (a snapshot's saved machine, clusters of a disk that was larger).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

/* ---- the L1 table ---- */

static guint64 l1_clusters(const Qcow2 *self, guint64 entries)
{
    return qcow2_clusters(self, entries * sizeof(guint64));
}

/* The L1 table as the header has it. */
static int write_l1_fields(Qcow2 *self, guint64 offset, guint entries)
{
    guint8 fields[12];
    qcow2_put32(fields, entries);
    qcow2_put64(fields + 4, offset);
    int result = qcow2_write_header(self, QCOW2_HEADER_L1_SIZE, fields, sizeof fields);
    return result < 0 ? qcow2_give_up(self, result) : 0;
}

static void set_l1(Qcow2 *self, guint64 offset, guint entries)
{
    g_mutex_lock(&self->map_lock);
    self->l1 = g_realloc_n(self->l1, entries, sizeof(guint64));
    memset(self->l1 + self->l1_size, 0, (entries - self->l1_size) * sizeof(guint64));
    self->l1_size = entries;
    self->l1_offset = offset;
    g_mutex_unlock(&self->map_lock);
}

/* The table with its new entries at its new place, which may be its old one. */
static int write_whole_l1(Qcow2 *self, guint64 offset, guint entries)
{
    gsize bytes = l1_clusters(self, entries) << self->cluster_bits;
    guint64 *disk = table_memory(bytes);
    for (guint i = 0; i < self->l1_size; i++)
        disk[i] = GUINT64_TO_BE(self->l1[i]);
    int result = block_pwrite(self->node.file, offset, disk, bytes);
    free(disk);
    return result < 0 ? result : block_flush(self->node.file);
}

/* With lock. */
static int grow_l1(Qcow2 *self, guint entries)
{
    guint64 old_offset = self->l1_offset, old_clusters = l1_clusters(self, self->l1_size), first;
    guint64 clusters = l1_clusters(self, entries);
    int result = qcow2_commit(self); /* the table in memory is then what is on disk */
    if (result < 0)
        return result;
    gboolean stays = clusters == old_clusters;
    guint64 offset = old_offset;
    if (!stays) {
        result = qcow2_alloc_contiguous(self, clusters, &first);
        if (result < 0)
            return result;
        offset = first << self->cluster_bits;
        result = qcow2_write_metadata(self); /* its refcounts */
    }
    if (result == 0)
        result = write_whole_l1(self, offset, entries);
    if (result < 0) {
        if (!stays)
            qcow2_release(self, offset >> self->cluster_bits, clusters);
        return result;
    }
    result = write_l1_fields(self, offset, entries);
    if (result < 0)
        return result;
    set_l1(self, offset, entries);
    if (stays)
        return 0;
    if (old_clusters > 0)
        qcow2_unguard_region(self, old_offset);
    if (!qcow2_guard_region(self, offset, entries * sizeof(guint64), "the L1 table"))
        return qcow2_corrupt(self, "there is no room for its L1 table");
    return old_clusters > 0 ? qcow2_release(self, old_offset >> self->cluster_bits, old_clusters) : 0;
}

/* ---- the disk ---- */

static int set_size(Qcow2 *self, guint64 size)
{
    guint8 field[8];
    qcow2_put64(field, size);
    int result = qcow2_write_header(self, QCOW2_HEADER_SIZE, field, sizeof field);
    if (result < 0)
        return qcow2_give_up(self, result);
    __atomic_store_n(&self->size, size, __ATOMIC_RELAXED);
    return 0;
}

static int write_zero_data(Qcow2 *self, guint64 offset, guint64 end)
{
    int result = 0;
    for (guint64 step; offset < end && result == 0; offset += step) {
        step = MIN(end - offset, self->cluster_size - qcow2_in_cluster(self, offset));
        result = qcow2_zero_part(self, offset, step);
    }
    return result;
}

/* [offset, end) reads as zeroes. Behind the end of the disk, which is still at `offset`. */
static int clear(Qcow2 *self, guint64 offset, guint64 end)
{
    guint64 first = qcow2_clusters(self, offset), last = qcow2_clusters(self, end);
    guint64 backing = self->node.backing != NULL ? block_length(self->node.backing) : 0;
    guint64 shown =
        CLAMP(qcow2_clusters(self, backing), first, last); /* up to here the backing image shows */
    int result = 0;
    if (first > offset >> self->cluster_bits)
        result = write_zero_data(self, offset, MIN(first << self->cluster_bits, end));
    if (result == 0)
        result = qcow2_change(self, first, shown - first, QCOW2_ZERO_UNMAP);
    if (result == -ENOTSUP)
        result = write_zero_data(self, first << self->cluster_bits, MIN(shown << self->cluster_bits, end));
    if (result == 0)
        result = qcow2_change(self, shown, last - shown, QCOW2_FORGET);
    return result;
}

static int grow(Qcow2 *self, guint64 size, guint64 length)
{
    guint bits = self->cluster_bits + self->l2_bits;
    guint64 entries = (length >> bits) + ((length & ((1ull << bits) - 1)) != 0);
    int result = 0;
    if (length > G_MAXINT64 - self->cluster_size || entries > QCOW2_MAX_L1_BYTES / sizeof(guint64))
        return -EFBIG;
    g_mutex_lock(&self->lock);
    result = qcow2_prepare(self);
    if (result == 0 && entries > self->l1_size)
        result = grow_l1(self, (guint)entries);
    g_mutex_unlock(&self->lock);
    if (result == 0)
        result = clear(self, size, length);
    return result;
}

static int shrink(Qcow2 *self, guint64 size, guint64 length)
{
    guint64 first = qcow2_clusters(self, length);
    int result = set_size(self, length);
    if (result == 0)
        result = qcow2_change(self, first, qcow2_clusters(self, size) - first, QCOW2_FORGET);
    return result;
}

int qcow2_resize(BlockNode *node, guint64 length)
{
    Qcow2 *self = (Qcow2 *)node;
    guint64 size = qcow2_size(self);
    int result = qcow2_check_writable(self);
    if (result < 0 || length == size)
        return result;
    /* Version 2 does not say how large the disk was that a snapshot was taken of. */
    if (length % BLOCK_SECTOR != 0)
        return -EINVAL;
    if (self->version < 3 && self->snapshot_count > 0)
        return -ENOTSUP;
    if (length > size) {
        result = grow(self, size, length);
        if (result == 0)
            result = qcow2_flush(self);
        if (result == 0)
            result = set_size(self, length);
    } else {
        g_mutex_lock(&self->lock);
        result = qcow2_prepare(self);
        g_mutex_unlock(&self->lock);
        if (result == 0)
            result = shrink(self, size, length);
        if (result == 0)
            result = qcow2_flush(self);
    }
    return result;
}
