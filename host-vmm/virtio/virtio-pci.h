// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-pci: the PCI transport of virtio 1.2 (section 4.1), modern interface only.
 *
 * BAR 1 has MSI-X; BAR 4 (64-bit, 16 KiB) the register blocks, a page each: common configuration, ISR, device
 * configuration, notifications (a doorbell address of its own for each queue, so that an ioeventfd can take
 * it).
 */
#pragma once

#include "host-vmm/virtio/virtio-device.h"

#define VIRTIO_PCI_BAR_MSIX      1
#define VIRTIO_PCI_BAR_REGISTERS 4
#define VIRTIO_PCI_BAR_SIZE      0x4000
#define VIRTIO_PCI_COMMON        0x0000
#define VIRTIO_PCI_ISR           0x1000
#define VIRTIO_PCI_DEVICE        0x2000
#define VIRTIO_PCI_NOTIFY        0x3000
#define VIRTIO_PCI_BLOCK_SIZE    0x1000
/* Queue i's doorbell is at VIRTIO_PCI_NOTIFY + i * this. */
#define VIRTIO_PCI_NOTIFY_MULTIPLIER 4

/* Common configuration (section 4.1.4.3). */
#define VIRTIO_PCI_DEVICE_FEATURE_SELECT 0x00
#define VIRTIO_PCI_DEVICE_FEATURE        0x04
#define VIRTIO_PCI_DRIVER_FEATURE_SELECT 0x08
#define VIRTIO_PCI_DRIVER_FEATURE        0x0c
#define VIRTIO_PCI_CONFIG_MSIX_VECTOR    0x10
#define VIRTIO_PCI_NUM_QUEUES            0x12
#define VIRTIO_PCI_DEVICE_STATUS         0x14
#define VIRTIO_PCI_CONFIG_GENERATION     0x15
#define VIRTIO_PCI_QUEUE_SELECT          0x16
#define VIRTIO_PCI_QUEUE_SIZE            0x18
#define VIRTIO_PCI_QUEUE_MSIX_VECTOR     0x1a
#define VIRTIO_PCI_QUEUE_ENABLE          0x1c
#define VIRTIO_PCI_QUEUE_NOTIFY_OFF      0x1e
#define VIRTIO_PCI_QUEUE_DESC            0x20
#define VIRTIO_PCI_QUEUE_DRIVER          0x28
#define VIRTIO_PCI_QUEUE_DEVICE          0x30
#define VIRTIO_PCI_COMMON_LENGTH         0x38

#define VIRTIO_PCI_NO_VECTOR 0xffff

/* vndr capabilities (section 4.1.4). */
#define VIRTIO_PCI_CAP_COMMON_CFG 1
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2
#define VIRTIO_PCI_CAP_ISR_CFG    3
#define VIRTIO_PCI_CAP_DEVICE_CFG 4
#define VIRTIO_PCI_CAP_PCI_CFG    5

typedef struct VirtioPci VirtioPci;

/* Puts an initialised VirtioDevice on the bus. id: virtio's device id; class_code: PCI's, 24 bits. Options
 * asked for: bus, addr, multifunction, vectors, ioeventfd, event_idx, indirect_desc, disable-legacy,
 * disable-modern. Sets device->transport and device->device.pci. */
VirtioPci *virtio_pci_new(VirtioDevice *device, guint16 id, guint32 class_code, OptSet *options,
                          GError **error);
/* Before virtio_device_clear(). */
void virtio_pci_free(VirtioPci *pci);
/* Machine reset: the device and the transport's registers. The machine resets the PCI function itself. */
void virtio_pci_reset(VirtioPci *pci);
