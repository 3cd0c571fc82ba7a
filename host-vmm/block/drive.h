// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drive: what a disk device has of a block node: its requests counted and throttled, its errors dealt with by
 * policy, its life with the guest's (pause, resume, reset).
 *
 * A Drive is made by -drive (and then waits for a device that names it) or by a device that names a node.
 * Requests and what changes their course are for the thread of the drive's IoContext; the rest is for the
 * main thread, but where it is said.
 */
#pragma once

#include "host-vmm/block/throttle-group.h"

typedef struct DriveSet DriveSet;
typedef struct Drive Drive;
typedef struct DriveRequest DriveRequest;

typedef enum { DRIVE_STAT_READ, DRIVE_STAT_WRITE, DRIVE_STAT_FLUSH, DRIVE_STAT_UNMAP, DRIVE_STATS } DriveStat;

typedef struct DriveCounters {
    guint64 bytes[DRIVE_STATS], operations[DRIVE_STATS], failed[DRIVE_STATS], invalid[DRIVE_STATS],
        merged[DRIVE_STATS];
    guint64 time_ns[DRIVE_STATS]; /* from submission to completion, summed up */
    gint64 last_access_ns;        /* monotonic; 0: never */
} DriveCounters;

/* The device's; stays as it is until done(), which is never called from within drive_submit(). */
struct DriveRequest {
    BlockRequest block; /* op, flags, offset, length, segments, segment_count are the device's to set */
    void (*done)(DriveRequest *request, int result); /* 0 or -errno; -ECANCELED: by drive_cancel() */
    guint count; /* guest requests that it stands for: 1, more if merged */
    /* The drive's. */
    Drive *drive;
    DriveRequest *next;
    gint64 started;
};

typedef enum { DRIVE_OK, DRIVE_FAILED, DRIVE_NO_SPACE } DriveStatus;

/* How a drive reaches the machine. */
typedef struct DriveEnv {
    void (*event)(const char *name, JsonObject *data, gpointer user_data); /* any thread; data taken */
    void (*io_error)(gpointer user_data); /* any thread: the guest shall be stopped */
    gpointer user_data;
} DriveEnv;

/* A device that uses a drive. */
typedef struct DriveUser {
    const char *id; /* the device's id, or NULL */
    IoContext *context;
    gboolean read_only;                  /* it only reads */
    void (*resized)(gpointer user_data); /* main thread: the length has changed */
    gpointer user_data;
} DriveUser;

DriveSet *drive_set_new(BlockSet *blocks, ObjectSet *objects, const DriveEnv *env);
void drive_set_free(DriveSet *set); /* after the devices, before the BlockSet */
BlockSet *drive_set_blocks(DriveSet *set);
/* -drive file=…,if=none|virtio,id=…,format=…,cache=…,…; *device: the -device option that if=virtio stands for
 * (owned), or NULL. */
gboolean drive_set_add(DriveSet *set, OptSet *options, char **device, GError **error);
/* In order of creation. */
void drive_set_foreach(DriveSet *set, void (*func)(Drive *drive, gpointer user_data), gpointer user_data);
/* By a -drive's id, a device's id or QOM path ("/machine/peripheral/disk0" with or without
 * "/virtio-backend"). */
Drive *drive_set_find(DriveSet *set, const char *name);

/* A device's options "drive", "rerror", "werror", "share-rw". */
Drive *drive_open(DriveSet *set, OptSet *options, const DriveUser *user, GError **error);
/* The user has cancelled and drained. A drive of -drive waits for the next device. */
void drive_close(Drive *drive);

/* Any thread. */
const char *drive_name(const Drive *drive); /* -drive's id, or "" */
const char *
drive_qom_path(const Drive *drive); /* "/machine/peripheral/disk0/virtio-backend", or NULL: no device */
BlockNode *drive_node(const Drive *drive);
gboolean drive_is_read_only(const Drive *drive);
/* What -drive cache= says of the write cache; TRUE without. */
gboolean drive_is_writeback(const Drive *drive);
guint64 drive_length(const Drive *drive);
void drive_get_counters(Drive *drive, DriveCounters *counters);
DriveStatus drive_status(Drive *drive);
/* The group, or NULL: not throttled. Borrowed. Main thread. */
ThrottleGroup *drive_throttle_group(const Drive *drive);
/* Main thread. group NULL: its own, or the one that it is in. Nothing set: not throttled any more. */
void drive_set_throttle(Drive *drive, const ThrottleConfig *config, const char *group);
/* Main thread. With nothing in flight meanwhile. 0 or -errno; the device is told. */
int drive_resize(Drive *drive, guint64 length);

/* ---- on the context's thread ---- */

void drive_submit(Drive *drive, DriveRequest *request);
/* A request that was refused before it became one. */
void drive_count_invalid(Drive *drive, DriveStat stat);
/* Ends what waits, done(-ECANCELED): throttled, or kept for another try. What a node has goes on, at once. */
void drive_cancel(Drive *drive);
/* Returns when nothing is in flight. */
void drive_drain(Drive *drive);

/* ---- main thread ---- */

/* Returns when nothing is in flight; what waits stays, as does what is submitted from now on. */
void drive_pause(Drive *drive);
/* What waited goes on, and what failed is tried again. */
void drive_resume(Drive *drive);
