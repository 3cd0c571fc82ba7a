// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netdev: host ends of network cards (-netdev): tap, user, stream, dgram.
 *
 * A back end has one front end (the NIC) and moves packets in both directions, each with a vnet header.
 * Neither side throws away what the other could take later: a back end that can take no more says NETDEV_FULL
 * and calls writable() when it can again; a NIC that has no buffers asks for no more input, and packets wait
 * where they come from (a tap's queue, a socket's buffer) as long as that holds them.
 *
 * What a back end cannot do itself (checksums, segmentation) is done here in software, as far as
 * netdev_features() says.
 *
 * All functions and callbacks belong to the thread of the context that was given to netdev_attach(), which is
 * the main one today; except netdev_set_offloads(), which any thread may call. No lock is held during
 * callbacks.
 */
#pragma once

#include <json-glib/json-glib.h>
#include <sys/uio.h>

#include "host-vmm/fd-store.h"
#include "host-vmm/net/vhost-net.h"
#include "host-vmm/net/vnet-header.h"
#include "host-vmm/optset.h"

#define NETDEV_MAX_QUEUES 16

typedef struct NetDev NetDev;
typedef struct NetDevSet NetDevSet; /* all of a machine's, by id */
typedef struct NetDevKind NetDevKind;

/* An event for the monitor ("NETDEV_STREAM_CONNECTED"); data taken. */
typedef void (*NetDevEventFunc)(const char *name, JsonObject *data, gpointer user_data);

NetDevSet *netdev_set_new(NetDevEventFunc event, gpointer user_data);
void netdev_set_free(NetDevSet *set); /* after the devices */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetDevSet, netdev_set_free)
/* Where descriptors are found by their names (getfd); without it, nowhere. Must outlive the set. */
void netdev_set_set_fds(NetDevSet *set, FdStore *fds);
/* Options of -netdev or netdev_add; "type" and "id" are needed. Errors name them. */
NetDev *netdev_set_add(NetDevSet *set, OptSet *options, GError **error);
/* Also when a NIC uses it, which then has no link any more. FALSE: there is none of this id. */
gboolean netdev_set_remove(NetDevSet *set, const char *id);
NetDev *netdev_set_find(const NetDevSet *set, const char *id);
/* Logs those that no NIC uses: a user's mistake more often than not. */
void netdev_set_warn_unused(const NetDevSet *set);
/* For -netdev help; NULL-terminated. */
const NetDevKind *const *netdev_kinds(void);
const char *netdev_kind_name(const NetDevKind *kind);
const char *netdev_kind_description(const NetDevKind *kind);

const char *netdev_id(const NetDev *netdev);
guint netdev_queues(const NetDev *netdev); /* pairs; 1 to NETDEV_MAX_QUEUES */

/* ---- the NIC's side ---- */

typedef struct NetFront {
    /* There may be packets in this queue: netdev_receive() them, or say that no input is wanted. */
    void (*readable)(gpointer user_data, guint queue);
    /* After NETDEV_FULL. */
    void (*writable)(gpointer user_data, guint queue);
    /* netdev_link() has changed. */
    void (*link_changed)(gpointer user_data);
    /* The back end goes away (netdev_del): forget it. */
    void (*gone)(gpointer user_data);
} NetFront;

/* Fails if another NIC has it. name: for that message. Input begins to be wanted with netdev_want_input(). */
gboolean netdev_attach(NetDev *netdev, const char *name, const NetFront *front, gpointer user_data,
                       GMainContext *context, GError **error);
void netdev_detach(NetDev *netdev);

/* Feature bits (vnet-header.h) that it can serve. */
guint64 netdev_features(const NetDev *netdev);
/* Which of VNET_GUEST_OFFLOADS the guest can take in packets received from now on. Any thread. */
void netdev_set_offloads(NetDev *netdev, guint64 features);
/* The kernel's vhost-net for this queue pair, which then moves the packets alone; NULL: there is none.
 * *backend: the descriptor that it is given to move them with. */
VhostNet *netdev_vhost(NetDev *netdev, guint queue, int *backend);
/* Whether packets can go through: set_link's word, and whether there is anybody at the other end. */
gboolean netdev_link(const NetDev *netdev);
/* For set_link. */
void netdev_set_link(NetDev *netdev, gboolean up);
/* Uses the first `count` queues only; the others get no packets. */
void netdev_use_queues(NetDev *netdev, guint count);

/* Whether readable() is to be called. Off at first. */
void netdev_want_input(NetDev *netdev, guint queue, gboolean wanted);
/* Takes the next packet: the vnet header to iov[0], which must be of a VnetHeader's size, the frame behind
 * it. Returns the frame's length; 0: there is none now; -1: nor will there be ever. What does not fit is
 * lost: give PACKET_MAX bytes. */
gssize netdev_receive(NetDev *netdev, guint queue, struct iovec *iov, guint count);

typedef enum {
    NETDEV_SENT,
    NETDEV_FULL,    /* not taken: again after writable() */
    NETDEV_DROPPED, /* not taken and never will be: nobody is there, or nobody wants it */
} NetDevSend;

/* Sends a packet: iov[0] is a VnetHeader that vnet_header_check() has passed, iov[1] the frame's first
 * MIN(length, VNET_HEAD) bytes (those that were checked), the rest follows. length: the frame's. parsed: of a
 * GSO packet. What iov points to may change after the call. */
NetDevSend netdev_send(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length,
                       const PacketHeaders *parsed);
/* At the end of a batch: what was sent may wait no longer. */
void netdev_flush(NetDev *netdev, guint queue);
