// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/agent-copy.h"

#include <string.h>

#include "host-vmm/vmctl/replies.h"
#include "host-vmm/vmctl/vmctl.h"

enum {
    RECONNECT_MS = 200, /* between two tries to reach an agent that has gone */
    DIGEST_POLL_MS = 20,
    DIGEST_TEXT = 64,
};

static gint64 one_answer(const GuestFile *file)
{
    return deadline_after_ms(file->timeout_ms);
}

static JsonNode *call(GuestFile *file, const char *command, JsonObject *arguments, GError **error)
{
    return agent_link_call(file->link, command, arguments, one_answer(file), error);
}

static JsonObject *handle_arguments(const GuestFile *file)
{
    JsonObject *arguments = json_object_new();

    json_object_set_int_member(arguments, "handle", file->handle);
    return arguments;
}

/* ---- open and closed ---- */

/* On a connection that is there. Anew, a file that was begun must not be cut short again. */
static gboolean open_handle(GuestFile *file, GError **error)
{
    const char *mode = file->was_open && *file->mode == 'w' ? "r+" : file->mode;
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) reply = NULL;

    json_object_set_string_member(arguments, "path", file->path);
    json_object_set_string_member(arguments, "mode", mode);
    reply = call(file, "guest-file-open", arguments, error);
    if (reply == NULL)
        return FALSE;
    if (!JSON_NODE_HOLDS_VALUE(reply) || json_node_get_value_type(reply) != G_TYPE_INT64) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest-file-open: the agent has given no handle");
        return FALSE;
    }
    file->handle = json_node_get_int(reply);
    file->was_open = TRUE;
    return TRUE;
}

static gboolean connect_agent(GuestFile *file, gint64 deadline, GError **error)
{
    file->link = agent_link_open(file->target, deadline, error);
    if (file->link != NULL && file->interrupt != NULL)
        agent_link_set_cancellable(file->link, interrupt_cancellable(file->interrupt));
    return file->link != NULL;
}

gboolean guest_file_open(GuestFile *file, GError **error)
{
    file->handle = -1;
    return connect_agent(file, one_answer(file), error) && open_handle(file, error);
}

static gboolean close_handle(GuestFile *file, GError **error)
{
    g_autoptr(JsonNode) reply = NULL;

    if (file->handle < 0)
        return TRUE;
    reply = call(file, "guest-file-close", handle_arguments(file), error);
    file->handle = -1;
    return reply != NULL;
}

gboolean guest_file_close(GuestFile *file, GError **error)
{
    gboolean done = TRUE;

    if (file->link != NULL) {
        agent_link_set_cancellable(file->link, NULL);
        done = close_handle(file, error);
        g_clear_pointer(&file->link, agent_link_close);
    }
    return done;
}

static gint64 seek(GuestFile *file, gint64 offset, const char *whence, GError **error)
{
    JsonObject *arguments = handle_arguments(file);
    g_autoptr(JsonNode) reply = NULL;
    gint64 position;

    json_object_set_int_member(arguments, "offset", offset);
    /* The words came with QEMU 2.6; the numbers have always been there. */
    json_object_set_int_member(arguments, "whence", strcmp(whence, "end") == 0 ? 2 : 0);
    reply = call(file, "guest-file-seek", arguments, error);
    if (reply == NULL)
        return -1;
    position = object_int(reply_as_object(reply), "position", -1);
    if (position < 0)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest-file-seek: the agent has given no position");
    return position;
}

gint64 guest_file_length(GuestFile *file)
{
    return seek(file, 0, "end", NULL);
}

gboolean guest_file_seek(GuestFile *file, guint64 position, GError **error)
{
    return seek(file, (gint64)position, "set", error) >= 0;
}

/* Takes the error that has ended a call. TRUE: there is a new connection, and the file is open again at
 * *position or, if it is shorter now, at its end, which *position tells then. */
static gboolean recover(GuestFile *file, GError *problem, guint64 *position, GError **error)
{
    gint64 deadline = one_answer(file), length;
    gint64 old = file->handle;

    if (!file->was_open || !agent_link_is_lost(file->link, problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    do {
        g_autoptr(GError) refusal = NULL;

        g_clear_pointer(&file->link, agent_link_close);
        if (file->interrupt != NULL)
            interrupt_wait(file->interrupt, RECONNECT_MS);
        if (file->interrupt != NULL && interrupt_take(file->interrupt) != 0)
            break;
        if (!connect_agent(file, deadline, &refusal))
            continue;
        /* If it is the same agent it has the old handle still, with what it has buffered. */
        file->handle = old;
        close_handle(file, NULL);
        if (!open_handle(file, &refusal)) {
            if (agent_link_is_lost(file->link, refusal))
                continue;
            g_error_free(problem);
            g_propagate_error(error, g_steal_pointer(&refusal));
            return FALSE;
        }
        length = guest_file_length(file);
        if (length >= 0 && (guint64)length < *position)
            *position = (guint64)length;
        if (guest_file_seek(file, *position, NULL)) {
            g_error_free(problem);
            return TRUE;
        }
    } while (deadline_left_ms(deadline) > 0);
    g_propagate_error(error, problem);
    return FALSE;
}

/* ---- chunks ---- */

static GBytes *read_once(GuestFile *file, gboolean *eof, GError **error)
{
    JsonObject *arguments = handle_arguments(file);
    g_autoptr(JsonNode) reply = NULL;
    JsonObject *answer;
    const char *text;
    guchar *data;
    gsize length = 0;

    json_object_set_int_member(arguments, "count", AGENT_COPY_CHUNK);
    reply = call(file, "guest-file-read", arguments, error);
    if (reply == NULL)
        return NULL;
    answer = reply_as_object(reply);
    text = object_string(answer, "buf-b64", NULL);
    *eof = object_bool(answer, "eof", FALSE);
    if (text == NULL) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest-file-read: the agent has given no data");
        return NULL;
    }
    data = g_base64_decode(text, &length);
    if ((gint64)length != object_int(answer, "count", -1) || length > AGENT_COPY_CHUNK ||
        (length == 0 && !*eof)) {
        g_free(data);
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                    "guest-file-read: the agent has given %zu bytes for %" G_GINT64_FORMAT, length,
                    object_int(answer, "count", -1));
        return NULL;
    }
    return g_bytes_new_take(data, length);
}

GBytes *guest_file_read(GuestFile *file, guint64 position, gboolean *eof, GError **error)
{
    for (;;) {
        GError *problem = NULL;
        guint64 at = position;
        GBytes *bytes = read_once(file, eof, &problem);

        if (bytes != NULL)
            return bytes;
        if (!recover(file, problem, &at, error))
            return NULL;
        if (at < position) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "%s has become shorter meanwhile", file->path);
            return NULL;
        }
    }
}

static gint64 write_once(GuestFile *file, const guint8 *data, gsize length, GError **error)
{
    JsonObject *arguments = handle_arguments(file);
    g_autofree char *text = g_base64_encode(data, length);
    g_autoptr(JsonNode) reply = NULL;
    gint64 count;

    json_object_set_string_member(arguments, "buf-b64", text);
    reply = call(file, "guest-file-write", arguments, error);
    if (reply == NULL)
        return -1;
    count = object_int(reply_as_object(reply), "count", -1);
    if (count > 0 && count <= (gint64)length)
        return count;
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                "guest-file-write: the agent has taken %" G_GINT64_FORMAT " of %zu bytes", count, length);
    return -1;
}

gboolean guest_file_write(GuestFile *file, guint64 position, const guint8 *data, gsize length,
                          guint64 *landed, GError **error)
{
    *landed = position;
    while (*landed < position + length) {
        GError *problem = NULL;
        gsize done = (gsize)(*landed - position);
        gsize part = MIN(length - done, agent_link_chunk(file->link));
        gint64 count = write_once(file, data + done, part, &problem);

        if (count > 0) {
            *landed += (guint64)count;
            continue;
        }
        if (!recover(file, problem, landed, error))
            return FALSE;
        if (*landed < position)
            return TRUE; /* the caller has to go back */
    }
    return TRUE;
}

/* ---- digest ---- */

/* What sha256sum prints: 64 digits, then the name; '\' before them if the name is quoted. */
static char *read_digest(JsonObject *status)
{
    const char *encoded = object_string(status, "out-data", NULL);
    gsize length = 0;
    g_autofree char *text = encoded == NULL ? NULL : (char *)g_base64_decode(encoded, &length);
    const char *digits = text != NULL && *text == '\\' ? text + 1 : text;

    if (digits == NULL || object_int(status, "exitcode", -1) != 0)
        return NULL;
    for (int i = 0; i < DIGEST_TEXT; i++)
        if (!g_ascii_isxdigit(digits[i])) /* decoded text ends with a zero byte */
            return NULL;
    return g_ascii_strdown(digits, DIGEST_TEXT);
}

/* NULL without an error: it cannot be had this way. */
static char *digest_by_program(GuestFile *file)
{
    JsonObject *arguments = json_object_new();
    JsonArray *words = json_array_new();
    g_autoptr(JsonNode) started = NULL;
    gint64 pid;

    json_array_add_string_element(words, "--");
    json_array_add_string_element(words, file->path);
    json_object_set_string_member(arguments, "path", "sha256sum");
    json_object_set_array_member(arguments, "arg", words);
    json_object_set_boolean_member(arguments, "capture-output", TRUE);
    started = call(file, "guest-exec", arguments, NULL);
    pid = object_int(reply_as_object(started), "pid", -1);
    while (pid > 0) {
        g_autoptr(JsonNode) reply = NULL;

        arguments = json_object_new();
        json_object_set_int_member(arguments, "pid", pid);
        reply = call(file, "guest-exec-status", arguments, NULL);
        if (reply == NULL)
            return NULL;
        if (object_bool(reply_as_object(reply), "exited", FALSE))
            return read_digest(reply_as_object(reply));
        interrupt_wait(file->interrupt, DIGEST_POLL_MS);
        if (g_cancellable_is_cancelled(interrupt_cancellable(file->interrupt)))
            return NULL;
    }
    return NULL;
}

char *guest_file_digest(GuestFile *file, void (*progress)(guint64 done, gpointer user_data),
                        gpointer user_data, GError **error)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    GuestFile again = *file;
    char *digest = digest_by_program(file);
    gboolean eof = FALSE;
    guint64 done = 0;

    if (digest != NULL)
        return digest;
    again.mode = "r";
    again.handle = -1;
    again.was_open = FALSE;
    if (!open_handle(&again, error))
        return NULL;
    while (!eof) {
        g_autoptr(GBytes) bytes = guest_file_read(&again, done, &eof, error);

        if (bytes == NULL)
            break;
        g_checksum_update(checksum, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes));
        done += g_bytes_get_size(bytes);
        progress(done, user_data);
    }
    close_handle(&again, NULL);
    file->link = again.link; /* it may be a new one */
    return eof ? g_strdup(g_checksum_get_string(checksum)) : NULL;
}
