// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory-backend: where guest RAM comes from on the host: -object memory-backend-ram, -memfd, -file.
 *
 * A backend is a description until it is mapped; what a guest's machine maps it for (RAM, a node of it) is
 * the machine's business. Main thread only, but memory_backend_discard().
 */
#pragma once

#include "host-vmm/object.h"

typedef struct MemoryBackend MemoryBackend;

extern const ObjectType memory_backend_ram_type, memory_backend_memfd_type, memory_backend_file_type;

/* RAM as it is without any -object: a memfd where the host gives huge pages to shared memory, else anonymous
 * memory; not reserved (a host of guests lives on overcommitting), never in a core dump. size: bytes. merge:
 * offered to KSM. */
MemoryBackend *memory_backend_new_default(guint64 size, gboolean merge);
MemoryBackend *memory_backend_ref(MemoryBackend *backend);
void memory_backend_unref(MemoryBackend *backend);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryBackend, memory_backend_unref)
/* NULL: the object is something else. Borrowed. */
MemoryBackend *memory_backend_from_object(Object *object);

guint64 memory_backend_size(const MemoryBackend *backend);
/* Bytes that come and go together: 4 KiB, or the size of its huge pages (hugetlbfs). Size and place are
 * multiples. */
guint64 memory_backend_page_size(const MemoryBackend *backend);
/* Whether all of it is taken from the host when it is mapped. */
gboolean memory_backend_is_preallocated(const MemoryBackend *backend);
/* What query-memdev says of it. */
JsonObject *memory_backend_describe(const MemoryBackend *backend);

/* Maps it over [at, at + size), which the caller has reserved, and prepares it as asked for: NUMA policy,
 * advice, preallocation. Once only: a second time is an error, as guests do not share RAM by accident. */
gboolean memory_backend_map(MemoryBackend *backend, void *at, GError **error);
/* Gives whole pages within [offset, offset + length) of a mapped backend back to the host. Returns bytes
 * given back. Any thread. They read as zeros afterwards, or what its file holds where that is mapped without
 * share=on. */
gsize memory_backend_discard(const MemoryBackend *backend, guint64 offset, gsize length);
