// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * terminal: a terminal under curses in a GLib program: set up, read without blocking, resized, given back.
 * A library of its own, libterminal.a, since only its users need curses.
 */
#pragma once

#include <gio/gio.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>

typedef struct Terminal Terminal;

typedef struct TerminalHooks {
    void (*key)(int key, gunichar wide, gpointer user_data); /* wide: the character; 0: a function key */
    void (*draw)(gpointer user_data);                        /* after keys, and at another size */
    void (*gone)(gpointer user_data);                        /* the terminal: nothing more comes from it */
    gpointer user_data;
} TerminalHooks;

/* NULL and error if stdin and stdout are no terminal, or it cannot place its cursor. */
Terminal *terminal_open(const TerminalHooks *hooks, GError **error);
/* Restores it. */
void terminal_close(Terminal *terminal);
/* Starts colours; FALSE: NO_COLOR (no-color.org) forbids them, or the terminal has none. */
gboolean terminal_start_colours(void);
