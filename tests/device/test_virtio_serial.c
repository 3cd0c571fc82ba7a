// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-vmm/virtio/virtio-serial.h"
#include "tests/device/driver.h"
#include "tests/check-run.h"

#define DRIVER_BASE 0x100000
#define BASICS      (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_F_EVENT_IDX)
#define FEATURES    (BASICS | 1ull << VIRTIO_CONSOLE_F_MULTIPORT)

#define CONTROL_BUFFER 64
#define IN_BUFFER      4096

typedef struct Message {
    guint32 port;
    guint16 event, value;
    char text[CONTROL_BUFFER - 8];
} Message;

static Rig *rig;
static Driver *driver;
static DriverQueue *control_in, *control_out;
static char *folder;
static guint64 control_buffers[32];
static guint64 in_buffers[128];

/* ---- peers ---- */

static int peer_connect(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    rig_settle();
    return fd;
}

static void add_chardev(const char *id)
{
    g_autofree char *options = g_strdup_printf("socket,id=%s,path=%s/%s,server=on,wait=off", id, folder, id);
    rig_chardev(rig, options);
}

/* ---- control queue ---- */

static void give_control_buffer(guint i)
{
    DriverBuffer buffer = {control_buffers[i], CONTROL_BUFFER, TRUE};
    driver_add(driver, control_in, &buffer, 1);
}

/* The next message from the device; FALSE if there is none once the main loop is idle. */
static gboolean next_message(Message *message)
{
    memset(message, 0, sizeof *message);
    rig_settle();
    if (!driver_has_used(driver, control_in))
        return FALSE;
    guint16 head;
    guint32 length = driver_wait_used(driver, control_in, &head);
    ck_assert_uint_ge(length, 8);
    ck_assert_uint_le(length, CONTROL_BUFFER);
    ck_assert(guest_memory_read(rig->memory, control_buffers[head % 32], message, length));
    give_control_buffer(head % 32);
    driver_kick(driver, control_in);
    return TRUE;
}

static void expect_message(guint port, guint event, guint value, const char *text)
{
    Message message;
    ck_assert(next_message(&message));
    ck_assert_uint_eq(message.port, port);
    ck_assert_uint_eq(message.event, event);
    ck_assert_uint_eq(message.value, value);
    if (text != NULL)
        ck_assert_str_eq(message.text, text);
}

static void expect_silence(void)
{
    Message message;
    ck_assert(!next_message(&message));
}

static void send_control(guint port, guint event, guint value)
{
    guint64 at = driver_alloc(driver, 8);
    Message message = {.port = port, .event = (guint16)event, .value = (guint16)value};
    ck_assert(guest_memory_write(rig->memory, at, &message, 8));
    DriverBuffer buffer = {at, 8, FALSE};
    driver_add(driver, control_out, &buffer, 1);
    driver_kick(driver, control_out);
    driver_wait_used(driver, control_out, NULL);
    rig_settle();
}

/* ---- data ---- */

static DriverQueue *give_in_buffers(guint port, guint count)
{
    DriverQueue *queue = &driver->queues[VIRTIO_SERIAL_PORT_IN(port)];
    for (guint i = 0; i < count; i++) {
        if (in_buffers[i] == 0)
            in_buffers[i] = driver_alloc(driver, IN_BUFFER);
        DriverBuffer buffer = {in_buffers[i], IN_BUFFER, TRUE};
        driver_add(driver, queue, &buffer, 1);
    }
    driver_kick(driver, queue);
    rig_settle();
    return queue;
}

static guint64 send_data(guint port, const void *data, guint32 length)
{
    DriverQueue *queue = &driver->queues[VIRTIO_SERIAL_PORT_OUT(port)];
    guint64 at = driver_alloc(driver, length);
    ck_assert(guest_memory_write(rig->memory, at, data, length));
    DriverBuffer buffer = {at, length, FALSE};
    driver_add(driver, queue, &buffer, 1);
    driver_kick(driver, queue);
    rig_settle();
    return at;
}

/* ---- set up ---- */

static void start_rig(void)
{
    folder = g_dir_make_tmp("virt-suite-serial-XXXXXX", NULL);
    rig = rig_new();
    rig_device(rig, "virtio-serial-pci,id=virtio-serial0");
    memset(in_buffers, 0, sizeof in_buffers);
}

static void start_driver(guint64 features, guint ports)
{
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    ck_assert(driver_negotiate(driver, features));
    control_in = driver_setup_queue(driver, VIRTIO_SERIAL_CONTROL_IN, 32);
    control_out = driver_setup_queue(driver, VIRTIO_SERIAL_CONTROL_OUT, 32);
    for (guint i = 0; i < ports; i++) {
        driver_setup_queue(driver, VIRTIO_SERIAL_PORT_IN(i), 128);
        driver_setup_queue(driver, VIRTIO_SERIAL_PORT_OUT(i), 128);
    }
    driver_ok(driver);
    for (guint i = 0; i < 32; i++) {
        control_buffers[i] = driver_alloc(driver, CONTROL_BUFFER);
        give_control_buffer(i);
    }
    driver_kick(driver, control_in);
}

/* One port 1 "org.qemu.guest_agent.0" on a socket, opened by the guest. */
static void start_port(void)
{
    start_rig();
    add_chardev("c1");
    rig_device(rig,
               "virtserialport,bus=virtio-serial0.0,nr=1,chardev=c1,id=channel0,name=org.qemu.guest_agent.0");
    rig_assign(rig);
    start_driver(FEATURES, 2);
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    expect_message(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_message(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.qemu.guest_agent.0");
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    expect_silence();
}

static void finish(void)
{
    g_free(driver);
    driver = NULL;
    rig_free(rig);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *left = dir != NULL ? g_dir_read_name(dir) : NULL;
    ck_assert_msg(left == NULL, "left behind: %s", left);
    rmdir(folder);
    g_free(folder);
}

/* ---- tests ---- */

START_TEST (identity_and_configuration) {
    start_rig();
    rig_assign(rig);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0, 4), 0x10431af4);
    ck_assert_uint_eq(rig_config_read(rig, 2, 8, 4), 0x07800001);
    ck_assert_uint_eq(rig_config_read(rig, 2, 0x2c, 4), 0x11001af4);
    driver = driver_new(rig, 2, DRIVER_BASE);
    ck_assert_uint_eq(driver_offered(driver), FEATURES);
    ck_assert_uint_eq(driver_read(driver, VIRTIO_PCI_NUM_QUEUES, 2), 64);
    ck_assert_uint_eq(io_bus_read(rig->env.mmio, driver->config + 4, 4), 31);
    finish();
}
END_TEST

START_TEST (ports_are_announced_and_named) {
    start_rig();
    add_chardev("c0");
    add_chardev("c1");
    rig_device(rig, "virtconsole,chardev=c0,id=console0");
    rig_device(rig, "virtserialport,chardev=c1,id=channel0,name=com.example.one");
    rig_device(rig, "virtserialport,nr=7,id=channel1,name=seven");
    rig_assign(rig);
    start_driver(FEATURES, 9);
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    expect_message(0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    expect_message(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    expect_message(7, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    expect_silence();
    send_control(0, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_message(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
    expect_message(0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_message(1, VIRTIO_CONSOLE_PORT_NAME, 1, "com.example.one");
    send_control(7, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_message(7, VIRTIO_CONSOLE_PORT_NAME, 1, "seven");
    expect_silence();
    finish();
}
END_TEST

START_TEST (control_messages_wait_for_buffers) {
    start_rig();
    for (guint i = 1; i < 31; i++) {
        g_autofree char *options = g_strdup_printf("virtserialport,name=port%u", i);
        rig_device(rig, options);
    }
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    ck_assert(driver_negotiate(driver, FEATURES));
    control_in = driver_setup_queue(driver, VIRTIO_SERIAL_CONTROL_IN, 32);
    control_out = driver_setup_queue(driver, VIRTIO_SERIAL_CONTROL_OUT, 32);
    driver_ok(driver);
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (guint i = 0; i < 32; i++)
        control_buffers[i] = driver_alloc(driver, CONTROL_BUFFER);
    expect_silence();
    for (guint i = 1; i < 31; i++) {
        give_control_buffer(i);
        driver_kick(driver, control_in);
        rig_settle();
        guint16 head;
        driver_wait_used(driver, control_in, &head);
        Message message;
        ck_assert(guest_memory_read(rig->memory, control_buffers[i], &message, 8));
        ck_assert_uint_eq(message.port, i);
        ck_assert_uint_eq(message.event, VIRTIO_CONSOLE_PORT_ADD);
    }
    finish();
}
END_TEST

START_TEST (host_peer_coming_and_going_is_told) {
    start_port();
    int peer = peer_connect("c1");
    expect_message(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    close(peer);
    expect_message(1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
    peer = peer_connect("c1");
    expect_message(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (guest_opening_and_closing_is_told) {
    start_port();
    Chardev *chardev = chardev_set_find(rig->env.chardevs, "c1");
    ck_assert(chardev_front_is_open(chardev));
    ck_assert_uint_eq(rig->events->len, 1);
    ck_assert_str_eq(rig->events->pdata[0], "VSERPORT_CHANGE {\"id\":\"channel0\",\"open\":true}");
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1); /* nothing new */
    ck_assert_uint_eq(rig->events->len, 1);
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    ck_assert(!chardev_front_is_open(chardev));
    ck_assert_str_eq(rig->events->pdata[1], "VSERPORT_CHANGE {\"id\":\"channel0\",\"open\":false}");
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    ck_assert_uint_eq(rig->events->len, 3);
    /* A guest reset closes. */
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    rig_settle();
    ck_assert_str_eq(rig->events->pdata[3], "VSERPORT_CHANGE {\"id\":\"channel0\",\"open\":false}");
    ck_assert(!chardev_front_is_open(chardev));
    finish();
}
END_TEST

START_TEST (machine_reset_closes) {
    start_port();
    rig_reset(rig);
    rig_settle();
    ck_assert_uint_eq(rig->events->len, 2);
    ck_assert_str_eq(rig->events->pdata[1], "VSERPORT_CHANGE {\"id\":\"channel0\",\"open\":false}");
    ck_assert_uint_eq(rig->vm.doorbells->len, 0);
    finish();
}
END_TEST

START_TEST (guest_data_reaches_the_peer) {
    start_port();
    int peer = peer_connect("c1");
    expect_message(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    rig_take_interrupts(rig, 0x100 + VIRTIO_SERIAL_PORT_OUT(1) + 1);
    send_data(1, "hello", 5);
    char text[16] = {0};
    ck_assert_int_eq(read(peer, text, sizeof text), 5);
    ck_assert_str_eq(text, "hello");
    ck_assert_uint_eq(driver_wait_used(driver, &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)], NULL), 0);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100 + VIRTIO_SERIAL_PORT_OUT(1) + 1), 1);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (guest_data_without_peer_is_discarded) {
    start_port();
    send_data(1, "nobody", 6);
    driver_wait_used(driver, &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)], NULL);
    int peer = peer_connect("c1");
    char text[16];
    ck_assert_int_eq(read(peer, text, sizeof text), -1);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

/* 4 MiB in 32 KiB chains to a peer that reads now and then: nothing lost, nothing out of order. */
START_TEST (slow_peer_loses_nothing) {
    const guint total = 4 << 20, chunk = 32768;
    start_port();
    int peer = peer_connect("c1");
    DriverQueue *out = &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)];
    guint64 buffers[16];
    g_autofree guint8 *bytes = g_malloc(total);
    for (guint i = 0; i < total; i++)
        bytes[i] = (guint8)(i * 7 + i / 251);
    for (guint i = 0; i < 16; i++)
        buffers[i] = driver_alloc(driver, chunk);
    g_autoptr(GChecksum) sent = g_checksum_new(G_CHECKSUM_SHA256), got = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sent, bytes, total);
    guint given = 0, taken = 0, received = 0;
    gboolean was_full = FALSE;
    while (received < total) {
        while (given < total / chunk && given - taken < 16) {
            ck_assert(guest_memory_write(rig->memory, buffers[given % 16], bytes + given * chunk, chunk));
            DriverBuffer buffer = {buffers[given % 16], chunk, FALSE};
            driver_add(driver, out, &buffer, 1);
            given++;
        }
        driver_kick(driver, out);
        rig_settle();
        while (driver_has_used(driver, out)) {
            driver_wait_used(driver, out, NULL);
            taken++;
        }
        was_full = was_full || given - taken == 16;
        guint8 part[50000];
        gssize length = read(peer, part, sizeof part);
        if (length > 0) {
            g_checksum_update(got, part, length);
            received += (guint)length;
        }
    }
    ck_assert(was_full); /* the ring did back up */
    ck_assert_str_eq(g_checksum_get_string(sent), g_checksum_get_string(got));
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (blocked_output_ends_when_the_peer_goes) {
    start_port();
    int peer = peer_connect("c1");
    DriverQueue *out = &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)];
    guint64 at = driver_alloc(driver, 1 << 20);
    DriverBuffer buffer = {at, 1 << 20, FALSE};
    driver_add(driver, out, &buffer, 1);
    driver_add(driver, out, &buffer, 1);
    driver_kick(driver, out);
    rig_settle();
    ck_assert(!driver_has_used(driver, out));
    close(peer);
    rig_settle();
    driver_wait_used(driver, out, NULL);
    driver_wait_used(driver, out, NULL);
    finish();
}
END_TEST

START_TEST (console_output_is_dropped_when_the_peer_does_not_read) {
    start_rig();
    add_chardev("c0");
    rig_device(rig, "virtconsole,chardev=c0");
    rig_assign(rig);
    start_driver(FEATURES, 1);
    int peer = peer_connect("c0");
    DriverQueue *out = &driver->queues[VIRTIO_SERIAL_PORT_OUT(0)];
    guint64 at = driver_alloc(driver, 1 << 20);
    for (guint i = 0; i < 4; i++) {
        DriverBuffer buffer = {at, 1 << 20, FALSE};
        driver_add(driver, out, &buffer, 1);
    }
    driver_kick(driver, out);
    for (guint i = 0; i < 4; i++)
        driver_wait_used(driver, out, NULL);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (host_data_waits_until_the_guest_opens) {
    start_port();
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    int peer = peer_connect("c1");
    ck_assert_int_eq(write(peer, "early", 5), 5);
    DriverQueue *in = give_in_buffers(1, 4);
    rig_settle();
    ck_assert(!driver_has_used(driver, in));
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    ck_assert_uint_eq(driver_wait_used(driver, in, NULL), 5);
    char text[6] = {0};
    ck_assert(guest_memory_read(rig->memory, in_buffers[0], text, 5));
    ck_assert_str_eq(text, "early");
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100 + VIRTIO_SERIAL_PORT_IN(1) + 1), 1);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

/* 2 MiB towards a guest that gives back one buffer at a time. */
START_TEST (slow_guest_loses_nothing) {
    const guint total = 2 << 20;
    start_port();
    int peer = peer_connect("c1");
    g_autofree guint8 *bytes = g_malloc(total);
    for (guint i = 0; i < total; i++)
        bytes[i] = (guint8)(i * 13 + i / 509);
    g_autofree guint8 *got = g_malloc0(total);
    DriverQueue *in = give_in_buffers(1, 3);
    guint sent = 0, received = 0, turn = 0;
    while (received < total) {
        gssize put = sent < total ? write(peer, bytes + sent, total - sent) : 0;
        if (put > 0)
            sent += (guint)put;
        rig_settle();
        if (!driver_has_used(driver, in))
            continue;
        guint16 head;
        guint32 length = driver_wait_used(driver, in, &head);
        guint64 at = in_buffers[turn++ % 3];
        ck_assert_uint_le(received + length, total);
        ck_assert(guest_memory_read(rig->memory, at, got + received, length));
        received += length;
        DriverBuffer buffer = {at, IN_BUFFER, TRUE};
        driver_add(driver, in, &buffer, 1);
        driver_kick(driver, in);
    }
    ck_assert_mem_eq(bytes, got, total);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (interrupts_are_coalesced) {
    start_port();
    DriverQueue *in = give_in_buffers(1, 64);
    int peer = peer_connect("c1");
    rig_settle();
    rig_take_interrupts(rig, 0x100 + VIRTIO_SERIAL_PORT_IN(1) + 1);
    g_autofree guint8 *bytes = g_malloc0(16384);
    ck_assert_int_eq(write(peer, bytes, 16384), 16384);
    rig_settle();
    for (guint i = 0; i < 4; i++)
        ck_assert_uint_eq(driver_wait_used(driver, in, NULL), IN_BUFFER);
    ck_assert_uint_eq(rig_take_interrupts(rig, 0x100 + VIRTIO_SERIAL_PORT_IN(1) + 1), 1);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (reset_with_data_in_flight) {
    start_port();
    int peer = peer_connect("c1");
    DriverQueue *out = &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)];
    guint64 at = driver_alloc(driver, 1 << 20);
    DriverBuffer buffer = {at, 1 << 20, FALSE};
    driver_add(driver, out, &buffer, 1);
    driver_kick(driver, out);
    give_in_buffers(1, 8);
    rig_settle();
    driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
    /* What was in flight must not be written into memory that is the guest's again. */
    g_autofree guint8 *before = g_malloc(RIG_RAM), *after = g_malloc(RIG_RAM);
    ck_assert(guest_memory_read(rig->memory, 0, before, RIG_RAM));
    ck_assert_int_eq(write(peer, "late", 4), 4);
    guint8 part[65536];
    while (read(peer, part, sizeof part) > 0)
        rig_settle();
    ck_assert(guest_memory_read(rig->memory, 0, after, RIG_RAM));
    ck_assert_mem_eq(before, after, RIG_RAM);
    /* And it starts again, with the peer's data still there. */
    g_free(driver);
    memset(in_buffers, 0, sizeof in_buffers);
    start_driver(FEATURES, 2);
    send_control(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    expect_message(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    send_control(1, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_message(1, VIRTIO_CONSOLE_PORT_NAME, 1, NULL);
    expect_message(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    DriverQueue *in = give_in_buffers(1, 4);
    send_control(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    ck_assert_uint_eq(driver_wait_used(driver, in, NULL), 4);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (without_multiport_port_0_is_open_at_once) {
    start_rig();
    add_chardev("c0");
    rig_device(rig, "virtconsole,chardev=c0");
    rig_assign(rig);
    driver = driver_new(rig, 2, DRIVER_BASE);
    driver_msix_enable(driver);
    ck_assert(driver_negotiate(driver, BASICS));
    driver_setup_queue(driver, 0, 128);
    driver_setup_queue(driver, 1, 128);
    driver_ok(driver);
    int peer = peer_connect("c0");
    ck_assert_int_eq(write(peer, "key", 3), 3);
    DriverQueue *in = give_in_buffers(0, 2);
    ck_assert_uint_eq(driver_wait_used(driver, in, NULL), 3);
    send_data(0, "echo", 4);
    char text[8] = {0};
    ck_assert_int_eq(read(peer, text, sizeof text), 4);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (port_comes_and_goes_while_the_guest_runs) {
    start_port();
    add_chardev("c2");
    Device *port = rig_device(rig, "virtserialport,chardev=c2,id=hot,name=hot");
    expect_message(2, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    send_control(2, VIRTIO_CONSOLE_PORT_READY, 1);
    expect_message(2, VIRTIO_CONSOLE_PORT_NAME, 1, "hot");
    g_ptr_array_remove(rig->env.devices, port);
    device_destroy(port);
    expect_message(2, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL);
    ck_assert(!chardev_is_attached(chardev_set_find(rig->env.chardevs, "c2")));
    /* The number is free for the next one. */
    rig_device(rig, "virtserialport,chardev=c2,id=hot,nr=2");
    expect_message(2, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
    finish();
}
END_TEST

START_TEST (serial_device_may_go_before_its_ports) {
    start_port();
    Device *serial = device_find(&rig->env, "virtio-serial0");
    g_ptr_array_remove(rig->env.devices, serial);
    device_destroy(serial);
    rig_settle();
    ck_assert(!chardev_is_attached(chardev_set_find(rig->env.chardevs, "c1")));
    finish();
}
END_TEST

/* A vCPU resets and starts again at any moment while the main loop moves data in both directions. */

static gint vcpu_done; /* atomic */

static gpointer resetting_vcpu(gpointer unused)
{
    GRand *random = g_rand_new_with_seed(7);
    guint64 base = driver->next_free;
    for (guint round = 0; round < 300; round++) {
        driver->next_free = base;
        ck_assert(driver_negotiate(driver, FEATURES));
        for (guint i = 0; i < 6; i++)
            driver_setup_queue(driver, i, 32);
        driver_ok(driver);
        control_out = &driver->queues[VIRTIO_SERIAL_CONTROL_OUT];
        DriverQueue *out = &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)],
                    *in = &driver->queues[VIRTIO_SERIAL_PORT_IN(1)];
        static const guint16 hello[][4] = {{0, 0, 0, 1}, {1, 0, 3, 1}, {1, 0, 6, 1}};
        guint64 at = driver_alloc(driver, 0x10000);
        for (guint i = 0; i < 3; i++) {
            ck_assert(guest_memory_write(rig->memory, at + 16 * i, hello[i], 8));
            DriverBuffer message = {at + 16 * i, 8, FALSE};
            driver_add(driver, control_out, &message, 1);
            DriverBuffer room = {at + 0x1000 + 64 * i, 64, TRUE};
            driver_add(driver, &driver->queues[VIRTIO_SERIAL_CONTROL_IN], &room, 1);
        }
        driver_kick(driver, control_out);
        for (guint i = 0; i < 32; i++) {
            DriverBuffer data = {at + 0x2000, 0x4000, FALSE}, room = {at + 0x8000, 0x400, TRUE};
            driver_add(driver, out, &data, 1);
            driver_add(driver, in, &room, 1);
        }
        driver_kick(driver, out);
        driver_kick(driver, in);
        g_usleep((gulong)g_rand_int_range(random, 0, 1500));
        driver_write(driver, VIRTIO_PCI_DEVICE_STATUS, 1, 0);
        /* From here on the memory is the guest's again. */
        guint8 *memory = guest_memory_range(rig->memory, at + 0x8000, 0x400);
        memset(memory, 0xee, 0x400);
        g_usleep((gulong)g_rand_int_range(random, 0, 300));
        for (guint i = 0; i < 0x400; i++)
            ck_assert_uint_eq(memory[i], 0xee);
    }
    g_rand_free(random);
    g_atomic_int_set(&vcpu_done, 1);
    g_main_context_wakeup(NULL);
    return NULL;
}

START_TEST (resets_race_with_the_main_loop) {
    start_port();
    int peer = peer_connect("c1");
    GThread *vcpu = g_thread_new("vcpu", resetting_vcpu, NULL);
    guint8 bytes[8192] = {0};
    guint64 got = 0;
    while (!g_atomic_int_get(&vcpu_done)) {
        gssize length = read(peer, bytes, sizeof bytes);
        got += length > 0 ? (guint64)length : 0;
        (void)!write(peer, bytes, 100);
        g_main_context_iteration(NULL, FALSE);
    }
    g_thread_join(vcpu);
    ck_assert_uint_gt(got, 0);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

START_TEST (bus_may_be_full) {
    rig = rig_new();
    rig_device(rig, "virtio-serial-pci,id=small,max_ports=3");
    rig_device(rig, "virtserialport");
    rig_device(rig, "virtserialport");
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, "virtserialport", &error));
    ck_assert_str_eq(error->message, "-device virtserialport: no virtio-serial bus has a free port");
    g_clear_error(&error);
    ck_assert_ptr_null(rig_try_device(rig, "virtserialport,bus=small.0", &error));
    ck_assert_str_eq(error->message, "-device virtserialport: bus 'small.0' has no free port");
    g_clear_error(&error);
    rig_device(rig, "virtconsole");
    /* The next bus is taken where the first has no room. */
    rig_device(rig, "virtio-serial-pci,id=more");
    rig_device(rig, "virtserialport,name=there");
    ck_assert_ptr_null(rig_try_device(rig, "virtserialport,bus=more.0,name=there", &error));
    ck_assert_str_eq(error->message, "-device virtserialport: bus 'more.0' has a port named 'there' already");
    rig_free(rig);
}
END_TEST

/* What a port holds goes back to the guest when it is unplugged, and what comes for it later too. */
START_TEST (unplugged_port_gives_everything_back) {
    start_port();
    int peer = peer_connect("c1");
    expect_message(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
    DriverQueue *out = &driver->queues[VIRTIO_SERIAL_PORT_OUT(1)];
    DriverQueue *in = give_in_buffers(1, 5);
    ck_assert_int_eq(write(peer, "x", 1), 1);
    ck_assert_uint_eq(driver_wait_used(driver, in, NULL), 1);
    DriverBuffer buffer = {driver_alloc(driver, 1 << 20), 1 << 20, FALSE};
    driver_add(driver, out, &buffer, 1);
    driver_kick(driver, out);
    rig_settle();
    ck_assert(!driver_has_used(driver, out));
    Device *port = device_find(&rig->env, "channel0");
    g_ptr_array_remove(rig->env.devices, port);
    device_destroy(port);
    driver_wait_used(driver, out, NULL);
    for (guint i = 0; i < 4; i++)
        ck_assert_uint_eq(driver_wait_used(driver, in, NULL), 0);
    driver_add(driver, out, &buffer, 1);
    driver_kick(driver, out);
    driver_wait_used(driver, out, NULL);
    close(peer);
    rig_settle();
    finish();
}
END_TEST

static const struct {
    const char *options, *error;
} bad_options[] = {
    {"virtserialport,bus=nowhere.0", "-device virtserialport: there is no virtio-serial bus 'nowhere.0'"},
    {"virtserialport,nr=0",
     "-device virtserialport: port number 0 of bus 'virtio-serial0.0' is reserved for a virtconsole"},
    {"virtserialport,nr=31",
     "-device virtserialport: port number 31 of bus 'virtio-serial0.0' is beyond the bus's max_ports"},
    {"virtserialport,id=a,nr=5",
     "-device virtserialport,id=a: port number 5 of bus 'virtio-serial0.0' is taken"},
    {"virtserialport,name=five",
     "-device virtserialport: bus 'virtio-serial0.0' has a port named 'five' already"},
    {"virtserialport,chardev=no", "-device virtserialport: there is no chardev 'no'"},
    {"virtserialport,chardev=c5", "-device virtserialport: chardev 'c5' is already in use by five"},
    {"virtserialport,nr=x", "-device virtserialport: 'nr' must be a number from 0 to 4294967295, not 'x'"},
    {"virtserialport,colour=red", "-device virtserialport: unknown property 'colour'"},
    {"virtio-serial-pci,max_ports=0",
     "-device virtio-serial-pci: 'max_ports' must be a number from 1 to 511, not '0'"},
    {"virtio-serial,id=virtio-serial0", "-device virtio-serial: Duplicate device ID 'virtio-serial0'"},
};

START_TEST (bad_options_are_told) {
    start_rig();
    add_chardev("c5");
    rig_device(rig, "virtserialport,nr=5,name=five,chardev=c5");
    guint devices = rig->env.devices->len;
    for (guint i = 0; i < G_N_ELEMENTS(bad_options); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_ptr_null(rig_try_device(rig, bad_options[i].options, &error));
        ck_assert_ptr_nonnull(error);
        ck_assert_str_eq(error->message, bad_options[i].error);
        ck_assert_uint_eq(rig->env.devices->len, devices);
    }
    finish();
}
END_TEST

START_TEST (without_a_bus_is_told) {
    rig = rig_new();
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(rig_try_device(rig, "virtconsole", &error));
    ck_assert_str_eq(
        error->message,
        "-device virtconsole: there is no virtio-serial bus: put -device virtio-serial-pci before it");
    rig_free(rig);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("virtio-serial");
    TCase *c = tcase_create("virtio-serial");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, identity_and_configuration);
    tcase_add_test(c, ports_are_announced_and_named);
    tcase_add_test(c, control_messages_wait_for_buffers);
    tcase_add_test(c, host_peer_coming_and_going_is_told);
    tcase_add_test(c, guest_opening_and_closing_is_told);
    tcase_add_test(c, machine_reset_closes);
    tcase_add_test(c, guest_data_reaches_the_peer);
    tcase_add_test(c, guest_data_without_peer_is_discarded);
    tcase_add_test(c, slow_peer_loses_nothing);
    tcase_add_test(c, blocked_output_ends_when_the_peer_goes);
    tcase_add_test(c, console_output_is_dropped_when_the_peer_does_not_read);
    tcase_add_test(c, host_data_waits_until_the_guest_opens);
    tcase_add_test(c, slow_guest_loses_nothing);
    tcase_add_test(c, interrupts_are_coalesced);
    tcase_add_test(c, reset_with_data_in_flight);
    tcase_add_test(c, without_multiport_port_0_is_open_at_once);
    tcase_add_test(c, port_comes_and_goes_while_the_guest_runs);
    tcase_add_test(c, serial_device_may_go_before_its_ports);
    tcase_add_test(c, resets_race_with_the_main_loop);
    tcase_add_test(c, bus_may_be_full);
    tcase_add_test(c, unplugged_port_gives_everything_back);
    tcase_add_test(c, bad_options_are_told);
    tcase_add_test(c, without_a_bus_is_told);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return check_run(suite());
}
