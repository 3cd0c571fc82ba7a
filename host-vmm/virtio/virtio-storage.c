// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-storage.h"

#include <string.h>

#include "host-vmm/block/iothread.h"

#define PCI_CLASS 0x010000 /* storage, SCSI: as QEMU has it */

/* ---- the life of a request ---- */

void virtio_storage_cut(struct iovec **segments, guint *count, gsize bytes)
{
    while (bytes > 0) {
        gsize part = MIN(bytes, (*segments)->iov_len);
        (*segments)->iov_base = (guint8 *)(*segments)->iov_base + part;
        (*segments)->iov_len -= part;
        bytes -= part;
        if ((*segments)->iov_len == 0) {
            (*segments)++;
            (*count)--;
        }
    }
}

void virtio_storage_begin(VirtioStorage *storage, VirtioStorageRequest *request, guint queue,
                          VirtQueueElement *element)
{
    request->queue = queue;
    request->element = element;
    storage->outstanding++;
}

void virtio_storage_finish(VirtioStorage *storage, VirtioStorageRequest *request)
{
    request->next = storage->finished;
    storage->finished = request;
    io_context_defer(storage->io, &storage->answer);
}

static void give_back(VirtioStorage *storage, VirtioStorageRequest *request)
{
    storage->outstanding--;
    if (!storage->virtio.resetting) {
        guint32 written = storage->ops->complete(storage, request);
        virtqueue_push(&storage->virtio.queues[request->queue].ring, g_steal_pointer(&request->element),
                       written);
    }
    g_free(request->element);
    storage->ops->free_request(storage, request);
}

/* All that has completed at a time, with one interrupt a queue. */
static void answer(IoDeferred *deferred)
{
    VirtioStorage *storage = deferred->data;
    VirtioStorageRequest *in_order = NULL;
    guint64 queues = 0;
    for (VirtioStorageRequest *request = g_steal_pointer(&storage->finished), *next; request != NULL;
         request = next) {
        next = request->next;
        request->next = in_order;
        in_order = request;
    }
    g_mutex_lock(&storage->virtio.lock);
    for (VirtioStorageRequest *request = in_order, *next; request != NULL; request = next) {
        next = request->next;
        queues |= 1ull << request->queue;
        give_back(storage, request);
    }
    for (guint i = 0; i < storage->virtio.queue_count; i++) {
        if ((queues & 1ull << i) != 0)
            virtio_device_notify(&storage->virtio, i);
    }
    if (storage->ops->answered != NULL)
        storage->ops->answered(storage);
    if (storage->virtio.resetting && storage->outstanding == 0)
        virtio_device_finish_reset(&storage->virtio);
    g_mutex_unlock(&storage->virtio.lock);
}

void virtio_storage_handle_queue(VirtioDevice *device, guint index)
{
    VirtioStorage *storage = (VirtioStorage *)device;
    VirtQueue *ring = &device->queues[index].ring;
    VirtQueueElement *element;
    if (storage->paused)
        return;
    do {
        virtqueue_stop_kicks(ring);
        while ((element = virtio_device_pop(device, index)) != NULL)
            storage->ops->handle_element(storage, index, element);
    } while (device->running && virtqueue_want_kicks(ring));
}

/* ---- resets ---- */

gboolean virtio_storage_quiesce(VirtioDevice *device)
{
    VirtioStorage *storage = (VirtioStorage *)device;
    if (storage->outstanding > 0)
        notifier_signal(storage->cancel);
    return storage->outstanding == 0;
}

static gboolean is_resetting(VirtioStorage *storage)
{
    g_mutex_lock(&storage->virtio.lock);
    gboolean resetting = storage->virtio.resetting;
    g_mutex_unlock(&storage->virtio.lock);
    return resetting;
}

/* On the io's thread: a reset has found requests. */
static void on_cancel(gpointer user_data)
{
    VirtioStorage *storage = user_data;
    if (is_resetting(storage))
        storage->ops->foreach_drive(storage, drive_cancel);
}

static gboolean is_idle(gpointer user_data)
{
    VirtioStorage *storage = user_data;
    g_mutex_lock(&storage->virtio.lock);
    gboolean idle = storage->outstanding == 0;
    g_mutex_unlock(&storage->virtio.lock);
    return idle;
}

static void end_requests(VirtioStorage *storage)
{
    storage->ops->foreach_drive(storage, drive_cancel);
    storage->ops->foreach_drive(storage, drive_drain);
    io_context_wait(storage->io, is_idle, storage);
}

static void end_reset(gpointer user_data)
{
    VirtioStorage *storage = user_data;
    if (is_resetting(storage))
        end_requests(storage);
}

static void machine_reset(Device *device)
{
    VirtioStorage *storage = (VirtioStorage *)device;
    virtio_pci_reset(storage->pci);
    io_context_call(storage->io, end_reset, storage);
}

/* ---- with the machine ---- */

static void set_paused(VirtioStorage *storage, gboolean paused)
{
    g_mutex_lock(&storage->virtio.lock);
    storage->paused = paused;
    for (guint i = 0; i < storage->virtio.queue_count && !paused; i++)
        virtio_device_kick(&storage->virtio, i);
    g_mutex_unlock(&storage->virtio.lock);
}

static void machine_pause(Device *device)
{
    VirtioStorage *storage = (VirtioStorage *)device;
    set_paused(storage, TRUE);
    storage->ops->foreach_drive(storage, drive_pause);
}

static void machine_resume(Device *device)
{
    VirtioStorage *storage = (VirtioStorage *)device;
    storage->ops->foreach_drive(storage, drive_resume);
    set_paused(storage, FALSE);
}

/* ---- creation ---- */

gboolean virtio_storage_find_io(VirtioStorage *storage, DeviceEnv *env, OptSet *options, GError **error)
{
    const char *name = optset_string(options, "iothread");
    Object *object = name != NULL ? object_set_find(env->objects, name) : NULL;
    storage->io = name == NULL ? env->io : (object != NULL ? iothread_from_object(object) : NULL);
    if (storage->io == NULL)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "iothread=%s: there is no iothread of this id",
                    name);
    return storage->io != NULL;
}

gboolean virtio_storage_queue_size(OptSet *options, const char *key, guint64 *size, GError **error)
{
    if (!optset_uint(options, key, 4, VIRTQUEUE_MAX_SIZE, size, error))
        return FALSE;
    gboolean fits = (*size & (*size - 1)) == 0;
    if (!fits)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' must be a power of two", key);
    return fits;
}

void virtio_storage_init(VirtioStorage *storage, DeviceEnv *env, const char *name,
                         const VirtioOps *virtio_ops, const VirtioStorageOps *ops, guint64 features,
                         const guint16 *queue_sizes, guint queue_count, guint config_size)
{
    storage->ops = ops;
    storage->answer = (IoDeferred){.func = answer, .data = storage};
    storage->virtio.device.reset = machine_reset;
    storage->virtio.device.pause = machine_pause;
    storage->virtio.device.resume = machine_resume;
    virtio_device_init(&storage->virtio, env, name, virtio_ops, features, queue_sizes, queue_count,
                       config_size);
    storage->virtio.context = io_context_main_context(storage->io);
    storage->cancel = notifier_new_in(storage->virtio.context, on_cancel, storage);
}

gboolean virtio_storage_connect(VirtioStorage *storage, guint virtio_id, OptSet *options, GError **error)
{
    for (guint i = 0; i < storage->virtio.queue_count; i++) {
        if (!virtio_device_serve(&storage->virtio, i, error))
            return FALSE;
    }
    storage->pci = virtio_pci_new(&storage->virtio, virtio_id, PCI_CLASS, options, error);
    return storage->pci != NULL;
}

typedef struct Stop {
    VirtioStorage *storage;
    void (*func)(VirtioStorage *storage);
} Stop;

/* On the io's thread, for the last time. */
static void stop(gpointer user_data)
{
    const Stop *ending = user_data;
    VirtioStorage *storage = ending->storage;
    for (guint i = 0; i < storage->virtio.queue_count; i++) {
        if (storage->virtio.queues[i].source != NULL)
            g_source_destroy(storage->virtio.queues[i].source);
    }
    end_requests(storage);
    io_context_undefer(storage->io, &storage->answer);
    g_clear_pointer(&storage->cancel, notifier_free);
    if (ending->func != NULL)
        ending->func(storage);
}

void virtio_storage_clear(VirtioStorage *storage, void (*func)(VirtioStorage *storage))
{
    if (storage->virtio.queues == NULL)
        return;
    Stop ending = {storage, func};
    io_context_call(storage->io, stop, &ending);
    virtio_pci_free(storage->pci);
    virtio_device_clear(&storage->virtio);
}

void virtio_storage_put_config(VirtioStorage *storage, guint offset, guint64 value, guint size)
{
    value = GUINT64_TO_LE(value);
    memcpy(storage->virtio.config + offset, &value, size);
}
