// SPDX-License-Identifier: GPL-2.0-or-later
/* vmctl agent GUEST exec: a program in the guest as if it ran here: stdin, stdout, stderr, status, Ctrl-C. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/vmctl/agent-words.h"
#include "host-vmm/vmctl/interrupt.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/replies.h"

enum {
    INPUT_BYTES = 32 << 20, /* as base64 it has to fit into a message of 64 MiB */
    FIRST_PAUSE_MS = 5,
    MAX_PAUSE_MS = 250,
};

/* Runs in the guest with a process' id: the signal goes to its group where the agent made it one, else to it
 * alone. */
#define KILL_SCRIPT "kill -%d -- -\"$0\" 2>/dev/null || kill -%d \"$0\""

typedef struct Exec {
    const AgentTask *task;
    AgentLink *link;
    Interrupt *interrupt;
    gint64 deadline; /* of the whole; 0: none */
    gint64 pid;
    gboolean is_late, is_cut; /* the deadline has passed; output is missing */
} Exec;

/* What one answer may take. */
static gint64 answer_deadline(const Exec *exec)
{
    gint64 answer = deadline_after_ms(exec->task->timeout_ms);

    return exec->deadline != 0 && !exec->is_late ? MIN(exec->deadline, answer) : answer;
}

/* Standard input to its end, as base64; NULL and no error if there is none to read. */
static char *read_input(const AgentTask *task, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();

    if (task->no_input || isatty(STDIN_FILENO) == 1)
        return NULL;
    for (;;) {
        guint8 buffer[65536];
        ssize_t length = read(STDIN_FILENO, buffer, sizeof buffer);

        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EBADF)
            return NULL; /* closed */
        if (length < 0) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot read standard input: %s",
                        g_strerror(errno));
            return NULL;
        }
        if (length == 0)
            break;
        g_byte_array_append(data, buffer, (guint)length);
        if (data->len > INPUT_BYTES) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                        "standard input has more than %d MiB: push it as a file first", INPUT_BYTES >> 20);
            return NULL;
        }
    }
    return data->len > 0 ? g_base64_encode(data->data, data->len) : NULL;
}

static JsonArray *string_array(char **strings)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; strings[i] != NULL; i++)
        json_array_add_string_element(array, strings[i]);
    return array;
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

static gboolean start(Exec *exec, char **words, const char *input, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) reply = NULL;

    json_object_set_string_member(arguments, "path", words[0]);
    json_object_set_array_member(arguments, "arg", string_array(words + 1));
    if (exec->task->environment != NULL)
        json_object_set_array_member(arguments, "env", string_array(exec->task->environment));
    if (input != NULL)
        json_object_set_string_member(arguments, "input-data", input);
    json_object_set_boolean_member(arguments, "capture-output", TRUE);
    reply = agent_link_call(exec->link, "guest-exec", arguments, answer_deadline(exec), error);
    if (reply == NULL)
        return FALSE;
    exec->pid = object_int(reply_as_object(reply), "pid", -1);
    if (exec->pid > 0)
        return TRUE;
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest-exec: the agent has not said which process");
    return FALSE;
}

/* Has the guest's shell send the signal. What becomes of it is seen by the process' end. */
static void send_signal(Exec *exec, int number)
{
    JsonObject *arguments = json_object_new();
    JsonArray *words = json_array_new();
    g_autofree char *pid = g_strdup_printf("%" G_GINT64_FORMAT, exec->pid);
    g_autofree char *script = g_strdup_printf(KILL_SCRIPT, number, number);
    g_autoptr(JsonNode) reply = NULL;
    GError *error = NULL;

    json_array_add_string_element(words, "-c");
    json_array_add_string_element(words, script);
    json_array_add_string_element(words, pid);
    json_object_set_string_member(arguments, "path", "/bin/sh");
    json_object_set_array_member(arguments, "arg", words);
    reply = agent_link_call(exec->link, "guest-exec", arguments, answer_deadline(exec), &error);
    if (reply == NULL) {
        complain("process %s could not be sent signal %d: %s", pid, number, error->message);
        g_error_free(error);
    }
}

static gboolean write_all(int fd, const guchar *data, gsize length)
{
    while (length > 0) {
        ssize_t count = write(fd, data, length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return FALSE;
        data += count;
        length -= (gsize)count;
    }
    return TRUE;
}

/* The program's bytes are passed on as they are, as ssh does. */
static gboolean pass_on(JsonObject *status, const char *member, int fd, const char *name, GError **error)
{
    const char *text = object_string(status, member, NULL);
    g_autofree guchar *data = NULL;
    gsize length = 0;

    if (text == NULL)
        return TRUE;
    data = g_base64_decode(text, &length);
    if (write_all(fd, data, length))
        return TRUE;
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot write to %s: %s", name, g_strerror(errno));
    return FALSE;
}

/* One question; TRUE: it has ended, with the status for our caller. */
static gboolean ask(Exec *exec, int *result, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) reply = NULL;
    JsonObject *status;

    json_object_set_int_member(arguments, "pid", exec->pid);
    reply = agent_link_call(exec->link, "guest-exec-status", arguments, answer_deadline(exec), error);
    if (reply == NULL)
        return FALSE;
    status = reply_as_object(reply);
    if (!object_bool(status, "exited", FALSE))
        return FALSE;
    if (!pass_on(status, "out-data", STDOUT_FILENO, "standard output", error) ||
        !pass_on(status, "err-data", STDERR_FILENO, "standard error", error))
        return FALSE;
    exec->is_cut = object_bool(status, "out-truncated", FALSE) || object_bool(status, "err-truncated", FALSE);
    if (json_object_has_member(status, "signal"))
        *result = 128 + (int)(object_int(status, "signal", 0) & 0x7f); /* as a shell says it */
    else
        *result = (int)(object_int(status, "exitcode", AGENT_EXEC_FAILED) & 0xff);
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
        send_signal(exec, number);
}

/* What of ours has gone wrong must not look like the program's status. */
static int fail(GError *error)
{
    int status = complain_error(error);

    return status == VMCTL_TIMED_OUT ? status : AGENT_EXEC_FAILED;
}

static int run(Exec *exec, char **words, const char *input)
{
    GError *error = NULL;
    guint pause = FIRST_PAUSE_MS;
    gint64 give_up = 0; /* once it was killed */
    gboolean has_ended = TRUE;
    int result = AGENT_EXEC_FAILED;

    if (!start(exec, words, input, &error))
        return fail(error);
    while (!ask(exec, &result, &error)) {
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
        interrupt_wait(exec->interrupt, pause);
        pause = MIN(pause * 2, MAX_PAUSE_MS);
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
    g_autofree char *input = NULL;
    GError *error = NULL;

    if (words[0] == NULL)
        return options_usage_error(task->verb, "exec: which program?");
    if (task->has_timeout)
        exec.deadline = deadline_after_ms(task->timeout_ms);
    if (check_text(words, &error) && check_text(task->environment, &error)) {
        input = read_input(task, &error);
        if (error == NULL)
            exec.link = link = agent_link_open(&task->target, answer_deadline(&exec), &error);
    }
    if (link != NULL)
        exec.interrupt = interrupt = interrupt_new(1, &error);
    if (interrupt == NULL)
        return fail(error);
    agent_link_set_cancellable(link, interrupt_cancellable(interrupt));
    return run(&exec, words, input);
}
