// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pci-msix: one function's MSI-X table and pending bits (PCI 3.0, section 6.8.2), and what they are wired to.
 *
 * pci.c owns it and serves its capability; nobody else includes this. A vector gets its route (a GSI and an
 * irqfd) when it is first unmasked, keeps it while masked, and loses it when MSI-X is switched off. All
 * functions are thread-safe and may be called with any other lock held: nothing is called back but VmOps.
 */
#pragma once

#include "host-vmm/bus/io-bus.h"
#include "host-vmm/bus/vm-ops.h"

#define PCI_MSIX_MAX_VECTORS 64
#define PCI_MSIX_BAR_SIZE    0x1000
#define PCI_MSIX_PBA_OFFSET  0x800 /* the table is at 0 */

typedef struct PciMsix PciMsix;

PciMsix *pci_msix_new(VmOps *vm, guint vectors);
void pci_msix_free(PciMsix *msix);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciMsix, pci_msix_free)

/* Serves table and pending bits in a BAR; its device is the PciMsix. */
extern const IoBusOps pci_msix_bar_ops;

guint pci_msix_vectors(const PciMsix *msix);
/* The capability's message control word: MSI-X Enable and Function Mask. */
void pci_msix_set_control(PciMsix *msix, gboolean enabled, gboolean masked);
gboolean pci_msix_enabled(PciMsix *msix);
/* Raises a vector or sets its pending bit; nothing while MSI-X is off or the vector is out of range. */
void pci_msix_notify(PciMsix *msix, guint vector);
/* An eventfd of somebody else (the kernel's vhost), each write to which raises the vector by itself: an irqfd
 * while the vector can be delivered; while it cannot, the eventfd's counter is what is pending. */
void pci_msix_attach(PciMsix *msix, guint vector, int eventfd);
void pci_msix_detach(PciMsix *msix, int eventfd);
/* Power-on: off, all vectors masked, addresses and data zero, nothing pending. */
void pci_msix_reset(PciMsix *msix);
