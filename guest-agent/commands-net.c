// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-network-get-interfaces, guest-network-get-route: names, addresses, counters; where packets go. */
#include "guest-agent/agent.h"
#include "guest-agent/policy.h"
#include "guest-agent/kernel-stats.h"
#include "guest-agent/text-file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* /proc/net/dev, after the name: eight columns of receiving, then eight of sending. */
static const struct {
    const char *name;
    int column;
} COUNTERS[] = {
    {"rx-bytes", 0}, {"rx-packets", 1}, {"rx-errs", 2},  {"rx-dropped", 3},
    {"tx-bytes", 8}, {"tx-packets", 9}, {"tx-errs", 10}, {"tx-dropped", 11},
};
#define COLUMNS 16

/* Of the text of /proc/net/dev: interface -> the columns' text. Changes the text and borrows from it. */
static GHashTable *index_by_name(char *dev_text)
{
    GHashTable *lines = g_hash_table_new(g_str_hash, g_str_equal);
    char *rest = NULL;
    for (char *line = strtok_r(dev_text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *colon = strrchr(line, ':'); /* a name may have one, counters do not */
        if (!colon)
            continue;
        *colon = '\0';
        g_hash_table_insert(lines, g_strstrip(line), colon + 1);
    }
    return lines;
}

/* NULL if there is no line for the interface (an alias such as eth0:1). */
static JsonObject *read_statistics(GHashTable *lines, const char *name)
{
    const char *at = g_hash_table_lookup(lines, name);
    gint64 values[COLUMNS];
    for (int i = 0; at && i < COLUMNS; i++) {
        char *end;
        values[i] = (gint64)g_ascii_strtoull(at, &end, 10);
        at = end > at ? end : NULL;
    }
    if (!at)
        return NULL;
    JsonObject *statistics = json_object_new();
    for (gsize i = 0; i < G_N_ELEMENTS(COUNTERS); i++)
        json_object_set_int_member(statistics, COUNTERS[i].name, values[COUNTERS[i].column]);
    return statistics;
}

static void add_hardware_address(JsonObject *interface, const char *name, int fd)
{
    struct ifreq request = {0};
    g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return;
    const guint8 *mac = (const guint8 *)request.ifr_hwaddr.sa_data;
    g_autofree char *text =
        g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    json_object_set_string_member(interface, "hardware-address", text);
}

static int count_bits(const guint8 *bytes, gsize length)
{
    int bits = 0;
    for (gsize i = 0; i < length; i++)
        bits += __builtin_popcount(bytes[i]);
    return bits;
}

/* NULL if it is neither IPv4 nor IPv6. */
static JsonObject *describe_address(const struct ifaddrs *entry)
{
    char text[INET6_ADDRSTRLEN];
    gboolean is_v4 = entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET;
    const void *address, *mask;
    if (is_v4) {
        address = &((const struct sockaddr_in *)entry->ifa_addr)->sin_addr;
        mask = entry->ifa_netmask ? &((const struct sockaddr_in *)entry->ifa_netmask)->sin_addr : NULL;
    } else if (entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET6) {
        address = &((const struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr;
        mask = entry->ifa_netmask ? &((const struct sockaddr_in6 *)entry->ifa_netmask)->sin6_addr : NULL;
    } else {
        return NULL;
    }
    if (!inet_ntop(entry->ifa_addr->sa_family, address, text, sizeof text))
        return NULL;
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "ip-address", text);
    json_object_set_string_member(object, "ip-address-type", is_v4 ? "ipv4" : "ipv6");
    json_object_set_int_member(object, "prefix", mask ? count_bits(mask, is_v4 ? 4 : 16) : 0);
    return object;
}

static void add_address(JsonObject *interface, JsonObject *address, const char *name, GHashTable *lines)
{
    if (!json_object_has_member(interface, "ip-addresses")) {
        json_object_set_array_member(interface, "ip-addresses", json_array_new());
        JsonObject *statistics = read_statistics(lines, name);
        if (statistics)
            json_object_set_object_member(interface, "statistics", statistics);
    }
    json_array_add_object_element(json_object_get_array_member(interface, "ip-addresses"), address);
}

static JsonArray *list_interfaces(const Options *options, const struct ifaddrs *entries, GHashTable *lines,
                                  int fd)
{
    JsonArray *interfaces = json_array_new();
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal); /* borrowed from both */
    for (const struct ifaddrs *entry = entries; entry; entry = entry->ifa_next) {
        if (policy_hides_interface(options, entry->ifa_name))
            continue;
        JsonObject *interface = g_hash_table_lookup(by_name, entry->ifa_name);
        if (!interface) {
            interface = json_object_new();
            g_autofree char *valid = g_utf8_make_valid(entry->ifa_name, -1);
            json_object_set_string_member(interface, "name", valid);
            add_hardware_address(interface, entry->ifa_name, fd);
            json_array_add_object_element(interfaces, interface);
            g_hash_table_insert(by_name, entry->ifa_name, interface);
        }
        JsonObject *address = describe_address(entry);
        if (address)
            add_address(interface, address, entry->ifa_name, lines);
    }
    return interfaces;
}

static void guest_network_get_interfaces(CommandCall *call, JsonObject *arguments, gpointer data)
{
    struct ifaddrs *entries;
    if (getifaddrs(&entries) < 0) {
        command_call_fail(call, "getifaddrs failed: %s", g_strerror(errno));
        return;
    }
    g_autofree char *dev_text = NULL;
    if (!g_file_get_contents("/proc/net/dev", &dev_text, NULL, NULL))
        dev_text = g_strdup("");
    g_autoptr(GHashTable) lines = index_by_name(dev_text);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    JsonArray *interfaces = list_interfaces(((Agent *)data)->options, entries, lines, fd);
    if (fd >= 0)
        close(fd);
    freeifaddrs(entries);
    command_call_return_array(call, interfaces);
}

/* The kernel's main tables. A guest without IPv6 lacks one of the files; without both it is an error. */
static void guest_network_get_route(CommandCall *call, JsonObject *arguments, gpointer data)
{
    static const char PATH_V4[] = "/proc/net/route", PATH_V6[] = "/proc/net/ipv6_route";
    int errnum;
    g_autofree char *v4 = text_file_read("", PATH_V4, &errnum);
    g_autofree char *v6 = text_file_read("", PATH_V6, NULL);
    if (!v4 && !v6) {
        command_call_fail(call, "open(\"%s\"): %s", PATH_V4, g_strerror(errnum));
        return;
    }
    JsonArray *routes = json_array_new();
    if (v4)
        kernel_routes_v4(routes, v4);
    if (v6)
        kernel_routes_v6(routes, v6);
    command_call_return_array(call, routes);
}

const Command COMMANDS_NET[] = {
    {"guest-network-get-interfaces", NULL, guest_network_get_interfaces, COMMAND_FLAG_NONE},
    {"guest-network-get-route", NULL, guest_network_get_route, COMMAND_FLAG_NONE},
    {0},
};
