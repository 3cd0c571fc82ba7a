// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/os-release.h"

#include <string.h>

#define FILE_MAX_BYTES (1 << 20)

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
        g_autofree char *value = *raw ? g_shell_unquote(raw, NULL) : g_strdup("");
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
