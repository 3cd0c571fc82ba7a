// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-image: for the tests of the qcow2 driver: files in memory that remember what was written to them, and
 * images made, changed and checked without the driver.
 */
#pragma once

#include "host-vmm/block/qcow2.h"

/* ---- a file in memory ---- */

typedef enum { FILE_WRITE, FILE_FLUSH, FILE_RESIZE } FileKind;

typedef struct FileRecord {
    FileKind kind;
    guint64 offset; /* RESIZE: the new length */
    GBytes *bytes;  /* WRITE */
} FileRecord;

typedef struct MemoryFile {
    BlockNode node;
    GMutex lock; /* guards the rest */
    GByteArray *bytes;
    guint64 limit;    /* the file does not grow beyond: -ENOSPC */
    gint64 fail_at;   /* the write, counted from 0, and all behind it that fail; -1: none */
    int fail_code;    /* with this -errno */
    guint fail_count; /* that many of them */
    guint pause_us;   /* that each call takes */
    GArray *log;      /* of FileRecord; NULL: not kept */
    guint64 gate;     /* a read or write from this offset on */
    gboolean closed;  /* waits while this is so */
    guint waiting;
    GCond changed;
    guint64 reads, writes, flushes, discards;
} MemoryFile;

/* Of these bytes, which it owns. */
MemoryFile *memory_file_new(GByteArray *bytes);
void memory_file_free(MemoryFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryFile, memory_file_free)
void memory_file_keep_log(MemoryFile *file);
/* The first read or write that begins there waits until the gate is opened. */
void memory_file_close_gate(MemoryFile *file, guint64 offset);
/* Until one does. */
void memory_file_wait_gate(MemoryFile *file);
void memory_file_open_gate(MemoryFile *file);

/* ---- the driver on it ---- */

/* A qcow2 node without a set; NULL and error if it cannot be opened. backing: not owned. */
BlockNode *image_open(MemoryFile *file, gboolean read_only, BlockNode *backing, const Qcow2Options *options,
                      GError **error);
void image_close(BlockNode *node);

/* ---- images ---- */

typedef struct ImageOptions {
    guint version, cluster_bits, refcount_order;
    guint64 size;
    guint blocks; /* refcount blocks from the start; 0: one */
    const char *backing, *backing_format;
} ImageOptions;

/* An empty one, as qemu-img makes it. */
GByteArray *image_new(const ImageOptions *options);
guint64 image_refcount(const GByteArray *image, guint64 cluster);
void image_set_refcount(GByteArray *image, guint64 cluster, guint64 value);
/* The entry of the active L2 table, and where it is; 0: there is no table. */
guint64 image_entry(const GByteArray *image, guint64 guest_offset);
guint64 image_entry_offset(const GByteArray *image, guint64 guest_offset);
/* Clusters behind the end that are in use then. The first one. */
guint64 image_append(GByteArray *image, guint64 clusters);
/* An internal snapshot of the active state; one for each image. */
void image_snapshot(GByteArray *image);
/* Clusters that have data of their own become compressed ones, one right behind the other. */
void image_compress(GByteArray *image, guint64 guest_offset, guint64 clusters);

/* NULL if every refcount is at least the number of references and all flags are right; else what is not,
 * owned. leaks (may be NULL): clusters with a higher one. */
char *image_check(const GByteArray *image, guint64 *leaks);
