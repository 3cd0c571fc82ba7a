// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virt-who: what it was called for, and the process itself: signals, pid file, systemd, files that tell how
 * it is.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <glib-unix.h>
#include <glib/gstdio.h>

#include "lib/log.h"
#include "lib/memory.h"
#include "virt-who/engine.h"
#include "virt-who/notify.h"
#include "virt-who/options.h"
#include "virt-who/secret.h"
#include "virt-who/status.h"

#define STRICT_STATUS 3
#define FILES_MS      500 /* status files are written at most so often */
#define QUIET_S       10  /* after the last thing that happened, memory is given back */

typedef struct Program {
    Options options;
    Paths paths;
    ConfSet *set;
    State *state;
    Engine *engine;
    GMainLoop *loop;
    int status;
    int pid_fd;
    guint files_timer, quiet_timer;
} Program;

/* ---- messages ---- */

static void tell_problems(const ConfSet *set)
{
    for (guint i = 0; i < set->problems->len; i++) {
        const Problem *problem = set->problems->pdata[i];
        g_autofree char *place = problem->file == NULL ? g_strdup("")
                                 : problem->line > 0
                                     ? g_strdup_printf(" (%s:%u)", problem->file, problem->line)
                                     : g_strdup_printf(" (%s)", problem->file);

        if (problem->is_error) {
            g_critical("%s%s", problem->text, strstr(problem->text, place) != NULL ? "" : place);
        } else {
            g_warning("%s%s", problem->text, place);
        }
    }
}

static guint count_errors(const ConfSet *set)
{
    guint errors = 0;

    for (guint i = 0; i < set->problems->len; i++) {
        errors += ((const Problem *)set->problems->pdata[i])->is_error;
    }
    return errors;
}

/* Whether a message is about the section whose name is given: they say: Config "NAME, OTHER". */
static gboolean is_about(const char *message, gpointer name)
{
    const char *at = strstr(message, "onfig \"");
    const char *end = at != NULL ? strchr(at + 7, '"') : NULL;
    g_autofree char *list = end != NULL ? g_strndup(at + 7, (gsize)(end - at - 7)) : NULL;
    g_auto(GStrv) names = list != NULL ? g_strsplit(list, ", ", -1) : NULL;

    return names != NULL && g_strv_contains((const char *const *)names, name);
}

static void open_logs(Program *program)
{
    const Settings *settings = &program->set->settings;
    LogLevel level = settings->debug ? LOG_VERBOSE : LOG_NORMAL;
    g_autofree char *standard = g_build_filename(settings->log_dir, "rhsm.log", NULL);
    g_autoptr(GError) error = NULL;

    if (settings->log_file != NULL) {
        g_autofree char *path = g_path_is_absolute(settings->log_file)
                                    ? g_strdup(settings->log_file)
                                    : g_build_filename(settings->log_dir, settings->log_file, NULL);

        if (!log_add_file(path, LOG_VERBOSE, NULL, NULL, &error)) {
            g_warning("%s", error->message);
        }
    } else if (g_file_test(settings->log_dir, G_FILE_TEST_IS_DIR) && g_access(settings->log_dir, W_OK) == 0) {
        log_add_file(standard, LOG_VERBOSE, NULL, NULL, NULL);
    }
    for (guint i = 0; settings->log_per_config && i < program->set->configs->len; i++) {
        const Conf *config = program->set->configs->pdata[i];
        g_autofree char *name = g_strdelimit(g_strdup(config->name), "/", '_');
        g_autofree char *file = g_strdup_printf("virtwho.%s.log", name);
        g_autofree char *path = g_build_filename(settings->log_dir, file, NULL);

        g_clear_error(&error);
        if (!log_add_file(path, level, is_about, g_strdup(config->name), &error)) {
            g_warning("%s", error->message);
        }
    }
}

/* ---- --check-config ---- */

static int check_config(Program *program)
{
    const ConfSet *set = program->set;
    g_autoptr(GString) out = g_string_new("{\"configurations\": [");
    g_autofree char *pretty = NULL;

    if (!program->options.json) {
        tell_problems(set);
        printf("%u valid configurations, %u errors, %u warnings\n", set->configs->len, count_errors(set),
               set->problems->len - count_errors(set));
        return count_errors(set) > 0;
    }
    for (guint i = 0; i < set->configs->len; i++) {
        const Conf *config = set->configs->pdata[i];

        g_string_append(out, i > 0 ? ", {\"name\": " : "{\"name\": ");
        report_write_string(config->name, out);
        g_string_append_printf(out, ", \"type\": \"%s\"}", conf_type_name(config->type));
    }
    g_string_append(out, "], \"problems\": [");
    for (guint i = 0; i < set->problems->len; i++) {
        const Problem *problem = set->problems->pdata[i];

        g_string_append_printf(out, "%s{\"severity\": \"%s\", \"file\": ", i > 0 ? ", " : "",
                               problem->is_error ? "error" : "warning");
        if (problem->file != NULL) {
            report_write_string(problem->file, out);
        } else {
            g_string_append(out, "null");
        }
        g_string_append_printf(out, ", \"line\": %u, \"message\": ", problem->line);
        report_write_string(problem->text, out);
        g_string_append_c(out, '}');
    }
    g_string_append(out, "]}");
    pretty = report_indent(out->str);
    puts(pretty);
    return count_errors(set) > 0;
}

/* ---- files that tell how it is ---- */

static void write_file(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (path != NULL &&
        !g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, &error)) {
        g_info("%s", error->message);
    }
}

static gboolean write_files(gpointer user_data)
{
    Program *program = user_data;
    const char *status = program->set->settings.status_file, *metrics = program->set->settings.metrics_file;

    program->files_timer = 0;
    if (status != NULL) {
        g_autofree char *json = status_json(program->engine);
        g_autofree char *pretty = report_indent(json);
        g_autofree char *text = g_strconcat(pretty, "\n", NULL);

        write_file(status, text);
    }
    if (metrics != NULL) {
        g_autofree char *text = status_metrics(program->engine);

        write_file(metrics, text);
    }
    return G_SOURCE_REMOVE;
}

static gboolean on_quiet(gpointer user_data)
{
    Program *program = user_data;

    program->quiet_timer = 0;
    memory_give_back();
    memory_drop_code();
    return G_SOURCE_REMOVE;
}

static void on_changed(Engine *engine, gpointer user_data)
{
    Program *program = user_data;

    if (program->files_timer == 0 &&
        (program->set->settings.status_file != NULL || program->set->settings.metrics_file != NULL)) {
        program->files_timer = g_timeout_add(FILES_MS, write_files, program);
    }
    if (program->quiet_timer != 0) {
        g_source_remove(program->quiet_timer);
    }
    program->quiet_timer = g_timeout_add_seconds(QUIET_S, on_quiet, program);
}

/* ---- runs that end ---- */

static void print_reports(Program *program)
{
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    const Report *list = NULL;
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *pretty = NULL;
    guint reports = 0;

    for (guint i = 0; i < program->engine->items->len; i++) {
        const EngineItem *item = program->engine->items->pdata[i];

        reports += item->report != NULL;
        if (item->report != NULL && item->report->is_list) {
            list = item->report;
        }
        for (guint j = 0; item->report != NULL && !item->report->is_list && j < item->report->hosts->len;
             j++) {
            g_ptr_array_add(hosts, item->report->hosts->pdata[j]);
        }
    }
    if (reports == 0 && program->engine->items->len == 1) {
        fprintf(stderr, "No hypervisor reports found\n");
        program->status = 1;
        return;
    }
    if (list != NULL && hosts->len == 0 && reports == 1) {
        ReportHost guests = *(const ReportHost *)list->hosts->pdata[0];

        guests.id = NULL; /* alone, as ever */
        report_write_list(&guests, FALSE, FALSE, out);
    } else {
        report_write_hosts(hosts, FALSE, out);
    }
    pretty = report_indent(out->str);
    puts(pretty);
}

static void on_done(Engine *engine, gpointer user_data)
{
    Program *program = user_data;
    gboolean good = engine_is_good(engine);

    if (engine->options.gather_only) {
        print_reports(program);
    } else if (engine->options.probe && program->options.json) {
        g_autofree char *json = status_json(engine);
        g_autofree char *pretty = report_indent(json);

        puts(pretty);
    } else if (engine->options.probe) {
        g_autofree char *text = status_text(engine, isatty(STDOUT_FILENO) && g_getenv("NO_COLOR") == NULL);

        fputs(text, stdout);
    } else {
        state_save(program->state);
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "virt-who: cannot write: %s\n", g_strerror(errno));
        program->status = 1;
    }
    if (program->options.strict && !good) {
        program->status = STRICT_STATUS;
    }
    write_files(program);
    g_main_loop_quit(program->loop);
}

/* ---- the daemon ---- */

/* FALSE: another one runs. Where we may not write it, there is none. */
static gboolean take_pid_file(Program *program)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

    program->pid_fd = open(program->paths.pid, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (program->pid_fd < 0) {
        g_info("No pid file: %s: %s", program->paths.pid, g_strerror(errno));
        return TRUE;
    }
    if (flock(program->pid_fd, LOCK_EX | LOCK_NB) != 0) {
        return FALSE;
    }
    if (ftruncate(program->pid_fd, 0) != 0 || write(program->pid_fd, text, strlen(text)) < 0) {
        g_info("%s: %s", program->paths.pid, g_strerror(errno));
    }
    return TRUE;
}

static gboolean on_terminate(gpointer user_data)
{
    Program *program = user_data;

    notify_send("STOPPING=1\nSTATUS=terminated by a signal");
    g_message("virt-who terminated");
    g_main_loop_quit(program->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean on_watchdog(gpointer user_data)
{
    notify_send("WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

static void start_engine(Program *program, gboolean force);

static void apply_options(Program *program)
{
    Settings *settings = &program->set->settings;
    const Options *options = &program->options;

    settings->debug |= options->debug;
    settings->print |= options->print;
    settings->status |= options->status;
    settings->json |= options->json;
    settings->oneshot |= options->oneshot;
    if (options->interval != 0) {
        if (options->interval < CONF_MIN_INTERVAL) {
            problem_add(
                program->set->problems, FALSE, NULL, 0,
                "Interval value can't be lower than %u seconds. Default value of %u seconds will be used.",
                CONF_MIN_INTERVAL, CONF_DEFAULT_INTERVAL);
        }
        settings->interval =
            options->interval < CONF_MIN_INTERVAL ? CONF_DEFAULT_INTERVAL : (guint)options->interval;
    }
    if (options->status_file != NULL) {
        g_free(settings->status_file);
        settings->status_file = g_strdup(options->status_file);
    }
    if (options->metrics_file != NULL) {
        g_free(settings->metrics_file);
        settings->metrics_file = g_strdup(options->metrics_file);
    }
}

/* The files may have changed; if they are wrong now, what was read before stays. */
static gboolean on_hangup(gpointer user_data)
{
    Program *program = user_data;
    ConfSet *set = conf_read(&program->paths, (const char *const *)program->options.configs);
    ConfSet *before = program->set;

    log_reopen();
    tell_problems(set);
    if (set->configs->len == 0) {
        g_critical("The configuration is not valid any more; virt-who goes on with the one it had");
        conf_set_free(set);
        set = NULL;
    } else {
        g_message("The configuration was read anew; all is sent again");
    }
    engine_free(program->engine);
    if (set != NULL) {
        program->set = set;
        apply_options(program);
        conf_set_free(before);
    }
    start_engine(program, TRUE);
    return G_SOURCE_CONTINUE;
}

static void start_engine(Program *program, gboolean force)
{
    const Settings *settings = &program->set->settings;
    const EngineOptions options = {settings->print, settings->oneshot, settings->status, force};
    const EngineFuncs funcs = {on_done, on_changed};

    program->engine = engine_new(program->set, &program->paths, program->state, &options, &funcs, program);
    engine_start(program->engine);
}

static int run(Program *program)
{
    const Settings *settings = &program->set->settings;
    gboolean daemon = !settings->print && !settings->oneshot && !settings->status;
    guint watchdog = notify_watchdog_ms();
    g_autofree char *ready = NULL;

    if (daemon && !take_pid_file(program)) {
        g_critical("virt-who seems to be already running. If not, remove %s", program->paths.pid);
        return 1;
    }
    program->state = state_load(program->paths.state);
    program->loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGTERM, on_terminate, program);
    g_unix_signal_add(SIGINT, on_terminate, program);
    if (daemon) {
        g_unix_signal_add(SIGHUP, on_hangup, program);
    }
    g_info("Using reporter_id='%s'", settings->reporter_id);
    start_engine(program, FALSE);
    if (daemon) {
        if (watchdog > 0) {
            g_timeout_add(watchdog, on_watchdog, program);
        }
        ready = g_strdup_printf(
            "READY=1\nMAINPID=%d\nSTATUS=%u configurations, every %u s and when something changes",
            (int)getpid(), program->set->configs->len, settings->interval);
        notify_send(ready);
    }
    g_main_loop_run(program->loop);
    if (program->files_timer != 0) {
        g_source_remove(program->files_timer);
    }
    if (program->quiet_timer != 0) {
        g_source_remove(program->quiet_timer);
    }
    if (daemon) {
        state_save(program->state);
        if (program->pid_fd >= 0) {
            g_unlink(program->paths.pid);
        }
    }
    engine_free(program->engine);
    state_free(program->state);
    g_main_loop_unref(program->loop);
    return program->status;
}

static int start(Program *program)
{
    program->set = conf_read(&program->paths, (const char *const *)program->options.configs);
    apply_options(program);
    if (program->options.check_config) {
        log_open("virt-who", NULL, LOG_NORMAL, NULL);
        return check_config(program);
    }
    log_open("virt-who", NULL, program->set->settings.debug ? LOG_VERBOSE : LOG_NORMAL, NULL);
    if (!program->set->settings.print && !program->set->settings.status) {
        open_logs(program);
    }
    tell_problems(program->set);
    if (program->set->configs->len == 0 || program->set->key_failed) {
        g_critical("virt-who can't be started: no valid configuration found");
        return 1;
    }
    return run(program);
}

int main(int argc, char **argv)
{
    Program program = {.pid_fd = -1};
    int status = options_read(&program.options, argc, argv);

    if (status < 0) {
        signal(SIGPIPE, SIG_IGN);
        secret_protect_process();
        paths_init(&program.paths, program.options.root != NULL ? program.options.root : "");
        status = start(&program);
        conf_set_free(program.set);
        paths_clear(&program.paths);
    }
    options_clear(&program.options);
    return status;
}
