// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/stop.h"

enum { STOP_TIMEOUT_S = 30 };

static int run(const Verb *verb, char **words)
{
    g_autofree char *timeout = NULL;
    gboolean force = FALSE;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout, "how long the guest has to shut down (30)", "S"},
        {"force", 'f', 0, G_OPTION_ARG_NONE, &force, "do not ask the guest: what it has not written is lost",
         NULL},
        {NULL},
    };
    g_autoptr(Guest) guest = NULL;
    GError *error = NULL;
    guint timeout_ms = STOP_TIMEOUT_S * 1000;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (timeout != NULL && !options_parse_seconds("--timeout", timeout, &timeout_ms, &error))
        return complain_error(error);
    if (words[0] == NULL || words[1] != NULL)
        return options_usage_error(verb, words[0] == NULL ? "which guest?" : "one guest, please");
    guest = guest_new(words[0], &error);
    if (guest == NULL || !stop_guest(guest, timeout_ms, force, &error))
        return complain_error(error);
    return VMCTL_OK;
}

const Verb VERB_STOP = {
    .name = "stop",
    .usage = "GUEST [--timeout S] [--force]",
    .summary = "shut a guest down: by its power button, then the hard way",
    .help = "Presses the guest's power button (again every 5 s, since a guest that boots does not\n"
            "hear the first) and waits until it has shut down. After the deadline its monitor is\n"
            "told to quit, and if it does not within 5 s, it is killed. Each step is said. A\n"
            "paused guest is resumed first. The guest's folder is removed, its log with it.\n"
            "Exits with 0 once the guest is gone, whichever way.",
    .run = run,
};
