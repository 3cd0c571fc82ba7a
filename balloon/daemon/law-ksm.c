// SPDX-License-Identifier: GPL-2.0-or-later
/* The KSM law's records (balloon/policy-ksm.h). */
#include "balloon/daemon/law-ksm.h"

#include "balloon/policy-ksm.h"

#define CONFIG(member)      RECORD_FIELD(PolicyKsmConfig, member)
#define HOST(member)        RECORD_FIELD(PolicyKsmHost, member)
#define STATE(member)       RECORD_FIELD(PolicyKsmState, member)
#define VERDICT(member)     RECORD_FIELD(PolicyKsmDecision, member)
#define GUEST(member)       RECORD_FIELD(PolicyKsmGuest, member)
#define GUEST_STATE(member) RECORD_FIELD(PolicyKsmGuestState, member)

static const RecordField CONFIG_FIELDS[] = {
    CONFIG(mode),     CONFIG(start_permille), CONFIG(short_permille), CONFIG(budget_permille),
    CONFIG(burst_ms), CONFIG(profit_floor),   CONFIG(pass_ms),        {0}};
static const RecordField HOST_FIELDS[] = {HOST(total),   HOST(available), HOST(full_scans),
                                          HOST(profit),  HOST(cpu_ms),    HOST(cpu_pressure),
                                          HOST(tracked), HOST(scanned),   {0}};
static const RecordField STATE_FIELDS[] = {STATE(now),
                                           STATE(phase),
                                           STATE(since),
                                           STATE(began_scans),
                                           STATE(began_cpu),
                                           STATE(began_profit),
                                           STATE(seen_scans),
                                           STATE(seen_cpu),
                                           STATE(seen_profit),
                                           STATE(cpu_ms),
                                           STATE(credit),
                                           STATE(rest_until),
                                           STATE(fruitless),
                                           STATE(scanned),
                                           STATE(wakes),
                                           STATE(pages),
                                           {0}};
static const RecordField VERDICT_FIELDS[] = {VERDICT(run),   VERDICT(pages),  VERDICT(sleep_ms),
                                             VERDICT(phase), VERDICT(reason), {0}};
static const RecordField GUEST_FIELDS[] = {GUEST(counts), GUEST(mergeable), GUEST(merged), {0}};
static const RecordField GUEST_STATE_FIELDS[] = {
    GUEST_STATE(scanned), GUEST_STATE(merged),    GUEST_STATE(newer),
    GUEST_STATE(older),   GUEST_STATE(fruitless), STATE(scanned),
    STATE(wakes),         STATE(pages),           {0}};

static void plan(Law *law, guint count, gint64 now)
{
    policy_ksm_plan(law->part[LAW_CONFIG], law->part[LAW_STATE], law->part[LAW_HOST], law->part[LAW_GUEST],
                    law->part[LAW_GUEST_STATE], count, now, law->part[LAW_VERDICT]);
}

static char *tell(const Law *law, gint place)
{
    const PolicyKsmDecision *verdict = law->part[LAW_VERDICT];
    if (place >= 0 || verdict->reason == POLICY_KSM_REASON_NONE)
        return NULL;
    if (!verdict->run)
        return g_strdup_printf("%s (%s)", policy_ksm_phase_name(verdict->phase),
                               policy_ksm_reason_name(verdict->reason));
    return g_strdup_printf("%s (%s): %d pages each %d ms", policy_ksm_phase_name(verdict->phase),
                           policy_ksm_reason_name(verdict->reason), verdict->pages, verdict->sleep_ms);
}

const LawClass LAW_KSM = {"ksm",
                          {[LAW_CONFIG] = {sizeof(PolicyKsmConfig), CONFIG_FIELDS},
                           [LAW_HOST] = {sizeof(PolicyKsmHost), HOST_FIELDS},
                           [LAW_STATE] = {sizeof(PolicyKsmState), STATE_FIELDS},
                           [LAW_VERDICT] = {sizeof(PolicyKsmDecision), VERDICT_FIELDS},
                           [LAW_GUEST] = {sizeof(PolicyKsmGuest), GUEST_FIELDS},
                           [LAW_GUEST_STATE] = {sizeof(PolicyKsmGuestState), GUEST_STATE_FIELDS}},
                          plan,
                          tell};
