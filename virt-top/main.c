// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virt-top: rounds, one a delay, and where their results go.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib/gstdio.h>

#include "lib/log.h"
#include "virt-top/fleet.h"
#include "virt-top/http.h"
#include "virt-top/lines.h"
#include "virt-top/options.h"
#include "virt-top/ui.h"

enum {
    FIRST_WAIT_MS = 10000,
    MAX_WAIT_MS = 1500,
    MIN_TIMEOUT_MS = 3000,
    MAX_TIMEOUT_MS = 30000,
    EVENT_PAUSE_MS = 250
};

typedef struct Program {
    Options options;
    Fleet *fleet;
    Ui *ui;
    HttpServer *http;
    GMainLoop *loop;
    FILE *csv;
    guint timer, event_timer;
    guint64 rounds;
    gint64 deadline; /* of end_time */
    int status;
    char *told; /* the problem that was told on stderr last */
} Program;

static gint64 now_seconds(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static void stop(Program *program, int status)
{
    program->status = status;
    g_main_loop_quit(program->loop);
}

static void begin_round(Program *program)
{
    guint wait = program->rounds == 0 ? FIRST_WAIT_MS
                                      : (guint)CLAMP(program->options.delay * 1000 / 2, 200, MAX_WAIT_MS);

    if (program->timer != 0) {
        g_source_remove(program->timer);
        program->timer = 0;
    }
    /* A connection that is slower than ten delays is stuck; to connect may take longer. */
    fleet_round(program->fleet, wait,
                program->rounds == 0
                    ? MAX_TIMEOUT_MS
                    : (guint)CLAMP(program->options.delay * 10000, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS));
}

static gboolean on_timer(gpointer user_data)
{
    Program *program = user_data;

    program->timer = 0;
    begin_round(program);
    return G_SOURCE_REMOVE;
}

/* ---- what a round leads to ---- */

static void write_out(Program *program, FILE *file, GString *text)
{
    if (fwrite(text->str, 1, text->len, file) != text->len || fflush(file) != 0) {
        fprintf(stderr, "virt-top: cannot write: %s\n", g_strerror(errno));
        stop(program, errno == EPIPE ? 0 : 1);
    }
}

static void write_prometheus_file(Program *program)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    lines_prometheus(text, program->fleet, FALSE);
    /* In one step, so that a collector never reads half of it. */
    if (!g_file_set_contents(program->options.prometheus, text->str, (gssize)text->len, &error)) {
        g_warning("%s", error->message);
    }
}

static void tell_problems(Program *program)
{
    for (guint i = 0; i < program->fleet->sources->len; i++) {
        const FleetSource *source = program->fleet->sources->pdata[i];

        if (source->problem != NULL && g_strcmp0(source->problem, program->told) != 0) {
            g_warning("%s: %s", domain_source_label(source->source), source->problem);
            g_free(program->told);
            program->told = g_strdup(source->problem);
        }
    }
}

static void on_round(gpointer user_data)
{
    Program *program = user_data;
    const Options *options = &program->options;
    g_autoptr(GString) text = g_string_new(NULL);
    gint64 now = now_seconds();
    double delay = options->delay;
    const char *reason;

    if (program->rounds++ == 0 && fleet_is_lost(program->fleet, &reason)) {
        g_clear_pointer(&program->ui, ui_free);
        fprintf(stderr, "virt-top: %s\n", reason);
        if (options->uris->len == 0 && geteuid() != 0) {
            fprintf(stderr,
                    "NB: to see the guests of this machine's system you usually have to be root, or name a "
                    "connection (-c)\n");
        }
        stop(program, 1);
        return;
    }
    if (program->csv != NULL) {
        if (program->ui == NULL) {
            fleet_sort(program->fleet, SORT_ID, FALSE); /* its own order: once it is, it stays */
        }
        lines_csv(text, &options->lines, program->fleet->rows, &program->fleet->totals, now);
        write_out(program, program->csv, text);
        g_string_truncate(text, 0);
    }
    if (options->stream) {
        fleet_sort(program->fleet, SORT_ID, FALSE); /* whatever -o says, as with 1.1.1 */
        lines_stream(text, &options->lines, program->fleet->rows, &program->fleet->totals, now);
    } else if (options->json) {
        fleet_sort(program->fleet, options->sort, FALSE);
        lines_json(text, program->fleet, now);
    } else if (options->batch && !options->script) {
        fleet_sort(program->fleet, options->sort, FALSE);
        lines_batch(text, &options->lines, program->fleet->rows, &program->fleet->totals, now);
    }
    if (text->len > 0) {
        write_out(program, stdout, text);
    }
    if (options->prometheus != NULL && strchr(options->prometheus, '/') != NULL) {
        write_prometheus_file(program);
    }
    if (program->ui != NULL) {
        ui_update(program->ui);
    } else {
        tell_problems(program);
    }
    if (options->iterations > 0 && program->rounds >= options->iterations) {
        stop(program, program->status);
        return;
    }
    if (program->deadline != 0) {
        double left = (double)(program->deadline - g_get_real_time()) / G_USEC_PER_SEC;

        if (left <= 0) {
            stop(program, program->status);
            return;
        }
        delay = MIN(delay, left);
    }
    program->timer = g_timeout_add((guint)ceil(delay * 1000), on_timer, program);
}

static gboolean on_event_timer(gpointer user_data)
{
    Program *program = user_data;

    program->event_timer = 0;
    begin_round(program);
    return G_SOURCE_REMOVE;
}

/* A guest has come or gone: seen at once on a screen, not in files, whose rows come at the delay. */
static void on_changed(gpointer user_data)
{
    Program *program = user_data;

    if (program->ui != NULL && program->event_timer == 0 && program->rounds > 0) {
        program->event_timer = g_timeout_add(EVENT_PAUSE_MS, on_event_timer, program);
    }
}

static void hook_refresh(gpointer user_data)
{
    begin_round(user_data);
}

static void hook_quit(gpointer user_data)
{
    stop(user_data, 0);
}

static gboolean on_signal(gpointer user_data)
{
    stop(user_data, 0);
    return G_SOURCE_CONTINUE;
}

static char *page(gboolean openmetrics, gpointer user_data)
{
    Program *program = user_data;
    GString *text = g_string_new(NULL);

    lines_prometheus(text, program->fleet, openmetrics);
    return g_string_free(text, FALSE);
}

/* ---- start ---- */

static gboolean add_sources(Program *program)
{
    DomainSourceFlags flags = program->options.actions ? DOMAIN_SOURCE_WRITABLE : DOMAIN_SOURCE_DEFAULT;
    guint count = MAX(program->options.uris->len, 1);

    for (guint i = 0; i < count; i++) {
        const char *uri = i < program->options.uris->len ? program->options.uris->pdata[i] : NULL;
        g_autoptr(GError) error = NULL;
        DomainSource *source = domain_source_new_libvirt(uri, flags, &error);

        if (source != NULL) {
            fleet_add(program->fleet, source, FALSE);
        } else if (uri != NULL) {
            fprintf(stderr, "virt-top: %s: %s\n", uri, error->message);
            return FALSE;
        }
    }
    if (!program->options.no_host_vmm) {
        fleet_add(program->fleet, domain_source_new_monitor(NULL), TRUE);
    }
    if (program->fleet->sources->len == 0) {
        fprintf(stderr, "virt-top: there is nothing to look at: no libvirt and no host-vmm\n");
        return FALSE;
    }
    return TRUE;
}

static gboolean open_files(Program *program)
{
    Options *options = &program->options;
    g_autoptr(GError) error = NULL;

    if (!log_open("virt-top", options->debug, options->debug != NULL ? LOG_VERBOSE : LOG_NORMAL, &error)) {
        fprintf(stderr, "virt-top: %s\n", error->message);
        return FALSE;
    }
    if (options->csv != NULL) {
        g_autoptr(GString) text = g_string_new(NULL);

        program->csv = fopen(options->csv, "we");
        if (program->csv == NULL) {
            fprintf(stderr, "virt-top: %s: %s\n", options->csv, g_strerror(errno));
            return FALSE;
        }
        lines_csv_header(text, &options->lines);
        write_out(program, program->csv, text);
    }
    if (options->prometheus != NULL && strchr(options->prometheus, '/') == NULL) {
        program->http = http_server_new(options->prometheus, page, program, &error);
        if (program->http == NULL) {
            fprintf(stderr, "virt-top: --prometheus: %s\n", error->message);
            return FALSE;
        }
    }
    return TRUE;
}

/* Descriptors 0 to 2 are there, whatever we were started with: a socket must not become stdout. */
static void fill_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

int main(int argc, char **argv)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    Program program = {0};
    Options *options = &program.options;
    gboolean has_screen;

    fill_standard_files();
    setlocale(LC_ALL, "");
    signal(SIGPIPE, SIG_IGN); /* a daemon that goes away is an error of a call, not our end */
    switch (options_read(options, argc, argv, now_seconds())) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_USAGE:
        return 2;
    case OPTIONS_FAILED:
        return EXIT_FAILURE;
    }
    has_screen = !options->script && !options->stream && !options->json && !options->batch;
    program.deadline = options->end_time * G_USEC_PER_SEC;
    program.loop = g_main_loop_new(NULL, FALSE);
    program.fleet = fleet_new(on_round, on_changed, &program);
    if (!open_files(&program) || !add_sources(&program)) {
        return EXIT_FAILURE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++) {
        g_unix_signal_add(signals[i], on_signal, &program);
    }
    if (!options->json && options->prometheus == NULL) {
        /* What lines have columns for; a screen asks for more. */
        program.fleet->wants = DOMAIN_WANT_BLOCKS | DOMAIN_WANT_NICS;
    }
    if (has_screen) {
        UiHooks hooks = {hook_refresh, hook_quit, &program};
        g_autoptr(GError) error = NULL;

        program.ui = ui_new(options, program.fleet, &hooks, &error);
        if (program.ui == NULL) {
            g_message("%s: writing plain text", error->message);
            options->batch = TRUE;
        }
    }
    begin_round(&program);
    g_main_loop_run(program.loop);
    g_clear_pointer(&program.ui, ui_free);
    g_clear_pointer(&program.http, http_server_free);
    if (program.csv != NULL && fclose(program.csv) != 0) {
        fprintf(stderr, "virt-top: %s: %s\n", options->csv, g_strerror(errno));
        program.status = EXIT_FAILURE;
    }
    fleet_free(program.fleet);
    g_main_loop_unref(program.loop);
    options_clear(options);
    g_free(program.told);
    fflush(stdout);
    return program.status;
}
