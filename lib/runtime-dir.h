// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * runtime-dir: where running guests are found.
 *
 * $VIRT_SUITE_RUNTIME_DIR, else $XDG_RUNTIME_DIR/virt-suite, else /run/virt-suite (root) or
 * /tmp/virt-suite-UID. One folder a guest, named after it, holding qmp.sock, agent.sock, console.sock, pid
 * and log.
 */
#pragma once

#include <gio/gio.h>

/* The folder's path (owned). */
char *runtime_dir_path(void);
/* Makes sure it exists (0700) and belongs to us. */
gboolean runtime_dir_ensure(GError **error);
/* A guest's own folder or a file in it. Bad names ("..", with '/', empty, over 64 bytes) give NULL
 * and error. */
char *runtime_dir_guest_path(const char *guest, const char *file, GError **error);
/* Names of the folders present, sorted (g_strfreev). */
char **runtime_dir_list_guests(GError **error);
/* The same in another folder. */
char **runtime_dir_list_guests_in(const char *folder, GError **error);
