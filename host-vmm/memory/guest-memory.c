// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/memory/guest-memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_SIZE  (2ull << 20)
#define PAGE_SIZE_X86   4096ull
#define ADDED_ALIGNMENT (1ull << 30) /* any guest's memory blocks are smaller */

typedef struct Added {
    MemoryBackend *backend;
    void *reservation;
    gsize reservation_size;
} Added;

struct GuestMemory {
    guint64 size;
    void *reservation; /* the mapping with room for alignment */
    gsize reservation_size;
    guint8 *ram;         /* all of it in one piece, whatever it is made of */
    GPtrArray *backends; /* MemoryBackend*, in the order of their RAM; each a reference */
    guint region_count;  /* of RAM */
    guint added_count;
    GuestMemoryRegion regions[2 + GUEST_MEMORY_MOST_ADDED]; /* RAM, then what was added */
    Added added[GUEST_MEMORY_MOST_ADDED];
    guint64 room; /* bytes that may be added */
};

/* Overcommit is what a host of virtual machines lives on; what can never be given is refused here. */
static gboolean check_size(guint64 size, GError **error)
{
    guint64 host_size = (guint64)sysconf(_SC_PHYS_PAGES) * (guint64)sysconf(_SC_PAGESIZE);
    if (size > host_size) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "guest memory of %" G_GUINT64_FORMAT " MiB is more than the host has (%" G_GUINT64_FORMAT
                    " MiB)",
                    size >> 20, host_size >> 20);
        return FALSE;
    }
    return TRUE;
}

/* Address space of `size` bytes, begun at a multiple of `alignment`; *whole, *whole_size: to be unmapped.
 * NULL and error. */
static guint8 *reserve(guint64 size, guint64 alignment, void **whole, gsize *whole_size, GError **error)
{
    *whole_size = size + alignment;
    void *at = mmap(NULL, *whole_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "cannot map %" G_GUINT64_FORMAT " MiB of guest memory: %s", size >> 20,
                    g_strerror(errno));
        return NULL;
    }
    *whole = at;
    return (guint8 *)(((guintptr)at + alignment - 1) & ~(alignment - 1));
}

/* The biggest page of all. */
static guint64 alignment_of(const GuestMemory *memory)
{
    guint64 alignment = HUGE_PAGE_SIZE;
    for (guint i = 0; i < memory->backends->len; i++) {
        alignment = MAX(alignment, memory_backend_page_size(memory->backends->pdata[i]));
    }
    return alignment;
}

static gboolean map_backends(GuestMemory *memory, GError **error)
{
    guint64 offset = 0;
    for (guint i = 0; i < memory->backends->len; i++) {
        MemoryBackend *backend = memory->backends->pdata[i];
        if (offset % memory_backend_page_size(backend) != 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "guest memory: the RAM before it leaves a backend with pages of %" G_GUINT64_FORMAT
                        " KiB not aligned",
                        memory_backend_page_size(backend) >> 10);
            return FALSE;
        }
        if (!memory_backend_map(backend, memory->ram + offset, error)) {
            return FALSE;
        }
        offset += memory_backend_size(backend);
    }
    return TRUE;
}

GuestMemory *guest_memory_new_from(MemoryBackend *const *backends, guint count, GError **error)
{
    g_autoptr(GuestMemory) memory = g_new0(GuestMemory, 1);
    memory->backends = g_ptr_array_new_with_free_func((GDestroyNotify)memory_backend_unref);
    for (guint i = 0; i < count; i++) {
        g_ptr_array_add(memory->backends, memory_backend_ref(backends[i]));
        memory->size += memory_backend_size(backends[i]);
    }
    if (!check_size(memory->size, error)) {
        return NULL;
    }
    memory->ram =
        reserve(memory->size, alignment_of(memory), &memory->reservation, &memory->reservation_size, error);
    if (!memory->ram || !map_backends(memory, error)) {
        return NULL;
    }
    guint64 low = MIN(memory->size, GUEST_MEMORY_LOW_LIMIT);
    memory->regions[0] = (GuestMemoryRegion){.base = 0, .size = low, .host = memory->ram};
    memory->region_count = 1;
    if (memory->size > low) {
        memory->regions[1] = (GuestMemoryRegion){
            .base = GUEST_MEMORY_HIGH_START, .size = memory->size - low, .host = memory->ram + low};
        memory->region_count = 2;
    }
    return g_steal_pointer(&memory);
}

GuestMemory *guest_memory_new(guint64 size, GError **error)
{
    g_return_val_if_fail(size > 0 && size % PAGE_SIZE_X86 == 0, NULL);
    g_autoptr(MemoryBackend) backend = memory_backend_new_default(size, FALSE);
    return guest_memory_new_from(&backend, 1, error);
}

void guest_memory_free(GuestMemory *memory)
{
    if (!memory) {
        return;
    }
    if (memory->reservation) {
        munmap(memory->reservation, memory->reservation_size);
    }
    for (guint i = 0; i < memory->added_count; i++) {
        munmap(memory->added[i].reservation, memory->added[i].reservation_size);
        memory_backend_unref(memory->added[i].backend);
    }
    g_ptr_array_unref(memory->backends);
    g_free(memory);
}

void guest_memory_set_room(GuestMemory *memory, guint64 room)
{
    memory->room = room;
}

/* Above everything that is there. */
static guint64 find_place(const GuestMemory *memory, guint64 alignment)
{
    const GuestMemoryRegion *last = &memory->regions[memory->region_count + memory->added_count - 1];
    guint64 end = MAX(last->base + last->size, GUEST_MEMORY_HIGH_START);
    return (end + alignment - 1) & ~(alignment - 1);
}

gboolean guest_memory_add(GuestMemory *memory, MemoryBackend *backend, guint64 alignment, guint64 *base,
                          GError **error)
{
    guint64 size = memory_backend_size(backend);
    guint index = memory->added_count;
    Added added = {.backend = backend};
    if (size > memory->room) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "%" G_GUINT64_FORMAT
                    " MiB are more than may be added to the guest's memory (%" G_GUINT64_FORMAT
                    " MiB: -m maxmem= says it)",
                    size >> 20, memory->room >> 20);
        return FALSE;
    }
    if (index == GUEST_MEMORY_MOST_ADDED) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "more than %u pieces of memory are added",
                    GUEST_MEMORY_MOST_ADDED);
        return FALSE;
    }
    guint8 *at = reserve(size, MAX(HUGE_PAGE_SIZE, memory_backend_page_size(backend)), &added.reservation,
                         &added.reservation_size, error);
    if (!at || !memory_backend_map(backend, at, error)) {
        if (at) {
            munmap(added.reservation, added.reservation_size);
        }
        return FALSE;
    }
    memory_backend_ref(backend);
    *base = find_place(memory, MAX(alignment, ADDED_ALIGNMENT));
    memory->regions[memory->region_count + index] =
        (GuestMemoryRegion){.base = *base, .size = size, .host = at};
    memory->added[index] = added;
    memory->added_count++;
    memory->room -= size;
    return TRUE;
}

guint64 guest_memory_size(const GuestMemory *memory)
{
    return memory->size;
}

const GuestMemoryRegion *guest_memory_regions(const GuestMemory *memory, guint *count)
{
    *count = memory->region_count;
    return memory->regions;
}

const GuestMemoryRegion *guest_memory_all_regions(const GuestMemory *memory, guint *count)
{
    *count = memory->region_count + memory->added_count;
    return memory->regions;
}

void *guest_memory_range(const GuestMemory *memory, guint64 address, guint64 length)
{
    for (guint i = 0; i < memory->region_count + memory->added_count; i++) {
        const GuestMemoryRegion *region = &memory->regions[i];
        if (address >= region->base && address - region->base < region->size) {
            guint64 offset = address - region->base;
            if (length == 0 || length > region->size - offset) {
                return NULL;
            }
            return (guint8 *)region->host + offset;
        }
    }
    return NULL;
}

gboolean guest_memory_read(const GuestMemory *memory, guint64 address, void *to, gsize length)
{
    if (length == 0) {
        return TRUE;
    }
    const void *from = guest_memory_range(memory, address, length);
    if (!from) {
        return FALSE;
    }
    memcpy(to, from, length);
    return TRUE;
}

gboolean guest_memory_write(const GuestMemory *memory, guint64 address, const void *from, gsize length)
{
    if (length == 0) {
        return TRUE;
    }
    void *to = guest_memory_range(memory, address, length);
    if (!to) {
        return FALSE;
    }
    memcpy(to, from, length);
    return TRUE;
}

/* In what was added, of which nothing reaches from one piece into the next. */
static gsize discard_added(const GuestMemory *memory, const guint8 *host, gsize length)
{
    for (guint i = 0; i < memory->added_count; i++) {
        const GuestMemoryRegion *region = &memory->regions[memory->region_count + i];
        gsize offset = (gsize)(host - (const guint8 *)region->host);
        if (host >= (const guint8 *)region->host && offset < region->size) {
            return memory_backend_discard(memory->added[i].backend, offset,
                                          MIN(length, region->size - offset));
        }
    }
    return 0;
}

gsize guest_memory_discard(const GuestMemory *memory, void *host, gsize length)
{
    guint64 offset = (guint64)((guint8 *)host - memory->ram), start = 0;
    if ((guint8 *)host < memory->ram || offset >= memory->size) {
        return discard_added(memory, host, length);
    }
    g_return_val_if_fail(length <= memory->size - offset, 0);
    gsize given = 0;
    for (guint i = 0; i < memory->backends->len && length > 0; i++) {
        const MemoryBackend *backend = memory->backends->pdata[i];
        guint64 size = memory_backend_size(backend);
        if (offset - start < size) {
            gsize part = MIN(length, size - (offset - start));
            given += memory_backend_discard(backend, offset - start, part);
            offset += part;
            length -= part;
        }
        start += size;
    }
    return given;
}
