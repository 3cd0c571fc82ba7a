// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm: /dev/kvm and one virtual machine on it: RAM slots, the in-kernel interrupt chips and timer.
 *
 * Kernel interface: Documentation/virt/kvm/api.rst.
 */
#pragma once

#include "host-vmm/memory/guest-memory.h"

typedef struct Kvm Kvm;

/* Opens /dev/kvm and makes a VM without memory or vCPUs. Errors say what to do (permission, module,
 * firmware). */
Kvm *kvm_new(GError **error);
void kvm_free(Kvm *kvm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kvm, kvm_free)

/* Local APICs, I/O APIC, 8259s and PIT in the kernel. Before any vCPU. */
gboolean kvm_create_irqchip(Kvm *kvm, GError **error);
/* Saves the state of these chips as it is now; kvm_reset_irqchip() brings it back (machine reset). */
gboolean kvm_save_irqchip(Kvm *kvm, GError **error);
gboolean kvm_reset_irqchip(Kvm *kvm, GError **error);

/* Gives the guest all of `memory`, which must outlive the VM. */
/* A non-maskable interrupt for each vCPU. Any thread. */
gboolean kvm_inject_nmi(const Kvm *kvm, GError **error);
gboolean kvm_map_memory(Kvm *kvm, const GuestMemory *memory, GError **error);

int kvm_system_fd(const Kvm *kvm);
int kvm_vm_fd(const Kvm *kvm);
/* KVM_CHECK_EXTENSION on the VM: 0 if absent. */
int kvm_capability(const Kvm *kvm, int capability);
/* How many vCPUs one VM may have. */
guint kvm_max_vcpus(const Kvm *kvm);

/* ioctl() retried on EINTR; -1 with errno. */
int kvm_ioctl(int fd, unsigned long request, void *argument);
/* Sets error to "KVM: <what>: <errno text>". Returns FALSE. */
gboolean kvm_set_error(GError **error, const char *what);
