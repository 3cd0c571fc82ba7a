// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes guest-agent's dispatcher with its own tables, whose handlers are put by for ones that do no harm:
 * they read each argument as the row has it and give all of them back. And the readers of what a guest's
 * kernel and users have written, with the same bytes.
 */
#include "guest-agent/agent.h"
#include "guest-agent/base64.h"
#include "guest-agent/kernel-stats.h"
#include "guest-agent/nvme-smart.h"
#include "guest-agent/os-release.h"
#include "guest-agent/ssh-keys.h"
#include "tests/fuzz/session.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define COMMANDS_MAX 128

/* What a handler may count on after the check: values of the types that the row says. */
static void read_arguments(JsonObject *arguments, const CommandArg *args)
{
    for (const CommandArg *arg = args; arg && arg->name; arg++) {
        if (!command_has(arguments, arg->name)) {
            g_assert_true(arg->optional);
            continue;
        }
        switch (arg->type) {
        case COMMAND_ARG_INT:
            command_int(arguments, arg->name, 0);
            break;
        case COMMAND_ARG_BOOL:
            command_bool(arguments, arg->name, FALSE);
            break;
        case COMMAND_ARG_STRING:
            g_assert_nonnull(command_string(arguments, arg->name, NULL));
            ssh_key_is_valid(command_string(arguments, arg->name, NULL));
            break;
        case COMMAND_ARG_ARRAY: {
            JsonArray *array = json_object_get_array_member(arguments, arg->name);
            for (guint i = 0; i < json_array_get_length(array); i++) {
                if (arg->element && arg->element->type == COMMAND_ARG_OBJECT)
                    read_arguments(json_array_get_object_element(array, i), arg->element->members);
                else
                    g_assert_nonnull(json_array_get_string_element(array, i));
            }
            break;
        }
        default:
            break;
        }
    }
}

static void run_harmless(CommandCall *call, JsonObject *arguments, gpointer data)
{
    FuzzWorld *world = data;
    const Command *command = command_call_command(call);
    read_arguments(arguments, command->args);
    if (command->flags & COMMAND_NO_REPLY)
        g_ptr_array_add(world->waiting, call); /* such take their time */
    else
        command_call_return_object(call, json_object_ref(arguments));
}

static const Command *harmless_rows(void)
{
    static Command rows[COMMANDS_MAX];
    guint count = 0;
    for (const Command *const *table = AGENT_TABLES; *table; table++) {
        for (const Command *row = *table; row->name; row++) {
            g_assert_cmpuint(count, <, COMMANDS_MAX - 1);
            rows[count] = *row;
            rows[count++].handler = run_harmless;
        }
    }
    return rows;
}

static void read_as_text(const guint8 *data, gsize size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    json_array_unref(kernel_diskstats(text));
    json_array_unref(kernel_cpustats(text, 100));
    g_autoptr(JsonArray) routes = json_array_new();
    kernel_routes_v4(routes, text);
    kernel_routes_v6(routes, text);
    g_hash_table_unref(os_release_parse(text));
    gsize decoded;
    g_free(base64_decode(text, strlen(text), &decoded, NULL));
    if (size >= NVME_SMART_BYTES)
        json_object_unref(nvme_smart_to_json(data));
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const Command *tables[2];
    if (!tables[0])
        tables[0] = harmless_rows();
    fuzz_session_play(COMMAND_DIALECT_AGENT, tables, "guest-ping", data, size);
    read_as_text(data, size);
    return 0;
}
