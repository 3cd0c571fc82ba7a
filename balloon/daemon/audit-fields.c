// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "balloon/daemon/audit-private.h"

#define ROW(type, member)                                                                                    \
    {                                                                                                        \
#member, G_STRUCT_OFFSET(type, member), sizeof(((type *)NULL)->member)                               \
    }

const AuditField AUDIT_CONFIG[] = {
    ROW(PolicyConfig, high_permille), ROW(PolicyConfig, ease_permille), ROW(PolicyConfig, soft_permille),
    ROW(PolicyConfig, crit_permille), ROW(PolicyConfig, tax_permille),  ROW(PolicyConfig, guard_permille),
    ROW(PolicyConfig, min_permille),  ROW(PolicyConfig, dark_permille), ROW(PolicyConfig, reversals),
    ROW(PolicyConfig, hold_ms),       ROW(PolicyConfig, probe_ms),      {NULL, 0, 0}};
const AuditField AUDIT_HOST[] = {
    ROW(PolicyHost, total), ROW(PolicyHost, available), ROW(PolicyHost, psi_full), {NULL, 0, 0}};
/* stats_age is not among them: it is logged as the time at which they were told, which stays the same. */
const AuditField AUDIT_GUEST[] = {ROW(PolicyGuest, flags),        ROW(PolicyGuest, shares),
                                  ROW(PolicyGuest, max),          ROW(PolicyGuest, min),
                                  ROW(PolicyGuest, actual),       ROW(PolicyGuest, rss),
                                  ROW(PolicyGuest, cpu_ms),       ROW(PolicyGuest, usable),
                                  ROW(PolicyGuest, unused),       ROW(PolicyGuest, caches),
                                  ROW(PolicyGuest, swapped_in),   ROW(PolicyGuest, swapped_out),
                                  ROW(PolicyGuest, major_faults), {NULL, 0, 0}};
const AuditField AUDIT_DECISION[] = {ROW(PolicyDecision, target),
                                     ROW(PolicyDecision, used),
                                     ROW(PolicyDecision, guard),
                                     ROW(PolicyDecision, need),
                                     {NULL, 0, 0}};

gint64 audit_get(const AuditField *field, gconstpointer record)
{
    const char *at = (const char *)record + field->offset;
    return field->size == 4 ? *(const gint32 *)at : *(const gint64 *)at;
}

void audit_put(const AuditField *field, gpointer record, gint64 value)
{
    char *at = (char *)record + field->offset;
    if (field->size == 4)
        *(gint32 *)at = (gint32)CLAMP(value, G_MININT32, G_MAXINT32);
    else
        *(gint64 *)at = value;
}

char *audit_layout(void)
{
    return g_strdup_printf("%s/%" G_GSIZE_FORMAT "/%" G_GSIZE_FORMAT "/%d", VERSION, sizeof(PolicyState),
                           sizeof(PolicyGuestState), G_BYTE_ORDER);
}
