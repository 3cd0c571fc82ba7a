// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl place: where a guest that is about to start is best put, as "numad -w" tells it, which libvirt
 * asks for placement='auto'.
 */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "balloon/ctl/ctl.h"
#include "balloon/daemon/nodes.h"

#define LOOK_US 200000 /* between two looks, to know how busy CPUs are */

/* "4:8192" or "4": MiB are not known then. */
static gboolean take_wish(const char *word, guint64 *cpus, guint64 *mib)
{
    g_auto(GStrv) parts = g_strsplit(word, ":", 2);
    *mib = 0;
    return g_ascii_string_to_unsigned(parts[0], 10, 1, 65536, cpus, NULL) &&
           (parts[1] == NULL || g_ascii_string_to_unsigned(parts[1], 10, 0, G_MAXINT32, mib, NULL));
}

static guint64 with_memory(const Nodes *nodes)
{
    guint64 mask = 0;
    for (guint n = 0; n < nodes->host.nodes; n++)
        if (nodes->host.node[n].free > 0)
            mask |= (guint64)1 << n;
    return mask;
}

int place_verb(const Call *call, char **words)
{
    const char *root = call->root != NULL ? call->root : "";
    guint64 cpus, mib;
    Nodes before, nodes;
    GError *error = NULL;
    if (!take_wish(words[0], &cpus, &mib)) {
        fprintf(stderr, "balloonctl: \"%s\" is not CPUS:MB, such as 4:8192\n", words[0]);
        return 2;
    }
    if (!nodes_look(root, NULL, &before, &error))
        return ctl_fail(error);
    if (before.host.nodes > 1)
        g_usleep(LOOK_US);
    if (!nodes_look(root, &before, &nodes, &error))
        return ctl_fail(error);
    guint64 mask = policy_numa_place(&nodes.host, (gint32)cpus, (gint64)mib);
    if (mask == 0) {
        /* numad answers all the same, and libvirt wants an answer. */
        fprintf(stderr, "balloonctl: all nodes together have not so much now\n");
        mask = with_memory(&nodes);
    }
    g_autofree char *list = nodes_list(&nodes, mask);
    puts(list);
    return 0;
}
