// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Method virtio-serial: a named port of a virtio console device. Method isa-serial: a serial line.
 *
 * The port may not be there yet, may be unplugged and come back; the host's side may be closed and open again
 * (peer.h, CHANNEL_PORT). None of this ends the agent, and none of it is polled for.
 */
#include "guest-agent/transport.h"
#include "guest-agent/peer.h"
#include "guest-agent/port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define RETRY_MS       5000 /* when the node is there but not to be used now: another process has the port open */
#define RETRY_FIRST_MS 100 /* after a loss: what was put in its place before we watched made no event */

typedef struct SerialPort {
    TransportHost host;
    char *path;
    Peer *peer;
    PortWatch *watch; /* while there is no peer */
    guint retry;
    gint64 opened;     /* monotonic, µs */
    gboolean was_good; /* something came through it */
    guint retry_delay; /* ms, after a loss */
    int told;          /* errno of the last trouble that was logged: each is told once */
} SerialPort;

static void serial_port_wait(SerialPort *port);

static void tell(SerialPort *port, int errnum)
{
    if (port->told == errnum)
        return;
    port->told = errnum;
    if (errnum == ENOENT)
        g_warning("port %s is not there: waiting for it", port->path);
    else
        g_warning("port %s is not to be used now: %s; trying again", port->path, g_strerror(errnum));
}

static void on_closed(Peer *peer, int errnum, gpointer user_data)
{
    SerialPort *port = user_data;
    port->was_good = peer_was_used(peer) || g_get_monotonic_time() - port->opened > RETRY_FIRST_MS * 1000;
    peer_free(peer);
    port->peer = NULL;
    g_info("port %s is gone: %s", port->path, errnum ? g_strerror(errnum) : "hung up");
    serial_port_wait(port);
}

/* Whether the port may be used later though not now. */
static gboolean may_come_back(int errnum)
{
    return errnum == ENOENT || errnum == ENXIO || errnum == ENODEV || errnum == EBUSY || errnum == EIO ||
           errnum == ENOTDIR;
}

/* A terminal must neither echo nor change bytes, and has no carrier to lose. FALSE if it is none. */
static gboolean make_raw(int fd)
{
    struct termios tio;
    if (tcgetattr(fd, &tio) < 0)
        return FALSE;
    cfmakeraw(&tio);
    tio.c_cflag |= CLOCAL | CREAD;
    tio.c_cc[VMIN] = 1;
    tio.c_cc[VTIME] = 0;
    cfsetspeed(&tio, B38400); /* qemu-ga's */
    tcsetattr(fd, TCSANOW, &tio);
    return TRUE;
}

/* FALSE and errno: not now or never (may_come_back()). */
static gboolean serial_port_open(SerialPort *port)
{
    g_autofree char *node = port_find(port->path, "");
    if (!node) {
        errno = ENOENT;
        return FALSE;
    }
    int fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return FALSE;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
        close(fd);
        errno = ENOTTY;
        return FALSE;
    }
    gboolean is_tty = make_raw(fd); /* its hang-up is final */
    port->peer = peer_new(port->host.server, fd, is_tty ? CHANNEL_STREAM : CHANNEL_PORT, on_closed, port);
    if (!port->peer)
        return FALSE;
    g_info("port %s is open", node);
    port->told = 0;
    port->opened = g_get_monotonic_time();
    return TRUE;
}

static gboolean on_retry(gpointer user_data);

/* Opens the port, or arranges to be called when that may work. FALSE and errno if it never will. */
static gboolean serial_port_try(SerialPort *port)
{
    if (serial_port_open(port)) {
        g_clear_pointer(&port->watch, port_watch_free);
        return TRUE;
    }
    int errnum = errno;
    if (may_come_back(errnum)) {
        tell(port, errnum);
        if (errnum != ENOENT && !port->retry) /* no event tells when another opener lets go */
            port->retry = g_timeout_add(RETRY_MS, on_retry, port);
        return TRUE;
    }
    errno = errnum;
    return FALSE;
}

static GError *never(SerialPort *port, int errnum)
{
    return g_error_new(G_FILE_ERROR, g_file_error_from_errno(errnum), "cannot use port %s: %s", port->path,
                       errnum == ENOTTY ? "not a character device" : g_strerror(errnum));
}

static void try_or_fail(gpointer user_data)
{
    SerialPort *port = user_data;
    if (!port->peer && !serial_port_try(port))
        port->host.failed(never(port, errno), port->host.user_data);
}

static gboolean on_retry(gpointer user_data)
{
    SerialPort *port = user_data;
    port->retry = 0;
    try_or_fail(port);
    return G_SOURCE_REMOVE;
}

/* After a loss: we look for the port on events, and soon once more; but one that fails as soon as it is
 * opened is opened again less and less often. */
static void serial_port_wait(SerialPort *port)
{
    port->retry_delay =
        port->was_good || !port->retry_delay ? RETRY_FIRST_MS : MIN(port->retry_delay * 2, RETRY_MS);
    if (!port->watch)
        port->watch = port_watch_new(port->path, try_or_fail, port);
    if (!port->retry)
        port->retry = g_timeout_add(port->retry_delay, on_retry, port);
}

static void serial_port_stop(gpointer transport)
{
    SerialPort *port = transport;
    port_watch_free(port->watch);
    if (port->retry)
        g_source_remove(port->retry);
    peer_free(port->peer);
    g_free(port->path);
    g_free(port);
}

static gpointer serial_port_start(const char *path, const TransportHost *host, GError **error)
{
    SerialPort *port = g_new0(SerialPort, 1);
    port->host = *host;
    port->path = g_strdup(path);
    port->watch = port_watch_new(path, try_or_fail, port); /* first, so that nothing is missed */
    if (!serial_port_try(port)) {
        g_propagate_error(error, never(port, errno));
        serial_port_stop(port);
        return NULL;
    }
    return port;
}

const TransportOps TRANSPORT_VIRTIO_SERIAL = {"virtio-serial", "/dev/virtio-ports/org.qemu.guest_agent.0",
                                              serial_port_start, serial_port_stop};
const TransportOps TRANSPORT_ISA_SERIAL = {"isa-serial", "/dev/ttyS0", serial_port_start, serial_port_stop};
