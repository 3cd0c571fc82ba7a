// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct Daemon {
    char *pid_file; /* absolute; NULL: none */
    int pid_fd;     /* open as long as we hold the lock */
    int ready_fd;   /* the parent waits at its other end; -1: nobody waits */
    int signal_fd;
    guint signal_source;
    void (*func)(gpointer user_data);
    gpointer user_data;
};

static void ending_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

/* Runs before the constructors of the libraries, some of which take milliseconds. */
static void block_ending_signals(void)
{
    sigset_t set;
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

typedef void (*InitFunction)(void);
__attribute__((section(".preinit_array"), used)) static const InitFunction PREINIT = block_ending_signals;

static void close_on_exec_above_2(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (dir)
        closedir(dir);
}

void daemon_prepare_process(void)
{
    block_ending_signals();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD,
           SIG_DFL); /* ignored signals are inherited, and children would vanish before they are waited for */
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
        if (fd > STDERR_FILENO) {
            close(fd);
            break;
        }
    }
    close_on_exec_above_2();
    g_setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", FALSE);
}

/* The parent's part: its exit status tells how the child's start went. */
static void wait_for_child(int fd, pid_t child)
{
    sigset_t set;
    ending_signals(&set);
    struct timespec now = {0};
    if (sigtimedwait(&set, NULL, &now) > 0) /* sent to us before there was a child */
        kill(child, SIGTERM);
    char byte;
    gssize n;
    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    _exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static gboolean fail(GError **error, const char *what, const char *name)
{
    int errnum = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errnum), "cannot %s%s: %s", what, name,
                g_strerror(errnum));
    return FALSE;
}

static gboolean go_to_background(Daemon *daemon, GError **error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail(error, "make a pipe", "");
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return fail(error, "go to the background", "");
    }
    if (pid > 0) {
        close(ends[1]);
        wait_for_child(ends[0], pid);
    }
    close(ends[0]);
    daemon->ready_fd = ends[1];
    setsid();
    umask(0077);
    if (chdir("/") < 0)
        return fail(error, "change to /", "");
    return TRUE;
}

/* FALSE and error: it is not ours. */
static gboolean lock_pid_file(int fd, const char *path, GError **error)
{
    if (lockf(fd, F_TLOCK, 0) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return fail(error, "lock pid file ", path);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "pid file %s is locked: already running", path);
        return FALSE;
    }
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (gssize)strlen(text))
        return fail(error, "write pid file ", path);
    return TRUE;
}

gboolean daemon_make_pid_file(Daemon *daemon, const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(error, "open pid file ", path);
    if (!lock_pid_file(fd, path, error)) {
        close(fd);
        return FALSE;
    }
    daemon->pid_fd = fd;
    daemon->pid_file = g_canonicalize_filename(path, NULL);
    return TRUE;
}

Daemon *daemon_begin(gboolean background, GError **error)
{
    Daemon *daemon = g_new0(Daemon, 1);
    daemon->pid_fd = daemon->ready_fd = daemon->signal_fd = -1;
    if (background && !go_to_background(daemon, error)) {
        g_free(daemon);
        return NULL;
    }
    return daemon;
}

void daemon_ready(Daemon *daemon)
{
    if (daemon->ready_fd < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    if (write(daemon->ready_fd, "", 1) != 1)
        g_debug("the parent has not waited");
    close(daemon->ready_fd);
    daemon->ready_fd = -1;
}

static gboolean on_signal(int fd, GIOCondition condition, gpointer user_data)
{
    Daemon *daemon = user_data;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) == sizeof info) {
        g_info("ended by signal %u", info.ssi_signo);
        daemon->func(daemon->user_data);
    }
    return G_SOURCE_CONTINUE;
}

gboolean daemon_on_signal(Daemon *daemon, void (*func)(gpointer user_data), gpointer user_data,
                          GError **error)
{
    sigset_t set;
    ending_signals(&set);
    daemon->func = func;
    daemon->user_data = user_data;
    daemon->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (daemon->signal_fd < 0)
        return fail(error, "watch for signals", "");
    daemon->signal_source =
        g_unix_fd_add_full(G_PRIORITY_HIGH, daemon->signal_fd, G_IO_IN, on_signal, daemon, NULL);
    return TRUE;
}

void daemon_end(Daemon *daemon)
{
    if (daemon->signal_source)
        g_source_remove(daemon->signal_source);
    if (daemon->signal_fd >= 0)
        close(daemon->signal_fd);
    if (daemon->pid_fd >= 0) {
        unlink(daemon->pid_file);
        close(daemon->pid_fd);
    }
    g_free(daemon->pid_file);
    g_free(daemon);
}
