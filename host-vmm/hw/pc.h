// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pc: the board of machine "pc": host bridge and ISA bridge identities (Intel 440FX, PIIX3), RTC, power
 * management and the ways to reset. Everything else comes by -device.
 */
#pragma once

#include "host-vmm/device.h"
#include "host-vmm/hw/cpu-hotplug.h"

typedef struct Pc Pc;

typedef enum { PC_RESET, PC_POWER_OFF } PcRequest;
/* On a vCPU thread. */
typedef void (*PcRequestFunc)(PcRequest request, gpointer user_data);

/* env's buses and pci are there; nothing else is yet. */
Pc *pc_new(DeviceEnv *env, PcRequestFunc request, gpointer user_data, GError **error);
/* After all devices are there: what stands in for those that are not. */
gboolean pc_complete(Pc *pc, DeviceEnv *env, GError **error);
void pc_free(Pc *pc);
void pc_reset(Pc *pc);
void pc_press_power_button(Pc *pc);

void pc_raise_gpe(Pc *pc, guint gpe); /* a general-purpose event; any thread */

/* Registers for vCPUs that come and go; at most once. `present` of them are there. */
gboolean pc_add_cpu_hotplug(Pc *pc, const guint32 *apic_ids, guint possible, guint present,
                            const CpuHotplugFuncs *funcs, gpointer user_data, GError **error);
/* Tells the guest that a vCPU has come, or should be given back. */
void pc_announce_cpu(Pc *pc, guint index);
void pc_request_cpu_eject(Pc *pc, guint index);
