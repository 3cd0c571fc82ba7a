// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices as QEMU's object tree shows them: those with an id, under /machine/peripheral, with what they let
 * be read and written.
 */
#include <string.h>

#include "host-vmm/qmp/commands.h"

#define PERIPHERAL "/machine/peripheral"

/* The device at a path (QEMU takes "/machine/peripheral/ID" and the bare id as well). Fails the call if there
 * is none. */
static Device *find_device(CommandCall *call, QmpContext *context, const char *path)
{
    const char *id = g_str_has_prefix(path, PERIPHERAL "/") ? path + strlen(PERIPHERAL "/") : path;
    Device *device = device_find(machine_device_env(context->machine), id);

    if (device == NULL) {
        command_call_fail_class(call, "DeviceNotFound", "Device '%s' not found", path);
    }
    return device;
}

static const DeviceProperty *find_property(CommandCall *call, const Device *device, const char *name)
{
    for (const DeviceProperty *property = device->type->properties;
         property != NULL && property->name != NULL; property++) {
        if (strcmp(property->name, name) == 0) {
            return property;
        }
    }
    command_call_fail(call, "Property '%s.%s' not found", device->type->name, name);
    return NULL;
}

static void add_row(JsonArray *rows, const char *name, const char *type)
{
    JsonObject *row = json_object_new();

    json_object_set_string_member(row, "name", name);
    json_object_set_string_member(row, "type", type);
    json_array_add_object_element(rows, row);
}

static const CommandArg LIST_ARGS[] = {
    {.name = "path", .type = COMMAND_ARG_STRING},
    {NULL},
};

static void qom_list(CommandCall *call, JsonObject *arguments, gpointer data)
{
    QmpContext *context = data;
    const char *path = command_string(arguments, "path", "");
    JsonArray *rows;

    if (strcmp(path, PERIPHERAL) == 0) {
        const GPtrArray *devices = machine_device_env(context->machine)->devices;

        rows = json_array_new();
        add_row(rows, "type", "string");
        for (guint i = 0; i < devices->len; i++) {
            const Device *device = devices->pdata[i];

            if (device->id != NULL) {
                g_autofree char *type = g_strdup_printf("child<%s>", device->type->name);

                add_row(rows, device->id, type);
            }
        }
    } else {
        const Device *device = find_device(call, context, path);

        if (device == NULL) {
            return;
        }
        rows = json_array_new();
        add_row(rows, "type", "string");
        for (const DeviceProperty *property = device->type->properties;
             property != NULL && property->name != NULL; property++) {
            add_row(rows, property->name, property->type);
        }
    }
    command_call_return_array(call, rows);
}

static const CommandArg GET_ARGS[] = {
    {.name = "path", .type = COMMAND_ARG_STRING},
    {.name = "property", .type = COMMAND_ARG_STRING},
    {NULL},
};

static void qom_get(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *name = command_string(arguments, "property", "");
    Device *device = find_device(call, data, command_string(arguments, "path", ""));
    const DeviceProperty *property;
    GError *error = NULL;
    JsonNode *value;

    if (device == NULL) {
        return;
    }
    if (strcmp(name, "type") == 0) {
        command_call_return(call, json_node_init_string(json_node_alloc(), device->type->name));
        return;
    }
    property = find_property(call, device, name);
    if (property == NULL) {
        return;
    }
    value = property->get(device, &error);
    if (value != NULL) {
        command_call_return(call, value);
    } else {
        command_call_take_error(call, error);
    }
}

static const CommandArg SET_ARGS[] = {
    {.name = "path", .type = COMMAND_ARG_STRING},
    {.name = "property", .type = COMMAND_ARG_STRING},
    {.name = "value", .type = COMMAND_ARG_ANY},
    {NULL},
};

static void qom_set(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *name = command_string(arguments, "property", "");
    Device *device = find_device(call, data, command_string(arguments, "path", ""));
    const DeviceProperty *property = device != NULL ? find_property(call, device, name) : NULL;
    GError *error = NULL;

    if (property == NULL) {
        return;
    }
    if (property->set == NULL) {
        command_call_fail(call, "Property '%s.%s' is not writable", device->type->name, name);
    } else if (property->set(device, json_object_get_member(arguments, "value"), &error)) {
        command_call_return_empty(call);
    } else {
        command_call_take_error(call, error);
    }
}

const Command QMP_COMMANDS_QOM[] = {
    {"qom-list", LIST_ARGS, qom_list},
    {"qom-get", GET_ARGS, qom_get},
    {"qom-set", SET_ARGS, qom_set},
    {NULL},
};
