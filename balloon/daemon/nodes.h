// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nodes: what the kernel says of this machine's NUMA nodes, for the policy: /sys/devices/system/node,
 * /proc/stat. A machine without nodes is one node. Tests make up a machine in a folder (root).
 */
#pragma once

#include "balloon/policy-numa.h"

typedef struct Nodes {
    PolicyNumaHost host;         /* balances and psi_some are the caller's */
    guint id[POLICY_NUMA_NODES]; /* the kernel's number of each: there may be gaps */
    guint64 ran[POLICY_NUMA_NODES], passed[POLICY_NUMA_NODES]; /* CPU time since boot, in ticks */
} Nodes;

/* root: "" for this machine. before: an earlier look, out of which follows how busy CPUs were since then;
 * NULL: that is 0. FALSE and error: a node does not tell its memory or its CPUs. */
gboolean nodes_look(const char *root, const Nodes *before, Nodes *nodes, GError **error);

/* Nodes by their bits, as the kernel writes lists ("0-1,3"), by the kernel's numbers. To be freed. */
char *nodes_list(const Nodes *nodes, guint64 mask);
