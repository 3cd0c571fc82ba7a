// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/char/chardev-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_CHUNK 16384

struct ChardevSet {
    GPtrArray *chardevs; /* in the order of creation */
    gboolean cancelled;
};

static const ChardevKind *const kinds[] = {
    &CHARDEV_SOCKET, &CHARDEV_PTY, &CHARDEV_STDIO, &CHARDEV_FILE, &CHARDEV_NULL,
};

/* ---- input ---- */

static void clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
        g_clear_pointer(source, g_source_unref);
    }
}

static gboolean input_dispatch(GSource *source, GSourceFunc callback, gpointer user_data);
static GSourceFuncs input_funcs = {NULL, NULL, input_dispatch, NULL, NULL, NULL};

/* A GSource calls its dispatch with the callback's data: this itself is never called. */
static gboolean no_callback(gpointer user_data)
{
    return G_SOURCE_CONTINUE;
}

static void watch_input(Chardev *chardev)
{
    chardev->in_source = g_source_new(&input_funcs, sizeof(GSource));
    chardev->in_tag = g_source_add_unix_fd(chardev->in_source, chardev->in_fd, 0);
    chardev->in_wanted = FALSE;
    g_source_set_callback(chardev->in_source, no_callback, chardev, NULL);
    g_source_attach(chardev->in_source, NULL);
}

/* Waits for bytes only while the front end can take some; a hang-up is always seen. */
static void update_input(Chardev *chardev)
{
    gboolean wanted;

    if (chardev->in_fd < 0) {
        return;
    }
    wanted = chardev->front != NULL && chardev->tell_open == NULL &&
             chardev->front->can_receive(chardev->front_data) > 0;
    /* The front end may have been busy enough to end all this meanwhile. */
    if (chardev->in_fd < 0) {
        return;
    }
    if (chardev->in_source == NULL && wanted) {
        watch_input(chardev);
    }
    if (chardev->in_source != NULL && wanted != chardev->in_wanted) {
        chardev->in_wanted = wanted;
        g_source_modify_unix_fd(chardev->in_source, chardev->in_tag, wanted ? G_IO_IN : 0);
    }
}

static void end_input(Chardev *chardev)
{
    if (chardev->kind->input_ended != NULL) {
        clear_source(&chardev->in_source);
        chardev->in_fd = -1;
        chardev->kind->input_ended(chardev);
    } else {
        chardev_disconnected(chardev);
    }
}

static gboolean input_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    Chardev *chardev = user_data;
    GIOCondition condition = g_source_query_unix_fd(source, chardev->in_tag);
    gboolean hung_up = (condition & (G_IO_HUP | G_IO_ERR | G_IO_NVAL)) != 0;
    guint8 buffer[READ_CHUNK];
    gsize room = 0;
    gssize got;

    if (chardev->front != NULL && chardev->tell_open == NULL) {
        room = chardev->front->can_receive(chardev->front_data);
        if (chardev->in_source != source) {
            return G_SOURCE_REMOVE;
        }
    }
    if (room == 0) {
        if (hung_up && chardev->kind->input_ended != NULL) {
            /* What is left of a pipe can wait; its hang-up must not be told all the time. */
            clear_source(&chardev->in_source);
        } else if (hung_up) {
            /* Nobody would take what it may have left behind, and the next peer is waiting. */
            end_input(chardev);
        } else {
            update_input(chardev);
        }
        return G_SOURCE_CONTINUE;
    }
    got = read(chardev->in_fd, buffer, MIN(room, sizeof(buffer)));
    if (got > 0) {
        chardev->front->receive(chardev->front_data, buffer, (gsize)got);
        update_input(chardev);
    } else if (got == 0 || hung_up || (errno != EAGAIN && errno != EINTR)) {
        end_input(chardev);
    }
    return G_SOURCE_CONTINUE;
}

/* ---- peers ---- */

void chardev_connected(Chardev *chardev, int in_fd, int out_fd)
{
    int type;
    socklen_t length = sizeof(type);

    chardev->in_fd = in_fd;
    if (in_fd >= 0) {
        watch_input(chardev);
    }
    g_mutex_lock(&chardev->lock);
    chardev->out_fd = out_fd;
    chardev->out_is_socket = out_fd >= 0 && getsockopt(out_fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
    g_mutex_unlock(&chardev->lock);
    g_atomic_int_set(&chardev->open, TRUE);
    if (chardev->front != NULL) {
        chardev->front->open_changed(chardev->front_data, TRUE);
        update_input(chardev);
    }
}

void chardev_disconnected(Chardev *chardev)
{
    gboolean was_blocked, was_told;

    if (!chardev_is_open(chardev)) {
        return;
    }
    clear_source(&chardev->in_source);
    chardev->in_fd = -1;
    g_mutex_lock(&chardev->lock);
    was_blocked = chardev->out_source != NULL;
    clear_source(&chardev->out_source);
    chardev->out_fd = -1;
    g_mutex_unlock(&chardev->lock);
    g_atomic_int_set(&chardev->open, FALSE);
    was_told = chardev->tell_open == NULL;
    clear_source(&chardev->tell_open);
    if (chardev->kind->peer_gone != NULL) {
        chardev->kind->peer_gone(chardev);
    }
    if (chardev->front != NULL && was_told) {
        chardev->front->open_changed(chardev->front_data, FALSE);
    }
    /* With no peer everything fits: who waits must not wait for ever. */
    if (was_blocked && chardev->front != NULL && chardev->front->can_write != NULL) {
        chardev->front->can_write(chardev->front_data);
    }
}

/* ---- output ---- */

static gboolean output_ready(int fd, GIOCondition condition, gpointer user_data)
{
    Chardev *chardev = user_data;

    g_mutex_lock(&chardev->lock);
    g_clear_pointer(&chardev->out_source, g_source_unref);
    g_mutex_unlock(&chardev->lock);
    if (chardev->front != NULL && chardev->front->can_write != NULL) {
        chardev->front->can_write(chardev->front_data);
    }
    return G_SOURCE_REMOVE;
}

gsize chardev_write(Chardev *chardev, const void *data, gsize length)
{
    const guint8 *bytes = data;
    gsize done = 0;

    g_mutex_lock(&chardev->lock);
    while (chardev->out_fd >= 0 && chardev->out_source == NULL && done < length) {
        gssize put = chardev->out_is_socket
                         ? send(chardev->out_fd, bytes + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT)
                         : write(chardev->out_fd, bytes + done, length - done);

        if (put >= 0) {
            done += (gsize)put;
        } else if (errno == EAGAIN) {
            chardev->out_source = g_unix_fd_source_new(chardev->out_fd, G_IO_OUT);
            g_source_set_callback(chardev->out_source, G_SOURCE_FUNC(output_ready), chardev, NULL);
            g_source_attach(chardev->out_source, NULL);
        } else if (errno != EINTR) {
            /* A peer's hang-up is seen by the main thread; a file that is full may have room again later. */
            if (chardev->kind->peer_gone != NULL || errno == EPIPE) {
                chardev->out_fd = -1;
            } else if (!chardev->warned) {
                g_warning("chardev '%s': output is lost: %s", chardev->id, g_strerror(errno));
                chardev->warned = TRUE;
            }
            done = length;
        }
    }
    if (chardev->out_fd < 0) {
        done = length;
    }
    g_mutex_unlock(&chardev->lock);
    return done;
}

/* ---- front end ---- */

static gboolean take_front(Chardev *chardev, const char *name, GError **error)
{
    if (chardev->front_name != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "chardev '%s' is already in use by %s", chardev->id,
                    chardev->front_name);
        return FALSE;
    }
    chardev->front_name = g_strdup(name);
    return TRUE;
}

static gboolean tell_open(gpointer user_data)
{
    Chardev *chardev = user_data;

    g_clear_pointer(&chardev->tell_open, g_source_unref);
    chardev->front->open_changed(chardev->front_data, TRUE);
    update_input(chardev);
    return G_SOURCE_REMOVE;
}

gboolean chardev_attach(Chardev *chardev, const char *name, const ChardevFront *front, gpointer user_data,
                        GError **error)
{
    g_return_val_if_fail(front->can_receive != NULL && front->receive != NULL && front->open_changed != NULL,
                         FALSE);
    if (!take_front(chardev, name, error)) {
        return FALSE;
    }
    chardev->front = front;
    chardev->front_data = user_data;
    if (chardev_is_open(chardev)) {
        chardev->tell_open = g_idle_source_new();
        g_source_set_priority(chardev->tell_open, G_PRIORITY_DEFAULT);
        g_source_set_callback(chardev->tell_open, tell_open, chardev, NULL);
        g_source_attach(chardev->tell_open, NULL);
    }
    if (chardev->kind->attached != NULL) {
        chardev->kind->attached(chardev);
    }
    return TRUE;
}

void chardev_detach(Chardev *chardev)
{
    clear_source(&chardev->tell_open);
    chardev->front = NULL;
    chardev->front_data = NULL;
    g_clear_pointer(&chardev->front_name, g_free);
    update_input(chardev);
}

gboolean chardev_is_attached(const Chardev *chardev)
{
    return chardev->front_name != NULL;
}

gboolean chardev_is_open(Chardev *chardev)
{
    return g_atomic_int_get(&chardev->open);
}

void chardev_set_front_open(Chardev *chardev, gboolean open)
{
    g_atomic_int_set(&chardev->front_open, open);
}

gboolean chardev_front_is_open(Chardev *chardev)
{
    return g_atomic_int_get(&chardev->front_open);
}

void chardev_accept_input(Chardev *chardev)
{
    update_input(chardev);
}

gboolean chardev_is_listening(const Chardev *chardev)
{
    return chardev_socket_listener(chardev) >= 0;
}

gboolean chardev_accept_many(Chardev *chardev, const char *name, ChardevAcceptFunc func, gpointer user_data,
                             GError **error)
{
    if (!chardev_is_listening(chardev)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "chardev '%s' is not a listening socket",
                    chardev->id);
        return FALSE;
    }
    if (!take_front(chardev, name, error)) {
        return FALSE;
    }
    chardev_socket_accept_many(chardev, func, user_data);
    return TRUE;
}

const char *chardev_id(const Chardev *chardev)
{
    return chardev->id;
}

char *chardev_describe(Chardev *chardev)
{
    return chardev->kind->describe(chardev);
}

/* ---- the set ---- */

static void chardev_free(gpointer data)
{
    Chardev *chardev = data;

    clear_source(&chardev->in_source);
    clear_source(&chardev->out_source);
    clear_source(&chardev->tell_open);
    chardev->kind->close(chardev);
    g_mutex_clear(&chardev->lock);
    g_free(chardev->front_name);
    g_free(chardev->id);
    g_free(chardev);
}

ChardevSet *chardev_set_new(void)
{
    ChardevSet *set = g_new0(ChardevSet, 1);

    set->chardevs = g_ptr_array_new_with_free_func(chardev_free);
    return set;
}

void chardev_set_free(ChardevSet *set)
{
    if (set != NULL) {
        g_ptr_array_unref(set->chardevs);
        g_free(set);
    }
}

void chardev_set_cancel(ChardevSet *set)
{
    set->cancelled = TRUE;
}

gboolean chardev_set_is_cancelled(const ChardevSet *set)
{
    return set->cancelled;
}

gboolean chardev_set_has_fd(const ChardevSet *set, int fd)
{
    for (guint i = 0; i < set->chardevs->len; i++) {
        Chardev *chardev = set->chardevs->pdata[i];

        if (chardev->in_fd == fd || chardev->out_fd == fd || chardev_socket_listener(chardev) == fd) {
            return TRUE;
        }
    }
    return FALSE;
}

static Chardev *create(ChardevSet *set, const char *id, OptSet *options, GError **error)
{
    const char *backend = optset_need_string(options, "backend", error);
    const ChardevKind *kind = NULL;
    Chardev *chardev;

    if (backend == NULL) {
        return NULL;
    }
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i]->name, backend) == 0) {
            kind = kinds[i];
        }
    }
    if (kind == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "%s: '%s' is not a character device that is supported: socket, pty, stdio, file or null",
                    optset_what(options), backend);
        return NULL;
    }
    if (chardev_set_find(set, id) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "%s: there is a chardev '%s' already",
                    optset_what(options), id);
        return NULL;
    }
    chardev = g_malloc0(kind->size);
    chardev->kind = kind;
    chardev->set = set;
    chardev->id = g_strdup(id);
    chardev->in_fd = chardev->out_fd = -1;
    chardev->front_open = TRUE;
    g_mutex_init(&chardev->lock);
    if (!kind->open(chardev, options, error)) {
        chardev_free(chardev);
        return NULL;
    }
    g_ptr_array_add(set->chardevs, chardev);
    return chardev;
}

Chardev *chardev_set_add(ChardevSet *set, OptSet *options, GError **error)
{
    const char *id = optset_need_string(options, "id", error);

    return id != NULL ? create(set, id, options, error) : NULL;
}

Chardev *chardev_set_add_shorthand(ChardevSet *set, const char *id, const char *text, GError **error)
{
    g_autofree char *what = g_strdup_printf("chardev %s", id);
    g_autofree char *rest = NULL;
    g_autoptr(OptSet) options = NULL;

    if (strcmp(text, "none") == 0) {
        return NULL;
    }
    if (g_str_has_prefix(text, "chardev:")) {
        Chardev *chardev = chardev_set_find(set, text + strlen("chardev:"));

        if (chardev == NULL) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "'%s': there is no such chardev", text);
        }
        return chardev;
    }
    if (g_str_has_prefix(text, "unix:")) {
        rest = g_strconcat("socket,path=", text + strlen("unix:"), NULL);
    } else if (g_str_has_prefix(text, "file:")) {
        g_auto(GStrv) pieces = g_strsplit(text + strlen("file:"), ",", -1);
        g_autofree char *path = g_strjoinv(",,", pieces);

        rest = g_strconcat("file,path=", path, NULL);
    } else if (strcmp(text, "pty") == 0 || strcmp(text, "stdio") == 0 || strcmp(text, "null") == 0) {
        rest = g_strdup(text);
    } else {
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
            "'%s' is not a character device that is supported: unix:PATH, pty, stdio, file:PATH, null, "
            "none or chardev:ID",
            text);
        return NULL;
    }
    options = optset_parse(what, rest, "backend", error);
    return options != NULL ? create(set, id, options, error) : NULL;
}

Chardev *chardev_set_find(ChardevSet *set, const char *id)
{
    for (guint i = 0; i < set->chardevs->len; i++) {
        Chardev *chardev = set->chardevs->pdata[i];

        if (strcmp(chardev->id, id) == 0) {
            return chardev;
        }
    }
    return NULL;
}

void chardev_set_foreach(ChardevSet *set, void (*func)(Chardev *chardev, gpointer user_data),
                         gpointer user_data)
{
    for (guint i = 0; i < set->chardevs->len; i++) {
        func(set->chardevs->pdata[i], user_data);
    }
}
