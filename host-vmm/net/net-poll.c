// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/net-poll.h"

/* GLib's own g_source_modify_unix_fd() wakes the loop up each time; the events of a GPollFD that we own are
 * read anew before each wait. */
struct NetPoll {
    GSource source;
    GPollFD fd;
    NetPollFunc func;
    guint index;
    gpointer user_data;
};

static gboolean prepare(GSource *source, int *timeout)
{
    *timeout = -1;
    return FALSE;
}

static gboolean check(GSource *source)
{
    NetPoll *poll = (NetPoll *)source;
    return (poll->fd.revents & (poll->fd.events | G_IO_ERR | G_IO_HUP | G_IO_NVAL)) != 0;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    NetPoll *poll = (NetPoll *)source;
    poll->func(poll->fd.revents, poll->index, poll->user_data);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs funcs = {.prepare = prepare, .check = check, .dispatch = dispatch};

NetPoll *net_poll_new(int fd, NetPollFunc func, guint index, gpointer user_data, GMainContext *context)
{
    NetPoll *poll = (NetPoll *)g_source_new(&funcs, sizeof *poll);
    poll->fd = (GPollFD){.fd = fd};
    poll->func = func;
    poll->index = index;
    poll->user_data = user_data;
    g_source_add_poll(&poll->source, &poll->fd);
    g_source_attach(&poll->source, context);
    return poll;
}

void net_poll_free(NetPoll *poll)
{
    if (poll == NULL)
        return;
    g_source_destroy(&poll->source);
    g_source_unref(&poll->source);
}

void net_poll_want(NetPoll *poll, GIOCondition events)
{
    poll->fd.events = (gushort)events;
}

void net_poll_switch(NetPoll *poll, GIOCondition event, gboolean wanted)
{
    net_poll_want(poll, wanted ? poll->fd.events | event : poll->fd.events & (guint)~event);
}
