// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer: the host at the other end of a channel: its requests go to a command session, replies come back.
 *
 * Requests are carried out one after the other, as hosts know it from qemu-ga: the next one is taken when the
 * one before has been answered. But one that takes longer than PEER_PATIENCE_MS (a file on a dead network
 * mount, a shutdown under way) no longer keeps others waiting: they overtake it, up to PEER_PENDING_MAX
 * unfinished ones.
 */
#pragma once

#include "guest-agent/channel.h"
#include "lib/command.h"

#define PEER_PATIENCE_MS 250
#define PEER_PENDING_MAX 64
#define PEER_LINGER_MS   10000 /* how long a peer that has closed its sending side may wait for replies */

typedef struct Peer Peer;

/* The peer is of no further use: free it. errnum 0: it has closed; else what went wrong. May call
 * peer_free(). */
typedef void (*PeerClosedFunc)(Peer *peer, int errnum, gpointer user_data);

/* Takes fd. NULL with errno set if it cannot be watched. On a CHANNEL_PORT, an end of file (the host has
 * closed its side) forgets a half-read request and replies not yet sent, and the peer lives on. */
Peer *peer_new(CommandServer *server, int fd, ChannelKind kind, PeerClosedFunc closed, gpointer user_data);
void peer_free(Peer *peer);
/* Whether anything has come from the host. */
gboolean peer_was_used(const Peer *peer);
