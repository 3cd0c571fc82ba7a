// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpu-set: all vCPUs that a machine has or may get, by number.
 *
 * KVM cannot take a vCPU away: one that is unplugged stays parked, and is taken up again when its number is
 * plugged. All functions are for the main thread, but cpu_set_request_pause().
 */
#pragma once

#include "host-vmm/kvm/vcpu.h"

typedef struct CpuSet CpuSet;

/* config: as for each vCPU; index and thread_name are filled in here. `present` of all that topology has room
 * for exist from the start. */
CpuSet *cpu_set_new(const Kvm *kvm, const VcpuConfig *config, guint present, GError **error);
void cpu_set_free(CpuSet *set);

guint cpu_set_possible(const CpuSet *set);
gboolean cpu_set_is_present(const CpuSet *set, guint index);
const Vcpu *cpu_set_vcpu(const CpuSet *set, guint index); /* NULL unless present */
const char *cpu_set_id(const CpuSet *set, guint index);   /* the id given when it was plugged, or NULL */

void cpu_set_request_pause(CpuSet *set); /* any thread, a vCPU's too */
void cpu_set_wait_parked(CpuSet *set);
void cpu_set_resume(CpuSet *set);
/* All to their power-on state; the first enters the kernel. They stand still. */
gboolean cpu_set_reset(CpuSet *set, const VcpuEntry *entry, GError **error);

/* Makes number `index` present, in power-on state, and lets it run if `run`. id is copied. */
gboolean cpu_set_plug(CpuSet *set, guint index, const char *id, gboolean run, GError **error);
void cpu_set_unplug(CpuSet *set, guint index);
