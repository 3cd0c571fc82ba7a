// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/kvm/vcpu-state.h"

#include <linux/kvm.h>

#include "host-vmm/kvm/vcpu.h"

#define CR0_PE (1u << 0)
#define CR0_ET (1u << 4)
#define CR0_PG (1u << 31)

#define CR4_PAE (1u << 5)

#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define RFLAGS_ALWAYS 2 /* bit 1 reads as one */

#define MSR_TSC          0x10
#define MSR_MTRR_DEFTYPE 0x2ff
/* MTRRs on, everything write-back: what firmware leaves behind; Linux needs it on for PAT. */
#define MTRR_ENABLE_WRITE_BACK (1u << 11 | 6)

#define BOOT_TR 0x20

const guint64 BOOT_GDT[BOOT_GDT_ENTRIES] = {
    0,
    0,
    0x00cf9b000000ffffull, /* code: base 0, 4 GiB, 32-bit */
    0x00cf93000000ffffull, /* data */
    0x00008b0000000067ull, /* task state segment, busy; never used */
};

struct VcpuState {
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    struct kvm_fpu fpu;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debugregs;
    struct kvm_xcrs xcrs;
    struct kvm_mp_state mp_state;
    struct kvm_msrs *msrs;           /* all that can be read, but what is_power_on_state() leaves out */
    struct kvm_nested_state *nested; /* NULL where KVM does not nest */
};

typedef struct StateCall {
    unsigned long get, set;
    gsize offset;
    const char *what;
} StateCall;

/* In the order of setting: what is last may depend on what is before (an APIC on its base address). */
static const StateCall CALLS[] = {
    {KVM_GET_REGS, KVM_SET_REGS, G_STRUCT_OFFSET(VcpuState, regs), "registers"},
    {KVM_GET_XCRS, KVM_SET_XCRS, G_STRUCT_OFFSET(VcpuState, xcrs), "extended control registers"},
    {KVM_GET_SREGS, KVM_SET_SREGS, G_STRUCT_OFFSET(VcpuState, sregs), "system registers"},
    {KVM_GET_FPU, KVM_SET_FPU, G_STRUCT_OFFSET(VcpuState, fpu), "floating-point registers"},
    {KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, G_STRUCT_OFFSET(VcpuState, debugregs), "debug registers"},
    {KVM_GET_LAPIC, KVM_SET_LAPIC, G_STRUCT_OFFSET(VcpuState, lapic), "local APIC"},
    {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, G_STRUCT_OFFSET(VcpuState, events), "pending events"},
    {KVM_GET_MP_STATE, KVM_SET_MP_STATE, G_STRUCT_OFFSET(VcpuState, mp_state), "run state"},
};

static struct kvm_msrs *new_msrs(guint count)
{
    return g_malloc0(sizeof(struct kvm_msrs) + count * sizeof(struct kvm_msr_entry));
}

/*
 * MSRs that every vCPU shows but that belong to the whole machine: kvm-clock's wall clock
 * (Documentation/virt/kvm/x86/msr.rst), Hyper-V's identity, hypercall page, reference TSC, crash and
 * reenlightenment registers (Hypervisor Top Level Functional Specification, appendix F). They hold guest
 * addresses, and KVM writes to those when they are set.
 */
static gboolean is_machine_wide(guint32 index)
{
    static const struct {
        guint32 first, last;
    } ranges[] = {{0x11, 0x11},
                  {0x4b564d00, 0x4b564d00},
                  {0x40000000, 0x40000001},
                  {0x40000020, 0x40000021},
                  {0x400000f1, 0x40000118}};
    for (guint i = 0; i < G_N_ELEMENTS(ranges); i++) {
        if (index >= ranges[i].first && index <= ranges[i].last) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_power_on_state(guint32 index, gboolean machine_wide)
{
    return index != MSR_TSC && (machine_wide || !is_machine_wide(index));
}

/* A guest may be reset while a guest of its own runs: what KVM keeps of that goes back to none as well. */
static struct kvm_nested_state *read_nested(const Kvm *kvm, int vcpu_fd)
{
    int size = kvm_capability(kvm, KVM_CAP_NESTED_STATE);
    if (size < (int)sizeof(struct kvm_nested_state)) {
        return NULL;
    }
    g_autofree struct kvm_nested_state *nested = g_malloc0((gsize)size);
    nested->size = (guint32)size;
    return kvm_ioctl(vcpu_fd, KVM_GET_NESTED_STATE, nested) < 0 ? NULL : g_steal_pointer(&nested);
}

/* Reads every MSR that this host's KVM keeps. Some of its list may not be readable with this CPUID: these are
 * left out. */
static struct kvm_msrs *read_msrs(const Kvm *kvm, int vcpu_fd, gboolean machine_wide, GError **error)
{
    struct kvm_msr_list probe = {.nmsrs = 0};
    kvm_ioctl(kvm_system_fd(kvm), KVM_GET_MSR_INDEX_LIST,
              &probe); /* fails with E2BIG, and tells the number */
    g_autofree struct kvm_msr_list *list = g_malloc0(sizeof(*list) + probe.nmsrs * sizeof(guint32));
    list->nmsrs = probe.nmsrs;
    if (kvm_ioctl(kvm_system_fd(kvm), KVM_GET_MSR_INDEX_LIST, list) < 0) {
        kvm_set_error(error, "cannot list the model-specific registers");
        return NULL;
    }
    g_autofree struct kvm_msrs *batch = new_msrs(list->nmsrs);
    struct kvm_msrs *all = new_msrs(list->nmsrs);
    for (guint next = 0; next < list->nmsrs;) {
        guint count = 0;
        for (guint i = next; i < list->nmsrs; i++) {
            batch->entries[count++] = (struct kvm_msr_entry){.index = list->indices[i]};
        }
        batch->nmsrs = count;
        /* Returns how many it could read: it stops before the first that it cannot. */
        int done = kvm_ioctl(vcpu_fd, KVM_GET_MSRS, batch);
        for (int i = 0; i < done; i++) {
            if (is_power_on_state(batch->entries[i].index, machine_wide)) {
                all->entries[all->nmsrs++] = batch->entries[i];
            }
        }
        next += (guint)MAX(done, 0) + 1;
    }
    return all;
}

/* Writes all; one that KVM refuses to take back (read-only ones are among them) keeps its value. */
static void write_msrs(int vcpu_fd, const struct kvm_msrs *msrs)
{
    g_autofree struct kvm_msrs *batch = new_msrs(msrs->nmsrs);
    for (guint next = 0; next < msrs->nmsrs;) {
        batch->nmsrs = msrs->nmsrs - next;
        memcpy(batch->entries, msrs->entries + next, batch->nmsrs * sizeof(struct kvm_msr_entry));
        int done = kvm_ioctl(vcpu_fd, KVM_SET_MSRS, batch);
        next += (guint)MAX(done, 0) + 1;
    }
}

VcpuState *vcpu_state_save(const Kvm *kvm, int vcpu_fd, gboolean machine_wide, GError **error)
{
    VcpuState *state = g_new0(VcpuState, 1);
    for (guint i = 0; i < G_N_ELEMENTS(CALLS); i++) {
        if (kvm_ioctl(vcpu_fd, CALLS[i].get, (guint8 *)state + CALLS[i].offset) < 0) {
            g_autofree char *what = g_strdup_printf("cannot read a vCPU's %s", CALLS[i].what);
            kvm_set_error(error, what);
            vcpu_state_free(state);
            return NULL;
        }
    }
    /* Bits of KVM_GET_VCPU_EVENTS say what is valid in it; at a reset all of that is to be taken back. */
    state->events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    state->msrs = read_msrs(kvm, vcpu_fd, machine_wide, error);
    if (!state->msrs) {
        vcpu_state_free(state);
        return NULL;
    }
    state->nested = read_nested(kvm, vcpu_fd);
    return state;
}

void vcpu_state_free(VcpuState *state)
{
    g_free(state->msrs);
    g_free(state->nested);
    g_free(state);
}

gboolean vcpu_state_restore(const VcpuState *state, int vcpu_fd, GError **error)
{
    if (state->nested && kvm_ioctl(vcpu_fd, KVM_SET_NESTED_STATE, state->nested) < 0) {
        return kvm_set_error(error, "cannot reset a vCPU's nested state");
    }
    /* First the MSRs: kvm-clock, steal time and the like must not write into RAM any more. */
    write_msrs(vcpu_fd, state->msrs);
    for (guint i = 0; i < G_N_ELEMENTS(CALLS); i++) {
        if (CALLS[i].set == KVM_SET_XCRS && state->xcrs.nr_xcrs == 0) {
            continue; /* a host without XSAVE has none, and does not take none */
        }
        if (kvm_ioctl(vcpu_fd, CALLS[i].set, (guint8 *)state + CALLS[i].offset) < 0) {
            g_autofree char *what = g_strdup_printf("cannot reset a vCPU's %s", CALLS[i].what);
            return kvm_set_error(error, what);
        }
    }
    return TRUE;
}

static struct kvm_segment flat_segment(guint16 selector, guint8 type)
{
    return (struct kvm_segment){.base = 0,
                                .limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .db = 1,
                                .s = 1,
                                .g = 1};
}

gboolean vcpu_state_set_entry(int vcpu_fd, const VcpuEntry *entry, GError **error)
{
    struct kvm_sregs sregs;
    if (kvm_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0) {
        return kvm_set_error(error, "cannot read a vCPU's system registers");
    }
    sregs.cs = flat_segment(BOOT_CS, 0xb);
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(BOOT_DS, 0x3);
    sregs.tr = (struct kvm_segment){.limit = 0x67, .selector = BOOT_TR, .type = 0xb, .present = 1};
    sregs.gdt.base = BOOT_GDT_ADDRESS;
    sregs.gdt.limit = sizeof(BOOT_GDT) - 1;
    sregs.idt.base = sregs.idt.limit = 0;
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr3 = sregs.cr4 = sregs.efer = 0;
    if (entry->cr3) {
        sregs.cs.l = 1;
        sregs.cs.db = 0;
        sregs.cr0 |= CR0_PG;
        sregs.cr3 = entry->cr3;
        sregs.cr4 = CR4_PAE;
        sregs.efer = EFER_LME | EFER_LMA;
    }
    struct kvm_regs regs = {.rip = entry->eip, .rsi = entry->esi, .rbx = entry->ebx, .rflags = RFLAGS_ALWAYS};
    if (kvm_ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || kvm_ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0) {
        return kvm_set_error(error, "cannot set a vCPU's entry state");
    }
    g_autofree struct kvm_msrs *mtrr = new_msrs(1);
    mtrr->nmsrs = 1;
    mtrr->entries[0] = (struct kvm_msr_entry){.index = MSR_MTRR_DEFTYPE, .data = MTRR_ENABLE_WRITE_BACK};
    if (kvm_ioctl(vcpu_fd, KVM_SET_MSRS, mtrr) != 1) {
        g_info("KVM: MTRRs cannot be set");
    }
    return TRUE;
}
