// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/memory/guest-memory.h"
#include "tests/check-run.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

START_TEST (small_memory_is_one_region) {
    g_autoptr(GuestMemory) memory = guest_memory_new(16 * MIB, NULL);
    guint count;
    const GuestMemoryRegion *region = guest_memory_regions(memory, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(region[0].base, 0);
    ck_assert_uint_eq(region[0].size, 16 * MIB);
    ck_assert_uint_eq((guintptr)region[0].host % (2 * MIB), 0);
    ck_assert_uint_eq(guest_memory_size(memory), 16 * MIB);
}
END_TEST

START_TEST (memory_beyond_3_gib_goes_above_4_gib) {
    /* Nothing of it is touched: it costs address space only. */
    g_autoptr(GError) error = NULL;
    g_autoptr(GuestMemory) memory = guest_memory_new(3 * GIB + 64 * MIB, &error);
    if (!memory) {
        ck_assert_msg(strstr(error->message, "more than the host has") != NULL, "%s", error->message);
        return;
    }
    guint count;
    const GuestMemoryRegion *region = guest_memory_regions(memory, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(region[0].size, 3 * GIB);
    ck_assert_uint_eq(region[1].base, 4 * GIB);
    ck_assert_uint_eq(region[1].size, 64 * MIB);
    ck_assert_ptr_null(guest_memory_range(memory, 3 * GIB, 1));
    ck_assert_ptr_null(guest_memory_range(memory, 3 * GIB - 1, 2)); /* into the hole */
    ck_assert_ptr_eq(guest_memory_range(memory, 4 * GIB, 1), (guint8 *)region[0].host + 3 * GIB);
}
END_TEST

START_TEST (ranges_outside_ram_are_refused) {
    static const struct {
        guint64 address, length;
        gboolean good;
    } cases[] = {
        {0, 1, TRUE},
        {0, 16 * MIB, TRUE},
        {16 * MIB - 1, 1, TRUE},
        {0, 0, FALSE},
        {16 * MIB - 1, 2, FALSE},
        {16 * MIB, 1, FALSE},
        {0, 16 * MIB + 1, FALSE},
        {1, 16 * MIB, FALSE},
        {G_MAXUINT64, 1, FALSE},
        {G_MAXUINT64, G_MAXUINT64, FALSE},
        {1, G_MAXUINT64, FALSE}, /* wraps */
        {8 * MIB, G_MAXUINT64 - 4 * MIB, FALSE},
    };
    g_autoptr(GuestMemory) memory = guest_memory_new(16 * MIB, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gboolean good = guest_memory_range(memory, cases[i].address, cases[i].length) != NULL;
        ck_assert_msg(good == cases[i].good, "case %u", i);
    }
}
END_TEST

START_TEST (read_and_write_check_their_range) {
    g_autoptr(GuestMemory) memory = guest_memory_new(4 * MIB, NULL);
    guint32 value = 0x12345678, back = 0;
    ck_assert(guest_memory_write(memory, 4 * MIB - 4, &value, 4));
    ck_assert(guest_memory_read(memory, 4 * MIB - 4, &back, 4));
    ck_assert_uint_eq(back, value);
    back = 7;
    ck_assert(!guest_memory_read(memory, 4 * MIB - 3, &back, 4));
    ck_assert_uint_eq(back, 7);
    ck_assert(!guest_memory_write(memory, 4 * MIB - 3, &value, 4));
    ck_assert(guest_memory_read(memory, G_MAXUINT64, NULL, 0));
    ck_assert(guest_memory_write(memory, G_MAXUINT64, NULL, 0));
}
END_TEST

START_TEST (more_than_the_host_has_is_refused) {
    guint64 host = (guint64)sysconf(_SC_PHYS_PAGES) * (guint64)sysconf(_SC_PAGESIZE);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(guest_memory_new(host + 4 * GIB, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "more than the host has"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guest-memory");
    TCase *tcase = tcase_create("guest-memory");
    tcase_add_test(tcase, small_memory_is_one_region);
    tcase_add_test(tcase, memory_beyond_3_gib_goes_above_4_gib);
    tcase_add_test(tcase, ranges_outside_ram_are_refused);
    tcase_add_test(tcase, read_and_write_check_their_range);
    tcase_add_test(tcase, more_than_the_host_has_is_refused);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
