// SPDX-License-Identifier: GPL-2.0-or-later
/* options: the command line, word for word as qemu-ga's users write it. */
#pragma once

#include "guest-agent/transport.h"

typedef struct Options {
    const TransportOps *transport;
    char *path;     /* of the port or socket */
    char *log_file; /* NULL: standard error */
    char *pid_file; /* NULL: none */
    char *state_dir;
    gboolean verbose;
    gboolean daemonize;
} Options;

typedef enum {
    OPTIONS_RUN,  /* go on */
    OPTIONS_DONE, /* help or version has been printed: exit status 0 */
    OPTIONS_BAD,  /* told on standard error: exit status 1 */
} OptionsResult;

OptionsResult options_parse(Options *options, int argc, char **argv);
void options_clear(Options *options);
