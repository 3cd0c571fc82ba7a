// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/hw/cpu-hotplug.h"

/* Offsets: reads, writes. */
#define REG_SELECTOR 0 /* read: command data 2 */
#define REG_FLAGS    4
#define REG_COMMAND  5
#define REG_DATA     8

#define FLAG_ENABLED 0x01
#define FLAG_INSERT  0x02 /* written: forget this event */
#define FLAG_REMOVE  0x04
#define FLAG_EJECT   0x08

enum {
    COMMAND_NEXT_WITH_EVENT,
    COMMAND_OST_EVENT,
    COMMAND_OST_STATUS,
    COMMAND_ARCH_ID,
    COMMAND_LAST = COMMAND_ARCH_ID
};

typedef struct Slot {
    guint32 apic_id;
    gboolean present, inserted, removing;
    guint32 ost_event;
} Slot;

struct CpuHotplug {
    IoBus *ports;
    CpuHotplugFuncs funcs;
    gpointer user_data;
    guint count;
    GMutex lock;      /* guards what follows */
    guint32 selector; /* >= count: nothing is selected */
    guint8 command;
    Slot slots[];
};

static Slot *selected(CpuHotplug *hotplug)
{
    return hotplug->selector < hotplug->count ? &hotplug->slots[hotplug->selector] : NULL;
}

static guint64 hotplug_read(gpointer device, guint64 offset, guint size)
{
    CpuHotplug *hotplug = device;
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&hotplug->lock);
    const Slot *slot = selected(hotplug);
    if (!slot) {
        return 0;
    }
    if (offset == REG_FLAGS) {
        return (slot->present ? FLAG_ENABLED : 0) | (slot->inserted ? FLAG_INSERT : 0) |
               (slot->removing ? FLAG_REMOVE : 0);
    }
    if (offset == REG_DATA && size == 4) {
        return hotplug->command == COMMAND_NEXT_WITH_EVENT ? hotplug->selector
               : hotplug->command == COMMAND_ARCH_ID       ? slot->apic_id
                                                           : 0;
    }
    return 0;
}

static void select_next_with_event(CpuHotplug *hotplug)
{
    for (guint i = 0; i < hotplug->count; i++) {
        guint index = (hotplug->selector + i) % hotplug->count;
        if (hotplug->slots[index].inserted || hotplug->slots[index].removing) {
            hotplug->selector = index;
            return;
        }
    }
}

static void hotplug_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    CpuHotplug *hotplug = device;
    gboolean eject = FALSE, report = FALSE;
    guint32 source = 0;
    g_mutex_lock(&hotplug->lock);
    if (offset == REG_SELECTOR && size == 4) {
        hotplug->selector = (guint32)value;
    }
    guint index = hotplug->selector;
    Slot *slot = selected(hotplug);
    if (slot && offset == REG_FLAGS) {
        slot->inserted &= !(value & FLAG_INSERT);
        slot->removing &= !(value & FLAG_REMOVE);
        eject = (value & FLAG_EJECT) && slot->present && index != 0; /* the first vCPU stays */
        slot->present &= !eject;
    } else if (slot && offset == REG_COMMAND) {
        hotplug->command = (guint8)MIN(value, COMMAND_LAST + 1);
        if (value == COMMAND_NEXT_WITH_EVENT) {
            select_next_with_event(hotplug);
        }
    } else if (slot && offset == REG_DATA && size == 4) {
        if (hotplug->command == COMMAND_OST_EVENT) {
            slot->ost_event = (guint32)value;
        } else if (hotplug->command == COMMAND_OST_STATUS) {
            source = slot->ost_event;
            report = TRUE;
        }
    }
    g_mutex_unlock(&hotplug->lock);
    if (eject) {
        hotplug->funcs.eject(index, hotplug->user_data);
    }
    if (report) {
        hotplug->funcs.report(index, source, (guint32)value, hotplug->user_data);
    }
}

static const IoBusOps HOTPLUG_OPS = {hotplug_read, hotplug_write};

CpuHotplug *cpu_hotplug_new(IoBus *ports, const guint32 *apic_ids, guint count, const CpuHotplugFuncs *funcs,
                            gpointer user_data, GError **error)
{
    CpuHotplug *hotplug = g_malloc0(sizeof(*hotplug) + count * sizeof(Slot));
    g_mutex_init(&hotplug->lock);
    hotplug->ports = ports;
    hotplug->funcs = *funcs;
    hotplug->user_data = user_data;
    hotplug->count = count;
    for (guint i = 0; i < count; i++) {
        hotplug->slots[i].apic_id = apic_ids[i];
    }
    if (!io_bus_map(ports, CPU_HOTPLUG_PORT, CPU_HOTPLUG_LENGTH, &HOTPLUG_OPS, hotplug, error)) {
        g_mutex_clear(&hotplug->lock);
        g_free(hotplug);
        return NULL;
    }
    return hotplug;
}

void cpu_hotplug_free(CpuHotplug *hotplug)
{
    if (!hotplug) {
        return;
    }
    io_bus_unmap(hotplug->ports, CPU_HOTPLUG_PORT);
    g_mutex_clear(&hotplug->lock);
    g_free(hotplug);
}

void cpu_hotplug_reset(CpuHotplug *hotplug)
{
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&hotplug->lock);
    hotplug->selector = 0;
    hotplug->command = 0;
    for (guint i = 0; i < hotplug->count; i++) {
        hotplug->slots[i].inserted = hotplug->slots[i].removing = FALSE;
    }
}

void cpu_hotplug_set_present(CpuHotplug *hotplug, guint index, gboolean with_event)
{
    g_return_if_fail(index < hotplug->count);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&hotplug->lock);
    hotplug->slots[index].present = TRUE;
    hotplug->slots[index].removing = FALSE;
    hotplug->slots[index].inserted = with_event;
}

void cpu_hotplug_set_absent(CpuHotplug *hotplug, guint index)
{
    g_return_if_fail(index < hotplug->count);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&hotplug->lock);
    Slot *slot = &hotplug->slots[index];
    slot->present = slot->inserted = slot->removing = FALSE;
}

void cpu_hotplug_request_eject(CpuHotplug *hotplug, guint index)
{
    g_return_if_fail(index < hotplug->count);
    G_GNUC_UNUSED g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&hotplug->lock);
    hotplug->slots[index].removing = TRUE;
}
