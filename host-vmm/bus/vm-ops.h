// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm-ops: what a device asks of the hypervisor: interrupts and doorbells.
 *
 * kvm/interrupts.c is the real one; device tests bring a scripted one. All functions are thread-safe.
 */
#pragma once

#include <gio/gio.h>

typedef struct VmOps VmOps;

struct VmOps {
    /* Drives an interrupt line. gsi 0-15 are the ISA interrupts (I/O APIC pin and 8259), 16-23 I/O APIC pins. */
    void (*set_line)(VmOps *vm, guint gsi, gboolean level);
    /* A message-signalled interrupt: allocates a GSI whose routing is (address, data). -1 and error if there is none left. */
    int (*msi_add)(VmOps *vm, guint64 address, guint32 data, GError **error);
    gboolean (*msi_update)(VmOps *vm, guint gsi, guint64 address, guint32 data, GError **error);
    void (*msi_remove)(VmOps *vm, guint gsi);
    /* Each write to eventfd raises gsi (an MSI's). */
    gboolean (*irqfd_add)(VmOps *vm, int eventfd, guint gsi, GError **error);
    void (*irqfd_remove)(VmOps *vm, int eventfd, guint gsi);
    /* A guest write of any value, `size` bytes wide (0: any), at an MMIO address signals eventfd instead of leaving
     * for user space. FALSE and error where the hypervisor cannot: the write then arrives on the io-bus as usual. */
    gboolean (*doorbell_add)(VmOps *vm, guint64 mmio_address, guint size, int eventfd, GError **error);
    void (*doorbell_remove)(VmOps *vm, guint64 mmio_address, guint size, int eventfd);
};
