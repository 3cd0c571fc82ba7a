// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * i8042: the PS/2 keyboard controller with an MF2 keyboard (IBM PS/2 Hardware Interface Technical Reference,
 * "Keyboard and Auxiliary Device Controller"): ports 0x60 and 0x64, interrupt 1. No mouse port.
 *
 * Keys come by QMP; the guest's registers are vCPU threads': a lock guards all of it.
 */
#pragma once

#include "host-vmm/device.h"

#define I8042_DATA_PORT    0x60
#define I8042_COMMAND_PORT 0x64
#define I8042_IRQ          1

/* -device i8042[,id=]; one a machine */
extern const DeviceType i8042_type;

/* The machine's, or NULL. */
Device *i8042_find(const DeviceEnv *env);

/* A key by QEMU's name of it ("ctrl", "a", "delete"); -1: not known. */
int i8042_key(const char *name);
/* A key by its number of scan code set 1, 0x80 added for those that come after 0xe0; -1: there is none. */
int i8042_key_number(guint number);
/* Pressed or released; FALSE: the guest does not read, and the keyboard holds no more. */
gboolean i8042_put_key(Device *device, int key, gboolean down);
