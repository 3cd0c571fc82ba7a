// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi-cpus: the part of the DSDT that lets a guest take up and give back vCPUs, on hw/cpu-hotplug's
 * registers.
 */
#pragma once

#include "host-vmm/boot/aml.h"
#include "host-vmm/memory/numa.h"

/* Appends one MADT entry for a vCPU: local APIC (5.2.12.2) or, from APIC id 255 up, local x2APIC (5.2.12.12).
 * flags: 1 enabled, 2 may come later. */
void acpi_append_lapic(GByteArray *table, guint index, guint32 apic_id, guint32 flags);

/* \_SB.CPUS and \_GPE for `count` possible vCPUs. numa: what says which node each is of; NULL: there are none. */
void acpi_append_cpus(Aml *dsdt, const CpuTopology *topology, guint count, const Numa *numa);
