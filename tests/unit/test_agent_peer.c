// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent/peer: the order of requests, and what a slow one may hold up */
#include "guest-agent/peer.h"
#include "tests/check-run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct World {
    CommandServer *server;
    Peer *peer;
    int far;
    GQueue slow; /* of CommandCall not yet answered */
    int closed, errnum;
} World;

static World world;

static void do_quick(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_int(call, command_int(arguments, "id", 0));
}

static void do_slow(CommandCall *call, JsonObject *arguments, gpointer data)
{
    g_queue_push_tail(&world.slow, call);
}

static const CommandArg ID_ARGS[] = {{.name = "id", .type = COMMAND_ARG_INT}, {0}};
static const Command TABLE[] = {{"quick", ID_ARGS, do_quick, 0}, {"slow", NULL, do_slow, 0}, {0}};
static const Command *const TABLES[] = {TABLE, NULL};

static void on_closed(Peer *peer, int errnum, gpointer user_data)
{
    world.closed++;
    world.errnum = errnum;
    peer_free(peer);
    world.peer = NULL;
}

static void setup(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    world = (World){.far = ends[1]};
    g_queue_init(&world.slow);
    world.server = command_server_new(COMMAND_DIALECT_AGENT, TABLES, NULL);
    world.peer = peer_new(world.server, ends[0], CHANNEL_STREAM, on_closed, NULL);
}

static void finish_slow(void)
{
    command_call_return_empty(g_queue_pop_head(&world.slow));
}

static void teardown(void)
{
    peer_free(world.peer);
    while (!g_queue_is_empty(&world.slow))
        finish_slow();
    command_server_free(world.server);
    close(world.far);
}

static gboolean over(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

static void run_for(guint ms)
{
    gboolean late = FALSE;
    g_timeout_add(ms, over, &late);
    while (!late)
        g_main_context_iteration(NULL, TRUE);
}

static void send_text(const char *text)
{
    ck_assert_int_eq(write(world.far, text, strlen(text)), (gssize)strlen(text));
}

/* Waits for that many bytes, however busy the machine is. */
static void expect_replies(const char *expected)
{
    gsize length = strlen(expected);
    g_autofree char *buffer = g_malloc0(length + 1);
    gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    for (gsize done = 0; done < length && g_get_monotonic_time() < deadline;) {
        gssize n = recv(world.far, buffer + done, length - done, MSG_DONTWAIT);
        done += n > 0 ? (gsize)n : 0;
        run_for(1);
    }
    ck_assert_str_eq(buffer, expected);
}

/* Nothing has come yet; not looked at when so much time has passed since that something may have. */
static void expect_none_since(gint64 begin)
{
    char byte;
    gssize n = recv(world.far, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    if (g_get_monotonic_time() - begin < PEER_PATIENCE_MS * 1000)
        ck_assert_int_lt(n, 0);
}

#define QUICK(n) "{\"execute\": \"quick\", \"arguments\": {\"id\": " #n "}}"
#define SLOW     "{\"execute\": \"slow\"}"

START_TEST (requests_are_carried_out_one_after_the_other) {
    send_text(QUICK(1) QUICK(2) SLOW QUICK(3) SLOW QUICK(4));
    run_for(50);
    expect_replies("{\"return\": 1}\n{\"return\": 2}\n");
    ck_assert_uint_eq(world.slow.length, 1);
    finish_slow();
    run_for(50);
    expect_replies("{\"return\": {}}\n{\"return\": 3}\n");
    ck_assert_uint_eq(world.slow.length, 1);
    finish_slow();
    run_for(50);
    expect_replies("{\"return\": {}}\n{\"return\": 4}\n");
}
END_TEST

START_TEST (a_slow_one_is_overtaken_after_a_while) {
    gint64 begin = g_get_monotonic_time();
    send_text(SLOW);
    run_for(20);
    send_text(QUICK(1));
    run_for(20);
    expect_none_since(begin);
    expect_replies("{\"return\": 1}\n");
    send_text(QUICK(2)); /* and from then on at once */
    run_for(20);
    expect_replies("{\"return\": 2}\n");
    finish_slow();
    run_for(20);
    expect_replies("{\"return\": {}}\n");
    begin = g_get_monotonic_time();
    send_text(SLOW QUICK(3)); /* the next slow one is waited for again */
    run_for(20);
    expect_none_since(begin);
}
END_TEST

START_TEST (unfinished_ones_are_bounded) {
    for (int i = 0; i < PEER_PENDING_MAX + 10; i++)
        send_text(SLOW);
    for (int i = 0; i < PEER_PENDING_MAX + 10; i++)
        run_for(PEER_PATIENCE_MS + 5);
    ck_assert_uint_eq(world.slow.length, PEER_PENDING_MAX + 1);
}
END_TEST

START_TEST (a_peer_that_closes_its_sending_side_gets_its_replies) {
    send_text(QUICK(1) SLOW);
    shutdown(world.far, SHUT_WR);
    run_for(50);
    ck_assert_int_eq(world.closed, 0);
    expect_replies("{\"return\": 1}\n");
    finish_slow();
    run_for(50);
    expect_replies("{\"return\": {}}\n");
    ck_assert_int_eq(world.closed, 1);
    ck_assert_int_eq(world.errnum, 0);
}
END_TEST

START_TEST (a_reply_to_a_peer_that_has_gone_is_dropped) {
    send_text(SLOW);
    run_for(20);
    g_clear_pointer(&world.peer, peer_free);
    finish_slow();
    run_for(20);
}
END_TEST

START_TEST (a_flood_without_reading_is_not_served_on_credit) {
    g_autoptr(GString) flood = g_string_new(NULL);
    for (int i = 0; i < 2000; i++)
        g_string_append(flood, "{\"execute\": \"none\"}");
    gsize sent = 0;
    for (int i = 0; i < 300; i++) { /* 11 MB of requests, 26 MB of replies */
        gssize n = send(world.far, flood->str, flood->len, MSG_DONTWAIT);
        sent += n > 0 ? (gsize)n : 0;
        while (g_main_context_iteration(NULL, FALSE))
            ;
    }
    ck_assert_uint_lt(sent, (gsize)4 << 20);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("agent peer");
    TCase *tcase = tcase_create("peer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, requests_are_carried_out_one_after_the_other);
    tcase_add_test(tcase, a_slow_one_is_overtaken_after_a_while);
    tcase_add_test(tcase, unfinished_ones_are_bounded);
    tcase_add_test(tcase, a_peer_that_closes_its_sending_side_gets_its_replies);
    tcase_add_test(tcase, a_reply_to_a_peer_that_has_gone_is_dropped);
    tcase_add_test(tcase, a_flood_without_reading_is_not_served_on_credit);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
