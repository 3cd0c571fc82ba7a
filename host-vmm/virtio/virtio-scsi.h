// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-scsi: the SCSI host bus adapter (virtio 1.2, section 5.6), and the disks and CD-ROMs on its bus.
 *
 * virtio-scsi-pci[,id=scsi0][,iothread=OBJECT,num_queues=N] brings the bus ID.0; scsi-hd and scsi-cd sit on
 * it at [scsi-id=0-255][,lun=0-16383]. Commands are carried out by host-vmm/scsi/. All of the adapter's
 * queues are served, and all of its commands complete, on one thread: the main one or the iothread's.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_SCSI_ID 8

/* Features (section 5.6.3). */
#define VIRTIO_SCSI_F_CHANGE 2

/* Queues (section 5.6.2). */
#define VIRTIO_SCSI_CONTROL  0
#define VIRTIO_SCSI_EVENT    1
#define VIRTIO_SCSI_REQUESTS 2

/* Configuration: offsets (section 5.6.4). */
#define VIRTIO_SCSI_CONFIG_NUM_QUEUES      0
#define VIRTIO_SCSI_CONFIG_SEG_MAX         4
#define VIRTIO_SCSI_CONFIG_MAX_SECTORS     8
#define VIRTIO_SCSI_CONFIG_CMD_PER_LUN     12
#define VIRTIO_SCSI_CONFIG_EVENT_INFO_SIZE 16
#define VIRTIO_SCSI_CONFIG_SENSE_SIZE      20
#define VIRTIO_SCSI_CONFIG_CDB_SIZE        24
#define VIRTIO_SCSI_CONFIG_MAX_CHANNEL     28
#define VIRTIO_SCSI_CONFIG_MAX_TARGET      30
#define VIRTIO_SCSI_CONFIG_MAX_LUN         32
#define VIRTIO_SCSI_CONFIG_SIZE            36

/* Sizes of CDB and sense that the driver may count on; it may ask for more by the configuration. */
#define VIRTIO_SCSI_CDB_SIZE   32
#define VIRTIO_SCSI_SENSE_SIZE 96

/* Responses (section 5.6.6.1). */
#define VIRTIO_SCSI_S_OK                 0
#define VIRTIO_SCSI_S_ABORTED            2
#define VIRTIO_SCSI_S_BAD_TARGET         3
#define VIRTIO_SCSI_S_RESET              4
#define VIRTIO_SCSI_S_FAILURE            9
#define VIRTIO_SCSI_S_FUNCTION_SUCCEEDED 10
#define VIRTIO_SCSI_S_FUNCTION_REJECTED  11
#define VIRTIO_SCSI_S_INCORRECT_LUN      12

/* Control requests (section 5.6.6.2). */
#define VIRTIO_SCSI_T_TMF           0
#define VIRTIO_SCSI_T_AN_QUERY      1
#define VIRTIO_SCSI_T_AN_SUBSCRIBE  2
#define VIRTIO_SCSI_TMF_ABORT_TASK  0
#define VIRTIO_SCSI_TMF_ABORT_SET   1
#define VIRTIO_SCSI_TMF_CLEAR_ACA   2
#define VIRTIO_SCSI_TMF_CLEAR_SET   3
#define VIRTIO_SCSI_TMF_NEXUS_RESET 4
#define VIRTIO_SCSI_TMF_UNIT_RESET  5
#define VIRTIO_SCSI_TMF_QUERY_TASK  6
#define VIRTIO_SCSI_TMF_QUERY_SET   7

/* Events (section 5.6.6.3). */
#define VIRTIO_SCSI_T_PARAM_CHANGE  3
#define VIRTIO_SCSI_T_EVENTS_MISSED 0x80000000u

extern const DeviceType virtio_scsi_pci_type;
extern const DeviceType scsi_hd_type;
extern const DeviceType scsi_cd_type;
