// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/ui-private.h"

#include <stdio.h>
#include <string.h>

#include "virt-top/lines.h"
#include "virt-top/numbers.h"
#include "lib/text.h"

/* ---- what the list holds ---- */

static gboolean is_wanted(const Ui *ui, const Row *row)
{
    g_autofree char *name = NULL, *filter = NULL;

    if (ui->filter == NULL || ui->filter[0] == '\0') {
        return TRUE;
    }
    name = g_utf8_casefold(row->domain->name, -1);
    filter = g_utf8_casefold(ui->filter, -1);
    return strstr(name, filter) != NULL;
}

static guint64 item_key(const UiItem *item, View view)
{
    Traffic traffic;

    if (view == VIEW_NET) {
        fleet_nic_traffic(item->row, (guint)item->device, &traffic);
        return traffic.rx_bytes;
    }
    fleet_block_traffic(item->row, (guint)item->device, &traffic);
    return traffic.rd_reqs;
}

static int compare_items(gconstpointer a, gconstpointer b, gpointer user_data)
{
    const UiItem *x = a, *y = b;
    View view = *(View *)user_data;
    guint64 kx = item_key(x, view), ky = item_key(y, view);
    int names = strcmp(x->row->domain->name, y->row->domain->name);

    return kx != ky ? (kx > ky ? -1 : 1) : names != 0 ? names : x->device - y->device;
}

/* Only devices that are in both samples, as with 1.1.1. */
static void add_devices(Ui *ui, Row *row)
{
    guint count = ui->options->view == VIEW_NET ? row->domain->n_nics : row->domain->n_blocks;
    Traffic traffic;

    for (guint i = 0; row->active && i < count; i++) {
        if (ui->options->view == VIEW_NET ? fleet_nic_traffic(row, i, &traffic)
                                          : fleet_block_traffic(row, i, &traffic)) {
            UiItem item = {row, (int)i, NULL};

            g_array_append_val(ui->items, item);
        }
    }
}

void ui_collect_items(Ui *ui)
{
    View view = ui->options->view;
    const FleetSource *last = NULL;

    fleet_sort(ui->fleet, ui->options->sort, ui->options->tree && view == VIEW_DOMAINS);
    g_array_set_size(ui->items, 0);
    for (guint i = 0; i < ui->fleet->rows->len; i++) {
        Row *row = ui->fleet->rows->pdata[i];

        if (!is_wanted(ui, row)) {
            continue;
        }
        if (view == VIEW_NET || view == VIEW_BLOCK) {
            add_devices(ui, row);
        } else {
            if (ui->options->tree && view == VIEW_DOMAINS && row->source != last) {
                UiItem heading = {NULL, 0, domain_source_label(row->source->source)};

                last = row->source;
                g_array_append_val(ui->items, heading);
            }
            UiItem item = {row, 0, NULL};

            g_array_append_val(ui->items, item);
        }
    }
    if (view == VIEW_NET || view == VIEW_BLOCK) {
        g_array_sort_with_data(ui->items, compare_items, &view);
    }
    /* The selection stays with its guest. */
    for (guint i = 0; ui->selecting && i < ui->items->len; i++) {
        const UiItem *item = &g_array_index(ui->items, UiItem, i);

        if (item->row != NULL && item->device == ui->selected_device &&
            strcmp(item->row->domain->uuid, ui->selected_uuid) == 0) {
            ui->selected = i;
            break;
        }
    }
    ui->selected = ui->items->len > 0 ? MIN(ui->selected, ui->items->len - 1) : 0;
}

Row *ui_selected(const Ui *ui)
{
    return ui->selecting && ui->selected < ui->items->len ? g_array_index(ui->items, UiItem, ui->selected).row
                                                          : NULL;
}

/* ---- columns ---- */

char *ui_sparkline(const Ui *ui, const History *history, guint width)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    GString *out = g_string_new(NULL);
    guint shown = MIN(history->count, MIN(width, FLEET_HISTORY));

    for (guint i = shown; i < width; i++) {
        g_string_append_c(out, ' ');
    }
    for (guint i = 0; i < shown; i++) {
        float value = history->cpu[(history->next + FLEET_HISTORY - shown + i) % FLEET_HISTORY];
        guint level = (guint)CLAMP(value * 8 / 100, 0, 7);

        g_string_append(out, ui->utf8 ? bars[level] : plain[level]);
    }
    return g_string_free(out, FALSE);
}

static const struct {
    const char *head;
    guint width;
} COLUMNS[COLUMN_COUNT] = {
    {"VCPU", 4}, {"STL%", 4}, {" RSS", 4},        {"USED", 4},
    {"RDms", 4}, {"WRms", 4}, {"HISTORY   ", 10}, {"HOST      ", 10},
};

/* Mean time of a request, in ms. */
static void append_latency(GString *out, guint64 time, guint64 requests)
{
    if (time == DOMAIN_UNKNOWN || requests == DOMAIN_UNKNOWN || requests == 0) {
        g_string_append(out, "    ");
    } else {
        char text[NUMBER_SIZE];

        g_snprintf(text, sizeof text, "%4.1f", (double)time / 1e6 / (double)requests);
        g_string_append_len(out, text, 4);
    }
}

static void append_column(const Ui *ui, GString *out, const Row *row, UiColumn column)
{
    const DomainMemory *memory = &row->domain->memory;
    g_autofree char *text = NULL;
    char number[NUMBER_SIZE];

    switch (column) {
    case COLUMN_VCPUS:
        g_string_append(out, number_int(row->domain->vcpus, number));
        break;
    case COLUMN_STEAL:
        g_string_append(out, row->steal_percent < 0 ? "    " : number_percent(row->steal_percent, number));
        break;
    case COLUMN_RSS:
        g_string_append(
            out, number_int(memory->rss == DOMAIN_UNKNOWN ? DOMAIN_UNKNOWN : memory->rss * 1024, number));
        break;
    case COLUMN_USED:
        g_string_append(out,
                        number_int(memory->available == DOMAIN_UNKNOWN || memory->usable == DOMAIN_UNKNOWN
                                       ? DOMAIN_UNKNOWN
                                       : (memory->available - MIN(memory->usable, memory->available)) * 1024,
                                   number));
        break;
    case COLUMN_RD_LATENCY:
        append_latency(out, row->traffic.rd_time, row->traffic.rd_reqs);
        break;
    case COLUMN_WR_LATENCY:
        append_latency(out, row->traffic.wr_time, row->traffic.wr_reqs);
        break;
    case COLUMN_HISTORY:
        text = ui_sparkline(ui, row->history, COLUMNS[column].width);
        g_string_append(out, text);
        break;
    case COLUMN_HOST:
        text = text_fit(fleet_row_host(row), COLUMNS[column].width, TRUE);
        g_string_append(out, text);
        break;
    case COLUMN_COUNT:
        break;
    }
    g_string_append_c(out, ' ');
}

static void append_columns(const Ui *ui, GString *out, const Row *row)
{
    for (guint i = 0; i < COLUMN_COUNT; i++) {
        if (!(ui->options->columns & (1u << i))) {
            continue;
        }
        if (row == NULL) {
            g_string_append_printf(out, "%s ", COLUMNS[i].head);
        } else {
            append_column(ui, out, row, (UiColumn)i);
        }
    }
}

/* The part of a name that is not scrolled away. */
static const char *scrolled(const Ui *ui, const char *name)
{
    return g_utf8_offset_to_pointer(name, MIN((glong)ui->left, g_utf8_strlen(name, -1)));
}

static void format_domain(const Ui *ui, GString *out, const Row *row)
{
    char line[128];

    if (row->active) {
        g_string_append_printf(out, "%s ", lines_row(row, &ui->options->lines, "    ", line, sizeof line));
        append_columns(ui, out, row);
        g_string_append(out, scrolled(ui, row->domain->name));
        if (fleet_is_stale(row)) {
            g_string_append(out, "  [no answer]");
        }
    } else {
        GString *blank = g_string_new(NULL);

        append_columns(ui, blank, NULL);
        g_string_append_printf(out, "%5s%43s%*s(%s)", "-", "", (int)blank->len, "",
                               scrolled(ui, row->domain->name));
        g_string_free(blank, TRUE);
    }
}

static void format_device(const Ui *ui, GString *out, const UiItem *item)
{
    const Row *row = item->row;
    gboolean net = ui->options->view == VIEW_NET;
    gboolean rate = ui->options->lines.per_second;
    g_autofree char *name = text_fit(row->domain->name, 12, TRUE);
    guint64 values[4];
    Traffic traffic;

    if (net) {
        fleet_nic_traffic(row, (guint)item->device, &traffic);
        memcpy(values,
               (guint64[]){traffic.rx_bytes, traffic.tx_bytes, traffic.rx_packets, traffic.tx_packets},
               sizeof values);
    } else {
        fleet_block_traffic(row, (guint)item->device, &traffic);
        memcpy(values, (guint64[]){traffic.rd_bytes, traffic.wr_bytes, traffic.rd_reqs, traffic.wr_reqs},
               sizeof values);
    }
    g_string_append_printf(out, "%5d %c", row->domain->id, lines_state(row));
    for (guint i = 0; i < 4; i++) {
        char number[NUMBER_SIZE];

        g_string_append_printf(out, " %s", number_int(lines_scaled(row, values[i], rate), number));
    }
    g_string_append_printf(
        out, " %s %s", name,
        scrolled(ui, net ? row->domain->nic[item->device].name : row->domain->block[item->device].name));
}

/* ---- the view of host CPUs ---- */

/* Of one guest: ns on one host CPU since the last sample. A vCPU's time counts for the CPU that it ran on
 * last. */
static guint64 time_on_cpu(const Row *row, guint cpu)
{
    guint64 sum = 0;

    if (row->before == NULL || row->old) {
        return 0;
    }
    for (guint i = 0; i < MIN(row->domain->n_vcpus, row->before->n_vcpus); i++) {
        guint64 grown = fleet_growth(row->before->vcpu[i].time, row->domain->vcpu[i].time);

        if (row->domain->vcpu[i].cpu == (int)cpu && grown != DOMAIN_UNKNOWN) {
            sum += grown;
        }
    }
    return sum;
}

static guint pcpu_width(const Row *row)
{
    g_autofree char *clean = text_clean(row->domain->name);

    return CLAMP(text_width(clean) + 1, 12, 24);
}

static void draw_pcpus(Ui *ui)
{
    g_autoptr(GString) head = g_string_new("PHYCPU %CPU ");
    guint lines = ui_list_lines(ui), cpus = ui->fleet->totals.cpus, skipped = 0;
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    guint width = (guint)head->len;

    for (guint i = 0; i < ui->items->len && width < (guint)COLS; i++) {
        Row *row = g_array_index(ui->items, UiItem, i).row;

        if (row != NULL && row->active && skipped++ >= ui->left) {
            g_autofree char *name = text_fit(row->domain->name, pcpu_width(row) - 1, TRUE);

            g_ptr_array_add(rows, row);
            g_string_append_printf(head, "%s ", name);
            width += pcpu_width(row);
        }
    }
    ui_line(ui, UI_HEADER_LINES - 1, A_REVERSE, head->str);
    ui->top = MIN(ui->top, cpus > lines ? cpus - lines : 0);
    for (guint y = 0; y < lines && ui->top + y < cpus; y++) {
        g_autoptr(GString) out = g_string_new(NULL);
        guint cpu = ui->top + y;
        double total = 0;
        char a[NUMBER_SIZE];

        for (guint i = 0; i < ui->fleet->rows->len; i++) {
            const Row *row = ui->fleet->rows->pdata[i];

            total += row->seconds > 0 ? (double)time_on_cpu(row, cpu) / 1e7 / row->seconds : 0;
        }
        g_string_append_printf(out, "%4u   %s ", cpu, number_percent(total, a));
        for (guint i = 0; i < rows->len; i++) {
            const Row *row = rows->pdata[i];
            double percent = row->seconds > 0 ? (double)time_on_cpu(row, cpu) / 1e7 / row->seconds : 0;

            if (percent > 0) {
                g_string_append_printf(out, "%s %s", number_percent(percent, a), a);
            } else {
                g_string_append(out, "         ");
            }
            g_string_append_printf(out, "%*s", (int)pcpu_width(row) - 9, "");
        }
        ui_line(ui, UI_HEADER_LINES + (int)y, 0, out->str);
    }
}

/* ---- lists ---- */

guint ui_list_lines(const Ui *ui)
{
    int lines = LINES - UI_HEADER_LINES - (LINES >= 12 ? 1 : 0);

    return lines > 0 ? (guint)lines : 0;
}

static UiColour colour_of(const Row *row)
{
    if (fleet_is_stale(row) || !row->active) {
        return COLOUR_DIM;
    }
    switch (row->domain->state) {
    case DOMAIN_STATE_RUNNING:
    case DOMAIN_STATE_BLOCKED:
        return row->cpu_percent > 0.05 ? COLOUR_RUNNING : COLOUR_PLAIN;
    case DOMAIN_STATE_PAUSED:
    case DOMAIN_STATE_PMSUSPENDED:
    case DOMAIN_STATE_SHUTDOWN:
        return COLOUR_PAUSED;
    case DOMAIN_STATE_CRASHED:
        return COLOUR_BAD;
    default:
        return COLOUR_PLAIN;
    }
}

static void draw_head(Ui *ui)
{
    g_autoptr(GString) head = g_string_new(NULL);

    switch (ui->options->view) {
    case VIEW_NET:
        g_string_append(head, "   ID S RXBY TXBY RXPK TXPK DOMAIN       INTERFACE");
        break;
    case VIEW_BLOCK:
        g_string_append(head, "   ID S RDBY WRBY RDRQ WRRQ DOMAIN       DEVICE");
        break;
    default:
        g_string_append_printf(head, "   ID S %s RXBY TXBY %%CPU %%MEM    TIME   ",
                               ui->options->lines.in_bytes ? "RDBY WRBY" : "RDRQ WRRQ");
        append_columns(ui, head, NULL);
        g_string_append(head, "NAME");
    }
    ui_line(ui, UI_HEADER_LINES - 1, A_REVERSE, head->str);
}

void ui_draw_list(Ui *ui)
{
    guint lines = ui_list_lines(ui);

    if (ui->options->view == VIEW_PCPU) {
        draw_pcpus(ui);
        return;
    }
    draw_head(ui);
    if (ui->selecting && lines > 0) {
        ui->top = ui->selected < ui->top            ? ui->selected
                  : ui->selected >= ui->top + lines ? ui->selected - lines + 1
                                                    : ui->top;
    }
    ui->top = MIN(ui->top, ui->items->len > lines ? ui->items->len - lines : 0);
    for (guint y = 0; y < lines && ui->top + y < ui->items->len; y++) {
        const UiItem *item = &g_array_index(ui->items, UiItem, ui->top + y);
        g_autoptr(GString) out = g_string_new(NULL);
        attr_t attributes = 0;

        if (item->row == NULL) {
            g_string_append_printf(out, "%s %s", ui->utf8 ? "▾" : "-", item->heading);
            attributes = A_BOLD;
        } else if (ui->options->view == VIEW_DOMAINS) {
            format_domain(ui, out, item->row);
            attributes = ui_colour(ui, colour_of(item->row));
        } else {
            format_device(ui, out, item);
        }
        if (ui->selecting && ui->top + y == ui->selected) {
            attributes |= A_REVERSE;
        }
        ui_line(ui, UI_HEADER_LINES + (int)y, attributes, out->str);
    }
}
