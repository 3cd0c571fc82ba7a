// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uart16550: a serial port (National Semiconductor PC16550D data sheet), eight bytes of port space.
 *
 * Driven by vCPU threads (registers) and the main thread (its chardev); its lock guards all of its state.
 */
#pragma once

#include "host-vmm/device.h"

/* -device isa-serial,chardev=ID[,id=][,index=0-3][,iobase=][,irq=] */
extern const DeviceType uart16550_type;

/* FALSE if the device is not one; else where its registers and interrupt are. */
gboolean uart16550_place(const Device *device, guint16 *base, guint *irq);
