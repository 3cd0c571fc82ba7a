// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/runtime-dir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define NAME_BYTES 64
#define FOLDER     "virt-suite"

/* An environment variable that holds an absolute path (the XDG base directory specification has others
 * ignored). */
static const char *absolute_from_environment(const char *variable)
{
    const char *path = g_getenv(variable);

    return path && g_path_is_absolute(path) ? path : NULL;
}

char *runtime_dir_path(void)
{
    const char *own = g_getenv("VIRT_SUITE_RUNTIME_DIR");
    const char *xdg = absolute_from_environment("XDG_RUNTIME_DIR");

    if (own && *own) {
        return g_canonicalize_filename(own, NULL);
    }
    if (xdg) {
        return g_build_filename(xdg, FOLDER, NULL);
    }
    if (geteuid() == 0) {
        return g_strdup("/run/" FOLDER);
    }
    return g_strdup_printf("/tmp/" FOLDER "-%u", (guint)geteuid());
}

/* lstat: in /tmp, somebody else's symbolic link must not lead us elsewhere. */
static gboolean check_folder(const char *path, GError **error)
{
    struct stat info;

    if (g_lstat(path, &info) < 0) {
        int code = errno;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "runtime folder '%s': %s", path,
                    g_strerror(code));
        return FALSE;
    }
    if (!S_ISDIR(info.st_mode)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOTDIR, "runtime folder '%s' is not a folder", path);
        return FALSE;
    }
    if (info.st_uid != geteuid()) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM,
                    "runtime folder '%s' belongs to user %u, not to %u", path, (guint)info.st_uid,
                    (guint)geteuid());
        return FALSE;
    }
    if (info.st_mode & (S_IWGRP | S_IWOTH)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM,
                    "runtime folder '%s' can be written by others (mode %04o): chmod 700 it", path,
                    (guint)(info.st_mode & 07777));
        return FALSE;
    }
    return TRUE;
}

gboolean runtime_dir_ensure(GError **error)
{
    g_autofree char *path = runtime_dir_path();

    /* Makes parents too, and is content if all is there. */
    if (g_mkdir_with_parents(path, 0700) < 0 && errno != EEXIST) {
        int code = errno;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "cannot make runtime folder '%s': %s",
                    path, g_strerror(code));
        return FALSE;
    }
    return check_folder(path, error);
}

static gboolean check_name(const char *what, const char *name, GError **error)
{
    const char *wrong = NULL;

    if (!*name) {
        wrong = "is empty";
    } else if (strlen(name) > NAME_BYTES) {
        wrong = "is longer than " G_STRINGIFY(NAME_BYTES) " bytes";
    } else if (*name == '.') {
        wrong = "begins with a dot";
    } else if (strchr(name, '/')) {
        wrong = "contains a slash";
    } else if (!g_utf8_validate(name, -1, NULL)) {
        wrong = "is not UTF-8";
    } else {
        for (const char *p = name; *p; p++) {
            if (g_ascii_iscntrl(*p)) {
                wrong = "contains a control character";
            }
        }
    }
    if (wrong) {
        g_autofree char *shown = g_strescape(name, NULL);

        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME, "%s name '%.80s' %s", what, shown, wrong);
        return FALSE;
    }
    return TRUE;
}

char *runtime_dir_guest_path(const char *guest, const char *file, GError **error)
{
    g_return_val_if_fail(guest != NULL, NULL);

    if (!check_name("guest", guest, error) || (file && !check_name("file", file, error))) {
        return NULL;
    }

    g_autofree char *folder = runtime_dir_path();
    g_autofree char *path = g_build_filename(folder, guest, file, NULL);
    gsize longest = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (file && g_str_has_suffix(file, ".sock") && strlen(path) > longest) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_FILENAME,
                    "'%s' is too long for a socket (%" G_GSIZE_FORMAT
                    " bytes at most): use a shorter guest name or "
                    "set VIRT_SUITE_RUNTIME_DIR",
                    path, longest);
        return NULL;
    }
    return g_steal_pointer(&path);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **runtime_dir_list_guests(GError **error)
{
    g_autofree char *path = runtime_dir_path();

    return runtime_dir_list_guests_in(path, error);
}

char **runtime_dir_list_guests_in(const char *path, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) missing = NULL;

    if (check_folder(path, &missing)) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, error);
        const char *name;

        if (!dir) {
            return NULL;
        }
        while ((name = g_dir_read_name(dir))) {
            g_autofree char *folder = g_build_filename(path, name, NULL);
            struct stat info;

            if (check_name("guest", name, NULL) && g_lstat(folder, &info) == 0 && S_ISDIR(info.st_mode)) {
                g_ptr_array_add(names, g_strdup(name));
            }
        }
        g_ptr_array_sort(names, compare_names);
    } else if (!g_error_matches(missing, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_error(error, g_steal_pointer(&missing));
        return NULL;
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}
