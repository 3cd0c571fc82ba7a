// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domain-libvirt: the one place that knows libvirt.
 *
 * libvirt's client blocks, so each source has a worker thread that owns the connection and does jobs one
 * after the other; the main thread keeps the deadlines. A refresh is one virConnectGetAllDomainStats() with
 * NOWAIT: a guest whose monitor is busy comes with what is known without asking it. Where a driver's bulk
 * record lacks a part for all guests, the part is asked for each (virDomainGetInfo and others). libvirt's
 * events and keepalive are sources of GLib's default main context (since libvirt 6.6), which somebody has to
 * run.
 */
#include "lib/domain-worker.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/domain-fields.h"
#include "lib/domain-proc.h"
#include "lib/domain-xml.h"

#define KEEPALIVE_S     5
#define KEEPALIVE_COUNT 3
#define MAX_PAUSE_US    (10 * G_USEC_PER_SEC)
#define FIRST_PAUSE_US  (G_USEC_PER_SEC / 2)
#define DEVICE_DOMAINS  64  /* guests whose devices are asked for at a refresh, where each has to be asked */
#define PCPU_DOMAINS    512 /* the same for the host CPUs of vCPUs */
#define MAX_VCPUS       4096
#define AGENT_SECONDS   2
#define BULK_ALWAYS     (VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON)

typedef struct Connection {
    DomainWorker *worker;
    char *uri;
    gboolean writable;
    virConnectPtr connection;
    int lifecycle_callback;
    gboolean is_new;
    DomainHost *host;
    gboolean asks_each;  /* not QEMU, where a busy guest would hold us up: what the bulk record lacks is asked
                            for */
    gboolean no_nowait;  /* the driver does not know the flag */
    gboolean no_bulk;    /* the driver has no bulk statistics at all */
    guint bulk_parts;    /* parts that a bulk record has had */
    guint turn;          /* where the next round of device questions begins */
    GHashTable *devices; /* uuid -> DomainXml, for them */
    gint64 retry_at, pause;
    char *why;
} Connection;

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
    if (self->connection != NULL) {
        if (self->lifecycle_callback >= 0) {
            virConnectDomainEventDeregisterAny(self->connection, self->lifecycle_callback);
        }
        virConnectUnregisterCloseCallback(self->connection, on_close);
        virConnectClose(self->connection);
        self->connection = NULL;
    }
    g_clear_pointer(&self->host, domain_host_unref);
    g_hash_table_remove_all(self->devices);
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
    if (virConnectGetVersion(connection, &version) == 0 && version != 0) {
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
    self->connection = self->writable ? virConnectOpen(self->uri) : virConnectOpenReadOnly(self->uri);
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

/* ---- worker: refresh ---- */

static guint64 typed_number(const virTypedParameter *parameter)
{
    switch (parameter->type) {
    case VIR_TYPED_PARAM_INT:
        return parameter->value.i < 0 ? 0 : (guint64)parameter->value.i;
    case VIR_TYPED_PARAM_UINT:
        return parameter->value.ui;
    case VIR_TYPED_PARAM_LLONG:
        return parameter->value.l < 0 ? DOMAIN_UNKNOWN : (guint64)parameter->value.l;
    case VIR_TYPED_PARAM_ULLONG:
        return parameter->value.ul;
    case VIR_TYPED_PARAM_DOUBLE:
        return parameter->value.d < 0 ? 0 : (guint64)parameter->value.d;
    case VIR_TYPED_PARAM_BOOLEAN:
        return parameter->value.b != 0;
    default:
        return DOMAIN_UNKNOWN;
    }
}

static Domain *new_domain(virDomainPtr handle)
{
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    Domain *domain;
    unsigned int id;

    virDomainGetUUIDString(handle, uuid);
    domain = domain_new(virDomainGetName(handle), uuid);
    id = virDomainGetID(handle);
    domain->id = id == (unsigned int)-1 ? -1 : (int)id;
    return domain;
}

static void read_info(virDomainPtr handle, Domain *domain)
{
    virDomainInfo info;

    if (virDomainGetInfo(handle, &info) != 0) {
        return; /* gone meanwhile: the next refresh knows */
    }
    domain->state = info.state < DOMAIN_STATE_COUNT ? (DomainState)info.state : DOMAIN_STATE_NONE;
    if (!(domain->parts & DOMAIN_HAS_MEMORY)) {
        domain->memory.maximum = info.maxMem;
        domain->memory.current = info.memory;
        domain->parts |= DOMAIN_HAS_MEMORY;
    }
    if (!(domain->parts & DOMAIN_HAS_CPU)) {
        domain->cpu_time = info.cpuTime;
        domain->parts |= DOMAIN_HAS_CPU;
    }
    if (domain->vcpus == 0) {
        domain->vcpus = domain->vcpus_max = info.nrVirtCpu;
    }
}

static const DomainXml *devices_of(Connection *self, virDomainPtr handle, const Domain *domain)
{
    DomainXml *xml = g_hash_table_lookup(self->devices, domain->uuid);
    char *text;

    if (xml == NULL && (text = virDomainGetXMLDesc(handle, 0)) != NULL) {
        xml = domain_xml_parse(text);
        free(text);
        g_hash_table_insert(self->devices, g_strdup(domain->uuid), xml);
    }
    return xml;
}

static guint64 known(long long value)
{
    return value < 0 ? DOMAIN_UNKNOWN : (guint64)value;
}

static gboolean read_blocks(virDomainPtr handle, Domain *domain, const DomainXml *xml)
{
    virDomainBlockStatsStruct stats;

    domain_set_blocks(domain, xml->disks->len);
    for (guint i = 0; i < domain->n_blocks; i++) {
        DomainBlock *block = &domain->block[i];

        domain_block_set_name(block, xml->disks->pdata[i]);
        if (virDomainBlockStats(handle, xml->disks->pdata[i], &stats, sizeof stats) != 0) {
            return FALSE;
        }
        block->rd_reqs = known(stats.rd_req);
        block->rd_bytes = known(stats.rd_bytes);
        block->wr_reqs = known(stats.wr_req);
        block->wr_bytes = known(stats.wr_bytes);
    }
    domain->parts |= DOMAIN_HAS_BLOCKS;
    return TRUE;
}

static gboolean read_nics(virDomainPtr handle, Domain *domain, const DomainXml *xml)
{
    virDomainInterfaceStatsStruct stats;

    domain_set_nics(domain, xml->nics->len);
    for (guint i = 0; i < domain->n_nics; i++) {
        DomainNic *nic = &domain->nic[i];

        domain_nic_set_name(nic, xml->nics->pdata[i]);
        if (virDomainInterfaceStats(handle, xml->nics->pdata[i], &stats, sizeof stats) != 0) {
            return FALSE;
        }
        *nic = (DomainNic){nic->name,
                           known(stats.rx_bytes),
                           known(stats.rx_packets),
                           known(stats.rx_errs),
                           known(stats.rx_drop),
                           known(stats.tx_bytes),
                           known(stats.tx_packets),
                           known(stats.tx_errs),
                           known(stats.tx_drop)};
    }
    domain->parts |= DOMAIN_HAS_NICS;
    return TRUE;
}

static void read_vcpus(virDomainPtr handle, Domain *domain)
{
    guint count = MIN(MAX(domain->vcpus_max, domain->n_vcpus), MAX_VCPUS);
    g_autofree virVcpuInfoPtr infos = g_new0(virVcpuInfo, MAX(count, 1));
    int got = virDomainGetVcpus(handle, infos, (int)count, NULL, 0);

    for (int i = 0; i < got; i++) {
        DomainVcpu *vcpu;

        if (!domain_set_vcpus(domain, infos[i].number + 1)) {
            continue;
        }
        vcpu = &domain->vcpu[infos[i].number];
        vcpu->state =
            infos[i].state <= VIR_VCPU_BLOCKED ? (DomainVcpuState)infos[i].state : DOMAIN_VCPU_UNKNOWN;
        vcpu->cpu = infos[i].cpu;
        if (vcpu->time == DOMAIN_UNKNOWN) {
            vcpu->time = infos[i].cpuTime;
        }
        domain->parts |= DOMAIN_HAS_VCPUS;
    }
}

/* What the bulk record of no guest has. */
static void ask_devices(Connection *self, const DomainJob *job, virDomainPtr handle, Domain *domain)
{
    guint lacking = ~(self->bulk_parts | domain->parts);
    gboolean blocks = (job->wants & DOMAIN_WANT_BLOCKS) && (lacking & DOMAIN_HAS_BLOCKS);
    gboolean nics = (job->wants & DOMAIN_WANT_NICS) && (lacking & DOMAIN_HAS_NICS);
    const DomainXml *xml = blocks || nics ? devices_of(self, handle, domain) : NULL;
    gboolean good = TRUE;

    if (xml != NULL) {
        good = (!blocks || read_blocks(handle, domain, xml)) && (!nics || read_nics(handle, domain, xml));
    }
    if (!good) {
        g_hash_table_remove(self->devices, domain->uuid); /* a device has come or gone: read them anew */
    }
    if ((job->wants & DOMAIN_WANT_VCPUS) && (lacking & DOMAIN_HAS_VCPUS)) {
        read_vcpus(handle, domain);
    }
    domain_fields_finish(domain);
}

static gboolean is_active(const Domain *domain)
{
    return domain->id >= 0 && domain->state != DOMAIN_STATE_SHUTOFF;
}

static void ask_in_turn(Connection *self, const DomainJob *job, virDomainPtr *handles, GPtrArray *domains)
{
    g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
    guint asked = 0, seen;

    for (char **uuid = job->first; uuid != NULL && *uuid != NULL; uuid++) {
        g_hash_table_add(first, *uuid);
    }
    for (guint i = 0; g_hash_table_size(first) > 0 && i < domains->len && asked < DEVICE_DOMAINS; i++) {
        if (is_active(domains->pdata[i]) &&
            g_hash_table_contains(first, ((Domain *)domains->pdata[i])->uuid)) {
            ask_devices(self, job, handles[i], domains->pdata[i]);
            asked++;
        }
    }
    for (seen = 0; seen < domains->len && asked < DEVICE_DOMAINS; seen++) {
        guint i = (self->turn + seen) % domains->len;

        if (is_active(domains->pdata[i]) &&
            !g_hash_table_contains(first, ((Domain *)domains->pdata[i])->uuid)) {
            ask_devices(self, job, handles[i], domains->pdata[i]);
            asked++;
        }
    }
    self->turn = domains->len > 0 ? (self->turn + seen) % domains->len : 0;
    if (g_hash_table_size(self->devices) > 2 * domains->len + DEVICE_DOMAINS) {
        g_hash_table_remove_all(self->devices); /* most of them have gone */
    }
}

static guint wanted_parts(DomainWants wants)
{
    return (wants & DOMAIN_WANT_BLOCKS ? DOMAIN_HAS_BLOCKS : 0) |
           (wants & DOMAIN_WANT_NICS ? DOMAIN_HAS_NICS : 0) |
           (wants & DOMAIN_WANT_VCPUS ? DOMAIN_HAS_VCPUS : 0);
}

static void complete(Connection *self, const DomainJob *job, virDomainPtr *handles, DomainSnapshot *snapshot)
{
    GPtrArray *domains = snapshot->domains;
    guint lacking;

    for (guint i = 0; i < domains->len; i++) {
        const Domain *domain = domains->pdata[i];

        if (is_active(domain)) {
            self->bulk_parts |= domain->parts;
        }
    }
    lacking = ~self->bulk_parts;
    for (guint i = 0; i < domains->len; i++) {
        Domain *domain = domains->pdata[i];

        if (self->asks_each && (is_active(domain) || self->no_bulk) &&
            (lacking & (DOMAIN_HAS_CPU | DOMAIN_HAS_MEMORY))) {
            read_info(handles[i], domain);
            domain->when = g_get_monotonic_time();
        }
        /* QEMU's monitor was busy: its disks are told if it is asked. */
        if (!self->asks_each && is_active(domain) && (job->wants & DOMAIN_WANT_BLOCKS) &&
            (self->bulk_parts & ~domain->parts & DOMAIN_HAS_BLOCKS)) {
            domain->answers = FALSE;
        }
    }
    if (self->asks_each && (lacking & wanted_parts(job->wants))) {
        ask_in_turn(self, job, handles, domains);
    }
    for (guint i = 0, asked = 0; (job->wants & DOMAIN_WANT_PCPUS) && i < domains->len && asked < PCPU_DOMAINS;
         i++) {
        if (is_active(domains->pdata[i])) {
            read_vcpus(handles[i], domains->pdata[i]);
            asked++;
        }
    }
}

static unsigned int bulk_groups(DomainWants wants)
{
    return BULK_ALWAYS | (wants & DOMAIN_WANT_BLOCKS ? VIR_DOMAIN_STATS_BLOCK : 0) |
           (wants & DOMAIN_WANT_NICS ? VIR_DOMAIN_STATS_INTERFACE : 0) |
           (wants & (DOMAIN_WANT_VCPUS | DOMAIN_WANT_PCPUS) ? VIR_DOMAIN_STATS_VCPU : 0);
}

static DomainSnapshot *refresh_in_bulk(Connection *self, const DomainJob *job)
{
    unsigned int flags = self->no_nowait ? 0 : VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    virDomainStatsRecordPtr *records = NULL;
    g_autofree virDomainPtr *handles = NULL;
    DomainSnapshot *snapshot;
    int count = virConnectGetAllDomainStats(self->connection, bulk_groups(job->wants), &records, flags);

    if (count < 0 && flags != 0 &&
        (virGetLastErrorCode() == VIR_ERR_INVALID_ARG ||
         virGetLastErrorCode() == VIR_ERR_ARGUMENT_UNSUPPORTED)) {
        self->no_nowait = TRUE;
        count = virConnectGetAllDomainStats(self->connection, bulk_groups(job->wants), &records, 0);
    }
    if (count < 0) {
        return NULL;
    }
    snapshot = domain_snapshot_new(domain_host_ref(self->host));
    handles = g_new(virDomainPtr, MAX(count, 1));
    for (int i = 0; i < count; i++) {
        Domain *domain = new_domain(records[i]->dom);

        for (int j = 0; j < records[i]->nparams; j++) {
            const virTypedParameter *parameter = &records[i]->params[j];

            if (parameter->type == VIR_TYPED_PARAM_STRING) {
                domain_fields_take_text(domain, parameter->field, parameter->value.s);
            } else {
                domain_fields_take_number(domain, parameter->field, typed_number(parameter));
            }
        }
        domain_fields_finish(domain);
        domain->when = snapshot->when;
        handles[i] = records[i]->dom;
        g_ptr_array_add(snapshot->domains, domain);
    }
    complete(self, job, handles, snapshot);
    virDomainStatsRecordListFree(records);
    return snapshot;
}

static DomainSnapshot *refresh_one_by_one(Connection *self, const DomainJob *job)
{
    virDomainPtr *handles = NULL;
    DomainSnapshot *snapshot;
    int count = virConnectListAllDomains(self->connection, &handles, 0);

    if (count < 0) {
        return NULL;
    }
    snapshot = domain_snapshot_new(domain_host_ref(self->host));
    for (int i = 0; i < count; i++) {
        Domain *domain = new_domain(handles[i]);

        domain->when = snapshot->when;
        g_ptr_array_add(snapshot->domains, domain);
    }
    complete(self, job, handles, snapshot);
    for (int i = 0; i < count; i++) {
        virDomainFree(handles[i]);
    }
    free(handles);
    return snapshot;
}

static DomainSnapshot *refresh(gpointer data, const DomainJob *job, GError **error)
{
    Connection *self = data;
    DomainSnapshot *snapshot = NULL;

    if (!ensure_connection(self, error)) {
        return NULL;
    }
    if (!self->no_bulk) {
        snapshot = refresh_in_bulk(self, job);
        self->no_bulk = snapshot == NULL && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
    }
    if (self->no_bulk) {
        snapshot = refresh_one_by_one(self, job);
    }
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
                    guint64 value = typed_number(&parameters[j]);

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
    case DOMAIN_ACTION_SET_BALLOON:
        status = virDomainSetMemoryFlags(handle, (unsigned long)job->value, VIR_DOMAIN_AFFECT_LIVE);
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
    g_free(self->uri);
    g_free(self->why);
    g_free(self);
}

static const DomainBlocking blocking = {refresh, ask_detail, act, new_uri, free_connection};

DomainSource *domain_source_new_libvirt(const char *uri, DomainSourceFlags flags, GError **error)
{
    Connection *self = g_new0(Connection, 1);
    DomainSource *source = domain_worker_new(&blocking, uri != NULL ? uri : "libvirt", &self->worker);

    domain_worker_ref(self->worker);
    self->uri = g_strdup(uri);
    self->writable = (flags & DOMAIN_SOURCE_WRITABLE) != 0;
    self->lifecycle_callback = -1;
    self->devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)domain_xml_free);
    domain_worker_set_self(self->worker, self);
    return source;
}
