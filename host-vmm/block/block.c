// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NODE_NAME 31  /* as in QEMU */
#define MAX_DEPTH     200 /* of a chain: a longer one is most likely a circle */
#define ZEROES        (64u << 10)
#define QCOW2_MAGIC   "QFI\xfb"

struct BlockSet {
    ObjectSet *objects;
    FdStore *fds;
    GPtrArray *nodes; /* BlockNode*, all that are open, in order of opening */
    guint next_name;
};

const BlockDriver *const block_drivers[] = {
    &block_driver_file, &block_driver_host_device, &block_driver_qcow2,
    &block_driver_raw,  &block_driver_throttle,    NULL,
};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (error != NULL)
        *error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, args);
    va_end(args);
    return FALSE;
}

/* ---- the set ---- */

BlockSet *block_set_new(ObjectSet *objects)
{
    BlockSet *set = g_new0(BlockSet, 1);
    set->objects = objects;
    set->nodes = g_ptr_array_new();
    return set;
}

ObjectSet *block_set_objects(BlockSet *set)
{
    return set->objects;
}

void block_set_set_fds(BlockSet *set, FdStore *fds)
{
    set->fds = fds;
}

FdStore *block_set_fds(BlockSet *set)
{
    return set->fds;
}

BlockNode *block_set_find(BlockSet *set, const char *name)
{
    for (guint i = 0; i < set->nodes->len; i++) {
        BlockNode *node = set->nodes->pdata[i];
        if (strcmp(node->name, name) == 0)
            return node;
    }
    return NULL;
}

void block_set_foreach(BlockSet *set, void (*func)(BlockNode *node, gpointer user_data), gpointer user_data)
{
    for (guint i = set->nodes->len; i > 0; i--)
        func(set->nodes->pdata[i - 1], user_data);
}

static void unref(BlockNode *node);

static void detach(BlockNode *node, gboolean write)
{
    guint *users = write ? &node->writers : &node->readers;
    g_return_if_fail(*users > 0);
    (*users)--;
    if (node->driver->set_access != NULL)
        node->driver->set_access(node, node->readers + node->writers > 0, node->writers > 0, NULL);
    unref(node);
}

/* The struct, its children and its name. */
static void node_free(BlockNode *node)
{
    if (node->file != NULL)
        detach(node->file, node->writes_file);
    if (node->backing != NULL)
        detach(node->backing, FALSE);
    g_free(node->name);
    g_free(node->user);
    g_free(node);
}

static void unref(BlockNode *node)
{
    if (--node->references > 0)
        return;
    if (!node->read_only)
        block_flush(node);
    g_ptr_array_remove(node->set->nodes, node);
    if (node->driver->close != NULL)
        node->driver->close(node);
    node_free(node);
}

void block_set_free(BlockSet *set)
{
    if (set == NULL)
        return;
    /* What is above was opened later. */
    for (guint i = set->nodes->len; i > 0; i--) {
        BlockNode *node = set->nodes->pdata[i - 1];
        if (node->named) {
            node->named = FALSE;
            unref(node);
            i = set->nodes->len + 1;
        }
    }
    if (set->nodes->len > 0)
        g_critical("a disk image is still in use at the end");
    g_ptr_array_unref(set->nodes);
    g_free(set);
}

gboolean block_set_remove(BlockSet *set, const char *name, GError **error)
{
    BlockNode *node = block_set_find(set, name);
    if (node == NULL || !node->named)
        return fail(error,
                    node == NULL ? "there is no block node '%s'" : "block node '%s' was not added by name",
                    name);
    if (node->readers + node->writers > 0)
        return fail(error, "block node '%s' is in use by %s", name, node->user);
    node->named = FALSE;
    unref(node);
    return TRUE;
}

/* ---- attaching ---- */

gboolean block_attach(BlockNode *node, const char *user, gboolean write, GError **error)
{
    if (write && node->read_only && !node->auto_read_only)
        return fail(error, "block node '%s' is read-only", node->name);
    if (node->writers > 0 || (write && node->readers > 0))
        return fail(error, "block node '%s' is already in use by %s", node->name, node->user);
    if (node->driver->set_access != NULL &&
        !node->driver->set_access(node, TRUE, write || node->writers > 0, error))
        return FALSE;
    g_free(node->user);
    node->user = g_strdup(user);
    node->references++;
    if (write)
        node->writers++;
    else
        node->readers++;
    return TRUE;
}

void block_detach(BlockNode *node, gboolean write)
{
    detach(node, write);
}

/* ---- opening ---- */

static const BlockDriver *find_driver(const char *name)
{
    for (guint i = 0; block_drivers[i] != NULL; i++) {
        if (strcmp(block_drivers[i]->name, name) == 0)
            return block_drivers[i];
    }
    return NULL;
}

/* A key with one value that we do. */
static gboolean only(OptSet *options, const char *key, const char *allowed, GError **error)
{
    gboolean value = strcmp(allowed, "on") == 0;
    const char *text = optset_string(options, key);
    if (text == NULL || strcmp(text, allowed) == 0)
        return TRUE;
    if (optset_bool(options, key, &value, NULL) && value == (strcmp(allowed, "on") == 0))
        return TRUE;
    return fail(error, "%s: '%s=%s' is not supported, only %s", optset_what(options), key, text, allowed);
}

static gboolean parse_discard(BlockNode *node, OptSet *options, GError **error)
{
    const char *text = optset_string(options, "discard");
    node->unmap = text != NULL && (strcmp(text, "unmap") == 0 || strcmp(text, "on") == 0);
    if (text == NULL || node->unmap || strcmp(text, "ignore") == 0 || strcmp(text, "off") == 0)
        return TRUE;
    return fail(error, "%s: 'discard' must be unmap or ignore, not '%s'", optset_what(options), text);
}

/* The properties that any node may have. */
static gboolean parse_common(BlockNode *node, OptSet *options, GError **error)
{
    return optset_bool(options, "read-only", &node->read_only, error) &&
           optset_bool(options, "auto-read-only", &node->auto_read_only, error) &&
           optset_bool(options, "cache.direct", &node->direct, error) &&
           optset_bool(options, "cache.no-flush", &node->no_flush, error) &&
           parse_discard(node, options, error) && only(options, "detect-zeroes", "off", error) &&
           only(options, "force-share", "off", error);
}

static gboolean is_node_name(const char *text)
{
    if (!g_ascii_isalpha(*text) || strlen(text) > MAX_NODE_NAME)
        return FALSE;
    for (const char *c = text; *c != '\0'; c++) {
        if (!g_ascii_isalnum(*c) && strchr("-._", *c) == NULL)
            return FALSE;
    }
    return TRUE;
}

static char *choose_name(BlockSet *set, OptSet *options, GError **error)
{
    const char *name = optset_string(options, "node-name");
    if (name == NULL)
        return g_strdup_printf("#block%u", set->next_name++);
    if (!is_node_name(name)) {
        fail(error,
             "%s: '%s' cannot be a node-name: a letter, then letters, digits, '-', '.' and '_', at most %d",
             optset_what(options), name, MAX_NODE_NAME);
        return NULL;
    }
    if (block_set_find(set, name) != NULL) {
        fail(error, "%s: Duplicate nodes with node-name='%s'", optset_what(options), name);
        return NULL;
    }
    return g_strdup(name);
}

/* Says which node, unless it was said already. */
static void name_node(GError **error, OptSet *options, const char *name)
{
    const char *what = optset_what(options);
    if (error != NULL && *error != NULL && !g_str_has_prefix((*error)->message, what))
        g_prefix_error(error, "%s,node-name=%s: ", what, name);
}

/* Nobody uses it yet. */
static BlockNode *open_node(BlockSet *set, OptSet *options, guint depth, GError **error)
{
    const char *driver_name = optset_need_string(options, "driver", error);
    if (driver_name == NULL)
        return NULL;
    const BlockDriver *driver = find_driver(driver_name);
    if (driver == NULL) {
        fail(error, "%s: block driver '%s' is not known", optset_what(options), driver_name);
        return NULL;
    }
    g_autofree char *name = choose_name(set, options, error);
    if (name == NULL)
        return NULL;
    BlockNode *node = g_malloc0(driver->size);
    node->driver = driver;
    node->set = set;
    node->depth = depth;
    node->name = g_steal_pointer(&name);
    gboolean opened = parse_common(node, options, error) && driver->open(node, set, options, error);
    if (opened && optset_finish(options, error)) {
        g_ptr_array_add(set->nodes, node);
        return node;
    }
    name_node(error, options, node->name);
    if (opened && driver->close != NULL)
        driver->close(node);
    node_free(node);
    return NULL;
}

/* One that nobody came to use. */
static void discard_node(BlockNode *node)
{
    node->references = 1;
    unref(node);
}

BlockNode *block_set_add_unnamed(BlockSet *set, OptSet *options, GError **error)
{
    BlockNode *node = open_node(set, options, 0, error);
    if (node != NULL) {
        node->named = TRUE;
        node->references = 1;
    }
    return node;
}

BlockNode *block_set_add(BlockSet *set, OptSet *options, GError **error)
{
    return optset_need_string(options, "node-name", error) != NULL
               ? block_set_add_unnamed(set, options, error)
               : NULL;
}

static const char *on_off(gboolean value)
{
    return value ? "on" : "off";
}

static BlockNode *open_inline(BlockNode *parent, OptSet *options, gboolean write, GError **error)
{
    if (parent->depth >= MAX_DEPTH) {
        fail(error, "a chain of more than %d images", MAX_DEPTH);
        return NULL;
    }
    optset_set_default(options, "read-only", on_off(!write));
    optset_set_default(options, "cache.direct", on_off(parent->direct));
    optset_set_default(options, "cache.no-flush", on_off(parent->no_flush));
    optset_set_default(options, "discard", parent->unmap ? "unmap" : "ignore");
    return open_node(parent->set, options, parent->depth + 1, error);
}

static gboolean attach_child(BlockNode *parent, BlockNode *child, gboolean write, GError **error)
{
    g_autofree char *user = g_strdup_printf("block node '%s'", parent->name);
    return block_attach(child, user, write, error);
}

/* A parent with auto-read-only makes do with reading. */
static gboolean attach_file(BlockNode *parent, BlockNode *child, GError **error)
{
    if (parent->auto_read_only && !parent->read_only && !attach_child(parent, child, TRUE, NULL))
        parent->read_only = TRUE;
    else if (parent->auto_read_only && !parent->read_only)
        return TRUE;
    return attach_child(parent, child, !parent->read_only, error);
}

BlockNode *block_child(BlockNode *parent, OptSet *options, const char *key, GError **error)
{
    gboolean is_backing = strcmp(key, "backing") == 0;
    const char *name = optset_string(options, key);
    g_autoptr(OptSet) own = optset_take(options, key);
    BlockNode *child = NULL;
    if (name != NULL && own != NULL) {
        fail(error, "%s: '%s' is given by name and in line", optset_what(options), key);
        return NULL;
    }
    if (name != NULL && *name == '\0')
        return NULL; /* JSON's null: there shall be none */
    if (name != NULL) {
        child = block_set_find(parent->set, name);
        if (child == NULL)
            fail(error, "%s: '%s': there is no block node '%s'", optset_what(options), key, name);
    } else if (own != NULL) {
        child = open_inline(parent, own, !is_backing && !parent->read_only, error);
    }
    if (child == NULL)
        return NULL;
    gboolean attached =
        is_backing ? attach_child(parent, child, FALSE, error) : attach_file(parent, child, error);
    if (!attached) {
        if (own != NULL)
            discard_node(child);
        return NULL;
    }
    if (is_backing)
        parent->backing = child;
    else
        parent->file = child;
    parent->writes_file = !is_backing ? !parent->read_only : parent->writes_file;
    return child;
}

const char *block_probe_format(BlockSet *set, const char *path, GError **error)
{
    char magic[4] = {0};
    FdSetFile *given = NULL;
    if (fd_store_is_set_name(path) && (given = fd_store_use(set->fds, path, FALSE, error)) == NULL)
        return NULL;
    int fd = given != NULL ? fd_set_file_fd(given) : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    gssize got = fd >= 0 ? pread(fd, magic, sizeof magic, 0) : -1;
    if (got < 0)
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open '%s': %s", path,
                    g_strerror(errno));
    if (given != NULL)
        fd_set_file_give_back(given);
    else if (fd >= 0)
        close(fd);
    if (got < 0)
        return NULL;
    return memcmp(magic, QCOW2_MAGIC, sizeof magic) == 0 ? "qcow2" : "raw";
}

const char *block_protocol_for(BlockSet *set, const char *path)
{
    struct stat status;
    FdSetFile *given = fd_store_is_set_name(path) ? fd_store_use(set->fds, path, FALSE, NULL) : NULL;
    int result = given != NULL ? fstat(fd_set_file_fd(given), &status) : stat(path, &status);
    if (given != NULL)
        fd_set_file_give_back(given);
    return result == 0 && S_ISBLK(status.st_mode) ? "host_device" : "file";
}

/* An image may not say which of the descriptors that we were given it wants. */
static gboolean check_is_file(const char *path, GError **error)
{
    return !fd_store_is_set_name(path) ||
           fail(error, "backing file '%s': an image cannot name a set of descriptors", path);
}

BlockNode *block_open_backing(BlockNode *parent, const char *path, const char *format, GError **error)
{
    const char *colon = strchr(path, ':'), *slash = strchr(path, '/');
    if (g_str_has_prefix(path, "file:")) {
        path += strlen("file:");
    } else if (colon != NULL && (slash == NULL || colon < slash)) {
        fail(error, "backing file '%s': only files and block devices are supported", path);
        return NULL;
    }
    g_autofree char *folder = g_path_get_dirname(block_filename(parent));
    g_autofree char *full = g_path_is_absolute(path) ? g_strdup(path) : g_build_filename(folder, path, NULL);
    if (!check_is_file(full, error))
        return NULL;
    if (format == NULL)
        format = block_probe_format(parent->set, full, error);
    g_autofree char *what = g_strdup_printf("backing file '%s'", full);
    g_autoptr(OptSet) options = optset_new(what);
    BlockNode *child = NULL;
    if (format != NULL) {
        optset_set_default(options, "driver", format);
        optset_set_default(options, "file.driver", block_protocol_for(parent->set, full));
        optset_set_default(options, "file.filename", full);
        child = open_inline(parent, options, FALSE, error);
    }
    if (child != NULL && !attach_child(parent, child, FALSE, error)) {
        discard_node(child);
        child = NULL;
    }
    parent->backing = child;
    return child;
}

/* ---- data ---- */

guint64 block_length(BlockNode *node)
{
    return node->driver->length(node);
}

const char *block_filename(BlockNode *node)
{
    while (node->driver->filename == NULL && node->file != NULL)
        node = node->file;
    return node->driver->filename != NULL ? node->driver->filename(node) : "";
}

/* 0, or why this cannot be. */
static int check_range(BlockNode *node, guint64 offset, guint64 length)
{
    guint64 end = block_length(node);
    return offset > end || length > end - offset ? -EIO : 0;
}

static int check_write(BlockNode *node, guint64 offset, guint64 length)
{
    return node->read_only ? -EROFS : check_range(node, offset, length);
}

static void note_write(BlockNode *node, guint64 end)
{
    guint64 highest = __atomic_load_n(&node->highest_write, __ATOMIC_RELAXED);
    while (end > highest && !__atomic_compare_exchange_n(&node->highest_write, &highest, end, TRUE,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static guint64 total(const struct iovec *segments, guint count)
{
    guint64 sum = 0;
    for (guint i = 0; i < count; i++)
        sum += segments[i].iov_len;
    return sum;
}

static int do_write(BlockNode *node, guint64 offset, const struct iovec *segments, guint count,
                    guint64 length, guint flags)
{
    int result = node->driver->pwritev(node, offset, segments, count, flags);
    if (result == 0)
        note_write(node, offset + length);
    return result;
}

static int do_flush(BlockNode *node)
{
    /* Where nothing is below, it is a matter of the host's cache. */
    if (node->driver->flush == NULL || (node->no_flush && node->file == NULL))
        return 0;
    return node->driver->flush(node);
}

static int do_discard(BlockNode *node, guint64 offset, guint64 length)
{
    if (!node->unmap || node->driver->discard == NULL)
        return 0;
    int result = node->driver->discard(node, offset, length);
    return result == -ENOTSUP ? 0 : result; /* a hint */
}

static int write_zero_bytes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    gsize step = MIN(length, ZEROES);
    /* Of whole pages: where its pages meet is where a write may end when the process is killed, and no sector
     * of the disk must be torn by that. */
    void *zeroes = aligned_alloc(ZEROES, ZEROES);
    int result = zeroes != NULL ? 0 : -ENOMEM;
    if (zeroes != NULL)
        memset(zeroes, 0, step);
    for (guint64 done = 0; done < length && result == 0; done += step) {
        struct iovec segment = {zeroes, MIN(step, length - done)};
        result = do_write(node, offset + done, &segment, 1, segment.iov_len, flags);
    }
    free(zeroes);
    return result;
}

static int do_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    if (!node->unmap)
        flags &= ~BLOCK_MAY_UNMAP;
    int result = -ENOTSUP;
    if (length == 0)
        return 0;
    if (node->driver->write_zeroes != NULL)
        result = node->driver->write_zeroes(node, offset, length, flags);
    if (result == -ENOTSUP)
        result = write_zero_bytes(node, offset, length, flags & BLOCK_FUA);
    else if (result == 0)
        note_write(node, offset + length);
    return result;
}

int block_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count)
{
    int result = check_range(node, offset, total(segments, count));
    return result < 0 ? result : node->driver->preadv(node, offset, segments, count);
}

int block_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags)
{
    guint64 length = total(segments, count);
    int result = check_write(node, offset, length);
    return result < 0 ? result : do_write(node, offset, segments, count, length, flags);
}

int block_pread(BlockNode *node, guint64 offset, void *to, gsize length)
{
    struct iovec segment = {to, length};
    return block_preadv(node, offset, &segment, 1);
}

int block_pwrite(BlockNode *node, guint64 offset, const void *from, gsize length)
{
    struct iovec segment = {(void *)from, length};
    return block_pwritev(node, offset, &segment, 1, 0);
}

int block_flush(BlockNode *node)
{
    return do_flush(node);
}

int block_discard(BlockNode *node, guint64 offset, guint64 length)
{
    int result = check_write(node, offset, length);
    return result < 0 ? result : do_discard(node, offset, length);
}

int block_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    int result = check_write(node, offset, length);
    return result < 0 ? result : do_write_zeroes(node, offset, length, flags);
}

int block_resize(BlockNode *node, guint64 length)
{
    if (node->read_only)
        return -EROFS;
    return node->driver->resize != NULL ? node->driver->resize(node, length) : -ENOTSUP;
}

/* ---- requests ---- */

#define REQUEST_OF(work) ((BlockRequest *)((guint8 *)(work)-G_STRUCT_OFFSET(BlockRequest, work)))

static void request_done(IoWork *work)
{
    BlockRequest *request = REQUEST_OF(work);
    request->done(request, work->result);
}

void block_finish_later(BlockRequest *request, int result)
{
    request->work.result = result;
    request->work.done = request_done;
    io_context_finish_later(request->context, &request->work);
}

static void request_run(IoWork *work)
{
    BlockRequest *request = REQUEST_OF(work);
    BlockNode *node = work->data[0];
    switch (request->op) {
    case BLOCK_READ:
        work->result = node->driver->preadv(node, request->offset, request->segments, request->segment_count);
        break;
    case BLOCK_WRITE:
        work->result = do_write(node, request->offset, request->segments, request->segment_count,
                                request->length, request->flags);
        break;
    case BLOCK_FLUSH:
        work->result = do_flush(node);
        break;
    case BLOCK_DISCARD:
        work->result = do_discard(node, request->offset, request->length);
        break;
    case BLOCK_WRITE_ZEROES:
        work->result = do_write_zeroes(node, request->offset, request->length, request->flags);
        break;
    }
}

void block_submit_to_worker(BlockNode *node, BlockRequest *request)
{
    request->work.func = request_run;
    request->work.done = request_done;
    request->work.data[0] = node;
    io_context_run(request->context, &request->work);
}

void block_submit(BlockNode *node, BlockRequest *request)
{
    int result = 0;
    gboolean nothing = request->op != BLOCK_FLUSH && request->length == 0;
    if (request->op == BLOCK_READ)
        result = check_range(node, request->offset, request->length);
    else if (request->op != BLOCK_FLUSH)
        result = check_write(node, request->offset, request->length);
    if (request->op == BLOCK_DISCARD && !node->unmap)
        nothing = TRUE;
    if (request->op == BLOCK_FLUSH && node->no_flush && node->file == NULL)
        nothing = TRUE;
    if (result < 0 || nothing)
        block_finish_later(request, result);
    else if (node->driver->submit != NULL) {
        if (request->op == BLOCK_WRITE)
            note_write(node, request->offset + request->length);
        node->driver->submit(node, request);
    } else
        block_submit_to_worker(node, request);
}

void block_drain(BlockNode *node, IoContext *context)
{
    for (; node != NULL; node = node->file) {
        if (node->driver->drain != NULL)
            node->driver->drain(node, context);
    }
}
