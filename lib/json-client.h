// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-client: a connection to a JSON server on a unix socket, for json-rpc to build on.
 *
 * Asynchronous, on the thread-default main context of its creator. Bytes are cut by jsonstream; what to do
 * with each value is the owner's business. The owner's function may run the main context itself: values keep
 * coming, in order.
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct JsonClient JsonClient;

/* More than this is not queued behind what the peer does not read (a single message may be longer). */
#define JSON_CLIENT_QUEUE_BYTES (64 << 20)

/* value: borrowed; error: garbage on the wire; both NULL: the peer has closed (told once, last). The callee
 * may free the client. */
typedef void (*JsonClientFunc)(JsonNode *value, const GError *error, gpointer user_data);

/* A connection to the unix socket at `path`, made at once or not at all: G_IO_ERROR_WOULD_BLOCK says that the
 * listener's queue is full, so that a later try may succeed. */
GSocket *json_client_connect(const char *path, GError **error);

/* Takes a connected socket. */
JsonClient *json_client_new(GSocket *socket, JsonClientFunc func, gpointer user_data);
void json_client_free(JsonClient *client);
/* Sends or queues bytes; never blocks. FALSE if the queue is too long: nothing of it will be sent. */
gboolean json_client_send(JsonClient *client, GBytes *bytes);
