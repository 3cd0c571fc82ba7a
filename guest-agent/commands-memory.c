// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-memory-blocks, guest-set-memory-blocks, guest-get-memory-block-info: the guest's memory, by sysfs
 * (Documentation/admin-guide/mm/memory-hotplug.rst). */
#include "guest-agent/agent.h"
#include "guest-agent/memory-blocks.h"

static JsonNode *get_blocks(JsonObject *arguments, GError **error)
{
    return memory_blocks_list("", error);
}

static JsonNode *set_blocks(JsonObject *arguments, GError **error)
{
    JsonArray *wanted = json_object_get_array_member(arguments, "mem-blks");
    g_autoptr(JsonArray) results = json_array_new();
    for (guint i = 0; i < json_array_get_length(wanted); i++) {
        JsonObject *block = json_array_get_object_element(wanted, i);
        json_array_add_object_element(results, memory_block_set("", command_int(block, "phys-index", -1),
                                                                command_bool(block, "online", TRUE)));
    }
    return json_node_init_array(json_node_alloc(), results);
}

/* Hundreds of files may be to be read, and taking a block offline means moving what lies in it. */
static void guest_get_memory_blocks(CommandCall *call, JsonObject *arguments, gpointer data)
{
    agent_answer_in_thread(data, call, arguments, get_blocks);
}

static void guest_set_memory_blocks(CommandCall *call, JsonObject *arguments, gpointer data)
{
    agent_answer_in_thread(data, call, arguments, set_blocks);
}

static void guest_get_memory_block_info(CommandCall *call, JsonObject *arguments, gpointer data)
{
    GError *error = NULL;
    gint64 size = memory_block_size("", &error);
    if (size < 0) {
        command_call_take_error(call, error);
        return;
    }
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "size", size);
    command_call_return_object(call, answer);
}

static const CommandArg BLOCK_MEMBERS[] = {
    {.name = "phys-index", .type = COMMAND_ARG_INT},
    {.name = "online", .type = COMMAND_ARG_BOOL},
    {.name = "can-offline", .type = COMMAND_ARG_BOOL, .optional = TRUE}, /* not looked at */
    {0},
};
static const CommandArg BLOCK = {.type = COMMAND_ARG_OBJECT, .members = BLOCK_MEMBERS};
static const CommandArg SET_BLOCKS_ARGS[] = {
    {.name = "mem-blks", .type = COMMAND_ARG_ARRAY, .element = &BLOCK},
    {0},
};

const Command COMMANDS_MEMORY[] = {
    {"guest-get-memory-blocks", NULL, guest_get_memory_blocks, COMMAND_FLAG_NONE},
    {"guest-set-memory-blocks", SET_BLOCKS_ARGS, guest_set_memory_blocks, COMMAND_FLAG_NONE},
    {"guest-get-memory-block-info", NULL, guest_get_memory_block_info, COMMAND_FLAG_NONE},
    {0},
};
