// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/pc.h"

#include "host-vmm/hw/acpi-pm.h"
#include "host-vmm/hw/cmos-rtc.h"
#include "host-vmm/hw/i8042.h"

/* The keyboard controller's command port, where there is no controller: its reset line is the way that every
 * kernel tries when all else has failed. Its status says that it is idle: kernels wait for that before they pull
 * the line, reading it 65,536 times if they must. */
#define KBC_RESET 0xfe

struct Pc {
    IoBus *ports;
    PciDevice *host_bridge, *isa_bridge;
    CmosRtc *rtc;
    AcpiPm *pm;
    CpuHotplug *cpu_hotplug; /* NULL: none comes or goes */
    PcRequestFunc request;
    gpointer user_data;
    gboolean has_kbc_port;
};

static guint64 kbc_read(gpointer device, guint64 offset, guint size)
{
    return 0;
}

static void kbc_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    Pc *pc = device;
    if ((value & 0xff) == KBC_RESET) {
        pc->request(PC_RESET, pc->user_data);
    }
}

static const IoBusOps KBC_OPS = {kbc_read, kbc_write};

static void power_off(gpointer data)
{
    Pc *pc = data;
    pc->request(PC_POWER_OFF, pc->user_data);
}

static void reset_control(gpointer data)
{
    Pc *pc = data;
    pc->request(PC_RESET, pc->user_data);
}

Pc *pc_new(DeviceEnv *env, PcRequestFunc request, gpointer user_data, GError **error)
{
    static const PciIdentity i440fx = {.vendor = 0x8086,
                                       .device = 0x1237,
                                       .subsystem_vendor = 0x1af4,
                                       .subsystem = 0x1100,
                                       .revision = 2,
                                       .class_code = 0x060000};
    static const PciIdentity piix3 = {.vendor = 0x8086,
                                      .device = 0x7000,
                                      .subsystem_vendor = 0x1af4,
                                      .subsystem = 0x1100,
                                      .class_code = 0x060100};
    Pc *pc = g_new0(Pc, 1);
    pc->ports = env->ports;
    pc->request = request;
    pc->user_data = user_data;
    pci_bus_set_reset_func(env->pci, reset_control, pc);
    if (!(pc->host_bridge = pci_device_new(env->pci, "i440FX", &i440fx, 0, 0, 0, error)) ||
        !(pc->isa_bridge = pci_device_new(env->pci, "PIIX3", &piix3, 1, 0, 0, error)) ||
        !(pc->rtc = cmos_rtc_new(env->ports, env->vm, error)) ||
        !(pc->pm = acpi_pm_new(env->ports, env->vm, power_off, pc, error))) {
        pc_free(pc);
        return NULL;
    }
    return pc;
}

gboolean pc_complete(Pc *pc, DeviceEnv *env, GError **error)
{
    pc->has_kbc_port = !i8042_find(env) && io_bus_map(env->ports, I8042_COMMAND_PORT, 1, &KBC_OPS, pc, error);
    return pc->has_kbc_port || i8042_find(env);
}

void pc_free(Pc *pc)
{
    if (!pc) {
        return;
    }
    if (pc->has_kbc_port) {
        io_bus_unmap(pc->ports, I8042_COMMAND_PORT);
    }
    cpu_hotplug_free(pc->cpu_hotplug);
    acpi_pm_free(pc->pm);
    cmos_rtc_free(pc->rtc);
    g_clear_pointer(&pc->isa_bridge, pci_device_free);
    g_clear_pointer(&pc->host_bridge, pci_device_free);
    g_free(pc);
}

void pc_reset(Pc *pc)
{
    acpi_pm_reset(pc->pm);
    if (pc->cpu_hotplug) {
        cpu_hotplug_reset(pc->cpu_hotplug);
    }
    cmos_rtc_reset(pc->rtc);
}

void pc_press_power_button(Pc *pc)
{
    acpi_pm_press_power_button(pc->pm);
}

void pc_raise_gpe(Pc *pc, guint gpe)
{
    acpi_pm_raise_gpe(pc->pm, gpe);
}

gboolean pc_add_cpu_hotplug(Pc *pc, const guint32 *apic_ids, guint possible, guint present,
                            const CpuHotplugFuncs *funcs, gpointer user_data, GError **error)
{
    pc->cpu_hotplug = cpu_hotplug_new(pc->ports, apic_ids, possible, funcs, user_data, error);
    for (guint i = 0; pc->cpu_hotplug && i < present; i++) {
        cpu_hotplug_set_present(pc->cpu_hotplug, i, FALSE);
    }
    return pc->cpu_hotplug != NULL;
}

void pc_announce_cpu(Pc *pc, guint index)
{
    cpu_hotplug_set_present(pc->cpu_hotplug, index, TRUE);
    acpi_pm_raise_gpe(pc->pm, CPU_HOTPLUG_GPE);
}

void pc_request_cpu_eject(Pc *pc, guint index)
{
    cpu_hotplug_request_eject(pc->cpu_hotplug, index);
    acpi_pm_raise_gpe(pc->pm, CPU_HOTPLUG_GPE);
}
