// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/memory/memory-backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define SMALL_PAGE        4096ull
#define DEFAULT_HUGE_PAGE (2ull << 20)
#define MAX_HOST_NODES    128
#define MAX_PREALLOC      256 /* threads */
#define MEMFD_HUGE_SHIFT  26  /* memfd_create(2): log2 of the page size goes there */
#define BITS_OF_WORD      (8 * sizeof(unsigned long))

typedef enum { KIND_RAM, KIND_MEMFD, KIND_FILE } Kind;

struct MemoryBackend {
    Object object;
    guint references;
    Kind kind;
    guint64 size, page_size;
    char *path; /* KIND_FILE: the file, or a folder in which a nameless one is made */
    int fd;     /* -1: anonymous memory, or not mapped yet */
    gboolean share, merge, dump, reserve, prealloc;
    guint64 prealloc_threads;
    int policy; /* MPOL_* */
    unsigned long host_nodes[MAX_HOST_NODES / BITS_OF_WORD];
    guint8 *mapped; /* NULL: not yet */
};

static const char *const policy_names[] = {
    [MPOL_DEFAULT] = "default",
    [MPOL_PREFERRED] = "preferred",
    [MPOL_BIND] = "bind",
    [MPOL_INTERLEAVE] = "interleave",
};

/* ---- options ---- */

static void destroy(Object *object)
{
    memory_backend_unref((MemoryBackend *)object);
}

static MemoryBackend *new_backend(Kind kind)
{
    MemoryBackend *backend = g_new0(MemoryBackend, 1);
    backend->object.destroy = destroy;
    backend->references = 1;
    backend->kind = kind;
    backend->page_size = SMALL_PAGE;
    backend->fd = -1;
    backend->prealloc_threads = 1;
    return backend;
}

MemoryBackend *memory_backend_ref(MemoryBackend *backend)
{
    backend->references++;
    return backend;
}

void memory_backend_unref(MemoryBackend *backend)
{
    if (!backend || --backend->references > 0) {
        return;
    }
    if (backend->fd >= 0) {
        close(backend->fd);
    }
    g_free(backend->path);
    g_free(backend);
}

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, text);
    return FALSE;
}

/* "3" or "0-2", once or often. */
static gboolean take_host_nodes(MemoryBackend *backend, OptSet *options, GError **error)
{
    g_auto(GStrv) ranges = optset_list(options, "host-nodes");
    for (guint i = 0; ranges && ranges[i]; i++) {
        guint64 first, last;
        g_auto(GStrv) ends = g_strsplit(ranges[i], "-", 2);
        if (!ends[0] || !g_ascii_string_to_unsigned(ends[0], 10, 0, MAX_HOST_NODES - 1, &first, NULL)) {
            return refuse(error, "'host-nodes=%s' is not a node or a range of nodes below %d", ranges[i],
                          MAX_HOST_NODES);
        }
        last = first;
        if (ends[1] && (!g_ascii_string_to_unsigned(ends[1], 10, first, MAX_HOST_NODES - 1, &last, NULL))) {
            return refuse(error, "'host-nodes=%s' is not a node or a range of nodes below %d", ranges[i],
                          MAX_HOST_NODES);
        }
        for (guint64 node = first; node <= last; node++) {
            backend->host_nodes[node / BITS_OF_WORD] |= 1ul << node % BITS_OF_WORD;
        }
    }
    const char *policy = optset_string(options, "policy");
    for (guint i = 0; policy && i < G_N_ELEMENTS(policy_names); i++) {
        if (!strcmp(policy, policy_names[i])) {
            backend->policy = (int)i;
            policy = NULL;
        }
    }
    if (policy) {
        return refuse(error, "'policy=%s' is none of default, preferred, bind, interleave", policy);
    }
    gboolean any = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(backend->host_nodes); i++) {
        any |= backend->host_nodes[i] != 0;
    }
    if (any != (backend->policy != MPOL_DEFAULT)) {
        return refuse(error, any ? "'host-nodes' needs a 'policy' other than default"
                                 : "a 'policy' other than default needs 'host-nodes'");
    }
    return TRUE;
}

static gboolean take_common(MemoryBackend *backend, OptSet *options, GError **error)
{
    backend->merge = backend->dump = backend->reserve = TRUE;
    optset_ignore(options,
                  "x-use-canonical-path-for-ramblock-id"); /* names in a migration stream of QEMU's */
    if (!optset_need_string(options, "size", error) ||
        !optset_size(options, "size", 1, &backend->size, error) ||
        !optset_bool(options, "merge", &backend->merge, error) ||
        !optset_bool(options, "dump", &backend->dump, error) ||
        !optset_bool(options, "share", &backend->share, error) ||
        !optset_bool(options, "reserve", &backend->reserve, error) ||
        !optset_bool(options, "prealloc", &backend->prealloc, error) ||
        !optset_uint(options, "prealloc-threads", 1, MAX_PREALLOC, &backend->prealloc_threads, error) ||
        !take_host_nodes(backend, options, error)) {
        return FALSE;
    }
    if (backend->size == 0) {
        return refuse(error, "'size' must not be 0");
    }
    if (backend->prealloc && !backend->reserve) {
        return refuse(error, "'prealloc=on' and 'reserve=off' contradict each other");
    }
    return TRUE;
}

static gboolean check_page_size(const MemoryBackend *backend, GError **error)
{
    return backend->size % backend->page_size == 0 ||
           refuse(error, "'size' must be a multiple of its pages' %" G_GUINT64_FORMAT " KiB",
                  backend->page_size >> 10);
}

static Object *finish(MemoryBackend *backend, gboolean good)
{
    if (!good) {
        memory_backend_unref(backend);
        return NULL;
    }
    return &backend->object;
}

static Object *create_ram(OptSet *options, GError **error)
{
    MemoryBackend *backend = new_backend(KIND_RAM);
    return finish(backend, take_common(backend, options, error) && check_page_size(backend, error));
}

static gboolean take_huge_pages(MemoryBackend *backend, OptSet *options, GError **error)
{
    gboolean huge = FALSE, seal = TRUE;
    guint64 size = 0;
    if (!optset_bool(options, "hugetlb", &huge, error) ||
        !optset_size(options, "hugetlbsize", 1, &size, error) ||
        !optset_bool(options, "seal", &seal, error)) {
        return FALSE;
    }
    if (!huge) {
        return !size || refuse(error, "'hugetlbsize' needs 'hugetlb=on'");
    }
    backend->page_size = size ? size : DEFAULT_HUGE_PAGE;
    g_autofree char *folder = g_strdup_printf("/sys/kernel/mm/hugepages/hugepages-%" G_GUINT64_FORMAT "kB",
                                              backend->page_size >> 10);
    if (backend->page_size & (backend->page_size - 1) || backend->page_size <= SMALL_PAGE ||
        !g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        return refuse(error, "this host has no huge pages of %" G_GUINT64_FORMAT " KiB",
                      backend->page_size >> 10);
    }
    return TRUE;
}

static Object *create_memfd(OptSet *options, GError **error)
{
    MemoryBackend *backend = new_backend(KIND_MEMFD);
    backend->share = TRUE;
    return finish(backend, take_common(backend, options, error) && take_huge_pages(backend, options, error) &&
                               check_page_size(backend, error));
}

/* Opens the file, makes it if it is not there. Its file system says how big its pages are. */
static gboolean open_file(MemoryBackend *backend, GError **error)
{
    struct stat status;
    gboolean is_folder = stat(backend->path, &status) == 0 && S_ISDIR(status.st_mode);
    if (is_folder) {
        g_autofree char *template = g_build_filename(backend->path, "guest-ram.XXXXXX", NULL);
        backend->fd = g_mkstemp_full(template, O_RDWR | O_CLOEXEC, 0600);
        if (backend->fd >= 0) {
            unlink(template); /* hugetlbfs knows no O_TMPFILE before 5.17 */
        }
    } else {
        backend->fd = open(backend->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    }
    struct statfs filesystem;
    if (backend->fd < 0 || fstat(backend->fd, &status) < 0 || fstatfs(backend->fd, &filesystem) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open '%s': %s", backend->path,
                    g_strerror(errno));
        return FALSE;
    }
    if (!S_ISREG(status.st_mode)) {
        return refuse(error, "'%s' is neither a file nor a folder", backend->path);
    }
    if (filesystem.f_type == HUGETLBFS_MAGIC) {
        backend->page_size = (guint64)filesystem.f_bsize;
    }
    if (!check_page_size(backend, error)) {
        return FALSE;
    }
    if (status.st_size > 0 && (guint64)status.st_size < backend->size) {
        return refuse(error, "'%s' is smaller (%" G_GINT64_FORMAT " bytes) than 'size'", backend->path,
                      (gint64)status.st_size);
    }
    if (status.st_size == 0 && ftruncate(backend->fd, (off_t)backend->size) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno),
                    "cannot make '%s' %" G_GUINT64_FORMAT " bytes long: %s", backend->path, backend->size,
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static Object *create_file(OptSet *options, GError **error)
{
    MemoryBackend *backend = new_backend(KIND_FILE);
    const char *path = optset_need_string(options, "mem-path", error);
    backend->path = g_strdup(path);
    return finish(backend, path && take_common(backend, options, error) && open_file(backend, error));
}

const ObjectType memory_backend_ram_type = {
    .name = "memory-backend-ram",
    .description = "guest memory [size=, merge=, dump=, share=, reserve=, prealloc=, host-nodes=, policy=]",
    .create = create_ram,
};

const ObjectType memory_backend_memfd_type = {
    .name = "memory-backend-memfd",
    .description = "the same in a memfd [hugetlb=, hugetlbsize=]",
    .create = create_memfd,
};

const ObjectType memory_backend_file_type = {
    .name = "memory-backend-file",
    .description = "the same in a file, or in a folder of hugetlbfs [mem-path=]",
    .create = create_file,
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

MemoryBackend *memory_backend_new_default(guint64 size, gboolean merge)
{
    gboolean shared = shmem_gives_huge_pages();
    MemoryBackend *backend = new_backend(shared ? KIND_MEMFD : KIND_RAM);
    backend->size = size;
    backend->share = shared;
    backend->merge = merge;
    return backend;
}

MemoryBackend *memory_backend_from_object(Object *object)
{
    const ObjectType *type = object ? object->type : NULL;
    gboolean is_backend = type == &memory_backend_ram_type || type == &memory_backend_memfd_type ||
                          type == &memory_backend_file_type;
    return is_backend ? (MemoryBackend *)object : NULL;
}

/* ---- what it is ---- */

guint64 memory_backend_size(const MemoryBackend *backend)
{
    return backend->size;
}

guint64 memory_backend_page_size(const MemoryBackend *backend)
{
    return backend->page_size;
}

gboolean memory_backend_is_preallocated(const MemoryBackend *backend)
{
    return backend->prealloc;
}

JsonObject *memory_backend_describe(const MemoryBackend *backend)
{
    JsonObject *info = json_object_new();
    JsonArray *nodes = json_array_new();
    if (backend->object.id) {
        json_object_set_string_member(info, "id", backend->object.id);
    }
    json_object_set_int_member(info, "size", (gint64)backend->size);
    json_object_set_boolean_member(info, "merge", backend->merge);
    json_object_set_boolean_member(info, "dump", backend->dump);
    json_object_set_boolean_member(info, "prealloc", backend->prealloc);
    json_object_set_boolean_member(info, "share", backend->share);
    json_object_set_boolean_member(info, "reserve", backend->reserve);
    for (guint node = 0; node < MAX_HOST_NODES; node++) {
        if (backend->host_nodes[node / BITS_OF_WORD] >> node % BITS_OF_WORD & 1) {
            json_array_add_int_element(nodes, node);
        }
    }
    json_object_set_array_member(info, "host-nodes", nodes);
    json_object_set_string_member(info, "policy", policy_names[backend->policy]);
    return info;
}

/* ---- mapping ---- */

static const char *name_of(const MemoryBackend *backend)
{
    return backend->object.id ? backend->object.id : "guest memory";
}

static gboolean fail(const MemoryBackend *backend, const char *what, GError **error)
{
    int saved = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(saved),
                "%s: cannot %s %" G_GUINT64_FORMAT " MiB: %s%s", name_of(backend), what, backend->size >> 20,
                g_strerror(saved),
                backend->page_size > SMALL_PAGE ? " (are there enough free huge pages?)" : "");
    return FALSE;
}

static int make_memfd(const MemoryBackend *backend)
{
    unsigned flags = MFD_CLOEXEC;
    if (backend->page_size > SMALL_PAGE) {
        flags |= MFD_HUGETLB | (guint)(g_bit_storage(backend->page_size) - 1) << MEMFD_HUGE_SHIFT;
    }
    int fd = memfd_create("guest-ram", flags);
    if (fd >= 0 && ftruncate(fd, (off_t)backend->size) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

typedef struct Populate {
    guint8 *from;
    gsize length;
    guint64 page_size;
    int error;
} Populate;

static gpointer populate(gpointer data)
{
    Populate *part = data;
    int result;
    do {
        result = madvise(part->from, part->length, MADV_POPULATE_WRITE);
    } while (result < 0 && (errno == EINTR || errno == EAGAIN));
    if (result < 0 && errno == EINVAL) { /* an older kernel: a write to each page, of what is there */
        for (gsize at = 0; at < part->length; at += part->page_size) {
            volatile guint8 *byte = part->from + at;
            *byte = *byte;
        }
        result = 0;
    }
    part->error = result < 0 ? errno : 0;
    return NULL;
}

static gboolean preallocate(MemoryBackend *backend, GError **error)
{
    guint64 pages = backend->size / backend->page_size;
    guint count = (guint)MIN(backend->prealloc_threads, pages);
    g_autofree Populate *parts = g_new0(Populate, count);
    g_autofree GThread **threads = g_new0(GThread *, count);
    guint64 done = 0;
    for (guint i = 0; i < count; i++) {
        guint64 until = pages * (i + 1) / count;
        parts[i] = (Populate){backend->mapped + done * backend->page_size,
                              (until - done) * backend->page_size, backend->page_size, 0};
        done = until;
        if (i > 0) {
            threads[i] = g_thread_try_new("prealloc", populate, &parts[i], NULL);
        }
    }
    for (guint i = 0; i < count; i++) {
        if (!threads[i]) {
            populate(&parts[i]);
        }
    }
    for (guint i = 0; i < count; i++) {
        if (threads[i]) {
            g_thread_join(threads[i]);
        }
    }
    for (guint i = 0; i < count; i++) {
        if (parts[i].error) {
            errno = parts[i].error;
            return fail(backend, "preallocate", error);
        }
    }
    return TRUE;
}

gboolean memory_backend_map(MemoryBackend *backend, void *at, GError **error)
{
    g_return_val_if_fail((guintptr)at % backend->page_size == 0, FALSE);
    if (backend->mapped) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "memory backend '%s' is in use already",
                    name_of(backend));
        return FALSE;
    }
    if (backend->fd < 0 && (backend->kind == KIND_MEMFD || backend->share)) {
        backend->fd = make_memfd(backend);
        if (backend->fd < 0) {
            return fail(backend, "make a memfd of", error);
        }
    }
    int flags = MAP_FIXED | (backend->share ? MAP_SHARED : MAP_PRIVATE) |
                (backend->fd < 0 ? MAP_ANONYMOUS : 0) | (backend->reserve ? 0 : MAP_NORESERVE);
    if (mmap(at, backend->size, PROT_READ | PROT_WRITE, flags, backend->fd, 0) == MAP_FAILED) {
        return fail(backend, "map", error);
    }
    backend->mapped = at;
    if (backend->policy != MPOL_DEFAULT &&
        syscall(SYS_mbind, at, backend->size, backend->policy, backend->host_nodes,
                (unsigned long)MAX_HOST_NODES + 1, MPOL_MF_STRICT | MPOL_MF_MOVE) < 0) {
        return fail(backend, "bind to its host nodes", error);
    }
    if (backend->page_size == SMALL_PAGE) {
        /* Best effort: a kernel without transparent huge pages runs the guest as well, only slower. */
        (void)madvise(at, backend->size, MADV_HUGEPAGE);
    }
    if (backend->merge && madvise(at, backend->size, MADV_MERGEABLE) < 0) {
        g_debug("%s: this kernel does not merge equal pages: %s", name_of(backend), g_strerror(errno));
    }
    if (!backend->dump) {
        (void)madvise(at, backend->size, MADV_DONTDUMP);
    }
    (void)madvise(at, backend->size, MADV_DONTFORK); /* a child must not hold its RAM */
    return !backend->prealloc || preallocate(backend, error);
}

gsize memory_backend_discard(const MemoryBackend *backend, guint64 offset, gsize length)
{
    g_return_val_if_fail(backend->mapped && offset <= backend->size && length <= backend->size - offset, 0);
    guint64 mask = backend->page_size - 1;
    guint64 start = (offset + mask) & ~mask, end = (offset + length) & ~mask;
    if (start >= end) {
        return 0;
    }
    int result = backend->share ? fallocate(backend->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                            (off_t)start, (off_t)(end - start))
                                : madvise(backend->mapped + start, end - start, MADV_DONTNEED);
    return result == 0 ? end - start : 0;
}
