// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/fd-store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SET_PREFIX "/dev/fdset/"

struct FdSetFile {
    FdStore *store;
    gint64 set;
    int fd;
    char *opaque;     /* or NULL */
    gboolean is_ours; /* of the command line: no client's going ends it */
    gboolean is_in_use;
    gboolean is_removed; /* closed when it is given back */
};

struct FdStore {
    GHashTable *named; /* name -> GINT_TO_POINTER(fd) */
    GPtrArray *files;  /* FdSetFile, by set, then in order of coming; owned */
};

static gboolean fail(GError **error, GIOErrorEnum code, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean fail(GError **error, GIOErrorEnum code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(G_IO_ERROR, (gint)code, format, args));
    va_end(args);
    return FALSE;
}

static void file_free(gpointer data)
{
    FdSetFile *file = data;
    close(file->fd);
    g_free(file->opaque);
    g_free(file);
}

static void close_value(gpointer value)
{
    close(GPOINTER_TO_INT(value));
}

FdStore *fd_store_new(void)
{
    FdStore *store = g_new0(FdStore, 1);
    store->named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_value);
    store->files = g_ptr_array_new_with_free_func(file_free);
    return store;
}

void fd_store_free(FdStore *store)
{
    if (!store) {
        return;
    }
    g_hash_table_unref(store->named);
    g_ptr_array_unref(store->files);
    g_free(store);
}

static gboolean has_room(const FdStore *store, GError **error)
{
    return g_hash_table_size(store->named) + store->files->len < FD_STORE_MOST ||
           fail(error, G_IO_ERROR_NO_SPACE, "%d descriptors are kept already, which is the most",
                FD_STORE_MOST);
}

/* ---- under a name ---- */

gboolean fd_store_add_named(FdStore *store, const char *name, int fd, GError **error)
{
    gboolean good;
    if (*name == '\0' || g_ascii_isdigit(*name)) {
        good = fail(error, G_IO_ERROR_INVALID_ARGUMENT,
                    "Parameter 'fdname' expects a name not starting with a digit");
    } else {
        good = g_hash_table_contains(store->named, name) || has_room(store, error);
    }
    if (good) {
        g_hash_table_replace(store->named, g_strdup(name), GINT_TO_POINTER(fd));
    } else {
        close(fd);
    }
    return good;
}

gboolean fd_store_close_named(FdStore *store, const char *name, GError **error)
{
    return g_hash_table_remove(store->named, name) ||
           fail(error, G_IO_ERROR_NOT_FOUND, "File descriptor named '%s' not found", name);
}

int fd_store_take(FdStore *store, const char *text, const char *what, gboolean *owned, GError **error)
{
    guint64 number = 0;
    gpointer name, value;
    *owned = FALSE;
    if (g_ascii_isdigit(*text)) {
        if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT, &number, NULL)) {
            return (int)number;
        }
        fail(error, G_IO_ERROR_INVALID_ARGUMENT, "%s: '%s' is not a descriptor's number", what, text);
        return -1;
    }
    if (!store || !g_hash_table_steal_extended(store->named, text, &name, &value)) {
        fail(error, G_IO_ERROR_NOT_FOUND,
             "%s: '%s' is not a descriptor's number, nor the name of one (getfd)", what, text);
        return -1;
    }
    g_free(name);
    *owned = TRUE;
    return GPOINTER_TO_INT(value);
}

/* ---- sets ---- */

/* Where the next one of the set has its place. */
static guint find_place(const FdStore *store, gint64 set)
{
    guint place = 0;
    while (place < store->files->len && ((FdSetFile *)store->files->pdata[place])->set <= set) {
        place++;
    }
    return place;
}

static gint64 free_number(const FdStore *store)
{
    gint64 number = 0;
    for (guint i = 0; i < store->files->len; i++) {
        const FdSetFile *file = store->files->pdata[i];
        if (file->set > number) {
            break;
        }
        number = file->set + 1;
    }
    return number;
}

static FdSetFile *add_file(FdStore *store, gint64 set, const char *opaque, int fd, GError **error)
{
    if (!has_room(store, error)) {
        close(fd);
        return NULL;
    }
    FdSetFile *file = g_new0(FdSetFile, 1);
    file->store = store;
    file->set = set < 0 ? free_number(store) : set;
    file->fd = fd;
    file->opaque = g_strdup(opaque);
    g_ptr_array_insert(store->files, (gint)find_place(store, file->set), file);
    return file;
}

gint64 fd_store_add(FdStore *store, gint64 set, const char *opaque, int fd, GError **error)
{
    const FdSetFile *file = add_file(store, set, opaque, fd, error);
    return file ? file->set : -1;
}

gboolean fd_store_add_option(FdStore *store, OptSet *options, GError **error)
{
    guint64 fd = 0, set = 0;
    const char *what = optset_what(options), *opaque = optset_string(options, "opaque");
    if (!optset_need_string(options, "fd", error) || !optset_need_string(options, "set", error) ||
        !optset_uint(options, "fd", STDERR_FILENO + 1, G_MAXINT, &fd, error) ||
        !optset_uint(options, "set", 0, G_MAXINT64, &set, error) || !optset_finish(options, error)) {
        return FALSE;
    }
    /* One that we opened ourselves is nobody's to give: those are closed on exec. */
    int flags = fcntl((int)fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) {
        return fail(error, G_IO_ERROR_INVALID_ARGUMENT, "%s: descriptor %d was not inherited", what, (int)fd);
    }
    if (fcntl((int)fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
        return fail(error, G_IO_ERROR_FAILED, "%s: fd=%d: %s", what, (int)fd, g_strerror(errno));
    }
    FdSetFile *file = add_file(store, (gint64)set, opaque, (int)fd, error);
    if (file) {
        file->is_ours = TRUE;
    }
    return file != NULL;
}

static void drop(FdStore *store, guint index)
{
    FdSetFile *file = store->files->pdata[index];
    file->is_removed = TRUE;
    if (!file->is_in_use) {
        g_ptr_array_remove_index(store->files, index);
    }
}

gboolean fd_store_remove(FdStore *store, gint64 set, gint64 fd, GError **error)
{
    gboolean found = FALSE;
    for (guint i = store->files->len; i > 0; i--) {
        const FdSetFile *file = store->files->pdata[i - 1];
        if (file->set == set && (fd < 0 || file->fd == fd)) {
            found = TRUE;
            drop(store, i - 1);
        }
    }
    if (!found && fd >= 0) {
        return fail(error, G_IO_ERROR_NOT_FOUND,
                    "File descriptor named 'fdset-id:%" G_GINT64_FORMAT ", fd:%" G_GINT64_FORMAT
                    "' not found",
                    set, fd);
    }
    return found || fail(error, G_IO_ERROR_NOT_FOUND,
                         "File descriptor named 'fdset-id:%" G_GINT64_FORMAT "' not found", set);
}

JsonArray *fd_store_describe(const FdStore *store)
{
    JsonArray *sets = json_array_new(), *fds = NULL;
    for (guint i = 0; i < store->files->len; i++) {
        const FdSetFile *file = store->files->pdata[i];
        if (i == 0 || ((FdSetFile *)store->files->pdata[i - 1])->set != file->set) {
            JsonObject *set = json_object_new();
            fds = json_array_new();
            json_object_set_int_member(set, "fdset-id", file->set);
            json_object_set_array_member(set, "fds", fds);
            json_array_add_object_element(sets, set);
        }
        JsonObject *info = json_object_new();
        json_object_set_int_member(info, "fd", file->fd);
        if (file->opaque) {
            json_object_set_string_member(info, "opaque", file->opaque);
        }
        json_array_add_object_element(fds, info);
    }
    return sets;
}

void fd_store_clients_gone(FdStore *store)
{
    for (guint i = store->files->len; i > 0; i--) {
        const FdSetFile *file = store->files->pdata[i - 1];
        if (!file->is_ours && !file->is_in_use) {
            drop(store, i - 1);
        }
    }
}

/* ---- using ---- */

gboolean fd_store_is_set_name(const char *filename)
{
    return g_str_has_prefix(filename, SET_PREFIX);
}

/* 0: it cannot do what is wanted; 2: it can do just that; 1: it can do more. */
static guint fitness(const FdSetFile *file, gboolean write)
{
    int flags = fcntl(file->fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH) != 0) {
        return 0;
    }
    int mode = flags & O_ACCMODE;
    return mode == (write ? O_RDWR : O_RDONLY) ? 2 : !write && mode == O_RDWR ? 1 : 0;
}

FdSetFile *fd_store_use(FdStore *store, const char *filename, gboolean write, GError **error)
{
    guint64 set = 0;
    guint best_fitness = 0;
    gboolean found = FALSE, busy = FALSE;
    FdSetFile *best = NULL;
    gboolean is_number =
        g_ascii_string_to_unsigned(filename + strlen(SET_PREFIX), 10, 0, G_MAXINT64, &set, NULL);
    for (guint i = 0; store && is_number && i < store->files->len; i++) {
        FdSetFile *file = store->files->pdata[i];
        if (file->set != (gint64)set || file->is_removed) {
            continue;
        }
        guint fits = fitness(file, write);
        found = TRUE;
        busy |= fits > 0 && file->is_in_use;
        if (fits > best_fitness && !file->is_in_use) {
            best = file;
            best_fitness = fits;
        }
    }
    if (best) {
        best->is_in_use = TRUE;
        return best;
    }
    if (!found) {
        fail(error, G_IO_ERROR_NOT_FOUND, "'%s': there is no such set of descriptors", filename);
    } else if (busy) {
        fail(error, G_IO_ERROR_BUSY, "'%s': what is in this set is in use", filename);
    } else {
        fail(error, G_IO_ERROR_PERMISSION_DENIED, "'%s': no descriptor of this set can be %s", filename,
             write ? "read and written" : "read");
    }
    return NULL;
}

int fd_set_file_fd(const FdSetFile *file)
{
    return file->fd;
}

gboolean fd_set_file_is_writable(const FdSetFile *file)
{
    return fitness(file, TRUE) > 0;
}

void fd_set_file_give_back(FdSetFile *file)
{
    file->is_in_use = FALSE;
    if (file->is_removed) {
        g_ptr_array_remove(file->store->files, file);
    }
}
