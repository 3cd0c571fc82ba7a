// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-words: what `vmctl agent` does beyond handing on one command: exec, push and pull, freeze and thaw,
 * vcpus. Each gets the words after its own and returns the status to exit with.
 */
#pragma once

#include "host-vmm/vmctl/agent-link.h"
#include "host-vmm/vmctl/vmctl.h"

/* Of exec: what is not the program's own status. */
enum { AGENT_EXEC_FAILED = 255 };

typedef struct AgentTask {
    const Verb *verb;
    AgentTarget target;
    guint timeout_ms;       /* how long one answer may take */
    gboolean has_timeout;   /* --timeout was given */
    gboolean resume, check; /* of push and pull */
    char **environment;     /* of exec: NAME=VALUE, or NULL */
    gboolean no_input;
} AgentTask;

/* words: the program and its arguments. */
int agent_exec(const AgentTask *task, char **words);
int agent_push(const AgentTask *task, char **words);
int agent_pull(const AgentTask *task, char **words);
int agent_freeze(const AgentTask *task, char **words);
int agent_thaw(const AgentTask *task, char **words);
int agent_vcpus(const AgentTask *task, char **words);
