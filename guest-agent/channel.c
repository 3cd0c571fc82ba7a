// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest-agent/channel.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE    65536 /* bytes a read() */
#define READ_BUDGET  16    /* reads before other sources get their turn */
#define WRITE_BUDGET 64    /* writes likewise */
#define DOUBT_MS     250   /* see note_port_hangup() */

struct Channel {
    GSource source; /* must be first: the channel is its own main loop source */
    int fd;
    int epoll_fd;
    ChannelKind kind;
    gboolean is_socket;
    ChannelFuncs funcs;
    gpointer user_data;

    char *in; /* READ_SIZE bytes, of which [in_start, in_end) wait to be taken */
    gsize in_start, in_end;
    GQueue out;       /* of GBytes */
    gsize out_offset; /* bytes of the first that have gone */
    gsize out_bytes;

    gboolean readable, writable; /* as far as the edges have told */
    gboolean hung_up;            /* the last edge came with a hang-up */
    gboolean heard;              /* PORT: something has been read since the hang-up */
    guint doubt;                 /* PORT, timer: is the host's side closed, or just being opened? */
    gboolean held;               /* the consumer left input */
    gboolean full;               /* above CHANNEL_OUTPUT_HIGH and not yet below _LOW again */
    gboolean drain_due;          /* output was queued: tell when it has gone */
    gboolean eof;
    gboolean gone; /* a socket's peer has closed it, not only its sending side */
    gboolean freed;
    int errnum;
};

static void drop_output(Channel *channel)
{
    g_queue_clear_full(&channel->out, (GDestroyNotify)g_bytes_unref);
    channel->out_offset = channel->out_bytes = 0;
    channel->full = FALSE;
}

/* Has dispatch called at the next turn of the loop, whatever the descriptor does. */
static void wake(Channel *channel)
{
    g_source_set_ready_time(&channel->source, 0);
}

static void end_doubt(Channel *channel)
{
    if (channel->doubt)
        g_source_remove(channel->doubt);
    channel->doubt = 0;
}

static gboolean doubt_is_over(gpointer user_data)
{
    Channel *channel = user_data;
    channel->doubt = 0;
    channel->heard = FALSE;
    channel->funcs.eof(channel->user_data);
    return G_SOURCE_REMOVE;
}

static void begin_doubt(Channel *channel)
{
    if (!channel->doubt)
        channel->doubt = g_timeout_add(DOUBT_MS, doubt_is_over, channel);
}

/* A port hangs up when the host's side is closed. But data that came with a hang-up may be of a host that has
 * just opened it: Linux's driver learns of the opening from a work queue, of data from the interrupt, and may
 * have the data first. Only when no edge without a hang-up follows soon, it was the end. */
static void note_port_hangup(Channel *channel, gboolean hung_up)
{
    if (!hung_up) {
        end_doubt(channel);
        channel->heard = FALSE;
    } else if (!channel->hung_up) {
        drop_output(channel); /* was for who has gone, and must not keep us from reading */
        begin_doubt(channel);
    }
}

static void read_edges(Channel *channel)
{
    struct epoll_event event;
    if (epoll_wait(channel->epoll_fd, &event, 1, 0) != 1)
        return;
    if (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        channel->readable = TRUE;
    if (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        channel->writable = TRUE;
    if (channel->is_socket && (event.events & EPOLLHUP))
        channel->gone = TRUE;
    gboolean hung_up = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (channel->kind == CHANNEL_PORT)
        note_port_hangup(channel, hung_up);
    channel->hung_up = hung_up;
}

/* Writes until nothing is left or the kernel takes no more. Returns bytes written. */
static gsize write_some(Channel *channel, const char *data, gsize length)
{
    gsize done = 0;
    while (done < length && channel->writable && !channel->errnum) {
        gssize n = write(channel->fd, data + done, length - done);
        if (n > 0)
            done += (gsize)n;
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK)
            channel->writable = FALSE;
        else
            channel->errnum = errno;
    }
    return done;
}

static void flush_output(Channel *channel)
{
    for (int i = 0; i < WRITE_BUDGET && channel->writable && !channel->errnum; i++) {
        GBytes *bytes = g_queue_peek_head(&channel->out);
        if (!bytes)
            break;
        gsize length;
        const char *data = g_bytes_get_data(bytes, &length);
        gsize piece = MIN(length - channel->out_offset, READ_SIZE);
        gsize done = write_some(channel, data + channel->out_offset, piece);
        channel->out_offset += done;
        channel->out_bytes -= done;
        if (channel->out_offset == length) {
            g_bytes_unref(g_queue_pop_head(&channel->out));
            channel->out_offset = 0;
        }
    }
    if (channel->out_bytes < CHANNEL_OUTPUT_LOW)
        channel->full = FALSE;
    if (channel->out_bytes && channel->writable)
        wake(channel);
}

void channel_write(Channel *channel, const char *data, gsize length)
{
    g_return_if_fail(channel && !channel->freed);
    if (channel->errnum)
        return;
    gsize done = channel->out_bytes ? 0 : write_some(channel, data, length);
    if (done < length && !channel->errnum) {
        g_queue_push_tail(&channel->out, g_bytes_new(data + done, length - done));
        channel->out_bytes += length - done;
        channel->drain_due = TRUE;
        if (channel->out_bytes > CHANNEL_OUTPUT_HIGH)
            channel->full = TRUE;
        if (channel->writable)
            wake(channel);
    }
    if (channel->errnum)
        wake(channel);
}

/* Offers what has been read. TRUE when all of it was taken. */
static gboolean hand_on(Channel *channel)
{
    while (channel->in_start < channel->in_end) {
        if (channel->full) /* goes on when enough has been flushed */
            return FALSE;
        gsize taken = channel->funcs.input(channel->in + channel->in_start,
                                           channel->in_end - channel->in_start, channel->user_data);
        if (channel->freed)
            return FALSE;
        if (!taken) {
            channel->held = TRUE;
            return FALSE;
        }
        /* channel_discard() may have been called in between */
        channel->in_start = MIN(channel->in_start + taken, channel->in_end);
    }
    channel->in_start = channel->in_end = 0;
    return TRUE;
}

static void at_end(Channel *channel)
{
    if (channel->kind == CHANNEL_PORT ? channel->heard : channel->eof)
        return; /* it is in doubt, or has been told */
    end_doubt(channel);
    channel->eof = TRUE;
    channel->funcs.eof(channel->user_data);
}

static void fill_input(Channel *channel)
{
    if (channel->held || !hand_on(channel))
        return;
    for (int i = 0; channel->readable && !channel->full && !channel->errnum; i++) {
        if (i == READ_BUDGET) {
            wake(channel);
            return;
        }
        gssize n = read(channel->fd, channel->in, READ_SIZE);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            channel->readable = FALSE;
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                channel->errnum = errno;
            return;
        }
        if (n == 0) {
            channel->readable = FALSE;
            at_end(channel);
            return;
        }
        if (channel->kind == CHANNEL_PORT && channel->hung_up) {
            channel->heard = TRUE;
            begin_doubt(channel);
        }
        /* epoll(7): a stream socket's short read means that it is empty, and more will make an edge; but a
         * hang-up that came with the data has had its edge already. */
        if (channel->is_socket && n < READ_SIZE && !channel->hung_up)
            channel->readable = FALSE;
        channel->in_end = (gsize)n;
        if (!hand_on(channel))
            return;
    }
}

static gboolean channel_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    Channel *channel = (Channel *)source;
    g_source_set_ready_time(source, -1);
    read_edges(channel);
    flush_output(channel);
    if (!channel->errnum)
        fill_input(channel);
    if (!channel->freed && channel->drain_due && !channel->out_bytes && !channel->errnum) {
        channel->drain_due = FALSE;
        channel->funcs.drained(channel->user_data);
    }
    if (!channel->freed && channel->gone && channel->eof && !channel->errnum)
        channel->errnum = EPIPE; /* all it sent has been taken, and nobody is there for the replies */
    if (!channel->freed && channel->errnum) {
        drop_output(channel);
        channel->funcs.failed(channel->errnum, channel->user_data);
        return G_SOURCE_REMOVE;
    }
    return channel->freed ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void channel_finalize(GSource *source)
{
    Channel *channel = (Channel *)source;
    drop_output(channel);
    g_free(channel->in);
    if (channel->epoll_fd >= 0)
        close(channel->epoll_fd);
    if (channel->fd >= 0)
        close(channel->fd);
}

static GSourceFuncs channel_source_funcs = {.dispatch = channel_dispatch, .finalize = channel_finalize};

Channel *channel_new(int fd, ChannelKind kind, const ChannelFuncs *funcs, gpointer user_data)
{
    Channel *channel = (Channel *)g_source_new(&channel_source_funcs, sizeof *channel);
    channel->fd = fd;
    channel->kind = kind;
    channel->funcs = *funcs;
    channel->user_data = user_data;
    channel->in = g_malloc(READ_SIZE);
    g_queue_init(&channel->out);
    channel->readable = channel->writable = TRUE; /* until the kernel says otherwise */
    struct stat st;
    channel->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    channel->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (channel->epoll_fd < 0 || !g_unix_set_fd_nonblocking(fd, TRUE, NULL) ||
        epoll_ctl(channel->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int errnum = errno;
        g_source_unref(&channel->source);
        errno = errnum;
        return NULL;
    }
    g_source_set_name(&channel->source, "channel");
    /* never entered twice; but only so GLib leaves the descriptor in its poll set while it calls us, and
     * saves two writes and a read of its wake-up descriptor */
    g_source_set_can_recurse(&channel->source, TRUE);
    g_source_add_unix_fd(&channel->source, channel->epoll_fd, G_IO_IN);
    g_source_attach(&channel->source, NULL);
    wake(channel);
    return channel;
}

void channel_free(Channel *channel)
{
    if (!channel || channel->freed)
        return;
    channel->freed = TRUE;
    end_doubt(channel);
    /* closed now, not when the last reference goes: a port can be opened once only */
    g_source_destroy(&channel->source);
    close(channel->epoll_fd);
    channel->epoll_fd = -1;
    close(channel->fd);
    channel->fd = -1;
    g_source_unref(&channel->source);
}

gsize channel_queued(const Channel *channel)
{
    return channel->out_bytes;
}

void channel_discard(Channel *channel)
{
    drop_output(channel);
    channel->drain_due = FALSE;
    channel->in_start = channel->in_end = 0;
    channel->held = FALSE;
}

void channel_resume(Channel *channel)
{
    if (channel->held) {
        channel->held = FALSE;
        wake(channel);
    }
}
