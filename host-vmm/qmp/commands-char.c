// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Character devices.
 */
#include "host-vmm/qmp/commands.h"

static void add_chardev(Chardev *chardev, gpointer user_data)
{
    g_autofree char *filename = chardev_describe(chardev);
    JsonObject *info = json_object_new();

    json_object_set_boolean_member(info, "frontend-open", chardev_front_is_open(chardev));
    json_object_set_string_member(info, "filename", filename);
    json_object_set_string_member(info, "label", chardev_id(chardev));
    json_array_add_object_element(user_data, info);
}

static void query_chardev(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *chardevs = json_array_new();

    chardev_set_foreach(((QmpContext *)data)->chardevs, add_chardev, chardevs);
    command_call_return_array(call, chardevs);
}

const Command QMP_COMMANDS_CHAR[] = {
    {"query-chardev", NULL, query_chardev},
    {NULL},
};
