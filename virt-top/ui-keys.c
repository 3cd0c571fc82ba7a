// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/ui-private.h"

#include <string.h>

enum { CTRL_L = 12 };

/* ---- moving ---- */

static void remember_selection(Ui *ui)
{
    const UiItem *item =
        ui->selected < ui->items->len ? &g_array_index(ui->items, UiItem, ui->selected) : NULL;

    if (item != NULL && item->row != NULL) {
        g_strlcpy(ui->selected_uuid, item->row->domain->uuid, sizeof ui->selected_uuid);
        ui->selected_device = item->device;
    } else {
        ui->selected_uuid[0] = '\0';
    }
}

static void move_to(Ui *ui, gint64 to)
{
    if (ui->options->view == VIEW_PCPU) {
        ui->top = (guint)MAX(to, 0);
        return;
    }
    ui->selecting = ui->items->len > 0;
    ui->selected = ui->items->len > 0 ? (guint)CLAMP(to, 0, (gint64)ui->items->len - 1) : 0;
    remember_selection(ui);
}

static void move_by(Ui *ui, gint64 by)
{
    if (ui->options->view == VIEW_PCPU) {
        move_to(ui, (gint64)ui->top + by);
    } else if (!ui->selecting) {
        move_to(ui, by == 1 || by == -1 ? ui->top : (gint64)ui->top + by);
    } else {
        move_to(ui, (gint64)ui->selected + by);
    }
}

/* The first match from `from` on, going round. */
void ui_find_next(Ui *ui, guint from)
{
    g_autofree char *wanted = g_utf8_casefold(ui->search != NULL ? ui->search : "", -1);

    for (guint i = 0; i < ui->items->len && wanted[0] != '\0'; i++) {
        guint at = (from + i) % ui->items->len;
        const UiItem *item = &g_array_index(ui->items, UiItem, at);
        g_autofree char *name =
            item->row != NULL ? g_utf8_casefold(item->row->domain->name, -1) : g_strdup("");

        if (strstr(name, wanted) != NULL) {
            move_to(ui, at);
            return;
        }
    }
    if (wanted[0] != '\0') {
        ui_say(ui, "Not found: %s", ui->search);
    }
}

/* ---- keys ---- */

static const struct {
    const char *label;
    int key;
} FKEYS[] = {
    {"F1Help", 'h'}, {"F2Columns", 'c'}, {"F3Search", '/'}, {"F4Filter", '\\'}, {"F5Tree", 't'},
    {"F6Sort", 'F'}, {"F7Meters", 'm'},  {"F8Rates", 'r'},  {"F9Act", 'a'},     {"F10Quit", 'q'},
};

void ui_draw_fkeys(Ui *ui)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (LINES < 12) {
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(FKEYS); i++) {
        g_string_append_printf(out, "%s ", FKEYS[i].label);
    }
    ui_line(ui, LINES - 1, ui->colours ? ui_colour(ui, COLOUR_KEYS) : A_REVERSE, out->str);
}

static void set_view(Ui *ui, View view)
{
    ui->options->view = ui->options->view == view ? VIEW_DOMAINS : view;
    ui->selecting = FALSE;
    ui->top = ui->left = ui->selected = 0;
    ui->fleet->wants = DOMAIN_WANT_ALL | (ui->options->view == VIEW_PCPU ? DOMAIN_WANT_PCPUS : 0);
    ui_collect_items(ui);
    ui->hooks.round(ui->hooks.user_data);
}

static void set_sort(Ui *ui, SortKey key)
{
    ui->options->sort = key;
    ui_collect_items(ui);
}

static void write_init_file(Ui *ui)
{
    const FleetSource *first = ui->fleet->sources->pdata[0];
    g_autoptr(GError) error = NULL;

    if (!ui->options->overwrite_init_file) {
        ui_say(ui, "The init file says that it must not be overwritten");
    } else if (options_write(ui->options, domain_source_uri(first->source), &error)) {
        ui_say(ui, "Wrote settings to %s", ui->options->init_file);
    } else {
        ui_say(ui, "%s", error->message);
    }
}

static void begin_action(Ui *ui)
{
    if (!ui->options->actions) {
        ui_say(ui, "Actions are off: start with --actions");
    } else if (ui_selected(ui) == NULL) {
        ui_say(ui, "Select a guest first (arrow keys)");
    } else {
        ui_begin_prompt(ui, PROMPT_ACTION, "");
    }
}

static int function_key(int key)
{
    return key >= KEY_F(1) && key <= KEY_F(10) ? FKEYS[key - KEY_F(1)].key : key;
}

static void on_mouse(Ui *ui);

static void list_key(Ui *ui, int key)
{
    gint64 lines = ui_list_lines(ui);

    switch (function_key(key)) {
    case ' ':
    case CTRL_L:
        clearok(curscr, TRUE);
        ui->hooks.round(ui->hooks.user_data);
        break;
    case 'q':
        ui->hooks.quit(ui->hooks.user_data);
        break;
    case 'h':
    case '?':
        ui->page = PAGE_HELP;
        break;
    case 'd':
    case 's':
        ui_begin_prompt(ui, PROMPT_DELAY, "");
        break;
    case 'B':
        ui->options->lines.in_bytes = !ui->options->lines.in_bytes;
        break;
    case '0':
        ui->options->view = VIEW_DOMAINS;
        ui_collect_items(ui);
        break;
    case '1':
    case '2':
    case '3':
        set_view(ui, (View)(key - '0'));
        break;
    case 'P':
        set_sort(ui, SORT_CPU);
        break;
    case 'M':
        set_sort(ui, SORT_MEMORY);
        break;
    case 'T':
        set_sort(ui, SORT_TIME);
        break;
    case 'N':
        set_sort(ui, SORT_ID);
        break;
    case 'F':
        ui->cursor = ui->options->sort;
        ui->page = PAGE_SORT;
        break;
    case 'W':
        write_init_file(ui);
        break;
    case 'c':
        ui->cursor = 0;
        ui->page = PAGE_COLUMNS;
        break;
    case 'r':
        ui->options->lines.per_second = !ui->options->lines.per_second;
        ui_say(ui, ui->options->lines.per_second ? "Rates per second" : "Totals since the last refresh");
        break;
    case 't':
        ui->options->tree = !ui->options->tree;
        ui_collect_items(ui);
        break;
    case 'm':
        ui->options->meters = !ui->options->meters;
        break;
    case 'u':
        ui->utf8 = !ui->utf8;
        break;
    case '/':
        ui_begin_prompt(ui, PROMPT_SEARCH, "");
        break;
    case 'n':
        ui_find_next(ui, ui->selected + 1);
        break;
    case '\\':
        ui_begin_prompt(ui, PROMPT_FILTER, ui->filter != NULL ? ui->filter : "");
        break;
    case 'a':
        begin_action(ui);
        break;
    case KEY_UP:
    case 'k':
        move_by(ui, -1);
        break;
    case KEY_DOWN:
    case 'j':
        move_by(ui, 1);
        break;
    case KEY_PPAGE:
        move_by(ui, -MAX(lines - 1, 1));
        break;
    case KEY_NPAGE:
        move_by(ui, MAX(lines - 1, 1));
        break;
    case KEY_HOME:
        move_to(ui, 0);
        break;
    case KEY_END:
        move_to(ui, ui->options->view == VIEW_PCPU ? ui->fleet->totals.cpus : (gint64)ui->items->len - 1);
        break;
    case KEY_LEFT:
        ui->left -= ui->options->view == VIEW_PCPU ? (ui->left > 0) : MIN(ui->left, 8);
        break;
    case KEY_RIGHT:
        ui->left = MIN(ui->left + (ui->options->view == VIEW_PCPU ? 1 : 8), 100000);
        break;
    case '\n':
    case '\r':
    case KEY_ENTER:
        if (ui_selected(ui) != NULL) {
            ui->page = PAGE_DETAIL;
            ui->detail_top = 0;
            ui_ask_detail(ui);
        }
        break;
    case ESCAPE:
        ui->selecting = FALSE;
        break;
    case KEY_MOUSE:
        on_mouse(ui);
        break;
    default:
        ui_say(ui, "Unknown command - try 'h' for help");
    }
}

static void on_mouse(Ui *ui)
{
    MEVENT event;

    if (getmouse(&event) != OK) {
        return;
    }
    if (event.bstate & BUTTON4_PRESSED) {
        move_by(ui, -3);
    } else if (event.bstate & BUTTON5_PRESSED) {
        move_by(ui, 3);
    } else if (LINES >= 12 && event.y == LINES - 1) {
        int x = 0;

        for (guint i = 0; i < G_N_ELEMENTS(FKEYS); i++) {
            int width = (int)strlen(FKEYS[i].label) + 1;

            if (event.x >= x && event.x < x + width) {
                list_key(ui, FKEYS[i].key);
                return;
            }
            x += width;
        }
    } else if (event.y >= UI_HEADER_LINES) {
        move_to(ui, (gint64)ui->top + event.y - UI_HEADER_LINES);
    }
}

static void sort_key(Ui *ui, int key)
{
    if (key >= '0' && key < '0' + SORT_COUNT) {
        ui->cursor = (guint)(key - '0');
    } else if (key == KEY_UP || key == KEY_DOWN) {
        ui->cursor = (guint)CLAMP((int)ui->cursor + (key == KEY_UP ? -1 : 1), 0, SORT_COUNT - 1);
        return; /* shown, and taken when one leaves */
    } else if (key == 'M') {
        ui->cursor = SORT_MEMORY;
    } else if (key == 'P') {
        ui->cursor = SORT_CPU;
    } else if (key == 'T') {
        ui->cursor = SORT_TIME;
    } else if (key == 'N') {
        ui->cursor = SORT_ID;
    } else if (key != 'q' && key != ' ' && key != '\n' && key != '\r' && key != KEY_ENTER && key != ESCAPE) {
        return;
    }
    set_sort(ui, (SortKey)ui->cursor);
    ui->page = PAGE_LIST;
}

static void columns_key(Ui *ui, int key)
{
    if (key == KEY_UP || key == KEY_DOWN || key == 'k' || key == 'j') {
        ui->cursor =
            (guint)CLAMP((int)ui->cursor + (key == KEY_UP || key == 'k' ? -1 : 1), 0, COLUMN_COUNT - 1);
    } else if (key == ' ') {
        ui->options->columns ^= 1u << ui->cursor;
    } else if (key == 'q' || key == '\n' || key == '\r' || key == KEY_ENTER || key == ESCAPE) {
        ui->page = PAGE_LIST;
    }
}

static void detail_key(Ui *ui, int key)
{
    guint step = key == KEY_NPAGE || key == KEY_PPAGE ? (guint)MAX(LINES - 3, 1) : 1;

    if (key == KEY_UP || key == KEY_PPAGE || key == 'k') {
        ui->detail_top -= MIN(ui->detail_top, step);
    } else if (key == KEY_DOWN || key == KEY_NPAGE || key == 'j') {
        ui->detail_top += step;
    } else if (key == 'a') {
        begin_action(ui);
    } else if (key == 'q' || key == '\n' || key == '\r' || key == KEY_ENTER || key == ESCAPE ||
               key == KEY_LEFT) {
        ui->page = PAGE_LIST;
    }
}

void ui_on_key(Ui *ui, int key, gunichar wide)
{
    ui_drop_message(ui); /* it has been seen, or what is asked for now is more interesting */
    if (ui->prompt != PROMPT_NONE) {
        ui_prompt_key(ui, key, wide);
        return;
    }
    switch (ui->page) {
    case PAGE_LIST:
        list_key(ui, key);
        break;
    case PAGE_HELP:
        ui->page = PAGE_LIST;
        break;
    case PAGE_SORT:
        sort_key(ui, key);
        break;
    case PAGE_COLUMNS:
        columns_key(ui, key);
        break;
    case PAGE_DETAIL:
        detail_key(ui, key);
        break;
    }
}
