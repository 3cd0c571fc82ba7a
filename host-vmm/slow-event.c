// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/slow-event.h"

#include "host-vmm/notifier.h"

#define INTERVAL_US G_USEC_PER_SEC

struct SlowEvent {
    Notifier *notifier;
    void (*send)(gpointer user_data);
    gpointer user_data;

    /* Main thread. */
    GSource *timer; /* the next one waits for it */
    gint64 last;    /* when the last one was sent, monotonic us; 0: never */
};

static void drop_timer(SlowEvent *event)
{
    if (event->timer) {
        g_source_destroy(event->timer);
        g_clear_pointer(&event->timer, g_source_unref);
    }
}

static void send_now(SlowEvent *event)
{
    event->last = g_get_monotonic_time();
    event->send(event->user_data);
}

static gboolean on_timer(gpointer user_data)
{
    SlowEvent *event = user_data;
    drop_timer(event);
    send_now(event);
    return G_SOURCE_REMOVE;
}

static void on_signal(gpointer user_data)
{
    SlowEvent *event = user_data;
    if (event->timer) {
        return;
    }
    gint64 wait = event->last + INTERVAL_US - g_get_monotonic_time();
    if (event->last == 0 || wait <= 0) {
        send_now(event);
        return;
    }
    event->timer = g_timeout_source_new((guint)(wait / 1000 + 1));
    g_source_set_callback(event->timer, on_timer, event, NULL);
    g_source_attach(event->timer, NULL);
}

SlowEvent *slow_event_new(void (*send)(gpointer user_data), gpointer user_data)
{
    SlowEvent *event = g_new0(SlowEvent, 1);
    event->send = send;
    event->user_data = user_data;
    event->notifier = notifier_new(on_signal, event);
    return event;
}

void slow_event_free(SlowEvent *event)
{
    if (!event) {
        return;
    }
    drop_timer(event);
    notifier_free(event->notifier);
    g_free(event);
}

void slow_event_signal(SlowEvent *event)
{
    notifier_signal(event->notifier);
}
