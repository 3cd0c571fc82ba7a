// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-pci.h"

#include <string.h>

#include "host-vmm/bus/pci-msix.h"

#define VENDOR_REDHAT_QUMRANET 0x1af4
#define SUBSYSTEM_QEMU         0x1100
#define DEVICE_ID_BASE         0x1040
#define REVISION_MODERN        1

#define CAPABILITY_VENDOR 0x09
#define CAP_TYPE          3 /* offsets in struct virtio_pci_cap */
#define CAP_BAR           4
#define CAP_OFFSET        8
#define CAP_LENGTH        12
#define CAP_SIZE          16
#define CAP_EXTRA         16 /* notify_off_multiplier, pci_cfg_data */

#define ISR_QUEUE  1
#define ISR_CONFIG 2

typedef struct PciQueue {
    guint16 vector;
    guint64 doorbell; /* where it is registered; PCI_BAR_UNMAPPED: nowhere */
    int irq_fd;       /* somebody else's, which raises the interrupt; -1: none */
} PciQueue;

struct VirtioPci {
    VirtioDevice *device;
    PciDevice *pci;
    VmOps *vm;
    gboolean ioeventfd;
    guint8 window; /* offset of the PCI_CFG capability; its contents are under the bus's configuration lock */

    /* Under device->lock. */
    guint64 bar; /* where the register BAR is; PCI_BAR_UNMAPPED */
    guint32 device_feature_select, driver_feature_select;
    guint16 queue_select;
    guint16 config_vector;
    guint8 isr;
    PciQueue *queues;
};

/* ---- interrupts and doorbells: the transport's side of VirtioDevice ---- */

static void raise_interrupt(VirtioPci *self, guint16 vector, guint8 isr)
{
    if (pci_device_msix_enabled(self->pci)) {
        if (vector != VIRTIO_PCI_NO_VECTOR)
            pci_device_msix_notify(self->pci, vector);
        /* Section 4.1.4.5.1: the configuration bit is set in any case, the queue bit without MSI-X only. */
        self->isr |= isr & ISR_CONFIG;
    } else {
        self->isr |= isr;
        pci_device_set_intx(self->pci, TRUE);
    }
}

static void queue_interrupt(gpointer transport, guint index)
{
    VirtioPci *self = transport;
    raise_interrupt(self, self->queues[index].vector, ISR_QUEUE);
}

static void config_interrupt(gpointer transport)
{
    VirtioPci *self = transport;
    raise_interrupt(self, self->config_vector, ISR_CONFIG);
}

static void sync_doorbells(gpointer transport)
{
    VirtioPci *self = transport;
    for (guint i = 0; i < self->device->queue_count; i++) {
        PciQueue *queue = &self->queues[i];
        int fd = self->device->queues[i].event_fd;
        guint64 wanted = PCI_BAR_UNMAPPED;
        if (self->ioeventfd && self->bar != PCI_BAR_UNMAPPED && virtio_device_wants_doorbell(self->device, i))
            wanted = self->bar + VIRTIO_PCI_NOTIFY + (guint64)i * VIRTIO_PCI_NOTIFY_MULTIPLIER;
        if (queue->doorbell == wanted)
            continue;
        if (queue->doorbell != PCI_BAR_UNMAPPED)
            self->vm->doorbell_remove(self->vm, queue->doorbell, 0, fd);
        queue->doorbell = PCI_BAR_UNMAPPED;
        g_autoptr(GError) error = NULL;
        if (wanted == PCI_BAR_UNMAPPED)
            continue;
        if (self->vm->doorbell_add(self->vm, wanted, 0, fd, &error))
            queue->doorbell = wanted;
        else /* the write arrives as an MMIO access then */
            g_debug("%s: no doorbell for queue %u: %s", self->device->name, i, error->message);
    }
}

static void attach_irq_fd(VirtioPci *self, PciQueue *queue)
{
    if (queue->irq_fd >= 0 && queue->vector != VIRTIO_PCI_NO_VECTOR)
        pci_device_msix_attach(self->pci, queue->vector, queue->irq_fd);
}

static void detach_irq_fd(VirtioPci *self, PciQueue *queue)
{
    if (queue->irq_fd >= 0 && queue->vector != VIRTIO_PCI_NO_VECTOR)
        pci_device_msix_detach(self->pci, queue->irq_fd);
}

/* An INTx line has to be lowered again by us, so it is not for others to raise. */
static gboolean set_irq_fd(gpointer transport, guint index, int eventfd)
{
    VirtioPci *self = transport;
    PciQueue *queue = &self->queues[index];
    detach_irq_fd(self, queue);
    queue->irq_fd = -1;
    if (eventfd < 0 || !pci_device_msix_enabled(self->pci))
        return eventfd < 0;
    queue->irq_fd = eventfd;
    attach_irq_fd(self, queue);
    return TRUE;
}

static const VirtioTransportOps transport_ops = {
    .queue_interrupt = queue_interrupt,
    .config_interrupt = config_interrupt,
    .sync_doorbells = sync_doorbells,
    .set_irq_fd = set_irq_fd,
};

static void on_bar(PciDevice *pci, guint index, guint64 address, gpointer user_data)
{
    VirtioPci *self = user_data;
    if (index != VIRTIO_PCI_BAR_REGISTERS)
        return;
    g_mutex_lock(&self->device->lock);
    self->bar = address;
    sync_doorbells(self);
    g_mutex_unlock(&self->device->lock);
}

/* With the lock held. */
static void reset_registers(VirtioPci *self)
{
    self->device_feature_select = 0;
    self->driver_feature_select = 0;
    self->queue_select = 0;
    self->config_vector = VIRTIO_PCI_NO_VECTOR;
    self->isr = 0;
    for (guint i = 0; i < self->device->queue_count; i++) {
        detach_irq_fd(self, &self->queues[i]);
        self->queues[i].vector = VIRTIO_PCI_NO_VECTOR;
    }
    pci_device_set_intx(self->pci, FALSE);
}

/* ---- registers ---- */

/* The selected queue, or NULL. */
static VirtQueue *selected_ring(VirtioPci *self)
{
    return self->queue_select < self->device->queue_count ? &self->device->queues[self->queue_select].ring
                                                          : NULL;
}

/* All of the common configuration as the driver would see it now, so that an access of any size and place is
 * a copy. */
static void fill_common(VirtioPci *self, guint8 *common)
{
    VirtioDevice *device = self->device;
    VirtQueue *ring = selected_ring(self);
#define FIELD(offset, type, value)                                                                           \
    do {                                                                                                     \
        type field_ = (type)(value);                                                                         \
        memcpy(common + (offset), &field_, sizeof field_);                                                   \
    } while (0)
    memset(common, 0, VIRTIO_PCI_COMMON_LENGTH);
    FIELD(VIRTIO_PCI_DEVICE_FEATURE_SELECT, guint32, self->device_feature_select);
    FIELD(VIRTIO_PCI_DEVICE_FEATURE, guint32, virtio_device_features(device, self->device_feature_select));
    FIELD(VIRTIO_PCI_DRIVER_FEATURE_SELECT, guint32, self->driver_feature_select);
    FIELD(VIRTIO_PCI_DRIVER_FEATURE, guint32,
          virtio_device_driver_features(device, self->driver_feature_select));
    FIELD(VIRTIO_PCI_CONFIG_MSIX_VECTOR, guint16, self->config_vector);
    FIELD(VIRTIO_PCI_NUM_QUEUES, guint16, device->queue_count);
    FIELD(VIRTIO_PCI_DEVICE_STATUS, guint8, device->status);
    FIELD(VIRTIO_PCI_CONFIG_GENERATION, guint8, device->generation);
    FIELD(VIRTIO_PCI_QUEUE_SELECT, guint16, self->queue_select);
    if (ring == NULL)
        return;
    FIELD(VIRTIO_PCI_QUEUE_SIZE, guint16, ring->size);
    FIELD(VIRTIO_PCI_QUEUE_MSIX_VECTOR, guint16, self->queues[self->queue_select].vector);
    FIELD(VIRTIO_PCI_QUEUE_ENABLE, guint16, ring->enabled);
    FIELD(VIRTIO_PCI_QUEUE_NOTIFY_OFF, guint16, self->queue_select);
    FIELD(VIRTIO_PCI_QUEUE_DESC, guint64, ring->desc_address);
    FIELD(VIRTIO_PCI_QUEUE_DRIVER, guint64, ring->driver_address);
    FIELD(VIRTIO_PCI_QUEUE_DEVICE, guint64, ring->device_address);
#undef FIELD
}

static guint16 valid_vector(const VirtioPci *self, guint64 vector)
{
    return vector < pci_device_msix_vectors(self->pci) ? (guint16)vector : VIRTIO_PCI_NO_VECTOR;
}

/* One half of an address, or all of it: drivers write either. */
static void write_address(guint64 *address, guint64 offset, guint size, guint64 value)
{
    if (size == 8 && offset == 0)
        *address = value;
    else if (size == 4 && offset == 0)
        *address = (*address & ~0xffffffffull) | value;
    else if (size == 4 && offset == 4)
        *address = (*address & 0xffffffffull) | value << 32;
}

static void write_queue_register(VirtioPci *self, guint64 offset, guint size, guint64 value)
{
    VirtQueue *ring = selected_ring(self);
    if (ring == NULL)
        return;
    if (offset == VIRTIO_PCI_QUEUE_MSIX_VECTOR && size == 2) {
        PciQueue *queue = &self->queues[self->queue_select];
        detach_irq_fd(self, queue);
        queue->vector = valid_vector(self, value);
        attach_irq_fd(self, queue);
        return;
    }
    /* The rest is fixed once the queue is enabled, until a reset. */
    if (ring->enabled)
        return;
    if (offset == VIRTIO_PCI_QUEUE_SIZE && size == 2)
        virtqueue_set_size(ring, (guint)value);
    else if (offset == VIRTIO_PCI_QUEUE_ENABLE && size == 2 && value == 1)
        virtio_device_enable_queue(self->device, self->queue_select);
    else if (offset >= VIRTIO_PCI_QUEUE_DEVICE)
        write_address(&ring->device_address, offset - VIRTIO_PCI_QUEUE_DEVICE, size, value);
    else if (offset >= VIRTIO_PCI_QUEUE_DRIVER)
        write_address(&ring->driver_address, offset - VIRTIO_PCI_QUEUE_DRIVER, size, value);
    else if (offset >= VIRTIO_PCI_QUEUE_DESC)
        write_address(&ring->desc_address, offset - VIRTIO_PCI_QUEUE_DESC, size, value);
}

static void write_common(VirtioPci *self, guint64 offset, guint size, guint64 value)
{
    VirtioDevice *device = self->device;
    if (offset == VIRTIO_PCI_DEVICE_FEATURE_SELECT && size == 4) {
        self->device_feature_select = (guint32)value;
    } else if (offset == VIRTIO_PCI_DRIVER_FEATURE_SELECT && size == 4) {
        self->driver_feature_select = (guint32)value;
    } else if (offset == VIRTIO_PCI_DRIVER_FEATURE && size == 4) {
        virtio_device_set_driver_features(device, self->driver_feature_select, (guint32)value);
    } else if (offset == VIRTIO_PCI_CONFIG_MSIX_VECTOR && size == 2) {
        self->config_vector = valid_vector(self, value);
    } else if (offset == VIRTIO_PCI_DEVICE_STATUS && size == 1) {
        virtio_device_set_status(device, (guint8)value);
        if (value == 0)
            reset_registers(self);
    } else if (offset == VIRTIO_PCI_QUEUE_SELECT && size == 2) {
        self->queue_select = (guint16)value;
    } else if (offset >= VIRTIO_PCI_QUEUE_SIZE && offset < VIRTIO_PCI_COMMON_LENGTH) {
        write_queue_register(self, offset, size, value);
    }
}

static guint64 read_bytes(const guint8 *block, guint length, guint64 offset, guint size)
{
    guint64 value = 0;
    if (offset < length)
        memcpy(&value, block + offset, MIN(size, length - offset));
    return value;
}

static guint64 bar_read(gpointer user_data, guint64 offset, guint size)
{
    VirtioPci *self = user_data;
    guint64 in_block = offset % VIRTIO_PCI_BLOCK_SIZE;
    guint64 value = 0;
    g_mutex_lock(&self->device->lock);
    switch (offset - in_block) {
    case VIRTIO_PCI_COMMON: {
        guint8 common[VIRTIO_PCI_COMMON_LENGTH];
        fill_common(self, common);
        value = read_bytes(common, sizeof common, in_block, size);
        break;
    }
    case VIRTIO_PCI_ISR:
        if (in_block == 0) {
            value = self->isr;
            self->isr = 0;
            pci_device_set_intx(self->pci, FALSE);
        }
        break;
    case VIRTIO_PCI_DEVICE:
        value = read_bytes(self->device->config, self->device->config_size, in_block, size);
        break;
    default: /* doorbells cannot be read */
        break;
    }
    g_mutex_unlock(&self->device->lock);
    return value;
}

static void bar_write(gpointer user_data, guint64 offset, guint size, guint64 value)
{
    VirtioPci *self = user_data;
    guint64 in_block = offset % VIRTIO_PCI_BLOCK_SIZE;
    g_mutex_lock(&self->device->lock);
    if (offset - in_block == VIRTIO_PCI_COMMON) {
        write_common(self, in_block, size, value);
    } else if (offset - in_block == VIRTIO_PCI_DEVICE) {
        if (self->device->ops->write_config != NULL && in_block + size <= self->device->config_size)
            self->device->ops->write_config(self->device, in_block, size, value);
    } else if (offset - in_block == VIRTIO_PCI_NOTIFY) {
        guint64 index = in_block / VIRTIO_PCI_NOTIFY_MULTIPLIER;
        if (index < self->device->queue_count)
            virtio_device_kick(self->device, (guint)index);
    }
    g_mutex_unlock(&self->device->lock);
}

static const IoBusOps bar_ops = {.read = bar_read, .write = bar_write};

/* ---- capabilities ---- */

static void put32(guint8 *at, guint32 value)
{
    memcpy(at, &value, sizeof value);
}

static guint32 get32(const guint8 *at)
{
    guint32 value;
    memcpy(&value, at, sizeof value);
    return value;
}

static guint8 add_capability(VirtioPci *self, guint8 type, guint8 bar, guint32 offset, guint32 length,
                             guint8 size)
{
    guint8 at = pci_device_add_capability(self->pci, CAPABILITY_VENDOR, size);
    guint8 *cap = pci_device_config(self->pci) + at;
    cap[2] = size;
    cap[CAP_TYPE] = type;
    cap[CAP_BAR] = bar;
    put32(cap + CAP_OFFSET, offset);
    put32(cap + CAP_LENGTH, length);
    return at;
}

/* The window (section 4.1.4.9): configuration space accesses to pci_cfg_data become accesses to the BAR at
 * the place that the guest wrote into the capability. */
static void on_window(PciDevice *pci, guint offset, guint size, gboolean is_write, gpointer user_data)
{
    VirtioPci *self = user_data;
    guint8 *cap = pci_device_config(pci) + self->window;
    guint32 at = get32(cap + CAP_OFFSET);
    guint32 length = get32(cap + CAP_LENGTH);
    if (cap[CAP_BAR] != VIRTIO_PCI_BAR_REGISTERS || (length != 1 && length != 2 && length != 4) ||
        at % length != 0 || at > VIRTIO_PCI_BAR_SIZE - length)
        return;
    if (is_write)
        bar_write(self, at, length, get32(cap + CAP_EXTRA) & (0xffffffffu >> (32 - 8 * length)));
    else
        put32(cap + CAP_EXTRA, (guint32)bar_read(self, at, length));
}

static void add_capabilities(VirtioPci *self)
{
    guint8 *config = pci_device_config(self->pci);
    guint8 *writable = pci_device_writable(self->pci);
    const guint8 bar = VIRTIO_PCI_BAR_REGISTERS;
    self->window = add_capability(self, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, CAP_SIZE + 4);
    writable[self->window + CAP_BAR] = 0xff;
    memset(writable + self->window + CAP_OFFSET, 0xff, CAP_SIZE + 4 - CAP_OFFSET);
    pci_device_set_config_func(self->pci, self->window + CAP_EXTRA, 4, on_window, self);

    guint8 notify = add_capability(self, VIRTIO_PCI_CAP_NOTIFY_CFG, bar, VIRTIO_PCI_NOTIFY,
                                   VIRTIO_PCI_BLOCK_SIZE, CAP_SIZE + 4);
    put32(config + notify + CAP_EXTRA, VIRTIO_PCI_NOTIFY_MULTIPLIER);
    add_capability(self, VIRTIO_PCI_CAP_DEVICE_CFG, bar, VIRTIO_PCI_DEVICE, VIRTIO_PCI_BLOCK_SIZE, CAP_SIZE);
    add_capability(self, VIRTIO_PCI_CAP_ISR_CFG, bar, VIRTIO_PCI_ISR, VIRTIO_PCI_BLOCK_SIZE, CAP_SIZE);
    add_capability(self, VIRTIO_PCI_CAP_COMMON_CFG, bar, VIRTIO_PCI_COMMON, VIRTIO_PCI_BLOCK_SIZE, CAP_SIZE);
}

/* ---- creation ---- */

typedef struct PciOptions {
    int slot;
    guint function;
    guint64 vectors;
    gboolean ioeventfd, event_idx, indirect_desc;
} PciOptions;

static gboolean parse_options(OptSet *options, PciOptions *parsed, GError **error)
{
    const char *legacy = optset_string(options, "disable-legacy");
    gboolean disable_modern = FALSE, multifunction = FALSE;
    /* A slot is multifunction when it has several: accepted, with nothing left to do. */
    if (!device_take_pci_place(options, &parsed->slot, &parsed->function, error) ||
        !optset_bool(options, "multifunction", &multifunction, error) ||
        !optset_uint(options, "vectors", 0, PCI_MSIX_MAX_VECTORS, &parsed->vectors, error) ||
        !optset_bool(options, "ioeventfd", &parsed->ioeventfd, error) ||
        !optset_bool(options, "event_idx", &parsed->event_idx, error) ||
        !optset_bool(options, "indirect_desc", &parsed->indirect_desc, error) ||
        !optset_bool(options, "disable-modern", &disable_modern, error))
        return FALSE;
    gboolean disable_legacy = TRUE;
    if (g_strcmp0(legacy, "auto") != 0 && !optset_bool(options, "disable-legacy", &disable_legacy, error))
        return FALSE;
    if (disable_modern || !disable_legacy) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "%s: only the modern virtio interface is there",
                    disable_modern ? "disable-modern=on" : "disable-legacy=off");
        return FALSE;
    }
    return TRUE;
}

VirtioPci *virtio_pci_new(VirtioDevice *device, guint16 id, guint32 class_code, OptSet *options,
                          GError **error)
{
    PciOptions parsed = {.slot = -1,
                         .vectors = MIN(device->queue_count + 1, PCI_MSIX_MAX_VECTORS),
                         .ioeventfd = TRUE,
                         .event_idx = TRUE,
                         .indirect_desc = TRUE};
    if (!parse_options(options, &parsed, error))
        return NULL;
    if (!parsed.event_idx)
        device->host_features &= ~(1ull << VIRTIO_F_EVENT_IDX);
    if (!parsed.indirect_desc)
        device->host_features &= ~(1ull << VIRTIO_F_INDIRECT_DESC);

    PciIdentity identity = {.vendor = VENDOR_REDHAT_QUMRANET,
                            .device = (guint16)(DEVICE_ID_BASE + id),
                            .subsystem_vendor = VENDOR_REDHAT_QUMRANET,
                            .subsystem = SUBSYSTEM_QEMU,
                            .revision = REVISION_MODERN,
                            .class_code = class_code};
    const char *own_id = optset_string(options, "id");
    g_autofree char *name =
        own_id != NULL ? g_strdup_printf("%s (%s)", device->name, own_id) : g_strdup(device->name);
    PciDevice *pci =
        pci_device_new(device->env->pci, name, &identity, parsed.slot, parsed.function, 1, error);
    if (pci == NULL)
        return NULL;

    VirtioPci *self = g_new0(VirtioPci, 1);
    self->device = device;
    self->pci = pci;
    self->vm = device->env->vm;
    self->ioeventfd = parsed.ioeventfd;
    self->bar = PCI_BAR_UNMAPPED;
    self->queues = g_new0(PciQueue, device->queue_count);
    for (guint i = 0; i < device->queue_count; i++)
        self->queues[i] =
            (PciQueue){.vector = VIRTIO_PCI_NO_VECTOR, .doorbell = PCI_BAR_UNMAPPED, .irq_fd = -1};
    reset_registers(self);
    pci_device_set_bar_func(pci, on_bar, self);
    pci_device_add_bar(pci, VIRTIO_PCI_BAR_REGISTERS, VIRTIO_PCI_BAR_SIZE, TRUE, &bar_ops, self);
    add_capabilities(self);
    if (parsed.vectors > 0)
        pci_device_add_msix(pci, VIRTIO_PCI_BAR_MSIX, (guint)parsed.vectors);
    device->transport = self;
    device->transport_ops = &transport_ops;
    device->device.pci = pci;
    return self;
}

void virtio_pci_free(VirtioPci *self)
{
    if (self == NULL)
        return;
    pci_device_free(self->pci);
    self->device->device.pci = NULL;
    g_free(self->queues);
    g_free(self);
}

void virtio_pci_reset(VirtioPci *self)
{
    g_mutex_lock(&self->device->lock);
    virtio_device_reset(self->device);
    reset_registers(self);
    g_mutex_unlock(&self->device->lock);
}
