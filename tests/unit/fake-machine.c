// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fake-machine.h"

const char *machine_state_name(MachineState state)
{
    static const char *const names[] = {"prelaunch", "running",  "paused",         "io-error",
                                        "shutdown",  "watchdog", "guest-panicked", "internal-error"};

    return names[state];
}

const MachineConfig *machine_config(const Machine *machine)
{
    return &machine->config;
}

const Numa *machine_numa(const Machine *machine)
{
    return &machine->numa;
}

MachineState machine_state(const Machine *machine)
{
    return machine->state;
}

void fake_machine_emit(Machine *machine, const char *name)
{
    if (machine->event != NULL) {
        machine->event(name, NULL, machine->event_data);
    }
}

gboolean machine_resume(Machine *machine, GError **error)
{
    if (machine->state == MACHINE_INTERNAL_ERROR) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "Resetting the Virtual Machine is required");
        return FALSE;
    }
    machine->state = MACHINE_RUNNING;
    fake_machine_emit(machine, "RESUME");
    return TRUE;
}

void machine_pause(Machine *machine)
{
    machine->state = MACHINE_PAUSED;
    fake_machine_emit(machine, "STOP");
}

void machine_reset(Machine *machine)
{
    machine->resets++;
}

void machine_powerdown(Machine *machine)
{
    machine->powerdowns++;
}

void machine_quit(Machine *machine, const char *reason)
{
    machine->quits++;
    fake_machine_emit(machine, "SHUTDOWN");
}

guint machine_possible_vcpus(const Machine *machine)
{
    return POSSIBLE;
}

MachineVcpu machine_vcpu(const Machine *machine, guint index)
{
    return (MachineVcpu){.present = index < machine->config.vcpus || machine->ids[index] != NULL,
                         .thread_id = 100 + (int)index,
                         .id = machine->ids[index]};
}

gboolean machine_plug_vcpu(Machine *machine, guint index, const char *id, GError **error)
{
    if (machine_vcpu(machine, index).present) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "vCPU %u is there already", index);
        return FALSE;
    }
    machine->ids[index] = g_intern_string(id);
    return TRUE;
}

gboolean machine_unplug_vcpu(Machine *machine, guint index, GError **error)
{
    machine->asked_back = (int)index;
    return TRUE;
}

const KvmStats *machine_vm_stats(Machine *machine, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "KVM: it has no statistics");
    return NULL;
}

const KvmStats *machine_vcpu_stats(Machine *machine, guint index, GError **error)
{
    return machine_vm_stats(machine, error);
}

const Actions *machine_actions(const Machine *machine)
{
    return &machine->actions;
}

void machine_set_actions(Machine *machine, const Actions *actions)
{
    machine->actions = *actions;
}

gboolean machine_inject_nmi(Machine *machine, GError **error)
{
    machine->nmis++;
    return TRUE;
}

DeviceEnv *machine_device_env(Machine *machine)
{
    return &machine->env;
}

void machine_set_event_func(Machine *machine, MachineEventFunc func, gpointer user_data)
{
    machine->event = func;
    machine->event_data = user_data;
}
