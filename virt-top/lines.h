// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lines: what virt-top writes into files and pipes: CSV and stream as 1.1.1 does, to the byte, and the same
 * as plain text, JSON and Prometheus's formats. Each function appends to a string and depends on nothing but
 * its arguments.
 */
#pragma once

#include "virt-top/fleet.h"

typedef struct LineOptions {
    gboolean cpu, memory, block, net; /* CSV: columns */
    gboolean in_bytes;                /* block columns count bytes, not requests */
    gboolean per_second;              /* text: rates, not what came since the last refresh */
} LineOptions;

/* rows: any order; CSV puts them in the order of their ids. now: seconds since 1970. */
void lines_csv_header(GString *out, const LineOptions *options);
void lines_csv(GString *out, const LineOptions *options, GPtrArray *rows, const Totals *totals, gint64 now);
/* A field, quoted if it has to be (RFC 4180). */
void lines_csv_field(GString *out, const char *text);
void lines_stream(GString *out, const LineOptions *options, GPtrArray *rows, const Totals *totals,
                  gint64 now);
/* The screen of domains as text, inactive ones at the end. */
void lines_batch(GString *out, const LineOptions *options, GPtrArray *rows, const Totals *totals, gint64 now);
/* One line with one object. */
void lines_json(GString *out, const Fleet *fleet, gint64 now);
/* Prometheus text format 0.0.4, or OpenMetrics 1.0. */
void lines_prometheus(GString *out, const Fleet *fleet, gboolean openmetrics);

/* The columns of a domain's row in front of its name, as on the screen: 47 characters. missing: for unknown
 * numbers. */
const char *lines_row(const Row *row, const LineOptions *options, const char *missing, char *text,
                      gsize size);
char lines_state(const Row *row);
/* `value` of a row as it is to be shown: since the last refresh, or a second. */
guint64 lines_scaled(const Row *row, guint64 value, gboolean per_second);
/* HH:MM:SS, local time. */
const char *lines_clock(gint64 now, char *text);
