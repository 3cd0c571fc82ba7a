// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-balloon.h"

#include <string.h>

#include "host-vmm/slow-event.h"
#include "host-vmm/virtio/balloon-pages.h"
#include "host-vmm/virtio/virtio-pci.h"

#define QUEUE_SIZE 128
#define PCI_CLASS  0x00ff00 /* unassigned class, as QEMU has it */

/* Features (section 5.5.3). */
#define F_MUST_TELL_HOST 0
#define F_STATS          1
#define F_DEFLATE_ON_OOM 2
#define F_PAGE_POISON    4
#define F_PAGE_REPORTING 5

/* Queues (section 5.5.2): there is no free page hint queue, so reporting has the number after statistics. */
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING, QUEUE_COUNT };

/* Configuration (section 5.5.4), little-endian. */
#define CONFIG_NUM_PAGES   0
#define CONFIG_ACTUAL      4
#define CONFIG_POISON      12
#define CONFIG_SIZE        8
#define CONFIG_SIZE_POISON 16

#define BALLOON_PAGE_SHIFT 12
/* Page numbers in one request; Linux sends 256. */
#define MAX_PAGES_PER_REQUEST 65536u
/* Requests handled before others get their turn. */
#define MAX_BATCH 8
/* How long a page may wait for the rest of its huge page, ms. */
#define FLUSH_AFTER 200

/* Statistics (section 5.5.6.3): tag and value, packed. */
#define STAT_SIZE      10
#define STATS_PER_PUSH 64 /* more in one buffer are not looked at */
static const char *const stat_names[] = {
    "stat-swap-in",      "stat-swap-out",     "stat-major-faults",     "stat-minor-faults",
    "stat-free-memory",  "stat-total-memory", "stat-available-memory", "stat-disk-caches",
    "stat-htlb-pgalloc", "stat-htlb-pgfail",  "stat-oom-kills",        "stat-alloc-stalls",
    "stat-async-scans",  "stat-direct-scans", "stat-async-reclaims",   "stat-direct-reclaims",
};
#define STAT_COUNT G_N_ELEMENTS(stat_names)

typedef struct VirtioBalloon {
    VirtioDevice virtio;
    VirtioPci *pci;
    SlowEvent *actual_changed; /* the driver has written `actual` */

    /* Main thread. */
    guint poll_interval; /* s; 0: statistics are not asked for */
    GSource *poll_timer;

    /* Under the lock. */
    BalloonPages *pages;
    GSource *flush_timer;            /* since some wait; on the main thread */
    VirtQueueElement *stats_element; /* the driver's buffer: given back when statistics are wanted */
    guint64 stats[STAT_COUNT];
    gboolean known[STAT_COUNT];
    gint64 stats_time; /* real time, s; 0: never */
} VirtioBalloon;

static guint32 get_config(const VirtioBalloon *self, guint offset)
{
    guint32 value;
    memcpy(&value, self->virtio.config + offset, sizeof value);
    return GUINT32_FROM_LE(value);
}

static void put_config(VirtioBalloon *self, guint offset, guint32 value)
{
    value = GUINT32_TO_LE(value);
    memcpy(self->virtio.config + offset, &value, sizeof value);
}

static gboolean negotiated(const VirtioBalloon *self, guint feature)
{
    return (self->virtio.driver_features & (1ull << feature)) != 0;
}

static void drop_timer(GSource **timer)
{
    if (*timer == NULL)
        return;
    g_source_destroy(*timer);
    g_source_unref(*timer);
    *timer = NULL;
}

/* ---- BALLOON_CHANGE ---- */

static void send_change(gpointer user_data)
{
    VirtioBalloon *self = user_data;
    JsonObject *data = json_object_new();
    json_object_set_int_member(data, "actual", (gint64)virtio_balloon_actual(&self->virtio.device));
    self->virtio.env->event("BALLOON_CHANGE", data, self->virtio.env->event_data);
}

static void write_config(VirtioDevice *device, guint64 offset, guint size, guint64 value)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    if (size != 4)
        return;
    if (offset == CONFIG_ACTUAL && get_config(self, CONFIG_ACTUAL) != value) {
        put_config(self, CONFIG_ACTUAL, (guint32)value);
        slow_event_signal(self->actual_changed);
    } else if (offset == CONFIG_POISON && negotiated(self, F_PAGE_POISON)) {
        put_config(self, CONFIG_POISON, (guint32)value);
    }
}

/* ---- pages ---- */

static gboolean on_flush_timer(gpointer user_data)
{
    VirtioBalloon *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    balloon_pages_flush(self->pages);
    drop_timer(&self->flush_timer);
    g_mutex_unlock(&self->virtio.lock);
    return G_SOURCE_REMOVE;
}

/* A driver that says when it takes pages out may be kept waiting for the host to have them. Another takes
 * them unasked (section 5.5.6.1). */
static void settle_pages(VirtioBalloon *self)
{
    if (!negotiated(self, F_MUST_TELL_HOST)) {
        balloon_pages_flush(self->pages);
    } else if (self->flush_timer == NULL && balloon_pages_waiting(self->pages) > 0) {
        self->flush_timer = g_timeout_source_new(FLUSH_AFTER);
        g_source_set_callback(self->flush_timer, on_flush_timer, self, NULL);
        g_source_attach(self->flush_timer, NULL);
    }
}

static void take_pages(VirtioBalloon *self, const VirtQueueElement *element, gboolean inflate)
{
    guint count = element->out_bytes / sizeof(guint32);
    if (count > MAX_PAGES_PER_REQUEST) {
        virtio_device_fail(&self->virtio, "more pages than anybody puts into one balloon request");
        return;
    }
    g_autofree guint32 *pages = g_new(guint32, MAX(count, 1));
    virtqueue_element_read(element, 0, pages, count * sizeof(guint32));
    for (guint i = 0; i < count; i++) {
        if (inflate)
            balloon_pages_add(self->pages, GUINT32_FROM_LE(pages[i]));
        else /* it comes back by being touched */
            balloon_pages_remove(self->pages, GUINT32_FROM_LE(pages[i]));
    }
    settle_pages(self);
}

static void report_free(VirtioBalloon *self, const VirtQueueElement *element)
{
    /* With a poison value a reported page has to come back as the guest left it (section 5.5.6.7). */
    if (negotiated(self, F_PAGE_POISON) && get_config(self, CONFIG_POISON) != 0)
        return;
    for (guint i = 0; i < element->in_count; i++)
        guest_memory_discard(self->virtio.env->memory, element->in[i].iov_base, element->in[i].iov_len);
}

/* ---- statistics ---- */

static void take_stats(VirtioBalloon *self, VirtQueueElement *element)
{
    guint8 bytes[STAT_SIZE * STATS_PER_PUSH];
    gsize got = virtqueue_element_read(element, 0, bytes, sizeof bytes);
    memset(self->known, 0, sizeof self->known);
    for (gsize at = 0; at + STAT_SIZE <= got; at += STAT_SIZE) {
        guint16 tag;
        guint64 value;
        memcpy(&tag, bytes + at, sizeof tag);
        memcpy(&value, bytes + at + sizeof tag, sizeof value);
        tag = GUINT16_FROM_LE(tag);
        if (tag < STAT_COUNT) {
            self->stats[tag] = GUINT64_FROM_LE(value);
            self->known[tag] = TRUE;
        }
    }
    if (got >= STAT_SIZE)
        self->stats_time = g_get_real_time() / G_USEC_PER_SEC;
    if (self->stats_element != NULL) /* it has only one buffer for them */
        virtqueue_push(&self->virtio.queues[QUEUE_STATS].ring, self->stats_element, 0);
    self->stats_element = element;
}

static gboolean on_poll_timer(gpointer user_data)
{
    VirtioBalloon *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    if (self->stats_element != NULL && self->virtio.running) {
        virtqueue_push(&self->virtio.queues[QUEUE_STATS].ring, g_steal_pointer(&self->stats_element), 0);
        virtio_device_notify(&self->virtio, QUEUE_STATS);
    }
    g_mutex_unlock(&self->virtio.lock);
    return G_SOURCE_CONTINUE;
}

/* ---- the device ---- */

static void handle_queue(VirtioDevice *device, guint index)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    guint handled = 0;
    while (handled < MAX_BATCH) {
        VirtQueueElement *element = virtio_device_pop(device, index);
        if (element == NULL)
            break;
        handled++;
        if (index == QUEUE_STATS) {
            take_stats(self, element);
            continue;
        }
        if (index == QUEUE_REPORTING)
            report_free(self, element);
        else
            take_pages(self, element, index == QUEUE_INFLATE);
        virtqueue_push(&device->queues[index].ring, element, 0);
    }
    virtio_device_notify(device, index);
    if (handled == MAX_BATCH)
        virtio_device_kick(device, index);
}

static void reset(VirtioDevice *device)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    balloon_pages_forget(self->pages); /* the timer, the main thread's, will find nothing */
    g_clear_pointer(&self->stats_element, g_free);
    memset(self->known, 0, sizeof self->known);
    self->stats_time = 0;
    if (device->config_size > CONFIG_POISON)
        put_config(self, CONFIG_POISON, 0);
    if (get_config(self, CONFIG_ACTUAL) != 0) {
        put_config(self, CONFIG_ACTUAL, 0);
        slow_event_signal(self->actual_changed);
    }
}

static const VirtioOps ops = {.reset = reset, .handle_queue = handle_queue, .write_config = write_config};

static void machine_reset(Device *device)
{
    virtio_pci_reset(((VirtioBalloon *)device)->pci);
}

static void destroy(Device *device)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    virtio_pci_free(self->pci);
    drop_timer(&self->poll_timer);
    drop_timer(&self->flush_timer);
    balloon_pages_free(self->pages);
    slow_event_free(self->actual_changed);
    g_free(self->stats_element);
    virtio_device_clear(&self->virtio);
    g_free(self);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    static const guint16 queue_sizes[QUEUE_COUNT] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE};
    gboolean deflate_on_oom = FALSE, reporting = FALSE, poison = TRUE;
    if (virtio_balloon_find(env) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "Only one balloon device is supported");
        return NULL;
    }
    if (!optset_bool(options, "deflate-on-oom", &deflate_on_oom, error) ||
        !optset_bool(options, "free-page-reporting", &reporting, error) ||
        !optset_bool(options, "page-poison", &poison, error))
        return NULL;
    VirtioBalloon *self = g_new0(VirtioBalloon, 1);
    self->pages = balloon_pages_new(env->memory);
    guint64 features = 1ull << F_MUST_TELL_HOST | 1ull << F_STATS |
                       (deflate_on_oom ? 1ull << F_DEFLATE_ON_OOM : 0) |
                       (reporting ? 1ull << F_PAGE_REPORTING : 0) | (poison ? 1ull << F_PAGE_POISON : 0);
    guint queue_count = reporting ? QUEUE_COUNT : QUEUE_REPORTING;
    virtio_device_init(&self->virtio, env, "virtio-balloon-pci", &ops, features, queue_sizes, queue_count,
                       poison ? CONFIG_SIZE_POISON : CONFIG_SIZE);
    self->virtio.device.reset = machine_reset;
    self->virtio.device.destroy = destroy;
    self->actual_changed = slow_event_new(send_change, self);
    gboolean served = TRUE;
    for (guint i = 0; i < queue_count && served; i++)
        served = virtio_device_serve(&self->virtio, i, error);
    if (served)
        self->pci = virtio_pci_new(&self->virtio, VIRTIO_BALLOON_ID, PCI_CLASS, options, error);
    if (self->pci == NULL) {
        destroy(&self->virtio.device);
        return NULL;
    }
    return &self->virtio.device;
}

Device *virtio_balloon_find(const DeviceEnv *env)
{
    return device_find_type(env, &virtio_balloon_pci_type);
}

void virtio_balloon_set_target(Device *device, guint64 size)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    guint64 ram = guest_memory_size(self->virtio.env->memory);
    guint64 pages = (ram - MIN(size, ram)) >> BALLOON_PAGE_SHIFT;
    g_mutex_lock(&self->virtio.lock);
    put_config(self, CONFIG_NUM_PAGES, (guint32)MIN(pages, G_MAXUINT32));
    virtio_device_config_changed(&self->virtio);
    g_mutex_unlock(&self->virtio.lock);
}

guint64 virtio_balloon_actual(Device *device)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    guint64 ram = guest_memory_size(self->virtio.env->memory);
    g_mutex_lock(&self->virtio.lock);
    guint64 in_balloon = (guint64)get_config(self, CONFIG_ACTUAL) << BALLOON_PAGE_SHIFT;
    g_mutex_unlock(&self->virtio.lock);
    return ram - MIN(in_balloon, ram); /* the driver may say anything */
}

/* ---- properties ---- */

static JsonNode *get_stats(Device *device, GError **error)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    JsonObject *stats = json_object_new(), *all = json_object_new();
    g_mutex_lock(&self->virtio.lock);
    for (guint i = 0; i < STAT_COUNT; i++) {
        if (self->known[i])
            json_object_set_int_member(stats, stat_names[i],
                                       (gint64)MIN(self->stats[i], (guint64)G_MAXINT64));
    }
    json_object_set_object_member(all, "stats", stats);
    json_object_set_int_member(all, "last-update", self->stats_time);
    g_mutex_unlock(&self->virtio.lock);
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, all);
    return node;
}

static JsonNode *get_poll_interval(Device *device, GError **error)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    return json_node_init_int(json_node_alloc(), self->poll_interval);
}

static gboolean set_poll_interval(Device *device, JsonNode *value, GError **error)
{
    VirtioBalloon *self = (VirtioBalloon *)device;
    gint64 interval = JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_INT64
                          ? json_node_get_int(value)
                          : -1;
    if (interval < 0 || interval > G_MAXINT32 / 1000) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "guest-stats-polling-interval takes seconds, 0 to %d", G_MAXINT32 / 1000);
        return FALSE;
    }
    drop_timer(&self->poll_timer);
    self->poll_interval = (guint)interval;
    if (interval > 0) {
        on_poll_timer(self); /* the first ones at once */
        self->poll_timer = g_timeout_source_new_seconds((guint)interval);
        g_source_set_callback(self->poll_timer, on_poll_timer, self, NULL);
        g_source_attach(self->poll_timer, NULL);
    }
    return TRUE;
}

static const DeviceProperty properties[] = {
    {"guest-stats", "guest statistics", get_stats, NULL},
    {"guest-stats-polling-interval", "int", get_poll_interval, set_poll_interval},
    {NULL},
};

const DeviceType virtio_balloon_pci_type = {
    .name = "virtio-balloon-pci",
    .alias = "virtio-balloon",
    .bus = "PCI",
    .description = "memory balloon [deflate-on-oom=on,free-page-reporting=on,page-poison=off]",
    .create = create,
    .properties = properties,
};
