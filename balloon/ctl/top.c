// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl top: status on a screen, every second. A daemon that goes away and comes back is followed.
 */
#include <gio/gio.h>
#include <locale.h>
#include <string.h>

#include "balloon/ctl/ctl.h"
#include "balloon/ctl/words.h"
#include "balloon/daemon/control.h"
#include "lib/qmp-client.h"
#include "lib/terminal.h"
#include "lib/text.h"

#define EVERY_MS  1000
#define ANSWER_MS 5000

typedef enum { SORT_NAME, SORT_SIZE, SORT_NEED, SORT_LACK, SORT_AGE, SORT_COUNT } Sort;
enum { COLOUR_HEADING = 1, COLOUR_CUT, COLOUR_GROWN, COLOUR_BAD };

typedef struct Top {
    GMainLoop *main_loop;
    Terminal *terminal;
    char *path;
    QmpClient *client;
    GCancellable *cancellable;
    gboolean asked; /* for the connection, or for the status */
    JsonNode *status;
    GPtrArray *guests; /* of JsonObject, of status, sorted */
    char *why;         /* nothing is heard of the daemon */
    Sort sort;
    gboolean reversed, colours;
    guint first; /* guest that is shown at the top */
} Top;

/* ---- order ---- */

static gint64 weight_of(Sort sort, JsonObject *guest)
{
    gint64 age = words_number(guest, "age_ms");
    switch (sort) {
    case SORT_SIZE:
        return -words_number(guest, "size");
    case SORT_NEED:
        return -words_number(guest, "need");
    case SORT_LACK:
        return words_number(guest, "size") - words_number(guest, "need");
    case SORT_AGE:
        return age < 0 ? G_MAXINT64 : age;
    default:
        return 0;
    }
}

static gint compare(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const Top *top = user_data;
    JsonObject *x = *(JsonObject *const *)a, *y = *(JsonObject *const *)b;
    gint64 left = weight_of(top->sort, x), right = weight_of(top->sort, y);
    gint order = left < right ? -1 : left > right ? 1 : strcmp(words_text(x, "name"), words_text(y, "name"));
    return top->reversed ? -order : order;
}

static void sort_guests(Top *top)
{
    g_ptr_array_sort_with_data(top->guests, compare, top);
}

/* ---- drawing ---- */

static void draw_line(int y, attr_t attributes, const char *text)
{
    if (y < 0 || y >= LINES || COLS <= 0)
        return;
    g_autofree char *fitted = text_fit(text, (guint)COLS, TRUE);
    attrset(attributes);
    mvaddstr(y, 0, fitted);
    attrset(0);
}

static attr_t colour(const Top *top, int number)
{
    if (top->colours)
        return COLOR_PAIR(number);
    return number == COLOUR_HEADING ? A_REVERSE : number == COLOUR_BAD ? A_BOLD : 0;
}

static attr_t attributes_of(const Top *top, JsonObject *guest)
{
    const char *trust = words_text(guest, "trust");
    gint64 from = words_number(guest, "from"), age = words_number(guest, "age_ms");
    if (json_object_has_member(guest, "why_not"))
        return A_DIM;
    if (strcmp(trust, "lying") == 0 || strcmp(trust, "nodriver") == 0)
        return colour(top, COLOUR_BAD);
    if (from < 0 || age > 3 * EVERY_MS)
        return 0;
    return colour(top, words_number(guest, "to") < from ? COLOUR_CUT : COLOUR_GROWN);
}

static int guest_lines(const Top *top, int used)
{
    return MAX(LINES - used - 1, 0);
}

static int draw_head(const Top *top)
{
    static const char *const names[] = {"name", "size", "need", "lack", "last change"};
    JsonObject *status = json_node_get_object(top->status);
    g_autofree char *host = words_host(status), *ksm = words_ksm(status), *silent = words_silent(status);
    g_auto(GStrv) lines = g_strsplit(silent, "\n", -1);
    g_autofree char *heading = words_heading();
    g_autofree char *about = g_strdup_printf("%u guests, by %s%s", top->guests->len, names[top->sort],
                                             top->reversed ? ", reversed" : "");
    int y = 0;
    draw_line(y++, A_BOLD, host);
    if (ksm != NULL)
        draw_line(y++, 0, ksm);
    for (char **line = lines; *line != NULL && (*line)[0] != '\0' && y < LINES / 2; line++)
        draw_line(y++, colour(top, COLOUR_BAD), *line);
    draw_line(y++, 0, about);
    draw_line(y++, colour(top, COLOUR_HEADING), heading);
    return y;
}

static void draw(gpointer user_data)
{
    Top *top = user_data;
    int y = 0;
    erase();
    if (top->why != NULL)
        draw_line(LINES - 1, colour(top, COLOUR_BAD), top->why);
    else
        draw_line(LINES - 1, colour(top, COLOUR_HEADING),
                  "q quit  N name  S size  E need  L lack  A last change  R reverse  arrows scroll");
    if (top->status != NULL) {
        y = draw_head(top);
        guint room = (guint)guest_lines(top, y);
        top->first = MIN(top->first, top->guests->len > room ? top->guests->len - room : 0);
        for (guint i = 0; i < room && top->first + i < top->guests->len; i++) {
            JsonObject *guest = top->guests->pdata[top->first + i];
            g_autofree char *line = words_guest(guest);
            draw_line(y + (int)i, attributes_of(top, guest), line);
        }
    }
    refresh();
}

/* ---- the daemon ---- */

static void lose(Top *top, const GError *error)
{
    g_clear_pointer(&top->client, qmp_client_close);
    g_free(top->why);
    top->why = g_strdup(error->message);
    draw(top);
}

static void take_status(Top *top, JsonNode *status)
{
    JsonObject *object = json_node_get_object(status);
    JsonArray *guests = json_object_get_array_member(object, "guests");
    g_ptr_array_set_size(top->guests, 0);
    g_clear_pointer(&top->status, json_node_unref);
    g_clear_pointer(&top->why, g_free);
    top->status = status;
    for (guint i = 0; i < json_array_get_length(guests); i++)
        g_ptr_array_add(top->guests, json_array_get_object_element(guests, i));
    sort_guests(top);
    draw(top);
}

static void on_status(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    JsonNode *status = qmp_client_call_finish(result, &error);
    Top *top = user_data;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    top->asked = FALSE;
    if (status == NULL)
        lose(top, error);
    else
        take_status(top, status);
}

static void ask(Top *top)
{
    top->asked = TRUE;
    qmp_client_call_async(top->client, "query-status", NULL, ANSWER_MS, top->cancellable, on_status, top);
}

static void on_open(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    QmpClient *client = qmp_client_open_finish(result, &error);
    Top *top = user_data;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    top->asked = FALSE;
    top->client = client;
    if (client == NULL)
        lose(top, error);
    else
        ask(top);
}

static gboolean on_time(gpointer user_data)
{
    Top *top = user_data;
    if (top->asked)
        return G_SOURCE_CONTINUE;
    if (top->client != NULL) {
        ask(top);
    } else {
        top->asked = TRUE;
        qmp_client_open_async(top->path, ANSWER_MS, top->cancellable, on_open, top);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- keys ---- */

static void quit(gpointer user_data)
{
    g_main_loop_quit(((Top *)user_data)->main_loop);
}

static void sort_by(Top *top, Sort sort)
{
    top->sort = sort;
    sort_guests(top);
}

static void scroll_by(Top *top, gint64 lines)
{
    top->first = (guint)CLAMP((gint64)top->first + lines, 0, (gint64)top->guests->len);
}

static void on_key(int key, gunichar wide, gpointer user_data)
{
    static const char letters[] = "NSELA";
    Top *top = user_data;
    const char *letter = wide > ' ' && wide < 128 ? strchr(letters, g_ascii_toupper((char)wide)) : NULL;
    if (wide == 'q' || wide == 'Q' || wide == 3)
        quit(top);
    else if (letter != NULL)
        sort_by(top, (Sort)(letter - letters));
    else if (wide == 'r' || wide == 'R') {
        top->reversed = !top->reversed;
        sort_guests(top);
    } else if (wide == ' ')
        on_time(top);
    else if (wide == 0 && key == KEY_UP)
        scroll_by(top, -1);
    else if (wide == 0 && key == KEY_DOWN)
        scroll_by(top, 1);
    else if (wide == 0 && key == KEY_PPAGE)
        scroll_by(top, 5 - LINES);
    else if (wide == 0 && key == KEY_NPAGE)
        scroll_by(top, LINES - 5);
    else if (wide == 0 && key == KEY_HOME)
        scroll_by(top, G_MININT32);
    else if (wide == 0 && key == KEY_END)
        scroll_by(top, G_MAXINT32);
}

/* ---- the whole ---- */

static void set_up_colours(Top *top)
{
    top->colours = terminal_start_colours();
    if (top->colours) {
        init_pair(COLOUR_HEADING, COLOR_BLACK, COLOR_CYAN);
        init_pair(COLOUR_CUT, COLOR_YELLOW, -1);
        init_pair(COLOUR_GROWN, COLOR_GREEN, -1);
        init_pair(COLOUR_BAD, COLOR_RED, -1);
    }
}

int top_verb(const Call *call, char **words)
{
    Top top = {.cancellable = g_cancellable_new(), .guests = g_ptr_array_new()};
    const TerminalHooks hooks = {on_key, draw, quit, &top};
    GError *error = NULL;
    setlocale(LC_ALL, "");
    top.path = call->socket != NULL ? g_strdup(call->socket) : control_default_path();
    top.main_loop = g_main_loop_new(NULL, FALSE);
    top.terminal = terminal_open(&hooks, &error);
    if (top.terminal != NULL) {
        set_up_colours(&top);
        guint timer = g_timeout_add(EVERY_MS, on_time, &top);
        on_time(&top);
        g_main_loop_run(top.main_loop);
        g_source_remove(timer);
        g_cancellable_cancel(top.cancellable);
        terminal_close(top.terminal);
    }
    g_clear_pointer(&top.client, qmp_client_close);
    while (g_main_context_iteration(NULL, FALSE)) /* what was cancelled comes back */
        ;
    g_clear_pointer(&top.status, json_node_unref);
    g_ptr_array_unref(top.guests);
    g_object_unref(top.cancellable);
    g_main_loop_unref(top.main_loop);
    g_free(top.path);
    g_free(top.why);
    return error != NULL ? ctl_fail(error) : 0;
}
