// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "balloon/daemon/audit-private.h"

#define ROW(type, member) RECORD_FIELD(type, member)

const RecordField AUDIT_CONFIG[] = {
    ROW(PolicyConfig, high_permille), ROW(PolicyConfig, ease_permille), ROW(PolicyConfig, soft_permille),
    ROW(PolicyConfig, crit_permille), ROW(PolicyConfig, tax_permille),  ROW(PolicyConfig, guard_permille),
    ROW(PolicyConfig, min_permille),  ROW(PolicyConfig, dark_permille), ROW(PolicyConfig, reversals),
    ROW(PolicyConfig, hold_ms),       ROW(PolicyConfig, probe_ms),      {0}};
const RecordField AUDIT_HOST[] = {
    ROW(PolicyHost, total), ROW(PolicyHost, available), ROW(PolicyHost, psi_full), {0}};
/* stats_age is not among them: it is logged as the time at which they were told, which stays the same. */
const RecordField AUDIT_GUEST[] = {ROW(PolicyGuest, flags),        ROW(PolicyGuest, shares),
                                   ROW(PolicyGuest, max),          ROW(PolicyGuest, min),
                                   ROW(PolicyGuest, actual),       ROW(PolicyGuest, rss),
                                   ROW(PolicyGuest, cpu_ms),       ROW(PolicyGuest, usable),
                                   ROW(PolicyGuest, unused),       ROW(PolicyGuest, caches),
                                   ROW(PolicyGuest, swapped_in),   ROW(PolicyGuest, swapped_out),
                                   ROW(PolicyGuest, major_faults), {0}};
const RecordField AUDIT_DECISION[] = {ROW(PolicyDecision, target),
                                      ROW(PolicyDecision, used),
                                      ROW(PolicyDecision, guard),
                                      ROW(PolicyDecision, need),
                                      {0}};

char *audit_layout(void)
{
    GString *text = g_string_new(NULL);
    g_string_printf(text, "%s/%" G_GSIZE_FORMAT "/%" G_GSIZE_FORMAT "/%d", VERSION, sizeof(PolicyState),
                    sizeof(PolicyGuestState), G_BYTE_ORDER);
    for (guint i = 0; i < FLEET_LAWS; i++) {
        const LawClass *class = FLEET_CLASSES[i];
        g_string_append_printf(text, "/%s:%" G_GSIZE_FORMAT ":%" G_GSIZE_FORMAT, class->name,
                               class->part[LAW_STATE].size, class->part[LAW_GUEST_STATE].size);
    }
    return g_string_free(text, FALSE);
}
