// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loader: puts a kernel, its initial RAM disk and command line into guest memory, without firmware.
 *
 * Two kinds: bzImage by Linux's boot protocol (Documentation/arch/x86/boot.rst), and ELF kernels with a PVH
 * entry note (vmlinux; Xen's docs/misc/pvh.pandoc). A bzImage is unpacked here and entered by the 64-bit
 * protocol, or, if that is not wanted or not known how, unpacks itself from the 32-bit one. Files are opened
 * once and stay open, so that a reset loads the same again.
 */
#pragma once

#include "host-vmm/kvm/vcpu.h"
#include "host-vmm/memory/guest-memory.h"

typedef struct Loader Loader;

/* Opens the files and looks at the kernel's head. initrd and append may be NULL. Errors name the file. */
Loader *loader_new(const char *kernel, const char *initrd, const char *append, GError **error);
void loader_free(Loader *loader);
/* FALSE: a bzImage unpacks itself. At first TRUE. */
void loader_set_unpack(Loader *loader, gboolean unpack);
/* A folder where unpacked kernels are kept for the next start (kernel-cache.h). Before loader_begin(), which
 * is what fills it. At first there is none. */
void loader_set_cache(Loader *loader, const char *folder);

/* Begins with what takes long of the first loader_load(), beside whatever else there is to do until then. The
 * memory must live until that, or loader_free(). */
void loader_begin(Loader *loader, const GuestMemory *memory);

/* Loads all into memory (at start and at each reset); the ACPI tables are there already. *entry: how to
 * start. */
gboolean loader_load(Loader *loader, const GuestMemory *memory, VcpuEntry *entry, GError **error);
