// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-plan.h"

#include "balloon/policy.h"

#define TICK_MS 1000

struct SimPlan {
    PolicyConfig config;
    PolicyState state;
    PolicyGuest *guests;
    PolicyGuestState *states;
    PolicyDecision *decisions;
    guint *order;
    FILE *log;
};

SimPlan *sim_plan_new(const SimModel *model)
{
    SimPlan *plan = g_new0(SimPlan, 1);
    policy_config_init(&plan->config);
    plan->guests = g_new0(PolicyGuest, model->count);
    plan->states = g_new0(PolicyGuestState, model->count);
    plan->decisions = g_new0(PolicyDecision, model->count);
    plan->order = g_new0(guint, model->count);
    return plan;
}

/* What a daemon would see of it. */
static void look(PolicyGuest *seen, const SimModel *model, const SimState *state)
{
    const SimGuest *guest = state->guest;
    const SimReport *report = sim_model_report(model, state);
    *seen = (PolicyGuest){.flags = POLICY_GUEST_RUNS | POLICY_GUEST_BALLOON |
                                   (model->reporting ? POLICY_GUEST_REPORTS : 0),
                          .shares = guest->shares,
                          .max = guest->max,
                          .min = guest->min,
                          .actual = state->actual,
                          .rss = state->held,
                          .cpu_ms = state->cpu_ms,
                          .stats_age = POLICY_UNKNOWN};
    if (!report->told)
        return;
    seen->stats_age = (gint64)guest->lag * 1000;
    seen->usable = report->usable;
    seen->unused = report->unused;
    seen->caches = report->caches;
    seen->swapped_in = report->swapped_in;
    seen->swapped_out = report->swapped_out;
    seen->major_faults = report->faults;
}

void sim_plan_step(SimPlan *plan, SimModel *model)
{
    for (guint i = 0; i < model->count; i++) {
        SimState *state = &model->guests[i];
        if (state->runs) {
            look(&plan->guests[i], model, state);
        } else {
            plan->guests[i] = (PolicyGuest){.stats_age = POLICY_UNKNOWN};
            plan->states[i] = (PolicyGuestState){0};
        }
    }
    PolicyHost host = {.total = model->total, .available = model->available, .psi_full = POLICY_UNKNOWN};
    policy_plan(&plan->config, &plan->state, &host, plan->guests, plan->states, plan->decisions, plan->order,
                model->count, (gint64)model->t * TICK_MS);
    for (guint i = 0; i < model->count; i++) {
        const PolicyDecision *decision = &plan->decisions[i];
        SimState *state = &model->guests[i];
        if (!decision->changed)
            continue;
        if (plan->log)
            fprintf(plan->log, "%d,%s,%s,%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT "\n", model->t - 1,
                    state->guest->name, policy_reason_name(decision->reason), state->target,
                    decision->target);
        state->target = decision->target;
    }
}

void sim_plan_log(SimPlan *plan, FILE *log)
{
    plan->log = log;
    fputs("t,guest,reason,from_mib,to_mib\n", log);
}

void sim_plan_free(SimPlan *plan)
{
    g_free(plan->guests);
    g_free(plan->states);
    g_free(plan->decisions);
    g_free(plan->order);
    g_free(plan);
}
