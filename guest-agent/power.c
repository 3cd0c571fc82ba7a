// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/power.h"

#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

/* What each action is called by the tools, and the signal by which busybox's tell busybox init. */
static const struct {
    const char *shutdown_flag;
    const char *tool;
    int init_signal;
    int command;
} ACTIONS[] = {
    [POWER_DOWN] = {"-P", "poweroff", SIGUSR2, RB_POWER_OFF},
    [POWER_HALT] = {"-H", "halt", SIGUSR1, RB_HALT_SYSTEM},
    [POWER_REBOOT] = {"-r", "reboot", SIGTERM, RB_AUTOBOOT},
};

static gboolean is_program(const char *root, const char *file)
{
    struct stat st;
    g_autofree char *name = g_strconcat(root, file, NULL);
    return access(name, X_OK) == 0 && stat(name, &st) == 0 && S_ISREG(st.st_mode);
}

/* Where the program is below root, or NULL. */
static char *find_program(const char *root, const char *path, const char *program)
{
    g_auto(GStrv) folders = g_strsplit(path, ":", -1);
    for (char **folder = folders; *folder; folder++) {
        g_autofree char *file = g_build_filename("/", *folder, program, NULL);
        if (**folder && is_program(root, file))
            return g_steal_pointer(&file);
    }
    return NULL;
}

static gboolean is_busybox(const char *root, const char *program)
{
    g_autofree char *name = g_strconcat(root, program, NULL);
    g_autofree char *target = g_file_read_link(name, NULL);
    return target && g_str_has_suffix(target, "busybox");
}

/* Whether process 1 does anything when it gets the signal: it has a handler, or blocks it to wait for it. */
static gboolean init_listens(const char *root, int signal_number)
{
    g_autofree char *name = g_strconcat(root, "/proc/1/status", NULL);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(name, &text, NULL, NULL))
        return FALSE;
    guint64 mask = 0;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (g_str_has_prefix(*line, "SigCgt:") || g_str_has_prefix(*line, "SigBlk:"))
            mask |= g_ascii_strtoull(g_strstrip(*line + 7), NULL, 16);
    }
    return (mask >> (signal_number - 1)) & 1;
}

static char **words(const char *first, ...)
{
    GPtrArray *array = g_ptr_array_new();
    va_list args;
    va_start(args, first);
    for (const char *word = first; word; word = va_arg(args, const char *))
        g_ptr_array_add(array, g_strdup(word));
    va_end(args);
    g_ptr_array_add(array, NULL);
    return (char **)g_ptr_array_free(array, FALSE);
}

char **power_command(PowerAction action, const char *root, const char *path)
{
    const char *tool = ACTIONS[action].tool;
    if (is_program(root, "/sbin/shutdown"))
        return words("/sbin/shutdown", "-h", ACTIONS[action].shutdown_flag, "+0",
                     "hypervisor initiated shutdown", NULL);

    g_autofree char *systemd_folder = g_strconcat(root, "/run/systemd/system", NULL);
    g_autofree char *systemctl = find_program(root, path, "systemctl");
    if (systemctl && g_file_test(systemd_folder, G_FILE_TEST_IS_DIR))
        return words(systemctl, tool, NULL);

    g_autofree char *program = find_program(root, path, tool);
    gboolean listens = init_listens(root, ACTIONS[action].init_signal);
    if (program && (listens || !is_busybox(root, program)))
        return words(program, NULL);
    g_autofree char *busybox = find_program(root, path, "busybox");
    if (busybox && listens)
        return words(busybox, tool, NULL);
    return NULL;
}

void power_now(PowerAction action)
{
    reboot(ACTIONS[action].command);
}
