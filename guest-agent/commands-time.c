// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-get-time, guest-set-time, guest-get-timezone: the system's clock, the hardware's, where it is. */
#include "guest-agent/agent.h"
#include "guest-agent/helper.h"
#include "guest-agent/rights.h"
#include "guest-agent/rtc.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S           1000000000
#define HWCLOCK            "/sbin/hwclock"
#define HWCLOCK_TIMEOUT_MS 30000 /* it waits for the next full second, and tries for a few */

/* Both in UTC: what the protocol's users have always been held to, and before which 32-bit clocks end. */
#define TIME_FIRST 0                    /* 1970-01-01 */
#define TIME_END   ((gint64)3155760000) /* 2070-01-01 */

static void guest_get_time(CommandCall *call, JsonObject *arguments, gpointer data)
{
    command_call_return_int(call, g_get_real_time() * 1000); /* ns since 1970 */
}

/* ---- guest-set-time ---- */

static JsonNode *sync_by_kernel(JsonObject *arguments, GError **error)
{
    gboolean done = command_has(arguments, "time") ? rtc_write_from_system(error) : rtc_read_to_system(error);
    return done ? agent_empty_answer() : NULL;
}

/* hwclock(8) knows of drift and odd clocks. A guest without it, as newer distributions are, is served by the
 * kernel's interface, if there is a clock at all. */
static void sync_clocks(Agent *agent, CommandCall *call, JsonObject *arguments)
{
    if (access(HWCLOCK, X_OK) < 0 && rtc_is_there()) {
        agent_answer_in_thread(agent, call, arguments, sync_by_kernel);
        return;
    }
    const char *argv[] = {HWCLOCK, command_has(arguments, "time") ? "-w" : "-s", NULL};
    HelperSpec spec = {
        .argv = argv, .action = "set hardware clock to system time", .timeout_ms = HWCLOCK_TIMEOUT_MS};
    helper_run(&spec, agent_helper_done, call);
}

static void guest_set_time(CommandCall *call, JsonObject *arguments, gpointer data)
{
    Agent *agent = data;
    gboolean given = command_has(arguments, "time");
    gint64 ns = command_int(arguments, "time", 0);
    if (given && (ns < TIME_FIRST || ns / NS_PER_S >= TIME_END)) {
        command_call_fail(call, "Invalid time: %s", g_strerror(EINVAL));
        return;
    }
    audit_log(agent->audit,
              given ? "guest-set-time called, time: %" G_GINT64_FORMAT : "guest-set-time called", ns);
    if (given) {
        struct timeval time = {.tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / 1000};
        if (settimeofday(&time, NULL) < 0) {
            g_autofree char *why = rights_explain(errno, CAP_SYS_TIME);
            command_call_fail(call, "Failed to set time to guest: %s", why);
            return;
        }
    }
    sync_clocks(agent, call, arguments);
}

/* ---- guest-get-timezone ---- */

static void guest_get_timezone(CommandCall *call, JsonObject *arguments, gpointer data)
{
    time_t now = time(NULL);
    struct tm local;
    tzset(); /* looks whether /etc/localtime is another one by now */
    JsonObject *answer = json_object_new();
    gboolean known = localtime_r(&now, &local) != NULL;
    if (known && local.tm_zone && *local.tm_zone)
        json_object_set_string_member(answer, "zone", local.tm_zone);
    json_object_set_int_member(answer, "offset", known ? local.tm_gmtoff : 0); /* s east of UTC */
    command_call_return_object(call, answer);
}

static const CommandArg SET_TIME_ARGS[] = {{.name = "time", .type = COMMAND_ARG_INT, .optional = TRUE}, {0}};

const Command COMMANDS_TIME[] = {
    {"guest-get-time", NULL, guest_get_time, COMMAND_FLAG_NONE},
    {"guest-set-time", SET_TIME_ARGS, guest_set_time, COMMAND_FLAG_NONE},
    {"guest-get-timezone", NULL, guest_get_timezone, COMMAND_FLAG_NONE},
    {0},
};
