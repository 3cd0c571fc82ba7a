// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices that come and go while the guest runs: vCPUs. (PCI functions stay as they were at the start.)
 */
#include "host-vmm/qmp/commands-cpu.h"

static const CommandArg DEVICE_ADD_ARGS[] = {
    {.name = "driver", .type = COMMAND_ARG_STRING},
    {.name = "id", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {NULL},
};

static void device_add(CommandCall *call, JsonObject *arguments, gpointer data)
{
    QmpContext *context = data;
    const char *driver = command_string(arguments, "driver", NULL);
    const char *id = command_string(arguments, "id", NULL);
    GError *error = NULL;

    if (!qmp_is_cpu_type(context->machine, driver)) {
        command_call_fail(call, "'%s' cannot be added to a running machine", driver);
        return;
    }
    if (id != NULL && (qmp_cpu_find(context->machine, id) >= 0 ||
                       device_find(machine_device_env(context->machine), id) != NULL)) {
        command_call_fail(call, "Duplicate device ID '%s'", id);
        return;
    }
    g_autoptr(OptSet) options = optset_from_json("device_add", arguments, &error);
    if (options != NULL) {
        optset_ignore(options, "driver");
        if (qmp_cpu_add(context->machine, options, &error)) {
            command_call_return_empty(call);
            return;
        }
    }
    command_call_take_error(call, error);
}

static const CommandArg DEVICE_DEL_ARGS[] = {
    {.name = "id", .type = COMMAND_ARG_STRING},
    {NULL},
};

static void device_del(CommandCall *call, JsonObject *arguments, gpointer data)
{
    QmpContext *context = data;
    const char *id = command_string(arguments, "id", NULL);
    int cpu = qmp_cpu_find(context->machine, id);
    GError *error = NULL;

    if (cpu >= 0) {
        if (machine_unplug_vcpu(context->machine, (guint)cpu, &error)) {
            command_call_return_empty(call);
        } else {
            command_call_take_error(call, error);
        }
    } else if (device_find(machine_device_env(context->machine), id) != NULL) {
        command_call_fail(call, "Device '%s' cannot be removed from a running machine", id);
    } else {
        command_call_fail_class(call, "DeviceNotFound", "Device '%s' not found", id);
    }
}

const Command QMP_COMMANDS_DEVICE[] = {
    {"device_add", DEVICE_ADD_ARGS, device_add, COMMAND_LOOSE_ARGS},
    {"device_del", DEVICE_DEL_ARGS, device_del},
    {NULL},
};
