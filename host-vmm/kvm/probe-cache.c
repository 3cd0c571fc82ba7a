// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/kvm/probe-cache.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/kvm/probe.h"
#include "lib/runtime-dir.h"

#define NOTE    ".kvm-fit" /* no guest's name begins with a dot */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* What the note says if it is about this boot, this loading of KVM, and this program. NULL: cannot be told.
 */
static char *stamp_of(const char *device)
{
    g_autofree char *boot = NULL;
    GStatBuf node;
    if (!g_file_get_contents(BOOT_ID, &boot, NULL, NULL) || g_stat(device, &node) < 0) {
        return NULL;
    }
    return g_strdup_printf("%s %s %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT ".%09ld\n", PACKAGE_VERSION,
                           g_strchomp(boot), (guint64)node.st_ino, (gint64)node.st_ctim.tv_sec,
                           node.st_ctim.tv_nsec);
}

static gboolean is_noted(const char *path, const char *stamp)
{
    g_autofree char *text = NULL;
    GStatBuf file;
    return g_lstat(path, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
           g_file_get_contents(path, &text, NULL, NULL) && !strcmp(text, stamp);
}

gboolean probe_once(const char *device, gboolean (*probe)(GError **error), GError **error)
{
    g_autofree char *stamp = stamp_of(device), *folder = runtime_dir_path();
    g_autofree char *path = g_build_filename(folder, NOTE, NULL);
    if (stamp && is_noted(path, stamp)) {
        return TRUE;
    }
    if (!probe(error)) {
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    if (stamp && (!runtime_dir_ensure(&problem) || !g_file_set_contents(path, stamp, -1, &problem))) {
        g_debug("the next start probes KVM again: %s", problem->message);
    }
    return TRUE;
}

static gboolean probe_now(GError **error)
{
    return probe_kvm(NULL, error);
}

gboolean probe_kvm_once(GError **error)
{
    return probe_once("/dev/kvm", probe_now, error);
}
