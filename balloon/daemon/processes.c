// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/daemon/processes.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SEARCH_MS      5000
#define SEARCH_MAX_MS  (5 * 60 * 1000)
#define COMMAND_LENGTH (16 << 10) /* "-uuid" stands near its beginning */

struct Processes {
    char *root;
    GHashTable *found; /* uuid -> pid */
    gint64 search_at, pause_ms;
    char buffer[COMMAND_LENGTH];
};

Processes *processes_new(const char *root)
{
    Processes *processes = g_new0(Processes, 1);
    processes->root = g_strdup(root);
    processes->found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    processes->pause_ms = SEARCH_MS;
    return processes;
}

void processes_free(Processes *processes)
{
    if (processes == NULL)
        return;
    g_hash_table_unref(processes->found);
    g_free(processes->root);
    g_free(processes);
}

int processes_number(const char *name)
{
    guint64 number;
    return g_ascii_string_to_unsigned(name, 10, 1, G_MAXINT, &number, NULL) ? (int)number : 0;
}

/* The word behind "-uuid"; NULL. Words end with zero bytes. */
static const char *uuid_of(Processes *processes, int pid)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/cmdline", processes->root, pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    gssize length = fd >= 0 ? read(fd, processes->buffer, sizeof processes->buffer - 1) : 0;
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return NULL;
    processes->buffer[length] = '\0';
    const char *end = processes->buffer + length, *word = processes->buffer;
    for (gboolean next = FALSE; word < end; word += strlen(word) + 1) {
        if (next)
            return word;
        next = strcmp(word, "-uuid") == 0;
    }
    return NULL;
}

static void search(Processes *processes)
{
    g_autofree char *path = g_strconcat(processes->root, "/proc", NULL);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;
    gboolean any = FALSE;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        int pid = processes_number(name);
        const char *uuid = pid > 0 ? uuid_of(processes, pid) : NULL;
        if (uuid == NULL || strlen(uuid) != 36)
            continue;
        char *key = g_ascii_strdown(uuid, -1);
        any = g_hash_table_lookup(processes->found, key) != GINT_TO_POINTER(pid) || any;
        g_hash_table_replace(processes->found, key, GINT_TO_POINTER(pid));
    }
    processes->pause_ms = any ? SEARCH_MS : MIN(processes->pause_ms * 2, SEARCH_MAX_MS);
}

int processes_find(Processes *processes, const char *uuid, gint64 now)
{
    gpointer pid = g_hash_table_lookup(processes->found, uuid);
    if (pid == NULL && now >= processes->search_at) {
        search(processes);
        processes->search_at = now + processes->pause_ms;
        pid = g_hash_table_lookup(processes->found, uuid);
    }
    return GPOINTER_TO_INT(pid);
}

void processes_forget(Processes *processes, const char *uuid)
{
    if (g_hash_table_remove(processes->found, uuid))
        return;
    processes->pause_ms = SEARCH_MS;
    processes->search_at = 0;
}
