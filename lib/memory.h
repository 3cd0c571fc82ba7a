// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory: gives back to the system what a huge message has taken.
 *
 * Programs of this suite run for months; one request of 64 MiB must not be seen in their size ever after.
 */
#pragma once

#include <glib.h>

/* A message of more bytes or tokens than this is worth it. */
#define MEMORY_HUGE_BYTES  (256 << 10)
#define MEMORY_HUGE_TOKENS 4096

/* Gives back what can be given back now: takes milliseconds. */
void memory_give_back(void);

/* Arranges for the heap to be trimmed when things have been quiet for a second, and GLib's caches a little
 * later (GLib before 2.76 keeps freed slices for 15 s). From the thread's default main context; cheap. */
void memory_give_back_later(void);

/* Takes code out of this process's resident memory: what only starting and connecting needed. It stays in the
 * page cache, and what is run comes back by itself. For daemons that wait for hours. */
void memory_drop_code(void);
