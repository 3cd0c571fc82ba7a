// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/device/net-rig.h"

#include <check.h>
#include <string.h>

Rig *rig;
Device *nic;
NetDev *netdev;
FakeNetState *state;
Driver *driver;
DriverQueue *queue[9];

void net_create(const char *options, guint queues, gboolean is_vnet)
{
    g_autofree char *text =
        g_strdup_printf("virtio-net-pci,id=net0,netdev=n0,mac=52:54:00:00:00:01%s", options);
    rig = rig_new();
    netdev = fake_netdev_new(rig, "n0", queues, is_vnet);
    state = fake_netdev_state(netdev);
    nic = rig_device(rig, text);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
}

void net_start(guint64 features, guint queues)
{
    ck_assert(driver_negotiate(driver, features));
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    for (guint i = 0; i < queues; i++)
        queue[i] = driver_setup_queue(driver, i, QUEUE_SIZE);
    driver_ok(driver);
    rig_settle();
}

void net_set_up(guint64 features)
{
    net_create("", 1, TRUE);
    net_start(features, 3);
}

void net_tear_down(void)
{
    g_free(driver);
    rig_free(rig);
}

guint64 net_config(guint offset, guint size)
{
    return io_bus_read(rig->env.mmio, driver->config + offset, size);
}

guint8 *net_at(guint64 address, gsize length)
{
    guint8 *host = guest_memory_range(rig->memory, address, length);
    ck_assert_ptr_nonnull(host);
    return host;
}

VirtioNetCounters net_counted(void)
{
    VirtioNetCounters counters;
    virtio_net_counters(nic, &counters);
    return counters;
}

void net_fill_frame(guint8 *frame, gsize length, guint8 seed)
{
    static const guint8 head[14] = {0x52, 0x54, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0xb5};
    for (gsize i = 0; i < length; i++)
        frame[i] = i < sizeof head ? head[i] : (guint8)(seed + i * 3 + i / 251);
}

void net_feed(gsize length, guint8 seed)
{
    g_autofree guint8 *frame = g_malloc(MAX(length, 1));
    net_fill_frame(frame, length, seed);
    fake_netdev_feed(netdev, 0, NULL, frame, length);
}

guint64 net_add_rx(guint32 length)
{
    DriverBuffer buffer = {driver_alloc(driver, length), length, TRUE};
    driver_add(driver, queue[RX], &buffer, 1);
    return buffer.address;
}

void net_kick(guint index)
{
    driver_kick(driver, queue[index]);
    rig_settle();
}

guint64 net_add_tx_raw(guint index, const VnetHeader *header, const void *frame, guint32 length)
{
    DriverBuffer buffer = {driver_alloc(driver, HEADER + length), HEADER + length, FALSE};
    memcpy(net_at(buffer.address, HEADER + length), header, HEADER);
    if (length > 0)
        memcpy(net_at(buffer.address, HEADER + length) + HEADER, frame, length);
    driver_add(driver, queue[index], &buffer, 1);
    return buffer.address;
}

void net_add_tx(guint32 length, guint8 seed)
{
    const VnetHeader header = {0};
    g_autofree guint8 *frame = g_malloc(MAX(length, 1));
    net_fill_frame(frame, length, seed);
    net_add_tx_raw(TX, &header, frame, length);
}

void net_check_sent(gsize length, guint8 seed)
{
    g_autofree guint8 *frame = g_malloc(length);
    FakePacket *packet = fake_netdev_take(netdev);
    net_fill_frame(frame, length, seed);
    ck_assert_ptr_nonnull(packet);
    ck_assert_uint_eq(packet->length, length);
    ck_assert_mem_eq(packet->frame, frame, length);
    fake_packet_free(packet);
}

void net_check_nothing_sent(void)
{
    ck_assert_ptr_null(fake_netdev_take(netdev));
}

void net_check_received(guint64 address, gsize length, guint8 seed, guint16 buffers)
{
    g_autofree guint8 *frame = g_malloc(length);
    net_fill_frame(frame, length, seed);
    ck_assert_uint_eq(driver_wait_used(driver, queue[RX], NULL), HEADER + length);
    ck_assert_uint_eq(driver_get16(driver, address + 10), buffers);
    ck_assert_mem_eq(net_at(address + HEADER, length), frame, length);
}

guint8 net_command_on(guint index, guint8 class, guint8 command, const void *data, guint32 length)
{
    guint64 head = driver_alloc(driver, 2), body = driver_alloc(driver, length + 1),
            answer = driver_alloc(driver, 1);
    net_at(head, 2)[0] = class;
    net_at(head, 2)[1] = command;
    if (length > 0)
        memcpy(net_at(body, length), data, length);
    *net_at(answer, 1) = 0xee;
    DriverBuffer buffers[] = {{head, 2, FALSE}, {body, length, FALSE}, {answer, 1, TRUE}};
    if (length == 0)
        buffers[1] = buffers[2];
    driver_add(driver, queue[index], buffers, length == 0 ? 2 : 3);
    driver_kick(driver, queue[index]);
    ck_assert_uint_eq(driver_wait_used(driver, queue[index], NULL), 1);
    rig_settle();
    return *net_at(answer, 1);
}

guint8 net_command(guint8 class, guint8 number, const void *data, guint32 length)
{
    return net_command_on(CONTROL, class, number, data, length);
}
