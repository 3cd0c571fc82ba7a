// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/launch.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/runtime-dir.h"
#include "host-vmm/vmctl/vmctl.h"

#define MONITOR    "host-vmm"
#define AGENT_PORT "org.qemu.guest_agent.0"

enum { TEXT_MAX = 8192 /* what is passed on of the monitor's stderr, bytes */ };

/* ---- finding the monitor ---- */

static gboolean is_program(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_REGULAR) && access(path, X_OK) == 0;
}

char *launch_find_monitor(GError **error)
{
    const char *wish = g_getenv("VIRT_SUITE_HOST_VMM");
    g_autofree char *self = NULL, *folder = NULL, *parent = NULL;
    char *path;

    if (wish != NULL && *wish != '\0') {
        if (is_program(wish))
            return g_canonicalize_filename(wish, NULL);
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "VIRT_SUITE_HOST_VMM: %s is not a program", wish);
        return NULL;
    }
    self = g_file_read_link("/proc/self/exe", NULL);
    folder = self == NULL ? g_strdup(".") : g_path_get_dirname(self);
    path = g_build_filename(folder, MONITOR, NULL);
    if (is_program(path))
        return path;
    g_free(path);
    parent = g_path_get_dirname(folder);
    path = g_build_filename(parent, MONITOR, NULL);
    if (is_program(path))
        return path;
    g_free(path);
    path = g_find_program_in_path(MONITOR);
    if (path == NULL)
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED,
                    MONITOR " is neither in %s nor in PATH (VIRT_SUITE_HOST_VMM can name it)", folder);
    return path;
}

/* ---- its command line ---- */

static void add(GPtrArray *words, const char *option, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void add(GPtrArray *words, const char *option, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(words, g_strdup(option));
    g_ptr_array_add(words, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

/* A value within a comma list: commas doubled. */
static char *escape_commas(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", parts);
}

static void add_socket(GPtrArray *words, const char *id, const char *path)
{
    g_autofree char *escaped = escape_commas(path);

    add(words, "-chardev", "socket,id=%s,path=%s,server=on,wait=off", id, escaped);
}

/* Whether the kernel's command line says where the console is. */
static gboolean names_console(const char *append)
{
    g_auto(GStrv) words = g_strsplit_set(append, " \t", -1);

    for (guint i = 0; words[i] != NULL; i++)
        if (g_str_has_prefix(words[i], "console="))
            return TRUE;
    return FALSE;
}

static void add_kernel(GPtrArray *words, const LaunchRequest *request)
{
    static const char *const CONSOLE_WORDS[] = {
        [CONSOLE_SERIAL] = "console=ttyS0",
        [CONSOLE_VIRTIO] = "console=hvc0",
        [CONSOLE_NONE] = "",
    };
    const char *append = request->append == NULL ? "" : request->append;
    const char *console = names_console(append) ? "" : CONSOLE_WORDS[request->console];
    g_autofree char *kernel = g_canonicalize_filename(request->kernel, NULL);

    add(words, "-kernel", "%s", kernel);
    if (request->initrd != NULL) {
        g_autofree char *initrd = g_canonicalize_filename(request->initrd, NULL);
        add(words, "-initrd", "%s", initrd);
    }
    if (*console != '\0' || *append != '\0')
        add(words, "-append", "%s%s%s", console, *console != '\0' && *append != '\0' ? " " : "", append);
}

static void add_devices(GPtrArray *words, const Guest *guest, const LaunchRequest *request)
{
    if (request->console != CONSOLE_NONE)
        add_socket(words, "console", guest->console);
    add(words, "-serial", request->console == CONSOLE_SERIAL ? "chardev:console" : "none");
    if (request->console == CONSOLE_VIRTIO || request->agent)
        add(words, "-device", "virtio-serial-pci,id=virtio-serial0");
    if (request->console == CONSOLE_VIRTIO)
        add(words, "-device", "virtconsole,chardev=console,id=console0");
    if (request->agent) {
        add_socket(words, "agent", guest->agent);
        add(words, "-device", "virtserialport,chardev=agent,id=agent0,name=" AGENT_PORT);
    }
    add(words, "-object", "rng-random,id=rng0,filename=/dev/urandom");
    add(words, "-device", "virtio-rng-pci,rng=rng0");
}

char **launch_command_line(const char *monitor, const Guest *guest, const LaunchRequest *request)
{
    GPtrArray *words = g_ptr_array_new();
    g_autofree char *name = escape_commas(guest->name);
    g_autofree char *qmp = escape_commas(guest->qmp);

    g_ptr_array_add(words, g_strdup(monitor));
    add(words, "-name", "guest=%s,debug-threads=on", name);
    add(words, "-m", "%" G_GUINT64_FORMAT "M", request->memory);
    if (request->max_vcpus != 0)
        add(words, "-smp", "%u,maxcpus=%u", request->vcpus, request->max_vcpus);
    else
        add(words, "-smp", "%u", request->vcpus);
    add_kernel(words, request);
    add_devices(words, guest, request);
    add(words, "-qmp", "unix:%s,server=on,wait=off", qmp);
    add(words, "-pidfile", "%s", guest->pid_file);
    add(words, "-D", "%s", guest->log);
    g_ptr_array_add(words, g_strdup("-daemonize"));
    if (request->paused)
        g_ptr_array_add(words, g_strdup("-S"));
    for (guint i = 0; request->extra != NULL && request->extra[i] != NULL; i++)
        g_ptr_array_add(words, g_strdup(request->extra[i]));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

/* ---- starting it ---- */

/* In the child: a group of its own, so that a keyboard's Ctrl-C does not reach it, and no signal blocked. */
static void set_up_child(gpointer data)
{
    sigset_t none;

    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

typedef struct Wait {
    gboolean ended, timed_out, interrupted;
} Wait;

static void on_ended(GObject *source, GAsyncResult *result, gpointer data)
{
    g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
    ((Wait *)data)->ended = TRUE;
}

static gboolean on_time(gpointer data)
{
    ((Wait *)data)->timed_out = TRUE;
    return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer data)
{
    ((Wait *)data)->interrupted = TRUE;
    return G_SOURCE_CONTINUE;
}

/* The process that was started, and the monitor that it may already have become. */
static void kill_monitor(GSubprocess *process, const Guest *guest)
{
    const char *id = g_subprocess_get_identifier(process);
    pid_t group = id == NULL ? 0 : (pid_t)g_ascii_strtoll(id, NULL, 10);
    int pidfd;

    if (group > 0)
        kill(-group, SIGKILL);
    pidfd = guest_pin(guest);
    if (pidfd >= 0) {
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        close(pidfd);
    }
}

/* Waits until the process has ended, leaving its monitor in the background; otherwise it is killed. */
static gboolean wait_for_parent(GSubprocess *process, const Guest *guest, guint timeout_ms, int signals,
                                GError **error)
{
    Wait wait = {FALSE, FALSE, FALSE};
    guint timer = g_timeout_add(timeout_ms, on_time, &wait);
    guint watch = g_unix_fd_add(signals, G_IO_IN, on_signal, &wait);
    gboolean ended;

    g_subprocess_wait_async(process, NULL, on_ended, &wait);
    while (!wait.ended && !wait.timed_out && !wait.interrupted)
        g_main_context_iteration(NULL, TRUE);
    ended = wait.ended;
    if (!ended) {
        kill_monitor(process, guest);
        while (!wait.ended) /* short, now that it is dead; `wait` must not be left behind */
            g_main_context_iteration(NULL, TRUE);
        if (wait.interrupted)
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "interrupted while guest %s was started",
                        guest->label);
        else
            g_set_error(error, VMCTL_ERROR, VMCTL_TIMED_OUT,
                        MONITOR " has not started guest %s within %.3g s", guest->label, timeout_ms / 1000.0);
    }
    g_source_remove(timer);
    g_source_remove(watch);
    return ended;
}

/* What the monitor has written, without the last newline. Owned. */
static char *read_output(int fd)
{
    char text[TEXT_MAX + 1];
    gssize count = pread(fd, text, TEXT_MAX, 0);

    text[MAX(count, 0)] = '\0';
    return g_strdup(g_strchomp(text));
}

/* A monitor's failure as one error: its own line if it wrote one. */
static void set_failure(GSubprocess *process, const Guest *guest, const char *output, GError **error)
{
    if (g_subprocess_get_if_signaled(process))
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, MONITOR " was ended by signal %d: %s",
                    g_subprocess_get_term_sig(process), *output != '\0' ? output : "it wrote nothing");
    else if (*output == '\0')
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, MONITOR " could not start guest %s and did not say why",
                    guest->label);
    else if (strchr(output, '\n') == NULL)
        g_set_error_literal(error, VMCTL_ERROR, VMCTL_FAILED, output);
    else { /* more than its one line: a report of a sanitizer, say */
        fprintf(stderr, "%s\n", output);
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, MONITOR " could not start guest %s", guest->label);
    }
}

/* Starts the monitor and waits until it is in the background. */
static gboolean start_monitor(char *const *command, const Guest *guest, guint timeout_ms, int signals,
                              GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_NONE);
    g_autoptr(GSubprocess) process = NULL;
    g_autofree char *text = NULL;
    gboolean started = FALSE;
    /* A file instead of a pipe: its end does not depend on who still holds it open. */
    int output = memfd_create("host-vmm-output", MFD_CLOEXEC);

    if (output < 0) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "cannot make a memory file: %s", g_strerror(errno));
        return FALSE;
    }
    g_subprocess_launcher_set_child_setup(launcher, set_up_child, NULL, NULL);
    g_subprocess_launcher_take_stdout_fd(launcher, dup(output));
    g_subprocess_launcher_take_stderr_fd(launcher, dup(output));
    process = g_subprocess_launcher_spawnv(launcher, (const char *const *)command, error);
    if (process != NULL && wait_for_parent(process, guest, timeout_ms, signals, error)) {
        text = read_output(output);
        started = g_subprocess_get_successful(process);
        if (!started)
            set_failure(process, guest, text, error);
        else if (*text != '\0') /* a warning */
            fprintf(stderr, "%s\n", text);
    }
    close(output);
    return started;
}

/* Under the lock of all: no guest of that name may run or be started. */
static int prepare_folder(const Guest *guest, GError **error)
{
    pid_t pid;

    switch (guest_life(guest, &pid)) {
    case GUEST_ALIVE:
        if (pid > 0)
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s is already running (process %d)",
                        guest->label, (int)pid);
        else
            g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s is already running", guest->label);
        return -1;
    case GUEST_STARTING:
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s is just being started by another vmctl",
                    guest->label);
        return -1;
    case GUEST_ENDED:
    case GUEST_DEAD:
        if (!guest_remove(guest, error))
            return -1;
        break;
    case GUEST_ABSENT:
        break;
    }
    return guest_begin_start(guest, error);
}

gboolean launch_guest(const Guest *guest, const LaunchRequest *request, guint timeout_ms, int signals,
                      GError **error)
{
    g_autofree char *monitor = launch_find_monitor(error);
    g_auto(GStrv) command = NULL;
    int all, starting;
    gboolean started;

    if (monitor == NULL || !runtime_dir_ensure(error))
        return FALSE;
    all = guest_lock_all(error);
    if (all < 0)
        return FALSE;
    starting = prepare_folder(guest, error);
    close(all);
    if (starting < 0)
        return FALSE;
    command = launch_command_line(monitor, guest, request);
    started = start_monitor(command, guest, timeout_ms, signals, error);
    unlink(guest->starting);
    close(starting);
    if (started && guest_life(guest, NULL) != GUEST_ALIVE) {
        g_set_error(error, VMCTL_ERROR, VMCTL_FAILED, "guest %s has ended at once", guest->label);
        started = FALSE;
    }
    if (!started)
        guest_clean(guest, NULL);
    return started;
}
