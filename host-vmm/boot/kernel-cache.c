// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/kernel-cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".vmlinux"

static gboolean is_trusted(const struct stat *status)
{
    return (status->st_uid == geteuid() || status->st_uid == 0) &&
           (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* NULL: it cannot be told. */
static char *entry_name(int kernel)
{
    struct stat status;
    if (fstat(kernel, &status) < 0) {
        return NULL;
    }
    return g_strdup_printf("%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER
                           "x-%" G_GINT64_MODIFIER "x.%09lx-%" G_GINT64_MODIFIER "x.%09lx" SUFFIX,
                           (guint64)status.st_dev, (guint64)status.st_ino, (guint64)status.st_size,
                           (guint64)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                           (guint64)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

/* The folder, if it can be trusted; -1. */
static int open_folder(const char *folder)
{
    struct stat status;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &status) < 0 || !is_trusted(&status))) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

int kernel_cache_open(const char *folder, int kernel, guint64 *size)
{
    g_autofree char *name = entry_name(kernel);
    int directory = name ? open_folder(folder) : -1;
    if (directory < 0) {
        return -1;
    }
    struct stat status;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || !is_trusted(&status))) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0) {
        *size = (guint64)status.st_size;
        /* Its time tells when it was used last; that it may be another's does not matter. */
        (void)utimensat(directory, name, NULL, AT_SYMLINK_NOFOLLOW);
    }
    close(directory);
    return fd;
}

static gboolean write_all(int fd, const guint8 *bytes, gsize size)
{
    for (gsize done = 0; done < size;) {
        ssize_t count = write(fd, bytes + done, size - done);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return FALSE;
        }
        done += (gsize)count;
    }
    return fdatasync(fd) == 0; /* after a crash of the host, a whole one or none */
}

typedef struct Entry {
    char *name;
    struct timespec used;
} Entry;

static void entry_clear(gpointer data)
{
    g_free(((Entry *)data)->name);
}

static gint latest_first(gconstpointer a, gconstpointer b)
{
    const struct timespec *one = &((const Entry *)a)->used, *other = &((const Entry *)b)->used;
    gint64 seconds = other->tv_sec - one->tv_sec, rest = other->tv_nsec - one->tv_nsec;
    return seconds ? (seconds > 0 ? 1 : -1) : rest ? (rest > 0 ? 1 : -1) : 0;
}

static void remove_old(const char *folder, int directory)
{
    g_autoptr(GDir) listing = g_dir_open(folder, 0, NULL);
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_array_set_clear_func(entries, entry_clear);
    for (const char *name; listing && (name = g_dir_read_name(listing)) != NULL;) {
        struct stat status;
        if (g_str_has_suffix(name, SUFFIX) && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            Entry entry = {g_strdup(name), status.st_mtim};
            g_array_append_val(entries, entry);
        }
    }
    g_array_sort(entries, latest_first);
    for (guint i = KERNEL_CACHE_MOST; i < entries->len; i++) {
        (void)unlinkat(directory, g_array_index(entries, Entry, i).name, 0);
    }
}

gboolean kernel_cache_store(const char *folder, int kernel, const guint8 *bytes, gsize size, GError **error)
{
    g_autofree char *name = entry_name(kernel);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *draft = g_strconcat(path, ".XXXXXX", NULL);
    gboolean good = FALSE;
    int directory = -1, fd = -1;
    if (name && g_mkdir_with_parents(folder, 0700) == 0 && (directory = open_folder(folder)) >= 0 &&
        (fd = g_mkstemp_full(draft, O_WRONLY | O_CLOEXEC, 0600)) >= 0) {
        good = write_all(fd, bytes, size) && g_rename(draft, path) == 0;
    }
    if (!good) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot keep a kernel in %s: %s", folder,
                    g_strerror(errno));
    }
    if (fd >= 0) {
        if (!good) {
            g_unlink(draft);
        }
        close(fd);
    }
    if (directory >= 0) {
        remove_old(folder, directory);
        close(directory);
    }
    return good;
}
