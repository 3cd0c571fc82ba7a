// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/range-lock.h"

void range_lock_init(RangeLock *ranges)
{
    g_mutex_init(&ranges->lock);
    g_cond_init(&ranges->released);
    ranges->holds = NULL;
}

void range_lock_clear(RangeLock *ranges)
{
    g_mutex_clear(&ranges->lock);
    g_cond_clear(&ranges->released);
}

/* With the lock held. */
static gboolean is_free(const RangeLock *ranges, const RangeHold *wanted)
{
    for (const RangeHold *hold = ranges->holds; hold != NULL; hold = hold->next) {
        if ((hold->exclusive || wanted->exclusive) && hold->start < wanted->end && wanted->start < hold->end)
            return FALSE;
    }
    return TRUE;
}

static void add(RangeLock *ranges, RangeHold *hold)
{
    hold->next = ranges->holds;
    ranges->holds = hold;
}

gboolean range_lock_try(RangeLock *ranges, RangeHold *hold, guint64 start, guint64 length, gboolean exclusive)
{
    *hold = (RangeHold){.start = start, .end = start + length, .exclusive = exclusive};
    g_mutex_lock(&ranges->lock);
    gboolean can = is_free(ranges, hold);
    if (can)
        add(ranges, hold);
    g_mutex_unlock(&ranges->lock);
    return can;
}

void range_lock_acquire(RangeLock *ranges, RangeHold *hold, guint64 start, guint64 length, gboolean exclusive)
{
    *hold = (RangeHold){.start = start, .end = start + length, .exclusive = exclusive};
    g_mutex_lock(&ranges->lock);
    while (!is_free(ranges, hold))
        g_cond_wait(&ranges->released, &ranges->lock);
    add(ranges, hold);
    g_mutex_unlock(&ranges->lock);
}

void range_lock_release(RangeLock *ranges, RangeHold *hold)
{
    g_mutex_lock(&ranges->lock);
    RangeHold **at = &ranges->holds;
    while (*at != hold)
        at = &(*at)->next;
    *at = hold->next;
    g_cond_broadcast(&ranges->released);
    g_mutex_unlock(&ranges->lock);
}
