// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qmp-client: asynchronous QMP client with deadlines.
 *
 * Lives on the thread-default main context in which it was opened. Events are delivered from that context.
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct QmpClient QmpClient;

#define QMP_CLIENT_ERROR (qmp_client_error_quark())
GQuark qmp_client_error_quark(void);
typedef enum {
    QMP_CLIENT_ERROR_COMMAND,   /* the server's {"error": …}; message is its desc */
    QMP_CLIENT_ERROR_NOT_FOUND, /* the same, of class CommandNotFound or DeviceNotFound */
    QMP_CLIENT_ERROR_PROTOCOL,  /* what came is not QMP */
    QMP_CLIENT_ERROR_CLOSED,    /* the server has closed the connection */
    QMP_CLIENT_ERROR_TIMEOUT,   /* no answer within the deadline */
} QmpClientError;

/* Connects, reads the greeting, negotiates. timeout_ms bounds the whole. */
QmpClient *qmp_client_open(const char *path, guint timeout_ms, GError **error);
void qmp_client_open_async(const char *path, guint timeout_ms, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data);
QmpClient *qmp_client_open_finish(GAsyncResult *result, GError **error);
void qmp_client_close(QmpClient *client); /* fails what is pending with CLOSED; frees */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QmpClient, qmp_client_close)

/* The greeting's "version" object, borrowed. */
JsonObject *qmp_client_version(QmpClient *client);

/* arguments: taken, may be NULL. Returns the "return" value (owned) or NULL and error. A reply that comes
 * after its timeout is recognised by its id and dropped. The synchronous form runs the client's own main
 * context meanwhile, so events are still delivered. */
JsonNode *qmp_client_call(QmpClient *client, const char *command, JsonObject *arguments, guint timeout_ms,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void qmp_client_call_async(QmpClient *client, const char *command, JsonObject *arguments, guint timeout_ms,
                           GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
JsonNode *qmp_client_call_finish(GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* data may be NULL; both borrowed. name NULL: the connection has ended. The function may call and close the
 * client. Events that came before it was set are seen by qmp_client_wait_event() only. */
typedef void (*QmpClientEventFunc)(QmpClient *client, const char *name, JsonObject *data, gpointer user_data);
void qmp_client_set_event_func(QmpClient *client, QmpClientEventFunc func, gpointer user_data);

/* Waits until an event of that name comes (or has come since the last wait for it), the connection ends
 * (CLOSED) or the time is up (TIMEOUT). */
gboolean qmp_client_wait_event(QmpClient *client, const char *name, guint timeout_ms, GError **error);
