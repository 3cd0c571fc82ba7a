// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: how sources and destinations are: for --status, for a status file, and as numbers for Prometheus.
 */
#pragma once

#include "virt-who/engine.h"

/* {"configurations": […]}, upstream's shape. */
char *status_json(const Engine *engine);
/* For people; colour: with colour codes. */
char *status_text(const Engine *engine, gboolean colour);
/* OpenMetrics, as a textfile of the node exporter. */
char *status_metrics(const Engine *engine);
