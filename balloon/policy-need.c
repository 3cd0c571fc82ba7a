// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-private.h"

/* Statistics that are older are not acted on: three periods of the slowest daemon. */
#define STALE_MS 15000
/* A balloon that has not moved for so long will not. */
#define STALL_MS     5000
#define FAILURES_MAX 3
#define RETRY_MS     (10 * 60 * 1000)
#define RETRY_TWICE  3 /* how often the time until the next try doubles */
/* How long a guest that was caught at a contradiction is not believed, and how many make a lie. */
#define DOUBT_MS           (10 * 60 * 1000)
#define DOUBT_AGAIN_MS     (60 * 60 * 1000)
#define CONTRADICTIONS_MAX 4
/* The daemon's own part of the time from a guest's growth to its balloon's: a tick to see it, one to act. */
#define REACTION_MS 2000
#define HURT_MS     8000

gint64 policy_minimum(const PolicyConfig *config, const PolicyGuest *guest)
{
    gint64 min = guest->min > 0 ? guest->min : guest->max * config->min_permille / 1000;
    return MIN(min, guest->max);
}

/* The largest number of the last slots. */
static gint64 most_of(const gint32 *numbers, gint64 last, guint slots)
{
    gint64 most = 0;
    for (guint k = 0; k < MIN(slots, POLICY_PEAKS) && last - (gint64)k >= 0; k++)
        most = MAX(most, numbers[(last - k) % POLICY_PEAKS]);
    return most;
}

gint64 policy_peak(const PolicyGuestState *state, guint slots)
{
    return MAX(state->used, most_of(state->peak, state->peak_slot, slots));
}

gint64 policy_knee(const PolicyGuestState *state, guint slots)
{
    return most_of(state->hurt[state->works ? 1 : 0], state->peak_slot, slots);
}

gint64 policy_knee_whole(const PolicyGuestState *state, guint slots)
{
    return MAX(most_of(state->hurt[0], state->peak_slot, slots),
               most_of(state->hurt[1], state->peak_slot, slots));
}

gint64 policy_rest_ms(const PolicyGuestState *state, gint64 size, gboolean by_use)
{
    gint64 slots = MIN(POLICY_PEAKS, state->peak_slot - state->since / POLICY_PEAK_MS + 1);
    gint64 resting = 0, ended = 0;
    gboolean rested = FALSE;
    for (gint64 k = slots - 1; k >= 0; k--) {
        gint64 slot = (state->peak_slot - k) % POLICY_PEAKS;
        gint64 needed = MAX(state->hurt[0][slot], state->hurt[1][slot]);
        if (by_use)
            needed = MAX(needed, state->peak[slot]);
        gboolean rests = needed <= size;
        resting += rests;
        ended += rested && !rests;
        rested = rests;
    }
    /* What was never seen to end may last: a guest that was found just now has shown nothing yet. */
    if (ended == 0)
        return resting > 0 ? G_MAXINT32 : 0;
    return resting * POLICY_PEAK_MS / (ended + 1);
}

gboolean policy_hurts(const PolicyGuestState *state, gint64 now)
{
    return state->hurt_at > 0 && now - state->hurt_at < HURT_MS;
}

static void first_look(const PolicyConfig *config, const PolicyGuest *guest, PolicyGuestState *state,
                       gint64 now)
{
    *state = (PolicyGuestState){.known = TRUE,
                                .trust = POLICY_TRUST_DARK,
                                .since = now,
                                .target = guest->actual,
                                .target_at = now,
                                .target_from = guest->actual,
                                .hold = 2 * config->hold_ms,
                                .told_at = -1,
                                .peak_slot = -1,
                                .cpu_ms = guest->cpu_ms,
                                .cpu_at = now};
}

static void remember_size(PolicyGuestState *state, gint64 actual, gint64 now)
{
    state->track[state->track_next].at = now;
    state->track[state->track_next].actual = actual;
    state->track_next = (state->track_next + 1) % POLICY_TRACK;
}

/* Its size at a time in the past; the oldest that is remembered for one before. */
static gint64 size_at(const PolicyGuestState *state, gint64 when)
{
    gint64 best = -1, size = 0;
    for (guint k = 0; k < POLICY_TRACK; k++) {
        guint slot = (state->track_next + POLICY_TRACK - 1 - k) % POLICY_TRACK;
        if (state->track[slot].at == 0)
            break;
        best = slot;
        size = state->track[slot].actual;
        if (state->track[slot].at <= when)
            break;
    }
    return best < 0 ? 0 : size;
}

/* Slots of the past in which nothing was told stay 0. */
static void turn_slots(PolicyGuestState *state, gint64 now)
{
    gint64 slot = now / POLICY_PEAK_MS;
    if (state->peak_slot < 0)
        state->peak_slot = slot - 1;
    for (gint64 k = MAX(state->peak_slot + 1, slot - POLICY_PEAKS + 1); k <= slot; k++)
        state->peak[k % POLICY_PEAKS] = state->hurt[0][k % POLICY_PEAKS] = state->hurt[1][k % POLICY_PEAKS] =
            0;
    state->peak_slot = slot;
}

static void remember(PolicyGuestState *state, gint32 *numbers, gint64 number)
{
    gint32 *most = &numbers[state->peak_slot % POLICY_PEAKS];
    *most = (gint32)MAX(*most, MIN(number, G_MAXINT32));
}

/* What it reads back from swap hurts; what it has written there may be wanted back. */
static void take_swap(const PolicyGuest *guest, PolicyGuestState *state, gint64 elapsed, gint64 now)
{
    gint64 in = guest->swapped_in >= 0 ? MAX(guest->swapped_in - state->swapped_in, 0) : 0;
    gint64 out = guest->swapped_out >= 0 ? MAX(guest->swapped_out - state->swapped_out, 0) : 0;
    gint64 rate = in * 16 * 1000 / elapsed;
    state->pain = rate > state->pain ? rate : (state->pain + rate) / 2;
    state->in_swap = MAX(state->in_swap + out - in - state->in_swap * elapsed / 256000, 0);
    if (in * 1000 / elapsed >= MAX(2, guest->actual / 1024)) {
        state->hurt_at = now;
        if (state->hurt_since == 0)
            state->hurt_since = now;
        remember(state, state->hurt[state->works ? 1 : 0], size_at(state, now - guest->stats_age));
    } else if (!policy_hurts(state, now)) {
        state->hurt_since = 0;
    }
}

/* It says that much is free while it swaps, or it holds much more of the host than it could by its own words.
 */
static void look_for_lies(const PolicyGuest *guest, PolicyGuestState *state, gint64 now)
{
    gboolean swaps_with_room = state->hurt_at == now && guest->usable * 4 > guest->actual;
    gboolean impossible = guest->usable > guest->actual + guest->max / 16 || guest->unused > guest->actual;
    if (swaps_with_room || impossible) {
        /* One that goes on when it is believed again is a driver that cannot count. */
        gint64 doubt = state->doubt_until > 0 && now > state->doubt_until ? DOUBT_AGAIN_MS : DOUBT_MS;
        if (++state->contradictions >= CONTRADICTIONS_MAX)
            state->doubt_until = MAX(state->doubt_until, now + doubt);
    } else if (state->contradictions > 0 && state->hurt_at < now - 60000) {
        state->contradictions--;
    }
}

static void take_statistics(const PolicyGuest *guest, PolicyGuestState *state, gint64 now)
{
    gint64 told_at = now - guest->stats_age;
    if (told_at <= state->told_at)
        return;
    gint64 elapsed = state->told_at >= 0 ? MAX(told_at - state->told_at, 1) : 0;
    gint64 used = CLAMP(size_at(state, told_at) - guest->usable, 0, guest->max);
    if (elapsed > 0) {
        take_swap(guest, state, elapsed, now);
        look_for_lies(guest, state, now);
        gint64 window = guest->stats_age + REACTION_MS;
        gint64 rise = MAX(used - state->used, 0) * 16 * MIN(window, 10 * elapsed) / elapsed;
        state->jump = MAX(state->jump - state->jump * elapsed / 600000, MIN(rise, guest->max * 16));
    }
    state->used = used;
    state->usable = guest->usable;
    state->told_at = told_at;
    state->swapped_in = MAX(guest->swapped_in, 0);
    state->swapped_out = MAX(guest->swapped_out, 0);
    state->major_faults = MAX(guest->major_faults, 0);
    remember(state, state->peak, used);
}

static void take_cpu(const PolicyGuest *guest, PolicyGuestState *state, gint64 now)
{
    gint64 elapsed = now - state->cpu_at;
    if (guest->cpu_ms < 0 || elapsed <= 0)
        return;
    gint64 busy = CLAMP((guest->cpu_ms - state->cpu_ms) * 1000 / elapsed, 0, 1000000);
    state->busy = (gint32)((state->busy * 15 + busy) / 16);
    if (state->busy >= POLICY_IDLE_PERMILLE)
        state->busy_at = now;
    /* At work: a third of the most of the last hour, and left at a quarter. */
    state->quick = (gint32)((state->quick * 3 + busy) / 4);
    state->busiest = MAX(state->busiest - (gint32)(state->busiest * elapsed / 3600000), state->busy);
    gint32 line = MAX(POLICY_IDLE_PERMILLE, state->busiest / 3);
    gboolean works = state->works ? state->quick * 4 >= line * 3 : state->quick >= line;
    state->works = works;
    state->cpu_ms = guest->cpu_ms;
    state->cpu_at = now;
}

/* A balloon that does not move: the target is taken back, which saves the guest the work of trying. */
static void follow_balloon(const PolicyGuest *guest, PolicyGuestState *state, PolicyDecision *decision,
                           gint64 now)
{
    gint64 gap = state->target - guest->actual;
    if (ABS(gap) < POLICY_STEP_MIN / 4) {
        if (ABS(guest->actual - state->target_from) >= POLICY_STEP_MIN / 4)
            state->failures = 0;
        return;
    }
    if (guest->actual != state->target_from &&
        ABS(guest->actual - state->target_from) * 8 >= ABS(state->target - state->target_from)) {
        state->target_from = guest->actual; /* it moves: the time starts again */
        state->target_at = now;
        state->failures = 0;
        return;
    }
    if (now - state->target_at < STALL_MS)
        return;
    state->failures++;
    state->target = guest->actual;
    state->target_at = now;
    state->target_from = guest->actual;
    decision->target = guest->actual;
    decision->changed = TRUE;
    decision->reason = POLICY_REASON_STALLED;
    if (state->failures >= FAILURES_MAX)
        state->retry_at = now + (RETRY_MS << MIN(state->failures - FAILURES_MAX, RETRY_TWICE));
}

static PolicyTrust trust_of(const PolicyGuest *guest, const PolicyGuestState *state, gint64 now)
{
    if (!(guest->flags & POLICY_GUEST_BALLOON) || (state->failures >= FAILURES_MAX && now < state->retry_at))
        return POLICY_TRUST_NODRIVER;
    if (now < state->doubt_until)
        return POLICY_TRUST_LYING;
    if (guest->stats_age < 0)
        return POLICY_TRUST_DARK;
    return guest->stats_age > STALE_MS ? POLICY_TRUST_STALE : POLICY_TRUST_FULL;
}

void policy_observe(const PolicyConfig *config, const PolicyGuest *guest, PolicyGuestState *state,
                    PolicyDecision *decision, gint64 now)
{
    if (!state->known)
        first_look(config, guest, state, now);
    turn_slots(state, now);
    remember_size(state, guest->actual, now);
    take_cpu(guest, state, now);
    if (guest->stats_age >= 0 && guest->usable >= 0)
        take_statistics(guest, state, now);
    follow_balloon(guest, state, decision, now);
    state->trust = trust_of(guest, state, now);
    gint64 guard = MAX(POLICY_GUARD_MIN, state->used * config->guard_permille / 1000);
    decision->target = state->target;
    decision->used = state->used;
    decision->guard = guard;
    decision->need = CLAMP(state->used + decision->guard, policy_minimum(config, guest), guest->max);
    decision->trust = state->trust;
}
