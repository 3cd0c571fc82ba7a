// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-worker.h"

#define CLOSE_US G_USEC_PER_SEC        /* how long closing waits for the thread to end */
#define RENEW_US (60 * G_USEC_PER_SEC) /* between two that are given up */

typedef struct WorkerSource WorkerSource;

struct DomainWorker {
    gatomicrefcount references;
    guint changes; /* atomic */
    const DomainBlocking *blocking;
    gpointer self;
    gboolean worked; /* a refresh has succeeded; the main thread's */
    GAsyncQueue *jobs;
    GMainContext *context;
    WorkerSource *source; /* the main thread's; NULL once it is freed */
    GMutex lock;          /* of ended */
    GCond ending;
    gboolean ended; /* the thread is through with the library that it calls */
};

struct WorkerSource {
    DomainSource base;
    DomainWorker *worker;
    gint64 renewed_at;
    GPtrArray *pending;   /* of Job: not come back yet */
    DomainSnapshot *late; /* one that came after its time */
};

typedef enum { JOB_REFRESH, JOB_DETAIL, JOB_ACT, JOB_QUIT } JobKind;

typedef struct Job {
    gatomicrefcount references;
    JobKind kind;
    DomainJob what;
    DomainWorker *worker;
    gint64 begun;
    /* main thread */
    Pending *task; /* NULL: answered already */
    GSource *timer;
    /* the worker's answer */
    gpointer result;
    GDestroyNotify free_result;
    GError *error;
    char *uri;
} Job;

/* ---- the worker ---- */

DomainWorker *domain_worker_ref(DomainWorker *worker)
{
    g_atomic_ref_count_inc(&worker->references);
    return worker;
}

void domain_worker_unref(gpointer data)
{
    DomainWorker *worker = data;

    if (g_atomic_ref_count_dec(&worker->references)) {
        g_async_queue_unref(worker->jobs);
        g_main_context_unref(worker->context);
        g_mutex_clear(&worker->lock);
        g_cond_clear(&worker->ending);
        g_free(worker);
    }
}

void domain_worker_set_self(DomainWorker *worker, gpointer self)
{
    worker->self = self;
}

/* Not g_main_context_invoke(), which would call it in this thread when the main one is not waiting just now.
 */
static void post(DomainWorker *worker, GSourceFunc func, gpointer data, GDestroyNotify free_data)
{
    GSource *source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, func, data, free_data);
    g_source_attach(source, worker->context);
    g_source_unref(source);
}

static gboolean emit_changed(gpointer data)
{
    DomainWorker *worker = data;

    if (worker->source != NULL) {
        domain_source_emit(&worker->source->base, DOMAIN_SOURCE_CHANGED);
    }
    return G_SOURCE_REMOVE;
}

static gboolean emit_disconnected(gpointer data)
{
    DomainWorker *worker = data;

    if (worker->source != NULL) {
        domain_source_emit(&worker->source->base, DOMAIN_SOURCE_DISCONNECTED);
    }
    return G_SOURCE_REMOVE;
}

void domain_worker_emit(DomainWorker *worker, DomainSourceEvent event)
{
    if (event == DOMAIN_SOURCE_CHANGED) {
        g_atomic_int_inc(&worker->changes);
    }
    post(worker, event == DOMAIN_SOURCE_CHANGED ? emit_changed : emit_disconnected, domain_worker_ref(worker),
         domain_worker_unref);
}

guint domain_worker_changes(DomainWorker *worker)
{
    return (guint)g_atomic_int_get(&worker->changes);
}

/* ---- jobs ---- */

static void job_unref(gpointer data)
{
    Job *job = data;

    if (!g_atomic_ref_count_dec(&job->references)) {
        return;
    }
    if (job->result != NULL && job->free_result != NULL) {
        job->free_result(job->result);
    }
    g_clear_error(&job->error);
    domain_worker_unref(job->worker);
    g_strfreev(job->what.first);
    g_free(job->what.uuid);
    g_free(job->uri);
    g_free(job);
}

static Job *job_ref(Job *job)
{
    g_atomic_ref_count_inc(&job->references);
    return job;
}

static void stop_timer(Job *job)
{
    if (job->timer != NULL) {
        g_source_destroy(job->timer);
        g_clear_pointer(&job->timer, g_source_unref);
    }
}

static void answer(Job *job)
{
    g_autoptr(Pending) task = g_steal_pointer(&job->task);

    stop_timer(job);
    if (job->error != NULL) {
        pending_return_error(task, g_steal_pointer(&job->error));
    } else if (job->kind == JOB_ACT) {
        pending_return_boolean(task, TRUE);
    } else {
        pending_return_pointer(task, g_steal_pointer(&job->result), job->free_result);
    }
}

/* The worker is through with it. */
static gboolean on_done(gpointer data)
{
    Job *job = data;
    WorkerSource *source = job->worker->source;

    if (source == NULL) {
        return G_SOURCE_REMOVE;
    }
    if (job->uri != NULL) {
        g_free(source->base.uri);
        source->base.uri = g_steal_pointer(&job->uri);
    }
    job->worker->worked |= job->kind == JOB_REFRESH && job->result != NULL;
    job_ref(job);
    g_ptr_array_remove_fast(source->pending, job);
    if (job->task != NULL) {
        answer(job);
    } else if (job->kind == JOB_REFRESH && job->result != NULL) {
        g_clear_pointer(&source->late, domain_snapshot_unref);
        source->late = g_steal_pointer(&job->result);
    }
    job_unref(job);
    return G_SOURCE_REMOVE;
}

static gpointer work(gpointer data)
{
    DomainWorker *worker = data;
    gboolean quit = FALSE;

    while (!quit) {
        Job *job = g_async_queue_pop(worker->jobs);

        switch (job->kind) {
        case JOB_REFRESH:
            job->result = worker->blocking->refresh(worker->self, &job->what, &job->error);
            job->free_result = (GDestroyNotify)domain_snapshot_unref;
            break;
        case JOB_DETAIL:
            job->result = worker->blocking->detail(worker->self, &job->what, &job->error);
            job->free_result = (GDestroyNotify)domain_detail_free;
            break;
        case JOB_ACT:
            worker->blocking->act(worker->self, &job->what, &job->error);
            break;
        case JOB_QUIT:
            worker->blocking->free(worker->self);
            quit = TRUE;
            break;
        }
        if (!quit) {
            job->uri = worker->blocking->new_uri(worker->self);
        }
        post(worker, on_done, job, job_unref);
    }
    g_mutex_lock(&worker->lock);
    worker->ended = TRUE;
    g_cond_signal(&worker->ending);
    g_mutex_unlock(&worker->lock);
    domain_worker_unref(worker);
    return NULL;
}

static gboolean on_late(gpointer data)
{
    Job *job = data;
    g_autoptr(Pending) task = g_steal_pointer(&job->task);

    stop_timer(job);
    pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_TIMEOUT, "no answer in %.1f s",
                             (double)(g_get_monotonic_time() - job->begun) / G_USEC_PER_SEC);
    return G_SOURCE_REMOVE;
}

static Job *new_job(WorkerSource *source, JobKind kind)
{
    Job *job = g_new0(Job, 1);

    g_atomic_ref_count_init(&job->references);
    job->kind = kind;
    job->worker = domain_worker_ref(source->worker);
    job->begun = g_get_monotonic_time();
    return job;
}

static DomainWorker *start_worker(WorkerSource *source, const DomainBlocking *blocking)
{
    DomainWorker *worker = g_new0(DomainWorker, 1);

    g_atomic_ref_count_init(&worker->references);
    g_mutex_init(&worker->lock);
    g_cond_init(&worker->ending);
    worker->blocking = blocking;
    worker->jobs = g_async_queue_new_full(job_unref);
    worker->context = g_main_context_ref_thread_default();
    worker->source = source;
    g_thread_unref(g_thread_new(source->base.label, work, domain_worker_ref(worker)));
    return worker;
}

/* Ends what waits for the worker and lets it go: it closes when its call comes back, if ever. */
static void leave_worker(WorkerSource *source, GQuark domain, int code, const char *why)
{
    DomainWorker *worker = g_steal_pointer(&source->worker);
    Job *quit = g_new0(Job, 1);

    worker->source = NULL;
    for (guint i = 0; i < source->pending->len; i++) {
        Job *job = source->pending->pdata[i];

        if (job->task != NULL) {
            g_autoptr(Pending) task = g_steal_pointer(&job->task);

            stop_timer(job);
            pending_return_new_error(task, domain, code, "%s", why);
        }
    }
    g_ptr_array_set_size(source->pending, 0);
    g_atomic_ref_count_init(&quit->references);
    quit->kind = JOB_QUIT;
    quit->worker = worker; /* takes our reference */
    g_async_queue_push(worker->jobs, quit);
}

/* A call that never comes back, on a connection that has worked: one guest of many may be stuck, and hold up
 * the rest. A new connection is told of the others. */
static gboolean renew(WorkerSource *source)
{
    gint64 now = g_get_monotonic_time();
    DomainWorker *old = source->worker;
    gpointer self;

    if (old->blocking->renew == NULL || !old->worked ||
        (source->renewed_at != 0 && now - source->renewed_at < RENEW_US)) {
        return FALSE;
    }
    source->renewed_at = now;
    domain_worker_ref(old);
    leave_worker(source, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_TIMEOUT, "its connection is stuck");
    source->worker = start_worker(source, old->blocking);
    self = old->blocking->renew(old->self, source->worker);
    domain_worker_set_self(source->worker, self);
    domain_worker_unref(old);
    return TRUE;
}

static gint64 overdue_since(WorkerSource *source)
{
    for (guint i = 0; i < source->pending->len; i++) {
        const Job *earlier = source->pending->pdata[i];

        if (earlier->task == NULL) {
            return earlier->begun;
        }
    }
    return 0;
}

/* task: taken; job: taken. */
static void submit(WorkerSource *source, Job *job, guint timeout_ms, Pending *task)
{
    gint64 since = overdue_since(source);

    if (since != 0 && !renew(source)) {
        pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_BUSY, "no answer for %.0f s",
                                 (double)(g_get_monotonic_time() - since) / G_USEC_PER_SEC);
        g_object_unref(task);
        job_unref(job);
        return;
    }
    if (job->worker != source->worker) { /* it was made for the one that was given up */
        domain_worker_unref(job->worker);
        job->worker = domain_worker_ref(source->worker);
    }
    job->task = task;
    job->timer = g_timeout_source_new(timeout_ms);
    g_source_set_callback(job->timer, on_late, job, NULL);
    g_source_attach(job->timer, source->worker->context);
    g_ptr_array_add(source->pending, job_ref(job));
    g_async_queue_push(source->worker->jobs, job);
}

/* ---- the interface ---- */

static void source_refresh(DomainSource *base, DomainWants wants, const char *const *first, guint timeout_ms,
                           Pending *task)
{
    WorkerSource *source = (WorkerSource *)base;
    Job *job;

    if (source->late != NULL) {
        pending_return_pointer(task, g_steal_pointer(&source->late), (GDestroyNotify)domain_snapshot_unref);
        g_object_unref(task);
        return;
    }
    job = new_job(source, JOB_REFRESH);
    job->what.wants = wants;
    job->what.first = g_strdupv((char **)first);
    submit(source, job, timeout_ms, task);
}

static void source_detail(DomainSource *base, const char *uuid, guint timeout_ms, Pending *task)
{
    WorkerSource *source = (WorkerSource *)base;
    Job *job = new_job(source, JOB_DETAIL);

    job->what.uuid = g_strdup(uuid);
    submit(source, job, timeout_ms, task);
}

static void source_act(DomainSource *base, const char *uuid, DomainAction action, guint64 value,
                       guint timeout_ms, Pending *task)
{
    WorkerSource *source = (WorkerSource *)base;
    Job *job = new_job(source, JOB_ACT);

    job->what.uuid = g_strdup(uuid);
    job->what.action = action;
    job->what.value = value;
    submit(source, job, timeout_ms, task);
}

/* The program may end after this: its thread should not be in the midst of a library then. One that hangs is
 * left. */
static void wait_for_end(DomainWorker *worker)
{
    gint64 deadline = g_get_monotonic_time() + CLOSE_US;

    g_mutex_lock(&worker->lock);
    while (!worker->ended && g_cond_wait_until(&worker->ending, &worker->lock, deadline)) {
    }
    g_mutex_unlock(&worker->lock);
}

static void source_free(DomainSource *base)
{
    WorkerSource *source = (WorkerSource *)base;
    DomainWorker *worker = domain_worker_ref(source->worker);

    leave_worker(source, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the source was closed");
    g_ptr_array_unref(source->pending);
    g_clear_pointer(&source->late, domain_snapshot_unref);
    wait_for_end(worker);
    domain_worker_unref(worker);
    g_free(source);
}

static const DomainSourceClass class = {source_refresh, source_detail, source_act, source_free};

DomainSource *domain_worker_new(const DomainBlocking *blocking, const char *label, DomainWorker **result)
{
    WorkerSource *source = g_new0(WorkerSource, 1);

    source->base.class = &class;
    source->base.label = g_strdup(label);
    source->pending = g_ptr_array_new_with_free_func(job_unref);
    source->worker = *result = start_worker(source, blocking);
    return &source->base;
}
