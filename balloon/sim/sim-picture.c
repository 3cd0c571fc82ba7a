// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-picture.h"

/* Of the drawing, in its own units. */
#define WIDTH       1000
#define HEIGHT      360
#define MISS_HEIGHT 120
#define LEFT        70
#define TOP         30
#define GAP         40

typedef enum { LINE_WANTED, LINE_TARGETS, LINE_HELD, LINE_MISSED, LINE_COUNT } Line;

static const struct {
    const char *name, *colour;
} lines[LINE_COUNT] = {{"wanted by programs", "#1f77b4"},
                       {"left by balloons", "#aaaaaa"},
                       {"held of the host", "#2ca02c"},
                       {"working sets that were missing", "#d62728"}};

struct SimPicture {
    GArray *points[LINE_COUNT]; /* of gint64: MiB, one a second */
};

SimPicture *sim_picture_new(const SimModel *model)
{
    SimPicture *picture = g_new0(SimPicture, 1);
    for (int line = 0; line < LINE_COUNT; line++)
        picture->points[line] = g_array_new(FALSE, FALSE, sizeof(gint64));
    return picture;
}

void sim_picture_step(SimPicture *picture, const SimModel *model)
{
    gint64 sums[LINE_COUNT] = {0};
    for (guint i = 0; i < model->count; i++) {
        const SimState *state = &model->guests[i];
        if (!state->runs)
            continue;
        sums[LINE_WANTED] += state->demand + sim_model_kernel(state->guest);
        sums[LINE_TARGETS] += state->target;
        sums[LINE_HELD] += state->held;
        sums[LINE_MISSED] += state->hot_miss;
    }
    for (int line = 0; line < LINE_COUNT; line++)
        g_array_append_val(picture->points[line], sums[line]);
}

static gint64 most_of(const GArray *points)
{
    gint64 most = 0;
    for (guint i = 0; i < points->len; i++)
        most = MAX(most, g_array_index(points, gint64, i));
    return most;
}

/* One point a unit of the drawing's width: the largest of its seconds. */
static void draw(GString *svg, const GArray *points, const char *colour, gint64 top, gint64 height,
                 gint64 most)
{
    g_string_append_printf(svg, "<polyline fill=\"none\" stroke=\"%s\" points=\"", colour);
    for (gint64 x = 0; x < WIDTH; x++) {
        guint from = (guint)(x * points->len / WIDTH), to = (guint)((x + 1) * points->len / WIDTH);
        gint64 value = 0;
        for (guint i = from; i < MAX(to, from + 1) && i < points->len; i++)
            value = MAX(value, g_array_index(points, gint64, i));
        g_string_append_printf(svg, "%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT " ", LEFT + x,
                               top + height - value * height / MAX(most, 1));
    }
    g_string_append(svg, "\"/>\n");
}

static void write_at(GString *svg, gint64 x, gint64 y, const char *colour, const char *format, ...)
    G_GNUC_PRINTF(5, 6);
static void write_at(GString *svg, gint64 x, gint64 y, const char *colour, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_markup_vprintf_escaped(format, arguments);
    va_end(arguments);
    g_string_append_printf(
        svg, "<text x=\"%" G_GINT64_FORMAT "\" y=\"%" G_GINT64_FORMAT "\" fill=\"%s\">%s</text>\n", x, y,
        colour, text);
}

/* A scale of four steps on the left, in GiB. */
static void draw_scale(GString *svg, gint64 top, gint64 height, gint64 most)
{
    for (gint64 k = 0; k <= 4; k++) {
        gint64 y = top + height - k * height / 4;
        g_string_append_printf(svg,
                               "<line x1=\"%d\" x2=\"%d\" y1=\"%" G_GINT64_FORMAT "\" y2=\"%" G_GINT64_FORMAT
                               "\" stroke=\"#ddd\"/>\n",
                               LEFT, LEFT + WIDTH, y, y);
        write_at(svg, 5, y + 4, "#444", "%" G_GINT64_FORMAT ".%" G_GINT64_FORMAT " GiB", most * k / 4 / 1024,
                 most * k / 4 * 10 / 1024 % 10);
    }
}

gboolean sim_picture_write(const SimPicture *picture, const SimModel *model, const char *policy,
                           const char *path, GError **error)
{
    gint64 most = model->total, missed = MAX(most_of(picture->points[LINE_MISSED]), 1024);
    for (int line = 0; line < LINE_MISSED; line++)
        most = MAX(most, most_of(picture->points[line]));
    gint64 second = TOP + HEIGHT + GAP;
    g_autoptr(GString) svg = g_string_new(NULL);
    g_string_append_printf(svg,
                           "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                           "font-family=\"sans-serif\" font-size=\"12\">\n"
                           "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                           LEFT + WIDTH + 20, (int)second + MISS_HEIGHT + GAP);
    write_at(svg, LEFT, 18, "#000", "policy %s, %u guests, %u s", policy, model->count,
             picture->points[0]->len);
    for (int line = 0; line < LINE_COUNT; line++)
        write_at(svg, LEFT + 280 + line * 170, 18, lines[line].colour, "%s", lines[line].name);
    draw_scale(svg, TOP, HEIGHT, most);
    gint64 full = TOP + HEIGHT - model->total * HEIGHT / most;
    g_string_append_printf(svg,
                           "<line x1=\"%d\" x2=\"%d\" y1=\"%" G_GINT64_FORMAT "\" y2=\"%" G_GINT64_FORMAT
                           "\" stroke=\"#000\" stroke-dasharray=\"4\"/>\n",
                           LEFT, LEFT + WIDTH, full, full);
    for (int line = 0; line < LINE_MISSED; line++)
        draw(svg, picture->points[line], lines[line].colour, TOP, HEIGHT, most);
    draw_scale(svg, second, MISS_HEIGHT, missed);
    draw(svg, picture->points[LINE_MISSED], lines[LINE_MISSED].colour, second, MISS_HEIGHT, missed);
    g_string_append(svg, "</svg>\n");
    return g_file_set_contents(path, svg->str, (gssize)svg->len, error);
}

void sim_picture_free(SimPicture *picture)
{
    for (int line = 0; line < LINE_COUNT; line++)
        g_array_unref(picture->points[line]);
    g_free(picture);
}
