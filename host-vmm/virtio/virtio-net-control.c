// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control queue: what the driver wants to receive, how many queues it uses, which offloads it takes.
 */
#include <string.h>

#include "host-vmm/virtio/virtio-net-private.h"

#define MAX_BATCH 64

typedef struct Request {
    VirtioNet *net;
    const VirtQueueElement *element;
    guint8 class, command;
    gsize at; /* what was read of it */
} Request;

/* FALSE: there is not that much. */
static gboolean take(Request *request, void *to, gsize length)
{
    gsize got = virtqueue_element_read(request->element, request->at, to, length);
    request->at += got;
    return got == length;
}

static gboolean rx_mode(Request *request)
{
    NetFilter *filter = &request->net->filter;
    guint8 on;
    gboolean is_extra = request->command > VIRTIO_NET_CTRL_RX_ALLMULTI;
    if (!virtio_net_has(request->net, is_extra ? VIRTIO_NET_F_CTRL_RX_EXTRA : VIRTIO_NET_F_CTRL_RX) ||
        !take(request, &on, 1))
        return FALSE;
    gboolean *const modes[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = &filter->promiscuous,
        [VIRTIO_NET_CTRL_RX_ALLMULTI] = &filter->all_multicast,
        [VIRTIO_NET_CTRL_RX_ALLUNI] = &filter->all_unicast,
        [VIRTIO_NET_CTRL_RX_NOMULTI] = &filter->no_multicast,
        [VIRTIO_NET_CTRL_RX_NOUNI] = &filter->no_unicast,
        [VIRTIO_NET_CTRL_RX_NOBCAST] = &filter->no_broadcast,
    };
    if (request->command >= G_N_ELEMENTS(modes))
        return FALSE;
    *modes[request->command] = on != 0;
    request->net->filter_news = TRUE;
    return TRUE;
}

/* le32 entries, then the addresses; more of them than fit are passed over. */
static gboolean take_macs(Request *request, guint8 (*list)[NET_MAC], guint *count, gboolean *overflow)
{
    guint32 entries;
    if (!take(request, &entries, sizeof entries))
        return FALSE;
    gsize left = request->element->out_bytes - request->at;
    if (entries > left / NET_MAC)
        return FALSE;
    *overflow = entries > NET_MAC_ENTRIES;
    *count = *overflow ? 0 : entries;
    if (!*overflow)
        return take(request, list, entries * NET_MAC);
    request->at += (gsize)entries * NET_MAC;
    return TRUE;
}

static gboolean mac(Request *request)
{
    VirtioNet *net = request->net;
    if (request->command == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        guint8 address[NET_MAC];
        if (!virtio_net_has(net, VIRTIO_NET_F_CTRL_MAC_ADDR) || !take(request, address, sizeof address))
            return FALSE;
        virtio_net_set_mac(net, address);
    } else if (request->command == VIRTIO_NET_CTRL_MAC_TABLE_SET) {
        NetFilter fresh = net->filter;
        if (!virtio_net_has(net, VIRTIO_NET_F_CTRL_RX) ||
            !take_macs(request, fresh.unicast, &fresh.unicast_count, &fresh.unicast_overflow) ||
            !take_macs(request, fresh.multicast, &fresh.multicast_count, &fresh.multicast_overflow))
            return FALSE;
        net->filter = fresh;
    } else {
        return FALSE;
    }
    net->filter_news = TRUE;
    return TRUE;
}

static gboolean vlan(Request *request)
{
    NetFilter *filter = &request->net->filter;
    guint16 number;
    if (!virtio_net_has(request->net, VIRTIO_NET_F_CTRL_VLAN) || !take(request, &number, sizeof number) ||
        number >= NET_VLANS)
        return FALSE;
    if (request->command == VIRTIO_NET_CTRL_VLAN_ADD)
        filter->vlans[number / 32] |= 1u << number % 32;
    else if (request->command == VIRTIO_NET_CTRL_VLAN_DEL)
        filter->vlans[number / 32] &= ~(1u << number % 32);
    else
        return FALSE;
    request->net->filter_news = TRUE;
    return TRUE;
}

static gboolean announce(Request *request)
{
    VirtioNet *net = request->net;
    if (!virtio_net_has(net, VIRTIO_NET_F_GUEST_ANNOUNCE) || request->command != VIRTIO_NET_CTRL_ANNOUNCE_ACK)
        return FALSE;
    net->virtio.config[VIRTIO_NET_CONFIG_STATUS] &= (guint8)~VIRTIO_NET_S_ANNOUNCE;
    return TRUE;
}

static gboolean pairs(Request *request)
{
    VirtioNet *net = request->net;
    guint16 count;
    if (!virtio_net_has(net, VIRTIO_NET_F_MQ) || request->command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
        !take(request, &count, sizeof count) || count < 1 || count > net->max_pairs)
        return FALSE;
    net->pairs = count;
    net->pairs_changed = TRUE;
    virtio_net_apply_pairs(net);
    virtio_net_vhost_sync(net);
    return TRUE;
}

static gboolean guest_offloads(Request *request)
{
    VirtioNet *net = request->net;
    guint64 wanted;
    if (!virtio_net_has(net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        request->command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !take(request, &wanted, sizeof wanted) ||
        (wanted & ~(net->virtio.driver_features & VNET_GUEST_OFFLOADS)) != 0)
        return FALSE;
    net->offloads = wanted;
    if (net->netdev != NULL)
        netdev_set_offloads(net->netdev, wanted);
    return TRUE;
}

static gboolean handle(Request *request)
{
    static gboolean (*const classes[])(Request * request) = {
        [VIRTIO_NET_CTRL_RX] = rx_mode, [VIRTIO_NET_CTRL_MAC] = mac,
        [VIRTIO_NET_CTRL_VLAN] = vlan,  [VIRTIO_NET_CTRL_ANNOUNCE] = announce,
        [VIRTIO_NET_CTRL_MQ] = pairs,   [VIRTIO_NET_CTRL_GUEST_OFFLOADS] = guest_offloads,
    };
    return take(request, &request->class, 1) && take(request, &request->command, 1) &&
           request->class < G_N_ELEMENTS(classes) && classes[request->class](request);
}

/* The first change is told, further ones when somebody has looked. Without the lock. */
static void tell_filter(VirtioNet *net)
{
    JsonObject *data = json_object_new();
    if (net->id != NULL) {
        json_object_set_string_member(data, "name", net->id);
        g_autofree char *path = g_strdup_printf("/machine/peripheral/%s/virtio-backend", net->id);
        json_object_set_string_member(data, "path", path);
    }
    net->virtio.env->event("NIC_RX_FILTER_CHANGED", data, net->virtio.env->event_data);
}

void virtio_net_control(VirtioNet *net, guint index)
{
    VirtioDevice *device = &net->virtio;
    guint handled = 0;
    VirtQueueElement *element;
    while (handled < MAX_BATCH && (element = virtio_device_pop(device, index)) != NULL) {
        if (element->in_bytes < 1) {
            g_free(element);
            virtio_device_fail(device, "a control command without room for its answer");
            break;
        }
        Request request = {.net = net, .element = element};
        guint8 answer = handle(&request) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
        virtqueue_element_write(element, 0, &answer, 1);
        virtqueue_push(&device->queues[index].ring, element, 1);
        handled++;
    }
    virtio_device_notify(device, index);
    if (!device->running)
        virtio_net_vhost_stop(net);
    if (handled == MAX_BATCH)
        virtio_device_kick(device, index);
    gboolean tell = net->filter_news && !net->filter_told;
    net->filter_news = FALSE;
    if (tell) {
        net->filter_told = TRUE;
        g_mutex_unlock(&device->lock);
        tell_filter(net);
        g_mutex_lock(&device->lock);
    }
}
