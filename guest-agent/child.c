// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SIZE   65536
#define READ_BUDGET 4  /* reads before other sources get their turn */
#define DRAIN_READS 32 /* reads at the end: two pipes' worth of the largest unprivileged size */

/* One captured stream. Outlives its child while somebody holds the other end. */
typedef struct Capture {
    Child *child; /* NULL: read and drop */
    int fd;
    guint source;
    GByteArray *data;
    gsize limit;
    gboolean truncated;
} Capture;

typedef struct Feed {
    int fd;
    guint source;
    GBytes *bytes;
    gsize offset;
} Feed;

struct Child {
    GPid pid;
    guint watch, grace;
    ChildEndedFunc ended;
    gpointer user_data;
    gboolean process_ended; /* reaped */
    gboolean has_ended;     /* told, or nobody is left to tell */
    gboolean freed;         /* waits only for the process, to reap it */
    int status;
    Capture *captures[2]; /* NULL: not captured */
    gboolean open[2];     /* not yet at end of file */
    Feed *feed;           /* NULL: no input, or all of it has gone */
};

/* ---- output ---- */

static void capture_free(Capture *capture)
{
    if (capture->source)
        g_source_remove(capture->source);
    if (capture->fd >= 0)
        close(capture->fd);
    if (capture->data)
        g_byte_array_unref(capture->data);
    g_free(capture);
}

static void check_ended(Child *child);

/* TRUE while there may be more to read at once. */
static gboolean capture_read(Capture *capture, gboolean *at_end)
{
    guint8 buffer[READ_SIZE];
    gssize n = read(capture->fd, buffer, sizeof buffer);
    *at_end = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    if (capture->child) {
        gsize room = capture->limit - capture->data->len;
        g_byte_array_append(capture->data, buffer, (guint)MIN(room, (gsize)n));
        if ((gsize)n > room)
            capture->truncated = TRUE;
    }
    return TRUE;
}

static void capture_close(Capture *capture)
{
    close(capture->fd);
    capture->fd = -1;
    if (capture->child)
        capture->child->open[capture == capture->child->captures[CHILD_STDERR]] = FALSE;
}

static gboolean on_output(int fd, GIOCondition condition, gpointer user_data)
{
    Capture *capture = user_data;
    gboolean at_end = FALSE;
    for (int i = 0; i < READ_BUDGET && capture_read(capture, &at_end); i++)
        ;
    if (!at_end)
        return G_SOURCE_CONTINUE;
    capture->source = 0;
    capture_close(capture);
    if (capture->child)
        check_ended(capture->child);
    else
        capture_free(capture);
    return G_SOURCE_REMOVE;
}

/* Takes what is in the pipe now. */
static void capture_drain(Capture *capture)
{
    gboolean at_end = FALSE;
    for (int i = 0; i < DRAIN_READS && capture_read(capture, &at_end); i++)
        ;
    if (at_end) {
        g_source_remove(capture->source);
        capture->source = 0;
        capture_close(capture);
    }
}

/* The child lets go of its stream: what still comes is dropped. */
static void capture_abandon(Capture *capture)
{
    if (capture->fd < 0) {
        capture_free(capture);
        return;
    }
    capture->child = NULL;
    g_clear_pointer(&capture->data, g_byte_array_unref);
}

static Capture *capture_new(Child *child, int fd, gsize limit)
{
    Capture *capture = g_new0(Capture, 1);
    capture->child = child;
    capture->fd = fd;
    capture->limit = limit;
    capture->data = g_byte_array_new();
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    capture->source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_output, capture);
    return capture;
}

/* ---- input ---- */

static void feed_free(Feed *feed)
{
    if (feed->source)
        g_source_remove(feed->source);
    close(feed->fd);
    g_bytes_unref(feed->bytes);
    g_free(feed);
}

/* FALSE when there is nothing more to write: all has gone, or the process has closed its input. */
static gboolean feed_write(Feed *feed)
{
    gsize length;
    const char *data = g_bytes_get_data(feed->bytes, &length);
    while (feed->offset < length) {
        gssize n = write(feed->fd, data + feed->offset, length - feed->offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        feed->offset += (gsize)n;
    }
    return FALSE;
}

static gboolean on_input_room(int fd, GIOCondition condition, gpointer user_data)
{
    Child *child = user_data;
    if (feed_write(child->feed))
        return G_SOURCE_CONTINUE;
    child->feed->source = 0;
    g_clear_pointer(&child->feed, feed_free);
    return G_SOURCE_REMOVE;
}

static void feed_start(Child *child, int fd, GBytes *input)
{
    child->feed = g_new0(Feed, 1);
    child->feed->fd = fd;
    child->feed->bytes = g_bytes_ref(input);
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    if (feed_write(child->feed))
        child->feed->source = g_unix_fd_add(fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, on_input_room, child);
    else
        g_clear_pointer(&child->feed, feed_free);
}

/* ---- the end ---- */

static void tell_ended(Child *child)
{
    if (child->grace)
        g_source_remove(child->grace);
    child->grace = 0;
    child->has_ended = TRUE;
    if (child->ended)
        child->ended(child, child->user_data);
}

static gboolean grace_is_over(gpointer user_data)
{
    Child *child = user_data;
    child->grace = 0;
    tell_ended(child);
    return G_SOURCE_REMOVE;
}

static void check_ended(Child *child)
{
    if (!child->process_ended || child->has_ended)
        return;
    if (!child->open[CHILD_STDOUT] && !child->open[CHILD_STDERR])
        tell_ended(child);
    else if (!child->grace)
        child->grace = g_timeout_add(CHILD_GRACE_MS, grace_is_over, child);
}

static void on_process_end(GPid pid, int status, gpointer user_data)
{
    Child *child = user_data;
    child->watch = 0;
    child->process_ended = TRUE;
    child->status = status;
    g_clear_pointer(&child->feed, feed_free);
    if (child->freed) {
        g_free(child);
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (child->open[i])
            capture_drain(child->captures[i]);
    }
    check_ended(child);
}

/* ---- the start ---- */

/* What the process gets as 0-2, and our ends of its pipes; -1: none. */
typedef struct Plumbing {
    int null;
    int theirs[3];
    int ours[3];
} Plumbing;

static void plumbing_close(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static gboolean plumb_pipe(Plumbing *plumbing, int target, gboolean inwards)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return FALSE;
    plumbing->theirs[target] = ends[inwards ? 0 : 1];
    plumbing->ours[target] = ends[inwards ? 1 : 0];
    return TRUE;
}

static gboolean plumb(Plumbing *plumbing, const ChildSpec *spec)
{
    *plumbing = (Plumbing){-1, {-1, -1, -1}, {-1, -1, -1}};
    plumbing->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (plumbing->null < 0)
        return FALSE;
    if (spec->input && !plumb_pipe(plumbing, STDIN_FILENO, TRUE))
        return FALSE;
    if ((spec->output == CHILD_OUTPUT_STDOUT || spec->output == CHILD_OUTPUT_SEPARATE ||
         spec->output == CHILD_OUTPUT_MERGED) &&
        !plumb_pipe(plumbing, STDOUT_FILENO, FALSE))
        return FALSE;
    if ((spec->output == CHILD_OUTPUT_STDERR || spec->output == CHILD_OUTPUT_SEPARATE) &&
        !plumb_pipe(plumbing, STDERR_FILENO, FALSE))
        return FALSE;
    return TRUE;
}

/* posix_spawn(3) with the shell's and GLib's way with a script that has no "#!" line: /bin/sh runs it. */
static int spawn(GPid *pid, const char *const *argv, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const *env)
{
    int errnum = posix_spawnp(pid, argv[0], actions, attributes, (char *const *)argv, env);
    if (errnum != ENOEXEC)
        return errnum;
    g_autofree char *program = strchr(argv[0], '/') ? g_strdup(argv[0]) : g_find_program_in_path(argv[0]);
    if (!program)
        return ENOEXEC;
    g_autoptr(GPtrArray) shell_argv = g_ptr_array_new();
    g_ptr_array_add(shell_argv, (gpointer) "/bin/sh");
    g_ptr_array_add(shell_argv, program);
    for (const char *const *arg = argv + 1; *arg; arg++)
        g_ptr_array_add(shell_argv, (gpointer)*arg);
    g_ptr_array_add(shell_argv, NULL);
    return posix_spawn(pid, "/bin/sh", actions, attributes, (char *const *)shell_argv->pdata, env);
}

static int spawn_plumbed(GPid *pid, const ChildSpec *spec, const Plumbing *plumbing)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    const int *theirs = spec->fds ? spec->fds : plumbing->theirs;
    for (int target = 0; target < 3; target++) {
        int fd = theirs[target] >= 0 ? theirs[target] : plumbing->null;
        posix_spawn_file_actions_adddup2(&actions, fd, target);
    }
    if (spec->output == CHILD_OUTPUT_MERGED)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    int errnum =
        spawn(pid, spec->argv, &actions, &attributes, spec->env ? (char *const *)spec->env : environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return errnum;
}

Child *child_start(const ChildSpec *spec, ChildEndedFunc ended, gpointer user_data, GError **error)
{
    Plumbing plumbing;
    GPid pid = 0;
    int errnum = plumb(&plumbing, spec) ? 0 : errno;
    if (!errnum)
        errnum = spawn_plumbed(&pid, spec, &plumbing);
    plumbing_close(&plumbing.null, 1);
    plumbing_close(plumbing.theirs, 3);
    if (errnum) {
        plumbing_close(plumbing.ours, 3);
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "Failed to execute child process “%s” (%s)",
                    spec->argv[0], g_strerror(errnum));
        errno = errnum;
        return NULL;
    }

    Child *child = g_new0(Child, 1);
    child->pid = pid;
    child->ended = ended;
    child->user_data = user_data;
    for (int i = 0; i < 2; i++) {
        int fd = plumbing.ours[i + 1];
        if (fd >= 0) {
            child->captures[i] = capture_new(child, fd, spec->limit);
            child->open[i] = TRUE;
        }
    }
    if (plumbing.ours[STDIN_FILENO] >= 0)
        feed_start(child, plumbing.ours[STDIN_FILENO], spec->input);
    child->watch = g_child_watch_add(pid, on_process_end, child);
    return child;
}

void child_free(Child *child)
{
    if (!child)
        return;
    if (child->grace)
        g_source_remove(child->grace);
    child->grace = 0;
    for (int i = 0; i < 2; i++)
        g_clear_pointer(&child->captures[i], capture_abandon);
    child->freed = TRUE;
    if (child->process_ended)
        g_free(child);
}

GPid child_pid(const Child *child)
{
    return child->pid;
}

gboolean child_has_ended(const Child *child)
{
    return child->has_ended;
}

int child_wait_status(const Child *child)
{
    return child->status;
}

const GByteArray *child_captured(const Child *child, ChildStream stream)
{
    return child->captures[stream] ? child->captures[stream]->data : NULL;
}

gboolean child_was_truncated(const Child *child, ChildStream stream)
{
    return child->captures[stream] && child->captures[stream]->truncated;
}
