// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-net: the network card (virtio 1.2, section 5.1), on a back end of net/netdev.h.
 *
 * virtio-net-pci,netdev=ID[,mac=…,mq=on,host_mtu=N,speed=N,duplex=full|half,rx_queue_size=N,tx_queue_size=N]
 * and a switch for each feature, by QEMU's names. Offered is what the back end can serve.
 */
#pragma once

#include "host-vmm/device.h"

#define VIRTIO_NET_ID 1

/* Feature bits (section 5.1.3) beside those of net/vnet-header.h. */
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2
#define VIRTIO_NET_F_MTU                 3
#define VIRTIO_NET_F_MAC                 5
#define VIRTIO_NET_F_MRG_RXBUF           15
#define VIRTIO_NET_F_STATUS              16
#define VIRTIO_NET_F_CTRL_VQ             17
#define VIRTIO_NET_F_CTRL_RX             18
#define VIRTIO_NET_F_CTRL_VLAN           19
#define VIRTIO_NET_F_CTRL_RX_EXTRA       20
#define VIRTIO_NET_F_GUEST_ANNOUNCE      21
#define VIRTIO_NET_F_MQ                  22
#define VIRTIO_NET_F_CTRL_MAC_ADDR       23
#define VIRTIO_NET_F_SPEED_DUPLEX        63

/* Configuration (section 5.1.4). */
#define VIRTIO_NET_CONFIG_MAC       0
#define VIRTIO_NET_CONFIG_STATUS    6  /* le16 */
#define VIRTIO_NET_CONFIG_MAX_PAIRS 8  /* le16 */
#define VIRTIO_NET_CONFIG_MTU       10 /* le16 */
#define VIRTIO_NET_CONFIG_SPEED     12 /* le32, Mbit/s */
#define VIRTIO_NET_CONFIG_DUPLEX    16
#define VIRTIO_NET_CONFIG_SIZE      17
#define VIRTIO_NET_S_LINK_UP        1u
#define VIRTIO_NET_S_ANNOUNCE       2u

/* Control commands (section 5.1.6.5): class, command, data; one byte comes back. */
#define VIRTIO_NET_OK  0
#define VIRTIO_NET_ERR 1

#define VIRTIO_NET_CTRL_RX                 0
#define VIRTIO_NET_CTRL_RX_PROMISC         0
#define VIRTIO_NET_CTRL_RX_ALLMULTI        1
#define VIRTIO_NET_CTRL_RX_ALLUNI          2
#define VIRTIO_NET_CTRL_RX_NOMULTI         3
#define VIRTIO_NET_CTRL_RX_NOUNI           4
#define VIRTIO_NET_CTRL_RX_NOBCAST         5
#define VIRTIO_NET_CTRL_MAC                1
#define VIRTIO_NET_CTRL_MAC_TABLE_SET      0
#define VIRTIO_NET_CTRL_MAC_ADDR_SET       1
#define VIRTIO_NET_CTRL_VLAN               2
#define VIRTIO_NET_CTRL_VLAN_ADD           0
#define VIRTIO_NET_CTRL_VLAN_DEL           1
#define VIRTIO_NET_CTRL_ANNOUNCE           3
#define VIRTIO_NET_CTRL_ANNOUNCE_ACK       0
#define VIRTIO_NET_CTRL_MQ                 4
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET    0
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS     5
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET 0

/* Since the device was made; a machine's reset does not clear them. rx: to the guest, tx: from it. */
typedef struct VirtioNetCounters {
    guint64 rx_packets, rx_bytes;
    guint64 rx_errors; /* longer than the driver's buffers, or no frames */
    guint64 rx_drops;  /* filtered out by the driver's wish, or while the link was down */
    guint64 tx_packets, tx_bytes;
    guint64 tx_errors; /* headers that cannot be, frames too short or too long */
    guint64 tx_drops;  /* nobody took them */
} VirtioNetCounters;

extern const DeviceType virtio_net_pci_type;

/* For the monitor, on the main thread. */

/* Whether it is a virtio-net; the other functions need one. */
gboolean virtio_net_check(const Device *device);
/* The cable: what the guest sees is this and the back end's netdev_link(). After it went up the guest is
 * asked to announce itself. */
void virtio_net_set_link(Device *device, gboolean up);
void virtio_net_counters(Device *device, VirtioNetCounters *counters);
/* As query-rx-filter says it (QEMU's RxFilterInfo), and from now on the next change emits
 * NIC_RX_FILTER_CHANGED again; owned. */
JsonObject *virtio_net_rx_filter(Device *device);
