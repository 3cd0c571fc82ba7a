// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/memory/guest-memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_SIZE (2ull << 20)
#define PAGE_SIZE_X86  4096ull

struct GuestMemory {
    guint64 size;
    void *reservation; /* the mapping with room for alignment */
    gsize reservation_size;
    guint8 *ram;         /* all of it in one piece, whatever it is made of */
    GPtrArray *backends; /* MemoryBackend*, in the order of their RAM; each a reference */
    guint region_count;
    GuestMemoryRegion regions[2];
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

/* Address space for all of it, begun at a multiple of the biggest page. */
static gboolean reserve(GuestMemory *memory, GError **error)
{
    guint64 alignment = HUGE_PAGE_SIZE;
    for (guint i = 0; i < memory->backends->len; i++) {
        alignment = MAX(alignment, memory_backend_page_size(memory->backends->pdata[i]));
    }
    memory->reservation_size = memory->size + alignment;
    memory->reservation =
        mmap(NULL, memory->reservation_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory->reservation == MAP_FAILED) {
        memory->reservation = NULL;
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "cannot map %" G_GUINT64_FORMAT " MiB of guest memory: %s", memory->size >> 20,
                    g_strerror(errno));
        return FALSE;
    }
    memory->ram = (guint8 *)(((guintptr)memory->reservation + alignment - 1) & ~(alignment - 1));
    return TRUE;
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
    if (!check_size(memory->size, error) || !reserve(memory, error) || !map_backends(memory, error)) {
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
    g_ptr_array_unref(memory->backends);
    g_free(memory);
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

void *guest_memory_range(const GuestMemory *memory, guint64 address, guint64 length)
{
    for (guint i = 0; i < memory->region_count; i++) {
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

gsize guest_memory_discard(const GuestMemory *memory, void *host, gsize length)
{
    guint64 offset = (guint64)((guint8 *)host - memory->ram), start = 0;
    g_return_val_if_fail(
        (guint8 *)host >= memory->ram && offset <= memory->size && length <= memory->size - offset, 0);
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
