// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * http: just enough of HTTP/1.1 for Prometheus to fetch /metrics: one request a connection, bounded in size,
 * time and number.
 */
#pragma once

#include <gio/gio.h>

typedef struct HttpServer HttpServer;

/* Gives the page: owned. openmetrics: the client asks for that format. */
typedef char *(*HttpPageFunc)(gboolean openmetrics, gpointer user_data);

/* address: "127.0.0.1:9177", "[::1]:9177", ":9177" (loopback), "9177". */
HttpServer *http_server_new(const char *address, HttpPageFunc page, gpointer user_data, GError **error);
void http_server_free(HttpServer *server);
