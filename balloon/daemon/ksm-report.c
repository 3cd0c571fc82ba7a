// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/ksm-private.h"

static const char *mode_name(PolicyKsmMode mode)
{
    return mode == POLICY_KSM_AUTO ? "auto" : mode == POLICY_KSM_ALWAYS ? "on" : "off";
}

JsonObject *ksm_status(const Ksm *ksm, const Fleet *fleet)
{
    const Law *law = &fleet->laws[FLEET_KSM];
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "mode", mode_name(ksm->mode));
    if (ksm->why_not != NULL)
        json_object_set_string_member(object, "why_not", ksm->why_not);
    if (!law->on)
        return object;
    const PolicyKsmHost *host = law->part[LAW_HOST];
    const PolicyKsmState *state = law->part[LAW_STATE];
    const PolicyKsmDecision *verdict = law->part[LAW_VERDICT];
    json_object_set_string_member(object, "phase", policy_ksm_phase_name(state->phase));
    json_object_set_string_member(object, "reason", policy_ksm_reason_name(ksm->reason));
    json_object_set_boolean_member(object, "runs", ksm->runs);
    json_object_set_int_member(object, "pages", verdict->pages);
    json_object_set_int_member(object, "sleep_ms", verdict->sleep_ms);
    json_object_set_int_member(object, "full_scans", host->full_scans);
    json_object_set_int_member(object, "saved", ksm->sharing / KSM_PAGES_PER_MIB);
    json_object_set_int_member(object, "profit", host->profit);
    json_object_set_int_member(object, "cpu_ms", host->cpu_ms);
    json_object_set_int_member(object, "bursts", (gint64)ksm->bursts);
    json_object_set_int_member(object, "kept", keep_count(ksm->keep, &KSM_SETTINGS));
    return object;
}

JsonObject *ksm_explain(const Fleet *fleet, guint place)
{
    const Law *law = &fleet->laws[FLEET_KSM];
    if (!law->on)
        return NULL;
    const PolicyKsmGuest *guest = law_part(law, LAW_GUEST, place);
    const PolicyKsmGuestState *state = law_part(law, LAW_GUEST_STATE, place);
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "counts", guest->counts);
    json_object_set_int_member(object, "mergeable", guest->mergeable);
    json_object_set_int_member(object, "merged", guest->merged);
    json_object_set_int_member(object, "scanned", state->scanned);
    json_object_set_int_member(object, "fruitless", state->fruitless);
    return object;
}

static void add(GString *out, const char *name, const char *type, const char *unit, const char *help,
                const char *suffix, gint64 value)
{
    g_string_append_printf(out, "# TYPE %s %s\n", name, type);
    if (unit != NULL)
        g_string_append_printf(out, "# UNIT %s %s\n", name, unit);
    g_string_append_printf(out, "# HELP %s %s\n%s%s %" G_GINT64_FORMAT "\n", name, help, name, suffix, value);
}

void ksm_metrics(const Ksm *ksm, const Fleet *fleet, GString *out)
{
    const Law *law = &fleet->laws[FLEET_KSM];
    if (!law->on)
        return;
    const PolicyKsmHost *host = law->part[LAW_HOST];
    add(out, "balloond_ksm_runs", "gauge", NULL, "Whether the kernel's scanner runs.", "", ksm->runs);
    add(out, "balloond_ksm_saved_bytes", "gauge", "bytes", "Memory that merged pages save.", "",
        ksm->sharing * (1 << 20) / KSM_PAGES_PER_MIB);
    add(out, "balloond_ksm_profit_bytes", "gauge", "bytes", "The same less the scanner's tables.", "",
        host->profit * (1 << 20));
    add(out, "balloond_ksm_scans", "counter", NULL, "Passes of the scanner.", "_total", host->full_scans);
    add(out, "balloond_ksm_bursts", "counter", NULL, "Scans that the policy has begun.", "_total",
        (gint64)ksm->bursts);
    g_string_append_printf(
        out,
        "# TYPE balloond_ksm_cpu_seconds counter\n# UNIT balloond_ksm_cpu_seconds seconds\n"
        "# HELP balloond_ksm_cpu_seconds CPU time of the scanner.\n"
        "balloond_ksm_cpu_seconds_total %" G_GINT64_FORMAT ".%03d\n",
        host->cpu_ms / 1000, (int)(host->cpu_ms % 1000));
}
