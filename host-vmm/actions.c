// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/actions.h"

static const char *const reboot_words[] = {"reset", "shutdown", NULL};
static const char *const shutdown_words[] = {"poweroff", "pause", NULL};
static const char *const panic_words[] = {"pause", "shutdown", "exit-failure", "none", NULL};
static const char *const watchdog_words[] = {"reset", "shutdown", "poweroff",   "pause",
                                             "debug", "none",     "inject-nmi", NULL};

enum { REBOOT, SHUTDOWN, PANIC, WATCHDOG };
const char *const ACTION_EVENTS[] = {"reboot", "shutdown", "panic", "watchdog", NULL};
static const char *const *const words_of[] = {reboot_words, shutdown_words, panic_words, watchdog_words};

static int find(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++) {
        if (!g_strcmp0(words[i], word)) {
            return i;
        }
    }
    return -1;
}

gboolean actions_set(Actions *actions, const char *event, const char *action, GError **error)
{
    int which = find(ACTION_EVENTS, event);
    g_return_val_if_fail(which >= 0, FALSE);
    int word = find(words_of[which], action);
    if (word < 0) {
        g_autofree char *known = g_strjoinv(", ", (char **)words_of[which]);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s=%s' is not known, only: %s", event,
                    action, known);
        return FALSE;
    }
    switch (which) {
    case REBOOT:
        actions->reboot_ends = word == 1;
        break;
    case SHUTDOWN:
        actions->shutdown_pauses = word == 1;
        break;
    case PANIC:
        actions->panic = (PanicAction)word;
        break;
    case WATCHDOG:
        actions->watchdog = (WatchdogAction)word;
        break;
    }
    return TRUE;
}

const char *watchdog_action_name(WatchdogAction action)
{
    return watchdog_words[action];
}
