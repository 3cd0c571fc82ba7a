// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-libvirt: the one place that knows libvirt, with domain-libvirt-refresh.c and domain-libvirt-list.c.
 *
 * libvirt's client blocks, so each source has a worker thread that owns the connection and does jobs one
 * after the other; the main thread keeps the deadlines. libvirt's events and keepalive are sources of GLib's
 * default main context (since libvirt 6.6), which somebody has to run.
 */
#include "lib/domain-libvirt.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/domain-proc.h"
#include "lib/domain-xml.h"

#define KEEPALIVE_S     5
#define KEEPALIVE_COUNT 3
#define MAX_PAUSE_US    (10 * G_USEC_PER_SEC)
#define FIRST_PAUSE_US  (G_USEC_PER_SEC / 2)
#define MAX_VCPUS       4096
#define AGENT_SECONDS   2

/* ---- libvirt itself ---- */

static void ignore_error(void *data, virErrorPtr error)
{
    /* The default prints on stderr, which may be a screen. */
}

static gpointer start_libvirt(gpointer data)
{
    virInitialize();
    virSetErrorFunc(NULL, ignore_error);
    virEventRegisterDefaultImpl();
    return NULL;
}

/* One line, safe to show. */
static char *last_error(void)
{
    virErrorPtr error = virGetLastError();
    char *text =
        g_utf8_make_valid(error != NULL && error->message != NULL ? error->message : "unknown error", -1);

    for (char *p = text; *p != '\0'; p++) {
        if (g_ascii_iscntrl(*p)) {
            *p = ' ';
        }
    }
    return g_strchomp(text);
}

static gboolean fail(GError **error, DomainSourceError code, const char *what)
{
    virErrorPtr last = virGetLastError();
    g_autofree char *text = last_error();

    if (last != NULL && last->code == VIR_ERR_NO_DOMAIN) {
        code = DOMAIN_SOURCE_ERROR_NO_DOMAIN;
    }
    g_set_error(error, DOMAIN_SOURCE_ERROR, code, "%s%s%s", what, what[0] != '\0' ? ": " : "", text);
    return FALSE;
}

/* ---- worker: connection ---- */

/* From libvirt's event thread. */
static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *data)
{
    domain_worker_emit(data, DOMAIN_SOURCE_CHANGED);
    return 0;
}

/* data is the DomainWorker, not us: it may come when we are gone. That we are closed is found out at the next
 * refresh. */
static void on_close(virConnectPtr connection, int reason, void *data)
{
    domain_worker_emit(data, DOMAIN_SOURCE_DISCONNECTED);
}

static void disconnect(Connection *self)
{
    domain_libvirt_forget(self); /* handles first: they hold the connection */
    if (self->connection != NULL) {
        if (self->lifecycle_callback >= 0) {
            virConnectDomainEventDeregisterAny(self->connection, self->lifecycle_callback);
        }
        virConnectUnregisterCloseCallback(self->connection, on_close);
        virConnectClose(self->connection);
        self->connection = NULL;
    }
    g_clear_pointer(&self->host, domain_host_unref);
}

static DomainHost *read_host(virConnectPtr connection)
{
    g_autoptr(DomainHost) host = domain_host_new();
    g_autofree char *hostname = virConnectGetHostname(connection);
    const char *type = virConnectGetType(connection);
    unsigned long version = 0;
    virNodeInfo info;

    if (virNodeGetInfo(connection, &info) != 0) {
        return NULL;
    }
    host->hostname = g_utf8_make_valid(hostname != NULL ? hostname : "unknown", -1);
    host->model = g_strndup(info.model, sizeof info.model);
    host->cpus = info.cpus;
    host->max_cpus = MAX(info.nodes * info.sockets * info.cores * info.threads, info.cpus);
    host->mhz = info.mhz;
    host->memory = info.memory;
    host->type = g_strdup(type);
    if (virConnectGetVersion(connection, &version) == 0 && version != 0) {
        host->version = version;
        host->hypervisor = g_strdup_printf("%s %lu.%lu.%lu", type != NULL ? type : "?", version / 1000000,
                                           version / 1000 % 1000, version % 1000);
    } else {
        host->hypervisor = g_strdup(type != NULL ? type : "?");
    }
    return g_steal_pointer(&host);
}

static gboolean connect_now(Connection *self, GError **error)
{
    static GOnce once = G_ONCE_INIT;
    const char *type;

    g_once(&once, start_libvirt, NULL);
    virResetLastError();
    self->connection = domain_libvirt_open(self);
    if (self->connection == NULL) {
        return fail(error, DOMAIN_SOURCE_ERROR_UNREACHABLE, "");
    }
    virConnectSetKeepAlive(self->connection, KEEPALIVE_S,
                           KEEPALIVE_COUNT); /* drivers within the process have none */
    /* Without a function that frees: drivers that know no such callback do not say so, and would not call it.
     * libvirt holds a lock while it calls us, so that none is on its way once we are unregistered. */
    virConnectRegisterCloseCallback(self->connection, on_close, self->worker, NULL);
    self->lifecycle_callback = virConnectDomainEventRegisterAny(
        self->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle),
        domain_worker_ref(self->worker), domain_worker_unref);
    if (self->lifecycle_callback < 0) {
        domain_worker_unref(self->worker);
    }
    self->host = read_host(self->connection);
    if (self->host == NULL) {
        fail(error, DOMAIN_SOURCE_ERROR_UNREACHABLE, "");
        disconnect(self);
        return FALSE;
    }
    type = virConnectGetType(self->connection);
    self->is_new = TRUE;
    self->identified = FALSE;
    self->asks_each = type == NULL || strcmp(type, "QEMU") != 0;
    self->no_nowait = self->no_bulk = FALSE;
    self->bulk_parts = 0;
    return TRUE;
}

/* Makes a connection if there is none, not too often. */
static gboolean ensure_connection(Connection *self, GError **error)
{
    gint64 now = g_get_monotonic_time();
    g_autoptr(GError) reason = NULL;

    if (self->connection != NULL && virConnectIsAlive(self->connection) != 1) {
        disconnect(self);
        self->pause = 0;
        self->retry_at = 0;
    }
    if (self->connection != NULL) {
        return TRUE;
    }
    if (now >= self->retry_at) {
        if (connect_now(self, &reason)) {
            self->pause = 0;
            g_clear_pointer(&self->why, g_free);
            return TRUE;
        }
        self->pause = CLAMP(self->pause * 2, FIRST_PAUSE_US, MAX_PAUSE_US);
        self->retry_at = g_get_monotonic_time() + self->pause;
        g_free(self->why);
        self->why = g_strdup(reason->message);
    }
    g_set_error(error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNREACHABLE, "%s", self->why);
    return FALSE;
}

/* ---- worker: all guests ---- */

static DomainSnapshot *refresh(gpointer data, const DomainJob *job, GError **error)
{
    Connection *self = data;
    DomainSnapshot *snapshot;

    if (!ensure_connection(self, error)) {
        return NULL;
    }
    snapshot =
        job->wants & DOMAIN_WANT_IDENTITY ? domain_libvirt_list(self) : domain_libvirt_refresh(self, job);
    if (snapshot == NULL) {
        fail(error, DOMAIN_SOURCE_ERROR_UNREACHABLE, "");
        if (virConnectIsAlive(self->connection) != 1) {
            disconnect(self);
        }
    }
    return snapshot;
}

/* ---- worker: one guest ---- */

static virDomainPtr find(Connection *self, const DomainJob *job, GError **error)
{
    virDomainPtr handle;

    if (!ensure_connection(self, error)) {
        return NULL;
    }
    handle = virDomainLookupByUUIDString(self->connection, job->uuid);
    if (handle == NULL) {
        fail(error, DOMAIN_SOURCE_ERROR_FAILED, "");
    }
    return handle;
}

static void read_limits(virDomainPtr handle, DomainDetail *detail)
{
    g_autofree char *text = virDomainGetXMLDesc(handle, 0);
    g_autoptr(DomainXml) xml = domain_xml_parse(text != NULL ? text : "");

    for (guint i = 0; i < xml->disks->len; i++) {
        virTypedParameter parameters[64] = {0};
        int count = G_N_ELEMENTS(parameters);
        DomainLimits *limits;

        if (virDomainGetBlockIoTune(handle, xml->disks->pdata[i], parameters, &count, 0) != 0) {
            continue;
        }
        limits = domain_detail_add_limits(detail, xml->disks->pdata[i]);
        for (int j = 0; j < count; j++) {
            static const struct {
                const char *field;
                gsize offset;
            } fields[] = {
                {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC, offsetof(DomainLimits, total_bytes)},
                {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, offsetof(DomainLimits, read_bytes)},
                {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, offsetof(DomainLimits, write_bytes)},
                {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, offsetof(DomainLimits, total_iops)},
                {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, offsetof(DomainLimits, read_iops)},
                {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, offsetof(DomainLimits, write_iops)},
            };

            for (guint k = 0; k < G_N_ELEMENTS(fields); k++) {
                if (strcmp(parameters[j].field, fields[k].field) == 0) {
                    guint64 value = domain_libvirt_number(&parameters[j]);

                    memcpy((char *)limits + fields[k].offset, &value, sizeof value);
                }
            }
        }
        virTypedParamsClear(parameters, count);
    }
}

static char *text_parameter(virTypedParameterPtr parameters, int count, const char *name)
{
    const char *value = NULL;

    return virTypedParamsGetString(parameters, count, name, &value) == 1 ? g_utf8_make_valid(value, -1)
                                                                         : NULL;
}

static void ask_agent(Connection *self, virDomainPtr handle, DomainDetail *detail)
{
    virTypedParameterPtr parameters = NULL;
    int count = 0;

    if (!self->writable) {
        detail->agent_note = g_strdup("libvirt lets only writable connections ask the agent (--actions)");
        return;
    }
    virDomainAgentSetResponseTimeout(handle, AGENT_SECONDS, 0);
    if (virDomainGetGuestInfo(handle, VIR_DOMAIN_GUEST_INFO_OS | VIR_DOMAIN_GUEST_INFO_HOSTNAME, &parameters,
                              &count, 0) != 0) {
        detail->agent_note = last_error();
        return;
    }
    detail->os_name = text_parameter(parameters, count, "os.pretty-name");
    detail->kernel = text_parameter(parameters, count, "os.kernel-release");
    detail->guest_host = text_parameter(parameters, count, "hostname");
    virTypedParamsFree(parameters, count);
}

/* KSM's counters are the kernel's; they can be read where the guests run. */
static void read_process(Connection *self, virDomainPtr handle, DomainDetail *detail)
{
    g_autofree char *uri = virConnectGetURI(self->connection);
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;
    const char *name = virDomainGetName(handle);

    if (uri == NULL || strcmp(uri, "qemu:///system") != 0 || strchr(name, '/') != NULL) {
        return;
    }
    path = g_strdup_printf("/run/libvirt/qemu/%s.pid", name);
    if (g_file_get_contents(path, &text, NULL, NULL)) {
        detail->ksm_shared = domain_proc_ksm((int)g_ascii_strtoll(text, NULL, 10));
    }
}

static DomainDetail *ask_detail(gpointer data, const DomainJob *job, GError **error)
{
    Connection *self = data;
    virDomainPtr handle = find(self, job, error);
    DomainDetail *detail;

    if (handle == NULL) {
        return NULL;
    }
    detail = domain_detail_new();
    if (virDomainIsActive(handle) == 1) {
        read_limits(handle, detail);
        read_process(self, handle, detail);
        ask_agent(self, handle, detail);
    }
    virDomainFree(handle);
    return detail;
}

static gboolean act(gpointer data, const DomainJob *job, GError **error)
{
    Connection *self = data;
    virDomainPtr handle = find(self, job, error);
    int status = -1;

    if (handle == NULL) {
        return FALSE;
    }
    switch (job->action) {
    case DOMAIN_ACTION_PAUSE:
        status = virDomainSuspend(handle);
        break;
    case DOMAIN_ACTION_RESUME:
        status = virDomainResume(handle);
        break;
    case DOMAIN_ACTION_SHUTDOWN:
        status = virDomainShutdown(handle);
        break;
    case DOMAIN_ACTION_SET_VCPUS:
        status =
            virDomainSetVcpusFlags(handle, (unsigned int)MIN(job->value, MAX_VCPUS), VIR_DOMAIN_AFFECT_LIVE);
        break;
    case DOMAIN_ACTION_ONLINE_VCPUS:
        virDomainAgentSetResponseTimeout(handle, AGENT_SECONDS, 0);
        status =
            virDomainSetVcpusFlags(handle, (unsigned int)MIN(job->value, MAX_VCPUS), VIR_DOMAIN_VCPU_GUEST);
        break;
    case DOMAIN_ACTION_SET_BALLOON:
        status = virDomainSetMemoryFlags(handle, (unsigned long)job->value, VIR_DOMAIN_AFFECT_LIVE);
        break;
    case DOMAIN_ACTION_SET_STATS_PERIOD:
        status =
            virDomainSetMemoryStatsPeriod(handle, (int)MIN(job->value, G_MAXINT), VIR_DOMAIN_AFFECT_LIVE);
        break;
    }
    if (status != 0) {
        fail(error, DOMAIN_SOURCE_ERROR_FAILED, "");
    }
    virDomainFree(handle);
    return status == 0;
}

static char *new_uri(gpointer data)
{
    Connection *self = data;
    char *uri = self->is_new && self->connection != NULL ? virConnectGetURI(self->connection) : NULL;
    char *copy = g_strdup(uri);

    free(uri);
    self->is_new = FALSE;
    return copy;
}

static void free_connection(gpointer data)
{
    Connection *self = data;

    disconnect(self);
    domain_worker_unref(self->worker);
    g_hash_table_unref(self->devices);
    g_ptr_array_unref(self->last);
    g_ptr_array_unref(self->handles);
    domain_fields_hint_free(self->hint);
    g_free(self->uri);
    g_free(self->user);
    if (self->password != NULL) {
        explicit_bzero(self->password, strlen(self->password));
    }
    g_free(self->password);
    g_free(self->why);
    g_free(self);
}

static void free_handle(gpointer handle)
{
    virDomainFree(handle);
}

/* Strings are copied. */
static Connection *new_connection(DomainWorker *worker, const char *uri, const char *user,
                                  const char *password, gboolean writable)
{
    Connection *self = g_new0(Connection, 1);

    self->worker = domain_worker_ref(worker);
    self->uri = g_strdup(uri);
    self->user = g_strdup(user);
    self->password = g_strdup(password);
    self->writable = writable;
    self->lifecycle_callback = -1;
    self->devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)domain_xml_free);
    self->last = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);
    self->handles = g_ptr_array_new_with_free_func(free_handle);
    self->hint = domain_fields_hint_new();
    return self;
}

static gpointer renew(gpointer data, DomainWorker *worker)
{
    const Connection *self = data;

    return new_connection(worker, self->uri, self->user, self->password, self->writable);
}

static const DomainBlocking blocking = {refresh, ask_detail, act, new_uri, free_connection, renew};

DomainSource *domain_source_new_libvirt_login(const char *uri, DomainSourceFlags flags, const char *user,
                                              const char *password, GError **error)
{
    DomainWorker *worker;
    DomainSource *source;
    const char *why;

    if (!libvirt_load(&why)) {
        g_set_error_literal(error, DOMAIN_SOURCE_ERROR, DOMAIN_SOURCE_ERROR_UNSUPPORTED, why);
        return NULL;
    }
    source = domain_worker_new(&blocking, uri != NULL ? uri : "libvirt", &worker);

    domain_worker_set_self(
        worker, new_connection(worker, uri, user, password, (flags & DOMAIN_SOURCE_WRITABLE) != 0));
    return source;
}
