// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl: what balloonctl's verbs share.
 */
#pragma once

#include <glib.h>

typedef struct Call {
    char *socket; /* NULL: the usual one */
    char *root;   /* NULL: this machine's /proc and /sys */
    gboolean json;
} Call;

/* Tells it, takes it; 1, which a program that has failed ends with. */
int ctl_fail(GError *error);

/* A verb that needs no daemon, or has much to do. words: NULL-terminated, as many as the verb wants. The
 * program's exit status. */
int top_verb(const Call *call, char **words);
int place_verb(const Call *call, char **words);
int import_mom_verb(const Call *call, char **words);
int import_ksmtuned_verb(const Call *call, char **words);
