// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * i6300esb: the watchdog of Intel's 6300ESB I/O controller hub (its data sheet, document 300641, chapter
 * "Watchdog Timer"), which every system has a driver for.
 *
 * A timer of two stages that the guest starts and has to reload; when the second one expires the machine does
 * what -action watchdog= says. It stands still while the guest does. The registers' state belongs to vCPU
 * threads and to the main thread, where the timer runs: a lock guards it.
 */
#pragma once

#include "host-vmm/device.h"

/* -device i6300esb[,id=][,addr=] */
extern const DeviceType i6300esb_type;
