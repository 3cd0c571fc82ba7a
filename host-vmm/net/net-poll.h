// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * net-poll: a main-loop source for one descriptor whose wanted events change all the time, at no cost.
 */
#pragma once

#include <gio/gio.h>

typedef struct NetPoll NetPoll;
typedef void (*NetPollFunc)(GIOCondition condition, guint index, gpointer user_data);

/* index: given to func. No events are wanted at first. The descriptor stays the caller's. */
NetPoll *net_poll_new(int fd, NetPollFunc func, guint index, gpointer user_data, GMainContext *context);
void net_poll_free(NetPoll *poll); /* NULL: nothing. func may call it */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetPoll, net_poll_free)
/* On the context's thread. Errors and hang-ups are reported in any case: whoever gets them must free the
 * poll, or it is called over and over again. */
void net_poll_want(NetPoll *poll, GIOCondition events);
/* Adds or takes away one of the events. */
void net_poll_switch(NetPoll *poll, GIOCondition event, gboolean wanted);
