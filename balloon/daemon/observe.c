// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/observe.h"

#define KIB_PER_MIB 1024
#define NS_PER_MS   1000000
#define MOVES_MIB   16 /* a balloon that moves by more between two looks: at which size was something told? */
#define MOVING_MS   3000 /* for so long statistics are done without */

static gint64 mib(guint64 kib)
{
    return kib == DOMAIN_UNKNOWN ? POLICY_UNKNOWN : (gint64)(kib / KIB_PER_MIB);
}

static gint64 count_of(guint64 number)
{
    return number == DOMAIN_UNKNOWN ? POLICY_UNKNOWN : (gint64)MIN(number, G_MAXINT64);
}

/* When new statistics were told, in the policy's clock. */
static gint64 time_of(const FleetGuest *guest, gint64 updated, gint64 now, gint64 wall)
{
    gint64 told = now - CLAMP((wall > 0 ? wall : now) - updated * 1000, 0, now);
    if (wall == 0 || guest->updated <= 0 || told < guest->looked_at - 1000)
        return told;
    /* Not as near to the ones before as to make a burst of what has happened between. */
    return CLAMP(MAX(told, guest->looked_at), MIN(guest->told_at + (updated - guest->updated) * 500, now),
                 now);
}

/* Whether they are to be taken. */
static gboolean take_time(FleetGuest *guest, PolicyGuest *seen, guint64 updated, gint64 moved, gint64 now,
                          gint64 wall)
{
    gboolean told = updated != DOMAIN_UNKNOWN && updated != 0;
    gboolean taken = FALSE;
    if (!told && guest->updated <= 0) {
        seen->stats_age = POLICY_UNKNOWN;
        return TRUE;
    }
    if (told && (gint64)updated != guest->updated) {
        gint64 number = (gint64)MIN(updated, G_MAXINT64 / 1000);
        taken =
            wall == 0 || ABS(moved) <= MOVES_MIB || guest->updated <= 0 || now - guest->told_at >= MOVING_MS;
        if (taken)
            guest->told_at = time_of(guest, number, now, wall);
        guest->updated = number;
    }
    seen->stats_age = MAX(now - guest->told_at, 0);
    return taken;
}

void observe_memory(FleetGuest *guest, PolicyGuest *seen, const Domain *domain, gint64 now, gint64 wall)
{
    const DomainMemory *memory = &domain->memory;
    gint64 actual = MIN(mib(memory->current), guest->whole);
    gint64 moved = guest->looked_at > 0 ? actual - seen->actual : 0;
    seen->actual = actual;
    if (memory->rss != DOMAIN_UNKNOWN || guest->looked_at == 0)
        seen->rss = mib(memory->rss);
    seen->cpu_ms =
        domain->cpu_time == DOMAIN_UNKNOWN ? POLICY_UNKNOWN : (gint64)(domain->cpu_time / NS_PER_MS);
    if (take_time(guest, seen, memory->updated, moved, now, wall)) {
        seen->usable = mib(memory->usable);
        seen->unused = mib(memory->unused);
        seen->caches = mib(memory->caches);
        seen->swapped_in = mib(memory->swap_in);
        seen->swapped_out = mib(memory->swap_out);
        seen->major_faults = count_of(memory->major_faults);
    }
    guest->looked_at = now;
}

void observe_forget(FleetGuest *guest)
{
    guest->updated = -1;
    guest->looked_at = 0;
}
