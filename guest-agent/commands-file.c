// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-file-open, -close, -read, -write, -seek, -flush: files of the guest by handle.
 *
 * Handles belong to the agent, not to a connection: hosts keep them over reconnects. Every operation runs in
 * a worker thread, since a file may be on a mount that hangs; those of one handle run one after the other.
 * Nothing is buffered between the host and the kernel. What is read goes out in pieces as the host takes
 * them.
 */
#include "guest-agent/agent.h"
#include "guest-agent/base64.h"
#include "guest-agent/handle-counter.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_MAX     (48 * 1024 * 1024) /* bytes a read, guest-file-read's own limit */
#define COUNT_DEFAULT 4096
#define PIECE         (192 * 1024) /* bytes read and encoded at a time, a multiple of 3 */

struct AgentFiles {
    Agent *agent;
    HandleCounter *counter;
    GHashTable *open; /* handle (gint64) -> OpenFile */
    guint opening;    /* guest-file-open under way */
};

typedef struct OpenFile {
    gint64 handle;
    int fd;
    GQueue waiting; /* of FileWork; the head is running */
} OpenFile;

/* One command on its way through a thread. */
typedef struct FileWork {
    AgentFiles *files;
    CommandCall *call;
    OpenFile *file;
    void (*run)(
        struct FileWork *work); /* in a thread: touches nothing but this work and the file's descriptor */
    void (*answer)(struct FileWork *work); /* in the main thread: finishes the call */
    gboolean closes;                       /* the file is gone afterwards */
    GError *error;

    /* in; strings are borrowed from the call's arguments */
    const char *path, *mode, *text;
    int flags, whence;
    gint64 offset, count; /* count -1: not given */
    /* out */
    int fd;
    gint64 result;
    gboolean eof;
    GString *data;   /* of a read, base64; what of it is not yet sent */
    gboolean more;   /* a read that has not come to its end */
    gboolean pieces; /* its reply goes out in pieces */
} FileWork;

static gboolean fail(FileWork *work, const char *what)
{
    int errnum = errno;
    work->error =
        g_error_new(G_FILE_ERROR, g_file_error_from_errno(errnum), "%s: %s", what, g_strerror(errnum));
    return FALSE;
}

/* TRUE, the call failed, if there was an error. */
static gboolean answer_error(FileWork *work)
{
    if (!work->error)
        return FALSE;
    command_call_take_error(work->call, g_steal_pointer(&work->error));
    return TRUE;
}

/* ---- the way through a thread ---- */

static void work_run(gpointer data)
{
    FileWork *work = data;
    work->run(work);
}

static void work_done(gpointer data);

static void work_start(FileWork *work)
{
    worker_run(work->files->agent->worker, work_run, work_done, work);
}

/* Its handle is free for the next one. */
static void work_end(FileWork *work)
{
    if (work->closes) {
        g_queue_clear(&work->file->waiting); /* this work was the last */
        g_free(work->file);
    } else if (work->file) {
        g_queue_pop_head(&work->file->waiting);
        FileWork *next = g_queue_peek_head(&work->file->waiting);
        if (next)
            work_start(next);
    }
    work->answer(work);
    if (work->data)
        g_string_free(work->data, TRUE);
    g_free(work);
}

static void send_piece(gpointer data);

static void work_done(gpointer data)
{
    FileWork *work = data;
    work->pieces |= work->more;
    if (work->pieces)
        command_call_when_room(work->call, send_piece, work);
    else
        work_end(work);
}

static FileWork *work_new(CommandCall *call, AgentFiles *files, void (*run)(FileWork *),
                          void (*answer)(FileWork *))
{
    FileWork *work = g_new0(FileWork, 1);
    work->files = files;
    work->call = call;
    work->run = run;
    work->answer = answer;
    work->count = -1;
    return work;
}

/* Starts work on the handle that the arguments name, after what is already under way there; answers the call
 * if there is no such handle. */
static void work_on_handle(FileWork *work, JsonObject *arguments)
{
    gint64 handle = command_int(arguments, "handle", 0);
    OpenFile *file = g_hash_table_lookup(work->files->open, &handle);
    if (!file) {
        command_call_fail(work->call, "handle '%" G_GINT64_FORMAT "' has not been found", handle);
        g_free(work);
        return;
    }
    if (work->closes)
        g_hash_table_steal(work->files->open, &handle);
    work->file = file;
    g_queue_push_tail(&file->waiting, work);
    if (g_queue_get_length(&file->waiting) == 1)
        work_start(work);
}

static AgentFiles *files_of(gpointer data)
{
    return ((Agent *)data)->files;
}

/* ---- guest-file-open ---- */

/* The words of fopen(3). -1: no such mode. */
static int flags_of_mode(const char *mode)
{
    static const struct {
        const char *words[4];
        int flags;
    } MODES[] = {
        {{"r", "rb"}, O_RDONLY},
        {{"w", "wb"}, O_WRONLY | O_CREAT | O_TRUNC},
        {{"a", "ab"}, O_WRONLY | O_CREAT | O_APPEND},
        {{"r+", "rb+", "r+b"}, O_RDWR},
        {{"w+", "wb+", "w+b"}, O_RDWR | O_CREAT | O_TRUNC},
        {{"a+", "ab+", "a+b"}, O_RDWR | O_CREAT | O_APPEND},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(MODES); i++) {
        if (g_strv_contains(MODES[i].words, mode))
            return MODES[i].flags;
    }
    return -1;
}

/* Opens, or makes a file that has mode 0666 whatever the umask. */
static int open_or_make(const char *path, int flags)
{
    flags |= O_NONBLOCK | O_CLOEXEC | O_NOCTTY; /* a FIFO without a peer must not hold us */
    for (int tries = 0;; tries++) {
        int fd = open(path, flags & ~O_CREAT);
        if (fd >= 0 || errno != ENOENT || !(flags & O_CREAT) || tries == 3)
            return fd;
        fd = open(path, flags | O_EXCL, 0);
        if (fd >= 0 && fchmod(fd, 0666) < 0) {
            int errnum = errno;
            close(fd);
            unlink(path);
            errno = errnum;
            return -1;
        }
        if (fd >= 0 || errno != EEXIST) /* EEXIST: it has come in between */
            return fd;
    }
}

static void open_run(FileWork *work)
{
    work->fd = open_or_make(work->path, work->flags);
    if (work->fd < 0) {
        g_autofree char *what =
            g_strdup_printf("failed to open file '%s' (mode: '%s')", work->path, work->mode);
        fail(work, what);
    }
}

static void open_answer(FileWork *work)
{
    work->files->opening--;
    if (answer_error(work))
        return;
    OpenFile *file = g_new0(OpenFile, 1);
    file->fd = work->fd;
    file->handle = handle_counter_next(work->files->counter);
    g_queue_init(&file->waiting);
    g_hash_table_insert(work->files->open, &file->handle, file);
    audit_log(work->files->agent->audit, "guest-file-open, handle: %" G_GINT64_FORMAT ", path: %s, mode: %s",
              file->handle, work->path, work->mode);
    command_call_return_int(work->call, file->handle);
}

static void guest_file_open(CommandCall *call, JsonObject *arguments, gpointer data)
{
    AgentFiles *files = files_of(data);
    const char *mode = command_string(arguments, "mode", "r");
    int flags = flags_of_mode(mode);
    if (flags < 0) {
        command_call_fail(call, "invalid file open mode '%s'", mode);
        return;
    }
    gint64 most = files->agent->options->file_handles;
    if (g_hash_table_size(files->open) + files->opening >= most) {
        command_call_fail(call, "too many open files: %" G_GINT64_FORMAT " handles are the most", most);
        return;
    }
    FileWork *work = work_new(call, files, open_run, open_answer);
    work->path = command_string(arguments, "path", "");
    work->mode = mode;
    work->flags = flags;
    files->opening++;
    work_start(work);
}

/* ---- guest-file-close, -flush ---- */

static void close_run(FileWork *work)
{
    if (close(work->file->fd) < 0)
        fail(work, "failed to close handle");
}

static void close_answer(FileWork *work)
{
    if (!answer_error(work))
        command_call_return_empty(work->call);
}

static void guest_file_close(CommandCall *call, JsonObject *arguments, gpointer data)
{
    FileWork *work = work_new(call, files_of(data), close_run, close_answer);
    work->closes = TRUE;
    work_on_handle(work, arguments);
}

/* Everything is with the kernel when it has been written: what is left to do is to come after it. */
static void flush_run(FileWork *work)
{
}

static void guest_file_flush(CommandCall *call, JsonObject *arguments, gpointer data)
{
    work_on_handle(work_new(call, files_of(data), flush_run, close_answer), arguments);
}

/* ---- guest-file-read ---- */

/* Fills the buffer as far as the file goes. Less than wanted: the end, or an error (FALSE, errno). */
static gboolean fill(FileWork *work, guint8 *buffer, gsize wanted, gsize *got)
{
    *got = 0;
    while (*got < wanted) {
        gssize n = read(work->file->fd, buffer + *got, wanted - *got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FALSE;
        if (n == 0) {
            work->eof = TRUE;
            break;
        }
        *got += (gsize)n;
    }
    return TRUE;
}

/* Reads one piece: more of the file than that is never in memory. */
static void read_run(FileWork *work)
{
    gsize wanted = (gsize)MIN(work->count - work->result, PIECE);
    g_autofree guint8 *buffer = g_malloc(MAX(wanted, 1));
    gsize got;
    gboolean good = fill(work, buffer, wanted, &got);
    if (!good && !work->result && !got) { /* else it will come again with the next read */
        fail(work, "failed to read file");
        return;
    }
    if (!work->data)
        work->data = g_string_sized_new(wanted / 3 * 4 + 8);
    base64_append(work->data, buffer, got);
    work->result += (gint64)got;
    work->more = good && !work->eof && work->result < work->count;
}

/* There is room for what has been read. */
static void send_piece(gpointer data)
{
    FileWork *work = data;
    gboolean is_last = !work->more || !command_call_session(work->call);
    command_call_send_text(work->call, "buf-b64", work->data->str, work->data->len);
    g_string_truncate(work->data, 0);
    if (is_last)
        work_end(work);
    else
        work_start(work);
}

static void read_answer(FileWork *work)
{
    if (answer_error(work))
        return;
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "count", work->result);
    if (!work->pieces)
        json_object_set_string_member(answer, "buf-b64", work->data->str);
    json_object_set_boolean_member(answer, "eof", work->eof);
    if (work->pieces)
        command_call_send_end(work->call, answer);
    else
        command_call_return_object(work->call, answer);
}

static void guest_file_read(CommandCall *call, JsonObject *arguments, gpointer data)
{
    gint64 count = command_int(arguments, "count", COUNT_DEFAULT);
    if (count < 0 || count > COUNT_MAX) {
        command_call_fail(call, "value '%" G_GINT64_FORMAT "' is invalid for argument count", count);
        return;
    }
    FileWork *work = work_new(call, files_of(data), read_run, read_answer);
    work->count = count;
    work_on_handle(work, arguments);
}

/* ---- guest-file-write ---- */

/* All or, where the file takes no more for now (a FIFO), what it took. */
static void write_all(FileWork *work, const guint8 *data)
{
    while (work->result < work->count) {
        gssize n = write(work->file->fd, data + work->result, (gsize)(work->count - work->result));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && work->result)
            return;
        if (n < 0) {
            fail(work, "failed to write to file");
            return;
        }
        work->result += n;
    }
}

static void write_run(FileWork *work)
{
    gsize size;
    g_autofree guint8 *data = base64_decode(work->text, strlen(work->text), &size, &work->error);
    if (!data)
        return;
    if (work->count > (gint64)size) {
        work->error = g_error_new(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                                  "value '%" G_GINT64_FORMAT "' is invalid for argument count", work->count);
        return;
    }
    if (work->count < 0)
        work->count = (gint64)size;
    write_all(work, data);
}

static void write_answer(FileWork *work)
{
    if (answer_error(work))
        return;
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "count", work->result);
    json_object_set_boolean_member(answer, "eof", FALSE);
    command_call_return_object(work->call, answer);
}

static void guest_file_write(CommandCall *call, JsonObject *arguments, gpointer data)
{
    gint64 count = command_int(arguments, "count", -1);
    if (command_has(arguments, "count") && count < 0) {
        command_call_fail(call, "value '%" G_GINT64_FORMAT "' is invalid for argument count", count);
        return;
    }
    FileWork *work = work_new(call, files_of(data), write_run, write_answer);
    work->text = command_string(arguments, "buf-b64", "");
    work->count = count;
    work_on_handle(work, arguments);
}

/* ---- guest-file-seek ---- */

static void seek_run(FileWork *work)
{
    work->result = lseek(work->file->fd, work->offset, work->whence);
    if (work->result < 0)
        fail(work, "failed to seek file");
}

static void seek_answer(FileWork *work)
{
    if (answer_error(work))
        return;
    JsonObject *answer = json_object_new();
    json_object_set_int_member(answer, "position", work->result);
    json_object_set_boolean_member(answer, "eof", FALSE);
    command_call_return_object(work->call, answer);
}

static const char *const WHENCE_WORDS[] = {"set", "cur", "end", NULL};
static const int WHENCES[] = {SEEK_SET, SEEK_CUR, SEEK_END};

/* A number of the protocol's own (0, 1, 2) or a word. -1 if it is neither. */
static int read_whence(JsonNode *value)
{
    if (json_node_get_value_type(value) == G_TYPE_INT64) {
        gint64 code = json_node_get_int(value);
        return code >= 0 && code < (gint64)G_N_ELEMENTS(WHENCES) ? WHENCES[code] : -1;
    }
    for (gsize i = 0; WHENCE_WORDS[i]; i++) {
        if (g_str_equal(json_node_get_string(value), WHENCE_WORDS[i]))
            return WHENCES[i];
    }
    return -1;
}

static void guest_file_seek(CommandCall *call, JsonObject *arguments, gpointer data)
{
    int whence = read_whence(json_object_get_member(arguments, "whence"));
    if (whence < 0) {
        command_call_fail(call, "invalid whence code %" G_GINT64_FORMAT,
                          json_object_get_int_member(arguments, "whence"));
        return;
    }
    FileWork *work = work_new(call, files_of(data), seek_run, seek_answer);
    work->offset = command_int(arguments, "offset", 0);
    work->whence = whence;
    work_on_handle(work, arguments);
}

/* ---- the subject ---- */

static void open_file_free(gpointer data)
{
    OpenFile *file = data;
    close(file->fd);
    g_free(file);
}

AgentFiles *agent_files_new(Agent *agent, const char *state_dir)
{
    AgentFiles *files = g_new0(AgentFiles, 1);
    files->agent = agent;
    files->counter = handle_counter_new(state_dir);
    files->open = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, open_file_free);
    return files;
}

void agent_files_free(AgentFiles *files)
{
    g_hash_table_unref(files->open);
    handle_counter_free(files->counter);
    g_free(files);
}

static const CommandArg OPEN_ARGS[] = {
    {.name = "path", .type = COMMAND_ARG_STRING},
    {.name = "mode", .type = COMMAND_ARG_STRING, .optional = TRUE},
    {0},
};
static const CommandArg HANDLE_ARGS[] = {{.name = "handle", .type = COMMAND_ARG_INT}, {0}};
static const CommandArg READ_ARGS[] = {
    {.name = "handle", .type = COMMAND_ARG_INT},
    {.name = "count", .type = COMMAND_ARG_INT, .optional = TRUE},
    {0},
};
static const CommandArg WRITE_ARGS[] = {
    {.name = "handle", .type = COMMAND_ARG_INT},
    {.name = "buf-b64", .type = COMMAND_ARG_STRING},
    {.name = "count", .type = COMMAND_ARG_INT, .optional = TRUE},
    {0},
};
static const CommandArg WHENCE_TYPES[] = {
    {.name = "value", .type = COMMAND_ARG_INT},
    {.name = "name", .type = COMMAND_ARG_ENUM, .values = WHENCE_WORDS},
    {0},
};
static const CommandArg SEEK_ARGS[] = {
    {.name = "handle", .type = COMMAND_ARG_INT},
    {.name = "offset", .type = COMMAND_ARG_INT},
    {.name = "whence",
     .type = COMMAND_ARG_ALTERNATE,
     .members = WHENCE_TYPES,
     .type_name = "GuestFileWhence"},
    {0},
};

const Command COMMANDS_FILE[] = {
    {"guest-file-open", OPEN_ARGS, guest_file_open, COMMAND_FLAG_NONE},
    {"guest-file-close", HANDLE_ARGS, guest_file_close, COMMAND_FLAG_NONE},
    {"guest-file-read", READ_ARGS, guest_file_read, COMMAND_FLAG_NONE},
    {"guest-file-write", WRITE_ARGS, guest_file_write, COMMAND_FLAG_NONE},
    {"guest-file-seek", SEEK_ARGS, guest_file_seek, COMMAND_FLAG_NONE},
    {"guest-file-flush", HANDLE_ARGS, guest_file_flush, COMMAND_FLAG_NONE},
    {0},
};
