// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/vmctl/console.h"
#include "host-vmm/vmctl/launch.h"
#include "host-vmm/vmctl/options.h"
#include "host-vmm/vmctl/print.h"
#include "host-vmm/vmctl/signals.h"
#include "host-vmm/vmctl/stop.h"

#define DEFAULT_MEMORY "512M"

enum {
    START_S = 60, /* loading and the probe guest take 5 s at the worst; a nested machine is slow */
    QMP_MS = 5000,
    STOP_MS = 30000,
};

/* Lets a guest that was started paused run. */
static gboolean resume(const Guest *guest, GError **error)
{
    g_autoptr(QmpClient) qmp = guest_open_qmp(guest, deadline_after_ms(QMP_MS), error);
    g_autoptr(JsonNode) reply = NULL;

    if (qmp != NULL)
        reply = qmp_client_call(qmp, "cont", NULL, QMP_MS, error);
    return reply != NULL;
}

static void say_what_runs(const Guest *guest, const LaunchRequest *request, gboolean paused)
{
    g_autofree char *memory = print_size(request->memory * 1024 * 1024);

    printf("guest %s is %s: %u %s, %s\n", guest->label, paused ? "started, but paused" : "running",
           request->vcpus, request->vcpus == 1 ? "vCPU" : "vCPUs", memory);
}

static void say_what_can_be_done(const Guest *guest, const LaunchRequest *request)
{
    if (request->paused)
        printf("  let it run:  vmctl qmp %s cont\n", guest->label);
    if (request->console != CONSOLE_NONE)
        printf("  console:     vmctl console %s\n", guest->label);
    if (request->agent)
        printf("  its agent:   vmctl agent %s guest-get-osinfo\n", guest->label);
    printf("  end it:      vmctl stop %s\n", guest->label);
}

/* This and the next release `signals`. */
static int run_in_background(const Guest *guest, const LaunchRequest *request, guint timeout_ms, int signals)
{
    GError *error = NULL;
    gboolean launched = launch_guest(guest, request, timeout_ms, signals, &error);

    signals_release(signals);
    if (!launched)
        return complain_error(error);
    say_what_runs(guest, request, request->paused);
    say_what_can_be_done(guest, request);
    return VMCTL_OK;
}

/* The guest is started paused, so that its console shows the first line, too. The command is the guest's
 * keeper: a signal stops the guest. */
static int run_in_foreground(const Guest *guest, LaunchRequest *request, guint timeout_ms, int signals)
{
    gboolean paused = request->paused, launched;
    RelayEnd end = RELAY_SIGNALLED;
    GError *error = NULL, *problem = NULL;
    int socket = -1, status = VMCTL_OK;

    request->paused = TRUE;
    launched = launch_guest(guest, request, timeout_ms, signals, &error);
    if (launched) {
        say_what_runs(guest, request, paused);
        socket = console_connect(guest, &error);
    }
    if (socket >= 0 && (paused || resume(guest, &error)))
        end = console_attend(guest, socket, signals, 0, NULL);
    if (socket >= 0)
        close(socket);
    signals_release(signals); /* from here on another signal ends this program at once */
    if (end == RELAY_CLOSED)
        guest_clean(guest, NULL); /* if it is not gone, it stays as it is */
    else if (launched && end != RELAY_DETACHED && !stop_guest(guest, STOP_MS, error != NULL, &problem))
        status = complain_error(problem);
    return error == NULL ? status : complain_error(error);
}

static gboolean parse_console(const char *text, ConsoleKind *kind)
{
    static const char *const WORDS[] = {
        [CONSOLE_SERIAL] = "serial",
        [CONSOLE_VIRTIO] = "virtio",
        [CONSOLE_NONE] = "none",
    };

    for (guint i = 0; i < G_N_ELEMENTS(WORDS); i++)
        if (strcmp(text, WORDS[i]) == 0) {
            *kind = (ConsoleKind)i;
            return TRUE;
        }
    return FALSE;
}

/* Cuts the words at "--"; what follows is host-vmm's. NULL if there is none. */
static char **split_extra(char **words)
{
    for (; *words != NULL; words++)
        if (strcmp(*words, "--") == 0) {
            *words = NULL;
            return words + 1;
        }
    return NULL;
}

static int run(const Verb *verb, char **words)
{
    g_autofree char *kernel = NULL, *initrd = NULL, *append = NULL, *memory = NULL, *vcpus = NULL,
                    *max_vcpus = NULL, *console = NULL, *timeout = NULL;
    gboolean foreground = FALSE, paused = FALSE, no_agent = FALSE;
    const GOptionEntry entries[] = {
        {"kernel", 'k', 0, G_OPTION_ARG_FILENAME, &kernel,
         "the kernel: a bzImage, or a vmlinux with a PVH entry", "FILE"},
        {"initrd", 'i', 0, G_OPTION_ARG_FILENAME, &initrd, "its initial RAM disk", "FILE"},
        {"append", 'a', 0, G_OPTION_ARG_FILENAME, &append,
         "its command line; console= is put before if it is\nnot in there", "TEXT"},
        {"memory", 'm', 0, G_OPTION_ARG_FILENAME, &memory, "memory, e.g. 512M (the default) or 2G", "SIZE"},
        {"cpus", 'c', 0, G_OPTION_ARG_FILENAME, &vcpus, "number of vCPUs (1)", "N"},
        {"max-cpus", 0, 0, G_OPTION_ARG_FILENAME, &max_vcpus, "how many vmctl vcpus may make of them", "M"},
        {"console", 0, 0, G_OPTION_ARG_FILENAME, &console,
         "serial: ttyS0, which every kernel has (the default);\nvirtio: hvc0, faster, if the kernel or the "
         "initial\nRAM "
         "disk has the driver; none",
         "KIND"},
        {"no-agent", 0, 0, G_OPTION_ARG_NONE, &no_agent, "no port for a guest agent", NULL},
        {"paused", 'p', 0, G_OPTION_ARG_NONE, &paused, "do not run the guest yet", NULL},
        {"foreground", 'f', 0, G_OPTION_ARG_NONE, &foreground, "the guest's console on this terminal", NULL},
        {"timeout", 't', 0, G_OPTION_ARG_FILENAME, &timeout, "how long host-vmm may take to start (60)", "S"},
        {NULL},
    };
    LaunchRequest request = {.extra = split_extra(words), .vcpus = 1};
    g_autoptr(Guest) guest = NULL;
    guint timeout_ms = START_S * 1000;
    GError *error = NULL;
    int signals, status = options_parse(verb, entries, words);

    if (status >= 0)
        return status;
    if (words[0] == NULL || words[1] != NULL)
        return words[0] == NULL
                   ? options_usage_error(verb, "what is the guest to be called?")
                   : options_usage_error(
                         verb, "'%s' is one word too many (options for host-vmm come after --)", words[1]);
    if (strchr(words[0], '/') != NULL)
        return options_usage_error(verb, "a guest's name has no '/' in it");
    if (kernel == NULL)
        return options_usage_error(verb, "which kernel? (--kernel FILE)");
    if (console != NULL && !parse_console(console, &request.console))
        return options_usage_error(verb, "--console: '%s' is not serial, virtio or none", console);
    if (foreground && request.console == CONSOLE_NONE)
        return options_usage_error(verb, "--foreground needs a console");
    if ((timeout != NULL && !options_parse_seconds("--timeout", timeout, &timeout_ms, &error)) ||
        !options_parse_memory("--memory", memory != NULL ? memory : DEFAULT_MEMORY, &request.memory,
                              &error) ||
        (vcpus != NULL && !options_parse_count("--cpus", vcpus, &request.vcpus, &error)) ||
        (max_vcpus != NULL && !options_parse_count("--max-cpus", max_vcpus, &request.max_vcpus, &error)))
        return complain_error(error);
    request.kernel = kernel;
    request.initrd = initrd;
    request.append = append;
    request.agent = !no_agent;
    request.paused = paused;
    guest = guest_new(words[0], &error);
    if (guest == NULL)
        return complain_error(error);
    signals = signals_catch(&error);
    if (signals < 0)
        return complain_error(error);
    return foreground ? run_in_foreground(guest, &request, timeout_ms, signals)
                      : run_in_background(guest, &request, timeout_ms, signals);
}

const Verb VERB_RUN = {
    .name = "run",
    .usage = "NAME --kernel FILE [OPTION…] [-- HOST-VMM-OPTION…]",
    .summary = "start a guest",
    .help = "Starts a guest and leaves it running in the background, with a QMP socket, a console,\n"
            "a port for its agent (org.qemu.guest_agent.0) and a random number device. What comes\n"
            "after -- is passed to host-vmm as it is.\n"
            "\n"
            "With --foreground the console is on this terminal, from the guest's first line on.\n"
            "Ctrl-] leaves the console and the guest goes on in the background; a signal (SIGTERM,\n"
            "SIGINT, SIGHUP) stops the guest as vmctl stop does.\n"
            "\n"
            "Example:\n"
            "  vmctl run demo --kernel /vmlinuz --initrd /initrd.img --append quiet \\\n"
            "      --memory 1G --cpus 2 -- -accel kvm,probe=off",
    .run = run,
};
