// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi: the tables that tell the guest's kernel what the machine is: RSDP, XSDT, FADT, DSDT, MADT (ACPI
 * specification 6.4, chapter 5).
 */
#pragma once

#include "host-vmm/kvm/cpuid.h"
#include "host-vmm/memory/numa.h"

/* Where they lie: the BIOS area that is scanned for the RSDP (5.2.5.1). The memory map says reserved. */
#define ACPI_TABLES_ADDRESS 0xe0000
#define ACPI_TABLES_SIZE    0x1f000 /* the last page below 1 MiB is vmgenid's */
#define ACPI_RSDP_ADDRESS   ACPI_TABLES_ADDRESS

typedef struct AcpiSerialPort {
    guint16 base;
    guint irq;
} AcpiSerialPort;

typedef struct AcpiConfig {
    CpuTopology topology;
    gboolean (*is_present)(guint vcpu, gpointer user_data); /* of the topology's vCPUs */
    gpointer present_data;
    gboolean cpu_hotplug; /* vCPUs may come and go */
    const AcpiSerialPort *serial_ports;
    guint serial_port_count;
    const Numa *numa;     /* NULL or without nodes: no SRAT, no SLIT */
    gboolean i8042;       /* there is a keyboard controller */
    guint16 pvpanic_port; /* 0: none */
    gboolean vmgenid;     /* hw/vmgenid.h says where */
} AcpiConfig;

/* Writes all tables; fails if guest memory is too small for them. */
gboolean acpi_write_tables(const GuestMemory *memory, const AcpiConfig *config, GError **error);
