// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk: the block device (virtio 1.2, section 5.2): a disk on a drive.
 *
 * virtio-blk-pci,drive=NODE[,iothread=OBJECT,num-queues=N,serial=TEXT,write-cache=on|off,…]. Its queues are
 * served and its requests complete on one thread: the main one or the iothread's.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_BLK_ID 2

/* Features. */
#define VIRTIO_BLK_F_SEG_MAX      2
#define VIRTIO_BLK_F_RO           5
#define VIRTIO_BLK_F_BLK_SIZE     6
#define VIRTIO_BLK_F_FLUSH        9
#define VIRTIO_BLK_F_TOPOLOGY     10
#define VIRTIO_BLK_F_CONFIG_WCE   11
#define VIRTIO_BLK_F_MQ           12
#define VIRTIO_BLK_F_DISCARD      13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/* Configuration: offsets (section 5.2.4). */
#define VIRTIO_BLK_CONFIG_CAPACITY            0 /* 512-byte sectors */
#define VIRTIO_BLK_CONFIG_SEG_MAX             12
#define VIRTIO_BLK_CONFIG_BLK_SIZE            20
#define VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP  24
#define VIRTIO_BLK_CONFIG_MIN_IO_SIZE         26
#define VIRTIO_BLK_CONFIG_OPT_IO_SIZE         28
#define VIRTIO_BLK_CONFIG_WRITEBACK           32
#define VIRTIO_BLK_CONFIG_NUM_QUEUES          34
#define VIRTIO_BLK_CONFIG_MAX_DISCARD_SECTORS 36
#define VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG     40
#define VIRTIO_BLK_CONFIG_DISCARD_ALIGNMENT   44
#define VIRTIO_BLK_CONFIG_MAX_ZEROES_SECTORS  48
#define VIRTIO_BLK_CONFIG_MAX_ZEROES_SEG      52
#define VIRTIO_BLK_CONFIG_ZEROES_MAY_UNMAP    56
#define VIRTIO_BLK_CONFIG_SIZE                60

/* Request types and status (section 5.2.6). */
#define VIRTIO_BLK_T_IN           0
#define VIRTIO_BLK_T_OUT          1
#define VIRTIO_BLK_T_FLUSH        4
#define VIRTIO_BLK_T_GET_ID       8
#define VIRTIO_BLK_T_DISCARD      11
#define VIRTIO_BLK_T_WRITE_ZEROES 13
#define VIRTIO_BLK_S_OK           0
#define VIRTIO_BLK_S_IOERR        1
#define VIRTIO_BLK_S_UNSUPP       2
#define VIRTIO_BLK_ID_BYTES       20

extern const DeviceType virtio_blk_pci_type;
