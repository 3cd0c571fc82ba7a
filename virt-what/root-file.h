// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading small files below a root, the machine's own or a copy of one somewhere: bounded, and never waiting
 * for what is not a regular file (a FIFO, a device).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ROOT_PATH_MAX 4096

typedef enum {
    ROOT_FILE_READ,
    ROOT_FILE_ABSENT, // not there, or nothing that could be read: a folder, a FIFO, a dangling link
    ROOT_FILE_DENIED, // there, or may be there, but not for us
} RootFileStatus;

typedef struct {
    char *bytes; // NUL-terminated; free() it
    size_t length;
} RootText;

/* Puts ROOT (NULL: the machine's own) and PATH (which begins with a slash) together; false if it gets too
 * long. */
bool root_path(char full[ROOT_PATH_MAX], const char *root, const char *path);

/* Reads up to limit bytes of a file. On anything but ROOT_FILE_READ text is empty, its bytes NULL. */
RootFileStatus root_file_read(const char *root, const char *path, size_t limit, RootText *text);

/* Reads up to size bytes from an offset of a regular file or a device (such as /dev/cpu/0/msr); false unless
 * all came. */
bool root_file_read_at(const char *root, const char *path, long long offset, void *bytes, size_t size);

/* Whether something is there, whatever it is. */
bool root_file_exists(const char *root, const char *path);
