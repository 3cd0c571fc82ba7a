// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Patterns of the signature tables, the shells' without backslashes: "*", "?" and "[...]" (with "!" and
 * ranges).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What a pattern is good for: no backslash, no open bracket, not more than this many stars. */
bool pattern_is_good(const char *pattern, int most_stars);

/* Whether the whole text is like the pattern. The time is in the worst case length times the pattern's, never
 * more. */
bool pattern_matches(const char *pattern, const char *text, size_t length);
