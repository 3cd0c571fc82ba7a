// SPDX-License-Identifier: GPL-2.0-or-later
/* The NUMA law's records (balloon/policy-numa.h). */
#include "balloon/daemon/law-numa.h"

#include "balloon/policy-numa.h"

#define CONFIG(member)      RECORD_FIELD(PolicyNumaConfig, member)
#define HOST(member)        RECORD_FIELD(PolicyNumaHost, member)
#define GUEST(member)       RECORD_FIELD(PolicyNumaGuest, member)
#define GUEST_STATE(member) RECORD_FIELD(PolicyNumaGuestState, member)
#define DECISION(member)    RECORD_FIELD(PolicyNumaDecision, member)
#define NODES(word, member)                                                                                  \
    RECORD_ARRAY(PolicyNumaHost, word, node[0].member, POLICY_NUMA_NODES,                                    \
                 sizeof(((PolicyNumaHost *)NULL)->node[0]))
#define GUEST_NODES(member)                                                                                  \
    RECORD_ARRAY(PolicyNumaGuest, #member, member[0], POLICY_NUMA_NODES, sizeof(gint64))

static const RecordField CONFIG_FIELDS[] = {CONFIG(local_permille),
                                            CONFIG(samples),
                                            CONFIG(gain),
                                            CONFIG(horizon_ms),
                                            CONFIG(rate),
                                            CONFIG(slice),
                                            CONFIG(margin_permille),
                                            CONFIG(memory_permille),
                                            CONFIG(pause_ms),
                                            CONFIG(in_flight),
                                            CONFIG(pressure),
                                            {0}};
static const RecordField HOST_FIELDS[] = {
    HOST(nodes),
    NODES("free", free),
    NODES("cpus", cpus),
    NODES("busy", busy),
    RECORD_ARRAY(PolicyNumaHost, "distance", distance[0][0], POLICY_NUMA_NODES *POLICY_NUMA_NODES, 1),
    HOST(balances),
    HOST(psi_some),
    {0}};
static const RecordField GUEST_FIELDS[] = {
    GUEST(flags),        GUEST(need),       GUEST(vcpus), GUEST_NODES(resident),
    GUEST_NODES(ran_ms), GUEST(sampled_at), {0}};
static const RecordField GUEST_STATE_FIELDS[] = {GUEST_STATE(sampled_at), GUEST_STATE(period_ms),
                                                 GUEST_STATE(local),      GUEST_STATE(samples),
                                                 GUEST_STATE(moving),     GUEST_STATE(pinned),
                                                 GUEST_STATE(node),       GUEST_STATE(left),
                                                 GUEST_STATE(moved_at),   {0}};
static const RecordField DECISION_FIELDS[] = {
    DECISION(action), DECISION(reason),  DECISION(node),    DECISION(mib),
    DECISION(local),  DECISION(gain_ms), DECISION(cost_ms), {0}};

static void plan(Law *law, guint count, gint64 now)
{
    policy_numa_plan(law->part[LAW_CONFIG], law->part[LAW_HOST], law->part[LAW_GUEST],
                     law->part[LAW_GUEST_STATE], law->part[LAW_DECISION], count, now);
}

static char *tell(const Law *law, gint place)
{
    if (place < 0)
        return NULL;
    const PolicyNumaDecision *decision = law_part(law, LAW_DECISION, (guint)place);
    const char *reason = policy_numa_reason_name(decision->reason);
    switch (decision->action) {
    case POLICY_NUMA_PIN:
        return g_strdup_printf("to node %u (%s), %" G_GINT64_FORMAT " MiB away", decision->node, reason,
                               decision->mib);
    case POLICY_NUMA_MOVE:
        return g_strdup_printf("%" G_GINT64_FORMAT " MiB to node %u (%s)", decision->mib, decision->node,
                               reason);
    case POLICY_NUMA_UNPIN:
        return g_strdup_printf("let go of node %u (%s)", decision->node, reason);
    default:
        return NULL;
    }
}

const LawClass LAW_NUMA = {"numa",
                           {[LAW_CONFIG] = {sizeof(PolicyNumaConfig), CONFIG_FIELDS},
                            [LAW_HOST] = {sizeof(PolicyNumaHost), HOST_FIELDS},
                            [LAW_GUEST] = {sizeof(PolicyNumaGuest), GUEST_FIELDS},
                            [LAW_GUEST_STATE] = {sizeof(PolicyNumaGuestState), GUEST_STATE_FIELDS},
                            [LAW_DECISION] = {sizeof(PolicyNumaDecision), DECISION_FIELDS}},
                           plan,
                           tell};
