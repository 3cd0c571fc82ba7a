// SPDX-License-Identifier: GPL-2.0-or-later
/* The transport and the status machine, shown on virtio-rng, which has the least of its own. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/device/driver.h"
#include "tests/check-run.h"

#define DRIVER_BASE 0x100000
#define VERSION_1   (1ull << VIRTIO_F_VERSION_1)
#define FEATURES    (VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)

static Rig *rig;
static Driver *driver;

static void set_up_device(const char *options)
{
    rig = rig_new();
    rig_device(rig, options);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
}

static void set_up(void)
{
    set_up_device("virtio-rng-pci,id=rng0");
}

static void tear_down(void)
{
    g_free(driver);
    rig_free(rig);
}

static DriverQueue *start(void)
{
    ck_assert(driver_negotiate(driver, FEATURES));
    DriverQueue *queue = driver_setup_queue(driver, 0, 8);
    driver_ok(driver);
    return queue;
}

static void add_request(DriverQueue *queue)
{
    DriverBuffer buffer = {driver_alloc(driver, 16), 16, TRUE};
    driver_add(driver, queue, &buffer, 1);
}

/* Breaks the ring: a head that does not exist. */
static void add_nonsense(DriverQueue *queue)
{
    driver_put16(driver, queue->avail + 4 + 2 * (queue->avail_index % queue->size), 0xffff);
    driver_put16(driver, queue->avail + 2, ++queue->avail_index);
    driver_kick(driver, queue);
    rig_settle();
}

START_TEST (layout) {
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0x10441af4);
    ck_assert_uint_eq(rig_config_read(rig, 2, 8, 1), 1);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x20, 4) & 0xf, 0xc);
    guint64 bar = driver->common;
    ck_assert_uint_eq(bar % VIRTIO_PCI_BAR_SIZE, 0);
    ck_assert_uint_eq(driver->isr, bar + 0x1000);
    ck_assert_uint_eq(driver->config, bar + 0x2000);
    ck_assert_uint_eq(driver->notify, bar + 0x3000);
    ck_assert_uint_eq(driver->notify_multiplier, 4);
    ck_assert_uint_eq(driver_offered(driver), FEATURES);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 1);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), 8);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2), 0xffff);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2), 0xffff);
    driver_write(driver, VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4, 2);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_DEVICE_FEATURE, 4), 0);
}
END_TEST

static const struct {
    guint64 features;
    gboolean ok;
} negotiations[] = {
    {FEATURES, TRUE},
    {VERSION_1, TRUE},
    {0, FALSE},
    {1ull << VIRTIO_F_EVENT_IDX, FALSE},
    {VERSION_1 | 1, FALSE},
    {VERSION_1 | 1ull << 33, FALSE},
    {G_MAXUINT64, FALSE},
};

START_TEST (features_are_checked) {
    ck_assert(driver_negotiate(driver, negotiations[_i].features) == negotiations[_i].ok);
    /* Without FEATURES_OK there is no DRIVER_OK. */
    driver_ok(driver);
    ck_assert(((driver_status(driver) & VIRTIO_STATUS_DRIVER_OK) != 0) == negotiations[_i].ok);
    /* And with it no other features. */
    driver_write(driver, VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 0);
    driver_write(driver, VIRTIO_PCI_DRIVER_FEATURE, 4, 0x5a5a);
    guint32 now = (guint32)driver_read(driver, VIRTIO_PCI_DRIVER_FEATURE, 4);
    ck_assert_uint_eq(now, negotiations[_i].ok ? (guint32)negotiations[_i].features : 0x5a5a);
}
END_TEST

START_TEST (status_bits_only_grow) {
    start();
    guint8 running = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                     VIRTIO_STATUS_DRIVER_OK;
    ck_assert_uint_eq(driver_status(driver), running);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    ck_assert_uint_eq(driver_status(driver), running);
    /* What is the device's or reserved cannot be set. */
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0xff);
    ck_assert_uint_eq(driver_status(driver), running | VIRTIO_STATUS_FAILED);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert_uint_eq(driver_status(driver), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_DESC, 8), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_DRIVER_FEATURE, 4), 0);
}
END_TEST

START_TEST (queue_registers) {
    ck_assert(driver_negotiate(driver, FEATURES));
    static const guint bad_sizes[] = {0, 3, 16, 0xffff};
    for (guint i = 0; i < G_N_ELEMENTS(bad_sizes); i++) {
        driver_write(driver, VIRTIO_PCI_QUEUE_SIZE, 2, bad_sizes[i]);
        ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), 8);
    }
    DriverQueue *queue = driver_setup_queue(driver, 0, 4);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), 4);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_DRIVER, 8), queue->avail);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_ENABLE, 2), 1);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2), 1);
    /* Enabled: fixed. */
    driver_write(driver, VIRTIO_PCI_QUEUE_SIZE, 2, 8);
    driver_write(driver, VIRTIO_PCI_QUEUE_DESC, 8, 0x1000);
    driver_write(driver, VIRTIO_PCI_QUEUE_ENABLE, 2, 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), 4);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_DESC, 8), queue->desc);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_ENABLE, 2), 1);
    /* A vector that there is not. */
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, 2);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2), 0xffff);
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 2);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2), 0xffff);
    /* A queue that there is not. */
    driver_write(driver, VIRTIO_PCI_QUEUE_SELECT, 2, 1);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SELECT, 2), 1);
    driver_write(driver, VIRTIO_PCI_QUEUE_SIZE, 2, 8);
    driver_write(driver, VIRTIO_PCI_QUEUE_DESC, 8, 0x1000);
    driver_write(driver, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, 0);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
}
END_TEST

START_TEST (accesses_of_any_size_and_place) {
    DriverQueue *queue = start();
    guint64 first = driver_read(driver, 0, 8);
    for (guint size = 1; size <= 8; size *= 2) {
        for (guint offset = 0; offset < VIRTIO_PCI_BAR_SIZE;
             offset += offset < 0x80 || offset % 0x1000 < 0x10 ? 1 : 7) {
            if (offset == VIRTIO_PCI_DEVICE_STATUS)
                continue;
            io_bus_read(rig->env.mmio, driver->common + offset, size);
            if (size != 1 || offset >= VIRTIO_PCI_COMMON_LENGTH)
                io_bus_write(rig->env.mmio, driver->common + offset, size, 0);
        }
    }
    ck_assert_uint_eq(driver_read(driver, 0, 8), first & 0xffffffffull << 32);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_QUEUE_SIZE, 2), 8);
    rig_settle();
    add_request(queue);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 16);
}
END_TEST

START_TEST (interrupts_by_intx) {
    DriverQueue *queue = start();
    guint gsi = PCI_INTX_GSI(2, 0);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 0);
    add_request(queue);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert(rig->vm.level[gsi]);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 1);
    ck_assert(!rig->vm.level[gsi]);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 0);
    /* A reset takes it back. */
    add_request(queue);
    driver_put16(driver, queue->avail + 4 + 2 * queue->size, 1);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert(rig->vm.level[gsi]);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert(!rig->vm.level[gsi]);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 0);
}
END_TEST

START_TEST (interrupts_by_msix) {
    driver_msix_enable(driver);
    DriverQueue *queue = start();
    add_request(queue);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x101), 1);
    ck_assert_uint_eq(rig->vm.line_calls, 0);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 0);
    /* A queue without a vector is silent. */
    driver_write(driver, VIRTIO_PCI_QUEUE_SELECT, 2, 0);
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, 0xffff);
    driver_put16(driver, queue->avail + 4 + 2 * queue->size, 1);
    add_request(queue);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x101), 0);
}
END_TEST

static int other_fd_of(guint32 data)
{
    for (guint i = FAKE_FIRST; i < FAKE_GSIS; i++) {
        if (rig->vm.gsi[i].used && rig->vm.gsi[i].data == data)
            return rig->vm.gsi[i].other_fd;
    }
    return -1;
}

static gboolean set_irq_fd(VirtioDevice *device, int fd)
{
    g_mutex_lock(&device->lock);
    gboolean is_direct = device->transport_ops->set_irq_fd(device->transport, 0, fd);
    g_mutex_unlock(&device->lock);
    return is_direct;
}

START_TEST (others_raise_interrupts) {
    VirtioDevice *device = rig->env.devices->pdata[0];
    guint64 table = driver_msix_table(driver), one = 1;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    start();
    ck_assert(!set_irq_fd(device, fd)); /* INTx is for us to raise */
    driver_msix_enable(driver);
    DriverQueue *queue = start();
    ck_assert(set_irq_fd(device, fd));
    ck_assert_int_eq(other_fd_of(0x101), fd);
    /* Masked, the eventfd counts what is pending. */
    rig_mmio_write(rig, table + 1 * 16 + 12, 4, 1);
    ck_assert_int_eq(other_fd_of(0x101), -1);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, table + 0x800, 8), 0);
    ck_assert_int_eq(write(fd, &one, 8), 8);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, table + 0x800, 8), 2);
    rig_mmio_write(rig, table + 1 * 16 + 12, 4, 0);
    ck_assert_int_eq(other_fd_of(0x101), fd);
    /* Our own go there, too. */
    add_request(queue);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x101), 1);
    /* It follows the queue to another vector, or to none. */
    driver_write(driver, VIRTIO_PCI_QUEUE_SELECT, 2, 0);
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, 0);
    ck_assert_int_eq(other_fd_of(0x101), -1);
    ck_assert_int_eq(other_fd_of(0x100), fd);
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, 0xffff);
    ck_assert_int_eq(other_fd_of(0x100), -1);
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, 1);
    ck_assert_int_eq(other_fd_of(0x101), fd);
    set_irq_fd(device, -1);
    ck_assert_int_eq(other_fd_of(0x101), -1);
    /* A reset forgets it. */
    ck_assert(set_irq_fd(device, fd));
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert_int_eq(other_fd_of(0x101), -1);
    start();
    ck_assert(set_irq_fd(device, fd));
    rig_reset(rig);
    set_irq_fd(device, -1);
    close(fd);
}
END_TEST

START_TEST (others_handle_kicks) {
    VirtioDevice *device = rig->env.devices->pdata[0];
    DriverQueue *queue = start();
    rig_settle();
    guint64 count = 0;
    g_mutex_lock(&device->lock);
    int fd = virtio_device_hand_over(device, 0);
    g_mutex_unlock(&device->lock);
    add_request(queue);
    driver_kick(driver, queue);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue));
    ck_assert_int_eq(read(fd, &count, sizeof count), sizeof count);
    ck_assert_uint_eq(count, 1);
    g_mutex_lock(&device->lock);
    virtio_device_take_back(device, 0);
    g_mutex_unlock(&device->lock);
    driver_wait_used(driver, queue, NULL);
}
END_TEST

START_TEST (vectors_0_means_no_msix) {
    tear_down();
    set_up_device("virtio-rng-pci,vectors=0");
    for (guint at = rig_config_read(rig, 2, 0x34, 1); at != 0; at = rig_config_read(rig, 2, at + 1, 1))
        ck_assert_uint_ne(rig_config_read(rig, 2, at, 1), 0x11);
    DriverQueue *queue = start();
    add_request(queue);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 1);
}
END_TEST

START_TEST (broken_ring_needs_reset) {
    driver_msix_enable(driver);
    DriverQueue *queue = start();
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    add_nonsense(queue);
    ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100), 1);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 2);
    /* Told once; and nothing is done any more. */
    add_request(queue);
    driver_kick(driver, queue);
    rig_settle();
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100), 0);
    ck_assert(!driver_has_used(driver, queue));
    /* The reset heals. */
    queue = start();
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    add_request(queue);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 16);
}
END_TEST

START_TEST (broken_ring_without_msix) {
    DriverQueue *queue = start();
    add_nonsense(queue);
    ck_assert(rig->vm.level[PCI_INTX_GSI(2, 0)]);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->isr, 1), 2);
    ck_assert(!rig->vm.level[PCI_INTX_GSI(2, 0)]);
}
END_TEST

START_TEST (ring_outside_ram_needs_reset) {
    ck_assert(driver_negotiate(driver, FEATURES));
    driver_setup_queue(driver, 0, 8);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    ck_assert(driver_negotiate(driver, FEATURES));
    driver_write(driver, VIRTIO_PCI_QUEUE_DESC, 8, RIG_RAM - 16);
    driver_write(driver, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
    driver_ok(driver);
    ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    ck_assert_uint_eq(rig->vm.doorbells->len, 0);
    start();
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
}
END_TEST

START_TEST (requests_before_driver_ok_are_served_after_it) {
    ck_assert(driver_negotiate(driver, FEATURES));
    DriverQueue *queue = driver_setup_queue(driver, 0, 8);
    add_request(queue);
    driver_kick(driver, queue);
    rig_settle();
    ck_assert(!driver_has_used(driver, queue));
    driver_ok(driver);
    driver_wait_used(driver, queue, NULL);
}
END_TEST

START_TEST (queue_enabled_while_running) {
    ck_assert(driver_negotiate(driver, FEATURES));
    driver_ok(driver);
    ck_assert_uint_eq(rig->vm.doorbells->len, 0);
    DriverQueue *queue = driver_setup_queue(driver, 0, 8);
    ck_assert_uint_eq(rig->vm.doorbells->len, 1);
    add_request(queue);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
}
END_TEST

START_TEST (doorbells_follow) {
    ck_assert_uint_eq(rig->vm.doorbell_adds, 0);
    DriverQueue *queue = start();
    ck_assert_uint_eq(rig->vm.doorbells->len, 1);
    ck_assert_uint_eq(g_array_index(rig->vm.doorbells, FakeDoorbell, 0).address, queue->doorbell);
    /* Decoding off and on, moved. */
    rig_config_write(rig, 2, 4, 2, 0);
    ck_assert_uint_eq(rig->vm.doorbells->len, 0);
    rig_config_write(rig, 2, 0x20, 4, 0xf0000000);
    rig_config_write(rig, 2, 4, 2, 2);
    ck_assert_uint_eq(g_array_index(rig->vm.doorbells, FakeDoorbell, 0).address, 0xf0003000);
    add_request(queue);
    rig_mmio_write(rig, 0xf0003000, 2, 0);
    driver_wait_used(driver, queue, NULL);
    rig_reset(rig);
    ck_assert_uint_eq(rig->vm.doorbells->len, 0);
}
END_TEST

START_TEST (without_doorbells) {
    tear_down();
    set_up_device(_i == 0 ? "virtio-rng-pci" : "virtio-rng-pci,ioeventfd=off");
    rig->vm.refuse_doorbells = _i == 0;
    DriverQueue *queue = start();
    ck_assert_uint_eq(rig->vm.doorbells->len, 0);
    add_request(queue);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 16);
    /* Doorbells of queues that there are not. */
    io_bus_write(rig->env.mmio, driver->notify + 4, 2, 1);
    io_bus_write(rig->env.mmio, driver->notify + 0xffc, 4, 1);
    rig_settle();
}
END_TEST

START_TEST (features_can_be_switched_off) {
    tear_down();
    set_up_device("virtio-rng-pci,event_idx=off,indirect_desc=off,disable-legacy=on,disable-modern=off,"
                  "multifunction=on");
    ck_assert_uint_eq(driver_offered(driver), VERSION_1);
}
END_TEST

static void window_set(guint bar, guint offset, guint length)
{
    rig_config_write(rig, 2, driver->window + 4, 1, bar);
    rig_config_write(rig, 2, driver->window + 8, 4, offset);
    rig_config_write(rig, 2, driver->window + 12, 4, length);
}

START_TEST (configuration_window) {
    window_set(4, VIRTIO_PCI_NUM_QUEUES, 2);
    ck_assert_uint_eq(rig_config_read(rig, 2, driver->window + 16, 2), 1);
    window_set(4, VIRTIO_PCI_DEVICE_STATUS, 1);
    rig_config_write(rig, 2, driver->window + 16, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    ck_assert_uint_eq(driver_status(driver), VIRTIO_STATUS_ACKNOWLEDGE);
    window_set(4, VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4);
    rig_config_write(rig, 2, driver->window + 16, 4, 1);
    window_set(4, VIRTIO_PCI_DEVICE_FEATURE, 4);
    ck_assert_uint_eq(rig_config_read(rig, 2, driver->window + 16, 4), 1);
    /* Elsewhere, unaligned, too long: nothing. */
    static const guint bad[][3] = {{0, 0, 4}, {1, 0, 4},      {4, 2, 4},          {4, 0, 3},  {4, 0, 0},
                                   {4, 0, 8}, {4, 0x4000, 4}, {4, 0xfffffffc, 4}, {255, 0, 1}};
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        window_set(bad[i][0], bad[i][1], bad[i][2]);
        rig_config_read(rig, 2, driver->window + 16, 4);
        rig_config_write(rig, 2, driver->window + 16, 4, 0);
    }
    ck_assert_uint_eq(driver_status(driver), VIRTIO_STATUS_ACKNOWLEDGE);
}
END_TEST

START_TEST (configuration_changes_are_told) {
    driver_msix_enable(driver);
    start();
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    VirtioDevice *device = (VirtioDevice *)device_find(&rig->env, "rng0");
    guint before = (guint)driver_read(driver, VIRTIO_PCI_CONFIG_GENERATION, 1);
    g_mutex_lock(&device->lock);
    virtio_device_config_changed(device);
    g_mutex_unlock(&device->lock);
    ck_assert_uint_ne(driver_read(driver, VIRTIO_PCI_CONFIG_GENERATION, 1), before);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100), 1);
}
END_TEST

static const struct {
    const char *options, *error;
} bad_options[] = {
    {"virtio-rng-pci,bus=pci.1", "-device virtio-rng-pci: bus 'pci.1' does not exist; there is pci.0"},
    {"virtio-rng-pci,id=b,addr=0x2",
     "-device virtio-rng-pci,id=b: slot 2 function 0 is already used by 'virtio-rng-pci (rng0)', cannot put "
     "'virtio-rng-pci (b)' there"},
    {"virtio-rng-pci,addr=0x20", "-device virtio-rng-pci: '0x20' is not a PCI address: slot 0x0 to 0x1f in "
                                 "hexadecimal, optionally .function 0 to 7"},
    {"virtio-rng-pci,disable-modern=on",
     "-device virtio-rng-pci: disable-modern=on: only the modern virtio interface is there"},
    {"virtio-rng-pci,disable-legacy=off",
     "-device virtio-rng-pci: disable-legacy=off: only the modern virtio interface is there"},
    {"virtio-rng-pci,vectors=65",
     "-device virtio-rng-pci: 'vectors' must be a number from 0 to 64, not '65'"},
    {"virtio-rng-pci,iommu_platform=on", "-device virtio-rng-pci: unknown property 'iommu_platform'"},
    {"virtio-rng-pci,id=rng0", "-device virtio-rng-pci: Duplicate device ID 'rng0'"},
    {"virtio-gpu", "-device virtio-gpu: driver 'virtio-gpu' is not known; -device help lists them"},
};

START_TEST (bad_options_are_told) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, bad_options[_i].options, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(error->message, bad_options[_i].error);
    ck_assert_uint_eq(rig->env.devices->len, 1);
    ck_assert_uint_eq(rig_config_read(rig, 3, 0, 4), 0xffffffff);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-pci");
    TCase *c = tcase_create("virtio-pci");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, layout);
    tcase_add_loop_test(c, features_are_checked, 0, G_N_ELEMENTS(negotiations));
    tcase_add_test(c, status_bits_only_grow);
    tcase_add_test(c, queue_registers);
    tcase_add_test(c, accesses_of_any_size_and_place);
    tcase_add_test(c, interrupts_by_intx);
    tcase_add_test(c, interrupts_by_msix);
    tcase_add_test(c, others_raise_interrupts);
    tcase_add_test(c, others_handle_kicks);
    tcase_add_test(c, vectors_0_means_no_msix);
    tcase_add_test(c, broken_ring_needs_reset);
    tcase_add_test(c, broken_ring_without_msix);
    tcase_add_test(c, ring_outside_ram_needs_reset);
    tcase_add_test(c, requests_before_driver_ok_are_served_after_it);
    tcase_add_test(c, queue_enabled_while_running);
    tcase_add_test(c, doorbells_follow);
    tcase_add_loop_test(c, without_doorbells, 0, 2);
    tcase_add_test(c, features_can_be_switched_off);
    tcase_add_test(c, configuration_window);
    tcase_add_test(c, configuration_changes_are_told);
    tcase_add_loop_test(c, bad_options_are_told, 0, G_N_ELEMENTS(bad_options));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
