// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_NAME "/run/balloond.state"
#define LOCK_NAME "/run/balloond.lock"
#define BOOT_NAME "/proc/sys/kernel/random/boot_id"
#define MAX_BYTES (1 << 20)
#define COLUMNS   5
/* One that was killed a moment ago still holds the lock until the kernel is done with it. */
#define LOCK_TRIES    10
#define LOCK_PAUSE_US 100000

G_DEFINE_QUARK(balloond - keep - error - quark, keep_error)

/* now: what it was last seen to be after a write of ours; next: what was written last, or was about to be. */
typedef struct Kept {
    const KeepKind *kind;
    char *setting, *before, *now, *next;
} Kept;

struct Keep {
    char *root, *path, *boot;
    const KeepKind *const *kinds;
    GPtrArray *all; /* of Kept, in the order in which they were changed first */
    char *why_not;
    int lock;
};

static void kept_free(gpointer data)
{
    Kept *kept = data;
    g_free(kept->setting);
    g_free(kept->before);
    g_free(kept->now);
    g_free(kept->next);
    g_free(kept);
}

static Kept *find(const Keep *keep, const KeepKind *kind, const char *setting)
{
    for (guint i = 0; i < keep->all->len; i++) {
        Kept *kept = keep->all->pdata[i];
        if (kept->kind == kind && strcmp(kept->setting, setting) == 0)
            return kept;
    }
    return NULL;
}

/* ---- the file ---- */

static gboolean save(Keep *keep, GError **error)
{
    if (keep->all->len == 0) {
        g_unlink(keep->path);
        return TRUE;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "balloond\t%s\n", keep->boot);
    for (guint i = 0; i < keep->all->len; i++) {
        const Kept *kept = keep->all->pdata[i];
        g_string_append_printf(text, "%s\t%s\t%s\t%s\t%s\n", kept->kind->name, kept->setting, kept->before,
                               kept->now, kept->next);
    }
    return g_file_set_contents_full(keep->path, text->str, (gssize)text->len, G_FILE_SET_CONTENTS_CONSISTENT,
                                    0600, error);
}

static const KeepKind *kind_of(const Keep *keep, const char *name)
{
    for (const KeepKind *const *kind = keep->kinds; *kind != NULL; kind++)
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    return NULL;
}

/* What a daemon that was killed has left, if it is of this boot. */
static void load(Keep *keep)
{
    g_autofree char *text = NULL;
    GStatBuf info;
    if (g_lstat(keep->path, &info) != 0)
        return;
    if (!S_ISREG(info.st_mode) || info.st_size > MAX_BYTES ||
        !g_file_get_contents(keep->path, &text, NULL, NULL)) {
        g_warning("%s cannot be read: what it says is not put back", keep->path);
        return;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *first = g_strdup_printf("balloond\t%s", keep->boot);
    if (lines[0] == NULL || strcmp(lines[0], first) != 0) {
        g_info("%s is of another boot", keep->path);
        return;
    }
    for (char **line = lines + 1; *line != NULL; line++) {
        g_auto(GStrv) columns = g_strsplit(*line, "\t", -1);
        const KeepKind *kind = g_strv_length(columns) == COLUMNS ? kind_of(keep, columns[0]) : NULL;
        if (kind == NULL || find(keep, kind, columns[1]) != NULL)
            continue;
        Kept *kept = g_new0(Kept, 1);
        *kept = (Kept){kind, g_strdup(columns[1]), g_strdup(columns[2]), g_strdup(columns[3]),
                       g_strdup(columns[4])};
        g_ptr_array_add(keep->all, kept);
    }
}

/* ---- back ---- */

/* FALSE: it could not be put back, and is to be tried again. */
static gboolean put_back(const Keep *keep, const Kept *kept)
{
    g_autofree char *now = kept->kind->read(keep->root, kept->setting);
    if (now == NULL || strcmp(now, kept->before) == 0)
        return TRUE;
    if (strcmp(now, kept->now) != 0 && strcmp(now, kept->next) != 0) {
        g_message("%s %s: somebody else has set it to %s since; that stays", kept->kind->name, kept->setting,
                  now);
        return TRUE;
    }
    if (kept->kind->write(keep->root, kept->setting, kept->before))
        return TRUE;
    g_warning("%s %s: it cannot be put back to %s: %s", kept->kind->name, kept->setting, kept->before,
              g_strerror(errno));
    return FALSE;
}

/* The last first: a setting may be refused while an earlier one is as it was. */
static void restore(Keep *keep, const KeepKind *kind, const char *setting)
{
    g_autoptr(GError) error = NULL;
    for (guint i = keep->all->len; i-- > 0;) {
        const Kept *kept = keep->all->pdata[i];
        if ((kind == NULL || kept->kind == kind) &&
            (setting == NULL || strcmp(kept->setting, setting) == 0) && put_back(keep, kept))
            g_ptr_array_remove_index(keep->all, i);
    }
    if (!save(keep, &error))
        g_warning("%s", error->message);
}

void keep_restore(Keep *keep, const KeepKind *kind, const char *setting)
{
    if (keep->all->len > 0)
        restore(keep, kind, setting);
}

/* ---- the whole ---- */

static int take_lock(const char *root, char **why_not)
{
    g_autofree char *folder = g_strconcat(root, "/run", NULL);
    g_autofree char *path = g_strconcat(root, LOCK_NAME, NULL);
    if (root[0] != '\0')
        g_mkdir(folder, 0755);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    for (guint i = 0; fd >= 0; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK || i == LOCK_TRIES)
            break;
        g_usleep(LOCK_PAUSE_US);
    }
    *why_not = errno == EWOULDBLOCK ? g_strdup("another balloond changes settings of this host")
                                    : g_strdup_printf("%s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

Keep *keep_open(const char *root, const KeepKind *const *kinds, gboolean dry_run)
{
    Keep *keep = g_new0(Keep, 1);
    g_autofree char *boot = g_strconcat(root, BOOT_NAME, NULL);
    keep->root = g_strdup(root);
    keep->path = g_strconcat(root, FILE_NAME, NULL);
    keep->kinds = kinds;
    keep->all = g_ptr_array_new_with_free_func(kept_free);
    keep->lock = -1;
    if (g_file_get_contents(boot, &keep->boot, NULL, NULL))
        g_strstrip(keep->boot);
    else
        keep->boot = g_strdup("unknown");
    if (dry_run) {
        if (g_file_test(keep->path, G_FILE_TEST_EXISTS))
            g_message("%s: a daemon was killed and has left settings, which a dry run does not put back",
                      keep->path);
        keep->why_not = g_strdup("dry run");
        return keep;
    }
    keep->lock = take_lock(root, &keep->why_not);
    if (keep->lock < 0)
        return keep;
    load(keep);
    if (keep->all->len > 0) {
        g_message("%u settings that a daemon which was killed has left are put back", keep->all->len);
        restore(keep, NULL, NULL);
    }
    return keep;
}

void keep_free(Keep *keep)
{
    if (keep == NULL)
        return;
    keep_restore(keep, NULL, NULL);
    if (keep->lock >= 0)
        close(keep->lock);
    g_ptr_array_unref(keep->all);
    g_free(keep->root);
    g_free(keep->path);
    g_free(keep->boot);
    g_free(keep->why_not);
    g_free(keep);
}

const char *keep_why_not(const Keep *keep)
{
    return keep->why_not;
}

/* The entry of a setting, made if there is none; NULL: somebody else has it. */
static Kept *enter(Keep *keep, const KeepKind *kind, const char *setting, const char *now)
{
    Kept *kept = find(keep, kind, setting);
    if (kept == NULL) {
        kept = g_new0(Kept, 1);
        *kept = (Kept){kind, g_strdup(setting), g_strdup(now), g_strdup(now), g_strdup(now)};
        g_ptr_array_add(keep->all, kept);
    } else if (strcmp(now, kept->now) != 0 && strcmp(now, kept->next) != 0) {
        g_ptr_array_remove(keep->all, kept);
        return NULL;
    }
    g_free(kept->now);
    kept->now = g_strdup(now);
    return kept;
}

gboolean keep_set(Keep *keep, const KeepKind *kind, const char *setting, const char *value, GError **error)
{
    if (keep->why_not != NULL) {
        g_set_error_literal(error, KEEP_ERROR, KEEP_ERROR_CLOSED, keep->why_not);
        return FALSE;
    }
    g_autofree char *now = kind->read(keep->root, setting);
    if (now == NULL) {
        g_set_error(error, KEEP_ERROR, KEEP_ERROR_GONE, "there is no %s", setting);
        return FALSE;
    }
    if (strcmp(now, value) == 0 && find(keep, kind, setting) == NULL)
        return TRUE;
    Kept *kept = enter(keep, kind, setting, now);
    if (kept == NULL) {
        save(keep, NULL);
        g_set_error(error, KEEP_ERROR, KEEP_ERROR_FOREIGN, "somebody else has set %s to %s", setting, now);
        return FALSE;
    }
    if (strcmp(now, value) == 0)
        return TRUE;
    g_free(kept->next);
    kept->next = g_strdup(value);
    g_autoptr(GError) reason = NULL;
    if (!save(keep, &reason)) {
        g_set_error_literal(error, KEEP_ERROR, KEEP_ERROR_CLOSED, reason->message);
    } else if (kind->write(keep->root, setting, value)) {
        return TRUE;
    } else {
        g_set_error(error, KEEP_ERROR, KEEP_ERROR_REFUSED, "%s: %s: %s", setting, value, g_strerror(errno));
    }
    g_free(kept->next);
    kept->next = g_strdup(now);
    if (strcmp(now, kept->before) == 0)
        g_ptr_array_remove(keep->all, kept);
    save(keep, NULL);
    return FALSE;
}

const char *keep_before(const Keep *keep, const KeepKind *kind, const char *setting)
{
    const Kept *kept = find(keep, kind, setting);
    return kept != NULL ? kept->before : NULL;
}

guint keep_count(const Keep *keep, const KeepKind *kind)
{
    guint count = 0;
    for (guint i = 0; i < keep->all->len; i++)
        count += ((const Kept *)keep->all->pdata[i])->kind == kind;
    return count;
}
