// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drive-private: between drive.c (a drive's requests) and drive-set.c (making and finding drives).
 */
#pragma once

#include "host-vmm/block/drive.h"

typedef enum { ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_ENOSPC, ON_ERROR_STOP } OnError;

typedef struct DriveList {
    DriveRequest *first, *last;
} DriveList;

struct Drive {
    DriveSet *set;
    char *name;       /* -drive's id; "" */
    char *qom_path;   /* of the device; NULL: none uses it */
    char *id;         /* of the device, or NULL */
    gboolean by_name; /* of -drive: stays without a device */
    BlockNode *node;
    gboolean writes; /* attached for writing */
    OnError on_read_error, on_write_error;
    gboolean writeback; /* what -drive cache= says; TRUE otherwise */
    DriveUser user;
    ThrottleConfig initial_throttle; /* of -drive */
    char *initial_group;

    /* The context's thread. */
    ThrottleMember *throttle; /* changed by the main thread, while it makes that thread wait */
    guint in_flight;          /* with the node */
    gboolean paused;
    DriveList held; /* not with the node: paused, or failed and to be tried again */
    gint64 last_report_us;

    GMutex lock; /* guards counters and status */
    DriveCounters counters;
    DriveStatus status;
};

struct DriveSet {
    BlockSet *blocks;
    ObjectSet *objects;
    DriveEnv env;
    GPtrArray *drives;  /* Drive*, owned */
    GHashTable *groups; /* name -> ThrottleGroup*: those that are not objects */
    guint next_number;  /* of drives and devices without an id */
};

/* The group of this name: an object or one of the set's own, made if it is not there. Borrowed. */
ThrottleGroup *drive_set_group(DriveSet *set, const char *name);
