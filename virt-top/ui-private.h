// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the files of the screen share: ui.c has the terminal and its life; ui-keys.c what keys and mouse do;
 * ui-prompt.c what is typed, and what is asked for one guest; ui-head.c the lines above the list; ui-views.c
 * the lists; ui-pages.c help, choosers and the page of one guest.
 */
#pragma once

#include "lib/terminal.h"
#include "virt-top/ui.h"

enum { UI_HISTORY = 11, UI_HEADER_LINES = 5, ESCAPE = 27 };

typedef enum { PAGE_LIST, PAGE_HELP, PAGE_SORT, PAGE_COLUMNS, PAGE_DETAIL } UiPage;

typedef enum {
    PROMPT_NONE,
    PROMPT_DELAY,
    PROMPT_SEARCH,
    PROMPT_FILTER,
    PROMPT_ACTION, /* one key: which */
    PROMPT_VALUE,  /* vCPUs or MiB */
    PROMPT_CONFIRM
} UiPrompt;

typedef enum { COLOUR_PLAIN, COLOUR_RUNNING, COLOUR_PAUSED, COLOUR_BAD, COLOUR_DIM, COLOUR_KEYS } UiColour;

/* Further columns of the list of domains: bits of Options.columns, in the order of OPTIONS_COLUMNS. */
typedef enum {
    COLUMN_VCPUS,
    COLUMN_STEAL,
    COLUMN_RSS,
    COLUMN_USED,
    COLUMN_RD_LATENCY,
    COLUMN_WR_LATENCY,
    COLUMN_HISTORY,
    COLUMN_HOST,
    COLUMN_COUNT
} UiColumn;

/* A line of a list: a guest, or one device of it; row NULL: a heading. */
typedef struct UiItem {
    Row *row;
    int device;
    const char *heading;
} UiItem;

struct Ui {
    Options *options;
    Fleet *fleet;
    UiHooks hooks;
    Terminal *terminal;
    guint message_timer;
    gboolean colours, utf8, started;
    UiPage page;
    UiPrompt prompt;
    GString *typed;
    DomainAction action;
    guint64 action_value;
    char *message;
    char *filter, *search;
    GArray *items; /* of UiItem: what the list shows */
    gboolean selecting;
    guint selected, top, left;
    char selected_uuid[37];
    int selected_device;
    guint cursor, detail_top; /* of choosers; of the page of one guest */
    double hist[UI_HISTORY];
    guint n_hist;
    gint64 hist_at;
    GCancellable *cancellable;
    DomainDetail *detail;
    char detail_uuid[37];
    gboolean detail_busy;
    gint64 detail_at;
};

void ui_draw(Ui *ui);
/* A line of text, made safe and cut; attributes as of attron(). */
void ui_line(Ui *ui, int y, attr_t attributes, const char *text);
attr_t ui_colour(const Ui *ui, UiColour colour);
void ui_say(Ui *ui, const char *format, ...) G_GNUC_PRINTF(2, 3);
void ui_drop_message(Ui *ui);
/* The guest that is selected; NULL. */
Row *ui_selected(const Ui *ui);

/* ui-keys.c; wide: the character, 0 if it is a function key. */
void ui_on_key(Ui *ui, int key, gunichar wide);
void ui_draw_fkeys(Ui *ui);
/* Selects the first match of the search from `from` on, going round. */
void ui_find_next(Ui *ui, guint from);

/* ui-prompt.c */
void ui_begin_prompt(Ui *ui, UiPrompt prompt, const char *text);
void ui_prompt_key(Ui *ui, int key, gunichar wide);
/* What only the page of the selected guest shows, unless it is known and not old. */
void ui_ask_detail(Ui *ui);

/* ui-head.c */
void ui_draw_head(Ui *ui);
/* The line above the header: what is typed, what is wrong, what was said, else meters. */
void ui_draw_message(Ui *ui);

/* ui-views.c */
void ui_collect_items(Ui *ui);
void ui_draw_list(Ui *ui);
/* A graph of the %CPU of the last samples, the newest at its right end. Owned. */
char *ui_sparkline(const Ui *ui, const History *history, guint width);
guint ui_list_lines(const Ui *ui);

/* ui-pages.c */
void ui_draw_help(Ui *ui);
void ui_draw_sort(Ui *ui);
void ui_draw_columns(Ui *ui);
void ui_draw_detail(Ui *ui);
