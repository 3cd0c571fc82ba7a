// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fake-root.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *fake_root;

void fake_root_setup(void)
{
    fake_root = g_dir_make_tmp("root-XXXXXX", NULL);
    ck_assert_ptr_nonnull(fake_root);
}

void fake_root_teardown(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fake_root);
    ck_assert_int_eq(system(command), 0);
    g_clear_pointer(&fake_root, g_free);
}

/* The real name, with its folder made. */
static char *make_way(const char *name)
{
    char *path = g_strconcat(fake_root, name, NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    ck_assert_int_eq(g_mkdir_with_parents(folder, 0755), 0);
    return path;
}

void fake_root_file(const char *name, const char *text, int mode)
{
    g_autofree char *path = make_way(name);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    ck_assert_int_eq(g_chmod(path, mode), 0);
}

void fake_root_link(const char *name, const char *target)
{
    g_autofree char *path = make_way(name);
    ck_assert_int_eq(symlink(target, path), 0);
}

void fake_root_folder(const char *name)
{
    g_autofree char *path = make_way(name);
    ck_assert_int_eq(g_mkdir_with_parents(path, 0755), 0);
}

char *fake_root_read(const char *name)
{
    g_autofree char *path = g_strconcat(fake_root, name, NULL);
    char *text = NULL;
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}
