// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/qcow2-play.h"

#include <string.h>

#define MOVES    24
#define LONGEST  (96u << 10)   /* of a move, in bytes */
#define FILE_MAX (32ull << 20) /* what the file may grow to */
#define MOST_IO  20000u /* calls of the file for one move: clusters are of 512 bytes, and all may be new */

static guint64 choose_offset(GRand *random, guint64 size)
{
    guint64 far = ((guint64)g_rand_int(random) << 32 | g_rand_int(random)) % size;
    switch (g_rand_int_range(random, 0, 4)) {
    case 0:
        return far;
    case 1:
        return size - MIN(size, g_rand_int(random) % LONGEST + 1);
    default:
        return far % MIN(size, 4 * LONGEST);
    }
}

static int move(BlockNode *node, GRand *random, guint8 *data)
{
    guint64 size = block_length(node);
    if (size == 0 || g_rand_int_range(random, 0, 16) == 0)
        return node->read_only ? 0 : block_resize(node, size + g_rand_int(random) % LONGEST * BLOCK_SECTOR);
    guint64 offset = choose_offset(random, size);
    guint64 length = MIN(size - offset, 1 + g_rand_int(random) % LONGEST);
    switch (g_rand_int_range(random, 0, node->read_only ? 2 : 10)) {
    case 0:
    case 1:
        return block_pread(node, offset, data, length);
    case 2:
    case 3:
        return block_discard(node, offset, length);
    case 4:
        return block_write_zeroes(node, offset, length, BLOCK_MAY_UNMAP);
    case 5:
        return block_write_zeroes(node, offset, length, 0);
    case 6:
        return block_flush(node);
    default:
        return block_pwrite(node, offset, data, MIN(length, LONGEST / 4));
    }
}

gboolean qcow2_play(const guint8 *image, gsize length, guint32 seed)
{
    gboolean opened = FALSE;
    const Qcow2Options small = {.l2_cache_size = 1, .refcount_cache_size = 1, .pass_discard = TRUE};
    g_autofree guint8 *data = g_malloc0(LONGEST);
    for (guint round = 0; round < 4; round++) {
        GByteArray *bytes = g_byte_array_new(), *under = g_byte_array_new();
        g_byte_array_append(bytes, image, (guint)length);
        g_byte_array_set_size(under, LONGEST);
        memset(under->data, 0xbb, under->len);
        g_autoptr(MemoryFile) file = memory_file_new(bytes);
        g_autoptr(MemoryFile) below = memory_file_new(under);
        g_autoptr(GRand) random = g_rand_new_with_seed(seed + round);
        file->limit = MAX(FILE_MAX, length);
        gboolean read_only = round == 0, has_backing = round == 2;
        BlockNode *node =
            image_open(file, read_only, has_backing ? &below->node : NULL, round == 3 ? &small : NULL, NULL);
        for (guint i = 0; i < MOVES && node != NULL; i++) {
            guint64 before = file->reads + file->writes;
            int result = move(node, random, data);
            g_assert_cmpint(result, <=, 0);
            g_assert_cmpuint(file->reads + file->writes - before, <, MOST_IO);
            opened = TRUE;
        }
        if (node != NULL)
            image_close(node);
        else
            g_assert_cmpuint(file->writes, ==, 0);
    }
    return opened;
}
