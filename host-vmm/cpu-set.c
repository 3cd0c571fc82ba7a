// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/cpu-set.h"

/* 255 is everybody's, and what is above cannot be the destination of an I/O APIC's interrupt. */
#define CPU_SET_LAST_APIC_ID 254u

typedef struct Slot {
    Vcpu *vcpu; /* atomic: other threads ask it to pause. Once there, it stays */
    gboolean present;
    char *id;
} Slot;

struct CpuSet {
    const Kvm *kvm;
    VcpuConfig config;
    guint possible;
    Slot slots[];
};

static Vcpu *get(CpuSet *set, guint index)
{
    return g_atomic_pointer_get(&set->slots[index].vcpu);
}

static gboolean create(CpuSet *set, guint index, GError **error)
{
    g_autofree char *name = g_strdup_printf("CPU %u/KVM", index);
    VcpuConfig config = set->config;
    config.index = index;
    config.thread_name = name;
    Vcpu *vcpu = vcpu_new(set->kvm, &config, error);
    g_atomic_pointer_set(&set->slots[index].vcpu, vcpu);
    return vcpu != NULL;
}

CpuSet *cpu_set_new(const Kvm *kvm, const VcpuConfig *config, guint present, GError **error)
{
    guint possible = config->topology.sockets * config->topology.cores * config->topology.threads;
    guint most = kvm_max_vcpus(kvm);
    if (possible > most) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "-smp %u: this host's KVM takes %u vCPUs at most", possible, most);
        return NULL;
    }
    guint32 last = topology_apic_id(&config->topology, possible - 1);
    if (last > CPU_SET_LAST_APIC_ID) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "-smp: this arrangement of %u vCPUs needs APIC id %u, %u is the highest (cores and threads "
                    "that are powers of two waste none)",
                    possible, last, CPU_SET_LAST_APIC_ID);
        return NULL;
    }
    CpuSet *set = g_malloc0(sizeof(*set) + possible * sizeof(Slot));
    set->kvm = kvm;
    set->config = *config;
    set->possible = possible;
    for (guint i = 0; i < present; i++) {
        if (!create(set, i, error)) {
            cpu_set_free(set);
            return NULL;
        }
        set->slots[i].present = TRUE;
    }
    return set;
}

void cpu_set_free(CpuSet *set)
{
    if (!set) {
        return;
    }
    for (guint i = 0; i < set->possible; i++) {
        vcpu_free(set->slots[i].vcpu);
        g_free(set->slots[i].id);
    }
    g_free(set);
}

guint cpu_set_possible(const CpuSet *set)
{
    return set->possible;
}

gboolean cpu_set_is_present(const CpuSet *set, guint index)
{
    return index < set->possible && set->slots[index].present;
}

const Vcpu *cpu_set_vcpu(const CpuSet *set, guint index)
{
    return cpu_set_is_present(set, index) ? set->slots[index].vcpu : NULL;
}

const char *cpu_set_id(const CpuSet *set, guint index)
{
    return cpu_set_is_present(set, index) ? set->slots[index].id : NULL;
}

void cpu_set_request_pause(CpuSet *set)
{
    for (guint i = 0; i < set->possible; i++) {
        Vcpu *vcpu = get(set, i);
        if (vcpu) {
            vcpu_request_pause(vcpu);
        }
    }
}

void cpu_set_wait_parked(CpuSet *set)
{
    for (guint i = 0; i < set->possible; i++) {
        Vcpu *vcpu = get(set, i);
        if (vcpu) {
            vcpu_wait_parked(vcpu);
        }
    }
}

void cpu_set_resume(CpuSet *set)
{
    for (guint i = 0; i < set->possible; i++) {
        if (set->slots[i].present) {
            vcpu_resume(get(set, i));
        }
    }
}

gboolean cpu_set_reset(CpuSet *set, const VcpuEntry *entry, GError **error)
{
    for (guint i = 0; i < set->possible; i++) {
        if (set->slots[i].present && !vcpu_reset(get(set, i), i == 0 ? entry : NULL, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean cpu_set_plug(CpuSet *set, guint index, const char *id, gboolean run, GError **error)
{
    Slot *slot = &set->slots[index];
    g_return_val_if_fail(index < set->possible && !slot->present, FALSE);
    if (!get(set, index) && !create(set, index, error)) {
        return FALSE;
    }
    if (!vcpu_reset(get(set, index), NULL, error)) {
        return FALSE;
    }
    slot->present = TRUE;
    slot->id = g_strdup(id);
    if (run) {
        vcpu_resume(get(set, index));
    }
    return TRUE;
}

void cpu_set_unplug(CpuSet *set, guint index)
{
    Slot *slot = &set->slots[index];
    g_return_if_fail(index < set->possible && slot->present);
    vcpu_request_pause(get(set, index));
    vcpu_wait_parked(get(set, index));
    /* Now, too, so that the timers of its APIC do not go on. */
    g_autoptr(GError) error = NULL;
    if (!vcpu_reset(get(set, index), NULL, &error)) {
        g_warning("unplugging vCPU %u: %s", index, error->message);
    }
    slot->present = FALSE;
    g_clear_pointer(&slot->id, g_free);
}
