// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#define MAX_ENTRIES 256

#define LEAF1_EDX_HTT (1u << 28)

#define VENDOR_AMD_EBX      0x68747541u /* "Auth" */
#define LEAF_AMD_TOPOLOGY   0x8000001eu
#define TOPOLOGY_EXTENSIONS (1u << 22) /* leaf 0x80000001, ECX */

#define MSR_HV_VP_INDEX 0x40000002

struct CpuidTable {
    GArray *entries; /* struct kvm_cpuid_entry2 */
    gboolean hyperv_synic, hyperv_vp_index;
};

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

static void fix_entry(struct kvm_cpuid_entry2 *entry, const CpuTopology *topology, guint32 apic_id)
{
    guint package = topology->threads * topology->cores; /* logical CPUs in a socket */
    switch (entry->function) {
    case 0x1:
        entry->ebx = (apic_id & 0xff) << 24 | MIN(package, 255) << 16 | (entry->ebx & 0xffff);
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
    case LEAF_AMD_TOPOLOGY: /* APIC id, core and node */
        entry->eax = apic_id;
        entry->ebx = ((topology->threads - 1) << 8) | (apic_id >> width_of(topology->threads) & 0xff);
        entry->ecx = apic_id >> (width_of(topology->threads) + width_of(topology->cores)) & 0xff;
        break;
    default:
        break;
    }
}

/* What an ioctl that fills in a struct kvm_cpuid2 says; NULL with errno. */
static GArray *read_table(const Kvm *kvm, unsigned long request)
{
    g_autofree struct kvm_cpuid2 *cpuid =
        g_malloc0(sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));
    cpuid->nent = MAX_ENTRIES;
    if (kvm_ioctl(kvm_system_fd(kvm), request, cpuid) < 0) {
        return NULL;
    }
    GArray *entries = g_array_new(FALSE, TRUE, sizeof(struct kvm_cpuid_entry2));
    return g_array_append_vals(entries, cpuid->entries, cpuid->nent);
}

/* KVM may offer only the first subleaf of 0xb; the core level is ours to add. */
static void complete_topology_leaf(GArray *entries)
{
    gboolean has[2] = {FALSE, FALSE};
    for (guint i = 0; i < entries->len; i++) {
        const struct kvm_cpuid_entry2 *entry = &g_array_index(entries, struct kvm_cpuid_entry2, i);
        if (entry->function == 0xb && entry->index < 2) {
            has[entry->index] = TRUE;
        }
    }
    if (has[0] && !has[1]) {
        struct kvm_cpuid_entry2 entry = {
            .function = 0xb, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
        g_array_append_val(entries, entry);
    }
}

/* AMD's way to tell threads of a core is a feature that a host may lack; nothing of it is the hardware's. */
static void add_amd_threads(GArray *entries, const CpuTopology *topology)
{
    gboolean is_amd = FALSE, has_leaf = FALSE;
    for (guint i = 0; i < entries->len; i++) {
        const struct kvm_cpuid_entry2 *entry = &g_array_index(entries, struct kvm_cpuid_entry2, i);
        is_amd |= entry->function == 0 && entry->ebx == VENDOR_AMD_EBX;
        has_leaf |= entry->function == LEAF_AMD_TOPOLOGY;
    }
    if (!is_amd || topology->threads == 1) {
        return;
    }
    for (guint i = 0; i < entries->len; i++) {
        struct kvm_cpuid_entry2 *entry = &g_array_index(entries, struct kvm_cpuid_entry2, i);
        if (entry->function == 0x80000000u) {
            entry->eax = MAX(entry->eax, LEAF_AMD_TOPOLOGY);
        } else if (entry->function == 0x80000001u) {
            entry->ecx |= TOPOLOGY_EXTENSIONS;
        }
    }
    if (!has_leaf) {
        struct kvm_cpuid_entry2 entry = {.function = LEAF_AMD_TOPOLOGY};
        g_array_append_val(entries, entry);
    }
}

/* Its own checks have found no fault with the TSC then, and KVM's guests have theirs from the same. */
static gboolean host_keeps_time_by_tsc(void)
{
    g_autofree char *source = NULL;
    return g_file_get_contents("/sys/devices/system/clocksource/clocksource0/current_clocksource", &source,
                               NULL, NULL) &&
           g_str_equal(g_strchomp(source), "tsc");
}

CpuidTable *cpuid_table_new(const Kvm *kvm, const CpuModel *model, const CpuTopology *topology,
                            GError **error)
{
    g_autoptr(GArray) supported = read_table(kvm, KVM_GET_SUPPORTED_CPUID);
    if (!supported) {
        kvm_set_error(error, "cannot read the supported CPUID");
        return NULL;
    }
    const HypervOptions *hyperv = cpu_model_hyperv(model);
    g_autoptr(GArray) hyperv_supported =
        hyperv_is_on(hyperv) ? read_table(kvm, KVM_GET_SUPPORTED_HV_CPUID) : NULL;
    CpuHost host = {.supported = supported,
                    .hyperv_supported = hyperv_supported,
                    .tsc_deadline = kvm_capability(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
                    .tsc_invariant = host_keeps_time_by_tsc()};
    g_autoptr(CpuidTable) table = g_new0(CpuidTable, 1);
    table->entries = cpu_model_table(model, &host, error);
    if (!table->entries) {
        return NULL;
    }
    complete_topology_leaf(table->entries);
    add_amd_threads(table->entries, topology);
    table->hyperv_synic = hyperv_has_synic(hyperv);
    table->hyperv_vp_index = hyperv_has_vp_index(hyperv);
    return g_steal_pointer(&table);
}

void cpuid_table_free(CpuidTable *table)
{
    if (!table) {
        return;
    }
    g_clear_pointer(&table->entries, g_array_unref);
    g_free(table);
}

/* The parts of Hyper-V that KVM does only when asked to. */
static gboolean enable_hyperv(const CpuidTable *table, int vcpu_fd, guint index, GError **error)
{
    struct kvm_enable_cap synic = {.cap = KVM_CAP_HYPERV_SYNIC2};
    if (table->hyperv_synic && kvm_ioctl(vcpu_fd, KVM_ENABLE_CAP, &synic) < 0) {
        return kvm_set_error(error, "cannot switch on Hyper-V's interrupt controller (hv-synic)");
    }
    g_autofree struct kvm_msrs *number = g_malloc0(sizeof(*number) + sizeof(struct kvm_msr_entry));
    number->nmsrs = 1;
    number->entries[0] = (struct kvm_msr_entry){.index = MSR_HV_VP_INDEX, .data = index};
    /* KVM numbers them as they are made; one that is plugged may be made earlier than its number says. */
    if (table->hyperv_vp_index && kvm_ioctl(vcpu_fd, KVM_SET_MSRS, number) != 1) {
        return kvm_set_error(error, "cannot set a vCPU's number (hv-vpindex)");
    }
    return TRUE;
}

gboolean cpuid_set(const CpuidTable *table, int vcpu_fd, guint index, const CpuTopology *topology,
                   GError **error)
{
    gsize size = table->entries->len * sizeof(struct kvm_cpuid_entry2);
    g_autofree struct kvm_cpuid2 *cpuid = g_malloc0(sizeof(struct kvm_cpuid2) + size);
    cpuid->nent = table->entries->len;
    memcpy(cpuid->entries, table->entries->data, size);
    guint32 apic_id = topology_apic_id(topology, index);
    for (guint i = 0; i < cpuid->nent; i++) {
        fix_entry(&cpuid->entries[i], topology, apic_id);
    }
    if (kvm_ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0) {
        return kvm_set_error(error, "cannot set a vCPU's CPUID");
    }
    return enable_hyperv(table, vcpu_fd, index, error);
}
