// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * channel: the bytes of one open descriptor (a virtio-serial port, a connected socket), in and out, never
 * blocking.
 *
 * The descriptor is watched edge-triggered (epoll), for a reason: a virtio-serial port whose host side is
 * closed polls as "hung up and readable" for as long as that lasts, so that a level-triggered loop either
 * spins or has to sleep and look again. With edges the process sleeps until the host's side opens, sends or
 * makes room.
 *
 * Output that does not go out at once is queued. While more than CHANNEL_OUTPUT_HIGH bytes wait, no input is
 * handed on, so that a peer which sends requests and does not read replies is not served on credit.
 */
#pragma once

#include <glib.h>

typedef struct Channel Channel;

#define CHANNEL_OUTPUT_HIGH ((gsize)4 << 20) /* bytes queued above which input rests */
#define CHANNEL_OUTPUT_LOW  ((gsize)1 << 20) /* and below which it goes on */

typedef enum {
    CHANNEL_STREAM, /* end of file is final (a socket, a terminal) */
    CHANNEL_PORT,   /* end of file: the host's side is closed and may open again (a virtio-serial port) */
} ChannelKind;

/* Any of these may call channel_free(). */
typedef struct ChannelFuncs {
    /* Takes bytes (some of them is enough: the rest is offered again at once) and tells how many; 0 is "not
     * now": they are offered again after channel_resume(). */
    gsize (*input)(const char *data, gsize length, gpointer user_data);
    /* The peer will send no more (STREAM: once) or has closed its side for now (PORT). */
    void (*eof)(gpointer user_data);
    /* All queued output has gone out. */
    void (*drained)(gpointer user_data);
    /* The descriptor is of no further use; errnum says why. Called once, nothing else is called after it. */
    void (*failed)(int errnum, gpointer user_data);
} ChannelFuncs;

/* Takes fd (made non-blocking), which must be pollable, on the default main context. NULL and errno set if it
 * is not (fd is closed then too). */
Channel *channel_new(int fd, ChannelKind kind, const ChannelFuncs *funcs, gpointer user_data);
/* Closes the descriptor; no function is called any more. */
void channel_free(Channel *channel);

/* Sends or queues bytes (copied). Calls no function: a failure is told from the main loop. */
void channel_write(Channel *channel, const char *data, gsize length);
/* Bytes queued. */
gsize channel_queued(const Channel *channel);
/* Drops queued output and input not yet taken. */
void channel_discard(Channel *channel);
/* Offers input again, from the main loop. */
void channel_resume(Channel *channel);
