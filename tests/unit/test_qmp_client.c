// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/qmp-client.h"
#include "tests/unit/scripted-server.h"
#include "tests/check-run.h"

#define LONG_MS  10000 /* for what must not run out */
#define SHORT_MS 100   /* for what must */

#define GREETING                                                                                             \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}, \"package\": \"\"}, "    \
    "\"capabilities\": []}}\n"

static void ck_error(GError *error, int code, const char *part)
{
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(g_error_matches(error, QMP_CLIENT_ERROR, code), "%s %d: %s",
                  g_quark_to_string(error->domain), error->code, error->message);
    ck_assert_msg(strstr(error->message, part) != NULL, "%s", error->message);
}

/* ---- scripts ---- */

static void negotiate(int fd)
{
    g_autofree char *id = NULL;

    scripted_send(fd, GREETING);
    id = scripted_read_call(fd, "qmp_capabilities");
    scripted_send(fd, "{\"return\": {}, \"id\": \"%s\"}\r\n", id);
}

static void play_answers(int fd, gpointer user_data)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;
    g_autofree char *fourth = NULL;
    g_autofree char *fifth = NULL;
    g_autofree char *sixth = NULL;

    negotiate(fd);
    first = scripted_read_call(fd, "query-status");
    scripted_send(fd, "{\"return\": {\"running\": true}, \"id\": \"%s\"}\n", first);
    second = scripted_read_call(fd, "stop");
    scripted_send(
        fd,
        "{\"id\": \"%s\", \"error\": {\"class\": \"GenericError\", \"desc\": \"no \\u001b[31m\\nred\"}}\n",
        second);
    third = scripted_read_call(fd, "nope");
    scripted_send(fd,
                  "{\"id\": \"%s\", \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"not found\"}}\n",
                  third);
    fourth = scripted_read_call(fd, "device_del");
    scripted_send(fd,
                  "{\"id\": \"%s\", \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no device\"}}\n",
                  fourth);
    fifth = scripted_read_call(fd, "unreadable");
    scripted_send(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, x\"}}\n");
    sixth = scripted_read_call(fd, "strange");
    scripted_send(fd, "{\"error\": 5, \"id\": \"%s\"}\n", sixth);
    scripted_drain(fd);
}

START_TEST (answers) {
    ScriptedServer *server = scripted_server_start(play_answers, NULL, 0);
    g_autoptr(GError) error = NULL;
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, &error);
    JsonNode *value;

    ck_assert_msg(client != NULL, "%s", error ? error->message : "?");
    ck_assert_int_eq(json_object_get_int_member(
                         json_object_get_object_member(qmp_client_version(client), "qemu"), "major"),
                     7);
    value = qmp_client_call(client, "query-status", NULL, LONG_MS, &error);
    ck_assert_ptr_nonnull(value);
    ck_assert(json_object_get_boolean_member(json_node_get_object(value), "running"));
    json_node_unref(value);
    ck_assert_ptr_null(qmp_client_call(client, "stop", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_COMMAND, "no ?[31m?red"); /* harmless on a terminal */
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_call(client, "nope", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_NOT_FOUND, "not found");
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_call(client, "device_del", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_NOT_FOUND, "no device");
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_call(client, "unreadable", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_COMMAND, "JSON parse error");
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_call(client, "strange", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_PROTOCOL, "without a description");
    qmp_client_close(client);
    scripted_server_stop(server);
}
END_TEST

/* ---- opening ---- */

static void play_text(int fd, gpointer user_data)
{
    scripted_send(fd, "%s", (const char *)user_data);
    scripted_drain(fd);
}

static void play_close(int fd, gpointer user_data)
{
}

static void play_close_at_negotiation(int fd, gpointer user_data)
{
    scripted_send(fd, GREETING);
    g_free(scripted_read_line(fd));
}

static void play_refusal(int fd, gpointer user_data)
{
    g_autofree char *id = NULL;

    scripted_send(fd, GREETING);
    id = scripted_read_call(fd, "qmp_capabilities");
    scripted_send(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not today\"}, \"id\": \"%s\"}\n",
                  id);
    scripted_drain(fd);
}

static void expect_open_error(ScriptedServerFunc play, const char *text, guint timeout_ms, int code,
                              const char *part)
{
    ScriptedServer *server = scripted_server_start(play, (gpointer)text, 0);
    g_autoptr(GError) error = NULL;
    gint64 before = g_get_monotonic_time();

    ck_assert_ptr_null(qmp_client_open(scripted_server_path(server), timeout_ms, &error));
    ck_error(error, code, part);
    ck_assert_int_lt(g_get_monotonic_time() - before, (gint64)LONG_MS * 1000);
    scripted_server_stop(server);
}

START_TEST (open_errors) {
    g_autoptr(GError) error = NULL;
    g_autofree char *long_path = g_strnfill(200, 'x');

    expect_open_error(play_text, "", SHORT_MS, QMP_CLIENT_ERROR_TIMEOUT, "within 100 ms");
    expect_open_error(play_text, GREETING, SHORT_MS, QMP_CLIENT_ERROR_TIMEOUT, "within 100 ms");
    expect_open_error(play_text, "{\"return\": {}}\n", LONG_MS, QMP_CLIENT_ERROR_PROTOCOL,
                      "not a QMP server");
    expect_open_error(play_text, "{\"QMP\": 3}\n", LONG_MS, QMP_CLIENT_ERROR_PROTOCOL, "not a QMP server");
    expect_open_error(play_text, "SSH-2.0-OpenSSH_9.2\r\n", LONG_MS, QMP_CLIENT_ERROR_PROTOCOL,
                      "not a QMP server");
    expect_open_error(play_text, "[1]\n", LONG_MS, QMP_CLIENT_ERROR_PROTOCOL, "not a QMP server");
    expect_open_error(play_close, NULL, LONG_MS, QMP_CLIENT_ERROR_CLOSED, "closed");
    expect_open_error(play_close_at_negotiation, NULL, LONG_MS, QMP_CLIENT_ERROR_CLOSED, "closed");
    expect_open_error(play_refusal, NULL, LONG_MS, QMP_CLIENT_ERROR_COMMAND, "not today");

    ck_assert_ptr_null(qmp_client_open("/nonexistent/socket", LONG_MS, &error));
    ck_assert(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND));
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_open("/", LONG_MS, &error));
    ck_assert_ptr_nonnull(error);
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_open(long_path, LONG_MS, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "too long"));
}
END_TEST

/* Fills the listener's queue; gives the descriptors to close. */
static GArray *fill_backlog(const char *path)
{
    GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));

    for (;;) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            close(fd);
            return fds;
        }
        g_array_append_val(fds, fd);
    }
}

static void close_all(GArray *fds)
{
    for (guint i = 0; i < fds->len; i++) {
        close(g_array_index(fds, int, i));
    }
    g_array_unref(fds);
}

START_TEST (open_behind_a_full_queue) {
    ScriptedServer *server = scripted_server_start(NULL, NULL, 0);
    GArray *fds = fill_backlog(scripted_server_path(server));
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(qmp_client_open(scripted_server_path(server), SHORT_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_TIMEOUT, "within 100 ms");
    close_all(fds);
    scripted_server_stop(server);
}
END_TEST

typedef struct Opened {
    GError *error;
    QmpClient *client;
    gboolean done;
} Opened;

static void on_opened(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Opened *opened = user_data;

    opened->client = qmp_client_open_finish(result, &opened->error);
    opened->done = TRUE;
}

static gboolean cancel(gpointer user_data)
{
    g_cancellable_cancel(user_data);
    return G_SOURCE_REMOVE;
}

START_TEST (open_cancelled) {
    ScriptedServer *server = scripted_server_start(play_text, (gpointer) "", 0);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Opened opened = {0};

    qmp_client_open_async(scripted_server_path(server), LONG_MS, cancellable, on_opened, &opened);
    ck_assert(!opened.done); /* never from within the call */
    g_timeout_add(20, cancel, cancellable);
    while (!opened.done) {
        g_main_context_iteration(NULL, TRUE);
    }
    ck_assert_ptr_null(opened.client);
    ck_assert(g_error_matches(opened.error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    g_error_free(opened.error);
    scripted_server_stop(server);
}
END_TEST

/* ---- calls ---- */

static void play_late(int fd, gpointer user_data)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;

    negotiate(fd);
    first = scripted_read_call(fd, "slow");
    second = scripted_read_call(fd, "fast");
    scripted_send(fd, "{\"return\": \"late\", \"id\": \"%s\"}\n{\"return\": \"good\", \"id\": \"%s\"}\n",
                  first, second);
    scripted_drain(fd);
}

START_TEST (late_reply_is_dropped) {
    ScriptedServer *server = scripted_server_start(play_late, NULL, 0);
    g_autoptr(GError) error = NULL;
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, &error);
    g_autoptr(JsonNode) value = NULL;

    ck_assert_ptr_nonnull(client);
    ck_assert_ptr_null(qmp_client_call(client, "slow", NULL, SHORT_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_TIMEOUT, "slow: no answer from the QMP server within 100 ms");
    g_clear_error(&error);
    value = qmp_client_call(client, "fast", NULL, LONG_MS, &error);
    ck_assert_ptr_nonnull(value);
    ck_assert_str_eq(json_node_get_string(value), "good");
    qmp_client_close(client);
    scripted_server_stop(server);
}
END_TEST

typedef struct Answer {
    GString *order; /* what came, in order */
    guint left;
} Answer;

static void on_answer(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Answer *answer = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) value = qmp_client_call_finish(result, &error);

    if (value) {
        g_string_append_printf(answer->order, "%s ", json_node_get_string(value));
    } else if (error->domain == QMP_CLIENT_ERROR) {
        g_string_append_printf(answer->order, "!%d ", error->code);
    } else {
        g_string_append_printf(answer->order, "!%s ", error->message);
    }
    answer->left--;
}

static void play_out_of_order(int fd, gpointer user_data)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;

    negotiate(fd);
    first = scripted_read_call(fd, "a");
    second = scripted_read_call(fd, "b");
    third = scripted_read_call(fd, "c");
    scripted_send(fd, "{\"return\": \"c\", \"id\": \"%s\"}{\"return\": \"a\", \"id\": \"%s\"}", third, first);
    scripted_send(fd, "{\"return\": \"b\", \"id\": \"%s\"}", second);
}

START_TEST (replies_by_id) {
    ScriptedServer *server = scripted_server_start(play_out_of_order, NULL, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    Answer answer = {.order = g_string_new(NULL), .left = 4};

    ck_assert_ptr_nonnull(client);
    for (const char *const *name = (const char *const[]){"a", "b", "c", "d", NULL}; *name; name++) {
        qmp_client_call_async(client, *name, NULL, LONG_MS, NULL, on_answer, &answer);
    }
    while (answer.left) {
        g_main_context_iteration(NULL, TRUE);
    }
    ck_assert_str_eq(answer.order->str, "c a b !3 "); /* d: the server has closed by then */
    qmp_client_close(client);
    scripted_server_stop(server);
    g_string_free(answer.order, TRUE);
}
END_TEST

static void play_silence(int fd, gpointer user_data)
{
    negotiate(fd);
    scripted_drain(fd);
}

START_TEST (close_fails_what_is_pending) {
    ScriptedServer *server = scripted_server_start(play_silence, NULL, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    Answer answer = {.order = g_string_new(NULL), .left = 2};

    ck_assert_ptr_nonnull(client);
    qmp_client_call_async(client, "a", NULL, LONG_MS, NULL, on_answer, &answer);
    qmp_client_call_async(client, "b", NULL, LONG_MS, NULL, on_answer, &answer);
    qmp_client_close(client);
    while (answer.left) {
        g_main_context_iteration(NULL, TRUE);
    }
    ck_assert_str_eq(answer.order->str, "!3 !3 ");
    scripted_server_stop(server);
    g_string_free(answer.order, TRUE);
}
END_TEST

START_TEST (call_cancelled) {
    ScriptedServer *server = scripted_server_start(play_silence, NULL, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Answer answer = {.order = g_string_new(NULL), .left = 1};

    ck_assert_ptr_nonnull(client);
    qmp_client_call_async(client, "a", NULL, LONG_MS, cancellable, on_answer, &answer);
    g_timeout_add(20, cancel, cancellable);
    while (answer.left) {
        g_main_context_iteration(NULL, TRUE);
    }
    ck_assert_str_eq(answer.order->str, "!a was cancelled ");
    qmp_client_close(client);
    scripted_server_stop(server);
    g_string_free(answer.order, TRUE);
}
END_TEST

static void play_end_in_call(int fd, gpointer user_data)
{
    negotiate(fd);
    g_free(scripted_read_call(fd, "a"));
    scripted_send(fd, "%s", (const char *)user_data);
}

static void expect_call_error(const char *last_words, int code)
{
    ScriptedServer *server = scripted_server_start(play_end_in_call, (gpointer)last_words, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_nonnull(client);
    ck_assert_ptr_null(qmp_client_call(client, "a", NULL, LONG_MS, &error));
    ck_error(error, code, "");
    g_clear_error(&error);
    ck_assert_ptr_null(qmp_client_call(client, "b", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_CLOSED, "closed");
    g_clear_error(&error);
    ck_assert(!qmp_client_wait_event(client, "STOP", LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_CLOSED, "ended");
    qmp_client_close(client);
    scripted_server_stop(server);
}

START_TEST (connection_ends_in_call) {
    expect_call_error("", QMP_CLIENT_ERROR_CLOSED);
    expect_call_error("{\"return\": ", QMP_CLIENT_ERROR_CLOSED);
    expect_call_error("Segmentation fault\n", QMP_CLIENT_ERROR_PROTOCOL);
    expect_call_error("[]\n", QMP_CLIENT_ERROR_PROTOCOL);
}
END_TEST

static void play_deaf(int fd, gpointer user_data)
{
    gint *may_close = user_data;

    negotiate(fd);
    while (!g_atomic_int_get(may_close)) {
        g_usleep(10000);
    }
}

START_TEST (queue_is_bounded) {
    gint may_close = 0;
    ScriptedServer *server = scripted_server_start(play_deaf, &may_close, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autofree char *block = g_strnfill(40 << 20, 'A');
    Answer answer = {.order = g_string_new(NULL), .left = 2};

    ck_assert_ptr_nonnull(client);
    for (guint i = 0; i < 2; i++) {
        JsonObject *arguments = json_object_new();

        json_object_set_string_member(arguments, "data", block);
        qmp_client_call_async(client, "big", arguments, SHORT_MS, NULL, on_answer, &answer);
    }
    while (answer.left) {
        g_main_context_iteration(NULL, TRUE);
    }
    ck_assert_str_eq(answer.order->str, "!4 !4 ");
    g_atomic_int_set(&may_close, 1);
    qmp_client_close(client);
    scripted_server_stop(server);
    g_string_free(answer.order, TRUE);
}
END_TEST

/* ---- events ---- */

static void play_events(int fd, gpointer user_data)
{
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *nested = NULL;

    negotiate(fd);
    first = scripted_read_call(fd, "cont");
    scripted_send(fd,
                  "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RESUME\"}\n"
                  "{\"return\": {}, \"id\": \"%s\"}",
                  first);
    second = scripted_read_call(fd, "stop");
    scripted_send(fd, "{\"event\": \"STOP\", \"data\": {\"n\": 5}}\n{\"event\": 5}\n{\"what\": 1}\n");
    nested = scripted_read_call(fd, "query-status");
    /* the outer reply first: it must not be lost in the inner wait */
    scripted_send(fd, "{\"return\": \"outer\", \"id\": \"%s\"}\n{\"return\": \"inner\", \"id\": \"%s\"}\n",
                  second, nested);
    g_free(scripted_read_call(fd, "quit"));
    scripted_send(fd, "{\"event\": \"SHUTDOWN\"}\n");
}

static void on_event(QmpClient *client, const char *name, JsonObject *data, gpointer user_data)
{
    GString *order = user_data;

    g_string_append_printf(order, "%s ", name ? name : "end");
    if (g_strcmp0(name, "STOP") == 0) {
        g_autoptr(JsonNode) value = qmp_client_call(client, "query-status", NULL, LONG_MS, NULL);

        ck_assert_int_eq(json_object_get_int_member(data, "n"), 5);
        ck_assert_ptr_nonnull(value);
        g_string_append_printf(order, "%s ", json_node_get_string(value));
    }
}

START_TEST (events) {
    ScriptedServer *server = scripted_server_start(play_events, NULL, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(GString) order = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) value = NULL;

    ck_assert_ptr_nonnull(client);
    qmp_client_set_event_func(client, on_event, order);
    value = qmp_client_call(client, "cont", NULL, LONG_MS, &error);
    ck_assert_ptr_nonnull(value);
    ck_assert(qmp_client_wait_event(client, "RESUME", LONG_MS, &error)); /* came before the reply */
    ck_assert(!qmp_client_wait_event(client, "RESUME", SHORT_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_TIMEOUT, "RESUME");
    g_clear_error(&error);
    json_node_unref(value);
    value = qmp_client_call(client, "stop", NULL, LONG_MS, &error);
    ck_assert_ptr_nonnull(value);
    ck_assert_str_eq(json_node_get_string(value), "outer");
    ck_assert(qmp_client_wait_event(client, "STOP", LONG_MS, &error)); /* came during the call */
    ck_assert_ptr_null(qmp_client_call(client, "quit", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_CLOSED, "");
    g_clear_error(&error);
    ck_assert(!qmp_client_wait_event(client, "NEVER", LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_CLOSED, "NEVER");
    g_clear_error(&error);
    ck_assert(qmp_client_wait_event(client, "SHUTDOWN", LONG_MS, &error)); /* before the end */
    ck_assert_str_eq(order->str, "RESUME STOP inner SHUTDOWN end ");
    qmp_client_close(client);
    scripted_server_stop(server);
}
END_TEST

static void close_client(QmpClient *client, const char *name, JsonObject *data, gpointer user_data)
{
    QmpClient **owner = user_data;

    ck_assert_ptr_eq(*owner, client);
    qmp_client_close(g_steal_pointer(owner));
}

static void play_event_in_call(int fd, gpointer user_data)
{
    g_autofree char *id = NULL;

    negotiate(fd);
    id = scripted_read_call(fd, "stop");
    scripted_send(fd, "{\"event\": \"STOP\"}\n{\"return\": {}, \"id\": \"%s\"}\n", id);
    scripted_drain(fd);
}

START_TEST (closed_by_event_handler) {
    ScriptedServer *server = scripted_server_start(play_event_in_call, NULL, 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_nonnull(client);
    qmp_client_set_event_func(client, close_client, &client);
    ck_assert_ptr_null(qmp_client_call(client, "stop", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_CLOSED, "");
    ck_assert_ptr_null(client);
    scripted_server_stop(server);

    /* in a wait, by the event that is waited for */
    server = scripted_server_start(play_event_in_call, NULL, 0);
    client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    ck_assert_ptr_nonnull(client);
    qmp_client_set_event_func(client, close_client, &client);
    qmp_client_call_async(client, "stop", NULL, LONG_MS, NULL, NULL, NULL);
    ck_assert(qmp_client_wait_event(client, "STOP", LONG_MS, NULL));
    ck_assert_ptr_null(client);
    scripted_server_stop(server);
}
END_TEST

START_TEST (closed_by_end_handler) {
    ScriptedServer *server = scripted_server_start(play_end_in_call, (gpointer) "", 0);
    QmpClient *client = qmp_client_open(scripted_server_path(server), LONG_MS, NULL);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_nonnull(client);
    qmp_client_set_event_func(client, close_client, &client);
    ck_assert_ptr_null(qmp_client_call(client, "a", NULL, LONG_MS, &error));
    ck_error(error, QMP_CLIENT_ERROR_CLOSED, "");
    while (client) {
        g_main_context_iteration(NULL, TRUE);
    }
    scripted_server_stop(server);
}
END_TEST

/* ---- another thread's context ---- */

static gpointer call_in_thread(gpointer path)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    QmpClient *client;
    JsonNode *value;

    g_main_context_push_thread_default(context);
    client = qmp_client_open(path, LONG_MS, NULL);
    g_main_context_pop_thread_default(context);
    value = client ? qmp_client_call(client, "query-status", NULL, LONG_MS, NULL) : NULL;
    qmp_client_close(client);
    return value;
}

static void play_status(int fd, gpointer user_data)
{
    g_autofree char *id = NULL;

    negotiate(fd);
    id = scripted_read_call(fd, "query-status");
    scripted_send(fd, "{\"return\": {}, \"id\": \"%s\"}\n", id);
    scripted_drain(fd);
}

START_TEST (own_context) {
    ScriptedServer *server = scripted_server_start(play_status, NULL, 0);
    GThread *thread = g_thread_new("client", call_in_thread, (gpointer)scripted_server_path(server));
    JsonNode *value = g_thread_join(thread);

    ck_assert_ptr_nonnull(value);
    json_node_unref(value);
    scripted_server_stop(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp-client");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_test(all, answers);
    tcase_add_test(all, open_errors);
    tcase_add_test(all, open_behind_a_full_queue);
    tcase_add_test(all, open_cancelled);
    tcase_add_test(all, late_reply_is_dropped);
    tcase_add_test(all, replies_by_id);
    tcase_add_test(all, close_fails_what_is_pending);
    tcase_add_test(all, call_cancelled);
    tcase_add_test(all, connection_ends_in_call);
    tcase_add_test(all, queue_is_bounded);
    tcase_add_test(all, events);
    tcase_add_test(all, closed_by_event_handler);
    tcase_add_test(all, closed_by_end_handler);
    tcase_add_test(all, own_context);
    suite_add_tcase(suite, all);
    return check_run(suite);
}
