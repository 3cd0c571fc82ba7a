// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-copy: writes a file in a guest through its agent and reads it back, in pieces, and compares SHA-256.
 *
 *   agent-copy SOCKET GUEST-PATH MIB CHUNK-KIB
 *
 * Prints "wrote SHA256 MIB/s" and "read SHA256 MIB/s". The contents are random bytes of a fixed seed.
 */
#include <stdio.h>
#include <string.h>

#include "lib/agent-client.h"

#define CALL_MS 60000
#define OPEN_MS 30000

static JsonObject *call_object(AgentClient *agent, const char *command, JsonObject *arguments, GError **error)
{
    g_autoptr(JsonNode) reply = agent_client_call(agent, command, arguments, CALL_MS, error);
    if (!reply)
        return NULL;
    if (!JSON_NODE_HOLDS_OBJECT(reply)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "%s answers with something else than an object", command);
        return NULL;
    }
    return json_node_dup_object(reply);
}

static gint64 open_file(AgentClient *agent, const char *path, const char *mode, GError **error)
{
    JsonObject *arguments = json_object_new();
    json_object_set_string_member(arguments, "path", path);
    json_object_set_string_member(arguments, "mode", mode);
    g_autoptr(JsonNode) reply = agent_client_call(agent, "guest-file-open", arguments, CALL_MS, error);
    return reply ? json_node_get_int(reply) : -1;
}

static gboolean close_file(AgentClient *agent, gint64 handle, GError **error)
{
    JsonObject *arguments = json_object_new();
    json_object_set_int_member(arguments, "handle", handle);
    g_autoptr(JsonNode) reply = agent_client_call(agent, "guest-file-close", arguments, CALL_MS, error);
    return reply != NULL;
}

static gboolean write_file(AgentClient *agent, const char *path, gsize size, gsize chunk, GChecksum *sum,
                           GError **error)
{
    gint64 handle = open_file(agent, path, "w", error);
    if (handle < 0)
        return FALSE;
    g_autoptr(GRand) random = g_rand_new_with_seed(64);
    g_autofree guint32 *words = g_malloc(chunk);
    for (gsize done = 0; done < size; done += chunk) {
        for (gsize i = 0; i < chunk / sizeof(*words); i++)
            words[i] = g_rand_int(random);
        g_checksum_update(sum, (guchar *)words, chunk);
        g_autofree char *text = g_base64_encode((guchar *)words, chunk);
        JsonObject *arguments = json_object_new();
        json_object_set_int_member(arguments, "handle", handle);
        json_object_set_string_member(arguments, "buf-b64", text);
        g_autoptr(JsonObject) reply = call_object(agent, "guest-file-write", arguments, error);
        if (!reply)
            return FALSE;
        if ((gsize)json_object_get_int_member(reply, "count") != chunk) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "guest-file-write took less than it was given");
            return FALSE;
        }
    }
    return close_file(agent, handle, error);
}

static gboolean read_file(AgentClient *agent, const char *path, gsize size, gsize chunk, GChecksum *sum,
                          GError **error)
{
    gint64 handle = open_file(agent, path, "r", error);
    if (handle < 0)
        return FALSE;
    gsize done = 0;
    gboolean eof = FALSE;
    while (!eof && done <= size) {
        JsonObject *arguments = json_object_new();
        json_object_set_int_member(arguments, "handle", handle);
        json_object_set_int_member(arguments, "count", chunk);
        g_autoptr(JsonObject) reply = call_object(agent, "guest-file-read", arguments, error);
        if (!reply)
            return FALSE;
        gsize length;
        g_autofree guchar *bytes = g_base64_decode(json_object_get_string_member(reply, "buf-b64"), &length);
        g_checksum_update(sum, bytes, length);
        done += length;
        eof = json_object_get_boolean_member(reply, "eof");
    }
    if (done != size) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%zu bytes were read back, not %zu", done, size);
        return FALSE;
    }
    return close_file(agent, handle, error);
}

typedef gboolean (*CopyFunc)(AgentClient *agent, const char *path, gsize size, gsize chunk, GChecksum *sum,
                             GError **error);

static gboolean timed(const char *what, CopyFunc copy, AgentClient *agent, const char *path, gsize size,
                      gsize chunk, GChecksum *sum, GError **error)
{
    gint64 start = g_get_monotonic_time();
    if (!copy(agent, path, size, chunk, sum, error))
        return FALSE;
    double seconds = (g_get_monotonic_time() - start) / (double)G_USEC_PER_SEC;
    printf("%s %s %.1f\n", what, g_checksum_get_string(sum), size / seconds / (1 << 20));
    return TRUE;
}

int main(int argc, char **argv)
{
    guint64 mib, kib;
    if (argc != 5 || !g_ascii_string_to_unsigned(argv[3], 10, 1, 4096, &mib, NULL) ||
        !g_ascii_string_to_unsigned(argv[4], 10, 1, 32768, &kib, NULL) || mib * 1024 % kib) {
        fprintf(stderr, "usage: agent-copy SOCKET GUEST-PATH MIB CHUNK-KIB (MIB must be a multiple of it)\n");
        return 2;
    }
    gsize size = mib << 20, chunk = kib << 10;
    g_autoptr(GChecksum) wrote = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GChecksum) read = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GError) error = NULL;
    g_autoptr(AgentClient) agent = agent_client_open(argv[1], OPEN_MS, &error);
    if (!agent || !timed("wrote", write_file, agent, argv[2], size, chunk, wrote, &error) ||
        !timed("read", read_file, agent, argv[2], size, chunk, read, &error)) {
        fprintf(stderr, "agent-copy: %s\n", error->message);
        return 1;
    }
    if (strcmp(g_checksum_get_string(wrote), g_checksum_get_string(read)) != 0) {
        fprintf(stderr, "agent-copy: what was read back differs\n");
        return 1;
    }
    return 0;
}
