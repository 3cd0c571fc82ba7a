// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cmos-rtc: the PC's real-time clock with its 128 bytes of CMOS memory (Motorola MC146818A data sheet), ports
 * 0x70 and 0x71, interrupt 8. Keeps the host's UTC plus what the guest has set.
 *
 * Registers are driven by vCPU threads, timers run on the main thread; its lock guards all.
 */
#pragma once

#include "host-vmm/bus/io-bus.h"
#include "host-vmm/bus/vm-ops.h"

#define CMOS_RTC_PORT 0x70
#define CMOS_RTC_IRQ  8
/* CMOS index of the century, told to the guest by FADT. */
#define CMOS_RTC_CENTURY 0x32

typedef struct CmosRtc CmosRtc;

CmosRtc *cmos_rtc_new(IoBus *ports, VmOps *vm, GError **error);
void cmos_rtc_free(CmosRtc *rtc);
void cmos_rtc_reset(CmosRtc *rtc); /* interrupts off; the time goes on */
