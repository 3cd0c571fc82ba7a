// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device: what every -device is to the machine: a type out of a table, made from options, reset and freed.
 *
 * A device knows its bus and its host end through DeviceEnv, never the machine and never QMP.
 */
#pragma once

#include "host-vmm/block/drive.h"
#include "host-vmm/bus/io-bus.h"
#include "host-vmm/bus/pci.h"
#include "host-vmm/bus/vm-ops.h"
#include "host-vmm/char/chardev.h"
#include "host-vmm/fd-store.h"
#include "host-vmm/memory/guest-memory.h"
#include "host-vmm/net/netdev.h"
#include "host-vmm/object.h"
#include "host-vmm/optset.h"

typedef struct Device Device;
typedef struct DeviceType DeviceType;

/* An event for the monitor: name as in QMP ("VSERPORT_CHANGE"), data taken (may be NULL). Any thread. */
typedef void (*DeviceEventFunc)(const char *name, JsonObject *data, gpointer user_data);

/* What the machine has an action for (-action). Any thread. */
typedef enum {
    DEVICE_ALARM_WATCHDOG,     /* a watchdog has expired */
    DEVICE_ALARM_PANIC,        /* the guest says that it has panicked */
    DEVICE_ALARM_CRASH_LOADED, /* the same, and that it goes on as a crash kernel */
    DEVICE_ALARM_RESET,        /* the guest asks for a reset */
} DeviceAlarm;
typedef void (*DeviceAlarmFunc)(DeviceAlarm alarm, gpointer user_data);
/* Raises one of ACPI's general-purpose events. Any thread. */
typedef void (*DeviceGpeFunc)(guint gpe, gpointer user_data);

/* All that a device may know of where it lives. Lives as long as the machine. */
typedef struct DeviceEnv {
    GuestMemory *memory;
    VmOps *vm;
    IoBus *ports, *mmio;
    PciBus *pci;
    ChardevSet *chardevs;
    ObjectSet *objects;
    FdStore *fds;
    BlockSet *blocks;
    DriveSet *drives;
    IoContext *io; /* the main thread's */
    guint vcpus;   /* as many as there may be: for a queue each */
    NetDevSet *netdevs;
    GPtrArray *devices; /* of Device*, in order of creation, owned */
    DeviceEventFunc event;
    DeviceAlarmFunc alarm;
    DeviceGpeFunc raise_gpe;
    gpointer event_data; /* of these three */
} DeviceEnv;

/* What qom-list names, qom-get reads and qom-set writes. Main thread. */
typedef struct DeviceProperty {
    const char *name;                                                 /* NULL ends a list */
    const char *type;                                                 /* as qom-list says it: "int" */
    JsonNode *(*get)(Device *device, GError **error);                 /* owned */
    gboolean (*set)(Device *device, JsonNode *value, GError **error); /* NULL: read-only */
} DeviceProperty;

struct DeviceType {
    const char *name;        /* "virtio-rng-pci" */
    const char *alias;       /* another accepted name ("virtio-serial"), or NULL */
    const char *bus;         /* "PCI", "ISA", "virtio-serial-bus" */
    const char *description; /* one line for -device help */
    /* id may be NULL in options. Must ask for all its properties; the caller calls optset_finish(). */
    Device *(*create)(DeviceEnv *env, OptSet *options, GError **error);
    const DeviceProperty *properties; /* NULL: none */
};

/* A device's struct begins with this. type and id are filled in by device_create(), after create(): a device
 * that needs its id earlier asks the options for it. */
struct Device {
    const DeviceType *type;
    char *id;                      /* NULL if it has none */
    PciDevice *pci;                /* its function on the PCI bus, or NULL */
    void (*reset)(Device *device); /* machine reset: to power-on state; vCPUs are stopped. May be NULL */
    /* Finish what is in flight, begin nothing (vCPUs are stopped already); go on. May be NULL. */
    void (*pause)(Device *device);
    void (*resume)(Device *device);
    void (*destroy)(Device *device); /* frees everything, the struct too */
};

/* Makes and adds to env->devices: finds the type by options' "driver", refuses a second device of the same
 * id, checks that every property was known. Errors name driver and id. */
Device *device_create(DeviceEnv *env, OptSet *options, GError **error);
Device *device_find(const DeviceEnv *env, const char *id);
Device *device_find_type(const DeviceEnv *env, const DeviceType *type); /* the first one */
void device_destroy(Device *device);
/* Takes the options of a device's place on the PCI bus (bus=pci.0, addr=); slot -1: anywhere. */
gboolean device_take_pci_place(OptSet *options, int *slot, guint *function, GError **error);
/* All types, NULL-terminated. */
const DeviceType *const *device_types(void);
