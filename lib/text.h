// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * text: names of guests made safe for a terminal, and as wide as they should be.
 */
#pragma once

#include <glib.h>

/* UTF-8 without control characters, line separators and direction marks (each becomes '?'). Owned. */
char *text_clean(const char *text);
/* Columns that clean text takes on a terminal: wide characters two, combining ones none. */
guint text_width(const char *text);
/* Cleaned; cut to at most `width` columns, filled with blanks to that if pad. At most 8 combining characters
 * follow one another. Owned. */
char *text_fit(const char *text, guint width, gboolean pad);
