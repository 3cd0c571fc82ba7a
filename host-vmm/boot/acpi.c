// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/boot/acpi.h"

#include <string.h>

#include "host-vmm/boot/acpi-board.h"
#include "host-vmm/boot/acpi-cpus.h"
#include "host-vmm/boot/acpi-numa.h"
#include "host-vmm/boot/aml.h"
#include "host-vmm/bus/pci.h"
#include "host-vmm/hw/acpi-pm.h"
#include "host-vmm/hw/cmos-rtc.h"
#include "host-vmm/hw/i8042.h"
#include "host-vmm/hw/vmgenid.h"

#define OEM_ID       "VSUITE"
#define OEM_TABLE_ID "HOST-VMM"
#define CREATOR_ID   "VSVM"
#define OEM_REVISION 1

/* Local APIC flags (table 5.23). */
#define LAPIC_ENABLED        1
#define LAPIC_ONLINE_CAPABLE 2 /* from MADT revision 5 on */

#define LOCAL_APIC_ADDRESS 0xfee00000u
#define IO_APIC_ADDRESS    0xfec00000u

#define RESET_PORT  0xcf9
#define RESET_VALUE 6

/* FADT flags (table 5.10) and IA-PC boot architecture flags (table 5.11). */
#define FADT_WBINVD        (1u << 0)
#define FADT_PROC_C1       (1u << 2)
#define FADT_NO_SLP_BUTTON (1u << 5)
#define FADT_NO_FIXED_RTC  (1u << 6)
#define FADT_RESET_REG     (1u << 10)
#define BOOT_LEGACY        (1u << 0)
#define BOOT_I8042         (1u << 1)
#define BOOT_NO_VGA        (1u << 2)

typedef struct __attribute__((packed)) {
    char signature[4];
    guint32 length;
    guint8 revision;
    guint8 checksum;
    char oem_id[6];
    char oem_table_id[8];
    guint32 oem_revision;
    char creator_id[4];
    guint32 creator_revision;
} TableHeader;

typedef struct __attribute__((packed)) {
    guint8 space; /* 1: system I/O */
    guint8 bits, offset, access_size;
    guint64 address;
} GenericAddress;

/* Table 5.9, revision 5. */
typedef struct __attribute__((packed)) {
    TableHeader header;
    guint32 facs, dsdt;
    guint8 reserved, preferred_profile;
    guint16 sci_interrupt;
    guint32 smi_command;
    guint8 acpi_enable, acpi_disable, s4bios_request, pstate_control;
    guint32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    guint8 pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
    guint8 gpe0_length, gpe1_length, gpe1_base, cst_control;
    guint16 c2_latency, c3_latency, flush_size, flush_stride;
    guint8 duty_offset, duty_width, day_alarm, month_alarm, century;
    guint16 boot_flags;
    guint8 reserved2;
    guint32 flags;
    GenericAddress reset_register;
    guint8 reset_value;
    guint16 arm_boot_flags;
    guint8 minor_revision;
    guint64 x_facs, x_dsdt;
    GenericAddress x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control, x_pm_timer;
    GenericAddress x_gpe0, x_gpe1, sleep_control, sleep_status;
} Fadt;
G_STATIC_ASSERT(sizeof(Fadt) == 268);

typedef struct __attribute__((packed)) {
    char signature[8];
    guint8 checksum;
    char oem_id[6];
    guint8 revision;
    guint32 rsdt;
    guint32 length;
    guint64 xsdt;
    guint8 extended_checksum;
    guint8 reserved[3];
} Rsdp;
G_STATIC_ASSERT(sizeof(Rsdp) == 36);

typedef struct Writer {
    const GuestMemory *memory;
    guint64 next; /* guest-physical address for the next table */
    gboolean failed;
} Writer;

static guint8 checksum(const void *data, gsize length)
{
    guint8 sum = 0;
    for (gsize i = 0; i < length; i++) {
        sum += ((const guint8 *)data)[i];
    }
    return (guint8)-sum;
}

static void append16(GByteArray *table, guint16 value)
{
    value = GUINT16_TO_LE(value);
    g_byte_array_append(table, (const guint8 *)&value, sizeof(value));
}

static void append32(GByteArray *table, guint32 value)
{
    value = GUINT32_TO_LE(value);
    g_byte_array_append(table, (const guint8 *)&value, sizeof(value));
}

static void append64(GByteArray *table, guint64 value)
{
    value = GUINT64_TO_LE(value);
    g_byte_array_append(table, (const guint8 *)&value, sizeof(value));
}

static void append8(GByteArray *table, guint8 value)
{
    g_byte_array_append(table, &value, 1);
}

/* A table's first 36 bytes; the rest follows, place_table() completes it. */
static GByteArray *new_table(const char *signature, guint8 revision)
{
    TableHeader header = {.revision = revision, .oem_revision = OEM_REVISION, .creator_revision = 1};
    memcpy(header.signature, signature, sizeof(header.signature));
    memcpy(header.oem_id, OEM_ID, sizeof(header.oem_id));
    memcpy(header.oem_table_id, OEM_TABLE_ID, sizeof(header.oem_table_id));
    memcpy(header.creator_id, CREATOR_ID, sizeof(header.creator_id));
    GByteArray *table = g_byte_array_new();
    g_byte_array_append(table, (const guint8 *)&header, sizeof(header));
    return table;
}

/* Fills in length and checksum, writes the table and frees it. Returns where it lies. */
static guint64 place_table(Writer *writer, GByteArray *table)
{
    TableHeader *header = (TableHeader *)table->data;
    header->length = table->len;
    header->checksum = 0;
    header->checksum = checksum(table->data, table->len);
    guint64 address = writer->next;
    writer->failed |= address + table->len > ACPI_TABLES_ADDRESS + ACPI_TABLES_SIZE ||
                      !guest_memory_write(writer->memory, address, table->data, table->len);
    writer->next = (address + table->len + 15) & ~15ull;
    g_byte_array_unref(table);
    return address;
}

/* _PRT: every slot's four pins to the I/O APIC inputs that pci.h wires them to. */
static Aml *interrupt_routing(void)
{
    Aml *rows[PCI_SLOTS * 4];
    guint count = 0;
    for (guint slot = 1; slot < PCI_SLOTS; slot++) {
        for (guint pin = 0; pin < 4; pin++) {
            Aml *row[] = {aml_int((guint64)slot << 16 | 0xffff), aml_int(pin), aml_int(0),
                          aml_int(PCI_INTX_GSI(slot, pin))};
            rows[count++] = aml_package(row, G_N_ELEMENTS(row));
        }
    }
    return aml_package(rows, count);
}

static Aml *pci_host_bridge(void)
{
    Aml *windows = aml_new();
    aml_resource_bus_range(windows, 0, 0);
    aml_resource_io(windows, 0xcf8, 8);
    aml_resource_port_window(windows, 0x0000, 0x0cf7);
    aml_resource_port_window(windows, 0x0d00, 0xffff);
    aml_resource_memory_window(windows, (guint32)PCI_MMIO_BASE, (guint32)PCI_MMIO_LIMIT);

    Aml *body = aml_name("_HID", aml_eisa_id("PNP0A03"));
    aml_append(body, aml_name("_UID", aml_int(0)));
    aml_append(body, aml_name("_CRS", aml_resources(windows)));
    aml_append(body, aml_name("_PRT", interrupt_routing()));
    return aml_device("PCI0", body);
}

static Aml *isa_device(const char *name, const char *hid, guint uid, guint16 base, guint8 length, guint irq)
{
    Aml *resources = aml_new();
    aml_resource_io(resources, base, length);
    aml_resource_irq(resources, irq);
    Aml *body = aml_name("_HID", aml_eisa_id(hid));
    aml_append(body, aml_name("_UID", aml_int(uid)));
    aml_append(body, aml_name("_CRS", aml_resources(resources)));
    return aml_device(name, body);
}

static gboolean has_nodes(const AcpiConfig *config)
{
    return config->numa && config->numa->count > 0;
}

static Aml *keyboard(void)
{
    Aml *resources = aml_new();
    aml_resource_io(resources, I8042_DATA_PORT, 1);
    aml_resource_io(resources, I8042_COMMAND_PORT, 1);
    aml_resource_irq(resources, I8042_IRQ);
    Aml *body = aml_name("_HID", aml_eisa_id("PNP0303"));
    aml_append(body, aml_name("_CRS", aml_resources(resources)));
    return aml_device("KBD_", body);
}

static GByteArray *dsdt(const AcpiConfig *config)
{
    Aml *devices = pci_host_bridge();
    aml_append(devices, isa_device("RTC_", "PNP0B00", 0, CMOS_RTC_PORT, 2, CMOS_RTC_IRQ));
    if (config->i8042) {
        aml_append(devices, keyboard());
    }
    for (guint i = 0; i < config->serial_port_count; i++) {
        char name[5];
        g_snprintf(name, sizeof(name), "COM%u", i + 1);
        aml_append(devices, isa_device(name, "PNP0501", i + 1, config->serial_ports[i].base, 8,
                                       config->serial_ports[i].irq));
    }
    GByteArray *table = new_table("DSDT", 2);
    aml_append(table, aml_scope("\\_SB_", devices));
    if (config->cpu_hotplug) {
        acpi_append_cpus(table, &config->topology,
                         config->topology.sockets * config->topology.cores * config->topology.threads,
                         has_nodes(config) ? config->numa : NULL);
    }
    if (config->pvpanic_port != 0) {
        acpi_append_pvpanic(table, config->pvpanic_port);
    }
    if (config->vmgenid) {
        acpi_append_vmgenid(table, VMGENID_ADDRESS, VMGENID_GPE);
    }
    Aml *s5[] = {aml_int(ACPI_S5_TYPE), aml_int(0), aml_int(0), aml_int(0)};
    aml_append(table, aml_name("\\_S5_", aml_package(s5, G_N_ELEMENTS(s5))));
    return table;
}

static GenericAddress io_register(guint64 address, guint8 bits)
{
    return (GenericAddress){.space = 1, .bits = bits, .access_size = bits == 8 ? 1 : 2, .address = address};
}

static GByteArray *fadt(const AcpiConfig *config, guint64 dsdt_address)
{
    Fadt fadt = {
        .dsdt = (guint32)dsdt_address,
        .sci_interrupt = ACPI_SCI,
        .pm1a_event = ACPI_PM1_EVENT,
        .pm1a_control = ACPI_PM1_CONTROL,
        .pm1_event_length = 4,
        .pm1_control_length = 2,
        .c2_latency = 0xfff, /* over 100 and 1,000: no C2, no C3 */
        .c3_latency = 0xfff,
        .century = CMOS_RTC_CENTURY,
        .boot_flags = BOOT_LEGACY | BOOT_NO_VGA | (config->i8042 ? BOOT_I8042 : 0),
        .flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLP_BUTTON | FADT_NO_FIXED_RTC | FADT_RESET_REG,
        .reset_register = io_register(RESET_PORT, 8),
        .reset_value = RESET_VALUE,
        .minor_revision = 1,
        .x_dsdt = dsdt_address,
        .x_pm1a_event = io_register(ACPI_PM1_EVENT, 32),
        .x_pm1a_control = io_register(ACPI_PM1_CONTROL, 16),
    };
    if (config->cpu_hotplug || config->vmgenid) {
        fadt.gpe0 = ACPI_GPE0;
        fadt.gpe0_length = ACPI_GPE0_LENGTH;
        fadt.x_gpe0 = io_register(ACPI_GPE0, 8 * ACPI_GPE0_LENGTH);
    }
    GByteArray *table = new_table("FACP", 5);
    g_byte_array_append(table, (const guint8 *)&fadt + sizeof(TableHeader),
                        sizeof(fadt) - sizeof(TableHeader));
    return table;
}

/* Interrupt source override (5.2.12.5). flags: polarity in bits 0-1, trigger mode in 2-3. */
static void add_override(GByteArray *table, guint8 irq, guint32 gsi, guint16 flags)
{
    append8(table, 2);
    append8(table, 10);
    append8(table, 0); /* ISA */
    append8(table, irq);
    append32(table, gsi);
    append16(table, flags);
}

static GByteArray *madt(const AcpiConfig *config)
{
    GByteArray *table = new_table("APIC", 5);
    append32(table, LOCAL_APIC_ADDRESS);
    append32(table, 1); /* the machine has 8259s too */
    guint possible = config->topology.sockets * config->topology.cores * config->topology.threads;
    for (guint i = 0; i < possible; i++) {
        gboolean present = config->is_present(i, config->present_data);
        if (present || config->cpu_hotplug) {
            acpi_append_lapic(table, i, topology_apic_id(&config->topology, i),
                              present ? LAPIC_ENABLED : LAPIC_ONLINE_CAPABLE);
        }
    }
    append8(table, 1); /* I/O APIC (5.2.12.3) */
    append8(table, 12);
    append8(table, 0);
    append8(table, 0);
    append32(table, IO_APIC_ADDRESS);
    append32(table, 0);
    add_override(table, 0, 2, 0);                  /* the timer */
    add_override(table, ACPI_SCI, ACPI_SCI, 0x0d); /* level, active high */
    append8(table, 4);                             /* every local APIC's LINT1 is NMI (5.2.12.7) */
    append8(table, 6);
    append8(table, 0xff);
    append16(table, 0);
    append8(table, 1);
    return table;
}

gboolean acpi_write_tables(const GuestMemory *memory, const AcpiConfig *config, GError **error)
{
    Writer writer = {.memory = memory, .next = ACPI_RSDP_ADDRESS + 64};
    guint64 dsdt_address = place_table(&writer, dsdt(config));
    guint64 fadt_address = place_table(&writer, fadt(config, dsdt_address));
    guint64 madt_address = place_table(&writer, madt(config));

    GByteArray *xsdt = new_table("XSDT", 1);
    append64(xsdt, fadt_address);
    append64(xsdt, madt_address);
    if (has_nodes(config)) {
        GByteArray *srat = new_table("SRAT", 3), *slit = new_table("SLIT", 1);
        acpi_append_srat(srat, config->numa, &config->topology);
        acpi_append_slit(slit, config->numa);
        append64(xsdt, place_table(&writer, srat));
        append64(xsdt, place_table(&writer, slit));
    }
    guint64 xsdt_address = place_table(&writer, xsdt);

    Rsdp rsdp = {.signature = "RSD PTR", .revision = 2, .length = sizeof(rsdp), .xsdt = xsdt_address};
    rsdp.signature[7] = ' ';
    memcpy(rsdp.oem_id, OEM_ID, sizeof(rsdp.oem_id));
    rsdp.checksum = checksum(&rsdp, 20);
    rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
    if (writer.failed || !guest_memory_write(memory, ACPI_RSDP_ADDRESS, &rsdp, sizeof(rsdp))) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "guest memory is too small for the ACPI tables");
        return FALSE;
    }
    return TRUE;
}
