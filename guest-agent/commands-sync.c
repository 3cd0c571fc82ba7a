// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-sync, guest-sync-delimited, guest-ping, guest-info: the talk itself. */
#include "config.h"
#include "guest-agent/agent.h"

static void guest_sync(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_int(call, command_int(arguments, "id", 0));
}

static void guest_ping(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_empty(call);
}

static void add_command(const Command *command, gboolean enabled, gpointer user_data)
{
    JsonObject *row = json_object_new();
    json_object_set_string_member(row, "name", command->name);
    json_object_set_boolean_member(row, "enabled", enabled);
    json_object_set_boolean_member(row, "success-response", !(command->flags & COMMAND_NO_REPLY));
    json_array_add_object_element(user_data, row);
}

static void guest_info(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *commands = json_array_new();
    command_server_foreach(command_call_server(call), add_command, commands);
    JsonObject *info = json_object_new();
    json_object_set_string_member(info, "version", PACKAGE_VERSION);
    json_object_set_array_member(info, "supported_commands", commands);
    command_call_return_object(call, info);
}

static const CommandArg SYNC_ARGS[] = {{.name = "id", .type = COMMAND_ARG_INT}, {0}};

const Command COMMANDS_SYNC[] = {
    {"guest-sync-delimited", SYNC_ARGS, guest_sync, COMMAND_WHEN_FROZEN | COMMAND_DELIMITED_REPLY},
    {"guest-sync", SYNC_ARGS, guest_sync, COMMAND_WHEN_FROZEN},
    {"guest-ping", NULL, guest_ping, COMMAND_WHEN_FROZEN},
    {"guest-info", NULL, guest_info, COMMAND_WHEN_FROZEN},
    {0},
};
