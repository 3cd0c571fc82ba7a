// SPDX-License-Identifier: GPL-2.0-or-later
/* loader-private: what the kinds of kernel share. */
#pragma once

#include <asm/bootparam.h>

#include "host-vmm/boot/loader.h"

/* Guest-physical layout below 1 MiB; BOOT_GDT_ADDRESS and the ACPI area besides. */
#define BOOT_INFO_ADDRESS    0x7000 /* boot_params or hvm_start_info with its tables: one page */
#define BOOT_PAGE_TABLES     0x9000 /* six pages */
#define BOOT_CMDLINE_ADDRESS 0x20000
#define BOOT_CMDLINE_MAX     0x10000 /* bytes, the end's NUL included */
#define BOOT_LOW_RAM_END     0x9fc00 /* what a PC calls conventional memory */
#define BOOT_HIGH_RAM        0x100000

typedef struct BootFile {
    char *path;
    int fd;
    guint64 size;
} BootFile;

typedef struct VmlinuxJob VmlinuxJob;

struct Loader {
    BootFile kernel;
    BootFile initrd; /* path NULL: none */
    char *append;
    gboolean is_elf;
    gboolean unpack;
    char *cache;       /* folder of unpacked kernels; NULL: none */
    BootFile unpacked; /* its entry of this kernel; path NULL: there is none */
    VmlinuxJob *job;   /* of loader_begin() */
};

/* Reads exactly [offset, offset + length) of the file to `to`. */
gboolean boot_file_read(const BootFile *file, guint64 offset, void *to, gsize length, GError **error);
/* The same into guest memory; fails if that is not RAM. */
gboolean boot_file_load(const BootFile *file, guint64 offset, const GuestMemory *memory, guint64 address,
                        guint64 length, GError **error);
/* Where the initrd goes: as high as it can be below `limit` and above `floor`; *address 0 if there is none.
 */
gboolean boot_place_initrd(const Loader *loader, const GuestMemory *memory, guint64 floor, guint64 limit,
                           guint64 *address, GError **error);
/* Loads it there. */
gboolean boot_load_initrd(const Loader *loader, const GuestMemory *memory, guint64 address, GError **error);
/* Writes the command line, at most `max` bytes without its NUL (0: as much as there is room for). */
gboolean boot_load_cmdline(const Loader *loader, const GuestMemory *memory, gsize max, GError **error);

typedef struct BootMapEntry {
    guint64 address, size;
    guint32 type; /* 1 RAM, 2 reserved */
} BootMapEntry;
#define BOOT_MAP_MAX 8
/* The memory map; returns the number of entries. */
guint boot_memory_map(const GuestMemory *memory, BootMapEntry map[BOOT_MAP_MAX]);

/* Where a kernel that we unpacked is entered. */
typedef struct VmlinuxPlace {
    guint64 entry;       /* guest-physical */
    gboolean randomized; /* its virtual addresses are: what Linux calls KASLR */
} VmlinuxPlace;
/* Begins to unpack, in a thread, the kernel that a bzImage carries to somewhere below `limit`, where nothing
 * else is from header->pref_address on. keep: what is not in the cache yet comes into it. The loader and the
 * memory must live until vmlinux_finish(). */
VmlinuxJob *vmlinux_begin(const Loader *loader, const struct setup_header *header, const GuestMemory *memory,
                          guint64 limit, gboolean keep);
/* Waits, puts it where it runs, and frees the job. FALSE: it has to unpack itself, and what there is in that
 * memory is of no use. */
gboolean vmlinux_finish(VmlinuxJob *job, VmlinuxPlace *place, GError **error);

/* Begins what can be done beside other things; NULL: nothing. */
VmlinuxJob *bzimage_begin(const Loader *loader, const GuestMemory *memory);
/* job: of bzimage_begin(), taken; NULL: there is none. */
gboolean bzimage_load(const Loader *loader, VmlinuxJob *job, const GuestMemory *memory, VcpuEntry *entry,
                      GError **error);
gboolean elf_pvh_load(const Loader *loader, const GuestMemory *memory, VcpuEntry *entry, GError **error);
gboolean bzimage_check(const BootFile *kernel, GError **error);
gboolean elf_pvh_check(const BootFile *kernel, GError **error);
