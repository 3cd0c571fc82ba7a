// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * import-mom: MOM's policies, for its configuration, which names them.
 */
#pragma once

#include "balloon/ctl/import.h"

typedef struct MomPolicy {
    Import *import;
    gint64 pages_max, sleep_ms; /* of KSM */
    guint pace_line;
    const char *pace_path; /* of the file with that line; static or the import's */
    gboolean has_ksm, ksm_off, balloon_off;
} MomPolicy;

/* One policy. path has to live as long as the import. */
void mom_policy_take(MomPolicy *policy, const char *path, const char *text);
