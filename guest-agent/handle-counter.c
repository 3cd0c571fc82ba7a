// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/handle-counter.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define GROUP "global"
#define KEY   "fd_counter"
#define BLOCK 64

struct HandleCounter {
    char *path;
    gint64 next;
    gint64 saved; /* numbers below are ours to give out */
};

/* Old or new, never half: but not waited for to reach a disk. */
static gboolean replace_file(const char *path, const char *text)
{
    g_autofree char *new_path = g_strconcat(path, ".new", NULL);
    int fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return FALSE;
    gsize length = strlen(text);
    gboolean written = write(fd, text, length) == (gssize)length;
    if (close(fd) < 0 || !written || rename(new_path, path) < 0) {
        int errnum = errno;
        unlink(new_path);
        errno = errnum;
        return FALSE;
    }
    return TRUE;
}

static void reserve(HandleCounter *counter)
{
    counter->saved = counter->next + BLOCK;
    g_autoptr(GKeyFile) state = g_key_file_new(); /* keys of others stay */
    g_key_file_load_from_file(state, counter->path, G_KEY_FILE_NONE, NULL);
    g_key_file_set_int64(state, GROUP, KEY, counter->saved);
    g_autofree char *text = g_key_file_to_data(state, NULL, NULL);
    if (!replace_file(counter->path, text)) {
        g_info("file handles may repeat after a restart: cannot write %s: %s", counter->path,
               g_strerror(errno));
        counter->saved = G_MAXINT64;
    }
}

HandleCounter *handle_counter_new(const char *state_dir)
{
    HandleCounter *counter = g_new0(HandleCounter, 1);
    counter->path = g_build_filename(state_dir, "qga.state", NULL);
    g_autoptr(GKeyFile) state = g_key_file_new();
    if (g_key_file_load_from_file(state, counter->path, G_KEY_FILE_NONE, NULL))
        counter->next = g_key_file_get_int64(state, GROUP, KEY, NULL);
    if (counter->next < HANDLE_COUNTER_FIRST || counter->next > G_MAXINT64 / 2)
        counter->next = HANDLE_COUNTER_FIRST;
    counter->saved = counter->next;
    return counter;
}

void handle_counter_free(HandleCounter *counter)
{
    g_free(counter->path);
    g_free(counter);
}

gint64 handle_counter_next(HandleCounter *counter)
{
    if (counter->next == counter->saved)
        reserve(counter);
    return counter->next++;
}
