// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-mem.h"

#include <string.h>

#include "host-vmm/slow-event.h"
#include "host-vmm/virtio/virtio-pci.h"

#define QUEUE_SIZE 128
#define PCI_CLASS  0x00ff00 /* unassigned class, as QEMU has it */

/* A block is what the guest's kernel backs by one huge page. */
#define MINIMUM_BLOCK (2ull << 20)
/* Requests handled before others get their turn. */
#define MAX_BATCH 8

/* Configuration (section 5.15.4), little-endian. */
#define CONFIG_BLOCK_SIZE     0
#define CONFIG_ADDR           16
#define CONFIG_REGION_SIZE    24
#define CONFIG_USABLE_SIZE    32
#define CONFIG_PLUGGED_SIZE   40
#define CONFIG_REQUESTED_SIZE 48
#define CONFIG_SIZE           56

/* Requests and responses (section 5.15.6): a type of 16 bits, six bytes of padding, what belongs to it. */
typedef struct Request {
    guint16 type, padding[3];
    guint64 address;
    guint16 blocks, more_padding[3];
} Request;

typedef struct Response {
    guint16 type, padding[3], state;
} Response;

enum { REQUEST_PLUG, REQUEST_UNPLUG, REQUEST_UNPLUG_ALL, REQUEST_STATE };
enum { RESPONSE_ACK, RESPONSE_NACK, RESPONSE_BUSY, RESPONSE_ERROR };
enum { STATE_PLUGGED, STATE_UNPLUGGED, STATE_MIXED };

typedef struct VirtioMem {
    VirtioDevice virtio;
    VirtioPci *pci;
    SlowEvent *size_changed;
    MemoryBackend *backend;
    char *memdev;
    guint64 base, size, block_size;

    /* Under the lock. */
    guint64 requested, plugged; /* bytes */
    guint8 *is_plugged;         /* of each block */
} VirtioMem;

static void put_config(VirtioMem *self, guint offset, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(self->virtio.config + offset, &value, sizeof value);
}

static void set_plugged(VirtioMem *self, guint64 plugged)
{
    if (plugged != self->plugged) {
        self->plugged = plugged;
        put_config(self, CONFIG_PLUGGED_SIZE, plugged);
        slow_event_signal(self->size_changed);
    }
}

/* ---- requests ---- */

/* The number of the first block, if there are such blocks. */
static gboolean find_blocks(const VirtioMem *self, guint64 address, guint count, guint64 *first)
{
    guint64 offset = address - self->base;
    if (address < self->base || offset >= self->size || offset % self->block_size != 0 || count == 0)
        return FALSE;
    *first = offset / self->block_size;
    return count <= self->size / self->block_size - *first;
}

static guint count_plugged(const VirtioMem *self, guint64 first, guint count)
{
    guint plugged = 0;
    for (guint i = 0; i < count; i++)
        plugged += self->is_plugged[first + i];
    return plugged;
}

static guint16 plug(VirtioMem *self, guint64 first, guint count)
{
    guint64 size = count * self->block_size;
    if (self->plugged > self->requested || size > self->requested - self->plugged)
        return RESPONSE_NACK;
    if (count_plugged(self, first, count) != 0)
        return RESPONSE_ERROR;
    memset(self->is_plugged + first, TRUE, count);
    set_plugged(self, self->plugged + size);
    return RESPONSE_ACK;
}

static guint16 unplug(VirtioMem *self, guint64 first, guint count)
{
    guint64 size = count * self->block_size;
    if (count_plugged(self, first, count) != count)
        return RESPONSE_ERROR;
    /* What the host does not get back is still the guest's. */
    if (memory_backend_discard(self->backend, first * self->block_size, size) != size)
        return RESPONSE_BUSY;
    memset(self->is_plugged + first, FALSE, count);
    set_plugged(self, self->plugged - size);
    return RESPONSE_ACK;
}

/* Also what a guest wrote to without having plugged it. */
static guint16 unplug_all(VirtioMem *self)
{
    if (memory_backend_discard(self->backend, 0, self->size) != self->size)
        return RESPONSE_BUSY;
    memset(self->is_plugged, FALSE, self->size / self->block_size);
    set_plugged(self, 0);
    return RESPONSE_ACK;
}

static guint16 tell_state(const VirtioMem *self, guint64 first, guint count)
{
    guint plugged = count_plugged(self, first, count);
    return plugged == 0 ? STATE_UNPLUGGED : plugged == count ? STATE_PLUGGED : STATE_MIXED;
}

static Response answer(VirtioMem *self, const VirtQueueElement *element)
{
    Request request = {0};
    Response response = {.type = RESPONSE_ERROR};
    gsize length = virtqueue_element_read(element, 0, &request, sizeof request);
    guint16 type = GUINT16_FROM_LE(request.type);
    guint count = GUINT16_FROM_LE(request.blocks);
    guint64 first = 0;
    if (length < sizeof request.type + sizeof request.padding || type > REQUEST_STATE) {
        /* An error. */
    } else if (type == REQUEST_UNPLUG_ALL) {
        response.type = unplug_all(self);
    } else if (length < sizeof request ||
               !find_blocks(self, GUINT64_FROM_LE(request.address), count, &first)) {
        /* An error. */
    } else if (type == REQUEST_PLUG) {
        response.type = plug(self, first, count);
    } else if (type == REQUEST_UNPLUG) {
        response.type = unplug(self, first, count);
    } else {
        response.type = RESPONSE_ACK;
        response.state = GUINT16_TO_LE(tell_state(self, first, count));
    }
    response.type = GUINT16_TO_LE(response.type);
    return response;
}

static void handle_queue(VirtioDevice *device, guint index)
{
    VirtioMem *self = (VirtioMem *)device;
    guint handled = 0;
    while (handled < MAX_BATCH) {
        VirtQueueElement *element = virtio_device_pop(device, index);
        if (element == NULL)
            break;
        handled++;
        if (element->in_bytes < sizeof(Response)) {
            g_free(element);
            virtio_device_fail(device, "a request without room for its response");
            return;
        }
        Response response = answer(self, element);
        virtqueue_element_write(element, 0, &response, sizeof response);
        virtqueue_push(&device->queues[index].ring, element, sizeof response);
    }
    virtio_device_notify(device, index);
    if (handled == MAX_BATCH)
        virtio_device_kick(device, index);
}

/* A driver that goes leaves its blocks as they are: the next one asks. */
static const VirtioOps ops = {.handle_queue = handle_queue};

/* The guest has at its start what it was started with. */
static void machine_reset(Device *device)
{
    VirtioMem *self = (VirtioMem *)device;
    virtio_pci_reset(self->pci);
    g_mutex_lock(&self->virtio.lock);
    if (unplug_all(self) != RESPONSE_ACK) {
        g_warning("memory '%s' cannot be given back", self->memdev);
        memset(self->is_plugged, FALSE, self->size / self->block_size);
        set_plugged(self, 0);
    }
    g_mutex_unlock(&self->virtio.lock);
}

/* ---- for the host ---- */

gboolean virtio_mem_check(const Device *device)
{
    return device->type == &virtio_mem_pci_type;
}

guint64 virtio_mem_size(Device *device)
{
    VirtioMem *self = (VirtioMem *)device;
    g_mutex_lock(&self->virtio.lock);
    guint64 size = self->plugged;
    g_mutex_unlock(&self->virtio.lock);
    return size;
}

static guint64 requested_size(VirtioMem *self)
{
    g_mutex_lock(&self->virtio.lock);
    guint64 size = self->requested;
    g_mutex_unlock(&self->virtio.lock);
    return size;
}

static char *memdev_path(const VirtioMem *self)
{
    return g_strconcat("/objects/", self->memdev, NULL);
}

JsonObject *virtio_mem_describe(Device *device)
{
    VirtioMem *self = (VirtioMem *)device;
    JsonObject *info = json_object_new();
    g_autofree char *memdev = memdev_path(self);
    if (device->id != NULL)
        json_object_set_string_member(info, "id", device->id);
    json_object_set_int_member(info, "memaddr", (gint64)self->base);
    json_object_set_int_member(info, "requested-size", (gint64)requested_size(self));
    json_object_set_int_member(info, "size", (gint64)virtio_mem_size(device));
    json_object_set_int_member(info, "max-size", (gint64)self->size);
    json_object_set_int_member(info, "block-size", (gint64)self->block_size);
    json_object_set_int_member(info, "node", 0);
    json_object_set_string_member(info, "memdev", memdev);
    return info;
}

static void send_size(gpointer user_data)
{
    VirtioMem *self = user_data;
    Device *device = &self->virtio.device;
    JsonObject *data = json_object_new();
    g_autofree char *path = device->id != NULL ? g_strconcat("/machine/peripheral/", device->id, NULL) : NULL;
    if (device->id != NULL) {
        json_object_set_string_member(data, "id", device->id);
        json_object_set_string_member(data, "qom-path", path);
    }
    json_object_set_int_member(data, "size", (gint64)virtio_mem_size(device));
    self->virtio.env->event("MEMORY_DEVICE_SIZE_CHANGE", data, self->virtio.env->event_data);
}

static gboolean check_requested(const VirtioMem *self, guint64 size, GError **error)
{
    if (size % self->block_size == 0 && size <= self->size)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "'requested-size' must be a multiple of the blocks' %" G_GUINT64_FORMAT
                " MiB, and at most the backend's %" G_GUINT64_FORMAT " MiB",
                self->block_size >> 20, self->size >> 20);
    return FALSE;
}

static JsonNode *int_node(guint64 value)
{
    return json_node_init_int(json_node_alloc(), (gint64)value);
}

static JsonNode *get_requested(Device *device, GError **error)
{
    return int_node(requested_size((VirtioMem *)device));
}

static gboolean set_requested(Device *device, JsonNode *value, GError **error)
{
    VirtioMem *self = (VirtioMem *)device;
    gboolean is_int = JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_INT64;
    guint64 size = is_int && json_node_get_int(value) >= 0 ? (guint64)json_node_get_int(value) : G_MAXUINT64;
    if (!check_requested(self, size, error))
        return FALSE;
    g_mutex_lock(&self->virtio.lock);
    if (size != self->requested) {
        self->requested = size;
        put_config(self, CONFIG_REQUESTED_SIZE, size);
        virtio_device_config_changed(&self->virtio);
    }
    g_mutex_unlock(&self->virtio.lock);
    return TRUE;
}

static JsonNode *get_size(Device *device, GError **error)
{
    return int_node(virtio_mem_size(device));
}

static JsonNode *get_block_size(Device *device, GError **error)
{
    return int_node(((VirtioMem *)device)->block_size);
}

static JsonNode *get_address(Device *device, GError **error)
{
    return int_node(((VirtioMem *)device)->base);
}

static JsonNode *get_memdev(Device *device, GError **error)
{
    g_autofree char *path = memdev_path((VirtioMem *)device);
    return json_node_init_string(json_node_alloc(), path);
}

static const DeviceProperty properties[] = {
    {"requested-size", "size", get_requested, set_requested},
    {"size", "size", get_size, NULL},
    {"block-size", "size", get_block_size, NULL},
    {"memaddr", "uint64", get_address, NULL},
    {"memdev", "link<memory-backend>", get_memdev, NULL},
    {NULL},
};

/* ---- making ---- */

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_propagate_error(error, g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, arguments));
    va_end(arguments);
    return FALSE;
}

static gboolean take_backend(VirtioMem *self, OptSet *options, GError **error)
{
    const char *id = optset_need_string(options, "memdev", error);
    if (id == NULL)
        return FALSE;
    MemoryBackend *backend = memory_backend_from_object(object_set_find(self->virtio.env->objects, id));
    if (backend == NULL)
        return refuse(error, "there is no memory backend '%s'", id);
    if (memory_backend_is_preallocated(backend))
        return refuse(error, "memory backend '%s': prealloc=on would take all of it from the start", id);
    self->backend = memory_backend_ref(backend);
    self->memdev = g_strdup(id);
    self->size = memory_backend_size(backend);
    return TRUE;
}

static gboolean take_sizes(VirtioMem *self, OptSet *options, GError **error)
{
    guint64 minimum = MAX(MINIMUM_BLOCK, memory_backend_page_size(self->backend)), node = 0;
    self->block_size = minimum;
    if (!optset_size(options, "block-size", 1, &self->block_size, error) ||
        !optset_size(options, "requested-size", 1, &self->requested, error) ||
        !optset_uint(options, "node", 0, 0, &node, error))
        return FALSE;
    if (self->block_size < minimum || (self->block_size & (self->block_size - 1)) != 0)
        return refuse(error,
                      "'block-size' must be a power of two of at least %" G_GUINT64_FORMAT " MiB for '%s'",
                      minimum >> 20, self->memdev);
    if (self->size % self->block_size != 0)
        return refuse(error, "the size of '%s' must be a multiple of the blocks' %" G_GUINT64_FORMAT " MiB",
                      self->memdev, self->block_size >> 20);
    return check_requested(self, self->requested, error);
}

static void destroy(Device *device)
{
    VirtioMem *self = (VirtioMem *)device;
    virtio_pci_free(self->pci);
    slow_event_free(self->size_changed);
    virtio_device_clear(&self->virtio);
    memory_backend_unref(self->backend);
    g_free(self->memdev);
    g_free(self->is_plugged);
    g_free(self);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    static const guint16 queue_sizes[] = {QUEUE_SIZE};
    VirtioMem *self = g_new0(VirtioMem, 1);
    virtio_device_init(&self->virtio, env, "virtio-mem-pci", &ops, 0, queue_sizes, 1, CONFIG_SIZE);
    self->virtio.device.reset = machine_reset;
    self->virtio.device.destroy = destroy;
    self->size_changed = slow_event_new(send_size, self);
    if (take_backend(self, options, error) && take_sizes(self, options, error) &&
        guest_memory_add(env->memory, self->backend, self->block_size, &self->base, error) &&
        virtio_device_serve(&self->virtio, 0, error))
        self->pci = virtio_pci_new(&self->virtio, VIRTIO_MEM_ID, PCI_CLASS, options, error);
    if (self->pci == NULL) {
        destroy(&self->virtio.device);
        return NULL;
    }
    self->is_plugged = g_malloc0(self->size / self->block_size);
    put_config(self, CONFIG_BLOCK_SIZE, self->block_size);
    put_config(self, CONFIG_ADDR, self->base);
    put_config(self, CONFIG_REGION_SIZE, self->size);
    put_config(self, CONFIG_USABLE_SIZE, self->size);
    put_config(self, CONFIG_REQUESTED_SIZE, self->requested);
    return &self->virtio.device;
}

const DeviceType virtio_mem_pci_type = {
    .name = "virtio-mem-pci",
    .alias = "virtio-mem",
    .bus = "PCI",
    .description = "memory that comes and goes [memdev=ID,requested-size=SIZE,block-size=SIZE]",
    .create = create,
    .properties = properties,
};
