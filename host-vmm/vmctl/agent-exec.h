// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent-exec: what `vmctl agent GUEST exec` shares with its two ways: guest-exec-stream, where the agent has
 * it, and guest-exec, which takes all input beforehand and gives all output at the end.
 */
#pragma once

#include "host-vmm/vmctl/agent-words.h"
#include "host-vmm/vmctl/interrupt.h"

typedef struct Exec Exec;

typedef struct ExecWay {
    /* Before signals are caught: what may have to be waited for. */
    gboolean (*prepare)(Exec *exec, GError **error);
    /* Starts the program (words: its name and arguments) and sets exec->pid. */
    gboolean (*start)(Exec *exec, char **words, GError **error);
    /* One question. TRUE: it has ended; *result is the status for our caller. FALSE with an error, or to ask
     * again. */
    gboolean (*ask)(Exec *exec, int *result, GError **error);
    void (*send_signal)(Exec *exec, int number);
} ExecWay;

extern const ExecWay EXEC_PLAIN, EXEC_STREAM;

struct Exec {
    const AgentTask *task;
    const ExecWay *way;
    AgentLink *link;
    Interrupt *interrupt;
    gint64 deadline; /* of the whole; 0: none */
    gint64 pid;
    gboolean is_late, is_cut; /* the deadline has passed; output is missing */

    /* plain */
    char *input; /* base64, or NULL */
    guint pause; /* ms */

    /* stream */
    GByteArray *pending; /* read from standard input, not taken yet */
    gboolean input_ended, input_told;
    guint wait; /* ms: how long the agent may wait for something to tell */
    int signal; /* to be sent with the next question; 0: none */
};

/* Until when one answer has to come. */
gint64 exec_answer_deadline(const Exec *exec);
/* path, arg and env of the program. */
JsonObject *exec_program(const Exec *exec, char **words);
/* Takes the process id of a start's reply. */
gboolean exec_take_pid(Exec *exec, const char *command, JsonNode *reply, GError **error);
/* Writes a member's bytes out as they are, as ssh does. */
gboolean exec_pass_on(JsonObject *status, const char *member, int fd, GError **error);
/* "exitcode" or "signal" as a shell says it. */
int exec_result(JsonObject *status);
