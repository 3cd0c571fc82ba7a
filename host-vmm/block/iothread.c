// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/iothread.h"

typedef struct IoThread {
    Object object;
    IoContext *context;
} IoThread;

static void destroy(Object *object)
{
    IoThread *self = (IoThread *)object;
    io_context_free(self->context);
    g_free(self);
}

static Object *create(OptSet *options, GError **error)
{
    IoThread *self = g_new0(IoThread, 1);
    self->object.destroy = destroy;
    self->context = io_context_new_thread(optset_string(options, "id"));
    return &self->object;
}

const ObjectType iothread_type = {
    .name = "iothread",
    .description = "a thread for the I/O of disks",
    .create = create,
};

IoContext *iothread_from_object(Object *object)
{
    return object->type == &iothread_type ? ((IoThread *)object)->context : NULL;
}
