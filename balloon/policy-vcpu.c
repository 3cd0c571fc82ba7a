// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-vcpu.h"

#define HOUR_MS (60 * 60 * 1000)
/* A quota is lifted when the guest's neighbours have not waited for so long. */
#define ROOM_MS 60000
/* An addition that was not seen to happen is tried again after this. */
#define ADD_AGAIN_MS (10 * 60 * 1000)
/* No quota is below one CPU: a guest that holds a lock must get on. */
#define QUOTA_MIN 1000
#define WANTS_MAX 4096000

void policy_vcpu_config_init(PolicyVcpuConfig *config)
{
    *config = (PolicyVcpuConfig){.up_permille = 850,
                                 .down_permille = 550,
                                 .up_ms = 8000,
                                 .down_ms = 300000,
                                 .wait_permille = 50,
                                 .crowd_permille = 150,
                                 .up_pause_ms = 60000,
                                 .down_pause_ms = 300000,
                                 .changes = 12,
                                 .answer_ms = 10000,
                                 .refused_ms = HOUR_MS,
                                 .host_permille = 900};
}

const char *policy_vcpu_reason_name(PolicyVcpuReason reason)
{
    static const char *const names[] = {"none", "busy", "calm", "limits", "refused", "crowded", "room"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_VCPU_REASONS);
    return (guint)reason < G_N_ELEMENTS(names) ? names[reason] : "?";
}

/* Limits and granule as they can be relied on: vCPU 0 always stays. */
static gint32 granule_of(const PolicyVcpuGuest *guest)
{
    return MAX(guest->granule, 1);
}

static gint32 least_of(const PolicyVcpuGuest *guest)
{
    gint32 granule = granule_of(guest);
    return (MAX(guest->min, 1) + granule - 1) / granule * granule;
}

static gint32 most_of(const PolicyVcpuHost *host, const PolicyVcpuGuest *guest)
{
    gint32 most = MIN(guest->max, MAX(host->cpus, 1));
    return MAX(most / granule_of(guest) * granule_of(guest), least_of(guest));
}

static void observe(const PolicyVcpuGuest *guest, PolicyVcpuGuestState *state, gint64 elapsed)
{
    gint64 ran = guest->time_ms - state->time_ms, waited = guest->wait_ms - state->wait_ms;
    state->time_ms = guest->time_ms;
    state->wait_ms = guest->wait_ms;
    /* Counters that go back: it was restarted, or a vCPU has gone with its time. */
    if (elapsed <= 0 || ran < 0 || waited < 0)
        return;
    gint64 wants = CLAMP(ran, 0, HOUR_MS) * 1000 + CLAMP(waited, 0, HOUR_MS) * 1000;
    gint64 waits = wants > 0 ? MIN(waited, HOUR_MS) * 1000000 / wants : 0;
    wants = MIN(wants / elapsed, WANTS_MAX);
    /* Two seconds' mean or so: one lazy second ends no busy time. */
    state->wants = (gint32)((state->wants + wants) / 2);
    state->waits = (gint32)((state->waits * 3 + waits) / 4);
}

static void earn(const PolicyVcpuConfig *config, PolicyVcpuGuestState *state, gint64 elapsed)
{
    gint64 due = (gint64)config->changes * 1000 * CLAMP(elapsed, 0, HOUR_MS) + state->tokens_rest;
    state->tokens_rest = due % HOUR_MS;
    state->tokens = (gint32)MIN(state->tokens + due / HOUR_MS, (gint64)config->changes * 1000);
}

static void time_loads(const PolicyVcpuConfig *config, const PolicyVcpuGuest *guest,
                       PolicyVcpuGuestState *state, gint64 now)
{
    gint32 fewer = guest->vcpus - granule_of(guest);
    if (state->wants <= guest->vcpus * config->up_permille) {
        state->busy_since = 0;
        if (now - state->added_at >= 2 * config->up_pause_ms)
            state->added = 0;
    } else if (state->busy_since == 0) {
        state->busy_since = now;
    }
    if (fewer < least_of(guest) || state->wants > fewer * config->down_permille) {
        state->calm_since = 0;
    } else if (state->calm_since == 0) {
        state->calm_since = now;
        state->calm_peak = state->wants;
    }
    state->calm_peak = MAX(state->calm_peak, state->wants);
}

static void ask(PolicyVcpuGuestState *state, const PolicyVcpuGuest *guest, PolicyVcpuDecision *decision,
                gint32 vcpus, PolicyVcpuReason reason, gint64 now)
{
    decision->vcpus = vcpus;
    decision->changed = TRUE;
    decision->reason = reason;
    state->had = guest->vcpus;
    state->asked = vcpus;
    state->changed_at = now;
    state->busy_since = state->calm_since = 0;
    state->tokens -= 1000;
}

/* What was asked for last: done, refused, late, or still under way (then TRUE). */
static gboolean is_waited_for(const PolicyVcpuConfig *config, const PolicyVcpuGuest *guest,
                              PolicyVcpuGuestState *state, PolicyVcpuDecision *decision, gint64 now)
{
    gint32 asked = state->asked;
    if (asked == 0)
        return FALSE;
    gboolean refused = (guest->flags & POLICY_VCPU_REFUSED) && asked < state->had;
    if (guest->vcpus == asked && !refused) {
        state->asked = 0;
        return FALSE;
    }
    if (!refused && now - state->changed_at < config->answer_ms)
        return TRUE;
    state->asked = 0;
    if (asked > state->had) {
        state->add_after = now + ADD_AGAIN_MS;
        return FALSE;
    }
    /* Some of them may be offline in the guest by now: all are wanted back. */
    state->remove_after = now + config->refused_ms;
    decision->vcpus = state->had;
    decision->changed = TRUE;
    decision->reason = POLICY_VCPU_REASON_REFUSED;
    return TRUE;
}

static gboolean may_add(const PolicyVcpuConfig *config, const PolicyVcpuHost *host,
                        const PolicyVcpuGuest *guest, const PolicyVcpuGuestState *state, gint64 now)
{
    return (guest->flags & POLICY_VCPU_PLUGS) && guest->vcpus < most_of(host, guest) &&
           now >= state->add_after && state->tokens >= 1000 &&
           (state->added == 0 || now - state->added_at >= config->up_pause_ms);
}

static void plan_guest(const PolicyVcpuConfig *config, const PolicyVcpuHost *host,
                       const PolicyVcpuGuest *guest, PolicyVcpuGuestState *state,
                       PolicyVcpuDecision *decision, gint64 now)
{
    gint32 granule = granule_of(guest), least = least_of(guest), most = most_of(host, guest);
    if (is_waited_for(config, guest, state, decision, now))
        return;
    if (guest->vcpus < least && (guest->flags & POLICY_VCPU_PLUGS) && now >= state->add_after) {
        ask(state, guest, decision, least, POLICY_VCPU_REASON_LIMITS, now);
        return;
    }
    if (state->busy_since > 0 && now - state->busy_since >= config->up_ms &&
        state->waits < config->wait_permille && host->busy < config->host_permille &&
        may_add(config, host, guest, state, now)) {
        gint32 more = state->added == 0 ? MAX(guest->vcpus / granule * granule, granule) : granule;
        state->added++;
        state->added_at = now;
        ask(state, guest, decision, MIN(guest->vcpus + more, most), POLICY_VCPU_REASON_BUSY, now);
        return;
    }
    if (state->calm_since > 0 && now - state->calm_since >= config->down_ms &&
        (guest->flags & POLICY_VCPU_UNPLUGS) && now >= state->remove_after && state->tokens >= 1000 &&
        (state->changed_at == 0 || now - state->changed_at >= config->down_pause_ms)) {
        /* Down to what its worst moment of the time needs, but no more than half of them at once. */
        gint32 enough = (state->calm_peak + config->down_permille - 1) / MAX(config->down_permille, 1);
        enough = MAX(MAX(enough, guest->vcpus / 2), least);
        enough = (enough + granule - 1) / granule * granule;
        if (enough >= guest->vcpus)
            return;
        state->added = 0;
        ask(state, guest, decision, enough, POLICY_VCPU_REASON_CALM, now);
    }
}

/* When guests wait for CPUs because there are not enough, those that use more than their shares are worth are
 * held to them. */
static void plan_quotas(const PolicyVcpuConfig *config, const PolicyVcpuHost *host,
                        const PolicyVcpuGuest *guests, PolicyVcpuGuestState *states,
                        PolicyVcpuDecision *decisions, guint count, gint64 now)
{
    gint64 shares = 0;
    gboolean crowded = FALSE;
    for (guint i = 0; i < count; i++) {
        if (!(guests[i].flags & POLICY_VCPU_RUNS) || states[i].wants < 100)
            continue;
        shares += MAX(guests[i].shares, 1);
        crowded = crowded || states[i].waits > config->crowd_permille;
    }
    for (guint i = 0; i < count; i++) {
        PolicyVcpuGuestState *state = &states[i];
        if (!(guests[i].flags & POLICY_VCPU_RUNS))
            continue;
        gint64 fair = MAX((gint64)host->cpus * 1000 * MAX(guests[i].shares, 1) / MAX(shares, 1), QUOTA_MIN);
        if (crowded)
            state->uncrowded_since = 0;
        else if (state->uncrowded_since == 0)
            state->uncrowded_since = now;
        if (crowded && !state->held && host->busy >= config->host_permille && state->wants > fair) {
            state->held = decisions[i].quota_changed = TRUE;
            decisions[i].quota = (gint32)MIN(fair, WANTS_MAX);
            decisions[i].reason = POLICY_VCPU_REASON_CROWDED;
        } else if (state->held && !crowded && now - state->uncrowded_since >= ROOM_MS) {
            state->held = FALSE;
            decisions[i].quota_changed = TRUE;
            decisions[i].reason = POLICY_VCPU_REASON_ROOM;
        }
    }
}

void policy_vcpu_plan(const PolicyVcpuConfig *config, const PolicyVcpuHost *host,
                      const PolicyVcpuGuest *guests, PolicyVcpuGuestState *states,
                      PolicyVcpuDecision *decisions, guint count, gint64 now)
{
    for (guint i = 0; i < count; i++) {
        PolicyVcpuGuestState *mine = &states[i];
        decisions[i] = (PolicyVcpuDecision){.vcpus = guests[i].vcpus};
        if (!(guests[i].flags & POLICY_VCPU_RUNS))
            continue;
        if (!mine->known) {
            *mine = (PolicyVcpuGuestState){.known = TRUE,
                                           .seen_at = now,
                                           .time_ms = guests[i].time_ms,
                                           .wait_ms = guests[i].wait_ms,
                                           .tokens = config->changes * 1000};
            continue;
        }
        gint64 elapsed = now - mine->seen_at;
        mine->seen_at = now;
        observe(&guests[i], mine, elapsed);
        earn(config, mine, elapsed);
        time_loads(config, &guests[i], mine, now);
        plan_guest(config, host, &guests[i], mine, &decisions[i], now);
        decisions[i].wants = mine->wants;
        decisions[i].waits = mine->waits;
    }
    plan_quotas(config, host, guests, states, decisions, count, now);
}
