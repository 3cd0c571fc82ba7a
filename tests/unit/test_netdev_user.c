// SPDX-License-Identifier: GPL-2.0-or-later
/* -netdev user: its options, and talks with libslirp, the test being the guest. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/net/netdev.h"
#include "host-vmm/net/user-options.h"
#include "tests/check-run.h"

#define WAIT_SECONDS 20
#define GUEST        0x0a00020fu /* 10.0.2.15 */
#define GATEWAY      0x0a000202u
#define GUEST_PORT   7003

/* ---- options ---- */

static UserOptions *parse(const char *text, GError **error)
{
    g_autoptr(OptSet) options = optset_parse("-netdev", text, "type", error);
    ck_assert_ptr_nonnull(options);
    g_autoptr(UserOptions) user = user_options_parse(options, error);
    optset_ignore(options, "type");
    return user != NULL && optset_finish(options, error) ? g_steal_pointer(&user) : NULL;
}

static void check4(struct in_addr address, const char *wanted)
{
    char text[INET_ADDRSTRLEN];
    ck_assert_str_eq(inet_ntop(AF_INET, &address, text, sizeof text), wanted);
}

static void check6(struct in6_addr address, const char *wanted)
{
    char text[INET6_ADDRSTRLEN];
    ck_assert_str_eq(inet_ntop(AF_INET6, &address, text, sizeof text), wanted);
}

START_TEST (defaults) {
    g_autoptr(GError) error = NULL;
    g_autoptr(UserOptions) user = parse("user", &error);
    ck_assert_ptr_nonnull(user);
    ck_assert(user->ipv4 && user->ipv6 && !user->restricted);
    check4(user->network, "10.0.2.0");
    check4(user->netmask, "255.255.255.0");
    check4(user->host, "10.0.2.2");
    check4(user->dns, "10.0.2.3");
    check4(user->dhcp_start, "10.0.2.15");
    check6(user->prefix6, "fec0::");
    check6(user->host6, "fec0::2");
    check6(user->dns6, "fec0::3");
    ck_assert_uint_eq(user->prefix6_length, 64);
    ck_assert_uint_eq(user->forwards->len, 0);
    ck_assert_ptr_null(user->hostname);
}
END_TEST

START_TEST (all_options) {
    g_autoptr(GError) error = NULL;
    g_autoptr(UserOptions) user = parse(
        "user,net=192.168.5.77/255.255.255.128,host=192.168.5.1,dns=192.168.5.9,dhcpstart=192.168.5.100,"
        "ipv6-net=fd00:1::/48,ipv6-host=fd00:1::9,hostname=box,domainname=lab,dnssearch=a.b,dnssearch=c.d,"
        "restrict=on,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=:0.0.0.0:80-192.168.5.101:8080,"
        "hostfwd=udp::53-:5353",
        &error);
    ck_assert_msg(user != NULL, "%s", error != NULL ? error->message : "");
    check4(user->network, "192.168.5.0");
    check4(user->netmask, "255.255.255.128");
    check4(user->host, "192.168.5.1");
    check6(user->host6, "fd00:1::9");
    check6(user->dns6, "fd00:1::3");
    ck_assert_str_eq(user->hostname, "box");
    ck_assert_str_eq(user->domain, "lab");
    ck_assert_str_eq(user->dns_search[1], "c.d");
    ck_assert(user->restricted);
    ck_assert_uint_eq(user->forwards->len, 3);
    const HostForward *forward = &g_array_index(user->forwards, HostForward, 0);
    ck_assert(!forward[0].is_udp && !forward[1].is_udp && forward[2].is_udp);
    check4(forward[0].host_address, "127.0.0.1");
    check4(forward[0].guest_address, "192.168.5.100"); /* where DHCP begins */
    check4(forward[1].guest_address, "192.168.5.101");
    check4(forward[2].host_address, "0.0.0.0");
    ck_assert_uint_eq(forward[0].host_port, 2222);
    ck_assert_uint_eq(forward[1].guest_port, 8080);
}
END_TEST

START_TEST (families) {
    static const struct {
        const char *text;
        gboolean ipv4, ipv6;
    } cases[] = {
        {"user,ipv4=on", TRUE, FALSE},        {"user,ipv6=on", FALSE, TRUE},
        {"user,ipv4=off", FALSE, TRUE},       {"user,ipv6=off", TRUE, FALSE},
        {"user,ipv4=on,ipv6=on", TRUE, TRUE}, {"user,ipv4=on,ipv6=off", TRUE, FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(UserOptions) user = parse(cases[i].text, &error);
        ck_assert_ptr_nonnull(user);
        ck_assert_int_eq(user->ipv4, cases[i].ipv4);
        ck_assert_int_eq(user->ipv6, cases[i].ipv6);
    }
}
END_TEST

START_TEST (small_networks) {
    g_autoptr(GError) error = NULL;
    g_autoptr(UserOptions) user = parse("user,net=10.1.1.8/29", &error);
    ck_assert_msg(user != NULL, "%s", error != NULL ? error->message : "");
    check4(user->host, "10.1.1.10");
    check4(user->dns, "10.1.1.11");
    check4(user->dhcp_start, "10.1.1.12");
}
END_TEST

START_TEST (bad_options) {
    static const char *const cases[][2] = {
        {"user,net=10.0.2", "'net=10.0.2': not an IPv4 network"},
        {"user,net=", "not an IPv4 network"},
        {"user,net=10.0.2.0/33", "the prefix length must be 0 to 32"},
        {"user,net=10.0.2.0/30", "the prefix length must be 4 to 29"},
        {"user,net=10.0.2.0/255.0.255.0", "the mask is not contiguous"},
        {"user,net=10.0.2.0/x", "the prefix length must be"},
        {"user,host=10.0.3.2", "'host=10.0.3.2': not within the network"},
        {"user,dns=name", "not an IPv4 address"},
        {"user,dhcpstart=10.0.2.255", "its broadcast address"},
        {"user,dns=10.0.2.2", "must be three different addresses"},
        {"user,ipv4=off,ipv6=off", "both switched off"},
        {"user,ipv6-net=10.0.0.0/8", "not an IPv6 network"},
        {"user,ipv6-net=fec0::/127", "the prefix length must be 1 to 126"},
        {"user,ipv6-host=fe80::1", "not within the network (ipv6-net=)"},
        {"user,hostname=", "must have 1 to 255 bytes"},
        {"user,restrict=perhaps", "'restrict' must be on or off"},
        {"user,guestfwd=tcp:1.2.3.4:5-x", "unknown property 'guestfwd'"},
        {"user,hostfwd=tcp::22", "it must be [tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT"},
        {"user,hostfwd=", "it must be"},
        {"user,hostfwd=tcp:22-:22", "it must be"},
        {"user,hostfwd=sctp::22-:22", "the protocol must be tcp or udp"},
        {"user,hostfwd=tcp:localhost:22-:22", "the host address is no IPv4 address"},
        {"user,hostfwd=tcp::65536-:22", "the host port must be a number from 1 to 65535"},
        {"user,hostfwd=tcp::0-:22", "the host port must be a number"},
        {"user,hostfwd=tcp::22-:ssh", "the guest port must be a number"},
        {"user,hostfwd=tcp::22-x:22", "the guest address is no IPv4 address"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_msg(parse(cases[i][0], &error) == NULL, "%s", cases[i][0]);
        ck_assert_msg(strstr(error->message, cases[i][1]) != NULL, "%s: %s", cases[i][0], error->message);
    }
}
END_TEST

#ifdef HAVE_SLIRP

/* ---- talks ---- */

typedef struct Received {
    VnetHeader header;
    gsize length;
    guint8 frame[PACKET_MAX];
} Received;

static NetDevSet *set;
static NetDev *netdev;
static GQueue received; /* Received */
static guint16 forwarded_port;
static guint16 datagram_port;

static void on_readable(gpointer user_data, guint queue)
{
    for (guint i = 0; i < 64; i++) {
        Received *one = g_new0(Received, 1);
        struct iovec iov[] = {
            {&one->header, sizeof one->header}, {one->frame, 33}, {one->frame + 33, PACKET_MAX - 33}};
        gssize got = netdev_receive(netdev, queue, iov, 3);
        if (got <= 0) {
            g_free(one);
            return;
        }
        one->length = (gsize)got;
        g_queue_push_tail(&received, one);
    }
}

static void ignore(gpointer user_data)
{
}

static void ignore_queue(gpointer user_data, guint queue)
{
}

static const NetFront front = {
    .readable = on_readable, .writable = ignore_queue, .link_changed = ignore, .gone = ignore};

/* A port that is free now. */
static guint16 free_port(int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, type, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void set_up(void)
{
    g_autoptr(GError) error = NULL;
    forwarded_port = free_port(SOCK_STREAM);
    datagram_port = free_port(SOCK_DGRAM);
    g_autofree char *text =
        g_strdup_printf("user,id=n0,hostfwd=tcp:127.0.0.1:%u-:%u,hostfwd=udp:127.0.0.1:%u-:9", forwarded_port,
                        GUEST_PORT, datagram_port);
    g_autoptr(OptSet) options = optset_parse("-netdev", text, "type", &error);
    set = netdev_set_new(NULL, NULL);
    netdev = netdev_set_add(set, options, &error);
    ck_assert_msg(netdev != NULL, "%s", error != NULL ? error->message : "");
    g_queue_init(&received);
    ck_assert(netdev_attach(netdev, "the test", &front, NULL, NULL, &error));
    netdev_set_offloads(netdev, VNET_GUEST_OFFLOADS);
    netdev_want_input(netdev, 0, TRUE);
}

static void tear_down(void)
{
    netdev_detach(netdev);
    netdev_set_free(set);
    g_queue_clear_full(&received, g_free);
}

static gboolean on_timeout(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_CONTINUE;
}

/* The next packet of this type (and protocol); others are dropped. */
static Received *wait_for(guint16 ethertype, guint8 protocol)
{
    gboolean timed_out = FALSE;
    guint timer = g_timeout_add_seconds(WAIT_SECONDS, on_timeout, &timed_out);
    for (;;) {
        Received *one = g_queue_pop_head(&received);
        if (one == NULL) {
            ck_assert_msg(!timed_out, "no packet of type %x, protocol %u", ethertype, protocol);
            g_main_context_iteration(NULL, TRUE);
            continue;
        }
        if (packet_get16(one->frame + 12) == ethertype && (protocol == 0 || one->frame[23] == protocol)) {
            g_source_remove(timer);
            return one;
        }
        g_free(one);
    }
}

static void send_packet(VnetHeader *header, guint8 *frame, gsize length)
{
    PacketHeaders parsed = {0};
    ck_assert(vnet_header_check(header, netdev_features(netdev), frame, length, &parsed));
    gsize head = MIN(length, VNET_HEAD);
    struct iovec iov[] = {{header, sizeof *header}, {frame, head}, {frame + head, length - head}};
    ck_assert_int_eq(netdev_send(netdev, 0, iov, length > head ? 3 : 2, length, &parsed), NETDEV_SENT);
    netdev_flush(netdev, 0);
}

/* "sender is-at our MAC" (2) or "who has target" (1). */
static void send_arp(guint16 operation, guint32 sender, guint32 target)
{
    guint8 frame[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12,
                        0x34, 0x56, 8,    6,    0,    1,    8,    0,    6, 4};
    VnetHeader header = {0};
    packet_put16(frame + 20, operation);
    memcpy(frame + 22, frame + 6, 6);
    packet_put32(frame + 28, sender);
    packet_put32(frame + 38, target);
    send_packet(&header, frame, sizeof frame);
}

/* Ethernet and IPv4 headers to the gateway; lengths and checksums are left to whom they are offloaded to. */
static void begin_packet(guint8 *frame, guint8 protocol, gsize length)
{
    static const guint8 ethernet[] = {0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 0};
    memcpy(frame, ethernet, sizeof ethernet);
    memset(frame + 14, 0, 20);
    frame[14] = 0x45;
    packet_put16(frame + 16, (guint16)(length - 14));
    frame[22] = 64;
    frame[23] = protocol;
    packet_put32(frame + 26, GUEST);
    packet_put32(frame + 30, GATEWAY);
    PacketHeaders headers = {.protocol = protocol, .l3 = 14, .l4 = 34};
    packet_set_ip_checksum(frame, &headers);
    guint16 sum = (guint16)~packet_fold(packet_pseudo_sum(frame, &headers, (guint32)(length - 34)));
    memcpy(frame + 34 + (protocol == IP_PROTO_TCP ? 16 : 6), &sum, 2);
}

START_TEST (arp_is_answered) {
    static const guint8 gateway[] = {0x52, 0x55, 10, 0, 2, 2};
    send_arp(1, GUEST, GATEWAY);
    g_autofree Received *reply = wait_for(ETHERTYPE_ARP, 0);
    ck_assert_uint_eq(packet_get16(reply->frame + 20), 2);
    ck_assert_mem_eq(reply->frame + 22, gateway, 6);
}
END_TEST

START_TEST (dhcp_gives_an_address) {
    guint8 frame[42 + 300] = {0};
    begin_packet(frame, IP_PROTO_UDP, sizeof frame);
    packet_put32(frame + 26, 0);
    packet_put32(frame + 30, 0xffffffff);
    memset(frame, 0xff, 6);
    PacketHeaders headers = {.protocol = IP_PROTO_UDP, .l3 = 14, .l4 = 34, .payload = 42};
    packet_put16(frame + 34, 68);
    packet_put16(frame + 36, 67);
    packet_set_lengths(frame, &headers, sizeof frame);
    packet_set_ip_checksum(frame, &headers);
    guint8 *bootp = frame + 42;
    static const guint8 discover[] = {0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255};
    bootp[0] = 1;
    bootp[1] = 1;
    bootp[2] = 6;
    memcpy(bootp + 28, frame + 6, 6);
    memcpy(bootp + 236, discover, sizeof discover);
    packet_set_l4_checksum(frame, &headers, sizeof frame);
    VnetHeader header = {0};
    send_packet(&header, frame, sizeof frame);
    g_autofree Received *offer = wait_for(ETHERTYPE_IPV4, IP_PROTO_UDP);
    ck_assert_uint_eq(packet_get16(offer->frame + 34), 67);
    ck_assert_uint_eq(packet_get32(offer->frame + 42 + 16), GUEST);
    ck_assert_uint_eq(offer->header.flags, VNET_DATA_VALID);
}
END_TEST

/* A datagram whose checksum is left to us, and the answer. */
START_TEST (datagrams_go_out_and_come_back) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = WAIT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    send_arp(1, GUEST, GATEWAY);
    guint8 frame[42 + 11];
    memcpy(frame + 42, "hello there", 11);
    packet_put16(frame + 34, 4000);
    packet_put16(frame + 36, ntohs(address.sin_port));
    packet_put16(frame + 38, 8 + 11);
    begin_packet(frame, IP_PROTO_UDP, sizeof frame);
    VnetHeader header = {.flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6};
    send_packet(&header, frame, sizeof frame);
    char text[100];
    ck_assert_int_eq(recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&address, &length), 11);
    ck_assert_mem_eq(text, "hello there", 11);
    ck_assert_int_eq(sendto(fd, "and back", 8, 0, (struct sockaddr *)&address, length), 8);
    g_autofree Received *answer = wait_for(ETHERTYPE_IPV4, IP_PROTO_UDP);
    ck_assert_uint_eq(packet_get16(answer->frame + 36), 4000);
    ck_assert_mem_eq(answer->frame + 42, "and back", 8);
    close(fd);
}
END_TEST

typedef struct Tcp {
    guint16 peer_port;
    guint32 next, acknowledged; /* ours to send, theirs that we have */
} Tcp;

static void send_tcp(Tcp *tcp, guint8 flags, const guint8 *data, gsize length)
{
    static guint8 frame[PACKET_MAX];
    guint options = (flags & 2) != 0 ? 4 : 0;
    gsize total = 54 + options + length;
    memset(frame + 34, 0, 24);
    packet_put16(frame + 34, GUEST_PORT);
    packet_put16(frame + 36, tcp->peer_port);
    packet_put32(frame + 38, tcp->next);
    packet_put32(frame + 42, tcp->acknowledged);
    frame[46] = (guint8)((5 + options / 4) << 4);
    frame[47] = flags;
    packet_put16(frame + 48, 65535);
    if (options > 0) {
        frame[54] = 2; /* maximum segment size */
        frame[55] = 4;
        packet_put16(frame + 56, 1460);
    }
    if (length > 0)
        memcpy(frame + 54, data, length);
    begin_packet(frame, IP_PROTO_TCP, total);
    VnetHeader header = {.flags = VNET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
    if (length > 1460) {
        header.gso_type = VNET_GSO_TCPV4;
        header.gso_size = 1460;
    }
    send_packet(&header, frame, total);
    tcp->next += (guint32)length + ((flags & 3) != 0 ? 1 : 0);
}

/* A connection to the forwarded port, up to ESTABLISHED; returns the host's end. */
static int open_tcp(Tcp *tcp)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(forwarded_port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    /* First it looks for us. */
    g_autofree Received *question = wait_for(ETHERTYPE_ARP, 0);
    ck_assert_uint_eq(packet_get32(question->frame + 38), GUEST);
    send_arp(2, GUEST, packet_get32(question->frame + 28));
    g_autofree Received *syn = wait_for(ETHERTYPE_IPV4, IP_PROTO_TCP);
    ck_assert_uint_eq(syn->frame[47], 2);
    ck_assert_uint_eq(packet_get16(syn->frame + 36), GUEST_PORT);
    tcp->peer_port = packet_get16(syn->frame + 34);
    tcp->next = 1000;
    tcp->acknowledged = packet_get32(syn->frame + 38) + 1;
    send_tcp(tcp, 0x12, NULL, 0);
    g_autofree Received *ack = wait_for(ETHERTYPE_IPV4, IP_PROTO_TCP);
    ck_assert_uint_eq(ack->frame[47] & 0x12, 0x10);
    return fd;
}

START_TEST (forwarded_connections_carry_big_packets) {
    static guint8 data[40000], got[40000];
    Tcp tcp;
    int fd = open_tcp(&tcp);
    for (guint i = 0; i < sizeof data; i++)
        data[i] = (guint8)(i * 7 + i / 300);
    /* To the host: one packet of 40000 bytes. */
    send_tcp(&tcp, 0x18, data, sizeof data);
    struct timeval limit = {.tv_sec = WAIT_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(recv(fd, got, sizeof got, MSG_WAITALL), sizeof got);
    ck_assert_mem_eq(got, data, sizeof data);
    /* To the guest: segments, put together. */
    ck_assert_int_eq(send(fd, data, sizeof data, 0), sizeof data);
    gsize done = 0;
    guint packets = 0, big = 0;
    while (done < sizeof data) {
        g_autofree Received *one = wait_for(ETHERTYPE_IPV4, IP_PROTO_TCP);
        PacketHeaders headers;
        ck_assert(packet_parse(one->frame, one->length, one->length, &headers));
        gsize part = one->length - headers.payload;
        if (part == 0 || packet_get32(one->frame + 38) != tcp.acknowledged)
            continue; /* an acknowledgement; what was sent again */
        ck_assert_uint_eq(packet_get16(one->frame + 16), one->length - 14);
        ck_assert_mem_eq(one->frame + headers.payload, data + done, part);
        if (one->header.gso_type != VNET_GSO_NONE) {
            big++;
            ck_assert_uint_eq(one->header.gso_type, VNET_GSO_TCPV4);
            ck_assert_uint_le(one->header.gso_size, 1460);
            ck_assert_uint_gt(part, one->header.gso_size);
        }
        packets++;
        done += part;
        tcp.acknowledged += (guint32)part;
        send_tcp(&tcp, 0x10, NULL, 0);
    }
    ck_assert_uint_eq(done, sizeof data);
    ck_assert_uint_ge(big, 1);
    ck_assert_uint_lt(packets, 20); /* and not 28 */
    close(fd);
    g_autofree Received *end = wait_for(ETHERTYPE_IPV4, IP_PROTO_TCP);
    while ((end->frame[47] & 1) == 0) {
        g_free(end);
        end = wait_for(ETHERTYPE_IPV4, IP_PROTO_TCP);
    }
}
END_TEST

/* A guest that takes nothing makes the sender wait; nothing is read for it without end. */
START_TEST (a_guest_that_takes_nothing) {
    static guint8 data[1 << 20];
    Tcp tcp;
    int fd = open_tcp(&tcp);
    netdev_want_input(netdev, 0, FALSE);
    gsize sent = 0;
    gint64 deadline = g_get_monotonic_time() + G_USEC_PER_SEC / 2;
    while (g_get_monotonic_time() < deadline) {
        gssize now = send(fd, data, sizeof data, MSG_DONTWAIT);
        if (now > 0)
            sent += (gsize)now;
        g_main_context_iteration(NULL, FALSE);
    }
    ck_assert_uint_lt(sent, 64u << 20);
    ck_assert_uint_eq(g_queue_get_length(&received), 0);
    netdev_want_input(netdev, 0, TRUE);
    g_autofree Received *one = wait_for(ETHERTYPE_IPV4, IP_PROTO_TCP);
    ck_assert_uint_gt(one->length, 54);
    close(fd);
}
END_TEST

START_TEST (ports_in_use) {
    g_autofree char *text = g_strdup_printf("user,id=n1,hostfwd=tcp:127.0.0.1:%u-:22", forwarded_port);
    g_autoptr(GError) error = NULL;
    g_autoptr(OptSet) options = optset_parse("-netdev", text, "type", &error);
    ck_assert_ptr_null(netdev_set_add(set, options, &error));
    g_autofree char *wanted =
        g_strdup_printf("-netdev user,id=n1: Could not set up host forwarding of TCP port 127.0.0.1:%u: "
                        "Address already in use",
                        forwarded_port);
    ck_assert_str_eq(error->message, wanted);
}
END_TEST

/* Any bytes at all. */
START_TEST (random_frames) {
    GRand *random = g_rand_new_with_seed(7);
    static guint8 frame[2000];
    for (guint i = 0; i < 20000; i++) {
        VnetHeader header = {0};
        gsize length = (gsize)g_rand_int_range(random, 14, i % 16 == 0 ? 2000 : 100);
        for (gsize k = 0; k < length; k++)
            frame[k] = (guint8)g_rand_int(random);
        if (i % 4 != 0) {
            begin_packet(frame, i % 4 == 1 ? IP_PROTO_TCP : i % 4 == 2 ? IP_PROTO_UDP : 1, MAX(length, 64));
            length = MAX(length, 64);
            /* Not to the outside, which is none of this test's business. */
            packet_put32(frame + 30, 0x0a000200u + (guint)g_rand_int_range(random, 4, 255));
        } else {
            packet_put16(frame + 12, (guint16)(g_rand_boolean(random) ? ETHERTYPE_ARP : g_rand_int(random)));
            if (packet_get16(frame + 12) == ETHERTYPE_IPV4 || packet_get16(frame + 12) == ETHERTYPE_IPV6)
                continue;
        }
        send_packet(&header, frame, length);
        if (i % 64 == 0)
            g_main_context_iteration(NULL, FALSE);
    }
    g_rand_free(random);
    g_queue_clear_full(&received, g_free);
    send_arp(1, GUEST, GATEWAY);
    g_autofree Received *reply = wait_for(ETHERTYPE_ARP, 0);
    ck_assert_uint_eq(packet_get16(reply->frame + 20), 2);
}
END_TEST

#endif /* HAVE_SLIRP */

static Suite *suite(void)
{
    Suite *s = suite_create("netdev-user");
    TCase *options = tcase_create("options");
    tcase_add_test(options, defaults);
    tcase_add_test(options, all_options);
    tcase_add_test(options, families);
    tcase_add_test(options, small_networks);
    tcase_add_test(options, bad_options);
    suite_add_tcase(s, options);
#ifdef HAVE_SLIRP
    TCase *talks = tcase_create("talks");
    tcase_set_timeout(talks, 60);
    tcase_add_checked_fixture(talks, set_up, tear_down);
    tcase_add_test(talks, arp_is_answered);
    tcase_add_test(talks, dhcp_gives_an_address);
    tcase_add_test(talks, datagrams_go_out_and_come_back);
    tcase_add_test(talks, forwarded_connections_carry_big_packets);
    tcase_add_test(talks, a_guest_that_takes_nothing);
    tcase_add_test(talks, ports_in_use);
    tcase_add_test(talks, random_frames);
    suite_add_tcase(s, talks);
#endif
    return s;
}

int main(void)
{
    return check_run(suite());
}
