// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netdev-private: between netdev.c and the kinds of back ends.
 */
#pragma once

#include "host-vmm/net/net-poll.h"
#include "host-vmm/net/netdev.h"

/* What a kind does. Its struct begins with NetDev. All but open, close, receive and send may be NULL. */
struct NetDevKind {
    const char *name;        /* "tap" */
    const char *description; /* one line for -netdev help */
    gsize size;              /* of its struct */
    /* Asks for all its options. May change queues, features, carrier, is_vnet, takes_jumbo. After a failure
     * close() is called. */
    gboolean (*open)(NetDev *netdev, OptSet *options, GError **error);
    void (*close)(NetDev *netdev);
    /* A front end is there: sources go to netdev->context; or it has gone. */
    void (*attached)(NetDev *netdev);
    void (*detached)(NetDev *netdev);
    void (*want_input)(NetDev *netdev, guint queue, gboolean wanted);
    void (*set_offloads)(NetDev *netdev, guint64 features);
    void (*use_queues)(NetDev *netdev, guint count);
    /* As netdev_receive(); the header in iov[0] is all zero before, and may stay so. */
    gssize (*receive)(NetDev *netdev, guint queue, struct iovec *iov, guint count);
    /* is_vnet: as netdev_send(). Else: the frame alone. */
    NetDevSend (*send)(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length);
    void (*flush)(NetDev *netdev, guint queue);
    VhostNet *(*vhost)(NetDev *netdev, guint queue, int *backend);
};

extern const NetDevKind NETDEV_TAP;
extern const NetDevKind NETDEV_STREAM;
extern const NetDevKind NETDEV_DGRAM;
#ifdef HAVE_SLIRP
extern const NetDevKind NETDEV_USER;
#endif

typedef struct NetDevQueue {
    GByteArray *backlog; /* segments that did not fit, each behind its length (guint32) */
    gsize backlog_done;
} NetDevQueue;

struct NetDev {
    const NetDevKind *kind;
    NetDevSet *set;
    char *id;

    /* The kind's to set. */
    guint queues;         /* 1 */
    guint64 features;     /* 0 */
    gboolean is_vnet;     /* takes and gives vnet headers */
    gboolean takes_jumbo; /* is no wire: takes TCP and UDP packets of up to 64 KiB whole */
    gboolean carrier;     /* TRUE; changed by netdev_set_carrier() once open */

    gboolean link_up; /* set_link's */
    NetDevQueue *queue;
    guint8 *frame; /* scratch of PACKET_MAX bytes */

    const NetFront *front; /* NULL: not attached */
    gpointer front_data;
    char *front_name;
    GMainContext *context;
    GSource *news; /* link_changed() is due */
};

/* netdev_set_add() for a kind that is in no table: tests bring their own. */
NetDev *netdev_set_add_kind(NetDevSet *set, const NetDevKind *kind, OptSet *options, GError **error);

/* Where a kind finds descriptors by their names. */
FdStore *netdev_fds(const NetDev *netdev);

/* For kinds: to the front end, if there is one. */
void netdev_readable(NetDev *netdev, guint queue);
void netdev_writable(NetDev *netdev, guint queue);
/* Also from within receive() and send(): the front end is told later, from the main loop. */
void netdev_set_carrier(NetDev *netdev, gboolean carrier);
void netdev_emit(NetDev *netdev, const char *event, JsonObject *data); /* data taken */
