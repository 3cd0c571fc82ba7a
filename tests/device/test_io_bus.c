// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>

#include "host-vmm/bus/io-bus.h"
#include "tests/check-run.h"

typedef struct Probe {
    guint64 offset, value;
    guint size;
    guint reads, writes;
} Probe;

static guint64 probe_read(gpointer device, guint64 offset, guint size)
{
    Probe *probe = device;
    probe->reads++;
    probe->offset = offset;
    probe->size = size;
    return probe->value;
}

static void probe_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    Probe *probe = device;
    probe->writes++;
    probe->offset = offset;
    probe->size = size;
    probe->value = value;
}

static const IoBusOps probe_ops = {.read = probe_read, .write = probe_write};

START_TEST (dispatches_by_address) {
    g_autoptr(IoBus) bus = io_bus_new("test", 0xffff);
    Probe low = {0}, high = {0};
    ck_assert(io_bus_map(bus, 0x100, 0x10, &probe_ops, &low, NULL));
    ck_assert(io_bus_map(bus, 0x110, 0x10, &probe_ops, &high, NULL));
    low.value = 0x1122334455667788;
    ck_assert_uint_eq(io_bus_read(bus, 0x10c, 4), 0x55667788);
    ck_assert_uint_eq(low.offset, 0xc);
    ck_assert_uint_eq(io_bus_read(bus, 0x108, 8), 0x1122334455667788);
    ck_assert_uint_eq(io_bus_read(bus, 0x100, 1), 0x88);
    io_bus_write(bus, 0x110, 2, 0xabcdef);
    ck_assert_uint_eq(high.value, 0xcdef);
    ck_assert_uint_eq(high.offset, 0);
    ck_assert_uint_eq(low.writes, 0);
}
END_TEST

START_TEST (what_nobody_claims_is_all_ones) {
    g_autoptr(IoBus) bus = io_bus_new("test", 0xffff);
    Probe probe = {0};
    ck_assert_uint_eq(io_bus_read(bus, 0, 4), 0xffffffff);
    ck_assert(io_bus_map(bus, 0x100, 3, &probe_ops, &probe, NULL));
    ck_assert_uint_eq(io_bus_read(bus, 0xff, 1), 0xff);
    ck_assert_uint_eq(io_bus_read(bus, 0x103, 1), 0xff);
    /* Across either end. */
    ck_assert_uint_eq(io_bus_read(bus, 0xff, 2), 0xffff);
    ck_assert_uint_eq(io_bus_read(bus, 0x102, 2), 0xffff);
    ck_assert_uint_eq(io_bus_read(bus, 0x100, 8), G_MAXUINT64);
    io_bus_write(bus, 0x102, 4, 1);
    io_bus_write(bus, G_MAXUINT64, 8, 1);
    ck_assert_uint_eq(probe.reads + probe.writes, 0);
    ck_assert_uint_eq(io_bus_read(bus, 0x102, 1), 0);
}
END_TEST

static const struct {
    guint64 base, length;
    gboolean ok;
} ranges[] = {
    {0x0ff, 1, TRUE},
    {0x120, 0x10, TRUE},
    {0x0ff, 2, FALSE},
    {0x100, 0x20, FALSE},
    {0x10f, 1, FALSE},
    {0x11f, 1, FALSE},
    {0x110, 1, FALSE},
    {0x080, 0x200, FALSE},
    {0x200, 0, FALSE},
    {0xffff, 1, TRUE},
    {0xffff, 2, FALSE},
    {0x10000, 1, FALSE},
    {0x300, G_MAXUINT64, FALSE},
    {G_MAXUINT64, 2, FALSE},
    {0, G_MAXUINT64, FALSE},
};

START_TEST (overlaps_and_limits) {
    for (guint i = 0; i < G_N_ELEMENTS(ranges); i++) {
        g_autoptr(IoBus) bus = io_bus_new("test", 0xffff);
        g_autoptr(GError) error = NULL;
        Probe probe = {0};
        ck_assert(io_bus_map(bus, 0x100, 0x20, &probe_ops, &probe, NULL));
        ck_assert_msg(io_bus_map(bus, ranges[i].base, ranges[i].length, &probe_ops, &probe, &error) ==
                          ranges[i].ok,
                      "range %u", i);
        ck_assert((error == NULL) == ranges[i].ok);
    }
}
END_TEST

START_TEST (unmaps_by_base_only) {
    g_autoptr(IoBus) bus = io_bus_new("test", G_MAXUINT64);
    Probe probe = {0};
    ck_assert(io_bus_map(bus, 0x1000, 0x1000, &probe_ops, &probe, NULL));
    ck_assert(!io_bus_unmap(bus, 0x1800));
    ck_assert(!io_bus_unmap(bus, 0));
    ck_assert(io_bus_unmap(bus, 0x1000));
    ck_assert(!io_bus_unmap(bus, 0x1000));
    ck_assert(io_bus_map(bus, G_MAXUINT64 - 7, 8, &probe_ops, &probe, NULL));
    ck_assert_uint_eq(io_bus_read(bus, G_MAXUINT64 - 7, 8), 0);
}
END_TEST

/* ---- a handler that moves itself ---- */

typedef struct Mover {
    IoBus *bus;
    guint64 base;
    gboolean still_there;
} Mover;

static guint64 mover_read(gpointer device, guint64 offset, guint size)
{
    return 0x5a;
}

static void mover_write(gpointer device, guint64 offset, guint size, guint64 value);
static const IoBusOps mover_ops = {.read = mover_read, .write = mover_write};

static void mover_write(gpointer device, guint64 offset, guint size, guint64 value)
{
    Mover *mover = device;
    io_bus_unmap_later(mover->bus, mover->base);
    mover->base = value;
    io_bus_map_later(mover->bus, value, 0x10, &mover_ops, mover);
}

START_TEST (a_handler_may_move_its_range) {
    g_autoptr(IoBus) bus = io_bus_new("test", 0xffff);
    Mover mover = {.bus = bus, .base = 0x100};
    Probe other = {0};
    ck_assert(io_bus_map(bus, 0x100, 0x10, &mover_ops, &mover, NULL));
    ck_assert(io_bus_map(bus, 0x300, 0x10, &probe_ops, &other, NULL));
    io_bus_write(bus, 0x100, 4, 0x200);
    ck_assert_uint_eq(io_bus_read(bus, 0x100, 1), 0xff);
    ck_assert_uint_eq(io_bus_read(bus, 0x200, 1), 0x5a);
    /* Onto itself by a part. */
    io_bus_write(bus, 0x200, 4, 0x208);
    ck_assert_uint_eq(io_bus_read(bus, 0x217, 1), 0x5a);
    ck_assert_uint_eq(io_bus_read(bus, 0x200, 1), 0xff);
    /* Onto another: it is nowhere then, and the other stays. */
    io_bus_write(bus, 0x208, 4, 0x308);
    ck_assert_uint_eq(io_bus_read(bus, 0x208, 1), 0xff);
    ck_assert_uint_eq(io_bus_read(bus, 0x308, 1), 0);
    ck_assert_uint_eq(io_bus_read(bus, 0x310, 1), 0xff);
}
END_TEST

/* ---- threads ---- */

typedef struct Slow {
    gint inside, entered; /* atomic */
} Slow;

static guint64 slow_read(gpointer device, guint64 offset, guint size)
{
    Slow *slow = device;
    g_atomic_int_set(&slow->inside, 1);
    g_atomic_int_set(&slow->entered, 1);
    g_usleep(50000);
    g_atomic_int_set(&slow->inside, 0);
    return 0;
}

static const IoBusOps slow_ops = {.read = slow_read, .write = probe_write};

static gpointer slow_reader(gpointer bus)
{
    io_bus_read(bus, 0x100, 1);
    return NULL;
}

START_TEST (unmapping_waits_for_the_handler) {
    g_autoptr(IoBus) bus = io_bus_new("test", 0xffff);
    Slow slow = {0};
    ck_assert(io_bus_map(bus, 0x100, 1, &slow_ops, &slow, NULL));
    GThread *thread = g_thread_new("reader", slow_reader, bus);
    while (!g_atomic_int_get(&slow.entered))
        g_usleep(100);
    ck_assert(io_bus_unmap(bus, 0x100));
    ck_assert(!g_atomic_int_get(&slow.inside));
    g_thread_join(thread);
}
END_TEST

static gpointer mover_thread(gpointer data)
{
    Mover *mover = data;
    for (guint i = 0; i < 2000; i++) {
        guint64 base = mover->base;
        io_bus_write(mover->bus, base, 4, base ^ 0x40);
        mover->still_there =
            io_bus_read(mover->bus, base ^ 0x40, 1) == 0x5a && io_bus_read(mover->bus, base, 1) == 0xff;
        if (!mover->still_there)
            break;
    }
    return NULL;
}

START_TEST (later_steps_are_done_when_the_access_returns) {
    g_autoptr(IoBus) bus = io_bus_new("test", 0xffff);
    Mover movers[4];
    GThread *threads[4];
    for (guint i = 0; i < 4; i++) {
        movers[i] = (Mover){.bus = bus, .base = 0x1000 * i};
        ck_assert(io_bus_map(bus, movers[i].base, 0x10, &mover_ops, &movers[i], NULL));
    }
    for (guint i = 0; i < 4; i++)
        threads[i] = g_thread_new("mover", mover_thread, &movers[i]);
    for (guint i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
        ck_assert(movers[i].still_there);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("io-bus");
    TCase *c = tcase_create("io-bus");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, dispatches_by_address);
    tcase_add_test(c, what_nobody_claims_is_all_ones);
    tcase_add_test(c, overlaps_and_limits);
    tcase_add_test(c, unmaps_by_base_only);
    tcase_add_test(c, a_handler_may_move_its_range);
    tcase_add_test(c, unmapping_waits_for_the_handler);
    tcase_add_test(c, later_steps_are_done_when_the_access_returns);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
