// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/pvpanic.h"

#define EVENT_PANICKED     1u
#define EVENT_CRASH_LOADED 2u /* it has panicked, and a crash kernel takes over */
#define EVENTS             (EVENT_PANICKED | EVENT_CRASH_LOADED)

#define VENDOR_REDHAT  0x1b36
#define DEVICE_PVPANIC 0x0011
#define PCI_CLASS      0x088000 /* system peripheral, other */
#define BAR_SIZE       4096

typedef struct PvPanic {
    Device device;
    DeviceEnv *env;
    guint8 events; /* that are understood */
    guint16 port;  /* 0: none */
} PvPanic;

static guint64 panic_read(gpointer device, guint64 offset, guint size)
{
    return offset == 0 ? ((PvPanic *)device)->events : 0;
}

static void panic_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    PvPanic *self = device;
    guint8 event = offset == 0 ? (guint8)value & self->events : 0;
    if (event & EVENT_PANICKED) {
        self->env->alarm(DEVICE_ALARM_PANIC, self->env->event_data);
    } else if (event & EVENT_CRASH_LOADED) {
        self->env->alarm(DEVICE_ALARM_CRASH_LOADED, self->env->event_data);
    }
}

static const IoBusOps OPS = {panic_read, panic_write};

static void panic_destroy(Device *device)
{
    PvPanic *self = (PvPanic *)device;
    if (self->port) {
        io_bus_unmap(self->env->ports, self->port);
    }
    g_clear_pointer(&self->device.pci, pci_device_free);
    g_free(self);
}

static PvPanic *panic_new(DeviceEnv *env, OptSet *options, GError **error)
{
    guint64 events = EVENTS;
    if (!optset_uint(options, "events", 0, EVENTS, &events, error)) {
        return NULL;
    }
    PvPanic *self = g_new0(PvPanic, 1);
    self->device.destroy = panic_destroy;
    self->env = env;
    self->events = (guint8)events;
    return self;
}

static Device *create_at_port(DeviceEnv *env, OptSet *options, GError **error)
{
    guint64 port = PVPANIC_PORT;
    PvPanic *self = panic_new(env, options, error);
    if (!self) {
        return NULL;
    }
    if (!optset_uint(options, "ioport", 0x100, 0xffff, &port, error) ||
        !io_bus_map(env->ports, port, 1, &OPS, self, error)) {
        panic_destroy(&self->device);
        return NULL;
    }
    self->port = (guint16)port;
    return &self->device;
}

static Device *create_on_pci(DeviceEnv *env, OptSet *options, GError **error)
{
    static const PciIdentity identity = {.vendor = VENDOR_REDHAT,
                                         .device = DEVICE_PVPANIC,
                                         .subsystem_vendor = 0x1af4,
                                         .subsystem = 0x1100,
                                         .revision = 1,
                                         .class_code = PCI_CLASS};
    int slot;
    guint function;
    PvPanic *self = panic_new(env, options, error);
    if (!self) {
        return NULL;
    }
    if (device_take_pci_place(options, &slot, &function, error)) {
        self->device.pci = pci_device_new(env->pci, "pvpanic", &identity, slot, function, 0, error);
    }
    if (!self->device.pci) {
        panic_destroy(&self->device);
        return NULL;
    }
    pci_device_add_bar(self->device.pci, 0, BAR_SIZE, FALSE, &OPS, self);
    return &self->device;
}

gboolean pvpanic_place(const Device *device, guint16 *port)
{
    if (device->type != &pvpanic_type) {
        return FALSE;
    }
    *port = ((const PvPanic *)device)->port;
    return TRUE;
}

const DeviceType pvpanic_type = {
    .name = "pvpanic",
    .bus = "ISA",
    .description = "tells of a panic of the guest; -action panic= says what is done then [ioport=,events=]",
    .create = create_at_port,
};

const DeviceType pvpanic_pci_type = {
    .name = "pvpanic-pci",
    .bus = "PCI",
    .description = "the same as a PCI function [events=]",
    .create = create_on_pci,
};
