// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pvpanic: one byte that the guest's kernel writes when it panics (QEMU's docs/specs/pvpanic.txt): at a port
 * that ACPI tells of, or in a PCI function's memory. Reading it tells which events are understood.
 */
#pragma once

#include "host-vmm/device.h"

#define PVPANIC_PORT 0x505 /* unless told otherwise */

/* -device pvpanic[,id=][,ioport=][,events=] */
extern const DeviceType pvpanic_type;
/* -device pvpanic-pci[,id=][,addr=][,events=] */
extern const DeviceType pvpanic_pci_type;

/* FALSE if the device is not a pvpanic at a port; else where. */
gboolean pvpanic_place(const Device *device, guint16 *port);
