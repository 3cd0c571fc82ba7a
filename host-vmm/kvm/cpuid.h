// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpuid: what the guest's CPUID instruction says: a CPU model's table with identity and topology of the vCPU
 * filled in.
 */
#pragma once

#include "host-vmm/kvm/cpu-model.h"
#include "host-vmm/kvm/kvm.h"

typedef struct CpuTopology {
    guint sockets, cores, threads; /* cores a socket, threads a core; each >= 1 */
} CpuTopology;

/* A CPU model on this host: what all vCPUs of a machine have in common. */
typedef struct CpuidTable CpuidTable;
CpuidTable *cpuid_table_new(const Kvm *kvm, const CpuModel *model, const CpuTopology *topology,
                            GError **error);
void cpuid_table_free(CpuidTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuidTable, cpuid_table_free)

/* Sets the CPUID of a vCPU (KVM_SET_CPUID2), and what goes with it. index: its number (see topology_apic_id).
 */
gboolean cpuid_set(const CpuidTable *table, int vcpu_fd, guint index, const CpuTopology *topology,
                   GError **error);

/* APIC id of vCPU index: threads, cores and sockets each take whole bits (Intel SDM 3A, 9.9.1). */
guint32 topology_apic_id(const CpuTopology *topology, guint index);
