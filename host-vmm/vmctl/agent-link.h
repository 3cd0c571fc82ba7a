// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-link: the way to a guest's agent: a unix socket (a host-vmm guest's or any other) or libvirt's, for a
 * domain.
 */
#pragma once

#include "host-vmm/vmctl/guest.h"

typedef struct AgentLink AgentLink;

/* What to connect to. One of guest and domain is set. */
typedef struct AgentTarget {
    Guest *guest;
    const char *uri, *domain; /* uri NULL: libvirt's default */
} AgentTarget;

/* For error messages: the guest's or the domain's name. */
const char *agent_target_label(const AgentTarget *target);

/* Opens it, waiting until the deadline for a guest that is still booting. The target has to outlive the link.
 */
AgentLink *agent_link_open(const AgentTarget *target, gint64 deadline, GError **error);
void agent_link_close(AgentLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentLink, agent_link_close)

const AgentTarget *agent_link_target(const AgentLink *link);
/* arguments: taken, may be NULL. Errors as agent_client_call(). */
JsonNode *agent_link_call(AgentLink *link, const char *command, JsonObject *arguments, gint64 deadline,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What ends calls early from now on, with G_IO_ERROR_CANCELLED; NULL: nothing, for what has to be put in
 * order in the guest. */
void agent_link_set_cancellable(AgentLink *link, GCancellable *cancellable);
/* What guest-info says of a command (borrowed); NULL if it is not there, or the agent does not answer. Asks
 * once. */
JsonObject *agent_link_command(AgentLink *link, const char *command, gint64 deadline);
/* Whether the agent has the command, enabled. */
gboolean agent_link_has(AgentLink *link, const char *command, gint64 deadline);
/* How many bytes one request can carry as base64. */
gsize agent_link_chunk(const AgentLink *link);
/* Whether an error says that the connection is no use any more, while another one may be. */
gboolean agent_link_is_lost(const AgentLink *link, const GError *error);
