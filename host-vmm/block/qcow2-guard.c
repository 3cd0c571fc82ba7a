// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-guard: where an image's metadata is, so that data is never written over it. A consistent image never
 * asks for that; one that does is corrupt, and writing would make it worse.
 */
#include "host-vmm/block/qcow2-private.h"

typedef struct Qcow2Region {
    guint64 start, end;
    const char *what;
} Qcow2Region;

void qcow2_guard_init(Qcow2 *self)
{
    self->regions = g_array_new(FALSE, FALSE, sizeof(Qcow2Region));
    self->tables = g_hash_table_new(NULL, NULL);
}

void qcow2_guard_clear(Qcow2 *self)
{
    g_clear_pointer(&self->regions, g_array_unref);
    g_clear_pointer(&self->tables, g_hash_table_unref);
}

static gpointer key_of(const Qcow2 *self, guint64 offset)
{
    return GSIZE_TO_POINTER((offset >> self->cluster_bits) + 1); /* NULL is no key */
}

/* The first one that ends behind the offset. */
static guint find_region(const Qcow2 *self, guint64 offset)
{
    guint low = 0, high = self->regions->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(self->regions, Qcow2Region, middle).end > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const char *qcow2_metadata_at(Qcow2 *self, guint64 offset, guint64 length)
{
    guint index = find_region(self, offset);
    if (index < self->regions->len) {
        const Qcow2Region *region = &g_array_index(self->regions, Qcow2Region, index);
        if (region->start < offset + length)
            return region->what;
    }
    guint64 start = offset & ~(self->cluster_size - 1);
    for (guint64 at = start; at < offset + length; at += self->cluster_size) {
        if (g_hash_table_contains(self->tables, key_of(self, at)))
            return "an L2 table or refcount block";
    }
    return NULL;
}

gboolean qcow2_guard_region(Qcow2 *self, guint64 offset, guint64 length, const char *what)
{
    if (length == 0)
        return TRUE;
    guint64 end = offset + (qcow2_clusters(self, length) << self->cluster_bits);
    /* Regions come first when an image is opened; later ones are free clusters. */
    guint index = find_region(self, offset);
    if (index < self->regions->len && g_array_index(self->regions, Qcow2Region, index).start < end)
        return FALSE;
    Qcow2Region region = {offset, end, what};
    g_mutex_lock(&self->map_lock);
    g_array_insert_val(self->regions, index, region);
    g_mutex_unlock(&self->map_lock);
    return TRUE;
}

void qcow2_unguard_region(Qcow2 *self, guint64 offset)
{
    guint index = find_region(self, offset);
    if (index == self->regions->len || g_array_index(self->regions, Qcow2Region, index).start != offset)
        return;
    g_mutex_lock(&self->map_lock);
    g_array_remove_index(self->regions, index);
    g_mutex_unlock(&self->map_lock);
}

gboolean qcow2_guard_table(Qcow2 *self, guint64 offset)
{
    if (qcow2_metadata_at(self, offset, self->cluster_size) != NULL)
        return FALSE;
    g_mutex_lock(&self->map_lock);
    g_hash_table_add(self->tables, key_of(self, offset));
    g_mutex_unlock(&self->map_lock);
    return TRUE;
}

void qcow2_unguard_table(Qcow2 *self, guint64 offset)
{
    g_mutex_lock(&self->map_lock);
    g_hash_table_remove(self->tables, key_of(self, offset));
    g_mutex_unlock(&self->map_lock);
}
