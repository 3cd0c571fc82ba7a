// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file, host_device: an image in a regular file or on a block device, opened here or given to us
 * ("/dev/fdset/N").
 *
 * With cache.direct=on (O_DIRECT) offsets, lengths and buffers must be multiples of what the host's disk asks
 * for: what is not goes through a buffer of ours on a worker thread, a write of a part by reading the rest of
 * the block first.
 */
#include "host-vmm/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/block/file-lock.h"
#include "host-vmm/block/range-lock.h"

#define MAX_ALIGNMENT 4096u
#define BOUNCE        (1u << 20) /* bytes at once through a buffer of ours */

typedef enum { LOCKING_AUTO, LOCKING_ON, LOCKING_OFF } Locking;

typedef struct File {
    BlockNode node;
    char *filename;
    int fd;
    FdSetFile *given; /* whose fd is, or NULL: ours */
    gboolean is_device;
    gboolean by_ring; /* aio */
    Locking locking;
    FileLockMode lock;
    gboolean opened_writable;
    guint alignment, memory_alignment; /* 1: any */
    guint64 length;                    /* atomic */
    RangeLock writes;                  /* with an alignment */

    /* Atomic. */
    int flush_error; /* -errno of a flush that failed: what was lost then stays lost */
    guint64 discards, failed_discards, discarded;
} File;

/* ---- aligned and whole requests ---- */

static gboolean is_aligned(const File *self, guint64 offset, const struct iovec *segments, guint count)
{
    if (self->alignment == 1)
        return TRUE;
    guint64 length = 0;
    for (guint i = 0; i < count; i++) {
        if ((guintptr)segments[i].iov_base % self->memory_alignment != 0 ||
            segments[i].iov_len % self->memory_alignment != 0)
            return FALSE;
        length += segments[i].iov_len;
    }
    return offset % self->alignment == 0 && length % self->alignment == 0;
}

/* One system call of the segments from `skip` bytes on. */
static gssize transfer(File *self, gboolean is_write, guint64 offset, const struct iovec *segments,
                       guint count, guint64 skip, int flags)
{
    struct iovec part[64];
    guint parts = 0;
    for (guint i = 0; i < count && parts < G_N_ELEMENTS(part); i++) {
        if (skip >= segments[i].iov_len) {
            skip -= segments[i].iov_len;
            continue;
        }
        part[parts].iov_base = (guint8 *)segments[i].iov_base + skip;
        part[parts++].iov_len = segments[i].iov_len - skip;
        skip = 0;
    }
    gssize result;
    do
        result = is_write ? pwritev2(self->fd, part, (int)parts, (off_t)offset, flags)
                          : preadv(self->fd, part, (int)parts, (off_t)offset);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

static guint64 total(const struct iovec *segments, guint count)
{
    guint64 sum = 0;
    for (guint i = 0; i < count; i++)
        sum += segments[i].iov_len;
    return sum;
}

static void zero_from(const struct iovec *segments, guint count, guint64 skip)
{
    for (guint i = 0; i < count; i++) {
        if (skip >= segments[i].iov_len) {
            skip -= segments[i].iov_len;
            continue;
        }
        memset((guint8 *)segments[i].iov_base + skip, 0, segments[i].iov_len - skip);
        skip = 0;
    }
}

/* Behind the end of the file are zeroes: its length need not be one of whole sectors. */
static int read_whole(File *self, guint64 offset, const struct iovec *segments, guint count)
{
    guint64 length = total(segments, count);
    for (guint64 done = 0; done < length;) {
        gssize result = transfer(self, FALSE, offset + done, segments, count, done, 0);
        if (result < 0)
            return (int)result;
        if (result == 0) {
            zero_from(segments, count, done);
            break;
        }
        done += (guint64)result;
        /* A direct read that stopped within a block has met the end, and may not be continued there. */
        if (done % self->alignment != 0) {
            zero_from(segments, count, done);
            break;
        }
    }
    return 0;
}

static int write_whole(File *self, guint64 offset, const struct iovec *segments, guint count, int flags)
{
    guint64 length = total(segments, count);
    for (guint64 done = 0; done < length;) {
        gssize result = transfer(self, TRUE, offset + done, segments, count, done, flags);
        if (result <= 0)
            return result < 0 ? (int)result : -ENOSPC;
        done += (guint64)result;
    }
    return 0;
}

/* ---- the others, through a buffer ---- */

static guint8 *bounce_new(guint64 length)
{
    return aligned_alloc(MAX_ALIGNMENT, (length + MAX_ALIGNMENT - 1) & ~(guint64)(MAX_ALIGNMENT - 1));
}

/* Copies between the segments, from `skip` bytes on, and a buffer. */
static void copy_segments(const struct iovec *segments, guint count, guint64 skip, guint8 *buffer,
                          guint64 length, gboolean to_buffer)
{
    for (guint i = 0; i < count && length > 0; i++) {
        if (skip >= segments[i].iov_len) {
            skip -= segments[i].iov_len;
            continue;
        }
        gsize part = MIN(segments[i].iov_len - skip, length);
        guint8 *at = (guint8 *)segments[i].iov_base + skip;
        if (to_buffer)
            memcpy(buffer, at, part);
        else
            memcpy(at, buffer, part);
        buffer += part;
        length -= part;
        skip = 0;
    }
}

static int read_bounced(File *self, guint64 offset, const struct iovec *segments, guint count)
{
    guint64 length = total(segments, count);
    guint8 *buffer = bounce_new(MIN(length, BOUNCE) + 2 * MAX_ALIGNMENT);
    int result = buffer != NULL ? 0 : -ENOMEM;
    for (guint64 done = 0; done < length && result == 0;) {
        guint64 part = MIN(length - done, BOUNCE);
        guint64 start = (offset + done) & ~(guint64)(self->alignment - 1);
        guint64 end = (offset + done + part + self->alignment - 1) & ~(guint64)(self->alignment - 1);
        struct iovec segment = {buffer, end - start};
        result = read_whole(self, start, &segment, 1);
        if (result == 0)
            copy_segments(segments, count, done, buffer + (offset + done - start), part, FALSE);
        done += part;
    }
    free(buffer);
    return result;
}

/* With the range held exclusively. */
static int write_part(File *self, guint64 offset, guint64 length, guint8 *buffer, guint64 start, guint64 end,
                      const struct iovec *segments, guint count, guint64 done, int flags)
{
    int result = 0;
    struct iovec head = {buffer, self->alignment},
                 tail = {buffer + (end - start) - self->alignment, self->alignment};
    if (start < offset)
        result = read_whole(self, start, &head, 1);
    if (result == 0 && offset + length < end && (end - start > self->alignment || start == offset))
        result = read_whole(self, end - self->alignment, &tail, 1);
    if (result < 0)
        return result;
    copy_segments(segments, count, done, buffer + (offset - start), length, TRUE);
    struct iovec all = {buffer, end - start};
    result = write_whole(self, start, &all, 1, flags);
    /* Whole blocks may be more than there is. */
    guint64 file_end = __atomic_load_n(&self->length, __ATOMIC_RELAXED);
    if (result == 0 && end > file_end && !self->is_device && ftruncate(self->fd, (off_t)file_end) < 0)
        result = -errno;
    return result;
}

static int write_bounced(File *self, guint64 offset, const struct iovec *segments, guint count, int flags)
{
    guint64 length = total(segments, count);
    guint8 *buffer = bounce_new(MIN(length, BOUNCE) + 2 * MAX_ALIGNMENT);
    int result = buffer != NULL ? 0 : -ENOMEM;
    for (guint64 done = 0; done < length && result == 0;) {
        guint64 part = MIN(length - done, BOUNCE);
        guint64 start = (offset + done) & ~(guint64)(self->alignment - 1);
        guint64 end = (offset + done + part + self->alignment - 1) & ~(guint64)(self->alignment - 1);
        RangeHold hold;
        range_lock_acquire(&self->writes, &hold, start, end - start, TRUE);
        result = write_part(self, offset + done, part, buffer, start, end, segments, count, done, flags);
        range_lock_release(&self->writes, &hold);
        done += part;
    }
    free(buffer);
    return result;
}

/* ---- the driver's blocking calls ---- */

static int file_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count)
{
    File *self = (File *)node;
    return is_aligned(self, offset, segments, count) ? read_whole(self, offset, segments, count)
                                                     : read_bounced(self, offset, segments, count);
}

static int file_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count,
                        guint flags)
{
    File *self = (File *)node;
    int write_flags = (flags & BLOCK_FUA) != 0 && !node->no_flush ? RWF_DSYNC : 0;
    if (!is_aligned(self, offset, segments, count))
        return write_bounced(self, offset, segments, count, write_flags);
    if (self->alignment == 1)
        return write_whole(self, offset, segments, count, write_flags);
    RangeHold hold;
    range_lock_acquire(&self->writes, &hold, offset, total(segments, count), FALSE);
    int result = write_whole(self, offset, segments, count, write_flags);
    range_lock_release(&self->writes, &hold);
    return result;
}

/* After a failure the kernel may forget what it could not write: no later flush must say that all is well. */
static int note_flush(File *self, int result)
{
    if (result < 0 && !self->node.direct)
        __atomic_store_n(&self->flush_error, result, __ATOMIC_RELAXED);
    return result;
}

static int file_flush(BlockNode *node)
{
    File *self = (File *)node;
    int lost = __atomic_load_n(&self->flush_error, __ATOMIC_RELAXED);
    if (lost < 0)
        return lost;
    int result;
    do
        result = fdatasync(self->fd);
    while (result < 0 && errno == EINTR);
    return note_flush(self, result < 0 ? -errno : 0);
}

static int allocate(File *self, int mode, guint64 offset, guint64 length)
{
    int result;
    do
        result = fallocate(self->fd, mode, (off_t)offset, (off_t)length);
    while (result < 0 && errno == EINTR);
    if (result == 0)
        return 0;
    /* Not known, or (a device) not of whole blocks. */
    return errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ENODEV ? -ENOTSUP : -errno;
}

static int discard_device(File *self, guint64 offset, guint64 length)
{
    int block_size = (int)BLOCK_SECTOR;
    if (ioctl(self->fd, BLKSSZGET, &block_size) < 0)
        return -errno;
    guint64 start = (offset + (guint)block_size - 1) / (guint)block_size * (guint)block_size;
    guint64 end = (offset + length) / (guint)block_size * (guint)block_size;
    guint64 range[2] = {start, end - start};
    if (end <= start)
        return 0;
    if (ioctl(self->fd, BLKDISCARD, range) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOTTY ? -ENOTSUP : -errno;
}

static int file_discard(BlockNode *node, guint64 offset, guint64 length)
{
    File *self = (File *)node;
    int result = self->is_device ? discard_device(self, offset, length)
                                 : allocate(self, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    __atomic_add_fetch(result == 0 ? &self->discards : &self->failed_discards, 1, __ATOMIC_RELAXED);
    if (result == 0)
        __atomic_add_fetch(&self->discarded, length, __ATOMIC_RELAXED);
    return result;
}

static int file_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags)
{
    File *self = (File *)node;
    int result = -ENOTSUP;
    if ((flags & BLOCK_MAY_UNMAP) != 0)
        result = allocate(self, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    if (result == -ENOTSUP)
        result = allocate(self, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
    if (result == 0 && (flags & BLOCK_FUA) != 0)
        result = block_flush(node);
    return result;
}

static guint64 file_length(BlockNode *node)
{
    return __atomic_load_n(&((File *)node)->length, __ATOMIC_RELAXED);
}

/* 0 or -errno. */
static int measure(File *self)
{
    struct stat status;
    guint64 length = 0;
    if (self->is_device ? ioctl(self->fd, BLKGETSIZE64, &length) < 0 : fstat(self->fd, &status) < 0)
        return -errno;
    if (!self->is_device)
        length = (guint64)status.st_size;
    length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    __atomic_store_n(&self->length, length, __ATOMIC_RELAXED);
    return 0;
}

static int file_resize(BlockNode *node, guint64 length)
{
    File *self = (File *)node;
    if (length > G_MAXINT64)
        return -EFBIG;
    if (!self->is_device && ftruncate(self->fd, (off_t)length) < 0)
        return -errno;
    int result = measure(self);
    /* A device has the size that it has; somebody else made it larger. */
    return result == 0 && file_length(node) < length ? -ENOTSUP : result;
}

/* ---- requests by io_uring ---- */

#define REQUEST_OF(work_) ((BlockRequest *)((guint8 *)(work_)-G_STRUCT_OFFSET(BlockRequest, work)))

static void ring_done(IoWork *work)
{
    BlockRequest *request = REQUEST_OF(work);
    File *self = work->data[0];
    RangeHold *hold = work->data[1];
    int result = work->result;
    if (hold != NULL)
        range_lock_release(&self->writes, hold);
    g_free(hold);
    if (request->op == BLOCK_FLUSH) {
        request->done(request, note_flush(self, MIN(result, 0)));
        return;
    }
    if (result >= 0 && (guint64)result == request->length)
        request->done(request, 0);
    else if (result >= 0 || result == -EINTR || result == -EAGAIN)
        block_submit_to_worker(&self->node, request); /* in part, or not now: once more, to the end */
    else
        request->done(request, result);
}

static gboolean submit_by_ring(File *self, BlockRequest *request)
{
    gboolean is_write = request->op == BLOCK_WRITE;
    int flags = is_write && (request->flags & BLOCK_FUA) != 0 && !self->node.no_flush ? RWF_DSYNC : 0;
    IoWork *work = &request->work;
    work->data[0] = self;
    work->data[1] = NULL;
    work->done = ring_done;
    if (request->op == BLOCK_FLUSH)
        return __atomic_load_n(&self->flush_error, __ATOMIC_RELAXED) == 0 &&
               io_context_submit(request->context, work, IO_FDATASYNC, self->fd, 0, NULL, 0, 0);
    if (!is_aligned(self, request->offset, request->segments, request->segment_count))
        return FALSE;
    RangeHold *hold = is_write && self->alignment > 1 ? g_new(RangeHold, 1) : NULL;
    if (hold != NULL && !range_lock_try(&self->writes, hold, request->offset, request->length, FALSE)) {
        g_free(hold);
        return FALSE;
    }
    work->data[1] = hold;
    if (io_context_submit(request->context, work, is_write ? IO_WRITEV : IO_READV, self->fd, request->offset,
                          request->segments, request->segment_count, flags))
        return TRUE;
    if (hold != NULL)
        range_lock_release(&self->writes, hold);
    g_free(hold);
    return FALSE;
}

static void file_submit(BlockNode *node, BlockRequest *request)
{
    File *self = (File *)node;
    gboolean fits = request->op == BLOCK_READ || request->op == BLOCK_WRITE || request->op == BLOCK_FLUSH;
    if (!fits || !self->by_ring || !submit_by_ring(self, request))
        block_submit_to_worker(node, request);
}

/* ---- opening ---- */

static gboolean open_error(File *self, int code, GError **error)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "cannot open '%s'%s: %s", self->filename,
                self->node.direct && code == EINVAL ? " with cache.direct=on" : "", g_strerror(code));
    return FALSE;
}

/* What kind of thing it is, before it is opened: opening a FIFO or a tape may do something. given: NULL, or
 * what is open already. */
static gboolean check_kind(File *self, const FdSetFile *given, GError **error)
{
    struct stat status;
    if ((given != NULL ? fstat(fd_set_file_fd(given), &status) : stat(self->filename, &status)) < 0)
        return open_error(self, errno, error);
    gboolean fits = self->is_device ? S_ISBLK(status.st_mode) : S_ISREG(status.st_mode);
    if (!fits)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' is not a %s%s", self->filename,
                    self->is_device ? "block device" : "regular file",
                    S_ISBLK(status.st_mode) ? " but a block device: driver=host_device is for these" : "");
    return fits;
}

/* What O_DIRECT asks of memory and offsets, found by trying: not every file system tells. */
static void find_alignment(File *self)
{
    int block_size = 0;
    self->alignment = self->memory_alignment = 1;
    if (!self->node.direct)
        return;
    self->alignment = self->memory_alignment = MAX_ALIGNMENT;
    guint8 *buffer = bounce_new(2 * MAX_ALIGNMENT);
    if (self->is_device && ioctl(self->fd, BLKSSZGET, &block_size) == 0 && block_size > 0)
        self->alignment = (guint)block_size;
    else if (buffer != NULL && pread(self->fd, buffer, BLOCK_SECTOR, 0) > 0)
        self->alignment = BLOCK_SECTOR;
    if (buffer != NULL && pread(self->fd, buffer + BLOCK_SECTOR, MAX_ALIGNMENT, 0) > 0)
        self->memory_alignment = BLOCK_SECTOR;
    free(buffer);
}

static void close_fd(File *self)
{
    if (self->given != NULL) {
        /* Its locks would stay with it. */
        if (self->lock != FILE_LOCK_NONE)
            file_lock_set(self->fd, self->lock, FILE_LOCK_NONE, NULL);
        fd_set_file_give_back(self->given);
    } else if (self->fd >= 0) {
        close(self->fd); /* its locks go with it */
    }
    self->given = NULL;
    self->fd = -1;
    self->lock = FILE_LOCK_NONE;
}

/* Of one that was given to us: the offsets that we say are to count, and caching is as it was asked for. */
static gboolean set_flags(const File *self, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    int wanted = (flags & ~(O_APPEND | O_DIRECT)) | (self->node.direct ? O_DIRECT : 0);
    return flags >= 0 && (flags == wanted || fcntl(fd, F_SETFL, wanted) == 0);
}

static gboolean use_given(File *self, gboolean writable, GError **error)
{
    FdSetFile *given = fd_store_use(block_set_fds(self->node.set), self->filename, writable, error);
    gboolean good = given != NULL && check_kind(self, given, error);
    if (good && !set_flags(self, fd_set_file_fd(given)))
        good = open_error(self, errno, error);
    if (!good) {
        if (given != NULL)
            fd_set_file_give_back(given);
        return FALSE;
    }
    close_fd(self);
    self->given = given;
    self->fd = fd_set_file_fd(given);
    self->opened_writable = fd_set_file_is_writable(given);
    return TRUE;
}

static gboolean open_path(File *self, gboolean writable, GError **error)
{
    if (!check_kind(self, NULL, error))
        return FALSE;
    int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | (self->node.direct ? O_DIRECT : 0);
    int fd;
    do
        fd = open(self->filename, flags);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return open_error(self, errno, error);
    close_fd(self);
    self->fd = fd;
    self->opened_writable = writable;
    return TRUE;
}

static gboolean open_fd(File *self, gboolean writable, GError **error)
{
    if (!(fd_store_is_set_name(self->filename) ? use_given : open_path)(self, writable, error))
        return FALSE;
    int result = measure(self);
    if (result < 0)
        return open_error(self, -result, error);
    find_alignment(self);
    return TRUE;
}

static gboolean lock_file(File *self, FileLockMode mode, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (self->locking == LOCKING_OFF || file_lock_set(self->fd, self->lock, mode, &problem)) {
        self->lock = mode;
        return TRUE;
    }
    if (self->locking == LOCKING_AUTO && g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED)) {
        g_info("'%s' %s", self->filename, problem->message);
        return TRUE;
    }
    g_set_error(error, G_IO_ERROR, problem->code, "'%s' is %s", self->filename, problem->message);
    return FALSE;
}

static gboolean file_set_access(BlockNode *node, gboolean read, gboolean write, GError **error)
{
    File *self = (File *)node;
    if (write && !self->opened_writable && !open_fd(self, TRUE, error))
        return FALSE;
    if (!lock_file(self, write ? FILE_LOCK_WRITE : (read ? FILE_LOCK_READ : FILE_LOCK_NONE), error))
        return FALSE;
    /* It may have grown before nobody else could. */
    int result = self->lock != FILE_LOCK_NONE ? measure(self) : 0;
    if (result < 0)
        return open_error(self, -result, error);
    if (node->auto_read_only)
        node->read_only = !write;
    return TRUE;
}

static gboolean parse_word(OptSet *options, const char *key, const char *const *words, guint *index,
                           GError **error)
{
    const char *text = optset_string(options, key);
    if (text == NULL)
        return TRUE;
    for (guint i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *index = i;
            return TRUE;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)words);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'%s' must be one of %s, not '%s'", key, all,
                text);
    return FALSE;
}

static void file_close(BlockNode *node)
{
    File *self = (File *)node;
    close_fd(self);
    range_lock_clear(&self->writes);
    g_free(self->filename);
}

static gboolean open_kind(BlockNode *node, gboolean is_device, OptSet *options, GError **error)
{
    static const char *const engines[] = {"threads", "io_uring", "native", NULL};
    static const char *const lockings[] = {
        [LOCKING_AUTO] = "auto", [LOCKING_ON] = "on", [LOCKING_OFF] = "off", NULL};
    File *self = (File *)node;
    guint engine = 1, locking = LOCKING_AUTO;
    const char *filename = optset_string(options, "filename");
    if (filename == NULL) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'filename' is missing");
        return FALSE;
    }
    if (!parse_word(options, "aio", engines, &engine, error) ||
        !parse_word(options, "locking", lockings, &locking, error))
        return FALSE;
    self->filename = g_strdup(filename);
    self->fd = -1;
    self->is_device = is_device;
    self->by_ring = engine > 0;
    self->locking = (Locking)locking;
    range_lock_init(&self->writes);
    if (open_fd(self, !node->read_only && !node->auto_read_only, error)) {
        if (node->auto_read_only)
            node->read_only = TRUE;
        return TRUE;
    }
    file_close(node);
    return FALSE;
}

static gboolean file_open(BlockNode *node, BlockSet *set, OptSet *options, GError **error)
{
    return open_kind(node, FALSE, options, error);
}

static gboolean device_open(BlockNode *node, BlockSet *set, OptSet *options, GError **error)
{
    return open_kind(node, TRUE, options, error);
}

/* ---- for the monitor ---- */

static const char *file_filename(BlockNode *node)
{
    return ((File *)node)->filename;
}

static guint64 file_allocated(BlockNode *node)
{
    struct stat status;
    return fstat(((File *)node)->fd, &status) == 0 ? (guint64)status.st_blocks * 512 : 0;
}

static void file_statistics(BlockNode *node, JsonObject *specific)
{
    File *self = (File *)node;
    json_object_set_int_member(specific, "discard-nb-ok",
                               (gint64)__atomic_load_n(&self->discards, __ATOMIC_RELAXED));
    json_object_set_int_member(specific, "discard-nb-failed",
                               (gint64)__atomic_load_n(&self->failed_discards, __ATOMIC_RELAXED));
    json_object_set_int_member(specific, "discard-bytes-ok",
                               (gint64)__atomic_load_n(&self->discarded, __ATOMIC_RELAXED));
}

#define COMMON                                                                                               \
    .size = sizeof(File), .close = file_close, .length = file_length, .preadv = file_preadv,                 \
    .pwritev = file_pwritev, .flush = file_flush, .discard = file_discard,                                   \
    .write_zeroes = file_write_zeroes, .resize = file_resize, .submit = file_submit,                         \
    .set_access = file_set_access, .filename = file_filename, .allocated = file_allocated,                   \
    .statistics = file_statistics

const BlockDriver block_driver_file = {.name = "file", .open = file_open, COMMON};
const BlockDriver block_driver_host_device = {.name = "host_device", .open = device_open, COMMON};
