// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pidfile: the file that says which process runs a guest, locked as long as it does.
 */
#pragma once

#include <gio/gio.h>

typedef struct Pidfile Pidfile;

/* Writes this process's id. What a dead process has left behind is taken over; a file that somebody holds ("…
 * is locked by another running process") or that is no ordinary file is an error. Not before the last fork().
 */
Pidfile *pidfile_new(const char *path, GError **error);
/* Removes the file. */
void pidfile_free(Pidfile *pidfile);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pidfile, pidfile_free)
