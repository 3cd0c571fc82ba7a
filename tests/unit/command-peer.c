// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/command-peer.h"

#include <check.h>
#include <string.h>

void take_bytes(const char *data, gsize length, gpointer user_data)
{
    Peer *to = user_data;

    ck_assert_uint_ge(length, 1);
    if (!to->session || !command_session_is_sending(to->session)) {
        ck_assert_int_eq(data[length - 1], '\n');
    }
    g_string_append_len(to->text, data, (gssize)length);
    if (to->frees_on_write) {
        command_session_free(g_steal_pointer(&to->session));
    }
}

/* ---- a table ---- */

static void run_ping(CommandCall *call, JsonObject *arguments, gpointer data)
{
    ck_assert_ptr_nonnull(arguments);
    command_call_return_empty(call);
}

static void run_sync(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_int(call, command_int(arguments, "id", 0));
}

static void run_fail(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_fail(call, "%s failed: %d", command_call_command(call)->name, 7);
}

static void run_fail_class(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_fail_class(call, "DeviceNotFound", "Device '%s' not found", "x");
}

static void run_fail_error(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_take_error(call, g_error_new(G_FILE_ERROR, G_FILE_ERROR_NOENT, "no \"such\" file"));
}

static void run_later(CommandCall *call, JsonObject *arguments, gpointer data)
{
    World *at = data;

    ck_assert_ptr_null(at->later);
    at->later = call;
}

static void run_drop(CommandCall *call, JsonObject *arguments, gpointer data)
{
    World *at = data;

    ck_assert_ptr_eq(command_call_session(call), at->peer->session);
    command_session_free(g_steal_pointer(&at->peer->session));
    ck_assert_ptr_null(command_call_session(call));
    command_call_return_empty(call);
}

static void run_reset(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_session_reset(command_call_session(call));
    command_call_return_empty(call);
}

static void run_types(CommandCall *call, JsonObject *arguments, gpointer data)
{
    JsonArray *array = json_array_new();

    json_array_add_boolean_element(array, command_has(arguments, "int"));
    json_array_add_int_element(array, command_int(arguments, "int", -1));
    json_array_add_boolean_element(array, command_bool(arguments, "bool", TRUE));
    json_array_add_string_element(array, command_string(arguments, "string", "none"));
    command_call_return_array(call, array);
}

static const char *const modes[] = {"powerdown", "halt", "reboot", NULL};
static const char *const whences[] = {"set", "cur", "end", NULL};
static const CommandArg whence_kinds[] = {
    {.name = "value", .type = COMMAND_ARG_INT},
    {.name = "name", .type = COMMAND_ARG_ENUM, .values = whences},
    {.name = NULL},
};
static const CommandArg string_element = {.type = COMMAND_ARG_STRING};
static const CommandArg vcpu_members[] = {
    {.name = "logical-id", .type = COMMAND_ARG_INT},
    {.name = "online", .type = COMMAND_ARG_BOOL},
    {.name = "note", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = NULL},
};
static const CommandArg vcpu_element = {.type = COMMAND_ARG_OBJECT, .members = vcpu_members};
static const CommandArg sync_args[] = {
    {.name = "id", .type = COMMAND_ARG_INT},
    {.name = NULL},
};
const CommandArg types_args[] = {
    {.name = "int", .type = COMMAND_ARG_INT, .optional = TRUE},
    {.name = "number", .type = COMMAND_ARG_NUMBER, .optional = TRUE},
    {.name = "string", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "bool", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {.name = "arg", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &string_element},
    {.name = "any-array", .type = COMMAND_ARG_ARRAY, .optional = TRUE},
    {.name = "vcpus", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &vcpu_element},
    {.name = "vcpu", .type = COMMAND_ARG_OBJECT, .optional = TRUE, .members = vcpu_members},
    {.name = "any-object", .type = COMMAND_ARG_OBJECT, .optional = TRUE},
    {.name = "mode", .type = COMMAND_ARG_ENUM, .optional = TRUE, .values = modes},
    {.name = "whence",
     .type = COMMAND_ARG_ALTERNATE,
     .optional = TRUE,
     .members = whence_kinds,
     .type_name = "GuestFileWhence"},
    {.name = "any", .type = COMMAND_ARG_ANY, .optional = TRUE},
    {.name = NULL},
};

const Command commands[] = {
    {.name = "guest-ping", .handler = run_ping, .flags = COMMAND_WHEN_FROZEN},
    {.name = "guest-sync", .args = sync_args, .handler = run_sync},
    {.name = "guest-sync-delimited",
     .args = sync_args,
     .handler = run_sync,
     .flags = COMMAND_DELIMITED_REPLY},
    {.name = "quiet", .handler = run_ping, .flags = COMMAND_NO_REPLY},
    {.name = "quiet-fail", .handler = run_fail, .flags = COMMAND_NO_REPLY},
    {.name = "delimited-fail", .handler = run_fail, .flags = COMMAND_DELIMITED_REPLY},
    {.name = NULL},
};
static const Command more_commands[] = {
    {.name = "fail", .handler = run_fail},
    {.name = "fail-class", .handler = run_fail_class},
    {.name = "fail-error", .handler = run_fail_error},
    {.name = "later", .handler = run_later},
    {.name = "drop", .handler = run_drop},
    {.name = "reset", .handler = run_reset},
    {.name = "types", .args = types_args, .handler = run_types},
    {.name = "loose", .args = sync_args, .handler = run_sync, .flags = COMMAND_LOOSE_ARGS},
    {.name = NULL},
};
static const Command qmp_commands[] = {
    {.name = "qmp_capabilities", .handler = run_ping, .flags = COMMAND_BEFORE_NEGOTIATION},
    {.name = "qmp_capabilities_fail", .handler = run_fail, .flags = COMMAND_BEFORE_NEGOTIATION},
    {.name = NULL},
};
static const Command *const agent_tables[] = {commands, more_commands, NULL};
static const Command *const qmp_tables[] = {qmp_commands, more_commands, NULL};

/* ---- a server with one peer, for each test ---- */

World world;
Peer peer;
CommandServer *server;

static void connect_peer(CommandDialect dialect, const char *greeting)
{
    world = (World){.peer = &peer};
    peer = (Peer){.text = g_string_new(NULL)};
    server = command_server_new(dialect, dialect == COMMAND_DIALECT_QMP ? qmp_tables : agent_tables, &world);
    peer.session =
        command_session_new(server, take_bytes, &peer, greeting ? json_parse_text(greeting, -1, NULL) : NULL);
}

void setup(void)
{
    connect_peer(COMMAND_DIALECT_AGENT, NULL);
}

void setup_qmp(void)
{
    connect_peer(COMMAND_DIALECT_QMP, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}");
}

void teardown(void)
{
    command_session_free(peer.session);
    command_server_free(server);
    g_string_free(peer.text, TRUE);
}

void peer_says(const char *text)
{
    command_session_feed(peer.session, text, strlen(text));
}

void expect_sent(const char *expected)
{
    ck_assert_str_eq(peer.text->str, expected);
    g_string_truncate(peer.text, 0);
}

void expect_reply(const char *request, const char *expected)
{
    g_autofree char *line = g_strconcat(expected, *expected ? "\n" : "", NULL);

    peer_says(request);
    peer_says("\n");
    expect_sent(line);
}

void expect_error(const char *request, const char *error_class, const char *desc)
{
    g_autofree char *expected =
        g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}", error_class, desc);

    expect_reply(request, expected);
}
