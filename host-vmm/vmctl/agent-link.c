// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/vmctl/agent-link.h"

#include <string.h>

#include "lib/json-rpc.h"
#ifdef HAVE_LIBVIRT
#include "lib/agent-libvirt.h"
#endif
#include "host-vmm/vmctl/replies.h"
#include "host-vmm/vmctl/vmctl.h"

struct AgentLink {
    const AgentTarget *target;
    GCancellable *cancellable;
    AgentClient *client;
#ifdef HAVE_LIBVIRT
    AgentLibvirt *libvirt;
#endif
    JsonNode *info; /* guest-info's reply, once asked for */
};

const char *agent_target_label(const AgentTarget *target)
{
    return target->domain != NULL ? target->domain : target->guest->label;
}

AgentLink *agent_link_open(const AgentTarget *target, gint64 deadline, GError **error)
{
    g_autoptr(AgentLink) link = g_new0(AgentLink, 1);

    link->target = target;
    if (target->domain == NULL) {
        link->client = guest_open_agent(target->guest, deadline, error);
        return link->client != NULL ? g_steal_pointer(&link) : NULL;
    }
#ifdef HAVE_LIBVIRT
    link->libvirt =
        agent_libvirt_open(target->uri, target->domain, MAX(1, deadline_left_ms(deadline)), error);
    return link->libvirt != NULL ? g_steal_pointer(&link) : NULL;
#else
    g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "this vmctl is built without libvirt");
    return NULL;
#endif
}

void agent_link_close(AgentLink *link)
{
    if (link == NULL)
        return;
    g_clear_pointer(&link->client, agent_client_close);
#ifdef HAVE_LIBVIRT
    g_clear_pointer(&link->libvirt, agent_libvirt_close);
#endif
    g_clear_pointer(&link->info, json_node_unref);
    g_clear_object(&link->cancellable);
    g_free(link);
}

const AgentTarget *agent_link_target(const AgentLink *link)
{
    return link->target;
}

void agent_link_set_cancellable(AgentLink *link, GCancellable *cancellable)
{
    g_set_object(&link->cancellable, cancellable);
}

JsonNode *agent_link_call(AgentLink *link, const char *command, JsonObject *arguments, gint64 deadline,
                          GError **error)
{
    guint left = MAX(1, deadline_left_ms(deadline));
    g_autoptr(GAsyncResult) result = NULL;

#ifdef HAVE_LIBVIRT
    if (link->libvirt != NULL)
        return agent_libvirt_call(link->libvirt, command, arguments, left, link->cancellable, error);
#endif
    agent_client_call_async(link->client, command, arguments, left, link->cancellable, json_rpc_keep_result,
                            &result);
    json_rpc_wait_result(NULL, &result);
    return agent_client_call_finish(result, error);
}

JsonObject *agent_link_command(AgentLink *link, const char *command, gint64 deadline)
{
    JsonNode *commands;
    JsonObject *row;

    if (link->info == NULL)
        link->info = agent_link_call(link, "guest-info", NULL, deadline, NULL);
    commands = object_array(reply_as_object(link->info), "supported_commands");
    for (guint i = 0; (row = reply_object(commands, i)) != NULL; i++)
        if (strcmp(object_string(row, "name", ""), command) == 0)
            return row;
    return NULL;
}

gboolean agent_link_has(AgentLink *link, const char *command, gint64 deadline)
{
    JsonObject *row = agent_link_command(link, command, deadline);

    return row != NULL && object_bool(row, "enabled", TRUE);
}

gsize agent_link_chunk(const AgentLink *link)
{
#ifdef HAVE_LIBVIRT
    if (link->libvirt != NULL)
        return AGENT_LIBVIRT_REQUEST_BYTES / 2;
#endif
    return 1 << 20;
}

gboolean agent_link_is_lost(const AgentLink *link, const GError *error)
{
    return link->client != NULL && g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_CLOSED);
}
