// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/device/hostile-private.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/virtio/virtio-net.h"
#include "host-vmm/virtio/virtio-serial.h"
#include "tests/device/fake-netdev.h"

/* ---- the script; what is read beyond its end is zero ---- */

guint64 hostile_take(Hostile *self, guint bytes)
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
    guint kind = (guint)hostile_take(self, 1);
    guint64 detail = hostile_take(self, 2);
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
    guint kind = (guint)hostile_take(self, 1);
    switch (kind % 8) {
    case 0:
        return 0;
    case 1:
        return G_MAXUINT32 - kind / 8;
    case 2:
        return (guint32)hostile_take(self, 4);
    case 3:
        return 4096 * (kind / 8);
    default:
        return 16 * (kind / 8);
    }
}

/* Into guest RAM as a vCPU would write it: always possible in the arena only. */
void hostile_poke(Hostile *self, guint64 address, const void *from, gsize length)
{
    if (address >= ARENA && address + length <= ARENA + ARENA_SIZE)
        guest_memory_write(self->rig->memory, address, from, length);
}

/* ---- steps ---- */

static void step_register(Hostile *self)
{
    guint offset = (guint)hostile_take(self, 1) % (VIRTIO_PCI_COMMON_LENGTH + 8);
    guint size = 1u << hostile_take(self, 1) % 4;
    driver_write(self->driver, offset, size, hostile_take(self, size));
    driver_read(self->driver, offset, size);
}

static guint64 features_of(const Hostile *self)
{
    if (self->kind == HOSTILE_SERIAL)
        return FEATURES | 1ull << VIRTIO_CONSOLE_F_MULTIPORT;
    if (self->netdev != NULL || self->disk != NULL || self->kind == HOSTILE_BALLOON)
        return driver_offered(self->driver);
    return FEATURES;
}

static void step_negotiate(Hostile *self)
{
    guint64 features = features_of(self);
    guint drop = (guint)hostile_take(self, 1);
    if (self->netdev != NULL && (drop & 0x30) == 0x30) /* without some offloads, queues, merging */
        features &= ~(hostile_take(self, 8) & ~FEATURES);
    if ((drop & 1) != 0)
        features &= ~(1ull << VIRTIO_F_EVENT_IDX);
    if ((drop & 2) != 0)
        features &= ~(1ull << VIRTIO_F_INDIRECT_DESC);
    if (self->kind == HOSTILE_SERIAL && (drop & 0xc) == 0xc)
        features &= ~(1ull << VIRTIO_CONSOLE_F_MULTIPORT);
    driver_negotiate(self->driver, features);
}

/* Page 8 * queue of the arena: descriptors, then the available ring, then the used ring, each a page. */
guint64 hostile_ring_page(guint queue, guint part)
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

/* Queue `bad` at an address of the script's; + 32: its available ring; + 64: its used ring. */
static void set_up_queues(Hostile *self, guint bad)
{
    for (guint i = 0; i < self->queues; i++) {
        guint64 desc = hostile_ring_page(i, 0), avail = hostile_ring_page(i, 1),
                used = hostile_ring_page(i, 2);
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

static void step_queues(Hostile *self)
{
    set_up_queues(self, (guint)hostile_take(self, 1));
}

void hostile_start_again(Hostile *self)
{
    memset(guest_memory_range(self->rig->memory, hostile_ring_page(0, 0),
                              ARENA + ARENA_SIZE - hostile_ring_page(0, 0)),
           0, ARENA + ARENA_SIZE - hostile_ring_page(0, 0));
    step_negotiate(self);
    set_up_queues(self, G_MAXUINT);
}

static void step_descriptor(Hostile *self)
{
    guint queue = (guint)hostile_take(self, 1);
    guint index = (guint)hostile_take(self, 1) % 32;
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } desc = {.address = take_address(self), .length = take_length(self)};
    guint flags = (guint)hostile_take(self, 1);
    /* Mostly plain buffers, in and out; anything at times. */
    desc.flags = (guint16)(flags < 0xc0 ? flags & 3 : flags & 0xf);
    desc.next = (guint16)(hostile_take(self, 1) % 40);
    guint64 table = queue >= 0x80 ? take_address(self) : hostile_ring_page(queue % self->queues, 0);
    hostile_poke(self, table + index * 16, &desc, sizeof desc);
}

static void step_offer(Hostile *self)
{
    guint queue = (guint)hostile_take(self, 1) % self->queues;
    guint16 size = self->kind == HOSTILE_RNG ? 8 : 32;
    guint count = (guint)hostile_take(self, 1) % 40 + 1;
    guint64 avail = hostile_ring_page(queue, 1);
    guint16 index = 0;
    guest_memory_read(self->rig->memory, avail + 2, &index, sizeof index);
    for (guint i = 0; i < count; i++, index++) {
        guint16 head = (guint16)(hostile_take(self, 1) % 34);
        hostile_poke(self, avail + 4 + 2 * (index % size), &head, sizeof head);
    }
    hostile_poke(self, avail + 2, &index, sizeof index);
}

static void step_ring_word(Hostile *self)
{
    guint queue = (guint)hostile_take(self, 1) % self->queues;
    guint16 value = (guint16)hostile_take(self, 2);
    guint64 place =
        hostile_ring_page(queue, 1 + (guint)hostile_take(self, 1) % 2) + hostile_take(self, 1) * 2;
    hostile_poke(self, place, &value, sizeof value);
}

static void step_kick(Hostile *self)
{
    guint queue = (guint)hostile_take(self, 1);
    rig_mmio_write(self->rig, self->driver->notify + 4 * (queue % (self->queues + 4)), 2, queue);
}

static void step_config_space(Hostile *self)
{
    guint offset = (guint)hostile_take(self, 1) & 0xfc;
    guint32 value = (guint32)hostile_take(self, 4);
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
    guint64 offset = hostile_take(self, 2) % 0x1000 & ~3u;
    rig_mmio_write(self->rig, driver_msix_table(self->driver) + offset, 4, hostile_take(self, 4));
}

/* Makes the chain at descriptor 0 available, and kicks. */
void hostile_offer_first(Hostile *self, guint queue)
{
    guint16 index = 0, head = 0;
    guint64 avail = hostile_ring_page(queue, 1);
    guest_memory_read(self->rig->memory, avail + 2, &index, sizeof index);
    hostile_poke(self, avail + 4 + 2 * (index % 32), &head, sizeof head);
    index++;
    hostile_poke(self, avail + 2, &index, sizeof index);
    rig_mmio_write(self->rig, self->driver->notify + 4 * queue, 2, queue);
}

/* A packet to send, all right but for what the script makes wrong, so that it gets somewhere. */
static void step_send(Hostile *self)
{
    static const guint8 tcp[54] = {[12] = 8, [14] = 0x45, [23] = IP_PROTO_TCP, [46] = 0x50};
    VnetHeader header = {
        .flags = VNET_NEEDS_CSUM, .gso_type = VNET_GSO_TCPV4, .csum_start = 34, .csum_offset = 16};
    guint what = (guint)hostile_take(self, 1);
    guint64 buffer = ARENA + 0x4000, desc = hostile_ring_page(1, 0);
    header.gso_size = (guint16)hostile_take(self, 2);
    hostile_poke(self, buffer + sizeof header, tcp, sizeof tcp);
    if ((what & 1) != 0) {
        guint8 byte = (guint8)hostile_take(self, 1);
        hostile_poke(self, buffer + sizeof header + hostile_take(self, 1) % 60, &byte, 1);
    }
    if ((what & 2) != 0) {
        guint place = (guint)hostile_take(self, 1) % sizeof header;
        ((guint8 *)&header)[place] = (guint8)hostile_take(self, 1);
    }
    hostile_poke(self, buffer, &header, sizeof header);
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } descriptor = {buffer, (guint32)(sizeof header + hostile_take(self, 2) % 0x3000), 0, 0};
    hostile_poke(self, desc, &descriptor, sizeof descriptor);
    hostile_offer_first(self, 1);
}

/* A well-formed control command to a card, with any contents. */
static void step_command(Hostile *self)
{
    guint8 bytes[32];
    guint queue = self->queues - 1;
    guint64 buffer = ARENA + 0x7000, desc = hostile_ring_page(queue, 0);
    guint what = (guint)hostile_take(self, 1);
    bytes[0] = (guint8)(what % 7);
    bytes[1] = (guint8)(what / 7 % 6);
    for (guint i = 2; i < sizeof bytes; i++)
        bytes[i] = (guint8)hostile_take(self, 1) & (i < 12 ? 0x7 : 0xff);
    hostile_poke(self, buffer, bytes, sizeof bytes);
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } chain[] = {{buffer, 2 + (guint32)hostile_take(self, 1) % 31, 1, 1}, {buffer + 0x800, 1, 2, 0}};
    hostile_poke(self, desc, chain, sizeof chain);
    hostile_offer_first(self, queue);
}

/* A well-formed control message in a buffer that the next chain may point to. */
static void step_control(Hostile *self)
{
    if (self->disk != NULL) {
        hostile_disk_step(self);
        return;
    }
    if (self->kind == HOSTILE_BALLOON) {
        hostile_balloon_step(self);
        return;
    }
    if (self->kind == HOSTILE_MEM) {
        hostile_mem_step(self);
        return;
    }
    if (self->netdev != NULL) {
        if (hostile_take(self, 1) % 2 == 0)
            step_send(self);
        else
            step_command(self);
        return;
    }
    struct {
        guint32 port;
        guint16 event, value;
    } message = {(guint32)(hostile_take(self, 1) % 36), (guint16)(hostile_take(self, 1) % 9),
                 (guint16)(hostile_take(self, 1) % 3)};
    guint64 buffer = ARENA + 0x7000;
    guint64 desc = hostile_ring_page(VIRTIO_SERIAL_CONTROL_OUT, 0),
            avail = hostile_ring_page(VIRTIO_SERIAL_CONTROL_OUT, 1);
    hostile_poke(self, buffer, &message, sizeof message);
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } descriptor = {buffer, 8, 0, 0};
    hostile_poke(self, desc, &descriptor, sizeof descriptor);
    guint16 index = 0, head = 0;
    guest_memory_read(self->rig->memory, avail + 2, &index, sizeof index);
    hostile_poke(self, avail + 4 + 2 * (index % 32), &head, sizeof head);
    index++;
    hostile_poke(self, avail + 2, &index, sizeof index);
    rig_mmio_write(self->rig, self->driver->notify + 4 * VIRTIO_SERIAL_CONTROL_OUT, 2, 0);
}

/* Packets from outside, of any length, with any header; and a back end that is full. */
static void step_net(Hostile *self, guint what)
{
    static guint8 frame[PACKET_MAX];
    guint queue = (what >> 4) % netdev_queues(self->netdev);
    switch (what % 8) {
    case 0:
        fake_netdev_open(self->netdev, (guint)hostile_take(self, 1) % 4);
        break;
    case 1:
        fake_netdev_open(self->netdev, G_MAXUINT);
        break;
    case 2:
        fake_netdev_set_carrier(self->netdev, (what & 0x10) != 0);
        break;
    default: {
        VnetHeader header = {.flags = (guint8)hostile_take(self, 1) & 3,
                             .gso_type = (guint8)hostile_take(self, 1)};
        guint length = (guint)hostile_take(self, 2);
        /* Not so many that it is all that is done. */
        if (fake_netdev_state(self->netdev)->queue[queue].input.length < 8)
            fake_netdev_feed(self->netdev, queue, &header, frame, what % 8 == 7 ? length : length % 2048);
    }
    }
    FakePacket *packet;
    while ((packet = fake_netdev_take(self->netdev)) != NULL)
        fake_packet_free(packet);
}

static void step_peer(Hostile *self)
{
    guint8 bytes[8192];
    guint what = (guint)hostile_take(self, 1);
    if (self->netdev != NULL)
        step_net(self, what);
    if (self->kind == HOSTILE_BALLOON)
        hostile_balloon_peer(self, what);
    if (self->kind == HOSTILE_MEM)
        hostile_mem_peer(self, what);
    if (self->peer < 0)
        return;
    if (what % 2 == 0) {
        memset(bytes, (int)what, sizeof bytes);
        (void)!write(self->peer, bytes, (gsize)hostile_take(self, 2) % sizeof bytes + 1);
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
    if (hostile_take(self, 1) % 8 != 0) {
        step_negotiate(self);
        step_queues(self);
    }
    while (self->left > 0) {
        guint step = (guint)hostile_take(self, 1);
        if (step % 17 == 16)
            rig_settle();
        else if (self->disk != NULL && step >= 0xa0)
            hostile_disk_step(self); /* or it would not come to read and write much */
        else
            steps[step % 17](self);
    }
    rig_settle();
}

static guint8 canary_byte(const Hostile *self)
{
    return self->kind == HOSTILE_BALLOON ? 0 : CANARY_BYTE;
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
    } else if (kind == HOSTILE_NET) {
        self->queues = 5;
        self->netdev = fake_netdev_new(self->rig, "n0", 2, TRUE);
        rig_device(self->rig, "virtio-net-pci,netdev=n0,mq=on,id=net0");
    } else if (kind == HOSTILE_NET_FRAMES) {
        self->queues = 3;
        self->netdev = fake_netdev_new(self->rig, "n0", 1, FALSE);
        rig_device(self->rig, "virtio-net-pci,netdev=n0");
    } else if (kind >= HOSTILE_BLK && kind <= HOSTILE_SCSI_THREAD) {
        hostile_disk_add(self);
    } else if (kind == HOSTILE_BALLOON) {
        hostile_balloon_add(self);
    } else if (kind == HOSTILE_MEM) {
        hostile_mem_add(self);
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
    memset(guest_memory_range(self->rig->memory, CANARY, CANARY_SIZE), canary_byte(self), CANARY_SIZE);
    rig_settle();
    return self;
}

void hostile_free(Hostile *self)
{
    const guint8 *canary = guest_memory_range(self->rig->memory, CANARY, CANARY_SIZE);
    for (gsize i = 0; i < CANARY_SIZE; i++)
        g_assert_cmphex(canary[i], ==, canary_byte(self));
    if (self->peer >= 0)
        close(self->peer);
    g_free(self->driver);
    rig_free(self->rig);
    hostile_disk_free(self->disk);
    g_free(self);
}

/* A frame each way. */
static void check_net_alive(Hostile *self)
{
    Driver *driver = self->driver;
    guint8 frame[60] = {2, 0, 0, 0, 0, 1};
    FakeNetState *state = fake_netdev_state(self->netdev);
    DriverQueue *rx = driver_setup_queue(driver, 0, 32), *tx = driver_setup_queue(driver, 1, 32);
    driver_ok(driver);
    fake_netdev_set_carrier(self->netdev, TRUE);
    fake_netdev_open(self->netdev, G_MAXUINT);
    rig_settle();
    for (guint i = 0; i < FAKE_NET_QUEUES; i++)
        g_queue_clear_full(&state->queue[i].input, (GDestroyNotify)fake_packet_free);
    g_queue_clear_full(&state->sent, (GDestroyNotify)fake_packet_free);
    DriverBuffer in = {driver_alloc(driver, 200), 200, TRUE}, out = {driver_alloc(driver, 72), 72, FALSE};
    driver_add(driver, rx, &in, 1);
    driver_add(driver, tx, &out, 1);
    driver_kick(driver, rx);
    driver_kick(driver, tx);
    driver_wait_used(driver, tx, NULL);
    FakePacket *packet = fake_netdev_take(self->netdev);
    g_assert_nonnull(packet);
    g_assert_cmpuint(packet->length, ==, 60);
    fake_packet_free(packet);
    fake_netdev_feed(self->netdev, 0, NULL, frame, sizeof frame);
    g_assert_cmpuint(driver_wait_used(driver, rx, NULL), ==, 72);
}

void hostile_check_alive(Hostile *self)
{
    Driver *driver = self->driver;
    rig_reset(self->rig);
    driver->next_free = ALIVE_BASE;
    driver_msix_enable(driver);
    g_assert_true(driver_negotiate(driver, features_of(self)));
    if (self->netdev != NULL) {
        check_net_alive(self);
    } else if (self->disk != NULL) {
        hostile_disk_check_alive(self);
    } else if (self->kind == HOSTILE_BALLOON) {
        hostile_balloon_check_alive(self);
    } else if (self->kind == HOSTILE_MEM) {
        hostile_mem_check_alive(self);
    } else if (self->kind == HOSTILE_RNG) {
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
