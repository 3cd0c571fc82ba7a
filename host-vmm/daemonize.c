// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static gboolean fail(GError **error, const char *what)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "-daemonize: %s: %s", what,
                g_strerror(errno));
    return FALSE;
}

/* Until the child says that it is ready. It has told itself what stopped it, unless it was killed. */
static G_GNUC_NORETURN void wait_for_child(int fd, pid_t child)
{
    char ready;
    gssize got;
    int status;

    do {
        got = read(fd, &ready, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1) {
        _exit(EXIT_SUCCESS);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "host-vmm: -daemonize: the background process was killed by signal %d\n",
                WTERMSIG(status));
    }
    _exit(EXIT_FAILURE);
}

int daemonize_begin(GError **error)
{
    pid_t parent = getpid(), child;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) {
        fail(error, "pipe");
        return -1;
    }
    fflush(NULL);
    child = fork();
    if (child < 0) {
        fail(error, "fork");
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    if (child > 0) {
        close(fds[1]);
        wait_for_child(fds[0], child);
    }
    close(fds[0]);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE); /* it was killed before we could ask to be told */
    }
    return fds[1];
}

gboolean daemonize_finish(int fd, GError **error)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || chdir("/") < 0) {
        fail(error, null < 0 ? "/dev/null" : "/");
        close(fd);
        return FALSE;
    }
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO) {
        close(null);
    }
    prctl(PR_SET_PDEATHSIG, 0);
    if (write(fd, "", 1) != 1) {
        fail(error, "the parent has gone");
        close(fd);
        return FALSE;
    }
    close(fd);
    return TRUE;
}
