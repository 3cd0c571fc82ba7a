// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "host-vmm/virtio/virtio-net-private.h"

#define PCI_CLASS          0x020000 /* Ethernet controller */
#define DEFAULT_QUEUE_SIZE 256      /* as QEMU */
#define CONTROL_QUEUE_SIZE 64
#define MIN_MTU            68 /* the least that IPv4 works with (RFC 791) */
#define DUPLEX_HALF        0
#define DUPLEX_FULL        1
#define DUPLEX_UNKNOWN     0xff

/* ---- link, configuration ---- */

gboolean virtio_net_link(const VirtioNet *net)
{
    return net->link_up && net->netdev != NULL && netdev_link(net->netdev);
}

void virtio_net_update_status(VirtioNet *net, gboolean announce)
{
    guint8 *status = &net->virtio.config[VIRTIO_NET_CONFIG_STATUS];
    guint8 before = *status;
    *status &= (guint8)~VIRTIO_NET_S_LINK_UP;
    if (virtio_net_link(net))
        *status |= VIRTIO_NET_S_LINK_UP;
    if (announce && (*status & VIRTIO_NET_S_LINK_UP) != 0 && virtio_net_has(net, VIRTIO_NET_F_GUEST_ANNOUNCE))
        *status |= VIRTIO_NET_S_ANNOUNCE;
    if (*status != before)
        virtio_device_config_changed(&net->virtio);
}

void virtio_net_set_mac(VirtioNet *net, const guint8 *mac)
{
    memcpy(net->mac, mac, NET_MAC);
    memcpy(net->virtio.config + VIRTIO_NET_CONFIG_MAC, mac, NET_MAC);
}

/* ---- queues ---- */

/* Whose queue it is depends on what the driver knows (section 5.1.2): without MQ there is one pair, and the
 * control queue comes right behind it. */
static void handle_queue(VirtioDevice *device, guint index)
{
    VirtioNet *net = (VirtioNet *)device;
    guint count = virtio_net_has(net, VIRTIO_NET_F_MQ) ? net->max_pairs : 1;
    virtio_net_apply_pairs(net);
    virtio_net_vhost_sync(net);
    if (index == 2 * count && virtio_net_has(net, VIRTIO_NET_F_CTRL_VQ))
        virtio_net_control(net, index);
    else if (index >= 2 * count)
        return;
    else if (index % 2 == 0)
        virtio_net_receive(net, &net->pair[index / 2]);
    else
        virtio_net_send(net, &net->pair[index / 2]);
}

void virtio_net_apply_pairs(VirtioNet *net)
{
    if (!net->pairs_changed || net->netdev == NULL)
        return;
    net->pairs_changed = FALSE;
    netdev_use_queues(net->netdev, MIN(net->pairs, netdev_queues(net->netdev)));
    /* What the driver has put in before waits. */
    for (guint i = 0; i < net->max_pairs; i++) {
        if (net->virtio.running && net->virtio.queues[2 * i].ring.enabled)
            virtio_device_kick(&net->virtio, 2 * i);
    }
}

static void set_offloads(VirtioNet *net, guint64 offloads)
{
    net->offloads = offloads;
    if (net->netdev != NULL)
        netdev_set_offloads(net->netdev, offloads);
}

static void start(VirtioDevice *device)
{
    VirtioNet *net = (VirtioNet *)device;
    set_offloads(net, device->driver_features & VNET_GUEST_OFFLOADS);
    if (virtio_net_has(net, VIRTIO_NET_F_CTRL_VLAN))
        virtio_net_filter_use_vlans(&net->filter);
}

static void reset(VirtioDevice *device)
{
    VirtioNet *net = (VirtioNet *)device;
    virtio_net_vhost_stop(net);
    for (guint i = 0; i < net->max_pairs; i++) {
        virtio_net_rx_reset(&net->pair[i]);
        virtio_net_tx_reset(&net->pair[i]);
    }
    net->pairs = 1;
    net->pairs_changed = TRUE;
    virtio_net_filter_reset(&net->filter);
    virtio_net_set_mac(net, net->permanent_mac);
    device->config[VIRTIO_NET_CONFIG_STATUS] &= (guint8)~VIRTIO_NET_S_ANNOUNCE;
    set_offloads(net, 0);
}

static const VirtioOps ops = {.start = start, .reset = reset, .handle_queue = handle_queue};

/* ---- the back end's calls ---- */

static void on_readable(gpointer user_data, guint queue)
{
    VirtioNet *net = user_data;
    g_mutex_lock(&net->virtio.lock);
    virtio_net_apply_pairs(net);
    virtio_net_vhost_sync(net);
    virtio_net_receive(net, &net->pair[queue]);
    g_mutex_unlock(&net->virtio.lock);
}

static void resume_sending(VirtioNet *net, guint index)
{
    net->pair[index].is_blocked = FALSE;
    if (net->virtio.running && net->virtio.queues[2 * index + 1].ring.enabled)
        virtio_net_send(net, &net->pair[index]);
}

static void on_writable(gpointer user_data, guint queue)
{
    VirtioNet *net = user_data;
    g_mutex_lock(&net->virtio.lock);
    resume_sending(net, queue);
    g_mutex_unlock(&net->virtio.lock);
}

static void on_link_changed(gpointer user_data)
{
    VirtioNet *net = user_data;
    g_mutex_lock(&net->virtio.lock);
    virtio_net_vhost_sync(net);
    virtio_net_update_status(net, TRUE);
    /* Who waited for room with a peer that is gone waits for nothing. */
    for (guint i = 0; i < net->max_pairs; i++) {
        if (net->pair[i].is_blocked)
            resume_sending(net, i);
    }
    g_mutex_unlock(&net->virtio.lock);
}

static void on_gone(gpointer user_data)
{
    VirtioNet *net = user_data;
    g_mutex_lock(&net->virtio.lock);
    virtio_net_vhost_stop(net);
    net->netdev = NULL;
    g_mutex_unlock(&net->virtio.lock);
    on_link_changed(net);
}

static const NetFront front = {
    .readable = on_readable, .writable = on_writable, .link_changed = on_link_changed, .gone = on_gone};

/* ---- for the monitor ---- */

gboolean virtio_net_check(const Device *device)
{
    return device->type == &virtio_net_pci_type;
}

void virtio_net_set_link(Device *device, gboolean up)
{
    VirtioNet *net = (VirtioNet *)device;
    g_mutex_lock(&net->virtio.lock);
    net->link_up = up;
    g_mutex_unlock(&net->virtio.lock);
    on_link_changed(net);
}

void virtio_net_counters(Device *device, VirtioNetCounters *counters)
{
    VirtioNet *net = (VirtioNet *)device;
    g_mutex_lock(&net->virtio.lock);
    *counters = net->counters;
    g_mutex_unlock(&net->virtio.lock);
}

static char *mac_text(const guint8 *m)
{
    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

JsonObject *virtio_net_rx_filter(Device *device)
{
    VirtioNet *net = (VirtioNet *)device;
    JsonObject *info = json_object_new();
    g_mutex_lock(&net->virtio.lock);
    g_autofree char *mac = mac_text(net->mac);
    json_object_set_string_member(info, "name", net->id != NULL ? net->id : "");
    json_object_set_string_member(info, "main-mac", mac);
    virtio_net_filter_describe(&net->filter, info);
    net->filter_told = FALSE;
    g_mutex_unlock(&net->virtio.lock);
    return info;
}

/* ---- creation ---- */

static void machine_reset(Device *device)
{
    virtio_pci_reset(((VirtioNet *)device)->pci);
}

static void destroy(Device *device)
{
    VirtioNet *net = (VirtioNet *)device;
    virtio_net_vhost_stop(net);
    if (net->netdev != NULL)
        netdev_detach(net->netdev);
    virtio_pci_free(net->pci);
    virtio_net_vhost_clear(net);
    for (guint i = 0; i < net->max_pairs; i++) {
        virtio_net_rx_reset(&net->pair[i]);
        virtio_net_tx_reset(&net->pair[i]);
        g_free(net->pair[i].late);
    }
    virtio_device_clear(&net->virtio);
    g_free(net->pair);
    g_free(net->scratch);
    g_free(net->id);
    g_free(net);
}

/* Which switch belongs to which features; all are on unless said otherwise. */
static const struct {
    const char *name;
    guint64 features;
} switches[] = {
    {"csum", 1ull << VIRTIO_NET_F_CSUM},
    {"guest_csum", 1ull << VIRTIO_NET_F_GUEST_CSUM},
    {"guest_tso4", 1ull << VIRTIO_NET_F_GUEST_TSO4},
    {"guest_tso6", 1ull << VIRTIO_NET_F_GUEST_TSO6},
    {"guest_ecn", 1ull << VIRTIO_NET_F_GUEST_ECN},
    {"guest_ufo", 1ull << VIRTIO_NET_F_GUEST_UFO},
    {"guest_uso4", 1ull << VIRTIO_NET_F_GUEST_USO4},
    {"guest_uso6", 1ull << VIRTIO_NET_F_GUEST_USO6},
    {"host_tso4", 1ull << VIRTIO_NET_F_HOST_TSO4},
    {"host_tso6", 1ull << VIRTIO_NET_F_HOST_TSO6},
    {"host_ecn", 1ull << VIRTIO_NET_F_HOST_ECN},
    {"host_ufo", 1ull << VIRTIO_NET_F_HOST_UFO},
    {"host_uso", 1ull << VIRTIO_NET_F_HOST_USO},
    {"mrg_rxbuf", 1ull << VIRTIO_NET_F_MRG_RXBUF},
    {"status", 1ull << VIRTIO_NET_F_STATUS},
    {"ctrl_vq", 1ull << VIRTIO_NET_F_CTRL_VQ},
    {"ctrl_rx", 1ull << VIRTIO_NET_F_CTRL_RX},
    {"ctrl_vlan", 1ull << VIRTIO_NET_F_CTRL_VLAN},
    {"ctrl_rx_extra", 1ull << VIRTIO_NET_F_CTRL_RX_EXTRA},
    {"ctrl_mac_addr", 1ull << VIRTIO_NET_F_CTRL_MAC_ADDR},
    {"ctrl_guest_offloads", 1ull << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS},
    {"guest_announce", 1ull << VIRTIO_NET_F_GUEST_ANNOUNCE},
};

/* A feature that makes no sense without another (section 5.1.3.1). */
static const struct {
    guint bit, needs;
} dependencies[] = {
    {VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM},
    {VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM},
    {VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_CSUM},
    {VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_CSUM},
    {VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_GUEST_CSUM},
    {VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4},
    {VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM},
    {VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM},
    {VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_CSUM},
    {VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_CSUM},
    {VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4},
    {VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ},
    {VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ},
    {VIRTIO_NET_F_CTRL_RX_EXTRA, VIRTIO_NET_F_CTRL_VQ},
    {VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ},
    {VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_VQ},
    {VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ},
    {VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_STATUS},
    {VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ},
};

typedef struct NetOptions {
    NetDev *netdev;
    guint64 features;
    guint8 mac[NET_MAC];
    guint64 mtu, speed, rx_size, tx_size;
    guint8 duplex;
    gboolean multiqueue;
} NetOptions;

static gboolean parse_mac(const char *text, guint8 *mac)
{
    guint parts[NET_MAC];
    int length = 0;
    if (strlen(text) != 17 ||
        sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4],
               &parts[5], &length) != 6 ||
        length != 17)
        return FALSE;
    for (guint i = 0; i < NET_MAC; i++)
        mac[i] = (guint8)parts[i];
    return (mac[0] & 1) == 0;
}

static gboolean has_mac(const DeviceEnv *env, const guint8 *mac)
{
    for (guint i = 0; i < env->devices->len; i++) {
        const Device *device = env->devices->pdata[i];
        if (virtio_net_check(device) && memcmp(((const VirtioNet *)device)->permanent_mac, mac, NET_MAC) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean choose_mac(DeviceEnv *env, OptSet *options, guint8 *mac, GError **error)
{
    /* QEMU's: the first is the same in every machine, so two of them on one bridge need mac=. */
    static const guint8 first[NET_MAC] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
    const char *text = optset_string(options, "mac");
    if (text == NULL) {
        memcpy(mac, first, NET_MAC);
        while (has_mac(env, mac))
            mac[5]++;
        return TRUE;
    }
    if (parse_mac(text, mac))
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "mac=%s: not the address of one card, like 52:54:00:12:34:56", text);
    return FALSE;
}

static gboolean parse_queue_size(OptSet *options, const char *key, guint64 *size, GError **error)
{
    *size = DEFAULT_QUEUE_SIZE;
    if (!optset_uint(options, key, DEFAULT_QUEUE_SIZE, VIRTQUEUE_MAX_SIZE, size, error))
        return FALSE;
    if ((*size & (*size - 1)) == 0)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "%s=%" G_GUINT64_FORMAT ": must be a power of two", key, *size);
    return FALSE;
}

static gboolean parse_features(NetOptions *parsed, OptSet *options, GError **error)
{
    const guint64 offloads = VNET_GUEST_OFFLOADS | 1ull << VIRTIO_NET_F_CSUM |
                             1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
                             1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_UFO |
                             1ull << VIRTIO_NET_F_HOST_USO;
    guint64 can = parsed->netdev != NULL ? netdev_features(parsed->netdev) : 0;
    gboolean gso = TRUE;
    parsed->features = 1ull << VIRTIO_NET_F_MAC;
    for (guint i = 0; i < G_N_ELEMENTS(switches); i++) {
        gboolean on = TRUE;
        if (!optset_bool(options, switches[i].name, &on, error))
            return FALSE;
        if (on)
            parsed->features |= switches[i].features;
    }
    if (!optset_bool(options, "gso", &gso, error) || !optset_bool(options, "mq", &parsed->multiqueue, error))
        return FALSE;
    if (!gso)
        can &=
            ~(1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |
              1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_HOST_UFO | 1ull << VIRTIO_NET_F_HOST_USO);
    parsed->features &= can | ~offloads;
    if (parsed->multiqueue)
        parsed->features |= 1ull << VIRTIO_NET_F_MQ;
    if (parsed->mtu > 0)
        parsed->features |= 1ull << VIRTIO_NET_F_MTU;
    if (parsed->speed > 0 || parsed->duplex != DUPLEX_UNKNOWN)
        parsed->features |= 1ull << VIRTIO_NET_F_SPEED_DUPLEX;
    for (guint i = 0; i < G_N_ELEMENTS(dependencies); i++) {
        if ((parsed->features & 1ull << dependencies[i].needs) == 0)
            parsed->features &= ~(1ull << dependencies[i].bit);
    }
    return TRUE;
}

static gboolean parse_duplex(OptSet *options, guint8 *duplex, GError **error)
{
    const char *text = optset_string(options, "duplex");
    *duplex = DUPLEX_UNKNOWN;
    if (text != NULL && strcmp(text, "full") == 0) {
        *duplex = DUPLEX_FULL;
    } else if (text != NULL && strcmp(text, "half") == 0) {
        *duplex = DUPLEX_HALF;
    } else if (text != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "duplex=%s: must be half or full", text);
        return FALSE;
    }
    return TRUE;
}

static gboolean parse_options(NetOptions *parsed, DeviceEnv *env, OptSet *options, GError **error)
{
    const char *netdev = optset_string(options, "netdev");
    const char *tx = optset_string(options, "tx");
    if (netdev != NULL && (parsed->netdev = netdev_set_find(env->netdevs, netdev)) == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "netdev=%s: there is no netdev of this id",
                    netdev);
        return FALSE;
    }
    if (tx != NULL && strcmp(tx, "bh") != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "tx=%s is not supported, only bh", tx);
        return FALSE;
    }
    optset_ignore(options, "bootindex"); /* there is no firmware that would boot from it */
    return choose_mac(env, options, parsed->mac, error) &&
           optset_uint(options, "host_mtu", MIN_MTU, G_MAXUINT16, &parsed->mtu, error) &&
           optset_uint(options, "speed", 0, G_MAXINT32, &parsed->speed, error) &&
           parse_duplex(options, &parsed->duplex, error) &&
           parse_queue_size(options, "rx_queue_size", &parsed->rx_size, error) &&
           parse_queue_size(options, "tx_queue_size", &parsed->tx_size, error) &&
           parse_features(parsed, options, error);
}

static void fill_config(VirtioNet *net, const NetOptions *parsed)
{
    guint8 *config = net->virtio.config;
    guint16 max_pairs = (guint16)net->max_pairs, mtu = (guint16)parsed->mtu;
    guint32 speed = parsed->speed > 0 ? (guint32)parsed->speed : G_MAXUINT32;
    memcpy(config + VIRTIO_NET_CONFIG_MAX_PAIRS, &max_pairs, sizeof max_pairs);
    memcpy(config + VIRTIO_NET_CONFIG_MTU, &mtu, sizeof mtu);
    memcpy(config + VIRTIO_NET_CONFIG_SPEED, &speed, sizeof speed);
    config[VIRTIO_NET_CONFIG_DUPLEX] = parsed->duplex;
    if (virtio_net_link(net))
        config[VIRTIO_NET_CONFIG_STATUS] |= VIRTIO_NET_S_LINK_UP;
}

static gboolean attach(VirtioNet *net, NetDev *netdev, GError **error)
{
    g_autofree char *name =
        net->id != NULL ? g_strdup_printf("device '%s'", net->id) : g_strdup("another device");
    if (netdev == NULL) {
        g_warning("virtio-net-pci%s%s has no netdev: the guest has no link there", net->id != NULL ? " " : "",
                  net->id != NULL ? net->id : "");
        return TRUE;
    }
    if (!netdev_attach(netdev, name, &front, net, net->virtio.context, error))
        return FALSE;
    net->netdev = netdev;
    netdev_use_queues(netdev, 1);
    return TRUE;
}

static gboolean serve_all(VirtioNet *net, GError **error)
{
    for (guint i = 0; i < net->virtio.queue_count; i++) {
        if (!virtio_device_serve(&net->virtio, i, error))
            return FALSE;
    }
    return TRUE;
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    NetOptions parsed = {0};
    if (!parse_options(&parsed, env, options, error))
        return NULL;
    guint max_pairs = parsed.netdev != NULL && parsed.multiqueue ? netdev_queues(parsed.netdev) : 1;
    gboolean has_control = (parsed.features & 1ull << VIRTIO_NET_F_CTRL_VQ) != 0;
    if (max_pairs == 1 || !has_control) {
        max_pairs = 1;
        parsed.features &= ~(1ull << VIRTIO_NET_F_MQ);
    }
    guint queue_count = 2 * max_pairs + (has_control ? 1 : 0);
    guint16 sizes[2 * NETDEV_MAX_QUEUES + 1];
    for (guint i = 0; i < queue_count; i++)
        sizes[i] = (guint16)(i == 2 * max_pairs ? CONTROL_QUEUE_SIZE
                             : i % 2 == 0       ? parsed.rx_size
                                                : parsed.tx_size);

    VirtioNet *net = g_new0(VirtioNet, 1);
    net->max_pairs = max_pairs;
    net->pairs = 1;
    net->link_up = TRUE;
    net->id = g_strdup(optset_string(options, "id"));
    net->scratch = g_malloc(PACKET_MAX);
    net->pair = g_new0(NetPair, max_pairs);
    for (guint i = 0; i < max_pairs; i++) {
        net->pair[i].index = i;
        virtio_net_rx_reset(&net->pair[i]);
    }
    virtio_net_filter_reset(&net->filter);
    virtio_device_init(&net->virtio, env, "virtio-net-pci", &ops, parsed.features, sizes, queue_count,
                       VIRTIO_NET_CONFIG_SIZE);
    net->virtio.host_features &= virtio_net_vhost_features(parsed.netdev);
    memcpy(net->permanent_mac, parsed.mac, NET_MAC);
    virtio_net_set_mac(net, parsed.mac);
    net->virtio.device.reset = machine_reset;
    net->virtio.device.destroy = destroy;
    if (attach(net, parsed.netdev, error) && serve_all(net, error) && virtio_net_vhost_init(net, error)) {
        fill_config(net, &parsed);
        net->pci = virtio_pci_new(&net->virtio, VIRTIO_NET_ID, PCI_CLASS, options, error);
    }
    if (net->pci == NULL) {
        destroy(&net->virtio.device);
        return NULL;
    }
    return &net->virtio.device;
}

const DeviceType virtio_net_pci_type = {
    .name = "virtio-net-pci",
    .alias = "virtio-net",
    .bus = "PCI",
    .description = "network card [netdev=ID,mac=ADDR,mq=on|off,host_mtu=N,rx_queue_size=N,tx_queue_size=N]",
    .create = create,
};
