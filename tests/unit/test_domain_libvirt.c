// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Against libvirt's test driver, which runs within the process: what it tells in bulk is only the state, so
 * that the rest goes through the calls for each guest.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <glib/gstdio.h>

#include <gio/gunixsocketaddress.h>

#include "lib/domain-source.h"

typedef struct Wait {
    gboolean done;
    DomainSnapshot *snapshot;
    gboolean acted;
    DomainDetail *detail;
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

static void on_detail(GObject *source, GAsyncResult *result, gpointer data)
{
    Wait *wait = data;

    wait->detail = domain_source_detail_finish(result, &wait->error);
    wait->done = TRUE;
}

static void run(Wait *wait)
{
    while (!wait->done) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static Wait refresh(DomainSource *source, guint timeout_ms)
{
    Wait wait = {0};

    domain_source_refresh_async(source, DOMAIN_WANT_ALL, NULL, timeout_ms, NULL, on_snapshot, &wait);
    run(&wait);
    return wait;
}

static DomainSource *open_source(const char *uri, DomainSourceFlags flags)
{
    GError *error = NULL;
    DomainSource *source = domain_source_new_libvirt(uri, flags, &error);

    ck_assert_msg(source != NULL, "%s", error != NULL ? error->message : "?");
    return source;
}

START_TEST (statistics) {
    g_autoptr(DomainSource) source = open_source("test:///default", 0);
    Wait wait = refresh(source, 20000);
    Domain *domain;

    ck_assert_msg(wait.snapshot != NULL, "%s", wait.error != NULL ? wait.error->message : "?");
    ck_assert_uint_eq(wait.snapshot->domains->len, 1);
    ck_assert_uint_gt(wait.snapshot->host->cpus, 0);
    ck_assert_str_eq(domain_source_uri(source), "test:///default");
    domain = wait.snapshot->domains->pdata[0];
    ck_assert_str_eq(domain->name, "test");
    ck_assert_int_eq(domain->state, DOMAIN_STATE_RUNNING);
    ck_assert_int_eq(domain->id, 1);
    ck_assert_uint_eq(domain->parts & (DOMAIN_HAS_CPU | DOMAIN_HAS_MEMORY),
                      DOMAIN_HAS_CPU | DOMAIN_HAS_MEMORY);
    ck_assert_uint_gt(domain->cpu_time, 0);
    ck_assert_uint_eq(domain->memory.current, 2097152);
    ck_assert_uint_eq(domain->vcpus, 2);
    domain_snapshot_unref(wait.snapshot);
}
END_TEST

START_TEST (devices) {
    g_autofree char *folder = g_dir_make_tmp("domain-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "node.xml", NULL);
    g_autofree char *uri = g_strdup_printf("test://%s", path);
    const char *text =
        "<node><cpu><mhz>1000</mhz><model>m</model><active>1</active><nodes>1</nodes><sockets>1</sockets>"
        "<cores>1</cores><threads>1</threads></cpu><memory>1024</memory><domain type='test'><name>d</name>"
        "<memory>1024</memory><os><type>hvm</type></os><devices><disk type='file'><source file='/a'/>"
        "<target dev='vda'/></disk><interface type='network'><source network='n'/></interface></devices>"
        "</domain><network><name>n</name><bridge name='b'/></network></node>";

    ck_assert(g_file_set_contents(path, text, -1, NULL));
    {
        g_autoptr(DomainSource) source = open_source(uri, 0);
        Wait wait = refresh(source, 20000);
        Domain *domain;

        ck_assert_msg(wait.snapshot != NULL, "%s", wait.error != NULL ? wait.error->message : "?");
        domain = wait.snapshot->domains->pdata[0];
        ck_assert_uint_eq(domain->n_blocks, 1);
        ck_assert_str_eq(domain->block[0].name, "vda");
        ck_assert_uint_ne(domain->block[0].rd_reqs, DOMAIN_UNKNOWN);
        ck_assert_uint_eq(domain->n_nics, 1);
        ck_assert_uint_ne(domain->nic[0].rx_bytes, DOMAIN_UNKNOWN);
        domain_snapshot_unref(wait.snapshot);
    }
    g_remove(path);
    g_rmdir(folder);
}
END_TEST

static void count_event(DomainSource *source, DomainSourceEvent event, gpointer data)
{
    *(guint *)data += event == DOMAIN_SOURCE_CHANGED;
}

START_TEST (actions_and_events) {
    g_autoptr(DomainSource) source = open_source("test:///default", DOMAIN_SOURCE_WRITABLE);
    Wait first = refresh(source, 20000);
    g_autofree char *uuid = NULL;
    guint events = 0;
    Wait wait = {0}, missing = {0}, detail = {0};

    ck_assert_ptr_nonnull(first.snapshot);
    uuid = g_strdup(((Domain *)first.snapshot->domains->pdata[0])->uuid);
    domain_snapshot_unref(first.snapshot);
    domain_source_set_func(source, count_event, &events);
    domain_source_act_async(source, uuid, DOMAIN_ACTION_PAUSE, 0, 20000, NULL, on_acted, &wait);
    run(&wait);
    ck_assert_msg(wait.acted, "%s", wait.error != NULL ? wait.error->message : "?");
    while (events == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    first = refresh(source, 20000);
    ck_assert_int_eq(((Domain *)first.snapshot->domains->pdata[0])->state, DOMAIN_STATE_PAUSED);
    domain_snapshot_unref(first.snapshot);
    domain_source_act_async(source, "00000000-1111-2222-3333-444444444444", DOMAIN_ACTION_PAUSE, 0, 20000,
                            NULL, on_acted, &missing);
    run(&missing);
    ck_assert(!missing.acted);
    ck_assert(g_error_matches(missing.error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_NO_DOMAIN));
    g_error_free(missing.error);
    domain_source_detail_async(source, uuid, 20000, NULL, on_detail, &detail);
    run(&detail);
    ck_assert_ptr_nonnull(detail.detail);
    domain_detail_free(detail.detail);
}
END_TEST

/* Guests that are known are not listed again, until an event tells of a change. */
START_TEST (known_guests) {
    g_autoptr(DomainSource) source = open_source("test:///default", DOMAIN_SOURCE_WRITABLE);
    g_autofree char *uuid = NULL;
    guint64 time = 0;
    guint events = 0;
    Wait wait = {0};

    for (guint i = 0; i < 3; i++) {
        Wait again = refresh(source, 20000);
        const Domain *domain;

        ck_assert_ptr_nonnull(again.snapshot);
        ck_assert_uint_eq(again.snapshot->domains->len, 1);
        domain = again.snapshot->domains->pdata[0];
        ck_assert_str_eq(domain->name, "test");
        ck_assert_int_eq(domain->id, 1);
        ck_assert_uint_gt(domain->cpu_time, time);
        time = domain->cpu_time;
        g_free(uuid);
        uuid = g_strdup(domain->uuid);
        domain_snapshot_unref(again.snapshot);
    }
    domain_source_set_func(source, count_event, &events);
    domain_source_act_async(source, uuid, DOMAIN_ACTION_SHUTDOWN, 0, 20000, NULL, on_acted, &wait);
    run(&wait);
    ck_assert_msg(wait.acted, "%s", wait.error != NULL ? wait.error->message : "?");
    while (events == 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    for (guint i = 0; i < 2; i++) {
        Wait again = refresh(source, 20000);
        const Domain *domain = again.snapshot->domains->pdata[0];

        ck_assert_int_eq(domain->id, -1);
        ck_assert_int_eq(domain->state, DOMAIN_STATE_SHUTOFF);
        ck_assert_str_eq(domain->uuid, uuid);
        domain_snapshot_unref(again.snapshot);
    }
}
END_TEST

START_TEST (unreachable) {
    g_autoptr(DomainSource) source = open_source("test+unix:///default?socket=/nonexistent/socket", 0);
    Wait wait = refresh(source, 20000);

    ck_assert_ptr_null(wait.snapshot);
    ck_assert(g_error_matches(wait.error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNREACHABLE));
    ck_assert_msg(strstr(wait.error->message, "/nonexistent/socket") != NULL, "%s", wait.error->message);
    g_error_free(wait.error);
    /* The reason is kept while it waits to try again. */
    wait = refresh(source, 20000);
    ck_assert_msg(strstr(wait.error->message, "/nonexistent/socket") != NULL, "%s", wait.error->message);
    g_error_free(wait.error);
}
END_TEST

START_TEST (stuck) {
    /* Listens, but never answers: the connection hangs in the worker. */
    g_autofree char *folder = g_dir_make_tmp("domain-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "sock", NULL);
    g_autofree char *uri = g_strdup_printf("test+unix:///default?socket=%s", path);
    g_autoptr(GSocketListener) listener = g_socket_listener_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(DomainSource) source = NULL;
    gint64 begun = g_get_monotonic_time();
    Wait wait;

    ck_assert(g_socket_listener_add_address(listener, address, G_SOCKET_TYPE_STREAM,
                                            G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, NULL));
    source = open_source(uri, 0);
    wait = refresh(source, 200);
    ck_assert(g_error_matches(wait.error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_TIMEOUT));
    g_error_free(wait.error);
    wait = refresh(source, 60000);
    ck_assert(g_error_matches(wait.error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_BUSY));
    g_error_free(wait.error);
    ck_assert_int_lt(g_get_monotonic_time() - begun, 10 * G_USEC_PER_SEC);
    g_remove(path);
    g_rmdir(folder);
}
END_TEST

START_TEST (freed_while_asked) {
    DomainSource *source = open_source("test:///default", 0);
    Wait wait = {0};

    domain_source_refresh_async(source, DOMAIN_WANT_ALL, NULL, 20000, NULL, on_snapshot, &wait);
    domain_source_free(source);
    run(&wait);
    ck_assert_ptr_null(wait.snapshot);
    ck_assert(g_error_matches(wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    g_error_free(wait.error);
    while (g_main_context_iteration(NULL, FALSE)) { /* libvirt gives back what it holds for callbacks */
    }
}
END_TEST

/* What libraries that libvirt loads keep for each thread. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto\nleak:libgnutls\n";
}

int main(void)
{
    Suite *suite = suite_create("domain_libvirt");
    TCase *tcase = tcase_create("libvirt");
    SRunner *runner = srunner_create(suite);
    int failed;

#ifndef HAVE_LIBVIRT
    const char *log = g_getenv("CK_TAP_LOG_FILE_NAME");

    g_file_set_contents(log != NULL ? log : "/dev/stdout", "1..0 # SKIP built without libvirt\n", -1, NULL);
    return EXIT_SUCCESS;
#endif
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, statistics);
    tcase_add_test(tcase, devices);
    tcase_add_test(tcase, actions_and_events);
    tcase_add_test(tcase, known_guests);
    tcase_add_test(tcase, unreachable);
    tcase_add_test(tcase, stuck);
    tcase_add_test(tcase, freed_while_asked);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
