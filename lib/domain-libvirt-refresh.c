// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A refresh is one virConnectGetAllDomainStats() with NOWAIT: a guest whose monitor is busy comes with what
 * is known without asking it. Where a driver's bulk record lacks a part for all guests, the part is asked for
 * each (virDomainGetInfo and others); where it has nothing but the state, guests are listed only when
 * libvirt's events say that they have changed, and asked one by one.
 */
#include "lib/domain-libvirt.h"

#include <stdlib.h>
#include <string.h>

#include "lib/domain-xml.h"

#define DEVICE_DOMAINS 64  /* guests whose devices are asked for at a refresh, where each has to be asked */
#define PCPU_DOMAINS   512 /* the same for the host CPUs of vCPUs */
#define MAX_VCPUS      4096
#define BUSY_PAUSE_US  30000                 /* before a guest that was busy is asked once more */
#define LIST_AGE_US    (10 * G_USEC_PER_SEC) /* how long events are trusted to tell all */
#define BULK_ALWAYS    (VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON)

guint64 domain_libvirt_number(const virTypedParameter *parameter)
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

/* ---- who they are ---- */

void domain_libvirt_forget(Connection *self)
{
    g_hash_table_remove_all(self->devices);
    g_ptr_array_set_size(self->last, 0);
    g_ptr_array_set_size(self->handles, 0);
}

/* Each of libvirt's functions for a guest formats its UUID for a log that nobody reads, which at a thousand
 * guests is most of a refresh: so no more of them are called than are needed. */
Domain *domain_libvirt_new_domain(virDomainPtr handle)
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

/* Nothing has come, gone, been started, stopped or renamed since the last refresh, as far as events tell. */
static gboolean is_same(const Connection *self, guint changes)
{
    return self->lifecycle_callback >= 0 && changes == self->changes &&
           g_get_monotonic_time() - self->listed_at < LIST_AGE_US;
}

static void remember(Connection *self, const DomainSnapshot *snapshot)
{
    g_ptr_array_set_size(self->last, 0);
    for (guint i = 0; i < snapshot->domains->len; i++) {
        g_ptr_array_add(self->last, domain_ref(snapshot->domains->pdata[i]));
    }
}

/* ---- what is asked of one guest ---- */

/* FALSE: it has gone meanwhile. */
static gboolean read_info(virDomainPtr handle, Domain *domain)
{
    virDomainInfo info;

    if (virDomainGetInfo(handle, &info) != 0) {
        return FALSE;
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
    return TRUE;
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

/* ---- all of them ---- */

/* handles: of the same guests. What the bulk records of all guests lack, and the host CPUs of vCPUs. */
static void complete(Connection *self, const DomainJob *job, virDomainPtr *handles, DomainSnapshot *snapshot)
{
    GPtrArray *domains = snapshot->domains;

    if (self->asks_each && (~self->bulk_parts & wanted_parts(job->wants))) {
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

/* QEMU's monitor was busy, or stuck: its disks are told if it is asked, else at most their names. */
static gboolean is_busy(const Connection *self, const Domain *domain)
{
    for (guint i = 0; i < domain->n_blocks; i++) {
        if (domain->block[i].rd_reqs != DOMAIN_UNKNOWN) {
            return FALSE;
        }
    }
    return domain->n_blocks > 0 || (self->bulk_parts & ~domain->parts & DOMAIN_HAS_BLOCKS);
}

static void complete_bulk(Connection *self, const DomainJob *job, virDomainPtr *handles,
                          DomainSnapshot *snapshot)
{
    GPtrArray *domains = snapshot->domains;
    gboolean some_active = FALSE;

    for (guint i = 0; i < domains->len; i++) {
        const Domain *domain = domains->pdata[i];

        if (is_active(domain)) {
            self->bulk_parts |= domain->parts;
            some_active = TRUE;
        }
    }
    for (guint i = 0; i < domains->len; i++) {
        Domain *domain = domains->pdata[i];

        if (!is_active(domain)) {
            continue;
        }
        if (self->asks_each && (~self->bulk_parts & (DOMAIN_HAS_CPU | DOMAIN_HAS_MEMORY))) {
            read_info(handles[i], domain);
            domain->when = g_get_monotonic_time();
        }
        if (!self->asks_each && (job->wants & DOMAIN_WANT_BLOCKS) && is_busy(self, domain)) {
            domain->answers = FALSE;
        }
    }
    complete(self, job, handles, snapshot);
    self->no_bulk = self->asks_each && some_active && self->bulk_parts == 0;
}

/* last: the same guest's last record, if it is known to be that. */
static Domain *read_record(Connection *self, virDomainStatsRecordPtr record, const Domain *last)
{
    Domain *domain = last != NULL ? domain_new_like(last) : domain_libvirt_new_domain(record->dom);

    for (int i = 0; i < record->nparams; i++) {
        const virTypedParameter *parameter = &record->params[i];

        if (parameter->type == VIR_TYPED_PARAM_STRING) {
            domain_fields_take_text(domain, last, parameter->field, parameter->value.s);
        } else {
            domain_fields_take_hinted(self->hint, (guint)i, domain, parameter->field,
                                      domain_libvirt_number(parameter));
        }
    }
    domain_fields_finish(domain);
    return domain;
}

/* Guests that were busy: another client asks about them just now, most often. Those that were so the last
 * time as well are stuck. */
static void ask_again(Connection *self, const DomainJob *job, virDomainPtr *handles, DomainSnapshot *snapshot)
{
    g_autoptr(GPtrArray) busy = g_ptr_array_new();
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(guint));
    virDomainStatsRecordPtr *records = NULL;
    int count;

    for (guint i = 0; i < snapshot->domains->len; i++) {
        const Domain *domain = snapshot->domains->pdata[i];
        const Domain *last = i < self->last->len ? self->last->pdata[i] : NULL;

        if (!domain->answers && (last == NULL || last->answers || strcmp(last->uuid, domain->uuid) != 0)) {
            g_ptr_array_add(busy, handles[i]);
            g_array_append_val(places, i);
        }
    }
    if (busy->len == 0) {
        return;
    }
    g_ptr_array_add(busy, NULL);
    g_usleep(BUSY_PAUSE_US);
    count = virDomainListGetStats((virDomainPtr *)busy->pdata, bulk_groups(job->wants), &records,
                                  VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    for (int i = 0; i < count; i++) {
        Domain *domain = read_record(self, records[i], NULL);

        domain->when = g_get_monotonic_time();
        for (guint j = 0; j < places->len; j++) {
            gpointer *place = &snapshot->domains->pdata[g_array_index(places, guint, j)];

            if (!is_busy(self, domain) && strcmp(((Domain *)*place)->uuid, domain->uuid) == 0) {
                domain_unref(*place);
                *place = domain_ref(domain);
            }
        }
        domain_unref(domain);
    }
    if (count >= 0) {
        virDomainStatsRecordListFree(records);
    }
}

static DomainSnapshot *refresh_in_bulk(Connection *self, const DomainJob *job)
{
    unsigned int flags = self->no_nowait ? 0 : VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
    guint changes = domain_worker_changes(self->worker);
    gboolean same = is_same(self, changes);
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
        const Domain *last = same && (guint)i < self->last->len ? self->last->pdata[i] : NULL;
        Domain *domain;

        if (last != NULL && strcmp(virDomainGetName(records[i]->dom), last->name) != 0) {
            last = NULL;
        }
        domain = read_record(self, records[i], last);
        domain->when = snapshot->when;
        handles[i] = records[i]->dom;
        g_ptr_array_add(snapshot->domains, domain);
    }
    complete_bulk(self, job, handles, snapshot);
    if (!self->no_nowait) {
        ask_again(self, job, handles, snapshot);
    }
    virDomainStatsRecordListFree(records);
    if (!same) {
        self->changes = changes;
        self->listed_at = snapshot->when;
    }
    remember(self, snapshot);
    return snapshot;
}

static gboolean list(Connection *self)
{
    guint changes = domain_worker_changes(self->worker);
    virDomainPtr *handles = NULL;
    int count = virConnectListAllDomains(self->connection, &handles, 0);

    if (count < 0) {
        return FALSE;
    }
    g_ptr_array_set_size(self->last, 0);
    g_ptr_array_set_size(self->handles, 0);
    self->changes = changes;
    self->listed_at = g_get_monotonic_time();
    for (int i = 0; i < count; i++) {
        Domain *domain = domain_libvirt_new_domain(handles[i]);

        if (domain->id < 0) {
            domain->state = DOMAIN_STATE_SHUTOFF;
            domain->when = self->listed_at;
            read_info(handles[i], domain); /* its size; it does not change unless an event tells */
        }
        g_ptr_array_add(self->last, domain);
        g_ptr_array_add(self->handles, handles[i]);
    }
    free(handles);
    return TRUE;
}

/* The guests that are known are asked, one call each. NULL if that tells that one has gone, unless they were
 * listed just now: then what is not told of it stays unknown. */
static DomainSnapshot *ask_known(Connection *self, const DomainJob *job, gboolean just_listed)
{
    g_autoptr(DomainSnapshot) snapshot = domain_snapshot_new(domain_host_ref(self->host));

    for (guint i = 0; i < self->last->len; i++) {
        Domain *last = self->last->pdata[i];
        Domain *domain;

        if (last->id < 0) {
            g_ptr_array_add(snapshot->domains, domain_ref(last));
            continue;
        }
        domain = domain_new_like(last);
        g_ptr_array_add(snapshot->domains, domain);
        if (!read_info(self->handles->pdata[i], domain) && !just_listed) {
            return NULL;
        }
        domain->when = g_get_monotonic_time();
    }
    complete(self, job, (virDomainPtr *)self->handles->pdata, snapshot);
    remember(self, snapshot);
    return g_steal_pointer(&snapshot);
}

static DomainSnapshot *refresh_one_by_one(Connection *self, const DomainJob *job)
{
    DomainSnapshot *snapshot = NULL;

    if (self->handles->len > 0 && is_same(self, domain_worker_changes(self->worker))) {
        snapshot = ask_known(self, job, FALSE);
    }
    return snapshot != NULL ? snapshot : list(self) ? ask_known(self, job, TRUE) : NULL;
}

DomainSnapshot *domain_libvirt_refresh(Connection *self, const DomainJob *job)
{
    DomainSnapshot *snapshot = NULL;

    if (!self->no_bulk) {
        snapshot = refresh_in_bulk(self, job);
        self->no_bulk |= snapshot == NULL && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
    }
    if (self->no_bulk && snapshot == NULL) {
        snapshot = refresh_one_by_one(self, job);
    }
    return snapshot;
}
