// SPDX-License-Identifier: GPL-2.0-or-later
/* text-file: small files of the kernel and of the system, read whole. */
#pragma once

#include <glib.h>

#define TEXT_FILE_MAX ((gsize)16 << 20) /* bytes; a bigger one is EFBIG */

/* The text of the file root + path (root "" for the real one), ended by a NUL and without the line feeds at
 * its end (g_free). NULL, and the cause in *errnum (0 on success; may be NULL), if it cannot be read. A FIFO
 * or device does not block it: what is no regular file is EINVAL. */
char *text_file_read(const char *root, const char *path, int *errnum);

/* Writes a word into an existing file of the kernel in one go: 0, or the cause. */
int text_file_write(const char *root, const char *path, const char *word);
