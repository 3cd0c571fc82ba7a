// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-qmp.h"

#include <string.h>

#define PERIPHERAL "/machine/peripheral/"

/* ---- members ---- */

static JsonNode *member(JsonObject *object, const char *name)
{
    return object != NULL ? json_object_get_member(object, name) : NULL;
}

const char *domain_qmp_string(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name);

    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static guint64 number(JsonNode *node)
{
    gint64 value;

    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64) {
        return DOMAIN_UNKNOWN;
    }
    value = json_node_get_int(node);
    return value < 0 ? DOMAIN_UNKNOWN : (guint64)value; /* -1 is how guest-stats says unknown */
}

guint64 domain_qmp_uint(JsonObject *object, const char *name)
{
    return number(member(object, name));
}

JsonObject *domain_qmp_object(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name);

    return node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

guint domain_qmp_length(JsonNode *array)
{
    return array != NULL && JSON_NODE_HOLDS_ARRAY(array) ? json_array_get_length(json_node_get_array(array))
                                                         : 0;
}

JsonObject *domain_qmp_element(JsonNode *array, guint i)
{
    JsonNode *node =
        i < domain_qmp_length(array) ? json_array_get_element(json_node_get_array(array), i) : NULL;

    return node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static JsonObject *as_object(JsonNode *node)
{
    return node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static guint64 to_kib(guint64 bytes)
{
    return bytes == DOMAIN_UNKNOWN ? DOMAIN_UNKNOWN : bytes / 1024;
}

/* ---- answers ---- */

void domain_qmp_take_status(Domain *domain, JsonNode *value)
{
    /* QEMU's RunState (qapi/run-state.json) */
    static const struct {
        const char *status;
        DomainState state;
    } states[] = {
        {"running", DOMAIN_STATE_RUNNING},        {"paused", DOMAIN_STATE_PAUSED},
        {"prelaunch", DOMAIN_STATE_PAUSED},       {"inmigrate", DOMAIN_STATE_PAUSED},
        {"postmigrate", DOMAIN_STATE_PAUSED},     {"finish-migrate", DOMAIN_STATE_PAUSED},
        {"save-vm", DOMAIN_STATE_PAUSED},         {"restore-vm", DOMAIN_STATE_PAUSED},
        {"io-error", DOMAIN_STATE_PAUSED},        {"watchdog", DOMAIN_STATE_PAUSED},
        {"debug", DOMAIN_STATE_PAUSED},           {"suspended", DOMAIN_STATE_PMSUSPENDED},
        {"shutdown", DOMAIN_STATE_SHUTDOWN},      {"guest-panicked", DOMAIN_STATE_CRASHED},
        {"internal-error", DOMAIN_STATE_CRASHED},
    };
    const char *status = domain_qmp_string(as_object(value), "status");

    domain->state = DOMAIN_STATE_NONE;
    for (guint i = 0; status != NULL && i < G_N_ELEMENTS(states); i++) {
        if (strcmp(states[i].status, status) == 0) {
            domain->state = states[i].state;
        }
    }
}

void domain_qmp_take_cpus(Domain *domain, JsonNode *value, GArray *threads)
{
    guint present = 0;

    g_array_set_size(threads, 0);
    for (guint i = 0; i < domain_qmp_length(value); i++) {
        JsonObject *cpu = domain_qmp_element(value, i);
        guint64 index = domain_qmp_uint(cpu, "cpu-index");
        guint64 thread = domain_qmp_uint(cpu, "thread-id");

        if (index > G_MAXINT32 || thread == 0 || thread > G_MAXINT32 ||
            !domain_set_vcpus(domain, (guint)index + 1)) {
            continue;
        }
        if (threads->len <= index) {
            g_array_set_size(threads, (guint)index + 1); /* zeroed */
        }
        g_array_index(threads, int, index) = (int)thread;
        present++;
    }
    domain->vcpus = present;
    domain->parts |= DOMAIN_HAS_VCPUS;
}

void domain_qmp_take_balloon(Domain *domain, JsonNode *value)
{
    guint64 actual = domain_qmp_uint(as_object(value), "actual");

    if (actual != DOMAIN_UNKNOWN) {
        domain->memory.current = actual / 1024;
        domain->parts |= DOMAIN_HAS_MEMORY;
    }
}

void domain_qmp_take_guest_stats(Domain *domain, JsonNode *value)
{
    JsonObject *object = as_object(value);
    JsonObject *stats = domain_qmp_object(object, "stats");
    DomainMemory *memory = &domain->memory;

    memory->updated = domain_qmp_uint(object, "last-update");
    if (stats == NULL || memory->updated == 0) {
        return; /* the guest has not said anything yet */
    }
    memory->available = to_kib(domain_qmp_uint(stats, "stat-total-memory"));
    memory->unused = to_kib(domain_qmp_uint(stats, "stat-free-memory"));
    memory->usable = to_kib(domain_qmp_uint(stats, "stat-available-memory"));
    memory->caches = to_kib(domain_qmp_uint(stats, "stat-disk-caches"));
    memory->swap_in = to_kib(domain_qmp_uint(stats, "stat-swap-in"));
    memory->swap_out = to_kib(domain_qmp_uint(stats, "stat-swap-out"));
    memory->major_faults = domain_qmp_uint(stats, "stat-major-faults");
    memory->minor_faults = domain_qmp_uint(stats, "stat-minor-faults");
}

/* "/machine/peripheral/disk0/virtio-backend" is disk0. */
static char *short_name(const char *qdev, const char *device, const char *node)
{
    if (qdev != NULL && qdev[0] != '\0') {
        const char *begin = g_str_has_prefix(qdev, PERIPHERAL) ? qdev + strlen(PERIPHERAL) : qdev;

        return g_strndup(begin, strcspn(begin, "/"));
    }
    if (device != NULL && device[0] != '\0') {
        return g_strdup(device);
    }
    return g_strdup(node != NULL && node[0] != '\0' ? node : "?");
}

void domain_qmp_take_blockstats(Domain *domain, JsonNode *value)
{
    for (guint i = 0; i < domain_qmp_length(value); i++) {
        JsonObject *entry = domain_qmp_element(value, i);
        JsonObject *stats = domain_qmp_object(entry, "stats");
        g_autofree char *name = NULL;
        DomainBlock *block;

        if (stats == NULL || !domain_set_blocks(domain, domain->n_blocks + 1)) {
            continue;
        }
        name = short_name(domain_qmp_string(entry, "qdev"), domain_qmp_string(entry, "device"),
                          domain_qmp_string(entry, "node-name"));
        block = &domain->block[domain->n_blocks - 1];
        domain_block_set_name(block, name);
        block->rd_reqs = domain_qmp_uint(stats, "rd_operations");
        block->rd_bytes = domain_qmp_uint(stats, "rd_bytes");
        block->rd_time = domain_qmp_uint(stats, "rd_total_time_ns");
        block->wr_reqs = domain_qmp_uint(stats, "wr_operations");
        block->wr_bytes = domain_qmp_uint(stats, "wr_bytes");
        block->wr_time = domain_qmp_uint(stats, "wr_total_time_ns");
        block->fl_reqs = domain_qmp_uint(stats, "flush_operations");
        block->fl_time = domain_qmp_uint(stats, "flush_total_time_ns");
    }
    domain->parts |= DOMAIN_HAS_BLOCKS;
}

/* [{"provider": "kvm", "qom-path": …, "stats": [{"name": "exits", "value": 1}, …]}, …]: vCPUs in their order.
 */
void domain_qmp_take_vcpu_stats(Domain *domain, JsonNode *value)
{
    for (guint i = 0; i < domain_qmp_length(value) && i < domain->n_vcpus; i++) {
        JsonNode *stats = member(domain_qmp_element(value, i), "stats");

        for (guint j = 0; j < domain_qmp_length(stats); j++) {
            JsonObject *stat = domain_qmp_element(stats, j);
            const char *name = domain_qmp_string(stat, "name");

            if (g_strcmp0(name, "exits") == 0) {
                domain->vcpu[i].exits = domain_qmp_uint(stat, "value");
            } else if (g_strcmp0(name, "io_exits") == 0) {
                domain->vcpu[i].io_exits = domain_qmp_uint(stat, "value");
            }
        }
    }
}

void domain_qmp_take_limits(DomainDetail *detail, JsonNode *value)
{
    for (guint i = 0; i < domain_qmp_length(value); i++) {
        JsonObject *entry = domain_qmp_element(value, i);
        JsonObject *inserted = domain_qmp_object(entry, "inserted");
        g_autofree char *name = NULL;
        DomainLimits *limits;

        if (inserted == NULL) {
            continue;
        }
        name = short_name(domain_qmp_string(entry, "qdev"), domain_qmp_string(entry, "device"),
                          domain_qmp_string(inserted, "node-name"));
        limits = domain_detail_add_limits(detail, name);
        limits->total_bytes = domain_qmp_uint(inserted, "bps");
        limits->read_bytes = domain_qmp_uint(inserted, "bps_rd");
        limits->write_bytes = domain_qmp_uint(inserted, "bps_wr");
        limits->total_iops = domain_qmp_uint(inserted, "iops");
        limits->read_iops = domain_qmp_uint(inserted, "iops_rd");
        limits->write_iops = domain_qmp_uint(inserted, "iops_wr");
    }
}

guint domain_qmp_count_possible(JsonNode *value)
{
    guint64 count = 0;

    for (guint i = 0; i < domain_qmp_length(value); i++) {
        guint64 of_this = domain_qmp_uint(domain_qmp_element(value, i), "vcpus-count");

        count += of_this <= 4096 ? of_this : 0;
    }
    return (guint)MIN(count, G_MAXINT);
}

guint domain_qmp_count_fixed(JsonNode *value)
{
    guint count = 0;

    for (guint i = 0; i < domain_qmp_length(value); i++) {
        const char *path = domain_qmp_string(domain_qmp_element(value, i), "qom-path");

        count += path != NULL && !g_str_has_prefix(path, "/machine/peripheral/");
    }
    return count;
}

char *domain_qmp_find_device(JsonNode *list, const char *type)
{
    g_autofree char *child = g_strdup_printf("child<%s>", type);

    for (guint i = 0; i < domain_qmp_length(list); i++) {
        JsonObject *row = domain_qmp_element(list, i);
        const char *name = domain_qmp_string(row, "name");

        if (name != NULL && g_strcmp0(domain_qmp_string(row, "type"), child) == 0) {
            return g_strconcat(PERIPHERAL, name, NULL);
        }
    }
    return NULL;
}
