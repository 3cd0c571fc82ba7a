// SPDX-License-Identifier: GPL-2.0-or-later
#include <unistd.h>

#include "host-vmm/vmctl/console.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/signals.h"

static int attend(const Guest *guest, guint timeout_ms, const char *until)
{
    GError *error = NULL;
    gint64 deadline = timeout_ms > 0 ? deadline_after_ms(timeout_ms) : 0;
    int signals, socket = -1;
    int status = VMCTL_OK;

    signals = signals_catch(&error);
    if (signals >= 0)
        socket = console_connect(guest, &error);
    if (socket < 0) {
        if (signals >= 0)
            signals_release(signals);
        return complain_error(error);
    }
    switch (console_attend(guest, socket, signals, deadline, until)) {
    case RELAY_FOUND:
    case RELAY_DETACHED:
        break;
    case RELAY_CLOSED:
        status = until == NULL ? VMCTL_OK : VMCTL_FAILED;
        break;
    case RELAY_TIMED_OUT:
        status = until == NULL ? VMCTL_OK : VMCTL_TIMED_OUT;
        break;
    case RELAY_SIGNALLED:
    case RELAY_NO_OUTPUT:
        status = VMCTL_FAILED;
        break;
    }
    if (until != NULL && (status == VMCTL_TIMED_OUT || (status == VMCTL_FAILED)))
        complain("'%s' has not come", until);
    close(socket);
    signals_release(signals);
    return status;
}

static int run(const Verb *verb, char **words)
{
    g_autofree char *timeout = NULL, *until = NULL;
    const GOptionEntry entries[] = {
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout,
         "leave the console after so many seconds (never)", "S"},
        {"until", 'u', 0, G_OPTION_ARG_FILENAME, &until,
         "leave the console once this text was in the\noutput; exit with 124 if the time is up before",
         "TEXT"},
        {NULL},
    };
    g_autoptr(Guest) guest = NULL;
    GError *error = NULL;
    guint timeout_ms = 0;
    int status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (timeout != NULL && !options_parse_seconds("--timeout", timeout, &timeout_ms, &error))
        return complain_error(error);
    if (until != NULL && *until == '\0')
        return options_usage_error(verb, "--until needs a text");
    if (words[0] == NULL || words[1] != NULL)
        return options_usage_error(verb, words[0] == NULL ? "which guest?" : "one guest, please");
    guest = guest_new(words[0], &error);
    if (guest == NULL)
        return complain_error(error);
    return attend(guest, timeout_ms, until);
}

const Verb VERB_CONSOLE = {
    .name = "console",
    .usage = "GUEST [--until TEXT] [--timeout S]",
    .summary = "sit at a guest's console; Ctrl-] leaves it",
    .help = "Connects the terminal with the guest's console. Every key goes to the guest but\n"
            "Ctrl-], which leaves the console; the guest goes on. One at a time can be there.\n"
            "What the guest has written before is not shown: press Enter for a prompt. GUEST is\n"
            "a name or the path of a console's unix socket.\n"
            "\n"
            "If standard input is no terminal, it is sent as it is; after its end the output\n"
            "goes on until --timeout, --until or the end of the guest. What the guest echoes\n"
            "of the input is output, too:\n"
            "  echo 'uname -r; echo do\"\"ne' | vmctl console demo --until done --timeout 10",
    .run = run,
};
