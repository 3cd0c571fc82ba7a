// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "virt-top/ui-private.h"

#include <string.h>

#include "virt-top/numbers.h"
#include "lib/text.h"

static const char *const SORT_LABELS[SORT_COUNT] = {
    "Domain ID (key: N)", "Domain name",  "%CPU (key: P)",   "%MEM (key: M)",    "TIME (CPU time) (key: T)",
    "Net RX bytes",       "Net TX bytes", "Block read reqs", "Block write reqs",
};

static const char *const SORT_SHORT[SORT_COUNT] = {
    "ID",
    "Name",
    "%CPU",
    "%MEM",
    "TIME",
    "Net RX bytes",
    "Net TX bytes",
    "Block read reqs",
    "Block write reqs",
};

void ui_draw_help(Ui *ui)
{
    static const char *const text[] = {
        " MAIN KEYS                              DISPLAY MODES",
        " space ^L Update display                0        Domains display",
        " q        Quit                          1        Toggle physical CPUs",
        " d s      Set update interval           2        Toggle network interfaces",
        " h F1     Help                          3        Toggle block devices",
        " B        toggle block info req/bytes   r F8     Toggle rates per second",
        " W        Write the init file           t F5     Tree by host",
        " /  n F3  Search, next                  m F7     Meters",
        " \\ F4     Filter                        c F2     Further columns",
        " arrows   Select, page keys: scroll     Enter    One guest's page",
        "",
        " SORTING                                ACTIONS (with --actions)",
        " P        Sort by %CPU                  a F9     Act on the selected guest",
        " M        Sort by %MEM",
        " T        Sort by TIME",
        " N        Sort by ID",
        " F F6     Select sort field",
    };
    const FleetSource *first = ui->fleet->sources->pdata[0];
    const char *uri = domain_source_uri(first->source);
    const char *hypervisor = first->snapshot != NULL ? first->snapshot->host->hypervisor : NULL;
    g_autofree char *title = g_strdup_printf("virt-top 1.1.1 virt-suite " PACKAGE_VERSION " %s",
                                             hypervisor != NULL ? hypervisor : "");
    char delay[NUMBER_SIZE];
    g_autofree char *settings =
        g_strdup_printf("Delay: %s secs; Batch: Off; Secure: %s; Sort: %s",
                        g_ascii_formatd(delay, sizeof delay, "%.1f", ui->options->delay),
                        ui->options->secure ? "On" : "Off", SORT_SHORT[ui->options->sort]);
    g_autofree char *connect =
        g_strdup_printf("Connect: %s; Hostname: %s", uri != NULL ? uri : domain_source_label(first->source),
                        ui->fleet->totals.hostname);

    ui_line(ui, 0, A_BOLD, title);
    ui_line(ui, 1, 0, settings);
    ui_line(ui, 2, 0, connect);
    for (guint i = 0; i < G_N_ELEMENTS(text) && 4 + (int)i < LINES - 1; i++) {
        ui_line(ui, 4 + (int)i,
                text[i][0] == ' ' && g_ascii_isupper(text[i][1]) && g_ascii_isupper(text[i][2]) ? A_BOLD : 0,
                text[i]);
    }
    ui_line(ui, LINES - 1, 0, "More help in virt-top(1) man page. Press any key to return.");
}

void ui_draw_sort(Ui *ui)
{
    ui_line(ui, 0, A_BOLD, "Set sort order for main display");
    ui_line(ui, 1, 0, "Type key or use up and down cursor keys.");
    ui_line(ui, 4, A_REVERSE, "KEY   Sort field");
    for (guint i = 0; i < SORT_COUNT; i++) {
        g_autofree char *line = g_strdup_printf("  %u %c %s", i, i == ui->cursor ? '*' : ' ', SORT_LABELS[i]);

        ui_line(ui, 5 + (int)i, i == ui->cursor ? A_BOLD : 0, line);
    }
}

void ui_draw_columns(Ui *ui)
{
    static const char *const labels[COLUMN_COUNT] = {
        "VCPU     vCPUs that are plugged",
        "STL%     time that vCPUs waited for a host CPU",
        "RSS      resident memory of the monitor's process",
        "USED     memory in use, as the guest says",
        "RDms     mean time of a read request",
        "WRms     mean time of a write request",
        "HISTORY  %CPU of the last samples",
        "HOST     the host",
    };

    ui_line(ui, 0, A_BOLD, "Further columns");
    ui_line(ui, 1, 0, "Up, down and space switch them; q or Enter returns; W (in the list) saves them.");
    for (guint i = 0; i < COLUMN_COUNT; i++) {
        g_autofree char *line =
            g_strdup_printf("  [%c] %s", ui->options->columns & (1u << i) ? 'x' : ' ', labels[i]);

        ui_line(ui, 4 + (int)i, i == ui->cursor ? A_REVERSE : 0, line);
    }
}

/* ---- one guest ---- */

static void add(GPtrArray *lines, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add(GPtrArray *lines, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(lines, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static char *size_text(guint64 kib)
{
    return kib == DOMAIN_UNKNOWN ? g_strdup("-") : g_format_size_full(kib * 1024, G_FORMAT_SIZE_IEC_UNITS);
}

static void add_memory(GPtrArray *lines, const Row *row, const DomainDetail *detail)
{
    const DomainMemory *memory = &row->domain->memory;
    g_autofree char *current = size_text(memory->current), *maximum = size_text(memory->maximum),
                    *rss = size_text(memory->rss);
    g_autofree char *available = size_text(memory->available), *unused = size_text(memory->unused),
                    *usable = size_text(memory->usable), *caches = size_text(memory->caches);

    add(lines, "Memory   %s of %s   resident on the host %s", current, maximum, rss);
    if (memory->available != DOMAIN_UNKNOWN) {
        add(lines, "Balloon  the guest says: %s in all, %s unused, %s usable, %s caches", available, unused,
            usable, caches);
    } else {
        add(lines, "Balloon  the guest says nothing (no balloon statistics)");
    }
    if (detail != NULL && detail->ksm_shared != DOMAIN_UNKNOWN) {
        g_autofree char *ksm = g_format_size_full(detail->ksm_shared, G_FORMAT_SIZE_IEC_UNITS);

        add(lines, "KSM      %s of it are shared", ksm);
    }
}

static void add_vcpus(GPtrArray *lines, const Row *row)
{
    static const char *const states[] = {"?", "offline", "running", "blocked"};
    const Domain *domain = row->domain;

    add(lines, "vCPU  STATE    HOSTCPU %%CPU STL%%      EXITS/s       TIME");
    for (guint i = 0; i < domain->n_vcpus; i++) {
        const DomainVcpu *vcpu = &domain->vcpu[i];
        const DomainVcpu *before =
            row->before != NULL && i < row->before->n_vcpus ? &row->before->vcpu[i] : NULL;
        guint64 time = before != NULL ? fleet_growth(before->time, vcpu->time) : DOMAIN_UNKNOWN;
        guint64 delay = before != NULL ? fleet_growth(before->delay, vcpu->delay) : DOMAIN_UNKNOWN;
        guint64 exits = before != NULL ? fleet_growth(before->exits, vcpu->exits) : DOMAIN_UNKNOWN;
        char cpu[16], a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE], t[NUMBER_SIZE];

        g_snprintf(cpu, sizeof cpu, vcpu->cpu >= 0 ? "%d" : "-", vcpu->cpu);
        add(lines, "%4u  %-8s %7s %s %s %12s  %s", vcpu->number, states[CLAMP(vcpu->state + 1, 0, 3)], cpu,
            time == DOMAIN_UNKNOWN || row->seconds <= 0
                ? "   -"
                : number_percent((double)time / 1e7 / row->seconds, a),
            delay == DOMAIN_UNKNOWN || row->seconds <= 0
                ? "   -"
                : number_percent((double)delay / 1e7 / row->seconds, b),
            exits == DOMAIN_UNKNOWN || row->seconds <= 0
                ? "-"
                : number_int((guint64)((double)exits / row->seconds), c),
            number_time(vcpu->time, t));
    }
}

static void add_limits(GPtrArray *lines, const DomainDetail *detail, const char *name)
{
    for (guint i = 0; detail != NULL && i < detail->limits->len; i++) {
        const DomainLimits *limits = &g_array_index(detail->limits, DomainLimits, i);
        const struct {
            const char *label;
            guint64 value;
        } all[] = {
            {"B/s", limits->total_bytes},         {"B/s read", limits->read_bytes},
            {"B/s written", limits->write_bytes}, {"IOPS", limits->total_iops},
            {"IOPS read", limits->read_iops},     {"IOPS written", limits->write_iops},
        };
        g_autoptr(GString) text = g_string_new(NULL);

        if (strcmp(limits->block, name) != 0) {
            continue;
        }
        for (guint j = 0; j < G_N_ELEMENTS(all); j++) {
            if (all[j].value != DOMAIN_UNKNOWN && all[j].value != 0) {
                g_string_append_printf(text, " %" G_GUINT64_FORMAT " %s", all[j].value, all[j].label);
            }
        }
        add(lines, "             limits:%s", text->len > 0 ? text->str : " none");
    }
}

static void add_blocks(GPtrArray *lines, const Row *row, const DomainDetail *detail)
{
    add(lines, "DISK         RDRQ/s WRRQ/s RDBY/s WRBY/s  RDms  WRms  PATH");
    for (guint i = 0; i < row->domain->n_blocks; i++) {
        const DomainBlock *block = &row->domain->block[i];
        g_autofree char *name = text_fit(block->name, 12, TRUE);
        char n[4][NUMBER_SIZE], rd[16] = "-", wr[16] = "-";
        Traffic traffic;
        guint64 values[4];

        fleet_block_traffic(row, i, &traffic);
        memcpy(values, (guint64[]){traffic.rd_reqs, traffic.wr_reqs, traffic.rd_bytes, traffic.wr_bytes},
               sizeof values);
        for (guint j = 0; j < 4; j++) {
            number_int(values[j] == DOMAIN_UNKNOWN || row->seconds <= 0
                           ? DOMAIN_UNKNOWN
                           : (guint64)((double)values[j] / row->seconds),
                       n[j]);
        }
        if (traffic.rd_time != DOMAIN_UNKNOWN && traffic.rd_reqs != DOMAIN_UNKNOWN && traffic.rd_reqs > 0) {
            g_snprintf(rd, sizeof rd, "%.2f", (double)traffic.rd_time / 1e6 / (double)traffic.rd_reqs);
        }
        if (traffic.wr_time != DOMAIN_UNKNOWN && traffic.wr_reqs != DOMAIN_UNKNOWN && traffic.wr_reqs > 0) {
            g_snprintf(wr, sizeof wr, "%.2f", (double)traffic.wr_time / 1e6 / (double)traffic.wr_reqs);
        }
        add(lines, "%s %6s %6s %6s %6s %5s %5s  %s", name, n[0], n[1], n[2], n[3], rd, wr,
            block->path != NULL ? block->path : "");
        add_limits(lines, detail, block->name);
    }
}

static void add_nics(GPtrArray *lines, const Row *row)
{
    add(lines, "INTERFACE    RXBY/s TXBY/s RXPK/s TXPK/s  ERRORS  DROPS");
    for (guint i = 0; i < row->domain->n_nics; i++) {
        const DomainNic *nic = &row->domain->nic[i];
        g_autofree char *name = text_fit(nic->name, 12, TRUE);
        char n[6][NUMBER_SIZE];
        Traffic traffic;
        guint64 values[4];

        fleet_nic_traffic(row, i, &traffic);
        memcpy(values,
               (guint64[]){traffic.rx_bytes, traffic.tx_bytes, traffic.rx_packets, traffic.tx_packets},
               sizeof values);
        for (guint j = 0; j < 4; j++) {
            number_int(values[j] == DOMAIN_UNKNOWN || row->seconds <= 0
                           ? DOMAIN_UNKNOWN
                           : (guint64)((double)values[j] / row->seconds),
                       n[j]);
        }
        number_int(nic->rx_errors == DOMAIN_UNKNOWN || nic->tx_errors == DOMAIN_UNKNOWN
                       ? DOMAIN_UNKNOWN
                       : nic->rx_errors + nic->tx_errors,
                   n[4]);
        number_int(nic->rx_drops == DOMAIN_UNKNOWN || nic->tx_drops == DOMAIN_UNKNOWN
                       ? DOMAIN_UNKNOWN
                       : nic->rx_drops + nic->tx_drops,
                   n[5]);
        add(lines, "%s %6s %6s %6s %6s %7s %6s", name, n[0], n[1], n[2], n[3], n[4], n[5]);
    }
}

static void add_agent(GPtrArray *lines, const DomainDetail *detail)
{
    if (detail == NULL) {
        add(lines, "Agent    asking…");
    } else if (detail->os_name != NULL || detail->guest_host != NULL) {
        add(lines, "Agent    %s%s%s%s%s", detail->guest_host != NULL ? detail->guest_host : "",
            detail->guest_host != NULL ? ": " : "", detail->os_name != NULL ? detail->os_name : "",
            detail->kernel != NULL ? ", kernel " : "", detail->kernel != NULL ? detail->kernel : "");
    } else {
        add(lines, "Agent    %s", detail->agent_note != NULL ? detail->agent_note : "does not tell");
    }
    if (detail != NULL && detail->load[0] >= 0) {
        char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE];

        add(lines, "Load     %s %s %s", g_ascii_formatd(a, sizeof a, "%.2f", detail->load[0]),
            g_ascii_formatd(b, sizeof b, "%.2f", detail->load[1]),
            g_ascii_formatd(c, sizeof c, "%.2f", detail->load[2]));
    }
}

void ui_draw_detail(Ui *ui)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    const Row *row = ui_selected(ui);
    const DomainDetail *detail;
    g_autofree char *graph = NULL;
    char percent[NUMBER_SIZE];
    guint shown = (guint)MAX(LINES - 2, 0);

    if (row == NULL) {
        ui_line(ui, 0, A_BOLD, "The guest has gone");
        ui_line(ui, LINES - 1, A_REVERSE, "q Back");
        return;
    }
    detail = strcmp(ui->detail_uuid, row->domain->uuid) == 0 ? ui->detail : NULL;
    graph = ui_sparkline(ui, row->history, (guint)CLAMP(COLS - 20, 8, FLEET_HISTORY));
    add(lines, "State    %s%s   id %d   %s", domain_state_name(row->domain->state),
        fleet_is_stale(row) ? " (does not answer: old numbers)" : "", row->domain->id, row->domain->uuid);
    add(lines, "Host     %s   %s", fleet_row_host(row), domain_source_label(row->source->source));
    add(lines, "CPU      %s%% %s", number_percent(row->cpu_percent, percent), graph);
    add_memory(lines, row, detail);
    add_agent(lines, detail);
    add(lines, "%s", "");
    add_vcpus(lines, row);
    add(lines, "%s", "");
    add_blocks(lines, row, detail);
    add(lines, "%s", "");
    add_nics(lines, row);
    ui_line(ui, 0, A_BOLD, row->domain->name);
    ui->detail_top = MIN(ui->detail_top, lines->len > shown ? lines->len - shown : 0);
    for (guint i = 0; i < shown && ui->detail_top + i < lines->len; i++) {
        ui_line(ui, 1 + (int)i, 0, lines->pdata[ui->detail_top + i]);
    }
    ui_line(ui, LINES - 1, A_REVERSE,
            ui->options->actions ? "q Back   arrows Scroll   a Act" : "q Back   arrows Scroll");
}
