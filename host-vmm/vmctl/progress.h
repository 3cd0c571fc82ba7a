// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * progress: a line on stderr that tells how far a transfer is, if stderr is a terminal; else nothing.
 */
#pragma once

#include <gio/gio.h>

typedef struct Progress Progress;

/* label: a file's name. total: bytes, 0 if it is not known. */
Progress *progress_new(const char *label, guint64 total);
/* Bytes done in all; those of the first call (a transfer that is resumed) do not count for the speed. */
void progress_set(Progress *progress, guint64 done);
/* Takes the line away. */
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)
