// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/acpi-pm.h"

#define PWRBTN (1u << 8) /* in status and enable */
#define EVENT_BITS                                                                                           \
    (1u << 0 | 1u << 4 | 1u << 5 | 1u << 8 | 1u << 9 | 1u << 10) /* timer, BM, global, buttons, RTC */
#define SCI_EN        (1u << 0)
#define SLP_TYP_SHIFT 10
#define SLP_TYP_MASK  7u
#define SLP_EN        (1u << 13)

struct AcpiPm {
    IoBus *ports;
    VmOps *vm;
    AcpiPmPowerOffFunc power_off;
    gpointer user_data;
    GMutex lock; /* guards what follows */
    guint16 status, enable, control;
    guint16 gpe_status, gpe_enable;
    gboolean sci;
};

static void update_sci(AcpiPm *pm)
{
    gboolean level = (pm->status & pm->enable) != 0 || (pm->gpe_status & pm->gpe_enable) != 0;
    if (level != pm->sci) {
        pm->sci = level;
        pm->vm->set_line(pm->vm, ACPI_SCI, level);
    }
}

/* Both event blocks are a status register, whose bits are cleared by writing ones, and an enable register.
 * They are 16 bits wide, but may be accessed by bytes or as one of 32. */
static guint64 read_pair(AcpiPm *pm, const guint16 *status, const guint16 *enable, guint64 offset)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
    guint32 both = *status | (guint32)*enable << 16;
    return both >> (offset * 8);
}

static void write_pair(AcpiPm *pm, guint16 *status, guint16 *enable, guint16 valid, guint64 offset,
                       guint size, guint64 value)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
    guint32 mask = (guint32)(((1ull << (size * 8)) - 1) << (offset * 8));
    guint32 bits = (guint32)(value << (offset * 8)) & mask;
    *status &= (guint16)~bits;
    *enable = (guint16)(((*enable & ~(mask >> 16)) | bits >> 16) & valid);
    update_sci(pm);
}

static guint64 event_read(gpointer device, guint64 offset, guint size)
{
    AcpiPm *pm = device;
    return read_pair(pm, &pm->status, &pm->enable, offset);
}

static void event_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    AcpiPm *pm = device;
    write_pair(pm, &pm->status, &pm->enable, EVENT_BITS, offset, size, value);
}

static guint64 gpe_read(gpointer device, guint64 offset, guint size)
{
    AcpiPm *pm = device;
    return read_pair(pm, &pm->gpe_status, &pm->gpe_enable, offset);
}

static void gpe_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    AcpiPm *pm = device;
    write_pair(pm, &pm->gpe_status, &pm->gpe_enable, G_MAXUINT16, offset, size, value);
}

static guint64 control_read(gpointer device, guint64 offset, guint size)
{
    AcpiPm *pm = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
    return (guint)(pm->control | SCI_EN) >> (offset * 8);
}

static void control_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    AcpiPm *pm = device;
    gboolean off;
    {
        G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
        guint mask = size == 1 ? 0xffu << (offset * 8) : 0xffffu;
        guint written = ((pm->control & ~mask) | ((guint)(value << (offset * 8)) & mask)) & 0xffff;
        off = (written & SLP_EN) && (written >> SLP_TYP_SHIFT & SLP_TYP_MASK) == ACPI_S5_TYPE;
        pm->control = (guint16)(written & ~SLP_EN); /* SLP_EN reads as zero */
    }
    if (off) {
        pm->power_off(pm->user_data);
    }
}

static const IoBusOps EVENT_OPS = {event_read, event_write};
static const IoBusOps GPE_OPS = {gpe_read, gpe_write};
static const IoBusOps CONTROL_OPS = {control_read, control_write};

AcpiPm *acpi_pm_new(IoBus *ports, VmOps *vm, AcpiPmPowerOffFunc power_off, gpointer user_data, GError **error)
{
    AcpiPm *pm = g_new0(AcpiPm, 1);
    g_mutex_init(&pm->lock);
    pm->ports = ports;
    pm->vm = vm;
    pm->power_off = power_off;
    pm->user_data = user_data;
    if (!io_bus_map(ports, ACPI_PM1_EVENT, 4, &EVENT_OPS, pm, error) ||
        !io_bus_map(ports, ACPI_PM1_CONTROL, 2, &CONTROL_OPS, pm, error) ||
        !io_bus_map(ports, ACPI_GPE0, ACPI_GPE0_LENGTH, &GPE_OPS, pm, error)) {
        acpi_pm_free(pm);
        return NULL;
    }
    return pm;
}

void acpi_pm_free(AcpiPm *pm)
{
    if (!pm) {
        return;
    }
    io_bus_unmap(pm->ports, ACPI_PM1_EVENT);
    io_bus_unmap(pm->ports, ACPI_PM1_CONTROL);
    io_bus_unmap(pm->ports, ACPI_GPE0);
    g_mutex_clear(&pm->lock);
    g_free(pm);
}

void acpi_pm_reset(AcpiPm *pm)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
    pm->status = pm->enable = pm->control = 0;
    pm->gpe_status = pm->gpe_enable = 0;
    update_sci(pm);
}

void acpi_pm_raise_gpe(AcpiPm *pm, guint bit)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
    pm->gpe_status |= (guint16)(1u << bit);
    update_sci(pm);
}

void acpi_pm_press_power_button(AcpiPm *pm)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pm->lock);
    pm->status |= PWRBTN;
    update_sci(pm);
}
