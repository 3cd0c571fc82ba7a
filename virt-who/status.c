// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/status.h"

static void write_member(GString *out, const char *name, const char *text)
{
    g_string_append_printf(out, ", \"%s\": ", name);
    if (text != NULL) {
        report_write_string(text, out);
    } else {
        g_string_append(out, "null");
    }
}

static const DestinationState *sent(const EngineItem *item)
{
    return item->target != NULL ? destination_state(item->target->destination) : NULL;
}

/* NULL: well. */
static const char *destination_problem(const EngineItem *item)
{
    if (item->target == NULL) {
        return "\"owner\" is not set, so that hosts cannot be sent";
    }
    return sent(item)->problem;
}

static void write_source(GString *out, const EngineItem *item)
{
    const StateSource *kept = state_source(item->engine->state, item->config->name);
    g_autofree char *when = state_time(kept->retrieved);

    g_string_append(out, "\"source\": {\"connection\": ");
    if (item->source != NULL) {
        report_write_string(source_label(item->source), out);
    } else {
        g_string_append(out, "null");
    }
    write_member(out, "status", item->problem == NULL ? "success" : "failure");
    if (item->problem != NULL) {
        write_member(out, "message", item->problem);
    }
    write_member(out, "last_successful_retrieve", when);
    if (kept->retrieved > 0 && item->config->is_hypervisor) {
        g_string_append_printf(out, ", \"hypervisors\": %u", kept->hypervisors);
    } else {
        g_string_append(out, ", \"hypervisors\": null");
    }
    if (kept->retrieved > 0) {
        g_string_append_printf(out, ", \"guests\": %u}", kept->guests);
    } else {
        g_string_append(out, ", \"guests\": null}");
    }
}

static void write_destination(GString *out, const EngineItem *item)
{
    const DestinationState *state = sent(item);
    g_autofree char *when = state != NULL ? state_time(state->sent) : NULL;
    const char *problem = destination_problem(item);

    g_string_append(out, ", \"destination\": {\"connection\": ");
    if (item->target != NULL) {
        report_write_string(item->target->label, out);
    } else {
        g_string_append(out, "null");
    }
    write_member(out, "status", problem == NULL ? "success" : "failure");
    if (problem != NULL) {
        write_member(out, "message", problem);
    }
    write_member(out, "last_successful_send", when);
    write_member(out, "last_successful_send_job_status", state != NULL ? state->job_state : NULL);
    g_string_append_c(out, '}');
}

char *status_json(const Engine *engine)
{
    GString *out = g_string_new("{\"configurations\": [");

    for (guint i = 0; i < engine->items->len; i++) {
        const EngineItem *item = engine->items->pdata[i];

        g_string_append(out, i > 0 ? ", {\"name\": " : "{\"name\": ");
        report_write_string(item->config->name, out);
        g_string_append(out, ", ");
        write_source(out, item);
        write_destination(out, item);
        g_string_append_c(out, '}');
    }
    g_string_append(out, "]}");
    return g_string_free(out, FALSE);
}

static void write_line(GString *out, const char *what, const char *where, const char *problem,
                       gboolean colour)
{
    const char *good = colour ? "\033[32msuccess\033[0m" : "success";
    const char *bad = colour ? "\033[31mfailure\033[0m" : "failure";

    g_string_append_printf(out, "  %s: %s\n    status: %s%s%s\n", what, where != NULL ? where : "none",
                           problem == NULL ? good : bad, problem != NULL ? ": " : "",
                           problem != NULL ? problem : "");
}

char *status_text(const Engine *engine, gboolean colour)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < engine->items->len; i++) {
        const EngineItem *item = engine->items->pdata[i];
        const StateSource *kept = state_source(engine->state, item->config->name);
        const DestinationState *state = sent(item);
        g_autofree char *retrieved = state_time(kept->retrieved);
        g_autofree char *when = state != NULL ? state_time(state->sent) : NULL;

        g_string_append_printf(out, "%sConfiguration %s\n", i > 0 ? "\n" : "", item->config->name);
        write_line(out, "source", item->source != NULL ? source_label(item->source) : NULL, item->problem,
                   colour);
        g_string_append_printf(out, "    last successful retrieve: %s\n",
                               retrieved != NULL ? retrieved : "never");
        if (retrieved != NULL) {
            g_string_append_printf(out, "    hypervisors: %u, guests: %u\n", kept->hypervisors, kept->guests);
        }
        write_line(out, "destination", item->target != NULL ? item->target->label : NULL,
                   destination_problem(item), colour);
        g_string_append_printf(out, "    last successful send: %s\n", when != NULL ? when : "never");
        if (state != NULL && state->job_state != NULL) {
            g_string_append_printf(out, "    its job: %s\n", state->job_state);
        }
    }
    return g_string_free(out, FALSE);
}

/* ---- OpenMetrics ---- */

typedef enum {
    METRIC_SOURCE_UP,
    METRIC_HYPERVISORS,
    METRIC_GUESTS,
    METRIC_RETRIEVED,
    METRIC_DESTINATION_UP,
    METRIC_SENT,
    METRIC_HEARTBEAT,
    METRIC_REPORTS,
    METRIC_REQUESTS,
    METRIC_ERRORS,
    METRIC_COUNT
} Metric;

static const struct {
    const char *name, *type, *help;
} metrics[METRIC_COUNT] = {
    [METRIC_SOURCE_UP] = {"virt_who_source_up", "gauge", "Whether the source answered the last time."},
    [METRIC_HYPERVISORS] = {"virt_who_source_hypervisors", "gauge", "Hosts of the last answer."},
    [METRIC_GUESTS] = {"virt_who_source_guests", "gauge", "Guests of the last answer."},
    [METRIC_RETRIEVED] = {"virt_who_source_last_success_timestamp_seconds", "gauge",
                          "When the source answered."},
    [METRIC_DESTINATION_UP] = {"virt_who_destination_up", "gauge",
                               "Whether the server took the last request."},
    [METRIC_SENT] = {"virt_who_destination_last_report_timestamp_seconds", "gauge",
                     "When a report was taken."},
    [METRIC_HEARTBEAT] = {"virt_who_destination_last_heartbeat_timestamp_seconds", "gauge",
                          "When a heartbeat was taken."},
    [METRIC_REPORTS] = {"virt_who_destination_reports", "counter", "Reports that the server took."},
    [METRIC_REQUESTS] = {"virt_who_destination_requests", "counter", "Requests that were made."},
    [METRIC_ERRORS] = {"virt_who_destination_errors", "counter", "Requests and jobs that failed."},
};

static gint64 value_of(const EngineItem *item, Metric metric)
{
    const StateSource *kept = state_source(item->engine->state, item->config->name);
    const DestinationState *state = sent(item);

    switch (metric) {
    case METRIC_SOURCE_UP:
        return item->known && item->problem == NULL;
    case METRIC_HYPERVISORS:
        return kept->hypervisors;
    case METRIC_GUESTS:
        return kept->guests;
    case METRIC_RETRIEVED:
        return kept->retrieved;
    case METRIC_DESTINATION_UP:
        return destination_problem(item) == NULL;
    case METRIC_SENT:
        return state != NULL ? state->sent : 0;
    case METRIC_HEARTBEAT:
        return state != NULL ? state->heartbeat : 0;
    case METRIC_REPORTS:
        return state != NULL ? (gint64)state->reports : 0;
    case METRIC_REQUESTS:
        return state != NULL ? (gint64)state->requests : 0;
    default:
        return state != NULL ? (gint64)state->errors : 0;
    }
}

static void write_label(GString *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"') {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, *text == '\n' ? ' ' : *text);
    }
}

char *status_metrics(const Engine *engine)
{
    GString *out = g_string_new(NULL);

    for (Metric metric = 0; metric < METRIC_COUNT; metric++) {
        gboolean counter = metrics[metric].type[0] == 'c';

        g_string_append_printf(out, "# TYPE %s %s\n# HELP %s %s\n", metrics[metric].name,
                               metrics[metric].type, metrics[metric].name, metrics[metric].help);
        for (guint i = 0; i < engine->items->len; i++) {
            const EngineItem *item = engine->items->pdata[i];

            g_string_append_printf(out, "%s%s{config=\"", metrics[metric].name, counter ? "_total" : "");
            write_label(out, item->config->name);
            g_string_append_printf(out, "\"} %" G_GINT64_FORMAT "\n", value_of(item, metric));
        }
    }
    g_string_append(out, "# EOF\n");
    return g_string_free(out, FALSE);
}
