// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * numa: what RAM the guest has and how RAM and vCPUs are told to belong together: -m, -machine
 * memory-backend=, -numa node, dist and cpu, in QEMU's words. Only a description; the ACPI tables are made
 * from it.
 */
#pragma once

#include "host-vmm/kvm/cpuid.h"
#include "host-vmm/memory/guest-memory.h"

#define NUMA_MAX_NODES        128
#define NUMA_DISTANCE_LOCAL   10 /* ACPI 6.4, 5.2.17: a node to itself */
#define NUMA_DISTANCE_DEFAULT 20

typedef struct NumaNode {
    guint64 size; /* bytes of RAM; may be 0. RAM of the nodes lies in their order */
    guint8 distance[NUMA_MAX_NODES];
} NumaNode;

typedef struct Numa {
    guint count;         /* nodes; 0: the guest is told nothing of it */
    NumaNode *nodes;     /* by number */
    guint *node_of_vcpu; /* by number of the vCPU, for all possible ones; NULL if count is 0 */
} Numa;

typedef struct NumaConfig {
    const GPtrArray *options; /* OptSet of each -numa */
    guint64 memory_size;      /* -m; 0: what the backends make */
    guint64 memory_most;      /* -m maxmem=; 0: nothing is added */
    const char *backend;      /* -machine memory-backend=, NULL: none */
    gboolean merge;           /* -machine mem-merge= of RAM without a backend */
    const CpuTopology *topology;
    ObjectSet *objects;
} NumaConfig;

/* Checks all of it and maps the guest's RAM. Errors name the option. */
Numa *numa_new(const NumaConfig *config, GuestMemory **memory, GError **error);
void numa_free(Numa *numa);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Numa, numa_free)
