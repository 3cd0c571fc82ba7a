// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Thousands of images with something wrong in their metadata, and a guest on each of them: under a sanitizer,
 * no wrong access; without one, no crash and no endless work.
 */
#include <check.h>
#include <string.h>

#include "host-vmm/block/qcow2-format.h"
#include "tests/check-run.h"
#include "tests/unit/qcow2-play.h"

#define IMAGES 400u /* for each shape */

typedef struct Shape {
    ImageOptions image;
    gboolean snapshot, compressed;
} Shape;

static const Shape shapes[] = {
    {{3, 9, 4, 64 << 10}, FALSE, FALSE},   {{3, 9, 4, 64 << 10, 4, "base", "raw"}, TRUE, TRUE},
    {{3, 9, 6, 64 << 10, 8}, TRUE, FALSE}, {{3, 10, 1, 96 << 10, 2}, FALSE, TRUE},
    {{2, 9, 4, 64 << 10, 4}, TRUE, TRUE},  {{3, 16, 4, 1 << 20}, TRUE, FALSE},
};

static GByteArray *make_image(const Shape *shape)
{
    GByteArray *bytes = image_new(&shape->image);
    MemoryFile *file = memory_file_new(bytes);
    BlockNode *node = image_open(file, FALSE, NULL, NULL, NULL);
    guint64 cluster = 1ull << shape->image.cluster_bits;
    g_autofree guint8 *data = g_malloc(cluster);
    ck_assert_ptr_nonnull(node);
    for (guint64 at = 0; at < shape->image.size; at += 3 * cluster) {
        memset(data, (int)(at >> 9), cluster);
        ck_assert_int_eq(block_pwrite(node, at, data, cluster), 0);
    }
    image_close(node);
    for (guint64 at = 0; at < shape->image.size && shape->compressed; at += 6 * cluster)
        image_compress(bytes, at, 1);
    if (shape->snapshot)
        image_snapshot(bytes);
    g_byte_array_ref(bytes);
    memory_file_free(file);
    return bytes;
}

/* A number that is near something. */
static guint64 interesting(GRand *random, const GByteArray *image, guint64 cluster)
{
    guint64 place = (guint64)g_rand_int(random) % (image->len / 256) * 256;
    switch (g_rand_int_range(random, 0, 10)) {
    case 0:
        return 0;
    case 1:
        return G_MAXUINT64 >> g_rand_int_range(random, 0, 64);
    case 2:
        return 1ull << g_rand_int_range(random, 0, 64);
    case 3:
        return image->len / cluster * cluster - cluster * (guint64)g_rand_int_range(random, 0, 3) + cluster;
    case 4:
        return place | (guint64)g_rand_int_range(random, 0, 8) << 61;
    default:
        return place / cluster * cluster | (g_rand_boolean(random) ? QCOW2_COPIED : 0);
    }
}

/* Where a table is: its first entry or any other. */
static guint64 some_entry(GRand *random, const GByteArray *image, guint64 cluster)
{
    const guint8 *header = image->data;
    guint64 index = (guint64)g_rand_int_range(random, 0, 16) * 8;
    guint64 l1 = qcow2_get64(header + QCOW2_HEADER_L1_OFFSET), l2 = image_entry_offset(image, 0);
    guint64 reftable = qcow2_get64(header + QCOW2_HEADER_REFTABLE_OFFSET);
    guint64 block = reftable + 8 <= image->len ? qcow2_get64(header + reftable) : 0;
    guint64 places[] = {l1, l2, l2, l2, reftable, block, qcow2_get64(header + QCOW2_HEADER_SNAPSHOTS_OFFSET)};
    guint64 at = places[g_rand_int_range(random, 0, G_N_ELEMENTS(places))];
    return at + (g_rand_boolean(random) ? 0 : index % cluster);
}

static void spoil(GRand *random, GByteArray *image, const GByteArray *good, guint64 cluster)
{
    static const guint fields[][2] = {
        {QCOW2_HEADER_BACKING_OFFSET, 8},  {QCOW2_HEADER_BACKING_LENGTH, 4},
        {QCOW2_HEADER_CLUSTER_BITS, 4},    {QCOW2_HEADER_SIZE, 8},
        {QCOW2_HEADER_L1_SIZE, 4},         {QCOW2_HEADER_L1_OFFSET, 8},
        {QCOW2_HEADER_REFTABLE_OFFSET, 8}, {QCOW2_HEADER_REFTABLE_CLUSTERS, 4},
        {QCOW2_HEADER_SNAPSHOT_COUNT, 4},  {QCOW2_HEADER_SNAPSHOTS_OFFSET, 8},
        {QCOW2_HEADER_AUTOCLEAR, 8},       {QCOW2_HEADER_REFCOUNT_ORDER, 4},
        {QCOW2_HEADER_LENGTH, 4},          {QCOW2_HEADER_LENGTH_V3 + 8, 8},
    };
    int kind = g_rand_int_range(random, 0, 10);
    guint64 value = interesting(random, image, cluster);
    if (kind < 2) {
        const guint *field = fields[g_rand_int_range(random, 0, G_N_ELEMENTS(fields))];
        if (g_rand_boolean(random))
            value = (guint64)g_rand_int_range(random, 0, 32);
        if (field[1] == 8)
            qcow2_put64(image->data + field[0], value);
        else
            qcow2_put32(image->data + field[0], (guint32)value);
    } else if (kind < 8) {
        guint64 at = some_entry(random, good, cluster);
        if (at < image->len && image->len - at >= 8)
            qcow2_put64(image->data + at, value);
    } else if (kind < 9) {
        guint64 at = some_entry(random, good, cluster) + (guint64)g_rand_int_range(random, 0, 8);
        if (at < image->len)
            image->data[at] ^= (guint8)(1 << g_rand_int_range(random, 0, 8));
    } else if (image->len > 2048) {
        g_byte_array_set_size(image, (guint)g_rand_int_range(random, 1024, (gint32)image->len));
    }
}

START_TEST (spoilt_images) {
    g_autoptr(GByteArray) good = make_image(&shapes[_i]);
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)_i + 1);
    g_autofree char *wrong = image_check(good, NULL);
    guint opened = 0;
    ck_assert_msg(wrong == NULL, "%s", wrong);
    for (guint i = 0; i < IMAGES; i++) {
        g_autoptr(GByteArray) image = g_byte_array_new();
        g_byte_array_append(image, good->data, good->len);
        for (int count = g_rand_int_range(random, 1, 4); count > 0; count--)
            spoil(random, image, good, 1ull << shapes[_i].image.cluster_bits);
        opened += qcow2_play(image->data, image->len, i);
    }
    ck_assert_uint_gt(opened, IMAGES / 4); /* else nothing was tried */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("qcow2_hostile");
    TCase *c = tcase_create("hostile");
    tcase_set_timeout(c, 180);
    tcase_add_loop_test(c, spoilt_images, 0, G_N_ELEMENTS(shapes));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
