// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmlinux: the kernel that a bzImage carries, unpacked and put where it runs by us, with the same outcome as
 * if it had done so itself (Linux, arch/x86/boot/compressed/misc.c): its ELF segments in place, all addresses
 * in it moved to a random place if it can be moved, entered by the 64-bit boot protocol.
 *
 * What is in here of Linux' own (the table of relocations) may change in a version to come: whatever is not
 * as it is known here leaves the kernel to unpack itself, which always works.
 */
#include "host-vmm/boot/loader-private.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "host-vmm/boot/kernel-cache.h"
#include "host-vmm/boot/unpack.h"

#define OLDEST_VERSION  0x020c                /* 2.12, Linux 3.8: xloadflags */
#define MAX_PAYLOAD     (256u << 20)          /* bytes */
#define LEAST_ALIGNMENT (2u << 20)            /* a page of the kernel's first page tables */
#define KERNEL_MAP      0xffffffff80000000ull /* __START_KERNEL_map */
#define KERNEL_MAP_SIZE (1ull << 30)          /* KERNEL_IMAGE_SIZE of a kernel that can be moved */
/* Linux' first segment comes this far in its file (the linker's biggest page): unpacked so much further down,
 * most of it is where it runs at once. */
#define HEAD_START         LEAST_ALIGNMENT
#define MAX_SEGMENTS       64
#define MAX_RELOCATION_SET 3

typedef struct Segment {
    guint64 offset, file_size; /* in the file, bytes */
    guint64 place;             /* offset in memory, from where it runs */
    guint64 memory_size;
} Segment;

typedef struct Image {
    guint8 *bytes; /* where it runs: guest memory */
    guint8 *file;  /* where it is unpacked to: there, or `ahead` bytes before */
    guint64 ahead;
    gsize size;                     /* unpacked, bytes */
    guint64 room;                   /* init_size: bytes of guest memory that are its own, from `bytes` on */
    guint64 linked;                 /* physical address that it was linked for */
    guint64 elf_size;               /* the ELF file's part of it: relocations follow */
    guint64 entry;                  /* offset */
    guint64 loaded_end, memory_end; /* offsets of the end of what is loaded, and of what it has in memory */
    Segment segments[MAX_SEGMENTS];
    guint count;
} Image;

static gboolean fail(GError **error, const char *why)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, why);
    return FALSE;
}

static gboolean check_header(const struct setup_header *header, GError **error)
{
    if (header->version < OLDEST_VERSION || !(header->xloadflags & XLF_KERNEL_64)) {
        return fail(error, "it has no 64-bit entry");
    }
    guint32 alignment = header->kernel_alignment;
    if (!header->relocatable_kernel || alignment < LEAST_ALIGNMENT || (alignment & (alignment - 1)) != 0 ||
        header->pref_address < BOOT_HIGH_RAM || header->pref_address % alignment != 0 ||
        header->pref_address + header->init_size >= KERNEL_MAP_SIZE) {
        return fail(error, "it wants to lie at an unusual place");
    }
    return TRUE;
}

static gboolean unpack_bytes(const UnpackKind *kind, const guint8 *packed, gsize size, Image *image,
                             GError **error)
{
    guint32 told; /* gzip ends with its size unpacked itself */
    memcpy(&told, packed + size - sizeof(told), sizeof(told));
    if (!kind->unpack(packed, kind->size_appended ? size - sizeof(told) : size, image->file, image->room,
                      &image->size, error)) {
        return FALSE;
    }
    return image->size == GUINT32_FROM_LE(told) || fail(error, "it has another size unpacked than it says");
}

/* Reads what is packed and unpacks it to image->file. */
static gboolean unpack(const BootFile *kernel, const struct setup_header *header, Image *image,
                       GError **error)
{
    guint64 code = ((header->setup_sects ? header->setup_sects : 4u) + 1u) * 512ull;
    guint64 offset = code + header->payload_offset, size = header->payload_length;
    if (size < UNPACK_MAGIC_SIZE + 4 || size > MAX_PAYLOAD || offset > kernel->size ||
        size > kernel->size - offset) {
        return fail(error, "it does not say where its compressed part is");
    }
    guint8 magic[UNPACK_MAGIC_SIZE];
    if (!boot_file_read(kernel, offset, magic, sizeof(magic), error)) {
        return FALSE;
    }
    const UnpackKind *kind = unpack_kind(magic);
    if (!kind) {
        return fail(error, "it is compressed in a way that is not known here");
    }
    /* Not malloc()'s: a block so big would have it keep more for itself ever after. */
    guint8 *packed = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (packed == MAP_FAILED) {
        return fail(error, "there is no memory for its compressed part");
    }
    madvise(packed, size, MADV_HUGEPAGE); /* thousands of page faults less */
    gboolean good =
        boot_file_read(kernel, offset, packed, size, error) && unpack_bytes(kind, packed, size, image, error);
    munmap(packed, size);
    return good;
}

static gboolean take_segment(Image *image, const Elf64_Phdr *header, GError **error)
{
    Segment segment = {.offset = header->p_offset,
                       .file_size = header->p_filesz,
                       .place = header->p_paddr - image->linked,
                       .memory_size = header->p_memsz};
    const Segment *before = image->count > 0 ? &image->segments[image->count - 1] : NULL;
    if (segment.offset > image->size || segment.file_size > image->size - segment.offset ||
        header->p_paddr < image->linked || segment.place > image->room ||
        segment.memory_size > image->room - segment.place || segment.file_size > segment.memory_size) {
        return fail(error, "its ELF segments point outside it");
    }
    /* They are moved down one after the other, within the same memory. */
    if (segment.place > segment.offset || (before && (segment.offset < before->offset + before->file_size ||
                                                      segment.place < before->place + before->memory_size))) {
        return fail(error, "its ELF segments are in an unusual order");
    }
    image->segments[image->count++] = segment;
    image->loaded_end = segment.place + segment.file_size;
    image->memory_end = segment.place + segment.memory_size;
    image->elf_size = MAX(image->elf_size, segment.offset + segment.file_size);
    return TRUE;
}

static gboolean parse_elf(Image *image, GError **error)
{
    Elf64_Ehdr header;
    if (image->size < sizeof(header)) {
        return fail(error, "what it carries is not an ELF file");
    }
    memcpy(&header, image->file, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
        return fail(error, "what it carries is not an ELF file for x86-64");
    }
    guint64 sections = (guint64)header.e_shnum * header.e_shentsize;
    guint64 programs = (guint64)header.e_phnum * sizeof(Elf64_Phdr);
    if (header.e_phnum == 0 || header.e_phnum > MAX_SEGMENTS || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phoff > image->size || programs > image->size - header.e_phoff ||
        header.e_shoff > image->size || sections > image->size - header.e_shoff) {
        return fail(error, "its ELF headers are damaged");
    }
    image->elf_size = MAX(header.e_phoff + programs, header.e_shoff + sections);
    for (guint i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, image->file + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type == PT_LOAD && segment.p_memsz > 0 && !take_segment(image, &segment, error)) {
            return FALSE;
        }
    }
    image->entry = header.e_entry - image->linked;
    if (image->count == 0 || header.e_entry < image->linked || image->entry >= image->loaded_end) {
        return fail(error, "its ELF entry is not in it");
    }
    return TRUE;
}

/* The table's sets of 32-bit words, each after a zero: addresses of 64-bit values to be moved, of 32-bit ones
 * to be moved the other way (Linux before 6.15, for data of each CPU), and of 32-bit ones to be moved. */
typedef struct Relocations {
    const guint8 *words;
    gsize count;                          /* of words */
    gsize starts[MAX_RELOCATION_SET + 1]; /* the index of each set's zero; then the table's end */
    guint sets;
} Relocations;

/* Offset in the image of a word's value of `size` bytes; FALSE if it is not in it. */
static gboolean relocation_place(const Image *image, const Relocations *table, gsize index, guint size,
                                 guint64 *offset)
{
    gint32 word;
    memcpy(&word, table->words + index * sizeof(word), sizeof(word));
    *offset = (guint64)(gint64)word - KERNEL_MAP - image->linked; /* wraps if it is below */
    return *offset < image->loaded_end && image->loaded_end - *offset >= size;
}

/* Whether there is a table and all of it is as it is known here. */
static gboolean find_relocations(const Image *image, Relocations *table)
{
    *table = (Relocations){.words = image->file + image->elf_size,
                           .count = (image->size - image->elf_size) / sizeof(guint32)};
    if ((image->size - image->elf_size) % sizeof(guint32) != 0) {
        return FALSE;
    }
    for (gsize i = 0; i < table->count; i++) {
        guint32 word;
        guint64 offset;
        memcpy(&word, table->words + i * sizeof(word), sizeof(word));
        if (word == 0) {
            if (table->sets == MAX_RELOCATION_SET) {
                return FALSE;
            }
            table->starts[table->sets++] = i;
        } else if (table->sets == 0 ||
                   !relocation_place(image, table, i, table->sets == 1 ? 8 : 4, &offset)) {
            return FALSE;
        }
    }
    table->starts[table->sets] = table->count;
    return table->sets >= 2;
}

static void relocate(const Image *image, const Relocations *table, guint64 delta)
{
    for (guint set = 0; set < table->sets; set++) {
        gboolean is_inverse = set == 1 && table->sets == MAX_RELOCATION_SET;
        for (gsize i = table->starts[set] + 1; i < table->starts[set + 1]; i++) {
            guint64 offset, wide;
            guint32 narrow;
            relocation_place(image, table, i, set == 0 ? 8 : 4, &offset);
            if (set == 0) {
                memcpy(&wide, image->bytes + offset, sizeof(wide));
                wide += delta;
                memcpy(image->bytes + offset, &wide, sizeof(wide));
            } else {
                memcpy(&narrow, image->bytes + offset, sizeof(narrow));
                narrow += is_inverse ? -(guint32)delta : (guint32)delta;
                memcpy(image->bytes + offset, &narrow, sizeof(narrow));
            }
        }
    }
}

/* A random number below `limit`, which is small. */
static guint64 random_below(guint64 limit)
{
    guint64 number;
    return limit > 1 && getrandom(&number, sizeof(number), 0) == sizeof(number) ? number % limit : 0;
}

/* Whether the command line has the word, or one that begins with it if it ends in "=". */
static gboolean has_word(const char *line, const char *word)
{
    gsize length = strlen(word);
    for (const char *at = line; (at = strstr(at, word)) != NULL; at += length) {
        gboolean begins = at == line || g_ascii_isspace(at[-1]);
        if (begins && (word[length - 1] == '=' || at[length] == '\0' || g_ascii_isspace(at[length]))) {
            return TRUE;
        }
    }
    return FALSE;
}

struct VmlinuxJob {
    const BootFile *kernel, *unpacked;
    const char *keep_in; /* NULL: not kept */
    struct setup_header header;
    Image image;
    guint64 address; /* guest-physical, of the image */
    gboolean randomize;
    GThread *thread; /* owns image and error until it is joined */
    GError *error;
};

static gboolean read_unpacked(const BootFile *unpacked, Image *image, GError **error)
{
    if (unpacked->size > image->room) {
        return fail(error, "it is too big");
    }
    image->size = unpacked->size;
    return boot_file_read(unpacked, 0, image->file, image->size, error);
}

static gpointer unpack_thread(gpointer data)
{
    VmlinuxJob *job = data;
    g_autoptr(GError) problem = NULL;
    if (job->unpacked->path) {
        if (read_unpacked(job->unpacked, &job->image, &problem)) {
            return NULL;
        }
        g_info("%s, of the cache, is of no use: %s", job->unpacked->path, problem->message);
        g_clear_error(&problem);
    }
    if (unpack(job->kernel, &job->header, &job->image, &job->error) && job->keep_in &&
        !kernel_cache_store(job->keep_in, job->kernel->fd, job->image.file, job->image.size, &problem)) {
        g_info("%s", problem->message);
    }
    return NULL;
}

VmlinuxJob *vmlinux_begin(const Loader *loader, const struct setup_header *header, const GuestMemory *memory,
                          guint64 limit, gboolean keep)
{
    VmlinuxJob *job = g_new0(VmlinuxJob, 1);
    job->kernel = &loader->kernel;
    job->unpacked = &loader->unpacked;
    job->keep_in = keep && !loader->unpacked.path ? loader->cache : NULL;
    job->header = *header;
    if (!check_header(header, &job->error)) {
        return job;
    }
    guint64 least = header->pref_address, room = header->init_size;
    job->randomize = !has_word(loader->append, "nokaslr");
    job->address = least;
    /* What the guest is told to keep from is not known here: it lies where it would without randomness. */
    if (job->randomize && !has_word(loader->append, "mem=") && !has_word(loader->append, "memmap=") &&
        limit >= least + room) {
        job->address +=
            header->kernel_alignment * random_below((limit - least - room) / header->kernel_alignment + 1);
    }
    guint64 ahead = least >= BOOT_HIGH_RAM + HEAD_START ? HEAD_START : 0;
    guint8 *file = guest_memory_range(memory, job->address - ahead, room + ahead);
    if (!file) {
        fail(&job->error, "it does not fit into guest memory");
        return job;
    }
    job->image = (Image){.bytes = file + ahead, .file = file, .ahead = ahead, .room = room, .linked = least};
    job->thread = g_thread_new("unpack", unpack_thread, job);
    return job;
}

static void move_segments(Image *image)
{
    for (guint i = 0; i < image->count; i++) {
        if (image->segments[i].place + image->ahead > image->segments[i].offset) {
            /* It would have to go up. */
            memmove(image->bytes, image->file, image->size);
            image->file = image->bytes;
            break;
        }
    }
    for (guint i = 0; i < image->count; i++) {
        guint8 *to = image->bytes + image->segments[i].place;
        const guint8 *from = image->file + image->segments[i].offset;
        if (to != from) {
            memmove(to, from, image->segments[i].file_size);
        }
    }
}

/* What is unpacked, to its place; TRUE: *randomized tells of its addresses. */
static gboolean put_in_place(VmlinuxJob *job, gboolean *randomized, GError **error)
{
    Image *image = &job->image;
    if (!parse_elf(image, error)) {
        return FALSE;
    }
    move_segments(image);
    /* The table stays where it is, behind the segments, which went down. A kernel without one cannot be
     * moved. */
    gboolean has_table = image->size > image->elf_size;
    Relocations table;
    if (has_table && !find_relocations(image, &table)) {
        return fail(error, "its relocations are of a kind that is not known here");
    }
    guint64 end = image->linked + MAX(image->memory_end, image->size);
    *randomized = job->randomize && has_table && end <= KERNEL_MAP_SIZE;
    if (*randomized) {
        guint64 alignment = job->header.kernel_alignment;
        relocate(image, &table, alignment * random_below((KERNEL_MAP_SIZE - end) / alignment + 1));
    }
    return TRUE;
}

gboolean vmlinux_finish(VmlinuxJob *job, VmlinuxPlace *place, GError **error)
{
    if (job->thread) {
        g_thread_join(job->thread);
    }
    gboolean good = !job->error && put_in_place(job, &place->randomized, &job->error);
    if (good) {
        place->entry = job->address + job->image.entry;
    } else {
        g_propagate_error(error, job->error);
    }
    g_free(job);
    return good;
}
