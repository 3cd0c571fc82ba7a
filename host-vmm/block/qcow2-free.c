// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-free: how metadata gets to the file, and how clusters become free by that.
 *
 * A cluster that no table in memory refers to may still be referred to by one on disk, and be read or written
 * by I/O that looked it up before. So it first waits in `freed` for the tables to be written and flushed,
 * then in `limbo` for that I/O to end. I/O counts itself in under the current epoch; the epoch may go from n
 * to n + 1 once nothing of n - 1 is left. So when it is n + 2, all that began in n or before has ended.
 */
#include <errno.h>

#include "host-vmm/block/qcow2-private.h"

#define MANY_FREED 4096u /* ranges that wait for tables to be written */

void qcow2_free_later(Qcow2 *self, guint64 first, guint64 count, gboolean discard)
{
    if (self->freed->len > 0) {
        Qcow2Range *last = &g_array_index(self->freed, Qcow2Range, self->freed->len - 1);
        if (last->first + last->count == first && last->discard == discard) {
            last->count += count;
            return;
        }
    }
    Qcow2Range range = {.first = first, .count = count, .discard = discard};
    g_array_append_val(self->freed, range);
    g_atomic_int_set(&self->needs_commit, TRUE);
}

int qcow2_free_entry(Qcow2 *self, guint64 entry, gboolean discard)
{
    guint64 offset = entry & QCOW2_OFFSET_MASK, length = self->cluster_size;
    if ((entry & QCOW2_COMPRESSED) != 0)
        qcow2_packed_range(self, entry, &offset, &length);
    if (offset == 0)
        return 0;
    const char *what = qcow2_metadata_at(self, offset, length);
    if (what != NULL)
        return qcow2_corrupt(self, "data at 0x%" G_GINT64_MODIFIER "x is to be freed, but %s is there",
                             offset, what);
    guint64 first = offset >> self->cluster_bits;
    qcow2_free_later(self, first, ((offset + length - 1) >> self->cluster_bits) - first + 1, discard);
    return 0;
}

/* ---- limbo ---- */

static gboolean next_epoch(Qcow2 *self)
{
    g_mutex_lock(&self->map_lock);
    gboolean over = g_atomic_int_get(&self->in_flight[(self->epoch + 1) & 1]) == 0;
    if (over)
        self->epoch++;
    g_mutex_unlock(&self->map_lock);
    return over;
}

/* Releases what no I/O can be using any more. What cannot be now will be another time. */
static void reclaim(Qcow2 *self)
{
    Qcow2Range *range;
    gboolean any = FALSE;
    while ((range = g_queue_peek_head(&self->limbo)) != NULL) {
        while (range->epoch + 2 > self->epoch && next_epoch(self))
            ;
        if (range->epoch + 2 > self->epoch)
            break;
        any = TRUE;
        if (qcow2_release_range(self, range) < 0)
            break;
        g_free(g_queue_pop_head(&self->limbo));
    }
    if (any)
        qcow2_unpacker_forget(&self->unpack);
}

/* Tables on disk do not refer to these any more. */
static void into_limbo(Qcow2 *self, const GArray *ranges)
{
    for (guint i = 0; i < ranges->len; i++) {
        Qcow2Range *range = g_new(Qcow2Range, 1);
        *range = g_array_index(ranges, Qcow2Range, i);
        range->epoch = self->epoch;
        g_queue_push_tail(&self->limbo, range);
    }
}

/* ---- to the file ---- */

static int flush_below(Qcow2 *self)
{
    int result = self->unflushed ? block_flush(self->node.file) : 0;
    if (result == 0)
        self->unflushed = FALSE;
    return result;
}

int qcow2_write_metadata(Qcow2 *self)
{
    gboolean l1_is_dirty = self->l1_dirty_to > 0;
    if (g_atomic_int_get(&self->broken))
        return -EIO;
    int result = table_cache_write(&self->refcounts);
    if (result == 0)
        result = qcow2_write_reftable(self);
    if (result == 0 && (table_cache_is_dirty(&self->l2) || l1_is_dirty)) {
        result = flush_below(self);
        if (result == 0)
            result = table_cache_write(&self->l2);
        if (result == 0)
            result = qcow2_write_l1(self);
    }
    if (result == 0 && self->freed->len == 0)
        g_atomic_int_set(&self->needs_commit, FALSE);
    return result;
}

int qcow2_commit(Qcow2 *self)
{
    int result = qcow2_write_metadata(self);
    if (result == 0 && self->freed->len > 0) {
        result = block_flush(self->node.file);
        if (result < 0)
            return result;
        into_limbo(self, self->freed);
        g_array_set_size(self->freed, 0);
        g_atomic_int_set(&self->needs_commit, FALSE);
    }
    if (result == 0)
        reclaim(self);
    return result;
}

int qcow2_tidy(Qcow2 *self)
{
    return self->freed->len > MANY_FREED ? qcow2_commit(self) : 0;
}

gboolean qcow2_make_space(Qcow2 *self)
{
    guint before = self->freed->len + g_queue_get_length(&self->limbo);
    return before > 0 && qcow2_commit(self) == 0 &&
           self->freed->len + g_queue_get_length(&self->limbo) < before;
}

int qcow2_flush(Qcow2 *self)
{
    if (g_atomic_int_get(&self->broken))
        return -EIO;
    if (!g_atomic_int_get(&self->needs_commit))
        return block_flush(self->node.file);

    /* Others go on while the file is flushed: what is freed meanwhile is for the next time. */
    g_mutex_lock(&self->lock);
    int result = qcow2_write_metadata(self);
    g_autoptr(GArray) freed = NULL;
    if (result == 0) {
        freed = g_steal_pointer(&self->freed);
        self->freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Range));
        g_atomic_int_set(&self->needs_commit, FALSE);
    }
    g_mutex_unlock(&self->lock);
    if (result < 0)
        return result;
    result = block_flush(self->node.file);
    if (freed->len == 0)
        return result;
    g_mutex_lock(&self->lock);
    if (result == 0) {
        into_limbo(self, freed);
        reclaim(self);
    } else {
        g_array_append_vals(self->freed, freed->data, freed->len);
        g_atomic_int_set(&self->needs_commit, TRUE);
    }
    g_mutex_unlock(&self->lock);
    return result;
}
