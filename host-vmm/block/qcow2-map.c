// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-map: from guest offsets to host offsets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

#define PIECE      (16u << 10) /* of an L2 table: what is read for a look-up that misses */
#define MIN_PIECES 2u
#define MAX_OFFSET (1ull << 56)

void qcow2_map_init(Qcow2 *self, guint64 cache_bytes)
{
    gsize unit = MIN(self->cluster_size, PIECE);
    guint limit = (guint)CLAMP(cache_bytes / unit, MIN_PIECES, G_MAXINT);
    table_cache_init(&self->l2, self->node.file, &self->map_lock, FALSE, unit, limit);
}

/* ---- entries ---- */

void qcow2_packed_range(const Qcow2 *self, guint64 entry, guint64 *offset, guint64 *length)
{
    guint shift = 62 - (self->cluster_bits - 8);
    guint64 sectors = ((entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> shift) + 1;
    *offset = entry & ((1ull << shift) - 1);
    *length = sectors * 512 - (*offset & 511);
}

Qcow2Extent qcow2_decode(const Qcow2 *self, guint64 entry)
{
    Qcow2Extent extent = {.kind = QCOW2_ABSENT, .entry = entry, .host = entry & QCOW2_OFFSET_MASK};
    if ((entry & QCOW2_COMPRESSED) != 0) {
        guint64 offset, length;
        qcow2_packed_range(self, entry, &offset, &length);
        extent.kind = offset < MAX_OFFSET && offset != 0 ? QCOW2_PACKED : QCOW2_BAD;
    } else if (qcow2_in_cluster(self, extent.host) != 0) {
        extent.kind = QCOW2_BAD;
    } else if ((entry & QCOW2_ZERO) != 0) {
        extent.kind = self->version >= 3 ? QCOW2_ZEROES : QCOW2_BAD;
    } else if (extent.host != 0) {
        extent.kind = QCOW2_DATA;
        extent.in_place = (entry & QCOW2_COPIED) != 0;
    }
    return extent;
}

/* Whether the next entry goes on where the extent ends. */
static gboolean continues(const Qcow2Extent *extent, guint64 so_far, const Qcow2Extent *next)
{
    return extent->kind == next->kind && extent->kind != QCOW2_PACKED &&
           (extent->kind != QCOW2_DATA ||
            (next->in_place == extent->in_place && next->host == extent->host + so_far));
}

/* ---- look-ups ---- */

static guint64 l1_index(const Qcow2 *self, guint64 offset)
{
    return offset >> (self->cluster_bits + self->l2_bits);
}

static guint64 l2_index(const Qcow2 *self, guint64 offset)
{
    return (offset >> self->cluster_bits) & ((1ull << self->l2_bits) - 1);
}

/* Where the piece of the table is that has the offset's entry, and which it is. */
static guint64 piece_of(const Qcow2 *self, guint64 table_offset, guint64 offset, guint *index)
{
    guint64 number = l2_index(self, offset);
    guint entries = qcow2_entries_in_piece(self);
    *index = (guint)(number % entries);
    return table_offset + number / entries * self->l2.unit;
}

gboolean qcow2_lookup(Qcow2 *self, guint64 offset, guint64 length, Qcow2Extent *extent)
{
    guint64 in_cluster = qcow2_in_cluster(self, offset);
    guint64 entry = l1_index(self, offset) < self->l1_size ? self->l1[l1_index(self, offset)] : 0;
    guint64 table_offset = entry & QCOW2_OFFSET_MASK;
    if (table_offset == 0) {
        guint64 covers = self->cluster_size << self->l2_bits;
        *extent =
            (Qcow2Extent){.kind = QCOW2_ABSENT, .length = MIN(length, covers - (offset & (covers - 1)))};
        return TRUE;
    }
    if (qcow2_in_cluster(self, table_offset) != 0) {
        *extent = (Qcow2Extent){.kind = QCOW2_BAD, .entry = entry, .length = 1};
        return TRUE;
    }
    guint index;
    guint64 at = piece_of(self, table_offset, offset, &index);
    const CachedTable *table = table_cache_find(&self->l2, at);
    if (table == NULL)
        return FALSE;
    *extent = qcow2_decode(self, qcow2_entry(table, index));
    guint64 so_far = self->cluster_size;
    while (so_far - in_cluster < length && ++index < qcow2_entries_in_piece(self)) {
        Qcow2Extent next = qcow2_decode(self, qcow2_entry(table, index));
        if (!continues(extent, so_far, &next))
            break;
        so_far += self->cluster_size;
    }
    extent->host += in_cluster;
    extent->length = MIN(length, so_far - in_cluster);
    return TRUE;
}

int qcow2_load(Qcow2 *self, guint64 offset)
{
    guint64 entry = self->l1[l1_index(self, offset)];
    guint64 table_offset = entry & QCOW2_OFFSET_MASK;
    guint index;
    CachedTable *table;
    if (table_offset == 0)
        return 0;
    if (qcow2_in_cluster(self, table_offset) != 0)
        return qcow2_corrupt(self, "entry 0x%" G_GINT64_MODIFIER "x in its L1 table", entry);
    guint64 at = piece_of(self, table_offset, offset, &index);
    int result = table_cache_get(&self->l2, at, &table);
    if (result == -EBUSY) {
        result = qcow2_commit(self);
        if (result == 0)
            result = table_cache_get(&self->l2, at, &table);
    }
    return result;
}

int qcow2_map(Qcow2 *self, guint64 offset, guint64 length, Qcow2Extent *extent, guint *epoch)
{
    int result = 0;
    g_mutex_lock(&self->map_lock);
    gboolean found = qcow2_lookup(self, offset, length, extent);
    if (!found) {
        g_mutex_unlock(&self->map_lock);
        g_mutex_lock(&self->lock);
        result = qcow2_load(self, offset);
        g_mutex_lock(&self->map_lock);
        found = result == 0 && qcow2_lookup(self, offset, length, extent);
        g_mutex_unlock(&self->lock);
    }
    *epoch = qcow2_enter(self);
    g_mutex_unlock(&self->map_lock);
    if (found && extent->kind == QCOW2_BAD)
        return qcow2_corrupt(
            self, "entry 0x%" G_GINT64_MODIFIER "x for the guest's offset 0x%" G_GINT64_MODIFIER "x",
            extent->entry, offset);
    return found || result < 0 ? result : -EIO;
}

/* ---- changes ---- */

static void set_l1(Qcow2 *self, guint64 index, guint64 entry)
{
    guint at = (guint)index;
    g_mutex_lock(&self->map_lock);
    self->l1[at] = entry;
    g_mutex_unlock(&self->map_lock);
    if (self->l1_dirty_to == 0)
        self->l1_dirty_from = at;
    self->l1_dirty_from = MIN(self->l1_dirty_from, at);
    self->l1_dirty_to = MAX(self->l1_dirty_to, at + 1);
    self->unflushed = TRUE;
    g_atomic_int_set(&self->needs_commit, TRUE);
}

int qcow2_write_l1(Qcow2 *self)
{
    if (self->l1_dirty_to == 0)
        return 0;
    const guint step = 512; /* entries: 4 KiB */
    guint from = self->l1_dirty_from / step * step, to = self->l1_dirty_to;
    gsize bytes = (gsize)(to - from) * sizeof(guint64);
    guint64 *disk = table_memory(bytes);
    for (guint i = from; i < to; i++)
        disk[i - from] = GUINT64_TO_BE(self->l1[i]);
    int result = block_pwrite(self->node.file, self->l1_offset + from * sizeof(guint64), disk, bytes);
    free(disk);
    if (result == 0)
        self->l1_dirty_from = self->l1_dirty_to = 0;
    return result;
}

/* Fills a new table's cluster: with a copy of a table, or zeroes. */
static int fill_table(Qcow2 *self, guint64 cluster, guint64 copy_of, gboolean fresh)
{
    int result = 0;
    if (copy_of == 0 && fresh)
        return 0;
    guint8 *data = table_memory(self->cluster_size);
    if (copy_of != 0)
        result = table_read(self->node.file, copy_of, data, self->cluster_size);
    if (result == 0)
        result = block_pwrite(self->node.file, cluster << self->cluster_bits, data, self->cluster_size);
    free(data);
    return result;
}

/* Gives an L1 entry a table of its own. What is cached of the old one is not dirty: nobody writes to what is
 * shared. */
static int own_table(Qcow2 *self, guint64 index)
{
    guint64 old = self->l1[index] & QCOW2_OFFSET_MASK;
    guint64 cluster, count;
    gboolean fresh;
    if (qcow2_in_cluster(self, old) != 0)
        return qcow2_corrupt(self, "entry 0x%" G_GINT64_MODIFIER "x in its L1 table", self->l1[index]);
    int result = qcow2_alloc(self, 1, &cluster, &count, &fresh);
    if (result < 0)
        return result;
    guint64 offset = cluster << self->cluster_bits;
    result = fill_table(self, cluster, old, fresh);
    if (result == 0 && !qcow2_guard_table(self, offset))
        result = qcow2_corrupt(self, "there is no room for an L2 table");
    if (result < 0) {
        qcow2_release(self, cluster, 1);
        return result;
    }
    table_cache_forget(&self->l2, offset, self->cluster_size);
    set_l1(self, index, offset | QCOW2_COPIED);
    if (old != 0) {
        table_cache_forget(&self->l2, old, self->cluster_size);
        qcow2_unguard_table(self, old);
        qcow2_free_later(self, old >> self->cluster_bits, 1, FALSE);
    }
    return 0;
}

int qcow2_table_for_write(Qcow2 *self, guint64 offset, CachedTable **table, guint *index)
{
    guint64 number = l1_index(self, offset);
    int result = 0;
    if ((self->l1[number] & QCOW2_OFFSET_MASK) == 0 || (self->l1[number] & QCOW2_COPIED) == 0)
        result = own_table(self, number);
    if (result == 0)
        result = qcow2_load(self, offset);
    if (result < 0)
        return result;
    *table = table_cache_find(&self->l2, piece_of(self, self->l1[number] & QCOW2_OFFSET_MASK, offset, index));
    return 0;
}

void qcow2_set_entry(Qcow2 *self, CachedTable *table, guint index, guint64 entry)
{
    guint from = index * (guint)sizeof(guint64);
    g_mutex_lock(&self->map_lock);
    qcow2_put64(table->data + from, entry);
    g_mutex_unlock(&self->map_lock);
    table_cache_mark(&self->l2, table, from, from + (guint)sizeof(guint64));
    g_atomic_int_set(&self->needs_commit, TRUE);
}

/* ---- claims ---- */

gboolean qcow2_wait_unclaimed(Qcow2 *self, guint64 first, guint64 count)
{
    gboolean waited = FALSE;
    const Qcow2Claim *claim = self->claims;
    while (claim != NULL) {
        if (claim->first < first + count && first < claim->end) {
            g_cond_wait(&self->unclaimed, &self->lock);
            waited = TRUE;
            claim = self->claims;
        } else {
            claim = claim->next;
        }
    }
    return waited;
}

void qcow2_claim(Qcow2 *self, Qcow2Claim *claim, guint64 first, guint64 count)
{
    *claim = (Qcow2Claim){.first = first, .end = first + count, .next = self->claims};
    self->claims = claim;
}

void qcow2_unclaim(Qcow2 *self, Qcow2Claim *claim)
{
    Qcow2Claim **at = &self->claims;
    while (*at != claim)
        at = &(*at)->next;
    *at = claim->next;
    g_cond_broadcast(&self->unclaimed);
}
