// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "host-vmm/virtio/virtio-net-private.h"

#define TYPE_AT        12u
#define ETHERTYPE_VLAN 0x8100u
#define VLAN_ID        0xfffu

void virtio_net_filter_reset(NetFilter *filter)
{
    /* Everything, until the driver says what it wants: one that never does must get its frames too. */
    *filter = (NetFilter){.promiscuous = TRUE};
    memset(filter->vlans, 0xff, sizeof filter->vlans);
}

void virtio_net_filter_use_vlans(NetFilter *filter)
{
    memset(filter->vlans, 0, sizeof filter->vlans);
}

static gboolean is_listed(const guint8 (*list)[NET_MAC], guint count, const guint8 *mac)
{
    for (guint i = 0; i < count; i++) {
        if (memcmp(list[i], mac, NET_MAC) == 0)
            return TRUE;
    }
    return FALSE;
}

gboolean virtio_net_filter_passes(const NetFilter *filter, const guint8 *mac, const guint8 *head,
                                  gsize length)
{
    static const guint8 broadcast[NET_MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (filter->promiscuous)
        return TRUE;
    if (length >= NET_FILTER_HEAD && packet_get16(head + TYPE_AT) == ETHERTYPE_VLAN) {
        guint vlan = packet_get16(head + ETHERNET_HEADER) & VLAN_ID;
        if ((filter->vlans[vlan / 32] & 1u << vlan % 32) == 0)
            return FALSE;
    }
    if (memcmp(head, broadcast, NET_MAC) == 0)
        return !filter->no_broadcast;
    if ((head[0] & 1) != 0)
        return !filter->no_multicast && (filter->all_multicast || filter->multicast_overflow ||
                                         is_listed(filter->multicast, filter->multicast_count, head));
    return !filter->no_unicast &&
           (filter->all_unicast || filter->unicast_overflow || memcmp(head, mac, NET_MAC) == 0 ||
            is_listed(filter->unicast, filter->unicast_count, head));
}

/* ---- for query-rx-filter ---- */

static JsonArray *describe_macs(const guint8 (*list)[NET_MAC], guint count)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < count; i++) {
        const guint8 *m = list[i];
        g_autofree char *text =
            g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
        json_array_add_string_element(array, text);
    }
    return array;
}

static const char *state(gboolean none, gboolean all)
{
    return none ? "none" : all ? "all" : "normal";
}

void virtio_net_filter_describe(const NetFilter *filter, JsonObject *info)
{
    JsonArray *vlans = json_array_new();
    for (guint i = 0; i < NET_VLANS; i++) {
        if ((filter->vlans[i / 32] & 1u << i % 32) != 0)
            json_array_add_int_element(vlans, i);
    }
    gboolean all_vlans = json_array_get_length(vlans) == NET_VLANS;
    gboolean no_vlans = json_array_get_length(vlans) == 0;
    if (all_vlans) {
        json_array_unref(vlans);
        vlans = json_array_new();
    }
    json_object_set_boolean_member(info, "promiscuous", filter->promiscuous);
    json_object_set_string_member(info, "multicast", state(filter->no_multicast, filter->all_multicast));
    json_object_set_string_member(info, "unicast", state(filter->no_unicast, filter->all_unicast));
    json_object_set_string_member(info, "vlan", state(no_vlans, all_vlans));
    json_object_set_boolean_member(info, "broadcast-allowed", !filter->no_broadcast);
    json_object_set_boolean_member(info, "multicast-overflow", filter->multicast_overflow);
    json_object_set_boolean_member(info, "unicast-overflow", filter->unicast_overflow);
    json_object_set_array_member(info, "vlan-table", vlans);
    json_object_set_array_member(info, "unicast-table",
                                 describe_macs(filter->unicast, filter->unicast_count));
    json_object_set_array_member(info, "multicast-table",
                                 describe_macs(filter->multicast, filter->multicast_count));
}
