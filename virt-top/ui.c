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

#include "virt-top/lines.h"
#include "virt-top/numbers.h"
#include "virt-top/text.h"

/* term.h has macros of such names. */
#undef lines
#undef columns
#undef init_file

enum { MESSAGE_MS = 3000, TYPED_MAX = 64, DETAIL_MS = 3000, ACT_MS = 10000, CTRL_L = 12, ESCAPE = 27 };
#define DETAIL_AGE_US (10 * G_USEC_PER_SEC)

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

static void append_meter(Ui *ui, GString *out, const char *label, double percent, guint width)
{
    guint filled = (guint)(CLAMP(percent, 0, 100) * width / 100 + 0.5);
    char number[NUMBER_SIZE];

    g_string_append_printf(out, "%s[", label);
    for (guint i = 0; i < width; i++) {
        g_string_append(out, i < filled ? (ui->utf8 ? "█" : "|") : " ");
    }
    g_string_append_printf(out, "%s%%] ", number_percent(percent, number));
}

/* The line above the header: what is typed, what is wrong, what was said, else meters. */
static void draw_message(Ui *ui)
{
    g_autoptr(GString) out = g_string_new(NULL);
    attr_t attributes = A_BOLD;
    const Row *row = ui_selected(ui);
    const char *name = row != NULL ? row->domain->name : "";

    switch (ui->prompt) {
    case PROMPT_DELAY:
        g_string_append_printf(out, "Change delay from %.1f to: %s", ui->options->delay, ui->typed->str);
        break;
    case PROMPT_SEARCH:
        g_string_append_printf(out, "Search: %s", ui->typed->str);
        break;
    case PROMPT_FILTER:
        g_string_append_printf(out, "Filter: %s", ui->typed->str);
        break;
    case PROMPT_ACTION:
        g_string_append_printf(out, "p Pause  r Resume  s Shut down  v vCPUs  b Balloon: %s", name);
        break;
    case PROMPT_VALUE:
        g_string_append_printf(
            out, ui->action == DOMAIN_ACTION_SET_VCPUS ? "Number of vCPUs of %s: %s" : "MiB for %s: %s", name,
            ui->typed->str);
        break;
    case PROMPT_CONFIRM: {
        static const char *const verbs[] = {"Pause", "Resume", "Shut down", "Change the vCPUs of",
                                            "Set the balloon of"};

        g_string_append_printf(out, "%s %s? (y/n)", verbs[ui->action], name);
        break;
    }
    case PROMPT_NONE:
        if (ui->message != NULL) {
            g_string_append(out, ui->message);
            break;
        }
        for (guint i = 0; i < ui->fleet->sources->len && out->len == 0; i++) {
            const FleetSource *source = ui->fleet->sources->pdata[i];

            if (source->problem != NULL) {
                g_string_append_printf(
                    out, "%s: %s (for %d s)", domain_source_label(source->source), source->problem,
                    (int)((g_get_monotonic_time() - source->problem_since) / G_USEC_PER_SEC));
                attributes |= ui_colour(ui, COLOUR_BAD);
            }
        }
        if (out->len == 0 && ui->filter != NULL && ui->filter[0] != '\0') {
            g_string_append_printf(out, "Filter: %s (\\ changes it)", ui->filter);
            attributes = 0;
        }
        if (out->len == 0 && ui->options->meters) {
            const Totals *totals = &ui->fleet->totals;
            guint width = (guint)CLAMP((COLS - 30) / 2, 4, 40);

            append_meter(ui, out, "CPU", totals->cpu_percent, width);
            append_meter(
                ui, out, "Mem",
                totals->host_memory > 0 ? 100.0 * (double)totals->memory / (double)totals->host_memory : 0,
                width);
            attributes = ui_colour(ui, COLOUR_RUNNING);
        }
        break;
    }
    ui_line(ui, 3, attributes, out->str);
}

static void draw_head(Ui *ui)
{
    const Totals *totals = &ui->fleet->totals;
    g_autoptr(GString) out = g_string_new(NULL);
    char clock[NUMBER_SIZE], percent[NUMBER_SIZE];

    g_string_printf(out, "virt-top %s - ", lines_clock(g_get_real_time() / G_USEC_PER_SEC, clock));
    if (totals->hosts > 1) {
        g_string_append_printf(out, "%u hosts", totals->hosts);
    } else {
        g_string_append(out, totals->model);
    }
    g_string_append_printf(out, " %u/%uCPU %uMHz %" G_GUINT64_FORMAT "MB ", totals->cpus, totals->max_cpus,
                           totals->mhz, totals->host_memory / 1024);
    for (guint i = 0; i < ui->n_hist; i++) {
        g_string_append_printf(out, "%s%% ", g_ascii_formatd(percent, sizeof percent, "%.1f", ui->hist[i]));
    }
    ui_line(ui, 0, 0, out->str);
    g_string_printf(out,
                    "%u domains, %u active, %u running, %u sleeping, %u paused, %u inactive D:%u O:%u X:%u",
                    totals->count, totals->active, totals->running, totals->blocked, totals->paused,
                    totals->inactive, totals->shutdown, totals->shutoff, totals->crashed);
    ui_line(ui, 1, 0, out->str);
    g_string_printf(out, "CPU: %s%%  Mem: %" G_GUINT64_FORMAT " MB (%" G_GUINT64_FORMAT " MB by guests)",
                    g_ascii_formatd(percent, sizeof percent, "%.1f", totals->cpu_percent),
                    totals->memory / 1024, totals->guest_memory / 1024);
    ui_line(ui, 2, 0, out->str);
}

static const struct {
    const char *label;
    int key;
} FKEYS[] = {
    {"F1Help", 'h'}, {"F2Columns", 'c'}, {"F3Search", '/'}, {"F4Filter", '\\'}, {"F5Tree", 't'},
    {"F6Sort", 'F'}, {"F7Meters", 'm'},  {"F8Rates", 'r'},  {"F9Act", 'a'},     {"F10Quit", 'q'},
};

static void draw_fkeys(Ui *ui)
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

void ui_draw(Ui *ui)
{
    if (!ui->started) {
        return; /* nothing is known yet */
    }
    erase();
    switch (ui->page) {
    case PAGE_LIST:
        draw_head(ui);
        draw_message(ui);
        ui_draw_list(ui);
        draw_fkeys(ui);
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
            draw_message(ui);
        }
        break;
    }
    refresh();
}

/* ---- messages ---- */

static void drop_message(Ui *ui)
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

    drop_message(ui);
    ui_draw(ui);
    return G_SOURCE_REMOVE;
}

void ui_say(Ui *ui, const char *format, ...)
{
    va_list arguments;

    drop_message(ui);
    va_start(arguments, format);
    ui->message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    ui->message_timer = g_timeout_add(MESSAGE_MS, on_message_over, ui);
}

/* ---- one guest: detail, actions ---- */

static void on_detail(GObject *object, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    DomainDetail *detail = domain_source_detail_finish(result, &error);
    Ui *ui = user_data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return; /* the screen is gone */
    }
    ui->detail_busy = FALSE;
    ui->detail_at = g_get_monotonic_time();
    g_clear_pointer(&ui->detail, domain_detail_free);
    ui->detail = detail;
    if (detail == NULL) {
        ui->detail = domain_detail_new();
        ui->detail->agent_note = g_strdup(error->message);
    }
    ui_draw(ui);
}

static void ask_detail(Ui *ui)
{
    const Row *row = ui_selected(ui);

    if (row == NULL || ui->detail_busy ||
        (strcmp(ui->detail_uuid, row->domain->uuid) == 0 && ui->detail != NULL &&
         g_get_monotonic_time() - ui->detail_at < DETAIL_AGE_US)) {
        return;
    }
    if (strcmp(ui->detail_uuid, row->domain->uuid) != 0) {
        g_clear_pointer(&ui->detail, domain_detail_free);
        g_strlcpy(ui->detail_uuid, row->domain->uuid, sizeof ui->detail_uuid);
    }
    ui->detail_busy = TRUE;
    domain_source_detail_async(row->source->source, row->domain->uuid, DETAIL_MS, ui->cancellable, on_detail,
                               ui);
}

static void on_acted(GObject *object, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    gboolean good = domain_source_act_finish(result, &error);
    Ui *ui = user_data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        return;
    }
    ui_say(ui, "%s", good ? "Done" : error->message);
    ui_draw(ui);
    ui->hooks.round(ui->hooks.user_data);
}

static void act(Ui *ui)
{
    const Row *row = ui_selected(ui);

    if (row == NULL) {
        ui_say(ui, "The guest has gone");
        return;
    }
    ui_say(ui, "%s: asked", row->domain->name);
    domain_source_act_async(row->source->source, row->domain->uuid, ui->action, ui->action_value, ACT_MS,
                            ui->cancellable, on_acted, ui);
}

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
static void find_next(Ui *ui, guint from)
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

/* ---- prompts ---- */

static void begin_prompt(Ui *ui, UiPrompt prompt, const char *text)
{
    ui->prompt = prompt;
    g_string_assign(ui->typed, text);
    drop_message(ui);
}

static void set_text(char **text, const char *value)
{
    g_free(*text);
    *text = g_strdup(value);
}

static void typed_changed(Ui *ui)
{
    if (ui->prompt == PROMPT_SEARCH) {
        set_text(&ui->search, ui->typed->str);
        find_next(ui, ui->selecting ? ui->selected : 0);
    } else if (ui->prompt == PROMPT_FILTER) {
        set_text(&ui->filter, ui->typed->str);
        ui_collect_items(ui);
    }
}

static void prompt_entered(Ui *ui)
{
    UiPrompt prompt = ui->prompt;
    char *end;
    double number = g_ascii_strtod(ui->typed->str, &end);
    gboolean is_number = end != ui->typed->str && *end == '\0';

    ui->prompt = PROMPT_NONE;
    if (prompt == PROMPT_DELAY && ui->typed->len > 0) {
        if (!is_number || !(number > 0) || number > 1e6) {
            ui_say(ui, "Not a delay: %s", ui->typed->str);
        } else {
            ui->options->delay = MAX(number, 0.001);
            ui_say(ui, "Delay is now %.1f seconds", number);
            ui->hooks.round(ui->hooks.user_data);
        }
    } else if (prompt == PROMPT_VALUE) {
        if (!is_number || number < 1 || number > 1e9) {
            ui_say(ui, "Not a number that makes sense: %s", ui->typed->str);
        } else {
            ui->action_value = (guint64)number * (ui->action == DOMAIN_ACTION_SET_BALLOON ? 1024 : 1);
            ui->prompt = PROMPT_CONFIRM;
        }
    }
}

static void choose_action(Ui *ui, int key)
{
    static const char keys[] = "prsvb";
    const char *at = key > 0 && key < 128 ? strchr(keys, key) : NULL;

    ui->prompt = PROMPT_NONE;
    if (at != NULL) {
        ui->action = (DomainAction)(at - keys);
        begin_prompt(ui, ui->action >= DOMAIN_ACTION_SET_VCPUS ? PROMPT_VALUE : PROMPT_CONFIRM, "");
    }
}

/* wide: the character, 0 if it is a function key. */
static void prompt_key(Ui *ui, int key, gunichar wide)
{
    if (ui->prompt == PROMPT_ACTION) {
        choose_action(ui, key);
    } else if (ui->prompt == PROMPT_CONFIRM) {
        ui->prompt = PROMPT_NONE;
        if (key == 'y' || key == 'Y') {
            act(ui);
        }
    } else if (key == ESCAPE) {
        if (ui->prompt == PROMPT_FILTER) {
            g_string_truncate(ui->typed, 0);
            typed_changed(ui);
        }
        ui->prompt = PROMPT_NONE;
    } else if (key == '\n' || key == '\r' || key == KEY_ENTER) {
        prompt_entered(ui);
    } else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
        if (ui->typed->len > 0) {
            g_string_truncate(ui->typed,
                              (gsize)(g_utf8_prev_char(ui->typed->str + ui->typed->len) - ui->typed->str));
            typed_changed(ui);
        }
    } else if (wide >= ' ' && g_unichar_isprint(wide) && ui->typed->len < TYPED_MAX) {
        g_string_append_unichar(ui->typed, wide);
        typed_changed(ui);
    }
}

/* ---- keys ---- */

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
        begin_prompt(ui, PROMPT_ACTION, "");
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
        begin_prompt(ui, PROMPT_DELAY, "");
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
        begin_prompt(ui, PROMPT_SEARCH, "");
        break;
    case 'n':
        find_next(ui, ui->selected + 1);
        break;
    case '\\':
        begin_prompt(ui, PROMPT_FILTER, ui->filter != NULL ? ui->filter : "");
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
            ask_detail(ui);
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

static void on_key(Ui *ui, int key, gunichar wide)
{
    drop_message(ui); /* it has been seen, or what is asked for now is more interesting */
    if (ui->prompt != PROMPT_NONE) {
        prompt_key(ui, key, wide);
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
        on_key(ui, (int)wide, kind == KEY_CODE_YES ? 0 : (gunichar)wide);
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
    drop_message(ui);
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

/* Those on the screen are asked for first, where each has to be asked. */
static void note_visible(Ui *ui)
{
    GPtrArray *uuids = g_ptr_array_new();
    guint lines = ui_list_lines(ui);

    for (guint i = ui->top; i < ui->items->len && i < ui->top + lines; i++) {
        const UiItem *item = &g_array_index(ui->items, UiItem, i);

        if (item->row != NULL && item->row->active) {
            g_ptr_array_add(uuids, g_strdup(item->row->domain->uuid));
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
        ask_detail(ui);
    }
    ui_draw(ui);
    note_visible(ui);
}
