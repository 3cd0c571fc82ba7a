// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmgenid: a number in guest memory that says which life of the guest this is (Microsoft's "Virtual Machine
 * Generation ID"). A guest that sees it change knows that it is a copy, and renews what must be unique: its
 * random numbers above all.
 */
#pragma once

#include "host-vmm/device.h"

/* Where it lies: the last page that is set aside for the ACPI tables, 40 bytes in as QEMU's. */
#define VMGENID_PAGE    0xff000
#define VMGENID_ADDRESS (VMGENID_PAGE + 40)
#define VMGENID_GPE     5 /* the general-purpose event of a change */

/* -device vmgenid[,id=][,guid=UUID|auto]; one a machine. Its property guid may be set: the guest is told. */
extern const DeviceType vmgenid_type;

/* The machine's, or NULL. */
Device *vmgenid_find(const DeviceEnv *env);
char *vmgenid_guid(Device *device); /* owned, as UUIDs are written */
