// SPDX-License-Identifier: GPL-2.0-or-later
/* Kernels that are unpacked by us: made up, compressed, and broken in many ways. */
#include "config.h"

#include <asm/bootparam.h>
#include <check.h>
#include <elf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/boot/kernel-cache.h"
#include "host-vmm/boot/loader-private.h"
#include "host-vmm/boot/unpack.h"
#include "host-vmm/kvm/vcpu-state.h"
#include "tests/check-run.h"

#ifdef HAVE_LIBLZ4
#include <lz4.h>
#endif
#ifdef HAVE_LIBLZMA
#include <lzma.h>
#endif
#ifdef HAVE_LIBZSTD
#include <zstd.h>
#endif

#define MIB        (1ull << 20)
#define LINKED     (16 * MIB)
#define ALIGNMENT  (2 * MIB)
#define KERNEL_MAP 0xffffffff80000000ull
#define INIT_SIZE  (4 * MIB)
#define MEMORY     (64 * MIB)
#define SETUP_SIZE 1024u
#define PAYLOAD_AT 0x400u /* in the code */
#define TEXT_SIZE  0x400u
#define DATA_SIZE  0x200u
#define TEXT_AT    0x1000u   /* in the file */
#define DATA_AT    0x2000u   /* in the file */
#define DATA_PLACE 0x1000u   /* in memory, from LINKED on */
#define MEMORY_END 0x101000u /* the data's end in memory */

/* Where the values are that the table of relocations tells of. */
#define WIDE_AT    0x10u
#define INVERSE_AT 0x40u
#define NARROW_AT  (DATA_PLACE + 0x20u)

typedef struct __attribute__((packed)) {
    Elf64_Ehdr header;
    Elf64_Phdr text, data;
    guint8 fill[TEXT_AT - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr)];
    guint8 text_bytes[DATA_AT - TEXT_AT];
    guint8 data_bytes[DATA_SIZE];
    guint32 table[6];
} Elf;

typedef struct Kernel {
    Elf elf;
    guint table_words; /* of elf.table */
    struct setup_header header;
    gboolean is_cut;      /* the compressed part lacks its second half */
    guint32 size_differs; /* added to the size that it says it has unpacked */
    guint8 magic;         /* not 0: its first byte */
    guint head;           /* zeros before the text in the file */
    const char *append;
} Kernel;

static char *folder;

static void set_up(void)
{
    folder = g_dir_make_tmp("vmlinux-XXXXXX", NULL);
}

static void remove_all(const char *path)
{
    g_autoptr(GDir) listing = g_dir_open(path, 0, NULL);
    for (const char *name; listing && (name = g_dir_read_name(listing)) != NULL;) {
        g_autofree char *inside = g_build_filename(path, name, NULL);
        remove_all(inside);
    }
    g_remove(path);
}

static void tear_down(void)
{
    remove_all(folder);
    g_free(folder);
}

static guint32 address_of(guint offset)
{
    return (guint32)(KERNEL_MAP + LINKED + offset);
}

static void put(guint8 *to, guint64 value, gsize size)
{
    memcpy(to, &value, size);
}

static Kernel new_kernel(void)
{
    Kernel kernel = {
        .elf = {.header = {.e_ident = ELFMAG,
                           .e_type = ET_EXEC,
                           .e_machine = EM_X86_64,
                           .e_entry = LINKED,
                           .e_phoff = offsetof(Elf, text),
                           .e_phnum = 2,
                           .e_phentsize = sizeof(Elf64_Phdr)},
                .text = {.p_type = PT_LOAD,
                         .p_offset = TEXT_AT,
                         .p_paddr = LINKED,
                         .p_filesz = TEXT_SIZE,
                         .p_memsz = TEXT_SIZE},
                .data = {.p_type = PT_LOAD,
                         .p_offset = DATA_AT,
                         .p_paddr = LINKED + DATA_PLACE,
                         .p_filesz = DATA_SIZE,
                         .p_memsz = MEMORY_END - DATA_PLACE},
                .table = {0, address_of(WIDE_AT), 0, address_of(INVERSE_AT), 0, address_of(NARROW_AT)}},
        .table_words = 6,
        .header = {.setup_sects = 1,
                   .boot_flag = 0xaa55,
                   .jump = 0x6aeb,
                   .header = 0x53726448,
                   .version = 0x020f,
                   .loadflags = LOADED_HIGH,
                   .initrd_addr_max = 0x7fffffff,
                   .cmdline_size = 255,
                   .kernel_alignment = ALIGNMENT,
                   .relocatable_kernel = 1,
                   .xloadflags = XLF_KERNEL_64,
                   .payload_offset = PAYLOAD_AT,
                   .pref_address = LINKED,
                   .init_size = INIT_SIZE},
        .append = "nokaslr",
    };
    kernel.elf.header.e_ident[EI_CLASS] = ELFCLASS64;
    kernel.elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
    memset(kernel.elf.text_bytes, 0x90, TEXT_SIZE);
    memset(kernel.elf.data_bytes, 0xda, DATA_SIZE);
    put(kernel.elf.text_bytes + WIDE_AT, KERNEL_MAP + LINKED + 0x123, 8);
    put(kernel.elf.text_bytes + INVERSE_AT, 0x11000000, 4);
    put(kernel.elf.data_bytes + NARROW_AT - DATA_PLACE, address_of(0x321), 4);
    return kernel;
}

static GByteArray *gzip(const void *data, gsize size)
{
    g_autoptr(GZlibCompressor) stream = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 6);
    GByteArray *out = g_byte_array_new();
    g_byte_array_set_size(out, (guint)size + 1024);
    gsize taken, made;
    ck_assert_int_eq(g_converter_convert(G_CONVERTER(stream), data, size, out->data, out->len,
                                         G_CONVERTER_INPUT_AT_END, &taken, &made, NULL),
                     G_CONVERTER_FINISHED);
    ck_assert_uint_eq(taken, size);
    g_byte_array_set_size(out, (guint)made);
    return out;
}

/* Writes the bzImage; the caller frees the path. */
static char *write_kernel(const Kernel *kernel)
{
    g_autoptr(GByteArray) file = g_byte_array_new();
    Elf elf = kernel->elf;
    elf.text.p_offset += kernel->head;
    elf.data.p_offset += kernel->head;
    g_byte_array_append(file, (const guint8 *)&elf, TEXT_AT);
    g_byte_array_set_size(file, TEXT_AT + kernel->head);
    memset(file->data + TEXT_AT, 0, kernel->head);
    g_byte_array_append(file, elf.text_bytes,
                        (guint)(offsetof(Elf, table) + kernel->table_words * sizeof(guint32) - TEXT_AT));
    gsize size = file->len;
    g_autoptr(GByteArray) packed = gzip(file->data, size);
    put(packed->data + packed->len - 4, size + kernel->size_differs, 4);
    if (kernel->magic) {
        packed->data[0] = kernel->magic;
    }
    if (kernel->is_cut) {
        memset(packed->data + packed->len / 2, 0xff, packed->len - packed->len / 2 - 4);
    }
    struct setup_header header = kernel->header;
    if (header.payload_length == 0) {
        header.payload_length = packed->len;
    }
    g_byte_array_set_size(file, 0);
    g_byte_array_set_size(file, SETUP_SIZE + PAYLOAD_AT);
    memset(file->data, 0x5a, file->len);
    memcpy(file->data + 0x1f1, &header, sizeof(header));
    g_byte_array_append(file, packed->data, packed->len);
    char *path = g_build_filename(folder, "kernel", NULL);
    ck_assert(g_file_set_contents(path, (const char *)file->data, file->len, NULL));
    return path;
}

static VcpuEntry load(const Kernel *kernel, guint64 size, gboolean unpack, GuestMemory **memory)
{
    g_autofree char *path = write_kernel(kernel);
    Loader *loader = loader_new(path, NULL, kernel->append, NULL);
    VcpuEntry entry;
    ck_assert_ptr_nonnull(loader);
    loader_set_unpack(loader, unpack);
    *memory = guest_memory_new(size, NULL);
    ck_assert(loader_load(loader, *memory, &entry, NULL));
    loader_free(loader);
    return entry;
}

static const struct boot_params *params_of(const GuestMemory *memory, const VcpuEntry *entry)
{
    const struct boot_params *params = guest_memory_range(memory, entry->esi, sizeof(*params));
    ck_assert_ptr_nonnull(params);
    return params;
}

START_TEST (a_kernel_is_put_where_it_runs) {
    static const guint heads[] = {0, 2 * MIB - TEXT_AT, 2 * MIB};
    Kernel kernel = new_kernel();
    kernel.head = heads[_i];
    g_autoptr(GuestMemory) memory = NULL;
    VcpuEntry entry = load(&kernel, MEMORY, TRUE, &memory);
    ck_assert_uint_ne(entry.cr3, 0);
    ck_assert_uint_eq(entry.eip, LINKED);
    ck_assert_mem_eq(guest_memory_range(memory, LINKED, TEXT_SIZE), kernel.elf.text_bytes, TEXT_SIZE);
    ck_assert_mem_eq(guest_memory_range(memory, LINKED + DATA_PLACE, DATA_SIZE), kernel.elf.data_bytes,
                     DATA_SIZE);
    const struct boot_params *params = params_of(memory, &entry);
    ck_assert_uint_eq(params->hdr.loadflags & KASLR_FLAG, 0);
    ck_assert_str_eq(guest_memory_range(memory, params->hdr.cmd_line_ptr, 8), "nokaslr");
    /* What the 64-bit protocol asks for: a 64-bit code segment, and page tables that map all at itself. */
    const guint64 *gdt = guest_memory_range(memory, BOOT_GDT_ADDRESS, 8 * BOOT_GDT_ENTRIES);
    ck_assert_uint_eq(gdt[BOOT_CS / 8], BOOT_CODE_64);
    ck_assert_uint_eq(gdt[BOOT_DS / 8], BOOT_GDT[BOOT_DS / 8]);
    for (guint64 address = 0; address < 4ull << 30; address += 511 * MIB + 4096) {
        guint64 table = entry.cr3;
        for (guint level = 0; level < 2; level++) {
            const guint64 *entries = guest_memory_range(memory, table, 4096);
            guint64 row = entries[(address >> (39 - 9 * level)) & 511];
            ck_assert_uint_eq(row & 0xfff, 3);
            table = row & ~0xfffull;
        }
        const guint64 *entries = guest_memory_range(memory, table, 4096);
        ck_assert_uint_eq(entries[(address >> 21) & 511], (address & ~(2 * MIB - 1)) | 0x83);
    }
}
END_TEST

static guint64 get(const GuestMemory *memory, guint64 address, gsize size)
{
    guint64 value = 0;
    ck_assert(guest_memory_read(memory, address, &value, size));
    return value;
}

START_TEST (its_addresses_are_moved_at_random) {
    /* 0: as Linux has it before 6.15; 1: since then; 2: as it is before, with the text where it is in the
     * file */
    Kernel kernel = new_kernel();
    kernel.append = "quiet";
    kernel.head = _i == 2 ? 2 * MIB : 0;
    if (_i == 1) {
        kernel.elf.table[3] = 0, kernel.elf.table[4] = address_of(NARROW_AT), kernel.elf.table[2] = 0;
        memmove(&kernel.elf.table[3], &kernel.elf.table[4], 4);
        kernel.table_words = 4;
    }
    g_autoptr(GHashTable) virtuals = g_hash_table_new(NULL, NULL), physicals = g_hash_table_new(NULL, NULL);
    for (guint round = 0; round < 40; round++) {
        g_autoptr(GuestMemory) memory = NULL;
        VcpuEntry entry = load(&kernel, MEMORY, TRUE, &memory);
        ck_assert_uint_ne(entry.cr3, 0);
        ck_assert_uint_eq(entry.eip % ALIGNMENT, 0);
        ck_assert(entry.eip >= LINKED && entry.eip <= MEMORY - INIT_SIZE);
        ck_assert_uint_ne(params_of(memory, &entry)->hdr.loadflags & KASLR_FLAG, 0);
        guint64 delta = get(memory, entry.eip + WIDE_AT, 8) - (KERNEL_MAP + LINKED + 0x123);
        ck_assert_uint_eq(delta % ALIGNMENT, 0);
        ck_assert_uint_le(LINKED + delta + MEMORY_END, 1ull << 30);
        ck_assert_uint_eq(get(memory, entry.eip + NARROW_AT, 4), (guint32)(address_of(0x321) + delta));
        ck_assert_uint_eq(get(memory, entry.eip + INVERSE_AT, 4),
                          _i != 1 ? (guint32)(0x11000000 - delta) : 0x11000000);
        g_hash_table_add(virtuals, GSIZE_TO_POINTER(delta));
        g_hash_table_add(physicals, GSIZE_TO_POINTER(entry.eip));
    }
    ck_assert_uint_gt(g_hash_table_size(virtuals), 20);
    ck_assert_uint_gt(g_hash_table_size(physicals), 5);
}
END_TEST

START_TEST (the_command_line_says_where_it_may_lie) {
    static const struct {
        const char *append;
        gboolean is_moved, may_lie_elsewhere;
    } cases[] = {
        {"nokaslr", FALSE, FALSE}, {"quiet nokaslr", FALSE, FALSE},      {"nokaslrx xnokaslr", TRUE, TRUE},
        {"mem=48M", TRUE, FALSE},  {"quiet memmap=1M$32M", TRUE, FALSE}, {"mem", TRUE, TRUE}};
    Kernel kernel = new_kernel();
    kernel.append = cases[_i].append;
    gboolean elsewhere = FALSE;
    for (guint round = 0; round < 10; round++) {
        g_autoptr(GuestMemory) memory = NULL;
        VcpuEntry entry = load(&kernel, MEMORY, TRUE, &memory);
        ck_assert_uint_eq(!!(params_of(memory, &entry)->hdr.loadflags & KASLR_FLAG), cases[_i].is_moved);
        elsewhere = elsewhere || entry.eip != LINKED;
    }
    ck_assert_int_eq(elsewhere, cases[_i].may_lie_elsewhere);
}
END_TEST

START_TEST (a_kernel_without_a_table_is_not_moved) {
    Kernel kernel = new_kernel();
    kernel.append = "";
    kernel.table_words = 0;
    g_autoptr(GuestMemory) memory = NULL;
    VcpuEntry entry = load(&kernel, MEMORY, TRUE, &memory);
    ck_assert_uint_ne(entry.cr3, 0);
    ck_assert_uint_eq(params_of(memory, &entry)->hdr.loadflags & KASLR_FLAG, 0);
    ck_assert_uint_eq(get(memory, entry.eip + WIDE_AT, 8), KERNEL_MAP + LINKED + 0x123);
}
END_TEST

/* As it always was: its code at 1 MiB, entered by the 32-bit protocol. */
static void check_unpacks_itself(const Kernel *kernel, gboolean unpack)
{
    g_autoptr(GuestMemory) memory = NULL;
    VcpuEntry entry = load(kernel, MEMORY, unpack, &memory);
    ck_assert_uint_eq(entry.cr3, 0);
    ck_assert_uint_eq(entry.eip, 0x100000);
    ck_assert_uint_eq(get(memory, 0x100000, 1), 0x5a);
    ck_assert_uint_eq(get(memory, BOOT_GDT_ADDRESS + BOOT_CS, 8), BOOT_GDT[BOOT_CS / 8]);
    ck_assert_uint_eq(params_of(memory, &entry)->hdr.loadflags & KASLR_FLAG, 0);
}

START_TEST (it_unpacks_itself_if_it_is_to) {
    Kernel kernel = new_kernel();
    kernel.append = "";
    check_unpacks_itself(&kernel, FALSE);
}
END_TEST

enum { BROKEN_KERNELS = 33 };

START_TEST (what_is_not_as_known_unpacks_itself) {
    Kernel kernel = new_kernel();
    Elf *elf = &kernel.elf;
    struct setup_header *header = &kernel.header;
    kernel.append = "";
    switch (_i) {
    case 0:
        header->version = 0x020b;
        break;
    case 1:
        header->xloadflags = 0;
        break;
    case 2:
        header->kernel_alignment = 3 * 1024 * 1024;
        break;
    case 3:
        header->kernel_alignment = 4096;
        break;
    case 4:
        header->relocatable_kernel = 0;
        break;
    case 5:
        header->payload_length = 3;
        break;
    case 6:
        header->payload_length = 0xfffffff0;
        break;
    case 7:
        header->payload_offset = 0xfffffff0;
        break;
    case 8:
        kernel.magic = 'B';
        break;
    case 9:
        kernel.is_cut = TRUE;
        break;
    case 10:
        kernel.size_differs = 1;
        break;
    case 11:
        header->init_size = 4096;
        break; /* less than what it unpacks to */
    case 12:
        elf->header.e_ident[EI_CLASS] = ELFCLASS32;
        break;
    case 13:
        elf->header.e_machine = EM_AARCH64;
        break;
    case 14:
        elf->header.e_ident[0] = 0;
        break;
    case 15:
        elf->header.e_phnum = 0;
        break;
    case 16:
        elf->header.e_phnum = 0xffff;
        break;
    case 17:
        elf->header.e_phoff = G_MAXUINT64 - 8;
        break;
    case 18:
        elf->header.e_shnum = 0xffff, elf->header.e_shentsize = 64;
        break;
    case 19:
        elf->text.p_filesz = G_MAXUINT64 - TEXT_AT;
        break;
    case 20:
        elf->text.p_paddr = LINKED - 4096;
        break;
    case 21:
        elf->data.p_paddr = G_MAXUINT64 - 16;
        break;
    case 22:
        elf->data.p_memsz = G_MAXUINT64;
        break;
    case 23:
        elf->data.p_paddr = LINKED + 64;
        break; /* on the text */
    case 24:
        elf->text.p_paddr = LINKED + 0x1800;
        break; /* would be moved up */
    case 25:
        elf->header.e_entry = LINKED - 1;
        break;
    case 26:
        elf->header.e_entry = LINKED + MEMORY_END;
        break;
    case 27:
        elf->text.p_type = elf->data.p_type = PT_NOTE;
        break;
    case 28:
        elf->table[1] = 0x1000;
        break; /* not an address of the kernel's */
    case 29:
        elf->table[5] = address_of(DATA_PLACE + DATA_SIZE - 2);
        break; /* reaches out of it */
    case 30:
        elf->table[0] = address_of(WIDE_AT);
        break; /* does not begin with a zero */
    case 31:
        elf->table[3] = 0;
        break; /* four sets */
    case 32:
        kernel.table_words = 2;
        break;
    }
    check_unpacks_itself(&kernel, TRUE);
}
END_TEST

START_TEST (it_never_lies_on_the_initrd) {
    Kernel kernel = new_kernel();
    kernel.append = "";
    g_autofree char *path = write_kernel(&kernel);
    for (guint round = 0; round < 20; round++) {
        /* The only room is right below the initrd, which is the kernel file. */
        g_autoptr(GuestMemory) memory = guest_memory_new(LINKED + INIT_SIZE + 4 * MIB, NULL);
        Loader *loader = loader_new(path, path, "", NULL);
        VcpuEntry entry;
        ck_assert(loader_load(loader, memory, &entry, NULL));
        loader_free(loader);
        ck_assert_uint_ne(entry.cr3, 0);
        ck_assert_uint_le(entry.eip + INIT_SIZE, params_of(memory, &entry)->hdr.ramdisk_image);
    }
}
END_TEST

/* ---- the cache ---- */

static char *cache_path(void)
{
    return g_build_filename(folder, "cache", NULL);
}

/* A start with the cache; the first byte of the text, or 0 if it is to unpack itself. */
static guint start_with_cache(const Kernel *kernel)
{
    g_autofree char *path = g_build_filename(folder, "kernel", NULL), *cache = cache_path();
    g_autoptr(GuestMemory) memory = guest_memory_new(MEMORY, NULL);
    Loader *loader = loader_new(path, NULL, kernel->append, NULL);
    VcpuEntry entry;
    loader_set_cache(loader, cache);
    loader_begin(loader, memory);
    ck_assert(loader_load(loader, memory, &entry, NULL));
    loader_free(loader);
    return entry.cr3 ? (guint)get(memory, entry.eip, 1) : 0;
}

/* Entries of the cache; *path the only one's, for the caller to free. */
static guint count_entries(char **path)
{
    g_autofree char *cache = cache_path();
    g_autoptr(GDir) listing = g_dir_open(cache, 0, NULL);
    guint count = 0;
    for (const char *name; listing && (name = g_dir_read_name(listing)) != NULL;) {
        ck_assert(g_str_has_suffix(name, ".vmlinux"));
        if (path && count++ == 0) {
            *path = g_build_filename(cache, name, NULL);
        } else if (!path) {
            count++;
        }
    }
    return count;
}

/* What the entry has instead of the text's first byte. */
enum { OTHER_BYTE = 0x77 };

static char *make_entry_tell(void)
{
    char *entry, *bytes;
    gsize size;
    ck_assert_uint_eq(count_entries(&entry), 1);
    ck_assert(g_file_get_contents(entry, &bytes, &size, NULL));
    ck_assert_uint_eq(size, offsetof(Elf, table) + 6 * sizeof(guint32));
    bytes[TEXT_AT] = OTHER_BYTE;
    ck_assert(g_file_set_contents(entry, bytes, (gssize)size, NULL));
    ck_assert_int_eq(g_chmod(entry, 0600), 0);
    g_free(bytes);
    return entry;
}

START_TEST (a_kernel_is_unpacked_once) {
    Kernel kernel = new_kernel();
    g_free(write_kernel(&kernel));
    ck_assert_uint_eq(start_with_cache(&kernel), 0x90);
    g_free(make_entry_tell());
    ck_assert_uint_eq(start_with_cache(&kernel), OTHER_BYTE);
    /* Its addresses are random all the same. */
    kernel.append = "";
    ck_assert_uint_eq(start_with_cache(&kernel), OTHER_BYTE);
    /* Another file: another entry. */
    g_free(write_kernel(&kernel));
    ck_assert_uint_eq(start_with_cache(&kernel), 0x90);
    ck_assert_uint_eq(count_entries(NULL), 2);
}
END_TEST

START_TEST (an_entry_that_is_not_to_be_trusted_is_not_used) {
    Kernel kernel = new_kernel();
    g_free(write_kernel(&kernel));
    ck_assert_uint_eq(start_with_cache(&kernel), 0x90);
    g_autofree char *entry = make_entry_tell(), *cache = cache_path();
    g_autofree char *elsewhere = g_build_filename(folder, "elsewhere", NULL);
    switch (_i) {
    case 0:
        ck_assert_int_eq(g_chmod(cache, 0770), 0);
        break;
    case 1:
        ck_assert_int_eq(g_chmod(entry, 0602), 0);
        break;
    case 2:
        ck_assert_int_eq(g_rename(entry, elsewhere), 0);
        ck_assert_int_eq(symlink(elsewhere, entry), 0);
        break;
    case 3:
        ck_assert_int_eq(truncate(entry, INIT_SIZE + 1), 0);
        break;
    case 4:
        ck_assert_int_eq(g_unlink(entry), 0);
        ck_assert_int_eq(mkfifo(entry, 0600), 0);
        break;
    }
    ck_assert_uint_eq(start_with_cache(&kernel), 0x90);
}
END_TEST

START_TEST (a_folder_that_others_can_write_to_stays_empty) {
    Kernel kernel = new_kernel();
    g_autofree char *cache = cache_path();
    g_free(write_kernel(&kernel));
    ck_assert_int_eq(g_mkdir(cache, 0700), 0);
    ck_assert_int_eq(g_chmod(cache, 0777), 0);
    ck_assert_uint_eq(start_with_cache(&kernel), 0x90);
    ck_assert_uint_eq(count_entries(NULL), 0);
}
END_TEST

START_TEST (the_cache_does_not_grow_for_ever) {
    Kernel kernel = new_kernel();
    for (guint i = 0; i < KERNEL_CACHE_MOST + 3; i++) {
        g_free(write_kernel(&kernel));
        ck_assert_uint_eq(start_with_cache(&kernel), 0x90);
    }
    ck_assert_uint_eq(count_entries(NULL), KERNEL_CACHE_MOST);
}
END_TEST

/* ---- kinds of compression ---- */

static GByteArray *pack(const char *kind, const guint8 *data, gsize size)
{
    if (!strcmp(kind, "gzip")) {
        return gzip(data, size);
    }
    GByteArray *out = g_byte_array_new();
    g_byte_array_set_size(out, (guint)size + 4096);
    gsize made = 0;
#ifdef HAVE_LIBLZ4
    if (!strcmp(kind, "LZ4")) {
        put(out->data, 0x184c2102, 4);
        int count =
            LZ4_compress_default((const char *)data, (char *)out->data + 8, (int)size, (int)out->len - 8);
        put(out->data + 4, (guint64)count, 4);
        made = 8 + (gsize)count;
    }
#endif
#ifdef HAVE_LIBZSTD
    if (!strcmp(kind, "zstd")) {
        made = ZSTD_compress(out->data, out->len, data, size, 3);
    }
#endif
#ifdef HAVE_LIBLZMA
    if (!strcmp(kind, "xz")) {
        ck_assert_int_eq(
            lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, data, size, out->data, &made, out->len),
            LZMA_OK);
    }
#endif
    g_byte_array_set_size(out, (guint)made);
    return out;
}

static const char *const kinds[] = {
    "gzip",
#ifdef HAVE_LIBLZ4
    "LZ4",
#endif
#ifdef HAVE_LIBZSTD
    "zstd",
#endif
#ifdef HAVE_LIBLZMA
    "xz",
#endif
};

enum { PLAIN_SIZE = 70000 };

static void make_plain(guint8 *plain)
{
    for (guint i = 0; i < PLAIN_SIZE; i++) {
        plain[i] = (guint8)(i * i >> 7);
    }
}

START_TEST (each_kind_is_unpacked) {
    static guint8 plain[PLAIN_SIZE], room[PLAIN_SIZE + 16];
    make_plain(plain);
    g_autoptr(GByteArray) packed = pack(kinds[_i], plain, PLAIN_SIZE);
    const UnpackKind *kind = unpack_kind(packed->data);
    ck_assert_ptr_nonnull(kind);
    ck_assert_str_eq(kind->name, kinds[_i]);
    gsize size;
    ck_assert(kind->unpack(packed->data, packed->len, room, sizeof(room), &size, NULL));
    ck_assert_uint_eq(size, PLAIN_SIZE);
    ck_assert_mem_eq(room, plain, PLAIN_SIZE);
}
END_TEST

/* Cut anywhere, changed anywhere, or with too little room: an error or other bytes, and nothing outside. */
START_TEST (broken_streams_write_nothing_outside) {
    static guint8 plain[PLAIN_SIZE];
    make_plain(plain);
    g_autoptr(GByteArray) packed = pack(kinds[_i], plain, PLAIN_SIZE);
    const UnpackKind *kind = unpack_kind(packed->data);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    for (guint round = 0; round < 300; round++) {
        gsize length = round % 3 == 0 ? (gsize)g_rand_int_range(random, 0, (gint)packed->len) : packed->len;
        gsize room = round % 3 == 1 ? (gsize)g_rand_int_range(random, 0, PLAIN_SIZE) : PLAIN_SIZE;
        /* Of their exact sizes, so that a sanitizer sees a byte too much. */
        g_autofree guint8 *from = g_malloc(length + 1), *to = g_malloc(room + 1);
        memcpy(from + 1, packed->data, length);
        if (round % 3 == 2) {
            from[1 + g_rand_int_range(random, 4, (gint)length)] ^=
                (guint8)(1 << g_rand_int_range(random, 0, 8));
        }
        g_autoptr(GError) error = NULL;
        gsize size = 0;
        gboolean good = kind->unpack(from + 1, length, to + 1, room, &size, &error);
        ck_assert(good == (error == NULL));
        ck_assert_uint_le(size, room);
        ck_assert(round % 3 != 1 || !good);
    }
}
END_TEST

#ifdef HAVE_LIBLZ4
/* Blocks that are unpacked at once: the last shorter, or one in the middle, which no kernel has. */
START_TEST (lz4_blocks_are_put_together) {
    enum { BLOCK = 8 << 20, BLOCKS = 3, LAST = 12345 };
    gsize size = (BLOCKS - 1) * (gsize)BLOCK + LAST;
    g_autofree guint8 *plain = g_malloc(size), *room = g_malloc(size);
    for (gsize i = 0; i < size; i++) {
        plain[i] = (guint8)(i >> 12 ^ i * 7);
    }
    g_autoptr(GByteArray) packed =
        g_byte_array_append(g_byte_array_new(), (const guint8 *)"\x02\x21\x4c\x18", 4);
    for (gsize i = 0; i < BLOCKS; i++) {
        gsize part = i == BLOCKS - 1 ? LAST : _i == 1 && i == 1 ? BLOCK - 1 : BLOCK;
        g_autofree char *block = g_malloc((gsize)LZ4_compressBound(BLOCK));
        guint32 length = (guint32)LZ4_compress_default((const char *)plain + i * BLOCK, block, (int)part,
                                                       LZ4_compressBound(BLOCK));
        g_byte_array_append(packed, (const guint8 *)&length, 4);
        g_byte_array_append(packed, (const guint8 *)block, length);
    }
    gsize unpacked = 0;
    const UnpackKind *kind = unpack_kind(packed->data);
    ck_assert_int_eq(
        kind->unpack(packed->data, packed->len, room, _i == 2 ? size - 1 : size, &unpacked, NULL), _i == 0);
    if (_i == 0) {
        ck_assert_uint_eq(unpacked, size);
        ck_assert(memcmp(room, plain, size) == 0);
    }
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("vmlinux");
    TCase *tcase = tcase_create("vmlinux");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_kernel_is_put_where_it_runs, 0, 3);
    tcase_add_loop_test(tcase, its_addresses_are_moved_at_random, 0, 3);
    tcase_add_loop_test(tcase, the_command_line_says_where_it_may_lie, 0, 6);
    tcase_add_test(tcase, a_kernel_without_a_table_is_not_moved);
    tcase_add_test(tcase, it_unpacks_itself_if_it_is_to);
    tcase_add_loop_test(tcase, what_is_not_as_known_unpacks_itself, 0, BROKEN_KERNELS);
    tcase_add_test(tcase, it_never_lies_on_the_initrd);
    tcase_add_test(tcase, a_kernel_is_unpacked_once);
    tcase_add_loop_test(tcase, an_entry_that_is_not_to_be_trusted_is_not_used, 0, 5);
    tcase_add_test(tcase, a_folder_that_others_can_write_to_stays_empty);
    tcase_add_test(tcase, the_cache_does_not_grow_for_ever);
#ifdef HAVE_LIBLZ4
    tcase_add_loop_test(tcase, lz4_blocks_are_put_together, 0, 3);
#endif
    tcase_add_loop_test(tcase, each_kind_is_unpacked, 0, G_N_ELEMENTS(kinds));
    tcase_add_loop_test(tcase, broken_streams_write_nothing_outside, 0, G_N_ELEMENTS(kinds));
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
