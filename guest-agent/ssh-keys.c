// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/ssh-keys.h"
#include "guest-agent/rights.h"
#include "guest-agent/text-file.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

gboolean ssh_key_is_valid(const char *key)
{
    return key[0] != '#' && !strchr(key, '\n');
}

/* ---- being the user ---- */

/* What the thread had before. The system calls are made directly: the C library's would change all threads.
 */
typedef struct Identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[NGROUPS_MAX];
    long group_count;
} Identity;

static int set_groups(long count, const gid_t *groups)
{
    return (int)syscall(SYS_setgroups, count, groups);
}

static void identity_restore(const Identity *old)
{
    setfsuid(old->uid);
    setfsgid(old->gid);
    if (old->group_count >= 0 && set_groups(old->group_count, old->groups) < 0)
        g_critical("the groups of a thread cannot be set back: %s", g_strerror(errno));
}

/* The groups are given up before the rest, so that nothing is readable by ours. */
static gboolean identity_become(Identity *old, const struct passwd *user, GError **error)
{
    *old = (Identity){.uid = geteuid(), .gid = getegid(), .group_count = -1};
    if (old->uid == user->pw_uid && old->uid != 0)
        return TRUE; /* we are nobody else */
    old->group_count = getgroups(NGROUPS_MAX, old->groups);
    if (set_groups(1, &user->pw_gid) < 0) {
        g_autofree char *why = rights_explain(errno, CAP_SETGID);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "failed to act with the rights of user '%s': %s", user->pw_name, why);
        old->group_count = -1;
        return FALSE;
    }
    setfsgid(user->pw_gid);
    setfsuid(user->pw_uid);
    if ((uid_t)setfsuid((uid_t)-1) == user->pw_uid && (gid_t)setfsgid((gid_t)-1) == user->pw_gid)
        return TRUE;
    g_autofree char *why = rights_explain(EPERM, CAP_SETUID);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                "failed to act with the rights of user '%s': %s", user->pw_name, why);
    identity_restore(old);
    return FALSE;
}

/* ---- the file ---- */

typedef struct KeyFile {
    char *folder, *path;
} KeyFile;

/* The lines, NULL without error if there is no file. */
static char **read_lines(const KeyFile *file, GError **error)
{
    int errnum;
    g_autofree char *text = text_file_read("", file->path, &errnum);
    if (text && strlen(text) > SSH_KEYS_FILE_MAX)
        errnum = EFBIG;
    if (!errnum)
        return *text ? g_strsplit(text, "\n", -1) : g_new0(char *, 1);
    if (errnum != ENOENT)
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "failed to read '%s': %s", file->path,
                    g_strerror(errnum));
    return NULL;
}

static gboolean make_folder(const KeyFile *file, GError **error)
{
    if (g_file_test(file->folder, G_FILE_TEST_IS_DIR) || g_mkdir(file->folder, 0700) == 0)
        return TRUE;
    int errnum = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errnum), "failed to create directory '%s': %s",
                file->folder, g_strerror(errnum));
    return FALSE;
}

/* In place of the old file at once, so that sshd never sees half of it. */
static gboolean write_lines(const KeyFile *file, const GPtrArray *lines, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++)
        g_string_append_printf(text, "%s\n", (const char *)lines->pdata[i]);
    g_autoptr(GError) why = NULL;
    if (text->len > SSH_KEYS_FILE_MAX)
        g_set_error(&why, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "more than %u bytes", (guint)SSH_KEYS_FILE_MAX);
    else
        g_file_set_contents_full(file->path, text->str, (gssize)text->len,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, &why);
    if (!why && g_chmod(file->path, 0600) < 0)
        g_set_error_literal(&why, G_IO_ERROR, g_io_error_from_errno(errno), g_strerror(errno));
    if (!why)
        return TRUE;
    g_set_error(error, why->domain, why->code, "failed to write to '%s': %s", file->path, why->message);
    return FALSE;
}

/* ---- what is done ---- */

/* Runs with the rights of the user. */
typedef gboolean (*KeyFileFunc)(const KeyFile *file, gpointer data, GError **error);

static gboolean with_file_of(const char *user, KeyFileFunc func, gpointer data, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autofree struct passwd *entry = g_unix_get_passwd_entry(user, &why);
    if (!entry) {
        gboolean unknown = g_str_equal(why->message, g_strerror(0));
        g_set_error(error, why->domain, why->code, "failed to lookup user '%s': %s", user,
                    unknown ? "no such user" : why->message);
        return FALSE;
    }
    g_autofree char *folder = g_build_filename(entry->pw_dir, ".ssh", NULL);
    g_autofree char *path = g_build_filename(folder, "authorized_keys", NULL);
    KeyFile file = {folder, path};
    g_autofree Identity *old = g_new(Identity, 1);
    if (!identity_become(old, entry, error))
        return FALSE;
    gboolean done = func(&file, data, error);
    identity_restore(old);
    return done;
}

static gboolean list(const KeyFile *file, gpointer data, GError **error)
{
    GPtrArray *keys = data;
    GError *why = NULL;
    g_auto(GStrv) lines = read_lines(file, &why);
    if (why) {
        g_propagate_error(error, why);
        return FALSE;
    }
    if (!lines) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "failed to read '%s': %s", file->path,
                    g_strerror(ENOENT));
        return FALSE;
    }
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (**line && **line != '#')
            g_ptr_array_add(keys, g_strdup(*line));
    }
    return TRUE;
}

char **ssh_keys_list(const char *user, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    if (!with_file_of(user, list, keys, error))
        return NULL;
    g_ptr_array_add(keys, NULL);
    g_ptr_array_set_free_func(keys, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&keys), FALSE);
}

typedef struct Change {
    const char *const *keys;
    gboolean reset;
} Change;

static gboolean add(const KeyFile *file, gpointer data, GError **error)
{
    const Change *change = data;
    GError *why = NULL;
    g_auto(GStrv) lines = change->reset ? NULL : read_lines(file, &why);
    if (why) {
        g_propagate_error(error, why);
        return FALSE;
    }
    if (!lines && !make_folder(file, error))
        return FALSE;
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    for (char **line = lines; line && *line; line++) {
        g_ptr_array_add(all, *line);
        g_hash_table_add(known, *line);
    }
    for (const char *const *key = change->keys; *key; key++) {
        if (g_hash_table_add(known, (gpointer)*key))
            g_ptr_array_add(all, (gpointer)*key);
    }
    return write_lines(file, all, error);
}

gboolean ssh_keys_add(const char *user, const char *const *keys, gboolean reset, GError **error)
{
    Change change = {keys, reset};
    return with_file_of(user, add, &change, error);
}

static gboolean remove_from(const KeyFile *file, gpointer data, GError **error)
{
    const Change *change = data;
    GError *why = NULL;
    g_auto(GStrv) lines = read_lines(file, &why);
    if (why) {
        g_propagate_error(error, why);
        return FALSE;
    }
    if (!lines)
        return TRUE;
    g_autoptr(GPtrArray) rest = g_ptr_array_new();
    for (char **line = lines; *line; line++) {
        if (!g_strv_contains(change->keys, *line))
            g_ptr_array_add(rest, *line);
    }
    return write_lines(file, rest, error);
}

gboolean ssh_keys_remove(const char *user, const char *const *keys, GError **error)
{
    Change change = {keys, FALSE};
    return with_file_of(user, remove_from, &change, error);
}
