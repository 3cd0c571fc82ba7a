// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/agent-libvirt.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json-rpc.h"
#include "lib/libvirt-api.h"

/* How much later than libvirt's own deadline ours is: its message says more. */
#define SLACK_MS 2000

struct AgentLibvirt {
    gint references; /* the owner's and each running job's, whose thread may outlive its caller */
    char *uri, *name;
    virConnectPtr connection;
    virDomainPtr domain;
};

typedef struct Job {
    AgentLibvirt *agent;
    char *command; /* NULL: connect */
    char *request;
    guint timeout_ms;
} Job;

static void agent_unref(AgentLibvirt *agent)
{
    if (!g_atomic_int_dec_and_test(&agent->references)) {
        return;
    }
    if (agent->domain != NULL) {
        virDomainFree(agent->domain);
    }
    if (agent->connection != NULL) {
        virConnectClose(agent->connection);
    }
    g_free(agent->uri);
    g_free(agent->name);
    g_free(agent); /* the library stays: libvirt cannot be unloaded */
}

static void job_free(gpointer data)
{
    Job *job = data;

    agent_unref(job->agent);
    g_free(job->command);
    g_free(job->request);
    g_free(job);
}

static void ignore_error(void *data, virErrorPtr error)
{
    /* The default prints on stderr; the caller is told instead. */
}

/* ---- in a job's thread ---- */

/* What libvirt says of an agent's error is "internal error: unable to execute QEMU agent command 'C': DESC".
 */
static GError *last_error(void)
{
    virErrorPtr last = virGetLastError();
    g_autofree char *text = g_utf8_make_valid(
        last != NULL && last->message != NULL ? last->message : "libvirt gave no reason", -1);
    AgentClientError code = AGENT_CLIENT_ERROR_CLOSED;
    const char *said = text, *desc;

    switch (last != NULL ? (virErrorNumber)last->code : VIR_ERR_OK) {
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_OPERATION_TIMEOUT:
        code = AGENT_CLIENT_ERROR_TIMEOUT;
        break;
    case VIR_ERR_INTERNAL_ERROR:
        desc = strstr(text, "QEMU agent command '");
        desc = desc != NULL ? strstr(desc, "': ") : NULL;
        if (desc != NULL) {
            said = desc + 3;
            code = strstr(said, "has not been found") != NULL || strstr(said, "has been disabled") != NULL
                       ? AGENT_CLIENT_ERROR_NOT_FOUND
                       : AGENT_CLIENT_ERROR_COMMAND;
        }
        break;
    default:
        break;
    }
    return g_error_new_literal(AGENT_CLIENT_ERROR, (gint)code, said);
}

static void do_connect(const Job *job, GTask *task)
{
    AgentLibvirt *agent = job->agent;
    gint64 id = 0;

    virInitialize();
    virSetErrorFunc(NULL, ignore_error);
    agent->connection = virConnectOpen(agent->uri);
    if (agent->connection != NULL) {
        agent->domain = virDomainLookupByName(agent->connection, agent->name);
        if (agent->domain == NULL) {
            agent->domain = virDomainLookupByUUIDString(agent->connection, agent->name);
        }
        if (agent->domain == NULL && g_ascii_string_to_signed(agent->name, 10, 1, G_MAXINT, &id, NULL)) {
            agent->domain = virDomainLookupByID(agent->connection, (int)id);
        }
        if (agent->domain == NULL) {
            g_task_return_new_error(task, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_CLOSED,
                                    "libvirt knows no domain '%s'", agent->name);
            return;
        }
        g_task_return_pointer(task, NULL, NULL);
        return;
    }
    g_task_return_error(task, last_error());
}

static void do_command(const Job *job, GTask *task)
{
    AgentLibvirt *agent = job->agent;
    int seconds = (int)MIN((job->timeout_ms + 999) / 1000, G_MAXINT);
    char *text = virDomainQemuAgentCommand(agent->domain, job->request, MAX(1, seconds), 0);
    g_autoptr(GError) problem = NULL;
    g_autoptr(JsonNode) reply = NULL;
    JsonNode *value = NULL;

    if (text == NULL) {
        g_task_return_error(task, last_error());
        return;
    }
    reply = json_parse_text(text, -1, &problem);
    free(text);
    if (reply != NULL && JSON_NODE_HOLDS_OBJECT(reply)) {
        value = json_object_get_member(json_node_get_object(reply), "return");
    }
    if (value == NULL) {
        g_task_return_new_error(task, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_PROTOCOL,
                                "%s: libvirt's answer is no reply of an agent", job->command);
    } else {
        g_task_return_pointer(task, json_node_copy(value), (GDestroyNotify)json_node_unref);
    }
}

static void run(GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
    const Job *job = task_data;

    if (job->command == NULL) {
        do_connect(job, task);
    } else {
        do_command(job, task);
    }
}

/* ---- in the caller's ---- */

static gboolean on_deadline(gpointer user_data)
{
    g_cancellable_cancel(user_data);
    return G_SOURCE_CONTINUE; /* the caller destroys it */
}

static void on_cancelled(GCancellable *cancellable, gpointer ours)
{
    g_cancellable_cancel(ours);
}

/* Takes command and request. */
static JsonNode *do_job(AgentLibvirt *agent, char *command, char *request, guint timeout_ms,
                        GCancellable *cancellable, GError **error)
{
    g_autoptr(GCancellable) overdue = g_cancellable_new();
    g_autoptr(GAsyncResult) result = NULL;
    g_autoptr(GError) problem = NULL;
    GTask *task = g_task_new(NULL, overdue, json_rpc_keep_result, &result);
    Job *job = g_new0(Job, 1);
    gulong handler = 0;
    JsonNode *value;
    guint timer;

    g_atomic_int_inc(&agent->references);
    job->agent = agent;
    job->command = command;
    job->request = request;
    job->timeout_ms = timeout_ms;
    g_task_set_task_data(task, job, job_free);
    g_task_set_return_on_cancel(task, TRUE);
    timer = g_timeout_add(MIN(timeout_ms, G_MAXUINT - SLACK_MS) + SLACK_MS, on_deadline, overdue);
    if (cancellable != NULL) {
        handler = g_cancellable_connect(cancellable, G_CALLBACK(on_cancelled), overdue, NULL);
    }
    g_task_run_in_thread(task, run);
    json_rpc_wait_result(NULL, &result);
    g_cancellable_disconnect(cancellable, handler);
    g_source_remove(timer);
    value = g_task_propagate_pointer(task, &problem);
    if (g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_CANCELLED) &&
        !g_cancellable_is_cancelled(cancellable)) {
        g_set_error(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_TIMEOUT,
                    "no answer from libvirt within %u ms", timeout_ms + SLACK_MS);
    } else if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    g_object_unref(task);
    return value;
}

AgentLibvirt *agent_libvirt_open(const char *uri, const char *domain, guint timeout_ms, GError **error)
{
    g_autoptr(GError) problem = NULL;
    const char *why;
    AgentLibvirt *agent;

    if (!libvirt_load_qemu(&why)) {
        g_set_error_literal(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_CLOSED, why);
        return NULL;
    }
    agent = g_new0(AgentLibvirt, 1);
    agent->references = 1;
    agent->uri = g_strdup(uri);
    agent->name = g_strdup(domain);
    do_job(agent, NULL, NULL, timeout_ms, NULL, &problem);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        agent_libvirt_close(agent);
        return NULL;
    }
    return agent;
}

void agent_libvirt_close(AgentLibvirt *agent)
{
    if (agent != NULL) {
        agent_unref(agent);
    }
}

JsonNode *agent_libvirt_call(AgentLibvirt *agent, const char *command, JsonObject *arguments,
                             guint timeout_ms, GCancellable *cancellable, GError **error)
{
    g_autoptr(GString) request = json_rpc_request(command, arguments, NULL);

    if (request->len > AGENT_LIBVIRT_REQUEST_BYTES) {
        g_set_error(error, AGENT_CLIENT_ERROR, AGENT_CLIENT_ERROR_PROTOCOL,
                    "%s: a request of %zu bytes is too long for libvirt (at most %d)", command, request->len,
                    AGENT_LIBVIRT_REQUEST_BYTES);
        return NULL;
    }
    return do_job(agent, g_strdup(command), g_string_free(g_steal_pointer(&request), FALSE), timeout_ms,
                  cancellable, error);
}
