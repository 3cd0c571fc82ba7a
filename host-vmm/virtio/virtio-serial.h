// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-serial: the console device (virtio 1.2, section 5.3) with many ports, each a byte stream to a
 * chardev.
 *
 * virtio-serial-pci[,max_ports=N] brings the bus ID.0; virtserialport (a port that a program in the guest
 * opens, by name) and virtconsole (hvc) sit on it. A port's two sides know of each other: the guest is told
 * when a peer comes to the chardev, and the host (VSERPORT_CHANGE, query-chardev) when the guest opens the
 * port.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_SERIAL_ID 3

/* Feature bits (section 5.3.3). */
#define VIRTIO_CONSOLE_F_MULTIPORT 1

/* Control messages (section 5.3.6.2): le32 port, le16 event, le16 value, for PORT_NAME the name after it. */
#define VIRTIO_CONSOLE_DEVICE_READY 0
#define VIRTIO_CONSOLE_PORT_ADD     1
#define VIRTIO_CONSOLE_PORT_REMOVE  2
#define VIRTIO_CONSOLE_PORT_READY   3
#define VIRTIO_CONSOLE_CONSOLE_PORT 4
#define VIRTIO_CONSOLE_RESIZE       5
#define VIRTIO_CONSOLE_PORT_OPEN    6
#define VIRTIO_CONSOLE_PORT_NAME    7

/* Queues: port 0's two, the control queues, then two for each further port; the device's side is named. */
#define VIRTIO_SERIAL_CONTROL_IN   2u /* device to driver */
#define VIRTIO_SERIAL_CONTROL_OUT  3u
#define VIRTIO_SERIAL_PORT_IN(nr)  ((nr) == 0 ? 0u : 2u * (nr) + 2u)
#define VIRTIO_SERIAL_PORT_OUT(nr) (VIRTIO_SERIAL_PORT_IN(nr) + 1u)

extern const DeviceType virtio_serial_pci_type;
extern const DeviceType virtserialport_type;
extern const DeviceType virtconsole_type;
