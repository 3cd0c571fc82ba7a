// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

#include <glib-unix.h>

/* term.h has a macro of that name. */
#undef lines

#define KEYS_AT_ONCE 256

struct Terminal {
    TerminalHooks hooks;
    SCREEN *screen;
    guint input, winch;
};

static gboolean lose(Terminal *terminal)
{
    terminal->input = 0;
    terminal->hooks.gone(terminal->hooks.user_data);
    return G_SOURCE_REMOVE;
}

static gboolean on_input(int fd, GIOCondition condition, gpointer user_data)
{
    Terminal *terminal = user_data;
    guint count = 0;
    wint_t wide = 0;
    char byte;
    int kind;

    while (count < KEYS_AT_ONCE && (kind = get_wch(&wide)) != ERR) {
        count++;
        if (kind != KEY_CODE_YES || wide != KEY_RESIZE) { /* drawn anew below */
            terminal->hooks.key((int)wide, kind == KEY_CODE_YES ? 0 : (gunichar)wide,
                                terminal->hooks.user_data);
        }
    }
    if (count == 0 && (condition & (G_IO_HUP | G_IO_ERR))) {
        return lose(terminal);
    }
    /* Readable, but no key: the end of the input, or half of a sequence, which curses has taken. */
    if (count == 0 && (read(fd, &byte, 0) < 0 || (condition & G_IO_IN && isatty(fd) == 0))) {
        return lose(terminal);
    }
    terminal->hooks.draw(terminal->hooks.user_data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_winch(gpointer user_data)
{
    Terminal *terminal = user_data;
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        resizeterm(size.ws_row, size.ws_col);
        /* What the terminal has kept of its contents is unknown, even if its size is what it was. */
        clearok(curscr, TRUE);
        terminal->hooks.draw(terminal->hooks.user_data);
    }
    return G_SOURCE_CONTINUE;
}

gboolean terminal_start_colours(void)
{
    const char *no_colour = g_getenv("NO_COLOR");

    if ((no_colour != NULL && no_colour[0] != '\0') || !has_colors()) {
        return FALSE;
    }
    start_color();
    use_default_colors();
    return TRUE;
}

Terminal *terminal_open(const TerminalHooks *hooks, GError **error)
{
    SCREEN *screen;
    Terminal *terminal;
    int status;

    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "this is not a terminal");
        return NULL;
    }
    if (setupterm(NULL, STDOUT_FILENO, &status) != OK || cursor_address == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "this terminal (TERM=%s) cannot place its cursor",
                    g_getenv("TERM") != NULL ? g_getenv("TERM") : "");
        return NULL;
    }
    del_curterm(cur_term); /* newterm() makes its own */
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "the terminal cannot be set up");
        return NULL;
    }
    terminal = g_new0(Terminal, 1);
    terminal->hooks = *hooks;
    terminal->screen = screen;
    cbreak();
    noecho();
    nonl();
    intrflush(stdscr, FALSE);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    terminal->input = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, terminal);
    terminal->winch = g_unix_signal_add(SIGWINCH, on_winch, terminal);
    return terminal;
}

void terminal_close(Terminal *terminal)
{
    if (terminal->input != 0) {
        g_source_remove(terminal->input);
    }
    g_source_remove(terminal->winch);
    endwin();
    delscreen(terminal->screen);
    g_free(terminal);
}
