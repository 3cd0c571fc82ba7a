// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host-vmm: the program. Parses, opens, builds, runs, and leaves nothing behind.
 */
#include <errno.h>
#include <glib-unix.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "host-vmm/daemonize.h"
#include "host-vmm/kvm/probe.h"
#include "host-vmm/machine.h"
#include "host-vmm/pidfile.h"
#include "host-vmm/qmp/server.h"
#include "host-vmm/trim.h"
#include "lib/log.h"

#define FLUSH_MS   1000 /* for monitors' last words */
#define STACK_SIZE (1u << 20)

typedef struct Program {
    MachineConfig *config;
    Pidfile *pidfile;
    ChardevSet *chardevs;
    Machine *machine;
    QmpServer *qmp;
    GMainLoop *loop;
    int daemonize_fd; /* -1: nobody is waiting */
    int signal_fd;
    int exit_status;
    gboolean signalled; /* before there was a machine */
} Program;

static gboolean on_signal(int fd, GIOCondition condition, gpointer user_data)
{
    Program *program = user_data;
    struct signalfd_siginfo came;

    if (read(fd, &came, sizeof(came)) != sizeof(came)) {
        return G_SOURCE_CONTINUE;
    }
    program->signalled = TRUE;
    chardev_set_cancel(program->chardevs);
    if (program->machine != NULL) {
        machine_quit(program->machine, "host-signal");
    }
    return G_SOURCE_CONTINUE;
}

static void on_quit(int exit_status, gpointer user_data)
{
    Program *program = user_data;

    program->exit_status = exit_status;
    g_main_loop_quit(program->loop);
}

/* Read from a descriptor: GLib's way has a thread of its own, which nobody could confine. Before there are
 * threads. */
static gboolean watch_signals(Program *program, GError **error)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
        (program->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot watch signals: %s",
                    g_strerror(errno));
        return FALSE;
    }
    g_unix_fd_add(program->signal_fd, G_IO_IN, on_signal, program);
    return TRUE;
}

static gboolean open_chardevs(Program *program, GError **error)
{
    const MachineConfig *config = program->config;

    for (guint i = 0; i < config->chardevs->len; i++) {
        if (chardev_set_add(program->chardevs, config->chardevs->pdata[i], error) == NULL) {
            return FALSE;
        }
    }
    for (guint i = 0; i < config->qmps->len; i++) {
        g_autofree char *id = g_strdup_printf("compat_monitor%u", i);

        if (chardev_set_add_shorthand(program->chardevs, id, config->qmps->pdata[i], error) == NULL) {
            g_prefix_error(error, "-qmp: ");
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean build(Program *program, GError **error)
{
    const MachineConfig *config = program->config;

    if (config->pidfile != NULL) {
        program->pidfile = pidfile_new(config->pidfile, error);
        if (program->pidfile == NULL) {
            return FALSE;
        }
    }
    if (!open_chardevs(program, error)) {
        return FALSE;
    }
    program->machine = machine_new(config, program->chardevs, error);
    if (program->machine == NULL) {
        return FALSE;
    }
    machine_set_quit_func(program->machine, on_quit, program);
    program->qmp = qmp_server_new(program->machine, program->chardevs);
    for (guint i = 0; i < config->monitors->len; i++) {
        if (!qmp_server_add_monitor(program->qmp, config->monitors->pdata[i], error)) {
            return FALSE;
        }
    }
    if (!config->start_paused && !machine_resume(program->machine, error)) {
        return FALSE;
    }
    trim_after_start(); /* while the guest runs */
    return TRUE;
}

static gboolean run(Program *program, GError **error)
{
    if (!build(program, error)) {
        return FALSE;
    }
    if (program->daemonize_fd >= 0 && !daemonize_finish(program->daemonize_fd, error)) {
        return FALSE;
    }
    machine_confine(program->machine);
    if (program->signalled) {
        machine_quit(program->machine, "host-signal");
    } else {
        g_main_loop_run(program->loop);
    }
    qmp_server_flush(program->qmp, FLUSH_MS);
    return TRUE;
}

static int report(GError *error)
{
    fprintf(stderr, "host-vmm: %s\n", error->message);
    g_error_free(error);
    return EXIT_FAILURE;
}

/* -accel kvm,probe=only: one line either way. */
static int probe(void)
{
    ProbeResult result;
    GError *error = NULL;

    if (!probe_kvm(&result, &error)) {
        return report(error);
    }
    printf("KVM runs 64-bit guests (probed in %.1f ms)\n", (double)result.total_ns / 1e6);
    return EXIT_SUCCESS;
}

/* Threads' stacks: the deepest of ours needs a few pages of it. The usual 8 MiB hold a whole huge page if
 * they happen to end at a multiple of its size, and then the first page touched costs two mebibytes. */
static void limit_stacks(void)
{
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, STACK_SIZE);
        pthread_setattr_default_np(&attributes);
        pthread_attr_destroy(&attributes);
    }
}

int main(int argc, char **argv)
{
    Program program = {.daemonize_fd = -1, .signal_fd = -1, .exit_status = EXIT_SUCCESS};
    GError *error = NULL;
    gboolean handled;

    program.config = machine_config_parse(argc, argv, &handled, &error);
    if (program.config == NULL) {
        return handled ? EXIT_SUCCESS : report(error);
    }
    if (program.config->probe_only) {
        machine_config_free(program.config);
        return probe();
    }
    signal(SIGPIPE, SIG_IGN);
    limit_stacks();
    if (!log_open("host-vmm", program.config->log_file, LOG_NORMAL, &error)) {
        machine_config_free(program.config);
        return report(error);
    }
    if (program.config->daemonize) {
        program.daemonize_fd = daemonize_begin(&error);
        if (program.daemonize_fd < 0) {
            machine_config_free(program.config);
            return report(error);
        }
    }
    program.loop = g_main_loop_new(NULL, FALSE);
    program.chardevs = chardev_set_new();
    if (!watch_signals(&program, &error) || !run(&program, &error)) {
        program.exit_status = EXIT_FAILURE;
    }
    if (program.machine != NULL) {
        machine_set_event_func(program.machine, NULL, NULL);
    }
    qmp_server_free(program.qmp);
    machine_free(program.machine);
    chardev_set_free(program.chardevs);
    if (error != NULL) {
        report(error); /* now that the terminal is as it was */
    }
    pidfile_free(program.pidfile);
    g_main_loop_unref(program.loop);
    machine_config_free(program.config);
    return program.exit_status;
}
