// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/transport.h"

#include <stdlib.h>
#include <unistd.h>

#define FIRST_INHERITED 3

const TransportOps *const TRANSPORTS[] = {&TRANSPORT_VIRTIO_SERIAL, &TRANSPORT_ISA_SERIAL,
                                          &TRANSPORT_UNIX_LISTEN, &TRANSPORT_VSOCK_LISTEN, NULL};

const TransportOps *transport_find(const char *method)
{
    for (const TransportOps *const *ops = TRANSPORTS; *ops; ops++) {
        if (g_str_equal((*ops)->method, method))
            return *ops;
    }
    return NULL;
}

int transport_inherited(GError **error)
{
    const char *pid = g_getenv("LISTEN_PID"), *count = g_getenv("LISTEN_FDS");
    int n = pid && count && atoi(pid) == (int)getpid() ? atoi(count) : 0;
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    if (n > 1) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "started with %d sockets: we can serve one", n);
        return -2;
    }
    return n == 1 ? FIRST_INHERITED : -1;
}
