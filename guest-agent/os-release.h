// SPDX-License-Identifier: GPL-2.0-or-later
/* os-release: the operating system's identification file, os-release(5). */
#pragma once

#include <glib.h>

/* The fields of a file's text, name to value, with the shell's quoting taken off; lines that are not
 * NAME=VALUE are left out, a value whose quoting is broken is taken as it stands, bytes that are not UTF-8
 * become U+FFFD. */
GHashTable *os_release_parse(const char *text);
/* The fields of $QGA_OS_RELEASE, or if that is not set of /etc/os-release or /usr/lib/os-release. NULL if
 * there is none. */
GHashTable *os_release_load(void);
