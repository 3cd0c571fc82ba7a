// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-format.h"
#include "tests/check-run.h"
#include "tests/unit/qcow2-image.h"

#define CLUSTER 65536ull
#define MIB     (1024ull * 1024)

static const ImageOptions usual = {.version = 3, .cluster_bits = 16, .refcount_order = 4, .size = 16 * MIB};

static BlockNode *must_open(MemoryFile *file, gboolean read_only, BlockNode *backing)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node = image_open(file, read_only, backing, NULL, &error);
    ck_assert_msg(node != NULL, "%s", error != NULL ? error->message : "");
    return node;
}

static void must_write(BlockNode *node, guint64 offset, guint64 length, guint8 byte)
{
    g_autofree guint8 *data = g_malloc(length);
    memset(data, byte, length);
    ck_assert_int_eq(block_pwrite(node, offset, data, length), 0);
}

static void must_read(BlockNode *node, guint64 offset, guint64 length, guint8 byte)
{
    g_autofree guint8 *data = g_malloc(length);
    memset(data, ~byte, length);
    ck_assert_int_eq(block_pread(node, offset, data, length), 0);
    if (data[0] == byte && memcmp(data, data + 1, length - 1) == 0)
        return;
    for (guint64 i = 0; i < length; i++)
        ck_assert_msg(data[i] == byte, "0x%02x instead of 0x%02x at %" G_GUINT64_FORMAT, data[i], byte,
                      offset + i);
}

static void must_be_consistent(const MemoryFile *file)
{
    guint64 leaks;
    g_autofree char *wrong = image_check(file->bytes, &leaks);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    ck_assert_uint_eq(leaks, 0);
}

/* ---- headers ---- */

typedef struct BadField {
    const char *what; /* part of the error */
    guint offset, length;
    guint64 value;
    gboolean reading_is_fine;
    ImageOptions image;
} BadField;

#define SMALL                                                                                                \
    {                                                                                                        \
        3, 9, 4, 128 * 1024                                                                                  \
    }
#define LARGER                                                                                               \
    {                                                                                                        \
        3, 16, 4, 16 * MIB                                                                                   \
    }
#define OLD                                                                                                  \
    {                                                                                                        \
        2, 16, 4, 16 * MIB                                                                                   \
    }

static const BadField bad_fields[] = {
    {"not a qcow2 image", 0, 4, 0x514649fc, FALSE, LARGER},
    {"version 1;", QCOW2_HEADER_VERSION, 4, 1, FALSE, LARGER},
    {"version 4;", QCOW2_HEADER_VERSION, 4, 4, FALSE, LARGER},
    {"2^8 bytes", QCOW2_HEADER_CLUSTER_BITS, 4, 8, FALSE, LARGER},
    {"2^22 bytes", QCOW2_HEADER_CLUSTER_BITS, 4, 22, FALSE, LARGER},
    {"2^4294967295 bytes", QCOW2_HEADER_CLUSTER_BITS, 4, 0xffffffff, FALSE, LARGER},
    {"does not fit into its L1 table", QCOW2_HEADER_SIZE, 8, 512 * MIB + 1, FALSE, LARGER},
    {"does not fit into its L1 table", QCOW2_HEADER_SIZE, 8, G_MAXUINT64, FALSE, LARGER},
    {"does not fit into its L1 table", QCOW2_HEADER_SIZE, 8, G_MAXINT64, FALSE, LARGER},
    {"encrypted", QCOW2_HEADER_CRYPT, 4, 1, FALSE, LARGER},
    {"encrypted", QCOW2_HEADER_CRYPT, 4, 2, FALSE, OLD},
    {"does not fit into its L1 table", QCOW2_HEADER_L1_SIZE, 4, 0, FALSE, LARGER},
    {"too large", QCOW2_HEADER_L1_SIZE, 4, 0xffffffff, FALSE, LARGER},
    {"too large", QCOW2_HEADER_L1_SIZE, 4, QCOW2_MAX_L1_BYTES / 8 + 1, FALSE, LARGER},
    {"cut off", QCOW2_HEADER_L1_SIZE, 4, QCOW2_MAX_L1_BYTES / 8, FALSE, LARGER},
    {"not aligned", QCOW2_HEADER_L1_OFFSET, 8, 0x10200, FALSE, LARGER},
    {"cut off", QCOW2_HEADER_L1_OFFSET, 8, 0, FALSE, LARGER},
    {"cut off", QCOW2_HEADER_L1_OFFSET, 8, 0x1000000, FALSE, LARGER},
    {"cut off", QCOW2_HEADER_L1_OFFSET, 8, 0xffffffffffff0000, FALSE, LARGER},
    {"overlaps", QCOW2_HEADER_L1_OFFSET, 8, 0x10000, TRUE, LARGER},
    {"overlaps", QCOW2_HEADER_L1_OFFSET, 8, 0x20000, TRUE, LARGER},
    {"not aligned", QCOW2_HEADER_REFTABLE_OFFSET, 8, 0x10001, TRUE, LARGER},
    {"cut off", QCOW2_HEADER_REFTABLE_OFFSET, 8, 0, TRUE, LARGER},
    {"cut off", QCOW2_HEADER_REFTABLE_OFFSET, 8, 0x7fffffffffff0000, TRUE, LARGER},
    {"overlaps", QCOW2_HEADER_REFTABLE_OFFSET, 8, 0x30000, TRUE, LARGER},
    {"refcount table", QCOW2_HEADER_REFTABLE_CLUSTERS, 4, 0, TRUE, LARGER},
    {"refcount table", QCOW2_HEADER_REFTABLE_CLUSTERS, 4, 0xffffffff, TRUE, LARGER},
    {"cut off", QCOW2_HEADER_REFTABLE_CLUSTERS, 4, 128, TRUE, LARGER},
    {"overlaps", QCOW2_HEADER_REFTABLE_CLUSTERS, 4, 2, TRUE, LARGER},
    {"too many", QCOW2_HEADER_SNAPSHOT_COUNT, 4, 65537, TRUE, LARGER},
    {"cut off", QCOW2_HEADER_SNAPSHOT_COUNT, 4, 1, TRUE, LARGER},
    {"'memory' has features that are not known here: bit 5 without a name", QCOW2_HEADER_INCOMPATIBLE, 8, 32,
     FALSE, LARGER},
    {"bit 6 without a name, bit 63 without a name", QCOW2_HEADER_INCOMPATIBLE, 8, 1ull << 63 | 64, FALSE,
     LARGER},
    {"external data file", QCOW2_HEADER_INCOMPATIBLE, 8, QCOW2_DATA_FILE, FALSE, LARGER},
    {"extended L2 entries", QCOW2_HEADER_INCOMPATIBLE, 8, QCOW2_EXTENDED_L2, FALSE, LARGER},
    {"is dirty", QCOW2_HEADER_INCOMPATIBLE, 8, QCOW2_DIRTY, TRUE, LARGER},
    {"qemu-img check -r all", QCOW2_HEADER_INCOMPATIBLE, 8, QCOW2_DIRTY, TRUE, LARGER},
    {"marked as corrupt", QCOW2_HEADER_INCOMPATIBLE, 8, QCOW2_CORRUPT, TRUE, LARGER},
    {"compression type 0", QCOW2_HEADER_INCOMPATIBLE, 8, QCOW2_COMPRESSION_TYPE, FALSE, LARGER},
    {"compression type 1", QCOW2_HEADER_COMPRESSION, 1, 1, FALSE, LARGER},
    {"2^7 bits", QCOW2_HEADER_REFCOUNT_ORDER, 4, 7, FALSE, LARGER},
    {"header has 103 bytes", QCOW2_HEADER_LENGTH, 4, 103, FALSE, LARGER},
    {"header has 105 bytes", QCOW2_HEADER_LENGTH, 4, 105, FALSE, LARGER},
    {"header has 520 bytes", QCOW2_HEADER_LENGTH, 4, 520, FALSE, SMALL},
    {"header has 4294967288 bytes", QCOW2_HEADER_LENGTH, 4, 0xfffffff8, FALSE, LARGER},
    {"extension 0x00000100 goes beyond", QCOW2_HEADER_LENGTH_V3 + 8, 8, 0x10000010000, FALSE, LARGER},
    {"extension 0x00000100 goes beyond", QCOW2_HEADER_LENGTH_V3 + 8, 8, 0x100ffffffff, FALSE, LARGER},
};

static void put_bytes(GByteArray *image, guint offset, guint length, guint64 value)
{
    for (guint i = 0; i < length; i++)
        image->data[offset + i] = (guint8)(value >> (8 * (length - 1 - i)));
}

START_TEST (bad_headers_are_refused) {
    const BadField *bad = &bad_fields[_i];
    g_autoptr(GError) error = NULL;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&bad->image));
    put_bytes(file->bytes, bad->offset, bad->length, bad->value);
    ck_assert_ptr_null(image_open(file, FALSE, NULL, NULL, &error));
    ck_assert_msg(strstr(error->message, bad->what) != NULL, "%s", error->message);
    ck_assert_uint_eq(file->writes, 0);
    BlockNode *node = image_open(file, TRUE, NULL, NULL, NULL);
    ck_assert_int_eq(node != NULL, bad->reading_is_fine);
    if (node != NULL)
        image_close(node);
}
END_TEST

START_TEST (unknown_features_are_named) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    guint8 *at = file->bytes->data + QCOW2_HEADER_LENGTH_V3 + 8;
    qcow2_put64(file->bytes->data + QCOW2_HEADER_INCOMPATIBLE, 1ull << 7);
    qcow2_put32(at, QCOW2_EXTENSION_FEATURES);
    qcow2_put32(at + 4, 2 * QCOW2_FEATURE_ROW);
    at[8] = 1; /* compatible */
    at[9] = 7;
    memcpy(at + 10, "not this", 8);
    at[8 + QCOW2_FEATURE_ROW + 1] = 7;
    memset(at + 8 + QCOW2_FEATURE_ROW + 2, 'x', QCOW2_FEATURE_NAME); /* no end */
    at[8 + QCOW2_FEATURE_ROW + 3] = '\n';
    ck_assert_ptr_null(image_open(file, TRUE, NULL, NULL, &error));
    ck_assert_msg(strstr(error->message, ": 'x\\nxxxxx") != NULL, "%s", error->message);
    ck_assert_msg(strstr(error->message, "not this") == NULL, "%s", error->message);
}
END_TEST

START_TEST (backing_names) {
    const ImageOptions options = {3, 16, 4, MIB, 0, "base.raw", "raw"};
    g_autoptr(GError) error = NULL;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, TRUE, NULL);
    ck_assert_str_eq(qcow2_backing_name(node), "base.raw");
    ck_assert_str_eq(qcow2_backing_format(node), "raw");
    image_close(node);
    static const guint64 places[][2] = {
        {CLUSTER - 7, 8}, {CLUSTER, 1},      {G_MAXUINT64, 1}, {G_MAXUINT64, 1023},
        {200, 1024},      {200, 0xffffffff}, {200, 8}};
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        qcow2_put64(file->bytes->data + QCOW2_HEADER_BACKING_OFFSET, places[i][0]);
        qcow2_put32(file->bytes->data + QCOW2_HEADER_BACKING_LENGTH, (guint32)places[i][1]);
        ck_assert_ptr_null(image_open(file, TRUE, NULL, NULL, &error));
        ck_assert_msg(strstr(error->message, "backing file is not") != NULL, "%s", error->message);
        g_clear_error(&error);
    }
}
END_TEST

START_TEST (files_that_are_cut_off) {
    static const guint lengths[] = {0, 1, 71, 104, 512, 0x10000, 0x20000, 0x30000};
    g_autoptr(GError) error = NULL;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    for (guint i = G_N_ELEMENTS(lengths); i > 0; i--) {
        g_byte_array_set_size(file->bytes, lengths[i - 1]);
        ck_assert_ptr_null(image_open(file, FALSE, NULL, NULL, &error));
        ck_assert_ptr_nonnull(error);
        g_clear_error(&error);
    }
}
END_TEST

/* ---- what reading and writing does ---- */

START_TEST (empty_image_reads_as_zeroes) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    ck_assert_uint_eq(block_length(node), 16 * MIB);
    must_read(node, 0, 16 * MIB, 0);
    ck_assert_int_eq(block_flush(node), 0);
    image_close(node);
    ck_assert_uint_eq(file->writes, 0);
    must_be_consistent(file);
}
END_TEST

START_TEST (a_mapped_access_is_one_io) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, MIB, 1);
    ck_assert_int_eq(block_flush(node), 0);
    guint64 reads = file->reads, writes = file->writes, flushes = file->flushes;
    must_read(node, 4096, MIB / 2, 1);
    ck_assert_uint_eq(file->reads, reads + 1);
    must_write(node, 4096, MIB / 2, 2);
    ck_assert_uint_eq(file->writes, writes + 1);
    ck_assert_int_eq(block_flush(node), 0);
    ck_assert_uint_eq(file->flushes, flushes + 1);
    ck_assert_uint_eq(file->reads, reads + 1);
    ck_assert_uint_eq(file->writes, writes + 1);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

/* Metadata is held back until the guest flushes: a sequence of writes is no sequence of table updates. */
START_TEST (new_clusters_cost_no_table_writes) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, 4096, 1);
    guint64 writes = file->writes, flushes = file->flushes;
    for (guint i = 1; i < 256; i++)
        must_write(node, i * 4096ull, 4096, 1);
    ck_assert_uint_eq(file->writes, writes + 255);
    ck_assert_uint_eq(file->flushes, flushes);
    ck_assert_int_eq(block_flush(node), 0);
    ck_assert_uint_le(file->writes, writes + 255 + 3); /* a refcount block, an L2 table, the L1 table */
    ck_assert_uint_le(file->flushes, flushes + 2);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

/* Only what was written is written, where what is around reads as zeroes anyway. */
START_TEST (a_small_write_stays_small) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    memory_file_keep_log(file);
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 8192, 512, 9);
    gsize written = 0;
    for (guint i = 0; i < file->log->len; i++) {
        const FileRecord *entry = &g_array_index(file->log, FileRecord, i);
        written += entry->kind == FILE_WRITE ? g_bytes_get_size(entry->bytes) : 0;
    }
    ck_assert_uint_eq(written, 512);
    must_read(node, 0, 8192, 0);
    must_read(node, 8192, 512, 9);
    must_read(node, 8704, CLUSTER, 0);
    image_close(node);
}
END_TEST

START_TEST (copy_on_write_from_a_shorter_backing) {
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 3 * CLUSTER + 1024);
    memset(bytes->data, 0xbb, bytes->len);
    g_autoptr(MemoryFile) below = memory_file_new(bytes);
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, &below->node);
    must_read(node, 0, 3 * CLUSTER + 1024, 0xbb);
    must_read(node, 3 * CLUSTER + 1024, 4 * CLUSTER, 0);
    must_write(node, CLUSTER + 512, 512, 1);
    must_write(node, 3 * CLUSTER + 2048, 512, 2);
    must_write(node, 3 * CLUSTER + 512, 512, 3);
    for (guint i = 0; i < 2; i++) {
        must_read(node, 0, CLUSTER + 512, 0xbb);
        must_read(node, CLUSTER + 512, 512, 1);
        must_read(node, CLUSTER + 1024, 2 * CLUSTER - 512, 0xbb);
        must_read(node, 3 * CLUSTER + 512, 512, 3);
        must_read(node, 3 * CLUSTER + 1024, 1024, 0);
        must_read(node, 3 * CLUSTER + 2048, 512, 2);
        must_read(node, 3 * CLUSTER + 2560, CLUSTER, 0);
        image_close(node);
        node = must_open(file, FALSE, &below->node);
    }
    image_close(node);
    ck_assert_uint_eq(below->writes, 0);
    must_be_consistent(file);
}
END_TEST

/* Entries as QEMU leaves them after a discard. */
START_TEST (discards_leave_what_qemu_leaves) {
    static const struct {
        guint version;
        gboolean backing;
        guint64 written, absent; /* what becomes of a cluster with data, and of one without */
    } rows[] = {
        {3, FALSE, QCOW2_ZERO, 0},
        {3, TRUE, QCOW2_ZERO, QCOW2_ZERO},
        {2, FALSE, 0, 0},
    };
    ImageOptions options = usual;
    options.version = rows[_i].version;
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 16 * MIB);
    memset(bytes->data, 0xbb, bytes->len);
    g_autoptr(MemoryFile) below = memory_file_new(bytes);
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, FALSE, rows[_i].backing ? &below->node : NULL);
    must_write(node, CLUSTER, CLUSTER, 1);
    ck_assert_int_eq(block_discard(node, CLUSTER + 512, 3 * CLUSTER), 0); /* 2 and 3 wholly */
    must_read(node, CLUSTER, CLUSTER, 1);
    ck_assert_int_eq(block_discard(node, CLUSTER, CLUSTER), 0);
    must_read(node, CLUSTER, CLUSTER, 0);
    image_close(node);
    ck_assert_uint_eq(image_entry(file->bytes, CLUSTER), rows[_i].written);
    ck_assert_uint_eq(image_entry(file->bytes, 2 * CLUSTER), rows[_i].absent);
    ck_assert_uint_eq(image_entry(file->bytes, 3 * CLUSTER), rows[_i].absent);
    ck_assert_uint_eq(image_entry(file->bytes, 4 * CLUSTER), 0);
    ck_assert_uint_gt(file->discards, 0);
    must_be_consistent(file);
}
END_TEST

START_TEST (version_2_does_not_discard_over_a_backing_image) {
    ImageOptions options = usual;
    options.version = 2;
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 16 * MIB);
    memset(bytes->data, 0xbb, bytes->len);
    g_autoptr(MemoryFile) below = memory_file_new(bytes);
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, FALSE, &below->node);
    must_write(node, 0, CLUSTER, 1);
    ck_assert_int_eq(block_discard(node, 0, 2 * CLUSTER), 0);
    must_read(node, 0, CLUSTER, 1);
    must_read(node, CLUSTER, CLUSTER, 0xbb);
    ck_assert_int_eq(block_write_zeroes(node, 512, 2 * CLUSTER, BLOCK_MAY_UNMAP), 0);
    must_read(node, 512, 2 * CLUSTER, 0);
    must_read(node, 2 * CLUSTER + 512, CLUSTER, 0xbb);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

START_TEST (zeroes_keep_their_clusters_or_not) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, 4 * CLUSTER, 1);
    ck_assert_int_eq(block_write_zeroes(node, CLUSTER, CLUSTER, 0), 0);
    ck_assert_int_eq(block_write_zeroes(node, 2 * CLUSTER, CLUSTER, BLOCK_MAY_UNMAP), 0);
    ck_assert_int_eq(block_write_zeroes(node, 3 * CLUSTER + 512, 512, BLOCK_MAY_UNMAP), 0);
    ck_assert_int_eq(block_flush(node), 0);
    guint64 kept = image_entry(file->bytes, CLUSTER);
    ck_assert_uint_eq(kept & QCOW2_ZERO, QCOW2_ZERO);
    ck_assert_uint_ne(kept & QCOW2_OFFSET_MASK, 0);
    ck_assert_uint_eq(image_entry(file->bytes, 2 * CLUSTER), QCOW2_ZERO);
    must_read(node, CLUSTER, 2 * CLUSTER, 0);
    must_read(node, 3 * CLUSTER, 512, 1);
    must_read(node, 3 * CLUSTER + 512, 512, 0);
    /* It goes back where it was, and the rest of it is zeroes, whatever was there. */
    must_write(node, CLUSTER + 512, 512, 2);
    must_read(node, CLUSTER, 512, 0);
    must_read(node, CLUSTER + 512, 512, 2);
    must_read(node, CLUSTER + 1024, CLUSTER - 1024, 0);
    image_close(node);
    ck_assert_uint_eq(image_entry(file->bytes, CLUSTER), kept & ~QCOW2_ZERO);
    must_be_consistent(file);
}
END_TEST

START_TEST (freed_clusters_are_used_again) {
    ImageOptions options = usual;
    options.size = 4 * MIB;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, FALSE, NULL);
    for (guint i = 0; i < 20; i++) {
        must_write(node, 0, 4 * MIB, (guint8)i);
        ck_assert_int_eq(block_discard(node, 0, 4 * MIB), 0);
        ck_assert_int_eq(block_flush(node), 0);
    }
    image_close(node);
    ck_assert_uint_le(file->bytes->len, 4 * MIB + 6 * CLUSTER);
    must_be_consistent(file);
}
END_TEST

START_TEST (autoclear_features_go_with_the_first_write) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    guint8 *field = file->bytes->data + QCOW2_HEADER_AUTOCLEAR;
    qcow2_put64(field, 0x8000000000000001);
    BlockNode *node = must_open(file, FALSE, NULL);
    must_read(node, 0, CLUSTER, 0);
    ck_assert_int_eq(block_flush(node), 0);
    ck_assert_uint_eq(qcow2_get64(field), 0x8000000000000001);
    memory_file_keep_log(file);
    must_write(node, 0, 512, 1);
    field = file->bytes->data + QCOW2_HEADER_AUTOCLEAR;
    ck_assert_uint_eq(qcow2_get64(field), 0);
    const FileRecord *first = &g_array_index(file->log, FileRecord, 0);
    ck_assert_uint_eq(first->offset, QCOW2_HEADER_AUTOCLEAR);
    ck_assert_int_eq(g_array_index(file->log, FileRecord, 1).kind, FILE_FLUSH);
    image_close(node);
}
END_TEST

START_TEST (snapshots_are_left_alone) {
    ImageOptions options = usual;
    options.blocks = 2;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, 3 * CLUSTER, 1);
    image_close(node);
    image_snapshot(file->bytes);
    guint64 shared = image_entry(file->bytes, CLUSTER) & QCOW2_OFFSET_MASK;
    must_be_consistent(file);
    node = must_open(file, FALSE, NULL);
    must_write(node, CLUSTER + 512, 512, 2);
    ck_assert_int_eq(block_discard(node, 2 * CLUSTER, CLUSTER), 0);
    must_read(node, 0, CLUSTER + 512, 1);
    must_read(node, CLUSTER + 512, 512, 2);
    must_read(node, CLUSTER + 1024, CLUSTER - 1024, 1);
    must_read(node, 2 * CLUSTER, CLUSTER, 0);
    image_close(node);
    ck_assert_uint_eq(file->bytes->data[shared + 512], 1);
    must_be_consistent(file);
}
END_TEST

START_TEST (compressed_clusters) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    for (guint i = 0; i < 8; i++)
        must_write(node, i * CLUSTER, CLUSTER, (guint8)(i + 1));
    image_close(node);
    image_compress(file->bytes, 0, 8);
    must_be_consistent(file);
    node = must_open(file, FALSE, NULL);
    for (guint i = 0; i < 8; i++)
        must_read(node, i * CLUSTER, CLUSTER, (guint8)(i + 1));
    guint64 reads = file->reads;
    for (guint i = 0; i < 16; i++)
        must_read(node, 3 * CLUSTER + i * 4096, 4096, 4);
    ck_assert_uint_le(file->reads, reads + 1); /* unpacked once */
    must_write(node, 3 * CLUSTER + 512, 512, 0xee);
    must_read(node, 3 * CLUSTER, 512, 4);
    must_read(node, 3 * CLUSTER + 512, 512, 0xee);
    must_read(node, 3 * CLUSTER + 1024, CLUSTER - 1024, 4);
    ck_assert_int_eq(block_discard(node, 4 * CLUSTER, CLUSTER), 0);
    must_read(node, 4 * CLUSTER, CLUSTER, 0);
    must_read(node, 5 * CLUSTER, CLUSTER, 6);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

START_TEST (broken_compressed_data_is_an_error) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    guint8 byte;
    must_write(node, 0, 2 * CLUSTER, 1);
    image_close(node);
    image_compress(file->bytes, 0, 1);
    guint64 at = image_entry(file->bytes, 0) & ((1ull << 54) - 1);
    for (guint i = 0; i < 64; i++)
        file->bytes->data[at + i] ^= 0x5a;
    node = must_open(file, FALSE, NULL);
    ck_assert_int_eq(block_pread(node, 0, &byte, 1), -EIO);
    must_read(node, CLUSTER, CLUSTER, 1);
    image_close(node);
}
END_TEST

/* ---- resizing ---- */

START_TEST (resizing) {
    ImageOptions options = usual;
    options.cluster_bits = 9;
    options.size = 64 * 1024;
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 1024 * 1024);
    memset(bytes->data, 0xbb, bytes->len);
    g_autoptr(MemoryFile) below = memory_file_new(bytes);
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, FALSE, &below->node);
    must_write(node, 0, 1024, 1);
    must_read(node, 1024, 63 * 1024, 0xbb);
    ck_assert_int_eq(block_resize(node, 16 * MIB), 0); /* the L1 table moves */
    ck_assert_int_eq(block_resize(node, 16 * MIB + 100), -EINVAL);
    ck_assert_uint_eq(block_length(node), 16 * MIB);
    must_read(node, 64 * 1024, 16 * MIB - 64 * 1024, 0); /* not the backing image's */
    must_write(node, 15 * MIB, MIB, 2);
    ck_assert_int_eq(block_resize(node, 15 * MIB + 512), 0);
    ck_assert_int_eq(block_resize(node, 17 * MIB), 0);
    must_read(node, 15 * MIB, 512, 2);
    must_read(node, 15 * MIB + 512, 2 * MIB - 512, 0);
    image_close(node);
    must_be_consistent(file);
    node = must_open(file, FALSE, &below->node);
    ck_assert_uint_eq(block_length(node), 17 * MIB);
    must_read(node, 1024, 63 * 1024, 0xbb);
    must_read(node, 64 * 1024, 15 * MIB - 64 * 1024, 0);
    ck_assert_int_eq(block_resize(node, G_MAXINT64 / 512 * 512), -EFBIG);
    image_close(node);
}
END_TEST

/* The refcount table moves many times, and its blocks count themselves. */
START_TEST (refcount_table_grows) {
    ImageOptions options = {.version = 3, .cluster_bits = 9, .refcount_order = 6, .size = 12 * MIB};
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&options));
    BlockNode *node = must_open(file, FALSE, NULL);
    for (guint64 at = 0; at < 12 * MIB; at += 64 * 1024)
        must_write(node, at, 64 * 1024, (guint8)(at >> 16));
    image_close(node);
    must_be_consistent(file);
    ck_assert_uint_gt(qcow2_get32(file->bytes->data + QCOW2_HEADER_REFTABLE_CLUSTERS), 4);
    node = must_open(file, TRUE, NULL);
    for (guint64 at = 0; at < 12 * MIB; at += 64 * 1024)
        must_read(node, at, 64 * 1024, (guint8)(at >> 16));
    image_close(node);
}
END_TEST

/* ---- images that lie ---- */

/* Where an L2 entry may point to that is not data. */
START_TEST (metadata_is_not_written_over) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    guint8 byte = 5;
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, CLUSTER, 1);
    image_close(node);
    guint64 entry_at = image_entry_offset(file->bytes, 0);
    const guint64 places[] = {CLUSTER, 2 * CLUSTER, 3 * CLUSTER, entry_at / CLUSTER * CLUSTER};
    qcow2_put64(file->bytes->data + entry_at, places[_i] | QCOW2_COPIED);
    g_autofree guint8 *before = g_malloc(CLUSTER);
    memcpy(before, file->bytes->data + places[_i], CLUSTER);

    node = must_open(file, FALSE, NULL);
    ck_assert_int_eq(block_pread(node, 0, &byte, 1), 0);
    ck_assert_int_eq(block_pwrite(node, 0, &byte, 1), -EIO);
    ck_assert_int_eq(block_pwrite(node, CLUSTER, &byte, 1), -EIO);
    ck_assert_int_eq(block_flush(node), -EIO);
    ck_assert_int_eq(block_discard(node, 0, CLUSTER), -EIO);
    image_close(node);
    ck_assert_int_eq(memcmp(before, file->bytes->data + places[_i], CLUSTER), 0);
    ck_assert_uint_eq(qcow2_get64(file->bytes->data + QCOW2_HEADER_INCOMPATIBLE), QCOW2_CORRUPT);
    ck_assert_ptr_null(image_open(file, FALSE, NULL, NULL, NULL));
}
END_TEST

/* Likewise by freeing it first. */
START_TEST (metadata_is_not_freed) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, CLUSTER, 1);
    image_close(node);
    guint64 entry_at = image_entry_offset(file->bytes, 0);
    const guint64 places[] = {CLUSTER, 2 * CLUSTER, 3 * CLUSTER, entry_at / CLUSTER * CLUSTER};
    qcow2_put64(file->bytes->data + entry_at, places[_i] | QCOW2_COPIED);
    node = must_open(file, FALSE, NULL);
    ck_assert_int_eq(block_discard(node, 0, CLUSTER), -EIO);
    image_close(node);
    ck_assert_uint_eq(qcow2_get64(file->bytes->data + QCOW2_HEADER_INCOMPATIBLE), QCOW2_CORRUPT);
    ck_assert_uint_eq(image_refcount(file->bytes, places[_i] / CLUSTER), 1);
}
END_TEST

/* A refcount of 0 for what is in use is found out by what would be put there. */
START_TEST (metadata_that_is_said_to_be_free) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    guint8 byte = 5;
    image_set_refcount(file->bytes, (guint64)_i, 0);
    BlockNode *node = must_open(file, FALSE, NULL);
    ck_assert_int_eq(block_pwrite(node, 0, &byte, 1), -EIO);
    image_close(node);
    ck_assert_uint_eq(qcow2_get64(file->bytes->data + QCOW2_HEADER_INCOMPATIBLE), QCOW2_CORRUPT);
}
END_TEST

typedef struct BadEntry {
    guint64 entry;
    int read, write;
    gboolean is_corrupt; /* marked as such by writing */
} BadEntry;

static const BadEntry bad_entries[] = {
    {QCOW2_COPIED | 0x50200, -EIO, -EIO, TRUE},           /* not aligned */
    {0x50200, -EIO, -EIO, TRUE},                          /* likewise */
    {QCOW2_COPIED | 0x100000000, -EIO, -EIO, FALSE},      /* behind the end */
    {QCOW2_COPIED | QCOW2_OFFSET_MASK, -EIO, -EIO, TRUE}, /* not aligned, and far */
    {QCOW2_COPIED | 0xffffffffff0000, -EIO, -EIO, FALSE}, /* far */
    {QCOW2_COMPRESSED, -EIO, -EIO, TRUE},                 /* in the header */
    {~0ull, -EIO, -EIO, FALSE},                           /* compressed, far */
    {QCOW2_COMPRESSED | 0x3fffffffffffff, -EIO, -EIO, FALSE},
    {QCOW2_ZERO | 0x50200, -EIO, -EIO, TRUE},
};

START_TEST (bad_entries_of_l2_tables) {
    const BadEntry *bad = &bad_entries[_i];
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    guint8 byte = 0;
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, 3 * CLUSTER, 1);
    image_close(node);
    qcow2_put64(file->bytes->data + image_entry_offset(file->bytes, CLUSTER), bad->entry);
    node = must_open(file, TRUE, NULL);
    ck_assert_int_eq(block_pread(node, CLUSTER, &byte, 1), bad->read);
    must_read(node, 0, CLUSTER, 1);
    must_read(node, 2 * CLUSTER, CLUSTER, 1);
    image_close(node);
    node = must_open(file, FALSE, NULL);
    ck_assert_int_eq(block_pwrite(node, CLUSTER + 100, &byte, 1), bad->write);
    ck_assert_int_eq(block_pwrite(node, 0, &byte, 1), bad->is_corrupt ? -EIO : 0);
    image_close(node);
    ck_assert_uint_eq(qcow2_get64(file->bytes->data + QCOW2_HEADER_INCOMPATIBLE),
                      bad->is_corrupt ? QCOW2_CORRUPT : 0);
}
END_TEST

/* L1 entries and refcount table entries that lead astray are found when the image is opened for writing. */
START_TEST (bad_entries_of_upper_tables) {
    static const struct {
        gboolean is_l1;
        guint64 entry;
        const char *what;
    } rows[] = {
        {TRUE, QCOW2_COPIED | 0x50200, "not aligned"},
        {TRUE, QCOW2_COPIED | 0x7fff0000, "cut off"},
        {TRUE, QCOW2_COPIED | 0x10000, "overlaps"},
        {TRUE, QCOW2_COPIED | 0x20000, "overlaps"},
        {TRUE, QCOW2_COPIED | 0x30000, "overlaps"},
        {FALSE, 0x20200, "not aligned"},
        {FALSE, 0x7fff0000, "cut off"},
        {FALSE, 0x10000, "overlaps"},
        {FALSE, 0x30000, "overlaps"},
        {FALSE, 0xffffffffffff0000, "cut off"},
        {FALSE, QCOW2_COPIED | 0x20000, "cut off"},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    qcow2_put64(file->bytes->data + (rows[_i].is_l1 ? 3 : 1) * CLUSTER, rows[_i].entry);
    ck_assert_ptr_null(image_open(file, FALSE, NULL, NULL, &error));
    ck_assert_msg(strstr(error->message, rows[_i].what) != NULL, "%s", error->message);
}
END_TEST

/* ---- I/O that is still going on while its cluster is freed ---- */

typedef struct Access {
    BlockNode *node;
    gboolean is_write;
    guint64 offset;
    guint8 byte;
} Access;

static gpointer run_access(gpointer data)
{
    const Access *access = data;
    if (access->is_write)
        must_write(access->node, access->offset, 512, access->byte);
    else
        must_read(access->node, access->offset, 512, access->byte);
    return NULL;
}

/* All that is free is taken: would a freed cluster be among it? */
static void fill_others(BlockNode *node, guint64 from, guint8 byte)
{
    ck_assert_int_eq(block_flush(node), 0);
    ck_assert_int_eq(block_flush(node), 0);
    must_write(node, from, 16 * CLUSTER, byte);
    ck_assert_int_eq(block_flush(node), 0);
}

START_TEST (a_cluster_that_is_read_is_not_given_away) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, 2 * CLUSTER, 1);
    image_close(node);
    image_compress(file->bytes, 0, 1);
    guint64 packed = image_entry(file->bytes, 0) & ((1ull << 54) - 1);
    node = must_open(file, FALSE, NULL);
    Access access = {node, FALSE, 512, 1};
    memory_file_close_gate(file, packed);
    GThread *thread = g_thread_new("reader", run_access, &access);
    memory_file_wait_gate(file);
    must_write(node, 0, 512,
               2); /* another place for the rest of it: the compressed data is not needed any more */
    fill_others(node, 4 * CLUSTER, 0xcc);
    memory_file_open_gate(file);
    g_thread_join(thread);
    must_read(node, 0, 512, 2);
    must_read(node, 512, CLUSTER, 1);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

START_TEST (a_cluster_that_is_written_is_not_given_away) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 0, 2 * CLUSTER, 1);
    ck_assert_int_eq(block_flush(node), 0);
    guint64 host = image_entry(file->bytes, 0) & QCOW2_OFFSET_MASK;
    Access access = {node, TRUE, 512, 9};
    memory_file_close_gate(file, host + 512);
    GThread *thread = g_thread_new("writer", run_access, &access);
    memory_file_wait_gate(file);
    ck_assert_int_eq(block_discard(node, 0, CLUSTER), 0);
    fill_others(node, 4 * CLUSTER, 0xcc);
    memory_file_open_gate(file);
    g_thread_join(thread);
    must_read(node, 4 * CLUSTER, 16 * CLUSTER, 0xcc);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

/* Others do not wait for data that is on its way, nor for one who waits for the same cluster. */
START_TEST (nobody_waits_for_data_of_others) {
    g_autoptr(MemoryFile) file = memory_file_new(image_new(&usual));
    BlockNode *node = must_open(file, FALSE, NULL);
    must_write(node, 8 * CLUSTER, CLUSTER, 1);
    ck_assert_int_eq(block_flush(node), 0);
    guint64 next = file->bytes->len / CLUSTER * CLUSTER;
    while (image_refcount(file->bytes, next / CLUSTER - 1) == 0)
        next -= CLUSTER;
    Access first = {node, TRUE, 512, 2}, second = {node, TRUE, 1024, 3};
    memory_file_close_gate(file, next + 512);
    GThread *one = g_thread_new("first", run_access, &first);
    memory_file_wait_gate(file);
    GThread *two = g_thread_new("second", run_access, &second);
    must_read(node, 0, CLUSTER, 0);
    must_read(node, 8 * CLUSTER, CLUSTER, 1);
    must_write(node, 8 * CLUSTER, 512, 4);
    must_write(node, CLUSTER, CLUSTER, 5);
    ck_assert_int_eq(block_discard(node, 8 * CLUSTER, CLUSTER), 0);
    ck_assert_int_eq(block_flush(node), 0);
    memory_file_open_gate(file);
    g_thread_join(one);
    g_thread_join(two);
    must_read(node, 0, 512, 0);
    must_read(node, 512, 512, 2);
    must_read(node, 1024, 512, 3);
    must_read(node, CLUSTER, CLUSTER, 5);
    image_close(node);
    must_be_consistent(file);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("qcow2");
    TCase *c = tcase_create("qcow2");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, bad_headers_are_refused, 0, G_N_ELEMENTS(bad_fields));
    tcase_add_test(c, unknown_features_are_named);
    tcase_add_test(c, backing_names);
    tcase_add_test(c, files_that_are_cut_off);
    tcase_add_test(c, empty_image_reads_as_zeroes);
    tcase_add_test(c, a_mapped_access_is_one_io);
    tcase_add_test(c, new_clusters_cost_no_table_writes);
    tcase_add_test(c, a_small_write_stays_small);
    tcase_add_test(c, copy_on_write_from_a_shorter_backing);
    tcase_add_loop_test(c, discards_leave_what_qemu_leaves, 0, 3);
    tcase_add_test(c, version_2_does_not_discard_over_a_backing_image);
    tcase_add_test(c, zeroes_keep_their_clusters_or_not);
    tcase_add_test(c, freed_clusters_are_used_again);
    tcase_add_test(c, autoclear_features_go_with_the_first_write);
    tcase_add_test(c, snapshots_are_left_alone);
    tcase_add_test(c, compressed_clusters);
    tcase_add_test(c, broken_compressed_data_is_an_error);
    tcase_add_test(c, resizing);
    tcase_add_test(c, refcount_table_grows);
    tcase_add_loop_test(c, metadata_is_not_written_over, 0, 4);
    tcase_add_loop_test(c, metadata_is_not_freed, 0, 4);
    tcase_add_loop_test(c, metadata_that_is_said_to_be_free, 0, 4);
    tcase_add_loop_test(c, bad_entries_of_l2_tables, 0, G_N_ELEMENTS(bad_entries));
    tcase_add_loop_test(c, bad_entries_of_upper_tables, 0, 11);
    tcase_add_test(c, a_cluster_that_is_read_is_not_given_away);
    tcase_add_test(c, a_cluster_that_is_written_is_not_given_away);
    tcase_add_test(c, nobody_waits_for_data_of_others);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
