// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/acpi-cpus.h"

#include "host-vmm/hw/cpu-hotplug.h"

#define NOTIFY_DEVICE_CHECK 1
#define NOTIFY_EJECT        3
#define STATUS_PRESENT      0xf /* present, enabled, shown, working (6.3.7) */

#define LAPIC_ENTRY  0
#define X2APIC_ENTRY 9

/* One letter and three hex digits name up to 4,096 of them. */
static void cpu_name(char name[5], guint index)
{
    g_snprintf(name, 5, "C%03X", index & 0xfff);
}

static void append_le(GByteArray *table, guint64 value, guint bytes)
{
    value = GUINT64_TO_LE(value);
    g_byte_array_append(table, (const guint8 *)&value, bytes);
}

void acpi_append_lapic(GByteArray *table, guint index, guint32 apic_id, guint32 flags)
{
    if (apic_id < 255) {
        append_le(table, LAPIC_ENTRY, 1);
        append_le(table, 8, 1);
        append_le(table, index, 1);
        append_le(table, apic_id, 1);
        append_le(table, flags, 4);
    } else {
        append_le(table, X2APIC_ENTRY, 1);
        append_le(table, 16, 1);
        append_le(table, 0, 2);
        append_le(table, apic_id, 4);
        append_le(table, flags, 4);
        append_le(table, index, 4);
    }
}

static void append_registers(Aml *body)
{
    aml_append(body, aml_port_region("PRST", CPU_HOTPLUG_PORT, CPU_HOTPLUG_LENGTH));
    Aml *bytes = aml_new();
    aml_field_skip(bytes, 32);
    aml_field_unit(bytes, "CPEN", 1);
    aml_field_unit(bytes, "CINS", 1);
    aml_field_unit(bytes, "CRMV", 1);
    aml_field_unit(bytes, "CEJ0", 1);
    aml_field_skip(bytes, 4);
    aml_field_unit(bytes, "CCMD", 8);
    aml_append(body, aml_field("PRST", 1, TRUE, bytes));
    Aml *words = aml_new();
    aml_field_unit(words, "CSEL", 32);
    aml_field_skip(words, 32);
    aml_field_unit(words, "CDAT", 32);
    aml_append(body, aml_field("PRST", 4, FALSE, words));
    aml_append(body, aml_mutex("CPLK"));
}

/* Method (name, arguments) { Acquire (CPLK) body Release (CPLK) [Return (Local0)] } */
static Aml *locked_method(const char *name, guint arguments, Aml *inside, gboolean returns)
{
    Aml *body = aml_acquire("CPLK");
    aml_append(body, inside);
    aml_append(body, aml_release("CPLK"));
    if (returns) {
        aml_append(body, aml_return(aml_local(0)));
    }
    return aml_method(name, arguments, body);
}

static Aml *select_cpu(void)
{
    return aml_store(aml_arg(0), aml_path("CSEL"));
}

/* CSTA (index): _STA. CEJ1 (index): _EJ0. COST (index, event, status): _OST. */
static void append_helpers(Aml *body)
{
    Aml *status = select_cpu();
    aml_append(status, aml_store(aml_int(0), aml_local(0)));
    aml_append(status, aml_if(aml_equal(aml_path("CPEN"), aml_int(1)),
                              aml_store(aml_int(STATUS_PRESENT), aml_local(0))));
    aml_append(body, locked_method("CSTA", 1, status, TRUE));

    Aml *eject = select_cpu();
    aml_append(eject, aml_store(aml_int(1), aml_path("CEJ0")));
    aml_append(body, locked_method("CEJ1", 1, eject, FALSE));

    Aml *report = select_cpu();
    aml_append(report, aml_store(aml_int(1), aml_path("CCMD")));
    aml_append(report, aml_store(aml_arg(1), aml_path("CDAT")));
    aml_append(report, aml_store(aml_int(2), aml_path("CCMD")));
    aml_append(report, aml_store(aml_arg(2), aml_path("CDAT")));
    aml_append(body, locked_method("COST", 3, report, FALSE));
}

/* CTFY (index, value): Notify to the one of that number. */
static void append_notifier(Aml *body, guint count)
{
    Aml *inside = aml_new();
    for (guint i = 0; i < count; i++) {
        char name[5];
        cpu_name(name, i);
        aml_append(inside, aml_if(aml_equal(aml_arg(0), aml_int(i)), aml_notify(name, aml_arg(1))));
    }
    aml_append(body, aml_method("CTFY", 2, inside));
}

static Aml *handle_event(const char *flag, guint value)
{
    Aml *arguments[] = {aml_path("CDAT"), aml_int(value)};
    Aml *body = aml_call("CTFY", arguments, G_N_ELEMENTS(arguments));
    aml_append(body, aml_store(aml_int(1), aml_path(flag)));
    aml_append(body, aml_store(aml_int(1), aml_local(0)));
    return aml_if(aml_equal(aml_path(flag), aml_int(1)), body);
}

/* CSCN (): tells the guest of every vCPU with an event. */
static void append_scan(Aml *body)
{
    Aml *turn = aml_store(aml_int(0), aml_local(0));
    aml_append(turn, aml_store(aml_int(0), aml_path("CCMD")));
    aml_append(turn, handle_event("CINS", NOTIFY_DEVICE_CHECK));
    aml_append(turn, aml_else(handle_event("CRMV", NOTIFY_EJECT)));
    Aml *scan = aml_store(aml_int(1), aml_local(0));
    aml_append(scan, aml_while(aml_equal(aml_local(0), aml_int(1)), turn));
    aml_append(body, locked_method("CSCN", 0, scan, FALSE));
}

static Aml *cpu_device(const CpuTopology *topology, guint index, const Numa *numa)
{
    char name[5];
    cpu_name(name, index);
    GByteArray *lapic = g_byte_array_new();
    acpi_append_lapic(lapic, index, topology_apic_id(topology, index), 1);

    Aml *body = aml_name("_HID", aml_string("ACPI0007"));
    aml_append(body, aml_name("_UID", aml_int(index)));
    if (numa) {
        aml_append(body, aml_name("_PXM", aml_int(numa->node_of_vcpu[index])));
    }
    aml_append(body, aml_name("_MAT", aml_buffer(lapic->data, lapic->len)));
    g_byte_array_unref(lapic);
    Aml *status[] = {aml_int(index)};
    aml_append(body, aml_method("_STA", 0, aml_return(aml_call("CSTA", status, 1))));
    if (index > 0) {
        Aml *eject[] = {aml_int(index)};
        aml_append(body, aml_method("_EJ0", 1, aml_call("CEJ1", eject, 1)));
    }
    Aml *report[] = {aml_int(index), aml_arg(0), aml_arg(1)};
    aml_append(body, aml_method("_OST", 3, aml_call("COST", report, G_N_ELEMENTS(report))));
    return aml_device(name, body);
}

void acpi_append_cpus(Aml *dsdt, const CpuTopology *topology, guint count, const Numa *numa)
{
    Aml *body = aml_name("_HID", aml_string("ACPI0010"));
    append_registers(body);
    append_helpers(body);
    append_notifier(body, count);
    append_scan(body);
    for (guint i = 0; i < count; i++) {
        aml_append(body, cpu_device(topology, i, numa));
    }
    aml_append(dsdt, aml_scope("\\_SB_", aml_device("CPUS", body)));

    char gpe[5];
    g_snprintf(gpe, sizeof(gpe), "_E%02X", CPU_HOTPLUG_GPE);
    aml_append(dsdt, aml_scope("\\_GPE", aml_method(gpe, 0, aml_path("\\_SB_.CPUS.CSCN"))));
}
