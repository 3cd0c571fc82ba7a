// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-monitor: the host-vmm guests of this machine, found in the runtime folder, as a DomainSource.
 *
 * Each guest has its own connection and its own time. The refresh waits for all of them but those that were
 * silent last time: these are shown as they were, marked, until they answer.
 */
#include "lib/domain-source.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/domain-monitor-guest.h"
#include "lib/runtime-dir.h"

#define MAX_GUESTS       10000
#define GUEST_TIMEOUT_MS 1500

typedef struct MonitorSource {
    DomainSource base;
    char *folder;
    int watch;          /* inotify's: GFileMonitor would read it in a thread */
    GSource *watching;  /* NULL: it is not open */
    GHashTable *guests; /* name -> MonitorGuest */
    DomainHost *host;
    /* the refresh that is going on */
    Pending *task;
    GSource *timer;
    guint waiting;
} MonitorSource;

static void on_guest_changed(gpointer user_data)
{
    MonitorSource *source = user_data;

    domain_source_emit(&source->base, DOMAIN_SOURCE_CHANGED);
}

static void stop_watching(MonitorSource *source)
{
    if (source->watching != NULL) {
        g_source_destroy(source->watching);
        g_clear_pointer(&source->watching, g_source_unref);
        close(source->watch);
    }
}

static gboolean on_folder_changed(gint fd, GIOCondition condition, gpointer user_data)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    gboolean gone = (condition & (G_IO_ERR | G_IO_HUP)) != 0;
    gssize length;

    while ((length = read(fd, events, sizeof events)) > 0) {
        for (gssize at = 0; at < length;) {
            const struct inotify_event *event = (const struct inotify_event *)(events + at);

            gone |= (event->mask & IN_IGNORED) != 0;
            at += (gssize)(sizeof *event + event->len);
        }
    }
    if (gone) {
        stop_watching(user_data); /* the next refresh watches the folder that is there then */
    }
    on_guest_changed(user_data);
    return G_SOURCE_CONTINUE;
}

static int compare_domains(gconstpointer a, gconstpointer b)
{
    const Domain *x = *(Domain *const *)a, *y = *(Domain *const *)b;

    return strcmp(x->name, y->name);
}

static void answer(MonitorSource *source)
{
    g_autoptr(Pending) task = g_steal_pointer(&source->task);
    DomainSnapshot *snapshot;
    GHashTableIter iter;
    gpointer guest;

    if (source->timer != NULL) {
        g_source_destroy(source->timer);
        g_clear_pointer(&source->timer, g_source_unref);
    }
    if (task == NULL) {
        return;
    }
    snapshot = domain_snapshot_new(domain_host_ref(source->host));
    g_hash_table_iter_init(&iter, source->guests);
    while (g_hash_table_iter_next(&iter, NULL, &guest)) {
        Domain *domain = monitor_guest_domain(guest);

        if (domain != NULL) {
            g_ptr_array_add(snapshot->domains, domain_ref(domain));
        }
    }
    g_ptr_array_sort(snapshot->domains, compare_domains);
    pending_return_pointer(task, snapshot, (GDestroyNotify)domain_snapshot_unref);
}

static void on_guest_done(gpointer user_data)
{
    MonitorSource *source = user_data;

    if (--source->waiting == 0) {
        answer(source);
    }
}

static void on_silent_guest_done(gpointer user_data)
{
    /* Its answer is seen at the next refresh. */
}

static gboolean on_late(gpointer user_data)
{
    answer(user_data); /* with those that have answered */
    return G_SOURCE_REMOVE;
}

/* Brings the table up to date with the folders there are. */
static gboolean find_guests(MonitorSource *source, GError **error)
{
    g_auto(GStrv) names = runtime_dir_list_guests_in(source->folder, error);
    GHashTableIter iter;
    gpointer key;

    if (names == NULL) {
        return FALSE;
    }
    g_hash_table_iter_init(&iter, source->guests);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!g_strv_contains((const char *const *)names, key)) {
            g_hash_table_iter_remove(&iter);
        }
    }
    for (char **name = names; *name != NULL && g_hash_table_size(source->guests) < MAX_GUESTS; name++) {
        g_autofree char *qmp = g_build_filename(source->folder, *name, "qmp.sock", NULL);
        g_autofree char *agent = g_build_filename(source->folder, *name, "agent.sock", NULL);

        if (g_hash_table_contains(source->guests, *name) || !g_file_test(qmp, G_FILE_TEST_EXISTS) ||
            strlen(qmp) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
            continue;
        }
        g_hash_table_insert(source->guests, g_strdup(*name),
                            monitor_guest_new(*name, qmp, agent, on_guest_changed, source));
    }
    return TRUE;
}

static void watch_folder(MonitorSource *source)
{
    if (source->watching != NULL) {
        return;
    }
    source->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (source->watch < 0) {
        return;
    }
    if (inotify_add_watch(source->watch, source->folder,
                          IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR) < 0) {
        close(source->watch);
        return;
    }
    source->watching = g_unix_fd_source_new(source->watch, G_IO_IN);
    g_source_set_callback(source->watching, G_SOURCE_FUNC(on_folder_changed), source, NULL);
    g_source_attach(source->watching, g_main_context_get_thread_default());
}

static void source_refresh(DomainSource *base, DomainWants wants, const char *const *first, guint timeout_ms,
                           Pending *task)
{
    MonitorSource *source = (MonitorSource *)base;
    GError *error = NULL;
    GHashTableIter iter;
    gpointer guest;

    if (source->task != NULL || source->waiting > 0) {
        pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_BUSY,
                                 "the last refresh is not over yet");
        g_object_unref(task);
        return;
    }
    if (!find_guests(source, &error)) {
        pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNREACHABLE, "%s",
                                 error->message);
        g_error_free(error);
        g_object_unref(task);
        return;
    }
    watch_folder(source);
    source->task = task;
    source->timer = g_timeout_source_new(timeout_ms);
    g_source_set_callback(source->timer, on_late, source, NULL);
    g_source_attach(source->timer, g_main_context_get_thread_default());
    source->waiting = 1;
    g_hash_table_iter_init(&iter, source->guests);
    while (g_hash_table_iter_next(&iter, NULL, &guest)) {
        gboolean wait = !monitor_guest_is_silent(guest);

        source->waiting += wait;
        if (!monitor_guest_refresh(guest, wants, MIN(timeout_ms, GUEST_TIMEOUT_MS),
                                   wait ? on_guest_done : on_silent_guest_done, source)) {
            source->waiting -= wait;
        }
    }
    on_guest_done(source);
}

static MonitorGuest *find(MonitorSource *source, const char *uuid, Pending *task)
{
    GHashTableIter iter;
    gpointer guest;

    g_hash_table_iter_init(&iter, source->guests);
    while (g_hash_table_iter_next(&iter, NULL, &guest)) {
        const Domain *domain = monitor_guest_domain(guest);

        if (domain != NULL && strcmp(domain->uuid, uuid) == 0) {
            return guest;
        }
    }
    pending_return_new_error(task, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_NO_DOMAIN, "it has gone");
    g_object_unref(task);
    return NULL;
}

static void source_detail(DomainSource *base, const char *uuid, guint timeout_ms, Pending *task)
{
    MonitorGuest *guest = find((MonitorSource *)base, uuid, task);

    if (guest != NULL) {
        monitor_guest_detail(guest, timeout_ms, task);
    }
}

static void source_act(DomainSource *base, const char *uuid, DomainAction action, guint64 value,
                       guint timeout_ms, Pending *task)
{
    MonitorGuest *guest = find((MonitorSource *)base, uuid, task);

    if (guest != NULL) {
        monitor_guest_act(guest, action, value, timeout_ms, task);
    }
}

static void source_free(DomainSource *base)
{
    MonitorSource *source = (MonitorSource *)base;
    Pending *task = g_steal_pointer(&source->task);

    if (source->timer != NULL) {
        g_source_destroy(source->timer);
        g_clear_pointer(&source->timer, g_source_unref);
    }
    if (task != NULL) {
        pending_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the source was closed");
        g_object_unref(task);
    }
    stop_watching(source);
    g_hash_table_unref(source->guests);
    domain_host_unref(source->host);
    g_free(source->folder);
    g_free(source);
}

static const DomainSourceClass class = {source_refresh, source_detail, source_act, source_free};

DomainSource *domain_source_new_monitor(const char *folder)
{
    MonitorSource *source = g_new0(MonitorSource, 1);

    source->base.class = &class;
    source->base.label = g_strdup("host-vmm");
    source->folder = folder != NULL ? g_strdup(folder) : runtime_dir_path();
    source->guests =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)monitor_guest_free);
    source->host = domain_host_new_local("host-vmm");
    return &source->base;
}
