// SPDX-License-Identifier: GPL-2.0-or-later
/* Disks' part of hostile: virtio-blk and virtio-scsi, on the main thread and on an I/O thread. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/virtio/virtio-blk.h"
#include "host-vmm/virtio/virtio-scsi.h"
#include "tests/device/hostile-private.h"

#define IMAGE_SIZE (1u << 20) /* less than what is between the arena and the canary */
#define IMAGES     3u         /* two disks and a CD-ROM */
#define SECTORS    (IMAGE_SIZE / 512)

#define HEADER   (ARENA + 0x6000)
#define EXTRA    (ARENA + 0x6100) /* ranges, parameters */
#define RESPONSE (ARENA + 0x6800)
#define DATA     (ARENA + 0x1000)

#define DESC_NEXT 1u
#define DESC_IN   2u

#define SCSI_REQUEST  (19u + VIRTIO_SCSI_CDB_SIZE)
#define SCSI_RESPONSE (12u + VIRTIO_SCSI_SENSE_SIZE)
#define SCSI_TMF      24u

struct HostileDisk {
    gboolean is_scsi;
    int images[IMAGES]; /* memfds; -1 */
};

/* ---- virtio-blk ---- */

static void step_blk(Hostile *self)
{
    static const guint8 types[] = {VIRTIO_BLK_T_IN,     VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_FLUSH,
                                   VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
    guint what = (guint)hostile_take(self, 1);
    guint queue = what >> 7;
    guint8 type = types[what % G_N_ELEMENTS(types)];
    struct {
        guint32 type, reserved;
        guint64 sector;
    } header = {type, 0, hostile_take(self, 2) % (SECTORS + 8)};
    struct {
        guint64 sector;
        guint32 count, flags;
    } ranges[] = {{hostile_take(self, 2), (guint32)hostile_take(self, 1), (what >> 5) & 1},
                  {hostile_take(self, 1), 8, 0}};
    gboolean is_in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    gboolean is_range = type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
    guint32 length = is_range ? (guint32)sizeof ranges : 512 * (guint32)(hostile_take(self, 1) % 64);
    if ((what & 0x40) != 0)
        length += (guint32)hostile_take(self, 1) % 40;
    hostile_poke(self, HEADER, &header, sizeof header);
    hostile_poke(self, EXTRA, &ranges, sizeof ranges);
    HostileDesc chain[] = {{HEADER, sizeof header, DESC_NEXT, 1},
                           {is_range ? EXTRA : DATA, length, (guint16)(DESC_NEXT | (is_in ? DESC_IN : 0)), 2},
                           {RESPONSE, 1, DESC_IN, 0}};
    hostile_poke(self, hostile_ring_page(queue, 0), &chain, sizeof chain);
    hostile_offer_first(self, queue);
}

static void check_blk_alive(Hostile *self, DriverQueue *queue)
{
    Driver *driver = self->driver;
    guint64 out = driver_alloc(driver, 16 + 512), in = driver_alloc(driver, 513),
            header = driver_alloc(driver, 16);
    guint8 *bytes = guest_memory_range(self->rig->memory, out, 528);
    bytes[0] = VIRTIO_BLK_T_OUT;
    memset(bytes + 16, 0x5a, 512);
    DriverBuffer write[] = {{out, 528, FALSE}, {in, 1, TRUE}},
                 read[] = {{header, 16, FALSE}, {in, 513, TRUE}};
    driver_add(driver, queue, write, 2);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    driver_add(driver, queue, read, 2);
    driver_kick(driver, queue);
    g_assert_cmpuint(driver_wait_used(driver, queue, NULL), ==, 513);
    const guint8 *got = guest_memory_range(self->rig->memory, in, 513);
    g_assert_cmpmem(got, 512, bytes + 16, 512);
    g_assert_cmpuint(got[512], ==, VIRTIO_BLK_S_OK);
}

/* ---- virtio-scsi ---- */

/* The first eight bytes of a request: mostly a unit that is there. */
static void put_lun(guint8 *lun, guint which)
{
    static const guint8 targets[] = {0, 0, 1, 1, 2, 2, 3, 255};
    lun[0] = which < 0xf0 ? 1 : (guint8)which;
    lun[1] = targets[which % G_N_ELEMENTS(targets)];
    lun[2] = 0x40;
    lun[3] = which % 16 == 15;
}

/* Where the last byte of a command's length is, by the code's group. */
static guint length_at(guint8 code)
{
    static const guint8 at[8] = {4, 8, 8, 8, 13, 9, 8, 8};
    return at[code >> 5];
}

static void step_scsi_command(Hostile *self)
{
    static const guint8 codes[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28,
                                   0x2a, 0x2f, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a,
                                   0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa};
    guint8 request[SCSI_REQUEST] = {0}, *cdb = request + 19, parameters[64];
    guint queue = VIRTIO_SCSI_REQUESTS, count = 1;
    put_lun(request, (guint)hostile_take(self, 1));
    request[8] = (guint8)(hostile_take(self, 1) % 8); /* the tag */
    guint what = (guint)hostile_take(self, 1);
    cdb[0] = (guint8)(what < 0xf8 ? codes[what % G_N_ELEMENTS(codes)] : what);
    /* Small numbers, so that what is asked for is mostly there; where they are goes by the code's group. */
    gboolean is_long = cdb[0] >> 5 == 4; /* 16 bytes */
    guint8 blocks = (guint8)(hostile_take(self, 1) & 0x3f);
    cdb[1] = (guint8)hostile_take(self, 1) & 0x1b;
    cdb[is_long ? 8 : 4] = (guint8)hostile_take(self, 1) & 7;
    cdb[is_long ? 9 : 5] = (guint8)hostile_take(self, 1);
    cdb[length_at(cdb[0])] = blocks;
    if ((hostile_take(self, 1) & 7) == 0)
        cdb[hostile_take(self, 1) % 16] = (guint8)hostile_take(self, 1);
    for (guint i = 0; i < sizeof parameters; i++)
        parameters[i] = (guint8)(i % 16 == 3 ? hostile_take(self, 1) : 0);
    guint lengths = (guint)hostile_take(self, 1);
    gboolean is_out = (cdb[0] & 0xf) == 0xa, exact = lengths < 0xc0;
    guint32 out = (lengths & 1) != 0 ? 512 * (lengths >> 4) + (lengths >> 1 & 7) * 8 : 0;
    guint32 in = (lengths & 1) == 0 ? 512 * (lengths >> 4) + (lengths >> 1 & 7) * 4 : 0;
    if (exact && (is_out || (cdb[0] & 0xf) == 8)) {
        out = is_out ? 512u * blocks : 0;
        in = is_out ? 0 : 512u * blocks;
    }
    hostile_poke(self, HEADER, request, sizeof request);
    hostile_poke(self, EXTRA, parameters, sizeof parameters);
    HostileDesc chain[4] = {{HEADER, sizeof request, DESC_NEXT, 1}};
    if (out > 0)
        chain[count++] = (HostileDesc){out < 512 ? EXTRA : DATA, out, DESC_NEXT, 2};
    chain[count] =
        (HostileDesc){RESPONSE, SCSI_RESPONSE, DESC_IN | (in > 0 ? DESC_NEXT : 0), (guint16)(count + 1)};
    count++;
    if (in > 0)
        chain[count] = (HostileDesc){DATA, in, DESC_IN, 0};
    hostile_poke(self, hostile_ring_page(queue, 0), chain, sizeof chain);
    hostile_offer_first(self, queue);
}

static void step_scsi_control(Hostile *self)
{
    guint8 request[SCSI_TMF] = {(guint8)(hostile_take(self, 1) % 4)};
    request[4] = (guint8)(hostile_take(self, 1) % 10);
    put_lun(request + 8, (guint)hostile_take(self, 1));
    request[16] = (guint8)(hostile_take(self, 1) % 8);
    HostileDesc chain[] = {{HEADER + 0x80, sizeof request, DESC_NEXT, 1}, {RESPONSE + 0x80, 5, DESC_IN, 0}};
    hostile_poke(self, HEADER + 0x80, request, sizeof request);
    hostile_poke(self, hostile_ring_page(VIRTIO_SCSI_CONTROL, 0), chain, sizeof chain);
    hostile_offer_first(self, VIRTIO_SCSI_CONTROL);
}

/* A command without parameters or data out to unit 0; its status. */
static guint8 scsi_read(Hostile *self, DriverQueue *queue, const guint8 *cdb, gsize cdb_length, guint64 in,
                        guint32 in_length)
{
    Driver *driver = self->driver;
    guint64 request = driver_alloc(driver, SCSI_REQUEST), response = driver_alloc(driver, SCSI_RESPONSE);
    guint8 *bytes = guest_memory_range(self->rig->memory, request, SCSI_REQUEST);
    put_lun(bytes, 0);
    memcpy(bytes + 19, cdb, cdb_length);
    DriverBuffer buffers[] = {
        {request, SCSI_REQUEST, FALSE}, {response, SCSI_RESPONSE, TRUE}, {in, in_length, TRUE}};
    driver_add(driver, queue, buffers, in_length > 0 ? 3 : 2);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    const guint8 *got = guest_memory_range(self->rig->memory, response, SCSI_RESPONSE);
    g_assert_cmpuint(got[11], ==, VIRTIO_SCSI_S_OK);
    return got[10];
}

static void check_scsi_alive(Hostile *self, DriverQueue *queue)
{
    static const guint8 ready[6] = {0}, read10[10] = {0x28, [8] = 1};
    guint64 in = driver_alloc(self->driver, 512);
    guint8 expected[512];
    scsi_read(self, queue, ready, sizeof ready, 0, 0); /* tells of the reset */
    g_assert_cmpuint(scsi_read(self, queue, read10, sizeof read10, in, 512), ==, 0);
    g_assert_cmpint(pread(self->disk->images[0], expected, 512, 0), ==, 512);
    const guint8 *got = guest_memory_range(self->rig->memory, in, 512);
    g_assert_cmpmem(got, 512, expected, 512);
}

/* ---- both ---- */

void hostile_disk_step(Hostile *self)
{
    /* A device that waits for a reset does nothing. */
    if ((driver_status(self->driver) & VIRTIO_STATUS_NEEDS_RESET) != 0)
        hostile_start_again(self);
    if (!self->disk->is_scsi)
        step_blk(self);
    else if (hostile_take(self, 1) % 4 == 0)
        step_scsi_control(self);
    else
        step_scsi_command(self);
}

void hostile_disk_check_alive(Hostile *self)
{
    guint first = self->disk->is_scsi ? VIRTIO_SCSI_REQUESTS : 0;
    DriverQueue *queue = driver_setup_queue(self->driver, first, 32);
    driver_ok(self->driver);
    if (self->disk->is_scsi)
        check_scsi_alive(self, queue);
    else
        check_blk_alive(self, queue);
}

static void add_image(Hostile *self, guint index, gboolean read_only)
{
    HostileDisk *disk = self->disk;
    disk->images[index] = memfd_create("image", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(disk->images[index], IMAGE_SIZE), ==, 0);
    g_autofree char *text =
        g_strdup_printf("raw,node-name=disk%u,discard=unmap,read-only=%s,file.driver=file,"
                        "file.filename=/proc/self/fd/%d",
                        index, read_only ? "on" : "off", disk->images[index]);
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) options = optset_parse("-blockdev", text, "driver", &error);
    block_set_add(self->rig->env.blocks, options, &error);
    g_assert_no_error(error);
}

void hostile_disk_add(Hostile *self)
{
    gboolean on_thread = self->kind == HOSTILE_BLK_THREAD || self->kind == HOSTILE_SCSI_THREAD;
    HostileDisk *disk = self->disk = g_new0(HostileDisk, 1);
    disk->is_scsi = self->kind == HOSTILE_SCSI || self->kind == HOSTILE_SCSI_THREAD;
    memset(disk->images, -1, sizeof disk->images);
    rig_object(self->rig, "iothread,id=io");
    add_image(self, 0, FALSE);
    if (!disk->is_scsi) {
        self->queues = 2;
        rig_device(self->rig, on_thread ? "virtio-blk-pci,drive=disk0,num-queues=2,iothread=io"
                                        : "virtio-blk-pci,drive=disk0,num-queues=2");
        return;
    }
    self->queues = VIRTIO_SCSI_REQUESTS + 1;
    add_image(self, 1, FALSE);
    add_image(self, 2, TRUE);
    rig_device(self->rig,
               on_thread ? "virtio-scsi-pci,num_queues=1,iothread=io" : "virtio-scsi-pci,num_queues=1");
    rig_device(self->rig, "scsi-hd,drive=disk0,scsi-id=0");
    rig_device(self->rig, "scsi-hd,drive=disk1,scsi-id=1");
    rig_device(self->rig, "scsi-cd,drive=disk2,scsi-id=2");
}

void hostile_disk_free(HostileDisk *disk)
{
    for (guint i = 0; disk != NULL && i < IMAGES; i++) {
        if (disk->images[i] >= 0)
            close(disk->images[i]);
    }
    g_free(disk);
}
