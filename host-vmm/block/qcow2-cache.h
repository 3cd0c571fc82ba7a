// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-cache: pieces of an image's tables (L2 tables, refcount blocks) in memory, written back when the
 * driver says so.
 *
 * Of one size each, found by their offset in the file, never more than `limit` of them: the one that was not
 * used lately makes room. What is dirty stays until it was written: of a cache that may write by itself all
 * is written when there is no other room, of others the driver has to see to it, since what these tables
 * refer to must be on disk before they are.
 *
 * Calls are for the holder of the driver's lock. With a guard, which the cache takes while it changes what is
 * found, table_cache_find() is for the holder of either.
 */
#pragma once

#include "host-vmm/block/block.h"

typedef struct CachedTable {
    guint64 offset; /* in the file */
    guint8 *data;
    guint dirty_from, dirty_to; /* bytes that the file does not have; empty: 0, 0 */
    gboolean recent;            /* atomic: was used since the cache last looked for room */
} CachedTable;

typedef struct TableCache {
    BlockNode *file;
    GMutex *guard; /* NULL: none */
    gboolean writes_itself;
    gsize unit; /* bytes of a piece; a power of two */
    guint limit, hand;
    GPtrArray *tables;     /* of CachedTable */
    GPtrArray *dirty;      /* those of them that are */
    GHashTable *by_offset; /* guint64 in a pointer -> CachedTable */
} TableCache;

void table_cache_init(TableCache *cache, BlockNode *file, GMutex *guard, gboolean writes_itself, gsize unit,
                      guint limit);
/* What is dirty is lost. */
void table_cache_clear(TableCache *cache);
/* NULL if it is not in memory. */
CachedTable *table_cache_find(TableCache *cache, guint64 offset);
/* Reads it if need be; valid until the next call. -EBUSY: all are dirty; -EIO and the like from the file,
 * also if it ends before. */
int table_cache_get(TableCache *cache, guint64 offset, CachedTable **table);
/* Bytes [from, to) were changed. */
void table_cache_mark(TableCache *cache, CachedTable *table, guint from, guint to);
gboolean table_cache_is_dirty(const TableCache *cache);
/* Writes all that is dirty, in the order of the file. After an error what was not written is still dirty. */
int table_cache_write(TableCache *cache);
/* [offset, offset + length) of the file is no table any more. */
void table_cache_forget(TableCache *cache, guint64 offset, guint64 length);

/* Reads metadata: zeroes where the file ends in between, -EIO if it ends before. */
int table_read(BlockNode *file, guint64 offset, void *to, gsize length);
/* Zeroed, aligned for direct I/O; free() it. */
void *table_memory(gsize length);
