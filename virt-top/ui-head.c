// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-top/ui-private.h"

#include "virt-top/lines.h"
#include "virt-top/numbers.h"

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
void ui_draw_message(Ui *ui)
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
        static const char *const verbs[] = {
            [DOMAIN_ACTION_PAUSE] = "Pause",
            [DOMAIN_ACTION_RESUME] = "Resume",
            [DOMAIN_ACTION_SHUTDOWN] = "Shut down",
            [DOMAIN_ACTION_SET_VCPUS] = "Change the vCPUs of",
            [DOMAIN_ACTION_SET_BALLOON] = "Set the balloon of",
        };

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

void ui_draw_head(Ui *ui)
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
