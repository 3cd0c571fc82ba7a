// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/qcow2-cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IO_ALIGNMENT 4096u /* parts of tables are written in blocks of it: no host disk has larger ones */
#define NOWHERE      G_MAXUINT64

void *table_memory(gsize length)
{
    gsize whole = (length + IO_ALIGNMENT - 1) & ~(gsize)(IO_ALIGNMENT - 1);
    void *memory = aligned_alloc(IO_ALIGNMENT, MAX(whole, IO_ALIGNMENT));
    if (memory == NULL)
        g_error("no memory for %" G_GSIZE_FORMAT " bytes of a disk image's tables", length);
    return memset(memory, 0, whole);
}

int table_read(BlockNode *file, guint64 offset, void *to, gsize length)
{
    guint64 end = block_length(file);
    if (offset >= end)
        return -EIO;
    gsize there = MIN(length, end - offset);
    memset((guint8 *)to + there, 0, length - there);
    return block_pread(file, offset, to, there);
}

void table_cache_init(TableCache *cache, BlockNode *file, GMutex *guard, gboolean writes_itself, gsize unit,
                      guint limit)
{
    *cache = (TableCache){
        .file = file,
        .guard = guard,
        .writes_itself = writes_itself,
        .unit = unit,
        .limit = limit,
        .tables = g_ptr_array_new(),
        .dirty = g_ptr_array_new(),
        .by_offset = g_hash_table_new(NULL, NULL),
    };
}

void table_cache_clear(TableCache *cache)
{
    if (cache->tables == NULL)
        return;
    for (guint i = 0; i < cache->tables->len; i++) {
        CachedTable *table = cache->tables->pdata[i];
        free(table->data);
        g_free(table);
    }
    g_ptr_array_unref(cache->tables);
    g_ptr_array_unref(cache->dirty);
    g_hash_table_unref(cache->by_offset);
    cache->tables = NULL;
}

static void guard(TableCache *cache)
{
    if (cache->guard != NULL)
        g_mutex_lock(cache->guard);
}

static void unguard(TableCache *cache)
{
    if (cache->guard != NULL)
        g_mutex_unlock(cache->guard);
}

CachedTable *table_cache_find(TableCache *cache, guint64 offset)
{
    CachedTable *table = g_hash_table_lookup(cache->by_offset, GSIZE_TO_POINTER(offset));
    if (table != NULL)
        __atomic_store_n(&table->recent, TRUE, __ATOMIC_RELAXED);
    return table;
}

static void drop(TableCache *cache, CachedTable *table)
{
    guard(cache);
    g_hash_table_remove(cache->by_offset, GSIZE_TO_POINTER(table->offset));
    table->offset = NOWHERE;
    unguard(cache);
}

/* A clean one that was not used since the last time round, else any clean one. */
static CachedTable *find_victim(TableCache *cache)
{
    guint count = cache->tables->len;
    CachedTable *clean = NULL;
    for (guint steps = 0; steps < 2 * count; steps++) {
        CachedTable *table = cache->tables->pdata[cache->hand];
        cache->hand = (cache->hand + 1) % count;
        if (table->dirty_to > 0)
            continue;
        if (table->offset == NOWHERE)
            return table;
        clean = table;
        if (!__atomic_exchange_n(&table->recent, FALSE, __ATOMIC_RELAXED))
            return table;
    }
    return clean;
}

/* Room for one more that nobody finds yet. */
static int make_room(TableCache *cache, CachedTable **room)
{
    if (cache->tables->len < cache->limit) {
        *room = g_new0(CachedTable, 1);
        (*room)->offset = NOWHERE;
        (*room)->data = table_memory(cache->unit);
        g_ptr_array_add(cache->tables, *room);
        return 0;
    }
    *room = find_victim(cache);
    if (*room == NULL && cache->writes_itself) {
        int result = table_cache_write(cache);
        if (result < 0)
            return result;
        *room = find_victim(cache);
    }
    if (*room == NULL)
        return -EBUSY;
    if ((*room)->offset != NOWHERE)
        drop(cache, *room);
    return 0;
}

int table_cache_get(TableCache *cache, guint64 offset, CachedTable **table)
{
    *table = table_cache_find(cache, offset);
    if (*table != NULL)
        return 0;
    CachedTable *room;
    int result = make_room(cache, &room);
    if (result == 0)
        result = table_read(cache->file, offset, room->data, cache->unit);
    if (result < 0)
        return result;
    guard(cache);
    room->offset = offset;
    room->recent = TRUE;
    g_hash_table_insert(cache->by_offset, GSIZE_TO_POINTER(offset), room);
    unguard(cache);
    *table = room;
    return 0;
}

void table_cache_mark(TableCache *cache, CachedTable *table, guint from, guint to)
{
    if (table->dirty_to == 0) {
        table->dirty_from = from;
        g_ptr_array_add(cache->dirty, table);
    }
    table->dirty_from = MIN(table->dirty_from, from);
    table->dirty_to = MAX(table->dirty_to, to);
}

gboolean table_cache_is_dirty(const TableCache *cache)
{
    return cache->dirty->len > 0;
}

/* Falling, since the last one is taken first. */
static int compare_offsets(gconstpointer a, gconstpointer b)
{
    const CachedTable *left = *(CachedTable *const *)a, *right = *(CachedTable *const *)b;
    return left->offset < right->offset ? 1 : -1;
}

int table_cache_write(TableCache *cache)
{
    g_ptr_array_sort(cache->dirty, compare_offsets);
    while (cache->dirty->len > 0) {
        CachedTable *table = cache->dirty->pdata[cache->dirty->len - 1];
        gsize from = table->dirty_from & ~(gsize)(IO_ALIGNMENT - 1);
        gsize to = MIN((table->dirty_to + IO_ALIGNMENT - 1) & ~(gsize)(IO_ALIGNMENT - 1), cache->unit);
        int result = block_pwrite(cache->file, table->offset + from, table->data + from, to - from);
        if (result < 0)
            return result;
        table->dirty_from = table->dirty_to = 0;
        g_ptr_array_set_size(cache->dirty, (int)cache->dirty->len - 1);
    }
    return 0;
}

void table_cache_forget(TableCache *cache, guint64 offset, guint64 length)
{
    for (guint64 at = offset; at < offset + length; at += cache->unit) {
        CachedTable *table = table_cache_find(cache, at);
        if (table == NULL)
            continue;
        if (table->dirty_to > 0)
            g_ptr_array_remove(cache->dirty, table);
        table->dirty_from = table->dirty_to = 0;
        drop(cache, table);
    }
}
