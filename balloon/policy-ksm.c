// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/policy-ksm.h"

#define PAGES_PER_MIB 256
/* The least growth of a guest that is news, MiB, and of its size in permille. */
#define GROWTH_MIN      16
#define GROWTH_PERMILLE 10
/* Each scan that merged nothing of what was new doubles the growth that is news, so many times at most. */
#define DOUBLINGS_MAX 6
/* ksmd wakes, works, and sleeps this long. */
#define SLEEP_MS 10
/* Two passes are to be done in so many ms: with the time to see the growth, below the six seconds that are
 * promised. */
#define BURST_MS 3500
/* The first goes on where the scanner stopped last time: it is not whole. */
#define BURST_PASSES 3
/* How often it wakes in 1000 s is measured, for on a host with work to do it waits for its turn: before that
 * it is taken to work as long as it sleeps. */
#define WAKES     (1000 * 1000 / (2 * SLEEP_MS))
#define WAKES_MIN (WAKES / 10)
#define WAKES_MAX (WAKES * 2)
/* A measurement takes so long at least. */
#define MEASURE_MS 200
/* What the kernel takes for pages_to_scan without hurting: ksmtuned's least, the kernel's advisor's most. */
#define PAGES_MIN 64
#define PAGES_MAX 30000
/* CPU time of a page that is merged: 2 s per GiB (measured: 1.3 to 2.0). */
#define PAGE_NS 7600
/* The worth of a scan is looked at each pass, or each so many ms of CPU time. */
#define LOOK_MS 1000
/* A scan may cost 1 % of the time until the next, one that brought nothing 0.5 %. */
#define REST_FACTOR           100
#define REST_FACTOR_FRUITLESS 200
#define REST_MAX_MS           (4 * 60 * 60 * 1000)
/* With more of its time waited for CPUs, the host gets a quarter of the scanning. */
#define PRESSED_PERMILLE 200
/* The host is relaxed again with so much more available than at the start. */
#define RELAX_PERMILLE 50

void policy_ksm_config_init(PolicyKsmConfig *config)
{
    *config = (PolicyKsmConfig){.mode = POLICY_KSM_AUTO,
                                .start_permille = 400,
                                .short_permille = 75,
                                .budget_permille = 300,
                                .burst_ms = 3000,
                                .profit_floor = 20,
                                .pass_ms = 10 * 60 * 1000};
}

const char *policy_ksm_phase_name(PolicyKsmPhase phase)
{
    static const char *const names[] = {"quiet", "burst", "verify", "pass"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_KSM_PHASES);
    return (guint)phase < G_N_ELEMENTS(names) ? names[phase] : "?";
}

const char *policy_ksm_reason_name(PolicyKsmReason reason)
{
    static const char *const names[] = {"none", "grown", "due", "worth", "done", "fruitless", "relaxed"};
    G_STATIC_ASSERT(G_N_ELEMENTS(names) == POLICY_KSM_REASONS);
    return (guint)reason < G_N_ELEMENTS(names) ? names[reason] : "?";
}

static gboolean relaxed(const PolicyKsmConfig *config, const PolicyKsmState *state, const PolicyKsmHost *host)
{
    gint64 line = config->start_permille + (state->phase != POLICY_KSM_QUIET ? RELAX_PERMILLE : 0);
    return config->mode == POLICY_KSM_OFF ||
           (config->mode == POLICY_KSM_AUTO && host->available * 1000 >= host->total * line);
}

/* Each guest for itself: in a sum, one that goes would hide another that comes. */
static gboolean has_grown(const PolicyKsmGuest *guest, const PolicyKsmGuestState *state)
{
    gint64 news = MAX(GROWTH_MIN, guest->mergeable * GROWTH_PERMILLE / 1000);
    return guest->counts && guest->mergeable - state->scanned >= news << MIN(state->fruitless, DOUBLINGS_MAX);
}

static void enter(PolicyKsmState *state, const PolicyKsmHost *host, PolicyKsmDecision *decision,
                  PolicyKsmPhase phase, PolicyKsmReason reason, gint64 now)
{
    if (state->phase == POLICY_KSM_QUIET) {
        state->began_scans = host->full_scans;
        state->began_cpu = host->cpu_ms;
        state->began_profit = host->profit;
    }
    state->phase = phase;
    state->since = now;
    state->seen_scans = host->full_scans;
    state->seen_cpu = host->cpu_ms;
    state->seen_profit = host->profit;
    decision->reason = reason;
}

/* While nothing is scanned, what guests that have gone had merged stays counted; the first pass clears that
 * away. A scan's gain is therefore that from the lowest point in it. */
static void sink(PolicyKsmState *state, const PolicyKsmHost *host)
{
    state->began_profit = MIN(state->began_profit, host->profit);
    state->seen_profit = MIN(state->seen_profit, host->profit);
}

/* Whether the scan as a whole was worth its CPU time. */
static gboolean brought(const PolicyKsmConfig *config, const PolicyKsmState *state, const PolicyKsmHost *host)
{
    gint64 gain = host->profit - state->began_profit;
    return gain > 0 && gain * 1000 >= config->profit_floor * (host->cpu_ms - state->began_cpu);
}

/* The scan is over: what the guests have now is known, and the scanner rests as it was worth. */
static void finish(const PolicyKsmConfig *config, PolicyKsmState *state, const PolicyKsmHost *host,
                   const PolicyKsmGuest *guests, PolicyKsmGuestState *states, guint count,
                   PolicyKsmDecision *decision, gint64 now)
{
    gint64 cost = MAX(host->cpu_ms - state->began_cpu, 0);
    gboolean fruitless = !brought(config, state, host);
    for (guint i = 0; i < count; i++) {
        if (!guests[i].counts)
            continue;
        gint64 fresh = guests[i].mergeable - states[i].scanned;
        if (guests[i].merged > states[i].merged)
            states[i].fruitless = 0;
        else if (fresh >= GROWTH_MIN)
            states[i].fruitless++;
        states[i].scanned = MIN(states[i].older, guests[i].mergeable);
    }
    state->fruitless = fruitless ? state->fruitless + 1 : 0;
    gint64 pause = config->pass_ms << MIN(state->fruitless, DOUBLINGS_MAX);
    pause = MAX(pause, cost * (fruitless ? REST_FACTOR_FRUITLESS : REST_FACTOR));
    state->rest_until = now + MIN(pause, REST_MAX_MS);
    enter(state, host, decision, POLICY_KSM_QUIET,
          fruitless ? POLICY_KSM_REASON_FRUITLESS : POLICY_KSM_REASON_DONE, now);
}

/* Whether the passes since the last look were worth their time; nothing is told before one is over. */
static gboolean worth(const PolicyKsmConfig *config, PolicyKsmState *state, const PolicyKsmHost *host)
{
    gint64 cost = host->cpu_ms - state->seen_cpu;
    if (host->full_scans == state->seen_scans && cost < LOOK_MS)
        return TRUE;
    gint64 gain = host->profit - state->seen_profit;
    state->seen_scans = host->full_scans;
    state->seen_cpu = host->cpu_ms;
    state->seen_profit = host->profit;
    return gain > 0 && gain * 1000 >= config->profit_floor * cost;
}

static void begin(PolicyKsmState *state, const PolicyKsmHost *host, const PolicyKsmGuest *guests,
                  PolicyKsmGuestState *states, guint count, PolicyKsmDecision *decision, gint64 now)
{
    gboolean grown = FALSE;
    for (guint i = 0; i < count; i++) {
        states[i].scanned = MIN(states[i].scanned, MAX(guests[i].mergeable, 0));
        grown = grown || has_grown(&guests[i], &states[i]);
    }
    /* After two scans that brought nothing growth alone is no reason: it grows of what cannot be merged. */
    if (grown && (state->fruitless < 2 || now >= state->rest_until))
        enter(state, host, decision, POLICY_KSM_BURST, POLICY_KSM_REASON_GROWN, now);
    else if (state->rest_until > 0 && now >= state->rest_until)
        enter(state, host, decision, POLICY_KSM_PASS, POLICY_KSM_REASON_DUE, now);
    else
        return;
    for (guint i = 0; i < count; i++) {
        states[i].merged = guests[i].merged;
        states[i].newer = states[i].older = states[i].scanned;
    }
}

/* A pass has ended: what a guest had at the end of the one before has been through a whole one. */
static void end_pass(PolicyKsmState *state, const PolicyKsmHost *host, const PolicyKsmGuest *guests,
                     PolicyKsmGuestState *states, guint count)
{
    for (guint i = 0; host->full_scans != state->scans && i < count; i++) {
        states[i].older = host->full_scans > state->scans + 1 ? guests[i].mergeable : states[i].newer;
        states[i].newer = guests[i].mergeable;
    }
    state->scans = host->full_scans;
}

/* How often ksmd has woken since the last plan. */
static void count_wakes(PolicyKsmState *state, const PolicyKsmHost *host, gint64 now)
{
    gint64 elapsed = now - state->now, done = host->scanned - state->scanned;
    if (state->pages > 0 && state->scanned > 0 && done > 0 && elapsed >= MEASURE_MS) {
        gint64 wakes = MIN(done, (gint64)1 << 40) * 1000 * 1000 / elapsed / state->pages;
        state->wakes = CLAMP(wakes, WAKES_MIN, WAKES_MAX);
    }
    state->scanned = host->scanned;
}

/* Pages for each wake: two passes in the time of a burst, while there is credit; then what the budget
 * pays. */
static gint32 pages_for(const PolicyKsmState *state, const PolicyKsmHost *host, const PolicyKsmGuest *guests,
                        guint count, gint64 budget)
{
    gint64 pages = 0, tracked = CLAMP(host->tracked, 0, (gint64)1 << 30) * PAGES_PER_MIB;
    for (guint i = 0; i < count; i++)
        if (guests[i].counts)
            pages += CLAMP(guests[i].mergeable, 0, (gint64)1 << 30) * PAGES_PER_MIB;
    gint64 wakes = state->wakes > 0 ? state->wakes : WAKES;
    gint64 wanted = MIN(MAX(pages, tracked), (gint64)1 << 40) * 2 * 1000 * 1000 / BURST_MS / wakes;
    gint64 paid = SLEEP_MS * budget * 1000 / PAGE_NS;
    if (state->credit <= 0 || state->phase == POLICY_KSM_PASS)
        wanted = MIN(wanted, paid);
    return (gint32)CLAMP(wanted, PAGES_MIN, PAGES_MAX);
}

/* The budget, in permille of one CPU: what comes in; what ksmd used goes out. */
static gint64 keep_account(const PolicyKsmConfig *config, PolicyKsmState *state, const PolicyKsmHost *host,
                           gint64 now)
{
    gint64 budget = config->budget_permille, most = config->burst_ms * 1000;
    if (host->available * 1000 < host->total * config->short_permille)
        budget = MAX(budget, 1000);
    if (host->cpu_pressure > PRESSED_PERMILLE)
        budget /= 4;
    if (state->now == 0) {
        state->credit = most;
    } else {
        gint64 used = CLAMP(host->cpu_ms - state->cpu_ms, 0, 3600000);
        gint64 income = budget * CLAMP(now - state->now, 0, 3600000);
        state->credit = CLAMP(state->credit + income - used * 1000, -most, most);
    }
    state->cpu_ms = host->cpu_ms;
    return budget;
}

void policy_ksm_plan(const PolicyKsmConfig *config, PolicyKsmState *state, const PolicyKsmHost *host,
                     const PolicyKsmGuest *guests, PolicyKsmGuestState *states, guint count, gint64 now,
                     PolicyKsmDecision *decision)
{
    *decision = (PolicyKsmDecision){.sleep_ms = SLEEP_MS};
    gint64 budget = keep_account(config, state, host, now);
    count_wakes(state, host, now);
    state->now = now;
    sink(state, host);
    if (relaxed(config, state, host)) {
        /* What has grown meanwhile is scanned when memory is short. */
        if (state->phase != POLICY_KSM_QUIET)
            enter(state, host, decision, POLICY_KSM_QUIET, POLICY_KSM_REASON_RELAXED, now);
    } else if (state->phase == POLICY_KSM_QUIET) {
        begin(state, host, guests, states, count, decision, now);
    } else if (state->phase == POLICY_KSM_BURST) {
        if (host->full_scans >= state->began_scans + BURST_PASSES) {
            if (brought(config, state, host))
                enter(state, host, decision, POLICY_KSM_VERIFY, POLICY_KSM_REASON_WORTH, now);
            else
                finish(config, state, host, guests, states, count, decision, now);
        }
    } else if (state->phase == POLICY_KSM_PASS ? host->full_scans > state->began_scans
                                               : !worth(config, state, host)) {
        finish(config, state, host, guests, states, count, decision, now);
    }
    end_pass(state, host, guests, states, count);
    decision->phase = state->phase;
    decision->run = state->phase != POLICY_KSM_QUIET;
    decision->pages = pages_for(state, host, guests, count, budget);
    /* Out of credit and over the budget for good: it sleeps until it has earned some. */
    if (state->credit <= -config->burst_ms * 1000)
        decision->run = FALSE;
    state->pages = decision->run ? decision->pages : 0;
}
