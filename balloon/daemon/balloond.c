// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloond: command line, configuration, signals.
 */
#include "config.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "balloon/daemon/control.h"
#include "balloon/daemon/loop.h"
#include "balloon/daemon/report.h"
#include "lib/log.h"
#include "lib/memory.h"

#define DEFAULT_CONFIG "/etc/balloond.conf"
#define QUIET_S        5 /* after the start: what only starting needed is given back */

typedef struct Program {
    char *config, *root;
    gboolean dry_run, check, verbose, version;
    GMainLoop *main_loop;
    Loop *loop;
    Control *control;
} Program;

static void fail(GError *error)
{
    fprintf(stderr, "balloond: %s\n", error->message);
    g_error_free(error);
}

static Settings *read_settings(const Program *program, GError **error)
{
    if (program->config != NULL)
        return settings_read(program->config, error);
    if (g_file_test(DEFAULT_CONFIG, G_FILE_TEST_EXISTS))
        return settings_read(DEFAULT_CONFIG, error);
    return settings_parse(DEFAULT_CONFIG, "", error);
}

static void on_over(gpointer user_data)
{
    g_main_loop_quit(((Program *)user_data)->main_loop);
}

static void reload(Program *program)
{
    g_autoptr(GError) error = NULL;
    Settings *settings = read_settings(program, &error);
    if (settings != NULL && !loop_reload(program->loop, settings, &error))
        g_clear_pointer(&settings, settings_free);
    if (settings == NULL)
        g_warning("The configuration is as it was: %s", error->message);
    else
        g_message("The configuration was read anew");
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer user_data)
{
    Program *program = user_data;
    struct signalfd_siginfo came;
    while (read(fd, &came, sizeof came) == sizeof came) {
        if (came.ssi_signo == SIGHUP)
            reload(program);
        else
            g_main_loop_quit(program->main_loop);
    }
    return G_SOURCE_CONTINUE;
}

/* From a descriptor: GLib would read them in a thread. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static gboolean on_quiet(gpointer user_data)
{
    memory_give_back();
    memory_drop_code();
    return G_SOURCE_REMOVE;
}

static int run(Program *program, Settings *settings)
{
    g_autofree char *path = settings->socket != NULL ? g_strdup(settings->socket) : control_default_path();
    GError *error = NULL;
    int signals = open_signals();
    if (signals < 0) {
        fprintf(stderr, "balloond: signalfd: %s\n", g_strerror(errno));
        settings_free(settings);
        return 1;
    }
    program->loop = loop_new(settings, program->root != NULL ? program->root : "", program->dry_run, on_over,
                             program, &error);
    if (program->loop == NULL) {
        settings_free(settings);
        close(signals);
        fail(error);
        return 1;
    }
    program->control = control_new(path, program->loop, &error);
    if (program->control == NULL) {
        loop_free(program->loop);
        close(signals);
        fail(error);
        return 1;
    }
    program->main_loop = g_main_loop_new(NULL, FALSE);
    guint source = g_unix_fd_add(signals, G_IO_IN, on_signal, program);
    guint quiet = g_timeout_add_seconds(QUIET_S, on_quiet, NULL);
    loop_start(program->loop);
    g_main_loop_run(program->main_loop);
    report_write_files(program->loop);
    g_source_remove(source);
    if (g_main_context_find_source_by_id(NULL, quiet) != NULL)
        g_source_remove(quiet);
    close(signals);
    control_free(program->control);
    loop_free(program->loop);
    g_main_loop_unref(program->main_loop);
    return 0;
}

int main(int argc, char **argv)
{
    Program program = {0};
    GError *error = NULL;
    int status = 0;
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &program.config, "The configuration (" DEFAULT_CONFIG ")",
         "FILE"},
        {"check", 'C', 0, G_OPTION_ARG_NONE, &program.check, "Say what is wrong with it, and end", NULL},
        {"dry-run", 'n', 0, G_OPTION_ARG_NONE, &program.dry_run, "Decide and log, but change no guest", NULL},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &program.root, "Read the host's /proc below DIR", "DIR"},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &program.verbose, "Log each change", NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &program.version, "Print the version", NULL},
        {NULL}};
    GOptionContext *options = g_option_context_new("- sizes guests by what they need and the host has");
    g_option_context_add_main_entries(options, entries, NULL);
    gboolean good = g_option_context_parse(options, &argc, &argv, &error);
    g_option_context_free(options);
    if (good && argc > 1)
        g_set_error(&error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "\"%s\" is too much", argv[1]);
    signal(SIGPIPE, SIG_IGN);
    if (error != NULL) {
        fail(error);
        status = 2;
    } else if (program.version) {
        puts("balloond " VERSION);
    } else {
        Settings *settings = read_settings(&program, &error);
        log_open("balloond", NULL, program.verbose ? LOG_VERBOSE : LOG_NORMAL, NULL);
        if (settings == NULL) {
            fail(error);
            status = 1;
        } else if (program.check) {
            settings_free(settings);
        } else {
            status = run(&program, settings);
        }
    }
    g_free(program.config);
    g_free(program.root);
    return status;
}
