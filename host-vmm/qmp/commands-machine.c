// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest: what it is, whether it runs.
 */
#include "host-vmm/qmp/commands.h"
#include "host-vmm/virtio/virtio-mem.h"

#define NO_UUID "00000000-0000-0000-0000-000000000000"

static void query_status(CommandCall *call, JsonObject *arguments, gpointer data)
{
    MachineState state = machine_state(((QmpContext *)data)->machine);
    JsonObject *info = json_object_new();

    json_object_set_string_member(info, "status", machine_state_name(state));
    json_object_set_boolean_member(info, "singlestep", FALSE);
    json_object_set_boolean_member(info, "running", state == MACHINE_RUNNING);
    command_call_return_object(call, info);
}

static void stop(CommandCall *call, JsonObject *arguments, gpointer data)
{
    machine_pause(((QmpContext *)data)->machine);
    command_call_return_empty(call);
}

static void cont(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;

    if (machine_resume(((QmpContext *)data)->machine, &error)) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

static void system_reset(CommandCall *call, JsonObject *arguments, gpointer data)
{
    machine_reset(((QmpContext *)data)->machine);
    command_call_return_empty(call);
}

static void system_powerdown(CommandCall *call, JsonObject *arguments, gpointer data)
{
    machine_powerdown(((QmpContext *)data)->machine);
    command_call_return_empty(call);
}

static void quit(CommandCall *call, JsonObject *arguments, gpointer data)
{
    /* First the answer, then the event: as QEMU. */
    command_call_return_empty(call);
    machine_quit(((QmpContext *)data)->machine, "host-qmp-quit");
}

static void query_name(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *name = machine_config(((QmpContext *)data)->machine)->name;
    JsonObject *info = json_object_new();

    if (name != NULL) {
        json_object_set_string_member(info, "name", name);
    }
    command_call_return_object(call, info);
}

static void query_uuid(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *uuid = machine_config(((QmpContext *)data)->machine)->uuid;
    JsonObject *info = json_object_new();

    json_object_set_string_member(info, "UUID", uuid != NULL ? uuid : NO_UUID);
    command_call_return_object(call, info);
}

static void query_kvm(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonObject *info = json_object_new();

    json_object_set_boolean_member(info, "enabled", TRUE);
    json_object_set_boolean_member(info, "present", TRUE);
    command_call_return_object(call, info);
}

static void query_memory_size_summary(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const DeviceEnv *env = machine_device_env(((QmpContext *)data)->machine);
    JsonObject *info = json_object_new();
    guint64 plugged = 0;

    for (guint i = 0; i < env->devices->len; i++) {
        plugged += virtio_mem_check(env->devices->pdata[i]) ? virtio_mem_size(env->devices->pdata[i]) : 0;
    }
    json_object_set_int_member(info, "base-memory", (gint64)guest_memory_size(env->memory));
    json_object_set_int_member(info, "plugged-memory", (gint64)plugged);
    command_call_return_object(call, info);
}

static void query_memory_devices(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const DeviceEnv *env = machine_device_env(((QmpContext *)data)->machine);
    JsonArray *devices = json_array_new();

    for (guint i = 0; i < env->devices->len; i++) {
        if (virtio_mem_check(env->devices->pdata[i])) {
            JsonObject *info = json_object_new();

            json_object_set_string_member(info, "type", "virtio-mem");
            json_object_set_object_member(info, "data", virtio_mem_describe(env->devices->pdata[i]));
            json_array_add_object_element(devices, info);
        }
    }
    command_call_return_array(call, devices);
}

static void add_backend(Object *object, gpointer array)
{
    MemoryBackend *backend = memory_backend_from_object(object);

    if (backend != NULL) {
        json_array_add_object_element(array, memory_backend_describe(backend));
    }
}

static void query_memdev(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *backends = json_array_new();

    object_set_foreach(machine_device_env(((QmpContext *)data)->machine)->objects, add_backend, backends);
    command_call_return_array(call, backends);
}

const Command QMP_COMMANDS_MACHINE[] = {
    {"query-status", NULL, query_status},
    {"stop", NULL, stop},
    {"cont", NULL, cont},
    {"system_reset", NULL, system_reset},
    {"system_powerdown", NULL, system_powerdown},
    {"quit", NULL, quit},
    {"query-name", NULL, query_name},
    {"query-uuid", NULL, query_uuid},
    {"query-kvm", NULL, query_kvm},
    {"query-memdev", NULL, query_memdev},
    {"query-memory-size-summary", NULL, query_memory_size_summary},
    {"query-memory-devices", NULL, query_memory_devices},
    {NULL},
};
