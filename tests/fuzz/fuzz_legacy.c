// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes port and memory accesses to what a pc has beside virtio: PCI configuration, CMOS clock, power
 * management, vCPU hotplug, reset lines, serial ports with a peer that writes back. The input is a script of
 * one access after another; nothing may crash, hang, or raise what was not made.
 *
 * An access is 8 bytes: what, size, and, little-endian, a place (2) and a value (4).
 */
#include <string.h>

#include "host-vmm/hw/acpi-pm.h"
#include "host-vmm/hw/cpu-hotplug.h"
#include "host-vmm/hw/pc.h"
#include "tests/device/driver.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

#define ACCESS 8
#define VCPUS  8u

/* Where something is; other ports are tried as well. */
static const struct {
    guint16 base, count;
} places[] = {
    {0x70, 2},  {0x64, 1},  {0xcf8, 8},
    {0xcf9, 1}, {0x600, 8}, {ACPI_GPE0, ACPI_GPE0_LENGTH},
    {0x3f8, 8}, {0x2f8, 8}, {CPU_HOTPLUG_PORT, CPU_HOTPLUG_LENGTH},
};

static void on_request(PcRequest request, gpointer user_data)
{
    g_assert_true(request == PC_RESET || request == PC_POWER_OFF);
}

static void on_eject(guint index, gpointer user_data)
{
    g_assert_cmpuint(index, <, VCPUS);
    cpu_hotplug_set_absent(*(CpuHotplug **)user_data, index);
}

static void on_report(guint index, guint32 source, guint32 status, gpointer user_data)
{
    g_assert_cmpuint(index, <, VCPUS);
}

static GLogWriterOutput drop_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                 gpointer user_data)
{
    return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default(level, fields, count, NULL)
                                            : G_LOG_WRITER_HANDLED;
}

static void play(Rig *rig, Pc *pc, CpuHotplug *hotplug, const guint8 *access)
{
    static const guint8 sizes[] = {1, 2, 4, 8};
    guint what = access[0], size = sizes[access[1] % G_N_ELEMENTS(sizes)];
    guint16 place;
    guint32 value;
    memcpy(&place, access + 2, sizeof(place));
    memcpy(&value, access + 4, sizeof(value));
    guint known = access[1] >> 2;
    guint port = known < G_N_ELEMENTS(places) ? places[known].base + place % places[known].count : place;
    switch (what % 8) {
    case 0:
    case 1:
        io_bus_write(rig->env.ports, port, MIN(size, 4), value);
        break;
    case 2:
        (void)io_bus_read(rig->env.ports, port, MIN(size, 4));
        break;
    case 3: /* memory: BARs, wherever they have been moved to, and around them */
        io_bus_write(rig->env.mmio, PCI_MMIO_BASE + value, size, ((guint64)value << 32) | place);
        break;
    case 4:
        (void)io_bus_read(rig->env.mmio, PCI_MMIO_BASE + value, size);
        break;
    case 5: /* the host's side */
        if (place & 1) {
            pc_press_power_button(pc);
        } else {
            cpu_hotplug_set_present(hotplug, value % VCPUS, (place & 2) != 0);
        }
        break;
    case 6:
        cpu_hotplug_request_eject(hotplug, value % VCPUS);
        break;
    default:
        rig_settle();
        break;
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static gboolean quiet;
    if (!quiet) {
        g_log_set_writer_func(drop_log, NULL, NULL);
        quiet = TRUE;
    }
    Rig *rig = rig_new();
    Pc *pc = pc_new(&rig->env, on_request, NULL, NULL);
    guint32 apic_ids[VCPUS];
    for (guint i = 0; i < VCPUS; i++) {
        apic_ids[i] = 2 * i;
    }
    static const CpuHotplugFuncs funcs = {on_eject, on_report};
    CpuHotplug *hotplug = NULL;
    hotplug = cpu_hotplug_new(rig->env.ports, apic_ids, VCPUS, &funcs, &hotplug, NULL);
    g_assert_true(pc != NULL && hotplug != NULL);
    rig_chardev(rig, "null,id=c0");
    rig_chardev(rig, "null,id=c1");
    rig_device(rig, "isa-serial,chardev=c0,index=0");
    rig_device(rig, "isa-serial,chardev=c1,index=1");
    rig_device(rig, "virtio-rng-pci");
    rig_assign(rig);
    for (gsize at = 0; at + ACCESS <= size && at < 512 * ACCESS; at += ACCESS) {
        play(rig, pc, hotplug, data + at);
    }
    rig_reset(rig); /* lets go of the lines */
    pc_reset(pc);
    cpu_hotplug_free(hotplug);
    pc_free(pc);
    rig_free(rig);
    return 0;
}
