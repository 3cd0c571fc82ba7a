// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/command-peer.h"
#include "tests/unit/malformed.h"
#include "tests/check-run.h"

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
    peer_says("{\"execute\":\"guest-ping\"}{\"execute\":\"fail\"} "
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
            peer_says(request);
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

START_TEST (half_request_and_reset) {
    peer_says("{'execute':'guest-sync','arguments':{");
    command_session_reset(peer.session);
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
    peer_says("{'execute':'gue");
    peer_says("\xff");
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
    peer_says("{} ");
    for (guint i = 0; i < 5000; i++) {
        peer_says(" ");
    }
    peer_says("{}\n");
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
    peer_says("{'exec");
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

    peer_says("{'execute':'qmp_capabilities'}");
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
        peer_says(request);
        ck_assert_msg(g_str_has_suffix(peer.text->str, expected), "seed %u: %s: %s", seed, message->str,
                      peer.text->str);
        ck_assert_msg(count_lines_with(peer.text->str, "{\"error\"") <= 1, "seed %u: %s: %s", seed,
                      message->str, peer.text->str);
    }
}
END_TEST

START_TEST (huge_request) {
    g_autofree char *block = g_strnfill(1 << 20, 'A');

    peer_says("{'execute':'types','arguments':{'string':'");
    for (guint i = 0; i < 70; i++) {
        command_session_feed(peer.session, block, 1 << 20);
    }
    peer_says("'}}");
    expect_sent("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON token size limit exceeded\"}}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");

    peer_says("{'execute':'types','arguments':{'string':'");
    for (guint i = 0; i < 60; i++) {
        command_session_feed(peer.session, block, 1 << 20);
    }
    peer_says("'}}");
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
