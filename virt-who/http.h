// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * http: a Transport by libcurl, on GLib's default main context. TLS is verified by the CAs of the server's
 * folder alone, unless it is marked insecure; redirects are not followed; an answer beyond 8 MiB, one that
 * does not come in time, or that stops, is an error.
 */
#pragma once

#include "virt-who/server.h"
#include "virt-who/transport.h"

#define HTTP_MAX_BODY (8 << 20)

/* server: taken. */
Transport *http_transport_new(Server *server);
