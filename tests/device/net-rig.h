// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * net-rig: what the tests of virtio-net share: a card on a back end that the test plays, its driver, and
 * frames whose bytes say what they are. One at a time, in the variables below, between net_create() and
 * net_tear_down().
 */
#pragma once

#include "host-vmm/virtio/virtio-net.h"
#include "tests/device/fake-netdev.h"

#define DRIVER_BASE 0x100000
#define BIT(b)      (1ull << (b))
#define BASE        (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX))
#define USUAL                                                                                                \
    (BASE | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CSUM) |                      \
     BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX))
#define MERGEABLE (USUAL | BIT(VIRTIO_NET_F_MRG_RXBUF))
#define CONTROL_FEATURES                                                                                     \
    (MERGEABLE | BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |                             \
     BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |                               \
     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4))
#define HEADER         12u
#define RX             0u
#define TX             1u
#define CONTROL        2u
#define QUEUE_SIZE     64u
#define RX_MESSAGE     0x101u /* what driver_msix_enable() gives queue 0 */
#define CONFIG_MESSAGE 0x100u

extern Rig *rig;
extern Device *nic;
extern NetDev *netdev; /* the back end "n0" */
extern FakeNetState *state;
extern Driver *driver;
extern DriverQueue *queue[9];

/* A card of these further options ("" or ",name=value…") on a back end of that many queues; is_vnet: it takes
 * headers. */
void net_create(const char *options, guint queues, gboolean is_vnet);
/* The driver negotiates, sets up its first queues and is ready. */
void net_start(guint64 features, guint queues);
void net_set_up(guint64 features); /* both, with one queue pair and the control queue */
void net_tear_down(void);

guint64 net_config(guint offset, guint size);  /* device configuration */
guint8 *net_at(guint64 address, gsize length); /* guest memory */
VirtioNetCounters net_counted(void);
void net_fill_frame(guint8 *frame, gsize length, guint8 seed); /* to 52:54:00:00:00:01 */
void net_feed(gsize length, guint8 seed);                      /* a frame from outside */
guint64 net_add_rx(guint32 length);                            /* a buffer for one; returns where */
void net_kick(guint index);
/* Puts header and frame into one buffer; returns where. */
guint64 net_add_tx_raw(guint index, const VnetHeader *header, const void *frame, guint32 length);
void net_add_tx(guint32 length, guint8 seed);
/* The next frame that the back end got. */
void net_check_sent(gsize length, guint8 seed);
void net_check_nothing_sent(void);
/* The next received frame, which is in one buffer at `address`. */
void net_check_received(guint64 address, gsize length, guint8 seed, guint16 buffers);

/* A command on a control queue (`index`; or the usual one), waited for; returns its answer. */
guint8 net_command_on(guint index, guint8 class, guint8 command, const void *data, guint32 length);
guint8 net_command(guint8 class, guint8 command, const void *data, guint32 length);
