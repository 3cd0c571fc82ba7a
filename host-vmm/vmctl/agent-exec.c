// SPDX-License-Identifier: GPL-2.0-or-later
/* vmctl agent GUEST exec: a program in the guest as if it ran here: stdin, stdout, stderr, status, Ctrl-C. */
#include "host-vmm/vmctl/agent-exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/replies.h"

gint64 exec_answer_deadline(const Exec *exec)
{
    gint64 answer = deadline_after_ms(exec->task->timeout_ms);

    return exec->deadline != 0 && !exec->is_late ? MIN(exec->deadline, answer) : answer;
}

static JsonArray *string_array(char **strings)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; strings[i] != NULL; i++)
        json_array_add_string_element(array, strings[i]);
    return array;
}

JsonObject *exec_program(const Exec *exec, char **words)
{
    JsonObject *arguments = json_object_new();

    json_object_set_string_member(arguments, "path", words[0]);
    json_object_set_array_member(arguments, "arg", string_array(words + 1));
    if (exec->task->environment != NULL)
        json_object_set_array_member(arguments, "env", string_array(exec->task->environment));
    return arguments;
}

gboolean exec_take_pid(Exec *exec, const char *command, JsonNode *reply, GError **error)
{
    exec->pid = object_int(reply_as_object(reply), "pid", -1);
    if (exec->pid > 0)
        return TRUE;
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "%s: the agent has not said which process", command);
    return FALSE;
}

gboolean exec_pass_on(JsonObject *status, const char *member, int fd, GError **error)
{
    const char *text = object_string(status, member, NULL);
    g_autofree guchar *data = NULL;
    const guchar *at;
    gsize length = 0;

    if (text == NULL)
        return TRUE;
    at = data = g_base64_decode(text, &length);
    while (length > 0) {
        ssize_t count = write(fd, at, length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot write to standard %s: %s",
                        fd == STDOUT_FILENO ? "output" : "error", g_strerror(errno));
            return FALSE;
        }
        at += count;
        length -= (gsize)count;
    }
    return TRUE;
}

int exec_result(JsonObject *status)
{
    if (json_object_has_member(status, "signal"))
        return 128 + (int)(object_int(status, "signal", 0) & 0x7f);
    return (int)(object_int(status, "exitcode", AGENT_EXEC_FAILED) & 0xff);
}

static gboolean check_text(char **words, GError **error)
{
    for (guint i = 0; words != NULL && words[i] != NULL; i++)
        if (!g_utf8_validate(words[i], -1, NULL)) {
            g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "'%s' is not UTF-8, which JSON has to be", words[i]);
            return FALSE;
        }
    return TRUE;
}

/* Signals and the deadline, between two questions. */
static void attend(Exec *exec)
{
    int number = interrupt_take(exec->interrupt);

    if (number == 0 && exec->deadline != 0 && !exec->is_late && deadline_left_ms(exec->deadline) == 0) {
        exec->is_late = TRUE;
        number = SIGKILL;
    }
    if (number != 0)
        exec->way->send_signal(exec, number);
}

/* What of ours has gone wrong must not look like the program's status. */
static int fail(GError *error)
{
    int status = complain_error(error);

    return status == VMCTL_TIMED_OUT ? status : AGENT_EXEC_FAILED;
}

static int run(Exec *exec, char **words)
{
    GError *error = NULL;
    gint64 give_up = 0; /* once it was killed */
    gboolean has_ended = TRUE;
    int result = AGENT_EXEC_FAILED;

    if (!exec->way->start(exec, words, &error))
        return fail(error);
    while (!exec->way->ask(exec, &result, &error)) {
        /* A question that was cut short by the deadline is not the agent's fault. */
        if (error != NULL && exec->deadline != 0 && deadline_left_ms(exec->deadline) == 0 && !exec->is_late &&
            g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_TIMEOUT))
            g_clear_error(&error);
        if (error != NULL && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
            complain("left process %" G_GINT64_FORMAT " of %s to itself", exec->pid,
                     agent_target_label(&exec->task->target));
            g_error_free(error);
            return 128 + interrupt_take(exec->interrupt);
        }
        if (error != NULL)
            return fail(error);
        attend(exec);
        if (exec->is_late && give_up == 0)
            give_up = deadline_after_ms(exec->task->timeout_ms);
        has_ended = give_up == 0 || deadline_left_ms(give_up) > 0;
        if (!has_ended)
            break;
    }
    if (exec->is_late) {
        complain("%s has not ended in time%s", words[0], has_ended ? ": killed" : ", and does not end");
        return VMCTL_TIMED_OUT;
    }
    if (exec->is_cut) {
        complain("%s has written more than the agent keeps: the rest is lost", words[0]);
        return AGENT_EXEC_FAILED;
    }
    return result;
}

int agent_exec(const AgentTask *task, char **words)
{
    Exec exec = {.task = task};
    g_autoptr(AgentLink) link = NULL;
    g_autoptr(Interrupt) interrupt = NULL;
    GError *error = NULL;
    int status;

    if (words[0] == NULL)
        return options_usage_error(task->verb, "exec: which program?");
    if (task->has_timeout)
        exec.deadline = deadline_after_ms(task->timeout_ms);
    if (check_text(words, &error) && check_text(task->environment, &error))
        exec.link = link = agent_link_open(&task->target, exec_answer_deadline(&exec), &error);
    if (link == NULL)
        return fail(error);
    exec.way = agent_link_has(link, "guest-exec-stream", exec_answer_deadline(&exec)) &&
                       agent_link_has(link, "guest-exec-stream-io", exec_answer_deadline(&exec))
                   ? &EXEC_STREAM
                   : &EXEC_PLAIN;
    if (exec.way->prepare(&exec, &error))
        exec.interrupt = interrupt = interrupt_new(1, &error);
    if (interrupt != NULL) {
        agent_link_set_cancellable(link, interrupt_cancellable(interrupt));
        status = run(&exec, words);
    } else {
        status = fail(error);
    }
    g_free(exec.input);
    if (exec.pending != NULL)
        g_byte_array_unref(exec.pending);
    return status;
}
