// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The QMP server on a machine that is only words: what goes to which client, and what becomes of those that
 * do not read.
 */
#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-vmm/qmp/server.h"
#include "tests/check-run.h"
#include "tests/unit/fake-machine.h"

/* ---- fixture ---- */

static char *folder, *path;
static Machine machine;
static ChardevSet *chardevs;
static QmpServer *server;

static Chardev *add_chardev(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) options = optset_parse("-chardev", text, "backend", &error);
    Chardev *chardev = chardev_set_add(chardevs, options, &error);

    ck_assert_msg(chardev != NULL, "%s", error != NULL ? error->message : text);
    return chardev;
}

static gboolean add_monitor(const char *text, GError **error)
{
    g_autoptr(OptSet) options = optset_parse("-mon", text, "chardev", NULL);

    return qmp_server_add_monitor(server, options, error);
}

static void setup(void)
{
    g_autofree char *text = NULL;

    folder = g_dir_make_tmp("qmp-XXXXXX", NULL);
    path = g_build_filename(folder, "q.sock", NULL);
    text = g_strdup_printf("socket,id=m,path=%s,server=on,wait=off", path);
    machine =
        (Machine){.config = {.vcpus = 1, .sockets = 2, .cores = 2, .threads = 1, .cpu = cpu_model_new_host()},
                  .state = MACHINE_PAUSED,
                  .env.devices = g_ptr_array_new(),
                  .env.fds = fd_store_new(),
                  .asked_back = -1};
    chardevs = chardev_set_new();
    server = qmp_server_new(&machine, chardevs);
    add_chardev(text);
    ck_assert(add_monitor("m,mode=control,id=mon0,pretty=off", NULL));
}

static void teardown(void)
{
    cpu_model_free(machine.config.cpu);
    qmp_server_free(server);
    ck_assert_ptr_null(machine.event);
    g_ptr_array_unref(machine.env.devices);
    fd_store_free(machine.env.fds);
    chardev_set_free(chardevs);
    ck_assert_int_eq(g_rmdir(folder), 0);
    g_free(path);
    g_free(folder);
}

static void settle(void)
{
    for (guint i = 0; i < 20; i++) {
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        g_usleep(1000);
    }
}

static int client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (gssize)strlen(text));
    settle();
}

/* All that has come; "" after a hang-up. */
static char *take(int fd)
{
    GString *text = g_string_new(NULL);
    char buffer[65536];
    gssize got;

    settle();
    while ((got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
        g_string_append_len(text, buffer, got);
        settle();
    }
    return g_string_free(text, FALSE);
}

static gboolean is_hung_up(int fd)
{
    char byte;

    settle();
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static void negotiate(int fd)
{
    g_autofree char *text = NULL;

    put(fd, "{\"execute\": \"qmp_capabilities\"}\n");
    text = take(fd);
    ck_assert(g_str_has_prefix(text, "{\"QMP\": "));
    ck_assert(g_str_has_suffix(text, "\n{\"return\": {}}\n"));
}

static void asked(int fd, const char *request, const char *answer)
{
    g_autofree char *text = NULL;

    put(fd, request);
    text = take(fd);
    ck_assert_msg(strstr(text, answer) != NULL, "%s: %s", request, text);
}

/* ---- */

START_TEST (handlers) {
    int fd = client();

    negotiate(fd);
    asked(fd, "{'execute': 'query-status'}", "\"status\": \"paused\"");
    asked(fd, "{'execute': 'cont'}", "\"event\": \"RESUME\"}\n{\"return\": {}}\n");
    asked(fd, "{'execute': 'stop'}", "\"event\": \"STOP\"}\n{\"return\": {}}\n");
    asked(fd, "{'execute': 'system_reset'}", "{\"return\": {}}\n");
    asked(fd, "{'execute': 'system_powerdown'}", "{\"return\": {}}\n");
    ck_assert_uint_eq(machine.resets, 1);
    ck_assert_uint_eq(machine.powerdowns, 1);
    machine.state = MACHINE_INTERNAL_ERROR;
    asked(fd, "{'execute': 'query-status'}",
          "\"status\": \"internal-error\", \"singlestep\": false, \"running\": false");
    asked(fd, "{'execute': 'cont'}", "\"desc\": \"Resetting the Virtual Machine is required\"");
    asked(fd, "{'execute': 'quit', 'id': 1}", "{\"return\": {}, \"id\": 1}\n{\"timestamp\": ");
    ck_assert_uint_eq(machine.quits, 1);
    close(fd);
}
END_TEST

START_TEST (vcpus_come_and_go) {
    int fd = client();

    negotiate(fd);
    asked(
        fd, "{'execute': 'query-cpus-fast'}",
        "{\"return\": [{\"thread-id\": 100, \"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 0}, "
        "\"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0, \"target\": \"x86_64\"}]}\n");
    asked(
        fd,
        "{'execute': 'device_add', 'arguments': {'driver': 'host-x86_64-cpu', 'id': 'vcpu2', 'socket-id': 1, "
        "'core-id': 0, 'thread-id': 0}}",
        "{\"return\": {}}");
    ck_assert_str_eq(machine.ids[2], "vcpu2");
    asked(
        fd, "{'execute': 'query-hotpluggable-cpus'}",
        "{\"return\": [{\"props\": {\"core-id\": 1, \"thread-id\": 0, \"socket-id\": 1}, \"vcpus-count\": 1, "
        "\"type\": \"host-x86_64-cpu\"}, {\"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 1}, "
        "\"vcpus-count\": 1, \"qom-path\": \"/machine/peripheral/vcpu2\", \"type\": \"host-x86_64-cpu\"}");
    asked(fd, "{'execute': 'device_del', 'arguments': {'id': 'vcpu2'}}", "{\"return\": {}}");
    ck_assert_int_eq(machine.asked_back, 2);
    close(fd);
}
END_TEST

START_TEST (bad_device_add) {
    static const struct {
        const char *arguments, *error;
    } cases[] = {
        {"{'driver': 'virtio-rng-pci', 'id': 'x'}", "cannot be added to a running machine"},
        {"{'id': 'x'}", "Parameter 'driver' is missing"},
        {"{'driver': 'host-x86_64-cpu', 'socket-id': 1, 'core-id': 0}", "'id' is missing"},
        {"{'driver': 'host-x86_64-cpu', 'id': 'x', 'socket-id': 1}", "'core-id' is missing"},
        {"{'driver': 'host-x86_64-cpu', 'id': 'x', 'socket-id': 2, 'core-id': 0}", "socket-id"},
        {"{'driver': 'host-x86_64-cpu', 'id': 'x', 'socket-id': -1, 'core-id': 0}", "socket-id"},
        {"{'driver': 'host-x86_64-cpu', 'id': 'x', 'socket-id': 0, 'core-id': 0}", "is there already"},
        {"{'driver': 'host-x86_64-cpu', 'id': 'x', 'socket-id': 1, 'core-id': 0, 'node-id': 0}", "node-id"},
        {"{'driver': 'host-x86_64-cpu', 'id': 'twice', 'socket-id': 1, 'core-id': 0}",
         "Duplicate device ID 'twice'"},
    };
    int fd = client();

    machine.ids[3] = "twice";
    negotiate(fd);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *request =
            g_strdup_printf("{'execute': 'device_add', 'arguments': %s}", cases[i].arguments);

        asked(fd, request, cases[i].error);
    }
    asked(fd, "{'execute': 'device_del', 'arguments': {'id': 'none'}}", "\"class\": \"DeviceNotFound\"");
    close(fd);
}
END_TEST

START_TEST (deaf_client_is_dropped) {
    int deaf = client(), other = client(), half = client();
    g_autofree char *heard = NULL;
    static char buffer[65536];
    guint events = 0;

    negotiate(deaf);
    negotiate(other);
    put(half, "{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"query-st");
    /* 16 MiB of events of 80 bytes or so; the other one reads from time to time. */
    for (guint i = 0; i < 400; i++) {
        for (guint j = 0; j < 1000; j++) {
            fake_machine_emit(&machine, "STOP");
            events++;
            while (g_main_context_iteration(NULL, FALSE) ||
                   recv(other, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
            }
        }
    }
    ck_assert_uint_gt(events * 80, 16 << 20);
    /* What the kernel holds is still there, then the end. */
    heard = take(deaf);
    ck_assert_uint_lt(strlen(heard), 16 << 20);
    ck_assert(is_hung_up(deaf));
    ck_assert(!is_hung_up(other));
    asked(other, "{'execute': 'query-status'}", "\"paused\"");
    close(deaf);
    close(other);
    close(half);
    settle();
}
END_TEST

START_TEST (last_words) {
    int fd = client();
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[65536];
    gssize got;
    guint lines = 0;

    negotiate(fd);
    for (guint i = 0; i < 20000; i++) {
        fake_machine_emit(&machine, "STOP");
    }
    /* More than a socket holds: flushing gives up in time when nobody reads. */
    qmp_server_flush(server, 50);
    for (;;) {
        qmp_server_flush(server, 1);
        got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (got <= 0) {
            break;
        }
        g_string_append_len(text, buffer, got);
    }
    for (const char *c = text->str; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    ck_assert_uint_eq(lines, 20000);
    close(fd);
}
END_TEST

START_TEST (clients_vanish) {
    for (guint i = 0; i < 50; i++) {
        int fd = client();

        if (i % 3 > 0) {
            settle();
        }
        put(fd, "{\"execute\": \"qmp_capabilities\"}{\"execute\": \"qu");
        if (i % 2 > 0) {
            close(fd);
            fake_machine_emit(&machine, "STOP");
        } else {
            fake_machine_emit(&machine, "STOP");
            close(fd);
        }
    }
    settle();
    ck_assert(!g_main_context_pending(NULL));
}
END_TEST

/* A character device with one peer: a new peer is a new session. */
START_TEST (stream) {
    g_autofree char *other = g_build_filename(folder, "c.sock", NULL), *text = NULL, *first = NULL,
                    *second = NULL;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    g_strlcpy(address.sun_path, other, sizeof(address.sun_path));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    text = g_strdup_printf("socket,id=c,path=%s,reconnect=1", other);
    add_chardev(text);
    ck_assert(add_monitor("chardev=c,mode=control", NULL));
    fd = accept(listener, NULL, NULL);
    negotiate(fd);
    fake_machine_emit(&machine, "STOP");
    first = take(fd);
    ck_assert_ptr_nonnull(strstr(first, "STOP"));
    put(fd, "{\"execute\": \"query-stat");
    close(fd);
    settle();
    for (guint i = 0; i < 300 && !g_main_context_iteration(NULL, FALSE); i++) {
        g_usleep(10000);
    }
    fd = accept(listener, NULL, NULL);
    second = take(fd);
    ck_assert(g_str_has_prefix(second, "{\"QMP\": "));
    fake_machine_emit(&machine, "STOP");
    asked(fd, "{'execute': 'query-status'}", "Expecting capabilities negotiation");
    asked(fd, "{'execute': 'qmp_capabilities'}", "{\"return\": {}}");
    asked(fd, "{'execute': 'query-status'}", "\"paused\"");
    close(fd);
    close(listener);
    g_unlink(other);
}
END_TEST

START_TEST (bad_monitors) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"mode=control", "-mon: 'chardev' is missing"},
        {"m", "-mon m: only mode=control (QMP) is supported"},
        {"m,mode=readline", "only mode=control"},
        {"m,mode=control,pretty=on", "pretty=on is not supported"},
        {"m,mode=control,pretty=x", "'pretty' must be on or off"},
        {"nobody,mode=control", "there is no chardev 'nobody'"},
        {"m,mode=control,x=1", "unknown property 'x'"},
        {"m,mode=control", "chardev 'm' is already in use by a monitor"},
        {"n,mode=control", "chardev 'n' is already in use by a monitor"},
    };

    add_chardev("null,id=n");
    ck_assert(add_monitor("n,mode=control", NULL));
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        ck_assert_msg(!add_monitor(cases[i].text, &error), "%s", cases[i].text);
        ck_assert_msg(strstr(error->message, cases[i].message) != NULL, "%s: %s", cases[i].text,
                      error->message);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp_server");
    TCase *tcase = tcase_create("qmp_server");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, handlers);
    tcase_add_test(tcase, vcpus_come_and_go);
    tcase_add_test(tcase, bad_device_add);
    tcase_add_test(tcase, deaf_client_is_dropped);
    tcase_add_test(tcase, last_words);
    tcase_add_test(tcase, clients_vanish);
    tcase_add_test(tcase, stream);
    tcase_add_test(tcase, bad_monitors);
    suite_add_tcase(suite, tcase);
    return check_run(suite);
}
