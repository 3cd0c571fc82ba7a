// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io-ring: the kernel's io_uring(7) for one io-context, where it was compiled in and the kernel lets us have
 * it.
 *
 * Made and used on one thread.
 */
#pragma once

#include "host-vmm/block/io-context.h"

typedef struct IoRing IoRing;

/* NULL and error: none here. */
IoRing *io_ring_new(GError **error);
void io_ring_free(IoRing *ring); /* nothing is in flight */
/* Readable when something has completed. */
int io_ring_fd(const IoRing *ring);
/* Prepares a request; FALSE: too many are in flight. */
gboolean io_ring_push(IoRing *ring, IoWork *work, IoKind kind, int fd, guint64 offset,
                      const struct iovec *segments, guint count, int flags);
/* Hands what was prepared to the kernel. FALSE: it cannot take it now. */
gboolean io_ring_submit(IoRing *ring);
gboolean io_ring_has_completed(IoRing *ring);
/* Calls done() of all that has completed. */
void io_ring_reap(IoRing *ring);
