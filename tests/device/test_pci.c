// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/device/driver.h"
#include "tests/check-run.h"

#define MESSAGE_BASE 0xfee00000u

/* A function with memory at BAR 0, 64-bit memory at BAR 2, MSI-X at BAR 4, INTA. */
typedef struct TestDevice {
    PciDevice *pci;
    guint64 written;
    guint64 moved_to[6]; /* as the BAR function said last */
    guint moves;
    guint window_reads, window_writes;
} TestDevice;

static Rig *rig;

static guint64 bar_read(gpointer device, guint64 offset, guint size)
{
    return 0xb0 + offset;
}

static void bar_write(gpointer user_data, guint64 offset, guint size, guint64 value)
{
    TestDevice *device = user_data;
    device->written = value;
}

static const IoBusOps bar_ops = {.read = bar_read, .write = bar_write};

static void on_bar(PciDevice *pci, guint index, guint64 address, gpointer user_data)
{
    TestDevice *device = user_data;
    device->moved_to[index] = address;
    device->moves++;
}

static void on_config(PciDevice *pci, guint offset, guint size, gboolean is_write, gpointer user_data)
{
    TestDevice *device = user_data;
    if (is_write) {
        device->window_writes++;
    } else {
        device->window_reads++;
        pci_device_config(pci)[offset] = 0x77;
    }
}

static TestDevice *add_device(int slot, guint function)
{
    static const PciIdentity identity = {.vendor = 0x1234,
                                         .device = 0x5678,
                                         .subsystem_vendor = 0x9abc,
                                         .subsystem = 0xdef0,
                                         .revision = 3,
                                         .class_code = 0x020401};
    g_autoptr(GError) error = NULL;
    TestDevice *device = g_new0(TestDevice, 1);
    device->pci = pci_device_new(rig->env.pci, "test", &identity, slot, function, 1, &error);
    ck_assert_msg(device->pci != NULL, "%s", error != NULL ? error->message : "");
    pci_device_set_bar_func(device->pci, on_bar, device);
    pci_device_add_bar(device->pci, 0, 0x2000, FALSE, &bar_ops, device);
    pci_device_add_bar(device->pci, 2, 0x100000, TRUE, &bar_ops, device);
    pci_device_add_msix(device->pci, 4, 3);
    return device;
}

static void remove_device(TestDevice *device)
{
    pci_device_free(device->pci);
    g_free(device);
}

static guint64 read_bar(guint slot, guint index)
{
    return rig_config_read(rig, slot, 0x10 + index * 4, 4);
}

START_TEST (header_is_as_made) {
    rig = rig_new();
    TestDevice *device = add_device(-1, 0);
    ck_assert_uint_eq(pci_device_slot(device->pci), 2);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0x56781234);
    ck_assert_uint_eq(rig_config_read(rig, 2, 8, 4), 0x02040103);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x2c, 4), 0xdef09abc);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x3d, 1), 1);
    ck_assert_uint_eq(rig_config_read(rig, 2, 6, 2), 0x10);
    ck_assert_uint_eq(rig_config_read(rig, 2, 2, 2), 0x5678);
    ck_assert_uint_eq(rig_config_read(rig, 2, 1, 1), 0x12);
    /* Nobody there; and registers that cannot be written. */
    ck_assert_uint_eq(rig_config_read(rig, 3, 0, 4), 0xffffffff);
    rig_config_write(rig, 2, 0, 4, 0);
    rig_config_write(rig, 2, 0x2c, 4, 0);
    rig_config_write(rig, 2, 0x3d, 1, 4);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0x56781234);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x2c, 4), 0xdef09abc);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x3d, 1), 1);
    rig_config_write(rig, 2, 0x3c, 1, 11);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x3c, 1), 11);
    remove_device(device);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0xffffffff);
    rig_free(rig);
}
END_TEST

START_TEST (configuration_ports) {
    rig = rig_new();
    TestDevice *device = add_device(2, 0);
    IoBus *ports = rig->env.ports;
    io_bus_write(ports, 0xcf8, 4, 0x80001000);
    ck_assert_uint_eq(io_bus_read(ports, 0xcf8, 4), 0x80001000);
    /* Narrow accesses to the address port are others'. */
    io_bus_write(ports, 0xcf8, 1, 0x55);
    ck_assert_uint_eq(io_bus_read(ports, 0xcf8, 4), 0x80001000);
    ck_assert_uint_eq(io_bus_read(ports, 0xcfc, 4), 0x56781234);
    ck_assert_uint_eq(io_bus_read(ports, 0xcfe, 2), 0x5678);
    ck_assert_uint_eq(io_bus_read(ports, 0xcfd, 4), 0xffffffff);
    ck_assert_uint_eq(io_bus_read(ports, 0xcfa, 4), 0xffffffff);
    /* Not enabled; another bus. */
    io_bus_write(ports, 0xcf8, 4, 0x00001000);
    ck_assert_uint_eq(io_bus_read(ports, 0xcfc, 4), 0xffffffff);
    io_bus_write(ports, 0xcf8, 4, 0x80011000);
    ck_assert_uint_eq(io_bus_read(ports, 0xcfc, 4), 0xffffffff);
    io_bus_write(ports, 0xcfc, 4, 0);
    /* The last register, and one byte of it. */
    io_bus_write(ports, 0xcf8, 4, 0x800010fc);
    ck_assert_uint_eq(io_bus_read(ports, 0xcff, 1), 0);
    io_bus_write(ports, 0xcff, 1, 0xff);
    remove_device(device);
    rig_free(rig);
}
END_TEST

static void count_reset(gpointer count)
{
    ++*(guint *)count;
}

START_TEST (reset_control_register) {
    rig = rig_new();
    guint resets = 0;
    pci_bus_set_reset_func(rig->env.pci, count_reset, &resets);
    io_bus_write(rig->env.ports, 0xcf9, 1, 2);
    ck_assert_uint_eq(resets, 0);
    ck_assert_uint_eq(io_bus_read(rig->env.ports, 0xcf9, 1), 2);
    io_bus_write(rig->env.ports, 0xcf9, 1, 6);
    ck_assert_uint_eq(resets, 1);
    /* A wide write is configuration's, whatever is in its second byte. */
    io_bus_write(rig->env.ports, 0xcf8, 4, 0x80000600);
    ck_assert_uint_eq(resets, 1);
    rig_free(rig);
}
END_TEST

START_TEST (places_are_found_and_defended) {
    rig = rig_new();
    static const PciIdentity identity = {.vendor = 1, .device = 1};
    g_autoptr(GError) error = NULL;
    PciDevice *devices[PCI_SLOTS] = {NULL};
    PciDevice *third = pci_device_new(rig->env.pci, "rng (a)", &identity, 3, 0, 0, NULL);
    ck_assert_ptr_null(pci_device_new(rig->env.pci, "rng (b)", &identity, 3, 0, 0, &error));
    ck_assert_str_eq(error->message,
                     "slot 3 function 0 is already used by 'rng (a)', cannot put 'rng (b)' there");
    g_clear_error(&error);
    ck_assert_ptr_null(pci_device_new(rig->env.pci, "x", &identity, 32, 0, 0, &error));
    g_clear_error(&error);
    ck_assert_ptr_null(pci_device_new(rig->env.pci, "x", &identity, 3, 8, 0, &error));
    g_clear_error(&error);
    for (guint i = 0; i < 29; i++) {
        devices[i] = pci_device_new(rig->env.pci, "filler", &identity, -1, 0, 0, NULL);
        ck_assert_ptr_nonnull(devices[i]);
        ck_assert_uint_eq(pci_device_slot(devices[i]), i == 0 ? 2 : i + 3);
    }
    ck_assert_ptr_null(pci_device_new(rig->env.pci, "late", &identity, -1, 0, 0, &error));
    ck_assert_str_eq(error->message, "no free PCI slot for 'late'");
    /* A second function makes both say so. */
    ck_assert_uint_eq(rig_config_read(rig, 3, 0x0e, 1), 0);
    PciDevice *function = pci_device_new(rig->env.pci, "f1", &identity, 3, 1, 0, NULL);
    ck_assert_uint_eq(rig_config_read(rig, 3, 0x0e, 1), 0x80);
    pci_device_free(function);
    ck_assert_uint_eq(rig_config_read(rig, 3, 0x0e, 1), 0);
    for (guint i = 0; i < 29; i++)
        pci_device_free(devices[i]);
    pci_device_free(third);
    rig_free(rig);
}
END_TEST

static const struct {
    const char *text;
    int slot; /* -1: an error */
    guint function;
} addresses[] = {
    {"3", 3, 0},     {"0x3", 3, 0},  {"0x1f", 31, 0},
    {"1f.7", 31, 7}, {"10", 16, 0},  {"0x2.0x1", 2, 1},
    {"20", -1, 0},   {"3.8", -1, 0}, {"", -1, 0},
    {"x", -1, 0},    {"3.", -1, 0},  {"3.1.1", -1, 0},
    {"-1", -1, 0},   {" 3", -1, 0},  {"3 ", -1, 0},
    {"0x", -1, 0},   {".1", -1, 0},  {"99999999999999999999", -1, 0},
};

START_TEST (addresses_are_parsed) {
    for (guint i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_autoptr(GError) error = NULL;
        int slot = -1;
        guint function = 0;
        gboolean ok = pci_parse_address(addresses[i].text, &slot, &function, &error);
        ck_assert_msg(ok == (addresses[i].slot >= 0), "'%s'", addresses[i].text);
        ck_assert((error == NULL) == ok);
        if (ok) {
            ck_assert_int_eq(slot, addresses[i].slot);
            ck_assert_uint_eq(function, addresses[i].function);
        }
    }
}
END_TEST

START_TEST (bars_are_sized_placed_and_moved) {
    rig = rig_new();
    TestDevice *device = add_device(2, 0);
    IoBus *mmio = rig->env.mmio;
    ck_assert_uint_eq(read_bar(2, 0), 0);
    ck_assert_uint_eq(read_bar(2, 2), 0xc);
    ck_assert_uint_eq(pci_device_bar_address(device->pci, 0), PCI_BAR_UNMAPPED);
    rig_assign(rig);
    guint64 first = read_bar(2, 0), wide = read_bar(2, 2) & ~0xfull, msix = read_bar(2, 4);
    ck_assert_uint_eq(first % 0x2000, 0);
    ck_assert_uint_eq(wide % 0x100000, 0);
    ck_assert(first >= PCI_MMIO_BASE && wide + 0xfffff <= PCI_MMIO_LIMIT && msix >= PCI_MMIO_BASE);
    ck_assert_uint_eq(rig_config_read(rig, 2, 4, 2) & 2, 2);
    ck_assert_uint_eq(device->moved_to[0], first);
    ck_assert_uint_eq(pci_device_bar_address(device->pci, 2), wide);
    ck_assert_uint_eq(io_bus_read(mmio, first + 4, 4), 0xb4);
    ck_assert_uint_eq(io_bus_read(mmio, wide + 0x44, 4), 0xf4);

    /* Sizing as Linux does it: decoding off, all ones, back. */
    rig_config_write(rig, 2, 4, 2, 0);
    ck_assert_uint_eq(io_bus_read(mmio, first, 4), 0xffffffff);
    ck_assert_uint_eq(device->moved_to[0], PCI_BAR_UNMAPPED);
    rig_config_write(rig, 2, 0x10, 4, 0xffffffff);
    ck_assert_uint_eq(read_bar(2, 0), 0xffffe000);
    rig_config_write(rig, 2, 0x14, 4, 0xffffffff);
    ck_assert_uint_eq(read_bar(2, 1), 0);
    rig_config_write(rig, 2, 0x18, 4, 0xffffffff);
    rig_config_write(rig, 2, 0x1c, 4, 0xffffffff);
    ck_assert_uint_eq(read_bar(2, 2), 0xfff0000c);
    ck_assert_uint_eq(read_bar(2, 3), 0xffffffff);
    /* Decoding on with these: nothing is mapped, nothing breaks. */
    rig_config_write(rig, 2, 4, 2, 2);
    ck_assert_uint_eq(pci_device_bar_address(device->pci, 0), PCI_BAR_UNMAPPED);
    ck_assert_uint_eq(pci_device_bar_address(device->pci, 2), PCI_BAR_UNMAPPED);

    /* Moved while decoding, above 4 GiB too. */
    rig_config_write(rig, 2, 0x10, 4, 0xe8000000);
    ck_assert_uint_eq(io_bus_read(mmio, 0xe8000000, 4), 0xb0);
    rig_config_write(rig, 2, 0x10, 4, 0xe9000000);
    ck_assert_uint_eq(io_bus_read(mmio, 0xe8000000, 4), 0xffffffff);
    ck_assert_uint_eq(io_bus_read(mmio, 0xe9000000, 4), 0xb0);
    rig_config_write(rig, 2, 0x18, 4, 0x00100000);
    rig_config_write(rig, 2, 0x1c, 4, 0x12);
    ck_assert_uint_eq(pci_device_bar_address(device->pci, 2), 0x1200100000);
    io_bus_write(mmio, 0x1200100008, 4, 42);
    ck_assert_uint_eq(device->written, 42);
    /* One byte of it. */
    rig_config_write(rig, 2, 0x1c, 1, 0x13);
    ck_assert_uint_eq(device->moved_to[2], 0x1300100000);

    /* A reset puts them back where they were assigned. */
    pci_device_reset(device->pci);
    ck_assert_uint_eq(read_bar(2, 0), first);
    ck_assert_uint_eq(pci_device_bar_address(device->pci, 2), wide);
    ck_assert_uint_eq(device->moved_to[2], wide);
    remove_device(device);
    ck_assert_uint_eq(io_bus_read(mmio, first, 4), 0xffffffff);
    rig_free(rig);
}
END_TEST

START_TEST (bars_that_collide_get_their_place_in_the_end) {
    rig = rig_new();
    TestDevice *one = add_device(2, 0), *two = add_device(3, 0);
    rig_assign(rig);
    guint64 first = read_bar(2, 0), second = read_bar(3, 0);
    ck_assert_uint_ne(first, second);
    /* They swap, the one being in the other's way meanwhile. */
    rig_config_write(rig, 2, 0x10, 4, (guint32)second);
    ck_assert_uint_eq(pci_device_bar_address(one->pci, 0), PCI_BAR_UNMAPPED);
    ck_assert_uint_eq(pci_device_bar_address(two->pci, 0), second);
    rig_config_write(rig, 3, 0x10, 4, (guint32)first);
    ck_assert_uint_eq(pci_device_bar_address(one->pci, 0), second);
    ck_assert_uint_eq(pci_device_bar_address(two->pci, 0), first);
    /* One that is added later gets what is left. */
    TestDevice *late = add_device(4, 0);
    rig_assign(rig);
    guint64 third = read_bar(4, 0);
    ck_assert(third != first && third != second && third != 0);
    ck_assert_uint_eq(pci_device_bar_address(late->pci, 0), third);
    remove_device(late);
    remove_device(two);
    remove_device(one);
    rig_free(rig);
}
END_TEST

START_TEST (no_room_for_a_bar_is_an_error) {
    rig = rig_new();
    static const PciIdentity identity = {.vendor = 1, .device = 1};
    PciDevice *device = pci_device_new(rig->env.pci, "huge", &identity, 2, 0, 0, NULL);
    pci_device_add_bar(device, 0, 1ull << 40, TRUE, &bar_ops, device);
    g_autoptr(GError) error = NULL;
    ck_assert(!pci_bus_assign(rig->env.pci, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "no room on the PCI bus for BAR 0 of 'huge'"));
    pci_device_free(device);
    rig_free(rig);
}
END_TEST

START_TEST (intx_lines_are_shared) {
    rig = rig_new();
    /* Slots 2 and 6 have the same wire. */
    TestDevice *one = add_device(2, 0), *two = add_device(6, 0);
    guint gsi = PCI_INTX_GSI(2, 0);
    ck_assert_uint_eq(gsi, PCI_INTX_GSI(6, 0));
    pci_device_set_intx(one->pci, TRUE);
    ck_assert(rig->vm.level[gsi]);
    ck_assert_uint_eq(rig_config_read(rig, 2, 6, 2) & 8, 8);
    pci_device_set_intx(two->pci, TRUE);
    pci_device_set_intx(two->pci, TRUE);
    ck_assert_uint_eq(rig->vm.line_calls, 1);
    pci_device_set_intx(one->pci, FALSE);
    ck_assert(rig->vm.level[gsi]);
    /* Interrupt disable: off the wire, still in the status. */
    rig_config_write(rig, 6, 4, 2, 0x400);
    ck_assert(!rig->vm.level[gsi]);
    ck_assert_uint_eq(rig_config_read(rig, 6, 6, 2) & 8, 8);
    rig_config_write(rig, 6, 4, 2, 0);
    ck_assert(rig->vm.level[gsi]);
    pci_device_reset(two->pci);
    ck_assert(!rig->vm.level[gsi]);
    /* Unplugged while it is up. */
    pci_device_set_intx(one->pci, TRUE);
    remove_device(one);
    ck_assert(!rig->vm.level[gsi]);
    remove_device(two);
    rig_free(rig);
}
END_TEST

/* ---- MSI-X ---- */

static guint64 table;
static guint msix_at;

static TestDevice *msix_device(void)
{
    rig = rig_new();
    TestDevice *device = add_device(2, 0);
    rig_assign(rig);
    table = read_bar(2, 4);
    msix_at = rig_config_read(rig, 2, 0x34, 1);
    ck_assert_uint_eq(rig_config_read(rig, 2, msix_at, 1), 0x11);
    ck_assert_uint_eq(rig_config_read(rig, 2, msix_at + 2, 2), 2);
    ck_assert_uint_eq(rig_config_read(rig, 2, msix_at + 4, 4), 4);
    ck_assert_uint_eq(rig_config_read(rig, 2, msix_at + 8, 4), 0x804);
    return device;
}

static void set_entry(guint vector, guint32 data, guint32 control)
{
    io_bus_write(rig->env.mmio, table + vector * 16, 4, MESSAGE_BASE);
    io_bus_write(rig->env.mmio, table + vector * 16 + 4, 4, 0);
    io_bus_write(rig->env.mmio, table + vector * 16 + 8, 4, data);
    io_bus_write(rig->env.mmio, table + vector * 16 + 12, 4, control);
}

static guint32 pending_bits(void)
{
    return (guint32)io_bus_read(rig->env.mmio, table + 0x800, 4);
}

static guint calls(void)
{
    const FakeVm *vm = &rig->vm;
    return vm->msi_adds + vm->msi_updates + vm->msi_removes + vm->irqfd_adds + vm->irqfd_removes;
}

START_TEST (msix_routes_at_first_unmask_only) {
    TestDevice *device = msix_device();
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, table + 12, 4), 1);
    set_entry(0, 1, 1);
    set_entry(1, 2, 1);
    rig_config_write(rig, 2, msix_at + 2, 2, 0xc000);
    set_entry(0, 0x41, 0);
    set_entry(1, 0x42, 1);
    ck_assert_uint_eq(calls(), 0);
    rig_config_write(rig, 2, msix_at + 2, 2, 0x8000);
    ck_assert_uint_eq(rig->vm.msi_adds, 1);
    ck_assert_uint_eq(rig->vm.irqfd_adds, 1);
    /* The same again, and masking, cost nothing. */
    guint before = calls();
    set_entry(0, 0x41, 0);
    set_entry(0, 0x41, 1);
    set_entry(0, 0x41, 0);
    rig_config_write(rig, 2, msix_at + 2, 2, 0xc000);
    rig_config_write(rig, 2, msix_at + 2, 2, 0x8000);
    ck_assert_uint_eq(calls(), before);
    /* Another target, set while masked: one update. */
    set_entry(0, 0x41, 1);
    set_entry(0, 0x51, 1);
    ck_assert_uint_eq(calls(), before);
    set_entry(0, 0x51, 0);
    ck_assert_uint_eq(calls(), before + 1);
    ck_assert_uint_eq(rig->vm.msi_updates, 1);
    pci_device_msix_notify(device->pci, 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x51), 1);
    /* Switched off: all given back. */
    rig_config_write(rig, 2, msix_at + 2, 2, 0);
    ck_assert_uint_eq(rig->vm.msi_removes, 1);
    ck_assert_uint_eq(rig->vm.irqfd_removes, 1);
    pci_device_msix_notify(device->pci, 0);
    remove_device(device);
    rig_free(rig);
}
END_TEST

START_TEST (msix_pending_fires_at_unmask) {
    TestDevice *device = msix_device();
    rig_config_write(rig, 2, msix_at + 2, 2, 0x8000);
    set_entry(0, 0x41, 0);
    set_entry(2, 0x43, 1);
    pci_device_msix_notify(device->pci, 2);
    pci_device_msix_notify(device->pci, 2);
    ck_assert_uint_eq(pending_bits(), 4);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x43), 0);
    set_entry(2, 0x43, 0);
    ck_assert_uint_eq(pending_bits(), 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x43), 1);
    /* The same with the function mask. */
    rig_config_write(rig, 2, msix_at + 2, 2, 0xc000);
    pci_device_msix_notify(device->pci, 0);
    pci_device_msix_notify(device->pci, 2);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, table + 0x800, 8), 5);
    rig_config_write(rig, 2, msix_at + 3, 1, 0x80);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x41), 1);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x43), 1);
    /* Out of range, and off: nothing. */
    pci_device_msix_notify(device->pci, 3);
    pci_device_msix_notify(device->pci, G_MAXUINT);
    pci_device_reset(device->pci);
    ck_assert(!pci_device_msix_enabled(device->pci));
    pci_device_msix_notify(device->pci, 0);
    ck_assert_uint_eq(pending_bits(), 0);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, table, 8), 0);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, table + 8, 8), 1ull << 32);
    remove_device(device);
    rig_free(rig);
}
END_TEST

START_TEST (msix_table_accesses) {
    TestDevice *device = msix_device();
    IoBus *mmio = rig->env.mmio;
    io_bus_write(mmio, table + 16, 8, 0x123fee00003);
    io_bus_write(mmio, table + 24, 8, 0xffffffff00000099);
    ck_assert_uint_eq(io_bus_read(mmio, table + 16, 8), 0x123fee00000);
    ck_assert_uint_eq(io_bus_read(mmio, table + 24, 8), 0x100000099);
    ck_assert_uint_eq(io_bus_read(mmio, table + 28, 4), 1);
    ck_assert_uint_eq(io_bus_read(mmio, table + 20, 2), 0x123);
    /* Odd sizes and places are dropped; so is what lies behind the table, and the pending bits are read-only.
     */
    io_bus_write(mmio, table + 24, 2, 7);
    io_bus_write(mmio, table + 26, 4, 7);
    io_bus_write(mmio, table + 20, 8, 7);
    io_bus_write(mmio, table + 48, 4, 7);
    io_bus_write(mmio, table + 0x800, 4, 7);
    io_bus_write(mmio, table + 0xffc, 4, 7);
    ck_assert_uint_eq(io_bus_read(mmio, table + 24, 4), 0x99);
    ck_assert_uint_eq(io_bus_read(mmio, table + 48, 4), 0);
    ck_assert_uint_eq(io_bus_read(mmio, table + 0x800, 4), 0);
    ck_assert_uint_eq(io_bus_read(mmio, table + 0xff8, 8), 0);
    ck_assert_uint_eq(io_bus_read(mmio, table + 6, 4), 0xffffffff);
    remove_device(device);
    rig_free(rig);
}
END_TEST

START_TEST (msix_and_intx_exclude_each_other) {
    TestDevice *device = msix_device();
    guint gsi = PCI_INTX_GSI(2, 0);
    pci_device_set_intx(device->pci, TRUE);
    ck_assert(rig->vm.level[gsi]);
    rig_config_write(rig, 2, msix_at + 2, 2, 0x8000);
    ck_assert(!rig->vm.level[gsi]);
    rig_config_write(rig, 2, msix_at + 2, 2, 0);
    ck_assert(rig->vm.level[gsi]);
    pci_device_set_intx(device->pci, FALSE);
    remove_device(device);
    rig_free(rig);
}
END_TEST

START_TEST (msix_without_routes_goes_on) {
    TestDevice *device = msix_device();
    rig_config_write(rig, 2, msix_at + 2, 2, 0x8000);
    rig->vm.refuse_irqfd = TRUE;
    set_entry(0, 0x41, 0);
    pci_device_msix_notify(device->pci, 0);
    ck_assert_uint_eq(rig->vm.msi_adds, rig->vm.msi_removes);
    rig->vm.refuse_irqfd = FALSE;
    rig->vm.refuse_msi = TRUE;
    set_entry(1, 0x42, 0);
    pci_device_msix_notify(device->pci, 1);
    rig->vm.refuse_msi = FALSE;
    set_entry(1, 0x42, 0);
    pci_device_msix_notify(device->pci, 1);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x42), 1);
    remove_device(device);
    rig_free(rig);
}
END_TEST

START_TEST (capabilities_and_config_func) {
    rig = rig_new();
    TestDevice *device = add_device(2, 0);
    guint8 cap = pci_device_add_capability(device->pci, 9, 6);
    guint8 next = pci_device_add_capability(device->pci, 9, 4);
    ck_assert_uint_eq(cap % 4, 0);
    ck_assert_uint_eq(next % 4, 0);
    ck_assert_uint_ge(next, cap + 6);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x34, 1), next);
    ck_assert_uint_eq(rig_config_read(rig, 2, next, 2), cap << 8 | 9);
    pci_device_set_config_func(device->pci, cap + 4, 2, on_config, device);
    ck_assert_uint_eq(rig_config_read(rig, 2, cap + 4, 1), 0x77);
    rig_config_read(rig, 2, cap, 4);
    rig_config_write(rig, 2, cap + 5, 1, 1);
    rig_config_write(rig, 2, cap + 6, 1, 1);
    ck_assert_uint_eq(device->window_reads, 1);
    ck_assert_uint_eq(device->window_writes, 1);
    remove_device(device);
    rig_free(rig);
}
END_TEST

/* Two "vCPUs" write anything into configuration space and table while a third thread raises interrupts. */

static gint threads_go;

static gpointer config_chaos(gpointer seed)
{
    GRand *random = g_rand_new_with_seed(GPOINTER_TO_UINT(seed));
    for (guint i = 0; i < 20000; i++) {
        guint offset = (guint)g_rand_int_range(random, 0, 64) * 4;
        guint32 value =
            g_rand_boolean(random) ? g_rand_int(random) : 0xe0000000u | (g_rand_int(random) & 0xfffff);
        if (g_rand_boolean(random))
            rig_config_write(rig, 2, offset, 4, value);
        else
            rig_mmio_write(rig, table + (g_rand_int(random) & 0xffc), 4, value);
    }
    g_rand_free(random);
    return NULL;
}

static gpointer interrupt_chaos(gpointer device)
{
    for (guint i = 0; g_atomic_int_get(&threads_go); i++) {
        pci_device_msix_notify(((TestDevice *)device)->pci, i % 4);
        pci_device_set_intx(((TestDevice *)device)->pci, i % 3 == 0);
    }
    return NULL;
}

START_TEST (threads_may_race) {
    TestDevice *device = msix_device();
    g_atomic_int_set(&threads_go, 1);
    GThread *interrupts = g_thread_new("interrupts", interrupt_chaos, device);
    GThread *one = g_thread_new("one", config_chaos, GUINT_TO_POINTER(1));
    GThread *two = g_thread_new("two", config_chaos, GUINT_TO_POINTER(2));
    g_thread_join(one);
    g_thread_join(two);
    g_atomic_int_set(&threads_go, 0);
    g_thread_join(interrupts);
    remove_device(device);
    rig_free(rig);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pci");
    TCase *c = tcase_create("pci");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, header_is_as_made);
    tcase_add_test(c, configuration_ports);
    tcase_add_test(c, reset_control_register);
    tcase_add_test(c, places_are_found_and_defended);
    tcase_add_test(c, addresses_are_parsed);
    tcase_add_test(c, bars_are_sized_placed_and_moved);
    tcase_add_test(c, bars_that_collide_get_their_place_in_the_end);
    tcase_add_test(c, no_room_for_a_bar_is_an_error);
    tcase_add_test(c, intx_lines_are_shared);
    tcase_add_test(c, msix_routes_at_first_unmask_only);
    tcase_add_test(c, msix_pending_fires_at_unmask);
    tcase_add_test(c, msix_table_accesses);
    tcase_add_test(c, msix_and_intx_exclude_each_other);
    tcase_add_test(c, msix_without_routes_goes_on);
    tcase_add_test(c, capabilities_and_config_func);
    tcase_add_test(c, threads_may_race);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
