// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qcow2-private: the parts of the qcow2 driver among themselves.
 *
 * Order on disk. Whatever moment the monitor or the host dies at, no reference is on disk before what it
 * refers to, and no refcount is lower than the number of references:
 *
 *     new data, new tables, refcounts of both  ->  L2 and L1 tables  ->  refcounts of what was freed
 *
 * with a flush of the file at each arrow that something has to cross. Tables are held back in memory and go
 * out together (qcow2_write_metadata()): when the guest flushes, when a cache has no room, when much was
 * freed. What is lost on the way there is a leak at worst. (A new L2 table begins as zeroes or as the copy of
 * a shared one, so that it does not matter whether it or the L1 table is written first.)
 *
 * Freed clusters first wait for the tables that do not refer to them any more to be on disk (`freed`), then
 * for all data I/O that may have looked them up before (`limbo`; see qcow2-free.c), and only then are they
 * free.
 *
 * Threads. `lock` is held by whoever changes metadata, across metadata I/O, never across I/O of data.
 * `map_lock` is held for moments only and is enough to look clusters up, so that what is mapped and cached is
 * read and written without waiting for anybody. Clusters are allocated before their data is written and
 * linked after; in between the guest clusters are kept from others by a Qcow2Claim.
 */
#pragma once

#include "host-vmm/block/qcow2.h"
#include "host-vmm/block/qcow2-cache.h"
#include "host-vmm/block/qcow2-format.h"
#include "host-vmm/block/qcow2-unpack.h"

/* What a run of guest clusters holds. */
typedef enum {
    QCOW2_ABSENT, /* the backing image's data, or zeroes */
    QCOW2_ZEROES,
    QCOW2_DATA,
    QCOW2_PACKED, /* compressed; always one cluster */
    QCOW2_BAD,    /* no image has such an entry */
} Qcow2Kind;

typedef struct Qcow2Extent {
    Qcow2Kind kind;
    gboolean in_place; /* DATA: nobody else refers to it */
    guint64 host;      /* DATA: where in the file */
    guint64 length;    /* bytes */
    guint64 entry;     /* the first one, as on disk */
} Qcow2Extent;

/* Host clusters. */
typedef struct Qcow2Range {
    guint64 first, count;
    guint64 epoch;    /* in limbo: when it came there */
    gboolean discard; /* the guest does not want the data any more: holes may be made */
} Qcow2Range;

/* Guest clusters that somebody is about to give other host clusters. */
typedef struct Qcow2Claim {
    guint64 first, end;
    struct Qcow2Claim *next;
} Qcow2Claim;

struct Qcow2 {
    BlockNode node;

    /* Constant once it is open. */
    guint version, cluster_bits, l2_bits, refcount_order, compression;
    guint64 cluster_size;
    gboolean pass_discard;
    guint8 *zeroes;                         /* a cluster of them */
    guint64 incompatible, header_autoclear; /* the header's features when it was opened */
    guint32 snapshot_count;
    char *backing_name, *backing_format; /* of the header; NULL: none */

    guint64 size;         /* atomic: the guest's disk */
    gint prepared;        /* atomic: the header says that the image is written to */
    gint broken;          /* atomic: found corrupt while writing; is not written to any more */
    gint complaints;      /* atomic: how often the log was told of bad places */
    gint needs_commit;    /* atomic: there is metadata that the file does not have */
    gint in_flight[2];    /* atomic: data I/O begun in even and in odd epochs */
    Qcow2Unpacker unpack; /* locks itself */

    GMutex lock;
    GCond unclaimed; /* with lock: a claim is over */
    Qcow2Claim *claims;
    TableCache refcounts; /* refcount blocks */
    guint64 *reftable;    /* host byte order */
    guint64 reftable_offset;
    guint reftable_entries;
    guint reftable_dirty_from, reftable_dirty_to; /* entries */
    guint l1_dirty_from, l1_dirty_to;             /* entries */
    gboolean unflushed; /* dirty tables refer to what was written since the last flush */
    guint64 scan;       /* clusters below are not free, but for those in `reusable` */
    guint64 fresh_from; /* host clusters from here on were never written: they read as zeroes */
    guint64 used_end;   /* host clusters from here on are not used */
    guint64 file_end;   /* bytes */
    GArray *reusable;   /* of Qcow2Range: free ones below `scan`; as many as we care to remember */
    GArray *freed;      /* of Qcow2Range */
    GQueue limbo;       /* of Qcow2Range, oldest first */

    GMutex map_lock; /* taken after lock; changes need both */
    TableCache l2;   /* L2 tables */
    guint64 *l1;     /* host byte order */
    guint64 l1_offset;
    guint l1_size;
    guint64 epoch;
    GArray *regions;    /* of Qcow2Region, by offset: metadata that is not one cluster of a table */
    GHashTable *tables; /* clusters of L2 tables and refcount blocks, as pointers */
};

static inline guint64 qcow2_clusters(const Qcow2 *self, guint64 bytes)
{
    return (bytes >> self->cluster_bits) + ((bytes & (self->cluster_size - 1)) != 0);
}

static inline guint64 qcow2_in_cluster(const Qcow2 *self, guint64 offset)
{
    return offset & (self->cluster_size - 1);
}

static inline guint64 qcow2_size(const Qcow2 *self)
{
    return __atomic_load_n(&self->size, __ATOMIC_RELAXED);
}

/* ---- qcow2-header.c ---- */

/* Reads and checks the header, the L1 table and, for a writer, the refcount table, and what is metadata:
 * fails if two parts of it are at the same place. */
gboolean qcow2_read_header(Qcow2 *self, GError **error);
/* Before the first write: clears the features that we would make untrue. With lock. */
int qcow2_prepare(Qcow2 *self);
/* Bytes of the header, and flushes. */
int qcow2_write_header(Qcow2 *self, guint64 at, const void *bytes, gsize length);
/* Says so, marks the image, and has all further writes fail. -EIO. Any thread. */
int qcow2_corrupt(Qcow2 *self, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* After a write of the header that may or may not be on disk, so that nobody knows what the image is: has all
 * further writes fail. Returns `result`. */
int qcow2_give_up(Qcow2 *self, int result);
/* Says so, if that was not often the case already. -EIO. Any thread. */
int qcow2_bad(Qcow2 *self, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* ---- qcow2-guard.c: what must not be written to ---- */

void qcow2_guard_init(Qcow2 *self);
void qcow2_guard_clear(Qcow2 *self);
/* `what` for messages, static. FALSE: it overlaps other metadata. */
gboolean qcow2_guard_region(Qcow2 *self, guint64 offset, guint64 length, const char *what);
void qcow2_unguard_region(Qcow2 *self, guint64 offset);
gboolean qcow2_guard_table(Qcow2 *self, guint64 offset);
void qcow2_unguard_table(Qcow2 *self, guint64 offset);
/* What is there, or NULL. With map_lock, or with lock. */
const char *qcow2_metadata_at(Qcow2 *self, guint64 offset, guint64 length);

/* ---- qcow2-refcount.c: all with lock ---- */

/* Bytes of the refcount block unit; sets up `refcounts`. */
void qcow2_refcount_init(Qcow2 *self, guint64 cache_bytes);
/* Clusters with a refcount of one now: up to `wanted` that follow each other. `fresh`: they read as zeroes.
 * The file is long enough for them. -ENOSPC, -EFBIG, -EIO. */
int qcow2_alloc(Qcow2 *self, guint64 wanted, guint64 *first, guint64 *count, gboolean *fresh);
/* Exactly as many. */
int qcow2_alloc_contiguous(Qcow2 *self, guint64 count, guint64 *first);
/* One reference less for each, at once: nothing on disk refers to them. What has none left is free again. */
int qcow2_release(Qcow2 *self, guint64 first, guint64 count);
/* Likewise; after an error what is left of the range is still to be done. */
int qcow2_release_range(Qcow2 *self, Qcow2Range *range);
int qcow2_write_reftable(Qcow2 *self);
int qcow2_refcount(Qcow2 *self, guint64 cluster, guint64 *value);

/* ---- qcow2-free.c ---- */

/* With map_lock: from now on, until qcow2_leave(), what is mapped now keeps its contents. */
static inline guint qcow2_enter(Qcow2 *self)
{
    guint epoch = self->epoch & 1;
    g_atomic_int_inc(&self->in_flight[epoch]);
    return epoch;
}

static inline void qcow2_leave(Qcow2 *self, guint epoch)
{
    g_atomic_int_add(&self->in_flight[epoch], -1);
}

/* With lock: tables in memory do not refer to them any more. */
void qcow2_free_later(Qcow2 *self, guint64 first, guint64 count, gboolean discard);
/* Likewise, what an entry of an L2 table referred to. */
int qcow2_free_entry(Qcow2 *self, guint64 entry, gboolean discard);
/* With lock: all metadata to the file, in order; what was freed is not free by that. */
int qcow2_write_metadata(Qcow2 *self);
/* With lock: likewise, and then it is, but for what data I/O still uses. */
int qcow2_commit(Qcow2 *self);
/* With lock: qcow2_commit() if so much was freed that it is time. */
int qcow2_tidy(Qcow2 *self);
/* With lock, after -ENOSPC: whether it may go better now. */
gboolean qcow2_make_space(Qcow2 *self);
/* Without locks: all that was written before is on disk. */
int qcow2_flush(Qcow2 *self);

/* ---- qcow2-map.c ---- */

void qcow2_map_init(Qcow2 *self, guint64 cache_bytes);
int qcow2_write_l1(Qcow2 *self);
/* What an entry says; .length is not set. */
Qcow2Extent qcow2_decode(const Qcow2 *self, guint64 entry);
/* The compressed data of an entry. */
void qcow2_packed_range(const Qcow2 *self, guint64 entry, guint64 *offset, guint64 *length);
/* What is at `offset`, and how much of `length` (> 0) is of the same kind and, as data, contiguous. FALSE:
 * the table is not in memory. With map_lock, or with lock. */
gboolean qcow2_lookup(Qcow2 *self, guint64 offset, guint64 length, Qcow2Extent *extent);
/* Likewise, reading the table if need be; also enters, even if it fails. Without locks. */
int qcow2_map(Qcow2 *self, guint64 offset, guint64 length, Qcow2Extent *extent, guint *epoch);
/* With lock: has the table in memory. */
int qcow2_load(Qcow2 *self, guint64 offset);
/* The cached piece of the L2 table of a guest offset, made if there is none, copied if it is shared, and the
 * entry's index in it. Valid until the next call for another one. With lock. */
int qcow2_table_for_write(Qcow2 *self, guint64 offset, CachedTable **table, guint *index);
static inline guint64 qcow2_entry(const CachedTable *table, guint index)
{
    return qcow2_get64(table->data + index * sizeof(guint64));
}
static inline guint qcow2_entries_in_piece(const Qcow2 *self)
{
    return (guint)(self->l2.unit / sizeof(guint64));
}
void qcow2_set_entry(Qcow2 *self, CachedTable *table, guint index, guint64 entry);
/* With lock: waits while another one's claim overlaps; TRUE: it has waited, and tables may have changed. */
gboolean qcow2_wait_unclaimed(Qcow2 *self, guint64 first, guint64 count);
void qcow2_claim(Qcow2 *self, Qcow2Claim *claim, guint64 first, guint64 count);
void qcow2_unclaim(Qcow2 *self, Qcow2Claim *claim);

/* ---- qcow2-io.c, qcow2-zero.c, qcow2-resize.c, qcow2-submit.c: the driver's calls ---- */

int qcow2_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count);
int qcow2_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags);
/* Also behind the end of the disk, where there is an L1 table. */
int qcow2_write(Qcow2 *self, guint64 offset, guint64 length, const struct iovec *segments, guint count);
/* -EIO once it was found to be broken. */
int qcow2_check_writable(Qcow2 *self);

typedef enum {
    QCOW2_DISCARD,    /* may read as zeroes afterwards */
    QCOW2_ZERO_UNMAP, /* reads as zeroes, and gives its clusters back */
    QCOW2_ZERO_KEEP,  /* reads as zeroes, and keeps them */
    QCOW2_FORGET,     /* has no entry, whatever is read then */
} Qcow2Change;
/* Whole guest clusters. -ENOTSUP: this version of the format cannot. */
int qcow2_change(Qcow2 *self, guint64 first, guint64 count, Qcow2Change change);
/* Part of one cluster. */
int qcow2_zero_part(Qcow2 *self, guint64 offset, guint64 length);
int qcow2_discard(BlockNode *node, guint64 offset, guint64 length);
int qcow2_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags);

int qcow2_resize(BlockNode *node, guint64 length);
void qcow2_submit(BlockNode *node, BlockRequest *request);
