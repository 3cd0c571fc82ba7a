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

/* What a name means. */
typedef enum {
    SLOT_NONE, /* not used here */
    SLOT_STATE,
    SLOT_CPU_TIME,
    SLOT_CPU_USER,
    SLOT_CPU_SYSTEM,
    SLOT_MEMORY,
    SLOT_VCPUS,
    SLOT_VCPUS_MAX,
    SLOT_VCPU,
    SLOT_VCPU_STATE,
    SLOT_VCPU_HALTED,
    SLOT_BLOCK,
    SLOT_BLOCK_COUNT,
    SLOT_NIC,
    SLOT_NIC_COUNT,
} SlotKind;

typedef struct Slot {
    SlotKind kind;
    guint index;  /* of the vCPU, disk or interface */
    gsize offset; /* in its record */
} Slot;

static gboolean find(const Field *fields, guint count, const char *name, gsize *offset)
{
    for (guint i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            *offset = fields[i].offset;
            return TRUE;
        }
    }
    return FALSE;
}

#define FIND(fields, name, offset) find(fields, G_N_ELEMENTS(fields), name, offset)

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

static SlotKind find_vcpu(const char *name, Slot *slot)
{
    if (strcmp(name, "current") == 0) {
        return SLOT_VCPUS;
    }
    if (strcmp(name, "maximum") == 0) {
        return SLOT_VCPUS_MAX;
    }
    name = split_index(name, &slot->index);
    return name == NULL                             ? SLOT_NONE
           : strcmp(name, "state") == 0             ? SLOT_VCPU_STATE
           : strcmp(name, "halted") == 0            ? SLOT_VCPU_HALTED
           : FIND(VCPU_FIELDS, name, &slot->offset) ? SLOT_VCPU
                                                    : SLOT_NONE;
}

static SlotKind find_block(const char *name, Slot *slot)
{
    if (strcmp(name, "count") == 0) {
        return SLOT_BLOCK_COUNT;
    }
    name = split_index(name, &slot->index);
    return name != NULL && FIND(BLOCK_FIELDS, name, &slot->offset) ? SLOT_BLOCK : SLOT_NONE;
}

static SlotKind find_nic(const char *name, Slot *slot)
{
    if (strcmp(name, "count") == 0) {
        return SLOT_NIC_COUNT;
    }
    name = split_index(name, &slot->index);
    return name != NULL && FIND(NIC_FIELDS, name, &slot->offset) ? SLOT_NIC : SLOT_NONE;
}

static SlotKind find_slot(const char *field, Slot *slot)
{
    switch (field[0]) {
    case 's':
        return strcmp(field, "state.state") == 0 ? SLOT_STATE : SLOT_NONE;
    case 'c':
        return strcmp(field, "cpu.time") == 0     ? SLOT_CPU_TIME
               : strcmp(field, "cpu.user") == 0   ? SLOT_CPU_USER
               : strcmp(field, "cpu.system") == 0 ? SLOT_CPU_SYSTEM
                                                  : SLOT_NONE;
    case 'v':
        return g_str_has_prefix(field, "vcpu.") ? find_vcpu(field + strlen("vcpu."), slot) : SLOT_NONE;
    case 'n':
        return g_str_has_prefix(field, "net.") ? find_nic(field + strlen("net."), slot) : SLOT_NONE;
    case 'b':
        if (g_str_has_prefix(field, "block.")) {
            return find_block(field + strlen("block."), slot);
        }
        return g_str_has_prefix(field, "balloon.") &&
                       FIND(MEMORY_FIELDS, field + strlen("balloon."), &slot->offset)
                   ? SLOT_MEMORY
                   : SLOT_NONE;
    default:
        return SLOT_NONE;
    }
}

static void put(gpointer record, gsize offset, guint64 value)
{
    memcpy((char *)record + offset, &value, sizeof value);
}

static gboolean take_device(Domain *domain, const Slot *slot, guint64 value)
{
    switch (slot->kind) {
    case SLOT_BLOCK:
        if (!domain_set_blocks(domain, slot->index + 1)) {
            return FALSE;
        }
        domain->parts |= DOMAIN_HAS_BLOCKS;
        put(&domain->block[slot->index], slot->offset, value);
        return TRUE;
    case SLOT_NIC:
        if (!domain_set_nics(domain, slot->index + 1)) {
            return FALSE;
        }
        domain->parts |= DOMAIN_HAS_NICS;
        put(&domain->nic[slot->index], slot->offset, value);
        return TRUE;
    default:
        if (!domain_set_vcpus(domain, slot->index + 1)) {
            return FALSE;
        }
        domain->parts |= DOMAIN_HAS_VCPUS;
        if (slot->kind == SLOT_VCPU_STATE) {
            domain->vcpu[slot->index].state =
                value <= DOMAIN_VCPU_BLOCKED ? (DomainVcpuState)value : DOMAIN_VCPU_UNKNOWN;
        } else if (slot->kind == SLOT_VCPU_HALTED) {
            domain->vcpu[slot->index].halted = value != 0;
        } else {
            put(&domain->vcpu[slot->index], slot->offset, value);
        }
        return TRUE;
    }
}

static gboolean take(Domain *domain, const Slot *slot, guint64 value)
{
    switch (slot->kind) {
    case SLOT_NONE:
        return FALSE;
    case SLOT_STATE:
        domain->state = value < DOMAIN_STATE_COUNT ? (DomainState)value : DOMAIN_STATE_NONE;
        return TRUE;
    case SLOT_CPU_TIME:
        domain->cpu_time = value;
        domain->parts |= DOMAIN_HAS_CPU;
        return TRUE;
    case SLOT_CPU_USER:
        domain->cpu_user = value;
        return TRUE;
    case SLOT_CPU_SYSTEM:
        domain->cpu_system = value;
        return TRUE;
    case SLOT_MEMORY:
        put(&domain->memory, slot->offset, value);
        domain->parts |= DOMAIN_HAS_MEMORY;
        return TRUE;
    case SLOT_VCPUS:
        domain->vcpus = (guint)MIN(value, G_MAXINT);
        return TRUE;
    case SLOT_VCPUS_MAX:
        domain->vcpus_max = (guint)MIN(value, G_MAXINT);
        return TRUE;
    case SLOT_BLOCK_COUNT:
        /* Said even if there is none; each device says its name then, which makes room for it. */
        domain->parts |= DOMAIN_HAS_BLOCKS;
        return TRUE;
    case SLOT_NIC_COUNT:
        domain->parts |= DOMAIN_HAS_NICS;
        return TRUE;
    default:
        return take_device(domain, slot, value);
    }
}

gboolean domain_fields_take_number(Domain *domain, const char *field, guint64 value)
{
    Slot slot = {0};

    slot.kind = find_slot(field, &slot);
    return take(domain, &slot, value);
}

/* ---- hints ---- */

#define MAX_HINTS 4096

typedef struct Hint {
    char field[48]; /* "vcpu.123.nested_run.sum" and alike; longer names are never used here */
    Slot slot;
} Hint;

struct DomainFieldsHint {
    GArray *hints; /* of Hint, by position */
};

DomainFieldsHint *domain_fields_hint_new(void)
{
    DomainFieldsHint *hint = g_new(DomainFieldsHint, 1);

    hint->hints = g_array_new(FALSE, TRUE, sizeof(Hint));
    return hint;
}

void domain_fields_hint_free(DomainFieldsHint *hint)
{
    g_array_unref(hint->hints);
    g_free(hint);
}

gboolean domain_fields_take_hinted(DomainFieldsHint *hint, guint position, Domain *domain, const char *field,
                                   guint64 value)
{
    Hint *known;

    if (position >= MAX_HINTS || strlen(field) >= sizeof known->field) {
        return domain_fields_take_number(domain, field, value);
    }
    if (position >= hint->hints->len) {
        g_array_set_size(hint->hints, position + 1); /* zeroed: no name, not used */
    }
    known = &g_array_index(hint->hints, Hint, position);
    if (strcmp(known->field, field) != 0) {
        known->slot = (Slot){0};
        known->slot.kind = find_slot(field, &known->slot);
        g_strlcpy(known->field, field, sizeof known->field);
    }
    return take(domain, &known->slot, value);
}

/* ---- strings ---- */

/* Takes over what was said last time, if it is the same; TRUE then. */
static gboolean share_text(GRefString **text, GRefString *last, const char *value)
{
    if (*text != NULL || last == NULL || strcmp(last, value) != 0) {
        return FALSE;
    }
    *text = g_ref_string_acquire(last);
    return TRUE;
}

gboolean domain_fields_take_text(Domain *domain, const Domain *last, const char *field, const char *value)
{
    const char *name;
    guint index;

    if (g_str_has_prefix(field, "block.")) {
        const DomainBlock *old;

        name = split_index(field + strlen("block."), &index);
        if (name == NULL || !domain_set_blocks(domain, index + 1)) {
            return FALSE;
        }
        old = last != NULL && index < last->n_blocks ? &last->block[index] : NULL;
        if (strcmp(name, "name") == 0) {
            if (!share_text(&domain->block[index].name, old != NULL ? old->name : NULL, value)) {
                domain_block_set_name(&domain->block[index], value);
            }
            return TRUE;
        }
        if (strcmp(name, "path") == 0) {
            if (!share_text(&domain->block[index].path, old != NULL ? old->path : NULL, value)) {
                domain_block_set_path(&domain->block[index], value);
            }
            return TRUE;
        }
    } else if (g_str_has_prefix(field, "net.")) {
        name = split_index(field + strlen("net."), &index);
        if (name != NULL && strcmp(name, "name") == 0 && domain_set_nics(domain, index + 1)) {
            GRefString *old = last != NULL && index < last->n_nics ? last->nic[index].name : NULL;

            if (!share_text(&domain->nic[index].name, old, value)) {
                domain_nic_set_name(&domain->nic[index], value);
            }
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
