// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/command.h"
#include "tests/unit/malformed.h"
#include "tests/check-run.h"

typedef struct Peer {
    GString *text;
    CommandSession *session;
    gboolean frees_on_write;
} Peer;

typedef struct World {
    CommandCall *later; /* a call that waits to be finished */
    Peer *peer;         /* whose session handlers may free */
} World;

static void take_bytes(const char *data, gsize length, gpointer user_data)
{
    Peer *peer = user_data;

    ck_assert_uint_ge(length, 1);
    if (!peer->session || !command_session_is_sending(peer->session)) {
        ck_assert_int_eq(data[length - 1], '\n');
    }
    g_string_append_len(peer->text, data, (gssize)length);
    if (peer->frees_on_write) {
        command_session_free(g_steal_pointer(&peer->session));
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
    World *world = data;

    ck_assert_ptr_null(world->later);
    world->later = call;
}

static void run_drop(CommandCall *call, JsonObject *arguments, gpointer data)
{
    World *world = data;

    ck_assert_ptr_eq(command_call_session(call), world->peer->session);
    command_session_free(g_steal_pointer(&world->peer->session));
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
static const CommandArg types_args[] = {
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

static const Command commands[] = {
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

static World world;
static Peer peer;
static CommandServer *server;

static void connect_peer(CommandDialect dialect, const char *greeting)
{
    world = (World){.peer = &peer};
    peer = (Peer){.text = g_string_new(NULL)};
    server = command_server_new(dialect, dialect == COMMAND_DIALECT_QMP ? qmp_tables : agent_tables, &world);
    peer.session =
        command_session_new(server, take_bytes, &peer, greeting ? json_parse_text(greeting, -1, NULL) : NULL);
}

static void setup(void)
{
    connect_peer(COMMAND_DIALECT_AGENT, NULL);
}

static void setup_qmp(void)
{
    connect_peer(COMMAND_DIALECT_QMP, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}");
}

static void teardown(void)
{
    command_session_free(peer.session);
    command_server_free(server);
    g_string_free(peer.text, TRUE);
}

static void send(const char *text)
{
    command_session_feed(peer.session, text, strlen(text));
}

/* The peer has been sent exactly this since the last time. */
static void expect_sent(const char *expected)
{
    ck_assert_str_eq(peer.text->str, expected);
    g_string_truncate(peer.text, 0);
}

static void expect_reply(const char *request, const char *expected)
{
    g_autofree char *line = g_strconcat(expected, *expected ? "\n" : "", NULL);

    send(request);
    send("\n");
    expect_sent(line);
}

static void expect_error(const char *request, const char *error_class, const char *desc)
{
    g_autofree char *expected =
        g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}", error_class, desc);

    expect_reply(request, expected);
}

START_TEST (replies) {
    expect_reply("{\"execute\":\"guest-ping\"}", "{\"return\": {}}");
    expect_reply("{\"execute\":\"guest-ping\",\"arguments\":{}}", "{\"return\": {}}");
    expect_reply("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":-5}}", "{\"return\": -5}");
    expect_reply("{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":12}}", "\xff{\"return\": 12}");
    expect_reply("{\"execute\":\"quiet\"}", "");
    expect_error("{\"execute\":\"quiet-fail\"}", "GenericError", "quiet-fail failed: 7");
    expect_error("{\"execute\":\"delimited-fail\"}", "GenericError", "delimited-fail failed: 7");
    expect_error("{\"execute\":\"fail-class\"}", "DeviceNotFound", "Device 'x' not found");
    expect_error("{\"execute\":\"fail-error\"}", "GenericError", "no \\\"such\\\" file");
    send("{\"execute\":\"guest-ping\"}{\"execute\":\"fail\"} "
         "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1}}");
    expect_sent("{\"return\": {}}\n{\"error\": {\"class\": \"GenericError\", \"desc\": \"fail failed: "
                "7\"}}\n{\"return\": 1}\n");
}
END_TEST

START_TEST (request_ids) {
    const char *const ids[] = {"1",
                               "-1.5",
                               "\"libvirt-12\"",
                               "null",
                               "true",
                               "[1, [2, {\"a\": null}]]",
                               "{\"a\": {\"b\": \"\\ud83d\\ude00\"}}",
                               NULL};

    for (const char *const *id = ids; *id; id++) {
        g_autofree char *good = g_strdup_printf("{\"id\":%s,\"execute\":\"guest-ping\"}", *id);
        g_autofree char *good_reply = g_strdup_printf("{\"return\": {}, \"id\": %s}", *id);
        g_autofree char *unknown = g_strdup_printf("{\"execute\":\"x\",\"id\":%s}", *id);
        g_autofree char *unknown_reply =
            g_strdup_printf("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The "
                            "command x has not been found\"}, \"id\": %s}",
                            *id);
        g_autofree char *bad = g_strdup_printf("{\"foo\":1,\"id\":%s}", *id);
        g_autofree char *bad_reply =
            g_strdup_printf("{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input "
                            "member 'foo' is unexpected\"}, \"id\": %s}",
                            *id);
        g_autofree char *failing = g_strdup_printf("{\"execute\":\"fail\",\"id\":%s}", *id);
        g_autofree char *failing_reply = g_strdup_printf(
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"fail failed: 7\"}, \"id\": %s}", *id);

        expect_reply(good, good_reply);
        expect_reply(unknown, unknown_reply);
        expect_reply(bad, bad_reply);
        expect_reply(failing, failing_reply);
    }
}
END_TEST

START_TEST (envelopes) {
    expect_error("[]", "GenericError", "QMP input must be a JSON object");
    expect_error("\"x\"", "GenericError", "QMP input must be a JSON object");
    expect_error("12", "GenericError", "QMP input must be a JSON object");
    expect_error("{}", "GenericError", "QMP input lacks member 'execute'");
    expect_error("{\"arguments\":{}}", "GenericError", "QMP input lacks member 'execute'");
    expect_error("{\"execute\":1}", "GenericError", "QMP input member 'execute' must be a string");
    expect_error("{\"execute\":null}", "GenericError", "QMP input member 'execute' must be a string");
    expect_error("{\"execute\":\"guest-ping\",\"arguments\":[]}", "GenericError",
                 "QMP input member 'arguments' must be an object");
    expect_error("{\"execute\":\"guest-ping\",\"arguments\":null}", "GenericError",
                 "QMP input member 'arguments' must be an object");
    expect_error("{\"execute\":\"guest-ping\",\"foo\":1}", "GenericError",
                 "QMP input member 'foo' is unexpected");
    expect_error("{\"exec-oob\":\"guest-ping\"}", "GenericError",
                 "QMP input member 'exec-oob' is unexpected");
    expect_error("{\"execute\":\"guest-ping\",\"control\":{}}", "GenericError",
                 "QMP input member 'control' is unexpected");
    expect_error("{\"execute\":\"guest-pong\"}", "CommandNotFound",
                 "The command guest-pong has not been found");
    expect_error("{\"execute\":\"\"}", "CommandNotFound", "The command  has not been found");
    expect_error("{\"execute\" 1}", "GenericError", "JSON parse error, expecting ':'");
    expect_error("{\"execute\":\"guest-ping\",\"execute\":\"guest-ping\"}", "GenericError",
                 "JSON parse error, duplicate key");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
}
END_TEST

START_TEST (arguments) {
    const struct {
        const char *arguments;
        const char *desc; /* NULL: accepted */
    } cases[] = {
        {"'int':1", NULL},
        {"'int':-9223372036854775808", NULL},
        {"'int':1.5", "Invalid parameter type for 'int', expected: integer"},
        {"'int':1.0", "Invalid parameter type for 'int', expected: integer"},
        {"'int':1e400", "Invalid parameter type for 'int', expected: integer"},
        {"'int':9223372036854775808", "Invalid parameter type for 'int', expected: integer"},
        {"'int':'1'", "Invalid parameter type for 'int', expected: integer"},
        {"'int':null", "Invalid parameter type for 'int', expected: integer"},
        {"'int':true", "Invalid parameter type for 'int', expected: integer"},
        {"'int':[]", "Invalid parameter type for 'int', expected: integer"},
        {"'number':1,'any':null", NULL},
        {"'number':1.5", NULL},
        {"'number':'x'", "Invalid parameter type for 'number', expected: number"},
        {"'string':''", NULL},
        {"'string':1", "Invalid parameter type for 'string', expected: string"},
        {"'bool':false", NULL},
        {"'bool':0", "Invalid parameter type for 'bool', expected: boolean"},
        {"'arg':[]", NULL},
        {"'arg':['a','b']", NULL},
        {"'arg':[1]", "Invalid parameter type for 'arg[0]', expected: string"},
        {"'arg':['a',{}]", "Invalid parameter type for 'arg[1]', expected: string"},
        {"'arg':'a'", "Invalid parameter type for 'arg', expected: array"},
        {"'arg':{}", "Invalid parameter type for 'arg', expected: array"},
        {"'any-array':[1,'a',{}]", NULL},
        {"'vcpus':[{'logical-id':0,'online':true}]", NULL},
        {"'vcpus':[{'logical-id':0,'online':1}]",
         "Invalid parameter type for 'vcpus[0].online', expected: boolean"},
        {"'vcpus':[{'logical-id':0,'online':true},{'logical-id':1}]",
         "Parameter 'vcpus[1].online' is missing"},
        {"'vcpus':[{'logical-id':0,'online':true,'x':1}]", "Parameter 'vcpus[0].x' is unexpected"},
        {"'vcpus':[0]", "Invalid parameter type for 'vcpus[0]', expected: object"},
        {"'vcpu':{'logical-id':0,'online':true,'note':'x'}", NULL},
        {"'vcpu':{'logical-id':'0','online':true}",
         "Invalid parameter type for 'vcpu.logical-id', expected: integer"},
        {"'vcpu':{}", "Parameter 'vcpu.logical-id' is missing"},
        {"'vcpu':[]", "Invalid parameter type for 'vcpu', expected: object"},
        {"'any-object':{'a':{'b':1}}", NULL},
        {"'mode':'halt'", NULL},
        {"'mode':'HALT'", "Parameter 'mode' does not accept value 'HALT'"},
        {"'mode':3", "Invalid parameter type for 'mode', expected: string"},
        {"'whence':0", NULL},
        {"'whence':'end'", NULL},
        {"'whence':'middle'", "Parameter 'whence' does not accept value 'middle'"},
        {"'whence':1.5", "Invalid parameter type for 'whence', expected: GuestFileWhence"},
        {"'whence':[]", "Invalid parameter type for 'whence', expected: GuestFileWhence"},
        {"'any':[{'x':null}]", NULL},
        {"'other':1", "Parameter 'other' is unexpected"},
        {"'other':1,'int':'x'", "Invalid parameter type for 'int', expected: integer"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("{%s}", cases[i].arguments);
        g_autofree char *request = g_strdup_printf("{'execute':'types','arguments':%s}", text);
        g_autoptr(JsonNode) node = json_parse_text(text, -1, NULL);
        g_autoptr(GError) error = NULL;
        gboolean good = command_check_arguments(json_node_get_object(node), types_args, FALSE, &error);

        ck_assert_int_eq(good, cases[i].desc == NULL);
        if (cases[i].desc) {
            ck_assert_str_eq(error->message, cases[i].desc);
            expect_error(request, "GenericError", cases[i].desc);
        } else {
            send(request);
            ck_assert_msg(g_str_has_prefix(peer.text->str, "{\"return\""), "%s: %s", text, peer.text->str);
            g_string_truncate(peer.text, 0);
        }
    }
    expect_error("{'execute':'guest-sync'}", "GenericError", "Parameter 'id' is missing");
    expect_error("{'execute':'guest-ping','arguments':{'x':1}}", "GenericError",
                 "Parameter 'x' is unexpected");
    expect_reply("{'execute':'loose','arguments':{'x':[1],'id':3,'y':null}}", "{\"return\": 3}");
    expect_error("{'execute':'loose','arguments':{'x':[1]}}", "GenericError", "Parameter 'id' is missing");
}
END_TEST

START_TEST (argument_getters) {
    expect_reply("{'execute':'types'}", "{\"return\": [false, -1, true, \"none\"]}");
    expect_reply("{'execute':'types','arguments':{'int':5,'bool':false,'string':'a\\u0000b'}}",
                 "{\"return\": [true, 5, false, \"a\"]}");
}
END_TEST

static void list_command(const Command *command, gboolean enabled, gpointer user_data)
{
    g_string_append_printf(user_data, "%s%s ", command->name, enabled ? "" : "!");
}

START_TEST (enabling) {
    g_autoptr(GString) list = g_string_new(NULL);

    ck_assert(!command_server_set_enabled(server, "nope", FALSE, NULL));
    ck_assert_ptr_null(command_server_find(server, "nope"));
    ck_assert_ptr_eq(command_server_find(server, "guest-sync"), &commands[1]);
    ck_assert(command_server_set_enabled(server, "guest-sync", FALSE, NULL));
    ck_assert(command_server_set_enabled(server, "fail", FALSE, "not on a Tuesday"));
    ck_assert(!command_server_is_enabled(server, &commands[1]));
    expect_error("{'execute':'guest-sync'}", "CommandNotFound",
                 "Command guest-sync has been disabled: the command is not allowed");
    expect_error("{'execute':'fail'}", "CommandNotFound", "Command fail has been disabled: not on a Tuesday");
    command_server_foreach(server, list_command, list);
    ck_assert_str_eq(list->str,
                     "guest-ping guest-sync! guest-sync-delimited quiet quiet-fail delimited-fail fail! "
                     "fail-class fail-error later drop reset types loose ");

    command_server_set_frozen(server, TRUE);
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
    expect_error("{'execute':'types'}", "CommandNotFound",
                 "Command types has been disabled: the command is not allowed");
    expect_error("{'execute':'fail'}", "CommandNotFound", "Command fail has been disabled: not on a Tuesday");
    ck_assert(command_server_set_enabled(server, "guest-ping", FALSE, NULL));
    ck_assert(
        command_server_is_enabled(server, &commands[0])); /* who froze can thaw, whatever the lists say */

    command_server_set_frozen(server, FALSE);
    ck_assert(!command_server_is_enabled(server, &commands[0]));
    ck_assert(command_server_set_enabled(server, "guest-sync", TRUE, NULL));
    expect_reply("{'execute':'guest-sync','arguments':{'id':1}}", "{\"return\": 1}");
    expect_reply("{'execute':'types'}", "{\"return\": [false, -1, true, \"none\"]}");
}
END_TEST

/* A reply in pieces: "a" three times, then "b" once. */
typedef struct Sender {
    CommandCall *call;
    guint turns;
} Sender;

static gboolean room_now;

static gboolean has_room(gpointer user_data)
{
    return room_now;
}

static void send_more(gpointer user_data)
{
    Sender *sender = user_data;

    if (!sender->turns || !command_call_session(sender->call)) {
        JsonObject *rest = json_object_new();

        command_call_send_text(sender->call, "b", "BB", 2);
        json_object_set_int_member(rest, "count", 3);
        command_call_send_end(g_steal_pointer(&sender->call), rest);
        return;
    }
    sender->turns--;
    command_call_send_text(sender->call, "a", "xyz", 3);
    command_call_when_room(sender->call, send_more, sender);
}

static Sender begin_sender(const char *id)
{
    g_autofree char *request = g_strdup_printf("{'execute':'later','id':%s}", id);

    send(request);
    return (Sender){g_steal_pointer(&world.later), 3};
}

START_TEST (sent_in_pieces) {
    Sender one = begin_sender("1");

    command_call_when_room(one.call, send_more, &one); /* nobody limits it */
    expect_sent("{\"return\": {\"a\": \"xyzxyzxyz\", \"b\": \"BB\", \"count\": 3}, \"id\": 1}\n");

    command_session_set_room(peer.session, has_room);
    room_now = FALSE;
    one = begin_sender("1");
    Sender two = begin_sender("2");
    command_call_when_room(one.call, send_more, &one);
    command_call_when_room(two.call, send_more, &two);
    expect_sent("");
    ck_assert(!command_session_is_sending(peer.session));
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
    room_now = TRUE;
    command_session_room(peer.session);
    expect_sent("{\"return\": {\"a\": \"xyzxyzxyz\", \"b\": \"BB\", \"count\": 3}, \"id\": 1}\n"
                "{\"return\": {\"a\": \"xyzxyzxyz\", \"b\": \"BB\", \"count\": 3}, \"id\": 2}\n");
}
END_TEST

static void send_one_piece(gpointer user_data)
{
    Sender *sender = user_data;

    command_call_send_text(sender->call, "a", "xyz", 3);
}

START_TEST (others_wait_for_the_pieces) {
    Sender one = begin_sender("1"), two = begin_sender("2");

    command_call_when_room(one.call, send_one_piece, &one);
    expect_sent("{\"return\": {\"a\": \"xyz");
    ck_assert(command_session_is_sending(peer.session));
    send("{'execute':'guest-sync','arguments':{'id':7}}");
    command_call_when_room(two.call, send_more, &two);
    expect_sent("");
    one.turns = 0;
    command_call_when_room(one.call, send_more, &one);
    expect_sent("\", \"b\": \"BB\", \"count\": 3}, \"id\": 1}\n"
                "{\"return\": 7}\n"
                "{\"return\": {\"a\": \"xyzxyzxyz\", \"b\": \"BB\", \"count\": 3}, \"id\": 2}\n");
    ck_assert(!command_session_is_sending(peer.session));
    ck_assert_uint_eq(command_session_pending(peer.session), 0);
}
END_TEST

START_TEST (peer_goes_amid_the_pieces) {
    Sender one = begin_sender("1"), two = begin_sender("2");

    command_session_set_room(peer.session, has_room);
    room_now = TRUE;
    command_call_when_room(one.call, send_one_piece, &one);
    room_now = FALSE;
    command_call_when_room(one.call, send_more, &one);
    command_call_when_room(two.call, send_more, &two);
    command_session_free(g_steal_pointer(&peer.session));
    ck_assert_ptr_null(one.call); /* both have found out */
    ck_assert_ptr_null(two.call);
}
END_TEST

START_TEST (finished_later) {
    send("{'execute':'later','id':1}");
    ck_assert_uint_eq(command_session_pending(peer.session), 1);
    expect_reply("{'execute':'guest-ping','id':2}", "{\"return\": {}, \"id\": 2}");
    command_call_return_int(g_steal_pointer(&world.later), 42);
    expect_sent("{\"return\": 42, \"id\": 1}\n");
    ck_assert_uint_eq(command_session_pending(peer.session), 0);

    send("{'execute':'later','id':3}");
    command_call_fail(g_steal_pointer(&world.later), "late");
    expect_sent("{\"error\": {\"class\": \"GenericError\", \"desc\": \"late\"}, \"id\": 3}\n");
    /* a reset forgets bytes, not calls */
    send("{'execute':'later','id':4}{'execute':");
    command_session_reset(peer.session);
    command_call_return_empty(g_steal_pointer(&world.later));
    expect_sent("{\"return\": {}, \"id\": 4}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
}
END_TEST

START_TEST (finished_after_disconnect) {
    send("{'execute':'later','id':1}");
    ck_assert_ptr_eq(command_call_session(world.later), peer.session);
    command_session_free(g_steal_pointer(&peer.session));
    ck_assert_ptr_null(command_call_session(world.later));
    ck_assert_ptr_eq(command_call_server(world.later), server);
    /* a new peer does not get the old one's reply */
    peer.session = command_session_new(server, take_bytes, &peer, NULL);
    command_call_return_int(g_steal_pointer(&world.later), 42);
    expect_sent("");

    /* not even the server need be there any more */
    send("{'execute':'later'}");
    command_session_free(g_steal_pointer(&peer.session));
    command_server_free(g_steal_pointer(&server));
    command_call_fail(g_steal_pointer(&world.later), "nobody listens");
    expect_sent("");
}
END_TEST

START_TEST (freed_by_handler) {
    send("{'execute':'guest-ping'}{'execute':'drop'}{'execute':'guest-ping'}");
    ck_assert_ptr_null(peer.session);
    expect_sent("{\"return\": {}}\n");
}
END_TEST

START_TEST (freed_by_write) {
    const char *const texts[] = {"{'execute':'guest-ping'}{'execute':'guest-ping'}",
                                 "foo {}",
                                 "{}{}",
                                 "{'execute':'fail'} x",
                                 "{'execute':'x'}",
                                 "{'a':\n{'execute':'guest-ping'}",
                                 NULL};

    for (const char *const *text = texts; *text; text++) {
        peer.frees_on_write = TRUE;
        send(*text);
        ck_assert_ptr_null(peer.session);
        ck_assert_ptr_eq(strchr(peer.text->str, '\n'), peer.text->str + peer.text->len - 1);
        g_string_truncate(peer.text, 0);
        peer.session = command_session_new(server, take_bytes, &peer, NULL);
    }
    /* and when the reply comes later */
    send("{'execute':'later'}");
    command_call_return_empty(g_steal_pointer(&world.later));
    ck_assert_ptr_null(peer.session);
    expect_sent("{\"return\": {}}\n");
}
END_TEST

START_TEST (reset_by_handler) {
    send("{'execute':'reset'}{'execute':'guest-ping'}{'exec");
    expect_sent("{\"return\": {}}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
}
END_TEST

START_TEST (half_request_and_reset) {
    send("{'execute':'guest-sync','arguments':{");
    command_session_reset(peer.session);
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
    send("{'execute':'gue");
    send("\xff");
    expect_sent(
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray '\\\\xff'\"}}\n");
    expect_reply("\n\xff{'execute':'guest-sync-delimited','arguments':{'id':1}}", "\xff{\"return\": 1}");
}
END_TEST

START_TEST (one_error_a_line) {
    /* what follows a refused request on its line is a part of the same trouble */
    expect_error("{'execute':'nope'}}}", "CommandNotFound", "The command nope has not been found");
    expect_error("{} x y z", "GenericError", "QMP input lacks member 'execute'");
    expect_error("{'execute':'fail'}]", "GenericError", "fail failed: 7");
    expect_error("{'execute':'nope'} {} [] 5", "CommandNotFound", "The command nope has not been found");
    expect_error("[x] {'id':1}", "GenericError", "JSON parse error, invalid keyword 'x'");
    expect_error("1 2 3 {'execute':'guest-ping'}", "GenericError", "QMP input must be a JSON object");
    /* but a request is answered, if it is not after what cannot have been one */
    expect_reply(
        "[x] {'execute':'guest-ping'}",
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, invalid keyword 'x'\"}}\n"
        "{\"return\": {}}");
    expect_reply(
        "{'execute':'nope'} {'execute':2,'id':3}",
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command nope has not been found\"}}\n"
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input member 'execute' must be a "
        "string\"}, \"id\": 3}");
    /* 4 KiB later it is said again */
    send("{} ");
    for (guint i = 0; i < 5000; i++) {
        send(" ");
    }
    send("{}\n");
    expect_sent(
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input lacks member 'execute'\"}}\n"
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input lacks member 'execute'\"}}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
}
END_TEST

START_TEST (split_everywhere) {
    const char *text = "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":7},\"id\":\"\\u00e9\xc3\xa9\"}\n";
    gsize length = strlen(text);

    for (gsize first = 0; first <= length; first++) {
        command_session_feed(peer.session, text, first);
        command_session_feed(peer.session, text + first, length - first);
        expect_sent("{\"return\": 7, \"id\": \"\\u00e9\\u00e9\"}\n");
    }
}
END_TEST

START_TEST (qmp_negotiation) {
    const char *expecting = "Expecting capabilities negotiation with 'qmp_capabilities'";

    expect_sent("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n");
    ck_assert(!command_session_is_negotiated(peer.session));
    command_session_send_event(peer.session, "STOP", NULL);
    expect_sent("");
    expect_error("{'execute':'fail'}", "CommandNotFound", expecting);
    expect_error("{'execute':'nope'}", "CommandNotFound", expecting);
    expect_error("{'execute':'qmp_capabilities','arguments':{'x':1}}", "GenericError",
                 "Parameter 'x' is unexpected");
    expect_error("{'execute':'qmp_capabilities_fail'}", "GenericError", "qmp_capabilities_fail failed: 7");
    ck_assert(!command_session_is_negotiated(peer.session));
    expect_reply("{'execute':'qmp_capabilities','id':1}", "{\"return\": {}, \"id\": 1}");
    ck_assert(command_session_is_negotiated(peer.session));
    expect_error("{'execute':'qmp_capabilities'}", "CommandNotFound",
                 "Capabilities negotiation is already complete, command 'qmp_capabilities' ignored");
    expect_error("{'execute':'fail'}", "GenericError", "fail failed: 7");
    expect_error("{'execute':'nope'}", "CommandNotFound", "The command nope has not been found");
    expect_error("{'exec-oob':'fail'}", "GenericError", "QMP input member 'exec-oob' is unexpected");
    /* half a request and a reset leave the negotiation as it is */
    send("{'exec");
    command_session_reset(peer.session);
    expect_error("{'execute':'nope'}", "CommandNotFound", "The command nope has not been found");
}
END_TEST

START_TEST (qmp_events) {
    g_autoptr(JsonObject) data = json_object_new();
    g_autoptr(JsonNode) event = NULL;
    gint64 before = g_get_real_time() / G_USEC_PER_SEC;
    JsonObject *object;
    JsonObject *timestamp;
    gint64 seconds;

    send("{'execute':'qmp_capabilities'}");
    g_string_truncate(peer.text, 0);
    json_object_set_boolean_member(data, "guest", TRUE);
    command_session_send_event(peer.session, "SHUTDOWN", data);
    ck_assert(g_str_has_prefix(peer.text->str, "{\"timestamp\": {\"seconds\": "));
    ck_assert(g_str_has_suffix(peer.text->str, "}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n"));
    event = json_parse_text(peer.text->str, -1, NULL);
    ck_assert_ptr_nonnull(event);
    object = json_node_get_object(event);
    timestamp = json_object_get_object_member(object, "timestamp");
    seconds = json_object_get_int_member(timestamp, "seconds");
    ck_assert_int_ge(seconds, before);
    ck_assert_int_le(seconds, before + 60);
    ck_assert_int_lt(json_object_get_int_member(timestamp, "microseconds"), G_USEC_PER_SEC);
    g_string_truncate(peer.text, 0);
    command_session_send_event(peer.session, "STOP", NULL);
    ck_assert(g_str_has_suffix(peer.text->str, "}, \"event\": \"STOP\"}\n"));
}
END_TEST

START_TEST (agent_sends_no_events) {
    command_session_send_event(peer.session, "STOP", NULL);
    expect_sent("");
}
END_TEST

static const char *const requests[] = {
    "{\"execute\": \"guest-ping\"}",
    "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": -123456}, \"id\": \"libvirt-7\"}",
    "{\"execute\": \"types\", \"arguments\": {\"vcpus\": [{\"logical-id\": 1, \"online\": true}], \"arg\": "
    "[\"a\", \"b\"]}}",
    "{'execute': 'loose', 'arguments': {'id': 1, 'a': [null, 1e3, {}], 'b': \"\\u00e9\xc3\xa9\"}, 'id': 5}",
    NULL,
};

static guint count_lines_with(const char *text, const char *prefix)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint count = 0;

    for (char **line = lines; *line; line++) {
        count += g_str_has_prefix(*line, prefix);
    }
    return count;
}

START_TEST (malformed_requests) {
    for (guint32 seed = 0; seed < 1000; seed++) {
        g_autoptr(GString) message = malformed_message(seed, requests);
        g_autofree char *expected = g_strdup_printf("{\"return\": %u, \"id\": \"ok-%u\"}\n", seed, seed);
        g_autofree char *request = g_strdup_printf(
            "\n{\"execute\": \"guest-sync\", \"arguments\": {\"id\": %u}, \"id\": \"ok-%u\"}\n", seed, seed);

        g_string_truncate(peer.text, 0);
        command_session_feed(peer.session, message->str, message->len);
        send(request);
        ck_assert_msg(g_str_has_suffix(peer.text->str, expected), "seed %u: %s: %s", seed, message->str,
                      peer.text->str);
        ck_assert_msg(count_lines_with(peer.text->str, "{\"error\"") <= 1, "seed %u: %s: %s", seed,
                      message->str, peer.text->str);
    }
}
END_TEST

START_TEST (huge_request) {
    g_autofree char *block = g_strnfill(1 << 20, 'A');

    send("{'execute':'types','arguments':{'string':'");
    for (guint i = 0; i < 70; i++) {
        command_session_feed(peer.session, block, 1 << 20);
    }
    send("'}}");
    expect_sent("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON token size limit exceeded\"}}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");

    send("{'execute':'types','arguments':{'string':'");
    for (guint i = 0; i < 60; i++) {
        command_session_feed(peer.session, block, 1 << 20);
    }
    send("'}}");
    ck_assert_uint_gt(peer.text->len, 60 << 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *agent = tcase_create("agent");
    TCase *qmp = tcase_create("qmp");

    tcase_add_checked_fixture(agent, setup, teardown);
    tcase_add_test(agent, replies);
    tcase_add_test(agent, request_ids);
    tcase_add_test(agent, envelopes);
    tcase_add_test(agent, arguments);
    tcase_add_test(agent, argument_getters);
    tcase_add_test(agent, enabling);
    tcase_add_test(agent, sent_in_pieces);
    tcase_add_test(agent, others_wait_for_the_pieces);
    tcase_add_test(agent, peer_goes_amid_the_pieces);
    tcase_add_test(agent, finished_later);
    tcase_add_test(agent, finished_after_disconnect);
    tcase_add_test(agent, freed_by_handler);
    tcase_add_test(agent, freed_by_write);
    tcase_add_test(agent, reset_by_handler);
    tcase_add_test(agent, half_request_and_reset);
    tcase_add_test(agent, one_error_a_line);
    tcase_add_test(agent, split_everywhere);
    tcase_add_test(agent, agent_sends_no_events);
    tcase_add_test(agent, malformed_requests);
    tcase_add_test(agent, huge_request);
    tcase_set_timeout(agent, 60);
    tcase_add_checked_fixture(qmp, setup_qmp, teardown);
    tcase_add_test(qmp, qmp_negotiation);
    tcase_add_test(qmp, qmp_events);
    suite_add_tcase(suite, agent);
    suite_add_tcase(suite, qmp);
    return check_run(suite);
}
