// SPDX-License-Identifier: GPL-2.0-or-later
/* sim-plan: balloond's own policy, balloon/policy.c, in the simulator. */
#pragma once

#include "balloon/sim/sim-model.h"

#include <stdio.h>

typedef struct SimPlan SimPlan;
SimPlan *sim_plan_new(const SimModel *model);
void sim_plan_step(SimPlan *plan, SimModel *model);
/* Each target that is changed becomes a line of CSV from now on. The file stays the caller's. */
void sim_plan_log(SimPlan *plan, FILE *log);
void sim_plan_free(SimPlan *plan);
