// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * acpi-numa: which vCPU and which RAM belong together, for the guest's kernel: SRAT and SLIT (ACPI
 * specification 6.4, 5.2.16 and 5.2.17).
 */
#pragma once

#include "host-vmm/memory/numa.h"

/* Append what comes after the table's header. */
void acpi_append_srat(GByteArray *table, const Numa *numa, const CpuTopology *topology);
void acpi_append_slit(GByteArray *table, const Numa *numa);
