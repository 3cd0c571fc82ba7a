// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-what/pattern.h"

#include <string.h>

/* The end of a bracket expression, given its first character; a bracket that comes first stands for itself.
 */
static const char *bracket_end(const char *open)
{
    const char *at = open + 1;
    if (*at == '!')
        at++;
    return *at ? strchr(at + 1, ']') : NULL;
}

bool pattern_is_good(const char *pattern, int most_stars)
{
    int stars = 0;
    for (const char *at = pattern; *at; at++) {
        if (*at == '*')
            stars++;
        else if (*at == '\\')
            return false;
        else if (*at == '[') {
            at = bracket_end(at);
            if (!at)
                return false;
        }
    }
    return stars <= most_stars;
}

/* Matches one character; sets what follows in the pattern. */
static bool match_one(const char *pattern, char c, const char **next)
{
    *next = pattern + 1;
    if (*pattern == '?')
        return true;
    if (*pattern != '[')
        return *pattern == c;
    const char *end = bracket_end(pattern), *at = pattern + 1;
    bool negated = *at == '!', matched = false;
    if (negated)
        at++;
    for (; at < end; at++) {
        if (at[1] == '-' && at + 2 < end) {
            matched |= at[0] <= c && c <= at[2];
            at += 2;
        } else
            matched |= *at == c;
    }
    *next = end + 1;
    return matched != negated;
}

bool pattern_matches(const char *pattern, const char *text, size_t length)
{
    const char *end = text + length, *star = NULL, *star_text = NULL;
    while (text < end) {
        const char *next;
        if (*pattern == '*') {
            star = ++pattern;
            star_text = text;
        } else if (*pattern && match_one(pattern, *text, &next)) {
            pattern = next;
            text++;
        } else if (star) {
            // The last star takes one character more; what matched before it need not be tried again.
            pattern = star;
            text = ++star_text;
        } else
            return false;
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}
