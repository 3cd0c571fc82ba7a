// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/ui-private.h"

#include <langinfo.h>
#include <string.h>

#include "lib/text.h"

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

/* ---- the terminal ---- */

static void on_key(int key, gunichar wide, gpointer user_data)
{
    ui_on_key(user_data, key, wide);
}

static void on_draw(gpointer user_data)
{
    ui_draw(user_data);
}

static void on_gone(gpointer user_data)
{
    Ui *ui = user_data;

    ui->hooks.quit(ui->hooks.user_data);
}

/* ---- life ---- */

static void set_up_colours(Ui *ui)
{
    ui->colours = !ui->options->no_colour && terminal_start_colours();
    if (ui->colours) {
        init_pair(COLOUR_RUNNING, COLOR_GREEN, -1);
        init_pair(COLOUR_PAUSED, COLOR_YELLOW, -1);
        init_pair(COLOUR_BAD, COLOR_RED, -1);
        init_pair(COLOUR_KEYS, COLOR_BLACK, COLOR_CYAN);
    }
}

Ui *ui_new(Options *options, Fleet *fleet, const UiHooks *hooks, GError **error)
{
    Ui *ui = g_new0(Ui, 1);
    const TerminalHooks terminal = {on_key, on_draw, on_gone, ui};

    ui->terminal = terminal_open(&terminal, error);
    if (ui->terminal == NULL) {
        g_free(ui);
        return NULL;
    }
    ui->options = options;
    ui->fleet = fleet;
    ui->hooks = *hooks;
    ui->typed = g_string_new(NULL);
    ui->items = g_array_new(FALSE, TRUE, sizeof(UiItem));
    ui->cancellable = g_cancellable_new();
    ui->utf8 = !options->ascii && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    fleet->wants = DOMAIN_WANT_ALL | (options->view == VIEW_PCPU ? DOMAIN_WANT_PCPUS : 0);
    set_up_colours(ui);
    mousemask(BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
    mouseinterval(0);
    return ui;
}

void ui_free(Ui *ui)
{
    g_cancellable_cancel(ui->cancellable);
    g_object_unref(ui->cancellable);
    ui_drop_message(ui);
    terminal_close(ui->terminal);
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
