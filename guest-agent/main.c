// SPDX-License-Identifier: GPL-2.0-or-later
/* guest-agent: the daemon inside the guest that carries out the host's commands. */
#include "guest-agent/agent.h"
#include "guest-agent/daemon.h"
#include "guest-agent/freezer.h"
#include "guest-agent/options.h"
#include "lib/log.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct Program {
    GMainLoop *loop;
    Agent *agent;
    Daemon *daemon;
    const Options *options;
    int status;
} Program;

/* Big blocks (a message, a file's piece) come from the system one by one and go back when they are freed;
 * glibc would otherwise raise this bound with every one that it sees, and keep them in the heap. */
static void tune_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 512 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    mallopt(M_ARENA_MAX, 2);
}

static void quit(gpointer user_data)
{
    Program *program = user_data;
    g_main_loop_quit(program->loop);
}

static void on_signal(gpointer user_data)
{
    Program *program = user_data;
    agent_freeze_end(program->agent->freeze, quit, program);
}

static void on_transport_failed(GError *error, gpointer user_data)
{
    Program *program = user_data;
    g_critical("%s", error->message);
    g_error_free(error);
    program->status = EXIT_FAILURE;
    agent_freeze_end(program->agent->freeze, quit, program);
}

/* Log and pid file may lie on a file system that was frozen when we came. */
static void open_files(gpointer user_data)
{
    Program *program = user_data;
    const Options *options = program->options;
    g_autoptr(GError) error = NULL;
    if (options->log_file && !log_to_file(options->log_file, &error))
        g_warning("%s", error->message);
    g_clear_error(&error);
    if (options->pid_file && !daemon_make_pid_file(program->daemon, options->pid_file, &error))
        g_warning("%s", error->message);
}

/* Serves until a signal comes. */
static void serve(Program *program, gboolean came_frozen)
{
    const Options *options = program->options;
    Agent *agent = program->agent = agent_new(options);
    TransportHost host = {agent->server, on_transport_failed, program};
    GError *error = NULL;
    program->loop = g_main_loop_new(NULL, FALSE);
    gpointer transport = NULL;
    if (came_frozen)
        agent_freeze_when_thawed(agent->freeze, open_files, program);
    if (daemon_on_signal(program->daemon, on_signal, program, &error))
        transport = options->transport->start(options->path, &host, &error);
    if (transport) {
        daemon_ready(program->daemon);
        g_main_loop_run(program->loop);
        options->transport->stop(transport);
    } else {
        g_critical("%s", error->message);
        g_error_free(error);
        program->status = EXIT_FAILURE;
    }
    g_main_loop_unref(program->loop);
    if (!agent_free(agent)) { /* a thread hangs on a file: do not wait for it */
        daemon_end(program->daemon);
        _exit(program->status);
    }
}

/* The exit status. */
static int run(const Options *options)
{
    Program program = {.options = options, .status = EXIT_SUCCESS};
    g_autoptr(GError) error = NULL;
    gboolean came_frozen = freezer_is_marked(options->state_dir);
    if (!log_open("guest-agent", came_frozen ? NULL : options->log_file,
                  options->verbose ? LOG_VERBOSE : LOG_QUIET, &error)) {
        g_printerr("guest-agent: %s\n", error->message);
        return EXIT_FAILURE;
    }
    program.daemon = daemon_begin(options->daemonize, &error);
    if (!program.daemon || (!came_frozen && options->pid_file &&
                            !daemon_make_pid_file(program.daemon, options->pid_file, &error))) {
        g_critical("%s", error->message);
        if (program.daemon)
            daemon_end(program.daemon);
        return EXIT_FAILURE;
    }
    serve(&program, came_frozen);
    daemon_end(program.daemon);
    return program.status;
}

int main(int argc, char **argv)
{
    Options options;
    int status = EXIT_SUCCESS;
    daemon_prepare_process();
    tune_memory();
    OptionsResult result = options_parse(&options, argc, argv);
    if (result == OPTIONS_RUN)
        status = run(&options);
    else if (result == OPTIONS_LIST_COMMANDS)
        agent_list_commands();
    else if (result == OPTIONS_BAD)
        status = EXIT_FAILURE;
    options_clear(&options);
    return status;
}
