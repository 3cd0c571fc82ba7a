// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hyperv: Hyper-V's interface for guests (hv-*), which KVM serves and Windows looks for (Hyper-V Top Level
 * Functional Specification 6.0b, chapter 2; Documentation/virt/kvm/api.rst, KVM_GET_SUPPORTED_HV_CPUID).
 */
#pragma once

#include <gio/gio.h>

#include "host-vmm/optset.h"

typedef struct HypervOptions {
    guint32 asked;     /* bits by row of the table in hyperv.c; 0: the guest sees no Hyper-V */
    guint32 spinlocks; /* tries before a guest yields; 0xffffffff: it never does */
    char vendor[13];   /* what it is called in leaf 0x40000000 */
} HypervOptions;

/* Takes the hv-* keys; errors name what another one needs. */
gboolean hyperv_take(HypervOptions *hyperv, OptSet *options, GError **error);
gboolean hyperv_is_on(const HypervOptions *hyperv);
gboolean hyperv_has_synic(const HypervOptions *hyperv); /* KVM wants it switched on for each vCPU */
gboolean hyperv_has_vp_index(const HypervOptions *hyperv);

/* Appends leaves 0x40000000 and up to table. What KVM does not offer (`supported`: struct kvm_cpuid_entry2)
 * is an error: a guest that was installed with it needs it. */
gboolean hyperv_add_leaves(const HypervOptions *hyperv, const GArray *supported, GArray *table,
                           GError **error);
