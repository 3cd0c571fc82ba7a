// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/rng-backend.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#define DEFAULT_FILENAME "/dev/urandom"

struct RngBackend {
    Object object;
    char *filename; /* NULL: built in */
    int fd;
};

void rng_backend_free(RngBackend *backend)
{
    if (backend == NULL)
        return;
    if (backend->fd >= 0)
        close(backend->fd);
    g_free(backend->filename);
    g_free(backend);
}

static void destroy(Object *object)
{
    rng_backend_free((RngBackend *)object);
}

RngBackend *rng_backend_new_builtin(void)
{
    RngBackend *backend = g_new0(RngBackend, 1);
    backend->object.destroy = destroy;
    backend->fd = -1;
    return backend;
}

static Object *create_builtin(OptSet *options, GError **error)
{
    return &rng_backend_new_builtin()->object;
}

static Object *create_random(OptSet *options, GError **error)
{
    const char *filename = optset_string(options, "filename");
    if (filename == NULL)
        filename = DEFAULT_FILENAME;
    int fd = open(filename, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open '%s': %s", filename,
                    g_strerror(errno));
        return NULL;
    }
    RngBackend *backend = rng_backend_new_builtin();
    backend->filename = g_strdup(filename);
    backend->fd = fd;
    return &backend->object;
}

const ObjectType rng_random_type = {
    .name = "rng-random",
    .description = "random bytes from a file [filename=/dev/urandom]",
    .create = create_random,
};

const ObjectType rng_builtin_type = {
    .name = "rng-builtin",
    .description = "random bytes from the host kernel",
    .create = create_builtin,
};

RngBackend *rng_backend_from_object(Object *object)
{
    gboolean is_backend = object->type == &rng_random_type || object->type == &rng_builtin_type;
    return is_backend ? (RngBackend *)object : NULL;
}

gssize rng_backend_read(RngBackend *backend, void *to, gsize length, GError **error)
{
    gssize got;
    do
        got = backend->fd < 0 ? getrandom(to, length, 0) : read(backend->fd, to, length);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got < 0 && errno == EAGAIN)
        return 0;
    const char *name = backend->filename != NULL ? backend->filename : "getrandom";
    if (got == 0)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "'%s' has come to its end", name);
    else
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "'%s': %s", name, g_strerror(errno));
    return -1;
}

int rng_backend_fd(const RngBackend *backend)
{
    return backend->fd;
}
