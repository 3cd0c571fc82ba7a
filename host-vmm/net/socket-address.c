// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/net/socket-address.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *key_of(const char *prefix, const char *member)
{
    return g_strconcat(prefix, ".", member, NULL);
}

gboolean socket_address_is_given(OptSet *options, const char *prefix)
{
    static const char *const members[] = {"type", "path", "str", "host", "port"};
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        g_autofree char *key = key_of(prefix, members[i]);
        if (optset_has(options, key))
            return TRUE;
    }
    return FALSE;
}

gboolean socket_address_parse(SocketAddress *address, OptSet *options, const char *prefix, FdStore *fds,
                              GError **error)
{
    g_autofree char *type_key = key_of(prefix, "type");
    g_autofree char *path_key = key_of(prefix, "path");
    g_autofree char *str_key = key_of(prefix, "str");
    const char *what = optset_what(options);
    *address = (SocketAddress){.fd = -1};
    const char *type = optset_need_string(options, type_key, error);
    if (type == NULL)
        return FALSE;
    if (strcmp(type, "unix") == 0) {
        const char *path = optset_need_string(options, path_key, error);
        /* A path may be used again after the working directory has changed. */
        address->path = path != NULL ? g_canonicalize_filename(path, NULL) : NULL;
        return path != NULL;
    }
    if (strcmp(type, "fd") == 0) {
        const char *text = optset_need_string(options, str_key, error);
        if (text == NULL)
            return FALSE;
        address->fd = fd_store_take(fds, text, what, &address->is_owned, error);
        return address->fd >= 0;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "%s: '%s=%s' is not supported, only: unix fd",
                what, type_key, type);
    return FALSE;
}

void socket_address_clear(SocketAddress *address)
{
    if (address->is_owned)
        close(address->fd);
    address->is_owned = FALSE;
    g_clear_pointer(&address->path, g_free);
    address->fd = -1;
}

JsonObject *socket_address_describe(const SocketAddress *address)
{
    JsonObject *object = json_object_new();
    if (address->path != NULL) {
        json_object_set_string_member(object, "path", address->path);
        json_object_set_string_member(object, "type", "unix");
    } else {
        g_autofree char *text = g_strdup_printf("%d", address->fd);
        json_object_set_string_member(object, "str", text);
        json_object_set_string_member(object, "type", "fd");
    }
    return object;
}

static int get_option(int fd, int option)
{
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

gboolean socket_address_inherit(SocketAddress *address, int type, gboolean listening, const char *what,
                                GError **error)
{
    int fd = address->fd;
    if (get_option(fd, SO_TYPE) != type) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: fd=%d is not an open %s socket",
                    what, fd, type == SOCK_STREAM ? "stream" : "datagram");
        return FALSE;
    }
    if ((get_option(fd, SO_ACCEPTCONN) == 1) != listening) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    listening ? "%s: fd=%d is not a listening socket, but server=on was given"
                              : "%s: fd=%d is a listening socket: server=on is needed",
                    what, fd);
        return FALSE;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: fd=%d: %s", what, fd,
                    g_strerror(errno));
        return FALSE;
    }
    address->is_owned = FALSE;
    return TRUE;
}
