// SPDX-License-Identifier: GPL-2.0-or-later
/* The PS/2 controller and its keyboard through their two ports. */
#include <check.h>
#include <string.h>

#include "host-vmm/hw/i8042.h"
#include "tests/device/driver.h"
#include "tests/check-run.h"

static Rig *rig;
static Device *keyboard;

static void set_up(void)
{
    rig = rig_new();
    keyboard = rig_device(rig, "i8042");
}

static void tear_down(void)
{
    rig_free(rig);
}

static void command(guint8 byte)
{
    io_bus_write(rig->env.ports, 0x64, 1, byte);
}

static void data(guint8 byte)
{
    io_bus_write(rig->env.ports, 0x60, 1, byte);
}

static guint8 status(void)
{
    return (guint8)io_bus_read(rig->env.ports, 0x64, 1);
}

static guint8 take(void)
{
    ck_assert_uint_eq(status() & 1, 1);
    return (guint8)io_bus_read(rig->env.ports, 0x60, 1);
}

static void nothing(void)
{
    ck_assert_uint_eq(status() & 1, 0);
}

static void expect(const char *bytes, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        ck_assert_uint_eq(take(), (guint8)bytes[i]);
    }
    nothing();
}
#define EXPECT(text) expect(text, sizeof(text) - 1)

START_TEST (the_controller_answers) {
    ck_assert_uint_eq(status(), 0x14);
    command(0xaa);
    ck_assert_uint_eq(status(), 0x1d);
    EXPECT("\x55");
    command(0xab);
    EXPECT("\0");
    command(0xa9); /* no mouse */
    EXPECT("\1");
    command(0x20);
    EXPECT("\x45");
    command(0x60);
    data(0x04);
    ck_assert_uint_eq(status(), 0x14);
    command(0x20);
    EXPECT("\4");
    command(0x7f);
    data(0x99);
    command(0x3f);
    EXPECT("\x99");
    command(0xd0);
    EXPECT("\3");
    command(0xd2);
    data(0x1c);
    EXPECT("\x1c");
    command(0xd3);
    data(0x5a);
    ck_assert_uint_eq(status() & 0x20, 0);
    EXPECT("\x5a");
    command(0xd4); /* to a mouse that is not there */
    data(0xff);
    nothing();
}
END_TEST

START_TEST (the_keyboard_answers) {
    data(0xff);
    EXPECT("\xfa\xaa");
    data(0xf2);
    EXPECT("\xfa\xab\x41");
    data(0xed);
    EXPECT("\xfa");
    data(0x07);
    EXPECT("\xfa");
    data(0xf0);
    data(0);
    EXPECT("\xfa\xfa\2");
    data(0xf3);
    data(0x20);
    EXPECT("\xfa\xfa");
    data(0xee);
    EXPECT("\xee");
    data(0xfe); /* once more */
    EXPECT("\xee");
    data(0xf8);
    EXPECT("\xfa");
    data(0x55);
    EXPECT("\xfe");
    data(0xf4);
    EXPECT("\xfa");
}
END_TEST

START_TEST (keys_and_interrupts) {
    int a = i8042_key("a"), delete = i8042_key("delete");
    ck_assert_int_ge(a, 0);
    ck_assert_int_ge(delete, 0);
    ck_assert_int_eq(i8042_key("hyper"), -1);
    ck_assert_int_eq(i8042_key_number(0x1e), a);
    ck_assert_int_eq(i8042_key_number(0xd3), delete);
    ck_assert_int_eq(i8042_key_number(0x7f), -1);
    ck_assert(!rig->vm.level[1]);
    ck_assert(i8042_put_key(keyboard, a, TRUE));
    ck_assert(rig->vm.level[1]);
    ck_assert(i8042_put_key(keyboard, a, FALSE));
    EXPECT("\x1e\x9e");
    ck_assert(!rig->vm.level[1]);
    ck_assert(i8042_put_key(keyboard, delete, TRUE) && i8042_put_key(keyboard, delete, FALSE));
    EXPECT("\xe0\x53\xe0\xd3");
    command(0x60);
    data(0); /* no interrupt, no translation */
    ck_assert(i8042_put_key(keyboard, delete, TRUE) && i8042_put_key(keyboard, delete, FALSE));
    ck_assert(!rig->vm.level[1]);
    EXPECT("\xe0\x71\xe0\xf0\x71");
    data(0xf2);
    EXPECT("\xfa\xab\x83");
    command(0xad); /* kept while it is disabled */
    ck_assert(i8042_put_key(keyboard, a, TRUE));
    nothing();
    command(0xae);
    EXPECT("\x1c");
    data(0xf5);
    EXPECT("\xfa");
    ck_assert(i8042_put_key(keyboard, a, TRUE));
    nothing();
}
END_TEST

START_TEST (a_guest_that_does_not_read_is_told_of) {
    guint taken = 0;
    while (i8042_put_key(keyboard, i8042_key("a"), taken % 2 == 0)) {
        ck_assert_uint_lt(++taken, 100);
    }
    ck_assert_uint_ge(taken, 16);
    command(0xad);
    data(0xee); /* there is room for an answer still */
    for (guint i = 0; i < taken; i++) {
        ck_assert_uint_eq(take(), i % 2 == 0 ? 0x1e : 0x9e);
    }
    EXPECT("\xee");
    ck_assert(i8042_put_key(keyboard, 0, TRUE));
    rig_reset(rig);
    nothing();
    ck_assert(!rig->vm.level[1]);
}
END_TEST

START_TEST (resets) {
    static const guint8 pulses[] = {0xfe, 0xf0};
    for (guint i = 0; i < G_N_ELEMENTS(pulses); i++) {
        command(pulses[i]);
        ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_RESET], i + 1);
    }
    command(0xff);
    command(0xd1);
    data(0x03);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_RESET], 2);
    command(0xd1);
    data(0x02);
    ck_assert_uint_eq(rig->alarms[DEVICE_ALARM_RESET], 3);
}
END_TEST

START_TEST (random_bytes) {
    g_autoptr(GRand) random = g_rand_new_with_seed(8042);
    for (guint i = 0; i < 100000; i++) {
        guint8 byte = (guint8)g_rand_int(random);
        switch (g_rand_int_range(random, 0, 5)) {
        case 0:
            command(byte);
            break;
        case 1:
            data(byte);
            break;
        case 2:
            i8042_put_key(keyboard, g_rand_int_range(random, 0, 90), byte & 1);
            break;
        default:
            io_bus_read(rig->env.ports, byte & 1 ? 0x60 : 0x64, 1);
            break;
        }
    }
    rig_reset(rig);
    data(0xff);
    EXPECT("\xfa\xaa");
}
END_TEST

START_TEST (one_a_machine) {
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, "i8042", &error));
    ck_assert_ptr_nonnull(strstr(error->message, "Only one"));
    ck_assert_ptr_eq(i8042_find(&rig->env), keyboard);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i8042");
    TCase *tcase = tcase_create("i8042");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_controller_answers);
    tcase_add_test(tcase, the_keyboard_answers);
    tcase_add_test(tcase, keys_and_interrupts);
    tcase_add_test(tcase, a_guest_that_does_not_read_is_told_of);
    tcase_add_test(tcase, resets);
    tcase_add_test(tcase, random_bytes);
    tcase_add_test(tcase, one_a_machine);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
