// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-unpack: compressed clusters. Reads of less than a cluster come one after the other, so the last few
 * clusters are kept. Thread-safe.
 */
#pragma once

#include <gio/gio.h>

typedef struct Qcow2Unpacked {
    guint64 entry; /* of the L2 table; 0: nothing */
    guint8 *data;
    guint64 used; /* when */
} Qcow2Unpacked;

typedef struct Qcow2Unpacker {
    guint type; /* QCOW2_COMPRESSION_… */
    gsize cluster_size;
    GMutex lock;
    Qcow2Unpacked kept[8];
    guint kept_most;
    guint64 clock;
} Qcow2Unpacker;

/* Whether this build knows the type. */
gboolean qcow2_can_unpack(guint type);
void qcow2_unpacker_init(Qcow2Unpacker *unpacker, guint type, gsize cluster_size);
void qcow2_unpacker_clear(Qcow2Unpacker *unpacker);
/* Bytes of a cluster that is kept; FALSE: it is not. */
gboolean qcow2_unpacker_find(Qcow2Unpacker *unpacker, guint64 entry, gsize from, gsize length, guint8 *to);
/* A whole cluster out of `length` bytes, which may have others behind; -EIO if they are not one. */
int qcow2_unpack(Qcow2Unpacker *unpacker, const guint8 *packed, gsize length, guint8 *cluster);
/* Keeps it, and owns it; g_malloc'ed. */
void qcow2_unpacker_keep(Qcow2Unpacker *unpacker, guint64 entry, guint8 *cluster);
/* What is at those places of the file may be something else from now on. */
void qcow2_unpacker_forget(Qcow2Unpacker *unpacker);
