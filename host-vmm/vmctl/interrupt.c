// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/interrupt.h"

#include <glib-unix.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host-vmm/vmctl/signals.h"

struct Interrupt {
    int signals, number;
    guint source, forgiven;
    GCancellable *cancellable;
};

static gboolean on_signal(gint fd, GIOCondition condition, gpointer user_data)
{
    Interrupt *interrupt = user_data;
    struct signalfd_siginfo came;

    while (read(fd, &came, sizeof came) == sizeof came) {
        interrupt->number = (int)came.ssi_signo;
        if (interrupt->forgiven > 0)
            interrupt->forgiven--;
        else
            g_cancellable_cancel(interrupt->cancellable);
    }
    return G_SOURCE_CONTINUE;
}

Interrupt *interrupt_new(guint forgiven, GError **error)
{
    int signals = signals_catch(error);
    Interrupt *interrupt;

    if (signals < 0)
        return NULL;
    interrupt = g_new0(Interrupt, 1);
    interrupt->signals = signals;
    interrupt->forgiven = forgiven;
    interrupt->cancellable = g_cancellable_new();
    interrupt->source = g_unix_fd_add(signals, G_IO_IN, on_signal, interrupt);
    return interrupt;
}

void interrupt_free(Interrupt *interrupt)
{
    g_source_remove(interrupt->source);
    signals_release(interrupt->signals);
    g_object_unref(interrupt->cancellable);
    g_free(interrupt);
}

GCancellable *interrupt_cancellable(Interrupt *interrupt)
{
    return interrupt->cancellable;
}

int interrupt_take(Interrupt *interrupt)
{
    int number = interrupt->number;

    interrupt->number = 0;
    return number;
}

static gboolean on_time(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

void interrupt_wait(Interrupt *interrupt, guint ms)
{
    gboolean is_over = FALSE;
    guint timer = g_timeout_add(ms, on_time, &is_over);

    while (!is_over && interrupt->number == 0)
        g_main_context_iteration(NULL, TRUE);
    if (!is_over)
        g_source_remove(timer);
}
