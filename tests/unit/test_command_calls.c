// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a call: replies in pieces, replies that come later, peers that go meanwhile. */
#include <check.h>
#include <string.h>

#include "tests/unit/command-peer.h"
#include "tests/check-run.h"

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

    peer_says(request);
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
    peer_says("{'execute':'guest-sync','arguments':{'id':7}}");
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
    peer_says("{'execute':'later','id':1}");
    ck_assert_uint_eq(command_session_pending(peer.session), 1);
    expect_reply("{'execute':'guest-ping','id':2}", "{\"return\": {}, \"id\": 2}");
    command_call_return_int(g_steal_pointer(&world.later), 42);
    expect_sent("{\"return\": 42, \"id\": 1}\n");
    ck_assert_uint_eq(command_session_pending(peer.session), 0);

    peer_says("{'execute':'later','id':3}");
    command_call_fail(g_steal_pointer(&world.later), "late");
    expect_sent("{\"error\": {\"class\": \"GenericError\", \"desc\": \"late\"}, \"id\": 3}\n");
    /* a reset forgets bytes, not calls */
    peer_says("{'execute':'later','id':4}{'execute':");
    command_session_reset(peer.session);
    command_call_return_empty(g_steal_pointer(&world.later));
    expect_sent("{\"return\": {}, \"id\": 4}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
}
END_TEST

START_TEST (finished_after_disconnect) {
    peer_says("{'execute':'later','id':1}");
    ck_assert_ptr_eq(command_call_session(world.later), peer.session);
    command_session_free(g_steal_pointer(&peer.session));
    ck_assert_ptr_null(command_call_session(world.later));
    ck_assert_ptr_eq(command_call_server(world.later), server);
    /* a new peer does not get the old one's reply */
    peer.session = command_session_new(server, take_bytes, &peer, NULL);
    command_call_return_int(g_steal_pointer(&world.later), 42);
    expect_sent("");

    /* not even the server need be there any more */
    peer_says("{'execute':'later'}");
    command_session_free(g_steal_pointer(&peer.session));
    command_server_free(g_steal_pointer(&server));
    command_call_fail(g_steal_pointer(&world.later), "nobody listens");
    expect_sent("");
}
END_TEST

START_TEST (freed_by_handler) {
    peer_says("{'execute':'guest-ping'}{'execute':'drop'}{'execute':'guest-ping'}");
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
        peer_says(*text);
        ck_assert_ptr_null(peer.session);
        ck_assert_ptr_eq(strchr(peer.text->str, '\n'), peer.text->str + peer.text->len - 1);
        g_string_truncate(peer.text, 0);
        peer.session = command_session_new(server, take_bytes, &peer, NULL);
    }
    /* and when the reply comes later */
    peer_says("{'execute':'later'}");
    command_call_return_empty(g_steal_pointer(&world.later));
    ck_assert_ptr_null(peer.session);
    expect_sent("{\"return\": {}}\n");
}
END_TEST

START_TEST (reset_by_handler) {
    peer_says("{'execute':'reset'}{'execute':'guest-ping'}{'exec");
    expect_sent("{\"return\": {}}\n");
    expect_reply("{'execute':'guest-ping'}", "{\"return\": {}}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command calls");
    TCase *calls = tcase_create("calls");

    tcase_add_checked_fixture(calls, setup, teardown);
    tcase_add_test(calls, sent_in_pieces);
    tcase_add_test(calls, others_wait_for_the_pieces);
    tcase_add_test(calls, peer_goes_amid_the_pieces);
    tcase_add_test(calls, finished_later);
    tcase_add_test(calls, finished_after_disconnect);
    tcase_add_test(calls, freed_by_handler);
    tcase_add_test(calls, freed_by_write);
    tcase_add_test(calls, reset_by_handler);
    suite_add_tcase(suite, calls);
    return check_run(suite);
}
