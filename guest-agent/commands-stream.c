// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-exec-stream, guest-exec-stream-io: programs whose input and output go to and fro while they run.
 * Ours, not qemu-ga's: docs/guest-agent-protocol.md.
 *
 * Nothing is kept here: each exchange writes to and reads from the process's pipes, and these hold the
 * process up when the host does not come to fetch.
 */
#include "guest-agent/agent.h"
#include "guest-agent/base64.h"
#include "guest-agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAMS_MAX   64            /* processes that have not been asked for to their end */
#define PIPE_SIZE     (256 * 1024)  /* bytes, if the kernel grants it */
#define COUNT_DEFAULT (64 * 1024)   /* bytes of each stream an exchange */
#define COUNT_MAX     (1024 * 1024) /* likewise */
#define WAIT_MAX      60000         /* ms */

enum { IN, OUT, ERR, N_PIPES };

struct AgentStreams {
    Agent *agent;
    GHashTable *by_pid; /* pid (gint64) -> Stream */
    GQueue ended;       /* of Stream, in the order of their ends */
};

typedef struct Stream {
    AgentStreams *streams;
    gint64 pid;
    Child *child;
    int pipes[N_PIPES];  /* our ends; -1: none, or at its end */
    gboolean ended;      /* and so in streams->ended */
    gint64 ended_at;     /* monotonic, µs */
    gboolean told_ended; /* the host knows */

    /* the exchange that waits, if any */
    CommandCall *call;
    GBytes *input;    /* not yet taken by the process; NULL: none */
    gsize taken;      /* bytes that it took in this exchange */
    gboolean close;   /* its input, when it has taken all */
    gboolean refused; /* it has closed its input itself */
    gsize count;
    guint timer;
    guint watches[N_PIPES];
} Stream;

static void close_pipe(Stream *stream, int which)
{
    if (stream->pipes[which] >= 0)
        close(stream->pipes[which]);
    stream->pipes[which] = -1;
}

static void stop_waiting(Stream *stream)
{
    if (stream->timer)
        g_source_remove(stream->timer);
    stream->timer = 0;
    for (int i = 0; i < N_PIPES; i++) {
        if (stream->watches[i])
            g_source_remove(stream->watches[i]);
        stream->watches[i] = 0;
    }
}

static void stream_free(gpointer data)
{
    Stream *stream = data;
    stop_waiting(stream);
    if (stream->call)
        command_call_fail(stream->call, "PID %" G_GINT64_FORMAT " does not exist", stream->pid);
    if (stream->ended)
        g_queue_remove(&stream->streams->ended, stream);
    for (int i = 0; i < N_PIPES; i++)
        close_pipe(stream, i);
    g_clear_pointer(&stream->input, g_bytes_unref);
    child_free(stream->child);
    g_free(stream);
}

/* ---- an exchange ---- */

/* Gives the process what it takes. */
static void write_input(Stream *stream)
{
    while (stream->input && stream->pipes[IN] >= 0) {
        gsize length;
        const void *data = g_bytes_get_data(stream->input, &length);
        gssize n = write(stream->pipes[IN], data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) { /* it does not want any more */
            stream->refused = TRUE;
            close_pipe(stream, IN);
            break;
        }
        stream->taken += (gsize)n;
        GBytes *rest =
            (gsize)n < length ? g_bytes_new_from_bytes(stream->input, (gsize)n, length - (gsize)n) : NULL;
        g_bytes_unref(stream->input);
        stream->input = rest;
    }
    g_clear_pointer(&stream->input, g_bytes_unref);
    if (stream->close)
        close_pipe(stream, IN);
}

/* Reads what there is, up to the count; at the stream's end closes the pipe. A process that was left behind
 * may hold the pipe when ours has ended: it is not waited for. */
static GByteArray *read_output(Stream *stream, int which)
{
    GByteArray *data = g_byte_array_new();
    gboolean dry = FALSE;
    while (stream->pipes[which] >= 0 && data->len < stream->count && !dry) {
        guint before = data->len;
        g_byte_array_set_size(data, (guint)MIN(before + 65536, stream->count));
        gssize n = read(stream->pipes[which], data->data + before, data->len - before);
        g_byte_array_set_size(data, before + (guint)MAX(n, 0));
        dry = n < 0 && errno == EAGAIN;
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            close_pipe(stream, which);
    }
    if (dry && stream->ended &&
        g_get_monotonic_time() - stream->ended_at >= CHILD_GRACE_MS * G_TIME_SPAN_MILLISECOND)
        close_pipe(stream, which);
    return data;
}

static void add_data(JsonObject *answer, const char *name, const GByteArray *data)
{
    if (!data->len)
        return;
    g_autoptr(GString) text = g_string_sized_new(data->len / 3 * 4 + 8);
    base64_append(text, data->data, data->len);
    json_object_set_string_member(answer, name, text->str);
}

static void add_status(JsonObject *answer, Stream *stream)
{
    json_object_set_boolean_member(answer, "exited", stream->ended);
    if (!stream->ended)
        return;
    int status = child_wait_status(stream->child);
    if (WIFEXITED(status))
        json_object_set_int_member(answer, "exitcode", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        json_object_set_int_member(answer, "signal", WTERMSIG(status));
    stream->told_ended = TRUE;
}

/* Answers the call if there is something to tell, or `anyway`; the stream may be gone then. */
static gboolean exchange(Stream *stream, gboolean anyway)
{
    write_input(stream);
    g_autoptr(GByteArray) out = read_output(stream, OUT);
    g_autoptr(GByteArray) err = read_output(stream, ERR);
    gboolean at_end = stream->pipes[OUT] < 0 && stream->pipes[ERR] < 0;
    gboolean news = stream->ended && (at_end || !stream->told_ended);
    if (!anyway && !news && !out->len && !err->len && !stream->taken && !stream->refused)
        return FALSE;
    stop_waiting(stream);
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "input-count", (gint64)stream->taken);
    if (stream->refused)
        json_object_set_boolean_member(answer, "input-closed", TRUE);
    add_data(answer, "out-data", out);
    add_data(answer, "err-data", err);
    add_status(answer, stream);
    json_object_set_boolean_member(answer, "eof", at_end);
    CommandCall *call = g_steal_pointer(&stream->call);
    g_clear_pointer(&stream->input, g_bytes_unref); /* what was not taken is sent again */
    if (stream->ended && at_end)
        g_hash_table_remove(stream->streams->by_pid, &stream->pid);
    command_call_return_object(call, answer);
    return TRUE;
}

static gboolean on_pipe(int fd, GIOCondition condition, gpointer user_data)
{
    Stream *stream = user_data;
    if (exchange(stream, FALSE))
        return G_SOURCE_REMOVE;
    for (int i = 0; i < N_PIPES; i++) { /* one has come to its end in silence */
        if (stream->watches[i] && stream->pipes[i] < 0) {
            g_source_remove(stream->watches[i]);
            stream->watches[i] = 0;
        }
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_timeout(gpointer user_data)
{
    exchange(user_data, TRUE);
    return G_SOURCE_REMOVE;
}

static void wait_for_news(Stream *stream, guint ms)
{
    static const GIOCondition CONDITIONS[N_PIPES] = {[IN] = G_IO_OUT | G_IO_ERR,
                                                     [OUT] = G_IO_IN | G_IO_HUP | G_IO_ERR,
                                                     [ERR] = G_IO_IN | G_IO_HUP | G_IO_ERR};
    stream->timer = g_timeout_add(stream->ended ? MIN(ms, CHILD_GRACE_MS) : ms, on_timeout, stream);
    for (int i = 0; i < N_PIPES; i++) {
        if (stream->pipes[i] >= 0 && (i != IN || stream->input))
            stream->watches[i] = g_unix_fd_add(stream->pipes[i], CONDITIONS[i], on_pipe, stream);
    }
}

static void guest_exec_stream_io(CommandCall *call, JsonObject *arguments, gpointer data)
{
    AgentStreams *streams = ((Agent *)data)->streams;
    gint64 pid = command_int(arguments, "pid", 0), signal_number = command_int(arguments, "signal", 0);
    gint64 count = command_int(arguments, "count", COUNT_DEFAULT), wait = command_int(arguments, "wait", 0);
    const char *text = command_string(arguments, "input-data", "");
    GError *error = NULL;
    gsize size = 0;
    Stream *stream = g_hash_table_lookup(streams->by_pid, &pid);
    if (!stream) {
        command_call_fail(call, "PID %" G_GINT64_FORMAT " does not exist", pid);
    } else if (stream->call) {
        command_call_fail(call, "another exchange with PID %" G_GINT64_FORMAT " is waiting", pid);
    } else if (count < 1 || count > COUNT_MAX) {
        command_call_fail(call, "value '%" G_GINT64_FORMAT "' is invalid for argument count", count);
    } else if (wait < 0 || wait > WAIT_MAX) {
        command_call_fail(call, "value '%" G_GINT64_FORMAT "' is invalid for argument wait", wait);
    } else if (signal_number < 0 || signal_number >= NSIG) {
        command_call_fail(call, "value '%" G_GINT64_FORMAT "' is invalid for argument signal", signal_number);
    } else {
        g_autofree guint8 *input = base64_decode(text, strlen(text), &size, &error);
        if (!input) {
            command_call_take_error(call, error);
            return;
        }
        if (signal_number && !stream->ended)
            kill(-(pid_t)pid, (int)signal_number);
        stream->call = call;
        stream->count = (gsize)count;
        stream->taken = 0;
        stream->refused = size && stream->pipes[IN] < 0;
        stream->input = size ? g_bytes_new_take(g_steal_pointer(&input), size) : NULL;
        stream->close = command_bool(arguments, "input-end", FALSE);
        if (!exchange(stream, wait == 0))
            wait_for_news(stream, (guint)wait);
    }
}

/* ---- the start ---- */

static void on_ended(Child *child, gpointer user_data)
{
    Stream *stream = user_data;
    stream->ended = TRUE;
    stream->ended_at = g_get_monotonic_time();
    g_queue_push_tail(&stream->streams->ended, stream);
    if (stream->call)
        exchange(stream, FALSE);
}

/* Makes the process's and our end of a pipe; ours does not block. */
static gboolean make_pipe(int *theirs, int *ours, gboolean inwards)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return FALSE;
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    *theirs = ends[inwards ? 0 : 1];
    *ours = ends[inwards ? 1 : 0];
    return g_unix_set_fd_nonblocking(*ours, TRUE, NULL);
}

static gboolean make_pipes(Stream *stream, int *theirs, JsonObject *arguments)
{
    gboolean merged = g_str_equal(command_string(arguments, "output", "separated"), "merged");
    if (command_bool(arguments, "input", FALSE) && !make_pipe(&theirs[IN], &stream->pipes[IN], TRUE))
        return FALSE;
    if (!make_pipe(&theirs[OUT], &stream->pipes[OUT], FALSE))
        return FALSE;
    if (merged)
        return (theirs[ERR] = fcntl(theirs[OUT], F_DUPFD_CLOEXEC, 3)) >= 0;
    return make_pipe(&theirs[ERR], &stream->pipes[ERR], FALSE);
}

static gboolean start(Stream *stream, JsonObject *arguments, const char *const *argv, const char *const *env,
                      GError **error)
{
    int theirs[N_PIPES] = {-1, -1, -1};
    ChildSpec spec = {.argv = argv, .env = env, .fds = theirs};
    if (make_pipes(stream, theirs, arguments))
        stream->child = child_start(&spec, on_ended, stream, error);
    else
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "cannot make a pipe: %s",
                    g_strerror(errno));
    for (int i = 0; i < N_PIPES; i++) {
        if (theirs[i] >= 0)
            close(theirs[i]);
    }
    return stream->child != NULL;
}

static void guest_exec_stream(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    AgentStreams *streams = agent->streams;
    if (g_hash_table_size(streams->by_pid) >= STREAMS_MAX) {
        Stream *oldest = g_queue_peek_head(&streams->ended);
        if (!oldest) {
            command_call_fail(call, "too many processes: %d are the most", STREAMS_MAX);
            return;
        }
        g_hash_table_remove(streams->by_pid, &oldest->pid);
    }
    g_autoptr(GPtrArray) argv = agent_exec_argv(arguments), env = agent_exec_env(arguments);
    g_autofree char *line = g_strjoinv(" ", (char **)argv->pdata);
    audit_log(agent->audit, "guest-exec-stream called: \"%s\"", line);
    Stream *stream = g_new0(Stream, 1);
    *stream = (Stream){.streams = streams, .pipes = {-1, -1, -1}};
    GError *error = NULL;
    if (!start(stream, arguments, (const char *const *)argv->pdata,
               env ? (const char *const *)env->pdata : NULL, &error)) {
        stream_free(stream);
        command_call_take_error(call, error);
        return;
    }
    stream->pid = child_pid(stream->child);
    g_hash_table_replace(streams->by_pid, &stream->pid, stream);
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "pid", stream->pid);
    command_call_return_object(call, answer);
}

/* ---- the subject ---- */

AgentStreams *agent_streams_new(Agent *agent)
{
    AgentStreams *streams = g_new0(AgentStreams, 1);
    streams->agent = agent;
    streams->by_pid = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, stream_free);
    g_queue_init(&streams->ended);
    return streams;
}

void agent_streams_free(AgentStreams *streams)
{
    g_hash_table_unref(streams->by_pid);
    g_free(streams);
}

static const CommandArg STRING_ELEMENT = {.type = COMMAND_ARG_STRING};
static const char *const OUTPUT_WORDS[] = {"separated", "merged", NULL};
static const CommandArg STREAM_ARGS[] = {
    {.name = "path", .type = COMMAND_ARG_STRING},
    {.name = "arg", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &STRING_ELEMENT},
    {.name = "env", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &STRING_ELEMENT},
    {.name = "input", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {.name = "output", .type = COMMAND_ARG_ENUM, .optional = TRUE, .values = OUTPUT_WORDS},
    {0},
};
static const CommandArg IO_ARGS[] = {
    {.name = "pid", .type = COMMAND_ARG_INT},
    {.name = "input-data", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {.name = "input-end", .type = COMMAND_ARG_BOOL, .optional = TRUE},
    {.name = "signal", .type = COMMAND_ARG_INT, .optional = TRUE},
    {.name = "count", .type = COMMAND_ARG_INT, .optional = TRUE},
    {.name = "wait", .type = COMMAND_ARG_INT, .optional = TRUE},
    {0},
};

const Command COMMANDS_STREAM[] = {
    {"guest-exec-stream", STREAM_ARGS, guest_exec_stream, COMMAND_FLAG_NONE},
    {"guest-exec-stream-io", IO_ARGS, guest_exec_stream_io, COMMAND_FLAG_NONE},
    {0},
};
