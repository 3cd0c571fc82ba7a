// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-io: reading and writing. Data that is mapped and not shared is one I/O of the file; the rest of a
 * cluster that is written for the first time is copied from where it was before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

/* ---- segments ---- */

static guint64 total(const struct iovec *segments, guint count)
{
    guint64 sum = 0;
    for (guint i = 0; i < count; i++)
        sum += segments[i].iov_len;
    return sum;
}

/* Part of a request's segments, with room for one more before and one behind. */
typedef struct Part {
    const struct iovec *list;
    guint count;
    struct iovec *own; /* list, if it is not the request's */
} Part;

static Part part_of(const struct iovec *segments, guint count, guint64 skip, guint64 length)
{
    Part part = {.own = g_new(struct iovec, count + 2)};
    struct iovec *to = part.own + 1;
    for (guint i = 0; i < count && length > 0; i++) {
        if (skip >= segments[i].iov_len) {
            skip -= segments[i].iov_len;
            continue;
        }
        gsize there = MIN(segments[i].iov_len - skip, length);
        to[part.count++] = (struct iovec){(guint8 *)segments[i].iov_base + skip, there};
        length -= there;
        skip = 0;
    }
    part.list = to;
    return part;
}

static void part_clear(Part *part)
{
    g_free(part->own);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Part, part_clear)

static void part_push_front(Part *part, void *bytes, gsize length)
{
    part->own[0] = (struct iovec){bytes, length};
    part->list = part->own;
    part->count++;
}

static void part_push_back(Part *part, void *bytes, gsize length)
{
    ((struct iovec *)part->list)[part->count++] = (struct iovec){bytes, length};
}

static void part_zero(const Part *part, guint64 from)
{
    for (guint i = 0; i < part->count; i++) {
        gsize length = part->list[i].iov_len;
        if (from < length)
            memset((guint8 *)part->list[i].iov_base + from, 0, length - from);
        from -= MIN(from, length);
    }
}

static void part_copy(const Part *part, const guint8 *from)
{
    for (guint i = 0; i < part->count; i++) {
        memcpy(part->list[i].iov_base, from, part->list[i].iov_len);
        from += part->list[i].iov_len;
    }
}

/* ---- reading ---- */

static int beyond_end(Qcow2 *self, guint64 host)
{
    return qcow2_bad(self,
                     "it is cut off: data should be at 0x%" G_GINT64_MODIFIER
                     "x, the file ends at 0x%" G_GINT64_MODIFIER "x",
                     host, block_length(self->node.file));
}

/* As far as there is anything: behind its end there are zeroes. */
static int read_backing(Qcow2 *self, guint64 offset, const Part *part, guint64 length)
{
    BlockNode *backing = self->node.backing;
    guint64 end = backing != NULL ? block_length(backing) : 0;
    if (offset >= end) {
        part_zero(part, 0);
        return 0;
    }
    if (length <= end - offset)
        return block_preadv(backing, offset, part->list, part->count);
    guint64 there = end - offset;
    g_auto(Part) shorter = part_of(part->list, part->count, 0, there);
    part_zero(part, there);
    return block_preadv(backing, offset, shorter.list, shorter.count);
}

static int read_host(Qcow2 *self, guint64 host, const Part *part, guint64 length)
{
    guint64 end = block_length(self->node.file);
    if (end >= length && host <= end - length)
        return block_preadv(self->node.file, host, part->list, part->count);
    /* The last cluster of a file may be cut short, but not be missing. */
    if (host >= qcow2_clusters(self, end) << self->cluster_bits)
        return beyond_end(self, host);
    guint64 there = host < end ? end - host : 0;
    part_zero(part, there);
    if (there == 0)
        return 0;
    g_auto(Part) shorter = part_of(part->list, part->count, 0, there);
    return block_preadv(self->node.file, host, shorter.list, shorter.count);
}

static int read_packed(Qcow2 *self, guint64 entry, guint64 in_cluster, const Part *part, guint64 length)
{
    guint64 offset, packed_length, end = block_length(self->node.file);
    g_autofree guint8 *out = g_malloc(length);
    if (qcow2_unpacker_find(&self->unpack, entry, in_cluster, length, out)) {
        part_copy(part, out);
        return 0;
    }
    qcow2_packed_range(self, entry, &offset, &packed_length);
    if (offset >= end)
        return beyond_end(self, offset);
    packed_length = MIN(packed_length, end - offset);
    g_autofree guint8 *packed = g_malloc(packed_length);
    g_autofree guint8 *cluster = g_malloc(self->cluster_size);
    int result = block_pread(self->node.file, offset, packed, packed_length);
    if (result == 0)
        result = qcow2_unpack(&self->unpack, packed, packed_length, cluster);
    if (result == -EIO)
        return qcow2_bad(self, "the compressed data at 0x%" G_GINT64_MODIFIER "x is no cluster", offset);
    if (result < 0)
        return result;
    part_copy(part, cluster + in_cluster);
    qcow2_unpacker_keep(&self->unpack, entry, g_steal_pointer(&cluster));
    return 0;
}

static int read_extent(Qcow2 *self, const Qcow2Extent *extent, guint64 offset, const Part *part)
{
    switch (extent->kind) {
    case QCOW2_ABSENT:
        return read_backing(self, offset, part, extent->length);
    case QCOW2_ZEROES:
        part_zero(part, 0);
        return 0;
    case QCOW2_DATA:
        return read_host(self, extent->host, part, extent->length);
    case QCOW2_PACKED:
        return read_packed(self, extent->entry, qcow2_in_cluster(self, offset), part, extent->length);
    case QCOW2_BAD:
        break;
    }
    return -EIO;
}

int qcow2_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count)
{
    Qcow2 *self = (Qcow2 *)node;
    guint64 length = total(segments, count), size = qcow2_size(self);
    int result = 0;
    for (guint64 done = 0; done < length && result == 0;) {
        guint64 at = offset + done;
        if (at >= size) {
            /* Its length is one of whole sectors, the image's need not be. */
            g_auto(Part) rest = part_of(segments, count, done, length - done);
            part_zero(&rest, 0);
            break;
        }
        Qcow2Extent extent;
        guint epoch;
        result = qcow2_map(self, at, MIN(length - done, size - at), &extent, &epoch);
        if (result == 0 && extent.length == length) {
            const Part all = {.list = segments, .count = count};
            result = read_extent(self, &extent, at, &all);
        } else if (result == 0) {
            g_auto(Part) part = part_of(segments, count, done, extent.length);
            result = read_extent(self, &extent, at, &part);
        }
        qcow2_leave(self, epoch);
        done += extent.length;
    }
    return result;
}

/* ---- writing in place ---- */

/* With map_lock; leaves it. What the extent says was looked up under it. */
static int write_in_place(Qcow2 *self, const Qcow2Extent *extent, const struct iovec *segments, guint count,
                          guint64 skip)
{
    guint epoch = qcow2_enter(self);
    const char *what = qcow2_metadata_at(self, extent->host, extent->length);
    g_mutex_unlock(&self->map_lock);
    guint64 end = block_length(self->node.file);
    int result;
    if (what != NULL) {
        result = qcow2_corrupt(self, "data is to be written at 0x%" G_GINT64_MODIFIER "x, but %s is there",
                               extent->host, what);
    } else if (extent->length > end || extent->host > end - extent->length) {
        result = beyond_end(self, extent->host);
    } else if (extent->length == total(segments, count)) {
        result = block_pwritev(self->node.file, extent->host, segments, count, 0);
    } else {
        g_auto(Part) part = part_of(segments, count, skip, extent->length);
        result = block_pwritev(self->node.file, extent->host, part.list, part.count, 0);
    }
    qcow2_leave(self, epoch);
    return result;
}

/* ---- writing where nothing was written before, or others still read ---- */

/* Guest clusters that get a place, and what they had before. */
typedef struct Placing {
    guint64 offset, length; /* of the data */
    guint64 first, count;   /* guest clusters */
    guint64 host;           /* the first one's new place */
    gboolean kept;          /* that is the old one: it had one, but read as zeroes */
    gboolean fresh;         /* the new place reads as zeroes */
    guint64 first_entry, last_entry;
} Placing;

static gboolean reads_as_zeroes(Qcow2 *self, guint64 entry, guint64 offset)
{
    Qcow2Extent extent = qcow2_decode(self, entry);
    return extent.kind == QCOW2_ZEROES ||
           (extent.kind == QCOW2_ABSENT &&
            (self->node.backing == NULL || offset >= block_length(self->node.backing)));
}

/* [offset, offset + length) of the disk, within a cluster that has this entry. */
static int read_old(Qcow2 *self, guint64 entry, guint64 offset, guint64 length, guint8 *to)
{
    struct iovec segment = {to, length};
    const Part part = {.list = &segment, .count = 1};
    Qcow2Extent extent = qcow2_decode(self, entry);
    extent.host += qcow2_in_cluster(self, offset);
    extent.length = length;
    return read_extent(self, &extent, offset, &part);
}

static gboolean may_keep(const Qcow2Extent *extent)
{
    return extent->kind == QCOW2_ZEROES && extent->host != 0 && (extent->entry & QCOW2_COPIED) != 0;
}

/* How many clusters from the first one on can be placed at once. */
static int find_run(Qcow2 *self, const CachedTable *table, guint index, Placing *placing)
{
    guint64 end = qcow2_clusters(self, placing->offset + placing->length);
    guint64 most = MIN(end - placing->first, qcow2_entries_in_piece(self) - index);
    placing->first_entry = qcow2_entry(table, index);
    Qcow2Extent first = qcow2_decode(self, placing->first_entry);
    placing->kept = may_keep(&first);
    placing->host = first.host;
    for (placing->count = 0; placing->count < most; placing->count++) {
        guint64 entry = qcow2_entry(table, index + (guint)placing->count);
        Qcow2Extent extent = qcow2_decode(self, entry);
        if (extent.kind == QCOW2_BAD)
            return qcow2_corrupt(
                self, "entry 0x%" G_GINT64_MODIFIER "x for the guest's offset 0x%" G_GINT64_MODIFIER "x",
                entry, (placing->first + placing->count) << self->cluster_bits);
        if (extent.in_place || may_keep(&extent) != placing->kept ||
            (placing->kept && extent.host != placing->host + (placing->count << self->cluster_bits)))
            break;
    }
    return 0;
}

/* With lock. Chooses new places for as many clusters as go together. */
static int place(Qcow2 *self, CachedTable *table, guint index, Placing *placing)
{
    int result = find_run(self, table, index, placing);
    if (result < 0)
        return result;
    if (placing->kept) {
        guint64 length = placing->count << self->cluster_bits;
        const char *what = qcow2_metadata_at(self, placing->host, length);
        if (what != NULL)
            return qcow2_corrupt(self, "data is to be written at 0x%" G_GINT64_MODIFIER "x, but %s is there",
                                 placing->host, what);
        if (length > self->file_end || placing->host > self->file_end - length)
            return beyond_end(self, placing->host);
    } else {
        guint64 cluster;
        result = qcow2_alloc(self, placing->count, &cluster, &placing->count, &placing->fresh);
        if (result < 0)
            return result;
        placing->host = cluster << self->cluster_bits;
    }
    placing->last_entry = qcow2_entry(table, index + (guint)placing->count - 1);
    guint64 end = (placing->first + placing->count) << self->cluster_bits;
    placing->length = MIN(placing->length, end - placing->offset);
    return 0;
}

/* Without locks. The data, and around it what the clusters held before. */
static int write_placed(Qcow2 *self, const Placing *placing, const struct iovec *segments, guint count,
                        guint64 skip)
{
    guint64 start = placing->first << self->cluster_bits;
    guint64 end = (placing->first + placing->count) << self->cluster_bits;
    guint64 data_end = placing->offset + placing->length;
    guint64 head = placing->offset - start, tail = end - data_end;
    gboolean head_zero = reads_as_zeroes(self, placing->first_entry, start);
    gboolean tail_zero = reads_as_zeroes(self, placing->last_entry, data_end);
    guint64 at = placing->host + head;
    int result = 0;
    g_auto(Part) part = part_of(segments, count, skip, placing->length);
    guint8 *copy = (head > 0 && !head_zero) || (tail > 0 && !tail_zero) ? table_memory(head + tail) : NULL;
    if (head > 0 && !head_zero)
        result = read_old(self, placing->first_entry, start, head, copy);
    if (result == 0 && tail > 0 && !tail_zero)
        result = read_old(self, placing->last_entry, data_end, tail, copy + head);
    if (head > 0 && !(head_zero && placing->fresh)) {
        part_push_front(&part, head_zero ? self->zeroes : copy, head);
        at -= head;
    }
    if (tail > 0 && !(tail_zero && placing->fresh))
        part_push_back(&part, tail_zero ? self->zeroes : copy + head, tail);
    if (result == 0)
        result = block_pwritev(self->node.file, at, part.list, part.count, 0);
    free(copy);
    return result;
}

/* With lock. The guest's clusters are there from now on. */
static int link_placed(Qcow2 *self, const Placing *placing)
{
    CachedTable *table;
    guint index;
    int result = qcow2_table_for_write(self, placing->offset, &table, &index);
    if (result < 0)
        return result;
    self->unflushed = TRUE;
    for (guint i = 0; i < placing->count; i++) {
        guint64 old = qcow2_entry(table, index + i);
        guint64 host = placing->host + ((guint64)i << self->cluster_bits);
        qcow2_set_entry(self, table, index + i, host | QCOW2_COPIED);
        if (!placing->kept)
            result = qcow2_free_entry(self, old, FALSE);
    }
    return result;
}

/* With lock; may give it up in between. How much was written is in *done. */
static int write_new(Qcow2 *self, guint64 offset, guint64 length, const struct iovec *segments, guint count,
                     guint64 skip, guint64 *done)
{
    CachedTable *table;
    guint index;
    Qcow2Extent extent;
    int result;
    do
        result = qcow2_table_for_write(self, offset, &table, &index);
    while (result == 0 && qcow2_wait_unclaimed(self, offset >> self->cluster_bits, 1));
    if (result < 0)
        return result;
    /* Another one may have been faster. */
    g_mutex_lock(&self->map_lock);
    if (qcow2_lookup(self, offset, length, &extent) && extent.in_place) {
        g_mutex_unlock(&self->lock);
        *done = extent.length;
        result = write_in_place(self, &extent, segments, count, skip);
        g_mutex_lock(&self->lock);
        return result;
    }
    g_mutex_unlock(&self->map_lock);

    Placing placing = {.offset = offset, .length = length, .first = offset >> self->cluster_bits};
    /* Not into those that somebody else has claimed. */
    for (const Qcow2Claim *claim = self->claims; claim != NULL; claim = claim->next) {
        if (claim->first > placing.first)
            placing.length = MIN(placing.length, (claim->first << self->cluster_bits) - offset);
    }
    result = place(self, table, index, &placing);
    if (result < 0)
        return result;
    Qcow2Claim claim;
    qcow2_claim(self, &claim, placing.first, placing.count);
    g_mutex_unlock(&self->lock);
    result = write_placed(self, &placing, segments, count, skip);
    g_mutex_lock(&self->lock);
    if (result == 0)
        result = link_placed(self, &placing);
    if (result < 0 && !placing.kept && !g_atomic_int_get(&self->broken))
        qcow2_release(self, placing.host >> self->cluster_bits, placing.count);
    qcow2_unclaim(self, &claim);
    *done = placing.length;
    return result < 0 ? result : qcow2_tidy(self);
}

int qcow2_check_writable(Qcow2 *self)
{
    return g_atomic_int_get(&self->broken) ? -EIO : 0;
}

/* What is mapped and in memory, without waiting. FALSE: nothing was done. */
static gboolean write_mapped(Qcow2 *self, guint64 offset, guint64 length, const struct iovec *segments,
                             guint count, guint64 skip, guint64 *done, int *result)
{
    Qcow2Extent extent;
    if (!g_atomic_int_get(&self->prepared))
        return FALSE;
    g_mutex_lock(&self->map_lock);
    if (!qcow2_lookup(self, offset, length, &extent) || !extent.in_place) {
        g_mutex_unlock(&self->map_lock);
        return FALSE;
    }
    *done = extent.length;
    *result = write_in_place(self, &extent, segments, count, skip);
    return TRUE;
}

int qcow2_write(Qcow2 *self, guint64 offset, guint64 length, const struct iovec *segments, guint count)
{
    guint64 end = offset + length, step = 0;
    int result = qcow2_check_writable(self);
    for (guint64 at = offset; at < end && result == 0; at += step) {
        if (write_mapped(self, at, end - at, segments, count, at - offset, &step, &result))
            continue;
        g_mutex_lock(&self->lock);
        result = qcow2_prepare(self);
        if (result == 0)
            result = write_new(self, at, end - at, segments, count, at - offset, &step);
        if (result == -ENOSPC && qcow2_make_space(self)) {
            step = 0;
            result = 0;
        }
        g_mutex_unlock(&self->lock);
    }
    return result;
}

int qcow2_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags)
{
    Qcow2 *self = (Qcow2 *)node;
    guint64 length = total(segments, count), size = qcow2_size(self);
    int result = offset < size ? qcow2_write(self, offset, MIN(length, size - offset), segments, count) : 0;
    return result == 0 && (flags & BLOCK_FUA) != 0 ? qcow2_flush(self) : result;
}
