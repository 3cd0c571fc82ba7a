// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vcpu-state: a vCPU's registers as they were at power-on, to come back to at a reset, and the state in which
 * a directly booted kernel is entered.
 *
 * The vCPU must not be running. All of it is KVM's own vCPU ioctls (Documentation/virt/kvm/api.rst).
 */
#pragma once

#include "host-vmm/kvm/kvm.h"

typedef struct VcpuState VcpuState;
struct VcpuEntry;

/* Where the entry state's segment descriptors lie in guest memory; the loader puts BOOT_GDT_ENTRIES entries
 * there. */
#define BOOT_GDT_ADDRESS 0x500
#define BOOT_GDT_ENTRIES 5
extern const guint64 BOOT_GDT[BOOT_GDT_ENTRIES];
/* Selectors of Linux' boot protocols (Documentation/arch/x86/boot.rst): __BOOT_CS, __BOOT_DS. */
#define BOOT_CS 0x10
#define BOOT_DS 0x18
/* What is at BOOT_CS instead for an entry in 64-bit mode. */
#define BOOT_CODE_64 0x00af9b000000ffffull

/* machine_wide: registers that belong to the whole machine too. Only of a vCPU that is made before any has
 * run: a later one shows in them what the guest has set meanwhile, and restoring that would have KVM write
 * into the RAM of the guest after a reset. */
VcpuState *vcpu_state_save(const Kvm *kvm, int vcpu_fd, gboolean machine_wide, GError **error);
void vcpu_state_free(VcpuState *state);
gboolean vcpu_state_restore(const VcpuState *state, int vcpu_fd, GError **error);
/* 32-bit protected mode at entry->eip with flat segments, interrupts off, paging off; with entry->cr3, 64-bit
 * mode. */
gboolean vcpu_state_set_entry(int vcpu_fd, const struct VcpuEntry *entry, GError **error);
