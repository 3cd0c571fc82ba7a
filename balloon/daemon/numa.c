// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/numa-private.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define MOVING_MS 2000 /* between two looks at a guest that is on the move */
#define CPUS_MAX  8192

/* ---- lists of numbers, as the kernel writes them: "0-3,8" ---- */

typedef void (*NumberFunc)(guint number, gpointer data);

static gboolean each_number(const char *list, guint limit, NumberFunc func, gpointer data)
{
    for (const char *at = list; *at != '\0';) {
        char *end;
        if (!g_ascii_isdigit(*at))
            return FALSE;
        guint64 from = g_ascii_strtoull(at, &end, 10), to = from;
        if (*end == '-' && g_ascii_isdigit(end[1]))
            to = g_ascii_strtoull(end + 1, &end, 10);
        for (guint64 i = from; i <= to && i < limit; i++)
            func((guint)i, data);
        at = *end == ',' ? end + 1 : end;
        if (*end != ',' && *end != '\0')
            return FALSE;
    }
    return TRUE;
}

/* ---- affinities ---- */

static gboolean is_that(const char *root, const char *setting, int *id)
{
    int pid;
    guint64 start;
    if (sscanf(setting, "%d/%d/%" G_GUINT64_FORMAT, &pid, id, &start) != 3 || pid <= 0 || *id <= 0)
        return FALSE;
    g_autofree char *path = g_strdup_printf("%s/proc/%d/task/%d/stat", root, pid, *id);
    g_autofree char *text = NULL;
    const char *at = g_file_get_contents(path, &text, NULL, NULL) ? strrchr(text, ')') : NULL;
    for (guint i = 2; at != NULL && i < 22; i++)
        at = strchr(at + 1, ' ');
    return at != NULL && g_ascii_strtoull(at + 1, NULL, 10) == start;
}

static char *read_affinity(const char *root, const char *setting)
{
    int id;
    g_autofree char *text = NULL;
    if (root[0] != '\0' || !is_that(root, setting, &id))
        return NULL;
    g_autofree char *path = g_strdup_printf("/proc/%d/status", id);
    const char *at = g_file_get_contents(path, &text, NULL, NULL) ? strstr(text, "Cpus_allowed_list:") : NULL;
    if (at == NULL)
        return NULL;
    at += strlen("Cpus_allowed_list:");
    at += strspn(at, " \t");
    return g_strndup(at, strcspn(at, "\n"));
}

static void add_cpu(guint cpu, gpointer data)
{
    CPU_SET_S(cpu, CPU_ALLOC_SIZE(CPUS_MAX), (cpu_set_t *)data);
}

static gboolean write_affinity(const char *root, const char *setting, const char *value)
{
    int id;
    if (root[0] != '\0' || !is_that(root, setting, &id)) {
        errno = ESRCH;
        return FALSE;
    }
    gsize size = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    CPU_ZERO_S(size, set);
    gboolean good = each_number(value, CPUS_MAX, add_cpu, set);
    errno = EINVAL;
    good = good && sched_setaffinity(id, size, set) == 0;
    CPU_FREE(set);
    return good;
}

const KeepKind NUMA_AFFINITIES = {"affinity", read_affinity, write_affinity};

/* ---- the host ---- */

static char *read_line(Numa *numa, const char *name)
{
    const char *text = host_read(numa->host, name);
    return text != NULL ? g_strndup(text, strcspn(text, "\n")) : NULL;
}

typedef struct NodeCpus {
    Numa *numa;
    guint node;
} NodeCpus;

static void note_cpu(guint cpu, gpointer data)
{
    const NodeCpus *note = data;
    if (note->numa->node_of->len <= cpu)
        g_array_set_size(note->numa->node_of, cpu + 1);
    g_array_index(note->numa->node_of, guint8, cpu) = (guint8)note->node;
}

/* Which CPUs are whose does not change. */
static void learn_cpus(Numa *numa)
{
    for (guint n = 0; n < numa->nodes.host.nodes; n++) {
        g_autofree char *name = g_strdup_printf("/sys/devices/system/node/node%u/cpulist", numa->nodes.id[n]);
        NodeCpus note = {numa, n};
        g_free(numa->cpus[n]);
        numa->cpus[n] = read_line(numa, name);
        if (numa->cpus[n] != NULL)
            each_number(numa->cpus[n], CPUS_MAX, note_cpu, &note);
    }
}

static gboolean look_at_host(Numa *numa, PolicyNumaHost *seen)
{
    Nodes now;
    if (!nodes_look(host_root(numa->host), &numa->nodes, &now, NULL))
        return FALSE;
    numa->nodes = now;
    if (numa->node_of->len == 0)
        learn_cpus(numa);
    *seen = now.host;
    const char *balancing = host_read(numa->host, "/proc/sys/kernel/numa_balancing");
    seen->balances = balancing != NULL && balancing[0] != '0';
    seen->psi_some = host_pressure(numa->host, "memory", "some");
    return TRUE;
}

/* ---- a guest ---- */

static void place_free(gpointer data)
{
    NumaPlace *place = data;
    if (place->move != NULL)
        numa_move_forget(place->move);
    g_hash_table_unref(place->ran);
    g_ptr_array_unref(place->pinned);
    g_free(place);
}

static NumaPlace *place_of(const Numa *numa, guint number)
{
    return number < numa->places->len ? numa->places->pdata[number] : NULL;
}

static void let_go(Numa *numa, NumaPlace *place)
{
    for (guint i = 0; i < place->pinned->len; i++)
        keep_restore(numa->keep, &NUMA_AFFINITIES, place->pinned->pdata[i]);
    g_ptr_array_set_size(place->pinned, 0);
}

void numa_forget(Numa *numa, guint number)
{
    NumaPlace *place = place_of(numa, number);
    if (place == NULL)
        return;
    let_go(numa, place);
    g_clear_pointer(&numa->places->pdata[number], place_free);
}

static NumaPlace *make_place(Numa *numa, guint number, int pid)
{
    NumaPlace *place = place_of(numa, number);
    if (place != NULL && place->pid != pid) {
        numa_forget(numa, number);
        place = NULL;
    }
    if (place == NULL) {
        if (numa->places->len <= number)
            g_ptr_array_set_size(numa->places, (gint)number + 1);
        place = g_new0(NumaPlace, 1);
        place->pid = pid;
        place->numa = numa;
        place->ran = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
        place->pinned = g_ptr_array_new_with_free_func(g_free);
        numa->places->pdata[number] = place;
    }
    return place;
}

/* Time that threads ran since the last look goes to the node on which they are now. */
static void take_threads(Numa *numa, NumaPlace *place, const NumaSight *sight, PolicyNumaGuest *seen)
{
    g_autoptr(GHashTable) ran = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    memset(seen->ran_ms, 0, sizeof seen->ran_ms);
    for (guint i = 0; i < sight->threads->len; i++) {
        const NumaThread *thread = &g_array_index(sight->threads, NumaThread, i);
        const gint64 *before = g_hash_table_lookup(place->ran, GINT_TO_POINTER(thread->id));
        guint node = thread->cpu < numa->node_of->len ? g_array_index(numa->node_of, guint8, thread->cpu) : 0;
        if (before != NULL)
            seen->ran_ms[node] += MAX(thread->ran_ms - *before, 0);
        gint64 *now = g_new(gint64, 1);
        *now = thread->ran_ms;
        g_hash_table_insert(ran, GINT_TO_POINTER(thread->id), now);
    }
    g_hash_table_unref(place->ran);
    place->ran = g_steal_pointer(&ran);
}

static void set_affinity(Numa *numa, NumaPlace *place, const NumaThread *thread, guint node)
{
    g_autoptr(GError) error = NULL;
    if (keep_set(numa->keep, &NUMA_AFFINITIES, thread->setting, numa->cpus[node], &error)) {
        if (keep_before(numa->keep, &NUMA_AFFINITIES, thread->setting) != NULL &&
            !g_ptr_array_find_with_equal_func(place->pinned, thread->setting, g_str_equal, NULL))
            g_ptr_array_add(place->pinned, g_strdup(thread->setting));
    } else if (g_error_matches(error, KEEP_ERROR, KEEP_ERROR_FOREIGN)) {
        place->owned = TRUE; /* from now on its owner's */
    } else if (!g_error_matches(error, KEEP_ERROR, KEEP_ERROR_GONE) && numa->refused++ == 0) {
        g_warning("NUMA: %s", error->message);
    }
}

static void look_at_guest(Numa *numa, Fleet *fleet, guint number, gint64 now)
{
    const Law *law = &fleet->laws[FLEET_NUMA];
    const FleetGuest *guest = &fleet->places[number];
    const PolicyNumaGuestState *state = law_part(law, LAW_GUEST_STATE, number);
    PolicyNumaGuest *seen = law_part(law, LAW_GUEST, number);
    NumaPlace *place = make_place(numa, number, guest->pid);
    NumaSight sight;
    place->looked_at = now;
    if (!numa_sight_take(&sight, host_root(numa->host), guest->pid)) {
        seen->flags = 0;
        return;
    }
    if (state->pinned && numa->mode == NUMA_ACT && !numa->dry_run && place->pinned->len > 0)
        for (guint i = 0; i < sight.threads->len && !place->owned; i++) /* new ones, too */
            set_affinity(numa, place, &g_array_index(sight.threads, NumaThread, i), state->node);
    gboolean placed = place->owned || sight.bound || g_strcmp0(sight.allowed, numa->online) != 0;
    seen->flags = POLICY_NUMA_RUNS | (sight.locked ? POLICY_NUMA_LOCKED : 0) | (placed ? POLICY_NUMA_OWN : 0);
    seen->need = MAX(fleet->decisions[number].need, sight.rss);
    seen->vcpus = (gint32)sight.threads->len;
    for (guint n = 0; n < numa->nodes.host.nodes; n++) /* the policy counts nodes without gaps */
        seen->resident[n] = numa->nodes.id[n] < POLICY_NUMA_NODES ? sight.resident[numa->nodes.id[n]] : 0;
    take_threads(numa, place, &sight, seen);
    seen->sampled_at = now;
    numa_sight_clear(&sight);
}

void numa_look(Numa *numa, Fleet *fleet, gint64 now, gboolean paused)
{
    Law *law = &fleet->laws[FLEET_NUMA];
    gboolean looked = FALSE;
    guint first = numa->next;
    if (!law->on || !look_at_host(numa, law->part[LAW_HOST]))
        return;
    for (guint i = 0; i < fleet->count; i++) {
        guint number = (first + i) % fleet->count;
        const FleetGuest *guest = &fleet->places[number];
        const NumaPlace *place = place_of(numa, number);
        PolicyNumaGuest *seen = law_part(law, LAW_GUEST, number);
        const PolicyNumaGuestState *state = law_part(law, LAW_GUEST_STATE, number);
        if (guest->key == NULL || guest->pid <= 0 || !guest->lives || guest->paused || guest->no_numa ||
            paused) {
            seen->flags = 0;
            continue;
        }
        gint64 pause = state->moving ? MIN(MOVING_MS, numa->sample_ms) : numa->sample_ms;
        if (looked || (place != NULL && place->pid == guest->pid && now - place->looked_at < pause))
            continue;
        look_at_guest(numa, fleet, number, now);
        numa->next = number + 1;
        looked = TRUE;
    }
}

/* ---- what was decided ---- */

static void on_moved(gint64 moved, guint64 cursor, gpointer user_data)
{
    NumaPlace *place = user_data;
    place->move = NULL;
    place->cursor = cursor;
    place->moved += moved;
    place->numa->moved += moved;
}

static void pin(Numa *numa, NumaPlace *place, guint node)
{
    NumaSight sight;
    if (numa->cpus[node] == NULL || numa->cpus[node][0] == '\0' ||
        !numa_sight_take(&sight, host_root(numa->host), place->pid))
        return;
    for (guint i = 0; i < sight.threads->len && !place->owned; i++)
        set_affinity(numa, place, &g_array_index(sight.threads, NumaThread, i), node);
    numa_sight_clear(&sight);
    numa->pins++;
}

static void carry_out(Numa *numa, NumaPlace *place, const PolicyNumaDecision *decision)
{
    switch (decision->action) {
    case POLICY_NUMA_PIN:
        pin(numa, place, decision->node);
        place->cursor = 0;
        break;
    case POLICY_NUMA_MOVE:
        if (place->move == NULL && !place->owned)
            place->move = numa_move_begin(host_root(numa->host), place->pid, numa->nodes.id[decision->node],
                                          decision->mib, place->cursor, on_moved, place);
        break;
    case POLICY_NUMA_UNPIN:
        let_go(numa, place);
        break;
    default:
        break;
    }
}

void numa_act(Numa *numa, Fleet *fleet)
{
    const Law *law = &fleet->laws[FLEET_NUMA];
    for (guint i = 0; law->on && i < fleet->count; i++) {
        const PolicyNumaDecision *decision = law_part(law, LAW_DECISION, i);
        NumaPlace *place = place_of(numa, i);
        if (fleet->places[i].key == NULL || place == NULL || decision->reason == POLICY_NUMA_REASON_NONE)
            continue;
        gboolean acts = numa->mode == NUMA_ACT && !numa->dry_run;
        g_autofree char *told = law->class->tell(law, (gint)i);
        if (told != NULL && (acts || decision->action != place->last.action))
            g_info("%s: %s%s", fleet->places[i].name, told, acts ? "" : ", not done");
        place->last = *decision;
        if (acts)
            carry_out(numa, place, decision);
    }
}

/* ---- the whole ---- */

Numa *numa_new(Host *host, Keep *keep, gboolean dry_run)
{
    Numa *numa = g_new0(Numa, 1);
    numa->host = host;
    numa->keep = keep;
    numa->dry_run = dry_run;
    numa->node_of = g_array_new(FALSE, TRUE, sizeof(guint8));
    numa->places = g_ptr_array_new();
    return numa;
}

static void forget_all(Numa *numa)
{
    for (guint i = 0; i < numa->places->len; i++)
        numa_forget(numa, i);
    keep_restore(numa->keep, &NUMA_AFFINITIES, NULL);
}

void numa_free(Numa *numa)
{
    if (numa == NULL)
        return;
    forget_all(numa);
    for (guint n = 0; n < POLICY_NUMA_NODES; n++)
        g_free(numa->cpus[n]);
    g_ptr_array_unref(numa->places);
    g_array_unref(numa->node_of);
    g_free(numa->online);
    g_free(numa->why_not);
    g_free(numa);
}

static const char *why_not(const Numa *numa, gboolean active)
{
    Nodes nodes;
    if (!active)
        return "the guests are not of this host";
    if (!nodes_look(host_root(numa->host), NULL, &nodes, NULL) || nodes.host.nodes < 2)
        return "the host has one node";
    return numa->mode == NUMA_ACT && !numa->dry_run ? keep_why_not(numa->keep) : NULL;
}

void numa_configure(Numa *numa, Fleet *fleet, const Settings *settings, gboolean active)
{
    NumaMode before = numa->mode;
    numa->mode = settings->numa_mode;
    numa->sample_ms = settings->numa_sample_ms;
    numa->refused = 0;
    g_free(numa->online);
    numa->online = read_line(numa, "/sys/devices/system/node/online");
    g_free(numa->why_not);
    numa->why_not = numa->mode != NUMA_OFF ? g_strdup(why_not(numa, active)) : NULL;
    gboolean on = numa->mode != NUMA_OFF && numa->why_not == NULL;
    if (!on || numa->mode != NUMA_ACT)
        forget_all(numa);
    if (numa->mode != before) /* what it had advised was not done */
        fleet_set_law(fleet, FLEET_NUMA, NULL);
    fleet_set_law(fleet, FLEET_NUMA, on ? &settings->numa : NULL);
}
