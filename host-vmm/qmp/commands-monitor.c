// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The monitor itself: negotiation and what it can do.
 */
#include "config.h"

#include "host-vmm/qmp/commands.h"

/* The QEMU whose protocol this is: clients decide by it what they may ask for. */
#define QEMU_MAJOR 7
#define QEMU_MINOR 2
#define QEMU_MICRO 0

JsonObject *qmp_version(void)
{
    JsonObject *version = json_object_new(), *qemu = json_object_new();

    json_object_set_int_member(qemu, "micro", QEMU_MICRO);
    json_object_set_int_member(qemu, "minor", QEMU_MINOR);
    json_object_set_int_member(qemu, "major", QEMU_MAJOR);
    json_object_set_object_member(version, "qemu", qemu);
    json_object_set_string_member(version, "package", "host-vmm " PACKAGE_VERSION);
    return version;
}

static void qmp_capabilities(CommandCall *call, JsonObject *arguments, gpointer data)
{
    if (command_has(arguments, "enable") &&
        json_array_get_length(json_object_get_array_member(arguments, "enable")) > 0) {
        command_call_fail(call, "Capability 'oob' is not available");
        return;
    }
    command_call_return_empty(call);
}

static void add_command(const Command *command, gboolean enabled, gpointer user_data)
{
    JsonObject *info;

    if (enabled) {
        info = json_object_new();
        json_object_set_string_member(info, "name", command->name);
        json_array_add_object_element(user_data, info);
    }
}

static void query_commands(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *commands = json_array_new();

    command_server_foreach(command_call_server(call), add_command, commands);
    command_call_return_array(call, commands);
}

static void query_version(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_object(call, qmp_version());
}

static const char *const capabilities[] = {"oob", NULL};
static const CommandArg capability = {NULL, COMMAND_ARG_ENUM, .values = capabilities};
static const CommandArg capabilities_args[] = {
    {"enable", COMMAND_ARG_ARRAY, .optional = TRUE, .element = &capability},
    {NULL},
};

const Command QMP_COMMANDS_MONITOR[] = {
    {"qmp_capabilities", capabilities_args, qmp_capabilities, COMMAND_BEFORE_NEGOTIATION},
    {"query-commands", NULL, query_commands},
    {"query-version", NULL, query_version},
    {NULL},
};
