// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "lib/domain-source.h"
#include "tests/unit/scripted-server.h"

#define GREETING                                                                                             \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 0}}, \"capabilities\": "     \
    "[]}}\n"

typedef struct Lab {
    char *folder;
    guint guests;
} Lab;

static Lab lab_new(void)
{
    return (Lab){g_dir_make_tmp("guests-XXXXXX", NULL), 0};
}

/* A guest whose monitor the script plays. */
static ScriptedServer *lab_add(Lab *lab, const char *name, ScriptedServerFunc play, gpointer data)
{
    ScriptedServer *server = scripted_server_start(play, data, 0);
    g_autofree char *folder = g_build_filename(lab->folder, name, NULL);
    g_autofree char *path = g_build_filename(folder, "qmp.sock", NULL);

    ck_assert_int_eq(g_mkdir(folder, 0700), 0);
    ck_assert_int_eq(symlink(scripted_server_path(server), path), 0);
    return server;
}

static void lab_remove(Lab *lab, const char *name)
{
    g_autofree char *folder = g_build_filename(lab->folder, name, NULL);
    g_autofree char *path = g_build_filename(folder, "qmp.sock", NULL);

    g_unlink(path);
    g_rmdir(folder);
}

static void lab_free(Lab *lab)
{
    g_rmdir(lab->folder);
    g_free(lab->folder);
}

typedef struct Wait {
    gboolean done;
    DomainSnapshot *snapshot;
    gboolean acted;
    GError *error;
} Wait;

static void on_snapshot(GObject *source, GAsyncResult *result, gpointer data)
{
    Wait *wait = data;

    wait->snapshot = domain_source_refresh_finish(result, &wait->error);
    wait->done = TRUE;
}

static void on_acted(GObject *source, GAsyncResult *result, gpointer data)
{
    Wait *wait = data;

    wait->acted = domain_source_act_finish(result, &wait->error);
    wait->done = TRUE;
}

static void run(Wait *wait)
{
    while (!wait->done) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static DomainSnapshot *refresh(DomainSource *source)
{
    Wait wait = {0};

    domain_source_refresh_async(source, DOMAIN_WANT_ALL, NULL, 20000, NULL, on_snapshot, &wait);
    run(&wait);
    ck_assert_msg(wait.snapshot != NULL, "%s", wait.error != NULL ? wait.error->message : "?");
    return wait.snapshot;
}

/* ---- a monitor that answers what it is asked ---- */

typedef struct Script {
    int thread;       /* said to be the vCPU's */
    guint die_after;  /* answers; 0: never */
    guint mute_after; /* likewise */
    gboolean wrong;   /* every answer has a wrong shape */
    gint64 period;    /* s between its balloon's statistics, as it was told */
} Script;

static const char *answer_to(const char *command, const Script *script, char *buffer, gsize size)
{
    if (strcmp(command, "query-status") == 0) {
        return "{\"status\": \"running\", \"running\": true}";
    }
    if (strcmp(command, "query-name") == 0) {
        return "{\"name\": \"shown\"}";
    }
    if (strcmp(command, "query-uuid") == 0) {
        return "{\"UUID\": \"01234567-89AB-cdef-0123-456789abcdef\"}";
    }
    if (strcmp(command, "query-memory-size-summary") == 0) {
        return "{\"base-memory\": 268435456, \"plugged-memory\": 0}";
    }
    if (strcmp(command, "query-hotpluggable-cpus") == 0) {
        return "[{\"vcpus-count\": 1, \"type\": \"t\", \"props\": {\"socket-id\": 1}},"
               "{\"vcpus-count\": 1, \"type\": \"t\", \"props\": {\"socket-id\": 0}, \"qom-path\": "
               "\"/machine/unattached/0\"}]";
    }
    if (strcmp(command, "qom-list") == 0) {
        return "[{\"name\": \"balloon0\", \"type\": \"child<virtio-balloon-pci>\"}]";
    }
    if (strcmp(command, "query-balloon") == 0) {
        return "{\"actual\": 134217728}";
    }
    if (strcmp(command, "qom-get") == 0) {
        return "{\"last-update\": 5, \"stats\": {\"stat-total-memory\": 2048, \"stat-free-memory\": 1024}}";
    }
    if (strcmp(command, "query-blockstats") == 0) {
        return "[{\"device\": \"d\", \"stats\": {\"rd_operations\": 7, \"wr_bytes\": 512}}]";
    }
    if (strcmp(command, "query-cpus-fast") == 0) {
        g_snprintf(buffer, size, "[{\"cpu-index\": 0, \"thread-id\": %d}]", script->thread);
        return buffer;
    }
    if (strcmp(command, "query-commands") == 0) {
        return "[{\"name\": \"query-status\"}, {\"name\": \"query-cpus-fast\"}, {\"name\": "
               "\"query-balloon\"},"
               "{\"name\": \"qom-get\"}, {\"name\": \"query-blockstats\"}]";
    }
    return "{}";
}

static void take_period(Script *script, JsonObject *arguments)
{
    if (strcmp(json_object_get_string_member(arguments, "path"), "/machine/peripheral/balloon0") == 0 &&
        strcmp(json_object_get_string_member(arguments, "property"), "guest-stats-polling-interval") == 0) {
        script->period = json_object_get_int_member(arguments, "value");
    }
}

static void play(int fd, gpointer data)
{
    Script *script = data;
    guint answers = 0;
    char *line;

    scripted_send(fd, GREETING);
    while ((line = scripted_read_line(fd)) != NULL) {
        g_autoptr(JsonNode) node = json_from_string(line, NULL);
        JsonObject *request = json_node_get_object(node);
        const char *command = json_object_get_string_member(request, "execute");
        char buffer[128];

        if (script->die_after > 0 && answers >= script->die_after) {
            scripted_send(fd, "{\"return\": {\"half\": ");
            g_free(line);
            return;
        }
        if (strcmp(command, "qom-set") == 0) {
            take_period(script, json_object_get_object_member(request, "arguments"));
        }
        if (script->mute_after == 0 || answers < script->mute_after) {
            scripted_send(fd, "{\"return\": %s, \"id\": \"%s\"}\n",
                          script->wrong && strcmp(command, "qmp_capabilities") != 0
                              ? "[[1], \"x\", {\"name\": 3, \"stats\": []}]"
                              : answer_to(command, script, buffer, sizeof buffer),
                          json_object_get_string_member(request, "id"));
        }
        answers++;
        g_free(line);
    }
}

static Domain *only_domain(DomainSnapshot *snapshot)
{
    ck_assert_uint_eq(snapshot->domains->len, 1);
    return snapshot->domains->pdata[0];
}

START_TEST (statistics) {
    Lab lab = lab_new();
    Script script = {.thread = (int)syscall(SYS_gettid)};
    ScriptedServer *server = lab_add(&lab, "one", play, &script);
    DomainSource *source = domain_source_new_monitor(lab.folder);
    DomainSnapshot *snapshot = refresh(source);
    const Domain *domain = only_domain(snapshot);
    Wait wait = {0};

    ck_assert_str_eq(domain->name, "shown");
    ck_assert_str_eq(domain->uuid, "01234567-89ab-cdef-0123-456789abcdef");
    ck_assert_int_eq(domain->state, DOMAIN_STATE_RUNNING);
    ck_assert(domain->answers);
    ck_assert_int_eq(domain->id, getpid());
    ck_assert_uint_eq(domain->memory.maximum, 262144);
    ck_assert_uint_eq(domain->memory.current, 131072);
    ck_assert_uint_eq(domain->memory.available, 2);
    ck_assert_uint_ne(domain->memory.rss, DOMAIN_UNKNOWN);
    ck_assert_uint_eq(domain->vcpus, 1);
    ck_assert_uint_eq(domain->vcpus_max, 2);
    ck_assert_uint_ne(domain->vcpu[0].time, DOMAIN_UNKNOWN);
    ck_assert_int_ge(domain->vcpu[0].cpu, 0);
    ck_assert_uint_gt(domain->cpu_time, 0);
    ck_assert_uint_eq(domain->n_blocks, 1);
    ck_assert_uint_eq(domain->block[0].rd_reqs, 7);
    domain_source_act_async(source, domain->uuid, DOMAIN_ACTION_SET_VCPUS, 2, 20000, NULL, on_acted, &wait);
    run(&wait);
    ck_assert_msg(wait.acted, "%s", wait.error != NULL ? wait.error->message : "?");
    wait = (Wait){0};
    domain_source_act_async(source, domain->uuid, DOMAIN_ACTION_SET_VCPUS, 3, 20000, NULL, on_acted, &wait);
    run(&wait);
    ck_assert(!wait.acted);
    g_error_free(wait.error);
    wait = (Wait){0};
    domain_source_act_async(source, domain->uuid, DOMAIN_ACTION_SET_STATS_PERIOD, 7, 20000, NULL, on_acted,
                            &wait);
    run(&wait);
    ck_assert_msg(wait.acted, "%s", wait.error != NULL ? wait.error->message : "?");
    ck_assert_int_eq(script.period, 7);
    domain_snapshot_unref(snapshot);
    domain_source_free(source);
    scripted_server_stop(server);
    lab_remove(&lab, "one");
    lab_free(&lab);
}
END_TEST

START_TEST (nobody) {
    Lab lab = lab_new();
    DomainSource *source = domain_source_new_monitor("/nonexistent/guests");
    DomainSnapshot *snapshot = refresh(source);

    ck_assert_uint_eq(snapshot->domains->len, 0);
    domain_snapshot_unref(snapshot);
    domain_source_free(source);
    /* A folder is left, but nobody listens. */
    source = domain_source_new_monitor(lab.folder);
    {
        ScriptedServer *server = lab_add(&lab, "dead", play, NULL);

        scripted_server_stop(server);
    }
    snapshot = refresh(source);
    ck_assert_uint_eq(snapshot->domains->len, 0);
    domain_snapshot_unref(snapshot);
    domain_source_free(source);
    lab_remove(&lab, "dead");
    lab_free(&lab);
}
END_TEST

/* One that never answers, one that falls silent, one that dies in the middle of an answer, one that talks
 * nonsense: the good one is seen in time each time. */
START_TEST (bad_company) {
    Lab lab = lab_new();
    Script good = {.thread = (int)syscall(SYS_gettid)}, mute = {.mute_after = 10}, dies = {.die_after = 8},
           wrong = {.wrong = TRUE};
    ScriptedServer *servers[] = {
        lab_add(&lab, "a-deaf", NULL, NULL),  lab_add(&lab, "b-mute", play, &mute),
        lab_add(&lab, "c-dies", play, &dies), lab_add(&lab, "d-wrong", play, &wrong),
        lab_add(&lab, "e-good", play, &good),
    };
    static const char *const names[] = {"a-deaf", "b-mute", "c-dies", "d-wrong", "e-good"};
    DomainSource *source = domain_source_new_monitor(lab.folder);

    for (guint round = 0; round < 4; round++) {
        gint64 begun = g_get_monotonic_time();
        DomainSnapshot *snapshot = refresh(source);
        guint answering = 0, silent = 0;

        /* Only the first two rounds may wait for those that were not known to be silent. */
        ck_assert_int_lt(g_get_monotonic_time() - begun, round < 2 ? 8 * G_USEC_PER_SEC : G_USEC_PER_SEC);
        for (guint i = 0; i < snapshot->domains->len; i++) {
            const Domain *domain = snapshot->domains->pdata[i];

            answering += domain->answers && domain->state == DOMAIN_STATE_RUNNING;
            silent += !domain->answers;
        }
        ck_assert_uint_eq(answering, 1);
        if (round >= 1) {
            ck_assert_uint_ge(silent, 2);
        }
        domain_snapshot_unref(snapshot);
    }
    domain_source_free(source);
    for (guint i = 0; i < G_N_ELEMENTS(servers); i++) {
        scripted_server_stop(servers[i]);
        lab_remove(&lab, names[i]);
    }
    lab_free(&lab);
}
END_TEST

START_TEST (freed_while_asked) {
    Lab lab = lab_new();
    Script script = {.mute_after = 1};
    ScriptedServer *server = lab_add(&lab, "mute", play, &script);
    DomainSource *source = domain_source_new_monitor(lab.folder);
    Wait wait = {0};

    domain_source_refresh_async(source, DOMAIN_WANT_ALL, NULL, 20000, NULL, on_snapshot, &wait);
    for (guint i = 0; i < 5; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    domain_source_free(source);
    run(&wait);
    ck_assert(g_error_matches(wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    g_error_free(wait.error);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    scripted_server_stop(server);
    lab_remove(&lab, "mute");
    lab_free(&lab);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("domain_monitor");
    TCase *tcase = tcase_create("monitor");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, statistics);
    tcase_add_test(tcase, nobody);
    tcase_add_test(tcase, bad_company);
    tcase_add_test(tcase, freed_while_asked);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
