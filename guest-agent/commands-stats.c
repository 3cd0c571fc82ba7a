// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-load, guest-get-cpustats, guest-get-diskstats: what the kernel counts. */
#include "guest-agent/agent.h"
#include "guest-agent/kernel-stats.h"
#include "guest-agent/rights.h"
#include "guest-agent/text-file.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <unistd.h>

static void guest_get_load(CommandCall *call, JsonObject *arguments, gpointer data)
{
    static const char *const NAMES[] = {"load1m", "load5m", "load15m"};
    double loads[G_N_ELEMENTS(NAMES)];
    if (getloadavg(loads, G_N_ELEMENTS(loads)) != G_N_ELEMENTS(loads)) {
        command_call_fail(call, "cannot query load average: %s", g_strerror(errno));
        return;
    }
    JsonObject *answer = json_object_new();
    for (gsize i = 0; i < G_N_ELEMENTS(NAMES); i++)
        json_object_set_double_member(answer, NAMES[i], loads[i]);
    command_call_return_object(call, answer);
}

/* NULL, the call failed, if it cannot be read. */
static char *read_or_fail(CommandCall *call, const char *path)
{
    int errnum;
    char *text = text_file_read("", path, &errnum);
    g_autofree char *why = text ? NULL : rights_explain(errnum, CAP_DAC_READ_SEARCH);
    if (!text)
        command_call_fail(call, "open(\"%s\"): %s", path, why);
    return text;
}

static void guest_get_cpustats(CommandCall *call, JsonObject *arguments, gpointer data)
{
    g_autofree char *text = read_or_fail(call, "/proc/stat");
    if (text)
        command_call_return_array(call, kernel_cpustats(text, (guint)sysconf(_SC_CLK_TCK)));
}

static void guest_get_diskstats(CommandCall *call, JsonObject *arguments, gpointer data)
{
    g_autofree char *text = read_or_fail(call, "/proc/diskstats");
    if (text)
        command_call_return_array(call, kernel_diskstats(text));
}

const Command COMMANDS_STATS[] = {
    {"guest-get-load", NULL, guest_get_load, COMMAND_FLAG_NONE},
    {"guest-get-cpustats", NULL, guest_get_cpustats, COMMAND_FLAG_NONE},
    {"guest-get-diskstats", NULL, guest_get_diskstats, COMMAND_FLAG_NONE},
    {0},
};
