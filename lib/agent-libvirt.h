// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-libvirt: calls of a guest agent by way of libvirt (virDomainQemuAgentCommand), for guests whose
 * agent's port belongs to libvirt.
 *
 * libvirt-qemu is loaded when the first connection is opened, so that who never asks for a domain needs
 * neither the library nor the time that it takes to load. libvirt's client blocks: each call is made in a
 * thread, and one that never comes back is left behind at its deadline. libvirt itself synchronises with the
 * agent.
 */
#pragma once

#include "lib/agent-client.h"

typedef struct AgentLibvirt AgentLibvirt;

/* uri: NULL for libvirt's default. domain: a name, UUID or running domain's number. Errors are
 * AGENT_CLIENT_ERROR's: CLOSED if there is no connection or no such domain running. */
AgentLibvirt *agent_libvirt_open(const char *uri, const char *domain, guint timeout_ms, GError **error);
void agent_libvirt_close(AgentLibvirt *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentLibvirt, agent_libvirt_close)

/* libvirt writes a request to the agent's socket until that is full, and then forgets how much it has
 * written: what does not fit into the socket's buffer (208 KiB by the kernel's accounting) arrives damaged.
 */
#define AGENT_LIBVIRT_REQUEST_BYTES (128 << 10)

/* As agent_client_call(): what the command returns, or an AGENT_CLIENT_ERROR. arguments: taken, may be NULL.
 * Longer requests are refused; a reply may have 10 MiB, libvirt's own limit. */
JsonNode *agent_libvirt_call(AgentLibvirt *agent, const char *command, JsonObject *arguments,
                             guint timeout_ms, GCancellable *cancellable,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
