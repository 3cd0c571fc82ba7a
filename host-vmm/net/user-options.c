// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/user-options.h"

#include <arpa/inet.h>
#include <string.h>

#define DEFAULT_NET     "10.0.2.0/24"
#define DEFAULT_NET6    "fec0::/64"
#define HOST_PART       2u
#define DNS_PART        3u
#define DHCP_PART       15u
#define MAX_HOSTNAME    255 /* what fits into a DHCP option */
#define MAX_PREFIX6     126 /* leaves room for host and name server */
#define PREFIX_OF_CLASS 24

void user_options_free(UserOptions *user)
{
    if (user == NULL)
        return;
    g_free(user->hostname);
    g_free(user->domain);
    g_strfreev(user->dns_search);
    g_array_unref(user->forwards);
    g_free(user);
}

static gboolean fail(OptSet *options, const char *key, const char *text, const char *why, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: '%s=%s': %s", optset_what(options), key,
                text, why);
    return FALSE;
}

/* "ADDR", "ADDR/LEN" or "ADDR/MASK". */
static gboolean parse_net(UserOptions *user, OptSet *options, GError **error)
{
    const char *text = optset_string(options, "net");
    if (text == NULL)
        text = DEFAULT_NET;
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    struct in_addr address, mask;
    guint64 length = PREFIX_OF_CLASS;
    if (parts[0] == NULL || inet_pton(AF_INET, parts[0], &address) != 1)
        return fail(options, "net", text, "not an IPv4 network like 10.0.2.0/24", error);
    if (parts[1] != NULL && inet_pton(AF_INET, parts[1], &mask) == 1) {
        guint32 bits = ntohl(mask.s_addr);
        length = (guint64)__builtin_popcount(bits);
        if (length > 0 && bits != G_MAXUINT32 << (32 - length))
            return fail(options, "net", text, "the mask is not contiguous", error);
    } else if (parts[1] != NULL && !g_ascii_string_to_unsigned(parts[1], 10, 0, 32, &length, NULL)) {
        return fail(options, "net", text, "the prefix length must be 0 to 32", error);
    }
    /* Network, host, name server, guest and broadcast have to fit. */
    if (length < 4 || length > 29)
        return fail(options, "net", text, "the prefix length must be 4 to 29", error);
    user->netmask.s_addr = htonl(G_MAXUINT32 << (32 - length));
    user->network.s_addr = address.s_addr & user->netmask.s_addr;
    return TRUE;
}

/* An address within the network, or the one that ends in `part`. */
static gboolean parse_own(UserOptions *user, OptSet *options, const char *key, guint32 part,
                          struct in_addr *address, GError **error)
{
    const char *text = optset_string(options, key);
    guint32 mask = ntohl(user->netmask.s_addr);
    if (text == NULL) {
        /* A small network has no number 15. */
        if (part >= ~mask)
            part = ~mask / 2 + 1;
        address->s_addr = user->network.s_addr | htonl(part);
        return TRUE;
    }
    if (inet_pton(AF_INET, text, address) != 1)
        return fail(options, key, text, "not an IPv4 address", error);
    if ((address->s_addr & user->netmask.s_addr) != user->network.s_addr)
        return fail(options, key, text, "not within the network (net=)", error);
    guint32 host = ntohl(address->s_addr) & ~mask;
    if (host == 0 || host == ~mask)
        return fail(options, key, text, "the network's own or its broadcast address", error);
    return TRUE;
}

static gboolean parse_ipv4(UserOptions *user, OptSet *options, GError **error)
{
    if (!parse_net(user, options, error) ||
        !parse_own(user, options, "host", HOST_PART, &user->host, error) ||
        !parse_own(user, options, "dns", DNS_PART, &user->dns, error) ||
        !parse_own(user, options, "dhcpstart", DHCP_PART, &user->dhcp_start, error))
        return FALSE;
    if (user->host.s_addr == user->dns.s_addr || user->host.s_addr == user->dhcp_start.s_addr ||
        user->dns.s_addr == user->dhcp_start.s_addr) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: 'host', 'dns' and 'dhcpstart' must be three different addresses",
                    optset_what(options));
        return FALSE;
    }
    return TRUE;
}

static gboolean parse_own6(UserOptions *user, OptSet *options, const char *key, guint8 part,
                           struct in6_addr *address, GError **error)
{
    const char *text = optset_string(options, key);
    if (text == NULL) {
        *address = user->prefix6;
        address->s6_addr[15] |= part;
        return TRUE;
    }
    if (inet_pton(AF_INET6, text, address) != 1)
        return fail(options, key, text, "not an IPv6 address", error);
    for (guint i = 0; i < user->prefix6_length; i++) {
        guint8 bit = (guint8)(0x80 >> i % 8);
        if (((address->s6_addr[i / 8] ^ user->prefix6.s6_addr[i / 8]) & bit) != 0)
            return fail(options, key, text, "not within the network (ipv6-net=)", error);
    }
    return TRUE;
}

static gboolean parse_ipv6(UserOptions *user, OptSet *options, GError **error)
{
    const char *text = optset_string(options, "ipv6-net");
    if (text == NULL)
        text = DEFAULT_NET6;
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    guint64 length = 64;
    if (parts[0] == NULL || inet_pton(AF_INET6, parts[0], &user->prefix6) != 1)
        return fail(options, "ipv6-net", text, "not an IPv6 network like fec0::/64", error);
    if (parts[1] != NULL && !g_ascii_string_to_unsigned(parts[1], 10, 1, MAX_PREFIX6, &length, NULL))
        return fail(options, "ipv6-net", text, "the prefix length must be 1 to 126", error);
    user->prefix6_length = (guint8)length;
    for (guint i = user->prefix6_length; i < 128; i++)
        user->prefix6.s6_addr[i / 8] &= (guint8) ~(0x80 >> i % 8);
    return parse_own6(user, options, "ipv6-host", HOST_PART, &user->host6, error) &&
           parse_own6(user, options, "ipv6-dns", DNS_PART, &user->dns6, error);
}

static gboolean parse_name(OptSet *options, const char *key, char **name, GError **error)
{
    const char *text = optset_string(options, key);
    if (text != NULL && (*text == '\0' || strlen(text) > MAX_HOSTNAME))
        return fail(options, key, text, "must have 1 to 255 bytes", error);
    *name = g_strdup(text);
    return TRUE;
}

static gboolean parse_forwards(UserOptions *user, OptSet *options, GError **error)
{
    g_auto(GStrv) rules = optset_list(options, "hostfwd");
    for (guint i = 0; rules[i] != NULL; i++) {
        HostForward forward;
        if (!host_forward_parse(rules[i], &forward, error))
            return FALSE;
        if (forward.guest_address.s_addr == INADDR_ANY)
            forward.guest_address = user->dhcp_start;
        g_array_append_val(user->forwards, forward);
    }
    return TRUE;
}

UserOptions *user_options_parse(OptSet *options, GError **error)
{
    g_autoptr(UserOptions) user = g_new0(UserOptions, 1);
    user->forwards = g_array_new(FALSE, FALSE, sizeof(HostForward));
    gboolean has4 = optset_has(options, "ipv4"), has6 = optset_has(options, "ipv6");
    user->ipv4 = user->ipv6 = TRUE;
    if (!optset_bool(options, "ipv4", &user->ipv4, error) ||
        !optset_bool(options, "ipv6", &user->ipv6, error) ||
        !optset_bool(options, "restrict", &user->restricted, error))
        return NULL;
    /* Asking for one is asking for it alone, as in QEMU. */
    if (has4 && !has6)
        user->ipv6 = !user->ipv4;
    if (has6 && !has4)
        user->ipv4 = !user->ipv6;
    if (!user->ipv4 && !user->ipv6) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: IPv4 and IPv6 are both switched off",
                    optset_what(options));
        return NULL;
    }
    user->dns_search = optset_list(options, "dnssearch");
    if (!parse_ipv4(user, options, error) || !parse_ipv6(user, options, error) ||
        !parse_name(options, "hostname", &user->hostname, error) ||
        !parse_name(options, "domainname", &user->domain, error) || !parse_forwards(user, options, error))
        return NULL;
    return g_steal_pointer(&user);
}
