// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * transport: how the host reaches the agent. A transport finds or makes the descriptor that the host talks
 * through, keeps one peer on it, and knows nothing of commands. A method of -m is one row of TransportOps.
 */
#pragma once

#include "lib/command.h"

/* What a transport lives in: given to start(), valid until stop(). */
typedef struct TransportHost {
    CommandServer *server;
    /* The transport cannot go on (never called from within start()). */
    void (*failed)(GError *error, gpointer user_data); /* error is taken */
    gpointer user_data;
} TransportHost;

typedef struct TransportOps {
    const char *method;       /* the word of -m */
    const char *default_path; /* of -p; NULL: must be given */
    /* Begins to serve; something that is merely not there yet is waited for. NULL and error if it never can.
     */
    gpointer (*start)(const char *path, const TransportHost *host, GError **error);
    void (*stop)(gpointer transport);
} TransportOps;

extern const TransportOps TRANSPORT_VIRTIO_SERIAL, TRANSPORT_ISA_SERIAL; /* transport-serial.c */
extern const TransportOps TRANSPORT_UNIX_LISTEN, TRANSPORT_VSOCK_LISTEN; /* transport-listen.c */
extern const TransportOps TRANSPORT_INHERITED; /* likewise: the path is the number of a descriptor */

/* NULL if there is no such method. */
const TransportOps *transport_find(const char *method);
/* NULL-terminated, in the order in which help lists them. */
extern const TransportOps *const TRANSPORTS[];

/* The socket that systemd has started us for (sd_listen_fds(3)), told to nobody else: its descriptor, -1 if
 * there is none; -2 and error if there are several. */
int transport_inherited(GError **error);
