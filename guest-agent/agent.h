// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent: what the commands share: the command server and the state of each subject.
 *
 * A subject (files, processes, …) is one commands-SUBJECT.c: its rows are a table named here, its state a
 * struct known to that file alone. Handlers get the Agent as `data`.
 */
#pragma once

#include "guest-agent/audit.h"
#include "guest-agent/options.h"
#include "guest-agent/worker.h"
#include "lib/command.h"

typedef struct AgentFiles AgentFiles;     /* commands-file.c */
typedef struct AgentExec AgentExec;       /* commands-exec.c */
typedef struct AgentStreams AgentStreams; /* commands-stream.c */
typedef struct AgentFreeze AgentFreeze;   /* commands-freeze.c */

typedef struct Agent {
    const Options *options;
    CommandServer *server;
    Worker *worker;
    Audit *audit;
    AgentFiles *files;
    AgentExec *exec;
    AgentStreams *streams;
    AgentFreeze *freeze;
} Agent;

extern const Command COMMANDS_SYNC[];    /* guest-sync, -sync-delimited, -ping, -info */
extern const Command COMMANDS_OS[];      /* guest-get-osinfo, -host-name */
extern const Command COMMANDS_TIME[];    /* guest-get-time, guest-set-time, guest-get-timezone */
extern const Command COMMANDS_CPU[];     /* guest-get-vcpus, -set-vcpus */
extern const Command COMMANDS_MEMORY[];  /* guest-get-memory-blocks, -set-, guest-get-memory-block-info */
extern const Command COMMANDS_STATS[];   /* guest-get-load, -cpustats, -diskstats */
extern const Command COMMANDS_DISK[];    /* guest-get-disks, -fsinfo */
extern const Command COMMANDS_USER[];    /* guest-get-users, guest-set-user-password */
extern const Command COMMANDS_SSH[];     /* guest-ssh-*-authorized-keys */
extern const Command COMMANDS_FILE[];    /* guest-file-* */
extern const Command COMMANDS_EXEC[];    /* guest-exec, -exec-status */
extern const Command COMMANDS_POWER[];   /* guest-shutdown */
extern const Command COMMANDS_SUSPEND[]; /* guest-suspend-* */
extern const Command COMMANDS_NET[];     /* guest-network-get-interfaces, -route */
extern const Command COMMANDS_FREEZE[];  /* guest-fsfreeze-* */
extern const Command COMMANDS_STREAM[];  /* guest-exec-stream, -stream-io; not when compatible */
extern const Command COMMANDS_TRIM[];    /* guest-fstrim */
/* All of them, ended by NULL. */
extern const Command *const AGENT_TABLES[];

/* options: borrowed for as long as the agent lives. A state folder that cannot be written costs only what is
 * kept there (the file handle counter). */
Agent *agent_new(const Options *options);
/* Prints the names of all commands on standard output, one a line. */
void agent_list_commands(void);
/* After the transport has stopped. FALSE if work in threads is still running, see worker_free(). */
gboolean agent_free(Agent *agent);

/* Runs run(arguments) in a thread, since it may block, and answers the call with what it gives (taken)
 * or, if that is NULL, with the error. It may read the arguments and nothing else that the main thread
 * may touch. */
typedef JsonNode *(*AgentQueryFunc)(JsonObject *arguments, GError **error);
void agent_answer_in_thread(Agent *agent, CommandCall *call, JsonObject *arguments, AgentQueryFunc run);
/* {} for such an answer. */
JsonNode *agent_empty_answer(void);
/* A HelperDoneFunc (helper.h) for a command that is nothing but its helper: answers the call. */
void agent_helper_done(int status, GError *error, gpointer call);

AgentFiles *agent_files_new(Agent *agent, const char *state_dir);
void agent_files_free(AgentFiles *files);
AgentExec *agent_exec_new(Agent *agent);
void agent_exec_free(AgentExec *exec); /* processes still running are left to themselves */
/* "path" with "arg", and "env" (NULL: not given), of guest-exec and its like: NULL-terminated, borrowed
 * strings (g_ptr_array_unref). */
GPtrArray *agent_exec_argv(JsonObject *arguments);
GPtrArray *agent_exec_env(JsonObject *arguments);
AgentStreams *agent_streams_new(Agent *agent);
void agent_streams_free(AgentStreams *streams); /* processes still running lose their pipes */
/* Finds the mark that an agent before us has left: then all is frozen from the start. */
AgentFreeze *agent_freeze_new(Agent *agent);
/* FALSE, and nothing is freed, if the kernel is still at it. */
gboolean agent_freeze_free(AgentFreeze *freeze);
/* Calls func when no file system is frozen (any more). One func at a time: the last one given. */
void agent_freeze_when_thawed(AgentFreeze *freeze, void (*func)(gpointer user_data), gpointer user_data);
/* Before the agent ends: thaws what is frozen, then calls func. */
void agent_freeze_end(AgentFreeze *freeze, void (*func)(gpointer user_data), gpointer user_data);
