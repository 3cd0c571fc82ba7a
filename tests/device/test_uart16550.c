// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/device/driver.h"
#include "tests/check-run.h"

#define COM1 0x3f8
#define IRQ  4

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

static Rig *rig;
static char *folder, *path;
static int peer = -1;

static void set_up(void)
{
    rig = rig_new();
    folder = g_dir_make_tmp("uart-XXXXXX", NULL);
    path = g_build_filename(folder, "port", NULL);
    g_autofree char *options = g_strdup_printf("socket,id=c0,path=%s,server=on,wait=off", path);
    rig_chardev(rig, options);
    rig_device(rig, "isa-serial,chardev=c0");
    peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    ck_assert_int_eq(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    rig_settle();
}

static void tear_down(void)
{
    close(peer);
    rig_free(rig);
    g_unlink(path);
    g_rmdir(folder);
    g_free(path);
    g_free(folder);
}

static guint8 in(guint reg)
{
    return (guint8)io_bus_read(rig->env.ports, COM1 + reg, 1);
}

static void out(guint reg, guint8 value)
{
    io_bus_write(rig->env.ports, COM1 + reg, 1, value);
}

static void send_to_guest(const char *text)
{
    ck_assert_int_eq(write(peer, text, strlen(text)), (gssize)strlen(text));
    rig_settle();
}

START_TEST (registers_keep_what_is_written) {
    out(SCRATCH, 0x5a);
    ck_assert_uint_eq(in(SCRATCH), 0x5a);
    out(LCR, 0x83);
    out(DATA, 0x01);
    out(IER, 0x02);
    ck_assert_uint_eq(in(DATA), 0x01);
    ck_assert_uint_eq(in(IER), 0x02);
    out(LCR, 0x03);
    ck_assert_uint_eq(in(IER), 0); /* not the divisor */
    out(IER, 0xff);
    ck_assert_uint_eq(in(IER), 0x0f);
    ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST (output_reaches_the_peer) {
    for (const char *c = "hello"; *c; c++) {
        out(DATA, (guint8)*c);
    }
    char buffer[16] = "";
    ck_assert_int_eq(read(peer, buffer, sizeof(buffer)), 5);
    ck_assert_str_eq(buffer, "hello");
}
END_TEST

START_TEST (input_raises_the_interrupt_until_it_is_read) {
    out(IIR, 0x01); /* FIFOs on */
    out(MCR, 0x0b);
    out(IER, 0x01);
    send_to_guest("ab");
    ck_assert(rig->vm.level[IRQ]);
    ck_assert_uint_eq(in(IIR), 0xc4);
    ck_assert_uint_eq(in(LSR)&1, 1);
    ck_assert_uint_eq(in(DATA), 'a');
    ck_assert(rig->vm.level[IRQ]);
    ck_assert_uint_eq(in(DATA), 'b');
    ck_assert(!rig->vm.level[IRQ]);
    ck_assert_uint_eq(in(IIR), 0xc1);
    ck_assert_uint_eq(in(LSR)&1, 0);
}
END_TEST

START_TEST (nothing_is_lost_when_the_guest_is_slow) {
    out(IIR, 0x01);
    GString *sent = g_string_new(NULL);
    for (guint i = 0; i < 1000; i++) {
        g_string_append_c(sent, (char)('a' + i % 26));
    }
    send_to_guest(sent->str);
    GString *got = g_string_new(NULL);
    for (guint idle = 0; idle < 100 && got->len < sent->len;) {
        if (in(LSR)&1) {
            ck_assert_uint_eq(in(LSR)&2, 0); /* no overrun */
            g_string_append_c(got, (char)in(DATA));
            idle = 0;
        } else {
            rig_settle();
            idle++;
        }
    }
    ck_assert_str_eq(got->str, sent->str);
    g_string_free(got, TRUE);
    g_string_free(sent, TRUE);
}
END_TEST

START_TEST (a_peer_that_does_not_read_holds_the_transmitter) {
    guint written = 0;
    while ((in(LSR)&0x20) && written < 4 << 20) {
        out(DATA, (guint8)written++);
    }
    ck_assert_uint_lt(written, 4 << 20);
    out(IER, 0x02);
    out(MCR, 0x08);
    ck_assert(!rig->vm.level[IRQ]);
    guint read_back = 0;
    guint8 buffer[4096];
    for (guint idle = 0; idle < 100 && read_back < written;) {
        gssize count = read(peer, buffer, sizeof(buffer));
        if (count > 0) {
            for (gssize i = 0; i < count; i++) {
                ck_assert_uint_eq(buffer[i], (guint8)read_back++);
            }
            idle = 0;
        } else {
            rig_settle();
            idle++;
        }
    }
    ck_assert_uint_eq(read_back, written); /* the held byte too */
    ck_assert(in(LSR)&0x20);
    ck_assert(rig->vm.level[IRQ]);
    ck_assert_uint_eq(in(IIR)&0x0f, 2);
    ck_assert(!rig->vm.level[IRQ]); /* IIR was read */
}
END_TEST

START_TEST (loopback_comes_back) {
    out(MCR, 0x1f);
    ck_assert_uint_eq(in(MSR), 0xf0);
    out(DATA, 'x');
    ck_assert_uint_eq(in(DATA), 'x');
    char byte;
    ck_assert_int_eq(read(peer, &byte, 1), -1);
    out(MCR, 0x10);
    ck_assert_uint_eq(in(MSR), 0);
}
END_TEST

START_TEST (reset_clears_what_was_pending) {
    out(IIR, 0x01);
    out(MCR, 0x08);
    out(IER, 0x01);
    send_to_guest("abc");
    ck_assert(rig->vm.level[IRQ]);
    rig_reset(rig);
    ck_assert(!rig->vm.level[IRQ]);
    ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST (ports_are_limited_and_do_not_overlap) {
    static const char *const bad[] = {
        "isa-serial,index=0", "isa-serial,index=4",           "isa-serial,iobase=0x3fa",
        "isa-serial,irq=99",  "isa-serial,index=1,chardev=q", "isa-serial,nonsense=1",
    };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_ptr_null(rig_try_device(rig, bad[i], &error));
        ck_assert_ptr_nonnull(error);
    }
    rig_device(rig, "isa-serial");
    rig_device(rig, "isa-serial");
    rig_device(rig, "isa-serial");
    ck_assert_ptr_null(rig_try_device(rig, "isa-serial", NULL));
}
END_TEST

START_TEST (any_access_is_harmless) {
    g_autoptr(GRand) random = g_rand_new_with_seed(16550);
    for (guint i = 0; i < 100000; i++) {
        guint reg = (guint)g_rand_int_range(random, 0, 8);
        guint size = 1u << g_rand_int_range(random, 0, 3);
        if (g_rand_boolean(random)) {
            io_bus_read(rig->env.ports, COM1 + reg, size);
        } else {
            io_bus_write(rig->env.ports, COM1 + reg, size, g_rand_int(random));
        }
        if (i % 1000 == 0) {
            guint8 buffer[4096];
            while (read(peer, buffer, sizeof(buffer)) > 0) {
            }
            send_to_guest("noise");
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uart16550");
    TCase *tcase = tcase_create("uart16550");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, registers_keep_what_is_written);
    tcase_add_test(tcase, output_reaches_the_peer);
    tcase_add_test(tcase, input_raises_the_interrupt_until_it_is_read);
    tcase_add_test(tcase, nothing_is_lost_when_the_guest_is_slow);
    tcase_add_test(tcase, a_peer_that_does_not_read_holds_the_transmitter);
    tcase_add_test(tcase, loopback_comes_back);
    tcase_add_test(tcase, reset_clears_what_was_pending);
    tcase_add_test(tcase, ports_are_limited_and_do_not_overlap);
    tcase_add_test(tcase, any_access_is_harmless);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
