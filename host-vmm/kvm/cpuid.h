// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpuid: what the guest's CPUID instruction says: all that KVM offers of the host's CPU (-cpu host), with
 * identity and topology of the vCPU filled in.
 */
#pragma once

#include "host-vmm/kvm/kvm.h"

typedef struct CpuTopology {
    guint sockets, cores, threads; /* cores a socket, threads a core; each >= 1 */
} CpuTopology;

/* Sets the CPUID of a vCPU (KVM_SET_CPUID2). index: its number, which is its APIC id as well (see
 * topology_apic_id). */
gboolean cpuid_set(const Kvm *kvm, int vcpu_fd, guint index, const CpuTopology *topology, GError **error);

/* APIC id of vCPU index: threads, cores and sockets each take whole bits (Intel SDM 3A, 9.9.1). */
guint32 topology_apic_id(const CpuTopology *topology, guint index);
