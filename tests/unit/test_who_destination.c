// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's state machine on a clock that the test turns and a server that it plays. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check-run.h"
#include "virt-who/destination.h"

#define STATUS                                                                                               \
    "{\"result\": true, \"managerCapabilities\": [\"hypervisors_async\", \"hypervisors_heartbeat\"]}"
#define JOB(state) "{\"id\": \"job1\", \"state\": \"" state "\"}"

typedef struct Timer {
    guint id;
    gint64 at_ms;
    GSourceFunc func;
    gpointer data;
} Timer;

typedef struct World {
    Clock clock;
    Transport transport;
    gint64 ms; /* since 1970 */
    GArray *timers;
    guint next_id;
    double chance;
    /* the request that waits for an answer */
    char *method, *path, *body;
    TransportFunc func;
    gpointer data;
    gboolean no_consumer;
    /* what the destination did */
    guint changes, idles;
    gboolean ok;
    char *kept; /* hash at the last change */
    DestinationBody how;
    Destination *destination;
} World;

static gint64 world_wall(Clock *clock)
{
    return ((World *)clock)->ms / 1000;
}

static guint world_add(Clock *clock, guint64 delay_ms, GSourceFunc func, gpointer data)
{
    World *world = (World *)clock;
    Timer timer = {++world->next_id, world->ms + (gint64)delay_ms, func, data};

    g_array_append_val(world->timers, timer);
    return timer.id;
}

static void world_remove(Clock *clock, guint id)
{
    World *world = (World *)clock;

    for (guint i = 0; i < world->timers->len; i++) {
        if (g_array_index(world->timers, Timer, i).id == id) {
            g_array_remove_index(world->timers, i);
            return;
        }
    }
    ck_abort_msg("timer %u is not there", id);
}

static double world_random(Clock *clock)
{
    return ((World *)clock)->chance;
}

static World *of_transport(Transport *transport)
{
    return (World *)((char *)transport - offsetof(World, transport));
}

static void world_send(Transport *transport, const TransportRequest *request, TransportFunc func,
                       gpointer data)
{
    World *world = of_transport(transport);

    ck_assert_ptr_null(world->method);
    world->method = g_strdup(request->method);
    world->path = g_strdup(request->path);
    world->body = g_strndup(request->body != NULL ? request->body : "", request->length);
    world->func = func;
    world->data = data;
}

static void world_cancel(Transport *transport)
{
    World *world = of_transport(transport);

    g_clear_pointer(&world->method, g_free);
    g_clear_pointer(&world->path, g_free);
    g_clear_pointer(&world->body, g_free);
}

static char *world_consumer(Transport *transport, GError **error)
{
    if (of_transport(transport)->no_consumer) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "not registered");
        return NULL;
    }
    return g_strdup("uuid-1");
}

static void world_free_transport(Transport *transport)
{
}

static void on_write(Destination *destination, DestinationBody how, GString *out, gpointer data)
{
    World *world = data;

    world->how = how;
    g_string_append(out, "BODY");
}

static void on_changed(Destination *destination, gpointer data)
{
    World *world = data;

    world->changes++;
    g_free(world->kept);
    world->kept = g_strdup(destination_state(destination)->hash);
}

static void on_idle(Destination *destination, gboolean ok, gpointer data)
{
    World *world = data;

    world->idles++;
    world->ok = ok;
}

static World *world_new(DestinationKind kind, guint interval, gboolean oneshot, DestinationState *state)
{
    World *world = g_new0(World, 1);
    const DestinationFuncs funcs = {on_write, on_changed, on_idle};
    DestinationOptions options = {kind,   "conf",   kind == DESTINATION_HOSTS ? "acme" : NULL,
                                  "me/1", interval, oneshot};

    world->clock = (Clock){world_wall, world_add, world_remove, world_random};
    world->transport = (Transport){world_send, world_cancel, world_consumer, world_free_transport};
    world->ms = 1800000000000;
    world->chance = 0.5;
    world->timers = g_array_new(FALSE, FALSE, sizeof(Timer));
    world->destination = destination_new(&options, &world->transport, &world->clock, state, &funcs, world);
    return world;
}

static void world_free(World *world)
{
    destination_free(world->destination);
    ck_assert_uint_eq(world->timers->len, 0);
    g_array_unref(world->timers);
    g_free(world->kept);
    g_free(world);
}

static void pass(World *world, gint64 seconds)
{
    gint64 end = world->ms + seconds * 1000;

    for (;;) {
        guint first = G_MAXUINT;
        Timer timer;

        for (guint i = 0; i < world->timers->len; i++) {
            const Timer *other = &g_array_index(world->timers, Timer, i);

            if (other->at_ms <= end &&
                (first == G_MAXUINT || other->at_ms < g_array_index(world->timers, Timer, first).at_ms)) {
                first = i;
            }
        }
        if (first == G_MAXUINT) {
            break;
        }
        timer = g_array_index(world->timers, Timer, first);
        g_array_remove_index(world->timers, first);
        world->ms = timer.at_ms;
        ck_assert(timer.func(timer.data) == G_SOURCE_REMOVE);
        if (world->method != NULL) {
            return; /* the server is to answer now */
        }
    }
    world->ms = end;
}

static void answer_full(World *world, const char *request, guint status, const char *body, gint64 retry_after)
{
    g_autofree char *asked = g_strdup_printf("%s %s", world->method != NULL ? world->method : "nothing",
                                             world->path != NULL ? world->path : "");
    TransportAnswer answer = {status, body, strlen(body), retry_after, status == 0 ? "no route" : NULL};

    ck_assert_str_eq(asked, request);
    world_cancel(&world->transport);
    world->func(&answer, world->data);
}

static void answer(World *world, const char *request, guint status, const char *body)
{
    answer_full(world, request, status, body, -1);
}

#define REPORT "POST /hypervisors/acme?env=&cloaked=False&reporter_id=me%2F1"
#define BEAT   "PUT /hypervisors/acme/heartbeat?reporter_id=me%2F1"

static void first_report(World *world)
{
    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    answer(world, "GET /status", 200, STATUS);
    ck_assert_str_eq(world->body, "BODY");
    answer(world, REPORT, 200, JOB("CREATED"));
    ck_assert_str_eq(world->kept, "hash1");
    pass(world, 10);
    answer(world, "GET /jobs/job1?result_data=True", 200, JOB("FINISHED"));
    ck_assert_ptr_null(world->method);
    ck_assert(world->ok);
}

START_TEST (normal_course) {
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, NULL);

    first_report(world);
    destination_offer(world->destination, "hash1", 1, 2, FALSE); /* nothing new */
    ck_assert_ptr_null(world->method);
    destination_beat(world->destination);
    answer(world, BEAT, 200, JOB("CREATED"));
    ck_assert_ptr_null(world->method);
    destination_offer(world->destination, "hash2", 1, 3, FALSE);
    answer(world, REPORT, 200, JOB("FINISHED"));
    ck_assert_str_eq(world->kept, "hash2");
    destination_offer(world->destination, "hash2", 1, 3, TRUE);
    answer(world, REPORT, 200, JOB("FINISHED"));
    destination_forget(world->destination);
    ck_assert_ptr_null(world->kept);
    destination_offer(world->destination, "hash2", 1, 3, FALSE);
    answer(world, REPORT, 200, JOB("FINISHED"));
    world_free(world);
}
END_TEST

/* The first answer comes an hour after the first question. */
START_TEST (resumes_after_an_hour) {
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, NULL);
    gint64 begun = world->ms, last = begun;
    gint64 longest = 0;
    guint tries = 0;

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    while (world->ms < begun + 3600 * 1000) {
        ck_assert_ptr_nonnull(world->method);
        world->chance = (tries * 7 % 10) / 10.0;
        answer(world, "GET /status", tries % 2 ? 0 : 503, "");
        tries++;
        destination_offer(world->destination, "hash1", 1, 2, FALSE); /* does not make it try sooner */
        ck_assert_ptr_null(world->method);
        pass(world, 3600);
        longest = MAX(longest, world->ms - last);
        last = world->ms;
    }
    ck_assert_uint_ge(tries, 8);
    ck_assert_uint_le(tries, 20);
    ck_assert_int_le(longest, 750 * 1000);
    ck_assert_uint_eq(destination_state(world->destination)->failures, tries);
    answer(world, "GET /status", 200, STATUS);
    answer(world, REPORT, 200, JOB("FINISHED"));
    ck_assert_uint_eq(destination_state(world->destination)->failures, 0);
    ck_assert_ptr_null(destination_state(world->destination)->problem);
    ck_assert_str_eq(world->kept, "hash1");
    world_free(world);
}
END_TEST

START_TEST (pauses) {
    static const struct {
        guint status;
        gint64 retry_after, pause;
    } cases[] = {{429, 7, 7},    {503, 1000, 1000}, {429, -1, 30},  {500, -1, 15},       {0, -1, 15},
                 {404, -1, 600}, {401, -1, 600},    {410, -1, 600}, {503, 900000, 86400}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        World *world = world_new(DESTINATION_HOSTS, 600, FALSE, NULL);

        destination_offer(world->destination, "hash1", 1, 2, FALSE);
        answer(world, "GET /status", 200, STATUS);
        answer_full(world, REPORT, cases[i].status, "{\"displayMessage\": \"why\\nnot\"}",
                    cases[i].retry_after);
        ck_assert(!world->ok);
        ck_assert(cases[i].status == 0 ||
                  strstr(destination_state(world->destination)->problem, "why not") != NULL);
        pass(world, cases[i].pause - 1);
        ck_assert_ptr_null(world->method);
        pass(world, 1);
        ck_assert_ptr_nonnull(world->method);
        world_free(world);
    }
}
END_TEST

/* Twice as long each time, 25 % up or down. */
START_TEST (back_off) {
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, NULL);
    gint64 expected = 15;

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    for (guint i = 0; i < 10; i++) {
        gint64 begun = world->ms;
        double factor;

        world->chance = i % 2 ? 0 : 0.999;
        factor = i % 2 ? 0.75 : 1.25;
        answer(world, "GET /status", 502, "<html>");
        pass(world, 3600);
        ck_assert_int_le(llabs((world->ms - begun) / 1000 - (gint64)((double)expected * factor)), 1);
        expected = MIN(expected * 2, 600);
    }
    world_free(world);
}
END_TEST

START_TEST (jobs) {
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, NULL);
    guint asked = 0;

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    answer(world, "GET /status", 200, STATUS);
    answer(world, REPORT, 200, JOB("CREATED"));
    destination_offer(world->destination, "hash2", 1, 2, FALSE); /* waits for the job */
    ck_assert_ptr_null(world->method);
    for (gint64 begun = world->ms; world->ms < begun + 600 * 1000; asked++) {
        pass(world, 60);
        answer(world, "GET /jobs/job1?result_data=True", 200, JOB("RUNNING"));
    }
    ck_assert_uint_le(asked, 30);
    pass(world, 60);
    answer(world, "GET /jobs/job1?result_data=True", 200,
           "{\"id\": \"job1\", \"state\": \"FAILED\", \"resultData\": \"bad\"}");
    ck_assert_ptr_null(world->method); /* not at once */
    ck_assert_ptr_null(world->kept);
    pass(world, 60);
    answer(world, REPORT, 200, JOB("CREATED"));
    ck_assert_str_eq(world->kept, "hash2");
    pass(world, 60);
    answer(world, "GET /jobs/job1?result_data=True", 404, "");
    ck_assert_str_eq(world->kept, "hash2"); /* taken as done */
    destination_offer(world->destination, "hash3", 1, 2, FALSE);
    answer(world, REPORT, 200, JOB("RUNNING"));
    destination_offer(world->destination, "hash4", 1, 2, FALSE);
    /* One that never ends holds the next report up for 15 minutes. */
    for (gint64 begun = world->ms; g_str_has_prefix(world->path != NULL ? world->path : "/jobs", "/jobs");) {
        if (world->path != NULL) {
            answer(world, "GET /jobs/job1?result_data=True", 200, JOB("RUNNING"));
        }
        ck_assert_int_le(world->ms - begun, 1000 * 1000);
        pass(world, 1000);
    }
    answer(world, REPORT, 200, JOB("FINISHED"));
    ck_assert_str_eq(world->kept, "hash4");
    world_free(world);
}
END_TEST

START_TEST (restart) {
    DestinationState state = {.hash = g_strdup("hash1"), .sent = 1799999000, .job = g_strdup("job1")};
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, &state);

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    /* Known already; but its job may have failed. */
    answer(world, "GET /jobs/job1?result_data=True", 200, JOB("FINISHED"));
    ck_assert_ptr_null(world->method);
    world_free(world);
    state = (DestinationState){.hash = g_strdup("hash1"), .sent = 1799999000, .job = g_strdup("job1")};
    world = world_new(DESTINATION_HOSTS, 3600, FALSE, &state);
    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    answer(world, "GET /jobs/job1?result_data=True", 200, JOB("CANCELED"));
    pass(world, 60);
    answer(world, "GET /status", 200, STATUS);
    answer(world, REPORT, 200, JOB("FINISHED"));
    world_free(world);
}
END_TEST

START_TEST (guest_list) {
    World *world = world_new(DESTINATION_LIST, 3600, FALSE, NULL);

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    destination_beat(world->destination); /* nobody to send it for */
    answer(world, "GET /status", 200, STATUS);
    answer(world, "GET /", 200, "[{\"rel\": \"guestids\", \"href\": \"x\"}, 7]");
    answer(world, "PUT /consumers/uuid-1", 204, "");
    ck_assert_int_eq(world->how, DESTINATION_BODY_USUAL);
    ck_assert_str_eq(world->kept, "hash1");
    destination_offer(world->destination, "hash2", 1, 2, FALSE);
    answer(world, "PUT /consumers/uuid-1", 200, "");
    world_free(world);
    world = world_new(DESTINATION_LIST, 3600, TRUE, NULL);
    world->no_consumer = TRUE;
    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    answer(world, "GET /status", 200, STATUS);
    answer(world, "GET /", 200, "{}");
    ck_assert_ptr_null(world->method);
    ck_assert(!world->ok);
    ck_assert_int_eq(world->how, DESTINATION_BODY_PLAIN);
    world_free(world);
}
END_TEST

START_TEST (old_servers) {
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, NULL);

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    destination_beat(world->destination);
    answer(world, "GET /status", 200, "{\"result\": true}");
    answer(world, "POST /hypervisors?owner=acme&env=", 200,
           "{\"created\": [1], \"failedUpdate\": [\"x\", 7]}");
    ck_assert_int_eq(world->how, DESTINATION_BODY_MAP);
    ck_assert_ptr_null(world->method);
    ck_assert_str_eq(world->kept, "hash1");
    world_free(world);
}
END_TEST

START_TEST (garbage) {
    static const char *const answers[] = {
        "", "{", "[]", "{\"result\": 1}", "{\"result\": false}", "\xff", "{\"result\": \"true\"}"};
    static const char *const jobs_answers[] = {"", "7", "{}", "{\"id\": 7}"};

    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        World *world = world_new(DESTINATION_HOSTS, 3600, TRUE, NULL);

        destination_offer(world->destination, "hash1", 1, 2, FALSE);
        answer(world, "GET /status", 200, answers[i]);
        ck_assert_ptr_null(world->method);
        ck_assert(!world->ok && world->idles == 1);
        world_free(world);
    }
    for (guint i = 0; i < G_N_ELEMENTS(jobs_answers); i++) {
        World *world = world_new(DESTINATION_HOSTS, 3600, TRUE, NULL);

        destination_offer(world->destination, "hash1", 1, 2, FALSE);
        answer(world, "GET /status", 200, STATUS);
        answer(world, REPORT, 200, jobs_answers[i]);
        ck_assert_ptr_null(world->method);
        ck_assert(!world->ok);
        ck_assert_ptr_null(world->kept);
        world_free(world);
    }
}
END_TEST

/* What changes while a report is on its way is sent after it, once. */
START_TEST (change_on_the_way) {
    World *world = world_new(DESTINATION_HOSTS, 3600, FALSE, NULL);

    destination_offer(world->destination, "hash1", 1, 2, FALSE);
    answer(world, "GET /status", 200, STATUS);
    destination_offer(world->destination, "hash2", 1, 2, FALSE);
    destination_offer(world->destination, "hash3", 1, 2, FALSE);
    answer(world, REPORT, 200, JOB("FINISHED"));
    answer(world, REPORT, 200, JOB("FINISHED"));
    ck_assert_str_eq(world->kept, "hash3");
    ck_assert_ptr_null(world->method);
    destination_offer(world->destination, "hash4", 1, 2, FALSE);
    destination_offer(world->destination, "hash3", 1, 2, FALSE);
    ck_assert_ptr_null(world->kept); /* whoever starts now has to send */
    answer(world, REPORT, 0, "");
    pass(world, 60);
    /* The server may have taken hash4 all the same. */
    answer(world, "GET /status", 200, STATUS);
    answer(world, REPORT, 200, JOB("FINISHED"));
    ck_assert_str_eq(world->kept, "hash3");
    world_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("who-destination");
    TCase *tc = tcase_create("destination");

    tcase_add_test(tc, normal_course);
    tcase_add_test(tc, resumes_after_an_hour);
    tcase_add_test(tc, pauses);
    tcase_add_test(tc, back_off);
    tcase_add_test(tc, jobs);
    tcase_add_test(tc, restart);
    tcase_add_test(tc, guest_list);
    tcase_add_test(tc, old_servers);
    tcase_add_test(tc, garbage);
    tcase_add_test(tc, change_on_the_way);
    suite_add_tcase(suite, tc);
    return check_run(suite);
}
