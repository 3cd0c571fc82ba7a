// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-shutdown: power down, halt, reboot. */
#include "guest-agent/agent.h"
#include "guest-agent/helper.h"
#include "guest-agent/power.h"
#include "guest-agent/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <unistd.h>

#define HELPER_TIMEOUT_MS 120000 /* a shutdown that init has not taken by then will not come */
#define SYNC_TIMEOUT_MS   10000  /* a mount that hangs must not keep the guest up */

typedef struct Shutdown {
    Agent *agent;
    CommandCall *call;
    PowerAction action;
    guint timer;
} Shutdown;

/* ---- by asking the guest's init ---- */

static void shutdown_by_helper(CommandCall *call, char **command)
{
    HelperSpec spec = {
        .argv = (const char *const *)command, .action = "shutdown", .timeout_ms = HELPER_TIMEOUT_MS};
    helper_run(&spec, agent_helper_done, call);
}

/* ---- without ---- */

static void shutdown_now(Shutdown *shutdown)
{
    power_now(shutdown->action);
    g_autofree char *why = rights_explain(errno, CAP_SYS_BOOT);
    if (shutdown->call)
        command_call_fail(shutdown->call, "child process has failed to shutdown: %s", why);
    shutdown->call = NULL;
}

static gboolean sync_takes_too_long(gpointer user_data)
{
    Shutdown *shutdown = user_data;
    shutdown->timer = 0;
    g_warning("file systems could not be written back in %d s: shutting down without",
              SYNC_TIMEOUT_MS / 1000);
    shutdown_now(shutdown);
    return G_SOURCE_REMOVE;
}

static void sync_run(gpointer work)
{
    sync();
}

static void sync_done(gpointer work)
{
    Shutdown *shutdown = work;
    if (shutdown->timer) {
        g_source_remove(shutdown->timer);
        shutdown_now(shutdown);
    }
    g_free(shutdown);
}

static void shutdown_by_kernel(Agent *agent, CommandCall *call, PowerAction action)
{
    Shutdown *shutdown = g_new0(Shutdown, 1);
    *shutdown = (Shutdown){.agent = agent, .call = call, .action = action};
    shutdown->timer = g_timeout_add(SYNC_TIMEOUT_MS, sync_takes_too_long, shutdown);
    worker_run(agent->worker, sync_run, sync_done, shutdown);
}

static void guest_shutdown(CommandCall *call, JsonObject *arguments, gpointer data)
{
    static const char *const MODES[] = {
        [POWER_DOWN] = "powerdown", [POWER_HALT] = "halt", [POWER_REBOOT] = "reboot", NULL};
    Agent *agent = data;
    const char *mode = command_string(arguments, "mode", MODES[POWER_DOWN]);
    int action = 0;
    while (MODES[action] && !g_str_equal(MODES[action], mode))
        action++;
    audit_log(agent->audit, "guest-shutdown called, mode: %s", mode);
    if (!MODES[action]) {
        /* without its closing parenthesis, as hosts know it */
        command_call_fail(call, "mode is invalid (valid values are: halt|powerdown|reboot");
        return;
    }
    g_auto(GStrv) command = power_command((PowerAction)action, "", g_getenv("PATH"));
    if (command)
        shutdown_by_helper(call, command);
    else
        shutdown_by_kernel(agent, call, (PowerAction)action);
}

static const CommandArg SHUTDOWN_ARGS[] = {{.name = "mode", .type = COMMAND_ARG_STRING, .optional = TRUE},
                                           {0}};

const Command COMMANDS_POWER[] = {
    {"guest-shutdown", SHUTDOWN_ARGS, guest_shutdown, COMMAND_NO_REPLY},
    {0},
};
