// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile-private: between hostile.c (the script, and what drivers of all devices do) and the files of single
 * devices.
 */
#pragma once

#include "tests/device/hostile.h"

/* Rings and buffers are in the arena, or at places that cannot be; what a chain of the arena may reach ends
 * well before the canary. */
#define ARENA         0x100000u
#define ARENA_SIZE    0x20000u
#define CANARY        0x400000u
#define CANARY_SIZE   (RIG_RAM - 0x10000u - CANARY)
#define CANARY_BYTE   0xc5 /* zero where the driver may give pages back */
#define ALIVE_BASE    0x200000u
#define FEATURES      (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)
#define SERIAL_QUEUES 8u

typedef struct HostileDisk HostileDisk;

struct Hostile {
    HostileKind kind;
    Rig *rig;
    Driver *driver; /* where the registers are */
    guint queues;
    int peer; /* of the serial port's chardev */
    NetDev *netdev;
    HostileDisk *disk; /* of the kinds that are disks */

    const guint8 *script;
    gsize left;
};

typedef struct HostileDesc {
    guint64 address;
    guint32 length;
    guint16 flags, next;
} HostileDesc;

/* The script's next bytes; what is read beyond its end is zero. */
guint64 hostile_take(Hostile *self, guint bytes);
/* Into guest RAM as a vCPU would write it: always possible in the arena only. */
void hostile_poke(Hostile *self, guint64 address, const void *from, gsize length);
/* Where a queue's descriptors (part 0), available ring (1) and used ring (2) are. */
guint64 hostile_ring_page(guint queue, guint part);
/* Makes the chain at descriptor 0 available, and kicks. */
void hostile_offer_first(Hostile *self, guint queue);

/* Negotiates, and sets up all queues where they should be. */
void hostile_start_again(Hostile *self);

/* Adds the disk devices of a kind; sets `queues` and `disk`. */
void hostile_disk_add(Hostile *self);
void hostile_disk_free(HostileDisk *disk); /* after the rig */
/* A request, all right but for what the script makes wrong. */
void hostile_disk_step(Hostile *self);
void hostile_disk_check_alive(Hostile *self);

void hostile_balloon_add(Hostile *self);
/* A request with pages of the script's. */
void hostile_balloon_step(Hostile *self);
void hostile_balloon_peer(Hostile *self, guint what);
void hostile_balloon_check_alive(Hostile *self);

void hostile_mem_add(Hostile *self);
void hostile_mem_step(Hostile *self);
void hostile_mem_peer(Hostile *self, guint what);
void hostile_mem_check_alive(Hostile *self);
