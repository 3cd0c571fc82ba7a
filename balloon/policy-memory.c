// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-private.h"

#include <stdlib.h>

/* A guest that was not busy for so long is idle. */
#define IDLE_MS 120000
/* A cut that lasted so long was worth it; after one that did not a guest keeps what it was given for longer.
 */
#define HOLD_GOOD_MS  (10 * 60 * 1000)
#define HOLD_START_MS (150 * 1000)
#define HOLD_MAX_MS   (30 * 60 * 1000)
/* A guest that was given memory is only led down again for at least this part of its size. */
#define TURN_TAKE  6
#define TURN_PROBE 3

/* The last steps before the critical mark wait this part of the time that a guest keeps what it was given. */
#define HASTE 8
/* Pain that lasts longer was not met at once. */
#define UNMET_MS 15000
/* Of the guests, permille, that are in such pain: from here on the policy picks less, down to PICK_LEAST;
 * below PICK_FREE reversals are not rationed. */
#define WIDE_FROM  80
#define WIDE_TO    150
#define PICK_LEAST 250
#define PICK_FREE  400

/* How hard a search for cold memory is. */
typedef struct {
    guint slots;    /* of PolicyGuestState.hurt that count */
    gint32 haste;   /* by how much the time that a guest keeps what it was given is shortened */
    gint64 rest_ms; /* a guest is left alone that is not likely to do without for so long */
    gboolean whole; /* what hurt counts whatever the guest did; else only what hurt at what it does now */
    gboolean critical;
} Search;

static const Search search_whole = {
    .slots = POLICY_PEAKS, .haste = 1, .rest_ms = 30 * 60 * 1000, .whole = TRUE};
static const Search search_easy = {.slots = POLICY_PEAKS, .haste = 1, .rest_ms = 10 * 60 * 1000};
static const Search search_hard = {.slots = POLICY_PEAKS / 2, .haste = HASTE, .rest_ms = 7 * 60 * 1000};
static const Search search_critical = {.critical = TRUE};

/* In this time reversals are earned anew. */
#define FULL_MS (60 * 60 * 1000)

/* One step of sharing: what the policy's parts work on. */
typedef struct {
    const PolicyConfig *config;
    PolicyState *state;
    const PolicyHost *host;
    const PolicyGuest *guests;
    PolicyGuestState *states;
    PolicyDecision *decisions;
    guint *order;
    guint count;
    gint64 now;
    gint64 free; /* MiB of the host that are available when all that was asked for has happened */
    gint64 pick; /* permille of the rest and patience that are asked for: less when many are in pain */
} Step;

static gboolean acts_on(const Step *step, guint i)
{
    return (step->guests[i].flags & POLICY_GUEST_RUNS) && step->states[i].trust != POLICY_TRUST_NODRIVER &&
           step->states[i].trust != POLICY_TRUST_STALE && !step->decisions[i].changed;
}

static gint64 of_host(const Step *step, gint64 permille)
{
    return step->host->total * permille / 1000;
}

/* What the host gets back when a guest's balloon leaves it `target`. */
static gint64 freed_by(const Step *step, guint i, gint64 target)
{
    return MAX(MIN(step->guests[i].rss, step->states[i].target) - target, 0);
}

/* A cut ends: how long it lasted tells how long the next one may wait. */
static void learn_hold(const Step *step, PolicyGuestState *state)
{
    if (step->now - state->turned_at < HOLD_GOOD_MS)
        state->hold = CLAMP(state->hold * 2, HOLD_START_MS, HOLD_MAX_MS);
    else
        state->hold = MAX(state->hold / 2, 2 * step->config->hold_ms);
}

/* Whether a guest may be led down: one that was led up before has kept what it was given for its time, and
 * the guests together have reversals left. */
static gboolean may_turn(const Step *step, const PolicyGuestState *state, gint32 haste)
{
    return state->direction <= 0 || ((step->state->tokens >= 2000 || step->pick <= PICK_FREE) &&
                                     step->now - state->grown_at >= state->hold * step->pick / 1000 / haste);
}

static void set_target(Step *step, guint i, gint64 target, PolicyReason reason)
{
    PolicyGuestState *state = &step->states[i];
    PolicyDecision *decision = &step->decisions[i];
    gint32 direction = target > state->target ? 1 : -1;
    if (target < state->target) {
        step->free += freed_by(step, i, target);
        state->cut_at = step->now;
        if (state->direction > 0)
            step->state->tokens -= 2000; /* it may have to be given back */
    } else {
        if (state->direction < 0)
            learn_hold(step, state);
        step->free -= target - MAX(state->target, MIN(step->guests[i].rss, target));
        state->grown_at = step->now;
    }
    if (direction != state->direction)
        state->turned_at = step->now;
    state->direction = direction;
    state->target = target;
    state->target_at = step->now;
    state->target_from = step->guests[i].actual;
    decision->target = target;
    decision->reason = reason;
    decision->changed = TRUE;
}

/* ---- giving ---- */

/* What is left free beyond what it uses when there is enough: what it may grow by before it can be given
 * more. */
static gint64 wide_guard(const Step *step, guint i)
{
    gint64 guard = step->decisions[i].guard;
    return MAX(guard, MIN(step->states[i].jump / 16, step->guests[i].max / 4));
}

/* What a guest lacks that should have more now; 0: none. */
static gint64 lacks(const Step *step, guint i, gboolean relaxed, PolicyReason *reason)
{
    const PolicyGuest *guest = &step->guests[i];
    const PolicyGuestState *state = &step->states[i];
    const PolicyDecision *decision = &step->decisions[i];
    gint64 minimum = policy_minimum(step->config, guest);
    if (state->target < minimum) {
        *reason = POLICY_REASON_MINIMUM;
        return minimum - state->target;
    }
    if (state->target >= guest->max)
        return 0;
    gint64 dark = guest->max * step->config->dark_permille / 1000;
    if (state->trust == POLICY_TRUST_DARK && state->target < dark &&
        (step->free >= of_host(step, step->config->high_permille) || step->now - state->busy_at < IDLE_MS)) {
        *reason = POLICY_REASON_GIVE_BACK;
        return dark - state->target;
    }
    gint64 wanted = 0;
    if (policy_hurts(state, step->now)) {
        *reason = POLICY_REASON_PAIN;
        /* What it was given is to arrive and to be told first. */
        if (state->hurt_at < step->now - 1500 ||
            (step->now - state->grown_at < MAX(guest->stats_age, 0) + 2000 && state->grown_at > 0))
            return 0;
        /* What it reads back in a second; more when the disk does not let it read what it wants, and when
         * there is plenty. */
        wanted = state->target + MAX(state->pain / 16, state->pain > 96 * 16 ? state->target / 16 : 0);
        if (step->free >= of_host(step, step->config->high_permille))
            wanted = MAX(wanted, state->target + MAX(state->target / 4, decision->guard));
    } else if (state->trust == POLICY_TRUST_FULL && state->target - state->used < decision->guard / 2 &&
               ((!state->squeezed && state->direction >= 0) ||
                step->free >= of_host(step, step->config->high_permille))) {
        /* What was taken is given back when there is plenty. Until then a guest that was led down makes room
         * by itself, of cold pages; if it has none left it hurts, and that counts. */
        *reason = state->squeezed ? POLICY_REASON_GIVE_BACK : POLICY_REASON_NEED;
        wanted = state->used + decision->guard * 3 / 2;
        if (relaxed)
            wanted = state->used + decision->guard + wide_guard(step, i);
    }
    wanted = MIN(wanted, guest->max);
    return wanted - state->target >= POLICY_STEP_MIN / 4 || wanted == guest->max
               ? MAX(wanted - state->target, 0)
               : 0;
}

/* Deficits are met at once while there is memory above the critical mark; when it is short, each guest gets
 * of its deficit what its shares are worth. What could not be met is returned, MiB. */
static gint64 give(Step *step)
{
    gint64 pool = MAX(
        step->free - of_host(step, (step->config->crit_permille * 2 + step->config->soft_permille) / 3), 0);
    gboolean relaxed = step->free >= of_host(step, step->config->soft_permille);
    gint64 sum = 0, weights = 0;
    guint needy = 0;
    for (guint i = 0; i < step->count; i++) {
        PolicyReason reason = POLICY_REASON_NONE;
        gint64 lack = acts_on(step, i) ? lacks(step, i, relaxed, &reason) : 0;
        if (lack <= 0)
            continue;
        step->decisions[i].reason = reason;
        step->order[needy++] = i;
        sum += lack;
        weights += step->guests[i].shares;
    }
    gint64 unmet = MAX(sum - pool, 0);
    /* Water filling: who needs less than its part leaves the rest to the others. */
    for (gboolean settled = FALSE; !settled && sum > pool;) {
        settled = TRUE;
        for (guint k = 0; k < needy; k++) {
            guint i = step->order[k];
            PolicyReason reason = step->decisions[i].reason;
            gint64 lack = lacks(step, i, relaxed, &reason);
            gint64 part = pool * step->guests[i].shares / MAX(weights, 1);
            if (lack > part)
                continue;
            weights -= step->guests[i].shares;
            pool -= lack;
            sum -= lack;
            set_target(step, i, step->states[i].target + lack, reason);
            step->order[k--] = step->order[--needy];
            settled = FALSE;
        }
    }
    for (guint k = 0; k < needy; k++) {
        guint i = step->order[k];
        PolicyReason reason = step->decisions[i].reason;
        gint64 lack = lacks(step, i, relaxed, &reason);
        gint64 part = sum > pool ? MIN(lack, pool * step->guests[i].shares / MAX(weights, 1)) : lack;
        if (part >= MIN(lack, POLICY_STEP_MIN / 4))
            set_target(step, i, step->states[i].target + part, reason);
        else
            step->decisions[i].reason = POLICY_REASON_NONE;
    }
    return unmet;
}

/* ---- taking ---- */

typedef enum { LEVEL_EASE, LEVEL_SOFT, LEVEL_LOW, LEVEL_SHORT, LEVEL_COUNT } Level;

/* For each level: over how many slots a guest's peak counts, for how long it should be likely to do without
 * what is taken, and what the step is called. */
static const struct {
    guint slots;
    gint64 rest_ms;
    PolicyReason reason;
} levels[LEVEL_COUNT] = {{30, 0, POLICY_REASON_EASE},
                         {12, 30 * 60 * 1000, POLICY_REASON_SOFT},
                         {4, 30 * 60 * 1000, POLICY_REASON_SOFT},
                         {1, 5 * 60 * 1000, POLICY_REASON_SHORT}};

/* A little above the size at which it hurt. */
static gint64 knee_of(const PolicyGuestState *state, guint slots, gboolean whole)
{
    gint64 knee = whole ? policy_knee_whole(state, slots) : policy_knee(state, slots);
    return knee > 0 ? knee + knee / 16 + POLICY_GUARD_MIN / 4 : 0;
}

/* The size that a guest keeps at a level. */
static gint64 floor_of(const Step *step, guint i, Level level)
{
    const PolicyGuest *guest = &step->guests[i];
    const PolicyGuestState *state = &step->states[i];
    gint64 minimum = policy_minimum(step->config, guest);
    if (state->trust != POLICY_TRUST_FULL) {
        /* Of a guest that says nothing, only what its vCPUs do is known: one that rests has less in use. */
        gint64 share = step->config->dark_permille;
        if (step->now - state->busy_at > IDLE_MS && level >= LEVEL_LOW)
            share = share * 2 / 3;
        return MAX(minimum, guest->max * share / 1000);
    }
    gint64 size = policy_peak(state, levels[level].slots) +
                  (level <= LEVEL_SOFT ? wide_guard(step, i) : step->decisions[i].guard);
    if (level == LEVEL_EASE && guest->caches > 0)
        size += guest->caches / 4;
    size = MAX(size, knee_of(state, POLICY_PEAKS / 2, FALSE));
    return CLAMP(size, minimum, guest->max);
}

typedef struct {
    guint guest;
    gint64 key, floor;
} Candidate;

static int by_key(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    return x->guest < y->guest ? -1 : 1;
}

static void sort(Candidate *candidates, guint found)
{
    if (found > 1) /* without guests there is no array */
        qsort(candidates, found, sizeof *candidates, by_key);
}

/* Takes `wanted` MiB from those that need them least at a level. */
static void take(Step *step, Level level, gint64 wanted)
{
    Candidate *candidates = g_new(Candidate, step->count);
    guint found = 0;
    for (guint i = 0; i < step->count; i++) {
        const PolicyGuestState *state = &step->states[i];
        if (!acts_on(step, i) || policy_hurts(state, step->now) ||
            step->now - state->grown_at < step->config->hold_ms)
            continue;
        /* What a dark guest does with its memory is not seen: it is not hurried. */
        if (!may_turn(step, state, level == LEVEL_SHORT && state->trust == POLICY_TRUST_FULL ? HASTE : 1))
            continue;
        if (level == LEVEL_EASE && step->now - state->since < 300000)
            continue;
        gint64 floor = floor_of(step, i, level);
        gint64 freed = freed_by(step, i, floor);
        if (freed < MAX(POLICY_STEP_MIN, state->target / (state->direction > 0 ? TURN_TAKE : 16)))
            continue;
        /* Who will do without it for longest, for the least shares, pays first; when there is time, who holds
         * most that is idle. */
        gint64 gain = freed;
        if (level != LEVEL_EASE) {
            gain = policy_rest_ms(state, floor, TRUE);
            if (gain < levels[level].rest_ms * step->pick / 1000)
                continue;
        }
        gint64 key = gain * 1000 / step->guests[i].shares;
        candidates[found++] = (Candidate){.guest = i, .key = key, .floor = floor};
    }
    sort(candidates, found);
    gint64 goal = step->free + wanted;
    for (guint k = 0; k < found && step->free < goal; k++)
        set_target(step, candidates[k].guest, candidates[k].floor, levels[level].reason);
    g_free(candidates);
}

/* Takes what guests use, a little from each, and watches whether it hurts: cold pages do not. */
static void probe(Step *step, gint64 wanted, const Search *search)
{
    Candidate *candidates = g_new(Candidate, step->count);
    guint found = 0;
    for (guint i = 0; i < step->count; i++) {
        const PolicyGuest *guest = &step->guests[i];
        const PolicyGuestState *state = &step->states[i];
        if (!acts_on(step, i) || policy_hurts(state, step->now))
            continue;
        gint64 pause = step->config->probe_ms + MAX(guest->stats_age, 0);
        if (!search->critical && !may_turn(step, state, search->haste))
            continue;
        if (!search->critical &&
            (step->now - state->grown_at < 2 * step->config->hold_ms || step->now - state->cut_at < pause ||
             (state->hurt_at > 0 && step->now - state->hurt_at < 60000)))
            continue;
        gint64 floor = MAX(policy_minimum(step->config, guest),
                           guest->max * (state->trust == POLICY_TRUST_FULL ? 0 : 500) / 1000);
        if (!search->critical)
            floor = MAX(floor, knee_of(state, search->slots, search->whole));
        if (!search->critical && state->trust != POLICY_TRUST_FULL)
            continue;
        gint64 cut = MAX(state->target * (search->critical ? 80 : 30) / 1000, POLICY_STEP_MIN / 2);
        floor = MAX(floor, MIN(state->target, guest->rss) - cut);
        if (freed_by(step, i, floor) < POLICY_STEP_MIN / 4)
            continue;
        /* Of what it uses, only pain tells what it needed; of what is free, what it used. */
        if (!search->critical &&
            policy_rest_ms(state, floor, floor >= state->used) < search->rest_ms * step->pick / 1000)
            continue;
        /* Idle guests first: what they hold is the likeliest to be cold. */
        gint64 key = -(gint64)state->busy * step->guests[i].shares / 100;
        if (state->direction > 0 && !search->critical) {
            /* To turn one that was led up costs a reversal: last, and where there is most to find. */
            gint64 most = MIN(state->target, guest->rss) - MAX(policy_minimum(step->config, guest),
                                                               knee_of(state, search->slots, search->whole));
            if (most * TURN_PROBE < state->target)
                continue;
            key = most - ((gint64)1 << 40);
        }
        candidates[found++] = (Candidate){.guest = i, .key = key, .floor = floor};
    }
    sort(candidates, found);
    gint64 goal = step->free + wanted;
    gboolean turned = FALSE;
    for (guint k = 0; k < found && step->free < goal; k++) {
        guint i = candidates[k].guest;
        if (step->states[i].direction > 0 && !search->critical) {
            /* One at a time: much from one guest rather than a little from many. */
            if (turned)
                break;
            turned = TRUE;
        }
        step->states[i].squeezed = TRUE;
        set_target(step, i, candidates[k].floor,
                   search->critical ? POLICY_REASON_CRITICAL : POLICY_REASON_PROBE);
    }
    g_free(candidates);
}

/* ---- together ---- */

/* A guest that has free memory again is no longer short by our doing. */
static void release(Step *step)
{
    for (guint i = 0; i < step->count; i++) {
        PolicyGuestState *state = &step->states[i];
        if (!state->squeezed)
            continue;
        if (state->target - state->used >= step->decisions[i].guard)
            state->squeezed = FALSE;
    }
}

/* What is on its way: memory that balloons are still to give back, and memory that was promised just now. */
static gint64 in_flight(const Step *step)
{
    gint64 sum = 0;
    for (guint i = 0; i < step->count; i++) {
        const PolicyGuest *guest = &step->guests[i];
        const PolicyGuestState *state = &step->states[i];
        if (!(guest->flags & POLICY_GUEST_RUNS) || !state->known)
            continue;
        if (state->target < guest->actual && step->now - state->target_at < 10000)
            sum += MAX(guest->rss - state->target, 0);
        else if (step->now - state->grown_at < 3000)
            sum -= MAX(state->target - guest->rss, 0);
    }
    return sum;
}

/* While one guest in twelve or more is in pain that was not met at once, the host cannot wait for those that
 * will do without memory for long: less is asked of who gives, down to a quarter. Permille. */
static gint64 how_picky(const Step *step)
{
    gint64 running = 0, hurting = 0;
    for (guint i = 0; i < step->count; i++) {
        const PolicyGuestState *state = &step->states[i];
        if (!(step->guests[i].flags & POLICY_GUEST_RUNS))
            continue;
        running++;
        hurting += policy_hurts(state, step->now) && step->now - state->hurt_since >= UNMET_MS;
    }
    gint64 share = hurting * 1000 / MAX(running, 1);
    return 1000 -
           (1000 - PICK_LEAST) * CLAMP(share - WIDE_FROM, 0, WIDE_TO - WIDE_FROM) / (WIDE_TO - WIDE_FROM);
}

/* Reversals that the guests may cause together: those of a quarter of an hour may be made at once, and two
 * guests' in any case. What the host takes in need is owed, up to as much. */
static void refill(const PolicyConfig *config, PolicyState *state, guint count, gint64 elapsed)
{
    gint64 hour = (gint64)config->reversals * 1000 * count, most = MAX(hour / 4, 4000);
    gint64 due = hour * CLAMP(elapsed, 0, FULL_MS) + state->tokens_rest;
    state->tokens_rest = due % FULL_MS;
    state->tokens = CLAMP(state->tokens + due / FULL_MS, -most, most);
}

void policy_share_memory(const PolicyConfig *config, PolicyState *state, const PolicyHost *host,
                         const PolicyGuest *guests, PolicyGuestState *states, PolicyDecision *decisions,
                         guint *order, guint count, gint64 now)
{
    Step step = {.config = config,
                 .state = state,
                 .host = host,
                 .guests = guests,
                 .states = states,
                 .decisions = decisions,
                 .order = order,
                 .count = count,
                 .now = now};
    gint64 elapsed = now - state->now;
    if (state->now > 0 && elapsed > 0) {
        gint64 fall = (state->available - host->available) * 16 * 1000 / elapsed;
        state->falling = (state->falling + fall) / 2;
    }
    refill(config, state, count, state->now > 0 ? elapsed : FULL_MS);
    state->available = host->available;
    /* A fall goes on for some seconds, until what is decided now has happened; but one leap is no trend. */
    gint64 expected_fall = MIN(MAX(state->falling, 0) * 3 / 16, host->total * config->soft_permille / 1000);
    step.free = host->available + in_flight(&step) - expected_fall;
    release(&step);
    step.pick = how_picky(&step);
    gint64 unmet = give(&step);
    gint64 soft = of_host(&step, config->soft_permille), crit = of_host(&step, config->crit_permille);
    gint64 wary = crit + (soft - crit) * 4 / 5, low = crit + (soft - crit) * 2 / 3;
    gint64 very_low = (soft + crit * 2) / 3;
    /* What hurts nobody comes first; then cold pages; then what guests did not need for some minutes; the
     * longer ago that it hurt, the sooner it is tried again. */
    if (step.free - unmet < soft)
        take(&step, LEVEL_SOFT, soft + of_host(&step, 10) - step.free + unmet);
    if (step.free - unmet < wary)
        probe(&step, wary - step.free + unmet, &search_whole);
    if (step.free - unmet < low)
        probe(&step, low - step.free + unmet, &search_easy);
    if (step.free - unmet < wary)
        take(&step, LEVEL_LOW, wary - step.free + unmet);
    if (step.free - unmet < very_low)
        take(&step, LEVEL_SHORT, very_low - step.free + unmet);
    if (step.free - unmet < very_low)
        probe(&step, very_low - step.free + unmet, &search_hard);
    /* A little above the mark: what is decided takes a moment to happen. */
    gint64 critical = crit + (soft - crit) * 2 / 9;
    if (step.free + expected_fall < critical)
        probe(&step, critical - step.free, &search_critical);
    gint64 ease = of_host(&step, config->ease_permille);
    if (step.free < ease)
        take(&step, LEVEL_EASE, (ease - step.free) / 64 + 1);
}
