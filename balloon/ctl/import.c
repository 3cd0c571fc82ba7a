// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/ctl/import.h"

#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "balloon/daemon/settings.h"

#define MAX_BYTES    (1 << 20)
#define MAX_PROBLEMS 50
/* ksmd's time for a page that it sees first: 1.3 to 2 s for two passes over a GiB, measured with 4 KiB pages.
 */
#define PAGE_NS 3000

static void value_free(gpointer data)
{
    ImportValue *value = data;
    g_free(value->value);
    g_free(value);
}

Import *import_new(const char *from)
{
    Import *import = g_new0(Import, 1);
    import->from = from;
    import->problems = g_ptr_array_new_with_free_func(g_free);
    import->notes = g_ptr_array_new_with_free_func(g_free);
    import->values = g_ptr_array_new_with_free_func(value_free);
    return import;
}

void import_free(Import *import)
{
    g_ptr_array_unref(import->problems);
    g_ptr_array_unref(import->notes);
    g_ptr_array_unref(import->values);
    g_free(import);
}

/* Texts of foreign files are quoted: no control bytes for the terminal, or for the file that is made. */
static void G_GNUC_PRINTF(4, 0)
    add_text(GPtrArray *texts, const char *path, guint line, const char *format, va_list args)
{
    GString *text = g_string_new(path);
    if (line > 0)
        g_string_append_printf(text, ":%u", line);
    g_string_append(text, ": ");
    g_string_append_vprintf(text, format, args);
    for (gsize i = 0; i < text->len; i++)
        if (g_ascii_iscntrl(text->str[i]))
            text->str[i] = '?';
    g_ptr_array_add(texts, g_string_free(text, FALSE));
}

void import_refuse(Import *import, const char *path, guint line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (import->problems->len < MAX_PROBLEMS)
        add_text(import->problems, path, line, format, args);
    va_end(args);
}

void import_note(Import *import, const char *path, guint line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_text(import->notes, path, line, format, args);
    va_end(args);
}

char *import_read(Import *import, const char *path, const char *named_in, guint line)
{
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    gsize length = 0;
    if (named_in == NULL)
        named_in = path;
    if (g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_REGULAR))
        import_refuse(import, named_in, line, "%s is no regular file", path);
    else if (!g_file_get_contents(path, &text, &length, &error))
        import_refuse(import, named_in, line, "%s", error->message);
    else if (length > MAX_BYTES || strlen(text) != length || !g_utf8_validate(text, -1, NULL))
        import_refuse(import, named_in, line, "%s is not text of at most 1 MiB", path);
    else
        return text;
    g_free(text);
    return NULL;
}

/* ---- values ---- */

static ImportValue *find(const Import *import, const char *group, const char *key)
{
    for (guint i = 0; i < import->values->len; i++) {
        ImportValue *value = import->values->pdata[i];
        if (strcmp(value->group, group) == 0 && strcmp(value->key, key) == 0)
            return value;
    }
    return NULL;
}

const char *import_get(const Import *import, const char *group, const char *key)
{
    const ImportValue *value = find(import, group, key);
    return value != NULL ? value->value : NULL;
}

/* What balloond itself says of it, without the place. Marks are compared when all are known. */
static char *reason_against(const char *group, const char *key, const char *text)
{
    g_autofree char *file = g_strdup_printf("[%s]\n%s = %s\n", group, key, text);
    g_autoptr(GError) error = NULL;
    settings_free(settings_parse("", file, &error));
    const char *at = error != NULL ? strstr(error->message, ":2: ") : NULL;
    return at != NULL && !g_str_has_prefix(at + 4, "crit has") && !g_str_has_prefix(at + 4, "soft has")
               ? g_strndup(at + 4, strcspn(at + 4, "\n"))
               : NULL;
}

void import_set(Import *import, const char *path, guint line, const char *group, const char *key,
                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    gboolean has_fellows = strchr(group, ' ') != NULL; /* such groups are not complete with one key */
    g_autofree char *reason = has_fellows ? NULL : reason_against(group, key, text);
    ImportValue *value = find(import, group, key);
    if (reason != NULL) {
        import_refuse(import, path, line, "balloond does not take [%s] %s", group, reason);
        return;
    }
    if (value == NULL) {
        guint place = import->values->len;
        while (place > 0 && strcmp(((ImportValue *)import->values->pdata[place - 1])->group, group) != 0)
            place--;
        value = g_new0(ImportValue, 1);
        value->group = group;
        value->key = key;
        g_ptr_array_insert(import->values, place > 0 ? (gint)place : -1, value);
    }
    g_free(value->value);
    value->value = g_steal_pointer(&text);
}

void import_set_pace(Import *import, const char *path, guint line, gint64 pages, gint64 sleep_ms)
{
    gint64 work = pages * PAGE_NS, whole = work + sleep_ms * 1000000;
    gint64 percent = CLAMP((work * 100 + whole - 1) / MAX(whole, 1), 1, 100);
    import_set(import, path, line, "ksm", "cpu-budget", "%" G_GINT64_FORMAT "%%", percent);
    import_note(import, path, line,
                "%" G_GINT64_FORMAT " pages and a sleep of %" G_GINT64_FORMAT
                " ms cost ksmd about %" G_GINT64_FORMAT " %% of a CPU: that is its budget",
                pages, sleep_ms, percent);
}

/* ---- the end ---- */

static char *whole_text(const Import *import)
{
    GString *text = g_string_new(NULL);
    const char *group = NULL;
    g_string_append_printf(
        text, "# Made by balloonctl out of %s. What is not said has balloond's defaults.\n", import->from);
    for (guint i = 0; i < import->notes->len; i++)
        g_string_append_printf(text, "# %s\n", (const char *)import->notes->pdata[i]);
    for (guint i = 0; i < import->values->len; i++) {
        const ImportValue *value = import->values->pdata[i];
        if (group == NULL || strcmp(group, value->group) != 0)
            g_string_append_printf(text, "\n[%s]\n", value->group);
        group = value->group;
        g_string_append_printf(text, "%s = %s\n", value->key, value->value);
    }
    return g_string_free(text, FALSE);
}

int import_finish(Import *import)
{
    g_autofree char *text = whole_text(import);
    g_autoptr(GError) error = NULL;
    if (import->problems->len == 0) {
        g_autoptr(Settings) settings = settings_parse("what came of it", text, &error);
        if (settings == NULL)
            import_refuse(import, import->from, 0, "%s", error->message);
    }
    for (guint i = 0; i < import->problems->len; i++)
        fprintf(stderr, "balloonctl: %s\n", (const char *)import->problems->pdata[i]);
    if (import->problems->len > 0)
        return 1;
    fputs(text, stdout);
    return 0;
}
