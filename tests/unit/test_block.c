// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/block/block.h"
#include "tests/check-run.h"

#define IMAGE (1u << 20)

static char *folder;
static BlockSet *set;
static IoContext *io;

static void set_up(void)
{
    folder = g_dir_make_tmp("virt-suite-block-XXXXXX", NULL);
    set = block_set_new(NULL);
    io = io_context_new_main();
}

static void tear_down(void)
{
    block_set_free(set);
    io_context_free(io);
    g_autofree char *command = g_strdup_printf("rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    g_free(folder);
}

static char *path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static guint8 pattern(guint64 at)
{
    return (guint8)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

/* A file of this many bytes, each telling where it is. */
static char *make_image(const char *name, gsize length)
{
    char *path = path_of(name);
    g_autofree char *bytes = g_malloc(length + 1);
    for (gsize i = 0; i < length; i++)
        bytes[i] = (char)pattern(i);
    ck_assert(g_file_set_contents(path, bytes, (gssize)length, NULL));
    return path;
}

static BlockNode *try_add(BlockSet *to, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static BlockNode *try_add(BlockSet *to, GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autoptr(OptSet) options = optset_parse("-blockdev", text, "driver", error);
    return options != NULL ? block_set_add(to, options, error) : NULL;
}

#define ADD(...)                                                                                             \
    ({                                                                                                       \
        g_autoptr(GError) error_ = NULL;                                                                     \
        BlockNode *node_ = try_add(set, &error_, __VA_ARGS__);                                               \
        ck_assert_msg(node_ != NULL, "%s", error_ != NULL ? error_->message : "no error");                   \
        node_;                                                                                               \
    })

#define REFUSED(text, ...)                                                                                   \
    do {                                                                                                     \
        g_autoptr(GError) error_ = NULL;                                                                     \
        ck_assert_ptr_null(try_add(set, &error_, __VA_ARGS__));                                              \
        ck_assert_ptr_nonnull(error_);                                                                       \
        ck_assert_msg(strstr(error_->message, text) != NULL, "%s", error_->message);                         \
    } while (0)

static void attach(BlockNode *node, gboolean write)
{
    g_autoptr(GError) error = NULL;
    ck_assert_msg(block_attach(node, "a test", write, &error), "%s", error != NULL ? error->message : "");
}

/* ---- blocking calls ---- */

START_TEST (raw_on_file_reads_and_writes) {
    g_autofree char *path = make_image("a", IMAGE);
    ADD("file,node-name=f,filename=%s", path);
    BlockNode *node = ADD("raw,node-name=r,file=f");
    attach(node, TRUE);
    guint8 bytes[5000];
    ck_assert_uint_eq(block_length(node), IMAGE);
    ck_assert_int_eq(block_pread(node, 12345, bytes, sizeof bytes), 0);
    for (guint i = 0; i < sizeof bytes; i++)
        ck_assert_uint_eq(bytes[i], pattern(12345 + i));
    memset(bytes, 0xee, sizeof bytes);
    ck_assert_int_eq(block_pwrite(node, 777, bytes, sizeof bytes), 0);
    memset(bytes, 0, sizeof bytes);
    ck_assert_int_eq(block_pread(node, 700, bytes, 100), 0);
    ck_assert_uint_eq(bytes[76], pattern(776));
    ck_assert_uint_eq(bytes[77], 0xee);
    ck_assert_int_eq(block_flush(node), 0);
    ck_assert_int_eq(block_pread(node, IMAGE - 10, bytes, 11), -EIO);
    ck_assert_int_eq(block_pwrite(node, G_MAXUINT64 - 5, bytes, 11), -EIO);
    ck_assert_str_eq(block_filename(node), path);
    block_detach(node, TRUE);
}
END_TEST

/* What a length that is no whole number of sectors hides: zeroes, which may be written to. */
START_TEST (odd_length) {
    gboolean direct = _i == 1;
    g_autofree char *path = make_image("a", 1000);
    BlockNode *node = ADD("file,node-name=f,filename=%s,cache.direct=%s", path, direct ? "on" : "off");
    attach(node, TRUE);
    guint8 bytes[1024];
    ck_assert_uint_eq(block_length(node), 1024);
    memset(bytes, 0xff, sizeof bytes);
    ck_assert_int_eq(block_pread(node, 0, bytes, 1024), 0);
    for (guint i = 0; i < 1024; i++)
        ck_assert_uint_eq(bytes[i], i < 1000 ? pattern(i) : 0);
    ck_assert_int_eq(block_pread(node, 990, bytes, 34), 0);
    ck_assert_uint_eq(bytes[9], pattern(999));
    ck_assert_uint_eq(bytes[10], 0);
    memset(bytes, 0xaa, 512);
    ck_assert_int_eq(block_pwrite(node, 512, bytes, 512), 0);
    ck_assert_int_eq(block_pread(node, 1023, bytes, 1), 0);
    ck_assert_uint_eq(bytes[0], 0xaa);
    block_detach(node, TRUE);
}
END_TEST

/* Any offset, length and buffer, against a copy in memory. */
START_TEST (direct_takes_what_is_not_aligned) {
    g_autofree char *path = make_image("a", IMAGE);
    BlockNode *node = ADD("file,node-name=f,filename=%s,cache.direct=on", path);
    attach(node, TRUE);
    g_autofree guint8 *model = g_malloc(IMAGE);
    g_autofree guint8 *buffer = g_malloc(70000);
    for (guint i = 0; i < IMAGE; i++)
        model[i] = pattern(i);
    GRand *random = g_rand_new_with_seed(4);
    for (guint round = 0; round < 300; round++) {
        guint length = (guint)g_rand_int_range(random, 1, 33000);
        guint64 offset = (guint64)g_rand_int_range(random, 0, (gint32)(IMAGE - length));
        guint skew = (guint)g_rand_int_range(random, 0, 1000);
        guint first = (guint)g_rand_int_range(random, 0, (gint32)length + 1);
        struct iovec segments[] = {{buffer + skew, first}, {buffer + skew + first + 7, length - first}};
        if (round % 2 == 0) {
            for (guint i = 0; i < length + 7; i++)
                buffer[skew + i] = (guint8)g_rand_int(random);
            ck_assert_int_eq(block_pwritev(node, offset, segments, 2, round % 8 == 0 ? BLOCK_FUA : 0), 0);
            memcpy(model + offset, segments[0].iov_base, first);
            memcpy(model + offset + first, segments[1].iov_base, length - first);
        } else {
            ck_assert_int_eq(block_preadv(node, offset, segments, 2), 0);
            ck_assert_mem_eq(model + offset, segments[0].iov_base, first);
            ck_assert_mem_eq(model + offset + first, segments[1].iov_base, length - first);
        }
    }
    g_rand_free(random);
    block_detach(node, TRUE);
}
END_TEST

START_TEST (zeroes_and_discards) {
    g_autofree char *path = make_image("a", IMAGE);
    BlockNode *node = ADD("raw,node-name=r,discard=unmap,file.driver=file,file.filename=%s", path);
    attach(node, TRUE);
    guint8 bytes[300];
    ck_assert_int_eq(block_write_zeroes(node, 5000, 100000, 0), 0);
    ck_assert_int_eq(block_pread(node, 4999, bytes, 3), 0);
    ck_assert_uint_eq(bytes[0], pattern(4999));
    ck_assert_uint_eq(bytes[1], 0);
    ck_assert_int_eq(block_pread(node, 104999, bytes, 2), 0);
    ck_assert_uint_eq(bytes[0], 0);
    ck_assert_uint_eq(bytes[1], pattern(105000));
    ck_assert_int_eq(block_flush(node), 0);
    struct stat before, after;
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(block_discard(node, 131072, 524288), 0);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_lt(after.st_blocks, before.st_blocks);
    ck_assert_int_eq(after.st_size, before.st_size);
    block_detach(node, TRUE);
    ck_assert(block_set_remove(set, "r", NULL));
    /* Without discard=unmap a discard does nothing, and zeroes take room. */
    node = ADD("raw,node-name=r,file.driver=file,file.filename=%s", path);
    attach(node, TRUE);
    ck_assert_int_eq(block_discard(node, 0, 4096), 0);
    ck_assert_int_eq(block_pread(node, 100, bytes, 1), 0);
    ck_assert_uint_eq(bytes[0], pattern(100));
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(block_write_zeroes(node, 700000, 100000, BLOCK_MAY_UNMAP), 0);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_ge(after.st_blocks, before.st_blocks);
    block_detach(node, TRUE);
}
END_TEST

START_TEST (a_part_of_a_file) {
    g_autofree char *path = make_image("a", IMAGE);
    BlockNode *node = ADD("raw,node-name=r,offset=1024,size=4096,file.driver=file,file.filename=%s", path);
    attach(node, TRUE);
    guint8 byte = 0;
    ck_assert_uint_eq(block_length(node), 4096);
    ck_assert_int_eq(block_pread(node, 1, &byte, 1), 0);
    ck_assert_uint_eq(byte, pattern(1025));
    ck_assert_int_eq(block_pread(node, 4096, &byte, 1), -EIO);
    block_detach(node, TRUE);
    ck_assert(block_set_remove(set, "r", NULL));
    REFUSED("go beyond the end of",
            "raw,node-name=s,offset=1M,size=512,file.driver=file,file.filename=%s,read-only=on", path);
    REFUSED("must be multiples of 512",
            "raw,node-name=s,offset=100,file.driver=file,file.filename=%s,read-only=on", path);
}
END_TEST

START_TEST (resizing) {
    g_autofree char *path = make_image("a", IMAGE);
    BlockNode *node = ADD("raw,node-name=r,file.driver=file,file.filename=%s", path);
    attach(node, TRUE);
    ck_assert_int_eq(block_resize(node, 2 * IMAGE), 0);
    ck_assert_uint_eq(block_length(node), 2 * IMAGE);
    ck_assert_int_eq(block_resize(node, 512), 0);
    ck_assert_uint_eq(block_length(node), 512);
    block_detach(node, TRUE);
}
END_TEST

/* ---- requests ---- */

typedef struct Asked {
    BlockRequest request;
    struct iovec segment;
    guint8 *bytes;
    gboolean done;
    int result;
} Asked;

static guint pending;
static gboolean submitting;

static void on_done(BlockRequest *request, int result)
{
    Asked *asked = (Asked *)request;
    ck_assert(!submitting);
    ck_assert(!asked->done);
    asked->done = TRUE;
    asked->result = result;
    pending--;
}

static void submit(Asked *asked, BlockNode *node, BlockOp op, guint64 offset, guint64 length)
{
    asked->bytes =
        op == BLOCK_READ || op == BLOCK_WRITE ? aligned_alloc(4096, (length + 4095) / 4096 * 4096) : NULL;
    asked->segment = (struct iovec){asked->bytes, length};
    asked->done = FALSE;
    asked->request = (BlockRequest){.op = op,
                                    .offset = offset,
                                    .length = length,
                                    .segments = &asked->segment,
                                    .segment_count = 1,
                                    .context = io,
                                    .done = on_done};
    if (op == BLOCK_WRITE)
        memset(asked->bytes, (int)(offset / 4096) + 1, length);
    pending++;
    submitting = TRUE;
    block_submit(node, &asked->request);
    submitting = FALSE;
}

static void wait_all(void)
{
    gint64 deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    while (pending > 0 && g_get_monotonic_time() < deadline) {
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(50);
    }
    ck_assert_uint_eq(pending, 0);
}

static const char *const engines[] = {"aio=threads", "aio=io_uring", "aio=native,cache.direct=on"};

START_TEST (requests_complete) {
    g_autofree char *path = make_image("a", IMAGE);
    BlockNode *node = ADD("file,node-name=f,discard=unmap,filename=%s,%s", path, engines[_i]);
    attach(node, TRUE);
    Asked asked[64];
    for (guint i = 0; i < 64; i++)
        submit(&asked[i], node, BLOCK_READ, i * 16384u, 16384);
    wait_all();
    for (guint i = 0; i < 64; i++) {
        ck_assert_int_eq(asked[i].result, 0);
        for (guint j = 0; j < 16384; j += 97)
            ck_assert_uint_eq(asked[i].bytes[j], pattern(i * 16384u + j));
        free(asked[i].bytes);
    }
    for (guint i = 0; i < 64; i++)
        submit(&asked[i], node, BLOCK_WRITE, i * 4096u, 4096);
    wait_all();
    for (guint i = 0; i < 64; i++) {
        ck_assert_int_eq(asked[i].result, 0);
        free(asked[i].bytes);
    }
    submit(&asked[0], node, BLOCK_FLUSH, 0, 0);
    submit(&asked[1], node, BLOCK_DISCARD, 524288, 4096);
    submit(&asked[2], node, BLOCK_WRITE_ZEROES, 8192, 4096);
    submit(&asked[3], node, BLOCK_READ, 0, 0);
    submit(&asked[4], node, BLOCK_READ, IMAGE, 512);
    submit(&asked[5], node, BLOCK_DISCARD, IMAGE, 512);
    wait_all();
    ck_assert_int_eq(asked[0].result, 0);
    ck_assert_int_eq(asked[1].result, 0);
    ck_assert_int_eq(asked[2].result, 0);
    ck_assert_int_eq(asked[3].result, 0);
    ck_assert_int_eq(asked[4].result, -EIO);
    ck_assert_int_eq(asked[5].result, -EIO);
    free(asked[3].bytes);
    free(asked[4].bytes);
    guint8 bytes[3];
    ck_assert_int_eq(block_pread(node, 4096, &bytes[0], 1), 0);
    ck_assert_int_eq(block_pread(node, 8192, &bytes[1], 1), 0);
    ck_assert_int_eq(block_pread(node, 12288, &bytes[2], 1), 0);
    ck_assert_uint_eq(bytes[0], 2);
    ck_assert_uint_eq(bytes[1], 0);
    ck_assert_uint_eq(bytes[2], 4);
    block_detach(node, TRUE);
}
END_TEST

/* More than a ring takes. */
START_TEST (thousands_at_once) {
    g_autofree char *path = make_image("a", IMAGE);
    BlockNode *node = ADD("raw,node-name=r,file.driver=file,file.filename=%s", path);
    attach(node, TRUE);
    Asked *asked = g_new0(Asked, 3000);
    for (guint i = 0; i < 3000; i++)
        submit(&asked[i], node, i % 3 == 0 ? BLOCK_WRITE : BLOCK_READ, i % 256 * 4096u, 4096);
    wait_all();
    for (guint i = 0; i < 3000; i++) {
        ck_assert_int_eq(asked[i].result, 0);
        free(asked[i].bytes);
    }
    g_free(asked);
    block_detach(node, TRUE);
}
END_TEST

/* ---- who may use what ---- */

START_TEST (nodes_and_their_users) {
    g_autofree char *path = make_image("a", IMAGE);
    g_autoptr(GError) error = NULL;
    BlockNode *file = ADD("file,node-name=f,filename=%s,auto-read-only=on", path);
    ck_assert(file->read_only);
    BlockNode *node = ADD("raw,node-name=r,file=f");
    ck_assert(!file->read_only);
    ck_assert(!block_set_remove(set, "f", &error));
    ck_assert_str_eq(error->message, "block node 'f' is in use by block node 'r'");
    g_clear_error(&error);
    REFUSED("block node 'f' is already in use by block node 'r'", "raw,node-name=s,file=f");
    REFUSED("Duplicate nodes with node-name='r'", "raw,node-name=r,file=f");
    attach(node, TRUE);
    ck_assert(!block_attach(node, "another", TRUE, &error));
    ck_assert_str_eq(error->message, "block node 'r' is already in use by a test");
    g_clear_error(&error);
    ck_assert(!block_set_remove(set, "r", &error));
    g_clear_error(&error);
    block_detach(node, TRUE);
    ck_assert(block_set_remove(set, "r", &error));
    ck_assert(file->read_only);
    node = ADD("raw,node-name=r,file=f,read-only=on");
    ADD("raw,node-name=s,file=f,read-only=on");
    ck_assert(!block_attach(node, "a test", TRUE, &error));
    ck_assert_str_eq(error->message, "block node 'r' is read-only");
    g_clear_error(&error);
    ck_assert(!block_set_remove(set, "nothing", &error));
    ck_assert_str_eq(error->message, "there is no block node 'nothing'");
    guint8 byte = 0;
    ck_assert_int_eq(block_pwrite(node, 0, &byte, 1), -EROFS);
}
END_TEST

START_TEST (one_writer) {
    g_autofree char *path = make_image("a", IMAGE);
    g_autoptr(BlockSet) other = block_set_new(NULL);
    g_autoptr(GError) error = NULL;
    ADD("raw,node-name=r,file.driver=file,file.filename=%s", path);
    ck_assert_ptr_null(try_add(other, &error, "raw,node-name=r,file.driver=file,file.filename=%s", path));
    ck_assert_msg(strstr(error->message, "is in use by another process") != NULL, "%s", error->message);
    g_clear_error(&error);
    ck_assert_ptr_null(
        try_add(other, &error, "raw,node-name=r,read-only=on,file.driver=file,file.filename=%s", path));
    g_clear_error(&error);
    ck_assert_ptr_nonnull(
        try_add(other, &error, "raw,node-name=r,file.driver=file,file.locking=off,file.filename=%s", path));
    ck_assert(block_set_remove(other, "r", NULL));
    ck_assert(block_set_remove(set, "r", NULL));
    /* Readers go together, and keep writers away. */
    ck_assert_ptr_nonnull(
        try_add(other, &error, "raw,node-name=r,read-only=on,file.driver=file,file.filename=%s", path));
    ADD("raw,node-name=r,read-only=on,file.driver=file,file.filename=%s", path);
    REFUSED("is in use by another process", "raw,node-name=w,file.driver=file,file.filename=%s", path);
    ck_assert(block_set_remove(other, "r", NULL));
    ck_assert(block_set_remove(set, "r", NULL));
    ADD("raw,node-name=w,file.driver=file,file.filename=%s", path);
}
END_TEST

static const struct {
    const char *options, *error;
} bad_nodes[] = {
    {"file,filename=/dev/null", "-blockdev file: 'node-name' is missing"},
    {"nbd,node-name=a", "-blockdev nbd: block driver 'nbd' is not known"},
    {"file,node-name=a", "-blockdev file,node-name=a: 'filename' is missing"},
    {"file,node-name=a,filename=/no/such", "cannot open '/no/such': No such file or directory"},
    {"file,node-name=a,filename=/", "'/' is not a regular file"},
    {"file,node-name=a,filename=/dev/null", "'/dev/null' is not a regular file"},
    {"host_device,node-name=a,filename=/etc/passwd", "'/etc/passwd' is not a block device"},
    {"raw,node-name=a", "'file' is missing"},
    {"raw,node-name=a,file=b", "'file': there is no block node 'b'"},
    {"raw,node-name=a,file.driver=file,file.filename=/etc/passwd,file.color=red", "unknown property 'color'"},
    {"raw,node-name=1a,file=b", "'1a' cannot be a node-name"},
    {"raw,node-name=a,discard=maybe,file=b", "'discard' must be unmap or ignore, not 'maybe'"},
    {"file,node-name=a,filename=/etc/passwd,aio=posix", "'aio' must be one of threads, io_uring, native"},
    {"file,node-name=a,filename=/etc/passwd,read-only=on,read-write=on", "unknown property 'read-write'"},
    {"raw,node-name=a,detect-zeroes=unmap,file=b", "'detect-zeroes=unmap' is not supported, only off"},
};

START_TEST (bad_nodes_are_told) {
    REFUSED(bad_nodes[_i].error, "%s", bad_nodes[_i].options);
    ck_assert_ptr_null(block_set_find(set, "a"));
}
END_TEST

/* ---- threads ---- */

static void note_thread(gpointer user_data)
{
    *(GThread **)user_data = g_thread_self();
}

static gboolean nothing_pending(gpointer user_data)
{
    return pending == 0;
}

static void submit_and_wait(gpointer user_data)
{
    Asked asked[16];
    for (guint i = 0; i < 16; i++)
        submit(&asked[i], user_data, BLOCK_READ, i * 4096u, 4096);
    io_context_wait(io, nothing_pending, NULL);
    for (guint i = 0; i < 16; i++) {
        ck_assert_int_eq(asked[i].result, 0);
        free(asked[i].bytes);
    }
}

START_TEST (a_thread_of_its_own) {
    g_autofree char *path = make_image("a", IMAGE);
    IoContext *main_io = io;
    GThread *thread = NULL;
    BlockNode *node = ADD("file,node-name=f,filename=%s,%s", path, engines[_i]);
    attach(node, TRUE);
    io = io_context_new_thread("test");
    io_context_call(io, note_thread, &thread);
    ck_assert_ptr_ne(thread, g_thread_self());
    ck_assert_int_gt(io_context_thread_id(io), 0);
    for (guint i = 0; i < 50; i++)
        io_context_call(io, submit_and_wait, node);
    io_context_free(io);
    io = main_io;
    block_detach(node, TRUE);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("block");
    TCase *c = tcase_create("block");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, raw_on_file_reads_and_writes);
    tcase_add_loop_test(c, odd_length, 0, 2);
    tcase_add_test(c, direct_takes_what_is_not_aligned);
    tcase_add_test(c, zeroes_and_discards);
    tcase_add_test(c, a_part_of_a_file);
    tcase_add_test(c, resizing);
    tcase_add_loop_test(c, requests_complete, 0, G_N_ELEMENTS(engines));
    tcase_add_test(c, thousands_at_once);
    tcase_add_test(c, nodes_and_their_users);
    tcase_add_test(c, one_writer);
    tcase_add_loop_test(c, bad_nodes_are_told, 0, G_N_ELEMENTS(bad_nodes));
    tcase_add_loop_test(c, a_thread_of_its_own, 0, G_N_ELEMENTS(engines));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
