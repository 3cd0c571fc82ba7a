// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is left of an image when the monitor or the host dies at any moment: all that the driver wrote to the
 * file is kept in order, and the file is looked at after each of it. After a kill all that was written is
 * there; after a power failure what was flushed, and of the rest any part.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check-run.h"
#include "tests/unit/qcow2-image.h"

#define SECTOR     512u
#define OPERATIONS 150u
#define LOOKS      400u /* about as many, over the log */

typedef struct Shape {
    const char *name;
    ImageOptions image;
    gboolean backing, snapshot, compressed;
    Qcow2Options options;
} Shape;

#define KIB 1024ull

static const Shape shapes[] = {
    {"4 KiB clusters", {3, 12, 4, 512 * KIB}, FALSE, FALSE, FALSE, {0, 0, TRUE}},
    {"512-byte clusters", {3, 9, 4, 256 * KIB}, FALSE, FALSE, FALSE, {0, 0, TRUE}},
    {"512-byte clusters, 64-bit refcounts, smallest caches",
     {3, 9, 6, 256 * KIB},
     TRUE,
     FALSE,
     FALSE,
     {1, 1, TRUE}},
    {"one-bit refcounts, over a backing image", {3, 11, 0, 512 * KIB}, TRUE, FALSE, FALSE, {1, 1, TRUE}},
    {"a snapshot", {3, 11, 4, 512 * KIB, 4}, FALSE, TRUE, FALSE, {0, 0, TRUE}},
    {"a snapshot, compressed clusters, a backing image",
     {3, 11, 3, 512 * KIB, 4},
     TRUE,
     TRUE,
     TRUE,
     {1, 1, TRUE}},
    {"version 2", {2, 12, 4, 512 * KIB, 4}, TRUE, TRUE, TRUE, {0, 0, FALSE}},
    {"64 KiB clusters", {3, 16, 4, 2048 * KIB}, TRUE, FALSE, FALSE, {0, 0, TRUE}},
};

/* Each sector holds one byte 512 times: its operation's. */
typedef struct Action {
    guint64 first, count; /* sectors */
    guint8 byte;
    gboolean maybe;    /* a discard: the sectors may stay as they are */
    guint begin, done; /* places in the log */
} Action;

typedef struct World {
    const Shape *shape;
    GRand *random;
    guint64 sectors;
    MemoryFile *file, *below;
    GByteArray *before;
    guint8 *initial; /* a byte for each sector */
    GArray *actions; /* of Action */
    GArray *flushes; /* of guint pairs: place in the log when it was done, actions that were done before it */
} World;

static MemoryFile *make_backing(guint64 sectors, guint8 *initial)
{
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, (guint)(sectors * 2 / 3 * SECTOR));
    memset(bytes->data, 0xbb, bytes->len);
    memset(initial, 0xbb, bytes->len / SECTOR);
    return memory_file_new(bytes);
}

static BlockNode *open_world(World *world, MemoryFile *file, gboolean read_only)
{
    g_autoptr(GError) error = NULL;
    BlockNode *node = image_open(file, read_only, world->below != NULL ? &world->below->node : NULL,
                                 &world->shape->options, &error);
    ck_assert_msg(node != NULL, "%s", error != NULL ? error->message : "");
    return node;
}

static void prepare(World *world)
{
    guint64 cluster = 1ull << world->shape->image.cluster_bits;
    guint8 data[4 << 10];
    BlockNode *node = open_world(world, world->file, FALSE);
    for (guint64 at = 0; at < world->sectors * SECTOR; at += MAX(sizeof data, cluster)) {
        guint8 byte = (guint8)(at / sizeof data % 7 + 0xe0);
        if (g_rand_int_range(world->random, 0, 3) != 0)
            continue;
        memset(data, byte, sizeof data);
        for (guint64 part = 0; part < MAX(sizeof data, cluster); part += sizeof data)
            ck_assert_int_eq(block_pwrite(node, at + part, data, sizeof data), 0);
        memset(world->initial + at / SECTOR, byte, MAX(sizeof data, cluster) / SECTOR);
    }
    image_close(node);
    for (guint64 at = 0; at < world->sectors * SECTOR && world->shape->compressed; at += cluster) {
        if ((image_entry(world->file->bytes, at) >> 62) == 2 && g_rand_boolean(world->random))
            image_compress(world->file->bytes, at, 1);
    }
    if (world->shape->snapshot)
        image_snapshot(world->file->bytes);
    g_byte_array_append(world->before, world->file->bytes->data, world->file->bytes->len);
}

static void do_action(World *world, BlockNode *node, guint number)
{
    guint64 most = MAX(8ull, 3ull << (world->shape->image.cluster_bits - 9));
    Action action = {.byte = (guint8)(number % 0xbb), .begin = world->file->log->len};
    action.first = (guint64)g_rand_int_range(world->random, 0, (gint32)world->sectors);
    action.count = (guint64)g_rand_int_range(world->random, 1, (gint32)most);
    action.count = MIN(action.count, world->sectors - action.first);
    int result, chance = g_rand_int_range(world->random, 0, 10);
    if (chance < 6) {
        g_autofree guint8 *data = g_malloc(action.count * SECTOR);
        memset(data, action.byte, action.count * SECTOR);
        result = block_pwrite(node, action.first * SECTOR, data, action.count * SECTOR);
    } else if (chance < 8) {
        action.byte = 0;
        result = block_write_zeroes(node, action.first * SECTOR, action.count * SECTOR,
                                    chance == 6 ? BLOCK_MAY_UNMAP : 0);
    } else {
        action.byte = 0;
        action.maybe = TRUE;
        result = block_discard(node, action.first * SECTOR, action.count * SECTOR);
    }
    ck_assert_int_eq(result, 0);
    action.done = world->file->log->len;
    g_array_append_val(world->actions, action);
}

static void run(World *world, const Shape *shape, guint32 seed)
{
    *world = (World){.shape = shape,
                     .random = g_rand_new_with_seed(seed),
                     .sectors = shape->image.size / SECTOR,
                     .before = g_byte_array_new(),
                     .actions = g_array_new(FALSE, FALSE, sizeof(Action)),
                     .flushes = g_array_new(FALSE, FALSE, 2 * sizeof(guint))};
    world->initial = g_malloc0(world->sectors);
    if (shape->backing)
        world->below = make_backing(world->sectors, world->initial);
    world->file = memory_file_new(image_new(&shape->image));
    prepare(world);
    memory_file_keep_log(world->file);
    BlockNode *node = open_world(world, world->file, FALSE);
    for (guint i = 0; i < OPERATIONS; i++) {
        do_action(world, node, i + 1);
        if (i == OPERATIONS / 2) {
            image_close(node);
            guint mark[2] = {world->file->log->len, world->actions->len};
            g_array_append_val(world->flushes, mark);
            node = open_world(world, world->file, FALSE);
        } else if (g_rand_int_range(world->random, 0, 12) == 0) {
            ck_assert_int_eq(block_flush(node), 0);
            guint mark[2] = {world->file->log->len, world->actions->len};
            g_array_append_val(world->flushes, mark);
        }
    }
    image_close(node);
}

static void clean(World *world)
{
    g_rand_free(world->random);
    memory_file_free(world->file);
    g_clear_pointer(&world->below, memory_file_free);
    g_byte_array_unref(world->before);
    g_array_unref(world->actions);
    g_array_unref(world->flushes);
    g_free(world->initial);
}

/* ---- looking at what is left ---- */

static void apply_bytes(GByteArray *image, guint64 offset, const guint8 *data, gsize length)
{
    if (offset + length > image->len) {
        guint before = image->len;
        g_byte_array_set_size(image, (guint)(offset + length));
        memset(image->data + before, 0, offset + length - before);
    }
    memcpy(image->data + offset, data, length);
}

/* All of it, or (random) the sectors that happen to have made it. */
static void apply(GByteArray *image, const FileRecord *entry, GRand *random)
{
    if (entry->kind == FILE_RESIZE) {
        guint before = image->len;
        g_byte_array_set_size(image, (guint)entry->offset);
        if (entry->offset > before)
            memset(image->data + before, 0, entry->offset - before);
        return;
    }
    if (entry->kind != FILE_WRITE)
        return;
    gsize length;
    const guint8 *data = g_bytes_get_data(entry->bytes, &length);
    int luck = random != NULL ? g_rand_int_range(random, 0, 3) : 2;
    if (luck == 0)
        return;
    if (luck == 2) {
        apply_bytes(image, entry->offset, data, length);
        return;
    }
    for (gsize done = 0; done < length;) {
        gsize step = MIN(SECTOR - (entry->offset + done) % SECTOR, length - done);
        if (g_rand_boolean(random))
            apply_bytes(image, entry->offset + done, data + done, step);
        done += step;
    }
}

/* What is known when the log ends at some place. */
typedef struct Known {
    guint8 *byte;         /* what each sector held at the last flush, */
    gboolean *maybe_zero; /* if no discard has made it zeroes */
    guint pending, end;   /* the actions that came after it */
} Known;

static Known known_at(World *world, guint place)
{
    Known known = {.byte = g_malloc(world->sectors), .maybe_zero = g_new0(gboolean, world->sectors)};
    memcpy(known.byte, world->initial, world->sectors);
    for (guint i = 0; i < world->flushes->len; i++) {
        const guint *mark = (const guint *)(gpointer)(world->flushes->data + i * 2 * sizeof(guint));
        if (mark[0] <= place)
            known.pending = mark[1];
    }
    for (guint i = 0; i < known.pending; i++) {
        const Action *action = &g_array_index(world->actions, Action, i);
        for (guint64 j = action->first; j < action->first + action->count; j++) {
            known.maybe_zero[j] = action->maybe;
            if (!action->maybe)
                known.byte[j] = action->byte;
        }
    }
    for (known.end = known.pending; known.end < world->actions->len; known.end++) {
        if (g_array_index(world->actions, Action, known.end).begin > place)
            break;
    }
    return known;
}

/* A sector may be torn between two of them, as far as the driver is concerned. */
static gboolean may_hold(World *world, const Known *known, guint64 sector, guint8 byte)
{
    if (byte == known->byte[sector] || (byte == 0 && known->maybe_zero[sector]))
        return TRUE;
    for (guint i = known->pending; i < known->end; i++) {
        const Action *action = &g_array_index(world->actions, Action, i);
        if (byte == action->byte && sector >= action->first && sector - action->first < action->count)
            return TRUE;
    }
    return FALSE;
}

static void look(World *world, const GByteArray *left, guint place)
{
    g_autofree char *wrong = image_check(left, NULL);
    ck_assert_msg(wrong == NULL, "%s, after %u of the log: %s", world->shape->name, place, wrong);
    GByteArray *copy = g_byte_array_new();
    g_byte_array_append(copy, left->data, left->len);
    g_autoptr(MemoryFile) file = memory_file_new(copy);
    BlockNode *node = open_world(world, file, TRUE);
    g_autofree guint8 *data = g_malloc(world->sectors * SECTOR);
    ck_assert_int_eq(block_pread(node, 0, data, world->sectors * SECTOR), 0);
    image_close(node);
    Known known = known_at(world, place);
    for (guint64 i = 0; i < world->sectors; i++) {
        const guint8 *sector = data + i * SECTOR;
        gboolean uniform = memcmp(sector, sector + 1, SECTOR - 1) == 0;
        for (guint j = 0; j < (uniform ? 1 : SECTOR); j++) {
            if (!may_hold(world, &known, i, sector[j]))
                ck_abort_msg("%s, after %u of the log: sector %" G_GUINT64_FORMAT " has 0x%02x, not 0x%02x",
                             world->shape->name, place, i, sector[j], known.byte[i]);
        }
    }
    g_free(known.byte);
    g_free(known.maybe_zero);
}

START_TEST (killed) {
    World world;
    run(&world, &shapes[_i], (guint32)_i + 1);
    g_autoptr(GByteArray) left = g_byte_array_new();
    g_byte_array_append(left, world.before->data, world.before->len);
    for (guint place = 0; place < world.file->log->len; place++) {
        apply(left, &g_array_index(world.file->log, FileRecord, place), NULL);
        if (g_rand_int_range(world.random, 0, (gint32)world.file->log->len) < (gint32)LOOKS)
            look(&world, left, place + 1);
    }
    look(&world, left, world.file->log->len);
    clean(&world);
}
END_TEST

START_TEST (power_failed) {
    World world;
    run(&world, &shapes[_i], (guint32)_i + 50);
    g_autoptr(GByteArray) flushed = g_byte_array_new();
    g_byte_array_append(flushed, world.before->data, world.before->len);
    guint first = 0; /* behind the last flush */
    for (guint place = 0; place <= world.file->log->len; place++) {
        gboolean at_flush = place == world.file->log->len ||
                            g_array_index(world.file->log, FileRecord, place).kind == FILE_FLUSH;
        if (!at_flush && g_rand_int_range(world.random, 0, (gint32)world.file->log->len) >= (gint32)LOOKS)
            continue;
        g_autoptr(GByteArray) left = g_byte_array_new();
        g_byte_array_append(left, flushed->data, flushed->len);
        for (guint i = first; i < place; i++)
            apply(left, &g_array_index(world.file->log, FileRecord, i), world.random);
        look(&world, left, place);
        for (; at_flush && first < place; first++)
            apply(flushed, &g_array_index(world.file->log, FileRecord, first), NULL);
    }
    clean(&world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("qcow2_crash");
    TCase *c = tcase_create("crash");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, killed, 0, G_N_ELEMENTS(shapes));
    tcase_add_loop_test(c, power_failed, 0, G_N_ELEMENTS(shapes));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
