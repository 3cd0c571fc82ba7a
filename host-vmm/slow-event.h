// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slow-event: news that a guest can make as often as it likes, told at most once a second: the first at once,
 * what follows within a second once at its end.
 */
#pragma once

#include <glib.h>

typedef struct SlowEvent SlowEvent;

/* send: is to tell what is so then; on the main thread. */
SlowEvent *slow_event_new(void (*send)(gpointer user_data), gpointer user_data);
void slow_event_free(SlowEvent *event); /* main thread; what has not been told is not told any more */
/* There is news. Any thread, never blocks. */
void slow_event_signal(SlowEvent *event);
