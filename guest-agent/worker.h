// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * worker: work that may block (a disk, a dead network mount) goes to a few threads, so that the main loop
 * never waits.
 */
#pragma once

#include <glib.h>

typedef struct Worker Worker;
typedef void (*WorkFunc)(gpointer work);

/* Threads are started when needed and end when idle. */
Worker *worker_new(void);
/* FALSE if work is still running: then nothing is freed, and the process must leave by _exit(). */
gboolean worker_free(Worker *worker);

/* Calls run(work) in some thread and then done(work) from the main loop. Two works may run side by side:
 * whoever needs an order hands over the next one from done(). */
void worker_run(Worker *worker, WorkFunc run, WorkFunc done, gpointer work);
