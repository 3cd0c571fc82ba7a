// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report: how the daemon is and what it knows, as JSON and as OpenMetrics text. docs/balloond.md has the
 * names.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "balloon/daemon/loop.h"

JsonObject *report_status(const Loop *loop);
/* Everything about one guest. */
JsonObject *report_explain(const Loop *loop, guint place);
/* The text of OpenMetrics 1.0, "# EOF" at its end. */
GString *report_metrics(const Loop *loop);
/* The files that the configuration names, each replaced as a whole. */
void report_write_files(Loop *loop);
