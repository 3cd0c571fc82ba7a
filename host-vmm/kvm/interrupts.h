// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interrupts: the real VmOps: interrupt lines, MSI routes, irqfds and ioeventfds of a KVM VM.
 */
#pragma once

#include "host-vmm/bus/vm-ops.h"
#include "host-vmm/kvm/kvm.h"

/* After kvm_create_irqchip(). Wires GSI 0-15 to 8259s and I/O APIC (0 to pin 2, as a PC), 16-23 to I/O APIC
 * pins. */
VmOps *interrupts_new(Kvm *kvm, GError **error);
void interrupts_free(VmOps *ops);
