// SPDX-License-Identifier: GPL-2.0-or-later
/* elf-pvh: an ELF kernel entered by its PVH note, with an hvm_start_info (Xen, docs/misc/pvh.pandoc). */
#include "host-vmm/boot/loader-private.h"

#include <elf.h>
#include <string.h>

#include "host-vmm/boot/acpi.h"

#define NOTE_NAME         "Xen"
#define NOTE_PHYS32_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define MAX_HEADERS       64
#define MAX_NOTE_SIZE     65536
#define START_MAGIC       0x336ec578
#define START_VERSION     1 /* has the memory map */

typedef struct __attribute__((packed)) {
    guint32 magic, version, flags, module_count;
    guint64 modules, cmdline, rsdp, memory_map;
    guint32 memory_map_entries, reserved;
} StartInfo;

typedef struct __attribute__((packed)) {
    guint64 address, size, cmdline, reserved;
} StartModule;

typedef struct __attribute__((packed)) {
    guint64 address, size;
    guint32 type, reserved;
} StartMapEntry;

/* All of it in the one page of boot information. */
typedef struct __attribute__((packed)) {
    StartInfo info;
    StartModule initrd;
    StartMapEntry map[BOOT_MAP_MAX];
} StartPage;

typedef struct Segment {
    guint32 type;
    guint64 offset, address, file_size, memory_size, align;
} Segment;

static gboolean fail(GError **error, const BootFile *kernel, const char *why)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "kernel %s cannot be booted: %s", kernel->path,
                why);
    return FALSE;
}

/* Reads the program headers of a 32- or 64-bit file into `segments`. */
static gboolean read_segments(const BootFile *kernel, Segment segments[MAX_HEADERS], guint *count,
                              GError **error)
{
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr narrow;
        Elf64_Ehdr wide;
    } header;
    memset(&header, 0, sizeof(header));
    if (!boot_file_read(kernel, 0, &header, MIN(sizeof(header), kernel->size), error)) {
        return FALSE;
    }
    gboolean is_64 = header.ident[EI_CLASS] == ELFCLASS64;
    guint machine = is_64 ? header.wide.e_machine : header.narrow.e_machine;
    guint number = is_64 ? header.wide.e_phnum : header.narrow.e_phnum;
    guint entry_size = is_64 ? header.wide.e_phentsize : header.narrow.e_phentsize;
    guint64 offset = is_64 ? header.wide.e_phoff : header.narrow.e_phoff;
    if (header.ident[EI_DATA] != ELFDATA2LSB || machine != (is_64 ? EM_X86_64 : EM_386)) {
        return fail(error, kernel, "it is an ELF file for another processor");
    }
    if (number == 0 || number > MAX_HEADERS ||
        entry_size != (is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || offset > kernel->size ||
        number * entry_size > kernel->size - offset) {
        return fail(error, kernel, "its ELF program headers are damaged");
    }
    for (guint i = 0; i < number; i++) {
        Elf64_Phdr wide;
        Elf32_Phdr narrow;
        guint64 at = offset + (guint64)i * entry_size;
        if (is_64) {
            if (!boot_file_read(kernel, at, &wide, sizeof(wide), error)) {
                return FALSE;
            }
            segments[i] = (Segment){wide.p_type,   wide.p_offset, wide.p_paddr,
                                    wide.p_filesz, wide.p_memsz,  wide.p_align};
        } else {
            if (!boot_file_read(kernel, at, &narrow, sizeof(narrow), error)) {
                return FALSE;
            }
            segments[i] = (Segment){narrow.p_type,   narrow.p_offset, narrow.p_paddr,
                                    narrow.p_filesz, narrow.p_memsz,  narrow.p_align};
        }
        const Segment *segment = &segments[i];
        if (segment->offset > kernel->size || segment->file_size > kernel->size - segment->offset ||
            (segment->type == PT_LOAD && segment->file_size > segment->memory_size)) {
            return fail(error, kernel, "its ELF program headers point outside the file");
        }
    }
    *count = number;
    return TRUE;
}

/* Looks for the PVH entry in one PT_NOTE segment. */
static gboolean find_entry_note(const BootFile *kernel, const Segment *segment, guint32 *eip)
{
    gsize size = MIN(segment->file_size, MAX_NOTE_SIZE);
    g_autofree guint8 *notes = g_malloc(size + 1);
    if (!boot_file_read(kernel, segment->offset, notes, size, NULL)) {
        return FALSE;
    }
    gsize align = segment->align == 8 ? 8 : 4;
    for (gsize at = 0; size - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr note; /* the same as Elf32_Nhdr */
        memcpy(&note, notes + at, sizeof(note));
        gsize name = at + sizeof(note);
        gsize content = name + ((note.n_namesz + align - 1) & ~(align - 1));
        gsize next = content + ((note.n_descsz + align - 1) & ~(align - 1));
        if (note.n_namesz > size || note.n_descsz > size || content > size ||
            note.n_descsz > size - content) {
            return FALSE;
        }
        if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_NAME) &&
            !memcmp(notes + name, NOTE_NAME, sizeof(NOTE_NAME)) && note.n_descsz >= 4) {
            memcpy(eip, notes + content, 4);
            return TRUE;
        }
        if (next > size) {
            return FALSE;
        }
        at = next;
    }
    return FALSE;
}

static gboolean find_entry(const BootFile *kernel, const Segment *segments, guint count, guint32 *eip,
                           GError **error)
{
    for (guint i = 0; i < count; i++) {
        if (segments[i].type == PT_NOTE && find_entry_note(kernel, &segments[i], eip)) {
            return TRUE;
        }
    }
    return fail(error, kernel,
                "it is an ELF file without a PVH entry note (a Linux kernel needs CONFIG_PVH)");
}

gboolean elf_pvh_check(const BootFile *kernel, GError **error)
{
    Segment segments[MAX_HEADERS];
    guint count;
    guint32 eip;
    return read_segments(kernel, segments, &count, error) && find_entry(kernel, segments, count, &eip, error);
}

static gboolean load_segment(const BootFile *kernel, const Segment *segment, const GuestMemory *memory,
                             GError **error)
{
    if (segment->memory_size == 0) {
        return TRUE;
    }
    /* Below 1 MiB is what we put there ourselves. */
    if (segment->address < BOOT_HIGH_RAM) {
        return fail(error, kernel, "it wants to be loaded below 1 MiB");
    }
    guint8 *to = guest_memory_range(memory, segment->address, segment->memory_size);
    if (!to) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "kernel %s does not fit into %" G_GUINT64_FORMAT " MiB of guest memory", kernel->path,
                    guest_memory_size(memory) >> 20);
        return FALSE;
    }
    memset(to + segment->file_size, 0, segment->memory_size - segment->file_size);
    return boot_file_read(kernel, segment->offset, to, segment->file_size, error);
}

gboolean elf_pvh_load(const Loader *loader, const GuestMemory *memory, VcpuEntry *entry, GError **error)
{
    const BootFile *kernel = &loader->kernel;
    Segment segments[MAX_HEADERS];
    guint count;
    guint32 eip;
    if (!read_segments(kernel, segments, &count, error) ||
        !find_entry(kernel, segments, count, &eip, error)) {
        return FALSE;
    }
    guint64 floor = BOOT_HIGH_RAM;
    for (guint i = 0; i < count; i++) {
        if (segments[i].type == PT_LOAD) {
            if (!load_segment(kernel, &segments[i], memory, error)) {
                return FALSE;
            }
            floor = MAX(floor, segments[i].address + segments[i].memory_size);
        }
    }
    guint64 initrd;
    if (!boot_place_initrd(loader, memory, floor, GUEST_MEMORY_LOW_LIMIT, &initrd, error) ||
        !boot_load_initrd(loader, memory, initrd, error) ||
        !boot_load_cmdline(loader, memory, 0, error)) {
        return FALSE;
    }
    StartPage page = {
        .info = {.magic = START_MAGIC,
                 .version = START_VERSION,
                 .cmdline = BOOT_CMDLINE_ADDRESS,
                 .rsdp = ACPI_RSDP_ADDRESS,
                 .memory_map = BOOT_INFO_ADDRESS + G_STRUCT_OFFSET(StartPage, map)},
        .initrd = {.address = initrd, .size = loader->initrd.size},
    };
    if (initrd) {
        page.info.module_count = 1;
        page.info.modules = BOOT_INFO_ADDRESS + G_STRUCT_OFFSET(StartPage, initrd);
    }
    BootMapEntry map[BOOT_MAP_MAX];
    page.info.memory_map_entries = boot_memory_map(memory, map);
    for (guint i = 0; i < page.info.memory_map_entries; i++) {
        page.map[i] = (StartMapEntry){.address = map[i].address, .size = map[i].size, .type = map[i].type};
    }
    if (!guest_memory_write(memory, BOOT_INFO_ADDRESS, &page, sizeof(page))) {
        return FALSE;
    }
    *entry = (VcpuEntry){.eip = eip, .ebx = BOOT_INFO_ADDRESS};
    return TRUE;
}
