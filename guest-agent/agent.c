// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/agent.h"

static const Command *const TABLES[] = {
    COMMANDS_SYNC, COMMANDS_OS,    COMMANDS_CPU, COMMANDS_FILE,
    COMMANDS_EXEC, COMMANDS_POWER, COMMANDS_NET, NULL,
};

Agent *agent_new(const char *state_dir)
{
    Agent *agent = g_new0(Agent, 1);
    agent->server = command_server_new(COMMAND_DIALECT_AGENT, TABLES, agent);
    agent->worker = worker_new();
    agent->audit = audit_new();
    agent->files = agent_files_new(agent, state_dir);
    agent->exec = agent_exec_new(agent);
    return agent;
}

gboolean agent_free(Agent *agent)
{
    if (!worker_free(agent->worker))
        return FALSE;
    agent_exec_free(agent->exec);
    agent_files_free(agent->files);
    audit_free(agent->audit);
    command_server_free(agent->server);
    g_free(agent);
    return TRUE;
}
