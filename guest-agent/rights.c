// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Those that something of ours needs. */
static const struct {
    int capability;
    const char *name;
} NAMES[] = {
    {CAP_CHOWN, "CAP_CHOWN"},         {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
    {CAP_SETUID, "CAP_SETUID"},       {CAP_SETGID, "CAP_SETGID"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {CAP_SYS_BOOT, "CAP_SYS_BOOT"},
    {CAP_SYS_TIME, "CAP_SYS_TIME"},   {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
};

static gboolean has_capability(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return syscall(SYS_capget, &header, data) < 0 ||
           (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability));
}

char *rights_explain(int errnum, int capability)
{
    const char *text = g_strerror(errnum);
    if (errnum == EROFS)
        return g_strdup_printf("%s (a file system or a sandbox of the agent's service is read-only)", text);
    if (errnum != EPERM && errnum != EACCES)
        return g_strdup(text);
    if (has_capability(capability))
        return g_strdup_printf("%s (refused by a security module or a sandbox of the agent's service)", text);
    const char *name = "a capability";
    for (gsize i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        if (NAMES[i].capability == capability)
            name = NAMES[i].name;
    }
    return g_strdup_printf("%s (the agent lacks %s)", text, name);
}
