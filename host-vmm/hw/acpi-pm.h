// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi-pm: ACPI's fixed hardware: PM1 event and control registers with the power button, and GPE0 (ACPI
 * specification 6.4, 4.8.3). Addresses are those of QEMU's pc.
 */
#pragma once

#include "host-vmm/bus/io-bus.h"
#include "host-vmm/bus/vm-ops.h"

#define ACPI_PM1_EVENT   0x600 /* status, then enable: 2 bytes each */
#define ACPI_PM1_CONTROL 0x604
#define ACPI_GPE0        0xafe0 /* status, then enable: 2 bytes each */
#define ACPI_GPE0_LENGTH 4
#define ACPI_SCI         9
#define ACPI_S5_TYPE     0 /* _S5's SLP_TYP */

typedef struct AcpiPm AcpiPm;

/* The guest has switched itself off (S5). On a vCPU thread. */
typedef void (*AcpiPmPowerOffFunc)(gpointer user_data);

AcpiPm *acpi_pm_new(IoBus *ports, VmOps *vm, AcpiPmPowerOffFunc power_off, gpointer user_data,
                    GError **error);
void acpi_pm_free(AcpiPm *pm);
void acpi_pm_reset(AcpiPm *pm);
/* Any thread. bit: 0-15 of GPE0. */
void acpi_pm_raise_gpe(AcpiPm *pm, guint bit);
/* Any thread. */
void acpi_pm_press_power_button(AcpiPm *pm);
