// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/virtio/virtio-blk.h"
#include "tests/device/driver.h"

#define DRIVER_BASE 0x100000
#define IMAGE       (1u << 20)
#define BASIC       (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)
#define ALL                                                                                                  \
    (BASIC | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_CONFIG_WCE | 1ull << VIRTIO_BLK_F_DISCARD |   \
     1ull << VIRTIO_BLK_F_WRITE_ZEROES)
#define UNTOUCHED 0x77 /* a status that nobody wrote */

static Rig *rig;
static Driver *driver;
static DriverQueue *queue;
static char *folder, *image;
static int thread; /* the loop's: 1: with an iothread */

static guint8 pattern(guint64 at)
{
    return (guint8)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static void make_image(void)
{
    folder = g_dir_make_tmp("virt-suite-blk-XXXXXX", NULL);
    image = g_build_filename(folder, "image", NULL);
    g_autofree char *bytes = g_malloc(IMAGE);
    for (gsize i = 0; i < IMAGE; i++)
        bytes[i] = (char)pattern(i);
    ck_assert(g_file_set_contents(image, bytes, IMAGE, NULL));
}

static void add_node(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) options = optset_parse("-blockdev", text, "driver", &error);
    ck_assert_msg(options != NULL && block_set_add(rig->env.blocks, options, &error) != NULL, "%s",
                  error->message);
}

static void start_driver(guint64 features)
{
    ck_assert(driver_negotiate(driver, features));
    queue = driver_setup_queue(driver, 0, 64);
    driver_ok(driver);
}

static void set_up_on(const char *node, const char *device, guint64 features)
{
    rig = rig_new();
    rig_object(rig, "iothread,id=io");
    g_autofree char *node_text =
        g_strdup_printf("%s,node-name=disk,file.driver=file,file.filename=%s", node, image);
    g_autofree char *device_text =
        g_strdup_printf("virtio-blk-pci,drive=disk,id=d%s%s%s", thread == 1 ? ",iothread=io" : "",
                        *device != '\0' ? "," : "", device);
    add_node(node_text);
    rig_device(rig, device_text);
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    start_driver(features);
}

static void set_up(const char *device)
{
    make_image();
    set_up_on("raw,discard=unmap", device, ALL);
}

static void tear_down(void)
{
    g_free(driver);
    rig_free(rig);
    unlink(image);
    rmdir(folder);
    g_free(image);
    g_free(folder);
}

static void *ram(guint64 address)
{
    return guest_memory_range(rig->memory, address, 1);
}

/* ---- requests ---- */

typedef struct Asked {
    guint64 header, data, status;
    guint32 length;
} Asked;

/* Header, data, status: each in a buffer of its own. */
static Asked ask(guint32 type, guint64 sector, guint64 data, guint32 length)
{
    Asked asked = {driver_alloc(driver, 16), data, driver_alloc(driver, 1), length};
    gboolean is_in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    memcpy(ram(asked.header), &type, 4);
    memcpy((guint8 *)ram(asked.header) + 8, &sector, 8);
    *(guint8 *)ram(asked.status) = UNTOUCHED;
    DriverBuffer buffers[] = {{asked.header, 16, FALSE}, {data, length, is_in}, {asked.status, 1, TRUE}};
    if (length == 0)
        buffers[1] = buffers[2];
    driver_add(driver, queue, buffers, length == 0 ? 2 : 3);
    return asked;
}

static guint8 status_of(const Asked *asked)
{
    return *(guint8 *)ram(asked->status);
}

/* The status of one request. */
static guint8 call(guint32 type, guint64 sector, guint64 data, guint32 length)
{
    Asked asked = ask(type, sector, data, length);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    return status_of(&asked);
}

static void check_pattern(guint64 data, guint64 offset, guint length)
{
    for (guint i = 0; i < length; i++)
        ck_assert_uint_eq(((guint8 *)ram(data))[i], pattern(offset + i));
}

static guint64 fill(guint8 byte, guint32 length)
{
    guint64 data = driver_alloc(driver, length);
    memset(ram(data), byte, length);
    return data;
}

static guint8 byte_of_image(guint64 offset)
{
    guint8 byte = 0;
    int fd = open(image, O_RDONLY);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
    return byte;
}

static guint64 config_read(guint offset, guint size)
{
    return io_bus_read(rig->env.mmio, driver->config + offset, size);
}

/* ---- each request type ---- */

START_TEST (reads_and_writes) {
    thread = _i;
    set_up("");
    guint64 data = driver_alloc(driver, 8192);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_CAPACITY, 8), IMAGE / 512);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_BLK_SIZE, 4), 512);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 3, data, 8192), VIRTIO_BLK_S_OK);
    check_pattern(data, 3 * 512, 8192);
    ck_assert_uint_ge(rig_take_interrupts(rig, 0x101), 1);
    guint64 written = fill(0xab, 1024);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 10, written, 1024), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(byte_of_image(10 * 512 - 1), pattern(10 * 512 - 1));
    ck_assert_uint_eq(byte_of_image(10 * 512), 0xab);
    ck_assert_uint_eq(byte_of_image(12 * 512 - 1), 0xab);
    ck_assert_uint_eq(byte_of_image(12 * 512), pattern(12 * 512));
    ck_assert_uint_eq(call(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    /* The last sector; the used length is all that was written. */
    Asked asked = ask(VIRTIO_BLK_T_IN, IMAGE / 512 - 1, data, 512);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 513);
    ck_assert_uint_eq(status_of(&asked), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 0, 0, 0), VIRTIO_BLK_S_OK);
    tear_down();
}
END_TEST

/* The specification leaves the layout of a chain to the driver. */
START_TEST (any_layout) {
    thread = _i;
    set_up("");
    guint64 header = driver_alloc(driver, 16), in = driver_alloc(driver, 513);
    guint64 sector = 7;
    memcpy((guint8 *)ram(header) + 8, &sector, 8);
    *(guint8 *)ram(in + 512) = UNTOUCHED;
    /* Data and status in one buffer, the header in three. */
    DriverBuffer split[] = {
        {header, 1, FALSE}, {header + 1, 10, FALSE}, {header + 11, 5, FALSE}, {in, 513, TRUE}};
    driver_add(driver, queue, split, 4);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 513);
    ck_assert_uint_eq(*(guint8 *)ram(in + 512), VIRTIO_BLK_S_OK);
    check_pattern(in, 7 * 512, 512);
    /* Header and data to be written in one; the data of a read in odd pieces. */
    guint64 out = driver_alloc(driver, 16 + 512);
    guint32 type = VIRTIO_BLK_T_OUT;
    memcpy(ram(out), &type, 4);
    memset((guint8 *)ram(out) + 16, 0x5a, 512);
    DriverBuffer joined[] = {{out, 528, FALSE}, {in, 1, TRUE}};
    driver_add(driver, queue, joined, 2);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert_uint_eq(byte_of_image(511), 0x5a);
    DriverBuffer pieces[] = {{header, 16, FALSE},
                             {in, 3, TRUE},
                             {in + 3, 1000, TRUE},
                             {in + 1003, 21, TRUE},
                             {in + 2000, 1, TRUE}};
    driver_alloc(driver, 2048);
    driver_add(driver, queue, pieces, 5);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 1025);
    ck_assert_uint_eq(*(guint8 *)ram(in + 2000), VIRTIO_BLK_S_OK);
    check_pattern(in, 7 * 512, 1024);
    tear_down();
}
END_TEST

START_TEST (tells_its_serial) {
    set_up("serial=disk-1");
    guint64 data = fill(0xff, 32);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_GET_ID, 0, data, 20), VIRTIO_BLK_S_OK);
    ck_assert_mem_eq(ram(data), "disk-1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    ck_assert_uint_eq(((guint8 *)ram(data))[20], 0xff);
    memset(ram(data), 0xff, 32);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_GET_ID, 0, data, 3), VIRTIO_BLK_S_OK);
    ck_assert_mem_eq(ram(data), "dis\xff", 4);
    tear_down();
}
END_TEST

static guint64 make_ranges(const guint64 (*ranges)[3], guint count)
{
    guint64 data = driver_alloc(driver, 16 * MAX(count, 1));
    for (guint i = 0; i < count; i++) {
        guint32 sectors = (guint32)ranges[i][1], flags = (guint32)ranges[i][2];
        guint8 *at = (guint8 *)ram(data) + 16 * i;
        memcpy(at, &ranges[i][0], 8);
        memcpy(at + 8, &sectors, 4);
        memcpy(at + 12, &flags, 4);
    }
    return data;
}

START_TEST (discards_and_zeroes) {
    thread = _i;
    set_up("");
    struct stat before, after;
    const guint64 some[][3] = {{8, 16, 0}, {512, 512, 0}},
                  zeroes[][3] = {{100, 3, 0}, {200, 8, 1}, {300, 1, 0}};
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG, 4), 32);
    ck_assert_int_eq(stat(image, &before), 0);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(some, 2), 32), VIRTIO_BLK_S_OK);
    ck_assert_int_eq(stat(image, &after), 0);
    ck_assert_int_lt(after.st_blocks, before.st_blocks);
    ck_assert_uint_eq(byte_of_image(512 * 512), 0);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(zeroes, 3), 48), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(byte_of_image(100 * 512 - 1), pattern(100 * 512 - 1));
    ck_assert_uint_eq(byte_of_image(100 * 512), 0);
    ck_assert_uint_eq(byte_of_image(103 * 512 - 1), 0);
    ck_assert_uint_eq(byte_of_image(103 * 512), pattern(103 * 512));
    ck_assert_uint_eq(byte_of_image(204 * 512), 0);
    ck_assert_uint_eq(byte_of_image(300 * 512), 0);
    tear_down();
}
END_TEST

/* ---- what cannot be ---- */

START_TEST (errors) {
    thread = _i;
    set_up("");
    guint64 data = fill(1, 4096), end = IMAGE / 512;
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, end, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, end - 1, data, 1024), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, G_MAXUINT64, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, G_MAXUINT64 / 512 + 1, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 0, data, 100), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 0, data, 513), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(2, 0, data, 512), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(call(14, 0, data, 16), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(call(G_MAXUINT32, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
    const guint64 beyond[][3] = {{0, 1, 0}, {end, 1, 0}}, flagged[][3] = {{0, 1, 1}}, odd[][3] = {{0, 1, 2}},
                  large[][3] = {{0, G_MAXUINT32, 0}}, far[][3] = {{G_MAXUINT64, 8, 0}};
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(beyond, 2), 32), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(flagged, 1), 16), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(odd, 1), 16), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(large, 1), 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(far, 1), 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(beyond, 1), 15), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
    guint64 many = driver_alloc(driver, 33 * 16);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, many, 33 * 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(byte_of_image(0), pattern(0));
    DriveCounters counters;
    drive_get_counters(drive_set_find(rig->env.drives, "d"), &counters);
    ck_assert_uint_eq(counters.invalid[DRIVE_STAT_READ], 3);
    ck_assert_uint_eq(counters.invalid[DRIVE_STAT_UNMAP], 5);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    tear_down();
}
END_TEST

static gboolean needs_reset(gpointer user_data)
{
    return (driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET) != 0;
}

START_TEST (short_chains_need_a_reset) {
    set_up("");
    guint64 at = driver_alloc(driver, 64);
    const DriverBuffer chains[][2] = {{{at, 15, FALSE}, {at + 32, 1, TRUE}},
                                      {{at, 16, FALSE}, {at + 32, 0, TRUE}},
                                      {{at, 16, FALSE}, {at + 32, 8, FALSE}},
                                      {{at, 1, TRUE}, {at + 32, 1, TRUE}}};
    driver_add(driver, queue, chains[_i], 2);
    driver_kick(driver, queue);
    rig_wait(needs_reset, NULL);
    start_driver(ALL);
    guint64 data = driver_alloc(driver, 512);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 0, data, 512), VIRTIO_BLK_S_OK);
    tear_down();
}
END_TEST

START_TEST (read_only) {
    make_image();
    set_up_on("raw,read-only=on", "", BASIC | 1ull << VIRTIO_BLK_F_RO);
    guint64 offered = driver_offered(driver), data = fill(1, 512);
    const guint64 range[][3] = {{0, 1, 0}};
    ck_assert(offered & 1ull << VIRTIO_BLK_F_RO);
    ck_assert(!(offered & (1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)));
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(range, 1), 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 0, data, 512), VIRTIO_BLK_S_OK);
    check_pattern(data, 0, 512);
    tear_down();
}
END_TEST

START_TEST (large_blocks) {
    set_up(
        "logical_block_size=4096,physical_block_size=8192,min_io_size=4096,opt_io_size=65536,queue-size=128");
    guint64 data = fill(1, 8192);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_BLK_SIZE, 4), 4096);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP, 1), 1);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_MIN_IO_SIZE, 2), 1);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_OPT_IO_SIZE, 4), 16);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_SEG_MAX, 4), 126);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 8, data, 4096), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 1, data, 4096), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_IN, 8, data, 512), VIRTIO_BLK_S_IOERR);
    tear_down();
}
END_TEST

/* ---- the write cache ---- */

START_TEST (write_cache_by_features) {
    set_up("");
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    io_bus_write(rig->env.mmio, driver->config + VIRTIO_BLK_CONFIG_WRITEBACK, 1, 0);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    guint64 data = fill(9, 512);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_OK);
    /* Nothing else of it can be written. */
    io_bus_write(rig->env.mmio, driver->config, 4, 0);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_CAPACITY, 8), IMAGE / 512);
    /* Who neither flushes nor knows of the cache has none. */
    start_driver(BASIC);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    data = fill(9, 512);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_OK);
    start_driver(BASIC | 1ull << VIRTIO_BLK_F_FLUSH);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    io_bus_write(rig->env.mmio, driver->config + VIRTIO_BLK_CONFIG_WRITEBACK, 1, 0);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    tear_down();
}
END_TEST

START_TEST (write_cache_off) {
    set_up("write-cache=off");
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    tear_down();
}
END_TEST

/* ---- many ---- */

START_TEST (queues) {
    thread = _i;
    set_up("num-queues=4");
    ck_assert(driver_offered(driver) & 1ull << VIRTIO_BLK_F_MQ);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_NUM_QUEUES, 2), 4);
    ck_assert(driver_negotiate(driver, (ALL | 1ull << VIRTIO_BLK_F_MQ) & ~(1ull << VIRTIO_F_EVENT_IDX)));
    DriverQueue *all[4];
    for (guint i = 0; i < 4; i++)
        all[i] = driver_setup_queue(driver, i, 64);
    driver_ok(driver);
    for (guint round = 0; round < 50; round++) {
        guint64 mark = driver->next_free, data[4];
        for (guint i = 0; i < 4; i++) {
            queue = all[i];
            data[i] = driver_alloc(driver, 512);
            ask(VIRTIO_BLK_T_IN, round * 4 + i, data[i], 512);
            driver_kick(driver, queue);
        }
        for (guint i = 0; i < 4; i++) {
            driver_wait_used(driver, all[i], NULL);
            check_pattern(data[i], (round * 4 + i) * 512, 512);
            ck_assert_uint_ge(rig_take_interrupts(rig, 0x101 + i), 1);
        }
        driver->next_free = mark;
    }
    tear_down();
}
END_TEST

/* Random reads and writes against a model, several in flight, never two on the same place. */
START_TEST (random_against_a_model) {
    thread = _i;
    set_up("");
    g_autofree guint8 *model = g_malloc(IMAGE);
    for (guint i = 0; i < IMAGE; i++)
        model[i] = pattern(i);
    GRand *random = g_rand_new_with_seed(11);
    guint64 mark = driver->next_free;
    for (guint round = 0; round < 400; round++) {
        guint count = (guint)g_rand_int_range(random, 1, 13);
        Asked asked[12];
        gboolean writes[12];
        guint64 sectors[12];
        driver->next_free = mark;
        for (guint i = 0; i < count; i++) {
            writes[i] = g_rand_boolean(random);
            sectors[i] = i * 128 + (guint64)g_rand_int_range(random, 0, 64);
            guint32 length = 512 * (guint32)g_rand_int_range(random, 1, 64);
            guint64 data = fill((guint8)g_rand_int(random), length);
            if (writes[i])
                memcpy(model + sectors[i] * 512, ram(data), length);
            asked[i] = ask(writes[i] ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, sectors[i], data, length);
        }
        driver_kick(driver, queue);
        for (guint i = 0; i < count; i++)
            driver_wait_used(driver, queue, NULL);
        for (guint i = 0; i < count; i++) {
            ck_assert_uint_eq(status_of(&asked[i]), VIRTIO_BLK_S_OK);
            if (!writes[i])
                ck_assert_mem_eq(ram(asked[i].data), model + sectors[i] * 512, asked[i].length);
        }
    }
    g_rand_free(random);
    DriveCounters counters;
    drive_get_counters(drive_set_find(rig->env.drives, "/machine/peripheral/d/virtio-backend"), &counters);
    ck_assert_uint_gt(counters.operations[DRIVE_STAT_READ], 500);
    ck_assert_uint_gt(counters.bytes[DRIVE_STAT_WRITE], 500 * 512);
    ck_assert_uint_gt(counters.time_ns[DRIVE_STAT_READ], 0);
    g_autofree char *bytes = NULL;
    ck_assert(g_file_get_contents(image, &bytes, NULL, NULL));
    ck_assert_mem_eq(bytes, model, IMAGE);
    tear_down();
}
END_TEST

/* ---- reset, pause, errors: what is in flight ---- */

static gboolean is_reset(gpointer user_data)
{
    return driver_status(driver) == 0;
}

/* A disk that takes a second for each request holds some back: a reset ends them, and they touch nothing. */
START_TEST (reset_with_requests_in_flight) {
    thread = _i % 2;
    make_image();
    rig = NULL;
    set_up_on("raw", "", ALL);
    ThrottleConfig slow;
    throttle_config_init(&slow);
    slow.limits[THROTTLE_OPS_TOTAL].average = 1;
    drive_set_throttle(drive_set_find(rig->env.drives, "d"), &slow, NULL);
    guint64 data[8];
    for (guint round = 0; round < 20; round++) {
        driver->next_free = DRIVER_BASE;
        start_driver(ALL);
        for (guint i = 0; i < 8; i++) {
            data[i] = driver_alloc(driver, 65536);
            memset(ram(data[i]), 0xdd, 65536);
            ask(VIRTIO_BLK_T_IN, i * 128, data[i], 65536);
        }
        driver_kick(driver, queue);
        if (round % 3 != 0)
            g_usleep(round * 50);
        if (_i < 2) {
            driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
            rig_wait(is_reset, NULL);
        } else {
            rig_reset(rig);
            ck_assert_uint_eq(driver_status(driver), 0);
            driver_msix_enable(driver);
        }
        for (guint i = 0; i < 8; i++)
            memset(ram(data[i]), 0xee, 65536);
        g_usleep(2000);
        for (guint i = 0; i < 8; i++)
            ck_assert_uint_eq(*(guint8 *)ram(data[i] + 40000), 0xee);
    }
    tear_down();
}
END_TEST

/* While the status is not yet 0 the driver can do nothing. */
START_TEST (a_reset_takes_its_time) {
    thread = 1;
    make_image();
    rig = NULL;
    set_up_on("raw", "", ALL);
    for (guint round = 0; round < 200; round++) {
        driver->next_free = DRIVER_BASE;
        driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
        rig_wait(is_reset, NULL);
        start_driver(ALL);
        for (guint i = 0; i < 16; i++)
            ask(VIRTIO_BLK_T_IN, 0, driver_alloc(driver, 65536), 65536);
        driver_kick(driver, queue);
        g_usleep(round);
        driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
        driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    }
    rig_wait(is_reset, NULL);
    tear_down();
}
END_TEST

static void pause_disk(void)
{
    Device *device = device_find(&rig->env, "d");
    device->pause(device);
}

static void resume_disk(void)
{
    Device *device = device_find(&rig->env, "d");
    device->resume(device);
}

START_TEST (pause_and_resume) {
    thread = _i;
    set_up("");
    guint64 mark = driver->next_free;
    for (guint round = 0; round < 50; round++) {
        driver->next_free = mark;
        guint64 data[8];
        for (guint i = 0; i < 8; i++) {
            data[i] = driver_alloc(driver, 4096);
            ask(VIRTIO_BLK_T_IN, i * 8, data[i], 4096);
        }
        driver_kick(driver, queue);
        if (round % 2 == 0)
            g_usleep(round * 4);
        pause_disk();
        guint16 used = driver_get16(driver, queue->used + 2);
        driver_kick(driver, queue);
        g_usleep(300);
        rig_settle();
        ck_assert_uint_eq(driver_get16(driver, queue->used + 2), used);
        resume_disk();
        for (guint i = 0; i < 8; i++) {
            driver_wait_used(driver, queue, NULL);
            check_pattern(data[i], i * 4096, 4096);
        }
    }
    tear_down();
}
END_TEST

static gboolean has_stopped(gpointer user_data)
{
    return g_atomic_int_get(&rig->io_errors) > 0;
}

static gboolean has_event(const char *text)
{
    gboolean found = FALSE;
    g_mutex_lock(&rig->events_lock);
    for (guint i = 0; i < rig->events->len; i++)
        found = found || strstr(rig->events->pdata[i], text) != NULL;
    g_mutex_unlock(&rig->events_lock);
    return found;
}

/* A file must not become larger than this: writes beyond it fail. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST (a_failed_write_stops_the_guest_and_is_tried_again) {
    thread = _i;
    make_image();
    rig = NULL;
    set_up_on("raw,file.aio=threads", "werror=stop", ALL);
    guint64 data = fill(0x42, 512);
    limit_files(65536);
    Asked good = ask(VIRTIO_BLK_T_OUT, 0, data, 512);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    ck_assert_uint_eq(status_of(&good), VIRTIO_BLK_S_OK);
    Asked bad[3];
    for (guint i = 0; i < 3; i++)
        bad[i] = ask(VIRTIO_BLK_T_OUT, 1000 + i, data, 512);
    driver_kick(driver, queue);
    rig_wait(has_stopped, NULL);
    pause_disk();
    ck_assert_int_eq(rig->io_errors, 1);
    ck_assert(has_event("\"operation\":\"write\",\"action\":\"stop\",\"nospace\":false"));
    ck_assert_int_eq(drive_status(drive_set_find(rig->env.drives, "d")), DRIVE_FAILED);
    ck_assert(!driver_has_used(driver, queue));
    if (_i == 2) { /* a reset instead of another try */
        rig_reset(rig);
        resume_disk();
        driver_msix_enable(driver);
        start_driver(ALL);
        ck_assert_uint_ne(byte_of_image(1000 * 512), 0x42);
    } else {
        /* Still the same: it stops once more. */
        resume_disk();
        while (g_atomic_int_get(&rig->io_errors) < 2)
            g_main_context_iteration(NULL, FALSE);
        pause_disk();
        limit_files(RLIM_INFINITY);
        resume_disk();
        for (guint i = 0; i < 3; i++)
            driver_wait_used(driver, queue, NULL);
        for (guint i = 0; i < 3; i++)
            ck_assert_uint_eq(status_of(&bad[i]), VIRTIO_BLK_S_OK);
        ck_assert_uint_eq(byte_of_image(1002 * 512), 0x42);
        ck_assert_int_eq(drive_status(drive_set_find(rig->env.drives, "d")), DRIVE_OK);
    }
    tear_down();
}
END_TEST

static const struct {
    const char *option;
    guint8 status;
    const char *event;
} policies[] = {
    {"werror=report", VIRTIO_BLK_S_IOERR, "\"action\":\"report\""},
    {"werror=ignore", VIRTIO_BLK_S_OK, "\"action\":\"ignore\""},
    {"werror=enospc", VIRTIO_BLK_S_IOERR, "\"action\":\"report\""},
};

START_TEST (error_policies) {
    make_image();
    rig = NULL;
    set_up_on("raw,file.aio=threads", policies[_i].option, ALL);
    guint64 data = fill(0x42, 512);
    limit_files(65536);
    for (guint i = 0; i < 5; i++)
        ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 1000, data, 512), policies[_i].status);
    limit_files(RLIM_INFINITY);
    ck_assert(has_event(policies[_i].event));
    ck_assert_uint_eq(rig->events->len, 1); /* of one second */
    ck_assert_int_eq(rig->io_errors, 0);
    tear_down();
}
END_TEST

/* Destroyed with requests of all kinds on their way. */
START_TEST (destroyed_in_flight) {
    thread = _i % 2;
    set_up("");
    if (_i >= 2) {
        ThrottleConfig slow;
        throttle_config_init(&slow);
        slow.limits[THROTTLE_OPS_TOTAL].average = 1;
        drive_set_throttle(drive_set_find(rig->env.drives, "d"), &slow, NULL);
    }
    for (guint i = 0; i < 8; i++)
        ask(i % 2 == 0 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, i * 64, driver_alloc(driver, 32768), 32768);
    ask(VIRTIO_BLK_T_FLUSH, 0, 0, 0);
    driver_kick(driver, queue);
    if (_i == 1 || _i == 3)
        g_usleep(200);
    tear_down();
}
END_TEST

/* ---- changes while it runs ---- */

START_TEST (resize_is_told) {
    thread = _i;
    set_up("");
    rig_take_interrupts(rig, 0x100);
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    guint64 generation = driver_read(driver, VIRTIO_PCI_CONFIG_GENERATION, 1);
    ck_assert_int_eq(drive_resize(drive_set_find(rig->env.drives, "d"), 2 * IMAGE), 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100), 1);
    ck_assert_uint_ne(driver_read(driver, VIRTIO_PCI_CONFIG_GENERATION, 1), generation);
    ck_assert_uint_eq(config_read(VIRTIO_BLK_CONFIG_CAPACITY, 8), 2 * IMAGE / 512);
    guint64 data = fill(7, 512);
    ck_assert_uint_eq(call(VIRTIO_BLK_T_OUT, 2 * IMAGE / 512 - 1, data, 512), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(byte_of_image(2 * IMAGE - 1), 7);
    tear_down();
}
END_TEST

START_TEST (throttled_and_let_go) {
    thread = _i;
    set_up("");
    Drive *drive = drive_set_find(rig->env.drives, "d");
    ThrottleConfig config;
    throttle_config_init(&config);
    config.limits[THROTTLE_OPS_TOTAL].average = 100;
    drive_set_throttle(drive, &config, NULL);
    ck_assert_str_eq(throttle_group_name(drive_throttle_group(drive)),
                     "/machine/peripheral/d/virtio-backend");
    guint64 data = driver_alloc(driver, 512);
    gint64 begun = g_get_monotonic_time();
    for (guint i = 0; i < 16; i++)
        ask(VIRTIO_BLK_T_IN, 0, data, 512);
    driver_kick(driver, queue);
    for (guint i = 0; i < 16; i++)
        driver_wait_used(driver, queue, NULL);
    /* Ten at once, then one each 10 ms. */
    gint64 passed = g_get_monotonic_time() - begun;
    ck_assert_int_ge(passed, 45000);
    ck_assert_int_le(passed, 400000);
    config.limits[THROTTLE_OPS_TOTAL].average = 1;
    drive_set_throttle(drive, &config, NULL);
    for (guint i = 0; i < 4; i++)
        ask(VIRTIO_BLK_T_IN, 0, data, 512);
    driver_kick(driver, queue);
    driver_wait_used(driver, queue, NULL);
    config.limits[THROTTLE_OPS_TOTAL].average = 0;
    drive_set_throttle(drive, &config, NULL);
    ck_assert_ptr_null(drive_throttle_group(drive));
    begun = g_get_monotonic_time();
    for (guint i = 0; i < 3; i++)
        driver_wait_used(driver, queue, NULL);
    ck_assert_int_lt(g_get_monotonic_time() - begun, 800000);
    tear_down();
}
END_TEST

static const struct {
    const char *options, *error;
} bad_options[] = {
    {"virtio-blk-pci", "'drive' is missing"},
    {"virtio-blk-pci,drive=no", "there is no drive or block node 'no'"},
    {"virtio-blk-pci,drive=disk,iothread=no", "iothread=no: there is no iothread of this id"},
    {"virtio-blk-pci,drive=disk,num-queues=0", "'num-queues' must be a number from 1 to 63"},
    {"virtio-blk-pci,drive=disk,queue-size=100", "'queue-size' must be a power of two"},
    {"virtio-blk-pci,drive=disk,logical_block_size=1000", "'logical_block_size' must be a power of two"},
    {"virtio-blk-pci,drive=disk,physical_block_size=512,logical_block_size=4096", "must be multiples"},
    {"virtio-blk-pci,drive=disk,scsi=on", "scsi=on is not supported"},
    {"virtio-blk-pci,drive=disk,werror=never",
     "'werror' must be enospc, report, ignore or stop, not 'never'"},
    {"virtio-blk-pci,drive=disk,rerror=enospc", "'rerror' must be report, ignore or stop, not 'enospc'"},
    {"virtio-blk-pci,drive=disk,share-rw=on", "'share-rw=on' is not supported"},
    {"virtio-blk-pci,drive=disk,colour=red", "unknown property 'colour'"},
    {"virtio-blk-pci,drive=disk,bus=pcie.1", "bus 'pcie.1' does not exist"},
};

START_TEST (bad_options_are_told) {
    make_image();
    rig = rig_new();
    g_autofree char *node = g_strdup_printf("raw,node-name=disk,file.driver=file,file.filename=%s", image);
    add_node(node);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, bad_options[_i].options, &error));
    ck_assert_msg(strstr(error->message, bad_options[_i].error) != NULL, "%s", error->message);
    /* It left nothing behind. */
    rig_device(rig, "virtio-blk-pci,drive=disk");
    ck_assert_ptr_null(rig_try_device(rig, "virtio-blk-pci,drive=disk,id=second", NULL));
    rig_free(rig);
    unlink(image);
    rmdir(folder);
    g_free(image);
    g_free(folder);
}
END_TEST

/* ---- -drive ---- */

START_TEST (short_drives) {
    make_image();
    rig = rig_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *device = NULL;
    g_autofree char *text = g_strdup_printf(
        "file=%s,if=virtio,format=raw,cache=writethrough,discard=unmap,throttling.iops-total=5000", image);
    g_autoptr(OptSet) options = optset_parse("-drive", text, NULL, &error);
    ck_assert_msg(drive_set_add(rig->env.drives, options, &device, &error), "%s",
                  error ? error->message : "");
    ck_assert_str_eq(device, "virtio-blk-pci,drive=virtio0");
    rig_device(rig, device);
    Drive *drive = drive_set_find(rig->env.drives, "virtio0");
    ck_assert_ptr_nonnull(drive);
    ck_assert(!drive_is_writeback(drive));
    ck_assert_str_eq(throttle_group_name(drive_throttle_group(drive)), "virtio0");
    ck_assert(drive_node(drive)->unmap);
    rig_free(rig);
    unlink(image);
    rmdir(folder);
    g_free(image);
    g_free(folder);
}
END_TEST

static const struct {
    const char *options, *error;
} bad_drives[] = {
    {"file=/etc/passwd", "-drive: 'if' must be none or virtio"},
    {"file=/etc/passwd,if=ide", "-drive: 'if' must be none or virtio, not ide"},
    {"if=none,id=a", "-drive: 'file' is missing"},
    {"if=none,id=a,file=/no/such", "-drive,id=a: cannot open '/no/such': No such file or directory"},
    {"if=none,id=a,file=/no/such,format=raw", "cannot open '/no/such': No such file or directory"},
    {"if=none,id=a,file=/etc/passwd,cache=some,format=raw", "'cache' must be writeback, none"},
    {"if=none,id=a,file=/etc/passwd,format=vmdk", "block driver 'vmdk' is not known"},
    {"if=none,id=a,file=/etc/passwd,format=raw,snapshot=on", "'snapshot=on' is not supported"},
    {"if=none,id=a,file=/etc/passwd,format=raw,readonly=on,throttling.bps-total=1,throttling.bps-read=1",
     "exclude each other"},
    {"if=none,id=a,file=/etc/passwd,format=raw,readonly=on,shape=round", "unknown property 'shape'"},
};

START_TEST (bad_drives_are_told) {
    rig = rig_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *device = NULL;
    g_autoptr(OptSet) options = optset_parse("-drive", bad_drives[_i].options, NULL, &error);
    ck_assert(!drive_set_add(rig->env.drives, options, &device, &error));
    ck_assert_msg(strstr(error->message, bad_drives[_i].error) != NULL, "%s", error->message);
    rig_free(rig);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-blk");
    TCase *c = tcase_create("virtio-blk");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, reads_and_writes, 0, 2);
    tcase_add_loop_test(c, any_layout, 0, 2);
    tcase_add_test(c, tells_its_serial);
    tcase_add_loop_test(c, discards_and_zeroes, 0, 2);
    tcase_add_loop_test(c, errors, 0, 2);
    tcase_add_loop_test(c, short_chains_need_a_reset, 0, 4);
    tcase_add_test(c, read_only);
    tcase_add_test(c, large_blocks);
    tcase_add_test(c, write_cache_by_features);
    tcase_add_test(c, write_cache_off);
    tcase_add_loop_test(c, queues, 0, 2);
    tcase_add_loop_test(c, random_against_a_model, 0, 2);
    tcase_add_loop_test(c, reset_with_requests_in_flight, 0, 4);
    tcase_add_test(c, a_reset_takes_its_time);
    tcase_add_loop_test(c, pause_and_resume, 0, 2);
    tcase_add_loop_test(c, a_failed_write_stops_the_guest_and_is_tried_again, 0, 3);
    tcase_add_loop_test(c, error_policies, 0, G_N_ELEMENTS(policies));
    tcase_add_loop_test(c, destroyed_in_flight, 0, 4);
    tcase_add_loop_test(c, resize_is_told, 0, 2);
    tcase_add_loop_test(c, throttled_and_let_go, 0, 2);
    tcase_add_loop_test(c, bad_options_are_told, 0, G_N_ELEMENTS(bad_options));
    tcase_add_test(c, short_drives);
    tcase_add_loop_test(c, bad_drives_are_told, 0, G_N_ELEMENTS(bad_drives));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
