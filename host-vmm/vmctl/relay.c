// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/vmctl/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "host-vmm/vmctl/vmctl.h"

enum {
    DETACH_KEY = 0x1d, /* Ctrl-], as in telnet and virsh */
    BUFFER_SIZE = 16384,
    WRITE_SIZE = 4096, /* what a pipe that is said to be writable takes without blocking (PIPE_BUF) */
    RETRY_MS = 20,
};

/* Bytes on their way in one direction. */
typedef struct Buffer {
    char bytes[BUFFER_SIZE];
    gsize start, end;
} Buffer;

typedef struct Relay {
    int socket, signals;
    gint64 deadline;
    gboolean is_terminal; /* stdin */
    gboolean input_ended, socket_ended;
    gboolean detach; /* Ctrl-] was typed */
    Buffer to_guest, to_user;
    const char *until;
    gsize until_length;
    GString *recent; /* the last bytes of output, in which `until` may have begun */
} Relay;

int relay_connect(const char *path, guint timeout_ms, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    gint64 deadline = deadline_after_ms(timeout_ms);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, MIN(strlen(path), sizeof address.sun_path - 1));
    while (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int number = errno;

        if (number != EAGAIN || deadline_left_ms(deadline) == 0) { /* EAGAIN: its queue is full */
            close(fd);
            fd = -1;
            errno = number;
        } else {
            g_usleep(RETRY_MS * 1000);
        }
    }
    if (fd < 0)
        g_set_error(error, VMCTL_ERROR, errno == EAGAIN ? VMCTL_TIMED_OUT : VMCTL_FAILED,
                    "cannot connect to %s: %s", path, g_strerror(errno));
    return fd;
}

static gsize room(const Buffer *buffer)
{
    return buffer->start == buffer->end ? BUFFER_SIZE : BUFFER_SIZE - buffer->end;
}

static gboolean is_empty(const Buffer *buffer)
{
    return buffer->start == buffer->end;
}

static char *write_position(Buffer *buffer)
{
    if (is_empty(buffer))
        buffer->start = buffer->end = 0;
    return buffer->bytes + buffer->end;
}

static gboolean is_transient(void)
{
    return errno == EINTR || errno == EAGAIN;
}

static void read_input(Relay *relay)
{
    Buffer *buffer = &relay->to_guest;
    char surplus[256];
    /* A guest that reads no more must not keep the key from working: what is typed then is dropped. */
    gboolean drop = room(buffer) == 0;
    char *at = drop ? surplus : write_position(buffer);
    gssize count = read(STDIN_FILENO, at, drop ? sizeof surplus : room(buffer));

    if (count > 0) {
        const char *key = relay->is_terminal ? memchr(at, DETACH_KEY, (gsize)count) : NULL;
        relay->detach = key != NULL;
        if (!drop)
            buffer->end += key != NULL ? (gsize)(key - at) : (gsize)count;
    } else if (count == 0 || !is_transient()) {
        relay->input_ended = TRUE;
    }
}

static void read_socket(Relay *relay)
{
    char *at = write_position(&relay->to_user);
    gssize count = recv(relay->socket, at, room(&relay->to_user), MSG_DONTWAIT);

    if (count > 0)
        relay->to_user.end += (gsize)count;
    else if (count == 0 || !is_transient())
        relay->socket_ended = TRUE;
}

static void write_socket(Relay *relay)
{
    Buffer *buffer = &relay->to_guest;
    gssize count = send(relay->socket, buffer->bytes + buffer->start, buffer->end - buffer->start,
                        MSG_DONTWAIT | MSG_NOSIGNAL);

    if (count > 0)
        buffer->start += (gsize)count;
    else if (!is_transient())
        buffer->start = buffer->end; /* it has gone; what it has still sent is read before the end is told */
}

/* Whether the text that is waited for ends in what was just written. */
static gboolean has_found(Relay *relay, const char *bytes, gsize count)
{
    gboolean found;

    if (relay->until == NULL)
        return FALSE;
    g_string_append_len(relay->recent, bytes, (gssize)count);
    found = memmem(relay->recent->str, relay->recent->len, relay->until, relay->until_length) != NULL;
    if (relay->recent->len >= relay->until_length)
        g_string_erase(relay->recent, 0, (gssize)(relay->recent->len - relay->until_length + 1));
    return found;
}

static gboolean write_output(Relay *relay, RelayEnd *end)
{
    Buffer *buffer = &relay->to_user;
    const char *at = buffer->bytes + buffer->start;
    gssize count = write(STDOUT_FILENO, at, MIN(buffer->end - buffer->start, WRITE_SIZE));

    if (count > 0) {
        buffer->start += (gsize)count;
        if (has_found(relay, at, (gsize)count)) {
            *end = RELAY_FOUND;
            return FALSE;
        }
    } else if (count < 0 && !is_transient()) {
        *end = RELAY_NO_OUTPUT;
        return FALSE;
    }
    return TRUE;
}

/* One wait and what it brings; FALSE when the relay is over. */
static gboolean turn(Relay *relay, RelayEnd *end)
{
    enum { INPUT, OUTPUT, SOCKET, SIGNALS };
    gboolean want_input = !relay->input_ended && (relay->is_terminal || room(&relay->to_guest) > 0);
    gboolean want_socket = !relay->socket_ended && room(&relay->to_user) > 0;
    struct pollfd fds[] = {
        [INPUT] = {.fd = want_input ? STDIN_FILENO : -1, .events = POLLIN},
        [OUTPUT] = {.fd = is_empty(&relay->to_user) ? -1 : STDOUT_FILENO, .events = POLLOUT},
        [SOCKET] = {.fd = relay->socket_ended ? -1 : relay->socket},
        [SIGNALS] = {.fd = relay->signals, .events = POLLIN},
    };
    int wait = relay->deadline == 0 ? -1 : (int)deadline_left_ms(relay->deadline);

    if (relay->socket_ended && is_empty(&relay->to_user)) {
        *end = RELAY_CLOSED;
        return FALSE;
    }
    if (wait == 0) {
        *end = RELAY_TIMED_OUT;
        return FALSE;
    }
    fds[SOCKET].events = (short)((want_socket ? POLLIN : 0) | (is_empty(&relay->to_guest) ? 0 : POLLOUT));
    /* Without any wish, POLLHUP alone would make poll() return at once, over and over. */
    if (fds[SOCKET].events == 0)
        fds[SOCKET].fd = -1;
    if (poll(fds, G_N_ELEMENTS(fds), wait) < 0)
        return TRUE;
    if (fds[SIGNALS].revents != 0) {
        *end = RELAY_SIGNALLED;
        return FALSE;
    }
    if (fds[INPUT].revents != 0)
        read_input(relay);
    if (!is_empty(&relay->to_guest))
        write_socket(relay);
    if (relay->detach) {
        *end = RELAY_DETACHED;
        return FALSE;
    }
    if (want_socket && fds[SOCKET].revents & (POLLIN | POLLHUP | POLLERR))
        read_socket(relay);
    return fds[OUTPUT].revents == 0 || write_output(relay, end);
}

RelayEnd relay_run(int socket, int signals, gint64 deadline, const char *until)
{
    g_autofree Relay *relay = g_new0(Relay, 1);
    struct termios saved, raw;
    gboolean is_raw = FALSE;
    RelayEnd end = RELAY_CLOSED;

    relay->socket = socket;
    relay->signals = signals;
    relay->deadline = deadline;
    relay->until = until;
    relay->until_length = until == NULL ? 0 : strlen(until);
    relay->recent = g_string_new(NULL);
    relay->is_terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
    if (relay->is_terminal) {
        raw = saved;
        cfmakeraw(&raw);
        is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
    }
    while (turn(relay, &end))
        continue;
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    g_string_free(relay->recent, TRUE);
    return end;
}
