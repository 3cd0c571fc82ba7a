// SPDX-License-Identifier: GPL-2.0-or-later
#include "balloon/sim/sim-spool.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define BLOCK 1024 /* rows */

struct SimSpool {
    int fd;
    SimDemand rows[BLOCK];
    guint count, next; /* of rows that are here, and of those the next to be read */
};

static gboolean fail(GError **error, const char *what)
{
    int code = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "a temporary file: %s: %s", what,
                g_strerror(code));
    return FALSE;
}

SimSpool *sim_spool_new(GError **error)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("balloon-XXXXXX", &path, error);
    if (fd < 0)
        return NULL;
    g_unlink(path);
    SimSpool *spool = g_new(SimSpool, 1);
    spool->fd = fd;
    spool->count = spool->next = 0;
    return spool;
}

void sim_spool_free(SimSpool *spool)
{
    if (spool != NULL) {
        close(spool->fd);
        g_free(spool);
    }
}

static gboolean flush(SimSpool *spool, GError **error)
{
    const char *bytes = (const char *)spool->rows;
    gsize length = spool->count * sizeof spool->rows[0], done = 0;
    while (done < length) {
        gssize written = write(spool->fd, bytes + done, length - done);
        if (written < 0 && errno != EINTR)
            return fail(error, "write");
        done += written > 0 ? (gsize)written : 0;
    }
    spool->count = 0;
    return TRUE;
}

gboolean sim_spool_add(SimSpool *spool, const SimDemand *row, GError **error)
{
    if (spool->count == BLOCK && !flush(spool, error))
        return FALSE;
    spool->rows[spool->count++] = *row;
    return TRUE;
}

/* The next block; with none left, or none to be had, the trace is over. */
static void fetch(SimSpool *spool)
{
    char *bytes = (char *)spool->rows;
    gsize done = 0;
    gssize got;
    do {
        got = read(spool->fd, bytes + done, sizeof spool->rows - done);
        done += got > 0 ? (gsize)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    spool->count = (guint)(done / sizeof spool->rows[0]);
    spool->next = 0;
}

gboolean sim_spool_rewind(SimSpool *spool, GError **error)
{
    if (!flush(spool, error))
        return FALSE;
    if (lseek(spool->fd, 0, SEEK_SET) != 0)
        return fail(error, "lseek");
    fetch(spool);
    return TRUE;
}

const SimDemand *sim_spool_peek(SimSpool *spool)
{
    return spool->next < spool->count ? &spool->rows[spool->next] : NULL;
}

void sim_spool_pass(SimSpool *spool)
{
    if (++spool->next == spool->count)
        fetch(spool);
}
