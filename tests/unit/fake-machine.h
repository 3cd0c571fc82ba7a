// SPDX-License-Identifier: GPL-2.0-or-later
/* fake-machine: what the QMP server has for a machine where there is no KVM: it counts what it is asked. */
#pragma once

#include "host-vmm/machine.h"

#define POSSIBLE 4u /* vCPUs */

struct Machine {
    MachineConfig config;
    MachineState state;
    Numa numa; /* no nodes */
    Actions actions;
    guint nmis;
    MachineEventFunc event;
    gpointer event_data;
    guint resets, powerdowns, quits;
    DeviceEnv env;
    const char *ids[POSSIBLE]; /* of plugged vCPUs */
    int asked_back;            /* the last one that was, or -1 */
};

/* An event, as if it came of the machine itself. */
void fake_machine_emit(Machine *machine, const char *name);
