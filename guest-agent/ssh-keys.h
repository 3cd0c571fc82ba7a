// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ssh-keys: the file ~/.ssh/authorized_keys of a user (sshd(8)).
 *
 * Everything is done with the user's own rights on files, not with ours: a home belongs to its user, who may
 * have put a symbolic link to anything there. What is made belongs to the user then, and homes on NFS work.
 * An agent that may not change to the user says so (CAP_SETUID, CAP_SETGID).
 *
 * All functions may block. They are for a thread that waits for nothing else: the rights of the thread that
 * calls are changed, and changed back.
 */
#pragma once

#include <gio/gio.h>

#define SSH_KEYS_FILE_MAX ((gsize)4 << 20) /* bytes that a file may have or get */

/* No comment, no line feed. */
gboolean ssh_key_is_valid(const char *key);

/* The lines that are no comments and not empty (g_strfreev). No file is an error. */
char **ssh_keys_list(const char *user, GError **error);
/* Adds what is not there yet, after what is there or, with reset, in its place; comments stay without it.
 * Makes the folder with mode 0700 and the file with 0600. */
gboolean ssh_keys_add(const char *user, const char *const *keys, gboolean reset, GError **error);
/* A key or a file that is not there is no error. */
gboolean ssh_keys_remove(const char *user, const char *const *keys, GError **error);
