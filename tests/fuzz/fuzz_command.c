// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzzes the whole dispatcher, in both dialects, with every kind of argument and handlers that do no harm. */
#include "tests/fuzz/session.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static void run_ping(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_empty(call);
}

static void run_echo(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_object(call, json_object_ref(arguments));
}

static void run_fail(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_fail_class(call, "DeviceNotFound", "no %s", command_string(arguments, "s", "s"));
}

static void run_later(CommandCall *call, JsonObject *arguments, gpointer data)
{
    FuzzWorld *world = data;

    g_ptr_array_add(world->waiting, call);
}

static void run_reset(CommandCall *call, JsonObject *arguments, gpointer data)
{
    CommandSession *session = command_call_session(call);

    command_session_reset(session);
    command_call_return_int(call, command_session_pending(session));
}

static const char *const words[] = {"set", "cur", "end", NULL};
static const CommandArg kinds[] = {
    {.name = "value", .type = COMMAND_ARG_INT},
    {.name = "name", .type = COMMAND_ARG_ENUM, .values = words},
    {.name = NULL},
};
static const CommandArg element = {.type = COMMAND_ARG_STRING};
static const CommandArg members[] = {
    {.name = "n", .type = COMMAND_ARG_INT},
    {.name = "b", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {.name = NULL},
};
static const CommandArg object_element = {.type = COMMAND_ARG_OBJECT, .members = members};
static const CommandArg args[] = {
    {.name = "i", .type = COMMAND_ARG_INT, .optional = TRUE},
    {.name = "f", .type = COMMAND_ARG_NUMBER, .optional = TRUE},
    {.name = "s", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "b", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {.name = "l", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &element},
    {.name = "o", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &object_element},
    {.name = "e", .type = COMMAND_ARG_ENUM, .optional = TRUE, .values = words},
    {.name = "w", .type = COMMAND_ARG_ALTERNATE, .optional = TRUE, .members = kinds, .type_name = "Whence"},
    {.name = "a", .type = COMMAND_ARG_ANY, .optional = TRUE},
    {.name = NULL},
};
static const Command commands[] = {
    {.name = "qmp_capabilities", .handler = run_ping, .flags = COMMAND_BEFORE_NEGOTIATION},
    {.name = "ping", .handler = run_ping, .flags = COMMAND_WHEN_FROZEN},
    {.name = "echo", .args = args, .handler = run_echo},
    {.name = "loose", .args = args, .handler = run_echo, .flags = COMMAND_LOOSE_ARGS},
    {.name = "sync", .args = args, .handler = run_echo, .flags = COMMAND_DELIMITED_REPLY},
    {.name = "quiet", .handler = run_ping, .flags = COMMAND_NO_REPLY},
    {.name = "fail", .args = args, .handler = run_fail},
    {.name = "later", .handler = run_later},
    {.name = "reset", .handler = run_reset},
    {.name = NULL},
};
static const Command *const tables[] = {commands, NULL};

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    fuzz_session_play(COMMAND_DIALECT_AGENT, tables, "ping", data, size);
    fuzz_session_play(COMMAND_DIALECT_QMP, tables, "ping", data, size);
    return 0;
}
