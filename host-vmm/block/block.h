// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block: disk images as a graph of nodes: a format (raw, qcow2) on a protocol (file, host_device), a qcow2 on
 * its backing node, a throttle filter in between.
 *
 * Two ways in. Blocking calls (block_pread() and so on) are thread-safe and are what formats use on their
 * children. block_submit() is for devices: it never blocks, is called on the thread of the request's
 * IoContext and calls back there. A driver without an own `submit` has its blocking calls run on the
 * context's worker threads; file goes by io_uring where the kernel has it.
 *
 * Set-up (adding, attaching, removing, resizing) is for the main thread. Offsets and lengths are bytes.
 * Errors are negative errno values in the data path, GError in set-up.
 */
#pragma once

#include <gio/gio.h>
#include <sys/uio.h>

#include "host-vmm/block/io-context.h"
#include "host-vmm/fd-store.h"
#include "host-vmm/object.h"
#include "host-vmm/optset.h"

typedef struct BlockNode BlockNode;
typedef struct BlockSet BlockSet; /* all of a machine's nodes, by node-name */
typedef struct BlockDriver BlockDriver;
typedef struct BlockRequest BlockRequest;

typedef enum { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES } BlockOp;

#define BLOCK_MAY_UNMAP (1u << 0) /* write-zeroes may leave holes */
#define BLOCK_FUA       (1u << 1) /* on disk before it is done */

#define BLOCK_SECTOR 512u /* a node's length is a multiple of it: a shorter last one reads as zeroes */

typedef void (*BlockDoneFunc)(BlockRequest *request, int result); /* 0 or -errno */

/* The caller's; stays as it is until done() is called. */
struct BlockRequest {
    BlockOp op;
    guint flags;
    guint64 offset, length; /* READ, WRITE: the sum of the segments */
    const struct iovec *segments;
    guint segment_count;
    IoContext *context; /* the calling thread's, where done() is called, never from within block_submit() */
    BlockDoneFunc done;
    IoWork work; /* for whoever has the request at the moment */
};

struct BlockDriver {
    const char *name; /* "qcow2" */
    gsize size;       /* of its struct, which begins with a BlockNode */
    /* Asks for all its own properties (the caller has taken those of every node, and does optset_finish());
     * opens its children with block_child(). Of a failed one close() is not called. */
    gboolean (*open)(BlockNode *node, BlockSet *set, OptSet *options, GError **error);
    /* Gives back what open() made, but for the node and its children; writes out what it holds back. */
    void (*close)(BlockNode *node);
    guint64 (*length)(BlockNode *node);
    /* Blocking, thread-safe. The range lies within length(), writes come to writable nodes only. */
    int (*preadv)(BlockNode *node, guint64 offset, const struct iovec *segments, guint count);
    int (*pwritev)(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags);
    int (*flush)(BlockNode *node);                                   /* NULL: nothing to do */
    int (*discard)(BlockNode *node, guint64 offset, guint64 length); /* NULL: nothing to do */
    int (*write_zeroes)(BlockNode *node, guint64 offset, guint64 length,
                        guint flags);               /* NULL: zeroes written */
    int (*resize)(BlockNode *node, guint64 length); /* NULL: cannot */
    /* NULL: the blocking calls on a worker thread. The range is checked. */
    void (*submit)(BlockNode *node, BlockRequest *request);
    /* Filters: lets go at once of what it holds back in submit(). On the thread of `context`. */
    void (*drain)(BlockNode *node, IoContext *context);
    /* Protocols: who uses it has changed: take locks, become writable. NULL: nothing to do. */
    gboolean (*set_access)(BlockNode *node, gboolean read, gboolean write, GError **error);
    /* Protocols: the file's name, borrowed. */
    const char *(*filename)(BlockNode *node);
    /* Bytes that it takes on the host; protocols. */
    guint64 (*allocated)(BlockNode *node);
    /* Members of query-blockstats' driver-specific part; may be NULL. */
    void (*statistics)(BlockNode *node, JsonObject *specific);
};

/* A node's struct begins with this. The first part is filled in before driver->open(). */
struct BlockNode {
    const BlockDriver *driver;
    BlockSet *set;
    char *name;              /* node-name; "#block12" if none was given */
    gboolean read_only;      /* writes are refused */
    gboolean auto_read_only; /* becomes writable for its first writer */
    gboolean direct;         /* cache.direct */
    gboolean no_flush;       /* cache.no-flush */
    gboolean unmap;          /* discard=unmap: discards are done, else ignored */

    BlockNode *file; /* the child that it is stored in, or NULL: set by block_child() */
    gboolean writes_file;
    BlockNode *backing; /* what it is laid over, or NULL: set by block_child() */

    /* Main thread. */
    guint depth;     /* how many parents opened it in line */
    gint references; /* attached users, and one of the set for those that were added by name */
    gboolean named;  /* by the user, by -blockdev or blockdev-add, until blockdev-del */
    guint readers, writers;
    char *user; /* the last one attached: for errors */

    guint64 highest_write; /* atomic: the end of the furthest write */
};

/* objects: where throttle groups are found; NULL: nowhere. */
BlockSet *block_set_new(ObjectSet *objects);
void block_set_free(BlockSet *set); /* after all users */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockSet, block_set_free)
ObjectSet *block_set_objects(BlockSet *set);
/* Where "/dev/fdset/N" is found; without it, nowhere. Must outlive the set. */
void block_set_set_fds(BlockSet *set, FdStore *fds);
FdStore *block_set_fds(BlockSet *set);
/* -blockdev / blockdev-add: "driver" and "node-name" are needed; children by node-name or in line
 * ("file.driver=…"). */
BlockNode *block_set_add(BlockSet *set, OptSet *options, GError **error);
/* The same without a name: of -drive. */
BlockNode *block_set_add_unnamed(BlockSet *set, OptSet *options, GError **error);
BlockNode *block_set_find(BlockSet *set, const char *name);
/* blockdev-del: an error while it is in use. */
gboolean block_set_remove(BlockSet *set, const char *name, GError **error);
/* All nodes, those without a name of the user's too, newest first. */
void block_set_foreach(BlockSet *set, void (*func)(BlockNode *node, gpointer user_data), gpointer user_data);

/* For a driver's open(): the child named by `key` ("file", "backing"), or made of the properties "key.…",
 * which take over what is not said from the parent (cache, discard, read-only). Becomes node->file, or
 * node->backing (read-only) if that is the key. NULL and error; NULL without one if neither is there.
 * Borrowed. */
BlockNode *block_child(BlockNode *parent, OptSet *options, const char *key, GError **error);
/* A backing file named in an image: opened read-only by its own format (probed among raw and qcow2 only if
 * format is NULL) and made parent->backing. A relative path is relative to the parent's file. Borrowed. */
BlockNode *block_open_backing(BlockNode *parent, const char *path, const char *format, GError **error);

/* "host_device" for a block device, else "file". */
const char *block_protocol_for(BlockSet *set, const char *path);
/* "qcow2" if the file begins like one, else "raw"; NULL and error if it cannot be read. */
const char *block_probe_format(BlockSet *set, const char *path, GError **error);

/* A user that is not a node: a device. Refused if the node cannot be written, or if it is in use and not all
 * only read. */
gboolean block_attach(BlockNode *node, const char *user, gboolean write, GError **error);
void block_detach(BlockNode *node, gboolean write);

guint64 block_length(BlockNode *node);
/* The name of the file at the bottom, or "". Borrowed. */
const char *block_filename(BlockNode *node);
/* -EIO outside the length, -EROFS on a read-only node. Blocking, any thread. */
int block_pread(BlockNode *node, guint64 offset, void *to, gsize length);
int block_pwrite(BlockNode *node, guint64 offset, const void *from, gsize length);
int block_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count);
int block_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags);
int block_flush(BlockNode *node);
int block_discard(BlockNode *node, guint64 offset, guint64 length);
int block_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags);
/* With nothing in flight beyond the shorter of the two lengths. */
int block_resize(BlockNode *node, guint64 length);

void block_submit(BlockNode *node, BlockRequest *request);
/* For drivers: request->done(result), from the context's loop. On the context's thread. */
void block_finish_later(BlockRequest *request, int result);
/* For drivers: what block_submit() does without an own submit(). */
void block_submit_to_worker(BlockNode *node, BlockRequest *request);
/* Filters below let go of what they hold back. On the context's thread. */
void block_drain(BlockNode *node, IoContext *context);

/* The table, NULL-terminated. */
extern const BlockDriver *const block_drivers[];
extern const BlockDriver block_driver_file;
extern const BlockDriver block_driver_host_device;
extern const BlockDriver block_driver_qcow2;
extern const BlockDriver block_driver_raw;
extern const BlockDriver block_driver_throttle;
