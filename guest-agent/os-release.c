// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/os-release.h"

#include <string.h>

#define FILE_MAX_BYTES (1 << 20)

/* Of a value that is one word in double quotes; NULL if it is anything else. More than the shell's: \' is
 * taken for
 * ', as qemu-ga takes it. */
static char *unquote_double(const char *raw)
{
    g_autoptr(GString) text = g_string_new(NULL);
    if (*raw++ != '"')
        return NULL;
    for (; *raw && *raw != '"'; raw++) {
        if (*raw == '\\' && raw[1] && strchr("$'\"\\`", raw[1]))
            raw++;
        g_string_append_c(text, *raw);
    }
    return g_str_equal(raw, "\"") ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

GHashTable *os_release_parse(const char *text)
{
    GHashTable *fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        char *equals = strchr(*line, '=');
        if (**line == '#' || !equals || equals == *line)
            continue;
        const char *raw = equals + 1;
        g_autofree char *value = *raw ? unquote_double(raw) : g_strdup("");
        if (!value)
            value = g_shell_unquote(raw, NULL);
        g_hash_table_insert(fields, g_strndup(*line, (gsize)(equals - *line)),
                            g_utf8_make_valid(value ? value : raw, -1));
    }
    return fields;
}

static GHashTable *load(const char *path)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, &length, &error)) {
        g_debug("no os-release: %s", error->message);
        return NULL;
    }
    if (length > FILE_MAX_BYTES) {
        g_warning("%s is too big to be an os-release file", path);
        return NULL;
    }
    return os_release_parse(text);
}

GHashTable *os_release_load(void)
{
    const char *path = g_getenv("QGA_OS_RELEASE");
    if (path)
        return load(path);
    GHashTable *fields = load("/etc/os-release");
    return fields ? fields : load("/usr/lib/os-release");
}
