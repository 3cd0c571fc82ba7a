// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/tap-script.h"

#include <errno.h>
#include <signal.h>
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

/* In the child: we read ours from a descriptor. */
static void unblock_signals(gpointer user_data)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

gboolean tap_script_run(const char *script, const char *interface, GError **error)
{
    char *arguments[] = {(char *)script, (char *)interface, NULL};
    GPid pid;
    int status = 0;
    if (!g_spawn_async(NULL, arguments, NULL, G_SPAWN_DO_NOT_REAP_CHILD, unblock_signals, NULL, &pid,
                       error)) {
        g_prefix_error(error, "cannot run '%s': ", script);
        return FALSE;
    }
    if (!wait_for(pid, &status)) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "'%s %s' took more than %d s", script, interface,
                    TAP_SCRIPT_SECONDS);
        return FALSE;
    }
    if (!g_spawn_check_exit_status(status, error)) {
        g_prefix_error(error, "'%s %s': ", script, interface);
        return FALSE;
    }
    return TRUE;
}
