// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/qcow2.h"

#include <stdlib.h>
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

#define MAX_L2_CACHE     (32ull << 20) /* bytes, as in QEMU */
#define REFCOUNT_CACHE   (1ull << 20)
#define MAX_CACHE_OPTION (1ull << 32)

/* ---- opening ---- */

static void free_parts(Qcow2 *self)
{
    table_cache_clear(&self->l2);
    table_cache_clear(&self->refcounts);
    qcow2_unpacker_clear(&self->unpack);
    qcow2_guard_clear(self);
    g_clear_pointer(&self->freed, g_array_unref);
    g_clear_pointer(&self->reusable, g_array_unref);
    g_queue_clear_full(&self->limbo, g_free);
    g_free(self->l1);
    g_free(self->reftable);
    free(self->zeroes);
    g_free(self->backing_name);
    g_free(self->backing_format);
    g_mutex_clear(&self->lock);
    g_mutex_clear(&self->map_lock);
    g_cond_clear(&self->unclaimed);
}

gboolean qcow2_start(BlockNode *node, const Qcow2Options *options, GError **error)
{
    Qcow2 *self = (Qcow2 *)node;
    g_mutex_init(&self->lock);
    g_mutex_init(&self->map_lock);
    g_cond_init(&self->unclaimed);
    g_queue_init(&self->limbo);
    self->freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Range));
    self->pass_discard = options->pass_discard;
    qcow2_guard_init(self);
    gboolean good = qcow2_read_header(self, error);
    qcow2_unpacker_init(&self->unpack, self->compression, good ? self->cluster_size : 1);
    if (!good) {
        free_parts(self);
        return FALSE;
    }
    self->zeroes = table_memory(self->cluster_size);
    /* All L2 tables of the disk, if that is not too much: 8 bytes for each cluster. */
    guint64 all = (qcow2_clusters(self, self->size) + self->cluster_size) * sizeof(guint64);
    qcow2_map_init(self, options->l2_cache_size > 0 ? options->l2_cache_size : MIN(all, MAX_L2_CACHE));
    qcow2_refcount_init(self,
                        options->refcount_cache_size > 0 ? options->refcount_cache_size : REFCOUNT_CACHE);
    return TRUE;
}

const char *qcow2_backing_name(BlockNode *node)
{
    return ((Qcow2 *)node)->backing_name;
}

const char *qcow2_backing_format(BlockNode *node)
{
    return ((Qcow2 *)node)->backing_format;
}

static gboolean parse_options(OptSet *options, Qcow2Options *to, GError **error)
{
    guint64 both = 0;
    gboolean lazy = FALSE;
    *to = (Qcow2Options){.pass_discard = TRUE};
    if (!optset_size(options, "l2-cache-size", 1, &to->l2_cache_size, error) ||
        !optset_size(options, "refcount-cache-size", 1, &to->refcount_cache_size, error) ||
        !optset_size(options, "cache-size", 1, &both, error) ||
        !optset_bool(options, "pass-discard-request", &to->pass_discard, error) ||
        !optset_bool(options, "lazy-refcounts", &lazy,
                     error)) /* may be on: they are kept right all the same */
        return FALSE;
    if (MAX(MAX(both, to->l2_cache_size), to->refcount_cache_size) > MAX_CACHE_OPTION) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "a cache of more than %llu bytes",
                    MAX_CACHE_OPTION);
        return FALSE;
    }
    guint64 parts = to->l2_cache_size + to->refcount_cache_size;
    if (both > 0 && (parts > both || (to->l2_cache_size > 0 && to->refcount_cache_size > 0))) {
        g_set_error_literal(
            error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
            "'cache-size' is the sum of 'l2-cache-size' and 'refcount-cache-size': only one of them "
            "can be given with it, and not a larger one");
        return FALSE;
    }
    if (both > 0 && to->l2_cache_size > 0) {
        to->refcount_cache_size = MAX(both - to->l2_cache_size, 1);
    } else if (both > 0) {
        if (to->refcount_cache_size == 0)
            to->refcount_cache_size = MIN(both / 4 + 1, REFCOUNT_CACHE);
        to->l2_cache_size = MAX(both - MIN(to->refcount_cache_size, both), 1);
    }
    return TRUE;
}

/* Which image it lies over: one that is given, none ("backing": null), or what it says itself. */
static gboolean open_backing(Qcow2 *self, OptSet *options, GError **error)
{
    g_autoptr(GError) problem = NULL;
    const char *given = optset_string(options, "backing");
    if (given != NULL && *given == '\0')
        return TRUE;
    if (block_child(&self->node, options, "backing", &problem) != NULL)
        return TRUE;
    if (problem == NULL && self->backing_name != NULL)
        block_open_backing(&self->node, self->backing_name, self->backing_format, &problem);
    if (problem == NULL)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

static gboolean qcow2_open(BlockNode *node, BlockSet *set, OptSet *options, GError **error)
{
    Qcow2 *self = (Qcow2 *)node;
    g_autoptr(GError) problem = NULL;
    Qcow2Options parsed;
    if (!parse_options(options, &parsed, error))
        return FALSE;
    if (block_child(node, options, "file", &problem) == NULL) {
        if (problem == NULL)
            g_set_error(&problem, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'file' is missing");
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (!qcow2_start(node, &parsed, error))
        return FALSE;
    if (open_backing(self, options, error))
        return TRUE;
    free_parts(self);
    return FALSE;
}

/* ---- closing ---- */

static void qcow2_close(BlockNode *node)
{
    Qcow2 *self = (Qcow2 *)node;
    if (g_atomic_int_get(&self->prepared) && !g_atomic_int_get(&self->broken)) {
        /* The first time frees what the guest has freed, the second writes that. */
        g_mutex_lock(&self->lock);
        int result = qcow2_commit(self);
        if (result == 0)
            result = qcow2_commit(self);
        g_mutex_unlock(&self->lock);
        if (result == 0)
            result = block_flush(node->file);
        if (result < 0)
            g_warning("disk image '%s': its last changes could not be written: %s", block_filename(node),
                      g_strerror(-result));
        guint64 used = self->used_end << self->cluster_bits;
        if (result == 0 && used < self->file_end)
            block_resize(node->file, used);
    }
    free_parts(self);
}

/* ---- the rest ---- */

static guint64 qcow2_length(BlockNode *node)
{
    guint64 size = qcow2_size((Qcow2 *)node);
    return (size + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
}

static int qcow2_driver_flush(BlockNode *node)
{
    return qcow2_flush((Qcow2 *)node);
}

const BlockDriver block_driver_qcow2 = {
    .name = "qcow2",
    .size = sizeof(Qcow2),
    .open = qcow2_open,
    .close = qcow2_close,
    .length = qcow2_length,
    .preadv = qcow2_preadv,
    .pwritev = qcow2_pwritev,
    .flush = qcow2_driver_flush,
    .discard = qcow2_discard,
    .write_zeroes = qcow2_write_zeroes,
    .resize = qcow2_resize,
    .submit = qcow2_submit,
};
