// SPDX-License-Identifier: GPL-2.0-or-later
/* exec by guest-exec-stream (docs/guest-agent-protocol.md): input and output go to and fro while the program
 * runs. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "host-vmm/vmctl/agent-exec.h"
#include "host-vmm/vmctl/replies.h"

enum {
    INPUT_BYTES = 65536, /* in one question: a pipe takes no more at once */
    OUTPUT_BYTES = 262144,
    /* How long the agent may wait for something to tell. Meanwhile neither Ctrl-C nor standard input is seen.
     */
    MIN_WAIT_MS = 10,
    MAX_WAIT_MS = 200,
    PAUSE_MS = 5, /* with an agent that does not wait */
    /* A question that we gave up would be in the way of the next one: each is given time. */
    MIN_ANSWER_MS = 5000,
};

static gboolean prepare(Exec *exec, GError **error)
{
    exec->input_ended = exec->input_told = exec->task->no_input;
    exec->pending = g_byte_array_new();
    exec->wait = MIN_WAIT_MS;
    return TRUE;
}

static gboolean start(Exec *exec, char **words, GError **error)
{
    JsonObject *arguments = exec_program(exec, words);
    g_autoptr(JsonNode) reply = NULL;

    json_object_set_boolean_member(arguments, "input", !exec->task->no_input);
    reply = agent_link_call(exec->link, "guest-exec-stream", arguments, exec_answer_deadline(exec), error);
    return reply != NULL && exec_take_pid(exec, "guest-exec-stream", reply, error);
}

/* What is there of standard input now. */
static void read_input(Exec *exec)
{
    struct pollfd there = {.fd = STDIN_FILENO, .events = POLLIN};
    guint8 buffer[INPUT_BYTES];
    ssize_t length;

    if (exec->input_ended || exec->pending->len > 0 || poll(&there, 1, 0) <= 0)
        return;
    length = read(STDIN_FILENO, buffer, sizeof buffer);
    if (length > 0)
        g_byte_array_append(exec->pending, buffer, (guint)length);
    else if (length == 0 || (errno != EINTR && errno != EAGAIN))
        exec->input_ended = TRUE;
}

static JsonObject *question(Exec *exec)
{
    JsonObject *arguments = json_object_new();
    guint wait = exec->deadline != 0 && !exec->is_late ? MIN(exec->wait, deadline_left_ms(exec->deadline))
                                                       : exec->wait;

    json_object_set_int_member(arguments, "pid", exec->pid);
    json_object_set_int_member(arguments, "count", OUTPUT_BYTES);
    json_object_set_int_member(arguments, "wait", wait);
    if (exec->pending->len > 0) {
        g_autofree char *text = g_base64_encode(exec->pending->data, exec->pending->len);

        json_object_set_string_member(arguments, "input-data", text);
    }
    if (exec->input_ended && !exec->input_told)
        json_object_set_boolean_member(arguments, "input-end", TRUE);
    if (exec->signal != 0)
        json_object_set_int_member(arguments, "signal", exec->signal);
    exec->signal = 0;
    return arguments;
}

/* Whether something has gone either way. */
static gboolean take_answer(Exec *exec, JsonObject *status)
{
    gint64 taken = object_int(status, "input-count", 0);
    gboolean moved =
        taken > 0 || json_object_has_member(status, "out-data") || json_object_has_member(status, "err-data");

    if (object_bool(status, "input-closed", FALSE)) {
        exec->input_ended = exec->input_told = TRUE;
        g_byte_array_set_size(exec->pending, 0);
    } else {
        g_byte_array_remove_range(exec->pending, 0, (guint)CLAMP(taken, 0, (gint64)exec->pending->len));
        if (exec->input_ended && exec->pending->len == 0)
            exec->input_told = TRUE;
    }
    return moved;
}

static gboolean ask(Exec *exec, int *result, GError **error)
{
    gint64 begun = g_get_monotonic_time();
    g_autoptr(JsonNode) reply = NULL;
    JsonObject *arguments, *status;

    read_input(exec);
    arguments = question(exec);
    reply = agent_link_call(exec->link, "guest-exec-stream-io", arguments,
                            deadline_after_ms(MAX(exec->task->timeout_ms, MIN_ANSWER_MS)), error);
    status = reply_as_object(reply);
    if (reply != NULL && status == NULL)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest-exec-stream-io: the agent has told nothing");
    if (status == NULL || !exec_pass_on(status, "out-data", STDOUT_FILENO, error) ||
        !exec_pass_on(status, "err-data", STDERR_FILENO, error))
        return FALSE;
    if (object_bool(status, "exited", FALSE) && object_bool(status, "eof", FALSE)) {
        *result = exec_result(status);
        return TRUE;
    }
    if (take_answer(exec, status)) {
        exec->wait = MIN_WAIT_MS;
        return FALSE;
    }
    if (g_get_monotonic_time() - begun < (gint64)exec->wait * 1000)
        interrupt_wait(exec->interrupt, PAUSE_MS);
    exec->wait = MIN(exec->wait * 2, MAX_WAIT_MS);
    return FALSE;
}

static void send_signal(Exec *exec, int number)
{
    exec->signal = number;
}

const ExecWay EXEC_STREAM = {prepare, start, ask, send_signal};
