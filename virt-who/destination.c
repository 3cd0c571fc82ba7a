// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/destination.h"

#include <string.h>

#include "lib/domain-qmp.h"
#include "lib/jsonstream.h"

#define FIRST_PAUSE_S 15
#define FIRST_BUSY_S  30 /* 429 without Retry-After */
#define MAX_PAUSE_S   600
#define MAX_RETRY_S   86400
#define MAX_JOB_S     900 /* what waits for a job goes out then */
#define ONESHOT_JOB_S 60
#define CAPABLE_S     86400 /* what a server can is asked for again */
#define MAX_TEXT      400   /* of a server's message */

typedef enum { STEP_NONE, STEP_STATUS, STEP_RESOURCES, STEP_REPORT, STEP_HEARTBEAT, STEP_JOB } Step;

struct Destination {
    DestinationKind kind;
    char *name, *owner, *reporter_id;
    guint interval;
    gboolean oneshot, probing;
    Transport *transport;
    Clock *clock;
    DestinationFuncs funcs;
    gpointer user_data;
    DestinationState state;
    /* what the server can; 0: not asked yet */
    gint64 capable_since;
    gboolean async, heartbeats, objects;
    gboolean know_resources;
    /* what is to be done */
    char *wanted; /* hash */
    guint hosts, guests;
    gboolean forced, beat_due;
    gint64 blocked_until; /* after an error */
    guint timer;
    Step step;
    char *sending; /* hash of the report that is on its way */
    guint sending_hosts, sending_guests;
    gint64 job_since;
    guint job_asked, job_pause_ms;
    gboolean job_waits; /* for its pause to be over */
    gboolean failed;
    GString *body;
};

static void go_on(Destination *self);

void destination_state_clear(DestinationState *state)
{
    g_free(state->hash);
    g_free(state->job);
    g_free(state->last_job);
    g_free(state->job_state);
    g_free(state->problem);
    memset(state, 0, sizeof *state);
}

static void set(char **text, const char *value)
{
    char *copy = g_strdup(value);

    g_free(*text);
    *text = copy;
}

static gint64 now(const Destination *self)
{
    return self->clock->wall(self->clock);
}

/* ---- waiting ---- */

static gboolean on_timer(gpointer user_data)
{
    Destination *self = user_data;

    self->timer = 0;
    /* Even if somebody has turned the clock back meanwhile. */
    self->blocked_until = 0;
    self->job_waits = FALSE;
    go_on(self);
    return G_SOURCE_REMOVE;
}

static void wake_in(Destination *self, gint64 delay_ms)
{
    if (self->timer != 0) {
        self->clock->remove(self->clock, self->timer);
    }
    self->timer = self->clock->add(self->clock, (guint64)MAX(delay_ms, 0), on_timer, self);
    self->state.next = now(self) + delay_ms / 1000;
}

/* ---- errors ---- */

static void told(Destination *self, const char *problem)
{
    if (g_strcmp0(self->state.problem, problem) != 0) {
        g_warning("Config \"%s\": %s", self->name, problem);
    } else {
        g_info("Config \"%s\": still: %s", self->name, problem);
    }
    set(&self->state.problem, problem);
}

static gint64 pause_after(Destination *self, const TransportAnswer *answer)
{
    gboolean lasting =
        answer->status >= 400 && answer->status < 500 && answer->status != 429 && answer->status != 408;
    gint64 first = answer->status == 429 ? FIRST_BUSY_S : FIRST_PAUSE_S;
    gint64 longest = MIN(MAX_PAUSE_S, self->interval);
    gint64 pause;

    if (answer->retry_after >= 0) {
        return CLAMP(answer->retry_after, 1, MAX_RETRY_S);
    }
    if (lasting) {
        return self->interval;
    }
    pause = MIN(first << MIN(self->state.failures - 1, 10), longest);
    return MAX(1, (gint64)((double)pause * (0.75 + self->clock->random(self->clock) / 2)));
}

/* The server's own words, one line of them. */
static char *server_text(const TransportAnswer *answer)
{
    g_autoptr(JsonNode) root =
        answer->length > 0 ? json_parse_text(answer->body, (gssize)answer->length, NULL) : NULL;
    JsonNode *node = NULL;
    const char *text = NULL;
    g_autofree char *line = NULL;

    if (root != NULL && JSON_NODE_HOLDS_OBJECT(root)) {
        node = json_object_get_member(json_node_get_object(root), "displayMessage");
        if (node == NULL) {
            node = json_object_get_member(json_node_get_object(root), "errors");
            if (node != NULL && JSON_NODE_HOLDS_ARRAY(node) &&
                json_array_get_length(json_node_get_array(node)) > 0) {
                node = json_array_get_element(json_node_get_array(node), 0);
            }
        }
    }
    if (node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING) {
        text = json_node_get_string(node);
    }
    if (text == NULL) {
        return g_strdup("");
    }
    line = g_strdup_printf(": %.*s", MAX_TEXT, text);
    return g_utf8_make_valid(g_strdelimit(line, "\n\r\t", ' '), -1);
}

static void fail(Destination *self, const TransportAnswer *answer, const char *what)
{
    g_autofree char *text = answer->error == NULL ? server_text(answer) : NULL;
    g_autofree char *problem =
        answer->error != NULL ? g_strdup_printf("Unable to %s: %s", what, answer->error)
        : answer->status == 410
            ? g_strdup_printf("Unable to %s: the server has deleted this consumer (410)%s", what, text)
            : g_strdup_printf("Unable to %s: the server answers %u%s", what, answer->status, text);
    gint64 pause;

    self->step = STEP_NONE;
    self->failed = TRUE;
    self->state.failures++;
    self->state.errors++;
    g_clear_pointer(&self->sending, g_free);
    told(self, problem);
    if (answer->status == 0) {
        self->capable_since = 0; /* it may be another one when it is back */
    }
    pause = pause_after(self, answer);
    self->blocked_until = now(self) + pause;
    if (!self->oneshot && !self->probing) {
        g_info("Config \"%s\": the next try is in %" G_GINT64_FORMAT " s", self->name, pause);
    }
    self->funcs.changed(self, self->user_data);
    go_on(self);
}

/* The server answers as it should. */
static void succeed(Destination *self)
{
    if (self->state.problem != NULL && self->state.failures > 0) {
        g_message("Config \"%s\": the server answers again", self->name);
    }
    self->state.failures = 0;
    g_clear_pointer(&self->state.problem, g_free);
}

/* ---- requests ---- */

static void drop_body(Destination *self)
{
    if (self->body != NULL) {
        g_string_free(self->body, TRUE);
        self->body = NULL;
    }
}

static void on_answer(const TransportAnswer *answer, gpointer user_data);

static void request(Destination *self, Step step, const char *method, const char *path,
                    const char *content_type)
{
    TransportRequest job = {method, path, content_type, NULL, 0};

    if (self->body != NULL) {
        job.body = self->body->str;
        job.length = self->body->len;
    }
    self->step = step;
    self->state.requests++;
    self->transport->send(self->transport, &job, on_answer, self);
}

static void ask_heartbeat(Destination *self)
{
    g_autofree char *owner = g_uri_escape_string(self->owner, NULL, FALSE);
    g_autofree char *reporter =
        g_uri_escape_string(self->probing ? "status_test" : self->reporter_id, NULL, FALSE);
    g_autofree char *path = g_strdup_printf("/hypervisors/%s/heartbeat?reporter_id=%s", owner, reporter);

    self->beat_due = FALSE;
    request(self, STEP_HEARTBEAT, "PUT", path, NULL);
}

static void send_list(Destination *self)
{
    TransportAnswer nobody = {.retry_after = -1, .body = ""};
    g_autoptr(GError) error = NULL;
    g_autofree char *uuid = self->transport->consumer(self->transport, &error);
    g_autofree char *path = NULL;

    if (uuid == NULL) {
        nobody.error = error->message;
        drop_body(self);
        fail(self, &nobody, "send the guest list");
        return;
    }
    g_message("Sending update in guests lists for config \"%s\": %u guests found", self->name, self->guests);
    path = g_strconcat("/consumers/", uuid, NULL);
    request(self, STEP_REPORT, "PUT", path, NULL);
}

static void send_report(Destination *self)
{
    DestinationBody how = self->kind == DESTINATION_HOSTS
                              ? self->async ? DESTINATION_BODY_USUAL : DESTINATION_BODY_MAP
                          : self->objects ? DESTINATION_BODY_USUAL
                                          : DESTINATION_BODY_PLAIN;
    g_autofree char *path = NULL;
    g_autofree char *owner = NULL;
    g_autofree char *reporter = NULL;

    g_free(self->sending);
    self->sending = g_strdup(self->wanted);
    self->sending_hosts = self->hosts;
    self->sending_guests = self->guests;
    self->forced = FALSE;
    /* From here on nobody knows what the server has, until it answers: whoever starts after us has to send.
     */
    g_clear_pointer(&self->state.hash, g_free);
    self->funcs.changed(self, self->user_data);
    self->body = g_string_new(NULL);
    self->funcs.write(self, how, self->body, self->user_data);
    if (self->kind == DESTINATION_LIST) {
        send_list(self);
        return;
    }
    g_message("Sending updated Host-to-guest mapping to \"%s\" including %u hypervisors and %u guests",
              self->owner, self->hosts, self->guests);
    owner = g_uri_escape_string(self->owner, NULL, FALSE);
    reporter = g_uri_escape_string(self->reporter_id, NULL, FALSE);
    path = self->async ? g_strdup_printf("/hypervisors/%s?env=&cloaked=False&reporter_id=%s", owner, reporter)
                       : g_strdup_printf("/hypervisors?owner=%s&env=", owner);
    request(self, STEP_REPORT, "POST", path, self->async ? "text/plain" : "application/json");
}

static void ask_job(Destination *self)
{
    g_autofree char *id = g_uri_escape_string(self->state.job, NULL, FALSE);
    g_autofree char *path = g_strdup_printf("/jobs/%s?result_data=True", id);

    request(self, STEP_JOB, "GET", path, NULL);
}

/* ---- answers ---- */

static gboolean has_word(JsonNode *list, const char *word)
{
    JsonArray *array = list != NULL && JSON_NODE_HOLDS_ARRAY(list) ? json_node_get_array(list) : NULL;

    for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);

        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING &&
            strcmp(json_node_get_string(node), word) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean take_status(Destination *self, JsonObject *object)
{
    JsonNode *result = object != NULL ? json_object_get_member(object, "result") : NULL;
    JsonNode *capabilities;

    if (result == NULL || !JSON_NODE_HOLDS_VALUE(result) ||
        json_node_get_value_type(result) != G_TYPE_BOOLEAN || !json_node_get_boolean(result)) {
        return FALSE;
    }
    capabilities = json_object_get_member(object, "managerCapabilities");
    self->async = has_word(capabilities, "hypervisors_async");
    self->heartbeats = has_word(capabilities, "hypervisors_heartbeat");
    self->capable_since = now(self);
    return TRUE;
}

static void take_resources(Destination *self, JsonNode *root)
{
    JsonArray *array = root != NULL && JSON_NODE_HOLDS_ARRAY(root) ? json_node_get_array(root) : NULL;

    self->objects = FALSE;
    for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);

        if (JSON_NODE_HOLDS_OBJECT(node) &&
            g_strcmp0(domain_qmp_string(json_node_get_object(node), "rel"), "guestids") == 0) {
            self->objects = TRUE;
        }
    }
    self->know_resources = TRUE;
}

static guint count_member(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? json_array_get_length(json_node_get_array(node)) : 0;
}

static void tell_result(Destination *self, JsonObject *result)
{
    JsonNode *failed = json_object_get_member(result, "failedUpdate");

    g_message("Config \"%s\": the server has created %u, updated %u and left %u hypervisors as they were",
              self->name, count_member(result, "created"), count_member(result, "updated"),
              count_member(result, "unchanged"));
    for (guint i = 0; i < count_member(result, "failedUpdate") && i < 20; i++) {
        JsonNode *node = json_array_get_element(json_node_get_array(failed), i);

        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING) {
            g_warning("Config \"%s\": the server could not take a hypervisor: %.*s", self->name, MAX_TEXT,
                      json_node_get_string(node));
        }
    }
}

/* FALSE: the job has failed. */
static gboolean take_job(Destination *self, JsonObject *object)
{
    const char *state = domain_qmp_string(object, "state");
    JsonNode *result = json_object_get_member(object, "resultData");

    set(&self->state.job_state, state != NULL ? state : "unknown");
    if (state == NULL || strcmp(state, "CREATED") == 0 || strcmp(state, "RUNNING") == 0) {
        return TRUE;
    }
    g_clear_pointer(&self->state.job, g_free);
    if (strcmp(state, "FAILED") == 0 || strcmp(state, "CANCELED") == 0) {
        g_autofree char *reason = g_strdup(domain_qmp_string(object, "resultData"));
        g_autofree char *problem =
            g_strdup_printf("The server could not take the last report: %s%s%.*s", state,
                            reason != NULL ? ": " : "", MAX_TEXT, reason != NULL ? reason : "");

        told(self, problem);
        g_clear_pointer(&self->state.hash, g_free);
        return FALSE;
    }
    if (result != NULL && JSON_NODE_HOLDS_OBJECT(result)) {
        tell_result(self, json_node_get_object(result));
    }
    return TRUE;
}

static void plan_job(Destination *self)
{
    static const guint pauses_ms[] = {100, 1000, 2000, 4000, 8000, 15000, 30000};

    self->job_pause_ms = pauses_ms[MIN(self->job_asked, G_N_ELEMENTS(pauses_ms) - 1)];
    self->job_asked++;
    self->job_waits = TRUE;
    if (self->timer != 0) {
        self->clock->remove(self->clock, self->timer);
        self->timer = 0;
    }
}

static void end_job(Destination *self, gboolean good)
{
    if (!good) {
        /* Not at once: a report that the server cannot take would be sent over and over. */
        TransportAnswer slow = {.retry_after = -1};

        self->state.failures++;
        self->state.errors++;
        self->failed = TRUE;
        self->blocked_until = now(self) + pause_after(self, &slow);
    } else if (self->state.job != NULL) {
        plan_job(self);
    }
}

static void take_report(Destination *self, JsonObject *object)
{
    const char *job = object != NULL && self->kind == DESTINATION_HOSTS && self->async
                          ? domain_qmp_string(object, "id")
                          : NULL;

    g_free(self->state.hash);
    self->state.hash = g_steal_pointer(&self->sending);
    self->state.sent = now(self);
    self->state.hosts = self->sending_hosts;
    self->state.guests = self->sending_guests;
    self->state.reports++;
    g_clear_pointer(&self->state.job, g_free);
    if (job != NULL && strlen(job) <= 128) {
        set(&self->state.job, job);
        set(&self->state.last_job, job);
        self->job_since = now(self);
        self->job_asked = 0;
        end_job(self, take_job(self, object));
    } else if (object != NULL && self->kind == DESTINATION_HOSTS && !self->async) {
        tell_result(self, object);
    }
}

static void on_answer(const TransportAnswer *answer, gpointer user_data)
{
    static const char *const what[] = {[STEP_STATUS] = "obtain status",
                                       [STEP_RESOURCES] = "read the list of resources",
                                       [STEP_REPORT] = "send the report",
                                       [STEP_HEARTBEAT] = "send a heartbeat",
                                       [STEP_JOB] = "ask for a job"};
    Destination *self = user_data;
    Step step = self->step;
    gboolean taken =
        answer->status == 200 || answer->status == 202 || answer->status == 204 || answer->status == 304;
    g_autoptr(JsonNode) root = NULL;
    JsonObject *object;

    drop_body(self);
    if (step == STEP_JOB && (answer->status == 404 || answer->status == 410)) {
        g_info("Config \"%s\": the server does not know job %s any more", self->name, self->state.job);
        g_clear_pointer(&self->state.job, g_free);
        taken = TRUE;
        step = STEP_NONE;
    }
    if (!taken) {
        fail(self, answer, what[step]);
        return;
    }
    root = answer->length > 0 ? json_parse_text(answer->body, (gssize)answer->length, NULL) : NULL;
    object = root != NULL && JSON_NODE_HOLDS_OBJECT(root) ? json_node_get_object(root) : NULL;
    if ((step == STEP_STATUS && !take_status(self, object)) || (step == STEP_JOB && object == NULL) ||
        (step == STEP_REPORT && self->kind == DESTINATION_HOSTS && self->async &&
         (object == NULL || domain_qmp_string(object, "id") == NULL))) {
        TransportAnswer garbage = {
            .error = "the answer is not what it should be", .body = "", .retry_after = -1};

        fail(self, &garbage, what[step]);
        return;
    }
    self->step = STEP_NONE;
    succeed(self);
    switch (step) {
    case STEP_REPORT:
        take_report(self, object);
        break;
    case STEP_JOB:
        end_job(self, take_job(self, object));
        break;
    case STEP_HEARTBEAT:
        self->state.heartbeat = now(self);
        break;
    case STEP_RESOURCES:
        take_resources(self, root);
        break;
    case STEP_STATUS:
    case STEP_NONE:
        break;
    }
    self->funcs.changed(self, self->user_data);
    go_on(self);
}

/* ---- what is next ---- */

static gboolean report_is_due(const Destination *self)
{
    if (self->wanted == NULL ||
        (self->state.hash != NULL && strcmp(self->wanted, self->state.hash) == 0 && !self->forced)) {
        return FALSE;
    }
    return self->state.job == NULL || now(self) - self->job_since >= MIN(MAX_JOB_S, self->interval);
}

static gboolean job_is_followed(const Destination *self)
{
    return self->state.job != NULL && (!self->oneshot || now(self) - self->job_since < ONESHOT_JOB_S);
}

static void become_idle(Destination *self)
{
    gboolean ok = !self->failed;

    if (!self->oneshot && !self->probing) {
        self->failed = FALSE;
    }
    self->funcs.idle(self, ok, self->user_data);
}

static void go_on(Destination *self)
{
    gint64 time = now(self);
    gboolean beat = self->beat_due && self->owner != NULL && (self->capable_since == 0 || self->heartbeats);
    gboolean job = job_is_followed(self);
    gboolean report = report_is_due(self);
    gboolean old = self->capable_since == 0 || time - self->capable_since >= CAPABLE_S;

    if (self->step != STEP_NONE) {
        return;
    }
    self->state.next = 0;
    if (!report && !beat && !job && !self->probing) {
        become_idle(self);
        return;
    }
    if ((self->oneshot || self->probing) && self->failed) {
        become_idle(self);
        return;
    }
    if (time < self->blocked_until) {
        wake_in(self, (self->blocked_until - time) * 1000);
        self->funcs.idle(self, FALSE, self->user_data);
        return;
    }
    if (old && (report || beat || self->probing)) {
        request(self, STEP_STATUS, "GET", "/status", NULL);
    } else if (report && self->kind == DESTINATION_LIST && !self->know_resources) {
        request(self, STEP_RESOURCES, "GET", "/", NULL);
    } else if (report) {
        send_report(self);
    } else if (beat) {
        ask_heartbeat(self);
    } else if (job && !self->job_waits) {
        ask_job(self);
    } else if (job) {
        if (self->timer == 0) {
            wake_in(self, self->job_pause_ms);
        }
        if (!self->oneshot) {
            self->funcs.idle(self, TRUE, self->user_data);
        }
    } else {
        self->probing = FALSE;
        become_idle(self);
    }
}

/* ---- the interface ---- */

Destination *destination_new(const DestinationOptions *options, Transport *transport, Clock *clock,
                             DestinationState *state, const DestinationFuncs *funcs, gpointer user_data)
{
    Destination *self = g_new0(Destination, 1);

    self->kind = options->kind;
    self->name = g_strdup(options->name);
    self->owner = g_strdup(options->owner);
    self->reporter_id = g_strdup(options->reporter_id);
    self->interval = options->interval;
    self->oneshot = options->oneshot;
    self->transport = transport;
    self->clock = clock;
    self->funcs = *funcs;
    self->user_data = user_data;
    if (state != NULL) {
        self->state = *state;
        memset(state, 0, sizeof *state);
    }
    self->job_since = now(self);
    return self;
}

void destination_free(Destination *self)
{
    self->transport->cancel(self->transport);
    self->transport->free(self->transport);
    if (self->timer != 0) {
        self->clock->remove(self->clock, self->timer);
    }
    drop_body(self);
    destination_state_clear(&self->state);
    g_free(self->wanted);
    g_free(self->sending);
    g_free(self->name);
    g_free(self->owner);
    g_free(self->reporter_id);
    g_free(self);
}

void destination_offer(Destination *self, const char *hash, guint hosts, guint guests, gboolean force)
{
    gboolean same = self->state.hash != NULL && strcmp(self->state.hash, hash) == 0;

    set(&self->wanted, hash);
    self->hosts = hosts;
    self->guests = guests;
    self->forced |= force;
    if (same && !self->forced) {
        g_info("Duplicate report found for config \"%s\", ignoring", self->name);
    }
    go_on(self);
}

void destination_forget(Destination *self)
{
    g_clear_pointer(&self->wanted, g_free);
    if (self->state.hash != NULL) {
        g_clear_pointer(&self->state.hash, g_free);
        self->funcs.changed(self, self->user_data);
    }
    go_on(self);
}

void destination_beat(Destination *self)
{
    self->beat_due = TRUE;
    go_on(self);
}

void destination_probe(Destination *self)
{
    self->probing = TRUE;
    self->failed = FALSE;
    self->capable_since = 0;
    self->beat_due = self->owner != NULL;
    go_on(self);
}

const DestinationState *destination_state(const Destination *self)
{
    return &self->state;
}

const char *destination_name(const Destination *self)
{
    return self->name;
}
