// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machines' forms of lines.h: JSON and Prometheus.
 */
#include <json-glib/json-glib.h>
#include <string.h>

#include "virt-top/lines.h"

/* ---- JSON ---- */

static void put_uint(JsonObject *object, const char *name, guint64 value)
{
    if (value != DOMAIN_UNKNOWN) {
        json_object_set_int_member(object, name, (gint64)MIN(value, G_MAXINT64));
    }
}

static JsonObject *json_block(const DomainBlock *block)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "name", block->name);
    put_uint(object, "rd-requests", block->rd_reqs);
    put_uint(object, "rd-bytes", block->rd_bytes);
    put_uint(object, "rd-time-ns", block->rd_time);
    put_uint(object, "wr-requests", block->wr_reqs);
    put_uint(object, "wr-bytes", block->wr_bytes);
    put_uint(object, "wr-time-ns", block->wr_time);
    put_uint(object, "flush-requests", block->fl_reqs);
    put_uint(object, "flush-time-ns", block->fl_time);
    put_uint(object, "capacity-bytes", block->capacity);
    put_uint(object, "allocation-bytes", block->allocation);
    return object;
}

static JsonObject *json_nic(const DomainNic *nic)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "name", nic->name);
    put_uint(object, "rx-bytes", nic->rx_bytes);
    put_uint(object, "rx-packets", nic->rx_packets);
    put_uint(object, "rx-errors", nic->rx_errors);
    put_uint(object, "rx-drops", nic->rx_drops);
    put_uint(object, "tx-bytes", nic->tx_bytes);
    put_uint(object, "tx-packets", nic->tx_packets);
    put_uint(object, "tx-errors", nic->tx_errors);
    put_uint(object, "tx-drops", nic->tx_drops);
    return object;
}

static JsonObject *json_vcpu(const DomainVcpu *vcpu)
{
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "number", vcpu->number);
    put_uint(object, "time-ns", vcpu->time);
    put_uint(object, "steal-ns", vcpu->delay);
    put_uint(object, "exits", vcpu->exits);
    if (vcpu->cpu >= 0) {
        json_object_set_int_member(object, "host-cpu", vcpu->cpu);
    }
    return object;
}

static JsonObject *json_row(const Row *row)
{
    const Domain *domain = row->domain;
    JsonObject *object = json_object_new();
    JsonObject *memory = json_object_new();
    JsonArray *blocks = json_array_new(), *nics = json_array_new(), *vcpus = json_array_new();

    json_object_set_string_member(object, "host", fleet_row_host(row));
    json_object_set_string_member(object, "source", domain_source_label(row->source->source));
    json_object_set_string_member(object, "name", domain->name);
    json_object_set_string_member(object, "uuid", domain->uuid);
    if (row->active) {
        json_object_set_int_member(object, "id", domain->id);
    }
    json_object_set_string_member(object, "state", domain_state_name(domain->state));
    json_object_set_boolean_member(object, "stale", fleet_is_stale(row));
    json_object_set_int_member(object, "vcpus", domain->vcpus);
    put_uint(object, "cpu-time-ns", domain->cpu_time);
    if (row->before != NULL && !row->old) {
        json_object_set_double_member(object, "seconds", row->seconds);
        json_object_set_double_member(object, "cpu-percent", row->cpu_percent);
        if (row->steal_percent >= 0) {
            json_object_set_double_member(object, "steal-percent", row->steal_percent);
        }
    }
    put_uint(memory, "maximum-kib", domain->memory.maximum);
    put_uint(memory, "current-kib", domain->memory.current);
    put_uint(memory, "rss-kib", domain->memory.rss);
    put_uint(memory, "available-kib", domain->memory.available);
    put_uint(memory, "unused-kib", domain->memory.unused);
    put_uint(memory, "usable-kib", domain->memory.usable);
    json_object_set_object_member(object, "memory", memory);
    for (guint i = 0; i < domain->n_vcpus; i++) {
        json_array_add_object_element(vcpus, json_vcpu(&domain->vcpu[i]));
    }
    for (guint i = 0; i < domain->n_blocks; i++) {
        json_array_add_object_element(blocks, json_block(&domain->block[i]));
    }
    for (guint i = 0; i < domain->n_nics; i++) {
        json_array_add_object_element(nics, json_nic(&domain->nic[i]));
    }
    json_object_set_array_member(object, "vcpu", vcpus);
    json_object_set_array_member(object, "block", blocks);
    json_object_set_array_member(object, "net", nics);
    return object;
}

static JsonArray *json_hosts(const Fleet *fleet)
{
    JsonArray *hosts = json_array_new();

    for (guint i = 0; i < fleet->sources->len; i++) {
        const FleetSource *source = fleet->sources->pdata[i];
        JsonObject *object = json_object_new();

        json_object_set_string_member(object, "source", domain_source_label(source->source));
        if (source->snapshot != NULL) {
            const DomainHost *host = source->snapshot->host;

            json_object_set_string_member(object, "host", host->hostname);
            json_object_set_string_member(object, "hypervisor",
                                          host->hypervisor != NULL ? host->hypervisor : "?");
            json_object_set_int_member(object, "cpus", host->cpus);
            put_uint(object, "memory-kib", host->memory);
        }
        if (source->problem != NULL) {
            json_object_set_string_member(object, "problem", source->problem);
        }
        json_array_add_object_element(hosts, object);
    }
    return hosts;
}

void lines_json(GString *out, const Fleet *fleet, gint64 now)
{
    JsonObject *object = json_object_new();
    JsonArray *domains = json_array_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *text = NULL;

    json_object_set_int_member(object, "time", now);
    json_object_set_array_member(object, "sources", json_hosts(fleet));
    for (guint i = 0; i < fleet->rows->len; i++) {
        json_array_add_object_element(domains, json_row(fleet->rows->pdata[i]));
    }
    json_object_set_array_member(object, "domains", domains);
    json_node_take_object(node, object);
    text = json_to_string(node, FALSE);
    json_node_unref(node);
    g_string_append(out, text);
    g_string_append_c(out, '\n');
}

/* ---- Prometheus ---- */

static void label_value(GString *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"') {
            g_string_append_c(out, '\\');
            g_string_append_c(out, *p);
        } else if (*p == '\n') {
            g_string_append(out, "\\n");
        } else {
            g_string_append_c(out, *p);
        }
    }
}

typedef struct Metric {
    const char *name, *unit, *help;
    gboolean counter;
} Metric;

static void head(GString *out, const Metric *metric, gboolean openmetrics)
{
    const char *suffix = metric->counter && !openmetrics ? "_total" : "";

    g_string_append_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", metric->name, suffix, metric->help,
                           metric->name, suffix, metric->counter ? "counter" : "gauge");
    if (openmetrics && metric->unit != NULL) {
        g_string_append_printf(out, "# UNIT %s %s\n", metric->name, metric->unit);
    }
}

/* name{host="…",domain="…",uuid="…"[,label="value"]} value */
static void sample(GString *out, const Metric *metric, const Row *row, const char *label, const char *text,
                   double value)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf(out, "%s%s{host=\"", metric->name, metric->counter ? "_total" : "");
    label_value(out, fleet_row_host(row));
    g_string_append(out, "\",domain=\"");
    label_value(out, row->domain->name);
    g_string_append_printf(out, "\",uuid=\"%s\"", row->domain->uuid);
    if (label != NULL) {
        g_string_append_printf(out, ",%s=\"", label);
        label_value(out, text);
        g_string_append_c(out, '"');
    }
    g_string_append_printf(out, "} %s\n", g_ascii_formatd(number, sizeof number, "%.17g", value));
}

typedef gboolean (*Value)(const Domain *domain, guint i, double *value);

static gboolean scaled(guint64 number, double factor, double *value)
{
    *value = (double)number * factor;
    return number != DOMAIN_UNKNOWN;
}

#define GETTER(name, field, factor)                                                                          \
    static gboolean name(const Domain *domain, guint i, double *value)                                       \
    {                                                                                                        \
        return scaled(domain->field, factor, value);                                                         \
    }
GETTER(get_cpu, cpu_time, 1e-9)
GETTER(get_memory, memory.current, 1024)
GETTER(get_memory_maximum, memory.maximum, 1024)
GETTER(get_rss, memory.rss, 1024)
GETTER(get_usable, memory.usable, 1024)
GETTER(get_unused, memory.unused, 1024)
GETTER(get_vcpus, vcpus, 1)
GETTER(get_vcpu_time, vcpu[i].time, 1e-9)
GETTER(get_vcpu_delay, vcpu[i].delay, 1e-9)
GETTER(get_vcpu_exits, vcpu[i].exits, 1)
GETTER(get_rd_reqs, block[i].rd_reqs, 1)
GETTER(get_rd_bytes, block[i].rd_bytes, 1)
GETTER(get_rd_time, block[i].rd_time, 1e-9)
GETTER(get_wr_reqs, block[i].wr_reqs, 1)
GETTER(get_wr_bytes, block[i].wr_bytes, 1)
GETTER(get_wr_time, block[i].wr_time, 1e-9)
GETTER(get_rx_bytes, nic[i].rx_bytes, 1)
GETTER(get_rx_packets, nic[i].rx_packets, 1)
GETTER(get_rx_drops, nic[i].rx_drops, 1)
GETTER(get_tx_bytes, nic[i].tx_bytes, 1)
GETTER(get_tx_packets, nic[i].tx_packets, 1)
GETTER(get_tx_drops, nic[i].tx_drops, 1)

typedef enum { OF_DOMAIN, OF_VCPU, OF_BLOCK, OF_NIC } Of;

static const struct {
    Metric metric;
    Of of;
    Value value;
} METRICS[] = {
    {{"virt_domain_cpu_seconds", "seconds", "CPU time used by the guest and its monitor.", TRUE},
     OF_DOMAIN,
     get_cpu},
    {{"virt_domain_memory_bytes", "bytes", "Memory that the balloon leaves the guest."},
     OF_DOMAIN,
     get_memory},
    {{"virt_domain_memory_maximum_bytes", "bytes", "Memory that the guest could have."},
     OF_DOMAIN,
     get_memory_maximum},
    {{"virt_domain_memory_resident_bytes", "bytes", "Resident memory of the monitor's process."},
     OF_DOMAIN,
     get_rss},
    {{"virt_domain_memory_usable_bytes", "bytes",
      "Memory that the guest could use without swapping, as it says."},
     OF_DOMAIN,
     get_usable},
    {{"virt_domain_memory_unused_bytes", "bytes", "Memory that the guest leaves unused, as it says."},
     OF_DOMAIN,
     get_unused},
    {{"virt_domain_vcpus", NULL, "Virtual CPUs that are plugged."}, OF_DOMAIN, get_vcpus},
    {{"virt_domain_vcpu_seconds", "seconds", "CPU time of a virtual CPU.", TRUE}, OF_VCPU, get_vcpu_time},
    {{"virt_domain_vcpu_steal_seconds", "seconds", "Time a virtual CPU waited for a host CPU.", TRUE},
     OF_VCPU,
     get_vcpu_delay},
    {{"virt_domain_vcpu_exits", NULL, "Times a virtual CPU left guest mode.", TRUE}, OF_VCPU, get_vcpu_exits},
    {{"virt_domain_block_reads", NULL, "Read requests of a disk.", TRUE}, OF_BLOCK, get_rd_reqs},
    {{"virt_domain_block_read_bytes", "bytes", "Bytes read from a disk.", TRUE}, OF_BLOCK, get_rd_bytes},
    {{"virt_domain_block_read_seconds", "seconds", "Time spent in read requests.", TRUE},
     OF_BLOCK,
     get_rd_time},
    {{"virt_domain_block_writes", NULL, "Write requests of a disk.", TRUE}, OF_BLOCK, get_wr_reqs},
    {{"virt_domain_block_written_bytes", "bytes", "Bytes written to a disk.", TRUE}, OF_BLOCK, get_wr_bytes},
    {{"virt_domain_block_write_seconds", "seconds", "Time spent in write requests.", TRUE},
     OF_BLOCK,
     get_wr_time},
    {{"virt_domain_net_receive_bytes", "bytes", "Bytes that the guest received.", TRUE},
     OF_NIC,
     get_rx_bytes},
    {{"virt_domain_net_receive_packets", NULL, "Packets that the guest received.", TRUE},
     OF_NIC,
     get_rx_packets},
    {{"virt_domain_net_receive_drops", NULL, "Packets dropped on their way to the guest.", TRUE},
     OF_NIC,
     get_rx_drops},
    {{"virt_domain_net_transmit_bytes", "bytes", "Bytes that the guest sent.", TRUE}, OF_NIC, get_tx_bytes},
    {{"virt_domain_net_transmit_packets", NULL, "Packets that the guest sent.", TRUE},
     OF_NIC,
     get_tx_packets},
    {{"virt_domain_net_transmit_drops", NULL, "Packets of the guest that were dropped.", TRUE},
     OF_NIC,
     get_tx_drops},
};

static void samples_of(GString *out, const Metric *metric, Of of, Value get, const Row *row)
{
    const Domain *domain = row->domain;
    guint count = of == OF_VCPU    ? domain->n_vcpus
                  : of == OF_BLOCK ? domain->n_blocks
                  : of == OF_NIC   ? domain->n_nics
                                   : 1;
    char number[16];

    for (guint i = 0; i < count; i++) {
        const char *label = of == OF_VCPU ? "vcpu" : of == OF_DOMAIN ? NULL : "device";
        const char *text = of == OF_BLOCK ? domain->block[i].name
                           : of == OF_NIC ? domain->nic[i].name
                                          : number;
        double value;

        g_snprintf(number, sizeof number, "%u", i);
        if (get(domain, i, &value)) {
            sample(out, metric, row, label, text, value);
        }
    }
}

void lines_prometheus(GString *out, const Fleet *fleet, gboolean openmetrics)
{
    static const Metric state = {"virt_domain_state", NULL, "1 for the state that the guest is in."};
    static const Metric up = {"virt_source_up", NULL, "Whether the source answered the last time."};

    head(out, &up, openmetrics);
    for (guint i = 0; i < fleet->sources->len; i++) {
        const FleetSource *source = fleet->sources->pdata[i];

        g_string_append(out, "virt_source_up{source=\"");
        label_value(out, domain_source_label(source->source));
        g_string_append_printf(out, "\"} %d\n", source->problem == NULL && source->snapshot != NULL);
    }
    head(out, &state, openmetrics);
    for (guint i = 0; i < fleet->rows->len; i++) {
        const Row *row = fleet->rows->pdata[i];

        sample(out, &state, row, "state", domain_state_name(row->domain->state), 1);
    }
    for (guint m = 0; m < G_N_ELEMENTS(METRICS); m++) {
        head(out, &METRICS[m].metric, openmetrics);
        for (guint i = 0; i < fleet->rows->len; i++) {
            const Row *row = fleet->rows->pdata[i];

            /* Old counters would look like a guest that stands still. */
            if (row->active && !fleet_is_stale(row)) {
                samples_of(out, &METRICS[m].metric, METRICS[m].of, METRICS[m].value, row);
            }
        }
    }
    if (openmetrics) {
        g_string_append(out, "# EOF\n");
    }
}
