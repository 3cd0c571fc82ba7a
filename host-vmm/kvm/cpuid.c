// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>

#define MAX_ENTRIES 256

/* CPUID leaf 1 */
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT          (1u << 28)
#define INVARIANT_TSC          (1u << 8) /* leaf 0x80000007, EDX */

/* Bits that hold `count` numbers. */
static guint width_of(guint count)
{
    return count <= 1 ? 0 : g_bit_storage(count - 1);
}

guint32 topology_apic_id(const CpuTopology *topology, guint index)
{
    guint thread = index % topology->threads;
    guint core = index / topology->threads % topology->cores;
    guint socket = index / (topology->threads * topology->cores);
    guint core_shift = width_of(topology->threads);
    guint socket_shift = core_shift + width_of(topology->cores);
    return socket << socket_shift | core << core_shift | thread;
}

/* Leaves 0xb and 0x1f: one subleaf a level. */
static void set_extended_topology(struct kvm_cpuid_entry2 *entry, const CpuTopology *topology,
                                  guint32 apic_id)
{
    guint threads = topology->threads;
    guint package = topology->threads * topology->cores;
    guint thread_width = width_of(topology->threads);
    guint package_width = thread_width + width_of(topology->cores);
    entry->edx = apic_id;
    entry->ecx = entry->index & 0xff;
    switch (entry->index) {
    case 0:
        entry->eax = thread_width;
        entry->ebx = threads;
        entry->ecx |= 1 << 8; /* SMT */
        break;
    case 1:
        entry->eax = package_width;
        entry->ebx = package;
        entry->ecx |= 2 << 8; /* core */
        break;
    default:
        entry->eax = entry->ebx = 0;
        break;
    }
}

static void fix_entry(struct kvm_cpuid_entry2 *entry, const Kvm *kvm, const CpuTopology *topology,
                      guint32 apic_id)
{
    guint package = topology->threads * topology->cores; /* logical CPUs in a socket */
    switch (entry->function) {
    case 0x1:
        entry->ebx = (apic_id & 0xff) << 24 | MIN(package, 255) << 16 | (entry->ebx & 0xffff);
        entry->ecx |= LEAF1_ECX_HYPERVISOR;
        if (kvm_capability(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0) {
            entry->ecx |= LEAF1_ECX_TSC_DEADLINE; /* api.rst: KVM leaves this one to us */
        }
        if (package > 1) {
            entry->edx |= LEAF1_EDX_HTT;
        } else {
            entry->edx &= ~LEAF1_EDX_HTT;
        }
        break;
    case 0x4: /* Intel caches: CPUs sharing each, cores in the package */
        if (entry->eax & 0x1f) {
            guint level = entry->eax >> 5 & 7;
            guint sharing = level < 3 ? topology->threads : package;
            entry->eax = (entry->eax & 0x3fff) | (MAX(sharing, 1) - 1) << 14 | (topology->cores - 1) << 26;
        }
        break;
    case 0xb:
    case 0x1f:
        set_extended_topology(entry, topology, apic_id);
        break;
    case 0x80000007: /* an invariant TSC would be a promise for all hosts that the guest may be moved to */
        entry->edx &= ~INVARIANT_TSC;
        break;
    case 0x80000008: /* AMD: threads in the package, and the APIC id bits that tell them apart */
        entry->ecx =
            package > 1 ? (package - 1) | (width_of(topology->threads) + width_of(topology->cores)) << 12 : 0;
        break;
    case 0x8000001d: /* AMD caches */
        if (entry->eax & 0x1f) {
            guint level = entry->eax >> 5 & 7;
            guint sharing = level < 3 ? topology->threads : package;
            entry->eax = (entry->eax & 0x3fff) | (MAX(sharing, 1) - 1) << 14;
        }
        break;
    case 0x8000001e: /* AMD: APIC id, core and node */
        entry->eax = apic_id;
        entry->ebx = ((topology->threads - 1) << 8) | (apic_id >> width_of(topology->threads) & 0xff);
        entry->ecx = apic_id >> (width_of(topology->threads) + width_of(topology->cores)) & 0xff;
        break;
    default:
        break;
    }
}

gboolean cpuid_set(const Kvm *kvm, int vcpu_fd, guint index, const CpuTopology *topology, GError **error)
{
    gsize size = sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    g_autofree struct kvm_cpuid2 *cpuid = g_malloc0(size);
    cpuid->nent = MAX_ENTRIES;
    if (kvm_ioctl(kvm_system_fd(kvm), KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
        return kvm_set_error(error, "cannot read the supported CPUID");
    }
    guint32 apic_id = topology_apic_id(topology, index);
    gboolean has_topology_leaf[2] = {FALSE, FALSE};
    for (guint i = 0; i < cpuid->nent; i++) {
        fix_entry(&cpuid->entries[i], kvm, topology, apic_id);
        if (cpuid->entries[i].function == 0xb && cpuid->entries[i].index < 2) {
            has_topology_leaf[cpuid->entries[i].index] = TRUE;
        }
    }
    /* KVM may offer only the first subleaf of 0xb; the core level is ours to add. */
    if (has_topology_leaf[0] && !has_topology_leaf[1] && cpuid->nent < MAX_ENTRIES) {
        struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->nent++];
        *entry =
            (struct kvm_cpuid_entry2){.function = 0xb, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
        set_extended_topology(entry, topology, apic_id);
    }
    if (kvm_ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0) {
        return kvm_set_error(error, "cannot set a vCPU's CPUID");
    }
    return TRUE;
}
