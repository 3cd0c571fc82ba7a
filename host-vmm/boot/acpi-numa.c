// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/acpi-numa.h"

#define PROCESSOR_AFFINITY 0
#define MEMORY_AFFINITY    1
#define X2APIC_AFFINITY    2
#define ENABLED            1
#define SMALLEST_X2APIC_ID 255 /* ids below fit the older entry */

static void append_le(GByteArray *table, guint64 value, guint bytes)
{
    value = GUINT64_TO_LE(value);
    g_byte_array_append(table, (const guint8 *)&value, bytes);
}

static void append_processor(GByteArray *table, guint node, guint32 apic_id)
{
    if (apic_id < SMALLEST_X2APIC_ID) {
        append_le(table, PROCESSOR_AFFINITY, 1);
        append_le(table, 16, 1);
        append_le(table, node & 0xff, 1);
        append_le(table, apic_id, 1);
        append_le(table, ENABLED, 4);
        append_le(table, 0, 1);
        append_le(table, node >> 8, 3);
        append_le(table, 0, 4); /* clock domain */
    } else {
        append_le(table, X2APIC_AFFINITY, 1);
        append_le(table, 24, 1);
        append_le(table, 0, 2);
        append_le(table, node, 4);
        append_le(table, apic_id, 4);
        append_le(table, ENABLED, 4);
        append_le(table, 0, 4);
        append_le(table, 0, 4);
    }
}

static void append_memory(GByteArray *table, guint node, guint64 base, guint64 size)
{
    append_le(table, MEMORY_AFFINITY, 1);
    append_le(table, 40, 1);
    append_le(table, node, 4);
    append_le(table, 0, 2);
    append_le(table, base, 8);
    append_le(table, size, 8);
    append_le(table, 0, 4);
    append_le(table, ENABLED, 4);
    append_le(table, 0, 8);
}

void acpi_append_srat(GByteArray *table, const Numa *numa, const CpuTopology *topology)
{
    append_le(table, 1, 4); /* reserved, but one (revision 1's table revision) */
    append_le(table, 0, 8);
    guint vcpus = topology->sockets * topology->cores * topology->threads;
    for (guint i = 0; i < vcpus; i++) {
        append_processor(table, numa->node_of_vcpu[i], topology_apic_id(topology, i));
    }
    guint64 begin = 0; /* in RAM, which has no hole */
    for (guint node = 0; node < numa->count; node++) {
        guint64 end = begin + numa->nodes[node].size;
        if (begin < MIN(end, GUEST_MEMORY_LOW_LIMIT)) {
            append_memory(table, node, begin, MIN(end, GUEST_MEMORY_LOW_LIMIT) - begin);
        }
        guint64 high = MAX(begin, GUEST_MEMORY_LOW_LIMIT);
        if (high < end) {
            append_memory(table, node, GUEST_MEMORY_HIGH_START + high - GUEST_MEMORY_LOW_LIMIT, end - high);
        }
        begin = end;
    }
}

void acpi_append_slit(GByteArray *table, const Numa *numa)
{
    append_le(table, numa->count, 8);
    for (guint i = 0; i < numa->count; i++) {
        g_byte_array_append(table, numa->nodes[i].distance, numa->count);
    }
}
