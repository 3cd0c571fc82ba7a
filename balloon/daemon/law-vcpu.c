// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/law-vcpu.h"

#define CONFIG(member)      RECORD_FIELD(LawVcpuConfig, member)
#define HOST(member)        RECORD_FIELD(PolicyVcpuHost, member)
#define GUEST(member)       RECORD_FIELD(PolicyVcpuGuest, member)
#define GUEST_STATE(member) RECORD_FIELD(PolicyVcpuGuestState, member)
#define DECISION(member)    RECORD_FIELD(PolicyVcpuDecision, member)

static const RecordField CONFIG_FIELDS[] = {CONFIG(policy.up_permille),
                                            CONFIG(policy.down_permille),
                                            CONFIG(policy.up_ms),
                                            CONFIG(policy.down_ms),
                                            CONFIG(policy.wait_permille),
                                            CONFIG(policy.crowd_permille),
                                            CONFIG(policy.up_pause_ms),
                                            CONFIG(policy.down_pause_ms),
                                            CONFIG(policy.changes),
                                            CONFIG(policy.answer_ms),
                                            CONFIG(policy.refused_ms),
                                            CONFIG(policy.host_permille),
                                            CONFIG(advises),
                                            {0}};
static const RecordField HOST_FIELDS[] = {HOST(cpus), HOST(busy), {0}};
static const RecordField GUEST_FIELDS[] = {GUEST(flags),   GUEST(shares),  GUEST(vcpus),
                                           GUEST(min),     GUEST(max),     GUEST(granule),
                                           GUEST(time_ms), GUEST(wait_ms), {0}};
static const RecordField GUEST_STATE_FIELDS[] = {GUEST_STATE(known),
                                                 GUEST_STATE(seen_at),
                                                 GUEST_STATE(time_ms),
                                                 GUEST_STATE(wait_ms),
                                                 GUEST_STATE(wants),
                                                 GUEST_STATE(waits),
                                                 GUEST_STATE(busy_since),
                                                 GUEST_STATE(calm_since),
                                                 GUEST_STATE(calm_peak),
                                                 GUEST_STATE(added_at),
                                                 GUEST_STATE(changed_at),
                                                 GUEST_STATE(added),
                                                 GUEST_STATE(asked),
                                                 GUEST_STATE(had),
                                                 GUEST_STATE(add_after),
                                                 GUEST_STATE(remove_after),
                                                 GUEST_STATE(tokens),
                                                 GUEST_STATE(tokens_rest),
                                                 GUEST_STATE(held),
                                                 GUEST_STATE(uncrowded_since),
                                                 {0}};
static const RecordField DECISION_FIELDS[] = {
    DECISION(vcpus),  DECISION(quota), DECISION(changed), DECISION(quota_changed),
    DECISION(reason), DECISION(wants), DECISION(waits),   {0}};

static void plan(Law *law, guint count, gint64 now)
{
    const LawVcpuConfig *config = law->part[LAW_CONFIG];
    PolicyVcpuGuestState *states = law->part[LAW_GUEST_STATE];
    policy_vcpu_plan(&config->policy, law->part[LAW_HOST], law->part[LAW_GUEST], states,
                     law->part[LAW_DECISION], count, now);
    for (guint i = 0; config->advises && i < count; i++)
        states[i].asked = 0;
}

static char *tell(const Law *law, gint place)
{
    if (place < 0)
        return NULL;
    const PolicyVcpuDecision *decision = law_part(law, LAW_DECISION, (guint)place);
    const PolicyVcpuGuest *guest = law_part(law, LAW_GUEST, (guint)place);
    if (!decision->changed)
        return NULL;
    return g_strdup_printf("%d -> %d vCPUs (%s)", guest->vcpus, decision->vcpus,
                           policy_vcpu_reason_name(decision->reason));
}

const LawClass LAW_VCPU = {"vcpu",
                           {[LAW_CONFIG] = {sizeof(LawVcpuConfig), CONFIG_FIELDS},
                            [LAW_HOST] = {sizeof(PolicyVcpuHost), HOST_FIELDS},
                            [LAW_GUEST] = {sizeof(PolicyVcpuGuest), GUEST_FIELDS},
                            [LAW_GUEST_STATE] = {sizeof(PolicyVcpuGuestState), GUEST_STATE_FIELDS},
                            [LAW_DECISION] = {sizeof(PolicyVcpuDecision), DECISION_FIELDS}},
                           plan,
                           tell};
