// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is done when the guest resets, powers off, panics or lets its watchdog expire; NMIs; the generation
 * id.
 */
#include "host-vmm/hw/vmgenid.h"
#include "host-vmm/qmp/commands.h"

static const CommandArg SET_ACTION_ARGS[] = {
    {.name = "reboot", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "shutdown", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "panic", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "watchdog", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {NULL},
};

/* All of them or none. */
static void set_action(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Machine *machine = ((QmpContext *)data)->machine;
    Actions actions = *machine_actions(machine);
    GError *error = NULL;

    for (guint i = 0; ACTION_EVENTS[i] != NULL; i++) {
        const char *action = command_string(arguments, ACTION_EVENTS[i], NULL);

        if (action != NULL && !actions_set(&actions, ACTION_EVENTS[i], action, &error)) {
            command_call_take_error(call, error);
            return;
        }
    }
    machine_set_actions(machine, &actions);
    command_call_return_empty(call);
}

static const CommandArg WATCHDOG_ARGS[] = {
    {.name = "action", .type = COMMAND_ARG_STRING},
    {NULL},
};

static void watchdog_set_action(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Machine *machine = ((QmpContext *)data)->machine;
    Actions actions = *machine_actions(machine);
    GError *error = NULL;

    if (!actions_set(&actions, "watchdog", command_string(arguments, "action", NULL), &error)) {
        command_call_take_error(call, error);
        return;
    }
    machine_set_actions(machine, &actions);
    command_call_return_empty(call);
}

static void inject_nmi(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;

    if (machine_inject_nmi(((QmpContext *)data)->machine, &error)) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

static void query_vm_generation_id(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Device *device = vmgenid_find(machine_device_env(((QmpContext *)data)->machine));

    if (device == NULL) {
        command_call_fail(call, "VM Generation ID device not found");
    } else {
        g_autofree char *guid = vmgenid_guid(device);
        JsonObject *info = json_object_new();

        json_object_set_string_member(info, "guid", guid);
        command_call_return_object(call, info);
    }
}

const Command QMP_COMMANDS_ACTIONS[] = {
    {"set-action", SET_ACTION_ARGS, set_action},
    {"watchdog-set-action", WATCHDOG_ARGS, watchdog_set_action},
    {"inject-nmi", NULL, inject_nmi},
    {"query-vm-generation-id", NULL, query_vm_generation_id},
    {NULL},
};
