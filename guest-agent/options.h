// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options: what the command line and the configuration file say, word for word as qemu-ga's users write it,
 * and what only our own file knows.
 */
#pragma once

#include "guest-agent/transport.h"

/* In front of everything: the program is called by this name, or the configuration is qemu-ga's file. */
#define OPTIONS_COMPATIBLE_NAME "qemu-ga"

typedef struct Options {
    const TransportOps *transport;
    gboolean compatible; /* behaves as qemu-ga where we would rather not: no deadline, no commands of ours */

    /* group [general], which qemu-ga has too */
    gboolean daemonize, verbose, retry_path;
    char *method;
    char *path;        /* of the port or socket */
    char *log_file;    /* NULL: standard error */
    char *pid_file;    /* NULL: none */
    char *freeze_hook; /* a program or a folder of programs; NULL: none */
    char *state_dir;
    char *block_rpcs, *allow_rpcs; /* names with ',' between; NULL: none */

    /* our own groups */
    gint64 freeze_deadline; /* s; 0: none */
    gint64 hook_timeout;    /* s a hook; 0: none */
    char **exec_allow, **exec_deny;
    char **users_allow, **users_deny;
    char **hidden_interfaces;
    gint64 message_bytes, file_handles, exec_output_bytes;

    char *file; /* that was read; NULL: none */
} Options;

typedef enum {
    OPTIONS_RUN,           /* go on */
    OPTIONS_DONE,          /* help, version or the configuration has been printed: exit status 0 */
    OPTIONS_LIST_COMMANDS, /* -b help: to be printed by who knows them */
    OPTIONS_BAD,           /* told on standard error: exit status 1 */
} OptionsResult;

/* The file is that of -c, else that of $QGA_CONF, else /etc/guest-agent.conf, else /etc/qemu/qemu-ga.conf;
 * only the latter if the program is called qemu-ga. The command line comes before it; lists are joined. */
OptionsResult options_parse(Options *options, int argc, char **argv);
void options_clear(Options *options);

/* ---- options-file.c ---- */

/* Takes what the file has. strict: what we do not know is an error, not a warning: a deny rule with a slip in
 * its key must not be passed over. FALSE and error: nothing is to be trusted. */
gboolean options_load(Options *options, const char *file, gboolean strict, GError **error);
/* As a configuration file that says the same (g_free). */
char *options_dump(const Options *options);
/* Appends names to a list of names. */
void options_join(char **list, const char *names);
