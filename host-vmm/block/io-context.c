// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/block/io-context.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vmm/block/io-ring.h"

#define MAX_WORKERS 32 /* what may block at the same time */
#define RETRY_MS    1  /* after the kernel had no room */

/* The GSource of a context, which all completions come through. */
typedef struct IoSource {
    GSource source;
    IoContext *context;
} IoSource;

struct IoContext {
    GMainContext *main_context;
    GThread *thread; /* the one that runs it */
    int thread_id;   /* of an own thread */
    GMainLoop *loop; /* an own thread's */

    /* The context's thread only. */
    IoSource *source;
    gboolean ring_tried;
    IoRing *ring; /* NULL: none, or not needed yet */
    GThreadPool *pool;
    void (*confine)(gpointer user_data); /* what each thread does once; NULL: nothing. Set before there is work */
    gpointer confine_data;
    IoDeferred *deferred; /* newest first */

    int event_fd; /* readable while there is something in `finished` */
    GMutex lock;  /* guards finished */
    IoWork *finished, **finished_end;
};

/* ---- completions ---- */

static void run_deferred(IoContext *context)
{
    while (context->deferred != NULL) {
        IoDeferred *deferred = context->deferred;
        context->deferred = deferred->next;
        deferred->pending = FALSE;
        deferred->func(deferred);
    }
}

static IoWork *take_finished(IoContext *context)
{
    g_mutex_lock(&context->lock);
    IoWork *work = context->finished;
    context->finished = NULL;
    context->finished_end = &context->finished;
    if (work != NULL) {
        guint64 count;
        if (read(context->event_fd, &count, sizeof count) < 0)
            g_debug("io-context: nothing to read: %s", g_strerror(errno));
    }
    g_mutex_unlock(&context->lock);
    return work;
}

static gboolean has_finished(IoContext *context)
{
    g_mutex_lock(&context->lock);
    gboolean finished = context->finished != NULL;
    g_mutex_unlock(&context->lock);
    return finished;
}

static void complete_all(IoContext *context)
{
    if (context->ring != NULL)
        io_ring_reap(context->ring);
    for (IoWork *work = take_finished(context), *next; work != NULL; work = next) {
        next = work->next;
        work->done(work);
    }
    run_deferred(context);
}

/* Any thread. */
static void finish(IoContext *context, IoWork *work)
{
    work->next = NULL;
    g_mutex_lock(&context->lock);
    gboolean first = context->finished == NULL;
    *context->finished_end = work;
    context->finished_end = &work->next;
    guint64 one = 1;
    if (first && write(context->event_fd, &one, sizeof one) < 0)
        g_warning("io-context: cannot wake the thread: %s", g_strerror(errno));
    g_mutex_unlock(&context->lock);
}

/* ---- the source ---- */

static gboolean prepare(GSource *source, int *timeout)
{
    IoContext *context = ((IoSource *)source)->context;
    *timeout = -1;
    if (context->ring != NULL && !io_ring_submit(context->ring))
        *timeout = RETRY_MS;
    /* What the kernel had in its cache has completed already: no round of the loop, and no poll(2), for these. */
    if (context->ring != NULL && io_ring_has_completed(context->ring)) {
        io_ring_reap(context->ring);
        run_deferred(context);
        if (!io_ring_submit(context->ring))
            *timeout = RETRY_MS;
    }
    return context->deferred != NULL || (context->ring != NULL && io_ring_has_completed(context->ring));
}

static gboolean check(GSource *source)
{
    IoContext *context = ((IoSource *)source)->context;
    return (context->ring != NULL && io_ring_has_completed(context->ring)) || has_finished(context);
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    complete_all(((IoSource *)source)->context);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.prepare = prepare, .check = check, .dispatch = dispatch};

/* ---- creation ---- */

static IoContext *context_new(GMainContext *main_context)
{
    IoContext *context = g_new0(IoContext, 1);
    context->main_context = g_main_context_ref(main_context);
    context->finished_end = &context->finished;
    g_mutex_init(&context->lock);
    context->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (context->event_fd < 0)
        g_error("eventfd: %s", g_strerror(errno));
    context->source = (IoSource *)g_source_new(&source_funcs, sizeof(IoSource));
    context->source->context = context;
    g_source_add_unix_fd(&context->source->source, context->event_fd, G_IO_IN);
    /* It is never dispatched within itself; but for a source that says so GLib wakes its own loop twice each time. */
    g_source_set_can_recurse(&context->source->source, TRUE);
    g_source_attach(&context->source->source, main_context);
    return context;
}

IoContext *io_context_new_main(void)
{
    IoContext *context = context_new(g_main_context_default());
    context->thread = g_thread_self();
    return context;
}

static gpointer run_thread(gpointer user_data)
{
    IoContext *context = user_data;
    context->thread_id = gettid();
    g_main_context_push_thread_default(context->main_context);
    g_main_loop_run(context->loop);
    g_main_context_pop_thread_default(context->main_context);
    return NULL;
}

static void do_nothing(gpointer user_data)
{
}

IoContext *io_context_new_thread(const char *name)
{
    g_autoptr(GMainContext) main_context = g_main_context_new();
    IoContext *context = context_new(main_context);
    context->loop = g_main_loop_new(main_context, FALSE);
    g_autofree char *thread_name = g_strdup_printf("IO %s", name);
    context->thread = g_thread_new(thread_name, run_thread, context);
    io_context_call(context, do_nothing, NULL); /* it runs: its id is known */
    return context;
}

/* On the context's thread. */
static void close_ring(gpointer user_data)
{
    IoContext *context = user_data;
    g_source_destroy(&context->source->source);
    g_clear_pointer(&context->ring, io_ring_free);
    if (context->loop != NULL)
        g_main_loop_quit(context->loop);
}

void io_context_free(IoContext *context)
{
    if (context == NULL)
        return;
    io_context_call(context, close_ring, context);
    if (context->loop != NULL) {
        g_thread_join(context->thread);
        g_main_loop_unref(context->loop);
    }
    if (context->pool != NULL)
        g_thread_pool_free(context->pool, FALSE, TRUE);
    g_source_unref(&context->source->source);
    close(context->event_fd);
    g_mutex_clear(&context->lock);
    g_main_context_unref(context->main_context);
    g_free(context);
}

GMainContext *io_context_main_context(IoContext *context)
{
    return context->main_context;
}

int io_context_thread_id(IoContext *context)
{
    return context->thread_id;
}

/* ---- calls ---- */

typedef struct Call {
    void (*func)(gpointer user_data);
    gpointer user_data;
    GMutex lock; /* guards done */
    GCond cond;
    gboolean done;
} Call;

static gboolean run_call(gpointer user_data)
{
    Call *call = user_data;
    call->func(call->user_data);
    g_mutex_lock(&call->lock);
    call->done = TRUE;
    g_cond_signal(&call->cond);
    g_mutex_unlock(&call->lock);
    return G_SOURCE_REMOVE;
}

void io_context_call(IoContext *context, void (*func)(gpointer user_data), gpointer user_data)
{
    if (context->thread == g_thread_self()) {
        func(user_data);
        return;
    }
    Call call = {.func = func, .user_data = user_data};
    g_mutex_init(&call.lock);
    g_cond_init(&call.cond);
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, run_call, &call, NULL);
    g_source_attach(source, context->main_context);
    g_source_unref(source);
    g_mutex_lock(&call.lock);
    while (!call.done)
        g_cond_wait(&call.cond, &call.lock);
    g_mutex_unlock(&call.lock);
    g_cond_clear(&call.cond);
    g_mutex_clear(&call.lock);
}

void io_context_wait(IoContext *context, gboolean (*done)(gpointer user_data), gpointer user_data)
{
    for (;;) {
        complete_all(context);
        if (done(user_data))
            return;
        gboolean submitted = context->ring == NULL || io_ring_submit(context->ring);
        struct pollfd fds[] = {{context->event_fd, POLLIN, 0},
                               {context->ring != NULL ? io_ring_fd(context->ring) : -1, POLLIN, 0}};
        if (poll(fds, G_N_ELEMENTS(fds), submitted ? -1 : RETRY_MS) < 0 && errno != EINTR)
            g_error("poll: %s", g_strerror(errno));
    }
}

/* ---- work ---- */

/* On the thread that is to be confined. Threads of the pool may be used for work of another context. */
static void confine_once(IoContext *context)
{
    static __thread gboolean is_confined;
    if (context->confine != NULL && !is_confined) {
        is_confined = TRUE;
        context->confine(context->confine_data);
    }
}

static void run_work(gpointer data, gpointer user_data)
{
    IoWork *work = data;
    IoContext *context = user_data;
    confine_once(context);
    work->func(work);
    finish(context, work);
}

void io_context_run(IoContext *context, IoWork *work)
{
    if (context->pool == NULL)
        context->pool = g_thread_pool_new(run_work, context, MAX_WORKERS, FALSE, NULL);
    g_thread_pool_push(context->pool, work, NULL);
}

void io_context_finish_later(IoContext *context, IoWork *work)
{
    finish(context, work);
}

void io_context_defer(IoContext *context, IoDeferred *deferred)
{
    if (deferred->pending)
        return;
    deferred->pending = TRUE;
    deferred->next = context->deferred;
    context->deferred = deferred;
}

void io_context_undefer(IoContext *context, IoDeferred *deferred)
{
    for (IoDeferred **at = &context->deferred; *at != NULL; at = &(*at)->next) {
        if (*at == deferred) {
            *at = deferred->next;
            break;
        }
    }
    deferred->pending = FALSE;
}

static void try_ring(IoContext *context)
{
    g_autoptr(GError) error = NULL;
    context->ring_tried = TRUE;
    context->ring = io_ring_new(&error);
    if (context->ring != NULL)
        g_source_add_unix_fd(&context->source->source, io_ring_fd(context->ring), G_IO_IN);
    else
        g_info("disk I/O goes by threads: %s", error->message);
}

static void confine_own_thread(gpointer user_data)
{
    IoContext *context = user_data;
    if (!context->ring_tried)
        try_ring(context);
    confine_once(context);
}

void io_context_confine(IoContext *context, void (*func)(gpointer user_data), gpointer user_data)
{
    context->confine = func;
    context->confine_data = user_data;
    if (context->loop != NULL)
        io_context_call(context, confine_own_thread, context);
}

gboolean io_context_submit(IoContext *context, IoWork *work, IoKind kind, int fd, guint64 offset,
                           const struct iovec *segments, guint count, int flags)
{
    if (!context->ring_tried)
        try_ring(context);
    return context->ring != NULL &&
           io_ring_push(context->ring, work, kind, fd, offset, segments, count, flags);
}
