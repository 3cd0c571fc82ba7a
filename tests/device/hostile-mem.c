// SPDX-License-Identifier: GPL-2.0-or-later
/* The part of hostile that is virtio-mem's: requests that are all right but for what the script makes wrong.
 */
#include <string.h>

#include "host-vmm/virtio/virtio-mem.h"
#include "tests/device/hostile-private.h"

#define REQUEST (ARENA + 0x6000)
#define ANSWER  (ARENA + 0x6800)
#define SIZE    (16ull << 20)
#define BASE    (4ull << 30) /* the rig's RAM is below */
#define BLOCK   (2ull << 20)

typedef struct MemRequest {
    guint16 type, padding[3];
    guint64 address;
    guint16 blocks, more_padding[3];
} MemRequest;

void hostile_mem_add(Hostile *self)
{
    self->queues = 1;
    guest_memory_set_room(self->rig->memory, SIZE);
    rig_object(self->rig, "memory-backend-ram,id=m,size=16M");
    rig_device(self->rig, "virtio-mem-pci,id=mem0,memdev=m,requested-size=8M");
}

void hostile_mem_step(Hostile *self)
{
    guint what = (guint)hostile_take(self, 1);
    MemRequest request = {.type = GUINT16_TO_LE(what % 5),
                          .address = GUINT64_TO_LE(BASE + hostile_take(self, 1) % 10 * BLOCK),
                          .blocks = GUINT16_TO_LE((guint16)(hostile_take(self, 1) % 5))};
    if ((what & 0x70) == 0x70)
        request.address = hostile_take(self, 8);
    if ((what & 0xc0) == 0xc0)
        request.blocks = (guint16)hostile_take(self, 2);
    guint32 room = (what & 0x88) == 0x88 ? (guint32)hostile_take(self, 1) % 16 : 16;
    HostileDesc chain[] = {{REQUEST, sizeof request, 1, 1}, {ANSWER, room, 2, 0}};
    hostile_poke(self, REQUEST, &request, sizeof request);
    hostile_poke(self, hostile_ring_page(0, 0), chain, sizeof chain);
    hostile_offer_first(self, 0);
}

/* What QMP asks of it; what is plugged is never more than there is. */
void hostile_mem_peer(Hostile *self, guint what)
{
    Device *device = device_find(&self->rig->env, "mem0");
    g_autoptr(JsonNode) size = json_node_init_int(json_node_alloc(), (gint64)(what / 2 % 10 * BLOCK));
    g_assert_cmpuint(virtio_mem_size(device), <=, SIZE);
    for (const DeviceProperty *property = device->type->properties; property->name != NULL; property++) {
        json_node_unref(property->get(device, NULL));
        if (property->set != NULL && what % 2 == 0)
            property->set(device, size, NULL);
    }
}

void hostile_mem_check_alive(Hostile *self)
{
    Driver *driver = self->driver;
    Device *device = device_find(&self->rig->env, "mem0");
    g_assert_cmpuint(virtio_mem_size(device), ==, 0);
    hostile_mem_peer(self, 2);
    DriverQueue *queue = driver_setup_queue(driver, 0, 32);
    driver_ok(driver);
    guint64 at = driver_alloc(driver, 64);
    MemRequest request = {.address = GUINT64_TO_LE(BASE + BLOCK), .blocks = GUINT16_TO_LE(1)};
    g_assert_true(guest_memory_write(self->rig->memory, at, &request, sizeof request));
    DriverBuffer buffers[] = {{at, sizeof request, FALSE}, {at + 32, 10, TRUE}};
    driver_add(driver, queue, buffers, 2);
    driver_kick(driver, queue);
    g_assert_cmpuint(driver_wait_used(driver, queue, NULL), ==, 10);
    g_assert_cmpuint(driver_get16(driver, at + 32), ==, 0);
    g_assert_cmpuint(virtio_mem_size(device), ==, BLOCK);
}
