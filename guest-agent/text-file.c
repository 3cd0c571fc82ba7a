// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/text-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 4096

/* 0, or what went wrong. */
static int read_all(int fd, GString *text)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    for (;;) {
        gsize had = text->len;
        if (had > TEXT_FILE_MAX)
            return EFBIG;
        g_string_set_size(text, had + MAX(STEP, had));
        gssize n = read(fd, text->str + had, text->len - had);
        int errnum = errno;
        g_string_set_size(text, had + (gsize)MAX(n, 0));
        if (n < 0 && errnum != EINTR)
            return errnum;
        if (n == 0)
            return 0;
    }
}

char *text_file_read(const char *root, const char *path, int *errnum)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int why = fd < 0 ? errno : read_all(fd, text);
    if (fd >= 0)
        close(fd);
    if (errnum)
        *errnum = why;
    if (why)
        return NULL;
    while (text->len && text->str[text->len - 1] == '\n')
        g_string_truncate(text, text->len - 1);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

int text_file_write(const char *root, const char *path, const char *word)
{
    g_autofree char *name = g_strconcat(root, path, NULL);
    int fd = open(name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    int why = fd < 0 || write(fd, word, strlen(word)) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return why;
}
