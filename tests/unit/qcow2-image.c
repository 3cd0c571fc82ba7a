// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/qcow2-image.h"

#include <errno.h>
#include <string.h>

#include "host-vmm/block/qcow2-format.h"

#define DEFAULT_LIMIT (1ull << 30)

/* ---- a file in memory ---- */

static void record(MemoryFile *file, FileKind kind, guint64 offset, const void *bytes, gsize length)
{
    if (file->log == NULL)
        return;
    FileRecord entry = {kind, offset, bytes != NULL ? g_bytes_new(bytes, length) : NULL};
    g_array_append_val(file->log, entry);
}

static void pause_for(MemoryFile *file)
{
    if (file->pause_us > 0)
        g_usleep(file->pause_us);
}

static guint64 file_length(BlockNode *node)
{
    MemoryFile *file = (MemoryFile *)node;
    g_mutex_lock(&file->lock);
    guint64 length = file->bytes->len;
    g_mutex_unlock(&file->lock);
    return length / BLOCK_SECTOR * BLOCK_SECTOR + (length % BLOCK_SECTOR != 0 ? BLOCK_SECTOR : 0);
}

/* With the lock. */
static void pass_gate(MemoryFile *file, guint64 offset)
{
    if (!file->closed || offset != file->gate || file->waiting > 0)
        return;
    file->waiting++;
    g_cond_broadcast(&file->changed);
    while (file->closed)
        g_cond_wait(&file->changed, &file->lock);
    file->waiting--;
}

void memory_file_close_gate(MemoryFile *file, guint64 offset)
{
    g_mutex_lock(&file->lock);
    file->gate = offset;
    file->closed = TRUE;
    g_mutex_unlock(&file->lock);
}

void memory_file_wait_gate(MemoryFile *file)
{
    g_mutex_lock(&file->lock);
    while (file->waiting == 0)
        g_cond_wait(&file->changed, &file->lock);
    g_mutex_unlock(&file->lock);
}

void memory_file_open_gate(MemoryFile *file)
{
    g_mutex_lock(&file->lock);
    file->closed = FALSE;
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
}

static int file_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count)
{
    MemoryFile *file = (MemoryFile *)node;
    pause_for(file);
    g_mutex_lock(&file->lock);
    file->reads++;
    pass_gate(file, offset);
    for (guint i = 0; i < count; i++) {
        gsize there = offset < file->bytes->len ? MIN(segments[i].iov_len, file->bytes->len - offset) : 0;
        if (there > 0)
            memcpy(segments[i].iov_base, file->bytes->data + offset, there);
        memset((guint8 *)segments[i].iov_base + there, 0, segments[i].iov_len - there);
        offset += segments[i].iov_len;
    }
    g_mutex_unlock(&file->lock);
    return 0;
}

/* With the lock. */
static void set_length(MemoryFile *file, guint64 length)
{
    guint before = file->bytes->len;
    g_byte_array_set_size(file->bytes, (guint)length);
    if (length > before)
        memset(file->bytes->data + before, 0, length - before);
}

static int file_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count,
                        guint flags)
{
    MemoryFile *file = (MemoryFile *)node;
    pause_for(file);
    g_mutex_lock(&file->lock);
    gint64 number = (gint64)file->writes++;
    pass_gate(file, offset);
    gboolean fails =
        file->fail_at >= 0 && number >= file->fail_at && number - file->fail_at < file->fail_count;
    for (guint i = 0; i < count && !fails; i++) {
        guint64 end = offset + segments[i].iov_len;
        if (end > file->bytes->len)
            set_length(file, end);
        memcpy(file->bytes->data + offset, segments[i].iov_base, segments[i].iov_len);
        record(file, FILE_WRITE, offset, segments[i].iov_base, segments[i].iov_len);
        offset = end;
    }
    g_mutex_unlock(&file->lock);
    return fails ? file->fail_code : 0;
}

static int file_flush(BlockNode *node)
{
    MemoryFile *file = (MemoryFile *)node;
    pause_for(file);
    g_mutex_lock(&file->lock);
    file->flushes++;
    record(file, FILE_FLUSH, 0, NULL, 0);
    g_mutex_unlock(&file->lock);
    return 0;
}

static int file_resize(BlockNode *node, guint64 length)
{
    MemoryFile *file = (MemoryFile *)node;
    if (length > file->limit)
        return -ENOSPC;
    g_mutex_lock(&file->lock);
    set_length(file, length);
    record(file, FILE_RESIZE, length, NULL, 0);
    g_mutex_unlock(&file->lock);
    return 0;
}

static int file_discard(BlockNode *node, guint64 offset, guint64 length)
{
    MemoryFile *file = (MemoryFile *)node;
    g_mutex_lock(&file->lock);
    file->discards++;
    memset(file->bytes->data + offset, 0, length);
    g_autofree guint8 *zeroes = g_malloc0(length);
    record(file, FILE_WRITE, offset, zeroes, length);
    g_mutex_unlock(&file->lock);
    return 0;
}

static const char *file_filename(BlockNode *node)
{
    return "memory";
}

static const BlockDriver memory_driver = {
    .name = "memory",
    .size = sizeof(MemoryFile),
    .length = file_length,
    .preadv = file_preadv,
    .pwritev = file_pwritev,
    .flush = file_flush,
    .discard = file_discard,
    .resize = file_resize,
    .filename = file_filename,
};

MemoryFile *memory_file_new(GByteArray *bytes)
{
    MemoryFile *file = g_new0(MemoryFile, 1);
    file->node.driver = &memory_driver;
    file->node.unmap = TRUE;
    file->bytes = bytes;
    file->limit = DEFAULT_LIMIT;
    file->fail_at = -1;
    g_mutex_init(&file->lock);
    g_cond_init(&file->changed);
    return file;
}

static void record_clear(gpointer data)
{
    FileRecord *entry = data;
    g_clear_pointer(&entry->bytes, g_bytes_unref);
}

void memory_file_keep_log(MemoryFile *file)
{
    file->log = g_array_new(FALSE, FALSE, sizeof(FileRecord));
    g_array_set_clear_func(file->log, record_clear);
}

void memory_file_free(MemoryFile *file)
{
    g_byte_array_unref(file->bytes);
    g_clear_pointer(&file->log, g_array_unref);
    g_mutex_clear(&file->lock);
    g_cond_clear(&file->changed);
    g_free(file);
}

/* ---- the driver on it ---- */

BlockNode *image_open(MemoryFile *file, gboolean read_only, BlockNode *backing, const Qcow2Options *options,
                      GError **error)
{
    static const Qcow2Options defaults = {.pass_discard = TRUE};
    BlockNode *node = g_malloc0(block_driver_qcow2.size);
    node->driver = &block_driver_qcow2;
    node->read_only = read_only;
    node->unmap = TRUE;
    node->file = &file->node;
    node->backing = backing;
    if (qcow2_start(node, options != NULL ? options : &defaults, error))
        return node;
    g_free(node);
    return NULL;
}

void image_close(BlockNode *node)
{
    node->driver->close(node);
    g_free(node);
}

/* ---- what an image says ---- */

typedef struct Shape {
    guint version, cluster_bits, refcount_order, l1_size, snapshots;
    guint64 cluster_size, l1_offset, reftable_offset, reftable_entries, snapshots_offset, block_entries;
} Shape;

static Shape shape_of(const GByteArray *image)
{
    const guint8 *header = image->data;
    Shape shape = {
        .version = qcow2_get32(header + QCOW2_HEADER_VERSION),
        .cluster_bits = qcow2_get32(header + QCOW2_HEADER_CLUSTER_BITS),
        .refcount_order = 4,
        .l1_size = qcow2_get32(header + QCOW2_HEADER_L1_SIZE),
        .snapshots = qcow2_get32(header + QCOW2_HEADER_SNAPSHOT_COUNT),
        .l1_offset = qcow2_get64(header + QCOW2_HEADER_L1_OFFSET),
        .reftable_offset = qcow2_get64(header + QCOW2_HEADER_REFTABLE_OFFSET),
        .snapshots_offset = qcow2_get64(header + QCOW2_HEADER_SNAPSHOTS_OFFSET),
    };
    if (shape.version >= 3)
        shape.refcount_order = qcow2_get32(header + QCOW2_HEADER_REFCOUNT_ORDER);
    shape.cluster_size = 1ull << shape.cluster_bits;
    shape.reftable_entries =
        ((guint64)qcow2_get32(header + QCOW2_HEADER_REFTABLE_CLUSTERS) << shape.cluster_bits) / 8;
    shape.block_entries = (shape.cluster_size * 8) >> shape.refcount_order;
    return shape;
}

/* Zero behind the end. */
static guint64 get64(const GByteArray *image, guint64 offset)
{
    return offset + 8 <= image->len ? qcow2_get64(image->data + offset) : 0;
}

/* The byte that a refcount begins in; 0: it has no block. */
static guint64 refcount_place(const GByteArray *image, const Shape *shape, guint64 cluster, guint *shift)
{
    guint64 index = cluster / shape->block_entries, in_block = cluster % shape->block_entries;
    guint64 block = index < shape->reftable_entries ? get64(image, shape->reftable_offset + index * 8) : 0;
    guint64 bit = in_block << shape->refcount_order;
    *shift = (guint)(bit % 8);
    return block == 0 ? 0 : block + bit / 8;
}

guint64 image_refcount(const GByteArray *image, guint64 cluster)
{
    Shape shape = shape_of(image);
    guint shift, bits = 1u << shape.refcount_order;
    guint64 place = refcount_place(image, &shape, cluster, &shift), value = 0;
    if (place == 0 || place + (bits + 7) / 8 > image->len)
        return 0;
    if (bits < 8)
        return (image->data[place] >> shift) & ((1u << bits) - 1);
    for (guint i = 0; i < bits / 8; i++)
        value = value << 8 | image->data[place + i];
    return value;
}

void image_set_refcount(GByteArray *image, guint64 cluster, guint64 value)
{
    Shape shape = shape_of(image);
    guint shift, bits = 1u << shape.refcount_order;
    guint64 place = refcount_place(image, &shape, cluster, &shift);
    g_assert_cmpuint(place, !=, 0);
    g_assert_true(bits == 64 || value < 1ull << bits);
    if (bits < 8) {
        guint mask = ((1u << bits) - 1) << shift;
        image->data[place] = (guint8)((image->data[place] & ~mask) | (value << shift));
        return;
    }
    for (guint i = 0; i < bits / 8; i++)
        image->data[place + i] = (guint8)(value >> (bits - 8 * (i + 1)));
}

guint64 image_entry_offset(const GByteArray *image, guint64 guest_offset)
{
    Shape shape = shape_of(image);
    guint64 cluster = guest_offset >> shape.cluster_bits, per_table = shape.cluster_size / 8;
    guint64 table = get64(image, shape.l1_offset + cluster / per_table * 8) & QCOW2_OFFSET_MASK;
    return table == 0 ? 0 : table + cluster % per_table * 8;
}

guint64 image_entry(const GByteArray *image, guint64 guest_offset)
{
    guint64 offset = image_entry_offset(image, guest_offset);
    return offset == 0 ? 0 : get64(image, offset);
}

/* ---- making images ---- */

static void zero_until(GByteArray *image, guint64 length)
{
    guint before = image->len;
    g_byte_array_set_size(image, (guint)length);
    memset(image->data + before, 0, length - before);
}

static void put_strings(GByteArray *image, const ImageOptions *options, guint header_length)
{
    guint8 *at = image->data + header_length;
    if (options->backing == NULL)
        return;
    if (options->backing_format != NULL) {
        guint length = (guint)strlen(options->backing_format);
        qcow2_put32(at, QCOW2_EXTENSION_BACKING_FORMAT);
        qcow2_put32(at + 4, length);
        memcpy(at + 8, options->backing_format, length);
        at += 8 + (length + 7) / 8 * 8;
    }
    at += 8; /* no more extensions */
    memcpy(at, options->backing, strlen(options->backing));
    qcow2_put64(image->data + QCOW2_HEADER_BACKING_OFFSET, (guint64)(at - image->data));
    qcow2_put32(image->data + QCOW2_HEADER_BACKING_LENGTH, (guint32)strlen(options->backing));
}

GByteArray *image_new(const ImageOptions *options)
{
    guint64 cluster_size = 1ull << options->cluster_bits, per_table = cluster_size / 8;
    guint64 blocks = MAX(options->blocks, 1), table_clusters = (blocks + per_table - 1) / per_table;
    guint64 mapped = cluster_size * per_table, l1_size = (options->size + mapped - 1) / mapped;
    guint64 l1_clusters = MAX((l1_size * 8 + cluster_size - 1) / cluster_size, 1);
    guint64 block_at = 1 + table_clusters, l1_at = block_at + blocks, end = l1_at + l1_clusters;
    GByteArray *image = g_byte_array_new();
    zero_until(image, end * cluster_size);
    guint8 *header = image->data;
    qcow2_put32(header, QCOW2_MAGIC);
    qcow2_put32(header + QCOW2_HEADER_VERSION, options->version);
    qcow2_put32(header + QCOW2_HEADER_CLUSTER_BITS, options->cluster_bits);
    qcow2_put64(header + QCOW2_HEADER_SIZE, options->size);
    qcow2_put32(header + QCOW2_HEADER_L1_SIZE, (guint32)l1_size);
    qcow2_put64(header + QCOW2_HEADER_L1_OFFSET, l1_at * cluster_size);
    qcow2_put64(header + QCOW2_HEADER_REFTABLE_OFFSET, cluster_size);
    qcow2_put32(header + QCOW2_HEADER_REFTABLE_CLUSTERS, (guint32)table_clusters);
    if (options->version >= 3) {
        qcow2_put32(header + QCOW2_HEADER_REFCOUNT_ORDER, options->refcount_order);
        qcow2_put32(header + QCOW2_HEADER_LENGTH, QCOW2_HEADER_LENGTH_V3 + 8);
    }
    put_strings(image, options, options->version >= 3 ? QCOW2_HEADER_LENGTH_V3 + 8 : QCOW2_HEADER_LENGTH_V2);
    for (guint64 i = 0; i < blocks; i++)
        qcow2_put64(image->data + cluster_size + i * 8, (block_at + i) * cluster_size);
    for (guint64 i = 0; i < end; i++)
        image_set_refcount(image, i, 1);
    return image;
}

guint64 image_append(GByteArray *image, guint64 clusters)
{
    Shape shape = shape_of(image);
    guint64 first = (image->len + shape.cluster_size - 1) >> shape.cluster_bits;
    while (image_refcount(image, first) != 0)
        first++;
    zero_until(image, (first + clusters) << shape.cluster_bits);
    for (guint64 i = 0; i < clusters; i++)
        image_set_refcount(image, first + i, 1);
    return first;
}

/* The clusters that an entry of an L2 table refers to. */
static guint64 entry_clusters(const Shape *shape, guint64 entry, guint64 *first)
{
    guint64 offset = entry & QCOW2_OFFSET_MASK, length = shape->cluster_size;
    if ((entry & QCOW2_COMPRESSED) != 0) {
        guint shift = 62 - (shape->cluster_bits - 8);
        offset = entry & ((1ull << shift) - 1);
        length = (((entry & ~(QCOW2_COMPRESSED | QCOW2_COPIED)) >> shift) + 1) * 512 - (offset & 511);
    }
    *first = offset >> shape->cluster_bits;
    return offset == 0 ? 0 : ((offset + length - 1) >> shape->cluster_bits) - *first + 1;
}

void image_snapshot(GByteArray *image)
{
    Shape shape = shape_of(image);
    guint64 l1_bytes = (guint64)shape.l1_size * 8;
    guint64 copy = image_append(image, (l1_bytes + shape.cluster_size - 1) >> shape.cluster_bits);
    guint64 table = image_append(image, 1);
    for (guint i = 0; i < shape.l1_size; i++) {
        guint64 entry_at = shape.l1_offset + i * 8, l2 = get64(image, entry_at) & QCOW2_OFFSET_MASK, first;
        qcow2_put64(image->data + entry_at, l2);
        qcow2_put64(image->data + (copy << shape.cluster_bits) + i * 8, l2);
        if (l2 == 0)
            continue;
        image_set_refcount(image, l2 >> shape.cluster_bits,
                           image_refcount(image, l2 >> shape.cluster_bits) + 1);
        for (guint64 at = l2; at < l2 + shape.cluster_size; at += 8) {
            guint64 entry = get64(image, at), count = entry_clusters(&shape, entry, &first);
            qcow2_put64(image->data + at, entry & ~QCOW2_COPIED);
            for (guint64 j = first; j < first + count; j++)
                image_set_refcount(image, j, image_refcount(image, j) + 1);
        }
    }
    guint8 *row = image->data + (table << shape.cluster_bits);
    qcow2_put64(row + QCOW2_SNAPSHOT_L1_OFFSET, copy << shape.cluster_bits);
    qcow2_put32(row + QCOW2_SNAPSHOT_L1_SIZE, shape.l1_size);
    row[QCOW2_SNAPSHOT_ID_LENGTH + 1] = 1;
    row[QCOW2_SNAPSHOT_NAME_LENGTH + 1] = 1;
    qcow2_put32(row + QCOW2_SNAPSHOT_EXTRA_LENGTH, 16);
    memcpy(row + QCOW2_SNAPSHOT_FIXED + 8, image->data + QCOW2_HEADER_SIZE, 8);
    memcpy(row + QCOW2_SNAPSHOT_FIXED + 16, "1s", 2);
    qcow2_put32(image->data + QCOW2_HEADER_SNAPSHOT_COUNT, 1);
    qcow2_put64(image->data + QCOW2_HEADER_SNAPSHOTS_OFFSET, table << shape.cluster_bits);
}

static gsize deflate_raw(const guint8 *from, gsize length, guint8 *to, gsize room)
{
    g_autoptr(GZlibCompressor) stream = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW, 9);
    gsize took, gave;
    GConverterResult result = g_converter_convert(G_CONVERTER(stream), from, length, to, room,
                                                  G_CONVERTER_INPUT_AT_END, &took, &gave, NULL);
    g_assert_cmpint(result, ==, G_CONVERTER_FINISHED);
    return gave;
}

void image_compress(GByteArray *image, guint64 guest_offset, guint64 clusters)
{
    Shape shape = shape_of(image);
    guint shift = 62 - (shape.cluster_bits - 8);
    g_autoptr(GByteArray) packed = g_byte_array_new();
    g_autofree guint8 *room = g_malloc(2 * shape.cluster_size);
    g_autofree guint64 *sizes = g_new(guint64, clusters);
    for (guint64 i = 0; i < clusters; i++) {
        guint64 host = image_entry(image, guest_offset + (i << shape.cluster_bits)) & QCOW2_OFFSET_MASK;
        g_assert_cmpuint(host, !=, 0);
        sizes[i] = deflate_raw(image->data + host, shape.cluster_size, room, 2 * shape.cluster_size);
        g_byte_array_append(packed, room, (guint)sizes[i]);
        image_set_refcount(image, host >> shape.cluster_bits, 0);
    }
    guint64 count = (packed->len + shape.cluster_size - 1) >> shape.cluster_bits;
    guint64 first = image_append(image, count), at = first << shape.cluster_bits;
    memcpy(image->data + at, packed->data, packed->len);
    for (guint64 i = 0; i < count; i++)
        image_set_refcount(image, first + i, 0);
    for (guint64 i = 0; i < clusters; i++) {
        guint64 sectors = ((at & 511) + sizes[i] - 1) >> 9, from;
        guint64 entry = QCOW2_COMPRESSED | sectors << shift | at;
        qcow2_put64(image->data + image_entry_offset(image, guest_offset + (i << shape.cluster_bits)), entry);
        guint64 used = entry_clusters(&shape, entry, &from);
        for (guint64 j = from; j < from + used; j++)
            image_set_refcount(image, j, image_refcount(image, j) + 1);
        at += sizes[i];
    }
}

/* ---- checking ---- */

typedef struct Count {
    const GByteArray *image;
    Shape shape;
    GHashTable *references; /* cluster -> how many */
    char *wrong;
} Count;

static void complain(Count *count, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void complain(Count *count, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (count->wrong == NULL)
        count->wrong = g_strdup_vprintf(format, args);
    va_end(args);
}

static void refer(Count *count, guint64 first, guint64 clusters, const char *what)
{
    guint64 end = (count->image->len + count->shape.cluster_size - 1) >> count->shape.cluster_bits;
    if (first + clusters > end)
        complain(count, "%s at cluster %" G_GUINT64_FORMAT " is behind the end", what, first);
    for (guint64 i = first; i < first + clusters; i++) {
        gpointer key = GSIZE_TO_POINTER(i + 1);
        guint64 before = GPOINTER_TO_SIZE(g_hash_table_lookup(count->references, key));
        g_hash_table_insert(count->references, key, GSIZE_TO_POINTER(before + 1));
    }
}

static void refer_bytes(Count *count, guint64 offset, guint64 length, const char *what)
{
    const Shape *shape = &count->shape;
    if ((offset & (shape->cluster_size - 1)) != 0)
        complain(count, "%s is not aligned", what);
    refer(count, offset >> shape->cluster_bits, (length + shape->cluster_size - 1) >> shape->cluster_bits,
          what);
}

static void check_copied(Count *count, guint64 entry, guint64 cluster, const char *what)
{
    guint64 refcount = image_refcount(count->image, cluster);
    if (((entry & QCOW2_COPIED) != 0) != (refcount == 1))
        complain(count, "%s entry %" G_GINT64_MODIFIER "x has refcount %" G_GUINT64_FORMAT, what, entry,
                 refcount);
}

static void count_l1(Count *count, guint64 offset, guint size, gboolean active)
{
    const Shape *shape = &count->shape;
    if (size == 0)
        return;
    refer_bytes(count, offset, (guint64)size * 8, "L1 table");
    for (guint i = 0; i < size && count->wrong == NULL; i++) {
        guint64 entry = get64(count->image, offset + i * 8), l2 = entry & QCOW2_OFFSET_MASK, first;
        if (l2 == 0)
            continue;
        refer_bytes(count, l2, shape->cluster_size, "L2 table");
        if (active)
            check_copied(count, entry, l2 >> shape->cluster_bits, "L1");
        for (guint64 at = l2; at < l2 + shape->cluster_size; at += 8) {
            guint64 mapping = get64(count->image, at);
            guint64 clusters = entry_clusters(shape, mapping, &first);
            refer(count, first, clusters, "data");
            if (active && clusters > 0 && (mapping & QCOW2_COMPRESSED) == 0)
                check_copied(count, mapping, first, "L2");
        }
    }
}

static void compare(Count *count, guint64 *leaks)
{
    guint64 counted = count->shape.reftable_entries * count->shape.block_entries;
    guint64 found = 0;
    for (guint64 i = 0; i < counted; i++) {
        guint64 index = i / count->shape.block_entries;
        if (get64(count->image, count->shape.reftable_offset + index * 8) == 0) {
            i += count->shape.block_entries - 1;
            continue;
        }
        guint64 refcount = image_refcount(count->image, i);
        guint64 references =
            GPOINTER_TO_SIZE(g_hash_table_lookup(count->references, GSIZE_TO_POINTER(i + 1)));
        if (references > 0)
            found++;
        if (refcount < references)
            complain(count,
                     "cluster %" G_GUINT64_FORMAT " has refcount %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT
                     " references",
                     i, refcount, references);
        if (refcount > references && leaks != NULL)
            (*leaks)++;
    }
    if (found < g_hash_table_size(count->references))
        complain(count, "%" G_GUINT64_FORMAT " clusters in use are not counted",
                 g_hash_table_size(count->references) - found);
}

char *image_check(const GByteArray *image, guint64 *leaks)
{
    Count count = {image, shape_of(image), g_hash_table_new(NULL, NULL), NULL};
    const Shape *shape = &count.shape;
    if (leaks != NULL)
        *leaks = 0;
    refer(&count, 0, 1, "header");
    refer_bytes(&count, shape->reftable_offset, shape->reftable_entries * 8, "refcount table");
    for (guint64 i = 0; i < shape->reftable_entries; i++) {
        guint64 block = get64(image, shape->reftable_offset + i * 8);
        if (block != 0)
            refer_bytes(&count, block, shape->cluster_size, "refcount block");
    }
    count_l1(&count, shape->l1_offset, shape->l1_size, TRUE);
    if (shape->snapshots > 0) {
        const guint8 *row = image->data + shape->snapshots_offset;
        refer_bytes(&count, shape->snapshots_offset, 64, "snapshot table");
        count_l1(&count, qcow2_get64(row + QCOW2_SNAPSHOT_L1_OFFSET),
                 qcow2_get32(row + QCOW2_SNAPSHOT_L1_SIZE), FALSE);
    }
    compare(&count, leaks);
    g_hash_table_unref(count.references);
    return count.wrong;
}
