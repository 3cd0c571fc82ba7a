// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/tap-script.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_US 10000

/* TRUE: it has ended. */
static gboolean wait_for(pid_t pid, int *status)
{
    gint64 deadline = g_get_monotonic_time() + TAP_SCRIPT_SECONDS * G_TIME_SPAN_SECOND;
    for (;;) {
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid)
            return TRUE;
        if (got < 0 && errno != EINTR)
            return FALSE;
        if (g_get_monotonic_time() >= deadline)
            return FALSE;
        g_usleep(STEP_US);
    }
}

/* In the child: we read ours from a descriptor, and Ctrl-C at our terminal is not meant for it. */
static void be_on_its_own(gpointer user_data)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
}

/* A confined process gets EPERM before the kernel looks at the arguments (docs/security.md). */
static gboolean may_start_programs(void)
{
    return syscall(SYS_execve, NULL, NULL, NULL) == 0 || errno != EPERM;
}

static gboolean check_status(int status, const char *script, const char *interface, GError **error)
{
    if (!g_spawn_check_exit_status(status, error)) {
        g_prefix_error(error, "'%s %s': ", script, interface);
        return FALSE;
    }
    return TRUE;
}

static gboolean fail_late(const char *script, const char *interface, const char *what, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "'%s %s' took more than %d s%s", script, interface,
                TAP_SCRIPT_SECONDS, what);
    return FALSE;
}

static gboolean start(char **arguments, GSpawnFlags flags, GPid *pid, int *input, GError **error)
{
    if (!may_start_programs()) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "nothing is started in the sandbox (-sandbox off lets it)");
        return FALSE;
    }
    return g_spawn_async_with_pipes(NULL, arguments, NULL, flags | G_SPAWN_DO_NOT_REAP_CHILD, be_on_its_own,
                                    NULL, pid, input, NULL, NULL, error);
}

gboolean tap_script_run(const char *script, const char *interface, GError **error)
{
    char *arguments[] = {(char *)script, (char *)interface, NULL};
    GPid pid;
    int status = 0;
    if (!start(arguments, G_SPAWN_DEFAULT, &pid, NULL, error)) {
        g_prefix_error(error, "cannot run '%s': ", script);
        return FALSE;
    }
    if (!wait_for(pid, &status)) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return fail_late(script, interface, "", error);
    }
    return check_status(status, script, interface, error);
}

struct TapScript {
    char *script, *interface;
    GPid pid;
    int word; /* where the shell reads from */
};

TapScript *tap_script_prepare(const char *script, const char *interface, GError **error)
{
    char *arguments[] = {(char *)"/bin/sh", (char *)"-c",      (char *)"read -r word && exec \"$0\" \"$1\"",
                         (char *)script,    (char *)interface, NULL};
    TapScript *self = g_new0(TapScript, 1);
    /* What waits as long as we live must not hold what others wait for the end of: -daemonize's output. */
    if (!start(arguments, G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, &self->pid, &self->word,
               error)) {
        g_prefix_error(error, "cannot run '%s' later: ", script);
        g_free(self);
        return NULL;
    }
    fcntl(self->word, F_SETFD, FD_CLOEXEC);
    self->script = g_strdup(script);
    self->interface = g_strdup(interface);
    return self;
}

gboolean tap_script_finish(TapScript *prepared, GError **error)
{
    int status = 0;
    gboolean given = write(prepared->word, "\n", 1) == 1; /* else it is gone, and its status says so */
    close(prepared->word);
    gboolean good = wait_for(prepared->pid, &status)
                        ? check_status(status, prepared->script, prepared->interface, error)
                        : fail_late(prepared->script, prepared->interface, ": it is left alone", error);
    if (good && !given) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "'%s %s' was not run", prepared->script,
                    prepared->interface);
        good = FALSE;
    }
    g_free(prepared->script);
    g_free(prepared->interface);
    g_free(prepared);
    return good;
}
