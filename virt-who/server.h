// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server: how one entitlement server is reached: a section's rhsm_* keys over rhsm.conf over defaults.
 */
#pragma once

#include "virt-who/conf.h"

#define SERVER_ERROR (server_error_quark())
GQuark server_error_quark(void);
typedef enum { SERVER_ERROR_IDENTITY, SERVER_ERROR_CA } ServerError;

typedef struct Server {
    char *hostname, *prefix; /* the prefix begins with '/' and does not end so; may be "" */
    guint port, timeout;     /* timeout: seconds for one answer */
    char *username, *password;
    char *proxy_hostname, *proxy_user, *proxy_password; /* proxy_hostname NULL: none */
    guint proxy_port;
    gboolean insecure;
    char *ca_dir, *cert, *key; /* cert and key: the consumer's */
} Server;

/* environment: of virt-who.conf, names and values; the process's own comes after it. */
Server *server_new(const Conf *config, const IniFile *rhsm, const char *const *environment, const char *root);
void server_free(Server *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)

/* The same for two sections that can share requests. */
char *server_fingerprint(const Server *server);
/* "https://HOST:PORT/PREFIX". */
char *server_url(const Server *server);
/* Whether a host is named by no_proxy: suffixes, "*" for all. */
gboolean server_skips_proxy(const char *no_proxy, const char *hostname);

/* The consumer's UUID: the CN of its certificate, which has to be valid at `now` (seconds since 1970). */
char *server_consumer(const Server *server, gint64 now, GError **error);
/* All "*.pem" of the CA folder in one memory file; its descriptor, -1 and error. */
int server_open_ca(const Server *server, GError **error);
