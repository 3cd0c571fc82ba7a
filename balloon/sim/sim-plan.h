// SPDX-License-Identifier: GPL-2.0-or-later
/* sim-plan: balloond's own policy, balloon/policy.c, in the simulator. */
#pragma once

#include "balloon/sim/sim-model.h"

typedef struct SimPlan SimPlan;
SimPlan *sim_plan_new(const SimModel *model);
void sim_plan_step(SimPlan *plan, SimModel *model);
void sim_plan_free(SimPlan *plan);
