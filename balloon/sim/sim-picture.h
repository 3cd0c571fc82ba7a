// SPDX-License-Identifier: GPL-2.0-or-later
/* sim-picture: a run as an SVG drawing: the host's memory over time, what guests wanted, and what they
 * missed. */
#pragma once

#include "balloon/sim/sim-model.h"

typedef struct SimPicture SimPicture;
SimPicture *sim_picture_new(const SimModel *model);
/* After each step of the model. */
void sim_picture_step(SimPicture *picture, const SimModel *model);
gboolean sim_picture_write(const SimPicture *picture, const SimModel *model, const char *policy,
                           const char *path, GError **error);
void sim_picture_free(SimPicture *picture);
