// SPDX-License-Identifier: GPL-2.0-or-later
/* bzimage: Linux's 32-bit and 64-bit boot protocols (Documentation/arch/x86/boot.rst). Field offsets are
 * those of the zero page. */
#include "host-vmm/boot/loader-private.h"

#include <asm/bootparam.h>
#include <string.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/kvm/vcpu-state.h"

#define HEADER_OFFSET    0x1f1
#define BOOT_FLAG        0xaa55
#define HEADER_MAGIC     0x53726448 /* "HdrS" */
#define OLDEST_VERSION   0x020a     /* 2.10, Linux 2.6.31: init_size and pref_address */
#define RSDP_VERSION     0x020e     /* 2.14 says acpi_rsdp_addr is looked at */
#define SETUP_SECTOR     512
#define LOADER_UNDEFINED 0xff
#define DEFAULT_CMDLINE  255
#define VIDEO_NORMAL     0xffff
#define PAGE_TABLE       3    /* present, writable */
#define PAGE_OF_2_MIB    0x83 /* the same, and no table */

static gboolean read_header(const BootFile *kernel, struct setup_header *header, GError **error)
{
    if (kernel->size < HEADER_OFFSET + sizeof(*header)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "kernel %s is neither a bzImage nor an ELF kernel: it is too short", kernel->path);
        return FALSE;
    }
    if (!boot_file_read(kernel, HEADER_OFFSET, header, sizeof(*header), error)) {
        return FALSE;
    }
    if (header->boot_flag != BOOT_FLAG || header->header != HEADER_MAGIC) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "kernel %s is neither a bzImage nor an ELF kernel", kernel->path);
        return FALSE;
    }
    if (header->version < OLDEST_VERSION || !(header->loadflags & LOADED_HIGH)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "kernel %s is too old: its boot protocol is %u.%u, needed is a bzImage of 2.10",
                    kernel->path, header->version >> 8, header->version & 0xff);
        return FALSE;
    }
    /* The second byte of the jump at 0x200 tells where this kernel's header ends: what follows is code. */
    gsize header_size = 0x202 - HEADER_OFFSET + (header->jump >> 8);
    if (header_size < sizeof(*header)) {
        memset((guint8 *)header + header_size, 0, sizeof(*header) - header_size);
    }
    guint setup_sectors = header->setup_sects ? header->setup_sects : 4;
    if ((guint64)(setup_sectors + 1) * SETUP_SECTOR >= kernel->size) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "kernel %s is cut short", kernel->path);
        return FALSE;
    }
    return TRUE;
}

gboolean bzimage_check(const BootFile *kernel, GError **error)
{
    struct setup_header header;
    return read_header(kernel, &header, error);
}

/* Page tables that map the first 4 GiB to themselves by pages of 2 MiB, as the 64-bit protocol asks for the
 * kernel, boot_params and the command line. */
static gboolean write_page_tables(const GuestMemory *memory)
{
    enum { TABLE = 512, DIRECTORIES = 4 };
    g_autofree guint64 *tables = g_new0(guint64, (2 + DIRECTORIES) * TABLE);
    guint64 *pointers = tables + TABLE, *directories = pointers + TABLE;
    tables[0] = (BOOT_PAGE_TABLES + TABLE * sizeof(guint64)) | PAGE_TABLE;
    for (guint i = 0; i < DIRECTORIES; i++) {
        pointers[i] = (BOOT_PAGE_TABLES + (2 + i) * TABLE * sizeof(guint64)) | PAGE_TABLE;
    }
    for (guint i = 0; i < DIRECTORIES * TABLE; i++) {
        directories[i] = ((guint64)i << 21) | PAGE_OF_2_MIB;
    }
    return guest_memory_write(memory, BOOT_PAGE_TABLES, tables, (2 + DIRECTORIES) * TABLE * sizeof(guint64));
}

typedef struct Layout {
    struct setup_header header;
    guint64 code_offset,
        code_size;  /* in the file: all but the real-mode part, of which the header is enough */
    guint64 initrd; /* address; 0: there is none */
    guint64 limit;  /* where the kernel has to end */
} Layout;

static gboolean make_layout(const Loader *loader, const GuestMemory *memory, Layout *layout, GError **error)
{
    struct setup_header *header = &layout->header;
    if (!read_header(&loader->kernel, header, error)) {
        return FALSE;
    }
    layout->code_offset = ((header->setup_sects ? header->setup_sects : 4u) + 1u) * SETUP_SECTOR;
    layout->code_size = loader->kernel.size - layout->code_offset;
    /* If it unpacks itself, that is to pref_address, and it needs init_size bytes there; the initrd goes
     * above. */
    guint64 floor = MAX(BOOT_HIGH_RAM + layout->code_size, header->pref_address + header->init_size);
    guint64 initrd_limit = (guint64)header->initrd_addr_max + 1;
    if (header->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G) {
        initrd_limit = MAX(initrd_limit, GUEST_MEMORY_LOW_LIMIT);
    }
    if (floor > guest_memory_size(memory)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                    "kernel %s needs %" G_GUINT64_FORMAT
                    " MiB to unpack itself, guest memory has %" G_GUINT64_FORMAT,
                    loader->kernel.path, (floor >> 20) + 1, guest_memory_size(memory) >> 20);
        return FALSE;
    }
    if (!boot_place_initrd(loader, memory, floor, initrd_limit, &layout->initrd, error)) {
        return FALSE;
    }
    guint regions;
    layout->limit = layout->initrd ? layout->initrd : guest_memory_regions(memory, &regions)[0].size;
    return TRUE;
}

VmlinuxJob *bzimage_begin(const Loader *loader, const GuestMemory *memory)
{
    Layout layout;
    return loader->unpack && make_layout(loader, memory, &layout, NULL)
               ? vmlinux_begin(loader, &layout.header, memory, layout.limit, TRUE)
               : NULL;
}

/* Takes the job. FALSE: the kernel is to unpack itself. */
static gboolean enter_unpacked(const Loader *loader, VmlinuxJob *job, const GuestMemory *memory,
                               struct setup_header *header, VcpuEntry *entry)
{
    g_autoptr(GError) reason = NULL;
    VmlinuxPlace place;
    if (!vmlinux_finish(job, &place, &reason)) {
        g_info("kernel %s unpacks itself: %s", loader->kernel.path, reason->message);
        return FALSE;
    }
    if (place.randomized) {
        header->loadflags |= KASLR_FLAG;
    }
    guint64 code = BOOT_CODE_64;
    *entry = (VcpuEntry){.eip = (guint32)place.entry, .esi = BOOT_INFO_ADDRESS, .cr3 = BOOT_PAGE_TABLES};
    return write_page_tables(memory) &&
           guest_memory_write(memory, BOOT_GDT_ADDRESS + BOOT_CS, &code, sizeof(code));
}

gboolean bzimage_load(const Loader *loader, VmlinuxJob *job, const GuestMemory *memory, VcpuEntry *entry,
                      GError **error)
{
    Layout layout;
    struct boot_params params;
    memset(&params, 0, sizeof(params));
    struct setup_header *header = &params.hdr;
    gboolean good = make_layout(loader, memory, &layout, error);
    *header = layout.header;
    if (good && !job && loader->unpack) {
        job = vmlinux_begin(loader, header, memory, layout.limit, FALSE);
    }
    good = good && boot_load_initrd(loader, memory, layout.initrd, error) &&
           boot_load_cmdline(loader, memory, header->cmdline_size ? header->cmdline_size : DEFAULT_CMDLINE,
                             error);
    header->loadflags &= (guint8)~KASLR_FLAG;
    gboolean is_unpacked = job && enter_unpacked(loader, job, memory, header, entry);
    if (!good) {
        return FALSE;
    }
    if (!is_unpacked) {
        if (!boot_file_load(&loader->kernel, layout.code_offset, memory, BOOT_HIGH_RAM, layout.code_size,
                            error)) {
            return FALSE;
        }
        *entry = (VcpuEntry){.eip = BOOT_HIGH_RAM, .esi = BOOT_INFO_ADDRESS};
    }

    header->type_of_loader = LOADER_UNDEFINED;
    header->vid_mode = VIDEO_NORMAL;
    header->cmd_line_ptr = BOOT_CMDLINE_ADDRESS;
    if (layout.initrd) {
        header->ramdisk_image = (guint32)layout.initrd;
        header->ramdisk_size = (guint32)loader->initrd.size;
        params.ext_ramdisk_size = (guint32)(loader->initrd.size >> 32);
    }
    if (header->version >= RSDP_VERSION) {
        params.acpi_rsdp_addr = ACPI_RSDP_ADDRESS;
    }
    BootMapEntry map[BOOT_MAP_MAX];
    params.e820_entries = (guint8)boot_memory_map(memory, map);
    for (guint i = 0; i < params.e820_entries; i++) {
        params.e820_table[i] =
            (struct boot_e820_entry){.addr = map[i].address, .size = map[i].size, .type = map[i].type};
    }
    return guest_memory_write(memory, BOOT_INFO_ADDRESS, &params, sizeof(params));
}
