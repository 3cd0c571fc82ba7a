// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-submit: requests of devices. What is mapped by a table in memory to one place of the file goes there
 * at once, without a worker thread; the rest takes the blocking way.
 */
#include <string.h>

#include "host-vmm/block/qcow2-private.h"

/* A request of ours for the file. */
typedef struct Forward {
    BlockRequest request; /* first: done() gets it */
    BlockRequest *above;
    Qcow2 *self;
    guint epoch;
} Forward;

static void forward_done(BlockRequest *request, int result)
{
    Forward *forward = (Forward *)request;
    BlockRequest *above = forward->above;
    qcow2_leave(forward->self, forward->epoch);
    g_free(forward);
    above->done(above, result);
}

static void forward(Qcow2 *self, BlockRequest *above, guint64 host, guint epoch)
{
    Forward *below = g_new(Forward, 1);
    *below = (Forward){.above = above, .self = self, .epoch = epoch};
    below->request = (BlockRequest){
        .op = above->op,
        .flags = above->flags,
        .offset = host,
        .length = above->length,
        .segments = above->segments,
        .segment_count = above->segment_count,
        .context = above->context,
        .done = forward_done,
    };
    block_submit(self->node.file, &below->request);
}

static gboolean is_in_file(Qcow2 *self, const Qcow2Extent *extent)
{
    guint64 end = block_length(self->node.file);
    return extent->length <= end && extent->host <= end - extent->length;
}

/* With map_lock. */
static gboolean can_forward(Qcow2 *self, const BlockRequest *request, const Qcow2Extent *extent)
{
    if (extent->kind != QCOW2_DATA || !is_in_file(self, extent))
        return FALSE;
    if (request->op == BLOCK_READ)
        return TRUE;
    /* On disk is what the tables on disk refer to. */
    gboolean flags_fit = (request->flags & BLOCK_FUA) == 0 || !g_atomic_int_get(&self->needs_commit);
    return flags_fit && extent->in_place && g_atomic_int_get(&self->prepared) &&
           qcow2_check_writable(self) == 0 && qcow2_metadata_at(self, extent->host, extent->length) == NULL;
}

static void answer_zeroes(BlockRequest *request)
{
    for (guint i = 0; i < request->segment_count; i++)
        memset(request->segments[i].iov_base, 0, request->segments[i].iov_len);
    block_finish_later(request, 0);
}

static void submit_data(Qcow2 *self, BlockRequest *request)
{
    BlockNode *backing = self->node.backing;
    Qcow2Extent extent = {.kind = QCOW2_BAD};
    gboolean forwarded = FALSE;
    guint epoch = 0;
    g_mutex_lock(&self->map_lock);
    gboolean whole = request->offset + request->length <= qcow2_size(self) &&
                     qcow2_lookup(self, request->offset, request->length, &extent) &&
                     extent.length == request->length;
    if (whole && can_forward(self, request, &extent)) {
        epoch = qcow2_enter(self);
        forwarded = TRUE;
    }
    g_mutex_unlock(&self->map_lock);

    gboolean is_absent = whole && request->op == BLOCK_READ && extent.kind == QCOW2_ABSENT;
    if (forwarded)
        forward(self, request, extent.host, epoch);
    else if (is_absent && backing != NULL && request->offset + request->length <= block_length(backing))
        block_submit(backing, request);
    else if (whole && request->op == BLOCK_READ &&
             (extent.kind == QCOW2_ZEROES || (is_absent && backing == NULL)))
        answer_zeroes(request);
    else
        block_submit_to_worker(&self->node, request);
}

void qcow2_submit(BlockNode *node, BlockRequest *request)
{
    Qcow2 *self = (Qcow2 *)node;
    gboolean clean = !g_atomic_int_get(&self->needs_commit) && qcow2_check_writable(self) == 0;
    if (request->op == BLOCK_READ || request->op == BLOCK_WRITE)
        submit_data(self, request);
    else if (request->op == BLOCK_FLUSH && clean)
        block_submit(node->file, request);
    else
        block_submit_to_worker(node, request);
}
