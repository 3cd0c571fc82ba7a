// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/session.h"

#include <string.h>

#define LAST_REPLY "{\"return\": {}, \"id\": \"the-last\"}\n"

static void take(const char *data, gsize length, gpointer user_data)
{
    FuzzWorld *world = user_data;
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

void fuzz_session_play(CommandDialect dialect, const Command *const *tables, const char *ping,
                       const guint8 *data, gsize size)
{
    FuzzWorld world = {.sent = g_string_new(NULL), .waiting = g_ptr_array_new()};
    g_autoptr(CommandServer) server = command_server_new(dialect, tables, &world);
    CommandSession *session = command_session_new(server, take, &world, NULL);

    if (dialect == COMMAND_DIALECT_QMP) {
        const char *negotiation = "{\"execute\": \"qmp_capabilities\"}\n";

        command_session_feed(session, negotiation, strlen(negotiation));
    }
    command_session_feed(session, data, size);
    g_autofree char *last = g_strdup_printf("\n{\"execute\": \"%s\", \"id\": \"the-last\"}\n", ping);
    command_session_feed(session, last, strlen(last));
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
