// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile: a guest driver that does what a string of bytes tells it to: registers, rings, descriptors and
 * host peers in any order, right or wrong. Random tests and the fuzzer drive devices with it.
 */
#pragma once

#include "tests/device/driver.h"

typedef struct Hostile Hostile;

typedef enum {
    HOSTILE_RNG,
    HOSTILE_SERIAL,
    HOSTILE_NET,        /* two queue pairs on a back end that takes vnet headers */
    HOSTILE_NET_FRAMES, /* one, on a back end that takes plain frames */
    HOSTILE_BLK,        /* two queues */
    HOSTILE_BLK_THREAD, /* the same on an I/O thread */
    HOSTILE_SCSI,       /* two disks and a CD-ROM */
    HOSTILE_SCSI_THREAD,
    HOSTILE_BALLOON, /* all of its queues */
    HOSTILE_MEM,
    HOSTILE_KINDS
} HostileKind;

Hostile *hostile_new(HostileKind kind);
/* Aborts if the device wrote where no buffer can be. */
void hostile_free(Hostile *hostile);
/* Plays one script, beginning with the device in its power-on state. */
void hostile_play(Hostile *hostile, const guint8 *script, gsize length);
/* Aborts unless the device, after a reset, serves a driver that behaves. */
void hostile_check_alive(Hostile *hostile);
