// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server: the QMP monitors of a machine: greeting, sessions, events.
 *
 * A monitor on a listening unix socket serves any number of clients, one on another character device serves
 * its one peer. Nothing here ever waits for a client: one that does not read is not read from, and is dropped
 * when the events that it has missed are more than 16 MiB. Main thread only.
 */
#pragma once

#include "host-vmm/machine.h"

typedef struct QmpServer QmpServer;

/* Takes the machine's events. Both arguments must outlive the server. */
QmpServer *qmp_server_new(Machine *machine, ChardevSet *chardevs);
void qmp_server_free(QmpServer *server); /* hangs up */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QmpServer, qmp_server_free)

/* -mon [chardev=]ID,mode=control. */
gboolean qmp_server_add_monitor(QmpServer *server, OptSet *options, GError **error);

/* Waits until what was sent has been taken by the clients, at most timeout_ms. */
void qmp_server_flush(QmpServer *server, guint timeout_ms);
