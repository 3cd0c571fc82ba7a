// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options: virt-top's command line and its init file.
 */
#pragma once

#include "virt-top/lines.h"

typedef enum { VIEW_DOMAINS, VIEW_PCPU, VIEW_NET, VIEW_BLOCK } View;

typedef struct Options {
    GPtrArray *uris; /* of char *; empty: libvirt's default */
    View view;
    double delay;       /* s */
    guint64 iterations; /* 0: endless */
    gint64 end_time;    /* s since 1970; 0: none */
    double hist_cpu;    /* s */
    SortKey sort;
    LineOptions lines;
    char *csv, *debug, *prometheus; /* files; prometheus: or an address; NULL: not wanted */
    gboolean batch, script, stream, json, secure, actions, no_host_vmm;
    gboolean ascii, no_colour, tree, meters;
    guint columns;   /* bits of UiColumn */
    char *init_file; /* NULL: none */
    gboolean overwrite_init_file;
} Options;

typedef enum { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_USAGE, OPTIONS_FAILED } OptionsResult;

/* Reads the command line and then the init file, which wins, as with 1.1.1. Prints what there is to say:
 * DONE: status 0; USAGE: status 2; FAILED: status 1. now: s since 1970. */
OptionsResult options_read(Options *options, int argc, char **argv, gint64 now);
void options_clear(Options *options);

/* cpu|processor, mem|memory, time, id, name, netrx, nettx, blockrdrq, blockwrrq. FALSE: none of them. */
gboolean options_parse_sort(const char *text, SortKey *key);
const char *options_sort_name(SortKey key);
/* YYYY-MM-DD HH:MM:SS, HH:MM:SS (today), +HH:MM:SS, +SECONDS. FALSE if it is none of them. */
gboolean options_parse_end_time(const char *text, gint64 now, gint64 *time);
/* Applies a line of an init file; NULL, or why not (owned). */
char *options_take_line(Options *options, const char *line, gint64 now);
/* Writes the init file, keeping the old one as FILE.old. */
gboolean options_write(const Options *options, const char *uri, GError **error);
/* Names of the further columns for the init file, in the order of their bits. */
extern const char *const OPTIONS_COLUMNS[];
