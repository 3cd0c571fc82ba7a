// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-memory: the guest's RAM, and the only way to touch it.
 *
 * RAM is mapped once, in one piece and aligned for huge pages, whatever it is made of (memory-backend.h).
 * Below 3 GiB it is at guest-physical 0; what is beyond goes to 4 GiB, leaving the hole for PCI and the
 * APICs. Every address and length that a guest gives is hostile: these functions check them and never touch
 * anything outside RAM.
 *
 * Memory that may come later (virtio-mem) has a place of its own above all RAM, which the guest's memory map
 * does not tell of.
 *
 * Thread-safe: the layout does not change once the guest's devices are there. Contents are shared with
 * running vCPUs: read a value once, then check it.
 */
#pragma once

#include "host-vmm/memory/memory-backend.h"

#define GUEST_MEMORY_LOW_LIMIT  (3ull << 30) /* RAM below the PCI hole ends here at most */
#define GUEST_MEMORY_HIGH_START (4ull << 30) /* and goes on here */
#define GUEST_MEMORY_MOST_ADDED 16u

typedef struct GuestMemory GuestMemory;

typedef struct GuestMemoryRegion {
    guint64 base; /* guest-physical address */
    guint64 size; /* bytes */
    void *host;   /* where it is mapped here */
} GuestMemoryRegion;

/* size in bytes, a multiple of 4 KiB. Fails if it cannot be mapped or is more than the host could ever give.
 */
GuestMemory *guest_memory_new(guint64 size, GError **error);
/* The same of `count` backends one after the other; their sizes make its size. Each is referenced. */
GuestMemory *guest_memory_new_from(MemoryBackend *const *backends, guint count, GError **error);
void guest_memory_free(GuestMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestMemory, guest_memory_free)

guint64 guest_memory_size(const GuestMemory *memory);
/* RAM that the guest has from its start: owned by memory; *count regions (1 or 2), ascending. */
const GuestMemoryRegion *guest_memory_regions(const GuestMemory *memory, guint *count);

/* Room above RAM for what is added: -m maxmem=, less the RAM. At first there is none. */
void guest_memory_set_room(GuestMemory *memory, guint64 room);
/* Maps a backend there and says where, at a multiple of 1 GiB and of `alignment`. Before the guest runs. */
gboolean guest_memory_add(GuestMemory *memory, MemoryBackend *backend, guint64 alignment, guint64 *base,
                          GError **error);
/* All that can be accessed: RAM, and what was added. As guest_memory_regions(). */
const GuestMemoryRegion *guest_memory_all_regions(const GuestMemory *memory, guint *count);

/* Host address of [address, address + length), or NULL if any byte of it is outside one region. length 0:
 * NULL. */
void *guest_memory_range(const GuestMemory *memory, guint64 address, guint64 length);
/* FALSE (and nothing copied) if the range is not RAM. length 0 is TRUE. */
gboolean guest_memory_read(const GuestMemory *memory, guint64 address, void *to, gsize length);
gboolean guest_memory_write(const GuestMemory *memory, guint64 address, const void *from, gsize length);

/* Gives whole pages within [host, host + length), an address that guest_memory_range() or a virtqueue element
 * gave, back to the host: they read as zeros afterwards. Returns bytes given back; errors are none of the
 * guest's business. */
gsize guest_memory_discard(const GuestMemory *memory, void *host, gsize length);
