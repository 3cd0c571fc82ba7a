// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys for the guest's keyboard.
 */
#include "host-vmm/hw/i8042.h"
#include "host-vmm/qmp/commands.h"

#define MAX_KEYS 16

static const CommandArg KEY_MEMBERS[] = {
    {.name = "type", .type = COMMAND_ARG_STRING},
    {.name = "data", .type = COMMAND_ARG_ANY},
    {NULL},
};
static const CommandArg KEY = {.type = COMMAND_ARG_OBJECT, .members = KEY_MEMBERS};
static const CommandArg SEND_KEY_ARGS[] = {
    {.name = "keys", .type = COMMAND_ARG_ARRAY, .element = &KEY},
    {.name = "hold-time", .type = COMMAND_ARG_INT, .optional = TRUE},
    {NULL},
};

/* {"type": "qcode", "data": NAME} or {"type": "number", "data": N}; -1: there is no such key. */
static int parse_key(JsonObject *key)
{
    const char *type = json_object_get_string_member(key, "type");
    JsonNode *data = json_object_get_member(key, "data");
    GType held = JSON_NODE_HOLDS_VALUE(data) ? json_node_get_value_type(data) : G_TYPE_INVALID;

    if (g_str_equal(type, "qcode") && held == G_TYPE_STRING) {
        return i8042_key(json_node_get_string(data));
    }
    if (g_str_equal(type, "number") && held == G_TYPE_INT64 && json_node_get_int(data) >= 0 &&
        json_node_get_int(data) <= G_MAXUINT8) {
        return i8042_key_number((guint)json_node_get_int(data));
    }
    return -1;
}

static gboolean put_keys(Device *keyboard, const int *keys, guint count)
{
    gboolean taken = TRUE;

    for (guint i = 0; i < count && taken; i++) {
        taken = i8042_put_key(keyboard, keys[i], TRUE);
    }
    for (guint i = count; i-- > 0 && taken;) {
        taken = i8042_put_key(keyboard, keys[i], FALSE);
    }
    return taken;
}

/* Pressed in their order and released in the other one, at once: what the guest reads comes at its own pace.
 */
static void send_key(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Device *keyboard = i8042_find(machine_device_env(((QmpContext *)data)->machine));
    JsonArray *wanted = json_object_get_array_member(arguments, "keys");
    guint count = json_array_get_length(wanted);
    int keys[MAX_KEYS];

    if (count > MAX_KEYS) {
        command_call_fail(call, "More than %d keys at once", MAX_KEYS);
        return;
    }
    for (guint i = 0; i < count; i++) {
        keys[i] = parse_key(json_array_get_object_element(wanted, i));
        if (keys[i] < 0) {
            command_call_fail(call, "Key %u is none that the keyboard has", i);
            return;
        }
    }
    if (keyboard == NULL) {
        command_call_fail(call, "There is no keyboard: -device i8042 is one");
    } else if (!put_keys(keyboard, keys, count)) {
        command_call_fail(call, "The guest does not read its keyboard");
    } else {
        command_call_return_empty(call);
    }
}

const Command QMP_COMMANDS_INPUT[] = {
    {"send-key", SEND_KEY_ARGS, send_key},
    {NULL},
};
