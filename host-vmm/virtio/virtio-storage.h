// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-storage: what virtio-blk and virtio-scsi have in common: requests that are taken from rings, carried
 * out by drives on an I/O thread, and given back together; and how these end, wait and go on with the
 * machine.
 *
 * A device embeds VirtioStorage as the first member of its struct. All of its queues are served, and all of
 * its requests complete, on the thread of `io`: the main one or an -object iothread's.
 */
#pragma once

#include "host-vmm/block/drive.h"
#include "host-vmm/notifier.h"
#include "host-vmm/virtio/virtio-device.h"
#include "host-vmm/virtio/virtio-pci.h"

typedef struct VirtioStorage VirtioStorage;

/* What a device's request begins with. */
typedef struct VirtioStorageRequest VirtioStorageRequest;
struct VirtioStorageRequest {
    VirtQueueElement *element; /* the device's to cut; its own until it is given back */
    guint queue;
    VirtioStorageRequest *next; /* in the list of finished ones */
};

/* A device's side. But for the first all are called with the lock held, on the io's thread. */
typedef struct VirtioStorageOps {
    /* Calls func for each drive. Without the lock: drives come and go on the main thread, which is this one
     * or waits for it. */
    void (*foreach_drive)(VirtioStorage *storage, void (*func)(Drive *drive));
    /* What the driver has put into a queue; becomes a request with virtio_storage_begin(), or is freed. */
    void (*handle_element)(VirtioStorage *storage, guint queue, VirtQueueElement *element);
    /* Writes what the driver shall see into the element's buffers; returns how many bytes that is. Not
     * called during a reset. */
    guint32 (*complete)(VirtioStorage *storage, VirtioStorageRequest *request);
    void (*free_request)(VirtioStorage *storage, VirtioStorageRequest *request);
    /* A batch of requests was given back. NULL: nothing to do. */
    void (*answered)(VirtioStorage *storage);
} VirtioStorageOps;

struct VirtioStorage {
    VirtioDevice virtio;
    const VirtioStorageOps *ops;
    VirtioPci *pci;
    IoContext *io;
    Notifier *cancel; /* to the io's thread: a reset waits for what is in flight */

    /* Under the lock. */
    guint outstanding; /* taken from a ring and not given back */
    gboolean paused;   /* with the machine: rings are not looked at */

    /* The io's thread. */
    VirtioStorageRequest *finished; /* to be given back, newest first */
    IoDeferred answer;
};

/* ---- creation, on the main thread ---- */

/* Sets `io` by the option "iothread". */
gboolean virtio_storage_find_io(VirtioStorage *storage, DeviceEnv *env, OptSet *options, GError **error);
/* A queue's size as an option: a power of two, 4 to VIRTQUEUE_MAX_SIZE. */
gboolean virtio_storage_queue_size(OptSet *options, const char *key, guint64 *size, GError **error);
/* As virtio_device_init(); `virtio_ops` has virtio_storage_quiesce() and virtio_storage_handle_queue(). Sets
 * what the machine does to the device, but for `destroy`. */
void virtio_storage_init(VirtioStorage *storage, DeviceEnv *env, const char *name,
                         const VirtioOps *virtio_ops, const VirtioStorageOps *ops, guint64 features,
                         const guint16 *queue_sizes, guint queue_count, guint config_size);
/* Serves the queues and becomes a PCI function. */
gboolean virtio_storage_connect(VirtioStorage *storage, guint virtio_id, OptSet *options, GError **error);
/* Ends all requests and undoes connect() and init(), as far as they came; `stop` (or NULL) is called on the
 * io's thread. Frees no drive. */
void virtio_storage_clear(VirtioStorage *storage, void (*stop)(VirtioStorage *storage));
/* A number in the configuration, little-endian. */
void virtio_storage_put_config(VirtioStorage *storage, guint offset, guint64 value, guint size);

/* ---- for a VirtioOps ---- */

gboolean virtio_storage_quiesce(VirtioDevice *device);
void virtio_storage_handle_queue(VirtioDevice *device, guint index);

/* ---- for requests, on the io's thread ---- */

/* An element becomes a request, which then ends with virtio_storage_finish(). The lock is held. */
void virtio_storage_begin(VirtioStorage *storage, VirtioStorageRequest *request, guint queue,
                          VirtQueueElement *element);
/* It is given back when all that completes now has completed. */
void virtio_storage_finish(VirtioStorage *storage, VirtioStorageRequest *request);

/* Cuts `bytes`, which are there, off the front of a list of segments. */
void virtio_storage_cut(struct iovec **segments, guint *count, gsize bytes);
