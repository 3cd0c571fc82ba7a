// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi-board: what the DSDT says of small devices that ACPI alone makes known.
 */
#pragma once

#include "host-vmm/boot/aml.h"

/* \_SB.PEVT, a panic notifier at a port (QEMU's docs/specs/pvpanic.txt). */
void acpi_append_pvpanic(Aml *dsdt, guint16 port);
/* \_SB.VGEN, and the event that tells it to look again (QEMU's docs/specs/vmgenid.txt). */
void acpi_append_vmgenid(Aml *dsdt, guint64 address, guint gpe);
