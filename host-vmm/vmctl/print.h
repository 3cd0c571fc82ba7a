// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * print: JSON for people, tables, and the units that people read. What comes from a guest is hostile: control
 * characters never reach the terminal as they are.
 */
#pragma once

#include <json-glib/json-glib.h>

/* Control and formatting characters and invalid UTF-8 as \xNN or \u{N}; the rest as it is. Owned. */
char *print_visible(const char *text);
/* Indented by 2, with a newline, on stdout. */
void print_json(const JsonNode *value);
/* One line on stdout. */
void print_json_line(const JsonNode *value);

/* Rows of `columns` cells each (row 0 is the heading), aligned to the left, two spaces between, on stdout. */
void print_table(const GPtrArray *cells, guint columns);

/* "512 MiB", "2 GiB", "1.5 GiB". Owned. */
char *print_size(guint64 bytes);
/* "42 s", "3 min 5 s", "2 h 10 min", "3 d 4 h". Owned. */
char *print_duration(guint64 seconds);
