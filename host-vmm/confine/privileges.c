// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/confine/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST_CAPABILITY 63 /* of two words; those that a kernel does not have are EINVAL */

static gboolean fail(const char *what, GError **error)
{
    int saved = errno;
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(saved), "%s: %s", what, g_strerror(saved));
    return FALSE;
}

static gboolean parse_numbers(const char *user, uid_t *uid, gid_t *gid)
{
    g_auto(GStrv) parts = g_strsplit(user, ":", 2);
    guint64 numbers[2];
    for (guint i = 0; i < 2; i++) {
        if (!parts[0] || !parts[i] ||
            !g_ascii_string_to_unsigned(parts[i], 10, 0, G_MAXUINT32 - 1, &numbers[i], NULL)) {
            return FALSE;
        }
    }
    *uid = (uid_t)numbers[0];
    *gid = (gid_t)numbers[1];
    return TRUE;
}

gboolean privileges_set_user(const char *user, GError **error)
{
    uid_t uid;
    gid_t gid;
    int groups_result;
    g_autofree char *what = g_strdup_printf("-run-with user=%s", user);
    if (parse_numbers(user, &uid, &gid)) {
        groups_result = setgroups(1, &gid);
    } else {
        errno = 0;
        const struct passwd *entry = getpwnam(user);
        if (!entry) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: there is no such user", what);
            return FALSE;
        }
        uid = entry->pw_uid;
        gid = entry->pw_gid;
        groups_result = initgroups(user, gid);
    }
    if (groups_result < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
        return fail(what, error);
    }
    if (uid != 0 && setuid(0) == 0) {
        g_error("%s: root can be had back", what);
    }
    return TRUE;
}

gboolean privileges_stop_gaining(GError **error)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || fail("cannot set no_new_privs", error);
}

void privileges_drop_bounds(void)
{
    for (unsigned long capability = 0; capability <= LAST_CAPABILITY; capability++) {
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

gboolean privileges_drop_capabilities(GError **error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    memset(none, 0, sizeof(none));
    return syscall(SYS_capset, &header, none) == 0 || fail("cannot drop capabilities", error);
}
