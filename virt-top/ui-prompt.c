// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/ui-private.h"

#include <string.h>

enum { TYPED_MAX = 64, DETAIL_MS = 3000, ACT_MS = 10000 };
#define DETAIL_AGE_US (10 * G_USEC_PER_SEC)

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

void ui_ask_detail(Ui *ui)
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

/* ---- prompts ---- */

void ui_begin_prompt(Ui *ui, UiPrompt prompt, const char *text)
{
    ui->prompt = prompt;
    g_string_assign(ui->typed, text);
    ui_drop_message(ui);
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
        ui_find_next(ui, ui->selecting ? ui->selected : 0);
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
    static const struct {
        int key;
        DomainAction action;
        UiPrompt next;
    } choices[] = {
        {'p', DOMAIN_ACTION_PAUSE, PROMPT_CONFIRM},     {'r', DOMAIN_ACTION_RESUME, PROMPT_CONFIRM},
        {'s', DOMAIN_ACTION_SHUTDOWN, PROMPT_CONFIRM},  {'v', DOMAIN_ACTION_SET_VCPUS, PROMPT_VALUE},
        {'b', DOMAIN_ACTION_SET_BALLOON, PROMPT_VALUE},
    };

    ui->prompt = PROMPT_NONE;
    for (guint i = 0; i < G_N_ELEMENTS(choices); i++) {
        if (choices[i].key == key) {
            ui->action = choices[i].action;
            ui_begin_prompt(ui, choices[i].next, "");
        }
    }
}

/* wide: the character, 0 if it is a function key. */
void ui_prompt_key(Ui *ui, int key, gunichar wide)
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
