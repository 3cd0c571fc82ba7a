// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes QMP: a client that has negotiated sends the input, in two pieces. All commands are there, on a
 * machine without a guest. Nothing may crash, hang or leak, and whoever comes next is answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/qmp/server.h"
#include "tests/device/driver.h"
#include "tests/unit/fake-machine.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status);

static gboolean playing; /* what our own code opens is the input's wish */

int __wrap_open(const char *path, int flags, mode_t mode)
{
    errno = EACCES;
    return playing ? -1 : __real_open(path, flags, mode);
}

int __wrap_socket(int domain, int type, int protocol)
{
    errno = EACCES;
    return playing ? -1 : __real_socket(domain, type, protocol);
}

int __wrap_stat(const char *path, struct stat *status)
{
    errno = EACCES;
    return playing ? -1 : __real_stat(path, status);
}

static GLogWriterOutput drop_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                 gpointer user_data)
{
    return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default(level, fields, count, NULL)
                                            : G_LOG_WRITER_HANDLED;
}

static void send_text(int fd, const void *text, gsize size)
{
    while (size > 0) {
        gssize sent = send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* full, or hung up on */
        }
        text = (const char *)text + sent;
        size -= (gsize)sent;
    }
}

/* Lets the server work; what it says is thrown away. */
static void settle(int fd)
{
    char bytes[4096];
    for (guint idle = 0; idle < 3;) {
        gboolean busy = FALSE;
        while (g_main_context_iteration(NULL, FALSE)) {
            busy = TRUE;
        }
        while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
            busy = TRUE;
        }
        idle = busy ? 0 : idle + 1;
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static gboolean quiet;
    if (!quiet) {
        g_log_set_writer_func(drop_log, NULL, NULL);
        quiet = TRUE;
    }
    Rig *rig = rig_new();
    Machine machine = {.config = {.name = (char *)"fuzz",
                                  .vcpus = 1,
                                  .sockets = 2,
                                  .cores = 2,
                                  .threads = 1,
                                  .cpu = cpu_model_new_host()},
                       .state = MACHINE_RUNNING,
                       .env = rig->env,
                       .asked_back = -1};
    int pair[2];
    g_assert_true(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    g_autofree char *text = g_strdup_printf("socket,id=m,fd=%d", pair[1]);
    rig_chardev(rig, text);
    QmpServer *server = qmp_server_new(&machine, rig->env.chardevs);
    g_autoptr(OptSet) options = optset_parse("-mon", "m,mode=control", "chardev", NULL);
    g_assert_true(qmp_server_add_monitor(server, options, NULL));

    static const char negotiate[] = "{\"execute\": \"qmp_capabilities\"}\n";
    playing = TRUE;
    send_text(pair[0], negotiate, strlen(negotiate));
    gsize half = size / 2;
    send_text(pair[0], data, half);
    settle(pair[0]);
    send_text(pair[0], data + half, size - half);
    settle(pair[0]);
    playing = FALSE;

    close(pair[0]);
    qmp_server_free(server);
    cpu_model_free(machine.config.cpu);
    rig_free(rig);
    return 0;
}
