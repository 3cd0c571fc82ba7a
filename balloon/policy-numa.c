// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-numa.h"

#define LOCAL_DISTANCE 10
/* A node with more of its CPUs busy takes no guests from others. */
#define NODE_BUSY 850
/* With more, those that were pinned to it are let go. */
#define NODE_CROWDED 950

void policy_numa_config_init(PolicyNumaConfig *config)
{
    *config = (PolicyNumaConfig){.local_permille = 800,
                                 .samples = 3,
                                 .gain = 3,
                                 .horizon_ms = 10 * 60 * 1000,
                                 .rate = 1024,
                                 .slice = 256,
                                 .margin_permille = 100,
                                 .memory_permille = 200,
                                 .pause_ms = 10 * 60 * 1000,
                                 .in_flight = 2,
                                 .pressure = 100};
}

const char *policy_numa_action_name(PolicyNumaAction action)
{
    static const char *const names[] = {"stay", "pin", "move", "unpin"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_NUMA_ACTIONS);
    return (guint)action < G_N_ELEMENTS(names) ? names[action] : "?";
}

const char *policy_numa_reason_name(PolicyNumaReason reason)
{
    static const char *const names[] = {"none", "local", "kernel", "owner",  "no-room",
                                        "cost", "waits", "remote", "arrived"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_NUMA_REASONS);
    return (guint)reason < G_N_ELEMENTS(names) ? names[reason] : "?";
}

static guint nodes_of(const PolicyNumaHost *host)
{
    return MIN(host->nodes, POLICY_NUMA_NODES);
}

/* Numbers of a guest are bounded here, that sums and products of them do not overflow. */
static gint64 on_node(const gint64 *numbers, guint node)
{
    return CLAMP(numbers[node], 0, (gint64)1 << 30);
}

static gint64 sum_of(const gint64 *numbers, guint nodes)
{
    gint64 sum = 0;
    for (guint n = 0; n < nodes; n++)
        sum += on_node(numbers, n);
    return sum;
}

/* Its memory is taken to be used alike from all of its vCPUs: what part of it each finds on its node. */
static gint32 local_share(const PolicyNumaGuest *guest, guint nodes)
{
    gint64 ran = sum_of(guest->ran_ms, nodes), resident = sum_of(guest->resident, nodes);
    if (ran == 0 || resident == 0)
        return 1000;
    gint64 local = 0;
    for (guint n = 0; n < nodes; n++)
        local += on_node(guest->ran_ms, n) * 1000 / ran * on_node(guest->resident, n) / resident;
    return (gint32)local;
}

/* The node that has most of it, of those with room for the rest and CPUs for its vCPUs; -1: none has. */
static gint32 home_for(const PolicyNumaConfig *config, const PolicyNumaHost *host,
                       const PolicyNumaGuest *guest)
{
    guint nodes = nodes_of(host);
    gint64 ran = MAX(sum_of(guest->ran_ms, nodes), 1), resident = MAX(sum_of(guest->resident, nodes), 1);
    gint64 need = CLAMP(guest->need, 0, (gint64)1 << 30), best = -1;
    gint32 home = -1;
    need += need * config->margin_permille / 1000;
    for (guint n = 0; n < nodes; n++) {
        gint64 here = on_node(guest->resident, n), works = on_node(guest->ran_ms, n);
        gboolean comes = works * 2 < ran;
        if (host->node[n].free + here < need || guest->vcpus > host->node[n].cpus ||
            (comes && host->node[n].busy > NODE_BUSY))
            continue;
        /* vCPUs move at no cost, memory does not: it counts double. */
        gint64 score = here * 2000 / resident + works * 1000 / ran;
        if (score > best) {
            best = score;
            home = (gint32)n;
        }
    }
    return home;
}

/* What moving wins within the horizon, and what it costs, in CPU time. */
static void weigh(const PolicyNumaConfig *config, const PolicyNumaHost *host, const PolicyNumaGuest *guest,
                  const PolicyNumaGuestState *state, PolicyNumaDecision *decision)
{
    guint nodes = nodes_of(host), home = decision->node;
    gint64 away = 0, farther = 0, resident = sum_of(guest->resident, nodes);
    for (guint n = 0; n < nodes; n++)
        if (n != home) {
            away += on_node(guest->resident, n);
            farther = MAX(farther, (gint64)host->distance[home][n] - LOCAL_DISTANCE);
        }
    decision->mib = MIN(away, resident);
    decision->cost_ms = away * 1000 / MAX(config->rate, 1);
    gint64 ran = MIN(sum_of(guest->ran_ms, nodes), (gint64)1 << 32);
    gint64 stalls = ran * config->memory_permille / 1000 * (1000 - decision->local) / 1000;
    stalls = stalls * farther / LOCAL_DISTANCE;
    decision->gain_ms = stalls * (config->horizon_ms / MAX(state->period_ms, 1));
}

static gboolean take_sample(const PolicyNumaConfig *config, const PolicyNumaHost *host,
                            const PolicyNumaGuest *guest, PolicyNumaGuestState *state)
{
    if (guest->sampled_at <= state->sampled_at)
        return FALSE;
    state->period_ms = state->sampled_at > 0 ? guest->sampled_at - state->sampled_at : 0;
    state->sampled_at = guest->sampled_at;
    state->local = local_share(guest, nodes_of(host));
    state->samples = state->local < config->local_permille ? MIN(state->samples + 1, config->samples) : 0;
    return state->period_ms > 0;
}

/* A slice of a guest that is on the move; its end. */
static void go_on(const PolicyNumaConfig *config, const PolicyNumaHost *host, const PolicyNumaGuest *guest,
                  PolicyNumaGuestState *state, PolicyNumaDecision *decision)
{
    gint64 away = sum_of(guest->resident, nodes_of(host)) - on_node(guest->resident, state->node);
    decision->node = state->node;
    if (state->left <= 0 || away <= 0 || (guest->flags & POLICY_NUMA_LOCKED)) {
        state->moving = FALSE;
        state->samples = 0;
        decision->reason = POLICY_NUMA_REASON_ARRIVED;
        /* The kernel keeps it there if it balances, and can move what is not locked. */
        if (host->balances && !(guest->flags & POLICY_NUMA_LOCKED)) {
            state->pinned = FALSE;
            decision->action = POLICY_NUMA_UNPIN;
        }
        return;
    }
    if (host->psi_some > config->pressure || host->node[state->node].free < config->slice) {
        decision->reason = POLICY_NUMA_REASON_WAITS;
        return;
    }
    decision->action = POLICY_NUMA_MOVE;
    decision->reason = POLICY_NUMA_REASON_REMOTE;
    decision->mib = MIN(MIN(away, state->left), config->slice);
    state->left -= decision->mib;
}

/* Why a guest stays where it is; NONE: it should move to decision->node. */
static PolicyNumaReason reason_to_stay(const PolicyNumaConfig *config, const PolicyNumaHost *host,
                                       const PolicyNumaGuest *guest, const PolicyNumaGuestState *state,
                                       PolicyNumaDecision *decision)
{
    if (guest->flags & POLICY_NUMA_OWN)
        return POLICY_NUMA_REASON_OWNER;
    if (nodes_of(host) < 2 || state->samples < config->samples)
        return POLICY_NUMA_REASON_LOCAL;
    gint32 home = home_for(config, host, guest);
    if (home < 0)
        return host->balances ? POLICY_NUMA_REASON_KERNEL : POLICY_NUMA_REASON_NO_ROOM;
    decision->node = (guint)home;
    weigh(config, host, guest, state, decision);
    if (guest->flags & POLICY_NUMA_LOCKED) /* only its vCPUs can go, which costs nothing */
        decision->mib = decision->cost_ms = 0;
    return decision->gain_ms <= decision->cost_ms * config->gain ? POLICY_NUMA_REASON_COST
                                                                 : POLICY_NUMA_REASON_NONE;
}

void policy_numa_plan(const PolicyNumaConfig *config, const PolicyNumaHost *host,
                      const PolicyNumaGuest *guests, PolicyNumaGuestState *states,
                      PolicyNumaDecision *decisions, guint count, gint64 now)
{
    guint moving = 0;
    for (guint i = 0; i < count; i++)
        moving += (guests[i].flags & POLICY_NUMA_RUNS) && states[i].moving;
    for (guint i = 0; i < count; i++) {
        PolicyNumaGuestState *state = &states[i];
        PolicyNumaDecision *decision = &decisions[i];
        *decision = (PolicyNumaDecision){.local = state->local};
        if (!(guests[i].flags & POLICY_NUMA_RUNS))
            continue;
        gboolean fresh = take_sample(config, host, &guests[i], state);
        decision->local = state->local;
        if (state->moving && state->node < nodes_of(host)) {
            go_on(config, host, &guests[i], state, decision);
            continue;
        }
        if (state->pinned && state->node < nodes_of(host) && host->node[state->node].busy > NODE_CROWDED) {
            state->pinned = FALSE;
            decision->action = POLICY_NUMA_UNPIN;
            decision->reason = POLICY_NUMA_REASON_NO_ROOM;
            decision->node = state->node;
            continue;
        }
        if (!fresh)
            continue;
        decision->reason = reason_to_stay(config, host, &guests[i], state, decision);
        if (decision->reason != POLICY_NUMA_REASON_NONE)
            continue;
        if (moving >= config->in_flight ||
            (state->moved_at > 0 && now - state->moved_at < config->pause_ms)) {
            decision->reason = POLICY_NUMA_REASON_WAITS;
            continue;
        }
        moving++;
        state->moving = state->pinned = TRUE;
        state->node = decision->node;
        state->left = decision->mib;
        state->moved_at = now;
        decision->action = POLICY_NUMA_PIN;
        decision->reason = POLICY_NUMA_REASON_REMOTE;
    }
}

/* ---- new guests ---- */

/* CPUs of a node that are idle, in permille of one. */
static gint64 idle_cpus(const PolicyNumaHost *host, guint node)
{
    return (gint64)host->node[node].cpus * (1000 - CLAMP(host->node[node].busy, 0, 1000));
}

guint64 policy_numa_place(const PolicyNumaHost *host, gint32 vcpus, gint64 mib)
{
    guint nodes = nodes_of(host);
    guint64 best_mask = 0;
    guint best_size = G_MAXUINT;
    gint64 best_score = 0;
    /* From each node on, the nearest others are added until it fits. */
    for (guint first = 0; first < nodes; first++) {
        guint64 mask = 0;
        gint64 free = 0, cpus = 0, idle = 0, distance = 0;
        guint size = 0;
        while ((free < mib || cpus < vcpus) && size < nodes) {
            gint32 next = size == 0 ? (gint32)first : -1;
            for (guint n = 0; size > 0 && n < nodes; n++) {
                if (mask >> n & 1)
                    continue;
                if (next < 0 || host->distance[first][n] < host->distance[first][next] ||
                    (host->distance[first][n] == host->distance[first][next] &&
                     host->node[n].free > host->node[next].free))
                    next = (gint32)n;
            }
            mask |= (guint64)1 << next;
            free += MAX(host->node[next].free, 0);
            cpus += host->node[next].cpus;
            idle += idle_cpus(host, (guint)next);
            distance += host->distance[first][next];
            size++;
        }
        if (size == 0 || free < mib || cpus < vcpus)
            continue;
        /* As few nodes as can be; of those near each other, with most memory and idle CPUs together. */
        gint64 score = MIN(free, (gint64)1 << 30) * (MIN(idle, 1000000) + 1) / MAX(distance, 1);
        if (size < best_size || (size == best_size && score > best_score)) {
            best_mask = mask;
            best_size = size;
            best_score = score;
        }
    }
    return best_mask;
}
