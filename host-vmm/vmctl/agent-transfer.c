// SPDX-License-Identifier: GPL-2.0-or-later
/* vmctl agent GUEST push | pull: files, by agent-copy, with a checksum at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/vmctl/agent-copy.h"
#include "host-vmm/vmctl/agent-words.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/progress.h"

typedef struct Transfer {
    const AgentTask *task;
    GuestFile file;
    const char *local; /* for messages */
    int fd;
    gboolean is_stream; /* stdin or stdout: cannot go back */
    GChecksum *checksum;
    guint64 hashed; /* so many bytes, from the beginning, are in it */
    guint64 done, began;
    Progress *progress;
    gint64 started;
} Transfer;

static gboolean fail_local(const Transfer *transfer, const char *what, GError **error)
{
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot %s %s: %s", what, transfer->local,
                g_strerror(errno));
    return FALSE;
}

static gssize read_some(int fd, guint8 *data, gsize length)
{
    gsize done = 0;

    while (done < length) {
        ssize_t count = read(fd, data + done, length - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        done += (gsize)count;
    }
    return (gssize)done;
}

/* The bytes at `position` of the local side; those that were seen before are passed over. */
static void hash(Transfer *transfer, guint64 position, const guint8 *data, gsize length)
{
    if (position <= transfer->hashed && position + length > transfer->hashed) {
        gsize known = (gsize)(transfer->hashed - position);

        g_checksum_update(transfer->checksum, data + known, (gssize)(length - known));
        transfer->hashed = position + length;
    }
}

/* What a transfer that goes on does not read or write itself. */
static gboolean hash_beginning(Transfer *transfer, guint64 length, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(AGENT_COPY_CHUNK);

    if (lseek(transfer->fd, 0, SEEK_SET) < 0)
        return fail_local(transfer, "read", error);
    while (transfer->hashed < length) {
        gsize want = (gsize)MIN(length - transfer->hashed, AGENT_COPY_CHUNK);
        gssize count = read_some(transfer->fd, buffer, want);

        if (count <= 0)
            return fail_local(transfer, "read", error);
        hash(transfer, transfer->hashed, buffer, (gsize)count);
    }
    return TRUE;
}

static void advance(Transfer *transfer, guint64 done)
{
    transfer->done = done;
    progress_set(transfer->progress, done);
}

static void show_check(guint64 done, gpointer user_data)
{
    progress_set(user_data, done);
}

/* TRUE: nothing to check, or right. FALSE without an error: the two differ. */
static gboolean check(Transfer *transfer, GError **error)
{
    g_autoptr(Progress) progress = NULL;
    g_autofree char *digest = NULL;

    if (!transfer->task->check)
        return TRUE;
    progress = progress_new("checking", transfer->done);
    digest = guest_file_digest(&transfer->file, show_check, progress, error);
    return digest != NULL && strcmp(digest, g_checksum_get_string(transfer->checksum)) == 0;
}

static gboolean push_from(Transfer *transfer, guint64 position, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(AGENT_COPY_CHUNK);

    if (position > 0 &&
        (!hash_beginning(transfer, position, error) || !guest_file_seek(&transfer->file, position, error)))
        return FALSE;
    transfer->began = position;
    advance(transfer, position);
    for (;;) {
        gssize length = read_some(transfer->fd, buffer, AGENT_COPY_CHUNK);
        guint64 landed;

        if (length < 0)
            return fail_local(transfer, "read", error);
        if (length == 0)
            break;
        hash(transfer, position, buffer, (gsize)length);
        if (!guest_file_write(&transfer->file, position, buffer, (gsize)length, &landed, error))
            return FALSE;
        if (landed < position && (transfer->is_stream || lseek(transfer->fd, (off_t)landed, SEEK_SET) < 0)) {
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                        "the agent has lost a part, and %s cannot be read again", transfer->local);
            return FALSE;
        }
        position = landed;
        advance(transfer, position);
    }
    return TRUE;
}

static gboolean write_local(Transfer *transfer, const guint8 *data, gsize length, GError **error)
{
    while (length > 0) {
        ssize_t count = write(transfer->fd, data, length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail_local(transfer, "write", error);
        data += count;
        length -= (gsize)count;
    }
    return TRUE;
}

static gboolean pull_from(Transfer *transfer, guint64 position, GError **error)
{
    gboolean eof = FALSE;

    if (position > 0 &&
        (!hash_beginning(transfer, position, error) || !guest_file_seek(&transfer->file, position, error)))
        return FALSE;
    transfer->began = position;
    advance(transfer, position);
    while (!eof) {
        g_autoptr(GBytes) bytes = guest_file_read(&transfer->file, position, &eof, error);
        gsize length;
        const guint8 *data;

        if (bytes == NULL)
            return FALSE;
        data = g_bytes_get_data(bytes, &length);
        hash(transfer, position, data, length);
        if (!write_local(transfer, data, length, error))
            return FALSE;
        position += length;
        advance(transfer, position);
    }
    return TRUE;
}

/* Anew, after what was there before has turned out to be something else. */
static gboolean start_over(Transfer *transfer)
{
    g_checksum_reset(transfer->checksum);
    transfer->hashed = 0;
    g_clear_pointer(&transfer->progress, progress_free);
    return lseek(transfer->fd, 0, SEEK_SET) == 0;
}

static void say_done(const Transfer *transfer, const char *verb)
{
    double seconds = MAX(0.001, (double)(g_get_monotonic_time() - transfer->started) / G_USEC_PER_SEC);
    guint64 moved = transfer->done - transfer->began;
    g_autofree char *size = print_size(transfer->done),
                    *speed = print_size((guint64)((double)moved / seconds));
    g_autofree char *resumed = transfer->began > 0 ? print_size(transfer->began) : NULL;

    printf("%s: %s %s%s%s%s in %.1f s (%s/s)%s%s\n", agent_target_label(&transfer->task->target), verb, size,
           resumed != NULL ? " (" : "", resumed != NULL ? resumed : "", resumed != NULL ? " were there)" : "",
           seconds, speed, transfer->task->check ? ", SHA-256 " : "",
           transfer->task->check ? g_checksum_get_string(transfer->checksum) : "");
}

static int explain(Transfer *transfer, GError *error)
{
    g_clear_pointer(&transfer->progress, progress_free);
    if (error == NULL)
        g_set_error(&error, VMCTL_ERROR, VMCTL_FAILED,
                    "what arrived differs from what was sent (or the file was changed meanwhile)");
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_autofree char *size = print_size(transfer->done);

        g_clear_error(&error);
        g_set_error(&error, VMCTL_ERROR, VMCTL_FAILED, "interrupted after %s%s", size,
                    transfer->is_stream ? "" : " (--resume goes on)");
    }
    return complain_error(error);
}

static void transfer_clear(Transfer *transfer)
{
    if (transfer->file.link != NULL)
        agent_link_set_cancellable(transfer->file.link, NULL);
    g_clear_pointer(&transfer->file.interrupt,
                    interrupt_free); /* another Ctrl-C does not wait for the agent */
    guest_file_close(&transfer->file, NULL);
    g_clear_pointer(&transfer->progress, progress_free);
    g_clear_pointer(&transfer->checksum, g_checksum_free);
    if (transfer->fd > STDERR_FILENO)
        close(transfer->fd);
}

static gboolean transfer_begin(Transfer *transfer, const AgentTask *task, const char *path, const char *mode,
                               GError **error)
{
    transfer->task = task;
    transfer->started = g_get_monotonic_time();
    transfer->checksum = g_checksum_new(G_CHECKSUM_SHA256);
    transfer->file.target = &task->target;
    transfer->file.path = path;
    transfer->file.mode = mode;
    transfer->file.timeout_ms = task->timeout_ms;
    transfer->file.handle = -1;
    if (!g_utf8_validate(path, -1, NULL)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "'%s' is not UTF-8, which JSON has to be", path);
        return FALSE;
    }
    transfer->file.interrupt = interrupt_new(0, error);
    return transfer->file.interrupt != NULL;
}

static gboolean push(Transfer *transfer, guint64 total, GError **error)
{
    gint64 there = 0;

    transfer->progress = progress_new(transfer->local, total);
    if (transfer->task->resume) {
        transfer->file.mode = "r+";
        if (guest_file_open(&transfer->file, NULL))
            there = guest_file_length(&transfer->file);
        else
            guest_file_close(&transfer->file, NULL);
    }
    if (there > 0 && (guint64)there <= total) {
        GError *problem = NULL;

        if (!push_from(transfer, (guint64)there, error) || !guest_file_close(&transfer->file, error))
            return FALSE;
        transfer->file.mode = "r";
        if (!guest_file_open(&transfer->file, error))
            return FALSE;
        if (check(transfer, &problem))
            return TRUE;
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        complain("what was there already is not the beginning of %s: sending all of it", transfer->local);
        if (!start_over(transfer))
            return fail_local(transfer, "read", error);
        transfer->progress = progress_new(transfer->local, total);
    }
    guest_file_close(&transfer->file, NULL);
    transfer->file.mode = "w";
    transfer->file.was_open = FALSE;
    if (!guest_file_open(&transfer->file, error) || !push_from(transfer, 0, error))
        return FALSE;
    /* Closed, all is in the file; the digest is read by a handle, or program, of its own. */
    if (!guest_file_close(&transfer->file, error))
        return FALSE;
    if (!transfer->task->check)
        return TRUE;
    transfer->file.mode = "r";
    return guest_file_open(&transfer->file, error) && check(transfer, error);
}

int agent_push(const AgentTask *task, char **words)
{
    Transfer transfer = {.fd = -1};
    g_autofree char *path = NULL;
    GError *error = NULL;
    struct stat status = {0};
    int result = VMCTL_FAILED;

    if (words[0] == NULL || words[1] == NULL || words[2] != NULL)
        return options_usage_error(task->verb, "push: which FILE, and to which PATH in the guest?");
    transfer.is_stream = strcmp(words[0], "-") == 0;
    transfer.local = transfer.is_stream ? "standard input" : words[0];
    if (transfer.is_stream && (task->resume || g_str_has_suffix(words[1], "/")))
        return options_usage_error(task->verb, "push: standard input has no name, and cannot be resumed");
    if (g_str_has_suffix(words[1], "/")) {
        g_autofree char *name = g_path_get_basename(words[0]);

        path = g_strconcat(words[1], name, NULL);
    } else {
        path = g_strdup(words[1]);
    }
    transfer.fd = transfer.is_stream ? STDIN_FILENO : open(words[0], O_RDONLY | O_CLOEXEC);
    if (transfer.fd < 0 || fstat(transfer.fd, &status) != 0) {
        fail_local(&transfer, "open", &error);
    } else if (S_ISDIR(status.st_mode)) {
        g_set_error(&error, VMCTL_ERROR, VMCTL_FAILED, "%s is a folder", transfer.local);
    } else if (transfer_begin(&transfer, task, path, "w", &error) &&
               push(&transfer, S_ISREG(status.st_mode) ? (guint64)status.st_size : 0, &error)) {
        result = VMCTL_OK;
    }
    if (result == VMCTL_OK) {
        g_clear_pointer(&transfer.progress, progress_free);
        say_done(&transfer, "pushed");
    } else {
        result = explain(&transfer, error);
    }
    transfer_clear(&transfer);
    return result;
}

static gboolean pull(Transfer *transfer, GError **error)
{
    struct stat status = {0};
    gint64 total;

    if (!guest_file_open(&transfer->file, error))
        return FALSE;
    total = guest_file_length(&transfer->file);
    if (total >= 0 && !guest_file_seek(&transfer->file, 0, error))
        return FALSE;
    transfer->progress = progress_new(transfer->file.path, total > 0 ? (guint64)total : 0);
    if (transfer->task->resume && fstat(transfer->fd, &status) == 0 && status.st_size > 0 &&
        status.st_size <= total) {
        GError *problem = NULL;

        if (!pull_from(transfer, (guint64)status.st_size, error))
            return FALSE;
        if (check(transfer, &problem))
            return TRUE;
        if (problem != NULL) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        complain("what was here already is not the beginning of %s: fetching all of it", transfer->file.path);
        if (!start_over(transfer) || !guest_file_seek(&transfer->file, 0, error))
            return error == NULL || *error == NULL ? fail_local(transfer, "write", error) : FALSE;
        transfer->progress = progress_new(transfer->file.path, (guint64)total);
    }
    if (!transfer->is_stream && ftruncate(transfer->fd, 0) != 0)
        return fail_local(transfer, "write", error);
    return pull_from(transfer, 0, error) && check(transfer, error);
}

/* What is not whole never has the file's name. */
static gboolean keep(Transfer *transfer, const char *partial, const char *name, GError **error)
{
    return (fsync(transfer->fd) == 0 && rename(partial, name) == 0) || fail_local(transfer, "write", error);
}

int agent_pull(const AgentTask *task, char **words)
{
    Transfer transfer = {.fd = -1};
    g_autofree char *name = NULL, *partial = NULL;
    GError *error = NULL;
    int result = VMCTL_FAILED;

    if (words[0] == NULL || (words[1] != NULL && words[2] != NULL))
        return options_usage_error(task->verb, "pull: which PATH of the guest, and to which FILE?");
    transfer.is_stream = words[1] != NULL && strcmp(words[1], "-") == 0;
    if (transfer.is_stream && task->resume)
        return options_usage_error(task->verb, "pull: standard output cannot be resumed");
    if (words[1] == NULL || g_str_has_suffix(words[1], "/") || g_file_test(words[1], G_FILE_TEST_IS_DIR)) {
        g_autofree char *base = g_path_get_basename(words[0]);

        name = g_build_filename(words[1] != NULL ? words[1] : ".", base, NULL);
    } else {
        name = g_strdup(words[1]);
    }
    partial = g_strconcat(name, ".part", NULL);
    transfer.local = transfer.is_stream ? "standard output" : name;
    transfer.fd = transfer.is_stream ? STDOUT_FILENO : open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (transfer.fd < 0)
        fail_local(&transfer, "write", &error);
    else if (transfer_begin(&transfer, task, words[0], "r", &error) && pull(&transfer, &error) &&
             (transfer.is_stream || keep(&transfer, partial, name, &error)))
        result = VMCTL_OK;
    if (result != VMCTL_OK) {
        if (!transfer.is_stream && transfer.fd >= 0 && lseek(transfer.fd, 0, SEEK_END) == 0)
            unlink(partial); /* nothing is in it that could be resumed */
        result = explain(&transfer, error);
    } else if (!transfer.is_stream) {
        g_clear_pointer(&transfer.progress, progress_free);
        say_done(&transfer, "pulled");
    }
    transfer_clear(&transfer);
    return result;
}
