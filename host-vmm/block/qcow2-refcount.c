// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-refcount: who uses which cluster of the file. Refcount blocks are cached and may be written at any
 * time: what is on disk too early is a leak if the host dies, no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

#define PIECE          (16u << 10) /* of a refcount block */
#define MIN_PIECES     4u
#define MAX_OFFSET     (1ull << 56) /* L2 entries reach no further */
#define GROW_MIN       (1ull << 20) /* bytes: the file grows by a sixteenth, */
#define GROW_MAX       (64ull << 20)
#define GROW_ALIGNMENT (64ull << 10)
#define MAX_REUSABLE   4096u /* ranges */

void qcow2_refcount_init(Qcow2 *self, guint64 cache_bytes)
{
    gsize unit = MIN(self->cluster_size, PIECE);
    guint limit = (guint)CLAMP(cache_bytes / unit, MIN_PIECES, G_MAXINT);
    table_cache_init(&self->refcounts, self->node.file, NULL, TRUE, unit, limit);
    self->reusable = g_array_new(FALSE, FALSE, sizeof(Qcow2Range));
    self->file_end = block_length(self->node.file);
    self->fresh_from = self->used_end = qcow2_clusters(self, self->file_end);
}

/* ---- single entries ---- */

static guint64 entry_get(const guint8 *data, guint64 index, guint order)
{
    switch (order) {
    case 3:
        return data[index];
    case 4:
        return qcow2_get16(data + 2 * index);
    case 5:
        return qcow2_get32(data + 4 * index);
    case 6:
        return qcow2_get64(data + 8 * index);
    default: {
        guint in_byte = (guint)(index & ((8u >> order) - 1)) << order;
        return (data[index >> (3 - order)] >> in_byte) & ((1u << (1u << order)) - 1);
    }
    }
}

static void entry_set(guint8 *data, guint64 index, guint order, guint64 value)
{
    guint16 two = GUINT16_TO_BE((guint16)value);
    switch (order) {
    case 3:
        data[index] = (guint8)value;
        break;
    case 4:
        memcpy(data + 2 * index, &two, sizeof two);
        break;
    case 5:
        qcow2_put32(data + 4 * index, (guint32)value);
        break;
    case 6:
        qcow2_put64(data + 8 * index, value);
        break;
    default: {
        guint in_byte = (guint)(index & ((8u >> order) - 1)) << order;
        guint8 mask = (guint8)(((1u << (1u << order)) - 1) << in_byte);
        guint8 *byte = &data[index >> (3 - order)];
        *byte = (guint8)((*byte & ~mask) | (value << in_byte));
    }
    }
}

/* log2 of the clusters that one block counts. */
static guint block_bits(const Qcow2 *self)
{
    return self->cluster_bits + 3 - self->refcount_order;
}

static guint64 entries_in_piece(const Qcow2 *self)
{
    return ((guint64)self->refcounts.unit * 8) >> self->refcount_order;
}

/* The cached piece that counts a cluster, and its index in it; NULL: it has no block, and is free. */
static int find_piece(Qcow2 *self, guint64 cluster, CachedTable **piece, guint64 *index)
{
    guint64 block = cluster >> block_bits(self);
    guint64 in_block = cluster & ((1ull << block_bits(self)) - 1);
    *piece = NULL;
    if (block >= self->reftable_entries || self->reftable[block] == 0)
        return 0;
    guint64 number = in_block / entries_in_piece(self);
    *index = in_block % entries_in_piece(self);
    return table_cache_get(&self->refcounts,
                           (self->reftable[block] & QCOW2_REFTABLE_MASK) + number * self->refcounts.unit,
                           piece);
}

static void piece_set(Qcow2 *self, CachedTable *piece, guint64 index, guint64 value)
{
    guint order = self->refcount_order;
    guint from = (guint)((index << order) >> 3);
    entry_set(piece->data, index, order, value);
    table_cache_mark(&self->refcounts, piece, from, from + (order > 3 ? 1u << (order - 3) : 1));
    g_atomic_int_set(&self->needs_commit, TRUE);
}

int qcow2_refcount(Qcow2 *self, guint64 cluster, guint64 *value)
{
    CachedTable *piece;
    guint64 index;
    int result = find_piece(self, cluster, &piece, &index);
    *value = result == 0 && piece != NULL ? entry_get(piece->data, index, self->refcount_order) : 0;
    return result;
}

/* ---- the file's length ---- */

/* Grows it in steps: so blocks of the file system's own metadata are not written at each flush. */
static int reach(Qcow2 *self, guint64 end_cluster)
{
    guint64 end = end_cluster << self->cluster_bits;
    if (end > self->file_end) {
        guint64 step = CLAMP(self->file_end / 16, GROW_MIN, GROW_MAX);
        guint64 ahead = (end + step + GROW_ALIGNMENT - 1) & ~(GROW_ALIGNMENT - 1);
        int result = block_resize(self->node.file, ahead);
        if (result < 0) {
            ahead = (end + GROW_ALIGNMENT - 1) & ~(GROW_ALIGNMENT - 1);
            result = block_resize(self->node.file, ahead);
        }
        if (result < 0)
            return result == -ENOTSUP ? -ENOSPC : result;
        self->file_end = block_length(self->node.file);
    }
    self->used_end = MAX(self->used_end, end_cluster);
    return 0;
}

/* Clusters that nobody uses are about to be: not if they are metadata all the same. */
static int check_new(Qcow2 *self, guint64 first, guint64 count)
{
    const char *what = qcow2_metadata_at(self, first << self->cluster_bits, count << self->cluster_bits);
    if (what != NULL)
        return qcow2_corrupt(self,
                             "its refcounts say that clusters from 0x%" G_GINT64_MODIFIER
                             "x on are free, but %s is there",
                             first << self->cluster_bits, what);
    self->fresh_from = MAX(self->fresh_from, first + count);
    return reach(self, first + count);
}

/* ---- the refcount table ---- */

static void set_reftable(Qcow2 *self, guint64 index, guint64 offset)
{
    guint at = (guint)index;
    self->reftable[at] = offset;
    if (self->reftable_dirty_to == 0)
        self->reftable_dirty_from = at;
    self->reftable_dirty_from = MIN(self->reftable_dirty_from, at);
    self->reftable_dirty_to = MAX(self->reftable_dirty_to, at + 1);
    g_atomic_int_set(&self->needs_commit, TRUE);
}

static int write_table(Qcow2 *self, guint64 offset, const guint64 *table, guint from, guint to)
{
    const guint step = 512; /* entries: 4 KiB, or a whole cluster */
    from = from / step * step;
    gsize bytes = (gsize)(to - from) * sizeof(guint64);
    guint64 *disk = table_memory(bytes);
    for (guint i = from; i < to; i++)
        disk[i - from] = GUINT64_TO_BE(table[i]);
    int result = block_pwrite(self->node.file, offset + from * sizeof(guint64), disk, bytes);
    free(disk);
    return result;
}

int qcow2_write_reftable(Qcow2 *self)
{
    if (self->reftable_dirty_to == 0)
        return 0;
    int result = block_flush(self->node.file); /* the blocks, first */
    if (result == 0)
        result = write_table(self, self->reftable_offset, self->reftable, self->reftable_dirty_from,
                             self->reftable_dirty_to);
    if (result == 0)
        self->reftable_dirty_from = self->reftable_dirty_to = 0;
    return result;
}

/* Writes `blocks` new refcount blocks, which lie from `first` on and count clusters from `first` on, `used`
 * of which are. */
static int write_blocks(Qcow2 *self, guint64 first, guint64 blocks, guint64 used)
{
    guint8 *data = table_memory(self->cluster_size);
    int result = 0;
    for (guint64 i = 0; i < blocks && result == 0; i++) {
        guint64 begin = i << block_bits(self);
        guint64 count = MIN(used - MIN(begin, used), 1ull << block_bits(self));
        memset(data, 0, self->cluster_size);
        for (guint64 j = 0; j < count; j++)
            entry_set(data, j, self->refcount_order, 1);
        result = block_pwrite(self->node.file, (first + i) << self->cluster_bits, data, self->cluster_size);
    }
    free(data);
    return result;
}

/* Behind all that the refcount table counts, `count` clusters and the refcount blocks for them: those come
 * first, and `first` is what comes after them. The blocks are on their way to the disk, but not in the table.
 */
static int lay_area(Qcow2 *self, guint64 count, guint64 *index, guint64 *blocks, guint64 *first)
{
    *index = self->reftable_entries;
    while (*index > 0 && self->reftable[*index - 1] == 0)
        (*index)--;
    guint64 base = *index << block_bits(self);
    *blocks = 1;
    while (*blocks << block_bits(self) < *blocks + count)
        (*blocks)++;
    *first = base + *blocks;
    if (*first + count > MAX_OFFSET >> self->cluster_bits)
        return -EFBIG;
    int result = check_new(self, base, *blocks + count);
    if (result == 0)
        result = write_blocks(self, base, *blocks, *blocks + count);
    return result;
}

/* The blocks that lay_area() has laid, into the table, which has room for them. */
static gboolean enter_blocks(Qcow2 *self, guint64 index, guint64 blocks)
{
    guint64 base = index << block_bits(self);
    for (guint64 i = 0; i < blocks; i++) {
        guint64 offset = (base + i) << self->cluster_bits;
        if (!qcow2_guard_table(self, offset))
            return FALSE;
        set_reftable(self, index + i, offset);
    }
    return TRUE;
}

/* Moves the refcount table to a larger one, with room for `wanted` entries at least. */
static int grow_reftable(Qcow2 *self, guint64 wanted)
{
    const guint64 most = QCOW2_MAX_REFTABLE_BYTES / sizeof(guint64);
    guint64 per_cluster = self->cluster_size / sizeof(guint64);
    guint64 old_offset = self->reftable_offset, old_entries = self->reftable_entries;
    guint64 index, blocks, first;
    /* The table and the blocks that count it must find room in it as well: half as much again is plenty. */
    guint64 entries = MAX(wanted, old_entries) * 3 / 2 + 2;
    entries = MIN((entries + per_cluster - 1) / per_cluster * per_cluster, most);
    guint64 clusters = entries / per_cluster;
    int result = lay_area(self, clusters, &index, &blocks, &first);
    if (result < 0)
        return result;
    if (index + blocks > entries || wanted > entries)
        return -EFBIG;

    self->reftable = g_realloc_n(self->reftable, entries, sizeof(guint64));
    memset(self->reftable + old_entries, 0, (entries - old_entries) * sizeof(guint64));
    guint dirty_from = self->reftable_dirty_from, dirty_to = self->reftable_dirty_to;
    self->reftable_entries = (guint)entries;
    if (!enter_blocks(self, index, blocks))
        return qcow2_corrupt(self, "there is no room for its refcount table");
    guint64 offset = first << self->cluster_bits;
    guint8 fields[12];
    qcow2_put64(fields, offset);
    qcow2_put32(fields + 8, (guint32)clusters);
    result = table_cache_write(&self->refcounts);
    if (result == 0)
        result = write_table(self, offset, self->reftable, 0, (guint)entries);
    if (result == 0)
        result = block_flush(self->node.file);
    if (result < 0) {
        /* The old one is as it was; nobody counts what the new one would have had. */
        for (guint64 i = 0; i < blocks; i++) {
            self->reftable[index + i] = 0;
            qcow2_unguard_table(self, ((index << block_bits(self)) + i) << self->cluster_bits);
        }
        self->reftable_entries = (guint)old_entries;
        self->reftable_dirty_from = dirty_from;
        self->reftable_dirty_to = dirty_to;
        return result;
    }
    result = qcow2_write_header(self, QCOW2_HEADER_REFTABLE_OFFSET, fields, sizeof fields);
    if (result < 0)
        return qcow2_give_up(self, result);
    self->reftable_offset = offset;
    self->reftable_dirty_from = self->reftable_dirty_to = 0;
    qcow2_unguard_region(self, old_offset);
    if (!qcow2_guard_region(self, offset, entries * sizeof(guint64), "the refcount table"))
        return qcow2_corrupt(self, "there is no room for its refcount table");
    return qcow2_release(self, old_offset >> self->cluster_bits, old_entries / per_cluster);
}

/* A block for clusters that have none: at the first of them that we would look at, so that it counts itself.
 */
static int new_block(Qcow2 *self, guint64 index)
{
    guint64 cluster = MAX(index << block_bits(self), self->scan);
    guint64 offset = cluster << self->cluster_bits;
    int result = check_new(self, cluster, 1);
    if (result < 0)
        return result;
    guint8 *data = table_memory(self->cluster_size);
    entry_set(data, cluster & ((1ull << block_bits(self)) - 1), self->refcount_order, 1);
    result = block_pwrite(self->node.file, offset, data, self->cluster_size);
    free(data);
    if (result < 0)
        return result;
    if (!qcow2_guard_table(self, offset))
        return qcow2_corrupt(self, "there is no room for a refcount block");
    set_reftable(self, index, offset);
    return 0;
}

/* ---- allocation ---- */

/* How many clusters from `first` on, at most `wanted`, are free and counted by the same piece. */
static int count_free(Qcow2 *self, guint64 first, guint64 wanted, guint64 *count)
{
    CachedTable *piece;
    guint64 index;
    int result = find_piece(self, first, &piece, &index);
    *count = 0;
    if (result < 0 || piece == NULL)
        return result;
    guint64 most = MIN(wanted, entries_in_piece(self) - index);
    while (*count < most && entry_get(piece->data, index + *count, self->refcount_order) == 0)
        (*count)++;
    return 0;
}

/* Clusters that are free, all counted by the same piece. */
static int take(Qcow2 *self, guint64 first, guint64 count)
{
    CachedTable *piece;
    guint64 index;
    int result = check_new(self, first, count);
    if (result == 0)
        result = find_piece(self, first, &piece, &index);
    if (result < 0)
        return result;
    for (guint64 i = 0; i < count; i++)
        piece_set(self, piece, index + i, 1);
    return 0;
}

static int find_reusable(Qcow2 *self, guint64 wanted, guint64 *first, guint64 *count)
{
    *count = 0;
    while (self->reusable->len > 0) {
        Qcow2Range *range = &g_array_index(self->reusable, Qcow2Range, self->reusable->len - 1);
        if (range->count == 0) {
            g_array_set_size(self->reusable, self->reusable->len - 1);
            continue;
        }
        *first = range->first;
        int result = count_free(self, *first, MIN(wanted, range->count), count);
        if (result < 0)
            return result;
        guint64 done = MAX(*count, 1);
        range->first += done;
        range->count -= done;
        if (*count > 0)
            return 0;
    }
    return 0;
}

/* From `scan` on, which goes there. */
static int find_next(Qcow2 *self, guint64 wanted, guint64 *first, guint64 *count)
{
    for (;;) {
        guint64 block = self->scan >> block_bits(self);
        CachedTable *piece;
        guint64 index;
        int result = 0;
        if (self->scan >= MAX_OFFSET >> self->cluster_bits)
            return -EFBIG;
        if (block >= self->reftable_entries)
            result = grow_reftable(self, block + 1);
        else if (self->reftable[block] == 0)
            result = new_block(self, block);
        if (result == 0)
            result = find_piece(self, self->scan, &piece, &index);
        if (result < 0)
            return result;
        if (piece == NULL)
            continue;
        guint64 end = entries_in_piece(self), begin = index;
        while (index < end && entry_get(piece->data, index, self->refcount_order) != 0)
            index++;
        self->scan += index - begin;
        if (index == end)
            continue;
        *first = self->scan;
        return count_free(self, *first, wanted, count);
    }
}

int qcow2_alloc(Qcow2 *self, guint64 wanted, guint64 *first, guint64 *count, gboolean *fresh)
{
    int result = find_reusable(self, wanted, first, count);
    if (result == 0 && *count == 0) {
        result = find_next(self, wanted, first, count);
        if (result == 0)
            self->scan = *first + *count;
    }
    if (result == 0) {
        *fresh = *first >= self->fresh_from;
        result = take(self, *first, *count);
        if (result < 0)
            self->scan = MIN(self->scan, *first);
    }
    return result;
}

int qcow2_alloc_contiguous(Qcow2 *self, guint64 wanted, guint64 *first)
{
    guint64 count, index, blocks;
    gboolean fresh;
    int result = qcow2_alloc(self, wanted, first, &count, &fresh);
    if (result < 0 || count == wanted)
        return result;
    result = qcow2_release(self, *first, count);
    if (result == 0)
        result = lay_area(self, wanted, &index, &blocks, first);
    if (result == 0 && index + blocks > self->reftable_entries) {
        /* What was laid is not counted by anybody, and will be found free. */
        result = grow_reftable(self, index + blocks);
        if (result == 0)
            result = lay_area(self, wanted, &index, &blocks, first);
    }
    if (result == 0 && index + blocks > self->reftable_entries)
        result = -EFBIG;
    if (result == 0 && !enter_blocks(self, index, blocks))
        result = qcow2_corrupt(self, "there is no room for a table");
    return result;
}

/* ---- giving back ---- */

static void now_free(Qcow2 *self, guint64 first, guint64 count, gboolean discard)
{
    Qcow2Range range = {.first = first, .count = count};
    if (count == 0)
        return;
    if (discard && self->pass_discard) {
        guint64 offset = first << self->cluster_bits;
        guint64 length = count << self->cluster_bits;
        if (offset < self->file_end)
            block_discard(self->node.file, offset, MIN(length, self->file_end - offset)); /* a favour */
    }
    if (first >= self->scan)
        return;
    if (self->reusable->len < MAX_REUSABLE)
        g_array_append_val(self->reusable, range);
    else
        self->scan = first;
}

int qcow2_release_range(Qcow2 *self, Qcow2Range *range)
{
    guint64 free_first = range->first, free_count = 0;
    int result = 0;
    for (; range->count > 0; range->first++, range->count--) {
        CachedTable *piece;
        guint64 index, value = 0, cluster = range->first;
        result = find_piece(self, cluster, &piece, &index);
        if (result < 0)
            break;
        if (piece != NULL)
            value = entry_get(piece->data, index, self->refcount_order);
        if (value == 0) {
            result =
                qcow2_corrupt(self, "the cluster at 0x%" G_GINT64_MODIFIER "x was in use, its refcount is 0",
                              cluster << self->cluster_bits);
            break;
        }
        piece_set(self, piece, index, value - 1);
        if (value == 1 && free_count > 0 && free_first + free_count == cluster) {
            free_count++;
        } else if (value == 1) {
            now_free(self, free_first, free_count, range->discard);
            free_first = cluster;
            free_count = 1;
        }
    }
    now_free(self, free_first, free_count, range->discard);
    return result;
}

int qcow2_release(Qcow2 *self, guint64 first, guint64 count)
{
    Qcow2Range range = {.first = first, .count = count};
    return qcow2_release_range(self, &range);
}
