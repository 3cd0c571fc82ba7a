// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The terminal (or pipe, or file) that the program was started on. A terminal is raw while we use it.
 */
#include "host-vmm/char/chardev-private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

typedef struct StdioChardev {
    Chardev parent;
    int in, out;    /* our own open files where possible */
    int restore_in; /* flags of fd 0 and 1 to restore; -1: not changed */
    int restore_out;
    gboolean raw;
} StdioChardev;

/* The one thing that outlives everything: the terminal of this process, for signal handlers and exit(). There
 * is no way to hand them a pointer. */
static struct {
    volatile sig_atomic_t active; /* modes differ from `before` */
    gboolean in_use;              /* a chardev has stdio */
    struct termios before, raw;
} terminal;

static void restore_terminal(void)
{
    if (terminal.active) {
        terminal.active = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
    }
}

static void die_tidily(int signal_number)
{
    restore_terminal();
    /* The handler was reset when it was entered: this time it kills. */
    raise(signal_number);
}

/* After Ctrl-Z and fg the shell has put its own modes back. */
static void continue_raw(int signal_number)
{
    if (terminal.active) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.raw);
    }
}

static void make_raw(StdioChardev *self, gboolean signals)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGSYS};
    struct sigaction action = {.sa_handler = die_tidily, .sa_flags = SA_RESETHAND | SA_NODEFER};

    if (tcgetattr(STDIN_FILENO, &terminal.before) < 0) {
        return; /* not a terminal */
    }
    terminal.raw = terminal.before;
    terminal.raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    terminal.raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals) {
        terminal.raw.c_lflag &= ~(tcflag_t)ISIG;
    }
    terminal.raw.c_cc[VMIN] = 1;
    terminal.raw.c_cc[VTIME] = 0;
    terminal.active = 1;
    self->raw = TRUE;
    atexit(restore_terminal);
    for (guint i = 0; i < G_N_ELEMENTS(fatal); i++) {
        sigaction(fatal[i], &action, NULL);
    }
    action.sa_handler = continue_raw;
    action.sa_flags = SA_RESTART;
    sigaction(SIGCONT, &action, NULL);
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal.raw);
}

/* A descriptor for the same thing that can be non-blocking without our shell's becoming so too: the flag
 * belongs to the open file, which we share with whoever started us. Where it cannot be opened anew (a socket,
 * another user's terminal) the shared one is changed, and *flags says what to restore. */
static int own_descriptor(int fd, int mode, int *flags)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    struct stat info;
    int own;

    *flags = -1;
    if (fstat(fd, &info) < 0) {
        return -1;
    }
    if (S_ISREG(info.st_mode)) {
        return fcntl(fd, F_DUPFD_CLOEXEC, 3); /* never blocks, and the position is to be shared */
    }
    own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own >= 0) {
        return own;
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    *flags = fcntl(fd, F_GETFL);
    if (own >= 0 && *flags >= 0) {
        fcntl(fd, F_SETFL, *flags | O_NONBLOCK);
    }
    return own;
}

static gboolean open_stdio(Chardev *chardev, OptSet *options, GError **error)
{
    StdioChardev *self = (StdioChardev *)chardev;
    gboolean signals = TRUE;

    self->in = self->out = self->restore_in = self->restore_out = -1;
    if (!optset_bool(options, "signal", &signals, error) || !optset_finish(options, error)) {
        return FALSE;
    }
    if (terminal.in_use) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s: standard input and output are in use already",
                    optset_what(options));
        return FALSE;
    }
    self->out = own_descriptor(STDOUT_FILENO, O_WRONLY, &self->restore_out);
    if (self->out < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: cannot use standard output: %s",
                    optset_what(options), g_strerror(errno));
        return FALSE;
    }
    self->in = own_descriptor(STDIN_FILENO, O_RDONLY, &self->restore_in); /* closed: no input */
    terminal.in_use = TRUE;
    make_raw(self, signals);
    chardev_connected(chardev, self->in, self->out);
    return TRUE;
}

static void stdio_input_ended(Chardev *chardev)
{
    /* Output goes on. */
}

static void close_stdio(Chardev *chardev)
{
    StdioChardev *self = (StdioChardev *)chardev;

    if (self->out < 0) {
        return; /* it was never ours */
    }
    if (self->raw) {
        restore_terminal();
    }
    terminal.in_use = FALSE;
    if (self->restore_in >= 0) {
        fcntl(STDIN_FILENO, F_SETFL, self->restore_in);
    }
    if (self->restore_out >= 0) {
        fcntl(STDOUT_FILENO, F_SETFL, self->restore_out);
    }
    if (self->in >= 0) {
        close(self->in);
    }
    close(self->out);
}

static char *describe_stdio(Chardev *chardev)
{
    return g_strdup("stdio");
}

const ChardevKind CHARDEV_STDIO = {
    .name = "stdio",
    .size = sizeof(StdioChardev),
    .open = open_stdio,
    .close = close_stdio,
    .describe = describe_stdio,
    .input_ended = stdio_input_ended,
};
