// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/memory/numa.h"

#include <string.h>

#define DEFAULT_MEMORY (128ull << 20)
#define NO_NODE        G_MAXUINT

/* What is being put together. */
typedef struct Build {
    const NumaConfig *config;
    Numa *numa;
    guint vcpus;         /* possible ones */
    gboolean any_vcpu;   /* one has been given a node */
    GPtrArray *backends; /* MemoryBackend*, a reference each: by node if there are nodes; NULL for no RAM */
    gboolean declared[NUMA_MAX_NODES];
} Build;

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, text);
    return FALSE;
}

static gboolean assign_vcpu(Build *build, guint vcpu, guint node, GError **error)
{
    guint *slot = &build->numa->node_of_vcpu[vcpu];
    if (*slot != NO_NODE && *slot != node) {
        return refuse(error, "-numa: vCPU %u is given to node %u and to node %u", vcpu, *slot, node);
    }
    *slot = node;
    build->any_vcpu = TRUE;
    return TRUE;
}

/* cpus=2 or cpus=0-3, once or often. */
static gboolean take_cpus(Build *build, OptSet *options, guint node, GError **error)
{
    g_auto(GStrv) ranges = optset_list(options, "cpus");
    for (guint i = 0; ranges[i]; i++) {
        g_auto(GStrv) ends = g_strsplit(ranges[i], "-", 2);
        guint64 first, last;
        if (!ends[0] || !g_ascii_string_to_unsigned(ends[0], 10, 0, build->vcpus - 1, &first, NULL) ||
            (last = first,
             ends[1] && !g_ascii_string_to_unsigned(ends[1], 10, first, build->vcpus - 1, &last, NULL))) {
            return refuse(error, "-numa node: 'cpus=%s' is not a vCPU or a range of them below %u", ranges[i],
                          build->vcpus);
        }
        for (guint64 vcpu = first; vcpu <= last; vcpu++) {
            if (!assign_vcpu(build, (guint)vcpu, node, error)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

static MemoryBackend *find_backend(Build *build, const char *what, const char *id, GError **error)
{
    MemoryBackend *backend = memory_backend_from_object(object_set_find(build->config->objects, id));
    if (!backend) {
        refuse(error, "%s: there is no memory backend '%s'", what, id);
    }
    return backend;
}

static gboolean take_node(Build *build, OptSet *options, GError **error)
{
    Numa *numa = build->numa;
    guint64 id = numa->count, size = 0;
    if (!optset_uint(options, "nodeid", 0, NUMA_MAX_NODES - 1, &id, error) ||
        !optset_size(options, "mem", 1 << 20, &size, error)) {
        return FALSE;
    }
    if (id >= NUMA_MAX_NODES || build->declared[id]) {
        return refuse(error,
                      id >= NUMA_MAX_NODES ? "-numa node: more than %u nodes"
                                           : "-numa node: node %u is there already",
                      id >= NUMA_MAX_NODES ? NUMA_MAX_NODES : (guint)id);
    }
    const char *memdev = optset_string(options, "memdev");
    MemoryBackend *backend = NULL;
    if (memdev && optset_has(options, "mem")) {
        return refuse(error, "-numa node: 'mem' and 'memdev' exclude each other");
    }
    if (memdev) {
        if (!(backend = find_backend(build, "-numa node", memdev, error))) {
            return FALSE;
        }
        memory_backend_ref(backend);
        size = memory_backend_size(backend);
    } else if (size) {
        if (size % 4096) {
            return refuse(error, "-numa node: 'mem' must be a multiple of 4 KiB");
        }
        backend = memory_backend_new_default(size, build->config->merge);
    }
    build->backends->pdata[id] = backend;
    build->declared[id] = TRUE;
    numa->nodes[id].size = size;
    numa->count++;
    return take_cpus(build, options, (guint)id, error) && optset_finish(options, error);
}

static gboolean take_distance(Build *build, OptSet *options, GError **error)
{
    guint64 from = 0, to = 0, value = 0;
    guint most = build->numa->count - 1;
    if (!optset_need_string(options, "src", error) || !optset_need_string(options, "dst", error) ||
        !optset_need_string(options, "val", error) || !optset_uint(options, "src", 0, most, &from, error) ||
        !optset_uint(options, "dst", 0, most, &to, error) ||
        !optset_uint(options, "val", NUMA_DISTANCE_LOCAL, 255, &value, error) ||
        !optset_finish(options, error)) {
        return FALSE;
    }
    if ((from == to) != (value == NUMA_DISTANCE_LOCAL)) {
        return refuse(error, "-numa dist: a node is %d away from itself, and any other is farther",
                      NUMA_DISTANCE_LOCAL);
    }
    build->numa->nodes[from].distance[to] = (guint8)value;
    return TRUE;
}

/* A socket, a core of it or a thread of that. */
static gboolean take_cpu(Build *build, OptSet *options, GError **error)
{
    const CpuTopology *topology = build->config->topology;
    guint64 node = 0, socket = 0, core = 0, thread = 0;
    gboolean has_socket = optset_has(options, "socket-id"), has_core = optset_has(options, "core-id");
    gboolean has_thread = optset_has(options, "thread-id");
    if (!optset_need_string(options, "node-id", error) ||
        !optset_uint(options, "node-id", 0, build->numa->count - 1, &node, error) ||
        !optset_uint(options, "socket-id", 0, topology->sockets - 1, &socket, error) ||
        !optset_uint(options, "core-id", 0, topology->cores - 1, &core, error) ||
        !optset_uint(options, "thread-id", 0, topology->threads - 1, &thread, error) ||
        !optset_finish(options, error)) {
        return FALSE;
    }
    for (guint i = 0; i < build->vcpus; i++) {
        gboolean match = (!has_thread || i % topology->threads == thread) &&
                         (!has_core || i / topology->threads % topology->cores == core) &&
                         (!has_socket || i / (topology->threads * topology->cores) == socket);
        if (match && !assign_vcpu(build, i, (guint)node, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Nodes first, whatever the order: the others name them. */
static gboolean take_options(Build *build, GError **error)
{
    static const struct {
        const char *type;
        gboolean (*take)(Build *build, OptSet *options, GError **error);
    } kinds[] = {{"node", take_node}, {"dist", take_distance}, {"cpu", take_cpu}};
    guint taken = 0;
    for (guint kind = 0; kind < G_N_ELEMENTS(kinds); kind++) {
        for (guint i = 0; i < build->config->options->len; i++) {
            OptSet *options = build->config->options->pdata[i];
            const char *type = optset_need_string(options, "type", error);
            if (!type) {
                return FALSE;
            }
            if (strcmp(type, kinds[kind].type) != 0) {
                continue;
            }
            if (build->numa->count == 0 && kind > 0) {
                return refuse(error, "-numa %s: there is no -numa node", type);
            }
            if (!kinds[kind].take(build, options, error)) {
                return FALSE;
            }
            taken++;
        }
    }
    return taken == build->config->options->len ||
           refuse(error, "-numa: only node, dist and cpu are supported");
}

/* What is not said: sockets go to the nodes in turn, as with QEMU's pc; the way back is as long as the way
 * there. */
static gboolean complete(Build *build, GError **error)
{
    Numa *numa = build->numa;
    const CpuTopology *topology = build->config->topology;
    for (guint i = 0; i < numa->count; i++) {
        if (!build->declared[i]) {
            return refuse(error, "-numa: node %u is missing, nodes are numbered from 0", i);
        }
    }
    for (guint i = 0; i < build->vcpus; i++) {
        if (numa->node_of_vcpu[i] == NO_NODE) {
            numa->node_of_vcpu[i] =
                build->any_vcpu ? 0 : i / (topology->cores * topology->threads) % numa->count;
        }
    }
    for (guint i = 0; i < numa->count; i++) {
        for (guint j = 0; j < numa->count; j++) {
            guint8 *distance = &numa->nodes[i].distance[j], back = numa->nodes[j].distance[i];
            if (!*distance) {
                *distance = i == j ? NUMA_DISTANCE_LOCAL : back ? back : NUMA_DISTANCE_DEFAULT;
            }
        }
    }
    return TRUE;
}

static gboolean add_nodes(Build *build, GError **error)
{
    Numa *numa = build->numa;
    numa->nodes = g_new0(NumaNode, NUMA_MAX_NODES);
    numa->node_of_vcpu = g_new(guint, build->vcpus);
    for (guint i = 0; i < build->vcpus; i++) {
        numa->node_of_vcpu[i] = NO_NODE;
    }
    g_ptr_array_set_size(build->backends, NUMA_MAX_NODES);
    if (!take_options(build, error) || !complete(build, error)) {
        return FALSE;
    }
    guint64 sum = 0;
    for (guint i = 0; i < numa->count; i++) {
        sum += numa->nodes[i].size;
    }
    guint64 wanted = build->config->memory_size ? build->config->memory_size : sum;
    if (sum != wanted || sum == 0) {
        return refuse(error,
                      "-numa: the nodes' memory (%" G_GUINT64_FORMAT
                      " MiB; mem= or memdev= of each) is not the "
                      "guest's (-m, %" G_GUINT64_FORMAT " MiB)",
                      sum >> 20, wanted >> 20);
    }
    return TRUE;
}

static gboolean add_plain_memory(Build *build, GError **error)
{
    const NumaConfig *config = build->config;
    if (!config->backend) {
        guint64 size = config->memory_size ? config->memory_size : DEFAULT_MEMORY;
        g_ptr_array_add(build->backends, memory_backend_new_default(size, config->merge));
        return TRUE;
    }
    MemoryBackend *backend = find_backend(build, "-machine memory-backend", config->backend, error);
    if (!backend) {
        return FALSE;
    }
    g_ptr_array_add(build->backends, memory_backend_ref(backend));
    return !config->memory_size || config->memory_size == memory_backend_size(backend) ||
           refuse(error,
                  "-machine memory-backend=%s: it has %" G_GUINT64_FORMAT
                  " MiB, the guest (-m) %" G_GUINT64_FORMAT,
                  config->backend, memory_backend_size(backend) >> 20, config->memory_size >> 20);
}

static void unref_backend(gpointer backend)
{
    memory_backend_unref(backend);
}

/* What may be added to the RAM that is there. */
static gboolean set_room(const NumaConfig *config, GuestMemory *memory, GError **error)
{
    guint64 size = guest_memory_size(memory), most = config->memory_most;
    if (most && most < size) {
        return refuse(error,
                      "-m maxmem=: the guest has more than that (%" G_GUINT64_FORMAT " MiB) from the start",
                      size >> 20);
    }
    guest_memory_set_room(memory, most ? most - size : 0);
    return TRUE;
}

Numa *numa_new(const NumaConfig *config, GuestMemory **memory, GError **error)
{
    g_autoptr(Numa) numa = g_new0(Numa, 1);
    g_autoptr(GPtrArray) backends = g_ptr_array_new_with_free_func(unref_backend);
    const CpuTopology *topology = config->topology;
    Build build = {.config = config,
                   .numa = numa,
                   .vcpus = topology->sockets * topology->cores * topology->threads,
                   .backends = backends};
    if (config->backend && config->options->len) {
        refuse(error, "-machine memory-backend: with -numa each node has its own ('memdev')");
        return NULL;
    }
    if (!(config->options->len ? add_nodes(&build, error) : add_plain_memory(&build, error))) {
        return NULL;
    }
    /* Nodes without memory have no backend. */
    for (guint i = backends->len; i > 0; i--) {
        if (!backends->pdata[i - 1]) {
            g_ptr_array_remove_index(backends, i - 1);
        }
    }
    *memory = guest_memory_new_from((MemoryBackend *const *)backends->pdata, backends->len, error);
    return *memory && set_room(config, *memory, error) ? g_steal_pointer(&numa) : NULL;
}

void numa_free(Numa *numa)
{
    if (!numa) {
        return;
    }
    g_free(numa->nodes);
    g_free(numa->node_of_vcpu);
    g_free(numa);
}
