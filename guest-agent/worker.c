// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/worker.h"

#define THREADS_MAX 8 /* as many as may hang on dead mounts before file commands no longer answer */

typedef struct Job {
    Worker *worker;
    WorkFunc run, done;
    gpointer work;
} Job;

struct Worker {
    GThreadPool *threads;
    guint running; /* touched by the main thread only */
};

static gboolean job_done(gpointer data)
{
    Job *job = data;
    job->worker->running--;
    job->done(job->work);
    g_free(job);
    return G_SOURCE_REMOVE;
}

static void job_run(gpointer data, gpointer user_data)
{
    Job *job = data;
    job->run(job->work);
    g_idle_add_full(G_PRIORITY_DEFAULT, job_done, job, NULL);
}

Worker *worker_new(void)
{
    Worker *worker = g_new0(Worker, 1);
    worker->threads = g_thread_pool_new(job_run, NULL, THREADS_MAX, FALSE, NULL);
    g_thread_pool_set_max_idle_time(10 * 1000);
    return worker;
}

gboolean worker_free(Worker *worker)
{
    if (worker->running)
        return FALSE;
    g_thread_pool_free(worker->threads, FALSE, TRUE);
    g_thread_pool_stop_unused_threads();
    g_free(worker);
    return TRUE;
}

void worker_run(Worker *worker, WorkFunc run, WorkFunc done, gpointer work)
{
    Job *job = g_new(Job, 1);
    *job = (Job){worker, run, done, work};
    worker->running++;
    /* a thread that cannot be started now leaves the job queued for one that runs; with none at all it waits
     */
    g_thread_pool_push(worker->threads, job, NULL);
}
