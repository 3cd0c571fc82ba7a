// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-device: what every virtio device is, whatever the transport: status, features, configuration,
 * queues.
 *
 * virtio 1.2, sections 2 and 3.1; modern only (VERSION_1). The transport (virtio-pci) shows these as
 * registers; a device (virtio-rng, virtio-serial) embeds VirtioDevice as the first member of its struct and
 * handles its queues.
 *
 * Threads: registers are accessed on vCPU threads, queues are handled on the thread of `context`. `lock`
 * guards all of VirtioDevice and the embedding struct (but what that names as its main thread's). It is held
 * during all VirtioOps callbacks. A device that calls a chardev or sends an event lets it go first, and must
 * then be ready for a reset in between: compare `resets`.
 */
#pragma once

#include "host-vmm/device.h"
#include "host-vmm/virtio/virtqueue.h"

/* Feature bits that are not a device's own (section 6). */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32

/* Device status (section 2.1). */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01
#define VIRTIO_STATUS_DRIVER      0x02
#define VIRTIO_STATUS_DRIVER_OK   0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_STATUS_FAILED      0x80

#define VIRTIO_MAX_QUEUES 1024

typedef struct VirtioDevice VirtioDevice;

/* A device's side. All are called with the lock held; all but handle_queue may be NULL (write_config: nothing
 * is writable). */
typedef struct VirtioOps {
    /* The driver has set DRIVER_OK. */
    void (*start)(VirtioDevice *device);
    /* A reset begins, no queue is served any more: whether nothing touches the guest's memory now. FALSE: the
     * device calls virtio_device_finish_reset() when that is so; the driver sees a status other than 0 until
     * then. NULL: always. */
    gboolean (*quiesce)(VirtioDevice *device);
    /* The driver resets, or the machine: forget all elements held. Also called when never started. */
    void (*reset)(VirtioDevice *device);
    /* The driver has put something into a queue that virtio_device_serve() was called for. On the context's
     * thread. */
    void (*handle_queue)(VirtioDevice *device, guint index);
    /* The driver writes into the configuration; what it may change is for the device to change in `config`.
     */
    void (*write_config)(VirtioDevice *device, guint64 offset, guint size, guint64 value);
} VirtioOps;

/* A transport's side. Called with the lock held. */
typedef struct VirtioTransportOps {
    void (*queue_interrupt)(gpointer transport, guint index);
    void (*config_interrupt)(gpointer transport);
    /* Which queues want doorbells may have changed (virtio_device_wants_doorbell()). */
    void (*sync_doorbells)(gpointer transport);
    /* From now on each write to eventfd raises this queue's interrupt, without us. FALSE: the transport
     * cannot as it is now. eventfd -1: no longer. */
    gboolean (*set_irq_fd)(gpointer transport, guint index, int eventfd);
} VirtioTransportOps;

typedef struct VirtioQueueSlot {
    VirtQueue ring;
    int event_fd; /* signalled by kicks; -1: nobody serves this queue */
    GSource *source;
} VirtioQueueSlot;

struct VirtioDevice {
    Device device;
    DeviceEnv *env;
    const VirtioOps *ops;
    const VirtioTransportOps *transport_ops;
    gpointer transport;
    GMainContext *context;
    const char *name;

    GMutex lock;
    guint64 host_features, driver_features;
    guint8 status;
    gboolean running;   /* DRIVER_OK and not broken */
    gboolean resetting; /* between quiesce() that said FALSE and virtio_device_finish_reset() */
    guint resets;       /* counts them */
    guint8 generation;  /* of the configuration */
    guint8 *config;
    guint config_size;
    guint queue_count;
    VirtioQueueSlot *queues;
    guint complaints; /* how often the log was told that the driver is broken */
};

/* ---- for a device ---- */

/* queue_sizes: of each queue. features: the device's own; VERSION_1, INDIRECT_DESC and EVENT_IDX are added.
 */
void virtio_device_init(VirtioDevice *device, DeviceEnv *env, const char *name, const VirtioOps *ops,
                        guint64 features, const guint16 *queue_sizes, guint queue_count, guint config_size);
/* After the transport is gone: frees what init and serve made, not the struct. */
void virtio_device_clear(VirtioDevice *device);
/* From now on kicks of this queue are handled. At any time, without the lock, on the main thread. */
gboolean virtio_device_serve(VirtioDevice *device, guint index, GError **error);

/* The rest with the lock held. */

/* The next element of a queue, or NULL. A corrupt ring makes the device need a reset. */
VirtQueueElement *virtio_device_pop(VirtioDevice *device, guint index);
/* After a batch of virtqueue_push(): interrupts if the driver wants to know. */
void virtio_device_notify(VirtioDevice *device, guint index);
/* Somebody else (the kernel's vhost) handles this queue's kicks from now on: returns the eventfd that they
 * arrive at. The lock is held, any thread; a kick that was being handled may still call handle_queue once. */
int virtio_device_hand_over(VirtioDevice *device, guint index);
/* And back. Kicks, for what may have been missed. */
void virtio_device_take_back(VirtioDevice *device, guint index);
/* Has handle_queue called again from the main loop, as if the driver had kicked. */
void virtio_device_kick(VirtioDevice *device, guint index);
/* The configuration has changed: next generation and an interrupt. */
void virtio_device_config_changed(VirtioDevice *device);
/* The driver did what cannot be: DEVICE_NEEDS_RESET, and all queues rest until then. */
void virtio_device_fail(VirtioDevice *device, const char *why);

/* Ends the reset that quiesce() has put off. */
void virtio_device_finish_reset(VirtioDevice *device);

/* ---- for a transport; all with the lock held ---- */

void virtio_device_set_status(VirtioDevice *device, guint8 status); /* 0 resets */
void virtio_device_reset(VirtioDevice *device);
/* 32 bits of the features; select 0 or 1, others read as zero. Writes once FEATURES_OK is set are ignored. */
guint32 virtio_device_features(const VirtioDevice *device, guint32 select);
guint32 virtio_device_driver_features(const VirtioDevice *device, guint32 select);
void virtio_device_set_driver_features(VirtioDevice *device, guint32 select, guint32 value);
/* The driver enables a queue that it has set up. */
void virtio_device_enable_queue(VirtioDevice *device, guint index);
gboolean virtio_device_wants_doorbell(const VirtioDevice *device, guint index);
