// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim-spool: the rows of a long trace in a file without a name, so that who plays it as slowly as a clock
 * goes holds one block of it in memory, however long it is.
 */
#pragma once

#include "balloon/sim/sim-input.h"

typedef struct SimSpool SimSpool;

SimSpool *sim_spool_new(GError **error);
void sim_spool_free(SimSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SimSpool, sim_spool_free)

gboolean sim_spool_add(SimSpool *spool, const SimDemand *row, GError **error);
/* No more rows are added; they are read from the first on. FALSE: the disk is full. */
gboolean sim_spool_rewind(SimSpool *spool, GError **error);
/* The next row, which stays the next one until it is passed; NULL after the last. */
const SimDemand *sim_spool_peek(SimSpool *spool);
void sim_spool_pass(SimSpool *spool);
