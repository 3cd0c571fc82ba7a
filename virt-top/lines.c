// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/lines.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "virt-top/numbers.h"
#include "lib/text.h"

const char *lines_clock(gint64 now, char *text)
{
    time_t seconds = (time_t)now;
    struct tm parts;

    localtime_r(&seconds, &parts);
    strftime(text, NUMBER_SIZE, "%H:%M:%S", &parts);
    return text;
}

char lines_state(const Row *row)
{
    static const char letters[] = "?RSPDOXM";

    return (guint)row->domain->state < strlen(letters) ? letters[row->domain->state] : '?';
}

guint64 lines_scaled(const Row *row, guint64 value, gboolean per_second)
{
    if (value == DOMAIN_UNKNOWN || !per_second || row->seconds <= 0) {
        return value;
    }
    return (guint64)((double)value / row->seconds + 0.5);
}

static const char *shown(guint64 value, const char *missing, char *text)
{
    return value == DOMAIN_UNKNOWN ? missing : number_int(value, text);
}

const char *lines_row(const Row *row, const LineOptions *options, const char *missing, char *text, gsize size)
{
    const Traffic *traffic = &row->traffic;
    guint64 rd = options->in_bytes ? traffic->rd_bytes : traffic->rd_reqs;
    guint64 wr = options->in_bytes ? traffic->wr_bytes : traffic->wr_reqs;
    char n[7][NUMBER_SIZE];

    snprintf(text, size, "%5d %c %s %s %s %s %s %s %s", row->domain->id, lines_state(row),
             shown(lines_scaled(row, rd, options->per_second), missing, n[0]),
             shown(lines_scaled(row, wr, options->per_second), missing, n[1]),
             shown(lines_scaled(row, traffic->rx_bytes, options->per_second), missing, n[2]),
             shown(lines_scaled(row, traffic->tx_bytes, options->per_second), missing, n[3]),
             number_percent(row->cpu_percent, n[4]), number_percent(row->memory_percent, n[5]),
             number_time(row->domain->cpu_time == DOMAIN_UNKNOWN ? 0 : row->domain->cpu_time, n[6]));
    return text;
}

/* ---- CSV ---- */

void lines_csv_header(GString *out, const LineOptions *options)
{
    g_string_append(
        out, "Hostname,Time,Arch,Physical CPUs,Count,Running,Blocked,Paused,Shutdown,Shutoff,Crashed,Active,"
             "Inactive,%CPU,Total hardware memory (KB),Total memory (KB),Total guest memory (KB),"
             "Total CPU time (ns),Domain ID,Domain name");
    if (options->cpu) {
        g_string_append(out, ",CPU (ns),%CPU");
    }
    if (options->memory) {
        g_string_append(out, ",Mem (bytes),%Mem");
    }
    if (options->block) {
        g_string_append(out, options->in_bytes ? ",Block RDBY,Block WRBY" : ",Block RDRQ,Block WRRQ");
    }
    if (options->net) {
        g_string_append(out, ",Net RXBY,Net TXBY");
    }
    g_string_append_c(out, '\n');
}

void lines_csv_field(GString *out, const char *text)
{
    if (text[0] != '\0' && strpbrk(text, ",\"\r\n") == NULL && text[0] != ' ' &&
        text[strlen(text) - 1] != ' ') {
        g_string_append(out, text);
        return;
    }
    g_string_append_c(out, '"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"') {
            g_string_append_c(out, '"');
        }
        g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
}

static char *csv_number(char *to, guint64 value)
{
    *to++ = ',';
    return value == DOMAIN_UNKNOWN ? to : number_decimal(value, to);
}

static char *csv_float(char *to, double value)
{
    char number[NUMBER_SIZE];

    *to++ = ',';
    return g_stpcpy(to, number_float(value, number));
}

static int by_id(gconstpointer a, gconstpointer b)
{
    const Row *x = *(Row *const *)a, *y = *(Row *const *)b;

    return (x->domain->id > y->domain->id) - (x->domain->id < y->domain->id);
}

static void csv_domain(GString *out, const LineOptions *options, const Row *row)
{
    gboolean known = row->before != NULL && !row->old;
    const Traffic *traffic = &row->traffic;
    char numbers[8 * NUMBER_SIZE], *to = numbers;

    *to++ = ',';
    to = number_decimal((guint64)MAX(row->domain->id, 0), to);
    *to++ = ',';
    g_string_append_len(out, numbers, to - numbers);
    lines_csv_field(out, row->domain->name);
    to = numbers;
    if (options->cpu) {
        to = csv_float(to, known ? (double)row->cpu_time : 0);
        to = csv_float(to, known ? row->cpu_percent : 0);
    }
    if (options->memory) {
        /* In fact KiB. */
        to = csv_number(
            to, known && row->domain->memory.current != DOMAIN_UNKNOWN ? row->domain->memory.current : 0);
        to = csv_number(to, known ? row->memory_percent : 0);
    }
    if (options->block) {
        to = csv_number(to, !known              ? DOMAIN_UNKNOWN
                            : options->in_bytes ? traffic->rd_bytes
                                                : traffic->rd_reqs);
        to = csv_number(to, !known              ? DOMAIN_UNKNOWN
                            : options->in_bytes ? traffic->wr_bytes
                                                : traffic->wr_reqs);
    }
    if (options->net) {
        to = csv_number(to, known ? traffic->rx_bytes : DOMAIN_UNKNOWN);
        to = csv_number(to, known ? traffic->tx_bytes : DOMAIN_UNKNOWN);
    }
    g_string_append_len(out, numbers, to - numbers);
}

void lines_csv(GString *out, const LineOptions *options, GPtrArray *rows, const Totals *totals, gint64 now)
{
    g_autoptr(GPtrArray) active = g_ptr_array_sized_new(rows->len);
    char clock[NUMBER_SIZE], percent[NUMBER_SIZE], numbers[4 * NUMBER_SIZE], *to = numbers;
    gboolean in_order = TRUE;

    for (guint i = 0; i < rows->len; i++) {
        const Row *row = rows->pdata[i];

        if (row->active) {
            in_order = in_order && (active->len == 0 ||
                                    ((Row *)active->pdata[active->len - 1])->domain->id <= row->domain->id);
            g_ptr_array_add(active, rows->pdata[i]);
        }
    }
    if (!in_order) {
        g_ptr_array_sort(active, by_id);
    }
    lines_csv_field(out, totals->hostname);
    g_string_append_printf(out, ",%s,", lines_clock(now, clock));
    lines_csv_field(out, totals->model);
    g_string_append_printf(out, ",%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%s", totals->cpus, totals->count,
                           totals->running, totals->blocked, totals->paused, totals->shutdown,
                           totals->shutoff, totals->crashed, totals->active, totals->inactive,
                           g_ascii_formatd(percent, sizeof percent, "%.1f", totals->cpu_percent));
    to = csv_number(to, totals->host_memory);
    to = csv_number(to, totals->memory);
    to = csv_number(to, totals->guest_memory);
    to = csv_number(to, totals->cpu_time);
    g_string_append_len(out, numbers, to - numbers);
    for (guint i = 0; i < active->len; i++) {
        csv_domain(out, options, active->pdata[i]);
    }
    g_string_append_c(out, '\n');
}

/* ---- text ---- */

static void append_name(GString *out, const char *name)
{
    g_autofree char *clean = text_clean(name);

    g_string_append(out, clean);
}

void lines_stream(GString *out, const LineOptions *options, GPtrArray *rows, const Totals *totals, gint64 now)
{
    char clock[NUMBER_SIZE], line[128];

    g_string_append_printf(out, "virt-top time  %s Host %s %s %u/%uCPU %uMHz %" G_GUINT64_FORMAT "MB \n",
                           lines_clock(now, clock), totals->hostname, totals->model, totals->cpus,
                           totals->max_cpus, totals->mhz, totals->host_memory / 1024);
    g_string_append_printf(out, "   ID S %s RXBY TXBY %%CPU %%MEM   TIME    NAME\n",
                           options->in_bytes ? "RDBY WRBY" : "RDRQ WRRQ");
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = rows->pdata[i];

        if (row->active) {
            g_string_append_printf(out, "%s ", lines_row(row, options, "   0", line, sizeof line));
            append_name(out, row->domain->name);
            g_string_append_c(out, '\n');
        }
    }
}

void lines_batch(GString *out, const LineOptions *options, GPtrArray *rows, const Totals *totals, gint64 now)
{
    char clock[NUMBER_SIZE], line[128], percent[NUMBER_SIZE];

    g_string_append_printf(out, "virt-top %s - %s %u/%uCPU %uMHz %" G_GUINT64_FORMAT "MB\n",
                           lines_clock(now, clock), totals->model, totals->cpus, totals->max_cpus,
                           totals->mhz, totals->host_memory / 1024);
    g_string_append_printf(
        out,
        "%u domains, %u active, %u running, %u sleeping, %u paused, %u inactive D:%u O:%u X:%u\n"
        "CPU: %s%%  Mem: %" G_GUINT64_FORMAT " MB (%" G_GUINT64_FORMAT " MB by guests)\n\n",
        totals->count, totals->active, totals->running, totals->blocked, totals->paused, totals->inactive,
        totals->shutdown, totals->shutoff, totals->crashed,
        g_ascii_formatd(percent, sizeof percent, "%.1f", totals->cpu_percent), totals->memory / 1024,
        totals->guest_memory / 1024);
    g_string_append_printf(out, "   ID S %s RXBY TXBY %%CPU %%MEM    TIME   NAME\n",
                           options->in_bytes ? "RDBY WRBY" : "RDRQ WRRQ");
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = rows->pdata[i];

        if (row->active) {
            g_string_append_printf(out, "%s ", lines_row(row, options, "    ", line, sizeof line));
            append_name(out, row->domain->name);
            g_string_append_c(out, '\n');
        } else {
            g_string_append_printf(out, "%5s%43s(", "-", "");
            append_name(out, row->domain->name);
            g_string_append(out, ")\n");
        }
    }
    g_string_append_c(out, '\n');
}
