// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user-options: the options of -netdev user: QEMU's names, and its rules of what follows from what.
 */
#pragma once

#include <netinet/in.h>

#include "host-vmm/net/hostfwd.h"
#include "host-vmm/optset.h"

typedef struct UserOptions {
    gboolean restricted;
    gboolean ipv4, ipv6;
    struct in_addr network, netmask, host, dhcp_start, dns;
    struct in6_addr prefix6, host6, dns6;
    guint8 prefix6_length;
    char *hostname, *domain; /* NULL: none */
    GStrv dns_search;
    GArray *forwards; /* HostForward */
} UserOptions;

/* Defaults: net=10.0.2.0/24, host .2, dns .3, dhcpstart .15, ipv6-net=fec0::/64, ::2 and ::3. */
UserOptions *user_options_parse(OptSet *options, GError **error);
void user_options_free(UserOptions *user);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UserOptions, user_options_free)
