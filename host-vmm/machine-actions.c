// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the machine does when the guest panics or lets its watchdog expire.
 */
#include "host-vmm/machine-private.h"

static JsonObject *action_named(const char *action)
{
    JsonObject *data = json_object_new();
    json_object_set_string_member(data, "action", action);
    return data;
}

static void watchdog_expired(Machine *machine)
{
    WatchdogAction action = machine->actions.watchdog;
    g_autoptr(GError) error = NULL;
    machine_emit(machine, "WATCHDOG", action_named(watchdog_action_name(action)));
    switch (action) {
    case WATCHDOG_RESET:
        machine_guest_reset(machine);
        break;
    case WATCHDOG_SHUTDOWN:
        machine_powerdown(machine);
        break;
    case WATCHDOG_POWEROFF:
        machine_end(machine, TRUE, "guest-shutdown", 0);
        break;
    case WATCHDOG_PAUSE:
        machine_stop_in_state(machine, MACHINE_WATCHDOG);
        break;
    case WATCHDOG_INJECT_NMI:
        if (!machine_inject_nmi(machine, &error)) {
            g_warning("watchdog: %s", error->message);
        }
        break;
    case WATCHDOG_DEBUG:
        g_message("the guest's watchdog has expired");
        break;
    case WATCHDOG_NONE:
        break;
    }
}

static void guest_panicked(Machine *machine)
{
    PanicAction action = machine->actions.panic;
    gboolean pauses = action == PANIC_PAUSE || (action == PANIC_SHUTDOWN && machine->actions.shutdown_pauses);
    if (action == PANIC_NONE) {
        machine_emit(machine, "GUEST_PANICKED", action_named("run"));
        if (machine->state == MACHINE_RUNNING) {
            cpu_set_resume(machine->cpus);
        }
        return;
    }
    machine_emit(machine, "GUEST_PANICKED", action_named(pauses ? "pause" : "poweroff"));
    machine_stop_in_state(machine, MACHINE_GUEST_PANICKED);
    if (!pauses) {
        machine_end(machine, TRUE, "guest-panic", action == PANIC_EXIT_FAILURE ? 1 : 0);
    }
}

void machine_handle_alarm(Machine *machine, DeviceAlarm alarm)
{
    switch (alarm) {
    case DEVICE_ALARM_WATCHDOG:
        watchdog_expired(machine);
        break;
    case DEVICE_ALARM_PANIC:
        guest_panicked(machine);
        break;
    case DEVICE_ALARM_RESET: /* not here: it is a reset like others */
        break;
    case DEVICE_ALARM_CRASH_LOADED:
        machine_emit(machine, "GUEST_CRASHLOADED", action_named("run"));
        break;
    }
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
    return kvm_inject_nmi(machine->kvm, error);
}
