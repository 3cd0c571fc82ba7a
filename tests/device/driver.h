// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver: what device tests play the guest with: a machine's buses and RAM without KVM, a scripted VmOps that
 * keeps account of everything, and a virtio driver that finds its registers by the capability list.
 * What must not be aborts (g_assert), so that fuzzers can use it too.
 */
#pragma once

#include "host-vmm/device.h"
#include "host-vmm/virtio/virtio-pci.h"

#define RIG_RAM      (16u << 20)
#define FAKE_GSIS    128
#define FAKE_FIRST   24 /* GSIs that msi_add gives out */
#define FAKE_IRQFDS  128
#define WAIT_STEP_US 100
#define WAIT_SECONDS 10 /* a test that waits longer has failed */

typedef struct FakeDoorbell {
    guint64 address;
    guint size;
    int fd;
} FakeDoorbell;

typedef struct FakeVm {
    VmOps ops;
    gboolean refuse_doorbells, refuse_msi, refuse_irqfd;

    gboolean level[FAKE_FIRST];
    guint line_calls;
    struct {
        gboolean used;
        guint64 address;
        guint32 data;
        int fd;       /* irqfd, -1 */
        int other_fd; /* another one, -1 */
    } gsi[FAKE_GSIS];
    guint msi_adds, msi_updates, msi_removes, irqfd_adds, irqfd_removes;
    GArray *doorbells; /* FakeDoorbell */
    guint doorbell_adds, doorbell_removes;
} FakeVm;

typedef struct Rig {
    FakeVm vm;
    DeviceEnv env;
    GuestMemory *memory;
    GPtrArray *events; /* "NAME {json}" */
    GMutex events_lock;
    guint alarms[DEVICE_ALARM_RESET + 1]; /* how often each was raised, under events_lock */
    guint gpes;                           /* general-purpose events raised, a bit each, under events_lock */
    int io_errors;                        /* how often a disk asked for the guest to be stopped */
} Rig;

Rig *rig_new(void);
void rig_free(Rig *rig); /* destroys the devices, last one first; aborts if anything was left behind */
/* "virtio-rng-pci,id=x"; NULL and error as device_create(). */
Device *rig_try_device(Rig *rig, const char *options, GError **error);
Device *rig_device(Rig *rig, const char *options);
void rig_object(Rig *rig, const char *options);
Chardev *rig_chardev(Rig *rig, const char *options);
NetDev *rig_netdev(Rig *rig, const char *options);
void rig_assign(Rig *rig); /* pci_bus_assign() */
/* As machine_reset(): each device and its PCI function. */
void rig_reset(Rig *rig);

guint32 rig_config_read(Rig *rig, guint slot, guint offset, guint size);
void rig_config_write(Rig *rig, guint slot, guint offset, guint size, guint32 value);
/* A guest's MMIO write: taken by a doorbell or arriving on the bus. */
void rig_mmio_write(Rig *rig, guint64 address, guint size, guint64 value);
/* Lets the main loop run until it has nothing to do. */
void rig_settle(void);
/* Runs the main loop until *flag or func says so; aborts after WAIT_SECONDS. */
void rig_wait(gboolean (*done)(gpointer user_data), gpointer user_data);
/* The number of times that the interrupt with this message was raised since it was last asked. */
guint64 rig_take_interrupts(Rig *rig, guint32 data);

/* ---- the virtio driver ---- */

#define DRIVER_MAX_QUEUES 64

typedef struct DriverQueue {
    guint index, size;
    guint64 desc, avail, used; /* guest addresses */
    guint64 doorbell;
    guint16 avail_index, used_index;
    guint16 next_desc;
} DriverQueue;

typedef struct Driver {
    Rig *rig;
    guint slot;
    guint64 common, isr, config, notify;
    guint32 notify_multiplier;
    guint8 window; /* offset of the PCI_CFG capability */
    guint64 features;
    guint64 next_free; /* guest memory not used yet */
    DriverQueue queues[DRIVER_MAX_QUEUES];
} Driver;

typedef struct DriverBuffer {
    guint64 address;
    guint32 length;
    gboolean is_in;
} DriverBuffer;

/* Finds the capabilities and BARs of the function at this slot. RAM from base on is the driver's. */
Driver *driver_new(Rig *rig, guint slot, guint64 base);
guint64 driver_read(Driver *driver, guint offset, guint size); /* common configuration */
void driver_write(Driver *driver, guint offset, guint size, guint64 value);
guint64 driver_offered(Driver *driver);
/* Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK: FALSE if the device does not accept. */
gboolean driver_negotiate(Driver *driver, guint64 features);
/* Sets a queue up with `size` entries and enables it. */
DriverQueue *driver_setup_queue(Driver *driver, guint index, guint size);
void driver_ok(Driver *driver);
guint8 driver_status(Driver *driver);
guint64 driver_alloc(Driver *driver, guint64 length); /* 16-byte aligned, zeroed */

/* MSI-X on, vector i unmasked with message data 0x100 + i. */
void driver_msix_enable(Driver *driver);
guint64 driver_msix_table(Driver *driver);

/* Puts a chain into the ring (descriptors taken one after the other, going round) and returns its head. */
guint16 driver_add(Driver *driver, DriverQueue *queue, const DriverBuffer *buffers, guint count);
void driver_kick(Driver *driver, DriverQueue *queue);
/* The next used entry, waiting for it: returns its length. */
guint32 driver_wait_used(Driver *driver, DriverQueue *queue, guint16 *head);
gboolean driver_has_used(Driver *driver, DriverQueue *queue);
guint16 driver_get16(Driver *driver, guint64 address);
void driver_put16(Driver *driver, guint64 address, guint16 value);
void driver_put_desc(Driver *driver, guint64 table, guint index, guint64 address, guint32 length,
                     guint16 flags, guint16 next);
