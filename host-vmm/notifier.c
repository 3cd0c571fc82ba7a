// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/notifier.h"

struct Notifier {
    GSource source; /* ready at once when signalled, else never */
    NotifierFunc func;
    gpointer user_data;
};

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    Notifier *notifier = (Notifier *)source;
    g_source_set_ready_time(source, -1); /* first: a signal during func counts */
    notifier->func(notifier->user_data);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs notifier_funcs = {.dispatch = dispatch};

Notifier *notifier_new(NotifierFunc func, gpointer user_data)
{
    return notifier_new_in(NULL, func, user_data);
}

Notifier *notifier_new_in(GMainContext *context, NotifierFunc func, gpointer user_data)
{
    GSource *source = g_source_new(&notifier_funcs, sizeof(Notifier));
    Notifier *notifier = (Notifier *)source;
    notifier->func = func;
    notifier->user_data = user_data;
    g_source_attach(source, context);
    return notifier;
}

void notifier_free(Notifier *notifier)
{
    if (notifier) {
        g_source_destroy(&notifier->source);
        g_source_unref(&notifier->source);
    }
}

void notifier_signal(Notifier *notifier)
{
    g_source_set_ready_time(&notifier->source, 0);
}
