// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostfwd: rules of port forwarding, QEMU's "[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT".
 */
#pragma once

#include <gio/gio.h>
#include <netinet/in.h>

typedef struct HostForward {
    gboolean is_udp;
    struct in_addr host_address; /* 0.0.0.0: any */
    guint16 host_port;
    struct in_addr guest_address; /* 0.0.0.0: the first one that DHCP gives out */
    guint16 guest_port;
} HostForward;

gboolean host_forward_parse(const char *text, HostForward *forward, GError **error);
