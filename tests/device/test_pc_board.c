// SPDX-License-Identifier: GPL-2.0-or-later
/* The board's chips: CMOS RTC, ACPI power management, the ways to reset, vCPU hotplug. */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "host-vmm/hw/acpi-pm.h"
#include "host-vmm/hw/cmos-rtc.h"
#include "host-vmm/hw/cpu-hotplug.h"
#include "host-vmm/hw/pc.h"
#include "tests/device/driver.h"
#include "tests/check-run.h"

static Rig *rig;
static Pc *pc;
static guint resets, power_offs;

static void on_request(PcRequest request, gpointer user_data)
{
    *(request == PC_RESET ? &resets : &power_offs) += 1;
}

static void set_up(void)
{
    rig = rig_new();
    resets = power_offs = 0;
    pc = pc_new(&rig->env, on_request, NULL, NULL);
    ck_assert_ptr_nonnull(pc);
    ck_assert(pc_complete(pc, &rig->env, NULL));
}

static void tear_down(void)
{
    pc_reset(pc); /* lets go of the lines */
    pc_free(pc);
    rig_free(rig);
}

static guint64 in(guint port, guint size)
{
    return io_bus_read(rig->env.ports, port, size);
}

static void out(guint port, guint size, guint64 value)
{
    io_bus_write(rig->env.ports, port, size, value);
}

static guint8 cmos_read(guint8 index)
{
    out(0x70, 1, index);
    return (guint8)in(0x71, 1);
}

static void cmos_write(guint8 index, guint8 value)
{
    out(0x70, 1, index);
    out(0x71, 1, value);
}

static guint bcd(guint8 value)
{
    return (value >> 4) * 10u + (value & 0x0f);
}

static gint64 rtc_time(void)
{
    struct tm time = {
        .tm_sec = (int)bcd(cmos_read(0)),
        .tm_min = (int)bcd(cmos_read(2)),
        .tm_hour = (int)bcd(cmos_read(4)),
        .tm_mday = (int)bcd(cmos_read(7)),
        .tm_mon = (int)bcd(cmos_read(8)) - 1,
        .tm_year = (int)(bcd(cmos_read(0x32)) * 100 + bcd(cmos_read(9))) - 1900,
    };
    return timegm(&time);
}

static gboolean line_is_high(gpointer line)
{
    return rig->vm.level[GPOINTER_TO_UINT(line)];
}

START_TEST (clock_tells_the_hosts_utc) {
    gint64 difference = rtc_time() - (gint64)time(NULL);
    ck_assert_int_ge(difference, -2);
    ck_assert_int_le(difference, 2);
    ck_assert_uint_eq(cmos_read(0x0d), 0x80);
    ck_assert_uint_eq(cmos_read(0x0b), 0x02);
}
END_TEST

START_TEST (clock_goes_on_from_what_the_guest_set) {
    cmos_write(0x0b, 0x82); /* SET, 24 h, BCD */
    static const guint8 settings[][2] = {{0, 0x30}, {2, 0x59}, {4, 0x23},   {7, 0x31},
                                         {8, 0x12}, {9, 0x99}, {0x32, 0x19}};
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        cmos_write(settings[i][0], settings[i][1]);
    }
    ck_assert_uint_eq(cmos_read(0), 0x30); /* stands still */
    cmos_write(0x0b, 0x02);
    gint64 expected = 946684770; /* 1999-12-31 23:59:30 UTC */
    ck_assert_int_ge(rtc_time(), expected);
    ck_assert_int_le(rtc_time(), expected + 2);
    pc_reset(pc);
    ck_assert_int_ge(rtc_time(), expected); /* a reset does not stop it */
}
END_TEST

START_TEST (binary_and_twelve_hours_are_understood) {
    cmos_write(0x0b, 0x84); /* SET, binary, 12 h */
    cmos_write(0, 0);       /* these held BCD, which is something else in binary */
    cmos_write(2, 0);
    cmos_write(4, 0x80 | 11);
    cmos_write(0x0b, 0x04);
    ck_assert_uint_eq(cmos_read(4), 0x80 | 11);
    cmos_write(0x0b, 0x02);
    ck_assert_uint_eq(cmos_read(4), 0x23);
}
END_TEST

START_TEST (update_interrupt_comes_each_second) {
    ck_assert(!rig->vm.level[CMOS_RTC_IRQ]);
    cmos_write(0x0b, 0x12);
    rig_wait(line_is_high, GUINT_TO_POINTER(CMOS_RTC_IRQ));
    ck_assert_uint_eq(cmos_read(0x0c) & 0x90, 0x90);
    ck_assert(!rig->vm.level[CMOS_RTC_IRQ]); /* reading C acknowledges */
    ck_assert_uint_eq(cmos_read(0x0c), 0);
    rig_wait(line_is_high, GUINT_TO_POINTER(CMOS_RTC_IRQ));
}
END_TEST

START_TEST (alarm_rings_at_its_time) {
    for (guint8 reg = 1; reg <= 5; reg += 2) {
        cmos_write(reg, 0xff); /* any second, minute, hour */
    }
    cmos_write(0x0b, 0x22);
    rig_wait(line_is_high, GUINT_TO_POINTER(CMOS_RTC_IRQ));
    ck_assert_uint_eq(cmos_read(0x0c) & 0xa0, 0xa0);
    cmos_write(5, (guint8)(bcd(cmos_read(4)) == 5 ? 0x06 : 0x05)); /* another hour */
    gint64 start = g_get_monotonic_time();
    while (g_get_monotonic_time() - start < 1200000) {
        rig_settle();
        g_usleep(1000);
    }
    ck_assert(!rig->vm.level[CMOS_RTC_IRQ]);
}
END_TEST

START_TEST (periodic_interrupt_comes_again) {
    cmos_write(0x0a, 0x26);
    cmos_write(0x0b, 0x42);
    for (guint i = 0; i < 20; i++) {
        rig_wait(line_is_high, GUINT_TO_POINTER(CMOS_RTC_IRQ));
        ck_assert_uint_eq(cmos_read(0x0c) & 0xc0, 0xc0);
    }
    pc_reset(pc);
    rig_settle();
    ck_assert(!rig->vm.level[CMOS_RTC_IRQ]);
}
END_TEST

START_TEST (power_button_raises_sci_until_acknowledged) {
    pc_press_power_button(pc);
    ck_assert(!rig->vm.level[ACPI_SCI]); /* not enabled */
    out(ACPI_PM1_EVENT + 2, 2, 0x100);
    ck_assert(rig->vm.level[ACPI_SCI]);
    ck_assert_uint_eq(in(ACPI_PM1_EVENT, 2) & 0x100, 0x100);
    out(ACPI_PM1_EVENT, 2, 0x100);
    ck_assert(!rig->vm.level[ACPI_SCI]);
    ck_assert_uint_eq(in(ACPI_PM1_EVENT, 2), 0);
    ck_assert_uint_eq(in(ACPI_PM1_EVENT, 4), 0x01000000);
    pc_press_power_button(pc);
    pc_reset(pc);
    ck_assert(!rig->vm.level[ACPI_SCI]);
}
END_TEST

START_TEST (s5_and_only_s5_powers_off) {
    ck_assert_uint_eq(in(ACPI_PM1_CONTROL, 2), 1); /* ACPI mode */
    out(ACPI_PM1_CONTROL, 2, 0x2000 | 3 << 10);
    out(ACPI_PM1_CONTROL, 2, 0x0000);
    ck_assert_uint_eq(power_offs, 0);
    out(ACPI_PM1_CONTROL, 2, 0x2000);
    ck_assert_uint_eq(power_offs, 1);
    out(ACPI_PM1_CONTROL + 1, 1, 0x20);
    ck_assert_uint_eq(power_offs, 2);
    ck_assert_uint_eq(resets, 0);
}
END_TEST

START_TEST (all_ways_to_reset) {
    out(0xcf9, 1, 0x02);
    ck_assert_uint_eq(resets, 0);
    out(0xcf9, 1, 0x06);
    ck_assert_uint_eq(resets, 1);
    out(0x64, 1, 0xd1);
    ck_assert_uint_eq(resets, 1);
    out(0x64, 1, 0xfe);
    ck_assert_uint_eq(resets, 2);
    ck_assert_uint_eq(in(0x64, 1), 0); /* no controller, but idle */
}
END_TEST

/* ---- vCPU hotplug: what boot/acpi-cpus.c's AML does, by hand ---- */

#define CPU_SELECT  CPU_HOTPLUG_PORT
#define CPU_FLAGS   (CPU_HOTPLUG_PORT + 4)
#define CPU_COMMAND (CPU_HOTPLUG_PORT + 5)
#define CPU_DATA    (CPU_HOTPLUG_PORT + 8)
#define POSSIBLE    4u

static guint ejected, reported_cpu, reported_source, reported_status;

static void on_eject(guint index, gpointer user_data)
{
    ejected |= 1u << index;
}

static void on_report(guint index, guint32 source, guint32 status, gpointer user_data)
{
    reported_cpu = index;
    reported_source = source;
    reported_status = status;
}

static void add_hotplug(void)
{
    static const CpuHotplugFuncs funcs = {on_eject, on_report};
    static const guint32 apic_ids[POSSIBLE] = {0, 1, 4, 5};
    ejected = 0;
    ck_assert(pc_add_cpu_hotplug(pc, apic_ids, POSSIBLE, 2, &funcs, NULL, NULL));
}

static guint flags_of(guint index)
{
    out(CPU_SELECT, 4, index);
    return (guint)in(CPU_FLAGS, 1);
}

START_TEST (a_plugged_vcpu_is_announced_once) {
    add_hotplug();
    ck_assert_uint_eq(flags_of(0), 1);
    ck_assert_uint_eq(flags_of(1), 1);
    ck_assert_uint_eq(flags_of(2), 0);
    out(ACPI_GPE0 + 2, 2, 1u << CPU_HOTPLUG_GPE);
    pc_announce_cpu(pc, 2);
    ck_assert(rig->vm.level[ACPI_SCI]);
    ck_assert_uint_eq(in(ACPI_GPE0, 2), 1u << CPU_HOTPLUG_GPE);
    out(ACPI_GPE0, 2, 1u << CPU_HOTPLUG_GPE);
    ck_assert(!rig->vm.level[ACPI_SCI]);
    out(CPU_SELECT, 4, 3);
    out(CPU_COMMAND, 1, 0); /* next with an event */
    ck_assert_uint_eq(in(CPU_DATA, 4), 2);
    ck_assert_uint_eq(in(CPU_FLAGS, 1), 3);
    out(CPU_FLAGS, 1, 2);
    ck_assert_uint_eq(in(CPU_FLAGS, 1), 1);
    out(CPU_COMMAND, 1, 0);
    ck_assert_uint_eq(in(CPU_FLAGS, 1) & 6, 0); /* no more */
    out(CPU_COMMAND, 1, 3);
    ck_assert_uint_eq(in(CPU_DATA, 4), 4); /* its APIC id */
}
END_TEST

START_TEST (a_vcpu_is_ejected_by_the_guest_only) {
    add_hotplug();
    pc_request_cpu_eject(pc, 1);
    ck_assert_uint_eq(flags_of(1), 5);
    ck_assert_uint_eq(ejected, 0);
    out(CPU_FLAGS, 1, 4);
    ck_assert_uint_eq(flags_of(1), 1);
    out(CPU_FLAGS, 1, 8);
    ck_assert_uint_eq(ejected, 2);
    ck_assert_uint_eq(flags_of(1), 0);
    ejected = 0;
    out(CPU_FLAGS, 1, 8); /* a second time: nothing is there */
    flags_of(0);
    out(CPU_FLAGS, 1, 8); /* the first vCPU stays */
    ck_assert_uint_eq(ejected, 0);
}
END_TEST

START_TEST (what_the_guest_reports_is_passed_on) {
    add_hotplug();
    out(CPU_SELECT, 4, 1);
    out(CPU_COMMAND, 1, 1);
    out(CPU_DATA, 4, 3);
    out(CPU_COMMAND, 1, 2);
    out(CPU_DATA, 4, 0x82);
    ck_assert_uint_eq(reported_cpu, 1);
    ck_assert_uint_eq(reported_source, 3);
    ck_assert_uint_eq(reported_status, 0x82);
}
END_TEST

START_TEST (hotplug_registers_take_anything) {
    add_hotplug();
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (guint i = 0; i < 100000; i++) {
        guint port = CPU_HOTPLUG_PORT + (guint)g_rand_int_range(random, 0, CPU_HOTPLUG_LENGTH);
        guint size = 1u << g_rand_int_range(random, 0, 3);
        if (g_rand_boolean(random)) {
            in(port, size);
        } else {
            out(port, size, g_rand_boolean(random) ? g_rand_int(random) : g_rand_int(random) % 8);
        }
    }
    flags_of(G_MAXUINT32);
    ck_assert_uint_eq(in(CPU_FLAGS, 1), 0);
    pc_reset(pc);
    ck_assert_uint_eq(flags_of(0), 1);
}
END_TEST

START_TEST (bridges_are_identified) {
    ck_assert_uint_eq(rig_config_read(rig, 0, 0, 4), 0x12378086);
    ck_assert_uint_eq(rig_config_read(rig, 1, 0, 4), 0x70008086);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0xffffffff);
}
END_TEST

START_TEST (any_access_is_harmless) {
    g_autoptr(GRand) random = g_rand_new_with_seed(1981);
    static const guint ports[] = {0x70, 0x71, 0x600, 0x602, 0x604, 0x64};
    for (guint i = 0; i < 100000; i++) {
        guint port = ports[g_rand_int_range(random, 0, G_N_ELEMENTS(ports))];
        guint size = 1u << g_rand_int_range(random, 0, 3);
        if (g_rand_boolean(random)) {
            in(port, size);
        } else {
            out(port, size, g_rand_int(random));
        }
        if (i % 5000 == 0) {
            rig_settle();
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pc-board");
    TCase *tcase = tcase_create("pc-board");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, clock_tells_the_hosts_utc);
    tcase_add_test(tcase, clock_goes_on_from_what_the_guest_set);
    tcase_add_test(tcase, binary_and_twelve_hours_are_understood);
    tcase_add_test(tcase, update_interrupt_comes_each_second);
    tcase_add_test(tcase, alarm_rings_at_its_time);
    tcase_add_test(tcase, periodic_interrupt_comes_again);
    tcase_add_test(tcase, power_button_raises_sci_until_acknowledged);
    tcase_add_test(tcase, s5_and_only_s5_powers_off);
    tcase_add_test(tcase, all_ways_to_reset);
    tcase_add_test(tcase, a_plugged_vcpu_is_announced_once);
    tcase_add_test(tcase, a_vcpu_is_ejected_by_the_guest_only);
    tcase_add_test(tcase, what_the_guest_reports_is_passed_on);
    tcase_add_test(tcase, hotplug_registers_take_anything);
    tcase_add_test(tcase, bridges_are_identified);
    tcase_add_test(tcase, any_access_is_harmless);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
