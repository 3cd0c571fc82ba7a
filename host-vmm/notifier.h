// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notifier: lets any thread have a function called soon on the main thread. Signals that come before it has
 * been called are one.
 */
#pragma once

#include <gio/gio.h>

typedef struct Notifier Notifier;
typedef void (*NotifierFunc)(gpointer user_data);

Notifier *notifier_new(NotifierFunc func, gpointer user_data);
/* The same on the thread that runs this context. */
Notifier *notifier_new_in(GMainContext *context, NotifierFunc func, gpointer user_data);
void notifier_free(Notifier *notifier); /* on that thread; func is not called any more */
void notifier_signal(Notifier *notifier);
