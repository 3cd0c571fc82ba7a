// SPDX-License-Identifier: GPL-2.0-or-later
/* kernel-stats: what the kernel counts, as its files in /proc say it and as the agent's protocol wants it.
 * Lines that are not as they should be are left out; counters above 2^63-1 are cut there. */
#pragma once

#include "lib/jsonstream.h"

/* The answer of guest-get-diskstats, of the text of /proc/diskstats (Documentation/admin-guide/iostats.rst):
 * 4 counters a line (partitions of very old kernels), 11, since Linux 4.18 15, since 5.5 17. */
JsonArray *kernel_diskstats(const char *text);

/* The answer of guest-get-cpustats, of the text of /proc/stat (proc_stat(5)): one object a processor, in
 * milliseconds. ticks: those of a second, sysconf(_SC_CLK_TCK). */
JsonArray *kernel_cpustats(const char *text, guint ticks);

/* Append to the answer of guest-network-get-route, of the text of /proc/net/route and /proc/net/ipv6_route
 * (Documentation/networking/proc_net_tcp.rst has the like; the columns are those of fib_trie.c and of
 * net/ipv6/route.c). */
void kernel_routes_v4(JsonArray *routes, const char *text);
void kernel_routes_v6(JsonArray *routes, const char *text);
