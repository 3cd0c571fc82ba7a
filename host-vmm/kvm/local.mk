# SPDX-License-Identifier: GPL-2.0-or-later
host_vmm_libhostvmm_a_SOURCES += \
	host-vmm/kvm/kvm.c \
	host-vmm/kvm/kvm.h \
	host-vmm/kvm/kvm-stats.c \
	host-vmm/kvm/kvm-stats.h \
	host-vmm/kvm/vcpu.c \
	host-vmm/kvm/vcpu-state.c \
	host-vmm/kvm/vcpu-state.h \
	host-vmm/kvm/vcpu.h \
	host-vmm/kvm/cpu-features.c \
	host-vmm/kvm/cpu-features.h \
	host-vmm/kvm/cpu-model.c \
	host-vmm/kvm/cpu-model.h \
	host-vmm/kvm/hyperv.c \
	host-vmm/kvm/hyperv.h \
	host-vmm/kvm/cpuid.c \
	host-vmm/kvm/cpuid.h \
	host-vmm/kvm/interrupts.c \
	host-vmm/kvm/interrupts.h \
	host-vmm/kvm/probe-cache.c \
	host-vmm/kvm/probe-cache.h \
	host-vmm/kvm/probe.c \
	host-vmm/kvm/probe-guest.S \
	host-vmm/kvm/probe-guest.h \
	host-vmm/kvm/probe.h
