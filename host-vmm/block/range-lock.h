// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * range-lock: keeps a read-modify-write of part of a file apart from other writes to the same bytes.
 *
 * Writes share, a read-modify-write excludes all that overlap it. Thread-safe.
 */
#pragma once

#include <gio/gio.h>

typedef struct RangeHold {
    guint64 start, end;
    gboolean exclusive;
    struct RangeHold *next;
} RangeHold;

typedef struct RangeLock {
    GMutex lock;
    GCond released;
    RangeHold *holds;
} RangeLock;

void range_lock_init(RangeLock *ranges);
void range_lock_clear(RangeLock *ranges); /* nothing is held */
/* Waits until nothing stands against it. `hold` is the caller's until range_lock_release(). */
void range_lock_acquire(RangeLock *ranges, RangeHold *hold, guint64 start, guint64 length,
                        gboolean exclusive);
/* FALSE instead of waiting. */
gboolean range_lock_try(RangeLock *ranges, RangeHold *hold, guint64 start, guint64 length,
                        gboolean exclusive);
void range_lock_release(RangeLock *ranges, RangeHold *hold);
