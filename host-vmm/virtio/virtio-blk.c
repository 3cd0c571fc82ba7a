// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-blk.h"

#include <errno.h>
#include <string.h>

#include "host-vmm/block/iothread.h"
#include "host-vmm/bus/pci-msix.h"
#include "host-vmm/notifier.h"
#include "host-vmm/virtio/virtio-pci.h"

#define PCI_CLASS          0x010000 /* storage, SCSI: as QEMU has it */
#define DEFAULT_QUEUE_SIZE 256
#define MAX_QUEUES         (PCI_MSIX_MAX_VECTORS - 1)
#define SECTOR             512u
#define HEADER_SIZE        16u      /* type, reserved, sector */
#define RANGE_SIZE         16u      /* of a discard: sector, count, flags */
#define MAX_RANGES         32u      /* of one request */
#define MAX_RANGE_SECTORS  4194303u /* 2 GiB - 512, as QEMU's default */
#define RANGE_UNMAP        1u

typedef struct Range {
    guint64 sector;
    guint32 count, flags;
} Range;
G_STATIC_ASSERT(sizeof(Range) == RANGE_SIZE);

typedef struct VirtioBlk VirtioBlk;

typedef struct Request {
    DriveRequest drive;
    VirtioBlk *blk;
    VirtQueueElement *element; /* its segments: data only, header and status cut off */
    guint8 *status_byte;
    guint queue;
    guint32 written; /* what the used ring says */
    guint8 status;
    Range *ranges; /* of a discard or zeroes: one after the other */
    guint range_count, range;
    struct Request *next;
} Request;

struct VirtioBlk {
    VirtioDevice virtio;
    VirtioPci *pci;
    Drive *drive;
    IoContext *io;
    Notifier *cancel; /* to the io's thread: a reset waits for what is in flight */
    char *id;
    char serial[VIRTIO_BLK_ID_BYTES];
    guint32 block_size;
    gboolean write_cache; /* the state after a reset */

    /* Under the lock. */
    guint outstanding; /* taken from a ring and not given back */
    gboolean paused;   /* with the machine: rings are not looked at */

    /* The io's thread. */
    Request *finished; /* to be given back, newest first */
    IoDeferred answer;
};

/* ---- giving back ---- */

static void request_free(Request *request)
{
    g_free(request->element);
    g_free(request->ranges);
    g_free(request);
}

static void finish(Request *request, guint8 status)
{
    VirtioBlk *self = request->blk;
    request->status = status;
    request->next = self->finished;
    self->finished = request;
    io_context_defer(self->io, &self->answer);
}

static void give_back(VirtioBlk *self, Request *request)
{
    self->outstanding--;
    if (!self->virtio.resetting) {
        *request->status_byte = request->status;
        request->element->in_bytes = request->written; /* with the status again */
        virtqueue_push(&self->virtio.queues[request->queue].ring, g_steal_pointer(&request->element),
                       request->written);
    }
    request_free(request);
}

/* All that has completed at a time, with one interrupt a queue. */
static void answer(IoDeferred *deferred)
{
    VirtioBlk *self = deferred->data;
    Request *in_order = NULL;
    guint64 queues = 0;
    for (Request *request = g_steal_pointer(&self->finished), *next; request != NULL; request = next) {
        next = request->next;
        request->next = in_order;
        in_order = request;
    }
    g_mutex_lock(&self->virtio.lock);
    for (Request *request = in_order, *next; request != NULL; request = next) {
        next = request->next;
        queues |= 1ull << request->queue;
        give_back(self, request);
    }
    for (guint i = 0; i < self->virtio.queue_count; i++) {
        if ((queues & 1ull << i) != 0)
            virtio_device_notify(&self->virtio, i);
    }
    if (self->virtio.resetting && self->outstanding == 0)
        virtio_device_finish_reset(&self->virtio);
    g_mutex_unlock(&self->virtio.lock);
}

/* ---- requests ---- */

static void next_range(Request *request);

static void on_done(DriveRequest *drive, int result)
{
    Request *request = (Request *)drive;
    if (result == 0 && ++request->range < request->range_count)
        next_range(request);
    else
        finish(request, result == 0          ? VIRTIO_BLK_S_OK
                        : result == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP
                                             : VIRTIO_BLK_S_IOERR);
}

static guint write_flags(const VirtioBlk *self)
{
    return self->virtio.config[VIRTIO_BLK_CONFIG_WRITEBACK] != 0 ? 0 : BLOCK_FUA;
}

static void submit(Request *request, BlockOp op, guint64 offset, guint64 length, guint flags)
{
    DriveRequest *drive = &request->drive;
    drive->block.op = op;
    drive->block.flags = flags;
    drive->block.offset = offset;
    drive->block.length = length;
    drive->done = on_done;
    drive->count = 1;
    drive_submit(request->blk->drive, drive);
}

/* Whole blocks of the disk. */
static gboolean is_range(const VirtioBlk *self, guint64 sector, guint64 bytes)
{
    guint64 length = drive_length(self->drive);
    guint64 block_sectors = self->block_size / SECTOR;
    return sector <= length / SECTOR && bytes <= length - sector * SECTOR && bytes % self->block_size == 0 &&
           sector % block_sectors == 0;
}

static void refuse(Request *request, DriveStat stat, guint8 status)
{
    drive_count_invalid(request->blk->drive, stat);
    finish(request, status);
}

static void transfer(Request *request, gboolean is_write, guint64 sector)
{
    VirtioBlk *self = request->blk;
    VirtQueueElement *element = request->element;
    guint64 length = is_write ? element->out_bytes : element->in_bytes;
    if (!is_range(self, sector, length) || (is_write && drive_is_read_only(self->drive))) {
        refuse(request, is_write ? DRIVE_STAT_WRITE : DRIVE_STAT_READ, VIRTIO_BLK_S_IOERR);
        return;
    }
    request->drive.block.segments = is_write ? element->out : element->in;
    request->drive.block.segment_count = is_write ? element->out_count : element->in_count;
    submit(request, is_write ? BLOCK_WRITE : BLOCK_READ, sector * SECTOR, length,
           is_write ? write_flags(self) : 0);
}

static void next_range(Request *request)
{
    const Range *range = &request->ranges[request->range];
    gboolean zeroes = request->drive.block.op == BLOCK_WRITE_ZEROES;
    guint flags = zeroes ? write_flags(request->blk) : 0;
    if ((range->flags & RANGE_UNMAP) != 0)
        flags |= BLOCK_MAY_UNMAP;
    submit(request, request->drive.block.op, range->sector * SECTOR, (guint64)range->count * SECTOR, flags);
}

static void begin_ranges(Request *request, gboolean zeroes)
{
    VirtioBlk *self = request->blk;
    DriveStat stat = zeroes ? DRIVE_STAT_WRITE : DRIVE_STAT_UNMAP;
    guint32 bytes = request->element->out_bytes;
    guint count = bytes / RANGE_SIZE;
    if (count == 0 || bytes % RANGE_SIZE != 0 || count > MAX_RANGES || drive_is_read_only(self->drive)) {
        refuse(request, stat, VIRTIO_BLK_S_IOERR);
        return;
    }
    /* A copy: the guest may change its own between check and use. */
    request->ranges = g_new(Range, count);
    request->range_count = count;
    virtqueue_element_read(request->element, 0, request->ranges, bytes);
    for (guint i = 0; i < count; i++) {
        const Range *range = &request->ranges[i];
        /* Section 5.2.6.2: unmap is for zeroes only, no other flag is known. */
        if ((range->flags & ~(zeroes ? RANGE_UNMAP : 0u)) != 0) {
            refuse(request, stat, VIRTIO_BLK_S_UNSUPP);
            return;
        }
        if (range->count > MAX_RANGE_SECTORS ||
            !is_range(self, range->sector, (guint64)range->count * SECTOR)) {
            refuse(request, stat, VIRTIO_BLK_S_IOERR);
            return;
        }
    }
    request->drive.block.op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
    next_range(request);
}

static void begin(Request *request, guint32 type, guint64 sector)
{
    VirtioBlk *self = request->blk;
    switch (type) {
    case VIRTIO_BLK_T_IN:
        transfer(request, FALSE, sector);
        break;
    case VIRTIO_BLK_T_OUT:
        transfer(request, TRUE, sector);
        break;
    case VIRTIO_BLK_T_FLUSH:
        submit(request, BLOCK_FLUSH, 0, 0, 0);
        break;
    case VIRTIO_BLK_T_GET_ID:
        virtqueue_element_write(request->element, 0, self->serial, sizeof self->serial);
        finish(request, VIRTIO_BLK_S_OK);
        break;
    case VIRTIO_BLK_T_DISCARD:
        begin_ranges(request, FALSE);
        break;
    case VIRTIO_BLK_T_WRITE_ZEROES:
        begin_ranges(request, TRUE);
        break;
    default:
        finish(request, VIRTIO_BLK_S_UNSUPP);
        break;
    }
}

/* Cuts the header off the front of what the device reads. */
static void cut_header(VirtQueueElement *element)
{
    guint32 rest = HEADER_SIZE;
    element->out_bytes -= HEADER_SIZE;
    while (rest > 0) {
        gsize part = MIN(rest, element->out->iov_len);
        element->out->iov_base = (guint8 *)element->out->iov_base + part;
        element->out->iov_len -= part;
        rest -= (guint32)part;
        if (element->out->iov_len == 0) {
            element->out++;
            element->out_count--;
        }
    }
}

/* Cuts the status off the end of what the device writes; where it is. */
static guint8 *cut_status(VirtQueueElement *element)
{
    struct iovec *last = &element->in[element->in_count - 1];
    element->in_bytes--;
    last->iov_len--;
    if (last->iov_len == 0)
        element->in_count--;
    return (guint8 *)last->iov_base + last->iov_len;
}

static void handle_element(VirtioBlk *self, guint queue, VirtQueueElement *element)
{
    struct {
        guint32 type, reserved;
        guint64 sector;
    } header;
    G_STATIC_ASSERT(sizeof header == HEADER_SIZE);
    if (virtqueue_element_read(element, 0, &header, sizeof header) < sizeof header ||
        element->in_bytes == 0) {
        g_free(element);
        virtio_device_fail(&self->virtio, "a request without a whole header or without room for the status");
        return;
    }
    Request *request = g_new0(Request, 1);
    request->blk = self;
    request->queue = queue;
    request->written = element->in_bytes;
    request->element = element;
    cut_header(element);
    request->status_byte = cut_status(element);
    self->outstanding++;
    begin(request, header.type, header.sector);
}

/* ---- the device ---- */

static void handle_queue(VirtioDevice *device, guint index)
{
    VirtioBlk *self = (VirtioBlk *)device;
    VirtQueue *ring = &device->queues[index].ring;
    VirtQueueElement *element;
    if (self->paused)
        return;
    do {
        virtqueue_stop_kicks(ring);
        while ((element = virtio_device_pop(device, index)) != NULL)
            handle_element(self, index, element);
    } while (device->running && virtqueue_want_kicks(ring));
}

static gboolean has_feature(const VirtioDevice *device, guint bit)
{
    return (device->driver_features & 1ull << bit) != 0;
}

static void start(VirtioDevice *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    /* Section 5.2.5.2: who cannot flush has a disk that writes through. */
    if (!has_feature(device, VIRTIO_BLK_F_CONFIG_WCE))
        device->config[VIRTIO_BLK_CONFIG_WRITEBACK] =
            self->write_cache && has_feature(device, VIRTIO_BLK_F_FLUSH);
}

static void write_config(VirtioDevice *device, guint64 offset, guint size, guint64 value)
{
    if (offset == VIRTIO_BLK_CONFIG_WRITEBACK && size == 1 && has_feature(device, VIRTIO_BLK_F_CONFIG_WCE))
        device->config[VIRTIO_BLK_CONFIG_WRITEBACK] = value & 1;
}

static gboolean quiesce(VirtioDevice *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    if (self->outstanding > 0)
        notifier_signal(self->cancel);
    return self->outstanding == 0;
}

static void reset(VirtioDevice *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    device->config[VIRTIO_BLK_CONFIG_WRITEBACK] = self->write_cache;
}

static const VirtioOps ops = {.start = start,
                              .quiesce = quiesce,
                              .reset = reset,
                              .handle_queue = handle_queue,
                              .write_config = write_config};

/* On the io's thread: a reset has found requests. */
static void on_cancel(gpointer user_data)
{
    VirtioBlk *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    gboolean resetting = self->virtio.resetting;
    g_mutex_unlock(&self->virtio.lock);
    if (resetting)
        drive_cancel(self->drive);
}

static gboolean is_idle(gpointer user_data)
{
    VirtioBlk *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    gboolean idle = self->outstanding == 0;
    g_mutex_unlock(&self->virtio.lock);
    return idle;
}

static void end_requests(VirtioBlk *self)
{
    drive_cancel(self->drive);
    drive_drain(self->drive);
    io_context_wait(self->io, is_idle, self);
}

static void end_reset(gpointer user_data)
{
    VirtioBlk *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    gboolean resetting = self->virtio.resetting;
    g_mutex_unlock(&self->virtio.lock);
    if (resetting)
        end_requests(self);
}

static void machine_reset(Device *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    virtio_pci_reset(self->pci);
    io_context_call(self->io, end_reset, self);
}

static void set_paused(VirtioBlk *self, gboolean paused)
{
    g_mutex_lock(&self->virtio.lock);
    self->paused = paused;
    for (guint i = 0; i < self->virtio.queue_count && !paused; i++)
        virtio_device_kick(&self->virtio, i);
    g_mutex_unlock(&self->virtio.lock);
}

static void machine_pause(Device *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    set_paused(self, TRUE);
    drive_pause(self->drive);
}

static void machine_resume(Device *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    drive_resume(self->drive);
    set_paused(self, FALSE);
}

/* On the io's thread, for the last time. */
static void stop(gpointer user_data)
{
    VirtioBlk *self = user_data;
    for (guint i = 0; i < self->virtio.queue_count; i++) {
        if (self->virtio.queues[i].source != NULL)
            g_source_destroy(self->virtio.queues[i].source);
    }
    if (self->drive != NULL)
        end_requests(self);
    io_context_undefer(self->io, &self->answer);
    g_clear_pointer(&self->cancel, notifier_free);
}

static void destroy(Device *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    if (self->virtio.queues != NULL) {
        io_context_call(self->io, stop, self);
        virtio_pci_free(self->pci);
        virtio_device_clear(&self->virtio);
    }
    drive_close(self->drive);
    g_free(self->id);
    g_free(self);
}

static void put(VirtioBlk *self, guint offset, guint64 value, guint size)
{
    memcpy(self->virtio.config + offset, &value, size);
}

static void on_resized(gpointer user_data)
{
    VirtioBlk *self = user_data;
    g_mutex_lock(&self->virtio.lock);
    put(self, VIRTIO_BLK_CONFIG_CAPACITY, drive_length(self->drive) / SECTOR, 8);
    virtio_device_config_changed(&self->virtio);
    g_mutex_unlock(&self->virtio.lock);
}

/* ---- creation ---- */

typedef struct BlkOptions {
    guint64 queues, queue_size;
    guint64 block_size, physical_block_size, min_io_size, opt_io_size, discard_granularity;
    guint64 max_discard, max_zeroes;
    gboolean discard, write_zeroes, config_wce;
} BlkOptions;

static gboolean parse_queues(BlkOptions *parsed, OptSet *options, GError **error)
{
    const char *queues = optset_string(options, "num-queues");
    if (queues != NULL && strcmp(queues, "auto") != 0 &&
        !optset_uint(options, "num-queues", 1, MAX_QUEUES, &parsed->queues, error))
        return FALSE;
    if (!optset_uint(options, "queue-size", 4, VIRTQUEUE_MAX_SIZE, &parsed->queue_size, error))
        return FALSE;
    if ((parsed->queue_size & (parsed->queue_size - 1)) != 0)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "'queue-size' must be a power of two");
    return (parsed->queue_size & (parsed->queue_size - 1)) == 0;
}

static gboolean parse_block_size(OptSet *options, const char *key, guint64 *size, GError **error)
{
    if (!optset_size(options, key, 1, size, error))
        return FALSE;
    gboolean fits = *size >= SECTOR && *size <= 32768 && (*size & (*size - 1)) == 0;
    if (!fits)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'%s' must be a power of two from 512 to 32768", key);
    return fits;
}

static gboolean parse_sizes(BlkOptions *parsed, OptSet *options, GError **error)
{
    if (!parse_block_size(options, "logical_block_size", &parsed->block_size, error))
        return FALSE;
    parsed->physical_block_size = parsed->discard_granularity = parsed->block_size;
    if (!parse_block_size(options, "physical_block_size", &parsed->physical_block_size, error) ||
        !optset_size(options, "min_io_size", 1, &parsed->min_io_size, error) ||
        !optset_size(options, "opt_io_size", 1, &parsed->opt_io_size, error) ||
        !optset_size(options, "discard_granularity", 1, &parsed->discard_granularity, error))
        return FALSE;
    if (parsed->physical_block_size < parsed->block_size || parsed->min_io_size % parsed->block_size != 0 ||
        parsed->opt_io_size % parsed->block_size != 0 ||
        parsed->min_io_size / parsed->block_size > G_MAXUINT16 ||
        parsed->opt_io_size / parsed->block_size > G_MAXUINT32 ||
        parsed->discard_granularity % parsed->block_size != 0 || parsed->discard_granularity > G_MAXUINT32) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "'physical_block_size', 'min_io_size', 'opt_io_size' and 'discard_granularity' must be "
                    "multiples of "
                    "'logical_block_size', and not too large");
        return FALSE;
    }
    return TRUE;
}

static gboolean parse_write_cache(VirtioBlk *self, OptSet *options, GError **error)
{
    self->write_cache = drive_is_writeback(self->drive);
    return g_strcmp0(optset_string(options, "write-cache"), "auto") == 0 ||
           optset_bool(options, "write-cache", &self->write_cache, error);
}

static gboolean parse(VirtioBlk *self, BlkOptions *parsed, OptSet *options, GError **error)
{
    gboolean merging = TRUE, scsi = FALSE;
    const char *serial = optset_string(options, "serial");
    if (serial != NULL && strlen(serial) > sizeof self->serial)
        g_warning("virtio-blk-pci: serial '%s' is cut to its first %d characters", serial,
                  VIRTIO_BLK_ID_BYTES);
    if (serial != NULL)
        memcpy(self->serial, serial, MIN(strlen(serial), sizeof self->serial));
    optset_ignore(options, "bootindex"); /* there is no firmware that boots from a disk */
    if (!parse_queues(parsed, options, error) || !parse_sizes(parsed, options, error) ||
        !optset_bool(options, "request-merging", &merging, error) ||
        !optset_bool(options, "scsi", &scsi, error) ||
        !optset_bool(options, "discard", &parsed->discard, error) ||
        !optset_bool(options, "write-zeroes", &parsed->write_zeroes, error) ||
        !optset_bool(options, "config-wce", &parsed->config_wce, error) ||
        !optset_uint(options, "max-discard-sectors", 1, MAX_RANGE_SECTORS, &parsed->max_discard, error) ||
        !optset_uint(options, "max-write-zeroes-sectors", 1, MAX_RANGE_SECTORS, &parsed->max_zeroes, error))
        return FALSE;
    if (scsi)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "scsi=on is not supported");
    return !scsi;
}

static gboolean find_io(VirtioBlk *self, DeviceEnv *env, OptSet *options, GError **error)
{
    const char *name = optset_string(options, "iothread");
    Object *object = name != NULL ? object_set_find(env->objects, name) : NULL;
    self->io = name == NULL ? env->io : (object != NULL ? iothread_from_object(object) : NULL);
    if (self->io == NULL)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "iothread=%s: there is no iothread of this id",
                    name);
    return self->io != NULL;
}

static void fill_config(VirtioBlk *self, const BlkOptions *parsed)
{
    guint64 block = parsed->block_size;
    put(self, VIRTIO_BLK_CONFIG_CAPACITY, drive_length(self->drive) / SECTOR, 8);
    put(self, VIRTIO_BLK_CONFIG_SEG_MAX, parsed->queue_size - 2, 4);
    put(self, VIRTIO_BLK_CONFIG_BLK_SIZE, block, 4);
    put(self, VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP,
        (guint64)__builtin_ctzll(parsed->physical_block_size / block), 1);
    put(self, VIRTIO_BLK_CONFIG_MIN_IO_SIZE, parsed->min_io_size / block, 2);
    put(self, VIRTIO_BLK_CONFIG_OPT_IO_SIZE, parsed->opt_io_size / block, 4);
    put(self, VIRTIO_BLK_CONFIG_WRITEBACK, self->write_cache, 1);
    put(self, VIRTIO_BLK_CONFIG_NUM_QUEUES, parsed->queues, 2);
    if (parsed->discard) {
        put(self, VIRTIO_BLK_CONFIG_MAX_DISCARD_SECTORS, parsed->max_discard, 4);
        put(self, VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG, MAX_RANGES, 4);
        put(self, VIRTIO_BLK_CONFIG_DISCARD_ALIGNMENT, MAX(parsed->discard_granularity, block) / SECTOR, 4);
    }
    if (parsed->write_zeroes) {
        put(self, VIRTIO_BLK_CONFIG_MAX_ZEROES_SECTORS, parsed->max_zeroes, 4);
        put(self, VIRTIO_BLK_CONFIG_MAX_ZEROES_SEG, MAX_RANGES, 4);
        put(self, VIRTIO_BLK_CONFIG_ZEROES_MAY_UNMAP, 1, 1);
    }
}

static guint64 features_of(const VirtioBlk *self, const BlkOptions *parsed)
{
    guint64 features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
                       1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_TOPOLOGY;
    if (parsed->queues > 1)
        features |= 1ull << VIRTIO_BLK_F_MQ;
    if (parsed->config_wce)
        features |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    if (drive_is_read_only(self->drive))
        return features | 1ull << VIRTIO_BLK_F_RO;
    if (parsed->discard)
        features |= 1ull << VIRTIO_BLK_F_DISCARD;
    if (parsed->write_zeroes)
        features |= 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
    return features;
}

static gboolean realize(VirtioBlk *self, DeviceEnv *env, const BlkOptions *parsed, OptSet *options,
                        GError **error)
{
    guint16 sizes[MAX_QUEUES];
    for (guint i = 0; i < parsed->queues; i++)
        sizes[i] = (guint16)parsed->queue_size;
    self->block_size = (guint32)parsed->block_size;
    self->answer = (IoDeferred){.func = answer, .data = self};
    virtio_device_init(&self->virtio, env, "virtio-blk-pci", &ops, features_of(self, parsed), sizes,
                       (guint)parsed->queues, VIRTIO_BLK_CONFIG_SIZE);
    self->virtio.context = io_context_main_context(self->io);
    self->cancel = notifier_new_in(self->virtio.context, on_cancel, self);
    fill_config(self, parsed);
    for (guint i = 0; i < parsed->queues; i++) {
        if (!virtio_device_serve(&self->virtio, i, error))
            return FALSE;
    }
    self->pci = virtio_pci_new(&self->virtio, VIRTIO_BLK_ID, PCI_CLASS, options, error);
    return self->pci != NULL;
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    BlkOptions parsed = {.queues = CLAMP(env->vcpus, 1, MAX_QUEUES),
                         .queue_size = DEFAULT_QUEUE_SIZE,
                         .block_size = SECTOR,
                         .physical_block_size = SECTOR,
                         .max_discard = MAX_RANGE_SECTORS,
                         .max_zeroes = MAX_RANGE_SECTORS,
                         .discard = TRUE,
                         .write_zeroes = TRUE,
                         .config_wce = TRUE};
    VirtioBlk *self = g_new0(VirtioBlk, 1);
    self->virtio.device.reset = machine_reset;
    self->virtio.device.pause = machine_pause;
    self->virtio.device.resume = machine_resume;
    self->virtio.device.destroy = destroy;
    self->id = g_strdup(optset_string(options, "id"));
    if (find_io(self, env, options, error)) {
        DriveUser user = {.id = self->id, .context = self->io, .resized = on_resized, .user_data = self};
        self->drive = drive_open(env->drives, options, &user, error);
    }
    if (self->drive == NULL || !parse_write_cache(self, options, error) ||
        !parse(self, &parsed, options, error) || !realize(self, env, &parsed, options, error)) {
        destroy(&self->virtio.device);
        return NULL;
    }
    return &self->virtio.device;
}

const DeviceType virtio_blk_pci_type = {
    .name = "virtio-blk-pci",
    .alias = "virtio-blk",
    .bus = "PCI",
    .description = "disk [drive=NODE,iothread=OBJECT,num-queues=N,serial=TEXT,write-cache=on|off,…]",
    .create = create,
};
