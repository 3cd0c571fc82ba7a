// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options: virt-who's command line, upstream's with a few options more.
 */
#pragma once

#include <glib.h>

typedef struct Options {
    gboolean debug, oneshot, print, status, json, version, check_config, strict;
    int interval; /* seconds; 0: not given */
    char **configs;
    char *root, *status_file, *metrics_file;
} Options;

/* What main() should return, or -1: go on. */
int options_read(Options *options, int argc, char **argv);
void options_clear(Options *options);
