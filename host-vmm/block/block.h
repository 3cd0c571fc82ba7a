// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block: disk images as a graph of nodes: a format (raw, qcow2) on a protocol (file, host_device), a qcow2 on
 * its backing node, a throttle filter in between.
 *
 * Two ways in. Blocking calls (block_pread() and so on) are thread-safe and are what formats use on their
 * children. block_submit() is for devices: it never blocks, may be called from the thread of the node's
 * IoContext only, and calls back there. A driver without an own `submit` has its blocking calls run on the
 * context's worker threads; file goes by io_uring where the kernel has it.
 *
 * Offsets and lengths are bytes. Errors are negative errno values in the data path, GError in set-up.
 */
#pragma once

#include <gio/gio.h>
#include <sys/uio.h>

#include "host-vmm/optset.h"

typedef struct BlockNode BlockNode;
typedef struct BlockSet BlockSet; /* all of a machine's nodes, by node-name */
typedef struct BlockDriver BlockDriver;
typedef struct IoContext IoContext; /* io-context.h: a thread's GMainContext with its io_uring and workers */

typedef enum { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES } BlockOp;

#define BLOCK_MAY_UNMAP (1u << 0) /* write-zeroes may leave holes */
#define BLOCK_FUA       (1u << 1) /* on disk before it is done */

typedef struct BlockRequest BlockRequest;
typedef void (*BlockDoneFunc)(BlockRequest *request, int result, gpointer user_data); /* 0 or -errno */

/* The caller's; stays as it is until done() is called. */
struct BlockRequest {
    BlockOp op;
    guint flags;
    guint64 offset, length; /* READ, WRITE: the sum of the segments */
    const struct iovec *segments;
    guint segment_count;
    BlockDoneFunc done;
    gpointer user_data;
    gpointer driver_data[4]; /* for the driver that has it at the moment */
};

struct BlockDriver {
    const char *name; /* "qcow2" */
    gsize size;       /* of its struct, which begins with a BlockNode */
    /* Asks for all its properties (the caller does optset_finish()); opens its children with block_child().
     */
    gboolean (*open)(BlockNode *node, BlockSet *set, OptSet *options, GError **error);
    void (*close)(BlockNode *node); /* flushes what it holds back */
    guint64 (*length)(BlockNode *node);
    /* Blocking, thread-safe. The range lies within length(). */
    int (*preadv)(BlockNode *node, guint64 offset, const struct iovec *segments, guint count);
    int (*pwritev)(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags);
    int (*flush)(BlockNode *node);
    int (*discard)(BlockNode *node, guint64 offset, guint64 length);
    int (*write_zeroes)(BlockNode *node, guint64 offset, guint64 length, guint flags);
    int (*resize)(BlockNode *node, guint64 length); /* NULL: cannot */
    /* NULL: the blocking calls on a worker thread. */
    void (*submit)(BlockNode *node, BlockRequest *request);
};

/* A node's struct begins with this. */
struct BlockNode {
    const BlockDriver *driver;
    char *name;      /* node-name; generated if none was given */
    gint references; /* parents and devices */
    gboolean read_only;
    BlockNode *file;    /* the child that it is stored in, or NULL */
    BlockNode *backing; /* what it is laid over, or NULL */
    IoContext *context; /* where submit() runs and completes; the whole graph's */
};

BlockSet *block_set_new(void);
void block_set_free(BlockSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockSet, block_set_free)
/* -blockdev / blockdev-add: "driver" and "node-name" are needed; children by node-name or in line
 * ("file.driver=…"). */
BlockNode *block_set_add(BlockSet *set, OptSet *options, GError **error);
BlockNode *block_set_find(BlockSet *set, const char *name);
/* blockdev-del: an error while it is in use. */
gboolean block_set_remove(BlockSet *set, const char *name, GError **error);
void block_set_foreach(BlockSet *set, void (*func)(BlockNode *node, gpointer user_data), gpointer user_data);

/* For a driver's open(): the child named by `key`, or made of the properties "key.…"; NULL and error, or NULL
 * without one if neither is there. */
BlockNode *block_child(BlockSet *set, OptSet *options, const char *key, GError **error);
/* A backing file named in an image: opened by its own format (probed among raw and qcow2 only if format is
 * NULL). */
BlockNode *block_open_backing(BlockSet *set, BlockNode *above, const char *path, const char *format,
                              GError **error);
BlockNode *block_ref(BlockNode *node);
void block_unref(BlockNode *node); /* the last one closes it */

guint64 block_length(BlockNode *node);
/* -EIO outside the length, -EROFS / -EPERM on a read-only node. Blocking, any thread. */
int block_pread(BlockNode *node, guint64 offset, void *to, gsize length);
int block_pwrite(BlockNode *node, guint64 offset, const void *from, gsize length);
int block_preadv(BlockNode *node, guint64 offset, const struct iovec *segments, guint count);
int block_pwritev(BlockNode *node, guint64 offset, const struct iovec *segments, guint count, guint flags);
int block_flush(BlockNode *node);
int block_discard(BlockNode *node, guint64 offset, guint64 length);
int block_write_zeroes(BlockNode *node, guint64 offset, guint64 length, guint flags);
int block_resize(BlockNode *node, guint64 length);

void block_submit(BlockNode *node, BlockRequest *request);
