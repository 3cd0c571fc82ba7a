// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/mounts.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Fields of a line before the optional ones, which a "-" ends. */
enum { FIELD_DEVICE = 2, FIELD_PATH = 4, FIELD_OPTIONAL = 6 };

static void mount_free(gpointer data)
{
    Mount *mount = data;
    g_free(mount->path);
    g_free(mount->type);
    g_free(mount);
}

/* Takes off the kernel's \ooo for blank, tab, line feed and backslash. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        guint value;
        if (*from == '\\' && strspn(from + 1, "01234567") >= 3 && sscanf(from + 1, "%3o", &value) == 1 &&
            value <= 0xff) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* FALSE if the file is no block device. */
static gboolean device_of_node(const char *root, const char *node, guint *major_number, guint *minor_number)
{
    struct stat st;
    g_autofree char *path = g_strconcat(root, node, NULL);
    if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
        return FALSE;
    *major_number = major(st.st_rdev);
    *minor_number = minor(st.st_rdev);
    return TRUE;
}

/* NULL if the line is none of ours. */
static Mount *parse_line(const char *root, const char *line)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", -1);
    guint dash = 0, major_number, minor_number;
    for (guint i = 0; fields[i] && !dash; i++) {
        if (i >= FIELD_OPTIONAL && g_str_equal(fields[i], "-"))
            dash = i;
    }
    if (!dash || !fields[dash + 1] || !fields[dash + 2] ||
        sscanf(fields[FIELD_DEVICE], "%u:%u", &major_number, &minor_number) != 2)
        return NULL;
    const char *type = fields[dash + 1];
    char *source = fields[dash + 2];
    unescape(source);
    unescape(fields[FIELD_PATH]);
    if (!major_number &&
        (!g_str_equal(type, "btrfs") || !device_of_node(root, source, &major_number, &minor_number)))
        return NULL;
    Mount *mount = g_new0(Mount, 1);
    mount->path = g_strdup(fields[FIELD_PATH]);
    mount->type = g_strdup(type);
    mount->major = major_number;
    mount->minor = minor_number;
    return mount;
}

GPtrArray *mounts_list(const char *root, GError **error)
{
    g_autofree char *path = g_strconcat(root, "/proc/self/mountinfo", NULL);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, error))
        return NULL;
    GPtrArray *mounts = g_ptr_array_new_with_free_func(mount_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        Mount *mount = parse_line(root, *line);
        if (!mount)
            continue;
        gint64 *device = g_new(gint64, 1);
        *device = (gint64)mount->major << 32 | mount->minor;
        if (g_hash_table_add(seen, device))
            g_ptr_array_add(mounts, mount);
        else
            mount_free(mount);
    }
    return mounts;
}
