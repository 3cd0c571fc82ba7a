// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/device/driver.h"

#include <string.h>
#include <unistd.h>

/* ---- VmOps ---- */

static void set_line(VmOps *vm, guint gsi, gboolean level)
{
    FakeVm *fake = (FakeVm *)vm;
    g_assert_cmpuint(gsi, <, FAKE_FIRST);
    fake->level[gsi] = level;
    fake->line_calls++;
}

static int msi_add(VmOps *vm, guint64 address, guint32 data, GError **error)
{
    FakeVm *fake = (FakeVm *)vm;
    for (guint i = FAKE_FIRST; i < FAKE_GSIS && !fake->refuse_msi; i++) {
        if (fake->gsi[i].used)
            continue;
        fake->gsi[i].used = TRUE;
        fake->gsi[i].address = address;
        fake->gsi[i].data = data;
        fake->gsi[i].fd = fake->gsi[i].other_fd = -1;
        fake->msi_adds++;
        return (int)i;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no GSI is left");
    return -1;
}

static gboolean msi_update(VmOps *vm, guint gsi, guint64 address, guint32 data, GError **error)
{
    FakeVm *fake = (FakeVm *)vm;
    g_assert_true(fake->gsi[gsi].used);
    fake->gsi[gsi].address = address;
    fake->gsi[gsi].data = data;
    fake->msi_updates++;
    return TRUE;
}

static void msi_remove(VmOps *vm, guint gsi)
{
    FakeVm *fake = (FakeVm *)vm;
    g_assert_true(fake->gsi[gsi].used);
    g_assert_cmpint(fake->gsi[gsi].fd, ==, -1);
    g_assert_cmpint(fake->gsi[gsi].other_fd, ==, -1);
    fake->gsi[gsi].used = FALSE;
    fake->msi_removes++;
}

static gboolean irqfd_add(VmOps *vm, int eventfd, guint gsi, GError **error)
{
    FakeVm *fake = (FakeVm *)vm;
    if (fake->refuse_irqfd) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no irqfd");
        return FALSE;
    }
    g_assert_true(fake->gsi[gsi].used);
    if (fake->gsi[gsi].fd == -1) {
        fake->gsi[gsi].fd = eventfd;
    } else {
        g_assert_cmpint(fake->gsi[gsi].other_fd, ==, -1);
        fake->gsi[gsi].other_fd = eventfd;
    }
    fake->irqfd_adds++;
    return TRUE;
}

static void irqfd_remove(VmOps *vm, int eventfd, guint gsi)
{
    FakeVm *fake = (FakeVm *)vm;
    int *slot = fake->gsi[gsi].other_fd == eventfd ? &fake->gsi[gsi].other_fd : &fake->gsi[gsi].fd;
    g_assert_cmpint(*slot, ==, eventfd);
    *slot = -1;
    fake->irqfd_removes++;
}

static gboolean doorbell_add(VmOps *vm, guint64 mmio_address, guint size, int eventfd, GError **error)
{
    FakeVm *fake = (FakeVm *)vm;
    if (fake->refuse_doorbells) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "no doorbells here");
        return FALSE;
    }
    FakeDoorbell doorbell = {.address = mmio_address, .size = size, .fd = eventfd};
    g_array_append_val(fake->doorbells, doorbell);
    fake->doorbell_adds++;
    return TRUE;
}

static void doorbell_remove(VmOps *vm, guint64 mmio_address, guint size, int eventfd)
{
    FakeVm *fake = (FakeVm *)vm;
    for (guint i = 0; i < fake->doorbells->len; i++) {
        FakeDoorbell *doorbell = &g_array_index(fake->doorbells, FakeDoorbell, i);
        if (doorbell->address == mmio_address && doorbell->size == size && doorbell->fd == eventfd) {
            g_array_remove_index(fake->doorbells, i);
            fake->doorbell_removes++;
            return;
        }
    }
    g_assert_not_reached(); /* it was never added */
}

/* ---- rig ---- */

static void on_event(const char *name, JsonObject *data, gpointer user_data)
{
    Rig *rig = user_data;
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, data);
    g_autofree char *text = json_to_string(node, FALSE);
    g_mutex_lock(&rig->events_lock);
    g_ptr_array_add(rig->events, g_strdup_printf("%s %s", name, text));
    g_mutex_unlock(&rig->events_lock);
}

static void on_io_error(gpointer user_data)
{
    g_atomic_int_inc(&((Rig *)user_data)->io_errors);
}

static void on_alarm(DeviceAlarm alarm, gpointer user_data)
{
    Rig *rig = user_data;
    g_mutex_lock(&rig->events_lock);
    rig->alarms[alarm]++;
    g_mutex_unlock(&rig->events_lock);
}

static void on_gpe(guint gpe, gpointer user_data)
{
    Rig *rig = user_data;
    g_mutex_lock(&rig->events_lock);
    rig->gpes |= 1u << gpe;
    g_mutex_unlock(&rig->events_lock);
}

Rig *rig_new(void)
{
    Rig *rig = g_new0(Rig, 1);
    rig->vm = (FakeVm){.ops = {set_line, msi_add, msi_update, msi_remove, irqfd_add, irqfd_remove,
                               doorbell_add, doorbell_remove},
                       .doorbells = g_array_new(FALSE, FALSE, sizeof(FakeDoorbell))};
    rig->events = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    rig->memory = guest_memory_new(RIG_RAM, &error);
    g_assert_nonnull(rig->memory);
    rig->env = (DeviceEnv){.memory = rig->memory,
                           .vm = &rig->vm.ops,
                           .ports = io_bus_new("ports", 0xffff),
                           .mmio = io_bus_new("mmio", G_MAXUINT64),
                           .chardevs = chardev_set_new(),
                           .objects = object_set_new(),
                           .fds = fd_store_new(),
                           .netdevs = netdev_set_new(on_event, rig),
                           .devices = g_ptr_array_new(),
                           .event = on_event,
                           .alarm = on_alarm,
                           .raise_gpe = on_gpe,
                           .event_data = rig};
    rig->env.blocks = block_set_new(rig->env.objects);
    block_set_set_fds(rig->env.blocks, rig->env.fds);
    netdev_set_set_fds(rig->env.netdevs, rig->env.fds);
    rig->env.io = io_context_new_main();
    DriveEnv drive_env = {.event = on_event, .io_error = on_io_error, .user_data = rig};
    rig->env.drives = drive_set_new(rig->env.blocks, rig->env.objects, &drive_env);
    rig->env.vcpus = 1;
    rig->env.pci = pci_bus_new(rig->env.ports, rig->env.mmio, rig->env.vm, &error);
    g_assert_nonnull(rig->env.pci);
    return rig;
}

void rig_free(Rig *rig)
{
    for (guint i = rig->env.devices->len; i > 0; i--)
        device_destroy(rig->env.devices->pdata[i - 1]);
    g_ptr_array_unref(rig->env.devices);
    pci_bus_free(rig->env.pci);
    io_bus_free(rig->env.mmio);
    io_bus_free(rig->env.ports);
    drive_set_free(rig->env.drives);
    block_set_free(rig->env.blocks);
    io_context_free(rig->env.io);
    netdev_set_free(rig->env.netdevs);
    fd_store_free(rig->env.fds);
    object_set_free(rig->env.objects);
    chardev_set_free(rig->env.chardevs);
    guest_memory_free(rig->memory);
    g_ptr_array_unref(rig->events);

    g_assert_cmpuint(rig->vm.doorbells->len, ==, 0);
    g_assert_cmpuint(rig->vm.msi_adds, ==, rig->vm.msi_removes);
    g_assert_cmpuint(rig->vm.irqfd_adds, ==, rig->vm.irqfd_removes);
    for (guint i = 0; i < FAKE_FIRST; i++)
        g_assert_true(!rig->vm.level[i]);
    g_array_unref(rig->vm.doorbells);
    g_free(rig);
    rig_settle();
}

Device *rig_try_device(Rig *rig, const char *options, GError **error)
{
    g_autoptr(OptSet) set = optset_parse("-device", options, "driver", error);
    return set != NULL ? device_create(&rig->env, set, error) : NULL;
}

Device *rig_device(Rig *rig, const char *options)
{
    g_autoptr(GError) error = NULL;
    Device *device = rig_try_device(rig, options, &error);
    g_assert_no_error(error);
    return device;
}

void rig_object(Rig *rig, const char *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) set = optset_parse("-object", options, "qom-type", &error);
    g_assert_nonnull(set);
    object_set_add(rig->env.objects, set, &error);
    g_assert_no_error(error);
}

NetDev *rig_netdev(Rig *rig, const char *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) set = optset_parse("-netdev", options, "type", &error);
    g_assert_nonnull(set);
    NetDev *netdev = netdev_set_add(rig->env.netdevs, set, &error);
    g_assert_no_error(error);
    return netdev;
}

Chardev *rig_chardev(Rig *rig, const char *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) set = optset_parse("-chardev", options, "backend", &error);
    g_assert_nonnull(set);
    Chardev *chardev = chardev_set_add(rig->env.chardevs, set, &error);
    g_assert_no_error(error);
    return chardev;
}

void rig_assign(Rig *rig)
{
    g_autoptr(GError) error = NULL;
    pci_bus_assign(rig->env.pci, &error);
    g_assert_no_error(error);
}

void rig_reset(Rig *rig)
{
    for (guint i = 0; i < rig->env.devices->len; i++) {
        Device *device = rig->env.devices->pdata[i];
        if (device->reset != NULL)
            device->reset(device);
        if (device->pci != NULL)
            pci_device_reset(device->pci);
    }
}

guint32 rig_config_read(Rig *rig, guint slot, guint offset, guint size)
{
    io_bus_write(rig->env.ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    return (guint32)io_bus_read(rig->env.ports, 0xcfc + (offset & 3), size);
}

void rig_config_write(Rig *rig, guint slot, guint offset, guint size, guint32 value)
{
    io_bus_write(rig->env.ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    io_bus_write(rig->env.ports, 0xcfc + (offset & 3), size, value);
}

void rig_mmio_write(Rig *rig, guint64 address, guint size, guint64 value)
{
    for (guint i = 0; i < rig->vm.doorbells->len; i++) {
        const FakeDoorbell *doorbell = &g_array_index(rig->vm.doorbells, FakeDoorbell, i);
        if (doorbell->address == address && (doorbell->size == 0 || doorbell->size == size)) {
            guint64 one = 1;
            g_assert_cmpint(write(doorbell->fd, &one, sizeof one), ==, sizeof one);
            return;
        }
    }
    io_bus_write(rig->env.mmio, address, size, value);
}

void rig_settle(void)
{
    for (guint i = 0; i < 10000 && g_main_context_iteration(NULL, FALSE); i++)
        ;
}

static gboolean on_timeout(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_CONTINUE;
}

void rig_wait(gboolean (*done)(gpointer user_data), gpointer user_data)
{
    gboolean timed_out = FALSE;
    guint timer = g_timeout_add_seconds(WAIT_SECONDS, on_timeout, &timed_out);
    while (!done(user_data) && !timed_out)
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(WAIT_STEP_US); /* another thread may be at it */
    g_source_remove(timer);
    g_assert_false(timed_out);
}

guint64 rig_take_interrupts(Rig *rig, guint32 data)
{
    guint64 sum = 0;
    for (guint i = FAKE_FIRST; i < FAKE_GSIS; i++) {
        guint64 count = 0;
        if (rig->vm.gsi[i].used && rig->vm.gsi[i].data == data && rig->vm.gsi[i].fd >= 0 &&
            read(rig->vm.gsi[i].fd, &count, sizeof count) == sizeof count)
            sum += count;
    }
    return sum;
}

/* ---- the virtio driver ---- */

static guint64 bar_address(Rig *rig, guint slot, guint index)
{
    guint32 low = rig_config_read(rig, slot, 0x10 + index * 4, 4);
    guint64 address = low & ~0xfu;
    if ((low & 4) != 0)
        address |= (guint64)rig_config_read(rig, slot, 0x14 + index * 4, 4) << 32;
    return address;
}

Driver *driver_new(Rig *rig, guint slot, guint64 base)
{
    Driver *driver = g_new0(Driver, 1);
    driver->rig = rig;
    driver->slot = slot;
    driver->next_free = base;
    guint limit = 48;
    for (guint at = rig_config_read(rig, slot, 0x34, 1); at != 0 && limit > 0; limit--) {
        if (rig_config_read(rig, slot, at, 1) == 0x09) {
            guint type = rig_config_read(rig, slot, at + 3, 1);
            guint bar = rig_config_read(rig, slot, at + 4, 1);
            guint64 place = bar_address(rig, slot, bar) + rig_config_read(rig, slot, at + 8, 4);
            if (type == VIRTIO_PCI_CAP_COMMON_CFG)
                driver->common = place;
            if (type == VIRTIO_PCI_CAP_ISR_CFG)
                driver->isr = place;
            if (type == VIRTIO_PCI_CAP_DEVICE_CFG)
                driver->config = place;
            if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
                driver->notify = place;
                driver->notify_multiplier = rig_config_read(rig, slot, at + 16, 4);
            }
            if (type == VIRTIO_PCI_CAP_PCI_CFG)
                driver->window = (guint8)at;
        }
        at = rig_config_read(rig, slot, at + 1, 1);
    }
    g_assert_cmpuint(limit, >, 0);
    g_assert_true(driver->common && driver->isr && driver->config && driver->notify && driver->window);
    return driver;
}

guint64 driver_read(Driver *driver, guint offset, guint size)
{
    return io_bus_read(driver->rig->env.mmio, driver->common + offset, size);
}

void driver_write(Driver *driver, guint offset, guint size, guint64 value)
{
    rig_mmio_write(driver->rig, driver->common + offset, size, value);
}

guint64 driver_offered(Driver *driver)
{
    driver_write(driver, VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4, 0);
    guint64 features = driver_read(driver, VIRTIO_PCI_DEVICE_FEATURE, 4);
    driver_write(driver, VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4, 1);
    return features | driver_read(driver, VIRTIO_PCI_DEVICE_FEATURE, 4) << 32;
}

guint8 driver_status(Driver *driver)
{
    return (guint8)driver_read(driver, VIRTIO_PCI_DEVICE_STATUS, 1);
}

static gboolean is_reset(gpointer user_data)
{
    return driver_status(user_data) == 0;
}

gboolean driver_negotiate(Driver *driver, guint64 features)
{
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    memset(driver->queues, 0, sizeof driver->queues);
    rig_wait(is_reset, driver); /* a disk finishes what it has begun */
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    driver->features = features;
    driver_write(driver, VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 0);
    driver_write(driver, VIRTIO_PCI_DRIVER_FEATURE, 4, (guint32)features);
    driver_write(driver, VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 1);
    driver_write(driver, VIRTIO_PCI_DRIVER_FEATURE, 4, features >> 32);
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1,
                 VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    return (driver_status(driver) & VIRTIO_STATUS_FEATURES_OK) != 0;
}

guint64 driver_alloc(Driver *driver, guint64 length)
{
    guint64 address = (driver->next_free + 15) & ~15ull;
    guint8 *host = guest_memory_range(driver->rig->memory, address, MAX(length, 1));
    g_assert_nonnull(host);
    memset(host, 0, length);
    driver->next_free = address + length;
    return address;
}

DriverQueue *driver_setup_queue(Driver *driver, guint index, guint size)
{
    g_assert_cmpuint(index, <, DRIVER_MAX_QUEUES);
    DriverQueue *queue = &driver->queues[index];
    *queue = (DriverQueue){.index = index,
                           .size = size,
                           .desc = driver_alloc(driver, 16 * size),
                           .avail = driver_alloc(driver, 6 + 2 * size),
                           .used = driver_alloc(driver, 6 + 8 * size)};
    driver_write(driver, VIRTIO_PCI_QUEUE_SELECT, 2, index);
    driver_write(driver, VIRTIO_PCI_QUEUE_SIZE, 2, size);
    /* One whole, two in halves: drivers do either. */
    driver_write(driver, VIRTIO_PCI_QUEUE_DESC, 8, queue->desc);
    driver_write(driver, VIRTIO_PCI_QUEUE_DRIVER, 4, (guint32)queue->avail);
    driver_write(driver, VIRTIO_PCI_QUEUE_DRIVER + 4, 4, queue->avail >> 32);
    driver_write(driver, VIRTIO_PCI_QUEUE_DEVICE, 4, (guint32)queue->used);
    driver_write(driver, VIRTIO_PCI_QUEUE_DEVICE + 4, 4, queue->used >> 32);
    driver_write(driver, VIRTIO_PCI_QUEUE_MSIX_VECTOR, 2, index + 1);
    queue->doorbell =
        driver->notify + driver_read(driver, VIRTIO_PCI_QUEUE_NOTIFY_OFF, 2) * driver->notify_multiplier;
    driver_write(driver, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
    return queue;
}

void driver_ok(Driver *driver)
{
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, driver_status(driver) | VIRTIO_STATUS_DRIVER_OK);
}

static guint8 msix_capability(Driver *driver)
{
    guint at = rig_config_read(driver->rig, driver->slot, 0x34, 1);
    while (at != 0 && rig_config_read(driver->rig, driver->slot, at, 1) != 0x11)
        at = rig_config_read(driver->rig, driver->slot, at + 1, 1);
    g_assert_cmpuint(at, !=, 0);
    return (guint8)at;
}

guint64 driver_msix_table(Driver *driver)
{
    return bar_address(driver->rig, driver->slot, VIRTIO_PCI_BAR_MSIX);
}

void driver_msix_enable(Driver *driver)
{
    guint8 at = msix_capability(driver);
    guint count = (rig_config_read(driver->rig, driver->slot, at + 2, 2) & 0x7ff) + 1;
    guint64 table = driver_msix_table(driver);
    rig_config_write(driver->rig, driver->slot, at + 2, 2, 0xc000);
    for (guint i = 0; i < count; i++) {
        rig_mmio_write(driver->rig, table + i * 16, 4, 0xfee00000);
        rig_mmio_write(driver->rig, table + i * 16 + 4, 4, 0);
        rig_mmio_write(driver->rig, table + i * 16 + 8, 4, 0x100 + i);
        rig_mmio_write(driver->rig, table + i * 16 + 12, 4, 0);
    }
    rig_config_write(driver->rig, driver->slot, at + 2, 2, 0x8000);
}

guint16 driver_get16(Driver *driver, guint64 address)
{
    guint16 value = 0;
    g_assert_true(guest_memory_read(driver->rig->memory, address, &value, sizeof value));
    return value;
}

void driver_put16(Driver *driver, guint64 address, guint16 value)
{
    g_assert_true(guest_memory_write(driver->rig->memory, address, &value, sizeof value));
}

void driver_put_desc(Driver *driver, guint64 table, guint index, guint64 address, guint32 length,
                     guint16 flags, guint16 next)
{
    struct {
        guint64 address;
        guint32 length;
        guint16 flags, next;
    } desc = {address, length, flags, next};
    g_assert_true(guest_memory_write(driver->rig->memory, table + index * 16, &desc, sizeof desc));
}

guint16 driver_add(Driver *driver, DriverQueue *queue, const DriverBuffer *buffers, guint count)
{
    guint16 head = (guint16)(queue->next_desc % queue->size);
    for (guint i = 0; i < count; i++) {
        guint16 flags = (guint16)((buffers[i].is_in ? 2 : 0) | (i + 1 < count ? 1 : 0));
        driver_put_desc(driver, queue->desc, (head + i) % queue->size, buffers[i].address, buffers[i].length,
                        flags, (guint16)((head + i + 1) % queue->size));
    }
    queue->next_desc = (guint16)(queue->next_desc + count);
    driver_put16(driver, queue->avail + 4 + 2 * (queue->avail_index % queue->size), head);
    queue->avail_index++;
    driver_put16(driver, queue->avail + 2, queue->avail_index);
    return head;
}

void driver_kick(Driver *driver, DriverQueue *queue)
{
    rig_mmio_write(driver->rig, queue->doorbell, 2, queue->index);
}

gboolean driver_has_used(Driver *driver, DriverQueue *queue)
{
    return driver_get16(driver, queue->used + 2) != queue->used_index;
}

typedef struct UsedWait {
    Driver *driver;
    DriverQueue *queue;
} UsedWait;

static gboolean has_used(gpointer user_data)
{
    UsedWait *wait = user_data;
    return driver_has_used(wait->driver, wait->queue);
}

guint32 driver_wait_used(Driver *driver, DriverQueue *queue, guint16 *head)
{
    UsedWait wait = {driver, queue};
    rig_wait(has_used, &wait);
    guint32 entry[2];
    g_assert_true(guest_memory_read(
        driver->rig->memory, queue->used + 4 + 8 * (queue->used_index % queue->size), entry, sizeof entry));
    queue->used_index++;
    if (head != NULL)
        *head = (guint16)entry[0];
    return entry[1];
}
