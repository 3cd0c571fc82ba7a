// SPDX-License-Identifier: GPL-2.0-or-later
/* exec by guest-exec, which every agent has. */
#include <errno.h>
#include <unistd.h>

#include "host-vmm/vmctl/agent-exec.h"
#include "host-vmm/vmctl/replies.h"

enum {
    INPUT_BYTES = 32 << 20, /* as base64 it has to fit into a message of 64 MiB */
    FIRST_PAUSE_MS = 5,
    MAX_PAUSE_MS = 250,
};

/* Runs in the guest with a process' id: the signal goes to its group where the agent made it one, else to it
 * alone. */
#define KILL_SCRIPT "kill -%d -- -\"$0\" 2>/dev/null || kill -%d \"$0\""

/* Standard input to its end. A terminal's is not waited for. */
static gboolean read_input(Exec *exec, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    guint8 buffer[65536];

    if (exec->task->no_input || isatty(STDIN_FILENO) == 1)
        return TRUE;
    for (;;) {
        ssize_t length = read(STDIN_FILENO, buffer, sizeof buffer);

        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno != EBADF) { /* closed is as good as empty */
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot read standard input: %s",
                        g_strerror(errno));
            return FALSE;
        }
        if (length <= 0)
            break;
        g_byte_array_append(data, buffer, (guint)length);
        if (data->len > INPUT_BYTES) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                        "standard input has more than %d MiB: push it as a file first", INPUT_BYTES >> 20);
            return FALSE;
        }
    }
    if (data->len > 0)
        exec->input = g_base64_encode(data->data, data->len);
    return TRUE;
}

static gboolean start(Exec *exec, char **words, GError **error)
{
    g_autoptr(JsonNode) reply = NULL;
    JsonObject *arguments = exec_program(exec, words);

    if (exec->input != NULL)
        json_object_set_string_member(arguments, "input-data", exec->input);
    json_object_set_boolean_member(arguments, "capture-output", TRUE);
    exec->pause = FIRST_PAUSE_MS;
    reply = agent_link_call(exec->link, "guest-exec", arguments, exec_answer_deadline(exec), error);
    return reply != NULL && exec_take_pid(exec, "guest-exec", reply, error);
}

static gboolean ask(Exec *exec, int *result, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) reply = NULL;
    JsonObject *status;

    json_object_set_int_member(arguments, "pid", exec->pid);
    reply = agent_link_call(exec->link, "guest-exec-status", arguments, exec_answer_deadline(exec), error);
    if (reply == NULL)
        return FALSE;
    status = reply_as_object(reply);
    if (!object_bool(status, "exited", FALSE)) {
        interrupt_wait(exec->interrupt, exec->pause);
        exec->pause = MIN(exec->pause * 2, MAX_PAUSE_MS);
        return FALSE;
    }
    if (!exec_pass_on(status, "out-data", STDOUT_FILENO, error) ||
        !exec_pass_on(status, "err-data", STDERR_FILENO, error))
        return FALSE;
    exec->is_cut = object_bool(status, "out-truncated", FALSE) || object_bool(status, "err-truncated", FALSE);
    *result = exec_result(status);
    return TRUE;
}

/* Has the guest's shell send the signal. What becomes of it is seen by the process' end. */
static void send_signal(Exec *exec, int number)
{
    g_autofree char *pid = g_strdup_printf("%" G_GINT64_FORMAT, exec->pid);
    g_autofree char *script = g_strdup_printf(KILL_SCRIPT, number, number);
    JsonObject *arguments = json_object_new();
    JsonArray *words = json_array_new();
    g_autoptr(JsonNode) reply = NULL;
    GError *error = NULL;

    json_array_add_string_element(words, "-c");
    json_array_add_string_element(words, script);
    json_array_add_string_element(words, pid);
    json_object_set_string_member(arguments, "path", "/bin/sh");
    json_object_set_array_member(arguments, "arg", words);
    reply = agent_link_call(exec->link, "guest-exec", arguments, exec_answer_deadline(exec), &error);
    if (reply == NULL) {
        complain("process %s could not be sent signal %d: %s", pid, number, error->message);
        g_error_free(error);
    }
}

const ExecWay EXEC_PLAIN = {read_input, start, ask, send_signal};
