// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/virtio/virtio-scsi.h"
#include "tests/check-run.h"
#include "tests/device/driver.h"

#define DRIVER_BASE 0x100000
#define IMAGE       (4u << 20)
#define BASIC       (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)
#define ALL         (BASIC | 1ull << VIRTIO_SCSI_F_CHANGE)
#define REQUEST     51u
#define RESPONSE    108u
#define GOOD        0
#define CHECK       2

static Rig *rig;
static Driver *driver;
static DriverQueue *control, *events, *queue;
static char *folder, *image;
static int with_iothread;

static guint8 pattern(guint64 at)
{
    return (guint8)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static void add_node(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf(
        "raw,discard=unmap,node-name=%s,file.driver=file,file.filename=%s/%s", name, folder, name);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *bytes = g_malloc(IMAGE);
    for (gsize i = 0; i < IMAGE; i++)
        bytes[i] = (char)pattern(i);
    ck_assert(g_file_set_contents(path, bytes, IMAGE, NULL));
    g_autoptr(OptSet) options = optset_parse("-blockdev", text, "driver", &error);
    ck_assert_msg(options != NULL && block_set_add(rig->env.blocks, options, &error) != NULL, "%s",
                  error->message);
}

static void start_driver(void)
{
    ck_assert(driver_negotiate(driver, ALL));
    control = driver_setup_queue(driver, 0, 16);
    events = driver_setup_queue(driver, 1, 16);
    queue = driver_setup_queue(driver, 2, 64);
    driver_ok(driver);
}

static void set_up(void)
{
    folder = g_dir_make_tmp("virt-suite-scsi-XXXXXX", NULL);
    image = g_build_filename(folder, "disk", NULL);
    rig = rig_new();
    rig_object(rig, "iothread,id=io");
    add_node("disk");
    add_node("second");
    add_node("cd");
    rig_device(rig, with_iothread ? "virtio-scsi-pci,id=scsi0,iothread=io" : "virtio-scsi-pci,id=scsi0");
    rig_device(rig, "scsi-hd,drive=disk,id=d0,bus=scsi0.0,scsi-id=0,lun=0,serial=S1,wwn=0x5000c50015ea71ab");
    rig_device(rig, "scsi-hd,drive=second,id=d1,scsi-id=0,lun=3");
    rig_device(rig, "scsi-cd,drive=cd,id=c0,scsi-id=5");
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    start_driver();
}

static void tear_down(void)
{
    static const char *const names[] = {"disk", "second", "cd"};
    g_free(driver);
    rig_free(rig);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(folder, names[i], NULL);
        unlink(path);
    }
    rmdir(folder);
    g_free(image);
    g_free(folder);
}

static void *ram(guint64 address)
{
    return guest_memory_range(rig->memory, address, 1);
}

/* ---- commands ---- */

typedef struct Answer {
    guint32 sense_length, residual;
    guint8 status, response, key, code, qualifier;
} Answer;

static guint target, lun;

static guint64 put_request(const guint8 *cdb, gsize cdb_length)
{
    guint64 request = driver_alloc(driver, REQUEST);
    guint8 *bytes = ram(request);
    memset(bytes, 0, REQUEST);
    bytes[0] = 1;
    bytes[1] = (guint8)target;
    bytes[2] = 0x40 | (guint8)(lun >> 8);
    bytes[3] = (guint8)lun;
    memcpy(bytes + 19, cdb, cdb_length);
    return request;
}

static Answer read_answer(guint64 response)
{
    const guint8 *bytes = ram(response);
    Answer answer = {.status = bytes[10], .response = bytes[11]};
    memcpy(&answer.sense_length, bytes, 4);
    memcpy(&answer.residual, bytes + 4, 4);
    answer.key = bytes[12 + 2];
    answer.code = bytes[12 + 12];
    answer.qualifier = bytes[12 + 13];
    return answer;
}

static Answer run(const guint8 *cdb, gsize cdb_length, guint64 out, guint32 out_length, guint64 in,
                  guint32 in_length)
{
    guint64 request = put_request(cdb, cdb_length), response = driver_alloc(driver, RESPONSE);
    DriverBuffer buffers[4] = {{request, REQUEST, FALSE}};
    guint count = 1;
    if (out_length > 0)
        buffers[count++] = (DriverBuffer){out, out_length, FALSE};
    memset(ram(response), 0xee, RESPONSE);
    buffers[count++] = (DriverBuffer){response, RESPONSE, TRUE};
    if (in_length > 0)
        buffers[count++] = (DriverBuffer){in, in_length, TRUE};
    driver_add(driver, queue, buffers, count);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    return read_answer(response);
}

#define RUN(out, out_length, in, in_length, ...)                                                             \
    run((const guint8[]){__VA_ARGS__}, sizeof((guint8[]){__VA_ARGS__}), out, out_length, in, in_length)

static void on(guint at_target, guint at_lun)
{
    target = at_target;
    lun = at_lun;
}

/* The first command after power-on meets a unit attention. */
static void clear_attention(void)
{
    Answer answer = RUN(0, 0, 0, 0, 0x00);
    ck_assert_uint_eq(answer.status, CHECK);
    ck_assert_uint_eq(answer.key, 6);
    ck_assert_uint_eq(answer.code, 0x29);
    ck_assert_uint_eq(RUN(0, 0, 0, 0, 0x00).status, GOOD);
}

static void on_ready(guint at_target, guint at_lun)
{
    on(at_target, at_lun);
    clear_attention();
}

#define ck_sense(answer, k, c)                                                                               \
    do {                                                                                                     \
        Answer answer_ = (answer);                                                                           \
        ck_assert_uint_eq(answer_.status, CHECK);                                                            \
        ck_assert_uint_eq(answer_.sense_length, 18);                                                         \
        ck_assert_uint_eq(answer_.key, k);                                                                   \
        ck_assert_uint_eq(answer_.code, c);                                                                  \
    } while (0)

START_TEST (units_say_what_they_are) {
    guint64 in = driver_alloc(driver, 256);
    on(0, 0);
    Answer answer = RUN(0, 0, in, 96, 0x12, 0, 0, 0, 96, 0);
    ck_assert_uint_eq(answer.status, GOOD);
    ck_assert_uint_eq(answer.residual, 60);
    ck_assert_mem_eq((guint8 *)ram(in) + 8, "VSUITE  VIRT-SUITE DISK 1   ", 28);
    ck_assert_uint_eq(*(guint8 *)ram(in), 0);
    ck_assert_uint_eq(RUN(0, 0, in, 255, 0x12, 1, 0x80, 0, 255, 0).status, GOOD);
    ck_assert_mem_eq((guint8 *)ram(in) + 3, "\002S1", 3);
    ck_assert_uint_eq(RUN(0, 0, in, 255, 0x12, 1, 0x83, 0, 255, 0).status, GOOD);
    ck_assert_mem_eq((guint8 *)ram(in) + 4 + 4 + 26 + 4, "\x50\x00\xc5\x00\x15\xea\x71\xab", 8);
    ck_sense(RUN(0, 0, in, 255, 0x12, 1, 0x99, 0, 255, 0), 5, 0x24);
    on(5, 0);
    ck_assert_uint_eq(RUN(0, 0, in, 36, 0x12, 0, 0, 0, 36, 0).status, GOOD);
    ck_assert_uint_eq(*(guint8 *)ram(in), 5);
    clear_attention(); /* INQUIRY did not */
}
END_TEST

START_TEST (luns_are_reported) {
    guint64 in = driver_alloc(driver, 64);
    static const guint8 wanted[24] = {0, 0, 0, 16, [17] = 3};
    on(0, 0);
    ck_assert_uint_eq(RUN(0, 0, in, 64, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0).status, GOOD);
    ck_assert_mem_eq(ram(in), wanted, 24);
    on(0, 7); /* of the same target, but not there */
    ck_assert_uint_eq(RUN(0, 0, in, 36, 0x12, 0, 0, 0, 36, 0).status, GOOD);
    ck_assert_uint_eq(*(guint8 *)ram(in), 0x7f);
    ck_sense(RUN(0, 0, 0, 0, 0x00), 5, 0x25);
    on(9, 0);
    ck_assert_uint_eq(RUN(0, 0, 0, 0, 0x00).response, VIRTIO_SCSI_S_BAD_TARGET);
}
END_TEST

START_TEST (data_goes_both_ways) {
    guint64 data = driver_alloc(driver, 8192);
    on_ready(0, 0);
    ck_assert_uint_eq(RUN(0, 0, data, 4096, 0x28, 0, 0, 0, 0, 16, 0, 0, 8, 0).status, GOOD);
    for (guint i = 0; i < 4096; i++)
        ck_assert_uint_eq(((guint8 *)ram(data))[i], pattern(8192 + i));
    memset(ram(data), 0x5a, 8192);
    ck_assert_uint_eq(RUN(data, 8192, 0, 0, 0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 16, 0, 0).status,
                      GOOD);
    ck_assert_uint_eq(RUN(0, 0, 0, 0, 0x35).status, GOOD);
    g_autofree char *bytes = NULL;
    ck_assert(g_file_get_contents(image, &bytes, NULL, NULL));
    for (guint i = 0; i < 8192; i++)
        ck_assert_uint_eq((guint8)bytes[32 * 512 + i], 0x5a);
    ck_assert_uint_eq((guint8)bytes[32 * 512 - 1], pattern(32 * 512 - 1));
    ck_assert_uint_eq(RUN(0, 0, data, 512, 0x08, 0, 0, 40, 1, 0).status, GOOD); /* READ (6) */
    ck_assert_uint_eq(*(guint8 *)ram(data), 0x5a);
}
END_TEST

START_TEST (capacity_is_told) {
    guint64 in = driver_alloc(driver, 32);
    on_ready(0, 0);
    ck_assert_uint_eq(RUN(0, 0, in, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0).status, GOOD);
    ck_assert_mem_eq(ram(in), "\0\0\x1f\xff\0\0\2\0", 8);
    ck_assert_uint_eq(RUN(0, 0, in, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0).status, GOOD);
    ck_assert_mem_eq(ram(in), "\0\0\0\0\0\0\x1f\xff\0\0\2\0", 12);
    on_ready(5, 0);
    ck_assert_uint_eq(RUN(0, 0, in, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0).status, GOOD);
    ck_assert_mem_eq(ram(in), "\0\0\7\xff\0\0\x08\0", 8);
}
END_TEST

START_TEST (what_cannot_be_is_refused) {
    guint64 data = driver_alloc(driver, 4096);
    on_ready(0, 0);
    ck_sense(RUN(0, 0, data, 512, 0x28, 0, 0, 0, 0x20, 0, 0, 0, 1, 0), 5,
             0x21); /* the first beyond the end */
    ck_sense(RUN(0, 0, data, 1024, 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 2, 0), 5, 0x21); /* across the end */
    ck_sense(RUN(0, 0, data, 512, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0), 5,
             0x21);
    ck_sense(RUN(0, 0, data, 512, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 0, 0), 5, 0x21);
    ck_sense(RUN(0, 0, data, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0), 5, 0x24); /* too little room */
    ck_sense(RUN(data, 512, 0, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0), 5, 0x24); /* too little data */
    ck_sense(RUN(0, 0, 0, 0, 0xee), 5, 0x20);
    ck_sense(RUN(0, 0, 0, 0, 0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0), 5, 0x20); /* a disk has no TOC */
    on_ready(5, 0);
    ck_sense(RUN(data, 2048, 0, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 5, 0x20); /* a CD cannot be written */
}
END_TEST

START_TEST (zeroes_and_unmap) {
    guint64 data = driver_alloc(driver, 512);
    struct stat before, after;
    on_ready(0, 0);
    ck_assert_int_eq(stat(image, &before), 0);
    memset(ram(data), 0, 512);
    ck_assert_uint_eq(RUN(data, 512, 0, 0, 0x93, 8, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0).status,
                      GOOD); /* 1 MiB from 1 MiB */
    g_autofree char *bytes = NULL;
    ck_assert(g_file_get_contents(image, &bytes, NULL, NULL));
    for (guint i = 0; i < 1 << 20; i++)
        ck_assert_uint_eq(bytes[(1 << 20) + i], 0);
    ck_assert_uint_eq((guint8)bytes[2 << 20], pattern(2 << 20));
    memset(ram(data), 1, 512);
    ck_sense(RUN(data, 512, 0, 0, 0x93, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0), 5, 0x24);
    static const guint8 list[] = {0, 38, 0, 32, 0, 0, 0,  0, /* two ranges of 1 MiB: from 2 and 3 MiB */
                                  0, 0,  0, 0,  0, 0, 16, 0, 0, 0, 8, 0, 0, 0, 0, 0,
                                  0, 0,  0, 0,  0, 0, 24, 0, 0, 0, 8, 0, 0, 0, 0, 0};
    memcpy(ram(data), list, sizeof list);
    ck_assert_uint_eq(RUN(data, 40, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0).status, GOOD);
    ck_assert_int_eq(stat(image, &after), 0);
    ck_assert_int_lt(after.st_blocks, before.st_blocks);
    ((guint8 *)ram(data))[8 + 5] = 0x20; /* beyond the end */
    ck_sense(RUN(data, 40, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), 5, 0x21);
    ((guint8 *)ram(data))[2] = 0xff; /* more ranges than bytes */
    ck_sense(RUN(data, 40, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), 5, 0x26);
}
END_TEST

START_TEST (the_write_cache_can_be_switched) {
    guint64 data = driver_alloc(driver, 64);
    on_ready(0, 0);
    ck_assert_uint_eq(RUN(0, 0, data, 64, 0x1a, 8, 8, 0, 64, 0).status, GOOD);
    guint8 *page = (guint8 *)ram(data) + 4;
    ck_assert_uint_eq(page[0], 8);
    ck_assert_uint_eq(page[2], 4);
    guint8 select[24] = {0};
    memcpy(select + 4, page, 20);
    select[4 + 2] = 0;
    memcpy(ram(data), select, sizeof select);
    ck_assert_uint_eq(RUN(data, 24, 0, 0, 0x15, 0x10, 0, 0, 24, 0).status, GOOD);
    ck_assert_uint_eq(RUN(0, 0, data, 64, 0x1a, 8, 8, 0, 64, 0).status, GOOD);
    ck_assert_uint_eq(((guint8 *)ram(data))[4 + 2], 0);
    select[4 + 12] = 0xff; /* what cannot be changed */
    memcpy(ram(data), select, sizeof select);
    ck_sense(RUN(data, 24, 0, 0, 0x15, 0x10, 0, 0, 24, 0), 5, 0x26);
    ck_sense(RUN(data, 24, 0, 0, 0x15, 0x10, 0, 0, 23, 0), 5, 0x26);
}
END_TEST

START_TEST (a_cd_has_its_tables) {
    guint64 in = driver_alloc(driver, 64);
    on_ready(5, 0);
    ck_assert_uint_eq(RUN(0, 0, in, 20, 0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0).status, GOOD);
    ck_assert_mem_eq(ram(in), "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\x08\0", 20);
    ck_assert_uint_eq(RUN(0, 0, in, 20, 0x43, 2, 0, 0, 0, 0, 0, 0, 20, 0).status, GOOD);
    ck_assert_mem_eq((guint8 *)ram(in) + 8, "\0\0\2\0", 4); /* 00:02:00 */
    ck_assert_uint_eq(RUN(0, 0, in, 64, 0x46, 0, 0, 0, 0, 0, 0, 0, 64, 0).status, GOOD);
    ck_assert_uint_eq(((guint8 *)ram(in))[7], 8);
    ck_assert_uint_eq(RUN(0, 0, in, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0).status, GOOD);
    ck_assert_uint_eq(RUN(0, 0, in, 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0).status, GOOD);
    ck_assert_uint_eq(RUN(0, 0, in, 64, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64, 0).status, GOOD);
}
END_TEST

static guint8 tmf(guint32 subtype, guint64 id)
{
    guint64 request = driver_alloc(driver, 24), response = driver_alloc(driver, 1);
    guint8 *bytes = ram(request);
    memset(bytes, 0, 24);
    memcpy(bytes + 4, &subtype, 4);
    bytes[8] = 1;
    bytes[9] = (guint8)target;
    bytes[11] = (guint8)lun;
    memcpy(bytes + 16, &id, 8);
    DriverBuffer buffers[] = {{request, 24, FALSE}, {response, 1, TRUE}};
    driver_add(driver, control, buffers, 2);
    driver_kick(driver, control);
    driver_wait_used(driver, control, NULL);
    return *(guint8 *)ram(response);
}

START_TEST (task_management) {
    on_ready(0, 0);
    ck_assert_uint_eq(tmf(VIRTIO_SCSI_TMF_ABORT_TASK, 77), VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
    ck_assert_uint_eq(tmf(VIRTIO_SCSI_TMF_QUERY_TASK, 77), VIRTIO_SCSI_S_OK);
    ck_assert_uint_eq(tmf(99, 0), VIRTIO_SCSI_S_FUNCTION_REJECTED);
    ck_assert_uint_eq(tmf(VIRTIO_SCSI_TMF_UNIT_RESET, 0), VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
    clear_attention();
    on(0, 9);
    ck_assert_uint_eq(tmf(VIRTIO_SCSI_TMF_UNIT_RESET, 0), VIRTIO_SCSI_S_INCORRECT_LUN);
    on(9, 0);
    ck_assert_uint_eq(tmf(VIRTIO_SCSI_TMF_UNIT_RESET, 0), VIRTIO_SCSI_S_BAD_TARGET);
}
END_TEST

START_TEST (a_resized_disk_is_told_of) {
    guint64 in = driver_alloc(driver, 8), buffer = driver_alloc(driver, 16);
    on_ready(0, 0);
    DriverBuffer event = {buffer, 16, TRUE};
    driver_add(driver, events, &event, 1);
    driver_kick(driver, events);
    ck_assert_int_eq(drive_resize(drive_set_find(rig->env.drives, "d0"), 2 * IMAGE), 0);
    ck_assert_uint_eq(driver_wait_used(driver, events, NULL), 16);
    ck_assert_mem_eq(ram(buffer), "\3\0\0\0\1\0\0\0\0\0\0\0\x2a\x09\0\0", 16);
    ck_sense(RUN(0, 0, 0, 0, 0x00), 6, 0x2a);
    ck_assert_uint_eq(RUN(0, 0, in, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0).status, GOOD);
    ck_assert_mem_eq(ram(in), "\0\0\x3f\xff", 4);
}
END_TEST

START_TEST (resets_with_commands_in_flight) {
    guint64 data = driver_alloc(driver, 65536);
    on_ready(0, 0);
    for (guint round = 0; round < 50; round++) {
        for (guint i = 0; i < 8; i++) {
            static const guint8 read[] = {0x28, 0, 0, 0, 0, 0, 0, 0, 16, 0};
            guint64 request = put_request(read, sizeof read), response = driver_alloc(driver, RESPONSE);
            DriverBuffer buffers[] = {
                {request, REQUEST, FALSE}, {response, RESPONSE, TRUE}, {data + i * 8192, 8192, TRUE}};
            driver_add(driver, queue, buffers, 3);
        }
        driver_kick(driver, queue);
        if (round % 2 == 0) {
            driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
            for (guint i = 0; i < 1000 && driver_status(driver) != 0; i++)
                rig_settle();
            ck_assert_uint_eq(driver_status(driver), 0);
        } else {
            rig_reset(rig);
        }
        driver->next_free = DRIVER_BASE + 65536 * 2;
        driver_msix_enable(driver);
        start_driver();
    }
    clear_attention();
}
END_TEST

START_TEST (bad_devices) {
    static const char *const bad[] = {
        "scsi-hd,drive=disk,scsi-id=1", /* in use */
        "scsi-hd,drive=none",
        "scsi-hd",
        "scsi-cd,drive=cd,bus=scsi9.0",
        "scsi-hd,drive=second,scsi-id=256",
        "scsi-hd,drive=second,lun=16384",
        "scsi-hd,drive=second,channel=1",
        "scsi-hd,drive=second,serial=0123456789012345678901234567890123456",
        "scsi-hd,drive=second,nonsense=1",
        "virtio-scsi-pci,iothread=none",
        "virtio-scsi-pci,num_queues=0",
        "virtio-scsi-pci,virtqueue_size=100",
    };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_msg(rig_try_device(rig, bad[i], &error) == NULL, "%s", bad[i]);
        ck_assert_ptr_nonnull(error);
    }
}
END_TEST

START_TEST (random_requests) {
    g_autoptr(GRand) random = g_rand_new_with_seed(22);
    guint64 base = driver->next_free;
    for (guint round = 0; round < 6000; round++) {
        guint8 cdb[32];
        static const guint8 known[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28,
                                       0x2a, 0x2f, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a,
                                       0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xbd};
        for (guint i = 0; i < sizeof cdb; i++)
            cdb[i] = g_rand_int_range(random, 0, 3) ? 0 : (guint8)g_rand_int(random);
        cdb[0] = known[g_rand_int_range(random, 0, G_N_ELEMENTS(known))];
        driver->next_free = base;
        on((guint)g_rand_int_range(random, 0, 7), (guint)g_rand_int_range(random, 0, 5));
        guint64 data = driver_alloc(driver, 65536);
        guint32 out = g_rand_boolean(random) ? (guint32)g_rand_int_range(random, 0, 4096) : 0;
        guint32 in = g_rand_boolean(random) ? (guint32)g_rand_int_range(random, 0, 65536) : 0;
        Answer answer = run(cdb, sizeof cdb, data, out, data, in);
        ck_assert(answer.status == GOOD || answer.status == CHECK);
        ck_assert_uint_le(answer.residual, out + in);
    }
    on(0, 0);
    RUN(0, 0, 0, 0, 0x00);
    ck_assert_uint_eq(RUN(0, 0, 0, 0, 0x00).status, GOOD);
}
END_TEST

START_TEST (random_rings) {
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    for (guint round = 0; round < 3000; round++) {
        DriverQueue *any = (DriverQueue *[]){control, events, queue}[g_rand_int_range(random, 0, 3)];
        for (guint i = 0; i < 4; i++) {
            guint64 descriptor[2] = {g_rand_int(random) % (RIG_RAM + 0x10000),
                                     (guint64)g_rand_int(random) % 300 |
                                         (guint64)(g_rand_int(random) & 0x0003000f) << 32};
            guest_memory_write(rig->memory, any->desc + 16 * i, descriptor, 16);
        }
        guint16 head = (guint16)(g_rand_int(random) % 5);
        guest_memory_write(rig->memory, any->avail + 4 + 2 * (any->avail_index % any->size), &head, 2);
        any->avail_index++;
        guest_memory_write(rig->memory, any->avail + 2, &any->avail_index, 2);
        driver_kick(driver, any);
        rig_settle();
        if (driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET) {
            driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
            for (guint i = 0; i < 1000 && driver_status(driver) != 0; i++)
                rig_settle();
            driver->next_free = DRIVER_BASE;
            start_driver();
        }
    }
}
END_TEST

static void choose_iothread(void)
{
    with_iothread = 1;
    set_up();
}

static void choose_main(void)
{
    with_iothread = 0;
    set_up();
}

static void add_tests(Suite *suite, const char *name, void (*fixture)(void))
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, fixture, tear_down);
    tcase_add_test(tcase, units_say_what_they_are);
    tcase_add_test(tcase, luns_are_reported);
    tcase_add_test(tcase, data_goes_both_ways);
    tcase_add_test(tcase, capacity_is_told);
    tcase_add_test(tcase, what_cannot_be_is_refused);
    tcase_add_test(tcase, zeroes_and_unmap);
    tcase_add_test(tcase, the_write_cache_can_be_switched);
    tcase_add_test(tcase, a_cd_has_its_tables);
    tcase_add_test(tcase, task_management);
    tcase_add_test(tcase, a_resized_disk_is_told_of);
    tcase_add_test(tcase, resets_with_commands_in_flight);
    tcase_add_test(tcase, bad_devices);
    tcase_add_test(tcase, random_requests);
    tcase_add_test(tcase, random_rings);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("virtio-scsi");
    add_tests(suite, "main thread", choose_main);
    add_tests(suite, "iothread", choose_iothread);
    return check_run(suite);
}
