// SPDX-License-Identifier: GPL-2.0-or-later
/* The balloon's part of hostile. What a driver gives back is the host's, and reads as zeroes: any page of RAM
 * may. */
#include <string.h>

#include "host-vmm/virtio/virtio-balloon.h"
#include "tests/device/hostile-private.h"

#define LIST      (ARENA + 0x6000) /* of page numbers, or statistics */
#define LIST_SIZE 128u

enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING, QUEUES };

void hostile_balloon_add(Hostile *self)
{
    self->queues = QUEUES;
    rig_device(self->rig, "virtio-balloon-pci,id=b0,deflate-on-oom=on,free-page-reporting=on");
}

void hostile_balloon_step(Hostile *self)
{
    guint8 list[LIST_SIZE];
    guint what = (guint)hostile_take(self, 1);
    guint queue = what % QUEUES;
    guint64 place = LIST;
    guint32 length = 4 * (guint32)(hostile_take(self, 1) % (LIST_SIZE / 4 + 1));
    HostileDesc desc = {place, length, 0, 0};
    for (guint i = 0; i < sizeof list; i += 4) {
        /* Rows of pages that are there, and others. */
        guint32 page = (guint32)(hostile_take(self, 1) % (RIG_RAM >> 12) + i / 4);
        if ((what & 0x30) == 0x30)
            page = (guint32)hostile_take(self, 4);
        memcpy(list + i, &page, sizeof page);
    }
    hostile_poke(self, LIST, list, sizeof list);
    if (queue == QUEUE_REPORTING)
        desc = (HostileDesc){(guint64)(what & 0xff) << 16, (guint32)hostile_take(self, 2) << 4, 2, 0};
    if ((what & 0xc0) == 0xc0)
        virtio_balloon_set_target(virtio_balloon_find(&self->rig->env), hostile_take(self, 4));
    hostile_poke(self, hostile_ring_page(queue, 0), &desc, sizeof desc);
    hostile_offer_first(self, queue);
}

/* What QMP asks of it. */
void hostile_balloon_peer(Hostile *self, guint what)
{
    Device *device = virtio_balloon_find(&self->rig->env);
    const DeviceProperty *property = device->type->properties;
    if (what % 2 == 0) {
        for (; property->name != NULL; property++)
            json_node_unref(property->get(device, NULL));
        return;
    }
    g_autoptr(JsonNode) interval = json_node_init_int(json_node_alloc(), what / 2 % 3);
    for (; property->name != NULL; property++) {
        if (property->set != NULL)
            property->set(device, interval, NULL);
    }
}

static gboolean is_zero(gpointer byte)
{
    return *(guint8 *)byte == 0;
}

void hostile_balloon_check_alive(Hostile *self)
{
    Driver *driver = self->driver;
    DriverQueue *queue = driver_setup_queue(driver, QUEUE_INFLATE, 32);
    driver_ok(driver);
    guint64 page = CANARY, list = driver_alloc(driver, 4);
    guint32 number = (guint32)(page >> 12);
    memset(guest_memory_range(self->rig->memory, page, 4096), 1, 4096);
    memcpy(guest_memory_range(self->rig->memory, list, 4), &number, sizeof number);
    DriverBuffer buffer = {list, 4, FALSE};
    driver_add(driver, queue, &buffer, 1);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    rig_wait(is_zero, guest_memory_range(self->rig->memory, page, 1));
}
