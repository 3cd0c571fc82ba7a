// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-client: asynchronous client of a guest agent (ours or qemu-ga) with deadlines.
 *
 * The agent sits behind a virtio-serial port or a unix socket: what comes first may be left over from an
 * earlier client, so that each connection begins with guest-sync-delimited. A guest that never answers costs
 * its caller a timeout, never a hang; a reply that comes after its timeout is recognised by its id and
 * dropped.
 */
#pragma once

#include "lib/jsonstream.h"

typedef struct AgentClient AgentClient;

#define AGENT_CLIENT_ERROR (agent_client_error_quark())
GQuark agent_client_error_quark(void);
typedef enum {
    AGENT_CLIENT_ERROR_COMMAND,   /* the agent's {"error": …}; message is its desc */
    AGENT_CLIENT_ERROR_NOT_FOUND, /* the same, of class CommandNotFound (unknown or disabled) */
    AGENT_CLIENT_ERROR_PROTOCOL,
    AGENT_CLIENT_ERROR_CLOSED,
    AGENT_CLIENT_ERROR_TIMEOUT,
} AgentClientError;

/* Connects to the unix socket and synchronises; timeout_ms bounds the whole. */
AgentClient *agent_client_open(const char *path, guint timeout_ms, GError **error);
void agent_client_open_async(const char *path, guint timeout_ms, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data);
AgentClient *agent_client_open_finish(GAsyncResult *result, GError **error);
void agent_client_close(AgentClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentClient, agent_client_close)

/* As qmp_client_call(). For a command that does not answer on success (guest-shutdown) a TIMEOUT means sent.
 */
JsonNode *agent_client_call(AgentClient *client, const char *command, JsonObject *arguments, guint timeout_ms,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void agent_client_call_async(AgentClient *client, const char *command, JsonObject *arguments,
                             guint timeout_ms, GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data);
JsonNode *agent_client_call_finish(GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
