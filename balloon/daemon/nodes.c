// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/nodes.h"

#include <gio/gio.h>
#include <string.h>

#define FOLDER      "/sys/devices/system/node"
#define CPUS_MAX    8192
#define KIB_PER_MIB 1024
#define LOCAL       10 /* a node's distance to itself (ACPI, SLIT) */

static char *read_text(const char *root, const char *name)
{
    g_autofree char *path = g_strconcat(root, name, NULL);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* The next number of a list such as "0-1,3"; -1: that was all, or it is no such list. */
typedef struct List {
    const char *at;
    gint64 next, last;
} List;

static gint64 list_next(List *list)
{
    if (list->next < list->last)
        return ++list->next;
    char *end;
    list->at += strspn(list->at, ", \n");
    if (!g_ascii_isdigit(list->at[0]))
        return -1;
    list->next = list->last = g_ascii_strtoll(list->at, &end, 10);
    if (end[0] == '-' && g_ascii_isdigit(end[1]))
        list->last = g_ascii_strtoll(end + 1, &end, 10);
    list->at = end;
    list->last = MIN(list->last, CPUS_MAX);
    return list->next;
}

/* ---- memory ---- */

/* "Node 0 MemFree:   16073964 kB" in KiB; 0. */
static gint64 field(const char *text, const char *word)
{
    g_autofree char *wanted = g_strdup_printf(" %s:", word);
    const char *at = strstr(text, wanted);
    return at != NULL ? g_ascii_strtoll(at + strlen(wanted), NULL, 10) : 0;
}

/* As MemAvailable, which nodes do not tell: what is free, and of caches what is not in use all the time. */
static gint64 available(const char *meminfo)
{
    gint64 used = field(meminfo, "Active(file)") + field(meminfo, "SReclaimable");
    return (field(meminfo, "MemFree") + field(meminfo, "Inactive(file)") + used / 2) / KIB_PER_MIB;
}

/* ---- CPUs ---- */

/* Ticks of each CPU in /proc/stat: [0] all, [1] those in which it ran something. */
static void read_stat(const char *root, guint64 (*ticks)[2])
{
    g_autofree char *text = read_text(root, "/proc/stat");
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "cpu", 3) != 0 || !g_ascii_isdigit(line[3]))
            continue;
        char *at;
        guint64 cpu = g_ascii_strtoull(line + 3, &at, 10), all = 0, idle = 0;
        for (guint i = 0; i < 8 && *at == ' '; i++) { /* user nice system idle iowait irq softirq steal */
            guint64 value = g_ascii_strtoull(at, &at, 10);
            all += value;
            idle += i == 3 || i == 4 ? value : 0;
        }
        if (cpu < CPUS_MAX) {
            ticks[cpu][0] = all;
            ticks[cpu][1] = all - idle;
        }
    }
}

static void add_cpus(Nodes *nodes, guint n, const char *cpus, guint64 (*ticks)[2])
{
    List list = {cpus, 0, 0};
    for (gint64 cpu; (cpu = list_next(&list)) >= 0 && cpu < CPUS_MAX;) {
        nodes->host.node[n].cpus++;
        nodes->passed[n] += ticks[cpu][0];
        nodes->ran[n] += ticks[cpu][1];
    }
}

static void take_busy(const Nodes *before, Nodes *nodes, guint n)
{
    guint64 passed = nodes->passed[n] - before->passed[n], ran = nodes->ran[n] - before->ran[n];
    if (before->id[n] == nodes->id[n] && nodes->passed[n] > before->passed[n])
        nodes->host.node[n].busy = (gint32)(MIN(ran, passed) * 1000 / passed);
}

/* ---- a look ---- */

static gboolean look_at_node(const char *root, Nodes *nodes, guint n, guint64 (*ticks)[2], GError **error)
{
    g_autofree char *folder = g_strdup_printf(FOLDER "/node%u", nodes->id[n]);
    g_autofree char *meminfo_path = g_strconcat(folder, "/meminfo", NULL);
    g_autofree char *cpulist_path = g_strconcat(folder, "/cpulist", NULL);
    g_autofree char *distance_path = g_strconcat(folder, "/distance", NULL);
    g_autofree char *meminfo = read_text(root, meminfo_path), *cpus = read_text(root, cpulist_path);
    g_autofree char *distance = read_text(root, distance_path);
    if (meminfo == NULL || cpus == NULL || strstr(meminfo, " MemFree:") == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s%s does not tell its memory and CPUs",
                    root, folder);
        return FALSE;
    }
    nodes->host.node[n].free = available(meminfo);
    add_cpus(nodes, n, cpus, ticks);
    /* A row has a number for each node that is online, in their order. */
    char *at = distance;
    for (guint other = 0; other < nodes->host.nodes; other++) {
        guint64 value = at != NULL ? g_ascii_strtoull(at, &at, 10) : 0;
        nodes->host.distance[n][other] = value > 0 ? (guint8)MIN(value, 255) : n == other ? LOCAL : 2 * LOCAL;
    }
    return TRUE;
}

/* A kernel without NUMA. */
static gboolean look_at_whole(const char *root, Nodes *nodes, guint64 (*ticks)[2], GError **error)
{
    g_autofree char *meminfo = read_text(root, "/proc/meminfo");
    const char *at = meminfo != NULL ? strstr(meminfo, "MemAvailable:") : NULL;
    if (at == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s/proc/meminfo does not tell MemAvailable",
                    root);
        return FALSE;
    }
    nodes->host.nodes = 1;
    nodes->host.node[0].free = g_ascii_strtoll(at + strlen("MemAvailable:"), NULL, 10) / KIB_PER_MIB;
    nodes->host.distance[0][0] = LOCAL;
    for (guint cpu = 0; cpu < CPUS_MAX; cpu++) {
        nodes->host.node[0].cpus += ticks[cpu][0] > 0;
        nodes->passed[0] += ticks[cpu][0];
        nodes->ran[0] += ticks[cpu][1];
    }
    return TRUE;
}

gboolean nodes_look(const char *root, const Nodes *before, Nodes *nodes, GError **error)
{
    g_autofree char *online = read_text(root, FOLDER "/online");
    g_autofree guint64(*ticks)[2] = g_malloc0_n(CPUS_MAX, sizeof ticks[0]);
    memset(nodes, 0, sizeof *nodes);
    nodes->host.psi_some = -1;
    read_stat(root, ticks);
    List list = {online != NULL ? online : "", 0, 0};
    for (gint64 id; nodes->host.nodes < POLICY_NUMA_NODES && (id = list_next(&list)) >= 0;)
        nodes->id[nodes->host.nodes++] = (guint)id;
    if (nodes->host.nodes == 0 && !look_at_whole(root, nodes, ticks, error))
        return FALSE;
    for (guint n = 0; n < nodes->host.nodes; n++) {
        if (online != NULL && !look_at_node(root, nodes, n, ticks, error))
            return FALSE;
        if (before != NULL)
            take_busy(before, nodes, n);
    }
    return TRUE;
}

char *nodes_list(const Nodes *nodes, guint64 mask)
{
    GString *text = g_string_new(NULL);
    for (guint n = 0; n < nodes->host.nodes; n++) {
        if (!(mask >> n & 1))
            continue;
        guint first = n;
        while (n + 1 < nodes->host.nodes && (mask >> (n + 1) & 1) && nodes->id[n + 1] == nodes->id[n] + 1)
            n++;
        g_string_append_printf(text, "%s%u", text->len > 0 ? "," : "", nodes->id[first]);
        if (n > first)
            g_string_append_printf(text, "-%u", nodes->id[n]);
    }
    return g_string_free(text, FALSE);
}
