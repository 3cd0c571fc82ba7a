// SPDX-License-Identifier: GPL-2.0-or-later
/* audit-private: what the writer and the reader of the log have in common: the names of numbers. */
#pragma once

#include "balloon/daemon/fleet.h"

typedef struct AuditField {
    const char *name;
    gsize offset;
    gsize size; /* 4 or 8 */
} AuditField;

extern const AuditField AUDIT_CONFIG[], AUDIT_HOST[], AUDIT_GUEST[], AUDIT_DECISION[]; /* ended by no name */

gint64 audit_get(const AuditField *field, gconstpointer record);
void audit_put(const AuditField *field, gpointer record, gint64 value);
/* What states can be exchanged between: their sizes and this program's version. */
char *audit_layout(void);
