// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/transport.h"

const TransportOps *const TRANSPORTS[] = {&TRANSPORT_VIRTIO_SERIAL, &TRANSPORT_UNIX_LISTEN, NULL};

const TransportOps *transport_find(const char *method)
{
    for (const TransportOps *const *ops = TRANSPORTS; *ops; ops++) {
        if (g_str_equal((*ops)->method, method))
            return *ops;
    }
    return NULL;
}
