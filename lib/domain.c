// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MAX_VCPUS   4096
#define MAX_DEVICES 1024

const char *domain_state_name(DomainState state)
{
    static const char *const names[] = {"no state",      "running",  "blocked", "paused",
                                        "shutting down", "shut off", "crashed", "suspended"};

    return state >= 0 && (guint)state < G_N_ELEMENTS(names) ? names[state] : "unknown";
}

static GRefString *ref_text(const char *text)
{
    if (g_utf8_validate(text, -1, NULL)) {
        return g_ref_string_new_intern(text);
    }
    g_autofree char *repaired = g_utf8_make_valid(text, -1);

    return g_ref_string_new_intern(repaired);
}

static void clear_ref_text(GRefString **text)
{
    if (*text != NULL) {
        g_ref_string_release(*text);
        *text = NULL;
    }
}

/* One that is the same for the same name: the first 16 bytes of its SHA-1, marked as RFC 4122, section 4.3
 * says. */
static void uuid_from_name(const char *name, char *uuid)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    guint8 bytes[20];
    gsize length = sizeof bytes;

    g_checksum_update(sum, (const guchar *)name, -1);
    g_checksum_get_digest(sum, bytes, &length);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    for (guint i = 0; i < 16; i++) {
        uuid += sprintf(uuid, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    }
}

/* name: taken. */
static Domain *new_unknown(GRefString *name)
{
    Domain *domain = g_new0(Domain, 1);

    g_atomic_ref_count_init(&domain->references);
    domain->name = name;
    domain->id = -1;
    domain->answers = TRUE;
    domain->cpu_time = domain->cpu_user = domain->cpu_system = DOMAIN_UNKNOWN;
    memset(&domain->memory, 0xff, sizeof domain->memory); /* all DOMAIN_UNKNOWN */
    return domain;
}

Domain *domain_new(const char *name, const char *uuid)
{
    Domain *domain = new_unknown(ref_text(name));

    if (uuid != NULL) {
        g_strlcpy(domain->uuid, uuid, sizeof domain->uuid);
    } else {
        uuid_from_name(domain->name, domain->uuid);
    }
    return domain;
}

Domain *domain_new_like(const Domain *other)
{
    Domain *domain = new_unknown(g_ref_string_acquire(other->name));

    memcpy(domain->uuid, other->uuid, sizeof domain->uuid);
    domain->id = other->id;
    domain->pid = other->pid;
    return domain;
}

Domain *domain_ref(Domain *domain)
{
    g_atomic_ref_count_inc(&domain->references);
    return domain;
}

void domain_unref(Domain *domain)
{
    if (!g_atomic_ref_count_dec(&domain->references)) {
        return;
    }
    g_ref_string_release(domain->name);
    for (guint i = 0; i < domain->n_blocks; i++) {
        clear_ref_text(&domain->block[i].name);
        clear_ref_text(&domain->block[i].path);
    }
    for (guint i = 0; i < domain->n_nics; i++) {
        clear_ref_text(&domain->nic[i].name);
    }
    g_free(domain->vcpu);
    g_free(domain->block);
    g_free(domain->nic);
    g_free(domain);
}

static GRefString *acquire(GRefString *text)
{
    return text != NULL ? g_ref_string_acquire(text) : NULL;
}

/* gsize: g_memdup() has a 32-bit length, g_memdup2() came in GLib 2.68. */
static gpointer copy_array(gconstpointer array, gsize bytes)
{
    return bytes > 0 ? memcpy(g_malloc(bytes), array, bytes) : NULL;
}

Domain *domain_copy(const Domain *domain)
{
    Domain *copy = copy_array(domain, sizeof *domain);

    g_atomic_ref_count_init(&copy->references);
    acquire(copy->name);
    copy->vcpu = copy_array(domain->vcpu, domain->n_vcpus * sizeof(DomainVcpu));
    copy->block = copy_array(domain->block, domain->n_blocks * sizeof(DomainBlock));
    copy->nic = copy_array(domain->nic, domain->n_nics * sizeof(DomainNic));
    for (guint i = 0; i < copy->n_blocks; i++) {
        acquire(copy->block[i].name);
        acquire(copy->block[i].path);
    }
    for (guint i = 0; i < copy->n_nics; i++) {
        acquire(copy->nic[i].name);
    }
    return copy;
}

gboolean domain_set_vcpus(Domain *domain, guint count)
{
    if (count > MAX_VCPUS) {
        return FALSE;
    }
    if (count > domain->n_vcpus) {
        domain->vcpu = g_renew(DomainVcpu, domain->vcpu, count);
        for (guint i = domain->n_vcpus; i < count; i++) {
            domain->vcpu[i] = (DomainVcpu){i,
                                           DOMAIN_VCPU_UNKNOWN,
                                           -1,
                                           -1,
                                           DOMAIN_UNKNOWN,
                                           DOMAIN_UNKNOWN,
                                           DOMAIN_UNKNOWN,
                                           DOMAIN_UNKNOWN,
                                           DOMAIN_UNKNOWN};
        }
        domain->n_vcpus = count;
    }
    return TRUE;
}

gboolean domain_set_blocks(Domain *domain, guint count)
{
    if (count > MAX_DEVICES) {
        return FALSE;
    }
    if (count > domain->n_blocks) {
        domain->block = g_renew(DomainBlock, domain->block, count);
        memset(domain->block + domain->n_blocks, 0xff, (count - domain->n_blocks) * sizeof(DomainBlock));
        for (guint i = domain->n_blocks; i < count; i++) {
            domain->block[i].name = domain->block[i].path = NULL;
        }
        domain->n_blocks = count;
    }
    return TRUE;
}

gboolean domain_set_nics(Domain *domain, guint count)
{
    if (count > MAX_DEVICES) {
        return FALSE;
    }
    if (count > domain->n_nics) {
        domain->nic = g_renew(DomainNic, domain->nic, count);
        memset(domain->nic + domain->n_nics, 0xff, (count - domain->n_nics) * sizeof(DomainNic));
        for (guint i = domain->n_nics; i < count; i++) {
            domain->nic[i].name = NULL;
        }
        domain->n_nics = count;
    }
    return TRUE;
}

void domain_block_set_name(DomainBlock *block, const char *name)
{
    clear_ref_text(&block->name);
    block->name = ref_text(name);
}

void domain_block_set_path(DomainBlock *block, const char *path)
{
    clear_ref_text(&block->path);
    block->path = ref_text(path);
}

void domain_nic_set_name(DomainNic *nic, const char *name)
{
    clear_ref_text(&nic->name);
    nic->name = ref_text(name);
}

/* ---- host ---- */

DomainHost *domain_host_new(void)
{
    DomainHost *host = g_new0(DomainHost, 1);

    g_atomic_ref_count_init(&host->references);
    return host;
}

/* The first CPU's clock; the kernel has no better number that every machine gives. */
static guint local_mhz(void)
{
    g_autofree char *text = NULL;
    const char *at;

    if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) {
        return 0;
    }
    at = strstr(text, "cpu MHz");
    at = at != NULL ? strchr(at, ':') : NULL;
    return at != NULL ? (guint)g_ascii_strtod(at + 1, NULL) : 0;
}

/* Only root may read it. */
static char *local_uuid(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/sys/class/dmi/id/product_uuid", &text, NULL, NULL)) {
        return NULL;
    }
    g_strstrip(text);
    return g_uuid_string_is_valid(text) ? g_ascii_strdown(text, -1) : NULL;
}

DomainHost *domain_host_new_local(const char *hypervisor)
{
    DomainHost *host = domain_host_new();
    struct utsname names;
    long pages = sysconf(_SC_PHYS_PAGES);

    host->hostname = g_strdup(g_get_host_name());
    host->model = g_strdup(uname(&names) == 0 ? names.machine : "unknown");
    host->hypervisor = g_strdup(hypervisor);
    host->type = g_strdup(hypervisor);
    host->uuid = local_uuid();
    host->cpus = (guint)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
    host->max_cpus = (guint)MAX(sysconf(_SC_NPROCESSORS_CONF), 1);
    host->mhz = local_mhz();
    host->memory = pages > 0 ? (guint64)pages * (guint64)sysconf(_SC_PAGESIZE) / 1024 : 0;
    return host;
}

DomainHost *domain_host_ref(DomainHost *host)
{
    g_atomic_ref_count_inc(&host->references);
    return host;
}

void domain_host_unref(DomainHost *host)
{
    if (g_atomic_ref_count_dec(&host->references)) {
        g_free(host->hostname);
        g_free(host->model);
        g_free(host->hypervisor);
        g_free(host->type);
        g_free(host->uuid);
        g_free(host->sockets);
        g_free(host);
    }
}

/* ---- snapshot ---- */

DomainSnapshot *domain_snapshot_new(DomainHost *host)
{
    DomainSnapshot *snapshot = g_new0(DomainSnapshot, 1);

    g_atomic_ref_count_init(&snapshot->references);
    snapshot->host = host;
    snapshot->domains = g_ptr_array_new_with_free_func((GDestroyNotify)domain_unref);
    snapshot->when = g_get_monotonic_time();
    return snapshot;
}

DomainSnapshot *domain_snapshot_ref(DomainSnapshot *snapshot)
{
    g_atomic_ref_count_inc(&snapshot->references);
    return snapshot;
}

void domain_snapshot_unref(DomainSnapshot *snapshot)
{
    if (g_atomic_ref_count_dec(&snapshot->references)) {
        domain_host_unref(snapshot->host);
        g_ptr_array_unref(snapshot->domains);
        g_free(snapshot);
    }
}

/* ---- detail ---- */

static void clear_limits(gpointer data)
{
    g_free(((DomainLimits *)data)->block);
}

DomainDetail *domain_detail_new(void)
{
    DomainDetail *detail = g_new0(DomainDetail, 1);

    detail->limits = g_array_new(FALSE, TRUE, sizeof(DomainLimits));
    g_array_set_clear_func(detail->limits, clear_limits);
    detail->load[0] = detail->load[1] = detail->load[2] = -1;
    detail->ksm_shared = DOMAIN_UNKNOWN;
    return detail;
}

DomainLimits *domain_detail_add_limits(DomainDetail *detail, const char *block)
{
    DomainLimits limits = {.block = g_strdup(block)};

    g_array_append_val(detail->limits, limits);
    return &g_array_index(detail->limits, DomainLimits, detail->limits->len - 1);
}

void domain_detail_free(DomainDetail *detail)
{
    g_array_unref(detail->limits);
    g_free(detail->os_name);
    g_free(detail->kernel);
    g_free(detail->guest_host);
    g_free(detail->agent_note);
    g_free(detail);
}
