// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interrupt: Ctrl-C and its like (see signals.h) for verbs that run the main context: the first is noted, for
 * the verb to end in order; further ones cancel what it waits for.
 */
#pragma once

#include <gio/gio.h>

typedef struct Interrupt Interrupt;

/* forgiven: so many signals are only noted and cancel nothing. */
Interrupt *interrupt_new(guint forgiven, GError **error);
/* Signals do again what they do by default. */
void interrupt_free(Interrupt *interrupt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Interrupt, interrupt_free)

GCancellable *interrupt_cancellable(Interrupt *interrupt);
/* The signal that has come since the last time, the last one of several; 0: none. */
int interrupt_take(Interrupt *interrupt);
/* Runs the main context for so long, or until a signal has come. */
void interrupt_wait(Interrupt *interrupt, guint ms);
