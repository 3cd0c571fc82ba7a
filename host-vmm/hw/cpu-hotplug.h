// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpu-hotplug: the registers through which the guest's ACPI learns of vCPUs that come and go: which are
 * there, which have just been plugged, which should be ejected. A selector and a few flags, laid out as QEMU
 * documents it for its pc (acpi_cpu_hotplug, the "modern" interface); only our own AML (boot/acpi-cpus.c)
 * uses it.
 *
 * Registers are driven by vCPU threads, the rest by the main thread; its lock guards all.
 */
#pragma once

#include "host-vmm/bus/io-bus.h"

#define CPU_HOTPLUG_PORT   0xaf00
#define CPU_HOTPLUG_LENGTH 12
#define CPU_HOTPLUG_GPE    2 /* its bit in GPE0 */

typedef struct CpuHotplug CpuHotplug;

/* All are called on a vCPU thread, without the lock. */
typedef struct CpuHotplugFuncs {
    void (*eject)(guint index, gpointer user_data);
    /* _OST: what became of an event; source and status as in ACPI 6.3.5. */
    void (*report)(guint index, guint32 source, guint32 status, gpointer user_data);
} CpuHotplugFuncs;

/* apic_ids: of each possible vCPU (copied). None is present at first. */
CpuHotplug *cpu_hotplug_new(IoBus *ports, const guint32 *apic_ids, guint count, const CpuHotplugFuncs *funcs,
                            gpointer user_data, GError **error);
void cpu_hotplug_free(CpuHotplug *hotplug);
/* Machine reset: events are forgotten, who is present stays. */
void cpu_hotplug_reset(CpuHotplug *hotplug);
/* With event: to be told to the guest (the caller raises the GPE). */
void cpu_hotplug_set_present(CpuHotplug *hotplug, guint index, gboolean with_event);
/* Forgets a vCPU that has been taken away. */
void cpu_hotplug_set_absent(CpuHotplug *hotplug, guint index);
void cpu_hotplug_request_eject(CpuHotplug *hotplug, guint index);
