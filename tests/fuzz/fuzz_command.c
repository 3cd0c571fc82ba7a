// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the whole dispatcher, with handlers that do no harm: every line it writes is a reply, and a valid
 * request on a line of its own is answered whatever came before it.
 */
#include "lib/command.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define LAST_REQUEST "\n{\"execute\": \"ping\", \"id\": \"the-last\"}\n"
#define LAST_REPLY   "{\"return\": {}, \"id\": \"the-last\"}\n"

typedef struct World {
    GString *sent;
    GPtrArray *waiting; /* of CommandCall */
} World;

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
    World *world = data;

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

static void take(const char *data, gsize length, gpointer user_data)
{
    World *world = user_data;
    const char *start = *data == '\xff' ? data + 1 : data;
    g_autoptr(JsonNode) reply = json_parse_text(start, (gssize)length - (start - data), NULL);
    JsonObject *object;

    g_assert_cmpint(data[length - 1], ==, '\n');
    g_assert_true(memchr(data, '\n', length) == data + length - 1);
    g_assert_nonnull(reply);
    object = json_node_get_object(reply);
    g_assert_cmpint(json_object_has_member(object, "return"), !=, json_object_has_member(object, "error"));
    g_string_append_len(world->sent, data, (gssize)length);
}

static void play(CommandDialect dialect, const guint8 *data, gsize size)
{
    World world = {.sent = g_string_new(NULL), .waiting = g_ptr_array_new()};
    g_autoptr(CommandServer) server = command_server_new(dialect, tables, &world);
    CommandSession *session = command_session_new(server, take, &world, NULL);

    if (dialect == COMMAND_DIALECT_QMP) {
        const char *negotiation = "{\"execute\": \"qmp_capabilities\"}\n";

        command_session_feed(session, negotiation, strlen(negotiation));
    }
    command_session_feed(session, data, size);
    command_session_feed(session, LAST_REQUEST, strlen(LAST_REQUEST));
    g_assert_true(g_str_has_suffix(world.sent->str, LAST_REPLY));

    /* half of the calls are finished while the peer is there, the others after */
    for (guint i = 0; i < world.waiting->len; i++) {
        if (i == world.waiting->len / 2) {
            g_assert_cmpuint(command_session_pending(session), ==, world.waiting->len - i);
            command_session_free(g_steal_pointer(&session));
        }
        command_call_return_empty(world.waiting->pdata[i]);
    }
    command_session_free(session);
    g_ptr_array_unref(world.waiting);
    g_string_free(world.sent, TRUE);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    play(COMMAND_DIALECT_AGENT, data, size);
    play(COMMAND_DIALECT_QMP, data, size);
    return 0;
}
