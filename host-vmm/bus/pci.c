// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/bus/pci.h"

#include <string.h>

#include "host-vmm/bus/pci-msix.h"

/* Configuration space header, type 0 (PCI 3.0, section 6.1). */
#define CONFIG_SIZE          256u
#define VENDOR_ID            0x00
#define DEVICE_ID            0x02
#define COMMAND              0x04
#define COMMAND_IO           0x0001
#define COMMAND_MEMORY       0x0002
#define COMMAND_MASTER       0x0004
#define COMMAND_SERR         0x0100
#define COMMAND_INTX_OFF     0x0400
#define STATUS               0x06
#define STATUS_INTX          0x0008
#define STATUS_CAPABILITIES  0x0010
#define REVISION_ID          0x08
#define CLASS_CODE           0x09
#define CACHE_LINE_SIZE      0x0c
#define HEADER_TYPE          0x0e
#define HEADER_MULTIFUNCTION 0x80
#define BAR_0                0x10
#define BAR_64               0x04
#define BAR_PREFETCHABLE     0x08
#define SUBSYSTEM_VENDOR_ID  0x2c
#define SUBSYSTEM_ID         0x2e
#define CAPABILITIES_POINTER 0x34
#define INTERRUPT_LINE       0x3c
#define INTERRUPT_PIN        0x3d
#define FIRST_CAPABILITY     0x40

#define CAPABILITY_MSIX        0x11
#define CAPABILITY_MSIX_LENGTH 12
#define MSIX_ENABLE            0x8000
#define MSIX_FUNCTION_MASK     0x4000

#define BARS            6
#define FIRST_FREE_SLOT 2
#define INTX_LINES      4

/* Configuration mechanism #1 (PCI 3.0, section 3.2.2.3.2). */
#define ADDRESS_PORT   0xcf8
#define PORTS_LENGTH   8
#define DATA_OFFSET    4
#define ADDRESS_ENABLE 0x80000000u
#define RESET_OFFSET   1 /* 0xcf9 */
#define RESET_GO       0x04
#define RESET_KEPT     0x02

typedef struct Bar {
    guint64 size; /* 0: not there */
    gboolean is_64;
    const IoBusOps *ops;
    gpointer data;
    guint64 mapped; /* PCI_BAR_UNMAPPED or where it is on the bus; changed under both locks */
} Bar;

struct PciDevice {
    PciBus *bus;
    char *name;
    guint slot, function;
    guint pin; /* 0 none, 1-4 */

    /* Under the configuration lock. */
    guint8 config[CONFIG_SIZE];
    guint8 writable[CONFIG_SIZE];
    guint8 power_on[CONFIG_SIZE]; /* what a reset returns to, once placed */
    gboolean placed;
    guint next_capability;
    Bar bars[BARS];
    PciBarFunc bar_func;
    gpointer bar_func_data;
    PciConfigFunc config_func;
    gpointer config_func_data;
    guint config_func_offset, config_func_length;
    guint8 msix_capability; /* its offset */

    PciMsix *msix; /* locks itself */

    /* Under the interrupt lock. */
    gboolean intx_level;    /* what the device says */
    gboolean intx_disabled; /* by the command register */
    gboolean intx_driven;   /* what its line is told */
};

struct PciBus {
    IoBus *ports, *mmio;
    VmOps *vm;

    GMutex config_lock; /* see the header */
    guint32 address;
    guint8 reset_control;
    PciResetFunc reset_func;
    gpointer reset_data;
    PciDevice *devices[PCI_SLOTS][PCI_FUNCTIONS];

    GMutex lock;               /* INTx levels and Bar.mapped */
    guint drivers[INTX_LINES]; /* how many devices hold each of GSI 16-19 */
};

static guint16 get16(const guint8 *at)
{
    return (guint16)(at[0] | at[1] << 8);
}

static guint32 get32(const guint8 *at)
{
    return get16(at) | (guint32)get16(at + 2) << 16;
}

static void put16(guint8 *at, guint16 value)
{
    at[0] = (guint8)value;
    at[1] = (guint8)(value >> 8);
}

static void put32(guint8 *at, guint32 value)
{
    put16(at, (guint16)value);
    put16(at + 2, (guint16)(value >> 16));
}

/* ---- interrupts ---- */

/* With bus->lock held: the wires are shared, so a line is up while anybody holds it. */
static void update_intx(PciDevice *device)
{
    PciBus *bus = device->bus;
    gboolean drive =
        device->intx_level && !device->intx_disabled && !(device->msix && pci_msix_enabled(device->msix));
    if (device->pin == 0 || drive == device->intx_driven)
        return;
    device->intx_driven = drive;
    guint gsi = PCI_INTX_GSI(device->slot, device->pin - 1);
    guint *drivers = &bus->drivers[gsi - PCI_INTX_GSI(0, 0)];
    if (drive && (*drivers)++ == 0)
        bus->vm->set_line(bus->vm, gsi, TRUE);
    else if (!drive && --*drivers == 0)
        bus->vm->set_line(bus->vm, gsi, FALSE);
}

void pci_device_set_intx(PciDevice *device, gboolean level)
{
    g_mutex_lock(&device->bus->lock);
    device->intx_level = level;
    update_intx(device);
    g_mutex_unlock(&device->bus->lock);
}

gboolean pci_device_msix_enabled(PciDevice *device)
{
    return device->msix != NULL && pci_msix_enabled(device->msix);
}

guint pci_device_msix_vectors(const PciDevice *device)
{
    return device->msix != NULL ? pci_msix_vectors(device->msix) : 0;
}

void pci_device_msix_attach(PciDevice *device, guint vector, int eventfd)
{
    g_return_if_fail(device->msix != NULL);
    pci_msix_attach(device->msix, vector, eventfd);
}

void pci_device_msix_detach(PciDevice *device, int eventfd)
{
    g_return_if_fail(device->msix != NULL);
    pci_msix_detach(device->msix, eventfd);
}

void pci_device_msix_notify(PciDevice *device, guint vector)
{
    if (device->msix != NULL)
        pci_msix_notify(device->msix, vector);
}

/* The command register or MSI-X control may have changed. */
static void sync_interrupt_control(PciDevice *device)
{
    PciBus *bus = device->bus;
    if (device->msix != NULL) {
        guint16 control = get16(device->config + device->msix_capability + 2);
        pci_msix_set_control(device->msix, (control & MSIX_ENABLE) != 0, (control & MSIX_FUNCTION_MASK) != 0);
    }
    g_mutex_lock(&bus->lock);
    device->intx_disabled = (get16(device->config + COMMAND) & COMMAND_INTX_OFF) != 0;
    update_intx(device);
    g_mutex_unlock(&bus->lock);
}

/* ---- BARs ---- */

static guint64 bar_register(const PciDevice *device, guint index)
{
    guint64 address = get32(device->config + BAR_0 + index * 4) & ~0xfu;
    if (device->bars[index].is_64)
        address |= (guint64)get32(device->config + BAR_0 + index * 4 + 4) << 32;
    return address;
}

static void set_bar_register(PciDevice *device, guint index, guint64 address)
{
    guint8 *at = device->config + BAR_0 + index * 4;
    put32(at, (guint32)address | (get32(at) & 0xfu));
    if (device->bars[index].is_64)
        put32(at + 4, (guint32)(address >> 32));
}

/* Where a BAR ought to be by the registers. Address 0 is "not placed"; all ones are a guest measuring its
 * size. */
static guint64 wanted_address(const PciDevice *device, guint index)
{
    const Bar *bar = &device->bars[index];
    if ((get16(device->config + COMMAND) & COMMAND_MEMORY) == 0)
        return PCI_BAR_UNMAPPED;
    guint64 address = bar_register(device, index);
    guint64 last = address + (bar->size - 1);
    if (address == 0 || last < address || last == G_MAXUINT64 || last == G_MAXUINT32)
        return PCI_BAR_UNMAPPED;
    return address;
}

static void set_mapped(PciDevice *device, guint index, guint64 address)
{
    g_mutex_lock(&device->bus->lock);
    device->bars[index].mapped = address;
    g_mutex_unlock(&device->bus->lock);
    if (device->bar_func != NULL)
        device->bar_func(device, index, address, device->bar_func_data);
}

static void unmap_bar(PciDevice *device, guint index)
{
    io_bus_unmap(device->bus->mmio, device->bars[index].mapped);
    set_mapped(device, index, PCI_BAR_UNMAPPED);
}

/* The registers decide, and one that could not be mapped because another was in its way gets its place when
 * that one leaves: therefore all devices, unmapping first. Mapping directly is right although a handler is
 * running: it is one of the port bus, and nothing on the MMIO bus waits for the configuration lock. */
static void sync_mappings(PciBus *bus)
{
    for (int pass = 0; pass < 2; pass++) {
        for (guint place = 0; place < PCI_SLOTS * PCI_FUNCTIONS; place++) {
            PciDevice *device = bus->devices[place / PCI_FUNCTIONS][place % PCI_FUNCTIONS];
            for (guint i = 0; device != NULL && i < BARS; i++) {
                Bar *bar = &device->bars[i];
                if (bar->size == 0)
                    continue;
                guint64 wanted = wanted_address(device, i);
                if (pass == 0 && bar->mapped != PCI_BAR_UNMAPPED && bar->mapped != wanted)
                    unmap_bar(device, i);
                if (pass == 1 && bar->mapped == PCI_BAR_UNMAPPED && wanted != PCI_BAR_UNMAPPED &&
                    io_bus_map(bus->mmio, wanted, bar->size, bar->ops, bar->data, NULL))
                    set_mapped(device, i, wanted);
            }
        }
    }
}

guint64 pci_device_bar_address(PciDevice *device, guint index)
{
    g_return_val_if_fail(index < BARS, PCI_BAR_UNMAPPED);
    g_mutex_lock(&device->bus->lock);
    guint64 address = device->bars[index].size != 0 ? device->bars[index].mapped : PCI_BAR_UNMAPPED;
    g_mutex_unlock(&device->bus->lock);
    return address;
}

/* The end (exclusive) of a BAR that lies in [address, address + size), or 0. */
static guint64 taken_until(const PciBus *bus, guint64 address, guint64 size)
{
    for (guint place = 0; place < PCI_SLOTS * PCI_FUNCTIONS; place++) {
        const PciDevice *device = bus->devices[place / PCI_FUNCTIONS][place % PCI_FUNCTIONS];
        for (guint i = 0; device != NULL && i < BARS; i++) {
            if (device->bars[i].size == 0)
                continue;
            guint64 base = bar_register(device, i);
            if (base != 0 && base < address + size && address < base + device->bars[i].size)
                return base + device->bars[i].size;
        }
    }
    return 0;
}

static gboolean place_bar(PciDevice *device, guint index, GError **error)
{
    guint64 size = device->bars[index].size;
    guint64 address = (PCI_MMIO_BASE + size - 1) & ~(size - 1);
    while (address + (size - 1) <= PCI_MMIO_LIMIT) {
        guint64 end = taken_until(device->bus, address, size);
        if (end == 0) {
            set_bar_register(device, index, address);
            return TRUE;
        }
        address = (end + size - 1) & ~(size - 1);
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                "no room on the PCI bus for BAR %u of '%s' (slot %u): %" G_GUINT64_FORMAT " bytes", index,
                device->name, device->slot, size);
    return FALSE;
}

static gboolean place_device(PciDevice *device, GError **error)
{
    gboolean has_memory = FALSE;
    for (guint i = 0; i < BARS; i++) {
        if (device->bars[i].size == 0)
            continue;
        has_memory = TRUE;
        if (bar_register(device, i) == 0 && !place_bar(device, i, error))
            return FALSE;
    }
    if (!device->placed) {
        if (has_memory)
            put16(device->config + COMMAND, get16(device->config + COMMAND) | COMMAND_MEMORY);
        memcpy(device->power_on, device->config, CONFIG_SIZE);
        device->placed = TRUE;
    }
    return TRUE;
}

gboolean pci_bus_assign(PciBus *bus, GError **error)
{
    gboolean ok = TRUE;
    g_mutex_lock(&bus->config_lock);
    for (guint place = 0; ok && place < PCI_SLOTS * PCI_FUNCTIONS; place++) {
        PciDevice *device = bus->devices[place / PCI_FUNCTIONS][place % PCI_FUNCTIONS];
        if (device != NULL)
            ok = place_device(device, error);
    }
    sync_mappings(bus);
    g_mutex_unlock(&bus->config_lock);
    return ok;
}

/* ---- configuration space ---- */

static gboolean touches(guint offset, guint size, guint from, guint length)
{
    return offset < from + length && from < offset + size;
}

static guint32 config_read(PciDevice *device, guint offset, guint size)
{
    if (device->config_func != NULL &&
        touches(offset, size, device->config_func_offset, device->config_func_length))
        device->config_func(device, offset, size, FALSE, device->config_func_data);
    g_mutex_lock(&device->bus->lock);
    if (device->intx_level)
        device->config[STATUS] |= STATUS_INTX;
    else
        device->config[STATUS] &= (guint8)~STATUS_INTX;
    g_mutex_unlock(&device->bus->lock);
    guint32 value = 0;
    for (guint i = 0; i < size; i++)
        value |= (guint32)device->config[offset + i] << (i * 8);
    return value;
}

static void config_write(PciDevice *device, guint offset, guint size, guint32 value)
{
    for (guint i = 0; i < size; i++) {
        guint8 mask = device->writable[offset + i];
        guint8 byte = (guint8)(value >> (i * 8));
        device->config[offset + i] = (guint8)((device->config[offset + i] & ~mask) | (byte & mask));
    }
    if (touches(offset, size, COMMAND, 2) ||
        (device->msix != NULL && touches(offset, size, device->msix_capability, CAPABILITY_MSIX_LENGTH)))
        sync_interrupt_control(device);
    if (touches(offset, size, COMMAND, 2) || touches(offset, size, BAR_0, BARS * 4))
        sync_mappings(device->bus);
    if (device->config_func != NULL &&
        touches(offset, size, device->config_func_offset, device->config_func_length))
        device->config_func(device, offset, size, TRUE, device->config_func_data);
}

/* The function that the address register selects, or NULL. */
static PciDevice *addressed_device(const PciBus *bus)
{
    if ((bus->address & ADDRESS_ENABLE) == 0 || (bus->address >> 16 & 0xff) != 0)
        return NULL;
    return bus->devices[bus->address >> 11 & 0x1f][bus->address >> 8 & 0x7];
}

static guint64 ports_read(gpointer user_data, guint64 offset, guint size)
{
    PciBus *bus = user_data;
    guint64 value = G_MAXUINT64;
    g_mutex_lock(&bus->config_lock);
    if (offset >= DATA_OFFSET) {
        PciDevice *device = addressed_device(bus);
        if (device != NULL)
            value = config_read(device, (bus->address & 0xfc) + (guint)(offset - DATA_OFFSET), size);
    } else if (offset == 0 && size == 4) {
        value = bus->address;
    } else if (offset == RESET_OFFSET && size == 1) {
        value = bus->reset_control;
    }
    g_mutex_unlock(&bus->config_lock);
    return value;
}

static void ports_write(gpointer user_data, guint64 offset, guint size, guint64 value)
{
    PciBus *bus = user_data;
    PciResetFunc reset = NULL;
    gpointer reset_data = NULL;
    g_mutex_lock(&bus->config_lock);
    if (offset >= DATA_OFFSET) {
        PciDevice *device = addressed_device(bus);
        if (device != NULL)
            config_write(device, (bus->address & 0xfc) + (guint)(offset - DATA_OFFSET), size, (guint32)value);
    } else if (offset == 0 && size == 4) {
        bus->address = (guint32)value & ~3u;
    } else if (offset == RESET_OFFSET && size == 1) {
        bus->reset_control = value & RESET_KEPT;
        if ((value & RESET_GO) != 0) {
            reset = bus->reset_func;
            reset_data = bus->reset_data;
        }
    }
    g_mutex_unlock(&bus->config_lock);
    if (reset != NULL)
        reset(reset_data);
}

static const IoBusOps port_ops = {.read = ports_read, .write = ports_write};

/* ---- bus ---- */

PciBus *pci_bus_new(IoBus *ports, IoBus *mmio, VmOps *vm, GError **error)
{
    PciBus *bus = g_new0(PciBus, 1);
    bus->ports = ports;
    bus->mmio = mmio;
    bus->vm = vm;
    g_mutex_init(&bus->config_lock);
    g_mutex_init(&bus->lock);
    if (!io_bus_map(ports, ADDRESS_PORT, PORTS_LENGTH, &port_ops, bus, error)) {
        g_mutex_clear(&bus->lock);
        g_mutex_clear(&bus->config_lock);
        g_free(bus);
        return NULL;
    }
    return bus;
}

void pci_bus_free(PciBus *bus)
{
    if (bus == NULL)
        return;
    io_bus_unmap(bus->ports, ADDRESS_PORT);
    g_mutex_clear(&bus->lock);
    g_mutex_clear(&bus->config_lock);
    g_free(bus);
}

void pci_bus_set_reset_func(PciBus *bus, PciResetFunc func, gpointer user_data)
{
    g_mutex_lock(&bus->config_lock);
    bus->reset_func = func;
    bus->reset_data = user_data;
    g_mutex_unlock(&bus->config_lock);
}

/* ---- devices ---- */

gboolean pci_parse_address(const char *text, int *slot, guint *function, GError **error)
{
    char *end = NULL;
    guint64 number = g_ascii_isxdigit(text[0]) ? g_ascii_strtoull(text, &end, 16) : PCI_SLOTS;
    guint64 part = 0;
    if (end != NULL && *end == '.') {
        const char *rest = end + 1;
        part = g_ascii_isxdigit(rest[0]) ? g_ascii_strtoull(rest, &end, 16) : PCI_FUNCTIONS;
    }
    if (end == NULL || *end != '\0' || number >= PCI_SLOTS || part >= PCI_FUNCTIONS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s' is not a PCI address: slot 0x0 to 0x1f in hexadecimal, optionally .function 0 to 7",
                    text);
        return FALSE;
    }
    *slot = (int)number;
    *function = (guint)part;
    return TRUE;
}

/* With config_lock held: checks the place, or finds one for slot -1. */
static gboolean choose_place(const PciBus *bus, const char *name, int *slot, guint *function, GError **error)
{
    if (*slot < 0) {
        *function = 0;
        for (int s = FIRST_FREE_SLOT; s < PCI_SLOTS; s++) {
            gboolean is_free = TRUE;
            for (guint f = 0; f < PCI_FUNCTIONS; f++)
                is_free = is_free && bus->devices[s][f] == NULL;
            if (is_free) {
                *slot = s;
                return TRUE;
            }
        }
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no free PCI slot for '%s'", name);
        return FALSE;
    }
    if (*slot >= PCI_SLOTS || *function >= PCI_FUNCTIONS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "PCI slot %d function %u does not exist",
                    *slot, *function);
        return FALSE;
    }
    const PciDevice *there = bus->devices[*slot][*function];
    if (there != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
                    "slot %d function %u is already used by '%s', cannot put '%s' there", *slot, *function,
                    there->name, name);
        return FALSE;
    }
    return TRUE;
}

/* Every function of a slot says whether there are more than one. */
static void sync_multifunction(PciBus *bus, guint slot)
{
    gboolean several = FALSE;
    for (guint f = 1; f < PCI_FUNCTIONS; f++)
        several = several || bus->devices[slot][f] != NULL;
    for (guint f = 0; f < PCI_FUNCTIONS; f++) {
        PciDevice *device = bus->devices[slot][f];
        if (device == NULL)
            continue;
        device->config[HEADER_TYPE] &= (guint8)~HEADER_MULTIFUNCTION;
        if (several)
            device->config[HEADER_TYPE] |= HEADER_MULTIFUNCTION;
        device->power_on[HEADER_TYPE] = device->config[HEADER_TYPE];
    }
}

static void fill_header(PciDevice *device, const PciIdentity *identity)
{
    guint8 *config = device->config;
    put16(config + VENDOR_ID, identity->vendor);
    put16(config + DEVICE_ID, identity->device);
    config[REVISION_ID] = identity->revision;
    config[CLASS_CODE] = (guint8)identity->class_code;
    put16(config + CLASS_CODE + 1, (guint16)(identity->class_code >> 8));
    put16(config + SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
    put16(config + SUBSYSTEM_ID, identity->subsystem);
    config[INTERRUPT_PIN] = (guint8)device->pin;
    /* 255 is "unknown" (section 6.2.4): where the pin goes is told by _PRT. */
    config[INTERRUPT_LINE] = device->pin != 0 ? 0xff : 0;

    put16(device->writable + COMMAND,
          COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_SERR | COMMAND_INTX_OFF);
    device->writable[CACHE_LINE_SIZE] = 0xff;
    device->writable[INTERRUPT_LINE] = 0xff;
}

PciDevice *pci_device_new(PciBus *bus, const char *name, const PciIdentity *identity, int slot,
                          guint function, guint interrupt_pin, GError **error)
{
    g_return_val_if_fail(interrupt_pin <= 4, NULL);

    g_mutex_lock(&bus->config_lock);
    PciDevice *device = NULL;
    if (choose_place(bus, name, &slot, &function, error)) {
        device = g_new0(PciDevice, 1);
        device->bus = bus;
        device->name = g_strdup(name);
        device->slot = (guint)slot;
        device->function = function;
        device->pin = interrupt_pin;
        device->next_capability = FIRST_CAPABILITY;
        fill_header(device, identity);
        bus->devices[slot][function] = device;
        sync_multifunction(bus, device->slot);
    }
    g_mutex_unlock(&bus->config_lock);
    return device;
}

void pci_device_free(PciDevice *device)
{
    if (device == NULL)
        return;
    PciBus *bus = device->bus;
    g_mutex_lock(&bus->config_lock);
    for (guint i = 0; i < BARS; i++) {
        if (device->bars[i].size != 0 && device->bars[i].mapped != PCI_BAR_UNMAPPED)
            unmap_bar(device, i);
    }
    bus->devices[device->slot][device->function] = NULL;
    sync_multifunction(bus, device->slot);
    g_mutex_unlock(&bus->config_lock);

    pci_device_set_intx(device, FALSE);
    pci_msix_free(device->msix);
    g_free(device->name);
    g_free(device);
}

guint pci_device_slot(const PciDevice *device)
{
    return device->slot;
}

guint pci_device_function(const PciDevice *device)
{
    return device->function;
}

guint8 *pci_device_config(PciDevice *device)
{
    return device->config;
}

guint8 *pci_device_writable(PciDevice *device)
{
    return device->writable;
}

guint8 pci_device_add_capability(PciDevice *device, guint8 id, guint8 length)
{
    guint offset = device->next_capability;
    g_return_val_if_fail(length >= 2 && offset + length <= CONFIG_SIZE, 0);

    device->next_capability = (offset + length + 3u) & ~3u;
    device->config[offset] = id;
    device->config[offset + 1] = device->config[CAPABILITIES_POINTER];
    device->config[CAPABILITIES_POINTER] = (guint8)offset;
    device->config[STATUS] |= STATUS_CAPABILITIES;
    return (guint8)offset;
}

void pci_device_set_config_func(PciDevice *device, guint offset, guint length, PciConfigFunc func,
                                gpointer user_data)
{
    device->config_func_offset = offset;
    device->config_func_length = length;
    device->config_func = func;
    device->config_func_data = user_data;
}

void pci_device_add_bar(PciDevice *device, guint index, guint64 size, gboolean is_64, const IoBusOps *ops,
                        gpointer data)
{
    g_return_if_fail(index + (is_64 ? 1 : 0) < BARS && device->bars[index].size == 0);
    g_return_if_fail(size >= 4096 && (size & (size - 1)) == 0 && (is_64 || size <= 1ull << 31));

    device->bars[index] =
        (Bar){.size = size, .is_64 = is_64, .ops = ops, .data = data, .mapped = PCI_BAR_UNMAPPED};
    guint8 *config = device->config + BAR_0 + index * 4;
    guint8 *writable = device->writable + BAR_0 + index * 4;
    guint64 mask = ~(size - 1);
    put32(config, is_64 ? BAR_64 | BAR_PREFETCHABLE : 0);
    put32(writable, (guint32)mask);
    if (is_64)
        put32(writable + 4, (guint32)(mask >> 32));
}

void pci_device_set_bar_func(PciDevice *device, PciBarFunc func, gpointer user_data)
{
    device->bar_func = func;
    device->bar_func_data = user_data;
}

void pci_device_add_msix(PciDevice *device, guint bar, guint vectors)
{
    g_return_if_fail(device->msix == NULL && vectors >= 1 && vectors <= PCI_MSIX_MAX_VECTORS);

    device->msix = pci_msix_new(device->bus->vm, vectors);
    pci_device_add_bar(device, bar, PCI_MSIX_BAR_SIZE, FALSE, &pci_msix_bar_ops, device->msix);
    guint8 at = pci_device_add_capability(device, CAPABILITY_MSIX, CAPABILITY_MSIX_LENGTH);
    put16(device->config + at + 2, (guint16)(vectors - 1));
    put32(device->config + at + 4, bar);
    put32(device->config + at + 8, PCI_MSIX_PBA_OFFSET | bar);
    put16(device->writable + at + 2, MSIX_ENABLE | MSIX_FUNCTION_MASK);
    device->msix_capability = at;
}

void pci_device_reset(PciDevice *device)
{
    PciBus *bus = device->bus;
    g_mutex_lock(&bus->config_lock);
    if (device->placed)
        memcpy(device->config, device->power_on, CONFIG_SIZE);
    if (device->msix != NULL)
        pci_msix_reset(device->msix);
    g_mutex_lock(&bus->lock);
    device->intx_level = FALSE;
    g_mutex_unlock(&bus->lock);
    sync_interrupt_control(device);
    sync_mappings(bus);
    g_mutex_unlock(&bus->config_lock);
}
