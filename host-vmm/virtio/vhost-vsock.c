// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/vhost-vsock.h"

#include <errno.h>
#include <linux/vhost.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <glib-unix.h>

#include "host-vmm/virtio/vhost.h"
#include "host-vmm/virtio/virtio-pci.h"

#define NAME            "vhost-vsock"
#define VIRTIO_VSOCK_ID 19
#define PCI_CLASS       0x078000 /* communication, other */
#define QUEUE_SIZE      128
#define F_SEQPACKET     1

/* Queues (section 5.10.2). Events tell of a migration only: nothing is ever put there. */
enum { QUEUE_RX, QUEUE_TX, QUEUE_EVENT, QUEUE_COUNT };
#define VHOST_QUEUES 2

/* 0 to 2 are others' (section 5.10.4); the upper 32 bits are reserved and zero, and all ones is "any". */
#define FIRST_CID 3
#define LAST_CID  0xfffffffe

typedef struct VhostVsock {
    VirtioDevice virtio;
    VirtioPci *pci;
    int fd;
    guint64 features; /* that the kernel's side knows */
    int call[VHOST_QUEUES], error[VHOST_QUEUES];
    GSource *error_source[VHOST_QUEUES];

    /* Under the device's lock. */
    gboolean is_running;
    GSource *call_source[VHOST_QUEUES]; /* NULL: the kernel raises the interrupt by itself */
} VhostVsock;

static void drain(int fd)
{
    guint64 count;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        g_warning(NAME ": an eventfd could not be read: %s", g_strerror(errno));
}

static gboolean on_call(int fd, GIOCondition condition, gpointer user_data)
{
    VhostVsock *self = user_data;
    VirtioDevice *device = &self->virtio;
    guint index = fd == self->call[QUEUE_RX] ? QUEUE_RX : QUEUE_TX;
    drain(fd);
    g_mutex_lock(&device->lock);
    if (self->is_running && device->running)
        device->transport_ops->queue_interrupt(device->transport, index);
    g_mutex_unlock(&device->lock);
    return G_SOURCE_CONTINUE;
}

static GSource *watch(int fd, GUnixFDSourceFunc func, VhostVsock *self)
{
    GSource *source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(func), self, NULL);
    g_source_attach(source, NULL);
    return source;
}

static void drop_source(GSource **source)
{
    if (*source != NULL)
        g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

static gboolean set_running(VhostVsock *self, int running)
{
    return ioctl(self->fd, VHOST_VSOCK_SET_RUNNING, &running) == 0;
}

/* The rings are ours again. Nothing is done with them: there is no moving data without the kernel. */
static void stop(VhostVsock *self)
{
    VirtioDevice *device = &self->virtio;
    if (!self->is_running)
        return;
    set_running(self, 0);
    self->is_running = FALSE;
    for (guint i = 0; i < VHOST_QUEUES; i++) {
        device->transport_ops->set_irq_fd(device->transport, i, -1);
        drop_source(&self->call_source[i]);
        virtqueue_take_back(&device->queues[i].ring);
        virtio_device_take_back(device, i);
    }
}

static gboolean on_error(int fd, GIOCondition condition, gpointer user_data)
{
    VhostVsock *self = user_data;
    drain(fd);
    g_mutex_lock(&self->virtio.lock);
    if (self->is_running) {
        stop(self);
        virtio_device_fail(&self->virtio, "the kernel's vhost has given up on a ring");
    }
    g_mutex_unlock(&self->virtio.lock);
    return G_SOURCE_CONTINUE;
}

static void start(VirtioDevice *device)
{
    VhostVsock *self = (VhostVsock *)device;
    VhostRing rings[VHOST_QUEUES];
    g_autoptr(GError) error = NULL;
    if (!device->queues[QUEUE_RX].ring.enabled || !device->queues[QUEUE_TX].ring.enabled)
        return;
    for (guint i = 0; i < VHOST_QUEUES; i++) {
        VirtQueue *ring = &device->queues[i].ring;
        rings[i] = (VhostRing){.size = ring->size,
                               .next_avail = virtqueue_hand_over(ring, 0),
                               .desc = ring->desc,
                               .driver = ring->driver,
                               .device = ring->device,
                               .kick = virtio_device_hand_over(device, i),
                               .call = self->call[i],
                               .error = self->error[i]};
        if (!device->transport_ops->set_irq_fd(device->transport, i, self->call[i]))
            self->call_source[i] = watch(self->call[i], on_call, self);
    }
    self->is_running = TRUE;
    if (!vhost_set_up(NAME, self->fd, device->driver_features & self->features, device->env->memory, rings,
                      VHOST_QUEUES, &error) ||
        (!set_running(self, 1) && !vhost_fail(NAME, "VHOST_VSOCK_SET_RUNNING", &error))) {
        stop(self);
        virtio_device_fail(device, error->message);
        return;
    }
    /* What the driver put in before now had no doorbell. */
    for (guint i = 0; i < VHOST_QUEUES; i++)
        virtio_device_kick(device, i);
}

static void reset(VirtioDevice *device)
{
    stop((VhostVsock *)device);
}

/* Kicks that were on their way when the kernel took over, and the event queue's: nothing to do. */
static void handle_queue(VirtioDevice *device, guint index)
{
}

static const VirtioOps ops = {.start = start, .reset = reset, .handle_queue = handle_queue};

static void machine_reset(Device *device)
{
    virtio_pci_reset(((VhostVsock *)device)->pci);
}

static void destroy(Device *device)
{
    VhostVsock *self = (VhostVsock *)device;
    if (self->pci != NULL) {
        g_mutex_lock(&self->virtio.lock);
        stop(self);
        g_mutex_unlock(&self->virtio.lock);
    }
    virtio_pci_free(self->pci);
    for (guint i = 0; i < VHOST_QUEUES; i++) {
        drop_source(&self->call_source[i]);
        drop_source(&self->error_source[i]);
        if (self->call[i] >= 0)
            close(self->call[i]);
        if (self->error[i] >= 0)
            close(self->error[i]);
    }
    if (self->fd >= 0)
        close(self->fd);
    virtio_device_clear(&self->virtio);
    g_free(self);
}

static gboolean open_eventfds(VhostVsock *self, GError **error)
{
    for (guint i = 0; i < VHOST_QUEUES; i++) {
        self->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        self->error[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (self->call[i] < 0 || self->error[i] < 0)
            return vhost_fail(NAME, "eventfd", error);
        self->error_source[i] = watch(self->error[i], on_error, self);
    }
    return TRUE;
}

static gboolean open_vhost(VhostVsock *self, int fd, guint64 cid, GError **error)
{
    self->fd = vhost_open(NAME, fd, &self->features, error);
    if (self->fd < 0)
        return FALSE;
    __u64 number = cid;
    if (ioctl(self->fd, VHOST_VSOCK_SET_GUEST_CID, &number) == 0)
        return TRUE;
    if (errno != EADDRINUSE)
        return vhost_fail(NAME, "VHOST_VSOCK_SET_GUEST_CID", error);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
                "guest-cid=%" G_GUINT64_FORMAT " is another guest's", cid);
    return FALSE;
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    static const guint16 queue_sizes[QUEUE_COUNT] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE};
    guint64 cid = 0, fd = 0;
    gboolean has_fd = optset_has(options, "vhostfd");
    if (optset_need_string(options, "guest-cid", error) == NULL ||
        !optset_uint(options, "guest-cid", FIRST_CID, LAST_CID, &cid, error) ||
        !optset_uint(options, "vhostfd", 0, G_MAXINT, &fd, error))
        return NULL;
    VhostVsock *self = g_new0(VhostVsock, 1);
    self->fd = -1;
    for (guint i = 0; i < VHOST_QUEUES; i++)
        self->call[i] = self->error[i] = -1;
    virtio_device_init(&self->virtio, env, "vhost-vsock-pci", &ops, 1ull << F_SEQPACKET, queue_sizes,
                       QUEUE_COUNT, sizeof(guint64));
    self->virtio.device.reset = machine_reset;
    self->virtio.device.destroy = destroy;
    guint64 config = GUINT64_TO_LE(cid);
    memcpy(self->virtio.config, &config, sizeof config);
    gboolean served = open_vhost(self, has_fd ? (int)fd : -1, cid, error) && open_eventfds(self, error);
    self->virtio.host_features &= self->features;
    for (guint i = 0; i < QUEUE_COUNT && served; i++)
        served = virtio_device_serve(&self->virtio, i, error);
    if (served)
        self->pci = virtio_pci_new(&self->virtio, VIRTIO_VSOCK_ID, PCI_CLASS, options, error);
    if (self->pci == NULL) {
        destroy(&self->virtio.device);
        return NULL;
    }
    return &self->virtio.device;
}

const DeviceType vhost_vsock_pci_type = {
    .name = "vhost-vsock-pci",
    .alias = "vhost-vsock",
    .bus = "PCI",
    .description = "sockets between host and guest [guest-cid=N,vhostfd=N]",
    .create = create,
};
