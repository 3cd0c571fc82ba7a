// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/hostfwd.h"

#include <arpa/inet.h>
#include <string.h>

static gboolean parse_address(const char *text, struct in_addr *address)
{
    address->s_addr = INADDR_ANY;
    return *text == '\0' || inet_pton(AF_INET, text, address) == 1;
}

static gboolean parse_port(const char *text, guint16 *port)
{
    guint64 number;
    if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT16, &number, NULL))
        return FALSE;
    *port = (guint16)number;
    return TRUE;
}

gboolean host_forward_parse(const char *text, HostForward *forward, GError **error)
{
    const char *why = NULL;
    /* "tcp:HOST:PORT-GUEST:PORT" */
    g_auto(GStrv) sides = g_strsplit(text, "-", 2);
    g_auto(GStrv) host = g_strsplit(sides[0] != NULL ? sides[0] : "", ":", -1);
    g_auto(GStrv) guest = g_strsplit(sides[0] != NULL && sides[1] != NULL ? sides[1] : "", ":", -1);
    if (g_strv_length(host) != 3 || g_strv_length(guest) != 2)
        why = "it must be [tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT";
    else if (*host[0] != '\0' && strcmp(host[0], "tcp") != 0 && strcmp(host[0], "udp") != 0)
        why = "the protocol must be tcp or udp";
    else if (!parse_address(host[1], &forward->host_address))
        why = "the host address is no IPv4 address";
    else if (!parse_port(host[2], &forward->host_port))
        why = "the host port must be a number from 1 to 65535";
    else if (!parse_address(guest[0], &forward->guest_address))
        why = "the guest address is no IPv4 address";
    else if (!parse_port(guest[1], &forward->guest_port))
        why = "the guest port must be a number from 1 to 65535";
    if (why != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "Invalid host forwarding rule '%s': %s",
                    text, why);
        return FALSE;
    }
    forward->is_udp = strcmp(host[0], "udp") == 0;
    return TRUE;
}
