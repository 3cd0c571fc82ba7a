// SPDX-License-Identifier: GPL-2.0-or-later
/* commands-cpu: what other commands need to know of vCPUs. */
#pragma once

#include "host-vmm/qmp/commands.h"

/* Where QEMU has a vCPU in its object tree. Owned. */
char *qmp_cpu_path(MachineVcpu vcpu, guint index);

/* Whether it is the type of this machine's vCPUs. */
gboolean qmp_is_cpu_type(const Machine *machine, const char *driver);
/* device_add of a vCPU: socket-id, core-id, thread-id and id. */
gboolean qmp_cpu_add(Machine *machine, OptSet *options, GError **error);
/* The number of the vCPU that was plugged under this id, or -1. */
int qmp_cpu_find(Machine *machine, const char *id);
