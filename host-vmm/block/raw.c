// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * raw: what is in the file is what is on the disk; or a part of it, by `offset` and `size`.
 */
#include "host-vmm/block/block.h"

#include <errno.h>

typedef struct Raw {
    BlockNode node;
    guint64 offset;
    guint64 size; /* 0: up to the end of the file */
} Raw;

static guint64 raw_length(BlockNode *node)
{
    Raw *self = (Raw *)node;
    guint64 all = block_length(node->file);
    guint64 rest = all > self->offset ? all - self->offset : 0;
    return self->size > 0 ? MIN(self->size, rest) : rest;
}

static gboolean raw_open(BlockNode *node, BlockSet *set, OptSet *options, GError **error)
{
    Raw *self = (Raw *)node;
    g_autoptr(GError) problem = NULL;
    if (!optset_size(options, "offset", 1, &self->offset, error) ||
        !optset_size(options, "size", 1, &self->size, error))
        return FALSE;
    if (block_child(node, options, "file", &problem) == NULL) {
        if (problem == NULL)
            g_set_error(&problem, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'file' is missing");
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    guint64 all = block_length(node->file);
    if (self->offset % BLOCK_SECTOR != 0 || self->size % BLOCK_SECTOR != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'offset' and 'size' must be multiples of %u", BLOCK_SECTOR);
        return FALSE;
    }
    if (self->offset > all || self->size > all - self->offset) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'offset' and 'size' go beyond the end of '%s' (%" G_GUINT64_FORMAT " bytes)",
                    block_filename(node), all);
        return FALSE;
    }
    return TRUE;
}

static int raw_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count)
{
    return block_preadv(node->file, ((Raw *)node)->offset + offset, segments, count);
}

static int raw_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count,
                       guint flags)
{
    return block_pwritev(node->file, ((Raw *)node)->offset + offset, segments, count, flags);
}

static int raw_flush(BlockNode *node)
{
    return block_flush(node->file);
}

static int raw_discard(BlockNode *node, guint64 offset, guint64 length)
{
    return block_discard(node->file, ((Raw *)node)->offset + offset, length);
}

static int raw_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    return block_write_zeroes(node->file, ((Raw *)node)->offset + offset, length, flags);
}

static int raw_resize(BlockNode *node, guint64 length)
{
    Raw *self = (Raw *)node;
    if (self->size > 0)
        return -ENOTSUP;
    return block_resize(node->file, self->offset + length);
}

static void raw_submit(BlockNode *node, BlockRequest *request)
{
    /* A part of a file takes the long way: a request is not ours to change. */
    if (((Raw *)node)->offset == 0)
        block_submit(node->file, request);
    else
        block_submit_to_worker(node, request);
}

const BlockDriver block_driver_raw = {
    .name = "raw",
    .size = sizeof(Raw),
    .open = raw_open,
    .length = raw_length,
    .preadv = raw_preadv,
    .pwritev = raw_pwritev,
    .flush = raw_flush,
    .discard = raw_discard,
    .write_zeroes = raw_write_zeroes,
    .resize = raw_resize,
    .submit = raw_submit,
};
