// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-header: the first cluster of an image, and the tables that it points to. Nothing in it is believed.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

#define MAX_OFFSET     (1ull << 56) /* of anything that a table may refer to */
#define WHOLE_BLOCK    4096ull      /* of direct I/O */
#define MAX_COMPLAINTS 10           /* about one image: a guest may come back to a bad place for ever */

/* What qcow2_read_header() needs only while it runs. */
typedef struct Header {
    guint8 bytes[QCOW2_HEADER_COMPRESSION + 8]; /* zeroes where the image's is shorter */
    guint64 incompatible;
    guint32 length;
    guint64 snapshots_offset;
    guint reftable_clusters;
    char *features[64]; /* names of incompatible ones, from the image */
} Header;

static gboolean fail(Qcow2 *self, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean fail(Qcow2 *self, GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%s' %s", block_filename(&self->node), what);
    return FALSE;
}

static gboolean read_bytes(Qcow2 *self, guint64 offset, void *to, gsize length, const char *what,
                           GError **error)
{
    int result = table_read(self->node.file, offset, to, length);
    return result == 0 || fail(self, error, "cannot be read (%s): %s", what, g_strerror(-result));
}

/* Metadata of whole clusters must be within the file, whose last cluster may be cut short. */
static gboolean check_place(Qcow2 *self, guint64 offset, guint64 length, const char *what, GError **error)
{
    guint64 end = qcow2_clusters(self, block_length(self->node.file)) << self->cluster_bits;
    if (qcow2_in_cluster(self, offset) != 0)
        return fail(self, error,
                    "is corrupt: the offset of its %s (0x%" G_GINT64_MODIFIER "x) is not aligned", what,
                    offset);
    if (offset == 0 || offset >= MAX_OFFSET || offset > end || length > end - offset)
        return fail(self, error,
                    "is corrupt or cut off: its %s is at 0x%" G_GINT64_MODIFIER
                    "x, the file ends at 0x%" G_GINT64_MODIFIER "x",
                    what, offset, end);
    return TRUE;
}

/* ---- the header itself ---- */

static gboolean parse_fixed(Qcow2 *self, Header *header, GError **error)
{
    const guint8 *bytes = header->bytes;
    self->version = qcow2_get32(bytes + QCOW2_HEADER_VERSION);
    self->cluster_bits = qcow2_get32(bytes + QCOW2_HEADER_CLUSTER_BITS);
    self->size = qcow2_get64(bytes + QCOW2_HEADER_SIZE);
    self->l1_size = qcow2_get32(bytes + QCOW2_HEADER_L1_SIZE);
    self->l1_offset = qcow2_get64(bytes + QCOW2_HEADER_L1_OFFSET);
    self->reftable_offset = qcow2_get64(bytes + QCOW2_HEADER_REFTABLE_OFFSET);
    header->reftable_clusters = qcow2_get32(bytes + QCOW2_HEADER_REFTABLE_CLUSTERS);
    self->snapshot_count = qcow2_get32(bytes + QCOW2_HEADER_SNAPSHOT_COUNT);
    header->snapshots_offset = qcow2_get64(bytes + QCOW2_HEADER_SNAPSHOTS_OFFSET);
    header->length = QCOW2_HEADER_LENGTH_V2;
    self->refcount_order = 4;

    if (qcow2_get32(bytes) != QCOW2_MAGIC)
        return fail(self, error, "is not a qcow2 image");
    if (self->version != 2 && self->version != 3)
        return fail(self, error, "is a qcow2 image of version %u; 2 and 3 are known", self->version);
    if (self->cluster_bits < QCOW2_MIN_CLUSTER_BITS || self->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
        return fail(self, error, "has clusters of 2^%u bytes; 2^%d to 2^%d are supported", self->cluster_bits,
                    QCOW2_MIN_CLUSTER_BITS, QCOW2_MAX_CLUSTER_BITS);
    self->cluster_size = 1ull << self->cluster_bits;
    self->l2_bits = self->cluster_bits - 3;
    if (qcow2_get32(bytes + QCOW2_HEADER_CRYPT) != 0)
        return fail(self, error, "is encrypted, which is not supported");
    if (self->version == 2)
        return TRUE;

    header->length = qcow2_get32(bytes + QCOW2_HEADER_LENGTH);
    self->refcount_order = qcow2_get32(bytes + QCOW2_HEADER_REFCOUNT_ORDER);
    header->incompatible = qcow2_get64(bytes + QCOW2_HEADER_INCOMPATIBLE);
    self->header_autoclear = qcow2_get64(bytes + QCOW2_HEADER_AUTOCLEAR);
    if (header->length < QCOW2_HEADER_LENGTH_V3 || header->length % 8 != 0 ||
        header->length > self->cluster_size)
        return fail(self, error, "is corrupt: its header has %u bytes", header->length);
    if (self->refcount_order > QCOW2_MAX_REFCOUNT_ORDER)
        return fail(self, error, "has refcounts of 2^%u bits; at most 64 bits are known",
                    self->refcount_order);
    if (header->length > QCOW2_HEADER_COMPRESSION)
        self->compression = bytes[QCOW2_HEADER_COMPRESSION];
    return TRUE;
}

static void parse_features(Header *header, const guint8 *data, guint32 length)
{
    for (; length >= QCOW2_FEATURE_ROW; data += QCOW2_FEATURE_ROW, length -= QCOW2_FEATURE_ROW) {
        if (data[0] != 0 || data[1] >= G_N_ELEMENTS(header->features) || header->features[data[1]] != NULL)
            continue;
        g_autofree char *name = g_strndup((const char *)data + 2, QCOW2_FEATURE_NAME);
        g_autofree char *valid = g_utf8_make_valid(name, -1);
        header->features[data[1]] = g_strescape(valid, NULL);
    }
}

static gboolean parse_extensions(Qcow2 *self, Header *header, const guint8 *cluster, guint32 end,
                                 GError **error)
{
    for (guint32 at = header->length; end - at >= 8;) {
        guint32 type = qcow2_get32(cluster + at), length = qcow2_get32(cluster + at + 4);
        at += 8;
        if (type == QCOW2_EXTENSION_END)
            break;
        if (length > end - at)
            return fail(self, error, "is corrupt: header extension 0x%08x goes beyond its end", type);
        if (type == QCOW2_EXTENSION_BACKING_FORMAT && self->backing_format == NULL)
            self->backing_format = g_strndup((const char *)cluster + at, length);
        else if (type == QCOW2_EXTENSION_FEATURES)
            parse_features(header, cluster + at, length);
        guint32 padded = MIN((length + 7) & ~7u, end - at);
        at += padded;
    }
    return TRUE;
}

static gboolean parse_backing(Qcow2 *self, const guint8 *cluster, guint64 offset, guint32 length,
                              GError **error)
{
    if (offset == 0)
        return TRUE;
    if (length > QCOW2_MAX_BACKING_NAME || offset > self->cluster_size ||
        length > self->cluster_size - offset)
        return fail(self, error, "is corrupt: the name of its backing file is not in its first cluster");
    if (length == 0)
        return TRUE;
    self->backing_name = g_strndup((const char *)cluster + offset, length);
    if (strlen(self->backing_name) != length || !g_utf8_validate(self->backing_name, -1, NULL))
        return fail(self, error, "is corrupt: the name of its backing file is not text");
    return TRUE;
}

static gboolean check_features(Qcow2 *self, Header *header, GError **error)
{
    const guint64 known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION_TYPE;
    const char *name = block_filename(&self->node);
    guint64 unknown = header->incompatible & ~known;
    if ((unknown & QCOW2_DATA_FILE) != 0)
        return fail(self, error, "keeps its data in an external data file, which is not supported");
    if ((unknown & QCOW2_EXTENDED_L2) != 0)
        return fail(self, error, "has extended L2 entries (subclusters), which are not supported");
    if (unknown != 0) {
        g_autoptr(GString) names = g_string_new(NULL);
        for (guint bit = 0; bit < G_N_ELEMENTS(header->features); bit++) {
            if ((unknown >> bit & 1) == 0)
                continue;
            g_string_append(names, names->len > 0 ? ", " : "");
            if (header->features[bit] != NULL)
                g_string_append_printf(names, "'%s'", header->features[bit]);
            else
                g_string_append_printf(names, "bit %u without a name", bit);
        }
        return fail(self, error, "has features that are not known here: %s", names->str);
    }
    if (((header->incompatible & QCOW2_COMPRESSION_TYPE) != 0) != (self->compression != 0))
        return fail(self, error, "is corrupt: its compression type %u does not go with its features",
                    self->compression);
    if (!qcow2_can_unpack(self->compression))
        return fail(self, error, "is compressed by method %u%s, which is not supported%s", self->compression,
                    self->compression == QCOW2_COMPRESSION_ZSTD ? " (zstd)" : "",
                    self->compression == QCOW2_COMPRESSION_ZSTD ? " by this build" : "");
    if (self->node.read_only)
        return TRUE;
    if ((header->incompatible & QCOW2_CORRUPT) != 0)
        return fail(
            self, error,
            "is marked as corrupt; it can be repaired by 'qemu-img check -r all %s', or opened read-only",
            name);
    if ((header->incompatible & QCOW2_DIRTY) != 0)
        return fail(
            self, error,
            "is dirty: whoever used it last did not close it, and its refcounts may be wrong; it can be "
            "repaired by 'qemu-img check -r all %s', or opened read-only",
            name);
    return TRUE;
}

static gboolean parse_variable(Qcow2 *self, Header *header, GError **error)
{
    guint64 backing_offset = qcow2_get64(header->bytes + QCOW2_HEADER_BACKING_OFFSET);
    guint32 backing_length = qcow2_get32(header->bytes + QCOW2_HEADER_BACKING_LENGTH);
    g_autofree guint8 *cluster = g_malloc(self->cluster_size);
    guint64 end = self->cluster_size;
    if (!read_bytes(self, 0, cluster, self->cluster_size, "header", error))
        return FALSE;
    if (backing_offset > header->length && backing_offset < end)
        end = backing_offset;
    return parse_extensions(self, header, cluster, (guint32)end, error) &&
           check_features(self, header, error) &&
           parse_backing(self, cluster, backing_offset, backing_length, error);
}

/* ---- the tables ---- */

static gboolean read_table(Qcow2 *self, guint64 offset, guint64 *table, guint entries, const char *what,
                           GError **error)
{
    if (!read_bytes(self, offset, table, entries * sizeof(guint64), what, error))
        return FALSE;
    for (guint i = 0; i < entries; i++)
        table[i] = GUINT64_FROM_BE(table[i]);
    return TRUE;
}

static gboolean read_l1(Qcow2 *self, GError **error)
{
    guint64 covers = self->l2_bits + self->cluster_bits; /* bits of what one L2 table maps */
    guint64 size = self->size;
    guint64 needed = (size >> covers) + ((size & ((1ull << covers) - 1)) != 0);
    if (self->l1_size > QCOW2_MAX_L1_BYTES / sizeof(guint64))
        return fail(self, error, "has an L1 table of %u entries, which is too large", self->l1_size);
    if (size > G_MAXINT64 - self->cluster_size || needed > self->l1_size)
        return fail(self, error,
                    "is corrupt: a disk of %" G_GUINT64_FORMAT
                    " bytes does not fit into its L1 table of %u entries",
                    size, self->l1_size);
    self->l1 = g_new0(guint64, MAX(self->l1_size, 1));
    if (self->l1_size == 0)
        return TRUE;
    return check_place(self, self->l1_offset, self->l1_size * sizeof(guint64), "L1 table", error) &&
           read_table(self, self->l1_offset, self->l1, self->l1_size, "L1 table", error);
}

static gboolean read_reftable(Qcow2 *self, guint clusters, GError **error)
{
    if (clusters == 0 || clusters > QCOW2_MAX_REFTABLE_BYTES >> self->cluster_bits)
        return fail(self, error, "is corrupt: its refcount table has %u clusters", clusters);
    guint64 bytes = (guint64)clusters << self->cluster_bits;
    self->reftable_entries = (guint)(bytes / sizeof(guint64));
    if (!check_place(self, self->reftable_offset, bytes, "refcount table", error))
        return FALSE;
    self->reftable = g_malloc(bytes);
    return read_table(self, self->reftable_offset, self->reftable, self->reftable_entries, "refcount table",
                      error);
}

static gboolean guard_region(Qcow2 *self, guint64 offset, guint64 length, const char *what, GError **error)
{
    return qcow2_guard_region(self, offset, length, what) ||
           fail(self, error, "is corrupt: its %s overlaps other metadata", what);
}

static gboolean guard_tables(Qcow2 *self, const guint64 *table, guint entries, guint64 mask, const char *what,
                             GError **error)
{
    for (guint i = 0; i < entries; i++) {
        guint64 offset = table[i] & mask;
        if (offset == 0)
            continue;
        if (!check_place(self, offset, self->cluster_size, what, error))
            return FALSE;
        if (!qcow2_guard_table(self, offset))
            return fail(self, error,
                        "is corrupt: its %s at 0x%" G_GINT64_MODIFIER "x overlaps other metadata", what,
                        offset);
    }
    return TRUE;
}

/* The rows of the snapshot table, for the L1 tables that they refer to. */
static gboolean guard_snapshots(Qcow2 *self, guint64 offset, GError **error)
{
    guint64 at = offset;
    guint64 longest = QCOW2_MAX_SNAPSHOT_TABLE;
    if (self->snapshot_count == 0)
        return TRUE;
    if (self->snapshot_count > QCOW2_MAX_SNAPSHOTS)
        return fail(self, error, "has %u snapshots, which are too many", self->snapshot_count);
    if (!check_place(self, offset, QCOW2_SNAPSHOT_FIXED, "snapshot table", error))
        return FALSE;
    for (guint i = 0; i < self->snapshot_count; i++) {
        guint8 row[QCOW2_SNAPSHOT_FIXED];
        if (!read_bytes(self, at, row, sizeof row, "snapshot table", error))
            return FALSE;
        guint64 length = (guint64)QCOW2_SNAPSHOT_FIXED + qcow2_get32(row + QCOW2_SNAPSHOT_EXTRA_LENGTH) +
                         qcow2_get16(row + QCOW2_SNAPSHOT_ID_LENGTH) +
                         qcow2_get16(row + QCOW2_SNAPSHOT_NAME_LENGTH);
        guint64 l1_offset = qcow2_get64(row + QCOW2_SNAPSHOT_L1_OFFSET);
        guint32 l1_size = qcow2_get32(row + QCOW2_SNAPSHOT_L1_SIZE);
        at += (length + 7) & ~7ull;
        if (at - offset > longest)
            return fail(self, error, "has a snapshot table that is too large");
        if (l1_size > QCOW2_MAX_L1_BYTES / sizeof(guint64))
            return fail(self, error, "is corrupt: a snapshot has an L1 table of %u entries", l1_size);
        guint64 bytes = l1_size * sizeof(guint64);
        if (bytes > 0 && (!check_place(self, l1_offset, bytes, "snapshot's L1 table", error) ||
                          !guard_region(self, l1_offset, bytes, "snapshot's L1 table", error)))
            return FALSE;
    }
    return guard_region(self, offset, at - offset, "snapshot table", error);
}

/* Only a writer needs to know what it must not write to. */
static gboolean read_for_writing(Qcow2 *self, const Header *header, GError **error)
{
    guint64 reftable_bytes = (guint64)header->reftable_clusters << self->cluster_bits;
    return read_reftable(self, header->reftable_clusters, error) &&
           guard_region(self, 0, self->cluster_size, "header", error) &&
           guard_region(self, self->l1_offset, self->l1_size * sizeof(guint64), "L1 table", error) &&
           guard_region(self, self->reftable_offset, reftable_bytes, "refcount table", error) &&
           guard_snapshots(self, header->snapshots_offset, error) &&
           guard_tables(self, self->reftable, self->reftable_entries, QCOW2_REFTABLE_MASK, "refcount block",
                        error) &&
           guard_tables(self, self->l1, self->l1_size, QCOW2_OFFSET_MASK, "L2 table", error);
}

gboolean qcow2_read_header(Qcow2 *self, GError **error)
{
    Header header = {.snapshots_offset = 0};
    gboolean good = read_bytes(self, 0, header.bytes, sizeof header.bytes, "header", error) &&
                    parse_fixed(self, &header, error) && parse_variable(self, &header, error) &&
                    read_l1(self, error) && (self->node.read_only || read_for_writing(self, &header, error));
    self->incompatible = header.incompatible;
    for (guint i = 0; i < G_N_ELEMENTS(header.features); i++)
        g_free(header.features[i]);
    return good;
}

/* ---- writing ---- */

int qcow2_write_header(Qcow2 *self, guint64 at, const void *bytes, gsize length)
{
    int result = block_pwrite(self->node.file, at, bytes, length);
    return result < 0 ? result : block_flush(self->node.file);
}

int qcow2_give_up(Qcow2 *self, int result)
{
    g_atomic_int_set(&self->broken, TRUE);
    g_warning("disk image '%s' is not written to any more, since writing its header failed: %s",
              block_filename(&self->node), g_strerror(-result));
    return result;
}

/* A last cluster that is cut short becomes whole, so that it can be written to. */
static int complete_file(Qcow2 *self)
{
    guint64 unit = MAX(self->cluster_size, WHOLE_BLOCK);
    guint64 end = (self->file_end + unit - 1) & ~(unit - 1);
    int result = end > self->file_end ? block_resize(self->node.file, end) : 0;
    self->file_end = block_length(self->node.file);
    return result == -ENOTSUP ? 0 : result;
}

int qcow2_prepare(Qcow2 *self)
{
    if (g_atomic_int_get(&self->prepared))
        return 0;
    int result = complete_file(self);
    if (result == 0 && self->header_autoclear != 0) {
        guint8 none[8] = {0};
        result = qcow2_write_header(self, QCOW2_HEADER_AUTOCLEAR, none, sizeof none);
        if (result == 0)
            g_info(
                "'%s': bitmaps and other data about the disk's contents are dropped, since it is written to",
                block_filename(&self->node));
    }
    if (result == 0)
        g_atomic_int_set(&self->prepared, TRUE);
    return result;
}

int qcow2_bad(Qcow2 *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    if (g_atomic_int_add(&self->complaints, 1) < MAX_COMPLAINTS)
        g_warning("disk image '%s' cannot be read: %s", block_filename(&self->node), what);
    return -EIO;
}

int qcow2_corrupt(Qcow2 *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    if (self->node.read_only)
        return qcow2_bad(self, "it is corrupt: %s", what);
    if (!g_atomic_int_compare_and_exchange(&self->broken, FALSE, TRUE))
        return -EIO;
    g_warning("disk image '%s' is corrupt, and is not written to any more: %s", block_filename(&self->node),
              what);
    if (self->version >= 3) {
        guint8 bytes[8];
        qcow2_put64(bytes, self->incompatible | QCOW2_CORRUPT);
        int result = qcow2_write_header(self, QCOW2_HEADER_INCOMPATIBLE, bytes, sizeof bytes);
        if (result < 0)
            g_warning("disk image '%s' could not be marked as corrupt: %s", block_filename(&self->node),
                      g_strerror(-result));
    }
    return -EIO;
}
