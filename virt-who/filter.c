// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/filter.h"

#include <fnmatch.h>
#include <string.h>

#define MAX_PATTERN 1024

typedef struct Pattern {
    char *wildcards; /* NULL: not to be tried */
    GRegex *regex;   /* likewise */
} Pattern;

struct Filter {
    GPtrArray *filter, *exclude; /* of Pattern; NULL: not set */
};

char **filter_split(const char *text)
{
    GPtrArray *items = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) item = g_string_new(NULL);
    char quote = '\0';

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            g_string_append_c(item, *++p);
        } else if (quote != '\0') {
            if (*p == quote) {
                quote = '\0';
            } else {
                g_string_append_c(item, *p);
            }
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (*p == ',') {
            g_ptr_array_add(items, g_strdup(item->str));
            g_string_truncate(item, 0);
        } else if (!g_ascii_isspace(*p)) {
            g_string_append_c(item, *p);
        }
    }
    if (quote != '\0') {
        g_ptr_array_unref(items);
        return NULL;
    }
    if (item->len > 0) {
        g_ptr_array_add(items, g_strdup(item->str));
    }
    g_ptr_array_add(items, NULL);
    return (char **)g_ptr_array_free(items, FALSE);
}

static void pattern_free(gpointer data)
{
    Pattern *pattern = data;

    g_free(pattern->wildcards);
    g_clear_pointer(&pattern->regex, g_regex_unref);
    g_free(pattern);
}

static GPtrArray *compile(char **texts, FilterType type, GPtrArray *warnings)
{
    GPtrArray *patterns;

    if (texts == NULL) {
        return NULL;
    }
    patterns = g_ptr_array_new_with_free_func(pattern_free);
    for (; *texts != NULL; texts++) {
        Pattern *pattern;
        g_autoptr(GError) error = NULL;

        if (strlen(*texts) > MAX_PATTERN || !g_utf8_validate(*texts, -1, NULL)) {
            g_ptr_array_add(warnings, g_strdup("a pattern of hosts is too long; it is ignored"));
            continue;
        }
        pattern = g_new0(Pattern, 1);
        g_ptr_array_add(patterns, pattern);
        if (type != FILTER_REGEX) {
            pattern->wildcards = g_utf8_casefold(*texts, -1);
        }
        if (type != FILTER_WILDCARDS) {
            g_autofree char *anchored = g_strconcat("^(?:", *texts, ")$", NULL);

            pattern->regex = g_regex_new(anchored, G_REGEX_CASELESS | G_REGEX_DOLLAR_ENDONLY, 0, &error);
            if (pattern->regex == NULL && type == FILTER_REGEX) {
                g_ptr_array_add(warnings,
                                g_strdup_printf("\"%s\" is no regular expression, it is ignored: %s", *texts,
                                                error->message));
            }
        }
    }
    return patterns;
}

Filter *filter_new(char **filter, char **exclude, FilterType type, GPtrArray *warnings)
{
    Filter *self = g_new0(Filter, 1);

    self->filter = compile(filter, type, warnings);
    self->exclude = compile(exclude, type, warnings);
    return self;
}

void filter_free(Filter *filter)
{
    if (filter != NULL) {
        g_clear_pointer(&filter->filter, g_ptr_array_unref);
        g_clear_pointer(&filter->exclude, g_ptr_array_unref);
        g_free(filter);
    }
}

static gboolean matches(const GPtrArray *patterns, const char *id)
{
    g_autofree char *folded = g_utf8_casefold(id, -1);

    for (guint i = 0; i < patterns->len; i++) {
        const Pattern *pattern = patterns->pdata[i];

        if ((pattern->wildcards != NULL && fnmatch(pattern->wildcards, folded, 0) == 0) ||
            (pattern->regex != NULL && g_regex_match(pattern->regex, id, 0, NULL))) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean filter_passes(const Filter *filter, const char *id)
{
    if (filter == NULL) {
        return TRUE;
    }
    if (filter->exclude != NULL && matches(filter->exclude, id)) {
        return FALSE;
    }
    return filter->filter == NULL || matches(filter->filter, id);
}
