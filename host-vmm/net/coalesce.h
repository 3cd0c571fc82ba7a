// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * coalesce: makes one big GSO packet out of the TCP segments that follow each other in a stream, for a guest
 * that takes such packets: it then has one to handle instead of forty.
 *
 * For frames that are ours to change, and whose checksums are known to be right, or are checked here: the
 * guest cannot check them any more.
 */
#pragma once

#include "host-vmm/net/vnet-header.h"

typedef struct Coalesce {
    gboolean is_trusted; /* set before the beginning: nobody checks */
    guint8 *first;       /* the first segment's frame */
    PacketHeaders parsed;
    guint32 next_sequence;
    guint segment; /* bytes of payload in each but the last */
    gsize length;  /* of the frame that it all makes */
    gboolean is_complete;
    guint8 push; /* the last one's PSH */
} Coalesce;

/* Begins with a frame; FALSE: it is not one that others could be added to. features: the driver's
 * (GUEST_TSO4, 6). */
gboolean coalesce_begin(Coalesce *self, guint64 features, guint8 *frame, gsize length);
/* Whether this frame is the next of the stream and fits. Its payload, which begins at *payload, belongs
 * behind what there is already. */
gboolean coalesce_add(Coalesce *self, const guint8 *frame, gsize length, gsize *payload);
/* After at least one was added: makes the first frame's headers those of the whole, and fills in the vnet
 * header. */
void coalesce_finish(Coalesce *self, VnetHeader *header);
