// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-rng.h"

#include <glib-unix.h>

#include "host-vmm/virtio/rng-backend.h"
#include "host-vmm/virtio/virtio-pci.h"

#define QUEUE_SIZE 8
#define PCI_CLASS  0x00ff00 /* unassigned class, as QEMU has it */

/* QEMU's defaults: no limit, 65.536 s. */
#define DEFAULT_MAX_BYTES G_MAXINT64
#define DEFAULT_PERIOD    (1u << 16)

/* A request for more is answered in part, which the driver has to expect: nobody needs more entropy at once,
 * and a guest must not keep the main thread busy. */
#define MAX_REQUEST 65536u
/* Requests answered before others get their turn. */
#define MAX_BATCH 16

typedef struct VirtioRng {
    VirtioDevice virtio;
    VirtioPci *pci;
    RngBackend *backend;
    RngBackend *own_backend; /* if no object was named */
    guint64 max_bytes;
    guint period; /* ms */

    /* Under the lock. */
    VirtQueueElement *current; /* taken and not answered yet */
    guint64 quota;             /* bytes left in this period */
    GSource *period_source;    /* ends the period; NULL: none has begun */
    GSource *data_source;      /* waits for the backend */
    gboolean dry;              /* the backend has failed, and it was said */
} VirtioRng;

static void drop_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

static void attach(VirtioRng *self, GSource **slot, GSource *source, GSourceFunc func)
{
    g_source_set_callback(source, func, self, NULL);
    g_source_attach(source, self->virtio.context);
    *slot = source;
}

static gboolean on_period_end(gpointer user_data)
{
    VirtioRng *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    self->quota = self->max_bytes;
    drop_source(&self->period_source);
    virtio_device_kick(&self->virtio, 0);
    g_mutex_unlock(&self->virtio.lock);
    return G_SOURCE_REMOVE;
}

static gboolean on_backend_data(int fd, GIOCondition condition, gpointer user_data)
{
    VirtioRng *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    drop_source(&self->data_source);
    virtio_device_kick(&self->virtio, 0);
    g_mutex_unlock(&self->virtio.lock);
    return G_SOURCE_REMOVE;
}

/* Bytes from the backend, at most `wanted`; 0: not now (somebody will kick the queue when there are, or
 * never). */
static gsize fetch(VirtioRng *self, guint8 *to, gsize wanted)
{
    if (self->dry || self->data_source != NULL)
        return 0;
    /* The period begins with the first request in it. */
    if (self->period_source == NULL && self->max_bytes < (guint64)DEFAULT_MAX_BYTES)
        attach(self, &self->period_source, g_timeout_source_new(self->period), on_period_end);
    wanted = MIN(wanted, self->quota);
    if (wanted == 0)
        return 0;
    g_autoptr(GError) error = NULL;
    gssize got = rng_backend_read(self->backend, to, wanted, &error);
    if (got > 0) {
        if (self->max_bytes < (guint64)DEFAULT_MAX_BYTES)
            self->quota -= (guint64)got;
        return (gsize)got;
    }
    if (got == 0) {
        attach(self, &self->data_source, g_unix_fd_source_new(rng_backend_fd(self->backend), G_IO_IN),
               G_SOURCE_FUNC(on_backend_data));
    } else {
        self->dry = TRUE;
        g_warning("%s: the guest gets no more random bytes: %s", self->virtio.name, error->message);
    }
    return 0;
}

static void handle_queue(VirtioDevice *device, guint index)
{
    VirtioRng *self = (VirtioRng *)device;
    VirtQueue *ring = &device->queues[index].ring;
    g_autofree guint8 *bytes = g_malloc(MAX_REQUEST);
    guint answered = 0;
    while (answered < MAX_BATCH) {
        if (self->current == NULL)
            self->current = virtio_device_pop(device, index);
        if (self->current == NULL)
            break;
        gsize wanted = MIN(self->current->in_bytes, MAX_REQUEST);
        gsize got = wanted > 0 ? fetch(self, bytes, wanted) : 0;
        if (wanted > 0 && got == 0)
            break;
        virtqueue_element_write(self->current, 0, bytes, got);
        virtqueue_push(ring, g_steal_pointer(&self->current), (guint32)got);
        answered++;
    }
    virtio_device_notify(device, index);
    if (answered == MAX_BATCH)
        virtio_device_kick(device, index);
}

static void reset(VirtioDevice *device)
{
    VirtioRng *self = (VirtioRng *)device;
    g_clear_pointer(&self->current, g_free);
}

static const VirtioOps ops = {.reset = reset, .handle_queue = handle_queue};

static void machine_reset(Device *device)
{
    VirtioRng *self = (VirtioRng *)device;
    virtio_pci_reset(self->pci);
}

static void destroy(Device *device)
{
    VirtioRng *self = (VirtioRng *)device;
    virtio_pci_free(self->pci);
    drop_source(&self->period_source);
    drop_source(&self->data_source);
    g_free(self->current);
    virtio_device_clear(&self->virtio);
    rng_backend_free(self->own_backend);
    g_free(self);
}

static gboolean choose_backend(VirtioRng *self, OptSet *options, GError **error)
{
    const char *id = optset_string(options, "rng");
    if (id == NULL) {
        self->backend = self->own_backend = rng_backend_new_builtin();
        return TRUE;
    }
    Object *object = object_set_find(self->virtio.env->objects, id);
    self->backend = object != NULL ? rng_backend_from_object(object) : NULL;
    if (self->backend == NULL)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    object == NULL ? "rng=%s: there is no object of this id"
                                   : "rng=%s: this object is not a source of random bytes",
                    id);
    return self->backend != NULL;
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    static const guint16 queue_sizes[] = {QUEUE_SIZE};
    guint64 max_bytes = DEFAULT_MAX_BYTES, period = DEFAULT_PERIOD;
    if (!optset_size(options, "max-bytes", 1, &max_bytes, error) ||
        !optset_uint(options, "period", 1, G_MAXINT32, &period, error))
        return NULL;
    VirtioRng *self = g_new0(VirtioRng, 1);
    virtio_device_init(&self->virtio, env, "virtio-rng-pci", &ops, 0, queue_sizes, 1, 0);
    self->max_bytes = MIN(max_bytes, DEFAULT_MAX_BYTES);
    self->quota = self->max_bytes;
    self->period = (guint)period;
    self->virtio.device.reset = machine_reset;
    self->virtio.device.destroy = destroy;
    if (choose_backend(self, options, error) && virtio_device_serve(&self->virtio, 0, error))
        self->pci = virtio_pci_new(&self->virtio, VIRTIO_RNG_ID, PCI_CLASS, options, error);
    if (self->pci == NULL) {
        destroy(&self->virtio.device);
        return NULL;
    }
    return &self->virtio.device;
}

const DeviceType virtio_rng_pci_type = {
    .name = "virtio-rng-pci",
    .alias = "virtio-rng",
    .bus = "PCI",
    .description = "entropy device [rng=OBJECT,max-bytes=N,period=MS]",
    .create = create,
};
