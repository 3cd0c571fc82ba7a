// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check-run.h"
#include "tests/device/blk.h"

/* ---- each request type ---- */

START_TEST (reads_and_writes) {
    blk.thread = _i;
    blk_set_up("");
    guint64 data = driver_alloc(blk.driver, 8192);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_CAPACITY, 8), BLK_IMAGE / 512);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_BLK_SIZE, 4), 512);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 3, data, 8192), VIRTIO_BLK_S_OK);
    blk_check_pattern(data, 3 * 512, 8192);
    ck_assert_uint_ge(rig_take_interrupts(blk.rig, 0x101), 1);
    guint64 written = blk_fill(0xab, 1024);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 10, written, 1024), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(blk_image_byte(10 * 512 - 1), blk_pattern(10 * 512 - 1));
    ck_assert_uint_eq(blk_image_byte(10 * 512), 0xab);
    ck_assert_uint_eq(blk_image_byte(12 * 512 - 1), 0xab);
    ck_assert_uint_eq(blk_image_byte(12 * 512), blk_pattern(12 * 512));
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    /* The last sector; the used length is all that was written. */
    BlkAsked asked = blk_ask(VIRTIO_BLK_T_IN, BLK_IMAGE / 512 - 1, data, 512);
    driver_kick(blk.driver, blk.queue);
    ck_assert_uint_eq(driver_wait_used(blk.driver, blk.queue, NULL), 513);
    ck_assert_uint_eq(blk_status_of(&asked), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 0, 0, 0), VIRTIO_BLK_S_OK);
    blk_tear_down();
}
END_TEST

/* The specification leaves the layout of a chain to the driver. */
START_TEST (any_layout) {
    blk.thread = _i;
    blk_set_up("");
    guint64 header = driver_alloc(blk.driver, 16), in = driver_alloc(blk.driver, 513);
    guint64 sector = 7;
    memcpy((guint8 *)blk_ram(header) + 8, &sector, 8);
    *(guint8 *)blk_ram(in + 512) = BLK_UNTOUCHED;
    /* Data and status in one buffer, the header in three. */
    DriverBuffer split[] = {
        {header, 1, FALSE}, {header + 1, 10, FALSE}, {header + 11, 5, FALSE}, {in, 513, TRUE}};
    driver_add(blk.driver, blk.queue, split, 4);
    driver_kick(blk.driver, blk.queue);
    ck_assert_uint_eq(driver_wait_used(blk.driver, blk.queue, NULL), 513);
    ck_assert_uint_eq(*(guint8 *)blk_ram(in + 512), VIRTIO_BLK_S_OK);
    blk_check_pattern(in, 7 * 512, 512);
    /* Header and data to be written in one; the data of a read in odd pieces. */
    guint64 out = driver_alloc(blk.driver, 16 + 512);
    guint32 type = VIRTIO_BLK_T_OUT;
    memcpy(blk_ram(out), &type, 4);
    memset((guint8 *)blk_ram(out) + 16, 0x5a, 512);
    DriverBuffer joined[] = {{out, 528, FALSE}, {in, 1, TRUE}};
    driver_add(blk.driver, blk.queue, joined, 2);
    driver_kick(blk.driver, blk.queue);
    driver_wait_used(blk.driver, blk.queue, NULL);
    ck_assert_uint_eq(blk_image_byte(511), 0x5a);
    DriverBuffer pieces[] = {{header, 16, FALSE},
                             {in, 3, TRUE},
                             {in + 3, 1000, TRUE},
                             {in + 1003, 21, TRUE},
                             {in + 2000, 1, TRUE}};
    driver_alloc(blk.driver, 2048);
    driver_add(blk.driver, blk.queue, pieces, 5);
    driver_kick(blk.driver, blk.queue);
    ck_assert_uint_eq(driver_wait_used(blk.driver, blk.queue, NULL), 1025);
    ck_assert_uint_eq(*(guint8 *)blk_ram(in + 2000), VIRTIO_BLK_S_OK);
    blk_check_pattern(in, 7 * 512, 1024);
    blk_tear_down();
}
END_TEST

START_TEST (tells_its_serial) {
    blk_set_up("serial=disk-1");
    guint64 data = blk_fill(0xff, 32);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_GET_ID, 0, data, 20), VIRTIO_BLK_S_OK);
    ck_assert_mem_eq(blk_ram(data), "disk-1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    ck_assert_uint_eq(((guint8 *)blk_ram(data))[20], 0xff);
    memset(blk_ram(data), 0xff, 32);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_GET_ID, 0, data, 3), VIRTIO_BLK_S_OK);
    ck_assert_mem_eq(blk_ram(data), "dis\xff", 4);
    blk_tear_down();
}
END_TEST

static guint64 make_ranges(const guint64 (*ranges)[3], guint count)
{
    guint64 data = driver_alloc(blk.driver, 16 * MAX(count, 1));
    for (guint i = 0; i < count; i++) {
        guint32 sectors = (guint32)ranges[i][1], flags = (guint32)ranges[i][2];
        guint8 *at = (guint8 *)blk_ram(data) + 16 * i;
        memcpy(at, &ranges[i][0], 8);
        memcpy(at + 8, &sectors, 4);
        memcpy(at + 12, &flags, 4);
    }
    return data;
}

START_TEST (discards_and_zeroes) {
    blk.thread = _i;
    blk_set_up("");
    struct stat before, after;
    const guint64 some[][3] = {{8, 16, 0}, {512, 512, 0}},
                  zeroes[][3] = {{100, 3, 0}, {200, 8, 1}, {300, 1, 0}};
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG, 4), 32);
    ck_assert_int_eq(stat(blk.image, &before), 0);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(some, 2), 32), VIRTIO_BLK_S_OK);
    ck_assert_int_eq(stat(blk.image, &after), 0);
    ck_assert_int_lt(after.st_blocks, before.st_blocks);
    ck_assert_uint_eq(blk_image_byte(512 * 512), 0);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(zeroes, 3), 48), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(blk_image_byte(100 * 512 - 1), blk_pattern(100 * 512 - 1));
    ck_assert_uint_eq(blk_image_byte(100 * 512), 0);
    ck_assert_uint_eq(blk_image_byte(103 * 512 - 1), 0);
    ck_assert_uint_eq(blk_image_byte(103 * 512), blk_pattern(103 * 512));
    ck_assert_uint_eq(blk_image_byte(204 * 512), 0);
    ck_assert_uint_eq(blk_image_byte(300 * 512), 0);
    blk_tear_down();
}
END_TEST

/* ---- what cannot be ---- */

START_TEST (errors) {
    blk.thread = _i;
    blk_set_up("");
    guint64 data = blk_fill(1, 4096), end = BLK_IMAGE / 512;
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, end, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, end - 1, data, 1024), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, G_MAXUINT64, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, G_MAXUINT64 / 512 + 1, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 0, data, 100), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 0, data, 513), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(2, 0, data, 512), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(blk_call(14, 0, data, 16), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(blk_call(G_MAXUINT32, 0, 0, 0), VIRTIO_BLK_S_UNSUPP);
    const guint64 beyond[][3] = {{0, 1, 0}, {end, 1, 0}}, flagged[][3] = {{0, 1, 1}}, odd[][3] = {{0, 1, 2}},
                  large[][3] = {{0, G_MAXUINT32, 0}}, far[][3] = {{G_MAXUINT64, 8, 0}};
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(beyond, 2), 32), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(flagged, 1), 16), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(odd, 1), 16), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(large, 1), 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_WRITE_ZEROES, 0, make_ranges(far, 1), 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(beyond, 1), 15), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_IOERR);
    guint64 many = driver_alloc(blk.driver, 33 * 16);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, many, 33 * 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_image_byte(0), blk_pattern(0));
    DriveCounters counters;
    drive_get_counters(drive_set_find(blk.rig->env.drives, "d"), &counters);
    ck_assert_uint_eq(counters.invalid[DRIVE_STAT_READ], 3);
    ck_assert_uint_eq(counters.invalid[DRIVE_STAT_UNMAP], 5);
    ck_assert_uint_eq(driver_status(blk.driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    blk_tear_down();
}
END_TEST

static gboolean needs_reset(gpointer user_data)
{
    return (driver_status(blk.driver) & VIRTIO_STATUS_NEEDS_RESET) != 0;
}

START_TEST (short_chains_need_a_reset) {
    blk_set_up("");
    guint64 at = driver_alloc(blk.driver, 64);
    const DriverBuffer chains[][2] = {{{at, 15, FALSE}, {at + 32, 1, TRUE}},
                                      {{at, 16, FALSE}, {at + 32, 0, TRUE}},
                                      {{at, 16, FALSE}, {at + 32, 8, FALSE}},
                                      {{at, 1, TRUE}, {at + 32, 1, TRUE}}};
    driver_add(blk.driver, blk.queue, chains[_i], 2);
    driver_kick(blk.driver, blk.queue);
    rig_wait(needs_reset, NULL);
    blk_start_driver(BLK_ALL);
    guint64 data = driver_alloc(blk.driver, 512);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 0, data, 512), VIRTIO_BLK_S_OK);
    blk_tear_down();
}
END_TEST

START_TEST (read_only) {
    blk_make_image();
    blk_set_up_on("raw,read-only=on", "", BLK_BASIC | 1ull << VIRTIO_BLK_F_RO);
    guint64 offered = driver_offered(blk.driver), data = blk_fill(1, 512);
    const guint64 range[][3] = {{0, 1, 0}};
    ck_assert(offered & 1ull << VIRTIO_BLK_F_RO);
    ck_assert(!(offered & (1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES)));
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_DISCARD, 0, make_ranges(range, 1), 16), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 0, data, 512), VIRTIO_BLK_S_OK);
    blk_check_pattern(data, 0, 512);
    blk_tear_down();
}
END_TEST

START_TEST (large_blocks) {
    blk_set_up(
        "logical_block_size=4096,physical_block_size=8192,min_io_size=4096,opt_io_size=65536,queue-size=128");
    guint64 data = blk_fill(1, 8192);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_BLK_SIZE, 4), 4096);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP, 1), 1);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_MIN_IO_SIZE, 2), 1);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_OPT_IO_SIZE, 4), 16);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_SEG_MAX, 4), 126);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 8, data, 4096), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 1, data, 4096), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_IN, 8, data, 512), VIRTIO_BLK_S_IOERR);
    blk_tear_down();
}
END_TEST

/* ---- the write cache ---- */

START_TEST (write_cache_by_features) {
    blk_set_up("");
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    io_bus_write(blk.rig->env.mmio, blk.driver->config + VIRTIO_BLK_CONFIG_WRITEBACK, 1, 0);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    guint64 data = blk_fill(9, 512);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_OK);
    /* Nothing else of it can be written. */
    io_bus_write(blk.rig->env.mmio, blk.driver->config, 4, 0);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_CAPACITY, 8), BLK_IMAGE / 512);
    /* Who neither flushes nor knows of the cache has none. */
    blk_start_driver(BLK_BASIC);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    data = blk_fill(9, 512);
    ck_assert_uint_eq(blk_call(VIRTIO_BLK_T_OUT, 0, data, 512), VIRTIO_BLK_S_OK);
    blk_start_driver(BLK_BASIC | 1ull << VIRTIO_BLK_F_FLUSH);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    io_bus_write(blk.rig->env.mmio, blk.driver->config + VIRTIO_BLK_CONFIG_WRITEBACK, 1, 0);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    blk_tear_down();
}
END_TEST

START_TEST (write_cache_off) {
    blk_set_up("write-cache=off");
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    blk_tear_down();
}
END_TEST

/* ---- many ---- */

START_TEST (queues) {
    blk.thread = _i;
    blk_set_up("num-queues=4");
    ck_assert(driver_offered(blk.driver) & 1ull << VIRTIO_BLK_F_MQ);
    ck_assert_uint_eq(blk_config_read(VIRTIO_BLK_CONFIG_NUM_QUEUES, 2), 4);
    ck_assert(
        driver_negotiate(blk.driver, (BLK_ALL | 1ull << VIRTIO_BLK_F_MQ) & ~(1ull << VIRTIO_F_EVENT_IDX)));
    DriverQueue *all[4];
    for (guint i = 0; i < 4; i++)
        all[i] = driver_setup_queue(blk.driver, i, 64);
    driver_ok(blk.driver);
    for (guint round = 0; round < 50; round++) {
        guint64 mark = blk.driver->next_free, data[4];
        for (guint i = 0; i < 4; i++) {
            blk.queue = all[i];
            data[i] = driver_alloc(blk.driver, 512);
            blk_ask(VIRTIO_BLK_T_IN, round * 4 + i, data[i], 512);
            driver_kick(blk.driver, blk.queue);
        }
        for (guint i = 0; i < 4; i++) {
            driver_wait_used(blk.driver, all[i], NULL);
            blk_check_pattern(data[i], (round * 4 + i) * 512, 512);
            ck_assert_uint_ge(rig_take_interrupts(blk.rig, 0x101 + i), 1);
        }
        blk.driver->next_free = mark;
    }
    blk_tear_down();
}
END_TEST

/* Random reads and writes against a model, several in flight, never two on the same place. */
START_TEST (random_against_a_model) {
    blk.thread = _i;
    blk_set_up("");
    g_autofree guint8 *model = g_malloc(BLK_IMAGE);
    for (guint i = 0; i < BLK_IMAGE; i++)
        model[i] = blk_pattern(i);
    GRand *random = g_rand_new_with_seed(11);
    guint64 mark = blk.driver->next_free;
    for (guint round = 0; round < 400; round++) {
        guint count = (guint)g_rand_int_range(random, 1, 13);
        BlkAsked asked[12];
        gboolean writes[12];
        guint64 sectors[12];
        blk.driver->next_free = mark;
        for (guint i = 0; i < count; i++) {
            writes[i] = g_rand_boolean(random);
            sectors[i] = i * 128 + (guint64)g_rand_int_range(random, 0, 64);
            guint32 length = 512 * (guint32)g_rand_int_range(random, 1, 64);
            guint64 data = blk_fill((guint8)g_rand_int(random), length);
            if (writes[i])
                memcpy(model + sectors[i] * 512, blk_ram(data), length);
            asked[i] = blk_ask(writes[i] ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, sectors[i], data, length);
        }
        driver_kick(blk.driver, blk.queue);
        for (guint i = 0; i < count; i++)
            driver_wait_used(blk.driver, blk.queue, NULL);
        for (guint i = 0; i < count; i++) {
            ck_assert_uint_eq(blk_status_of(&asked[i]), VIRTIO_BLK_S_OK);
            if (!writes[i])
                ck_assert_mem_eq(blk_ram(asked[i].data), model + sectors[i] * 512, asked[i].length);
        }
    }
    g_rand_free(random);
    DriveCounters counters;
    drive_get_counters(drive_set_find(blk.rig->env.drives, "/machine/peripheral/d/virtio-backend"),
                       &counters);
    ck_assert_uint_gt(counters.operations[DRIVE_STAT_READ], 500);
    ck_assert_uint_gt(counters.bytes[DRIVE_STAT_WRITE], 500 * 512);
    ck_assert_uint_gt(counters.time_ns[DRIVE_STAT_READ], 0);
    g_autofree char *bytes = NULL;
    ck_assert(g_file_get_contents(blk.image, &bytes, NULL, NULL));
    ck_assert_mem_eq(bytes, model, BLK_IMAGE);
    blk_tear_down();
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
    blk_make_image();
    blk.rig = rig_new();
    g_autofree char *node =
        g_strdup_printf("raw,node-name=disk,file.driver=file,file.filename=%s", blk.image);
    blk_add_node(node);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(blk.rig, bad_options[_i].options, &error));
    ck_assert_msg(strstr(error->message, bad_options[_i].error) != NULL, "%s", error->message);
    /* It left nothing behind. */
    rig_device(blk.rig, "virtio-blk-pci,drive=disk");
    ck_assert_ptr_null(rig_try_device(blk.rig, "virtio-blk-pci,drive=disk,id=second", NULL));
    rig_free(blk.rig);
    unlink(blk.image);
    rmdir(blk.folder);
    g_free(blk.image);
    g_free(blk.folder);
}
END_TEST

/* ---- -drive ---- */

START_TEST (short_drives) {
    blk_make_image();
    blk.rig = rig_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *device = NULL;
    g_autofree char *text = g_strdup_printf(
        "file=%s,if=virtio,format=raw,cache=writethrough,discard=unmap,throttling.iops-total=5000",
        blk.image);
    g_autoptr(OptSet) options = optset_parse("-drive", text, NULL, &error);
    ck_assert_msg(drive_set_add(blk.rig->env.drives, options, &device, &error), "%s",
                  error ? error->message : "");
    ck_assert_str_eq(device, "virtio-blk-pci,drive=virtio0");
    rig_device(blk.rig, device);
    Drive *drive = drive_set_find(blk.rig->env.drives, "virtio0");
    ck_assert_ptr_nonnull(drive);
    ck_assert(!drive_is_writeback(drive));
    ck_assert_str_eq(throttle_group_name(drive_throttle_group(drive)), "virtio0");
    ck_assert(drive_node(drive)->unmap);
    rig_free(blk.rig);
    unlink(blk.image);
    rmdir(blk.folder);
    g_free(blk.image);
    g_free(blk.folder);
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
    blk.rig = rig_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *device = NULL;
    g_autoptr(OptSet) options = optset_parse("-drive", bad_drives[_i].options, NULL, &error);
    ck_assert(!drive_set_add(blk.rig->env.drives, options, &device, &error));
    ck_assert_msg(strstr(error->message, bad_drives[_i].error) != NULL, "%s", error->message);
    rig_free(blk.rig);
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
    tcase_add_loop_test(c, bad_options_are_told, 0, G_N_ELEMENTS(bad_options));
    tcase_add_test(c, short_drives);
    tcase_add_loop_test(c, bad_drives_are_told, 0, G_N_ELEMENTS(bad_drives));
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
