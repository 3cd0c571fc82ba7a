// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/virtio/virtio-blk.h"

#include <errno.h>
#include <string.h>

#include "host-vmm/bus/pci-msix.h"
#include "host-vmm/virtio/virtio-storage.h"

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
    VirtioStorageRequest base; /* its element's segments: data only, header and status cut off */
    DriveRequest drive;
    VirtioBlk *blk;
    guint8 *status_byte;
    guint32 written; /* what the used ring says */
    guint8 status;
    Range *ranges; /* of a discard or zeroes: one after the other */
    guint range_count, range;
} Request;

struct VirtioBlk {
    VirtioStorage base;
    Drive *drive;
    char *id;
    char serial[VIRTIO_BLK_ID_BYTES];
    guint32 block_size;
    gboolean write_cache; /* the state after a reset */
};

/* ---- giving back ---- */

static void free_request(VirtioStorage *storage, VirtioStorageRequest *base)
{
    Request *request = (Request *)base;
    g_free(request->ranges);
    g_free(request);
}

static guint32 complete(VirtioStorage *storage, VirtioStorageRequest *base)
{
    Request *request = (Request *)base;
    *request->status_byte = request->status;
    base->element->in_bytes = request->written; /* with the status again */
    return request->written;
}

static void finish(Request *request, guint8 status)
{
    request->status = status;
    virtio_storage_finish(&request->blk->base, &request->base);
}

/* ---- requests ---- */

static void next_range(Request *request);

static void on_done(DriveRequest *drive, int result)
{
    Request *request = (Request *)((guint8 *)drive - G_STRUCT_OFFSET(Request, drive));
    if (result == 0 && ++request->range < request->range_count)
        next_range(request);
    else
        finish(request, result == 0          ? VIRTIO_BLK_S_OK
                        : result == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP
                                             : VIRTIO_BLK_S_IOERR);
}

static guint write_flags(const VirtioBlk *self)
{
    return self->base.virtio.config[VIRTIO_BLK_CONFIG_WRITEBACK] != 0 ? 0 : BLOCK_FUA;
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
    VirtQueueElement *element = request->base.element;
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
    guint32 bytes = request->base.element->out_bytes;
    guint count = bytes / RANGE_SIZE;
    if (count == 0 || bytes % RANGE_SIZE != 0 || count > MAX_RANGES || drive_is_read_only(self->drive)) {
        refuse(request, stat, VIRTIO_BLK_S_IOERR);
        return;
    }
    /* A copy: the guest may change its own between check and use. */
    request->ranges = g_new(Range, count);
    request->range_count = count;
    virtqueue_element_read(request->base.element, 0, request->ranges, bytes);
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
        virtqueue_element_write(request->base.element, 0, self->serial, sizeof self->serial);
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

static void handle_element(VirtioStorage *storage, guint queue, VirtQueueElement *element)
{
    struct {
        guint32 type, reserved;
        guint64 sector;
    } header;
    G_STATIC_ASSERT(sizeof header == HEADER_SIZE);
    if (virtqueue_element_read(element, 0, &header, sizeof header) < sizeof header ||
        element->in_bytes == 0) {
        g_free(element);
        virtio_device_fail(&storage->virtio,
                           "a request without a whole header or without room for the status");
        return;
    }
    Request *request = g_new0(Request, 1);
    request->blk = (VirtioBlk *)storage;
    request->written = element->in_bytes;
    virtio_storage_cut(&element->out, &element->out_count, HEADER_SIZE);
    element->out_bytes -= HEADER_SIZE;
    request->status_byte = cut_status(element);
    virtio_storage_begin(storage, &request->base, queue, element);
    begin(request, header.type, header.sector);
}

/* ---- the device ---- */

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

static void reset(VirtioDevice *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    device->config[VIRTIO_BLK_CONFIG_WRITEBACK] = self->write_cache;
}

static const VirtioOps virtio_ops = {.start = start,
                                     .quiesce = virtio_storage_quiesce,
                                     .reset = reset,
                                     .handle_queue = virtio_storage_handle_queue,
                                     .write_config = write_config};

static void foreach_drive(VirtioStorage *storage, void (*func)(Drive *drive))
{
    func(((VirtioBlk *)storage)->drive);
}

static const VirtioStorageOps ops = {.foreach_drive = foreach_drive,
                                     .handle_element = handle_element,
                                     .complete = complete,
                                     .free_request = free_request};

static void destroy(Device *device)
{
    VirtioBlk *self = (VirtioBlk *)device;
    virtio_storage_clear(&self->base, NULL);
    drive_close(self->drive);
    g_free(self->id);
    g_free(self);
}

static void put(VirtioBlk *self, guint offset, guint64 value, guint size)
{
    virtio_storage_put_config(&self->base, offset, value, size);
}

static void on_resized(gpointer user_data)
{
    VirtioBlk *self = user_data;
    VirtioDevice *device = &self->base.virtio;
    g_mutex_lock(&device->lock);
    put(self, VIRTIO_BLK_CONFIG_CAPACITY, drive_length(self->drive) / SECTOR, 8);
    virtio_device_config_changed(device);
    g_mutex_unlock(&device->lock);
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
    return virtio_storage_queue_size(options, "queue-size", &parsed->queue_size, error);
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
    virtio_storage_init(&self->base, env, "virtio-blk-pci", &virtio_ops, &ops, features_of(self, parsed),
                        sizes, (guint)parsed->queues, VIRTIO_BLK_CONFIG_SIZE);
    fill_config(self, parsed);
    return virtio_storage_connect(&self->base, VIRTIO_BLK_ID, options, error);
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
    self->base.virtio.device.destroy = destroy;
    self->id = g_strdup(optset_string(options, "id"));
    if (virtio_storage_find_io(&self->base, env, options, error)) {
        DriveUser user = {.id = self->id, .context = self->base.io, .resized = on_resized, .user_data = self};
        self->drive = drive_open(env->drives, options, &user, error);
    }
    if (self->drive == NULL || !parse_write_cache(self, options, error) ||
        !parse(self, &parsed, options, error) || !realize(self, env, &parsed, options, error)) {
        destroy(&self->base.virtio.device);
        return NULL;
    }
    return &self->base.virtio.device;
}

const DeviceType virtio_blk_pci_type = {
    .name = "virtio-blk-pci",
    .alias = "virtio-blk",
    .bus = "PCI",
    .description = "disk [drive=NODE,iothread=OBJECT,num-queues=N,serial=TEXT,write-cache=on|off,…]",
    .create = create,
};
