// SPDX-License-Identifier: GPL-2.0-or-later
/* fake-root: a made-up guest in a folder, for modules that put a `root` before each file name. */
#pragma once

#include <glib.h>

/* Made by fake_root_setup(), without a "/" at its end. */
extern char *fake_root;

/* A checked fixture: once for each test. */
void fake_root_setup(void);
void fake_root_teardown(void);

/* `name` begins with "/"; folders on the way are made. */
void fake_root_file(const char *name, const char *text, int mode);
void fake_root_link(const char *name, const char *target);
void fake_root_folder(const char *name);
/* What a file holds now (g_free). */
char *fake_root_read(const char *name);
