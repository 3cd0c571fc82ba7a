// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-exec, guest-exec-status: programs of the guest and what became of them. */
#include "guest-agent/agent.h"
#include "guest-agent/base64.h"
#include "guest-agent/child.h"

#include <string.h>
#include <sys/wait.h>

/* Ended processes that nobody asks about are forgotten, the oldest first, above: */
#define ENDED_MAX       256
#define ENDED_BYTES_MAX ((gsize)256 << 20)

#define PIECE ((gsize)192 << 10) /* bytes of output encoded at a time, a multiple of 3 */

/* How long the answer about a process that still runs is put off: most end soon, and a host that asks in a
 * tight loop would keep the processors from the very process it waits for. */
#define STATUS_WAIT_MS 5

struct AgentExec {
    Agent *agent;
    GHashTable *by_pid; /* pid (gint64) -> Process */
    GQueue ended;       /* of Process, in the order of their ends */
    gsize ended_bytes;  /* captured output that they hold */
};

typedef struct Process {
    AgentExec *exec;
    gint64 pid;
    Child *child;
    gboolean ended;    /* and so in exec->ended */
    gsize held;        /* bytes counted in ended_bytes */
    CommandCall *asks; /* a guest-exec-status that waits a little, or NULL */
    guint wait;        /* its timer */
} Process;

static void answer_status(Process *process, CommandCall *call);

/* Answers the status that waits, if any. The process may be gone afterwards. */
static void answer_waiting(Process *process)
{
    if (!process->asks)
        return;
    g_source_remove(process->wait);
    process->wait = 0;
    answer_status(process, g_steal_pointer(&process->asks));
}

static void process_free(gpointer data)
{
    Process *process = data;
    if (process->asks) {
        g_source_remove(process->wait);
        command_call_fail(process->asks, "PID %" G_GINT64_FORMAT " does not exist", process->pid);
    }
    if (process->ended) {
        g_queue_remove(&process->exec->ended, process);
        process->exec->ended_bytes -= process->held;
    }
    child_free(process->child);
    g_free(process);
}

static void forget(AgentExec *exec, Process *process)
{
    g_hash_table_remove(exec->by_pid, &process->pid);
}

static gsize captured_bytes(const Child *child)
{
    const GByteArray *out = child_captured(child, CHILD_STDOUT), *err = child_captured(child, CHILD_STDERR);
    return (out ? out->len : 0) + (err ? err->len : 0);
}

static void on_ended(Child *child, gpointer user_data)
{
    Process *process = user_data;
    AgentExec *exec = process->exec;
    process->ended = TRUE;
    process->held = captured_bytes(child);
    exec->ended_bytes += process->held;
    g_queue_push_tail(&exec->ended, process);
    while (g_queue_get_length(&exec->ended) > ENDED_MAX ||
           (exec->ended_bytes > ENDED_BYTES_MAX && g_queue_get_length(&exec->ended) > 1)) {
        Process *oldest = g_queue_peek_head(&exec->ended);
        g_info("forgetting process %" G_GINT64_FORMAT ": its status was never asked for", oldest->pid);
        forget(exec, oldest);
    }
    /* the one that has just ended is never the oldest of several: it is still there */
    answer_waiting(process);
}

/* ---- guest-exec ---- */

static const char *const OUTPUT_WORDS[] = {"none", "stdout", "stderr", "separated", "merged", NULL};
static const ChildOutput OUTPUTS[] = {CHILD_OUTPUT_NONE, CHILD_OUTPUT_STDOUT, CHILD_OUTPUT_STDERR,
                                      CHILD_OUTPUT_SEPARATE, CHILD_OUTPUT_MERGED};

static ChildOutput read_output(JsonObject *arguments)
{
    JsonNode *value = json_object_get_member(arguments, "capture-output");
    if (!value)
        return CHILD_OUTPUT_NONE;
    if (json_node_get_value_type(value) == G_TYPE_BOOLEAN)
        return json_node_get_boolean(value) ? CHILD_OUTPUT_SEPARATE : CHILD_OUTPUT_NONE;
    gsize i = 0;
    while (!g_str_equal(json_node_get_string(value), OUTPUT_WORDS[i]))
        i++;
    return OUTPUTS[i];
}

/* Appends the strings (borrowed) of an array that may not be there, and NULL. */
static void add_strings(GPtrArray *strings, JsonObject *arguments, const char *name)
{
    if (command_has(arguments, name)) {
        JsonArray *array = json_object_get_array_member(arguments, name);
        for (guint i = 0; i < json_array_get_length(array); i++)
            g_ptr_array_add(strings, (gpointer)json_array_get_string_element(array, i));
    }
    g_ptr_array_add(strings, NULL);
}

GPtrArray *agent_exec_argv(JsonObject *arguments)
{
    GPtrArray *argv = g_ptr_array_new();
    g_ptr_array_add(argv, (gpointer)command_string(arguments, "path", ""));
    add_strings(argv, arguments, "arg");
    return argv;
}

GPtrArray *agent_exec_env(JsonObject *arguments)
{
    if (!command_has(arguments, "env"))
        return NULL;
    GPtrArray *env = g_ptr_array_new();
    add_strings(env, arguments, "env");
    return env;
}

/* NULL without error: there is none. */
static GBytes *read_input(JsonObject *arguments, GError **error)
{
    const char *text = command_string(arguments, "input-data", NULL);
    if (!text)
        return NULL;
    gsize size;
    guint8 *data = base64_decode(text, strlen(text), &size, error);
    return data ? g_bytes_new_take(data, size) : NULL;
}

static void guest_exec(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    AgentExec *exec = agent->exec;
    GError *error = NULL;
    g_autoptr(GBytes) input = read_input(arguments, &error);
    if (error) {
        command_call_take_error(call, error);
        return;
    }
    g_autoptr(GPtrArray) argv = agent_exec_argv(arguments), env = agent_exec_env(arguments);
    g_autofree char *line = g_strjoinv(" ", (char **)argv->pdata);
    audit_log(agent->audit, "guest-exec called: \"%s\"", line);

    ChildSpec spec = {
        .argv = (const char *const *)argv->pdata,
        .env = env ? (const char *const *)env->pdata : NULL,
        .input = input,
        .output = read_output(arguments),
        .limit = (gsize)agent->options->exec_output_bytes,
    };
    Process *process = g_new0(Process, 1);
    process->exec = exec;
    process->child = child_start(&spec, on_ended, process, &error);
    if (!process->child) {
        g_free(process);
        command_call_take_error(call, error);
        return;
    }
    process->pid = child_pid(process->child);
    /* an ended process whose status nobody asked for may have had the same pid */
    g_hash_table_replace(exec->by_pid, &process->pid, process);
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "pid", process->pid);
    command_call_return_object(call, answer);
}

/* ---- guest-exec-status ---- */

/* The answer about a process that has ended. Its output may be big: it goes out in pieces. */
typedef struct EndAnswer {
    CommandCall *call;
    JsonObject *answer; /* all but the output */
    Child *child;       /* whose output it is */
    int stream;         /* that is being sent */
    gsize sent;         /* bytes of it */
} EndAnswer;

static const char *const DATA_NAMES[] = {[CHILD_STDOUT] = "out-data", [CHILD_STDERR] = "err-data"};
static const char *const TRUNCATED_NAMES[] = {
    [CHILD_STDOUT] = "out-truncated", [CHILD_STDERR] = "err-truncated"};

/* TRUE if there is (more) output to send. */
static gboolean find_output(EndAnswer *end)
{
    for (; end->stream <= CHILD_STDERR; end->stream++, end->sent = 0) {
        const GByteArray *data = child_captured(end->child, (ChildStream)end->stream);
        if (data && end->sent < data->len)
            return TRUE;
    }
    return FALSE;
}

static void send_output(gpointer user_data)
{
    EndAnswer *end = user_data;
    const GByteArray *data = child_captured(end->child, (ChildStream)end->stream);
    gsize length = MIN(PIECE, data->len - end->sent);
    g_autoptr(GString) text = g_string_sized_new(length / 3 * 4 + 8);
    base64_append(text, data->data + end->sent, length);
    command_call_send_text(end->call, DATA_NAMES[end->stream], text->str, text->len);
    end->sent += length;
    if (command_call_session(end->call) && find_output(end)) {
        command_call_when_room(end->call, send_output, end);
        return;
    }
    command_call_send_end(end->call, end->answer);
    child_free(end->child);
    g_free(end);
}

static void answer_end(Process *process, CommandCall *call, JsonObject *answer)
{
    int status = child_wait_status(process->child);
    if (WIFEXITED(status))
        json_object_set_int_member(answer, "exitcode", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        json_object_set_int_member(answer, "signal", WTERMSIG(status));
    for (int i = CHILD_STDOUT; i <= CHILD_STDERR; i++) {
        const GByteArray *data = child_captured(process->child, (ChildStream)i);
        if (data && data->len)
            json_object_set_boolean_member(answer, TRUNCATED_NAMES[i],
                                           child_was_truncated(process->child, (ChildStream)i));
    }
    EndAnswer *end = g_new0(EndAnswer, 1);
    *end = (EndAnswer){.call = call, .answer = answer, .child = process->child};
    process->child = NULL;
    forget(process->exec, process);
    if (find_output(end)) {
        command_call_when_room(call, send_output, end);
        return;
    }
    command_call_return_object(call, answer);
    child_free(end->child);
    g_free(end);
}

static void answer_status(Process *process, CommandCall *call)
{
    JsonObject *answer = json_object_new();
    gboolean ended = child_has_ended(process->child);
    json_object_set_boolean_member(answer, "exited", ended);
    if (ended)
        answer_end(process, call, answer);
    else
        command_call_return_object(call, answer);
}

static gboolean wait_is_over(gpointer user_data)
{
    Process *process = user_data;
    answer_waiting(process);
    return G_SOURCE_REMOVE;
}

static void guest_exec_status(CommandCall *call, JsonObject *arguments, gpointer data)
{
    AgentExec *exec = ((Agent *)data)->exec;
    gint64 pid = command_int(arguments, "pid", 0);
    Process *process = g_hash_table_lookup(exec->by_pid, &pid);
    if (!process) {
        command_call_fail(call, "PID %" G_GINT64_FORMAT " does not exist", pid);
        return;
    }
    if (child_has_ended(process->child) || process->asks) {
        answer_status(process, call);
        return;
    }
    process->asks = call;
    process->wait = g_timeout_add(STATUS_WAIT_MS, wait_is_over, process);
}

/* ---- the subject ---- */

AgentExec *agent_exec_new(Agent *agent)
{
    AgentExec *exec = g_new0(AgentExec, 1);
    exec->agent = agent;
    exec->by_pid = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, process_free);
    g_queue_init(&exec->ended);
    return exec;
}

void agent_exec_free(AgentExec *exec)
{
    g_hash_table_unref(exec->by_pid);
    g_free(exec);
}

static const CommandArg STRING_ELEMENT = {.type = COMMAND_ARG_STRING};
static const CommandArg CAPTURE_TYPES[] = {
    {.name = "flag", .type = COMMAND_ARG_BOOL},
    {.name = "mode", .type = COMMAND_ARG_ENUM, .values = OUTPUT_WORDS},
    {0},
};
static const CommandArg EXEC_ARGS[] = {
    {.name = "path", .type = COMMAND_ARG_STRING},
    {.name = "arg", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &STRING_ELEMENT},
    {.name = "env", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &STRING_ELEMENT},
    {.name = "input-data", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "capture-output",
     .type = COMMAND_ARG_ALTERNATE,
     .optional = TRUE,
     .members = CAPTURE_TYPES,
     .type_name = "GuestExecCaptureOutput"},
    {0},
};
static const CommandArg STATUS_ARGS[] = {{.name = "pid", .type = COMMAND_ARG_INT}, {0}};

const Command COMMANDS_EXEC[] = {
    {"guest-exec", EXEC_ARGS, guest_exec, COMMAND_FLAG_NONE},
    {"guest-exec-status", STATUS_ARGS, guest_exec_status, COMMAND_FLAG_NONE},
    {0},
};
