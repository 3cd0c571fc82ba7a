// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/agent-client.h"
#include "tests/unit/scripted-server.h"
#include "tests/check-run.h"

#define LONG_MS  10000 /* for what must not run out */
#define SHORT_MS 100   /* for what must */

static void ck_error(GError *error, int code, const char *part)
{
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(g_error_matches(error, AGENT_CLIENT_ERROR, code), "%s %d: %s",
                  g_quark_to_string(error->domain), error->code, error->message);
    ck_assert_msg(strstr(error->message, part) != NULL, "%s", error->message);
}

/* Reads the flush and the guest-sync-delimited; gives its number. */
static gint64 read_sync(int fd)
{
    g_autofree char *flush = scripted_read_line(fd);
    g_autofree char *line = scripted_read_line(fd);
    g_autoptr(JsonNode) node = json_parse_text(line, -1, NULL);
    JsonObject *request;

    g_assert_cmpstr(flush, ==, "\xff");
    g_assert_nonnull(node);
    request = json_node_get_object(node);
    g_assert_cmpstr(json_object_get_string_member(request, "execute"), ==, "guest-sync-delimited");
    return json_object_get_int_member(json_object_get_object_member(request, "arguments"), "id");
}

static void sync_up(int fd)
{
    gint64 number = read_sync(fd);

    scripted_send(fd, "\xff{\"return\": %" G_GINT64_FORMAT "}\n", number);
}

/* What earlier clients and a qemu-ga that answers 0xFF by an error leave before the answer. */
static void play_leftovers(int fd, gpointer user_data)
{
    gint64 number = read_sync(fd);
    g_autofree char *id = NULL;

    scripted_send(fd, "ing garbage\", 12}\n");
    scripted_send(
        fd, "{\"return\": {\"pid\": 5}, \"id\": \"vs-other-3\"}\n{\"return\": \"%" G_GINT64_FORMAT "\"}\n",
        number);
    scripted_send(
        fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray '\\u00ff'\"}}\n");
    scripted_send(fd, "\xff{\"return\": %" G_GINT64_FORMAT "}\n[1]\n{\"return\": {\"half", number - 1);
    scripted_send(fd, "\xff{\"return\": %" G_GINT64_FORMAT "}\n", number);
    /* after it: strays that are nobody's answer */
    scripted_send(fd, "{\"return\": {}}\n{\"return\": {}, \"id\": 7}\n[]\n\"x\"\nfoo\n");
    id = scripted_read_call(fd, "guest-ping");
    scripted_send(fd, "{\"return\": {}}\n{\"return\": \"pong\", \"id\": \"%s\"}\n", id);
    scripted_drain(fd);
}

START_TEST (synchronises) {
    ScriptedServer *server = scripted_server_start(play_leftovers, NULL, 0);
    g_autoptr(GError) error = NULL;
    AgentClient *client = agent_client_open(scripted_server_path(server), LONG_MS, &error);
    g_autoptr(JsonNode) value = NULL;

    ck_assert_msg(client != NULL, "%s", error ? error->message : "?");
    value = agent_client_call(client, "guest-ping", NULL, LONG_MS, &error);
    ck_assert_msg(value != NULL, "%s", error ? error->message : "?");
    ck_assert_str_eq(json_node_get_string(value), "pong");
    agent_client_close(client);
    scripted_server_stop(server);
}
END_TEST

static void play_dead(int fd, gpointer user_data)
{
    scripted_send(fd, "login: \n{\"return\": 1}\n");
    scripted_drain(fd);
}

static void play_close(int fd, gpointer user_data)
{
    g_free(scripted_read_line(fd));
}

START_TEST (open_errors) {
    ScriptedServer *server = scripted_server_start(play_dead, NULL, 0);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(agent_client_open(scripted_server_path(server), SHORT_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_TIMEOUT, "no answer from the guest agent at");
    g_clear_error(&error);
    scripted_server_stop(server);

    server = scripted_server_start(play_close, NULL, 0);
    ck_assert_ptr_null(agent_client_open(scripted_server_path(server), LONG_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_CLOSED, "closed");
    g_clear_error(&error);
    scripted_server_stop(server);

    ck_assert_ptr_null(agent_client_open("/nonexistent/socket", LONG_MS, &error));
    ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND));
}
END_TEST

static void play_calls(int fd, gpointer user_data)
{
    g_autofree char *exec = NULL;
    g_autofree char *line = NULL;
    g_autofree char *nope = NULL;
    g_autofree char *slow = NULL;
    g_autofree char *next = NULL;
    g_autofree char *unreadable = NULL;
    g_autoptr(JsonNode) node = NULL;

    sync_up(fd);
    line = scripted_read_line(fd);
    node = json_parse_text(line, -1, NULL);
    g_assert_cmpstr(json_object_get_string_member(
                        json_object_get_object_member(json_node_get_object(node), "arguments"), "path"),
                    ==, "/bin/\303\251 \"x\"");
    scripted_send(fd, "{\"return\": {\"pid\": 7}, \"id\": \"%s\"}\n",
                  json_object_get_string_member(json_node_get_object(node), "id"));
    exec = scripted_read_call(fd, "guest-exec");
    scripted_send(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": \"%s\"}\n", exec);
    nope = scripted_read_call(fd, "guest-nope");
    scripted_send(fd, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"gone\"}, \"id\": \"%s\"}\n",
                  nope);
    slow = scripted_read_call(fd, "guest-fsfreeze-freeze");
    next = scripted_read_call(fd, "guest-ping");
    scripted_send(fd, "{\"return\": \"late\", \"id\": \"%s\"}\n{\"return\": \"pong\", \"id\": \"%s\"}\n",
                  slow, next);
    unreadable = scripted_read_call(fd, "guest-ping");
    scripted_send(
        fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON token size limit exceeded\"}}\n");
}

START_TEST (calls) {
    ScriptedServer *server = scripted_server_start(play_calls, NULL, 0);
    AgentClient *client = agent_client_open(scripted_server_path(server), LONG_MS, NULL);
    JsonObject *arguments = json_object_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) pid = NULL;
    g_autoptr(JsonNode) pong = NULL;

    ck_assert_ptr_nonnull(client);
    json_object_set_string_member(arguments, "path", "/bin/\303\251 \"x\"");
    pid = agent_client_call(client, "guest-exec", arguments, LONG_MS, &error);
    ck_assert_ptr_nonnull(pid);
    ck_assert_int_eq(json_object_get_int_member(json_node_get_object(pid), "pid"), 7);
    ck_assert_ptr_null(agent_client_call(client, "guest-exec", NULL, LONG_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_COMMAND, "no");
    g_clear_error(&error);
    ck_assert_ptr_null(agent_client_call(client, "guest-nope", NULL, LONG_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_NOT_FOUND, "gone");
    g_clear_error(&error);
    ck_assert_ptr_null(agent_client_call(client, "guest-fsfreeze-freeze", NULL, SHORT_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_TIMEOUT,
             "guest-fsfreeze-freeze: no answer from the guest agent within 100 ms");
    g_clear_error(&error);
    pong = agent_client_call(client, "guest-ping", NULL, LONG_MS, &error);
    ck_assert_ptr_nonnull(pong);
    ck_assert_str_eq(json_node_get_string(pong), "pong");
    ck_assert_ptr_null(agent_client_call(client, "guest-ping", NULL, LONG_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_COMMAND, "JSON token size limit exceeded");
    g_clear_error(&error);
    ck_assert_ptr_null(agent_client_call(client, "guest-ping", NULL, LONG_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_CLOSED, "closed");
    agent_client_close(client);
    scripted_server_stop(server);
}
END_TEST

static void play_big(int fd, gpointer user_data)
{
    g_autofree char *block = g_strnfill(1 << 20, 'A');
    g_autofree char *id = NULL;

    sync_up(fd);
    id = scripted_read_call(fd, "guest-file-read");
    scripted_send(fd, "{\"return\": {\"buf-b64\": \"");
    for (guint i = 0; i < 8; i++) {
        scripted_send(fd, "%s", block);
    }
    scripted_send(fd, "\"}, \"id\": \"%s\"}\n", id);
    scripted_drain(fd);
}

START_TEST (big_reply) {
    ScriptedServer *server = scripted_server_start(play_big, NULL, 0);
    AgentClient *client = agent_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(JsonNode) value = NULL;

    ck_assert_ptr_nonnull(client);
    value = agent_client_call(client, "guest-file-read", NULL, LONG_MS, NULL);
    ck_assert_ptr_nonnull(value);
    ck_assert_uint_eq(strlen(json_object_get_string_member(json_node_get_object(value), "buf-b64")), 8 << 20);
    agent_client_close(client);
    scripted_server_stop(server);
}
END_TEST

static void play_slow_reader(int fd, gpointer user_data)
{
    g_autofree char *line = NULL;
    g_autofree char *id = NULL;
    g_autoptr(JsonNode) node = NULL;
    JsonObject *request;

    sync_up(fd);
    g_usleep(50000); /* let the socket fill */
    line = scripted_read_line(fd);
    node = json_parse_text(line, -1, NULL);
    g_assert_nonnull(node);
    request = json_node_get_object(node);
    scripted_send(
        fd, "{\"return\": %zu, \"id\": \"%s\"}\n",
        strlen(json_object_get_string_member(json_object_get_object_member(request, "arguments"), "buf-b64")),
        json_object_get_string_member(request, "id"));
    id = scripted_read_call(fd, "guest-ping");
    scripted_send(fd, "{\"return\": {}, \"id\": \"%s\"}\n", id);
    scripted_drain(fd);
}

START_TEST (big_request) {
    ScriptedServer *server = scripted_server_start(play_slow_reader, NULL, 0);
    AgentClient *client = agent_client_open(scripted_server_path(server), LONG_MS, NULL);
    JsonObject *arguments = json_object_new();
    g_autofree char *block = g_strnfill(2 << 20, 'A');
    g_autoptr(JsonNode) value = NULL;
    g_autoptr(JsonNode) pong = NULL;

    ck_assert_ptr_nonnull(client);
    json_object_set_string_member(arguments, "buf-b64", block);
    value = agent_client_call(client, "guest-file-write", arguments, LONG_MS, NULL);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(json_node_get_int(value), 2 << 20);
    pong = agent_client_call(client, "guest-ping", NULL, LONG_MS, NULL);
    ck_assert_ptr_nonnull(pong);
    agent_client_close(client);
    scripted_server_stop(server);
}
END_TEST

static void play_endless(int fd, gpointer user_data)
{
    g_autofree char *block = g_strnfill(1 << 20, 'A');

    sync_up(fd);
    g_free(scripted_read_call(fd, "guest-file-read"));
    scripted_send(fd, "{\"return\": {\"buf-b64\": \"");
    for (guint i = 0; i < 70; i++) {
        scripted_send(fd, "%s", block);
    }
    scripted_drain(fd);
}

START_TEST (endless_reply) {
    ScriptedServer *server = scripted_server_start(play_endless, NULL, 0);
    AgentClient *client = agent_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_nonnull(client);
    ck_assert_ptr_null(agent_client_call(client, "guest-file-read", NULL, LONG_MS, &error));
    ck_error(error, AGENT_CLIENT_ERROR_PROTOCOL, "too large");
    agent_client_close(client);
    scripted_server_stop(server);
}
END_TEST

typedef struct Step {
    AgentClient *client;
    JsonNode *value;
    GError *error;
    gboolean done;
} Step;

static void on_called(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Step *step = user_data;

    step->value = agent_client_call_finish(result, &step->error);
    step->done = TRUE;
}

static void on_opened(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Step *step = user_data;

    step->client = agent_client_open_finish(result, &step->error);
    if (step->client) {
        agent_client_call_async(step->client, "guest-ping", NULL, LONG_MS, NULL, on_called, step);
    } else {
        step->done = TRUE;
    }
}

START_TEST (asynchronous) {
    ScriptedServer *server = scripted_server_start(play_leftovers, NULL, 0);
    Step step = {0};

    agent_client_open_async(scripted_server_path(server), LONG_MS, NULL, on_opened, &step);
    ck_assert(!step.done);
    while (!step.done) {
        g_main_context_iteration(NULL, TRUE);
    }
    ck_assert_ptr_nonnull(step.value);
    ck_assert_str_eq(json_node_get_string(step.value), "pong");
    json_node_unref(step.value);
    agent_client_close(step.client);
    scripted_server_stop(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent-client");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, synchronises);
    tcase_add_test(all, open_errors);
    tcase_add_test(all, calls);
    tcase_add_test(all, big_reply);
    tcase_add_test(all, big_request);
    tcase_add_test(all, endless_reply);
    tcase_add_test(all, asynchronous);
    suite_add_tcase(suite, all);
    return check_run(suite);
}
