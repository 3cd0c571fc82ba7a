// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * throttle-group: disks that share limits, served in turn.
 *
 * A member is one disk (or throttle filter) with what waits there. Requests are submitted and passed on on
 * the thread of the member's IoContext; members of one group may be on different threads. A group with
 * nothing waiting costs a look at the clock for each request and no timer.
 */
#pragma once

#include "host-vmm/block/block.h"
#include "host-vmm/block/throttle.h"

typedef struct ThrottleGroup ThrottleGroup;
typedef struct ThrottleMember ThrottleMember;

extern const ObjectType
    throttle_group_type; /* -object throttle-group,id=ID,x-bps-total=N… or limits.bps-total=N… */

/* NULL if the object is something else. Borrowed. */
ThrottleGroup *throttle_group_from_object(Object *object);

ThrottleGroup *throttle_group_new(const char *name);
ThrottleGroup *throttle_group_ref(ThrottleGroup *group);
void throttle_group_unref(ThrottleGroup *group);
const char *throttle_group_name(const ThrottleGroup *group);
/* Any thread. The configuration is checked; what waits goes by the new one. */
void throttle_group_set(ThrottleGroup *group, const ThrottleConfig *config);
void throttle_group_get(ThrottleGroup *group, ThrottleConfig *config);
/* Waits in a worker thread until a request may go, or *drains (atomic) changes. */
void throttle_group_block(ThrottleGroup *group, gboolean is_write, guint64 bytes, const int *drains);

/* pass: the request's turn has come; on the thread of `context`. */
typedef void (*ThrottlePassFunc)(BlockRequest *request, gpointer user_data);
ThrottleMember *throttle_member_new(ThrottleGroup *group, IoContext *context, ThrottlePassFunc pass,
                                    gpointer user_data);
/* With nothing waiting. On the context's thread. */
void throttle_member_free(ThrottleMember *member);
ThrottleGroup *throttle_member_group(const ThrottleMember *member);
/* Passes it now or later. Only reads, writes and zeroes are held back. */
void throttle_member_submit(ThrottleMember *member, BlockRequest *request);
/* All that waits goes now. */
void throttle_member_release(ThrottleMember *member);
/* Takes one that waits off the queue: NULL: none is left. */
BlockRequest *throttle_member_take(ThrottleMember *member);
