// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-fsfreeze-status, -freeze, -freeze-list, -thaw: file systems held still for a snapshot.
 *
 * One goes through states, each of which may take long and none of which holds up the main loop: hooks are
 * processes, the kernel's calls are in a thread of their own (the others may hang on a file that is frozen).
 * A thaw that comes before all is frozen ends the freeze. A freeze has a deadline, so that a guest whose host
 * has lost track does not stand still for ever.
 */
#include "guest-agent/agent.h"
#include "guest-agent/freeze-hooks.h"
#include "guest-agent/freezer.h"
#include "lib/log.h"

#include <string.h>

typedef enum {
    STATE_THAWED,
    STATE_FREEZE_HOOKS,
    STATE_FREEZING, /* from here on only the commands for frozen guests are enabled */
    STATE_FROZEN,
    STATE_THAWING, /* up to here */
    STATE_THAW_HOOKS,
} State;

struct AgentFreeze {
    Agent *agent;
    Worker *worker;
    State state;
    guint deadline; /* timer, while frozen */
    gint64 since;   /* monotonic, µs: frozen */
    gboolean was_deadline;

    CommandCall *freeze_call; /* NULL when it has been answered */
    char **wanted;            /* mount points; NULL: all */
    gint cancel;              /* atomic: a thaw is waiting */
    GQueue thaw_calls;        /* of CommandCall: to be answered when all is thawed */
    gboolean thaw_due;        /* a thaw has been asked for, by a call or by us */

    int count; /* of the thread's work; -1: error */
    GError *error;

    void (*thawed)(gpointer user_data);
    gpointer user_data;
    gboolean ending;
};

static void begin_thaw(AgentFreeze *freeze);
static void want_thaw(AgentFreeze *freeze);

static gboolean is_frozen(const AgentFreeze *freeze)
{
    return freeze->state == STATE_FREEZING || freeze->state == STATE_FROZEN || freeze->state == STATE_THAWING;
}

static guint hook_timeout_ms(const AgentFreeze *freeze)
{
    return (guint)freeze->agent->options->hook_timeout * 1000;
}

static void set_frozen(AgentFreeze *freeze, gboolean frozen)
{
    command_server_set_frozen(freeze->agent->server, frozen);
    log_pause(frozen);
}

static void clear_deadline(AgentFreeze *freeze)
{
    if (freeze->deadline)
        g_source_remove(freeze->deadline);
    freeze->deadline = 0;
}

static gboolean on_deadline(gpointer user_data)
{
    AgentFreeze *freeze = user_data;
    freeze->deadline = 0;
    freeze->was_deadline = TRUE;
    want_thaw(freeze);
    return G_SOURCE_REMOVE;
}

static void now_frozen(AgentFreeze *freeze)
{
    gint64 limit = freeze->agent->options->freeze_deadline;
    freeze->state = STATE_FROZEN;
    freeze->since = g_get_monotonic_time();
    freeze->was_deadline = FALSE;
    if (limit)
        freeze->deadline = g_timeout_add_seconds((guint)limit, on_deadline, freeze);
}

/* ---- thaw ---- */

static void on_thaw_hooks(GError *error, gpointer user_data)
{
    AgentFreeze *freeze = user_data;
    freeze->state = STATE_THAWED;
    if (error && g_queue_is_empty(&freeze->thaw_calls))
        g_warning("%s", error->message);
    CommandCall *call;
    while ((call = g_queue_pop_head(&freeze->thaw_calls))) {
        if (error)
            command_call_fail(call, "%s", error->message);
        else
            command_call_return_int(call, freeze->count);
    }
    g_clear_error(&error);
}

static void thaw_run(gpointer work)
{
    AgentFreeze *freeze = work;
    freeze->count = freezer_thaw(freeze->agent->options->state_dir, &freeze->error);
}

/* The agent is ending, or had put something off. */
static void tell_thawed(AgentFreeze *freeze)
{
    void (*thawed)(gpointer) = freeze->thawed;
    freeze->thawed = NULL;
    if (thawed)
        thawed(freeze->user_data);
}

/* /proc could not be read: nothing has been thawed. */
static void thaw_failed(AgentFreeze *freeze)
{
    CommandCall *call;
    while ((call = g_queue_pop_head(&freeze->thaw_calls)))
        command_call_fail(call, "%s", freeze->error->message);
    g_clear_error(&freeze->error);
    now_frozen(freeze);
    if (freeze->ending)
        tell_thawed(freeze);
}

static void thaw_done(gpointer work)
{
    AgentFreeze *freeze = work;
    if (freeze->count < 0) {
        thaw_failed(freeze);
        return;
    }
    set_frozen(freeze, FALSE);
    if (freeze->was_deadline)
        g_warning("thawed %d file systems by the deadline: they were frozen for %" G_GINT64_FORMAT " s",
                  freeze->count, (g_get_monotonic_time() - freeze->since) / G_USEC_PER_SEC);
    audit_log(freeze->agent->audit, "guest-fsthaw: %d file systems thawed%s", freeze->count,
              freeze->was_deadline ? " by the deadline" : "");
    freeze->was_deadline = FALSE;
    freeze->state = STATE_THAW_HOOKS;
    tell_thawed(freeze);
    freeze_hooks_run(freeze->agent->options->freeze_hook, TRUE, hook_timeout_ms(freeze), on_thaw_hooks,
                     freeze);
}

static void begin_thaw(AgentFreeze *freeze)
{
    clear_deadline(freeze);
    freeze->thaw_due = FALSE;
    freeze->state = STATE_THAWING;
    worker_run(freeze->worker, thaw_run, thaw_done, freeze);
}

static void want_thaw(AgentFreeze *freeze)
{
    switch (freeze->state) {
    case STATE_FREEZE_HOOKS:
    case STATE_FREEZING:
        g_atomic_int_set(&freeze->cancel, TRUE);
        freeze->thaw_due = TRUE;
        break;
    case STATE_THAWING:
    case STATE_THAW_HOOKS:
        break;
    default:
        begin_thaw(freeze);
    }
}

static void guest_fsfreeze_thaw(CommandCall *call, JsonObject *arguments, gpointer data)
{
    AgentFreeze *freeze = ((Agent *)data)->freeze;
    g_queue_push_tail(&freeze->thaw_calls, call);
    want_thaw(freeze);
}

/* ---- freeze ---- */

/* Nothing is frozen: the call fails with the error (taken). */
static void freeze_failed(AgentFreeze *freeze, GError *error)
{
    g_clear_pointer(&freeze->wanted, g_strfreev);
    command_call_take_error(g_steal_pointer(&freeze->freeze_call), error);
    freeze->state = STATE_THAWED;
    if (freeze->thaw_due)
        begin_thaw(freeze);
}

static void freeze_run(gpointer work)
{
    AgentFreeze *freeze = work;
    freeze->count = freezer_freeze(freeze->agent->options->state_dir, (const char *const *)freeze->wanted,
                                   &freeze->cancel, &freeze->error);
}

static void on_undone(GError *error, gpointer user_data)
{
    AgentFreeze *freeze = user_data;
    g_clear_error(&error);
    freeze_failed(freeze, g_steal_pointer(&freeze->error));
}

static void freeze_done(gpointer work)
{
    AgentFreeze *freeze = work;
    if (freeze->count <= 0)
        set_frozen(freeze, FALSE);
    if (freeze->count < 0) {
        freeze->state = STATE_FREEZE_HOOKS;
        if (freeze->thaw_due) /* calls the hooks */
            on_undone(NULL, freeze);
        else
            freeze_hooks_run(freeze->agent->options->freeze_hook, TRUE, hook_timeout_ms(freeze), on_undone,
                             freeze);
        return;
    }
    g_clear_pointer(&freeze->wanted, g_strfreev);
    if (freeze->count)
        now_frozen(freeze);
    else
        freeze->state = STATE_THAWED;
    command_call_return_int(g_steal_pointer(&freeze->freeze_call), freeze->count);
    if (freeze->thaw_due)
        begin_thaw(freeze);
}

static void on_freeze_hooks(GError *error, gpointer user_data)
{
    AgentFreeze *freeze = user_data;
    if (!error && !freeze->thaw_due) {
        freeze->state = STATE_FREEZING;
        set_frozen(freeze, TRUE);
        worker_run(freeze->worker, freeze_run, freeze_done, freeze);
        return;
    }
    if (!error)
        error = g_error_new(G_IO_ERROR, G_IO_ERROR_CANCELLED, "thawed before all was frozen");
    freeze_failed(freeze, error);
}

static void begin_freeze(CommandCall *call, AgentFreeze *freeze, char **wanted)
{
    if (freeze->state != STATE_THAWED) {
        g_strfreev(wanted);
        command_call_fail(call, "another freeze or thaw is under way");
        return;
    }
    audit_log(freeze->agent->audit, "guest-fsfreeze called");
    freeze->freeze_call = call;
    freeze->wanted = wanted;
    freeze->state = STATE_FREEZE_HOOKS;
    g_atomic_int_set(&freeze->cancel, FALSE);
    freeze_hooks_run(freeze->agent->options->freeze_hook, FALSE, hook_timeout_ms(freeze), on_freeze_hooks,
                     freeze);
}

static void guest_fsfreeze_freeze(CommandCall *call, JsonObject *arguments, gpointer data)
{
    begin_freeze(call, ((Agent *)data)->freeze, NULL);
}

static void guest_fsfreeze_freeze_list(CommandCall *call, JsonObject *arguments, gpointer data)
{
    g_autoptr(GPtrArray) wanted = NULL;
    if (command_has(arguments, "mountpoints")) {
        JsonArray *array = json_object_get_array_member(arguments, "mountpoints");
        wanted = g_ptr_array_new();
        for (guint i = 0; i < json_array_get_length(array); i++)
            g_ptr_array_add(wanted, g_strdup(json_array_get_string_element(array, i)));
        g_ptr_array_add(wanted, NULL);
    }
    begin_freeze(call, ((Agent *)data)->freeze,
                 wanted ? (char **)g_ptr_array_free(g_steal_pointer(&wanted), FALSE) : NULL);
}

static void guest_fsfreeze_status(CommandCall *call, JsonObject *arguments, gpointer data)
{
    const char *word = is_frozen(((Agent *)data)->freeze) ? "frozen" : "thawed";
    command_call_return(call, json_node_init_string(json_node_alloc(), word));
}

/* ---- the subject ---- */

AgentFreeze *agent_freeze_new(Agent *agent)
{
    AgentFreeze *freeze = g_new0(AgentFreeze, 1);
    freeze->agent = agent;
    freeze->worker = worker_new();
    g_queue_init(&freeze->thaw_calls);
    if (freezer_is_marked(agent->options->state_dir)) {
        audit_log(agent->audit, "file systems were left frozen by an agent before this one");
        set_frozen(freeze, TRUE);
        now_frozen(freeze);
    }
    return freeze;
}

gboolean agent_freeze_free(AgentFreeze *freeze)
{
    if (!worker_free(freeze->worker))
        return FALSE;
    clear_deadline(freeze);
    if (freeze->state == STATE_FREEZE_HOOKS || freeze->state == STATE_THAW_HOOKS) /* in the midst of them */
        freeze_hooks_start_thaw(freeze->agent->options->freeze_hook);
    if (freeze->freeze_call)
        g_queue_push_tail(&freeze->thaw_calls, freeze->freeze_call);
    CommandCall *call;
    while ((call = g_queue_pop_head(&freeze->thaw_calls)))
        command_call_fail(call, "the agent is ending");
    g_strfreev(freeze->wanted);
    g_free(freeze);
    return TRUE;
}

void agent_freeze_when_thawed(AgentFreeze *freeze, void (*func)(gpointer user_data), gpointer user_data)
{
    if (!is_frozen(freeze)) {
        func(user_data);
        return;
    }
    freeze->thawed = func;
    freeze->user_data = user_data;
}

void agent_freeze_end(AgentFreeze *freeze, void (*func)(gpointer user_data), gpointer user_data)
{
    freeze->ending = TRUE;
    if (is_frozen(freeze))
        want_thaw(freeze);
    agent_freeze_when_thawed(freeze, func, user_data);
}

static const CommandArg MOUNTPOINT = {.type = COMMAND_ARG_STRING};
static const CommandArg FREEZE_LIST_ARGS[] = {
    {.name = "mountpoints", .type = COMMAND_ARG_ARRAY, .optional = TRUE, .element = &MOUNTPOINT}, {0}};

const Command COMMANDS_FREEZE[] = {
    {"guest-fsfreeze-status", NULL, guest_fsfreeze_status, COMMAND_WHEN_FROZEN},
    {"guest-fsfreeze-freeze", NULL, guest_fsfreeze_freeze, COMMAND_FLAG_NONE},
    {"guest-fsfreeze-freeze-list", FREEZE_LIST_ARGS, guest_fsfreeze_freeze_list, COMMAND_FLAG_NONE},
    {"guest-fsfreeze-thaw", NULL, guest_fsfreeze_thaw, COMMAND_WHEN_FROZEN},
    {0},
};
