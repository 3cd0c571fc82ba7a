// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-private.h"

void policy_config_init(PolicyConfig *config)
{
    *config = (PolicyConfig){.high_permille = 140,
                             .ease_permille = 200,
                             .soft_permille = 85,
                             .crit_permille = 30,
                             .tax_permille = 750,
                             .guard_permille = 30,
                             .min_permille = 250,
                             .dark_permille = 750,
                             .reversals = 4,
                             .hold_ms = 30000,
                             .probe_ms = 5000};
}

const char *policy_trust_name(PolicyTrust trust)
{
    static const char *const names[] = {"full", "stale", "dark", "lying", "nodriver"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_TRUST_COUNT);
    return (guint)trust < G_N_ELEMENTS(names) ? names[trust] : "?";
}

const char *policy_reason_name(PolicyReason reason)
{
    static const char *const names[] = {"none", "adopted", "need",  "pain",  "minimum",  "give-back",
                                        "ease", "soft",    "short", "probe", "critical", "stalled"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_REASON_COUNT);
    return (guint)reason < G_N_ELEMENTS(names) ? names[reason] : "?";
}

void policy_plan(const PolicyConfig *config, PolicyState *state, const PolicyHost *host,
                 const PolicyGuest *guests, PolicyGuestState *states, PolicyDecision *decisions, guint *order,
                 guint count, gint64 now)
{
    for (guint i = 0; i < count; i++) {
        decisions[i] = (PolicyDecision){.target = guests[i].actual};
        if (guests[i].flags & POLICY_GUEST_RUNS)
            policy_observe(config, &guests[i], &states[i], &decisions[i], now);
    }
    policy_share_memory(config, state, host, guests, states, decisions, order, count, now);
    state->now = now;
}
