// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * socket-address: the addresses of -netdev stream and dgram, QEMU's SocketAddress:
 * "addr.type=unix,addr.path=PATH" or "addr.type=fd,addr.str=N", with a number or a name (getfd).
 */
#pragma once

#include <json-glib/json-glib.h>

#include "host-vmm/fd-store.h"
#include "host-vmm/optset.h"

typedef struct SocketAddress {
    char *path;        /* NULL: a descriptor */
    int fd;            /* -1: a path */
    gboolean is_owned; /* to be closed with the address: it came under a name, and nobody has taken it yet */
} SocketAddress;

/* Whether any key of it is there. */
gboolean socket_address_is_given(OptSet *options, const char *prefix);
/* prefix: "addr", "local", "remote". */
gboolean socket_address_parse(SocketAddress *address, OptSet *options, const char *prefix, FdStore *fds,
                              GError **error);
void socket_address_clear(SocketAddress *address);
/* {"type": "unix", "path": …} or {"type": "fd", "str": "N"}; owned. */
JsonObject *socket_address_describe(const SocketAddress *address);

/* Takes the descriptor: a unix socket of this type (SOCK_STREAM, SOCK_DGRAM), listening or not; makes it
 * non-blocking and close-on-exec. */
gboolean socket_address_inherit(SocketAddress *address, int type, gboolean listening, const char *what,
                                GError **error);
