// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/freezer.h"
#include "guest-agent/mounts.h"
#include "guest-agent/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* ---- the mark ---- */

static char *mark_path(const char *state_dir)
{
    return g_build_filename(state_dir, "qga.state.isfrozen", NULL);
}

static char *boot_id(void)
{
    char *text = NULL;
    return g_file_get_contents(BOOT_ID_FILE, &text, NULL, NULL) ? g_strchomp(text) : g_strdup("");
}

/* Not by way of a new name: what writes the folder when it is frozen already would hang. */
static gboolean make_mark(const char *state_dir)
{
    g_autofree char *path = mark_path(state_dir);
    g_autofree char *id = boot_id();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    gboolean made = fd >= 0 && write(fd, id, strlen(id)) == (gssize)strlen(id);
    if (fd >= 0)
        close(fd);
    return made;
}

static void remove_mark(const char *state_dir)
{
    g_autofree char *path = mark_path(state_dir);
    unlink(path);
}

gboolean freezer_is_marked(const char *state_dir)
{
    g_autofree char *path = mark_path(state_dir);
    g_autofree char *text = NULL;
    if (access(path, F_OK) < 0 || !g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    g_autofree char *id = boot_id();
    /* qemu-ga's own mark is empty */
    return !*g_strchomp(text) || g_str_equal(text, id);
}

/* ---- file systems ---- */

static int open_mount(const Mount *mount)
{
    return open(mount->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static gboolean fail(GError **error, const char *what, const Mount *mount)
{
    int errnum = errno;
    g_autofree char *why = rights_explain(errnum, CAP_SYS_ADMIN);
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errnum), "failed to %s %s: %s", what,
                mount->path, why);
    return FALSE;
}

/* FALSE and error: the whole cannot be. */
static gboolean freeze_one(const Mount *mount, int *count, GError **error)
{
    int fd = open_mount(mount);
    if (fd < 0)
        return fail(error, "open", mount);
    int result = ioctl(fd, FIFREEZE);
    int errnum = errno;
    close(fd);
    errno = errnum;
    if (result < 0)
        return errnum == EOPNOTSUPP || errnum == EBUSY || fail(error, "freeze", mount);
    (*count)++;
    return TRUE;
}

int freezer_freeze(const char *state_dir, const char *const *wanted, const gint *cancel, GError **error)
{
    g_autoptr(GPtrArray) mounts = mounts_list("", error);
    if (!mounts)
        return -1;
    gboolean good = TRUE;
    int count = 0;
    if (!make_mark(state_dir))
        g_info("no mark of the freeze in %s: %s", state_dir, g_strerror(errno));
    for (guint i = mounts->len; i-- > 0 && good;) {
        const Mount *mount = g_ptr_array_index(mounts, i);
        if (wanted && !g_strv_contains(wanted, mount->path))
            continue;
        good = freeze_one(mount, &count, error);
        if (good && g_atomic_int_get(cancel)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "thawed before all was frozen");
            good = FALSE;
        }
    }
    if (!good)
        freezer_thaw(state_dir, NULL);
    else if (!count)
        remove_mark(state_dir);
    return good ? count : -1;
}

int freezer_thaw(const char *state_dir, GError **error)
{
    g_autoptr(GPtrArray) mounts = mounts_list("", error);
    if (!mounts)
        return -1;
    int count = 0;
    for (guint i = 0; i < mounts->len; i++) {
        int fd = open_mount(g_ptr_array_index(mounts, i));
        if (fd < 0)
            continue;
        /* frozen as often as it was frozen; an error says that it no longer is */
        if (ioctl(fd, FITHAW) == 0)
            count++;
        while (ioctl(fd, FITHAW) == 0)
            ;
        close(fd);
    }
    remove_mark(state_dir);
    return count;
}
