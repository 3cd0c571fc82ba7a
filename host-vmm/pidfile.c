// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 10

struct Pidfile {
    char *path; /* absolute: the working directory may change */
    int fd;
};

static int fail(GError **error, const char *what, const char *path, int fd)
{
    int number = errno;

    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "-pidfile: cannot %s '%s': %s", what, path,
                g_strerror(number));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* The file that is at path now, locked by us; -2: it was removed meanwhile, try again. */
static int open_locked(const char *path, GError **error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    struct stat opened, named;

    if (fd < 0 || fstat(fd, &opened) < 0) {
        return fail(error, "open", path, fd);
    }
    if (!S_ISREG(opened.st_mode)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, "-pidfile: '%s' is not an ordinary file",
                    path);
        close(fd);
        return -1;
    }
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        if (errno == EAGAIN || errno == EACCES) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                        "-pidfile: '%s' is locked by another running process", path);
            close(fd);
            return -1;
        }
        return fail(error, "lock", path, fd);
    }
    if (stat(path, &named) < 0 || named.st_dev != opened.st_dev || named.st_ino != opened.st_ino) {
        close(fd);
        return -2;
    }
    return fd;
}

Pidfile *pidfile_new(const char *path, GError **error)
{
    g_autofree char *text = g_strdup_printf("%ld\n", (long)getpid());
    Pidfile *pidfile;
    int fd = -2;

    for (guint i = 0; i < TRIES && fd == -2; i++) {
        fd = open_locked(path, error);
    }
    if (fd == -2) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "-pidfile: others keep removing '%s'", path);
    }
    if (fd < 0) {
        return NULL;
    }
    if (ftruncate(fd, 0) < 0 || write(fd, text, strlen(text)) != (gssize)strlen(text)) {
        fail(error, "write", path, -1);
        unlink(path);
        close(fd);
        return NULL;
    }
    pidfile = g_new0(Pidfile, 1);
    pidfile->path = g_canonicalize_filename(path, NULL);
    pidfile->fd = fd;
    return pidfile;
}

void pidfile_free(Pidfile *pidfile)
{
    if (pidfile == NULL) {
        return;
    }
    unlink(pidfile->path);
    close(pidfile->fd);
    g_free(pidfile->path);
    g_free(pidfile);
}
