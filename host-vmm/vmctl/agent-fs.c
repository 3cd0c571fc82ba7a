// SPDX-License-Identifier: GPL-2.0-or-later
/* vmctl agent GUEST freeze | thaw: the guest's filesystems stand still for a snapshot, and go on. */
#include <stdio.h>

#include "host-vmm/vmctl/agent-words.h"
#include "host-vmm/vmctl/options.h"

static int say_count(const AgentTask *task, JsonNode *reply, const char *done)
{
    gint64 count = JSON_NODE_HOLDS_VALUE(reply) ? json_node_get_int(reply) : 0;

    printf("%s: %" G_GINT64_FORMAT " filesystem%s %s\n", agent_target_label(&task->target), count,
           count == 1 ? "" : "s", done);
    return VMCTL_OK;
}

int agent_freeze(const AgentTask *task, char **words)
{
    gint64 deadline = deadline_after_ms(task->timeout_ms);
    GError *error = NULL;
    g_autoptr(AgentLink) link = agent_link_open(&task->target, deadline, &error);
    g_autoptr(JsonNode) reply = NULL;
    JsonObject *arguments = NULL;

    if (link == NULL)
        return complain_error(error);
    if (words[0] != NULL) {
        JsonArray *mountpoints = json_array_new();

        arguments = json_object_new();
        for (guint i = 0; words[i] != NULL; i++)
            json_array_add_string_element(mountpoints, words[i]);
        json_object_set_array_member(arguments, "mountpoints", mountpoints);
    }
    reply = agent_link_call(link, arguments != NULL ? "guest-fsfreeze-freeze-list" : "guest-fsfreeze-freeze",
                            arguments, deadline, &error);
    if (reply != NULL)
        return say_count(task, reply, "frozen");
    if (g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_TIMEOUT) ||
        g_error_matches(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_CLOSED))
        g_prefix_error(&error, "filesystems may be frozen now or a little later (thaw undoes it): ");
    return complain_error(error);
}

int agent_thaw(const AgentTask *task, char **words)
{
    gint64 deadline = deadline_after_ms(task->timeout_ms);
    GError *error = NULL;
    g_autoptr(AgentLink) link = NULL;
    g_autoptr(JsonNode) reply = NULL;

    if (words[0] != NULL)
        return options_usage_error(task->verb, "thaw takes no words");
    link = agent_link_open(&task->target, deadline, &error);
    if (link != NULL)
        reply = agent_link_call(link, "guest-fsfreeze-thaw", NULL, deadline, &error);
    return reply == NULL ? complain_error(error) : say_count(task, reply, "thawed");
}
