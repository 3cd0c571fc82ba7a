// SPDX-License-Identifier: GPL-2.0-or-later
#include <asm/bootparam.h>
#include <check.h>
#include <elf.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/boot/loader-private.h"
#include "tests/check-run.h"

#define MIB        (1ull << 20)
#define CODE_SIZE  4096u
#define CODE_BYTE  0x5a
#define SETUP_SIZE 1024u /* one setup sector after the boot sector */

static char *folder;

static void set_up(void)
{
    folder = g_dir_make_tmp("loader-XXXXXX", NULL);
}

static void tear_down(void)
{
    GDir *dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_free(folder);
}

static char *write_file(const char *name, const void *data, gsize size)
{
    char *path = g_build_filename(folder, name, NULL);
    ck_assert(g_file_set_contents(path, data, (gssize)size, NULL));
    return path;
}

/* A bzImage of one setup sector and CODE_SIZE bytes of code; the caller changes what it wants broken. */
static GByteArray *new_bzimage(struct setup_header **header)
{
    GByteArray *image = g_byte_array_new();
    g_byte_array_set_size(image, SETUP_SIZE + CODE_SIZE);
    memset(image->data, 0, SETUP_SIZE);
    memset(image->data + SETUP_SIZE, CODE_BYTE, CODE_SIZE);
    *header = (struct setup_header *)(image->data + 0x1f1);
    (*header)->setup_sects = 1;
    (*header)->boot_flag = 0xaa55;
    (*header)->jump = 0x66eb; /* the header ends at 0x202 + 0x66 */
    (*header)->header = 0x53726448;
    (*header)->version = 0x020f;
    (*header)->loadflags = LOADED_HIGH;
    (*header)->initrd_addr_max = 0x7fffffff;
    (*header)->cmdline_size = 64;
    (*header)->pref_address = 0x100000;
    (*header)->init_size = 0x10000;
    return image;
}

static gboolean load(GByteArray *image, const char *append, guint64 memory_size, GuestMemory **memory,
                     VcpuEntry *entry, GError **error)
{
    g_autofree char *kernel = write_file("kernel", image->data, image->len);
    g_autofree char *initrd = write_file("initrd", "INITRD", 6);
    *memory = guest_memory_new(memory_size, NULL);
    Loader *loader = loader_new(kernel, initrd, append, error);
    gboolean good = loader && loader_load(loader, *memory, entry, error);
    loader_free(loader);
    return good;
}

START_TEST (bzimage_is_loaded_as_the_protocol_says) {
    struct setup_header *header;
    g_autoptr(GByteArray) image = new_bzimage(&header);
    g_autoptr(GuestMemory) memory = NULL;
    VcpuEntry entry;
    ck_assert(load(image, "root=x", 16 * MIB, &memory, &entry, NULL));
    ck_assert_uint_eq(entry.eip, 0x100000);
    const struct boot_params *params = guest_memory_range(memory, entry.esi, sizeof(*params));
    ck_assert_ptr_nonnull(params);
    ck_assert_uint_eq(params->hdr.type_of_loader, 0xff);
    ck_assert_str_eq(guest_memory_range(memory, params->hdr.cmd_line_ptr, 7), "root=x");
    ck_assert_uint_eq(params->hdr.ramdisk_size, 6);
    ck_assert_uint_eq(params->hdr.ramdisk_image % 4096, 0);
    ck_assert_uint_ge(params->hdr.ramdisk_image, 0x110000);
    ck_assert_mem_eq(guest_memory_range(memory, params->hdr.ramdisk_image, 6), "INITRD", 6);
    const guint8 *code = guest_memory_range(memory, 0x100000, CODE_SIZE);
    ck_assert_uint_eq(code[0], CODE_BYTE);
    ck_assert_uint_eq(code[CODE_SIZE - 1], CODE_BYTE);
    guint64 ram = 0;
    for (guint i = 0; i < params->e820_entries; i++) {
        ram += params->e820_table[i].type == 1 ? params->e820_table[i].size : 0;
    }
    ck_assert_uint_eq(ram, 15 * MIB + 0x9fc00);
    ck_assert_uint_ne(params->acpi_rsdp_addr, 0);
}
END_TEST

START_TEST (bytes_after_a_short_header_are_not_taken) {
    struct setup_header *header;
    g_autoptr(GByteArray) image = new_bzimage(&header);
    header->jump = 0x58eb; /* ends at 0x25a: kernel_info_offset is code */
    header->kernel_info_offset = 0xdeadbeef;
    g_autoptr(GuestMemory) memory = NULL;
    VcpuEntry entry;
    ck_assert(load(image, "", 16 * MIB, &memory, &entry, NULL));
    const struct boot_params *params = guest_memory_range(memory, entry.esi, sizeof(*params));
    ck_assert_uint_eq(params->hdr.kernel_info_offset, 0);
}
END_TEST

static void expect_failure(GByteArray *image, const char *append, guint64 memory_size, const char *words)
{
    g_autoptr(GuestMemory) memory = NULL;
    g_autoptr(GError) error = NULL;
    VcpuEntry entry;
    ck_assert(!load(image, append, memory_size, &memory, &entry, &error));
    ck_assert_msg(strstr(error->message, words) != NULL, "'%s' lacks '%s'", error->message, words);
    ck_assert_ptr_null(strchr(error->message, '\n'));
}

START_TEST (bad_bzimages_are_refused) {
    static const struct {
        guint what;
        const char *words;
    } cases[] = {
        {0, "neither a bzImage nor an ELF"},
        {1, "neither a bzImage nor an ELF"},
        {2, "too old"},
        {3, "too old"},
        {4, "cut short"},
        {5, "to unpack itself"},
        {6, "command line"},
        {7, "too short"},
        {8, "does not fit beside"},
    };
    struct setup_header *header;
    g_autoptr(GByteArray) image = new_bzimage(&header);
    const char *append = "";
    switch (_i) {
    case 0:
        header->header = 0;
        break;
    case 1:
        header->boot_flag = 0;
        break;
    case 2:
        header->version = 0x0204;
        break;
    case 3:
        header->loadflags = 0;
        break;
    case 4:
        header->setup_sects = 64;
        break;
    case 5:
        header->init_size = 0xffffffff;
        break;
    case 6:
        append = "0123456789012345678901234567890123456789012345678901234567890123456789";
        break;
    case 7:
        g_byte_array_set_size(image, 0x200);
        break;
    case 8:
        header->initrd_addr_max = 0x100000;
        break;
    }
    expect_failure(image, append, 16 * MIB, cases[_i].words);
}
END_TEST

START_TEST (text_directories_and_nothing_are_no_kernels) {
    g_autofree char *text = write_file("text", "#!/bin/sh\necho hello\n", 21);
    g_autofree char *empty = write_file("empty", "", 0);
    static const char *const words[] = {"neither", "is empty", "not a regular file", "No such file",
                                        "not a regular file"};
    const char *const paths[] = {text, empty, folder, "/does/not/exist", "/dev/null"};
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_ptr_null(loader_new(paths[i], NULL, NULL, &error));
        ck_assert_msg(strstr(error->message, words[i]) != NULL, "%s", error->message);
        ck_assert_ptr_nonnull(strstr(error->message, paths[i]));
    }
}
END_TEST

/* ---- ELF ---- */

typedef struct __attribute__((packed)) {
    Elf64_Ehdr header;
    Elf64_Phdr load, note;
    Elf64_Nhdr note_header;
    char note_name[4];
    guint32 entry;
    guint8 code[64];
} ElfImage;

static ElfImage new_elf(void)
{
    ElfImage image = {
        .header = {.e_ident = ELFMAG,
                   .e_machine = EM_X86_64,
                   .e_phoff = offsetof(ElfImage, load),
                   .e_phnum = 2,
                   .e_phentsize = sizeof(Elf64_Phdr)},
        .load = {.p_type = PT_LOAD,
                 .p_offset = offsetof(ElfImage, code),
                 .p_paddr = 0x200000,
                 .p_filesz = 64,
                 .p_memsz = 128},
        .note = {.p_type = PT_NOTE,
                 .p_offset = offsetof(ElfImage, note_header),
                 .p_filesz = 20,
                 .p_align = 4},
        .note_header = {.n_namesz = 4, .n_descsz = 4, .n_type = 18},
        .note_name = "Xen",
        .entry = 0x200010,
    };
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    memset(image.code, CODE_BYTE, sizeof(image.code));
    return image;
}

static GByteArray *elf_bytes(const ElfImage *image)
{
    return g_byte_array_append(g_byte_array_new(), (const guint8 *)image, sizeof(*image));
}

START_TEST (elf_is_loaded_with_its_start_info) {
    ElfImage elf = new_elf();
    g_autoptr(GByteArray) image = elf_bytes(&elf);
    g_autoptr(GuestMemory) memory = NULL;
    VcpuEntry entry;
    ck_assert(load(image, "quiet", 16 * MIB, &memory, &entry, NULL));
    ck_assert_uint_eq(entry.eip, 0x200010);
    const guint32 *info = guest_memory_range(memory, entry.ebx, 56);
    ck_assert_uint_eq(info[0], 0x336ec578);
    ck_assert_uint_eq(info[3], 1); /* modules */
    ck_assert_str_eq(guest_memory_range(memory, info[6], 6), "quiet");
    const guint8 *code = guest_memory_range(memory, 0x200000, 128);
    ck_assert_uint_eq(code[63], CODE_BYTE);
    ck_assert_uint_eq(code[64], 0);
}
END_TEST

START_TEST (bad_elf_files_are_refused) {
    static const char *const words[] = {
        "PVH entry",     "another processor", "program headers", "program headers",
        "point outside", "point outside",     "does not fit",    "below 1 MiB",
        "PVH entry",     "PVH entry",         "does not fit",
    };
    ElfImage elf = new_elf();
    switch (_i) {
    case 0:
        elf.note_header.n_type = 17;
        break;
    case 1:
        elf.header.e_machine = EM_AARCH64;
        break;
    case 2:
        elf.header.e_phnum = 0xffff;
        break;
    case 3:
        elf.header.e_phoff = G_MAXUINT64 - 8;
        break;
    case 4:
        elf.load.p_filesz = G_MAXUINT64;
        break;
    case 5:
        elf.load.p_memsz = 1; /* less than in the file */
        break;
    case 6:
        elf.load.p_paddr = 0xffffffffffffff00ull;
        break;
    case 7:
        elf.load.p_paddr = 0x7000;
        break;
    case 8:
        elf.note_header.n_namesz = 0xfffffff0;
        break;
    case 9:
        elf.note.p_filesz = 6;
        break;
    case 10:
        elf.load.p_memsz = G_MAXUINT64 / 2;
        break;
    }
    g_autoptr(GByteArray) image = elf_bytes(&elf);
    expect_failure(image, "", 16 * MIB, words[_i]);
}
END_TEST

START_TEST (truncated_elf_is_refused) {
    ElfImage elf = new_elf();
    for (guint length = 4; length < sizeof(elf); length += 9) {
        g_autoptr(GByteArray) image = elf_bytes(&elf);
        g_byte_array_set_size(image, length);
        g_autoptr(GuestMemory) memory = NULL;
        g_autoptr(GError) error = NULL;
        VcpuEntry entry;
        ck_assert(!load(image, "", 16 * MIB, &memory, &entry, &error));
        ck_assert_ptr_nonnull(error);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loader");
    TCase *tcase = tcase_create("loader");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, bzimage_is_loaded_as_the_protocol_says);
    tcase_add_test(tcase, bytes_after_a_short_header_are_not_taken);
    tcase_add_loop_test(tcase, bad_bzimages_are_refused, 0, 9);
    tcase_add_test(tcase, text_directories_and_nothing_are_no_kernels);
    tcase_add_test(tcase, elf_is_loaded_with_its_start_info);
    tcase_add_loop_test(tcase, bad_elf_files_are_refused, 0, 11);
    tcase_add_test(tcase, truncated_elf_is_refused);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
