// SPDX-License-Identifier: GPL-2.0-or-later
/* virtio-mem: blocks that come and go, and a driver that asks for what cannot be. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/virtio/virtio-mem.h"
#include "tests/check-run.h"
#include "tests/device/driver.h"

#define DRIVER_BASE 0x100000
#define MIB         (1ull << 20)
#define GIB         (1ull << 30)
#define BLOCK       (2 * MIB)
#define BLOCKS      16
#define BASE        (4 * GIB) /* the rig has RAM below only */
#define FEATURES    (1ull << VIRTIO_F_VERSION_1)

enum { PLUG, UNPLUG, UNPLUG_ALL, STATE };
enum { ACK, NACK, BUSY, ERROR };
enum { PLUGGED, UNPLUGGED, MIXED };

static Rig *rig;
static Device *mem;
static Driver *driver;
static DriverQueue *queue;

static void connect_driver(void)
{
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    ck_assert(driver_negotiate(driver, FEATURES));
    queue = driver_setup_queue(driver, 0, 128);
    driver_ok(driver);
}

static void set_up(void)
{
    rig = rig_new();
    guest_memory_set_room(rig->memory, 64 * MIB);
    rig_object(rig, "memory-backend-ram,id=m,size=32M");
    mem = rig_device(rig, "virtio-mem-pci,id=mem0,memdev=m,requested-size=16M");
    rig_assign(rig);
    connect_driver();
}

static void tear_down(void)
{
    g_free(driver);
    rig_free(rig);
}

static guint64 config(guint offset)
{
    return io_bus_read(rig->env.mmio, driver->config + offset, 4) |
           (guint64)io_bus_read(rig->env.mmio, driver->config + offset + 4, 4) << 32;
}

/* A request of `length` bytes; the response's type, and its state in the upper half. */
static guint send_request(guint type, guint64 address, guint count, guint32 length)
{
    guint64 at = driver_alloc(driver, 64);
    driver_put16(driver, at, (guint16)type);
    guint64 little = GUINT64_TO_LE(address);
    ck_assert(guest_memory_write(rig->memory, at + 8, &little, sizeof(little)));
    driver_put16(driver, at + 16, (guint16)count);
    DriverBuffer buffers[] = {{.address = at, .length = length},
                              {.address = at + 32, .length = 10, .is_in = TRUE}};
    driver_add(driver, queue, buffers, 2);
    driver_kick(driver, queue);
    ck_assert_uint_eq(driver_wait_used(driver, queue, NULL), 10);
    driver->next_free = at; /* used again by the next one */
    return driver_get16(driver, at + 32) | (guint)driver_get16(driver, at + 40) << 16;
}

static guint ask(guint type, guint first, guint count)
{
    return send_request(type, BASE + first * BLOCK, count, 24);
}

static guint state(guint first, guint count)
{
    guint response = ask(STATE, first, count);
    ck_assert_uint_eq(response & 0xffff, ACK);
    return response >> 16;
}

static const DeviceProperty *property(const char *name)
{
    for (const DeviceProperty *row = mem->type->properties; row->name; row++) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    ck_abort();
}

static gint64 get(const char *name)
{
    g_autoptr(JsonNode) value = property(name)->get(mem, NULL);
    return json_node_get_int(value);
}

static gboolean set_requested(gint64 size)
{
    g_autoptr(JsonNode) value = json_node_init_int(json_node_alloc(), size);
    return property("requested-size")->set(mem, value, NULL);
}

static guint8 *byte_of(guint block)
{
    guint8 *at = guest_memory_range(rig->memory, BASE + block * BLOCK, BLOCK);
    ck_assert_ptr_nonnull(at);
    return at;
}

START_TEST (configuration_says_what_there_is) {
    ck_assert_uint_eq(config(0), BLOCK);
    ck_assert_uint_eq(config(8), 0);
    ck_assert_uint_eq(config(16), BASE);
    ck_assert_uint_eq(config(24), BLOCKS * BLOCK);
    ck_assert_uint_eq(config(32), BLOCKS * BLOCK);
    ck_assert_uint_eq(config(40), 0);
    ck_assert_uint_eq(config(48), 16 * MIB);
    guint count;
    const GuestMemoryRegion *regions = guest_memory_all_regions(rig->memory, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(regions[1].base, BASE);
    guest_memory_regions(rig->memory, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(guest_memory_size(rig->memory), RIG_RAM);
    ck_assert_ptr_null(guest_memory_range(rig->memory, BASE + BLOCKS * BLOCK - 1, 2));
}
END_TEST

START_TEST (blocks_come_and_go) {
    ck_assert_uint_eq(ask(PLUG, 2, 3), ACK);
    ck_assert_uint_eq(config(40), 3 * BLOCK);
    ck_assert_uint_eq(virtio_mem_size(mem), 3 * BLOCK);
    ck_assert_uint_eq(state(2, 3), PLUGGED);
    ck_assert_uint_eq(state(0, 2), UNPLUGGED);
    ck_assert_uint_eq(state(1, 2), MIXED);
    ck_assert_uint_eq(state(0, BLOCKS), MIXED);
    memset(byte_of(2), 0x5a, BLOCK);
    memset(byte_of(3), 0x5a, BLOCK);
    ck_assert_uint_eq(ask(UNPLUG, 2, 1), ACK);
    ck_assert_uint_eq(byte_of(2)[0], 0);
    ck_assert_uint_eq(byte_of(2)[BLOCK - 1], 0);
    ck_assert_uint_eq(byte_of(3)[0], 0x5a);
    ck_assert_uint_eq(config(40), 2 * BLOCK);
    ck_assert_uint_eq(send_request(UNPLUG_ALL, 0, 0, 24), ACK);
    ck_assert_uint_eq(byte_of(3)[0], 0);
    ck_assert_uint_eq(config(40), 0);
    ck_assert_uint_eq(state(0, BLOCKS), UNPLUGGED);
}
END_TEST

START_TEST (no_more_than_is_asked_for) {
    ck_assert_uint_eq(ask(PLUG, 0, 9), NACK);
    ck_assert_uint_eq(ask(PLUG, 0, 8), ACK);
    ck_assert_uint_eq(ask(PLUG, 8, 1), NACK);
    driver_write(driver, VIRTIO_PCI_CONFIG_MSIX_VECTOR, 2, 0);
    ck_assert(set_requested(18 * MIB));
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100), 1);
    ck_assert_uint_eq(config(48), 18 * MIB);
    ck_assert_uint_eq(ask(PLUG, 8, 1), ACK);
    ck_assert(set_requested(0));
    ck_assert_uint_eq(ask(PLUG, 9, 1), NACK);
    ck_assert_uint_eq(ask(UNPLUG, 0, 9), ACK);
    ck_assert_int_eq(get("size"), 0);
    ck_assert_int_eq(get("requested-size"), 0);
    ck_assert_int_eq(get("block-size"), BLOCK);
    ck_assert_int_eq(get("memaddr"), BASE);
    static const gint64 wrong[] = {-1, 1, MIB, BLOCKS * BLOCK + BLOCK, G_MININT64, G_MAXINT64};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        ck_assert(!set_requested(wrong[i]));
    }
    g_autoptr(JsonNode) text = json_node_init_string(json_node_alloc(), "16M");
    ck_assert(!property("requested-size")->set(mem, text, NULL));
}
END_TEST

START_TEST (what_cannot_be_is_an_error) {
    static const struct {
        guint type;
        guint64 address;
        guint count;
        guint32 length;
    } wrong[] = {
        {PLUG, BASE, 0, 24},
        {PLUG, BASE + 4096, 1, 24},
        {PLUG, BASE + 1, 1, 24},
        {PLUG, BASE - BLOCK, 1, 24},
        {PLUG, 0, 1, 24},
        {PLUG, BASE + BLOCKS * BLOCK, 1, 24},
        {PLUG, BASE + (BLOCKS - 1) * BLOCK, 2, 24},
        {PLUG, BASE, 0xffff, 24},
        {PLUG, 0 - BLOCK, 2, 24},
        {PLUG, G_MAXUINT64, 0xffff, 24},
        {UNPLUG, BASE, 1, 24},           /* is not plugged */
        {UNPLUG, BASE, BLOCKS, 24},      /* not all of it */
        {PLUG, BASE + 4 * BLOCK, 1, 24}, /* is plugged */
        {PLUG, BASE + 3 * BLOCK, 2, 24}, /* part of it */
        {STATE, BASE, BLOCKS + 1, 24},
        {STATE, BASE, 0, 24},
        {4, BASE, 1, 24},
        {0xffff, BASE, 1, 24},
        {PLUG, BASE, 1, 23},
        {STATE, BASE, 1, 8},
        {UNPLUG_ALL, 0, 0, 7},
        {PLUG, BASE, 1, 1},
    };
    ck_assert_uint_eq(ask(PLUG, 4, 1), ACK);
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        ck_assert_msg(send_request(wrong[i].type, wrong[i].address, wrong[i].count, wrong[i].length) == ERROR,
                      "%u", i);
    }
    ck_assert_uint_eq(config(40), BLOCK);
    ck_assert_uint_eq(state(4, 1), PLUGGED);
    ck_assert_uint_eq(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
}
END_TEST

START_TEST (a_response_needs_room) {
    guint64 at = driver_alloc(driver, 64);
    DriverBuffer buffers[] = {{.address = at, .length = 24},
                              {.address = at + 32, .length = 9, .is_in = TRUE}};
    driver_add(driver, queue, buffers, 2);
    driver_kick(driver, queue);
    rig_settle();
    ck_assert_uint_ne(driver_status(driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    ck_assert_uint_eq(virtio_mem_size(mem), 0);
}
END_TEST

/* Any request: the device and a plain model of it agree. */
START_TEST (any_request_is_answered_as_it_should) {
    gboolean model[BLOCKS] = {FALSE};
    guint wanted = 8;
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)_i);
    for (guint step = 0; step < 400; step++) {
        guint type = (guint)g_rand_int_range(random, 0, 20) % 7;
        guint first = (guint)g_rand_int_range(random, 0, BLOCKS + 2);
        guint count = (guint)g_rand_int_range(random, 0, 6), plugged = 0, all = 0, expected = ERROR;
        gboolean fits = count > 0 && first + count <= BLOCKS;
        for (guint i = 0; i < BLOCKS; i++) {
            all += model[i];
            plugged += fits && i >= first && i < first + count && model[i];
        }
        if (type == 5) {
            wanted = (guint)g_rand_int_range(random, 0, BLOCKS + 1);
            ck_assert(set_requested((gint64)(wanted * BLOCK)));
            continue;
        }
        if (type == PLUG && fits) {
            expected = all + count > wanted ? NACK : plugged ? ERROR : ACK;
        } else if (type == UNPLUG && fits) {
            expected = plugged == count ? ACK : ERROR;
        } else if (type == UNPLUG_ALL) {
            expected = ACK;
        } else if (type == STATE && fits) {
            expected = ACK | (plugged == count ? PLUGGED : plugged ? MIXED : UNPLUGGED) << 16;
        }
        ck_assert_uint_eq(ask(type, first, count), expected);
        for (guint i = 0; i < BLOCKS && expected == ACK && type != STATE; i++) {
            if (type == UNPLUG_ALL || (i >= first && i < first + count)) {
                model[i] = type == PLUG;
            }
        }
        all = 0;
        for (guint i = 0; i < BLOCKS; i++) {
            all += model[i];
        }
        ck_assert_uint_eq(config(40), all * BLOCK);
    }
}
END_TEST

START_TEST (a_reset_gives_all_back) {
    ck_assert_uint_eq(ask(PLUG, 0, 2), ACK);
    byte_of(0)[0] = 0x5a;
    byte_of(9)[0] = 0x5a; /* not its to write */
    g_free(driver);
    connect_driver(); /* resets the device */
    ck_assert_uint_eq(state(0, 2), PLUGGED);
    ck_assert_uint_eq(byte_of(0)[0], 0x5a);
    rig_reset(rig);
    ck_assert_uint_eq(virtio_mem_size(mem), 0);
    ck_assert_uint_eq(byte_of(0)[0], 0);
    ck_assert_uint_eq(byte_of(9)[0], 0);
    ck_assert_int_eq(get("requested-size"), 16 * MIB);
}
END_TEST

static gboolean has_news(gpointer user_data)
{
    return rig->events->len >= GPOINTER_TO_UINT(user_data);
}

START_TEST (sizes_are_told) {
    ck_assert_uint_eq(ask(PLUG, 0, 1), ACK);
    rig_wait(has_news, GUINT_TO_POINTER(1));
    ck_assert_ptr_nonnull(strstr(rig->events->pdata[0], "MEMORY_DEVICE_SIZE_CHANGE"));
    ck_assert_ptr_nonnull(strstr(rig->events->pdata[0], "\"size\":2097152"));
    ck_assert_ptr_nonnull(strstr(rig->events->pdata[0], "\"/machine/peripheral/mem0\""));
    for (guint i = 0; i < 20; i++) {
        ck_assert_uint_eq(ask(i % 2 ? PLUG : UNPLUG, 0, 1), ACK);
    }
    ck_assert_uint_eq(ask(UNPLUG, 0, 1), ACK);
    rig_wait(has_news, GUINT_TO_POINTER(2));
    ck_assert_ptr_nonnull(strstr(rig->events->pdata[rig->events->len - 1], "\"size\":0"));
    ck_assert_uint_le(rig->events->len, 3); /* a slow machine may have taken more than a second */
    g_autoptr(JsonObject) info = virtio_mem_describe(mem);
    ck_assert_str_eq(json_object_get_string_member(info, "memdev"), "/objects/m");
    ck_assert_int_eq(json_object_get_int_member(info, "max-size"), BLOCKS * BLOCK);
}
END_TEST

START_TEST (a_balloon_takes_of_it_too) {
    ck_assert_uint_eq(ask(PLUG, 0, 1), ACK);
    memset(byte_of(0), 0x5a, BLOCK);
    ck_assert_uint_eq(guest_memory_discard(rig->memory, byte_of(0) + 4096, 4096), 4096);
    ck_assert_uint_eq(byte_of(0)[4095], 0x5a);
    ck_assert_uint_eq(byte_of(0)[4096], 0);
    ck_assert_uint_eq(byte_of(0)[8192], 0x5a);
}
END_TEST

static void refused(const char *options, const char *wanted)
{
    g_autoptr(GError) error = NULL;
    ck_assert_msg(!rig_try_device(rig, options, &error), "%s", options);
    ck_assert_msg(strstr(error->message, wanted) != NULL, "%s: %s", options, error->message);
}

START_TEST (nonsense_is_refused) {
    rig_object(rig, "memory-backend-ram,id=odd,size=3M");
    rig_object(rig, "memory-backend-ram,id=big,size=64M");
    rig_object(rig, "memory-backend-ram,id=taken,size=4M,prealloc=on");
    rig_object(rig, "memory-backend-ram,id=more,size=32M");
    refused("virtio-mem-pci", "'memdev' is missing");
    refused("virtio-mem-pci,memdev=none", "no memory backend 'none'");
    refused("virtio-mem-pci,memdev=m", "in use already");
    refused("virtio-mem-pci,memdev=odd", "multiple of the blocks'");
    refused("virtio-mem-pci,memdev=big", "maxmem=");
    refused("virtio-mem-pci,memdev=taken", "prealloc=on");
    refused("virtio-mem-pci,memdev=more,block-size=1M", "power of two");
    refused("virtio-mem-pci,memdev=more,block-size=6M", "power of two");
    refused("virtio-mem-pci,memdev=more,requested-size=64M", "at most");
    refused("virtio-mem-pci,memdev=more,requested-size=3M", "multiple");
    refused("virtio-mem-pci,memdev=more,node=1", "node");
    Device *second = rig_device(rig, "virtio-mem-pci,id=mem1,memdev=more,block-size=4M,requested-size=32M");
    g_autoptr(JsonObject) info = virtio_mem_describe(second);
    ck_assert_int_eq(json_object_get_int_member(info, "memaddr"), BASE + GIB);
    ck_assert_int_eq(json_object_get_int_member(info, "block-size"), 4 * MIB);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtio-mem");
    TCase *tcase = tcase_create("virtio-mem");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, configuration_says_what_there_is);
    tcase_add_test(tcase, blocks_come_and_go);
    tcase_add_test(tcase, no_more_than_is_asked_for);
    tcase_add_test(tcase, what_cannot_be_is_an_error);
    tcase_add_test(tcase, a_response_needs_room);
    tcase_add_loop_test(tcase, any_request_is_answered_as_it_should, 0, 8);
    tcase_add_test(tcase, a_reset_gives_all_back);
    tcase_add_test(tcase, sizes_are_told);
    tcase_add_test(tcase, a_balloon_takes_of_it_too);
    tcase_add_test(tcase, nonsense_is_refused);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
