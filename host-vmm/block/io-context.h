// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * io-context: a thread that does disk I/O: its GMainContext, its io_uring, its worker threads.
 *
 * The main thread has one; each -object iothread is one with a thread of its own. Requests are prepared while
 * the thread handles its sources and go to the kernel together, right before it waits. All functions are for
 * the context's own thread, but where it is said.
 */
#pragma once

#include <gio/gio.h>
#include <sys/uio.h>

typedef struct IoContext IoContext;

/* On the default GMainContext, which the calling thread runs. */
IoContext *io_context_new_main(void);
/* With a thread of its own. */
IoContext *io_context_new_thread(const char *name);
/* Nothing is in flight any more. Ends the thread. From the thread that made it. */
void io_context_free(IoContext *context);

/* Where sources for this thread are attached. Any thread. */
GMainContext *io_context_main_context(IoContext *context);
/* The kernel's id of an own thread; 0 for the main one. Any thread. */
int io_context_thread_id(IoContext *context);
/* Has func called on the context's thread and returns when it has returned; at once on that thread. */
void io_context_call(IoContext *context, void (*func)(gpointer user_data), gpointer user_data);
/* Confines the context's own thread, if it has one, and each worker before it does anything more: by func, called on
 * the thread. Its io_uring is made now, since it cannot be later. From the thread that made the context. */
void io_context_confine(IoContext *context, void (*func)(gpointer user_data), gpointer user_data);
/* Lets requests and work of this context complete, nothing else, until done() says so. Waits as long as the
 * kernel takes. */
void io_context_wait(IoContext *context, gboolean (*done)(gpointer user_data), gpointer user_data);

/* Something that blocks, for a worker thread; done() is called on the context's thread. The caller's. */
typedef struct IoWork IoWork;
struct IoWork {
    void (*func)(IoWork *work);
    void (*done)(IoWork *work);
    gpointer data[2]; /* the caller's */
    int result;       /* the caller's */
    IoWork *next;     /* the context's */
};
void io_context_run(IoContext *context, IoWork *work);
/* work->done() from the loop, without work->func. */
void io_context_finish_later(IoContext *context, IoWork *work);

/* Something to be done once after all that completes now, before the thread waits: interrupts, mostly. */
typedef struct IoDeferred IoDeferred;
struct IoDeferred {
    void (*func)(IoDeferred *deferred);
    gpointer data; /* the caller's */
    gboolean pending;
    IoDeferred *next;
};
void io_context_defer(IoContext *context, IoDeferred *deferred);
void io_context_undefer(IoContext *context, IoDeferred *deferred);

typedef enum { IO_READV, IO_WRITEV, IO_FDATASYNC } IoKind;

/* One request to the kernel. FALSE: there is no io_uring here, nothing was done. work->done() is called with
 * work->result the number of bytes or -errno. flags: RWF_… */
gboolean io_context_submit(IoContext *context, IoWork *work, IoKind kind, int fd, guint64 offset,
                           const struct iovec *segments, guint count, int flags);
