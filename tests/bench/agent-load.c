// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measures a guest agent (ours or qemu-ga) over a unix socket: agent-load FOLDER AGENT. Starts it twice,
 * prints lines "MEASURE VALUE". Waits for replies and reads no more of them than it needs, so that the
 * agent's own cost shows.
 */
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MIB = 1 << 20,
    PINGS = 20000,
    FILE_BYTES = 64 * MIB,
    CHUNK = MIB,
    BIG_READ = 16 * MIB,
    EXECS = 300,
    START_LIMIT_US = 30 * G_USEC_PER_SEC,
    STOP_LIMIT_US = 5 * G_USEC_PER_SEC,
    REPLY_LIMIT_S = 60,
};

typedef struct Agent {
    const char *program;
    char *socket_path, *file_path;
    pid_t pid;
    int fd;
    GByteArray *reply; /* the last one, whole; a zero byte follows */
} Agent;

static void G_GNUC_NORETURN fail(const char *what)
{
    fprintf(stderr, "agent-load: %s: %s\n", what, g_strerror(errno));
    exit(1);
}

static void send_all(Agent *agent, const char *text, gsize length)
{
    while (length > 0) {
        ssize_t count = write(agent->fd, text, length);

        if (count < 0)
            fail("the agent does not read");
        text += count;
        length -= (gsize)count;
    }
}

static void receive(Agent *agent)
{
    guint8 buffer[128 << 10];
    ssize_t count;

    g_byte_array_set_size(agent->reply, 0);
    do {
        count = read(agent->fd, buffer, sizeof buffer);
        if (count <= 0)
            fail("no reply");
        g_byte_array_append(agent->reply, buffer, (guint)count);
    } while (buffer[count - 1] != '\n');
    g_byte_array_append(agent->reply, (const guint8 *)"", 1);
    if (g_str_has_prefix((const char *)agent->reply->data, "{\"error\"")) {
        fprintf(stderr, "agent-load: %s: %.500s\n", agent->program, (const char *)agent->reply->data);
        exit(1);
    }
}

static const char *call(Agent *agent, const char *request)
{
    send_all(agent, request, strlen(request));
    receive(agent);
    return (const char *)agent->reply->data;
}

/* The integer after a member's name in the last reply. */
static gint64 member(const Agent *agent, const char *name)
{
    const char *at = strstr((const char *)agent->reply->data, name);

    return at == NULL ? -1 : g_ascii_strtoll(strchr(at, ':') + 1, NULL, 10);
}

static gint64 start(Agent *agent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = REPLY_LIMIT_S};
    gint64 begun = g_get_monotonic_time();
    g_autofree char *folder = g_path_get_dirname(agent->socket_path);

    unlink(agent->socket_path);
    g_strlcpy(address.sun_path, agent->socket_path, sizeof address.sun_path);
    agent->pid = fork();
    if (agent->pid == 0) {
        execl(agent->program, agent->program, "-m", "unix-listen", "-p", agent->socket_path, "-t", folder,
              (char *)NULL);
        _exit(127);
    }
    agent->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(agent->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(agent->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    while (connect(agent->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        if (g_get_monotonic_time() - begun > START_LIMIT_US)
            fail(agent->program);
        g_usleep(50);
    }
    call(agent, "{\"execute\": \"guest-ping\"}\n");
    return g_get_monotonic_time() - begun;
}

/* qemu-ga is known to outlive a SIGTERM now and then. */
static void stop(Agent *agent)
{
    gint64 begun = g_get_monotonic_time();

    close(agent->fd);
    kill(agent->pid, SIGTERM);
    while (waitpid(agent->pid, NULL, WNOHANG) == 0) {
        if (g_get_monotonic_time() - begun > STOP_LIMIT_US) {
            kill(agent->pid, SIGKILL);
            waitpid(agent->pid, NULL, 0);
            return;
        }
        g_usleep(1000);
    }
}

/* KiB of a line in a file of the process. */
static gint64 kib(const Agent *agent, const char *file, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", agent->pid, file), *text = NULL;
    const char *at;

    if (!g_file_get_contents(path, &text, NULL, NULL) || (at = strstr(text, name)) == NULL)
        fail(path);
    return g_ascii_strtoll(at + strlen(name), NULL, 10);
}

/* Processor time of all threads, in us. */
static gint64 cpu(const Agent *agent)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/task", agent->pid);
    g_autoptr(GDir) tasks = g_dir_open(folder, 0, NULL);
    const char *task;
    gint64 total = 0;

    while (tasks != NULL && (task = g_dir_read_name(tasks)) != NULL) {
        g_autofree char *path = g_strdup_printf("%s/%s/schedstat", folder, task), *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL))
            total += g_ascii_strtoll(text, NULL, 10) / 1000;
    }
    return total;
}

static void print(const char *measure, double value)
{
    printf("%s %.3f\n", measure, value);
}

static gint64 open_file(Agent *agent, const char *mode)
{
    g_autofree char *request = g_strdup_printf(
        "{\"execute\": \"guest-file-open\", \"arguments\": {\"path\": \"%s\", \"mode\": \"%s\"}}\n",
        agent->file_path, mode);

    call(agent, request);
    return member(agent, "\"return\"");
}

static void close_file(Agent *agent, gint64 handle)
{
    g_autofree char *request = g_strdup_printf(
        "{\"execute\": \"guest-file-close\", \"arguments\": {\"handle\": %" G_GINT64_FORMAT "}}\n", handle);

    call(agent, request);
}

static void measure_pings(Agent *agent)
{
    gint64 used = cpu(agent), begun = g_get_monotonic_time();

    for (int i = 0; i < PINGS; i++)
        call(agent, "{\"execute\": \"guest-ping\"}\n");
    print("pings-per-second", PINGS * 1e6 / (double)(g_get_monotonic_time() - begun));
    print("cpu-us-per-ping", (double)(cpu(agent) - used) / PINGS);
}

static void measure_writes(Agent *agent)
{
    g_autofree guint8 *data = g_malloc(CHUNK);
    g_autofree char *text = NULL, *request = NULL;
    gint64 handle = open_file(agent, "w"), used, begun;
    gsize length;

    for (int i = 0; i < CHUNK; i++)
        data[i] = (guint8)(i * 7 + i / 251);
    text = g_base64_encode(data, CHUNK);
    request =
        g_strdup_printf("{\"execute\": \"guest-file-write\", \"arguments\": {\"handle\": %" G_GINT64_FORMAT
                        ", \"buf-b64\": \"%s\"}}\n",
                        handle, text);
    length = strlen(request);
    used = cpu(agent);
    begun = g_get_monotonic_time();
    for (int done = 0; done < FILE_BYTES; done += CHUNK) {
        send_all(agent, request, length);
        receive(agent);
    }
    print("write-mib-per-second", FILE_BYTES / (double)MIB * 1e6 / (double)(g_get_monotonic_time() - begun));
    print("write-cpu-ms", (double)(cpu(agent) - used) / 1000);
    close_file(agent, handle);
}

static void read_file(Agent *agent, gint64 handle, int chunk, int total)
{
    g_autofree char *request =
        g_strdup_printf("{\"execute\": \"guest-file-read\", \"arguments\": {\"handle\": %" G_GINT64_FORMAT
                        ", \"count\": %d}}\n",
                        handle, chunk);

    for (int done = 0; done < total; done += chunk)
        call(agent, request);
}

static void measure_reads(Agent *agent)
{
    gint64 handle = open_file(agent, "r"), used = cpu(agent), begun = g_get_monotonic_time();

    read_file(agent, handle, CHUNK, FILE_BYTES);
    print("read-mib-per-second", FILE_BYTES / (double)MIB * 1e6 / (double)(g_get_monotonic_time() - begun));
    print("read-cpu-ms", (double)(cpu(agent) - used) / 1000);
    close_file(agent, handle);
}

static void measure_execs(Agent *agent)
{
    gint64 begun = g_get_monotonic_time();

    for (int i = 0; i < EXECS; i++) {
        g_autofree char *status = NULL;

        call(agent, "{\"execute\": \"guest-exec\", \"arguments\": {\"path\": \"/bin/true\"}}\n");
        status = g_strdup_printf(
            "{\"execute\": \"guest-exec-status\", \"arguments\": {\"pid\": %" G_GINT64_FORMAT "}}\n",
            member(agent, "\"pid\""));
        while (strstr(call(agent, status), "\"exited\": false") != NULL)
            continue;
    }
    print("execs-per-second", EXECS * 1e6 / (double)(g_get_monotonic_time() - begun));
}

static void measure_big_read(Agent *agent)
{
    gint64 before = kib(agent, "status", "VmHWM:"), handle = open_file(agent, "r");

    read_file(agent, handle, BIG_READ, BIG_READ);
    close_file(agent, handle);
    print("big-read-peak-mib", (double)kib(agent, "status", "VmHWM:") / 1024);
    print("big-read-growth-mib", (double)(kib(agent, "status", "VmHWM:") - before) / 1024);
}

int main(int argc, char **argv)
{
    Agent agent = {.reply = g_byte_array_new()};

    if (argc != 3) {
        fprintf(stderr, "usage: agent-load FOLDER AGENT\n");
        return 2;
    }
    agent.program = argv[2];
    agent.socket_path = g_build_filename(argv[1], "agent.sock", NULL);
    agent.file_path = g_build_filename(argv[1], "file", NULL);
    print("start-ms", (double)start(&agent) / 1000);
    print("idle-pss-mib", (double)kib(&agent, "smaps_rollup", "\nPss:") / 1024);
    measure_pings(&agent);
    measure_writes(&agent);
    measure_reads(&agent);
    measure_execs(&agent);
    stop(&agent);
    start(&agent);
    measure_big_read(&agent);
    stop(&agent);
    unlink(agent.file_path);
    g_byte_array_unref(agent.reply);
    g_free(agent.socket_path);
    g_free(agent.file_path);
    return 0;
}
