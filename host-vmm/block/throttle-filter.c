// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * throttle: a node that lets requests through to its file at the rate of a throttle group.
 */
#include "host-vmm/block/throttle-group.h"

typedef struct ThrottleFilter {
    BlockNode node;
    ThrottleGroup *group;
    int drains;         /* atomic; counts them */
    GMutex lock;        /* guards members */
    GPtrArray *members; /* Member*, one for each thread that has submitted */
} ThrottleFilter;

typedef struct Member {
    IoContext *context;
    ThrottleMember *throttled;
} Member;

static void free_member(gpointer user_data)
{
    Member *member = user_data;
    throttle_member_free(member->throttled);
}

static void filter_close(BlockNode *node)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    for (guint i = 0; i < self->members->len; i++) {
        Member *member = self->members->pdata[i];
        io_context_call(member->context, free_member, member);
        g_free(member);
    }
    g_ptr_array_unref(self->members);
    g_mutex_clear(&self->lock);
    throttle_group_unref(self->group);
}

static gboolean filter_open(BlockNode *node, BlockSet *set, OptSet *options, GError **error)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    const char *name = optset_string(options, "throttle-group");
    Object *object =
        name != NULL && block_set_objects(set) != NULL ? object_set_find(block_set_objects(set), name) : NULL;
    ThrottleGroup *group = object != NULL ? throttle_group_from_object(object) : NULL;
    g_autoptr(GError) problem = NULL;
    if (group == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    name != NULL ? "'throttle-group': there is no object '%s' of type throttle-group"
                                 : "'throttle-group' is missing",
                    name);
        return FALSE;
    }
    if (block_child(node, options, "file", &problem) == NULL) {
        if (problem == NULL)
            g_set_error(&problem, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'file' is missing");
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    self->group = throttle_group_ref(group);
    self->members = g_ptr_array_new();
    g_mutex_init(&self->lock);
    return TRUE;
}

static guint64 filter_length(BlockNode *node)
{
    return block_length(node->file);
}

static guint64 total(const struct iovec *segments, guint count)
{
    guint64 sum = 0;
    for (guint i = 0; i < count; i++)
        sum += segments[i].iov_len;
    return sum;
}

static int filter_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    throttle_group_block(self->group, FALSE, total(segments, count), &self->drains);
    return block_preadv(node->file, offset, segments, count);
}

static int filter_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count,
                          guint flags)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    throttle_group_block(self->group, TRUE, total(segments, count), &self->drains);
    return block_pwritev(node->file, offset, segments, count, flags);
}

static int filter_flush(BlockNode *node)
{
    return block_flush(node->file);
}

static int filter_discard(BlockNode *node, guint64 offset, guint64 length)
{
    return block_discard(node->file, offset, length);
}

static int filter_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    throttle_group_block(self->group, TRUE, length, &self->drains);
    return block_write_zeroes(node->file, offset, length, flags);
}

static int filter_resize(BlockNode *node, guint64 length)
{
    return block_resize(node->file, length);
}

static void pass(BlockRequest *request, gpointer user_data)
{
    block_submit(((BlockNode *)user_data)->file, request);
}

/* This thread's; NULL: it has none yet. */
static ThrottleMember *find_member(ThrottleFilter *self, IoContext *context)
{
    ThrottleMember *found = NULL;
    g_mutex_lock(&self->lock);
    for (guint i = 0; i < self->members->len && found == NULL; i++) {
        Member *member = self->members->pdata[i];
        if (member->context == context)
            found = member->throttled;
    }
    g_mutex_unlock(&self->lock);
    return found;
}

static void filter_submit(BlockNode *node, BlockRequest *request)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    ThrottleMember *throttled = find_member(self, request->context);
    if (throttled == NULL) {
        Member *member = g_new(Member, 1);
        throttled = throttle_member_new(self->group, request->context, pass, node);
        *member = (Member){request->context, throttled};
        g_mutex_lock(&self->lock);
        g_ptr_array_add(self->members, member);
        g_mutex_unlock(&self->lock);
    }
    throttle_member_submit(throttled, request);
}

static void filter_drain(BlockNode *node, IoContext *context)
{
    ThrottleFilter *self = (ThrottleFilter *)node;
    ThrottleMember *throttled = find_member(self, context);
    __atomic_add_fetch(&self->drains, 1, __ATOMIC_RELAXED);
    if (throttled != NULL)
        throttle_member_release(throttled);
}

const BlockDriver block_driver_throttle = {
    .name = "throttle",
    .size = sizeof(ThrottleFilter),
    .open = filter_open,
    .close = filter_close,
    .length = filter_length,
    .preadv = filter_preadv,
    .pwritev = filter_pwritev,
    .flush = filter_flush,
    .discard = filter_discard,
    .write_zeroes = filter_write_zeroes,
    .resize = filter_resize,
    .submit = filter_submit,
    .drain = filter_drain,
};
