// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/ui-private.h"

#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

#include <glib-unix.h>

#include "virt-top/text.h"

/* term.h has macros of such names. */
#undef lines
#undef columns
#undef init_file

enum { MESSAGE_MS = 3000 };

/* ---- drawing ---- */

attr_t ui_colour(const Ui *ui, UiColour colour)
{
    if (ui->colours) {
        return (colour == COLOUR_DIM ? A_DIM : 0) |
               (colour == COLOUR_PLAIN || colour == COLOUR_DIM ? 0 : COLOR_PAIR(colour));
    }
    return colour == COLOUR_BAD ? A_BOLD : colour == COLOUR_DIM ? A_DIM : 0;
}

void ui_line(Ui *ui, int y, attr_t attributes, const char *text)
{
    g_autofree char *fitted = NULL;

    if (y < 0 || y >= LINES || COLS <= 0) {
        return;
    }
    fitted = text_fit(text, (guint)COLS, TRUE);
    attrset(attributes);
    mvaddstr(y, 0, fitted);
    attrset(0);
}

void ui_draw(Ui *ui)
{
    if (!ui->started) {
        return; /* nothing is known yet */
    }
    erase();
    switch (ui->page) {
    case PAGE_LIST:
        ui_draw_head(ui);
        ui_draw_message(ui);
        ui_draw_list(ui);
        ui_draw_fkeys(ui);
        break;
    case PAGE_HELP:
        ui_draw_help(ui);
        break;
    case PAGE_SORT:
        ui_draw_sort(ui);
        break;
    case PAGE_COLUMNS:
        ui_draw_columns(ui);
        break;
    case PAGE_DETAIL:
        ui_draw_detail(ui);
        if (ui->prompt != PROMPT_NONE || ui->message != NULL) {
            ui_draw_message(ui);
        }
        break;
    }
    refresh();
}

/* ---- messages ---- */

void ui_drop_message(Ui *ui)
{
    if (ui->message_timer != 0) {
        g_source_remove(ui->message_timer);
        ui->message_timer = 0;
    }
    g_clear_pointer(&ui->message, g_free);
}

static gboolean on_message_over(gpointer user_data)
{
    Ui *ui = user_data;

    ui_drop_message(ui);
    ui_draw(ui);
    return G_SOURCE_REMOVE;
}

void ui_say(Ui *ui, const char *format, ...)
{
    va_list arguments;

    ui_drop_message(ui);
    va_start(arguments, format);
    ui->message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    ui->message_timer = g_timeout_add(MESSAGE_MS, on_message_over, ui);
}

static gboolean on_input(int fd, GIOCondition condition, gpointer user_data)
{
    Ui *ui = user_data;
    guint count = 0;
    wint_t wide = 0;
    int kind;

    while (count < 256 && (kind = get_wch(&wide)) != ERR) {
        count++;
        if (kind == KEY_CODE_YES && wide == KEY_RESIZE) {
            continue; /* drawn anew below */
        }
        ui_on_key(ui, (int)wide, kind == KEY_CODE_YES ? 0 : (gunichar)wide);
    }
    if (count == 0 && (condition & (G_IO_HUP | G_IO_ERR))) {
        ui->input = 0;
        ui->hooks.quit(ui->hooks.user_data); /* the terminal has gone */
        return G_SOURCE_REMOVE;
    }
    if (count == 0) {
        char byte;

        /* Readable, but no key: the end of the input, or half of a sequence, which curses has taken. */
        if (read(fd, &byte, 0) < 0 || (condition & G_IO_IN && isatty(fd) == 0)) {
            ui->input = 0;
            ui->hooks.quit(ui->hooks.user_data);
            return G_SOURCE_REMOVE;
        }
    }
    ui_draw(ui);
    return G_SOURCE_CONTINUE;
}

static gboolean on_winch(gpointer user_data)
{
    Ui *ui = user_data;
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        resizeterm(size.ws_row, size.ws_col);
        /* What the terminal has kept of its contents is unknown, even if its size is what it was. */
        clearok(curscr, TRUE);
        ui_draw(ui);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- life ---- */

static void set_up_colours(Ui *ui)
{
    const char *no_colour = g_getenv("NO_COLOR");

    ui->colours = !ui->options->no_colour && (no_colour == NULL || no_colour[0] == '\0') && has_colors();
    if (ui->colours) {
        start_color();
        use_default_colors();
        init_pair(COLOUR_RUNNING, COLOR_GREEN, -1);
        init_pair(COLOUR_PAUSED, COLOR_YELLOW, -1);
        init_pair(COLOUR_BAD, COLOR_RED, -1);
        init_pair(COLOUR_KEYS, COLOR_BLACK, COLOR_CYAN);
    }
}

Ui *ui_new(Options *options, Fleet *fleet, const UiHooks *hooks, GError **error)
{
    SCREEN *screen;
    Ui *ui;
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
    ui = g_new0(Ui, 1);
    ui->screen = screen;
    ui->options = options;
    ui->fleet = fleet;
    ui->hooks = *hooks;
    ui->typed = g_string_new(NULL);
    ui->items = g_array_new(FALSE, TRUE, sizeof(UiItem));
    ui->cancellable = g_cancellable_new();
    ui->utf8 = !options->ascii && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    fleet->wants = DOMAIN_WANT_ALL | (options->view == VIEW_PCPU ? DOMAIN_WANT_PCPUS : 0);
    set_up_colours(ui);
    cbreak();
    noecho();
    nonl();
    intrflush(stdscr, FALSE);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    mouseinterval(0);
    ui->input = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, ui);
    ui->winch = g_unix_signal_add(SIGWINCH, on_winch, ui);
    return ui;
}

void ui_free(Ui *ui)
{
    g_cancellable_cancel(ui->cancellable);
    g_object_unref(ui->cancellable);
    if (ui->input != 0) {
        g_source_remove(ui->input);
    }
    ui_drop_message(ui);
    g_source_remove(ui->winch);
    endwin();
    delscreen(ui->screen);
    g_clear_pointer(&ui->detail, domain_detail_free);
    g_string_free(ui->typed, TRUE);
    g_array_unref(ui->items);
    g_free(ui->filter);
    g_free(ui->search);
    g_free(ui);
}

static void add_guest(GPtrArray *uuids, const Row *row)
{
    if (row != NULL && row->active) {
        g_ptr_array_add(uuids, g_strdup(row->domain->uuid));
    }
}

/* Those on the screen are asked for first, where each has to be asked; in views of devices, which have only
 * those that were asked twice, as many guests besides as would fill it. */
static void note_visible(Ui *ui)
{
    GPtrArray *uuids = g_ptr_array_new();
    guint lines = ui_list_lines(ui);

    for (guint i = ui->top; i < ui->items->len && i < ui->top + lines; i++) {
        add_guest(uuids, g_array_index(ui->items, UiItem, i).row);
    }
    if (ui->options->view == VIEW_NET || ui->options->view == VIEW_BLOCK) {
        for (guint i = 0; i < ui->fleet->rows->len && i < lines; i++) {
            add_guest(uuids, ui->fleet->rows->pdata[i]);
        }
    }
    g_ptr_array_add(uuids, NULL);
    g_strfreev(ui->fleet->first);
    ui->fleet->first = (char **)g_ptr_array_free(uuids, FALSE);
}

void ui_update(Ui *ui)
{
    gint64 now = g_get_monotonic_time();

    if (ui->started && (double)(now - ui->hist_at) >= ui->options->hist_cpu * G_USEC_PER_SEC) {
        memmove(ui->hist + 1, ui->hist, sizeof ui->hist - sizeof ui->hist[0]);
        ui->hist[0] = ui->fleet->totals.cpu_percent;
        ui->n_hist = MIN(ui->n_hist + 1, UI_HISTORY);
        ui->hist_at = now;
    }
    ui->started = TRUE;
    ui_collect_items(ui);
    if (ui->page == PAGE_DETAIL) {
        ui_ask_detail(ui);
    }
    ui_draw(ui);
    note_visible(ui);
}
