// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-client: a connection to a JSON server on a unix socket, for qmp-client and agent-client to build on.
 *
 * Asynchronous, on the thread-default main context of its creator; each wait has a deadline. Bytes are cut by
 * jsonstream; what to do with each value is the owner's business.
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct JsonClient JsonClient;

/* value: borrowed; error: garbage on the wire; both NULL: the peer has closed. */
typedef void (*JsonClientFunc)(JsonNode *value, const GError *error, gpointer user_data);

/* Takes a connected socket. */
JsonClient *json_client_new(GSocketConnection *connection, JsonClientFunc func, gpointer user_data);
void json_client_free(JsonClient *client);
/* Queues bytes; never blocks. */
void json_client_send(JsonClient *client, const void *data, gsize length);
/* Forgets a half-read value. */
void json_client_reset(JsonClient *client);

/* Connects to a unix socket path within timeout_ms. */
GSocketConnection *json_client_connect(const char *path, guint timeout_ms, GError **error);
