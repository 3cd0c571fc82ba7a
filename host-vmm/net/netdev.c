// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/net/netdev-private.h"

#include <string.h>

#include "host-vmm/net/segment.h"

struct NetDevSet {
    GPtrArray *netdevs; /* NetDev*, in order of creation, owned */
    NetDevEventFunc event;
    gpointer event_data;
    FdStore *fds; /* or NULL */
};

static const NetDevKind *const kinds[] = {
    &NETDEV_TAP,
#ifdef HAVE_SLIRP
    &NETDEV_USER,
#endif
    &NETDEV_STREAM, &NETDEV_DGRAM, NULL,
};

/* ---- the set ---- */

NetDevSet *netdev_set_new(NetDevEventFunc event, gpointer user_data)
{
    NetDevSet *set = g_new0(NetDevSet, 1);
    set->netdevs = g_ptr_array_new();
    set->event = event;
    set->event_data = user_data;
    return set;
}

void netdev_set_set_fds(NetDevSet *set, FdStore *fds)
{
    set->fds = fds;
}

FdStore *netdev_fds(const NetDev *netdev)
{
    return netdev->set->fds;
}

static void netdev_free(NetDev *netdev)
{
    if (netdev->front != NULL) {
        const NetFront *front = netdev->front;
        gpointer user_data = netdev->front_data;
        netdev_detach(netdev);
        front->gone(user_data);
    }
    netdev->kind->close(netdev);
    for (guint i = 0; netdev->queue != NULL && i < netdev->queues; i++)
        g_byte_array_unref(netdev->queue[i].backlog);
    g_free(netdev->queue);
    g_free(netdev->frame);
    g_free(netdev->id);
    g_free(netdev);
}

void netdev_set_free(NetDevSet *set)
{
    if (set == NULL)
        return;
    for (guint i = 0; i < set->netdevs->len; i++)
        netdev_free(set->netdevs->pdata[i]);
    g_ptr_array_unref(set->netdevs);
    g_free(set);
}

const NetDevKind *const *netdev_kinds(void)
{
    return kinds;
}

const char *netdev_kind_name(const NetDevKind *kind)
{
    return kind->name;
}

const char *netdev_kind_description(const NetDevKind *kind)
{
    return kind->description;
}

static const NetDevKind *kind_find(const char *name)
{
    for (guint i = 0; kinds[i] != NULL; i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    return NULL;
}

static void fail_unknown(const char *what, const char *type, GError **error)
{
#ifndef HAVE_SLIRP
    if (strcmp(type, "user") == 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "%s: host-vmm was built without libslirp, which type 'user' needs", what);
        return;
    }
#endif
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                "%s: type '%s' is not supported; -netdev help lists the types", what, type);
}

NetDev *netdev_set_add_kind(NetDevSet *set, const NetDevKind *kind, OptSet *options, GError **error)
{
    const char *what = optset_what(options);
    const char *id = optset_need_string(options, "id", error);
    if (id == NULL)
        return NULL;
    if (netdev_set_find(set, id) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s: Duplicate ID '%s' for netdev", what, id);
        return NULL;
    }
    NetDev *netdev = g_malloc0(kind->size);
    netdev->kind = kind;
    netdev->set = set;
    netdev->id = g_strdup(id);
    netdev->queues = 1;
    netdev->carrier = netdev->link_up = TRUE;
    if (!kind->open(netdev, options, error) || !optset_finish(options, error)) {
        if (error != NULL && *error != NULL && !g_str_has_prefix((*error)->message, what))
            g_prefix_error(error, "%s,id=%s: ", what, id);
        netdev_free(netdev);
        return NULL;
    }
    netdev->queue = g_new0(NetDevQueue, netdev->queues);
    for (guint i = 0; i < netdev->queues; i++)
        netdev->queue[i].backlog = g_byte_array_new();
    netdev->frame = g_malloc(PACKET_MAX);
    g_ptr_array_add(set->netdevs, netdev);
    return netdev;
}

NetDev *netdev_set_add(NetDevSet *set, OptSet *options, GError **error)
{
    const char *type = optset_need_string(options, "type", error);
    if (type == NULL)
        return NULL;
    const NetDevKind *kind = kind_find(type);
    if (kind == NULL) {
        fail_unknown(optset_what(options), type, error);
        return NULL;
    }
    return netdev_set_add_kind(set, kind, options, error);
}

gboolean netdev_set_remove(NetDevSet *set, const char *id)
{
    NetDev *netdev = netdev_set_find(set, id);
    if (netdev == NULL)
        return FALSE;
    g_ptr_array_remove(set->netdevs, netdev);
    netdev_free(netdev);
    return TRUE;
}

NetDev *netdev_set_find(const NetDevSet *set, const char *id)
{
    for (guint i = 0; i < set->netdevs->len; i++) {
        NetDev *netdev = set->netdevs->pdata[i];
        if (strcmp(netdev->id, id) == 0)
            return netdev;
    }
    return NULL;
}

void netdev_set_warn_unused(const NetDevSet *set)
{
    for (guint i = 0; i < set->netdevs->len; i++) {
        NetDev *netdev = set->netdevs->pdata[i];
        if (netdev->front == NULL)
            g_warning("netdev '%s' is used by no device", netdev->id);
    }
}

const char *netdev_id(const NetDev *netdev)
{
    return netdev->id;
}

guint netdev_queues(const NetDev *netdev)
{
    return netdev->queues;
}

/* ---- the NIC's side ---- */

static void drop_news(NetDev *netdev)
{
    if (netdev->news != NULL)
        g_source_destroy(netdev->news);
    g_clear_pointer(&netdev->news, g_source_unref);
}

gboolean netdev_attach(NetDev *netdev, const char *name, const NetFront *front, gpointer user_data,
                       GMainContext *context, GError **error)
{
    if (netdev->front != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "netdev '%s' is already in use by %s", netdev->id,
                    netdev->front_name);
        return FALSE;
    }
    netdev->front = front;
    netdev->front_data = user_data;
    netdev->front_name = g_strdup(name);
    netdev->context = context;
    if (netdev->kind->attached != NULL)
        netdev->kind->attached(netdev);
    return TRUE;
}

void netdev_detach(NetDev *netdev)
{
    if (netdev->front == NULL)
        return;
    netdev_set_offloads(netdev, 0);
    if (netdev->kind->detached != NULL)
        netdev->kind->detached(netdev);
    netdev->front = NULL;
    g_clear_pointer(&netdev->front_name, g_free);
    drop_news(netdev);
    for (guint i = 0; i < netdev->queues; i++) {
        g_byte_array_set_size(netdev->queue[i].backlog, 0);
        netdev->queue[i].backlog_done = 0;
    }
}

guint64 netdev_features(const NetDev *netdev)
{
    return netdev->features;
}

void netdev_set_offloads(NetDev *netdev, guint64 features)
{
    if (netdev->kind->set_offloads != NULL)
        netdev->kind->set_offloads(netdev, features);
}

VhostNet *netdev_vhost(NetDev *netdev, guint queue, int *backend)
{
    return netdev->kind->vhost != NULL ? netdev->kind->vhost(netdev, queue, backend) : NULL;
}

gboolean netdev_link(const NetDev *netdev)
{
    return netdev->carrier && netdev->link_up;
}

static gboolean tell_news(gpointer user_data)
{
    NetDev *netdev = user_data;
    g_clear_pointer(&netdev->news, g_source_unref);
    netdev->front->link_changed(netdev->front_data);
    return G_SOURCE_REMOVE;
}

static void change_link(NetDev *netdev, gboolean *part, gboolean value)
{
    gboolean before = netdev_link(netdev);
    *part = value;
    if (netdev_link(netdev) == before || netdev->front == NULL || netdev->news != NULL)
        return;
    netdev->news = g_timeout_source_new(0);
    g_source_set_callback(netdev->news, tell_news, netdev, NULL);
    g_source_attach(netdev->news, netdev->context);
}

void netdev_set_link(NetDev *netdev, gboolean up)
{
    change_link(netdev, &netdev->link_up, up);
}

void netdev_use_queues(NetDev *netdev, guint count)
{
    g_return_if_fail(count >= 1 && count <= netdev->queues);
    if (netdev->kind->use_queues != NULL)
        netdev->kind->use_queues(netdev, count);
}

void netdev_want_input(NetDev *netdev, guint queue, gboolean wanted)
{
    if (netdev->kind->want_input != NULL)
        netdev->kind->want_input(netdev, queue, wanted);
}

gssize netdev_receive(NetDev *netdev, guint queue, struct iovec *iov, guint count)
{
    g_return_val_if_fail(count >= 2 && iov[0].iov_len == sizeof(VnetHeader), 0);
    memset(iov[0].iov_base, 0, sizeof(VnetHeader));
    return netdev->kind->receive(netdev, queue, iov, count);
}

/* ---- sending, with what the back end cannot do done here ---- */

/* FALSE: some is left. */
static gboolean send_backlog(NetDev *netdev, guint queue)
{
    NetDevQueue *state = &netdev->queue[queue];
    while (state->backlog_done < state->backlog->len) {
        guint32 length;
        guint8 *at = state->backlog->data + state->backlog_done;
        memcpy(&length, at, sizeof length);
        struct iovec iov = {at + sizeof length, length};
        if (netdev->kind->send(netdev, queue, &iov, 1, length) == NETDEV_FULL)
            return FALSE;
        state->backlog_done += sizeof length + length;
    }
    g_byte_array_set_size(state->backlog, 0);
    state->backlog_done = 0;
    return TRUE;
}

typedef struct SoftSend {
    NetDev *netdev;
    guint queue;
    gboolean dropped;
} SoftSend;

static void send_segment(const guint8 *frame, gsize length, gpointer user_data)
{
    SoftSend *soft = user_data;
    NetDevQueue *state = &soft->netdev->queue[soft->queue];
    struct iovec iov = {(void *)frame, length};
    NetDevSend sent = state->backlog->len > 0
                          ? NETDEV_FULL
                          : soft->netdev->kind->send(soft->netdev, soft->queue, &iov, 1, length);
    if (sent == NETDEV_FULL) {
        guint32 prefix = (guint32)length;
        g_byte_array_append(state->backlog, (const guint8 *)&prefix, sizeof prefix);
        g_byte_array_append(state->backlog, frame, (guint)length);
    } else if (sent == NETDEV_DROPPED) {
        soft->dropped = TRUE;
    }
}

/* One private copy to work on: the guest may change its memory at any time. */
static void linearize(NetDev *netdev, const struct iovec *iov, guint count, gsize length)
{
    gsize done = 0;
    for (guint i = 0; i < count && done < length; i++) {
        gsize part = MIN(iov[i].iov_len, length - done);
        memcpy(netdev->frame + done, iov[i].iov_base, part);
        done += part;
    }
}

static NetDevSend send_in_software(NetDev *netdev, guint queue, const struct iovec *iov, guint count,
                                   gsize length, const PacketHeaders *parsed)
{
    const VnetHeader *header = iov[0].iov_base;
    guint8 type = header->gso_type & (guint8)~VNET_GSO_ECN;
    if (!send_backlog(netdev, queue))
        return NETDEV_FULL;
    if (type == VNET_GSO_NONE && (header->flags & VNET_NEEDS_CSUM) == 0)
        return netdev->kind->send(netdev, queue, iov + 1, count - 1, length);

    linearize(netdev, iov + 1, count - 1, length);
    struct iovec frame = {netdev->frame, length};
    if (type == VNET_GSO_NONE) {
        segment_checksum(header, netdev->frame, length);
        return netdev->kind->send(netdev, queue, &frame, 1, length);
    }
    if (netdev->takes_jumbo && type != VNET_GSO_UDP_L4) {
        segment_complete(parsed, netdev->frame, length);
        return netdev->kind->send(netdev, queue, &frame, 1, length);
    }
    SoftSend soft = {netdev, queue, FALSE};
    segment_packet(header, parsed, netdev->frame, length, send_segment, &soft);
    return soft.dropped ? NETDEV_DROPPED : NETDEV_SENT;
}

NetDevSend netdev_send(NetDev *netdev, guint queue, const struct iovec *iov, guint count, gsize length,
                       const PacketHeaders *parsed)
{
    g_return_val_if_fail(count >= 2 && iov[0].iov_len == sizeof(VnetHeader), NETDEV_DROPPED);
    if (netdev->is_vnet)
        return netdev->kind->send(netdev, queue, iov, count, length);
    return send_in_software(netdev, queue, iov, count, length, parsed);
}

void netdev_flush(NetDev *netdev, guint queue)
{
    if (netdev->kind->flush != NULL)
        netdev->kind->flush(netdev, queue);
}

/* ---- for kinds ---- */

void netdev_readable(NetDev *netdev, guint queue)
{
    if (netdev->front != NULL)
        netdev->front->readable(netdev->front_data, queue);
}

void netdev_writable(NetDev *netdev, guint queue)
{
    if (netdev->front != NULL && send_backlog(netdev, queue)) {
        netdev_flush(netdev, queue);
        netdev->front->writable(netdev->front_data, queue);
    }
}

void netdev_set_carrier(NetDev *netdev, gboolean carrier)
{
    change_link(netdev, &netdev->carrier, carrier);
}

void netdev_emit(NetDev *netdev, const char *event, JsonObject *data)
{
    if (netdev->set->event != NULL)
        netdev->set->event(event, data, netdev->set->event_data);
    else
        json_object_unref(data);
}
