// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-fields.h"

#include <stddef.h>
#include <string.h>

typedef struct Field {
    const char *name;
    gsize offset;
} Field;

static const Field MEMORY_FIELDS[] = {
    {"current", offsetof(DomainMemory, current)},
    {"maximum", offsetof(DomainMemory, maximum)},
    {"rss", offsetof(DomainMemory, rss)},
    {"available", offsetof(DomainMemory, available)},
    {"unused", offsetof(DomainMemory, unused)},
    {"usable", offsetof(DomainMemory, usable)},
    {"disk_caches", offsetof(DomainMemory, caches)},
    {"swap_in", offsetof(DomainMemory, swap_in)},
    {"swap_out", offsetof(DomainMemory, swap_out)},
    {"major_fault", offsetof(DomainMemory, major_faults)},
    {"minor_fault", offsetof(DomainMemory, minor_faults)},
    {"last-update", offsetof(DomainMemory, updated)},
};

static const Field BLOCK_FIELDS[] = {
    {"rd.reqs", offsetof(DomainBlock, rd_reqs)},   {"rd.bytes", offsetof(DomainBlock, rd_bytes)},
    {"rd.times", offsetof(DomainBlock, rd_time)},  {"wr.reqs", offsetof(DomainBlock, wr_reqs)},
    {"wr.bytes", offsetof(DomainBlock, wr_bytes)}, {"wr.times", offsetof(DomainBlock, wr_time)},
    {"fl.reqs", offsetof(DomainBlock, fl_reqs)},   {"fl.times", offsetof(DomainBlock, fl_time)},
    {"capacity", offsetof(DomainBlock, capacity)}, {"allocation", offsetof(DomainBlock, allocation)},
};

static const Field NIC_FIELDS[] = {
    {"rx.bytes", offsetof(DomainNic, rx_bytes)}, {"rx.pkts", offsetof(DomainNic, rx_packets)},
    {"rx.errs", offsetof(DomainNic, rx_errors)}, {"rx.drop", offsetof(DomainNic, rx_drops)},
    {"tx.bytes", offsetof(DomainNic, tx_bytes)}, {"tx.pkts", offsetof(DomainNic, tx_packets)},
    {"tx.errs", offsetof(DomainNic, tx_errors)}, {"tx.drop", offsetof(DomainNic, tx_drops)},
};

static const Field VCPU_FIELDS[] = {
    {"time", offsetof(DomainVcpu, time)},
    {"wait", offsetof(DomainVcpu, wait)},
    {"delay", offsetof(DomainVcpu, delay)},
    /* KVM's own counters, since libvirt 8.10 */
    {"exits.sum", offsetof(DomainVcpu, exits)},
    {"io_exits.sum", offsetof(DomainVcpu, io_exits)},
};

static gboolean put(gpointer record, const Field *fields, guint count, const char *name, guint64 value)
{
    for (guint i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            memcpy((char *)record + fields[i].offset, &value, sizeof value);
            return TRUE;
        }
    }
    return FALSE;
}

#define PUT(record, fields, name, value) put(record, fields, G_N_ELEMENTS(fields), name, value)

/* "3.rx.bytes" gives 3 and "rx.bytes"; NULL if there is no number, or a wild one. */
static const char *split_index(const char *text, guint *index)
{
    guint number = 0;
    const char *at = text;

    for (; g_ascii_isdigit(*at) && at - text < 6; at++) {
        number = number * 10 + (guint)(*at - '0');
    }
    if (at == text || *at != '.') {
        return NULL;
    }
    *index = number;
    return at + 1;
}

static gboolean take_vcpu(Domain *domain, const char *name, guint64 value)
{
    guint index;

    if (strcmp(name, "current") == 0) {
        domain->vcpus = (guint)MIN(value, G_MAXINT);
        return TRUE;
    }
    if (strcmp(name, "maximum") == 0) {
        domain->vcpus_max = (guint)MIN(value, G_MAXINT);
        return TRUE;
    }
    name = split_index(name, &index);
    if (name == NULL || !domain_set_vcpus(domain, index + 1)) {
        return FALSE;
    }
    domain->parts |= DOMAIN_HAS_VCPUS;
    if (strcmp(name, "state") == 0) {
        domain->vcpu[index].state =
            value <= DOMAIN_VCPU_BLOCKED ? (DomainVcpuState)value : DOMAIN_VCPU_UNKNOWN;
        return TRUE;
    }
    if (strcmp(name, "halted") == 0) {
        domain->vcpu[index].halted = value != 0;
        return TRUE;
    }
    return PUT(&domain->vcpu[index], VCPU_FIELDS, name, value);
}

static gboolean take_device(Domain *domain, gboolean block, const char *name, guint64 value)
{
    guint index;

    if (strcmp(name, "count") == 0) {
        /* Said even if there is none; each device says its name then, which makes room for it. */
        domain->parts |= block ? DOMAIN_HAS_BLOCKS : DOMAIN_HAS_NICS;
        return TRUE;
    }
    name = split_index(name, &index);
    if (name == NULL || !(block ? domain_set_blocks : domain_set_nics)(domain, index + 1)) {
        return FALSE;
    }
    domain->parts |= block ? DOMAIN_HAS_BLOCKS : DOMAIN_HAS_NICS;
    return block ? PUT(&domain->block[index], BLOCK_FIELDS, name, value)
                 : PUT(&domain->nic[index], NIC_FIELDS, name, value);
}

gboolean domain_fields_take_number(Domain *domain, const char *field, guint64 value)
{
    switch (field[0]) {
    case 's':
        if (strcmp(field, "state.state") == 0) {
            domain->state = value < DOMAIN_STATE_COUNT ? (DomainState)value : DOMAIN_STATE_NONE;
            return TRUE;
        }
        return FALSE;
    case 'c':
        if (strcmp(field, "cpu.time") == 0) {
            domain->cpu_time = value;
            domain->parts |= DOMAIN_HAS_CPU;
            return TRUE;
        }
        if (strcmp(field, "cpu.user") == 0) {
            domain->cpu_user = value;
            return TRUE;
        }
        if (strcmp(field, "cpu.system") == 0) {
            domain->cpu_system = value;
            return TRUE;
        }
        return FALSE;
    case 'v':
        return g_str_has_prefix(field, "vcpu.") && take_vcpu(domain, field + strlen("vcpu."), value);
    case 'n':
        return g_str_has_prefix(field, "net.") && take_device(domain, FALSE, field + strlen("net."), value);
    case 'b':
        if (g_str_has_prefix(field, "block.")) {
            return take_device(domain, TRUE, field + strlen("block."), value);
        }
        if (g_str_has_prefix(field, "balloon.")) {
            gboolean known = PUT(&domain->memory, MEMORY_FIELDS, field + strlen("balloon."), value);

            if (known) {
                domain->parts |= DOMAIN_HAS_MEMORY;
            }
            return known;
        }
        return FALSE;
    default:
        return FALSE;
    }
}

gboolean domain_fields_take_text(Domain *domain, const char *field, const char *value)
{
    const char *name;
    guint index;

    if (g_str_has_prefix(field, "block.")) {
        name = split_index(field + strlen("block."), &index);
        if (name == NULL || !domain_set_blocks(domain, index + 1)) {
            return FALSE;
        }
        if (strcmp(name, "name") == 0) {
            domain_block_set_name(&domain->block[index], value);
            return TRUE;
        }
        if (strcmp(name, "path") == 0) {
            domain_block_set_path(&domain->block[index], value);
            return TRUE;
        }
    } else if (g_str_has_prefix(field, "net.")) {
        name = split_index(field + strlen("net."), &index);
        if (name != NULL && strcmp(name, "name") == 0 && domain_set_nics(domain, index + 1)) {
            domain_nic_set_name(&domain->nic[index], value);
            return TRUE;
        }
    }
    return FALSE;
}

void domain_fields_finish(Domain *domain)
{
    guint online = 0;

    for (guint i = 0; i < domain->n_blocks; i++) {
        if (domain->block[i].name == NULL) {
            domain_block_set_name(&domain->block[i], "?");
        }
    }
    for (guint i = 0; i < domain->n_nics; i++) {
        if (domain->nic[i].name == NULL) {
            domain_nic_set_name(&domain->nic[i], "?");
        }
    }
    for (guint i = 0; i < domain->n_vcpus; i++) {
        online += domain->vcpu[i].state != DOMAIN_VCPU_OFFLINE;
    }
    if (domain->vcpus == 0) {
        domain->vcpus = online;
    }
    domain->vcpus_max = MAX(domain->vcpus_max, domain->vcpus);
}
