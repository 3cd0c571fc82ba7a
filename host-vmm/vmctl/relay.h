// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * relay: carries bytes between this process's stdin and stdout and a guest's console socket.
 *
 * If stdin is a terminal it is made raw meanwhile, so that every key reaches the guest but Ctrl-], which ends
 * the relay; the terminal is as it was before when relay_run() returns, signals included.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    RELAY_CLOSED,    /* the other end has closed */
    RELAY_DETACHED,  /* Ctrl-], which works even if the guest takes no input any more */
    RELAY_FOUND,     /* the text that was waited for has come */
    RELAY_TIMED_OUT, /* the deadline has passed */
    RELAY_SIGNALLED, /* a signal has come on `signals` */
    RELAY_NO_OUTPUT, /* stdout cannot be written any more */
} RelayEnd;

/* Takes turns until one of the ends comes. An end of stdin alone is none: output goes on. deadline: 0 for
 * none. until: NULL, or a text in the output to end after. signals: from
 * signals_catch(). */
RelayEnd relay_run(int socket, int signals, gint64 deadline, const char *until);

/* Connects to a unix socket within timeout_ms; the descriptor is the caller's. -1 and error. */
int relay_connect(const char *path, guint timeout_ms, GError **error);
