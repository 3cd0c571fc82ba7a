// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * observe: what a source tells of a guest's memory, as the policy sees it.
 */
#pragma once

#include "balloon/daemon/fleet.h"
#include "lib/domain.h"

/*
 * now: the policy's clock, ms; wall: the clock that statistics bear, ms since 1970; 0: they bear the
 * policy's. guest->whole is known.
 *
 * Statistics bear whole seconds only, and mean nothing without the size that the guest had when it told them:
 * what is new was told after the last look, and what was told while the balloon moved by more than 16 MiB is
 * passed over, for three seconds at most. A hypervisor that tells none this time (somebody else asks it just
 * now) makes the last ones older.
 */
void observe_memory(FleetGuest *guest, PolicyGuest *seen, const Domain *domain, gint64 now, gint64 wall);
/* The guest was started anew: what it told before is of another life. */
void observe_forget(FleetGuest *guest);
