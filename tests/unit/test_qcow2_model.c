// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random I/O on qcow2 images of all shapes, held against a model in memory; the image is checked at the end.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-format.h"
#include "tests/check-run.h"
#include "tests/unit/qcow2-image.h"

#define SECTOR     512u
#define OPERATIONS 3000u
#define THREADS    4u

typedef struct Shape {
    const char *name;
    ImageOptions image;
    gboolean backing, snapshot, compressed;
    Qcow2Options options;
} Shape;

#define KIB 1024ull
#define MIB (1024ull * 1024)

static const Shape shapes[] = {
    {"as qemu-img makes them", {3, 16, 4, 8 * MIB}, FALSE, FALSE, FALSE, {0, 0, TRUE}},
    {"smallest clusters", {3, 9, 4, 1 * MIB}, FALSE, FALSE, FALSE, {0, 0, TRUE}},
    {"smallest clusters and caches, widest refcounts", {3, 9, 6, 2 * MIB}, TRUE, FALSE, FALSE, {1, 1, TRUE}},
    {"one-bit refcounts", {3, 12, 0, 4 * MIB}, TRUE, FALSE, FALSE, {1, 1, TRUE}},
    {"two-bit refcounts and a snapshot", {3, 10, 1, 2 * MIB, 8}, FALSE, TRUE, FALSE, {0, 0, TRUE}},
    {"four-bit refcounts", {3, 11, 2, 2 * MIB, 4}, TRUE, TRUE, FALSE, {4 * KIB, 1, TRUE}},
    {"a snapshot over a backing image", {3, 12, 3, 4 * MIB, 4}, TRUE, TRUE, FALSE, {0, 0, FALSE}},
    {"compressed clusters", {3, 12, 4, 4 * MIB, 4}, FALSE, FALSE, TRUE, {0, 0, TRUE}},
    {"all of it", {3, 12, 5, 3 * MIB, 8}, TRUE, TRUE, TRUE, {8 * KIB, 8 * KIB, TRUE}},
    {"version 2", {2, 12, 4, 4 * MIB, 4}, FALSE, FALSE, TRUE, {0, 0, TRUE}},
    {"version 2 over a backing image, with a snapshot",
     {2, 12, 4, 4 * MIB, 4},
     TRUE,
     TRUE,
     TRUE,
     {1, 1, TRUE}},
    {"largest clusters", {3, 21, 4, 24 * MIB}, TRUE, FALSE, FALSE, {0, 0, TRUE}},
    {"a last cluster cut short", {3, 16, 4, 3 * MIB + 5 * SECTOR}, TRUE, FALSE, FALSE, {0, 0, TRUE}},
};

typedef struct World {
    const Shape *shape;
    GRand *random;
    MemoryFile *file, *below;
    BlockNode *node;
    guint64 size, cluster_size, backing_size;
    guint8 *model;
    gboolean *unknown; /* sectors, after an error */
    guint8 *snapshot;  /* what it was when the snapshot was taken */
} World;

static void fill(guint8 *data, guint64 length, guint32 seed)
{
    for (guint64 i = 0; i < length; i++) {
        if (i % 16 == 0)
            seed = seed * 1664525u + 1013904223u;
        data[i] = (guint8)(seed >> 24);
    }
}

static guint64 range(GRand *random, guint64 end)
{
    return ((guint64)g_rand_int(random) << 32 | g_rand_int(random)) % end;
}

static void reopen(World *world)
{
    g_autoptr(GError) error = NULL;
    if (world->node != NULL)
        image_close(world->node);
    world->node = image_open(world->file, FALSE, world->below != NULL ? &world->below->node : NULL,
                             &world->shape->options, &error);
    ck_assert_msg(world->node != NULL, "%s", error != NULL ? error->message : "");
}

static void write_some(World *world, guint64 clusters)
{
    g_autofree guint8 *data = g_malloc(world->cluster_size);
    guint64 all = world->size / world->cluster_size;
    for (guint64 i = 0; i < clusters; i++) {
        guint64 offset = range(world->random, all) * world->cluster_size;
        fill(data, world->cluster_size, g_rand_int(world->random));
        ck_assert_int_eq(block_pwrite(world->node, offset, data, world->cluster_size), 0);
        memcpy(world->model + offset, data, world->cluster_size);
    }
}

static void compress_some(World *world)
{
    image_close(g_steal_pointer(&world->node));
    for (guint64 offset = 0; offset + 3 * world->cluster_size <= world->size; offset += world->cluster_size) {
        guint64 count = 0;
        while (count < 3 &&
               (image_entry(world->file->bytes, offset + count * world->cluster_size) >> 62) == 2)
            count++;
        if (count == 3 && g_rand_int_range(world->random, 0, 3) == 0)
            image_compress(world->file->bytes, offset, count);
    }
    reopen(world);
}

static void set_up_world(World *world, const Shape *shape, guint32 seed)
{
    *world = (World){.shape = shape, .random = g_rand_new_with_seed(seed), .size = shape->image.size};
    world->cluster_size = 1ull << shape->image.cluster_bits;
    world->model = g_malloc0(world->size * 2);
    world->unknown = g_new0(gboolean, world->size * 2 / SECTOR);
    if (shape->backing) {
        /* Not as long as the image, nor one of whole clusters. */
        GByteArray *bytes = g_byte_array_new();
        world->backing_size = world->size * 3 / 4 / SECTOR * SECTOR + SECTOR;
        g_byte_array_set_size(bytes, (guint)world->backing_size);
        fill(bytes->data, bytes->len, seed);
        memcpy(world->model, bytes->data, bytes->len);
        world->below = memory_file_new(bytes);
    }
    world->file = memory_file_new(image_new(&shape->image));
    reopen(world);
    write_some(world, world->size / world->cluster_size / 3 + 2);
    if (shape->compressed)
        compress_some(world);
    if (shape->snapshot) {
        image_close(g_steal_pointer(&world->node));
        image_snapshot(world->file->bytes);
        world->snapshot = g_malloc(world->size);
        memcpy(world->snapshot, world->model, world->size);
        g_autofree char *wrong = image_check(world->file->bytes, NULL);
        ck_assert_msg(wrong == NULL, "%s: before: %s", shape->name, wrong);
        reopen(world);
    }
}

static void compare_all(World *world, const guint8 *model, guint64 size)
{
    g_autofree guint8 *data = g_malloc(size);
    ck_assert_int_eq(block_pread(world->node, 0, data, size), 0);
    for (guint64 i = 0; i < size; i += SECTOR) {
        if (model == world->model && world->unknown[i / SECTOR])
            continue;
        ck_assert_msg(memcmp(data + i, model + i, MIN(SECTOR, size - i)) == 0,
                      "%s: sector %" G_GUINT64_FORMAT " is not what was written", world->shape->name,
                      i / SECTOR);
    }
}

/* What the snapshot has, by an image that has its L1 table as the active one. */
static void compare_snapshot(World *world)
{
    GByteArray *copy = g_byte_array_new();
    g_byte_array_append(copy, world->file->bytes->data, world->file->bytes->len);
    const guint8 *row = copy->data + qcow2_get64(copy->data + QCOW2_HEADER_SNAPSHOTS_OFFSET);
    memcpy(copy->data + QCOW2_HEADER_L1_OFFSET, row + QCOW2_SNAPSHOT_L1_OFFSET, 8);
    memcpy(copy->data + QCOW2_HEADER_L1_SIZE, row + QCOW2_SNAPSHOT_L1_SIZE, 4);
    qcow2_put64(copy->data + QCOW2_HEADER_SIZE, world->shape->image.size);
    g_autoptr(MemoryFile) file = memory_file_new(copy);
    World then = *world;
    then.node = image_open(file, TRUE, world->below != NULL ? &world->below->node : NULL, NULL, NULL);
    ck_assert_ptr_nonnull(then.node);
    compare_all(&then, world->snapshot, world->shape->image.size);
    image_close(then.node);
}

static void tear_down_world(World *world, gboolean may_leak)
{
    guint64 leaks = 0;
    reopen(world);
    compare_all(world, world->model, world->size);
    image_close(world->node);
    g_autofree char *wrong = image_check(world->file->bytes, &leaks);
    ck_assert_msg(wrong == NULL, "%s: %s", world->shape->name, wrong);
    ck_assert_msg(may_leak || leaks == 0, "%s: %" G_GUINT64_FORMAT " clusters are lost", world->shape->name,
                  leaks);
    if (world->snapshot != NULL)
        compare_snapshot(world);
    memory_file_free(world->file);
    g_clear_pointer(&world->below, memory_file_free);
    g_rand_free(world->random);
    g_free(world->model);
    g_free(world->unknown);
    g_free(world->snapshot);
}

/* ---- operations ---- */

static void note(World *world, guint64 offset, guint64 length, gboolean failed)
{
    for (guint64 i = offset / SECTOR; i < (offset + length + SECTOR - 1) / SECTOR; i++)
        world->unknown[i] = failed;
}

static void do_write(World *world, guint64 offset, guint64 length)
{
    g_autofree guint8 *data = g_malloc(length);
    fill(data, length, g_rand_int(world->random));
    struct iovec segments[3];
    guint64 first = range(world->random, length + 1), second = range(world->random, length - first + 1);
    segments[0] = (struct iovec){data, first};
    segments[1] = (struct iovec){data + first, second};
    segments[2] = (struct iovec){data + first + second, length - first - second};
    guint flags = g_rand_int_range(world->random, 0, 40) == 0 ? BLOCK_FUA : 0;
    int result = block_pwritev(world->node, offset, segments, G_N_ELEMENTS(segments), flags);
    note(world, offset, length, result < 0);
    ck_assert(result == 0 || world->file->fail_at >= 0);
    memcpy(world->model + offset, data, length);
}

static void do_zero(World *world, guint64 offset, guint64 length)
{
    int result =
        block_write_zeroes(world->node, offset, length, g_rand_boolean(world->random) ? BLOCK_MAY_UNMAP : 0);
    note(world, offset, length, result < 0);
    ck_assert(result == 0 || world->file->fail_at >= 0);
    memset(world->model + offset, 0, length);
}

static void do_discard(World *world, guint64 offset, guint64 length)
{
    guint64 unit = world->cluster_size;
    guint64 start = (offset + unit - 1) / unit * unit, end = (offset + length) / unit * unit;
    if (offset + length == world->size)
        end = world->size;
    int result = block_discard(world->node, offset, length);
    ck_assert(result == 0 || world->file->fail_at >= 0);
    if (start >= end || (world->shape->image.version == 2 && world->shape->backing))
        return;
    note(world, start, end - start, result < 0);
    memset(world->model + start, 0, end - start);
}

static void do_read(World *world, guint64 offset, guint64 length)
{
    g_autofree guint8 *data = g_malloc(length);
    int result = block_pread(world->node, offset, data, length);
    if (result < 0 && world->file->fail_at >= 0)
        return; /* a cache of two tables has no room as long as they cannot be written */
    ck_assert_int_eq(result, 0);
    for (guint64 i = 0; i < length; i += SECTOR) {
        if (world->unknown[(offset + i) / SECTOR])
            continue;
        ck_assert_msg(memcmp(data + i, world->model + offset + i, SECTOR) == 0,
                      "%s: sector %" G_GUINT64_FORMAT " is not what was written", world->shape->name,
                      (offset + i) / SECTOR);
    }
}

static void do_resize(World *world)
{
    guint64 size = range(world->random, world->shape->image.size * 2 / SECTOR) * SECTOR;
    size = MAX(size, world->shape->image.size / 2 / SECTOR * SECTOR);
    int result = block_resize(world->node, size);
    if (world->shape->image.version == 2 && world->shape->snapshot) {
        ck_assert_int_eq(result, -ENOTSUP);
        return;
    }
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(block_length(world->node), size);
    if (size > world->size) {
        memset(world->model + world->size, 0, size - world->size);
        note(world, world->size, size - world->size, FALSE);
    }
    world->size = size;
}

static void operate(World *world, gboolean resizes)
{
    guint64 sectors = world->size / SECTOR, most = MIN(sectors, MAX(4 * world->cluster_size / SECTOR, 64));
    guint64 first = range(world->random, sectors);
    guint64 length = 1 + range(world->random, MIN(most, sectors - first));
    if (g_rand_boolean(world->random))
        length = MIN(length, 8);
    int chance = g_rand_int_range(world->random, 0, 100);
    if (chance < 45)
        do_write(world, first * SECTOR, length * SECTOR);
    else if (chance < 65)
        do_read(world, first * SECTOR, length * SECTOR);
    else if (chance < 77)
        do_zero(world, first * SECTOR, length * SECTOR);
    else if (chance < 90)
        do_discard(world, first * SECTOR, length * SECTOR);
    else if (chance < 98 || !resizes)
        ck_assert(block_flush(world->node) == 0 || world->file->fail_at >= 0);
    else if (chance < 99)
        do_resize(world);
    else
        reopen(world);
}

START_TEST (one_after_the_other) {
    World world;
    set_up_world(&world, &shapes[_i], (guint32)_i + 1);
    for (guint i = 0; i < OPERATIONS; i++)
        operate(&world, TRUE);
    compare_all(&world, world.model, world.size);
    tear_down_world(&world, FALSE);
}
END_TEST

/* ---- several at once ---- */

typedef struct Worker {
    World *world;
    guint number;
    GRand *random;
} Worker;

/* The lower half of the disk is shared, sector by sector; of the upper one each has a part. */
static gpointer run_worker(gpointer data)
{
    Worker *worker = data;
    World *world = worker->world;
    guint64 sectors = world->size / 2 / SECTOR / THREADS, part = world->size / 2 / THREADS / SECTOR * SECTOR;
    guint64 own = world->size / 2 / SECTOR * SECTOR + worker->number * part;
    World mine = *world;
    mine.random = worker->random;
    mine.model = world->model;
    for (guint i = 0; i < OPERATIONS / 4; i++) {
        guint64 shared = (range(worker->random, sectors) * THREADS + worker->number) * SECTOR;
        guint64 at = range(worker->random, part / SECTOR) * SECTOR;
        guint64 length = SECTOR + range(worker->random, (part - at) / SECTOR) * SECTOR;
        length = MIN(length, 4 * world->cluster_size);
        switch (g_rand_int_range(worker->random, 0, 12)) {
        case 0:
            ck_assert_int_eq(block_flush(world->node), 0);
            break;
        case 1:
            do_zero(&mine, shared, SECTOR);
            break;
        case 2:
        case 3:
            do_read(&mine, shared, SECTOR);
            break;
        case 4:
            do_zero(&mine, own + at, length);
            break;
        case 5:
            do_read(&mine, own + at, length);
            break;
        case 6:
        case 7:
            do_write(&mine, own + at, length);
            break;
        default:
            do_write(&mine, shared, SECTOR);
        }
    }
    return NULL;
}

START_TEST (at_the_same_time) {
    World world;
    Worker workers[THREADS];
    GThread *threads[THREADS];
    set_up_world(&world, &shapes[_i], (guint32)_i + 100);
    world.file->pause_us = 1;
    for (guint i = 0; i < THREADS; i++) {
        workers[i] = (Worker){&world, i, g_rand_new_with_seed((guint32)_i * THREADS + i)};
        threads[i] = g_thread_new("worker", run_worker, &workers[i]);
    }
    for (guint i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
        g_rand_free(workers[i].random);
    }
    world.file->pause_us = 0;
    compare_all(&world, world.model, world.size);
    tear_down_world(&world, FALSE);
}
END_TEST

/* ---- a file that cannot be written to ---- */

START_TEST (with_errors) {
    World world;
    set_up_world(&world, &shapes[_i], (guint32)_i + 200);
    for (guint i = 0; i < OPERATIONS; i++) {
        if (g_rand_int_range(world.random, 0, 20) == 0) {
            world.file->fail_at = (gint64)world.file->writes + g_rand_int_range(world.random, 0, 6);
            world.file->fail_count = (guint)g_rand_int_range(world.random, 1, 8);
            world.file->fail_code = g_rand_boolean(world.random) ? -ENOSPC : -EIO;
        }
        operate(&world, FALSE);
    }
    world.file->fail_at = -1;
    /* What comes now arrives, unless a header was half written: from then on nothing does. */
    if (block_flush(world.node) == 0) {
        do_write(&world, 0, world.size);
        ck_assert_int_eq(block_flush(world.node), 0);
    } else {
        memset(world.unknown, TRUE, world.size / SECTOR * sizeof(gboolean));
    }
    tear_down_world(&world, TRUE);
}
END_TEST

/* A disk that does not fit: what was written is there, and the rest goes on once there is room. */
START_TEST (a_full_file) {
    World world;
    set_up_world(&world, &shapes[0], 300);
    world.file->limit = world.file->bytes->len + MIB;
    guint8 data[4096];
    guint64 at = 0;
    memset(data, 7, sizeof data);
    for (; at < world.size; at += 64 * KIB) {
        int result = block_pwrite(world.node, at, data, sizeof data);
        if (result == -ENOSPC)
            break;
        ck_assert_int_eq(result, 0);
        memcpy(world.model + at, data, sizeof data);
    }
    ck_assert_uint_lt(at, world.size);
    ck_assert_int_eq(block_flush(world.node), 0);
    compare_all(&world, world.model, world.size);

    /* What the guest frees makes room. */
    memset(world.model, 0, 256 * KIB);
    ck_assert_int_eq(block_discard(world.node, 0, 256 * KIB), 0);
    ck_assert_int_eq(block_pwrite(world.node, at, data, sizeof data), 0);
    memcpy(world.model + at, data, sizeof data);
    world.file->limit = 64 * MIB;
    do_write(&world, 0, world.size);
    tear_down_world(&world, FALSE);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("qcow2_model");
    TCase *c = tcase_create("model");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, one_after_the_other, 0, G_N_ELEMENTS(shapes));
    tcase_add_loop_test(c, at_the_same_time, 0, G_N_ELEMENTS(shapes));
    tcase_add_loop_test(c, with_errors, 0, G_N_ELEMENTS(shapes));
    tcase_add_test(c, a_full_file);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
