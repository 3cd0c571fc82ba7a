// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host-vmm/vmctl/vmctl.h"

static void fill_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGTERM);
}

int signals_catch(GError **error)
{
    sigset_t set;
    int fd = -1;

    fill_set(&set);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || (fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot catch signals: %s", g_strerror(errno));
    return fd;
}

void signals_release(int signals)
{
    struct signalfd_siginfo came;
    sigset_t set;

    while (read(signals, &came, sizeof came) == sizeof came)
        continue;
    close(signals);
    fill_set(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
