// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-suspend-disk, -ram, -hybrid: the guest goes to sleep.
 *
 * Three ways, the next one if one is not there or fails: systemd, pm-utils, the kernel. Each is a step that
 * ends in the main loop; the last one blocks until the guest wakes up and runs in a thread.
 */
#include "guest-agent/agent.h"
#include "guest-agent/helper.h"
#include "guest-agent/rights.h"
#include "guest-agent/text-file.h"

#include <linux/capability.h>
#include <string.h>

#define ASK_TIMEOUT_MS     15000
#define SUSPEND_TIMEOUT_MS 600000 /* of a clock that stands still while the guest sleeps */
#define STATE_FILE         "/sys/power/state"

typedef enum { SUSPEND_DISK, SUSPEND_RAM, SUSPEND_HYBRID } SuspendMode;

/* What each mode is called. state NULL: the kernel alone cannot do it. */
static const struct {
    const char *unit, *verb, *pm_flag, *pm_program, *state;
} MODES[] = {
    [SUSPEND_DISK] = {"systemd-hibernate", "hibernate", "--hibernate", "pm-hibernate", "disk"},
    [SUSPEND_RAM] = {"systemd-suspend", "suspend", "--suspend", "pm-suspend", "mem"},
    [SUSPEND_HYBRID] = {"systemd-hybrid-sleep", "hybrid-sleep", "--suspend-hybrid", "pm-suspend-hybrid",
                        NULL},
};

typedef struct Suspend {
    Agent *agent;
    CommandCall *call;
    SuspendMode mode;
    char *fault; /* of the last way that there is, NULL: there was none yet */
    int errnum;
} Suspend;

/* fault: why it failed (taken), NULL: it has not. */
static void finish(Suspend *suspend, char *fault)
{
    if (fault)
        command_call_fail(suspend->call, "%s", fault);
    else
        command_call_return_empty(suspend->call);
    g_free(fault);
    g_free(suspend->fault);
    g_free(suspend);
}

static void run(Suspend *suspend, const char *const *argv, guint timeout_ms, HelperDoneFunc done)
{
    HelperSpec spec = {.argv = argv, .action = "suspend", .timeout_ms = timeout_ms};
    helper_run(&spec, done, suspend);
}

/* A helper that was to suspend has ended. TRUE: it did. */
static gboolean has_suspended(Suspend *suspend, const char *what, int status, GError *error)
{
    if (!error)
        return TRUE;
    g_free(suspend->fault);
    suspend->fault =
        status == HELPER_NO_STATUS
            ? g_strdup_printf("the helper program '%s' failed: %s", what, error->message)
            : g_strdup_printf("the helper program '%s' returned an unexpected exit status code (%d)", what,
                              status);
    g_info("suspend: %s (%s)", suspend->fault, error->message);
    g_error_free(error);
    return FALSE;
}

/* ---- by the kernel ---- */

static void write_run(gpointer work)
{
    Suspend *suspend = work;
    suspend->errnum = text_file_write("", STATE_FILE, MODES[suspend->mode].state);
}

static void write_done(gpointer work)
{
    Suspend *suspend = work;
    g_autofree char *why = suspend->errnum ? rights_explain(suspend->errnum, CAP_DAC_OVERRIDE) : NULL;
    finish(suspend, why ? g_strdup_printf("suspend: cannot write to '" STATE_FILE "': %s", why) : NULL);
}

static void try_kernel(Suspend *suspend)
{
    const char *word = MODES[suspend->mode].state;
    g_autofree char *states = text_file_read("", STATE_FILE, NULL);
    g_auto(GStrv) words = g_strsplit_set(states ? states : "", " \n", -1);
    if (word && g_strv_contains((const char *const *)words, word))
        worker_run(suspend->agent->worker, write_run, write_done, suspend);
    else if (suspend->fault)
        finish(suspend, g_steal_pointer(&suspend->fault));
    else
        finish(suspend, g_strdup("the requested suspend mode is not supported by the guest"));
}

/* ---- by pm-utils ---- */

static void on_pm_ended(int status, GError *error, gpointer user_data)
{
    Suspend *suspend = user_data;
    if (has_suspended(suspend, MODES[suspend->mode].pm_program, status, error))
        finish(suspend, NULL);
    else
        try_kernel(suspend);
}

static void on_pm_answer(int status, GError *error, gpointer user_data)
{
    Suspend *suspend = user_data;
    const char *argv[] = {MODES[suspend->mode].pm_program, NULL};
    g_clear_error(&error);
    if (status == 0)
        run(suspend, argv, SUSPEND_TIMEOUT_MS, on_pm_ended);
    else
        try_kernel(suspend);
}

static void try_pm_utils(Suspend *suspend)
{
    const char *argv[] = {"pm-is-supported", MODES[suspend->mode].pm_flag, NULL};
    run(suspend, argv, ASK_TIMEOUT_MS, on_pm_answer);
}

/* ---- by systemd ---- */

static void on_systemd_ended(int status, GError *error, gpointer user_data)
{
    Suspend *suspend = user_data;
    g_autofree char *what = g_strdup_printf("systemctl %s", MODES[suspend->mode].verb);
    if (has_suspended(suspend, what, status, error))
        finish(suspend, NULL);
    else
        try_pm_utils(suspend);
}

/* A unit that does not run is status 3, and as a unit of that kind never does, 1 to 3 is what one gives that
 * is there; 4 is none that systemd knows (systemctl(1), exit status). */
static void on_systemd_answer(int status, GError *error, gpointer user_data)
{
    Suspend *suspend = user_data;
    const char *argv[] = {"systemctl", MODES[suspend->mode].verb, NULL};
    g_clear_error(&error);
    if (status > 0 && status < 4)
        run(suspend, argv, SUSPEND_TIMEOUT_MS, on_systemd_ended);
    else
        try_pm_utils(suspend);
}

static void suspend_guest(Agent *agent, CommandCall *call, SuspendMode mode)
{
    Suspend *suspend = g_new0(Suspend, 1);
    *suspend = (Suspend){.agent = agent, .call = call, .mode = mode};
    audit_log(agent->audit, "%s called", command_call_command(call)->name);
    const char *argv[] = {"systemctl", "status", MODES[mode].unit, NULL};
    run(suspend, argv, ASK_TIMEOUT_MS, on_systemd_answer);
}

static void guest_suspend_disk(CommandCall *call, JsonObject *arguments, gpointer data)
{
    suspend_guest(data, call, SUSPEND_DISK);
}

static void guest_suspend_ram(CommandCall *call, JsonObject *arguments, gpointer data)
{
    suspend_guest(data, call, SUSPEND_RAM);
}

static void guest_suspend_hybrid(CommandCall *call, JsonObject *arguments, gpointer data)
{
    suspend_guest(data, call, SUSPEND_HYBRID);
}

const Command COMMANDS_SUSPEND[] = {
    {"guest-suspend-disk", NULL, guest_suspend_disk, COMMAND_NO_REPLY},
    {"guest-suspend-ram", NULL, guest_suspend_ram, COMMAND_NO_REPLY},
    {"guest-suspend-hybrid", NULL, guest_suspend_hybrid, COMMAND_NO_REPLY},
    {0},
};
