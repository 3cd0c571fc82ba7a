// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk: what tests of virtio-blk have in common: a disk on an image of 1 MiB with a known pattern, and a
 * driver that asks it. Each test is a process of its own, and has one of these.
 */
#pragma once

#include "host-vmm/virtio/virtio-blk.h"
#include "tests/device/driver.h"

#define BLK_DRIVER_BASE 0x100000 /* RAM from here on is the driver's */
#define BLK_IMAGE       (1u << 20)
#define BLK_BASIC       (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)
#define BLK_ALL                                                                                              \
    (BLK_BASIC | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_CONFIG_WCE |                              \
     1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)
#define BLK_UNTOUCHED 0x77 /* a status that nobody wrote */

typedef struct BlkTest {
    Rig *rig;
    Driver *driver;
    DriverQueue *queue;
    char *folder, *image;
    int thread; /* the loop's: 1: with an iothread */
} BlkTest;
extern BlkTest blk;

typedef struct BlkAsked {
    guint64 header, data, status;
    guint32 length;
} BlkAsked;

/* The image's byte at this place. */
guint8 blk_pattern(guint64 at);
void blk_make_image(void);
void blk_add_node(const char *text);
/* Reset, features, queue 0. */
void blk_start_driver(guint64 features);
/* A disk with these options on a node with these, of the image. */
void blk_set_up_on(const char *node, const char *device, guint64 features);
/* The same with a new image and all features. */
void blk_set_up(const char *device);
void blk_tear_down(void);
void *blk_ram(guint64 address);
/* Puts a request into the queue: header, data, status, each in a buffer of its own. */
BlkAsked blk_ask(guint32 type, guint64 sector, guint64 data, guint32 length);
guint8 blk_status_of(const BlkAsked *asked);
/* The status of one request. */
guint8 blk_call(guint32 type, guint64 sector, guint64 data, guint32 length);
void blk_check_pattern(guint64 data, guint64 offset, guint length);
guint64 blk_fill(guint8 byte, guint32 length);
guint8 blk_image_byte(guint64 offset);
guint64 blk_config_read(guint offset, guint size);
