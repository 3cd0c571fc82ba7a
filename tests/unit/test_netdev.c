// SPDX-License-Identifier: GPL-2.0-or-later
/* Host ends of networks on real sockets, with the test as the card. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host-vmm/net/netdev.h"
#include "tests/check-run.h"

#define WAIT_SECONDS 20

static NetDevSet *set;
static NetDev *netdev;
static GString *events; /* "NAME {json}\n" */
static char *folder;

/* The card. */
static GPtrArray *received; /* GBytes */
static guint writable_calls, link_calls;
static gboolean is_gone;

static void on_event(const char *name, JsonObject *data, gpointer user_data)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, data);
    g_autofree char *text = json_to_string(node, FALSE);
    g_string_append_printf(events, "%s %s\n", name, text);
}

static gssize receive_one(VnetHeader *header, guint8 *frame)
{
    struct iovec iov[] = {{header, sizeof *header}, {frame, 100}, {frame + 100, PACKET_MAX - 100}};
    return netdev_receive(netdev, 0, iov, 3);
}

static void on_readable(gpointer user_data, guint queue)
{
    static guint8 frame[PACKET_MAX];
    VnetHeader header;
    gssize got;
    for (guint i = 0; i < 64 && (got = receive_one(&header, frame)) > 0; i++)
        g_ptr_array_add(received, g_bytes_new(frame, (gsize)got));
}

static void on_writable(gpointer user_data, guint queue)
{
    writable_calls++;
}

static void on_link(gpointer user_data)
{
    link_calls++;
}

static void on_gone(gpointer user_data)
{
    is_gone = TRUE;
    netdev = NULL;
}

static const NetFront front = {
    .readable = on_readable, .writable = on_writable, .link_changed = on_link, .gone = on_gone};

static void set_up(void)
{
    events = g_string_new(NULL);
    set = netdev_set_new(on_event, NULL);
    folder = g_dir_make_tmp("test-netdev-XXXXXX", NULL);
    received = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    netdev = NULL;
    writable_calls = link_calls = 0;
    is_gone = FALSE;
}

static void settle(void)
{
    for (guint i = 0; i < 10000 && g_main_context_iteration(NULL, FALSE); i++)
        ;
}

static void tear_down(void)
{
    if (netdev != NULL)
        netdev_detach(netdev);
    netdev_set_free(set);
    g_ptr_array_unref(received);
    g_string_free(events, TRUE);
    ck_assert_int_eq(g_rmdir(folder), 0); /* nothing is left behind */
    g_free(folder);
    settle();
}

static NetDev *try_add(const char *options, GError **error)
{
    g_autoptr(OptSet) parsed = optset_parse("-netdev", options, "type", error);
    return parsed != NULL ? netdev_set_add(set, parsed, error) : NULL;
}

static NetDev *add(const char *options)
{
    g_autoptr(GError) error = NULL;
    NetDev *added = try_add(options, &error);
    ck_assert_msg(added != NULL, "%s: %s", options, error != NULL ? error->message : "");
    return added;
}

static void attach(void)
{
    g_autoptr(GError) error = NULL;
    ck_assert(netdev_attach(netdev, "the test", &front, NULL, NULL, &error));
    netdev_want_input(netdev, 0, TRUE);
}

static void refused(const char *options, const char *wanted)
{
    g_autoptr(GError) error = NULL;
    ck_assert_msg(try_add(options, &error) == NULL, "%s", options);
    ck_assert_msg(strstr(error->message, wanted) != NULL, "%s: %s", options, error->message);
    ck_assert(g_str_has_prefix(error->message, "-netdev"));
    ck_assert_ptr_null(strchr(error->message, '\n'));
}

static gboolean on_timeout(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_CONTINUE;
}

#define WAIT_FOR(condition)                                                                                  \
    do {                                                                                                     \
        gboolean timed_out_ = FALSE;                                                                         \
        guint timer_ = g_timeout_add_seconds(WAIT_SECONDS, on_timeout, &timed_out_);                         \
        while (!(condition) && !timed_out_)                                                                  \
            g_main_context_iteration(NULL, TRUE);                                                            \
        g_source_remove(timer_);                                                                             \
        ck_assert_msg(!timed_out_, "%s", #condition);                                                        \
    } while (0)

static void fill(guint8 *frame, gsize length, guint seed)
{
    for (gsize i = 0; i < length; i++)
        frame[i] = (guint8)(seed + i * 5 + i / 200);
    if (length >= 14)
        packet_put16(frame + 12, 0x88b5);
}

static NetDevSend send_frame(gsize length, guint seed)
{
    static guint8 frame[PACKET_MAX];
    VnetHeader header = {0};
    PacketHeaders parsed = {0};
    gsize head = MIN(length, VNET_HEAD);
    fill(frame, length, seed);
    struct iovec iov[] = {{&header, sizeof header}, {frame, head}, {frame + head, length - head}};
    return netdev_send(netdev, 0, iov, length > head ? 3 : 2, length, &parsed);
}

static void check_received(guint index, gsize length, guint seed)
{
    g_autofree guint8 *frame = g_malloc(length);
    gsize got;
    const guint8 *data = g_bytes_get_data(received->pdata[index], &got);
    fill(frame, length, seed);
    ck_assert_uint_eq(got, length);
    ck_assert_mem_eq(data, frame, length);
}

static char *path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* ---- stream ---- */

static int peer = -1;

static void set_up_stream(void)
{
    int pair[2];
    set_up();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    g_autofree char *options = g_strdup_printf("stream,id=n0,addr.type=fd,addr.str=%d", pair[0]);
    peer = pair[1];
    netdev = add(options);
    attach();
}

static void close_peer(void)
{
    if (peer >= 0)
        close(peer);
    peer = -1;
}

static void tear_down_stream(void)
{
    close_peer();
    tear_down();
}

static void peer_write(const void *data, gsize length)
{
    ck_assert_int_eq(write(peer, data, length), (gssize)length);
}

static void peer_send(gsize length, guint seed)
{
    g_autofree guint8 *bytes = g_malloc(4 + length);
    packet_put32(bytes, (guint32)length);
    fill(bytes + 4, length, seed);
    peer_write(bytes, 4 + length);
}

static void peer_read(guint8 *to, gsize length)
{
    for (gsize done = 0; done < length;) {
        gssize got = recv(peer, to + done, length - done, MSG_DONTWAIT);
        if (got < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            g_main_context_iteration(NULL, TRUE);
            continue;
        }
        ck_assert_int_gt(got, 0);
        done += (gsize)got;
    }
}

static void peer_check(gsize length, guint seed)
{
    guint8 prefix[4];
    g_autofree guint8 *frame = g_malloc(length), *wanted = g_malloc(length);
    peer_read(prefix, 4);
    ck_assert_uint_eq(packet_get32(prefix), length);
    peer_read(frame, length);
    fill(wanted, length, seed);
    ck_assert_mem_eq(frame, wanted, length);
}

START_TEST (stream_carries_frames) {
    ck_assert(netdev_link(netdev));
    ck_assert_int_eq(send_frame(60, 1), NETDEV_SENT);
    ck_assert_int_eq(send_frame(1514, 2), NETDEV_SENT);
    ck_assert_int_eq(send_frame(PACKET_MAX, 3), NETDEV_SENT);
    netdev_flush(netdev, 0);
    peer_check(60, 1);
    peer_check(1514, 2);
    peer_check(PACKET_MAX, 3);
    peer_send(60, 4);
    peer_send(PACKET_MAX, 5);
    peer_send(1, 6);
    WAIT_FOR(received->len == 3);
    check_received(0, 60, 4);
    check_received(1, PACKET_MAX, 5);
    check_received(2, 1, 6);
}
END_TEST

START_TEST (stream_is_cut_anywhere) {
    guint8 bytes[3 * 104];
    for (guint i = 0; i < 3; i++) {
        packet_put32(bytes + 104 * i, 100);
        fill(bytes + 104 * i + 4, 100, i);
    }
    for (gsize at = 0; at < sizeof bytes; at += 7) {
        peer_write(bytes + at, MIN(7, sizeof bytes - at));
        settle();
    }
    ck_assert_uint_eq(received->len, 3);
    for (guint i = 0; i < 3; i++)
        check_received(i, 100, i);
}
END_TEST

/* Megabytes in both directions while the peer does not read, then reads: all of it comes, in order. */
START_TEST (stream_holds_back) {
    guint sent = 0;
    while (send_frame(1500, sent) == NETDEV_SENT)
        sent++;
    ck_assert_uint_gt(sent, 150);
    ck_assert_uint_lt(sent, 2000); /* there is an end */
    ck_assert_int_eq(send_frame(1500, 0), NETDEV_FULL);
    settle();
    ck_assert_uint_eq(writable_calls, 0);
    for (guint i = 0; i < sent; i++)
        peer_check(1500, i);
    WAIT_FOR(writable_calls == 1);
    ck_assert_int_eq(send_frame(1500, 7), NETDEV_SENT);
    netdev_flush(netdev, 0);
    peer_check(1500, 7);
}
END_TEST

START_TEST (stream_input_waits) {
    netdev_want_input(netdev, 0, FALSE);
    peer_send(100, 1);
    settle();
    ck_assert_uint_eq(received->len, 0);
    netdev_want_input(netdev, 0, TRUE);
    WAIT_FOR(received->len == 1);
}
END_TEST

START_TEST (stream_peer_goes) {
    g_string_truncate(events, 0);
    peer_send(100, 1);
    close_peer();
    WAIT_FOR(link_calls == 1);
    ck_assert_uint_eq(received->len, 1); /* what it sent before counts */
    ck_assert(!netdev_link(netdev));
    ck_assert_int_eq(send_frame(100, 1), NETDEV_DROPPED);
    ck_assert_str_eq(events->str, "NETDEV_STREAM_DISCONNECTED {\"netdev-id\":\"n0\"}\n");
    netdev_flush(netdev, 0);
    settle();
    ck_assert_uint_eq(link_calls, 1);
}
END_TEST

START_TEST (stream_peer_goes_while_it_is_full) {
    while (send_frame(1500, 1) == NETDEV_SENT)
        ;
    close_peer();
    WAIT_FOR(link_calls == 1);
    ck_assert_int_eq(send_frame(1500, 1), NETDEV_DROPPED);
}
END_TEST

START_TEST (stream_peer_sends_garbage) {
    static const guint32 lengths[] = {0, PACKET_MAX + 1, 0x7fffffff, 0xffffffff};
    guint8 prefix[4];
    packet_put32(prefix, lengths[_i]);
    peer_send(100, 1);
    peer_write(prefix, 4);
    WAIT_FOR(link_calls == 1);
    ck_assert_uint_eq(received->len, 1);
    ck_assert_int_eq(recv(peer, prefix, 1, 0), 0); /* it was hung up on */
}
END_TEST

/* ---- stream by path ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int listen_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (type == SOCK_STREAM)
        ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

START_TEST (stream_server) {
    g_autofree char *path = path_of("s");
    g_autofree char *options = g_strdup_printf("stream,id=n0,server=on,addr.type=unix,addr.path=%s", path);
    netdev = add(options);
    attach();
    ck_assert(!netdev_link(netdev));
    ck_assert_int_eq(send_frame(60, 1), NETDEV_DROPPED);
    for (guint round = 0; round < 3; round++) {
        peer = connect_to(path);
        WAIT_FOR(netdev_link(netdev));
        g_autofree char *wanted = g_strdup_printf(
            "NETDEV_STREAM_CONNECTED {\"netdev-id\":\"n0\",\"addr\":{\"path\":\"%s\",\"type\":\"unix\"}}\n",
            path);
        ck_assert_str_eq(events->str, wanted);
        ck_assert_int_eq(send_frame(60, round), NETDEV_SENT);
        netdev_flush(netdev, 0);
        peer_check(60, round);
        /* The next one waits for its turn. */
        int second = connect_to(path);
        settle();
        peer_send(60, 9);
        WAIT_FOR(received->len == 1);
        close(second);
        close_peer();
        WAIT_FOR(!netdev_link(netdev));
        /* The one that waited, and has gone already. */
        settle();
        g_string_truncate(events, 0);
        g_ptr_array_set_size(received, 0);
    }
    g_autofree char *again = g_strdup_printf("stream,id=n1,server=on,addr.type=unix,addr.path=%s", path);
    refused(again, "already in use by another process");
}
END_TEST

START_TEST (stream_client_comes_back) {
    g_autofree char *path = path_of("s");
    g_autofree char *options = g_strdup_printf("stream,id=n0,addr.type=unix,addr.path=%s,reconnect=1", path);
    netdev = add(options); /* nobody is there yet */
    attach();
    ck_assert(!netdev_link(netdev));
    int listener = listen_at(path, SOCK_STREAM);
    WAIT_FOR(netdev_link(netdev));
    peer = accept(listener, NULL, NULL);
    peer_send(60, 1);
    WAIT_FOR(received->len == 1);
    close_peer();
    WAIT_FOR(!netdev_link(netdev));
    WAIT_FOR(netdev_link(netdev));
    peer = accept(listener, NULL, NULL);
    ck_assert_int_eq(send_frame(60, 2), NETDEV_SENT);
    netdev_flush(netdev, 0);
    peer_check(60, 2);
    close_peer();
    close(listener);
    g_unlink(path);
}
END_TEST

/* ---- segments ---- */

#define TCP_ACK 0x10

/* An IPv4 packet with TCP that is to be sent in segments of 1000 bytes: what its header and parts are. */
static VnetHeader segmentable(guint8 *frame, gsize size, guint8 tcp_flags, PacketHeaders *parsed)
{
    VnetHeader header = {.flags = VNET_NEEDS_CSUM,
                         .gso_type = VNET_GSO_TCPV4,
                         .gso_size = 1000,
                         .csum_start = 34,
                         .csum_offset = 16};
    fill(frame, size, 1);
    memset(frame + 14, 0, 40);
    packet_put16(frame + 12, ETHERTYPE_IPV4);
    frame[14] = 0x45;
    frame[23] = IP_PROTO_TCP;
    frame[46] = 5 << 4;
    frame[47] = tcp_flags;
    ck_assert(vnet_header_check(&header, netdev_features(netdev), frame, size, parsed));
    return header;
}

START_TEST (software_does_what_sockets_cannot) {
    static guint8 frame[54 + 30000];
    PacketHeaders parsed;
    VnetHeader header = segmentable(frame, sizeof frame, 0, &parsed);
    struct iovec iov[] = {
        {&header, sizeof header}, {frame, VNET_HEAD}, {frame + VNET_HEAD, sizeof frame - VNET_HEAD}};
    guint8 before[54];
    memcpy(before, frame, sizeof before);
    guint taken = 0;
    while (netdev_send(netdev, 0, iov, 3, sizeof frame, &parsed) == NETDEV_SENT)
        taken++;
    ck_assert_mem_eq(frame, before, sizeof before); /* the guest's memory is not ours to write to */
    for (guint i = 0; i < taken * 30; i++) {
        guint8 prefix[4], got[1054];
        peer_read(prefix, 4);
        ck_assert_uint_eq(packet_get32(prefix), 1054);
        peer_read(got, 1054);
        ck_assert_uint_eq(packet_get32(got + 38), i % 30 * 1000);
        ck_assert_mem_eq(got + 54, frame + 54 + i % 30 * 1000, 1000);
    }
    WAIT_FOR(writable_calls >= 1);
    /* One that has only its checksum missing. */
    header.gso_type = VNET_GSO_NONE;
    iov[2].iov_len = 0;
    ck_assert_int_eq(netdev_send(netdev, 0, iov, 2, VNET_HEAD, &parsed), NETDEV_SENT);
    netdev_flush(netdev, 0);
    guint8 got[4 + VNET_HEAD];
    peer_read(got, sizeof got);
    ck_assert_mem_eq(got + 4, frame, 50);
    ck_assert_uint_eq(packet_fold(packet_sum(got + 4 + 34, VNET_HEAD - 34, 0)), 0);
}
END_TEST

/* Segments that follow each other come as one to a card that takes it; others stay what they are. */
START_TEST (stream_puts_segments_together) {
    static guint8 frame[54 + 20000], segments[25 * (4 + 1054)];
    PacketHeaders parsed;
    VnetHeader header = segmentable(frame, sizeof frame, TCP_ACK, &parsed);
    struct iovec iov[] = {
        {&header, sizeof header}, {frame, VNET_HEAD}, {frame + VNET_HEAD, sizeof frame - VNET_HEAD}};
    for (guint round = 0; round < 2; round++) {
        /* What another of us would send. */
        ck_assert_int_eq(netdev_send(netdev, 0, iov, 3, sizeof frame, &parsed), NETDEV_SENT);
        netdev_flush(netdev, 0);
        peer_read(segments, 20 * (4 + 1054));
        netdev_set_offloads(netdev, round == 0 ? VNET_GUEST_OFFLOADS : 0);
        g_ptr_array_set_size(received, 0);
        /* With a frame before and behind, and all of it in the buffer at once. */
        netdev_want_input(netdev, 0, FALSE);
        peer_send(60, 1);
        peer_write(segments, 20 * (4 + 1054));
        peer_send(60, 2);
        netdev_want_input(netdev, 0, TRUE);
        WAIT_FOR(received->len >= 3 && g_bytes_get_size(received->pdata[received->len - 1]) == 60);
        check_received(0, 60, 1);
        if (round > 0) {
            ck_assert_uint_eq(received->len, 22);
            continue;
        }
        ck_assert_uint_eq(received->len, 3);
        gsize length;
        const guint8 *data = g_bytes_get_data(received->pdata[1], &length);
        ck_assert_uint_eq(length, sizeof frame);
        ck_assert_mem_eq(data + 54, frame + 54, 20000);
        ck_assert_uint_eq(packet_get16(data + 16), 20040);
        check_received(2, 60, 2);
    }
}
END_TEST

/* ---- dgram ---- */

static void set_up_dgram(void)
{
    int pair[2];
    set_up();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    g_autofree char *options = g_strdup_printf("dgram,id=n0,local.type=fd,local.str=%d", pair[0]);
    peer = pair[1];
    netdev = add(options);
    attach();
}

static void datagram_check(int fd, gsize length, guint seed)
{
    g_autofree guint8 *got = g_malloc(PACKET_MAX), *wanted = g_malloc(length);
    gssize size;
    while ((size = recv(fd, got, PACKET_MAX, MSG_DONTWAIT)) < 0) {
        ck_assert_int_eq(errno, EAGAIN);
        g_main_context_iteration(NULL, TRUE);
    }
    fill(wanted, length, seed);
    ck_assert_int_eq(size, (gssize)length);
    ck_assert_mem_eq(got, wanted, length);
}

START_TEST (dgram_carries_frames) {
    static guint8 bytes[PACKET_MAX + 1];
    ck_assert(netdev_link(netdev));
    ck_assert_int_eq(send_frame(60, 1), NETDEV_SENT);
    ck_assert_int_eq(send_frame(PACKET_MAX, 2), NETDEV_SENT);
    datagram_check(peer, 60, 1);
    datagram_check(peer, PACKET_MAX, 2);
    fill(bytes, 100, 3);
    peer_write(bytes, 100);
    (void)!write(peer, bytes, 0);      /* nothing */
    peer_write(bytes, PACKET_MAX + 1); /* too much */
    fill(bytes, PACKET_MAX, 4);
    peer_write(bytes, PACKET_MAX);
    WAIT_FOR(received->len == 2);
    check_received(0, 100, 3);
    check_received(1, PACKET_MAX, 4);
}
END_TEST

START_TEST (dgram_holds_back) {
    guint sent = 0;
    while (send_frame(1500, sent) == NETDEV_SENT)
        sent++;
    ck_assert_int_eq(send_frame(1500, 0), NETDEV_FULL);
    settle();
    ck_assert_uint_eq(writable_calls, 0);
    for (guint i = 0; i < sent; i++)
        datagram_check(peer, 1500, i);
    WAIT_FOR(writable_calls == 1);
    ck_assert_int_eq(send_frame(1500, 7), NETDEV_SENT);
    datagram_check(peer, 1500, 7);
    close_peer();
    settle();
    ck_assert_int_eq(send_frame(1500, 7), NETDEV_DROPPED);
}
END_TEST

START_TEST (dgram_by_path) {
    g_autofree char *ours = path_of("a"), *theirs = path_of("b");
    g_autofree char *options = g_strdup_printf(
        "dgram,id=n0,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s", ours, theirs);
    netdev = add(options);
    attach();
    ck_assert_int_eq(send_frame(60, 1), NETDEV_DROPPED); /* nobody is there yet */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, ours, sizeof address.sun_path);
    guint8 frame[60];
    fill(frame, sizeof frame, 1);
    for (guint round = 0; round < 2; round++) {
        int fd = listen_at(theirs, SOCK_DGRAM);
        gint64 deadline = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;
        while (send_frame(60, 2) != NETDEV_SENT) {
            ck_assert_int_lt(g_get_monotonic_time(), deadline);
            g_usleep(20000);
        }
        datagram_check(fd, 60, 2);
        /* It may speak first, too, from any socket. */
        ck_assert_int_eq(sendto(fd, frame, sizeof frame, 0, (struct sockaddr *)&address, sizeof address), 60);
        WAIT_FOR(received->len == 1);
        g_ptr_array_set_size(received, 0);
        /* Full, then gone: the next one is sent to again. */
        while (send_frame(1500, 1) == NETDEV_SENT)
            ;
        close(fd);
        WAIT_FOR(writable_calls == round + 1);
        ck_assert_int_eq(send_frame(60, 2), NETDEV_DROPPED);
        g_unlink(theirs);
    }
    ck_assert(netdev_link(netdev));
}
END_TEST

/* ---- the set ---- */

START_TEST (bad_options) {
    g_autofree char *stale = path_of("stale"), *file = path_of("file");
    int fd = listen_at(stale, SOCK_STREAM);
    refused("", "'type' is missing");
    refused("stream", "'id' is missing");
    refused("ethernet,id=x", "type 'ethernet' is not supported");
    refused("stream,id=x,addr.type=inet,addr.host=localhost,addr.port=1",
            "'addr.type=inet' is not supported");
    refused("stream,id=x,addr.type=unix", "'addr.path' is missing");
    refused("stream,id=x,addr.type=fd,addr.str=0x1", "'0x1' is not a descriptor's number");
    refused("stream,id=x,addr.type=fd,addr.str=999", "fd=999 is not an open stream socket");
    refused("stream,id=x,addr.type=unix,addr.path=/nowhere/s", "cannot connect to '/nowhere/s'");
    refused("stream,id=x,server=on,addr.type=unix,addr.path=/nowhere/s", "cannot bind");
    refused("stream,id=x,server=maybe,addr.type=unix,addr.path=s", "'server' must be on or off");
    refused("stream,id=x,server=on,reconnect=1,addr.type=unix,addr.path=s", "'reconnect' needs a path");
    refused("stream,id=x,addr.type=unix,addr.path=s,wait=on", "unknown property 'wait'");
    refused("dgram,id=x", "'local.type' is missing");
    refused("dgram,id=x,local.type=unix,local.path=a", "needs two paths");
    refused("dgram,id=x,local.type=unix,local.path=a,remote.type=fd,remote.str=3", "needs two paths");
    refused("dgram,id=x,local.type=fd,local.str=3,remote.type=unix,remote.path=a", "needs two paths");
    refused("dgram,id=x,local.type=fd,local.str=999", "fd=999 is not an open datagram socket");
    g_autofree char *wrong = g_strdup_printf("dgram,id=x,local.type=fd,local.str=%d", fd);
    refused(wrong, "is not an open datagram socket");
    g_autofree char *listening = g_strdup_printf("stream,id=x,addr.type=fd,addr.str=%d", fd);
    refused(listening, "is a listening socket: server=on is needed");
    g_autofree char *stolen =
        g_strdup_printf("dgram,id=x,local.type=unix,local.path=%s,remote.type=unix,remote.path=b", stale);
    refused(stolen, "already in use by another process");
    close(fd);
    /* What a dead process left is taken over; what is no socket is not. */
    netdev = add(stolen);
    ck_assert(netdev_set_remove(set, "x"));
    netdev = NULL;
    ck_assert(!g_file_test(stale, G_FILE_TEST_EXISTS));
    g_file_set_contents(file, "", 0, NULL);
    g_autofree char *no_socket = g_strdup_printf("stream,id=x,server=on,addr.type=unix,addr.path=%s", file);
    refused(no_socket, "is there already, and is not a socket");
    g_unlink(file);
}
END_TEST

START_TEST (one_card_each) {
    g_autofree char *path = path_of("s");
    g_autofree char *options = g_strdup_printf("stream,id=n0,server=on,addr.type=unix,addr.path=%s", path);
    g_autofree char *json = g_strdup_printf(
        "{\"type\":\"stream\",\"id\":\"n1\",\"server\":true,\"addr\":{\"type\":\"unix\",\"path\":\"%s2\"}}",
        path);
    g_autoptr(GError) error = NULL;
    netdev = add(options);
    add(json);
    refused(options, "Duplicate ID 'n0' for netdev");
    attach();
    ck_assert(!netdev_attach(netdev, "another", &front, NULL, NULL, &error));
    ck_assert_str_eq(error->message, "netdev 'n0' is already in use by the test");
    ck_assert(netdev_set_remove(set, "n0"));
    ck_assert(is_gone);
    ck_assert(!netdev_set_remove(set, "n0"));
    ck_assert_ptr_null(netdev_set_find(set, "n0"));
    ck_assert_ptr_nonnull(netdev_set_find(set, "n1"));
}
END_TEST

/* ---- tap ---- */

START_TEST (bad_taps) {
    refused("tap,id=x,ifname=a-name-of-16-byt", "it must have 1 to 15 bytes");
    refused("tap,id=x,ifname=", "it must have 1 to 15 bytes");
    refused("tap,id=x,ifname=lo", "cannot open");
    refused("tap,id=x,fd=999", "fd=999 is not an open tap interface");
    refused("tap,id=x,fd=0x1", "'0x1' is not a descriptor's number");
    refused("tap,id=x,fds=:3", "'' is not a descriptor's number");
    refused("tap,id=x,fds=", "'fds' is empty");
    refused("tap,id=x,fd=3,ifname=tap0", "'ifname' cannot go with 'fd'");
    refused("tap,id=x,fds=3,queues=2", "'queues' cannot go with 'fds'");
    refused("tap,id=x,fds=3,fd=4", "'fds' cannot go with 'fd'");
    refused("tap,id=x,queues=17", "'queues' must be a number from 1 to 16");
    refused("tap,id=x,queues=0", "'queues' must be a number from 1 to 16");
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    g_autofree char *null = g_strdup_printf("tap,id=x,fd=%d", fd);
    refused(null, "is not an open tap interface");
    close(fd);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("netdev");
    TCase *stream = tcase_create("stream");
    tcase_add_checked_fixture(stream, set_up_stream, tear_down_stream);
    tcase_set_timeout(stream, 60);
    tcase_add_test(stream, stream_carries_frames);
    tcase_add_test(stream, stream_is_cut_anywhere);
    tcase_add_test(stream, stream_holds_back);
    tcase_add_test(stream, stream_input_waits);
    tcase_add_test(stream, stream_peer_goes);
    tcase_add_test(stream, stream_peer_goes_while_it_is_full);
    tcase_add_loop_test(stream, stream_peer_sends_garbage, 0, 4);
    tcase_add_test(stream, software_does_what_sockets_cannot);
    tcase_add_test(stream, stream_puts_segments_together);
    suite_add_tcase(s, stream);
    TCase *dgram = tcase_create("dgram");
    tcase_add_checked_fixture(dgram, set_up_dgram, tear_down_stream);
    tcase_set_timeout(dgram, 60);
    tcase_add_test(dgram, dgram_carries_frames);
    tcase_add_test(dgram, dgram_holds_back);
    suite_add_tcase(s, dgram);
    TCase *others = tcase_create("others");
    tcase_add_checked_fixture(others, set_up, tear_down_stream);
    tcase_set_timeout(others, 60);
    tcase_add_test(others, stream_server);
    tcase_add_test(others, stream_client_comes_back);
    tcase_add_test(others, dgram_by_path);
    tcase_add_test(others, bad_options);
    tcase_add_test(others, one_card_each);
    tcase_add_test(others, bad_taps);
    suite_add_tcase(s, others);
    return s;
}

int main(void)
{
    return check_run(suite());
}
