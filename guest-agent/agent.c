// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/agent.h"
#include "guest-agent/policy.h"

#include <stdio.h>

const Command *const AGENT_TABLES[] = {
    COMMANDS_SYNC, COMMANDS_OS,   COMMANDS_TIME,   COMMANDS_CPU,   COMMANDS_MEMORY,  COMMANDS_STATS,
    COMMANDS_DISK, COMMANDS_FILE, COMMANDS_EXEC,   COMMANDS_POWER, COMMANDS_SUSPEND, COMMANDS_NET,
    COMMANDS_USER, COMMANDS_SSH,  COMMANDS_FREEZE, COMMANDS_TRIM,  COMMANDS_STREAM,  NULL,
};

static gboolean is_listed(char **names, const char *name)
{
    return names && g_strv_contains((const char *const *)names, name);
}

/* What -b and -a leave. */
static void filter_commands(Agent *agent)
{
    const Options *options = agent->options;
    g_auto(GStrv) blocked = options->block_rpcs ? g_strsplit(options->block_rpcs, ",", -1) : NULL;
    g_auto(GStrv) allowed = options->allow_rpcs ? g_strsplit(options->allow_rpcs, ",", -1) : NULL;
    for (const Command *const *table = AGENT_TABLES; *table; table++) {
        for (const Command *command = *table; command->name; command++) {
            if (is_listed(blocked, command->name) || (allowed && !is_listed(allowed, command->name)))
                command_server_set_enabled(agent->server, command->name, FALSE, NULL);
        }
    }
}

void agent_list_commands(void)
{
    for (const Command *const *table = AGENT_TABLES; *table; table++) {
        for (const Command *command = *table; command->name; command++)
            puts(command->name);
    }
}

static char *refuse(const Command *command, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    char *refusal = policy_refusal(agent->options, command, arguments);
    if (refusal)
        audit_log(agent->audit, "%s: %s", command->name, refusal);
    return refusal;
}

/* When compatible, without what is ours alone. */
static CommandServer *new_server(Agent *agent)
{
    const Command *tables[G_N_ELEMENTS(AGENT_TABLES)];
    gsize n = 0;
    for (const Command *const *table = AGENT_TABLES; *table; table++) {
        if (!agent->options->compatible || *table != COMMANDS_STREAM)
            tables[n++] = *table;
    }
    tables[n] = NULL;
    return command_server_new(COMMAND_DIALECT_AGENT, tables, agent);
}

Agent *agent_new(const Options *options)
{
    Agent *agent = g_new0(Agent, 1);
    agent->options = options;
    agent->server = new_server(agent);
    JsonStreamLimits limits = JSON_STREAM_DEFAULT_LIMITS;
    limits.max_bytes = (gsize)options->message_bytes;
    command_server_set_limits(agent->server, &limits);
    command_server_set_guard(agent->server, refuse);
    agent->worker = worker_new();
    agent->audit = audit_new();
    agent->files = agent_files_new(agent, options->state_dir);
    agent->exec = agent_exec_new(agent);
    agent->streams = agent_streams_new(agent);
    agent->freeze = agent_freeze_new(agent);
    filter_commands(agent);
    return agent;
}

gboolean agent_free(Agent *agent)
{
    if (!agent_freeze_free(agent->freeze) || !worker_free(agent->worker))
        return FALSE;
    agent_exec_free(agent->exec);
    agent_streams_free(agent->streams);
    agent_files_free(agent->files);
    audit_free(agent->audit);
    command_server_free(agent->server);
    g_free(agent);
    return TRUE;
}

/* ---- queries ---- */

typedef struct Query {
    CommandCall *call;
    JsonObject *arguments; /* borrowed from the call */
    AgentQueryFunc run;
    JsonNode *answer;
    GError *error;
} Query;

static void query_run(gpointer work)
{
    Query *query = work;
    query->answer = query->run(query->arguments, &query->error);
}

static void query_done(gpointer work)
{
    Query *query = work;
    if (query->answer)
        command_call_return(query->call, query->answer);
    else
        command_call_take_error(query->call, query->error);
    g_free(query);
}

void agent_answer_in_thread(Agent *agent, CommandCall *call, JsonObject *arguments, AgentQueryFunc run)
{
    Query *query = g_new0(Query, 1);
    *query = (Query){.call = call, .arguments = arguments, .run = run};
    worker_run(agent->worker, query_run, query_done, query);
}

JsonNode *agent_empty_answer(void)
{
    g_autoptr(JsonObject) object = json_object_new();
    return json_node_init_object(json_node_alloc(), object);
}

void agent_helper_done(int status, GError *error, gpointer call)
{
    if (error)
        command_call_take_error(call, error);
    else
        command_call_return_empty(call);
}
