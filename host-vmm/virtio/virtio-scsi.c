// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "host-vmm/bus/pci-msix.h"
#include "host-vmm/virtio/virtio-scsi-private.h"
#include "host-vmm/virtio/virtio-storage.h"

#define CONTROL_QUEUE_SIZE 64
#define DEFAULT_QUEUE_SIZE 256
#define MAX_REQUEST_QUEUES (PCI_MSIX_MAX_VECTORS - 1 - VIRTIO_SCSI_REQUESTS)
#define MAX_SECTORS        0xffffu
#define COMMANDS_PER_LUN   128u

/* Requests: fixed parts in front of and behind CDB and sense (section 5.6.6.1). */
#define REQUEST_HEAD  19u /* lun, id, attributes; then the CDB */
#define RESPONSE_HEAD 12u /* sense length, residual, qualifier, status, response; then the sense */
#define TMF_SIZE      24u
#define AN_SIZE       16u
#define EVENT_SIZE    16u

typedef struct Request {
    VirtioStorageRequest base; /* its element's segments: data only */
    ScsiCommand command;
    VirtioScsi *scsi;
    ScsiDevice *disk;       /* NULL: it reached none */
    struct iovec *response; /* where the response goes: the segments that it was cut from */
    guint response_count;
    guint64 id; /* the driver's tag */
    guint8 response_code;
    struct Request *previous, *follow; /* in the list of all */
} Request;

/* A task management function that waits until its tasks have ended. */
typedef struct Tmf {
    VirtQueueElement *element;
    ScsiDevice *disk; /* its commands are waited for… */
    guint64 id;       /* …or just the one of this tag */
    gboolean one;
    struct Tmf *next;
} Tmf;

struct VirtioScsi {
    VirtioStorage base;
    Notifier *abort;   /* to the io's thread: a task management function waits for what is in flight */
    Notifier *changed; /* to the io's thread: a disk's capacity has changed */
    char *bus;

    /* Under the lock. */
    ScsiDevice *disks[SCSI_MAX_UNITS];
    guint disk_count;
    Request *requests; /* all of them */
    Tmf *tmfs;
    gboolean missed; /* an event found no buffer */
};

VirtioScsi *virtio_scsi_find(DeviceEnv *env, const char *bus, GError **error)
{
    for (guint i = 0; i < env->devices->len; i++) {
        Device *device = g_ptr_array_index(env->devices, i);
        VirtioScsi *scsi = (VirtioScsi *)device;
        if (device->type == &virtio_scsi_pci_type && (bus == NULL || strcmp(bus, scsi->bus) == 0))
            return scsi;
    }
    g_set_error(
        error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
        bus != NULL ? "there is no SCSI bus '%s'" : "there is no SCSI bus: it needs a virtio-scsi-pci", bus);
    return NULL;
}

IoContext *virtio_scsi_io(const VirtioScsi *scsi)
{
    return scsi->base.io;
}

const char *virtio_scsi_bus(const VirtioScsi *scsi)
{
    return scsi->bus;
}

/* With the lock held, or before the guest runs. */
static ScsiDevice *disk_at(const VirtioScsi *self, guint target, guint lun)
{
    for (guint i = 0; i < self->disk_count; i++) {
        if (self->disks[i]->target == target && self->disks[i]->lun == lun)
            return self->disks[i];
    }
    return NULL;
}

static gint compare_luns(gconstpointer left, gconstpointer right)
{
    return *(const guint16 *)left - *(const guint16 *)right;
}

/* The LUNs of a target, ascending. Returns how many. */
static guint luns_of(const VirtioScsi *self, guint target, guint16 luns[SCSI_MAX_UNITS])
{
    guint count = 0;
    for (guint i = 0; i < self->disk_count; i++) {
        if (self->disks[i]->target == target)
            luns[count++] = (guint16)self->disks[i]->lun;
    }
    qsort(luns, count, sizeof(guint16), compare_luns);
    return count;
}

gboolean virtio_scsi_join(VirtioScsi *scsi, ScsiDevice *disk, int target, int lun, GError **error)
{
    if (scsi->disk_count == SCSI_MAX_UNITS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "bus '%s' has %d disks already", scsi->bus,
                    SCSI_MAX_UNITS);
        return FALSE;
    }
    guint at_target = target >= 0 ? (guint)target : 0;
    guint at_lun = lun >= 0 ? (guint)lun : 0;
    while (target < 0 && at_target <= SCSI_MAX_TARGET && disk_at(scsi, at_target, at_lun) != NULL)
        at_target++;
    while (target >= 0 && lun < 0 && at_lun <= SCSI_MAX_LUN && disk_at(scsi, at_target, at_lun) != NULL)
        at_lun++;
    if (at_target > SCSI_MAX_TARGET || at_lun > SCSI_MAX_LUN || disk_at(scsi, at_target, at_lun) != NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS, "scsi-id %u lun %u of bus '%s' is already used",
                    at_target, at_lun, scsi->bus);
        return FALSE;
    }
    g_mutex_lock(&scsi->base.virtio.lock);
    disk->scsi = scsi;
    disk->target = at_target;
    disk->lun = at_lun;
    scsi->disks[scsi->disk_count++] = disk;
    g_mutex_unlock(&scsi->base.virtio.lock);
    return TRUE;
}

void virtio_scsi_leave(ScsiDevice *disk)
{
    VirtioScsi *self = disk->scsi;
    g_mutex_lock(&self->base.virtio.lock);
    for (guint i = 0; i < self->disk_count; i++) {
        if (self->disks[i] == disk) {
            self->disks[i] = self->disks[--self->disk_count];
            break;
        }
    }
    disk->scsi = NULL;
    g_mutex_unlock(&self->base.virtio.lock);
}

/* ---- segments ---- */

/* Copies from or to a list of segments at its beginning. */
static void copy_to(const struct iovec *segments, guint count, const void *from, gsize length)
{
    for (guint i = 0; i < count && length > 0; i++) {
        gsize part = MIN(segments[i].iov_len, length);
        memcpy(segments[i].iov_base, from, part);
        from = (const guint8 *)from + part;
        length -= part;
    }
}

/* ---- the life of a request ---- */

static void link_request(VirtioScsi *self, Request *request)
{
    request->follow = self->requests;
    if (self->requests != NULL)
        self->requests->previous = request;
    self->requests = request;
    if (request->disk != NULL)
        request->disk->outstanding++;
}

static void unlink_request(VirtioScsi *self, Request *request)
{
    if (request->previous != NULL)
        request->previous->follow = request->follow;
    else
        self->requests = request->follow;
    if (request->follow != NULL)
        request->follow->previous = request->previous;
    if (request->disk != NULL)
        request->disk->outstanding--;
}

static void free_request(VirtioStorage *storage, VirtioStorageRequest *base)
{
    Request *request = (Request *)base;
    unlink_request((VirtioScsi *)storage, request);
    g_free(request->response);
    g_free(request);
}

static void put_response(const Request *request)
{
    const ScsiCommand *command = &request->command;
    guint8 response[RESPONSE_HEAD + VIRTIO_SCSI_SENSE_SIZE] = {0};
    guint64 asked = command->out_bytes + command->in_bytes;
    guint32 sense_length = GUINT32_TO_LE(command->sense_length);
    guint32 residual = GUINT32_TO_LE((guint32)(asked - MIN(command->transferred, asked)));
    memcpy(response, &sense_length, 4);
    memcpy(response + 4, &residual, 4);
    response[10] = command->status;
    response[11] = request->response_code;
    memcpy(response + RESPONSE_HEAD, command->sense, command->sense_length);
    copy_to(request->response, request->response_count, response, sizeof response);
}

/* All of what a function waits for has ended. With the lock held. */
static gboolean is_over(const VirtioScsi *self, const Tmf *tmf)
{
    if (!tmf->one)
        return tmf->disk->outstanding == 0;
    for (const Request *request = self->requests; request != NULL; request = request->follow) {
        if (request->disk == tmf->disk && request->id == tmf->id)
            return FALSE;
    }
    return TRUE;
}

static void answer_control(VirtioScsi *self, VirtQueueElement *element, const void *response, gsize length)
{
    virtqueue_element_write(element, 0, response, length);
    virtqueue_push(&self->base.virtio.queues[VIRTIO_SCSI_CONTROL].ring, element, (guint32)length);
    virtio_device_notify(&self->base.virtio, VIRTIO_SCSI_CONTROL);
}

static void finish_tmfs(VirtioStorage *storage)
{
    VirtioScsi *self = (VirtioScsi *)storage;
    Tmf **link = &self->tmfs;
    while (*link != NULL) {
        Tmf *tmf = *link;
        if (!is_over(self, tmf)) {
            link = &tmf->next;
            continue;
        }
        guint8 response = VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
        *link = tmf->next;
        answer_control(self, tmf->element, &response, 1);
        g_free(tmf);
    }
}

static guint32 complete(VirtioStorage *storage, VirtioStorageRequest *base)
{
    put_response((Request *)base);
    base->element->in_bytes += RESPONSE_HEAD + VIRTIO_SCSI_SENSE_SIZE; /* with the response again */
    return base->element->in_bytes;
}

static void on_command_done(ScsiCommand *command)
{
    Request *request = (Request *)((guint8 *)command - G_STRUCT_OFFSET(Request, command));
    virtio_storage_finish(&request->scsi->base, &request->base);
}

/* The driver's 8 bytes (section 5.6.6.1): 1, the target, the LUN in SAM's form, zeroes. FALSE: another bus.
 */
static gboolean parse_lun(const guint8 lun[8], guint *target, guint *number)
{
    *target = lun[1];
    *number = ((guint)lun[2] << 8 | lun[3]) & 0x3fff;
    return lun[0] == 1;
}

static void handle_request(VirtioScsi *self, guint queue, VirtQueueElement *element)
{
    const guint request_size = REQUEST_HEAD + VIRTIO_SCSI_CDB_SIZE;
    const guint response_size = RESPONSE_HEAD + VIRTIO_SCSI_SENSE_SIZE;
    guint8 head[REQUEST_HEAD + VIRTIO_SCSI_CDB_SIZE];
    if (virtqueue_element_read(element, 0, head, request_size) < request_size ||
        element->in_bytes < response_size) {
        g_free(element);
        virtio_device_fail(&self->base.virtio,
                           "a SCSI request without a whole header or without room for the response");
        return;
    }
    Request *request = g_new0(Request, 1);
    guint target, lun;
    gboolean ours = parse_lun(head, &target, &lun);
    request->scsi = self;
    request->disk = ours ? disk_at(self, target, lun) : NULL;
    memcpy(&request->id, head + 8, sizeof request->id);
    /* The response's segments are kept before they are cut off the data's. */
    request->response_count = element->in_count;
    request->response = g_new(struct iovec, element->in_count);
    memcpy(request->response, element->in, element->in_count * sizeof(struct iovec));
    virtio_storage_cut(&element->out, &element->out_count, request_size);
    element->out_bytes -= request_size;
    virtio_storage_cut(&element->in, &element->in_count, response_size);
    element->in_bytes -= response_size;
    virtio_storage_begin(&self->base, &request->base, queue, element);

    ScsiCommand *command = &request->command;
    memcpy(command->cdb, head + REQUEST_HEAD, VIRTIO_SCSI_CDB_SIZE);
    command->out = element->out;
    command->out_count = element->out_count;
    command->out_bytes = element->out_bytes;
    command->in = element->in;
    command->in_count = element->in_count;
    command->in_bytes = element->in_bytes;
    command->done = on_command_done;
    link_request(self, request);

    guint16 luns[SCSI_MAX_UNITS];
    guint lun_count = ours ? luns_of(self, target, luns) : 0;
    if (lun_count == 0) {
        request->response_code = VIRTIO_SCSI_S_BAD_TARGET;
        on_command_done(command);
    } else if (request->disk == NULL) {
        scsi_answer_absent(command, luns, lun_count);
    } else if (command->cdb[0] == SCSI_REPORT_LUNS) {
        scsi_answer_report_luns(command, luns, lun_count);
    } else {
        scsi_unit_execute(request->disk->unit, command);
    }
}

/* ---- control ---- */

/* FALSE: answered with a response code; TRUE: waits in the list. */
static gboolean begin_tmf(VirtioScsi *self, VirtQueueElement *element, const guint8 *request,
                          guint8 *response)
{
    guint32 subtype;
    guint target, lun;
    memcpy(&subtype, request + 4, 4);
    subtype = GUINT32_FROM_LE(subtype);
    ScsiDevice *disk = parse_lun(request + 8, &target, &lun) ? disk_at(self, target, lun) : NULL;
    if (disk == NULL) {
        guint16 luns[SCSI_MAX_UNITS];
        *response = request[8] == 1 && luns_of(self, target, luns) > 0 ? VIRTIO_SCSI_S_INCORRECT_LUN
                                                                       : VIRTIO_SCSI_S_BAD_TARGET;
        return FALSE;
    }
    Tmf tmf = {.element = element, .disk = disk};
    memcpy(&tmf.id, request + 16, sizeof tmf.id);
    switch (subtype) {
    case VIRTIO_SCSI_TMF_QUERY_TASK:
    case VIRTIO_SCSI_TMF_QUERY_SET:
        tmf.one = subtype == VIRTIO_SCSI_TMF_QUERY_TASK;
        *response = is_over(self, &tmf) ? VIRTIO_SCSI_S_OK : VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
        return FALSE;
    case VIRTIO_SCSI_TMF_ABORT_TASK:
        tmf.one = TRUE;
        break;
    case VIRTIO_SCSI_TMF_UNIT_RESET:
    case VIRTIO_SCSI_TMF_NEXUS_RESET:
        scsi_unit_reset(disk->unit);
        break;
    case VIRTIO_SCSI_TMF_ABORT_SET:
    case VIRTIO_SCSI_TMF_CLEAR_SET:
        break;
    default:
        *response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
        return FALSE;
    }
    *response = VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
    if (is_over(self, &tmf))
        return FALSE;
    /* What the kernel has cannot be called back; it ends soon enough. What waits (a limit, an error that is
     * kept for another try) ends now. */
    Tmf *waiting = g_new(Tmf, 1);
    *waiting = tmf;
    waiting->next = self->tmfs;
    self->tmfs = waiting;
    notifier_signal(self->abort);
    return TRUE;
}

static void handle_control(VirtioScsi *self, VirtQueueElement *element)
{
    guint8 request[TMF_SIZE] = {0};
    gsize got = virtqueue_element_read(element, 0, request, sizeof request);
    guint32 type;
    memcpy(&type, request, 4);
    type = GUINT32_FROM_LE(type);
    guint8 response[5] = {0, 0, 0, 0,
                          VIRTIO_SCSI_S_OK}; /* of AN: the events, none of which there are; the code */
    guint8 code;
    if (type == VIRTIO_SCSI_T_TMF && got == TMF_SIZE && element->in_bytes >= 1) {
        if (!begin_tmf(self, element, request, &code))
            answer_control(self, element, &code, 1);
    } else if ((type == VIRTIO_SCSI_T_AN_QUERY || type == VIRTIO_SCSI_T_AN_SUBSCRIBE) && got >= AN_SIZE &&
               element->in_bytes >= sizeof response) {
        answer_control(self, element, response, sizeof response);
    } else {
        g_free(element);
        virtio_device_fail(&self->base.virtio,
                           "a SCSI control request that is not whole or of an unknown type");
    }
}

/* ---- events ---- */

static void send_change(VirtioScsi *self, const ScsiDevice *disk)
{
    guint8 event[EVENT_SIZE] = {0};
    VirtQueueElement *element = virtio_device_pop(&self->base.virtio, VIRTIO_SCSI_EVENT);
    if (element == NULL) {
        self->missed = TRUE;
        return;
    }
    guint32 type =
        GUINT32_TO_LE(VIRTIO_SCSI_T_PARAM_CHANGE | (self->missed ? VIRTIO_SCSI_T_EVENTS_MISSED : 0));
    guint32 reason = GUINT32_TO_LE(0x2a | 0x09 << 8); /* capacity data has changed */
    memcpy(event, &type, 4);
    event[4] = 1;
    event[5] = (guint8)disk->target;
    event[6] = (guint8)(disk->lun >= 256 ? 0x40 | disk->lun >> 8 : 0);
    event[7] = (guint8)disk->lun;
    memcpy(event + 12, &reason, 4);
    self->missed = FALSE;
    virtqueue_element_write(element, 0, event, sizeof event);
    virtqueue_push(&self->base.virtio.queues[VIRTIO_SCSI_EVENT].ring, element, sizeof event);
    virtio_device_notify(&self->base.virtio, VIRTIO_SCSI_EVENT);
}

/* On the io's thread. */
static void on_changed(gpointer user_data)
{
    VirtioScsi *self = user_data;
    g_mutex_lock(&self->base.virtio.lock);
    for (guint i = 0; i < self->disk_count; i++) {
        ScsiDevice *disk = self->disks[i];
        if (!disk->changed)
            continue;
        disk->changed = FALSE;
        scsi_unit_capacity_changed(disk->unit);
        if (self->base.virtio.running &&
            (self->base.virtio.driver_features & 1ull << VIRTIO_SCSI_F_CHANGE) != 0)
            send_change(self, disk);
    }
    g_mutex_unlock(&self->base.virtio.lock);
}

void virtio_scsi_capacity_changed(ScsiDevice *disk)
{
    VirtioScsi *self = disk->scsi;
    g_mutex_lock(&self->base.virtio.lock);
    disk->changed = TRUE;
    g_mutex_unlock(&self->base.virtio.lock);
    notifier_signal(self->changed);
}

/* ---- the device ---- */

static void handle_element(VirtioStorage *storage, guint queue, VirtQueueElement *element)
{
    if (queue == VIRTIO_SCSI_CONTROL)
        handle_control((VirtioScsi *)storage, element);
    else
        handle_request((VirtioScsi *)storage, queue, element);
}

static void handle_queue(VirtioDevice *device, guint index)
{
    if (index != VIRTIO_SCSI_EVENT) /* event buffers are taken when there is an event */
        virtio_storage_handle_queue(device, index);
}

static void reset(VirtioDevice *device)
{
    VirtioScsi *self = (VirtioScsi *)device;
    for (Tmf *tmf = g_steal_pointer(&self->tmfs), *next; tmf != NULL; tmf = next) {
        next = tmf->next;
        g_free(tmf->element);
        g_free(tmf);
    }
    self->missed = FALSE;
    for (guint i = 0; i < self->disk_count; i++)
        scsi_unit_reset(self->disks[i]->unit);
}

static const VirtioOps virtio_ops = {
    .quiesce = virtio_storage_quiesce, .reset = reset, .handle_queue = handle_queue};

static void foreach_drive(VirtioStorage *storage, void (*func)(Drive *drive))
{
    VirtioScsi *self = (VirtioScsi *)storage;
    for (guint i = 0; i < self->disk_count; i++)
        func(self->disks[i]->drive);
}

static const VirtioStorageOps ops = {.foreach_drive = foreach_drive,
                                     .handle_element = handle_element,
                                     .complete = complete,
                                     .free_request = free_request,
                                     .answered = finish_tmfs};

/* On the io's thread: a task management function has found requests. */
static void on_abort(gpointer user_data)
{
    VirtioScsi *self = user_data;
    ScsiDevice *disks[SCSI_MAX_UNITS];
    guint count = 0;
    g_mutex_lock(&self->base.virtio.lock);
    for (guint i = 0; i < self->disk_count; i++) {
        const Tmf *tmf = self->tmfs;
        while (tmf != NULL && tmf->disk != self->disks[i])
            tmf = tmf->next;
        if (tmf != NULL)
            disks[count++] = self->disks[i];
    }
    g_mutex_unlock(&self->base.virtio.lock);
    for (guint i = 0; i < count; i++)
        drive_cancel(disks[i]->drive);
}

/* On the io's thread, for the last time; the disks have gone before. */
static void stop(VirtioStorage *storage)
{
    VirtioScsi *self = (VirtioScsi *)storage;
    reset(&storage->virtio);
    g_clear_pointer(&self->abort, notifier_free);
    g_clear_pointer(&self->changed, notifier_free);
}

static void destroy(Device *device)
{
    VirtioScsi *self = (VirtioScsi *)device;
    virtio_storage_clear(&self->base, stop);
    g_free(self->bus);
    g_free(self);
}

/* ---- creation ---- */

static void put(VirtioScsi *self, guint offset, guint64 value, guint size)
{
    virtio_storage_put_config(&self->base, offset, value, size);
}

static void fill_config(VirtioScsi *self, guint request_queues, guint queue_size)
{
    put(self, VIRTIO_SCSI_CONFIG_NUM_QUEUES, request_queues, 4);
    put(self, VIRTIO_SCSI_CONFIG_SEG_MAX, queue_size - 2, 4);
    put(self, VIRTIO_SCSI_CONFIG_MAX_SECTORS, MAX_SECTORS, 4);
    put(self, VIRTIO_SCSI_CONFIG_CMD_PER_LUN, COMMANDS_PER_LUN, 4);
    put(self, VIRTIO_SCSI_CONFIG_EVENT_INFO_SIZE, EVENT_SIZE, 4);
    put(self, VIRTIO_SCSI_CONFIG_SENSE_SIZE, VIRTIO_SCSI_SENSE_SIZE, 4);
    put(self, VIRTIO_SCSI_CONFIG_CDB_SIZE, VIRTIO_SCSI_CDB_SIZE, 4);
    put(self, VIRTIO_SCSI_CONFIG_MAX_CHANNEL, 0, 2);
    put(self, VIRTIO_SCSI_CONFIG_MAX_TARGET, SCSI_MAX_TARGET, 2);
    put(self, VIRTIO_SCSI_CONFIG_MAX_LUN, SCSI_MAX_LUN, 4);
}

static gboolean realize(VirtioScsi *self, DeviceEnv *env, guint request_queues, guint queue_size,
                        OptSet *options, GError **error)
{
    guint16 sizes[VIRTIO_SCSI_REQUESTS + MAX_REQUEST_QUEUES] = {CONTROL_QUEUE_SIZE, CONTROL_QUEUE_SIZE};
    guint count = VIRTIO_SCSI_REQUESTS + request_queues;
    for (guint i = VIRTIO_SCSI_REQUESTS; i < count; i++)
        sizes[i] = (guint16)queue_size;
    virtio_storage_init(&self->base, env, "virtio-scsi-pci", &virtio_ops, &ops, 1ull << VIRTIO_SCSI_F_CHANGE,
                        sizes, count, VIRTIO_SCSI_CONFIG_SIZE);
    self->abort = notifier_new_in(self->base.virtio.context, on_abort, self);
    self->changed = notifier_new_in(self->base.virtio.context, on_changed, self);
    fill_config(self, request_queues, queue_size);
    return virtio_storage_connect(&self->base, VIRTIO_SCSI_ID, options, error);
}

static gboolean parse(VirtioScsi *self, DeviceEnv *env, OptSet *options, guint64 *queues, guint64 *queue_size,
                      GError **error)
{
    const char *number = optset_string(options, "num_queues");
    return virtio_storage_find_io(&self->base, env, options, error) &&
           (number == NULL || strcmp(number, "auto") == 0 ||
            optset_uint(options, "num_queues", 1, MAX_REQUEST_QUEUES, queues, error)) &&
           virtio_storage_queue_size(options, "virtqueue_size", queue_size, error);
}

static char *bus_name(const DeviceEnv *env, OptSet *options)
{
    const char *id = optset_string(options, "id");
    guint unnamed = 0;
    if (id != NULL)
        return g_strdup_printf("%s.0", id);
    for (guint i = 0; i < env->devices->len; i++) {
        const Device *device = g_ptr_array_index(env->devices, i);
        unnamed += device->type == &virtio_scsi_pci_type && device->id == NULL;
    }
    return g_strdup_printf("scsi.%u", unnamed);
}

static Device *create(DeviceEnv *env, OptSet *options, GError **error)
{
    guint64 queues = CLAMP(env->vcpus, 1, MAX_REQUEST_QUEUES), queue_size = DEFAULT_QUEUE_SIZE;
    VirtioScsi *self = g_new0(VirtioScsi, 1);
    self->base.virtio.device.destroy = destroy;
    self->bus = bus_name(env, options);
    if (!parse(self, env, options, &queues, &queue_size, error) ||
        !realize(self, env, (guint)queues, (guint)queue_size, options, error)) {
        destroy(&self->base.virtio.device);
        return NULL;
    }
    return &self->base.virtio.device;
}

const DeviceType virtio_scsi_pci_type = {
    .name = "virtio-scsi-pci",
    .alias = "virtio-scsi",
    .bus = "PCI",
    .description = "SCSI host bus adapter [iothread=OBJECT,num_queues=N]",
    .create = create,
};
