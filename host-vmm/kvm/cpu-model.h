// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpu-model: -cpu: which features the guest's CPU has, in QEMU's words, and the CPUID table that comes of it
 * on a host. Knows no vCPU: what differs from one to the other is cpuid.h.
 */
#pragma once

#include <linux/kvm.h>

#include "host-vmm/kvm/cpu-features.h"
#include "host-vmm/kvm/hyperv.h"

typedef struct CpuModel CpuModel;

/* options: "model" (host, max, x86-64-v1 to -v4), +feature, -feature, feature=on|off, nested=on|off, hv-*,
 * kvm=, pmu=, migratable=, check=, enforce=. All of them are checked; what the host has is not asked yet. */
CpuModel *cpu_model_new(OptSet *options, GError **error);
CpuModel *cpu_model_new_host(void); /* -cpu host */
void cpu_model_free(CpuModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuModel, cpu_model_free)

/* QEMU's name of the type: "host-x86_64-cpu". */
const char *cpu_model_type(const CpuModel *model);
const HypervOptions *cpu_model_hyperv(const CpuModel *model);

typedef struct CpuHost {
    GArray *supported;        /* struct kvm_cpuid_entry2: KVM_GET_SUPPORTED_CPUID */
    GArray *hyperv_supported; /* the same of KVM_GET_SUPPORTED_HV_CPUID; NULL: this KVM does not tell */
    gboolean tsc_deadline;    /* KVM_CAP_TSC_DEADLINE_TIMER, which the table does not tell */
    gboolean tsc_invariant;   /* the host's kernel keeps its time by the TSC, whatever CPUID says of it */
} CpuHost;

/* The guest's table (struct kvm_cpuid_entry2). What was asked for and the host lacks is left out with a
 * warning for each (check=on), or an error (enforce=on). */
GArray *cpu_model_table(const CpuModel *model, const CpuHost *host, GError **error);
