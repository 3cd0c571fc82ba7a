// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * filter: filter_hosts and exclude_hosts: which hosts of a source are reported, by their ids.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    FILTER_BOTH, /* filter_type is not set: a pattern may be either */
    FILTER_REGEX,
    FILTER_WILDCARDS
} FilterType;

typedef struct Filter Filter;

/* Items between commas, which quotes and a backslash protect. NULL: a quote is not closed. */
char **filter_split(const char *text);

/* filter, exclude: NULL: not set. warnings: of char *, gets what is wrong with patterns. */
Filter *filter_new(char **filter, char **exclude, FilterType type, GPtrArray *warnings);
void filter_free(Filter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Filter, filter_free)

/* exclude comes first. Without case. filter NULL: all pass. */
gboolean filter_passes(const Filter *filter, const char *id);
