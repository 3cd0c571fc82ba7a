// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options: a verb's options, its help text, and the values that people write (seconds, sizes, counts).
 */
#pragma once

#include "host-vmm/vmctl/vmctl.h"

/* Parses the verb's options out of `words`, which keeps what is no option, in order. Strings are taken as
 * bytes (G_OPTION_ARG_FILENAME). Returns -1 to go on; else the status to exit with at once, help or error
 * having been printed.
 * `--help` and `-h` are added to `entries`. */
int options_parse(const Verb *verb, const GOptionEntry *entries, char **words);

/* Says what is wrong with a verb's words and where its help is. Returns VMCTL_USAGE. */
int options_usage_error(const Verb *verb, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* "30", "0.5": above 0, at most 1,000,000 s. `what` names the option in the error. */
gboolean options_parse_seconds(const char *what, const char *text, guint *ms, GError **error);
/* "512M", "2G", "512" (MiB): whole MiB. 0 is let through: the monitor says what it thinks of it. */
gboolean options_parse_memory(const char *what, const char *text, guint64 *mib, GError **error);
/* A plain decimal number up to 65,535. */
gboolean options_parse_count(const char *what, const char *text, guint *count, GError **error);
