// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * processes: which process runs a guest, where its source does not tell: that with "-uuid UUID" on its
 * command line, as libvirt starts QEMU.
 */
#pragma once

#include <glib.h>

typedef struct Processes Processes;

/* root: "" for this machine. */
Processes *processes_new(const char *root);
void processes_free(Processes *processes);
/* 0: not known (yet). /proc is searched at most each five seconds, less often when that finds nobody new. */
int processes_find(Processes *processes, const char *uuid, gint64 now);
/* That guest has gone, or runs anew. */
void processes_forget(Processes *processes, const char *uuid);
/* Only digits: the name of a process's folder in /proc; 0: it is none. */
int processes_number(const char *name);
