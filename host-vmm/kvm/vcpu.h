// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vcpu: one virtual CPU: its KVM descriptor, its thread, its run loop.
 *
 * A vCPU thread runs guest code and, on an exit, dispatches the access to a bus. It stands still ("parked")
 * before vcpu_resume(), after vcpu_pause() and after an event that it reported.
 */
#pragma once

#include "host-vmm/bus/io-bus.h"
#include "host-vmm/confine/confine.h"
#include "host-vmm/kvm/cpuid.h"
#include "host-vmm/kvm/kvm.h"
#include "host-vmm/kvm/kvm-stats.h"

typedef struct Vcpu Vcpu;

typedef enum {
    VCPU_EVENT_RESET,    /* triple fault, or a reset by hypercall */
    VCPU_EVENT_SHUTDOWN, /* shutdown by hypercall */
    VCPU_EVENT_ERROR,    /* KVM cannot go on; `text` says why, with rip and instruction bytes */
} VcpuEvent;

/* On the vCPU's thread, which parks right after; text (may be NULL) is borrowed. */
typedef void (*VcpuEventFunc)(Vcpu *vcpu, VcpuEvent event, const char *text, gpointer user_data);

typedef struct VcpuConfig {
    guint index;
    CpuTopology topology;
    const CpuidTable *cpuid;
    const char *thread_name; /* NULL: not named. Copied */
    const Confine *confine;  /* NULL: the thread may do anything */
    IoBus *ports, *mmio;
    const GuestMemory *memory; /* for the instruction bytes of an error report */
    VcpuEventFunc event;
    gpointer event_data;
} VcpuConfig;

/* How the first vCPU starts: in 32-bit protected mode with flat segments and no paging (Linux' 32-bit boot
 * protocol, PVH), or in 64-bit mode (Linux' 64-bit boot protocol). */
typedef struct VcpuEntry {
    guint32 eip, esi, ebx;
    guint32 cr3; /* address of the page tables; not 0: 64-bit mode */
} VcpuEntry;

/* Once per process, before the first vCPU: the signal that kicks a vCPU out of KVM_RUN. */
void vcpu_init_signals(void);

/* Creates the vCPU and its thread, parked. */
Vcpu *vcpu_new(const Kvm *kvm, const VcpuConfig *config, GError **error);
void vcpu_free(Vcpu *vcpu); /* stops and joins the thread */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vcpu, vcpu_free)

guint vcpu_index(const Vcpu *vcpu);
int vcpu_thread_id(const Vcpu *vcpu); /* TID */
/* What KVM counts of it; NULL where KVM does not. */
const KvmStats *vcpu_stats(const Vcpu *vcpu);

/* Asks the vCPU to stand still / to run; any thread but its own. */
void vcpu_request_pause(Vcpu *vcpu);
void vcpu_wait_parked(Vcpu *vcpu); /* after vcpu_request_pause() */
void vcpu_resume(Vcpu *vcpu);

/* Back to power-on state; the vCPU must be parked. entry NULL: waits for INIT and SIPI (all but the first
 * one). */
gboolean vcpu_reset(Vcpu *vcpu, const VcpuEntry *entry, GError **error);
