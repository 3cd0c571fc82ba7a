// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/device/hostile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/virtio/virtio-serial.h"

/* Rings and buffers are in the arena, or at places that cannot be; what a chain of the arena may reach ends
 * well before the canary. */
#define ARENA         0x100000u
#define ARENA_SIZE    0x20000u
#define CANARY        0x400000u
#define CANARY_SIZE   (RIG_RAM - 0x10000u - CANARY)
#define CANARY_BYTE   0xc5
#define ALIVE_BASE    0x200000u
#define FEATURES      (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)
#define SERIAL_QUEUES 8u

struct Hostile {
    HostileKind kind;
    Rig *rig;
    Driver *driver; /* where the registers are */
    guint queues;
    int peer; /* of the serial port's chardev */

    const guint8 *script;
    gsize left;
};

/* ---- the script; what is read beyond its end is zero ---- */

static guint64 take(Hostile *self, guint bytes)
{
    guint64 value = 0;
    guint have = (guint)MIN(bytes, self->left);
    if (have > 0)
        memcpy(&value, self->script, have);
    self->script += have;
    self->left -= have;
    return value;
}

static guint64 take_address(Hostile *self)
{
    guint kind = (guint)take(self, 1);
    guint64 detail = take(self, 2);
    switch (kind % 16) {
    case 0:
        return RIG_RAM - detail % 4096;
    case 1:
        return G_MAXUINT64 - detail % 4096;
    case 2:
        return (detail << 48) | detail;
    case 3:
        return 0xfee00000 + detail;
    case 4:
        return ARENA + detail; /* unaligned */
    default:                   /* a page of the arena */
        return ARENA + (kind / 16 % 8) * 0x1000 + (detail % 8) * 16;
    }
}

static guint32 take_length(Hostile *self)
{
    guint kind = (guint)take(self, 1);
    switch (kind % 8) {
    case 0:
        return 0;
    case 1:
        return G_MAXUINT32 - kind / 8;
    case 2:
        return (guint32)take(self, 4);
    case 3:
        return 4096 * (kind / 8);
    default:
        return 16 * (kind / 8);
    }
}

/* Into guest RAM as a vCPU would write it: always possible in the arena only. */
static void poke(Hostile *self, guint64 address, const void *from, gsize length)
{
    if (address >= ARENA && address + length <= ARENA + ARENA_SIZE)
        guest_memory_write(self->rig->memory, address, from, length);
}

/* ---- steps ---- */

static void step_register(Hostile *self)
{
    guint offset = (guint)take(self, 1) % (VIRTIO_PCI_COMMON_LENGTH + 8);
    guint size = 1u << take(self, 1) % 4;
    driver_write(self->driver, offset, size, take(self, size));
    driver_read(self->driver, offset, size);
}

static void step_negotiate(Hostile *self)
{
    guint64 features = FEATURES;
    if (self->kind == HOSTILE_SERIAL)
        features |= 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
    guint drop = (guint)take(self, 1);
    if ((drop & 1) != 0)
        features &= ~(1ull << VIRTIO_F_EVENT_IDX);
    if ((drop & 2) != 0)
        features &= ~(1ull << VIRTIO_F_INDIRECT_DESC);
    if ((drop & 0xc) == 0xc)
        features &= ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT);
    driver_negotiate(self->driver, features);
}

/* Page 8 * queue of the arena: descriptors, then the available ring, then the used ring, each a page. */
static guint64 ring_page(guint queue, guint part)
{
    return ARENA + 0x8000 + (queue * 3 + part) * 0x800;
}

static void set_up_queue(Hostile *self, guint queue, guint size, guint64 desc, guint64 avail, guint64 used)
{
    driver_write(self->driver, VIRTIO_PCI_QUEUE_SELECT, 2, queue);
    driver_write(self->driver, VIRTIO_PCI_QUEUE_SIZE, 2, size);
    driver_write(self->driver, VIRTIO_PCI_QUEUE_DESC, 8, desc);
    driver_write(self->driver, VIRTIO_PCI_QUEUE_DRIVER, 8, avail);
    driver_write(self->driver, VIRTIO_PCI_QUEUE_DEVICE, 8, used);
    driver_write(self->driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, queue + 1);
    driver_write(self->driver, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
}

static void step_queues(Hostile *self)
{
    guint bad = (guint)take(self, 1);
    for (guint i = 0; i < self->queues; i++) {
        guint64 desc = ring_page(i, 0), avail = ring_page(i, 1), used = ring_page(i, 2);
        if (bad == i)
            desc = take_address(self);
        if (bad == i + 32)
            avail = take_address(self);
        if (bad == i + 64)
            used = take_address(self);
        set_up_queue(self, i, self->kind == HOSTILE_RNG ? 8 : 32, desc, avail, used);
    }
    driver_ok(self->driver);
}

static void step_descriptor(Hostile *self)
{
    guint queue = (guint)take(self, 1);
    guint index = (guint)take(self, 1) % 32;
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } desc = {.address = take_address(self), .length = take_length(self)};
    guint flags = (guint)take(self, 1);
    /* Mostly plain buffers, in and out; anything at times. */
    desc.flags = (guint16)(flags < 0xc0 ? flags & 3 : flags & 0xf);
    desc.next = (guint16)(take(self, 1) % 40);
    guint64 table = queue >= 0x80 ? take_address(self) : ring_page(queue % self->queues, 0);
    poke(self, table + index * 16, &desc, sizeof desc);
}

static void step_offer(Hostile *self)
{
    guint queue = (guint)take(self, 1) % self->queues;
    guint16 size = self->kind == HOSTILE_RNG ? 8 : 32;
    guint count = (guint)take(self, 1) % 40 + 1;
    guint64 avail = ring_page(queue, 1);
    guint16 index = 0;
    guest_memory_read(self->rig->memory, avail + 2, &index, sizeof index);
    for (guint i = 0; i < count; i++, index++) {
        guint16 head = (guint16)(take(self, 1) % 34);
        poke(self, avail + 4 + 2 * (index % size), &head, sizeof head);
    }
    poke(self, avail + 2, &index, sizeof index);
}

static void step_ring_word(Hostile *self)
{
    guint queue = (guint)take(self, 1) % self->queues;
    guint16 value = (guint16)take(self, 2);
    guint64 place = ring_page(queue, 1 + (guint)take(self, 1) % 2) + take(self, 1) * 2;
    poke(self, place, &value, sizeof value);
}

static void step_kick(Hostile *self)
{
    guint queue = (guint)take(self, 1);
    rig_mmio_write(self->rig, self->driver->notify + 4 * (queue % (self->queues + 4)), 2, queue);
}

static void step_config_space(Hostile *self)
{
    guint offset = (guint)take(self, 1) & 0xfc;
    guint32 value = (guint32)take(self, 4);
    /* BARs stay: the registers must be found. */
    if (offset >= 0x10 && offset < 0x28)
        return;
    if (offset == 4)
        value |= 2;
    rig_config_write(self->rig, 2, offset, 4, value);
    rig_config_read(self->rig, 2, offset, 4);
}

static void step_msix(Hostile *self)
{
    guint64 offset = take(self, 2) % 0x1000 & ~3u;
    rig_mmio_write(self->rig, driver_msix_table(self->driver) + offset, 4, take(self, 4));
}

/* A well-formed control message in a buffer that the next chain may point to. */
static void step_control(Hostile *self)
{
    struct {
        guint32 port;
        guint16 event, value;
    } message = {(guint32)(take(self, 1) % 36), (guint16)(take(self, 1) % 9), (guint16)(take(self, 1) % 3)};
    guint64 buffer = ARENA + 0x7000;
    guint64 desc = ring_page(VIRTIO_SERIAL_CONTROL_OUT, 0), avail = ring_page(VIRTIO_SERIAL_CONTROL_OUT, 1);
    poke(self, buffer, &message, sizeof message);
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } descriptor = {buffer, 8, 0, 0};
    poke(self, desc, &descriptor, sizeof descriptor);
    guint16 index = 0, head = 0;
    guest_memory_read(self->rig->memory, avail + 2, &index, sizeof index);
    poke(self, avail + 4 + 2 * (index % 32), &head, sizeof head);
    index++;
    poke(self, avail + 2, &index, sizeof index);
    rig_mmio_write(self->rig, self->driver->notify + 4 * VIRTIO_SERIAL_CONTROL_OUT, 2, 0);
}

static void step_peer(Hostile *self)
{
    guint8 bytes[8192];
    guint what = (guint)take(self, 1);
    if (self->peer < 0)
        return;
    if (what % 2 == 0) {
        memset(bytes, (int)what, sizeof bytes);
        (void)!write(self->peer, bytes, (gsize)take(self, 2) % sizeof bytes + 1);
    } else {
        (void)!read(self->peer, bytes, sizeof bytes);
    }
}

static void (*const steps[])(Hostile *) = {
    step_register, step_negotiate,    step_queues,    step_descriptor, step_descriptor, step_descriptor,
    step_offer,    step_offer,        step_ring_word, step_kick,       step_kick,       step_kick,
    step_control,  step_config_space, step_msix,      step_peer,
};

void hostile_play(Hostile *self, const guint8 *script, gsize length)
{
    self->script = script;
    self->left = length;
    rig_reset(self->rig);
    memset(guest_memory_range(self->rig->memory, ARENA, ARENA_SIZE), 0, ARENA_SIZE);
    driver_msix_enable(self->driver);
    if (take(self, 1) % 8 != 0) {
        step_negotiate(self);
        step_queues(self);
    }
    while (self->left > 0) {
        guint step = (guint)take(self, 1);
        if (step % 17 == 16)
            rig_settle();
        else
            steps[step % 17](self);
    }
    rig_settle();
}

Hostile *hostile_new(HostileKind kind)
{
    Hostile *self = g_new0(Hostile, 1);
    self->kind = kind;
    self->rig = rig_new();
    self->peer = -1;
    self->queues = 1;
    if (kind == HOSTILE_RNG) {
        rig_device(self->rig, "virtio-rng-pci");
    } else {
        int pair[2];
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
        g_autofree char *options = g_strdup_printf("socket,id=c1,fd=%d", pair[0]);
        self->peer = pair[1];
        self->queues = SERIAL_QUEUES;
        rig_chardev(self->rig, options);
        rig_chardev(self->rig, "null,id=c0");
        rig_device(self->rig, "virtio-serial-pci,id=s,vectors=9");
        rig_device(self->rig, "virtconsole,chardev=c0");
        rig_device(self->rig, "virtserialport,chardev=c1,id=p1,name=one");
        rig_device(self->rig, "virtserialport,nr=2,name=two");
    }
    rig_assign(self->rig);
    self->driver = driver_new(self->rig, 2, ALIVE_BASE);
    memset(guest_memory_range(self->rig->memory, CANARY, CANARY_SIZE), CANARY_BYTE, CANARY_SIZE);
    rig_settle();
    return self;
}

void hostile_free(Hostile *self)
{
    const guint8 *canary = guest_memory_range(self->rig->memory, CANARY, CANARY_SIZE);
    for (gsize i = 0; i < CANARY_SIZE; i++)
        g_assert_cmphex(canary[i], ==, CANARY_BYTE);
    if (self->peer >= 0)
        close(self->peer);
    g_free(self->driver);
    rig_free(self->rig);
    g_free(self);
}

void hostile_check_alive(Hostile *self)
{
    Driver *driver = self->driver;
    rig_reset(self->rig);
    driver->next_free = ALIVE_BASE;
    driver_msix_enable(driver);
    g_assert_true(driver_negotiate(
        driver, self->kind == HOSTILE_SERIAL ? FEATURES | 1ull << VIRTIO_CONSOLE_F_MULTIPORT : FEATURES));
    if (self->kind == HOSTILE_RNG) {
        DriverQueue *queue = driver_setup_queue(driver, 0, 8);
        driver_ok(driver);
        DriverBuffer buffer = {driver_alloc(driver, 32), 32, TRUE};
        driver_add(driver, queue, &buffer, 1);
        driver_kick(driver, queue);
        g_assert_cmpuint(driver_wait_used(driver, queue, NULL), ==, 32);
    } else {
        DriverQueue *in = driver_setup_queue(driver, VIRTIO_SERIAL_CONTROL_IN, 32);
        DriverQueue *out = driver_setup_queue(driver, VIRTIO_SERIAL_CONTROL_OUT, 32);
        driver_ok(driver);
        guint64 reply = driver_alloc(driver, 64), ready = driver_alloc(driver, 8);
        driver_put16(driver, ready + 6, 1);
        DriverBuffer buffers[] = {{reply, 64, TRUE}, {ready, 8, FALSE}};
        driver_add(driver, in, &buffers[0], 1);
        driver_add(driver, out, &buffers[1], 1);
        driver_kick(driver, out);
        g_assert_cmpuint(driver_wait_used(driver, in, NULL), ==, 8);
        g_assert_cmpuint(driver_get16(driver, reply + 4), ==, VIRTIO_CONSOLE_PORT_ADD);
    }
    rig_settle();
}
