// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/balloon-pages.h"

#define PAGE_SHIFT     12
#define PAGE_SIZE      (1u << PAGE_SHIFT)
#define PAGES_IN_BLOCK 512u /* 2 MiB, x86-64's smaller huge page */
/* Blocks that wait: more are given back as they are. The guest's memory is in pieces then, and waiting would
 * not help. */
#define MAX_WAITING 64u

typedef struct {
    guint64 pages[PAGES_IN_BLOCK / 64]; /* a bit each */
    guint count;
} Block;

struct BalloonPages {
    const GuestMemory *memory;
    GHashTable *blocks; /* page / PAGES_IN_BLOCK => Block */
};

static void discard_run(const GuestMemory *memory, guint64 first, guint64 count)
{
    void *host = guest_memory_range(memory, first << PAGE_SHIFT, count << PAGE_SHIFT);
    if (host != NULL) {
        guest_memory_discard(memory, host, count << PAGE_SHIFT);
    } else { /* partly no RAM: what is gets its due */
        for (guint64 i = 0; i < count; i++) {
            host = guest_memory_range(memory, (first + i) << PAGE_SHIFT, PAGE_SIZE);
            if (host != NULL)
                guest_memory_discard(memory, host, PAGE_SIZE);
        }
    }
}

static gboolean has_page(const Block *block, guint page)
{
    return (block->pages[page / 64] >> page % 64 & 1) != 0;
}

/* Contiguous pages are given back in one call. */
static void discard_block(const BalloonPages *self, guint32 number, const Block *block)
{
    for (guint first = 0; first < PAGES_IN_BLOCK;) {
        guint end = first;
        while (end < PAGES_IN_BLOCK && has_page(block, end))
            end++;
        if (end > first)
            discard_run(self->memory, (guint64)number * PAGES_IN_BLOCK + first, end - first);
        first = end + 1;
    }
}

BalloonPages *balloon_pages_new(const GuestMemory *memory)
{
    BalloonPages *self = g_new(BalloonPages, 1);
    self->memory = memory;
    self->blocks = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return self;
}

void balloon_pages_free(BalloonPages *self)
{
    g_hash_table_unref(self->blocks);
    g_free(self);
}

void balloon_pages_add(BalloonPages *self, guint32 page)
{
    guint32 number = page / PAGES_IN_BLOCK;
    page %= PAGES_IN_BLOCK;
    Block *block = g_hash_table_lookup(self->blocks, GUINT_TO_POINTER(number));
    if (block == NULL) {
        if (g_hash_table_size(self->blocks) == MAX_WAITING)
            balloon_pages_flush(self);
        block = g_new0(Block, 1);
        g_hash_table_insert(self->blocks, GUINT_TO_POINTER(number), block);
    }
    if (has_page(block, page))
        return;
    block->pages[page / 64] |= 1ull << page % 64;
    if (++block->count == PAGES_IN_BLOCK) {
        discard_block(self, number, block);
        g_hash_table_remove(self->blocks, GUINT_TO_POINTER(number));
    }
}

void balloon_pages_remove(BalloonPages *self, guint32 page)
{
    guint32 number = page / PAGES_IN_BLOCK;
    page %= PAGES_IN_BLOCK;
    Block *block = g_hash_table_lookup(self->blocks, GUINT_TO_POINTER(number));
    if (block == NULL || !has_page(block, page))
        return;
    block->pages[page / 64] &= ~(1ull << page % 64);
    if (--block->count == 0)
        g_hash_table_remove(self->blocks, GUINT_TO_POINTER(number));
}

void balloon_pages_flush(BalloonPages *self)
{
    GHashTableIter iter;
    gpointer number, block;
    g_hash_table_iter_init(&iter, self->blocks);
    while (g_hash_table_iter_next(&iter, &number, &block))
        discard_block(self, GPOINTER_TO_UINT(number), block);
    balloon_pages_forget(self);
}

void balloon_pages_forget(BalloonPages *self)
{
    g_hash_table_remove_all(self->blocks);
}

guint balloon_pages_waiting(const BalloonPages *self)
{
    return g_hash_table_size(self->blocks);
}
