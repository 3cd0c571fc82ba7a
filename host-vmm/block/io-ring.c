// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "host-vmm/block/io-ring.h"

#ifdef HAVE_LIBURING

#include <errno.h>
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 512u /* requests between two submissions; the kernel gives twice as many completions */

struct IoRing {
    struct io_uring uring;
    guint in_flight, limit;
};

/* Debian 12's liburing does not export its functions for these. 0, or -errno. */
static int ring_register(IoRing *ring, guint what, void *data, guint count)
{
    long result = syscall(SYS_io_uring_register, ring->uring.ring_fd, what, data, count);
    return result < 0 ? -errno : 0;
}

IoRing *io_ring_new(GError **error)
{
    /* One thread uses it, which makes system calls often enough not to be interrupted for completions;
     * kernels before 6.0 and 5.19 do not know these. */
    static const guint flags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
                                  IORING_SETUP_COOP_TASKRUN, 0};
    /* A ring can do what its thread's filter forbids (open files, sockets): this one does nothing but I/O. */
    struct io_uring_restriction only[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
    };
    IoRing *ring = g_new0(IoRing, 1);
    int result = -EINVAL;
    for (guint i = 0; i < G_N_ELEMENTS(flags) && result == -EINVAL; i++) {
        struct io_uring_params params = {.flags = flags[i] | IORING_SETUP_R_DISABLED};
        result = io_uring_queue_init_params(ENTRIES, &ring->uring, &params);
        ring->limit = params.cq_entries;
    }
    if (result >= 0) {
        result = ring_register(ring, IORING_REGISTER_RESTRICTIONS, only, G_N_ELEMENTS(only));
        result = result < 0 ? result : ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
        if (result < 0)
            io_uring_queue_exit(&ring->uring);
    }
    if (result < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(-result), "io_uring: %s", g_strerror(-result));
        g_free(ring);
        return NULL;
    }
    return ring;
}

void io_ring_free(IoRing *ring)
{
    if (ring == NULL)
        return;
    io_uring_queue_exit(&ring->uring);
    g_free(ring);
}

int io_ring_fd(const IoRing *ring)
{
    return ring->uring.ring_fd;
}

gboolean io_ring_push(IoRing *ring, IoWork *work, IoKind kind, int fd, guint64 offset,
                      const struct iovec *segments, guint count, int flags)
{
    if (ring->in_flight == ring->limit)
        return FALSE;
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);
    if (entry == NULL) {
        io_ring_submit(ring);
        entry = io_uring_get_sqe(&ring->uring);
    }
    if (entry == NULL)
        return FALSE;
    switch (kind) {
    case IO_READV:
        if (count == 1)
            io_uring_prep_read(entry, fd, segments->iov_base, (guint)segments->iov_len, offset);
        else
            io_uring_prep_readv2(entry, fd, segments, count, offset, flags);
        break;
    case IO_WRITEV:
        io_uring_prep_writev2(entry, fd, segments, count, offset, flags);
        break;
    case IO_FDATASYNC:
        io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
        break;
    }
    io_uring_sqe_set_data(entry, work);
    ring->in_flight++;
    return TRUE;
}

gboolean io_ring_submit(IoRing *ring)
{
    while (io_uring_sq_ready(&ring->uring) > 0) {
        int result = io_uring_submit(&ring->uring);
        if (result < 0 && result != -EINTR)
            return FALSE;
    }
    return TRUE;
}

gboolean io_ring_has_completed(IoRing *ring)
{
    return io_uring_cq_ready(&ring->uring) > 0;
}

void io_ring_reap(IoRing *ring)
{
    struct io_uring_cqe *entry;
    while (io_uring_peek_cqe(&ring->uring, &entry) == 0) {
        IoWork *work = io_uring_cqe_get_data(entry);
        work->result = entry->res;
        io_uring_cqe_seen(&ring->uring, entry);
        ring->in_flight--;
        work->done(work);
    }
}

#else

IoRing *io_ring_new(GError **error)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "built without io_uring");
    return NULL;
}

void io_ring_free(IoRing *ring)
{
}

int io_ring_fd(const IoRing *ring)
{
    return -1;
}

gboolean io_ring_push(IoRing *ring, IoWork *work, IoKind kind, int fd, guint64 offset,
                      const struct iovec *segments, guint count, int flags)
{
    return FALSE;
}

gboolean io_ring_submit(IoRing *ring)
{
    return TRUE;
}

gboolean io_ring_has_completed(IoRing *ring)
{
    return FALSE;
}

void io_ring_reap(IoRing *ring)
{
}

#endif
