// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pci: one flat PCI bus: configuration space by type-1 mechanism (ports 0xcf8/0xcfc), BARs, INTx and MSI-X.
 *
 * PCI Local Bus Specification 3.0. There is no firmware: pci_bus_assign() places the BARs before the guest starts and
 * enables decoding; the guest may move them.
 *
 * Locking, outermost first: the bus's configuration lock (configuration spaces, who sits where, where BARs are mapped)
 * is held during configuration accesses and the functions that add, remove or place; PciConfigFunc and PciBarFunc are
 * called with it held, so they may touch the configuration space, but must not call those functions. The interrupt and
 * BAR-address functions take short inner locks only and may be called from anywhere, with a device's lock held.
 * A device's BAR reads and writes are called without any of these.
 */
#pragma once

#include "host-vmm/bus/io-bus.h"
#include "host-vmm/bus/vm-ops.h"

#define PCI_SLOTS     32
#define PCI_FUNCTIONS 8

/* Where BARs go: below the I/O APIC (0xfec00000). */
#define PCI_MMIO_BASE  0xe0000000ull
#define PCI_MMIO_LIMIT 0xfebfffffull
/* Port window offered to BARs. */
#define PCI_PORT_BASE  0xc000u
#define PCI_PORT_LIMIT 0xffffu

/* INTx pin A..D (0-3) of slot s is wired to GSI 16 + (s + pin) % 4, told to the guest by _PRT. */
#define PCI_INTX_GSI(slot, pin) (16u + ((slot) + (pin)) % 4u)

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

typedef struct PciIdentity {
    guint16 vendor, device;
    guint16 subsystem_vendor, subsystem;
    guint8 revision;
    guint32 class_code; /* 24 bits: class, subclass, programming interface */
} PciIdentity;

PciBus *pci_bus_new(IoBus *ports, IoBus *mmio, VmOps *vm, GError **error); /* claims 0xcf8-0xcff */
/* Port 0xcf9 lies within the configuration ports (byte accesses): PIIX3's reset control register. func is called, on a
 * vCPU thread, when the guest's write asks for a reset (bit 2 set; value 6 is what ACPI's RESET_REG writes). */
typedef void (*PciResetFunc)(gpointer user_data);
void pci_bus_set_reset_func(PciBus *bus, PciResetFunc func, gpointer user_data);
void pci_bus_free(PciBus *bus); /* after its devices */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciBus, pci_bus_free)
/* Gives every unassigned BAR an address and switches decoding on for all devices (also for one added later). */
gboolean pci_bus_assign(PciBus *bus, GError **error);

/* Puts a function on the bus. slot -1: the first free one from 2 on, function 0. Fails, naming both, if the place is
 * taken: "slot 3 function 0 is already used by …". interrupt_pin: 0 none, 1-4 INTA-INTD. */
PciDevice *pci_device_new(PciBus *bus, const char *name, const PciIdentity *identity, int slot, guint function,
                          guint interrupt_pin, GError **error);
void pci_device_free(PciDevice *device); /* unmaps, drops its vectors */
/* "0x3" or "3" or "3.1" (QEMU's addr=); FALSE and error otherwise. */
gboolean pci_parse_address(const char *text, int *slot, guint *function, GError **error);

guint pci_device_slot(const PciDevice *device);
guint pci_device_function(const PciDevice *device);

/* The 256-byte configuration space, for a device to fill in at creation (capabilities, fixed registers). */
guint8 *pci_device_config(PciDevice *device);
/* Bits of it that the guest may write; BARs, command and MSI-X control are handled here already. */
guint8 *pci_device_writable(PciDevice *device);
/* Adds a capability of `length` bytes (id and next pointer included); returns its offset, contents zero. */
guint8 pci_device_add_capability(PciDevice *device, guint8 id, guint8 length);
/* Called around config accesses that touch [offset, offset + length), which the device serves itself (virtio's PCI
 * configuration window): before a read so that it can fill config, after a write. */
typedef void (*PciConfigFunc)(PciDevice *device, guint offset, guint size, gboolean is_write, gpointer user_data);
void pci_device_set_config_func(PciDevice *device, guint offset, guint length, PciConfigFunc func, gpointer user_data);

/* A memory BAR of `size` bytes (a power of two, >= 4 KiB); index 0-5; is_64: takes index and index + 1, prefetchable. */
void pci_device_add_bar(PciDevice *device, guint index, guint64 size, gboolean is_64, const IoBusOps *ops, gpointer data);
/* Called, on a vCPU thread or the main thread, after a BAR was mapped (address) or unmapped (address PCI_BAR_UNMAPPED):
 * where doorbells follow. */
#define PCI_BAR_UNMAPPED G_MAXUINT64
typedef void (*PciBarFunc)(PciDevice *device, guint index, guint64 address, gpointer user_data);
void pci_device_set_bar_func(PciDevice *device, PciBarFunc func, gpointer user_data);
guint64 pci_device_bar_address(PciDevice *device, guint index);

/* INTx level; does nothing while MSI-X is enabled or the command register disables INTx (the status bit follows). */
void pci_device_set_intx(PciDevice *device, gboolean level);

/* MSI-X with table and pending bits in a 4 KiB memory BAR `bar` of its own, added by this. vectors 1-64. */
void pci_device_add_msix(PciDevice *device, guint bar, guint vectors);
gboolean pci_device_msix_enabled(PciDevice *device);
guint pci_device_msix_vectors(const PciDevice *device);
/* Raises a vector: by irqfd if unmasked, else its pending bit. From any thread; out of range: nothing. */
void pci_device_msix_notify(PciDevice *device, guint vector);
/* Lets writes to an eventfd raise a vector, by the kernel alone (pci-msix.h). The vector must be one of the device's. */
void pci_device_msix_attach(PciDevice *device, guint vector, int eventfd);
void pci_device_msix_detach(PciDevice *device, int eventfd);
/* Back to what pci_bus_assign() left: BARs at the addresses given there, decoding on, MSI-X off and masked, INTx low. */
void pci_device_reset(PciDevice *device);
