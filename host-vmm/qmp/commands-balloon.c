// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The balloon: how much memory the guest should make do with, and has.
 */
#include "host-vmm/qmp/commands.h"
#include "host-vmm/virtio/virtio-balloon.h"

/* Fails the call if there is none. */
static Device *find_balloon(CommandCall *call, QmpContext *context)
{
    Device *balloon = virtio_balloon_find(machine_device_env(context->machine));

    if (balloon == NULL) {
        command_call_fail_class(call, "DeviceNotActive", "No balloon device has been activated");
    }
    return balloon;
}

static const CommandArg BALLOON_ARGS[] = {
    {.name = "value", .type = COMMAND_ARG_INT},
    {NULL},
};

static void balloon(CommandCall *call, JsonObject *arguments, gpointer data)
{
    gint64 value = command_int(arguments, "value", 0);
    Device *device = find_balloon(call, data);

    if (device == NULL) {
        return;
    }
    if (value <= 0) {
        command_call_fail(call, "Parameter 'target' expects a size");
        return;
    }
    virtio_balloon_set_target(device, (guint64)value);
    command_call_return_empty(call);
}

static void query_balloon(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Device *device = find_balloon(call, data);

    if (device != NULL) {
        JsonObject *info = json_object_new();

        json_object_set_int_member(info, "actual", (gint64)virtio_balloon_actual(device));
        command_call_return_object(call, info);
    }
}

const Command QMP_COMMANDS_BALLOON[] = {
    {"balloon", BALLOON_ARGS, balloon},
    {"query-balloon", NULL, query_balloon},
    {NULL},
};
