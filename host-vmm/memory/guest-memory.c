// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/memory/guest-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_SIZE (2ull << 20)
#define PAGE_SIZE_X86  4096ull

struct GuestMemory {
    guint64 size;
    void *reservation; /* the mapping with room for alignment */
    gsize reservation_size;
    int fd; /* the memfd, or -1 where RAM is anonymous */
    guint region_count;
    GuestMemoryRegion regions[2];
};

/*
 * A memfd gets huge pages only where the host's shmem policy allows it, and Linux's default is "never".
 * Without huge pages a boot takes fifty times the page faults (reference figures in docs/architecture.md), so
 * there anonymous memory is the better RAM.
 */
static gboolean shmem_gives_huge_pages(void)
{
    g_autofree char *policy = NULL;
    if (!g_file_get_contents("/sys/kernel/mm/transparent_hugepage/shmem_enabled", &policy, NULL, NULL)) {
        return FALSE;
    }
    return !strstr(policy, "[never]") && !strstr(policy, "[deny]");
}

GuestMemory *guest_memory_new(guint64 size, GError **error)
{
    g_return_val_if_fail(size > 0 && size % PAGE_SIZE_X86 == 0, NULL);

    /* Overcommit is what a host of virtual machines lives on; what can never be given is refused here. */
    guint64 host_pages = sysconf(_SC_PHYS_PAGES);
    guint64 host_size = host_pages * (guint64)sysconf(_SC_PAGESIZE);
    if (size > host_size) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "guest memory of %" G_GUINT64_FORMAT " MiB is more than the host has (%" G_GUINT64_FORMAT
                    " MiB)",
                    size >> 20, host_size >> 20);
        return NULL;
    }

    GuestMemory *memory = g_new0(GuestMemory, 1);
    memory->size = size;
    memory->fd = -1;
    memory->reservation_size = size + HUGE_PAGE_SIZE;
    memory->reservation =
        mmap(NULL, memory->reservation_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory->reservation == MAP_FAILED) {
        memory->reservation = NULL;
        goto fail;
    }
    guint8 *ram = (guint8 *)(((guintptr)memory->reservation + HUGE_PAGE_SIZE - 1) & ~(HUGE_PAGE_SIZE - 1));

    int flags = MAP_FIXED | MAP_NORESERVE;
    if (shmem_gives_huge_pages()) {
        memory->fd = memfd_create("guest-ram", MFD_CLOEXEC);
        if (memory->fd < 0 || ftruncate(memory->fd, (off_t)size) < 0) {
            goto fail;
        }
        flags |= MAP_SHARED;
    } else {
        flags |= MAP_PRIVATE | MAP_ANONYMOUS;
    }
    if (mmap(ram, size, PROT_READ | PROT_WRITE, flags, memory->fd, 0) == MAP_FAILED) {
        goto fail;
    }
    /* Best effort: a kernel without transparent huge pages runs the guest as well, only slower. */
    (void)madvise(ram, size, MADV_HUGEPAGE);
    /* A crash dump of the monitor must not hold the guest's secrets; a child must not hold its RAM. */
    (void)madvise(ram, size, MADV_DONTDUMP);
    (void)madvise(ram, size, MADV_DONTFORK);

    guint64 low = MIN(size, GUEST_MEMORY_LOW_LIMIT);
    memory->regions[0] = (GuestMemoryRegion){.base = 0, .size = low, .host = ram};
    memory->region_count = 1;
    if (size > low) {
        memory->regions[1] =
            (GuestMemoryRegion){.base = GUEST_MEMORY_HIGH_START, .size = size - low, .host = ram + low};
        memory->region_count = 2;
    }
    return memory;

fail:
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                "cannot map %" G_GUINT64_FORMAT " MiB of guest memory: %s", size >> 20, g_strerror(errno));
    guest_memory_free(memory);
    return NULL;
}

void guest_memory_free(GuestMemory *memory)
{
    if (!memory) {
        return;
    }
    if (memory->reservation) {
        munmap(memory->reservation, memory->reservation_size);
    }
    if (memory->fd >= 0) {
        close(memory->fd);
    }
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
    const guint8 *ram = memory->regions[0].host;
    guint64 offset = (guint64)((guint8 *)host - ram);
    g_return_val_if_fail((guint8 *)host >= ram && offset <= memory->size && length <= memory->size - offset,
                         0);
    guint64 start = (offset + PAGE_SIZE_X86 - 1) & ~(PAGE_SIZE_X86 - 1);
    guint64 end = (offset + length) & ~(PAGE_SIZE_X86 - 1);
    if (start >= end) {
        return 0;
    }
    int result = memory->fd >= 0
                     ? fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
                                 (off_t)(end - start))
                     : madvise((guint8 *)memory->regions[0].host + start, end - start, MADV_DONTNEED);
    return result == 0 ? end - start : 0;
}
