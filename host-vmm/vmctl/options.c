// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_COLUMN = 24, MAX_SECONDS = 1000000 };

static void print_option(const GOptionEntry *entry)
{
    g_autoptr(GString) left = g_string_new("  ");

    if (entry->short_name != 0)
        g_string_append_printf(left, "-%c, ", entry->short_name);
    g_string_append_printf(left, "--%s", entry->long_name);
    if (entry->arg_description != NULL)
        g_string_append_printf(left, " %s", entry->arg_description);
    if (left->len + 2 > OPTION_COLUMN)
        printf("%s\n%*s", left->str, OPTION_COLUMN, "");
    else
        printf("%-*s", OPTION_COLUMN, left->str);
    for (const char *at = entry->description; *at != '\0'; at++) {
        putchar(*at);
        if (*at == '\n')
            printf("%*s", OPTION_COLUMN, "");
    }
    putchar('\n');
}

static void print_help(const Verb *verb, const GOptionEntry *entries)
{
    g_auto(GStrv) forms = g_strsplit(verb->usage, "\n", -1);

    for (guint i = 0; forms[i] != NULL; i++)
        printf("%s vmctl %s%s%s\n", i == 0 ? "usage:" : "      ", verb->name, *forms[i] != '\0' ? " " : "",
               forms[i]);
    printf("\n%s\n\nOptions:\n", verb->help);
    for (const GOptionEntry *entry = entries; entry->long_name != NULL; entry++)
        print_option(entry);
    printf("%-*s%s\n", OPTION_COLUMN, "  -h, --help", "show this help");
}

int options_parse(const Verb *verb, const GOptionEntry *entries, char **words)
{
    gboolean help = FALSE;
    const GOptionEntry help_entry[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, NULL, NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    /* GOption takes argv[0] for the program's name and wants to own what it drops. */
    g_autoptr(GPtrArray) arguments = g_ptr_array_new();
    int argc;
    g_autofree char **argv = NULL;

    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, help_entry, NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    g_ptr_array_add(arguments, (char *)verb->name);
    for (guint i = 0; words[i] != NULL; i++)
        g_ptr_array_add(arguments, words[i]);
    argc = (int)arguments->len;
    g_ptr_array_add(arguments, NULL);
    argv = (char **)g_ptr_array_free(g_steal_pointer(&arguments), FALSE);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        return options_usage_error(verb, "%s", error->message);
    if (help) {
        print_help(verb, entries);
        return VMCTL_OK;
    }
    /* GOption leaves a "--" that it stopped at only if what follows looks like an option. */
    int from = 1, to = 0;
    for (; from < argc; from++)
        if (strcmp(argv[from], "--") != 0)
            words[to++] = argv[from];
    words[to] = NULL;
    return -1;
}

int options_usage_error(const Verb *verb, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    complain("%s: %s (see: vmctl help %s)", verb->name, text, verb->name);
    return VMCTL_USAGE;
}

gboolean options_parse_seconds(const char *what, const char *text, guint *ms, GError **error)
{
    char *end = NULL;
    double seconds = g_ascii_strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(seconds) || seconds <= 0 || seconds > MAX_SECONDS) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE,
                    "%s: '%s' is not a number of seconds above 0 and up to %d", what, text, MAX_SECONDS);
        return FALSE;
    }
    *ms = (guint)MAX(1, seconds * 1000);
    return TRUE;
}

gboolean options_parse_memory(const char *what, const char *text, guint64 *mib, GError **error)
{
    char *end = NULL;
    guint64 number = 0;
    guint64 unit = 0;

    if (g_ascii_isdigit(*text)) {
        number = g_ascii_strtoull(text, &end, 10);
        if (*end == '\0' || g_ascii_strcasecmp(end, "M") == 0 || g_ascii_strcasecmp(end, "MiB") == 0)
            unit = 1;
        else if (g_ascii_strcasecmp(end, "G") == 0 || g_ascii_strcasecmp(end, "GiB") == 0)
            unit = 1024;
        else if (g_ascii_strcasecmp(end, "T") == 0 || g_ascii_strcasecmp(end, "TiB") == 0)
            unit = 1024 * 1024;
    }
    /* 2^44 MiB are the 2^64 bytes that a size can have. */
    if (unit == 0 || number >= (G_GUINT64_CONSTANT(1) << 44) / unit) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "%s: '%s' is not an amount of memory such as 512M or 2G",
                    what, text);
        return FALSE;
    }
    *mib = number * unit;
    return TRUE;
}

gboolean options_parse_count(const char *what, const char *text, guint *count, GError **error)
{
    guint64 value = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT16, &value, NULL)) {
        g_set_error(error, VMCTL_ERROR, VMCTL_USAGE, "%s: '%s' is not a number from 0 to %d", what, text,
                    G_MAXUINT16);
        return FALSE;
    }
    *count = (guint)value;
    return TRUE;
}
