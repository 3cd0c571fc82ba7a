// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/peer.h"

#include <errno.h>
#include <string.h>

#define PIECES_QUEUED ((gsize)256 << 10) /* bytes, beyond which a reply in pieces waits for the host */

struct Peer {
    CommandServer *server;
    CommandSession *session;
    Channel *channel;
    ChannelKind kind;
    PeerClosedFunc closed;
    gpointer user_data;

    guint tolerated; /* unfinished calls that others may overtake */
    guint patience;  /* timer: when it fires, those unfinished now are tolerated */
    guint linger;    /* timer: the sending side is closed, replies are due */
    guint finish;    /* idle: look whether a closed peer has its replies */
    gboolean eof;
    gboolean used; /* something has come */
};

static void clear_timer(guint *id)
{
    if (*id)
        g_source_remove(*id);
    *id = 0;
}

static gboolean is_busy(Peer *peer)
{
    guint pending = command_session_pending(peer->session);
    peer->tolerated = MIN(peer->tolerated, pending);
    return pending > peer->tolerated;
}

static gboolean patience_is_over(gpointer user_data)
{
    Peer *peer = user_data;
    peer->patience = 0;
    peer->tolerated = MIN(command_session_pending(peer->session), PEER_PENDING_MAX);
    channel_resume(peer->channel);
    return G_SOURCE_REMOVE;
}

static gboolean has_room(gpointer user_data)
{
    Peer *peer = user_data;
    return channel_queued(peer->channel) < PIECES_QUEUED;
}

/* Takes what ends at the next '}', so that no more than one request is begun before we look again. */
static gsize on_input(const char *data, gsize length, gpointer user_data)
{
    Peer *peer = user_data;
    peer->used = TRUE;
    if (command_session_is_sending(peer->session)) /* its end resumes */
        return 0;
    if (is_busy(peer)) {
        if (!peer->patience)
            peer->patience = g_timeout_add(PEER_PATIENCE_MS, patience_is_over, peer);
        return 0;
    }
    const char *brace = memchr(data, '}', length);
    gsize taken = brace ? (gsize)(brace - data) + 1 : length;
    command_session_feed(peer->session, data, taken);
    return taken;
}

/* A peer that has closed its sending side goes when it has its replies. */
static gboolean finish_if_done(gpointer user_data)
{
    Peer *peer = user_data;
    peer->finish = 0;
    if (peer->eof && !command_session_pending(peer->session) && !channel_queued(peer->channel))
        peer->closed(peer, 0, peer->user_data);
    return G_SOURCE_REMOVE;
}

static void finish_soon(Peer *peer)
{
    if (peer->eof && !peer->finish)
        peer->finish = g_idle_add(finish_if_done, peer);
}

static void on_reply(const char *data, gsize length, gpointer user_data)
{
    Peer *peer = user_data;
    channel_write(peer->channel, data, length);
    channel_resume(peer->channel);
    finish_soon(peer);
}

static void new_session(Peer *peer)
{
    g_clear_pointer(&peer->session, command_session_free);
    peer->session = command_session_new(peer->server, on_reply, peer, NULL);
    command_session_set_room(peer->session, has_room);
    peer->tolerated = 0;
}

static gboolean linger_is_over(gpointer user_data)
{
    Peer *peer = user_data;
    peer->linger = 0;
    peer->closed(peer, ETIMEDOUT, peer->user_data);
    return G_SOURCE_REMOVE;
}

static void on_eof(gpointer user_data)
{
    Peer *peer = user_data;
    if (peer->kind == CHANNEL_PORT) {
        new_session(peer);
        channel_discard(peer->channel);
        return;
    }
    peer->eof = TRUE;
    peer->linger = g_timeout_add(PEER_LINGER_MS, linger_is_over, peer);
    finish_soon(peer);
}

static void on_drained(gpointer user_data)
{
    Peer *peer = user_data;
    command_session_room(peer->session);
    finish_soon(peer);
}

static void on_failed(int errnum, gpointer user_data)
{
    Peer *peer = user_data;
    peer->closed(peer, errnum, peer->user_data);
}

static const ChannelFuncs channel_funcs = {on_input, on_eof, on_drained, on_failed};

Peer *peer_new(CommandServer *server, int fd, ChannelKind kind, PeerClosedFunc closed, gpointer user_data)
{
    Peer *peer = g_new0(Peer, 1);
    peer->channel = channel_new(fd, kind, &channel_funcs, peer);
    if (!peer->channel) {
        int errnum = errno;
        g_free(peer);
        errno = errnum;
        return NULL;
    }
    peer->server = server;
    peer->kind = kind;
    peer->closed = closed;
    peer->user_data = user_data;
    new_session(peer);
    return peer;
}

gboolean peer_was_used(const Peer *peer)
{
    return peer->used;
}

void peer_free(Peer *peer)
{
    if (!peer)
        return;
    clear_timer(&peer->patience);
    clear_timer(&peer->linger);
    clear_timer(&peer->finish);
    command_session_free(peer->session);
    channel_free(peer->channel);
    g_free(peer);
}
