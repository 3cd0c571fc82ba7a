// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-device.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <glib-unix.h>

#define DRIVERS_BITS                                                                                         \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |                            \
     VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED)
#define MAX_COMPLAINTS 10

typedef struct KickSource {
    VirtioDevice *device;
    guint index;
} KickSource;

void virtio_device_init(VirtioDevice *device, DeviceEnv *env, const char *name, const VirtioOps *ops,
                        guint64 features, const guint16 *queue_sizes, guint queue_count, guint config_size)
{
    device->env = env;
    device->name = name;
    device->ops = ops;
    g_mutex_init(&device->lock);
    device->host_features =
        features | 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX;
    device->config_size = config_size;
    device->config = g_malloc0(config_size);
    device->queue_count = queue_count;
    device->queues = g_new0(VirtioQueueSlot, queue_count);
    for (guint i = 0; i < queue_count; i++) {
        virtqueue_init(&device->queues[i].ring, env->memory, queue_sizes[i]);
        device->queues[i].event_fd = -1;
    }
}

void virtio_device_clear(VirtioDevice *device)
{
    for (guint i = 0; i < device->queue_count; i++) {
        VirtioQueueSlot *slot = &device->queues[i];
        if (slot->source != NULL) {
            g_source_destroy(slot->source);
            g_source_unref(slot->source);
        }
        if (slot->event_fd >= 0)
            close(slot->event_fd);
    }
    g_free(device->queues);
    g_free(device->config);
    g_mutex_clear(&device->lock);
}

static gboolean on_kick(int fd, GIOCondition condition, gpointer user_data)
{
    KickSource *kick = user_data;
    VirtioDevice *device = kick->device;
    guint64 count;
    /* Whether it was counted once or often is all the same: the ring tells. */
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        g_warning("%s: a kick could not be read: %s", device->name, g_strerror(errno));
    g_mutex_lock(&device->lock);
    if (device->running && device->queues[kick->index].ring.enabled)
        device->ops->handle_queue(device, kick->index);
    g_mutex_unlock(&device->lock);
    return G_SOURCE_CONTINUE;
}

/* With the lock held. */
static void watch_kicks(VirtioDevice *device, guint index)
{
    VirtioQueueSlot *slot = &device->queues[index];
    KickSource *kick = g_new(KickSource, 1);
    *kick = (KickSource){.device = device, .index = index};
    slot->source = g_unix_fd_source_new(slot->event_fd, G_IO_IN);
    g_source_set_callback(slot->source, G_SOURCE_FUNC(on_kick), kick, g_free);
    /* It is never dispatched within itself; but for a source that says so GLib wakes its own loop twice each time. */
    g_source_set_can_recurse(slot->source, TRUE);
    g_source_attach(slot->source, device->context);
}

int virtio_device_hand_over(VirtioDevice *device, guint index)
{
    VirtioQueueSlot *slot = &device->queues[index];
    if (slot->source != NULL)
        g_source_destroy(slot->source);
    g_clear_pointer(&slot->source, g_source_unref);
    return slot->event_fd;
}

void virtio_device_take_back(VirtioDevice *device, guint index)
{
    if (device->queues[index].source == NULL && device->queues[index].event_fd >= 0)
        watch_kicks(device, index);
    virtio_device_kick(device, index);
}

gboolean virtio_device_serve(VirtioDevice *device, guint index, GError **error)
{
    if (device->queues[index].event_fd >= 0)
        return TRUE;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "eventfd: %s", g_strerror(errno));
        return FALSE;
    }
    g_mutex_lock(&device->lock);
    device->queues[index].event_fd = fd;
    watch_kicks(device, index);
    if (device->running) {
        device->transport_ops->sync_doorbells(device->transport);
        virtio_device_kick(device, index);
    }
    g_mutex_unlock(&device->lock);
    return TRUE;
}

VirtQueueElement *virtio_device_pop(VirtioDevice *device, guint index)
{
    g_autoptr(GError) error = NULL;
    VirtQueueElement *element = device->running ? virtqueue_pop(&device->queues[index].ring, &error) : NULL;
    if (error != NULL) {
        g_autofree char *why = g_strdup_printf("queue %u: %s", index, error->message);
        virtio_device_fail(device, why);
    }
    return element;
}

void virtio_device_notify(VirtioDevice *device, guint index)
{
    if (device->running && virtqueue_should_interrupt(&device->queues[index].ring))
        device->transport_ops->queue_interrupt(device->transport, index);
}

void virtio_device_kick(VirtioDevice *device, guint index)
{
    guint64 one = 1;
    int fd = device->queues[index].event_fd;
    if (fd >= 0 && write(fd, &one, sizeof one) < 0 && errno != EAGAIN)
        g_warning("%s: a kick could not be written: %s", device->name, g_strerror(errno));
}

void virtio_device_config_changed(VirtioDevice *device)
{
    device->generation++;
    if ((device->status & VIRTIO_STATUS_DRIVER_OK) != 0)
        device->transport_ops->config_interrupt(device->transport);
}

void virtio_device_fail(VirtioDevice *device, const char *why)
{
    /* A guest may do it over and over again: it must not fill the host's log. */
    if (device->complaints < MAX_COMPLAINTS) {
        device->complaints++;
        g_warning("%s: the guest's driver is in error, the device waits for a reset: %s", device->name, why);
    }
    if ((device->status & VIRTIO_STATUS_NEEDS_RESET) != 0)
        return;
    device->status |= VIRTIO_STATUS_NEEDS_RESET;
    device->running = FALSE;
    if ((device->status & VIRTIO_STATUS_DRIVER_OK) != 0)
        device->transport_ops->config_interrupt(device->transport);
}

void virtio_device_finish_reset(VirtioDevice *device)
{
    device->resetting = FALSE;
    device->status = 0;
    device->driver_features = 0;
    if (device->ops->reset != NULL)
        device->ops->reset(device);
    for (guint i = 0; i < device->queue_count; i++)
        virtqueue_reset(&device->queues[i].ring);
    device->transport_ops->sync_doorbells(device->transport);
}

void virtio_device_reset(VirtioDevice *device)
{
    if (device->resetting)
        return;
    device->resets++;
    device->running = FALSE;
    device->resetting = device->ops->quiesce != NULL && !device->ops->quiesce(device);
    if (!device->resetting)
        virtio_device_finish_reset(device);
}

/* Section 2.2: no feature that was not offered, and VERSION_1 is needed. */
static gboolean features_are_acceptable(const VirtioDevice *device)
{
    return (device->driver_features & ~device->host_features) == 0 &&
           (device->driver_features & 1ull << VIRTIO_F_VERSION_1) != 0;
}

static gboolean has_feature(const VirtioDevice *device, guint bit)
{
    return (device->driver_features & 1ull << bit) != 0;
}

static void start(VirtioDevice *device)
{
    device->running = (device->status & VIRTIO_STATUS_NEEDS_RESET) == 0;
    if (!device->running)
        return;
    for (guint i = 0; i < device->queue_count; i++) {
        device->queues[i].ring.indirect = has_feature(device, VIRTIO_F_INDIRECT_DESC);
        device->queues[i].ring.event_idx = has_feature(device, VIRTIO_F_EVENT_IDX);
    }
    device->transport_ops->sync_doorbells(device->transport);
    if (device->ops->start != NULL)
        device->ops->start(device);
    /* What the driver put in before now had no doorbell. */
    for (guint i = 0; i < device->queue_count; i++) {
        if (device->queues[i].ring.enabled)
            virtio_device_kick(device, i);
    }
}

void virtio_device_set_status(VirtioDevice *device, guint8 status)
{
    if (status == 0) {
        virtio_device_reset(device);
        return;
    }
    if (device->resetting)
        return;
    /* A driver only ever adds bits (section 2.1.1); NEEDS_RESET is ours. */
    guint8 added = status & DRIVERS_BITS & (guint8)~device->status;
    if ((added & VIRTIO_STATUS_FEATURES_OK) != 0 && !features_are_acceptable(device))
        added &= (guint8)~VIRTIO_STATUS_FEATURES_OK;
    if (((device->status | added) & VIRTIO_STATUS_FEATURES_OK) == 0)
        added &= (guint8)~VIRTIO_STATUS_DRIVER_OK;
    device->status |= added;
    if ((added & VIRTIO_STATUS_DRIVER_OK) != 0)
        start(device);
}

static guint32 half(guint64 features, guint32 select)
{
    return select < 2 ? (guint32)(features >> (32 * select)) : 0;
}

guint32 virtio_device_features(const VirtioDevice *device, guint32 select)
{
    return half(device->host_features, select);
}

guint32 virtio_device_driver_features(const VirtioDevice *device, guint32 select)
{
    return half(device->driver_features, select);
}

void virtio_device_set_driver_features(VirtioDevice *device, guint32 select, guint32 value)
{
    if (select >= 2 || (device->status & VIRTIO_STATUS_FEATURES_OK) != 0)
        return;
    guint shift = 32 * select;
    device->driver_features = (device->driver_features & ~(0xffffffffull << shift)) | (guint64)value << shift;
}

void virtio_device_enable_queue(VirtioDevice *device, guint index)
{
    VirtQueue *ring = &device->queues[index].ring;
    g_autoptr(GError) error = NULL;
    if (ring->enabled || device->resetting)
        return;
    ring->indirect = has_feature(device, VIRTIO_F_INDIRECT_DESC);
    ring->event_idx = has_feature(device, VIRTIO_F_EVENT_IDX);
    if (!virtqueue_enable(ring, &error)) {
        g_autofree char *why = g_strdup_printf("queue %u: %s", index, error->message);
        virtio_device_fail(device, why);
    } else if (device->running) {
        device->transport_ops->sync_doorbells(device->transport);
        virtio_device_kick(device, index);
    }
}

gboolean virtio_device_wants_doorbell(const VirtioDevice *device, guint index)
{
    return device->running && device->queues[index].ring.enabled && device->queues[index].event_fd >= 0;
}
