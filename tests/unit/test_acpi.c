// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/boot/aml.h"
#include "tests/check-run.h"

static guint8 sum(const guint8 *data, gsize length)
{
    guint8 total = 0;
    for (gsize i = 0; i < length; i++) {
        total += data[i];
    }
    return total;
}

static guint64 get(const guint8 *data, guint bytes)
{
    guint64 value = 0;
    memcpy(&value, data, bytes);
    return value;
}

/* A table's bytes, its checksum checked; *length as its header says. */
static const guint8 *table_at(GuestMemory *memory, guint64 address, const char *signature, guint32 *length)
{
    const guint8 *header = guest_memory_range(memory, address, 36);
    ck_assert_ptr_nonnull(header);
    ck_assert_mem_eq(header, signature, 4);
    *length = (guint32)get(header + 4, 4);
    const guint8 *table = guest_memory_range(memory, address, *length);
    ck_assert_ptr_nonnull(table);
    ck_assert_uint_eq(sum(table, *length), 0);
    ck_assert_uint_le(address + *length, ACPI_TABLES_ADDRESS + ACPI_TABLES_SIZE);
    return table;
}

/* Counts MADT entries of a type. */
static guint count_entries(const guint8 *madt, guint32 length, guint8 type)
{
    guint count = 0;
    for (guint32 at = 44; at < length; at += madt[at + 1]) {
        ck_assert_uint_ge(madt[at + 1], 2);
        count += madt[at] == type;
    }
    return count;
}

static gboolean is_present(guint index, gpointer user_data)
{
    return index < GPOINTER_TO_UINT(user_data);
}

static void check_tables(guint vcpus, CpuTopology topology, guint lapics, guint x2apics)
{
    static const AcpiSerialPort serial[] = {{0x3f8, 4}, {0x2f8, 3}};
    AcpiConfig config = {.topology = topology,
                         .is_present = is_present,
                         .present_data = GUINT_TO_POINTER(vcpus),
                         .cpu_hotplug = vcpus < topology.sockets * topology.cores * topology.threads,
                         .serial_ports = serial,
                         .serial_port_count = 2};
    g_autoptr(GuestMemory) memory = guest_memory_new(4 << 20, NULL);
    g_autoptr(GError) error = NULL;
    ck_assert_msg(acpi_write_tables(memory, &config, &error), "%s", error ? error->message : "");

    const guint8 *rsdp = guest_memory_range(memory, ACPI_RSDP_ADDRESS, 36);
    ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
    ck_assert_uint_eq(sum(rsdp, 20), 0);
    ck_assert_uint_eq(sum(rsdp, 36), 0);
    guint32 length;
    const guint8 *xsdt = table_at(memory, get(rsdp + 24, 8), "XSDT", &length);
    ck_assert_uint_eq(length, 36 + 2 * 8);
    guint64 fadt_address = get(xsdt + 36, 8), madt_address = get(xsdt + 44, 8);
    const guint8 *fadt = table_at(memory, fadt_address, "FACP", &length);
    ck_assert_uint_eq(get(fadt + 40, 4), get(fadt + 140, 8)); /* DSDT, twice */
    ck_assert_uint_eq(get(fadt + 46, 2), 9);                  /* SCI */
    ck_assert_uint_eq(get(fadt + 109, 2) & 2, 0);             /* no 8042 */
    ck_assert_uint_eq(get(fadt + 109, 2) & 0x20, 0);          /* a CMOS RTC is there */
    ck_assert_uint_eq(get(fadt + 120, 8), 0xcf9);             /* reset register */
    table_at(memory, get(fadt + 140, 8), "DSDT", &length);
    const guint8 *madt = table_at(memory, madt_address, "APIC", &length);
    ck_assert_uint_eq(count_entries(madt, length, 0), lapics);
    ck_assert_uint_eq(count_entries(madt, length, 9), x2apics);
    ck_assert_uint_eq(count_entries(madt, length, 1), 1); /* I/O APIC */
    ck_assert_uint_eq(count_entries(madt, length, 2), 2); /* overrides: timer, SCI */
}

START_TEST (tables_are_sound) {
    check_tables(1, (CpuTopology){1, 1, 1}, 1, 0);
    check_tables(8, (CpuTopology){2, 2, 2}, 8, 0);
    check_tables(255, (CpuTopology){255, 1, 1}, 255, 0);
    check_tables(1, (CpuTopology){255, 1, 1}, 255, 0); /* possible ones are told, and how they come */
    /* Three threads take two bits of the APIC id: ids leave the 8-bit range sooner. */
    check_tables(255, (CpuTopology){85, 1, 3}, 192, 63);
}
END_TEST

/* The first bytes of `wanted` in the DSDT: strings and names stand there as they are. */
static gboolean dsdt_has(GuestMemory *memory, guint64 address, const char *wanted, gsize count)
{
    guint32 length;
    const guint8 *dsdt = table_at(memory, address, "DSDT", &length);
    return memmem(dsdt, length, wanted, count) != NULL;
}

START_TEST (small_devices_are_told_of_if_they_are_there) {
    for (gboolean with = FALSE; with <= TRUE; with++) {
        AcpiConfig config = {.topology = {1, 1, 1},
                             .is_present = is_present,
                             .present_data = GUINT_TO_POINTER(1),
                             .i8042 = with,
                             .pvpanic_port = with ? 0x505 : 0,
                             .vmgenid = with};
        g_autoptr(GuestMemory) memory = guest_memory_new(4 << 20, NULL);
        guint32 length;
        ck_assert(acpi_write_tables(memory, &config, NULL));
        const guint8 *xsdt =
            table_at(memory, get(guest_memory_range(memory, ACPI_RSDP_ADDRESS + 24, 8), 8), "XSDT", &length);
        const guint8 *fadt = table_at(memory, get(xsdt + 36, 8), "FACP", &length);
        guint64 dsdt = get(fadt + 140, 8);
        ck_assert_uint_eq(get(fadt + 109, 2) & 2, with ? 2 : 0);          /* 8042 */
        ck_assert_uint_eq(get(fadt + 80, 4), with ? 0xafe0 : 0);          /* GPE0 */
        ck_assert(dsdt_has(memory, dsdt, "\x41\xd0\x03\x03", 4) == with); /* PNP0303 */
        ck_assert(dsdt_has(memory, dsdt, "QEMU0001", 9) == with);
        ck_assert(dsdt_has(memory, dsdt, "QEMUVGID", 9) == with);
        ck_assert(dsdt_has(memory, dsdt, "VM_Gen_Counter", 15) == with);
        ck_assert(dsdt_has(memory, dsdt, "_E05", 4) == with);
    }
}
END_TEST

START_TEST (apic_ids_give_each_level_whole_bits) {
    CpuTopology topology = {2, 3, 2};
    static const guint expected[] = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13};
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        ck_assert_uint_eq(topology_apic_id(&topology, i), expected[i]);
    }
    ck_assert_uint_eq(topology_apic_id(&(CpuTopology){4, 1, 1}, 3), 3);
}
END_TEST

/* Decodes a package length (20.2.4); returns its bytes. */
static guint package_length(const guint8 *at, guint *length)
{
    guint more = at[0] >> 6;
    *length = more ? at[0] & 0x0f : at[0] & 0x3f;
    for (guint i = 0; i < more; i++) {
        *length |= (guint)at[1 + i] << (4 + 8 * i);
    }
    return more + 1;
}

START_TEST (package_lengths_count_themselves) {
    for (guint size = 0; size < 5000; size++) {
        Aml *body = aml_new();
        g_byte_array_set_size(body, size);
        if (size > 0) {
            memset(body->data, 0, size);
        }
        Aml *device = aml_device("DEV0", body);
        guint length;
        package_length(device->data + 2, &length);
        ck_assert_uint_eq(length, device->len - 2);
        g_byte_array_unref(device);
    }
}
END_TEST

START_TEST (aml_terms_are_encoded_as_specified) {
    static const struct {
        guint64 value;
        guint8 bytes[9];
        guint length;
    } integers[] = {
        {0, {0x00}, 1},
        {1, {0x01}, 1},
        {2, {0x0a, 2}, 2},
        {0x1234, {0x0b, 0x34, 0x12}, 3},
        {0x12345678, {0x0c, 0x78, 0x56, 0x34, 0x12}, 5},
        {0x123456789abcull, {0x0e, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0}, 9},
    };
    for (guint i = 0; i < G_N_ELEMENTS(integers); i++) {
        Aml *aml = aml_int(integers[i].value);
        ck_assert_uint_eq(aml->len, integers[i].length);
        ck_assert_mem_eq(aml->data, integers[i].bytes, aml->len);
        g_byte_array_unref(aml);
    }
    Aml *id = aml_eisa_id("PNP0A03");
    ck_assert_mem_eq(id->data, "\x0c\x41\xd0\x0a\x03", 5);
    g_byte_array_unref(id);
    Aml *name = aml_name("\\_S5_", aml_string("x"));
    ck_assert_mem_eq(name->data, "\x08\\_S5_\x0dx\0", 9);
    g_byte_array_unref(name);
}
END_TEST

START_TEST (too_little_memory_is_an_error) {
    AcpiConfig config = {
        .topology = {1, 1, 1}, .is_present = is_present, .present_data = GUINT_TO_POINTER(1)};
    g_autoptr(GuestMemory) memory = guest_memory_new(0xe0000, NULL);
    g_autoptr(GError) error = NULL;
    ck_assert(!acpi_write_tables(memory, &config, &error));
    ck_assert_ptr_nonnull(error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acpi");
    TCase *tcase = tcase_create("acpi");
    tcase_add_test(tcase, tables_are_sound);
    tcase_add_test(tcase, small_devices_are_told_of_if_they_are_there);
    tcase_add_test(tcase, apic_ids_give_each_level_whole_bits);
    tcase_add_test(tcase, package_lengths_count_themselves);
    tcase_add_test(tcase, aml_terms_are_encoded_as_specified);
    tcase_add_test(tcase, too_little_memory_is_an_error);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
