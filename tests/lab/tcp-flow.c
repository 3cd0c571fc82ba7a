// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tcp-flow: one TCP connection that carries bytes one way, counted, timed and summed.
 *
 *   tcp-flow connect HOST PORT send|receive [MIB]
 *   tcp-flow listen PORT send|receive [MIB]      PORT 0: any, printed as "port N"
 *
 * HOST vsock:CID and PORT vsock:PORT: not by TCP but between host (CID 2) and guest.
 *
 * MIB: how much is sent (1 if not given). Prints "BYTES bytes, SECONDS s, MIB MiB/s, sum SUM"; the sum is of
 * all bytes in their order, so that sender and receiver print the same. Uses nothing but libc: it runs in
 * guests too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_SECONDS 30
#define STALL_MS        60000 /* without a byte: it has failed */
#define BLOCK           (1u << 20)
#define VSOCK           "vsock:"

static uint64_t block[BLOCK / 8];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "tcp-flow: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_vsock(const char *cid, const char *port)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK,
                                  .svm_cid = (unsigned)strtoul(cid, NULL, 10),
                                  .svm_port = (unsigned)strtoul(port, NULL, 10)};
    double deadline = now() + CONNECT_SECONDS;
    for (;;) {
        int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        if (now() > deadline)
            fail("connect");
        close(fd);
        usleep(100000);
    }
}

static int open_connection(const char *host, const char *port)
{
    if (strncmp(host, VSOCK, strlen(VSOCK)) == 0)
        return open_vsock(host + strlen(VSOCK), port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *address;
    double deadline = now() + CONNECT_SECONDS;
    if (getaddrinfo(host, port, &hints, &address) != 0) {
        errno = EINVAL;
        fail(host);
    }
    for (;;) {
        int fd = socket(address->ai_family, SOCK_STREAM, 0);
        if (fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
            freeaddrinfo(address);
            return fd;
        }
        if (now() > deadline)
            fail("connect");
        close(fd);
        usleep(100000);
    }
}

static int listen_vsock(const char *port)
{
    struct sockaddr_vm address = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = (unsigned)strtoul(port, NULL, 10)};
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0)
        fail("listen");
    return listener;
}

static int listen_tcp(const char *port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    socklen_t length = sizeof address;
    int on = 1;
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        fail("listen");
    printf("port %u\n", ntohs(address.sin6_port));
    fflush(stdout);
    return listener;
}

static int accept_connection(const char *port)
{
    int is_vsock = strncmp(port, VSOCK, strlen(VSOCK)) == 0;
    int listener = is_vsock ? listen_vsock(port + strlen(VSOCK)) : listen_tcp(port);
    struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
    if (poll(&poll_fd, 1, STALL_MS) <= 0)
        fail("nobody connects");
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        fail("accept");
    close(listener);
    return fd;
}

/* A multiplication for eight bytes: it must not be what is measured. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    return sum << 29 | sum >> 35;
}

static uint64_t add_to_sum(uint64_t sum, const uint8_t *data, size_t length, uint64_t *held,
                           unsigned *held_bytes)
{
    while (length > 0 && *held_bytes > 0) {
        *held |= (uint64_t)*data++ << (8 * *held_bytes);
        length--;
        if (++*held_bytes == 8) {
            sum = mix(sum, *held);
            *held_bytes = 0;
            *held = 0;
        }
    }
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        sum = mix(sum, word);
    }
    for (; length > 0; length--)
        *held |= (uint64_t)*data++ << (8 * (*held_bytes)++);
    return sum;
}

int main(int argc, char **argv)
{
    int is_connect = argc >= 5 && strcmp(argv[1], "connect") == 0;
    int is_listen = argc >= 4 && strcmp(argv[1], "listen") == 0;
    if (!is_connect && !is_listen) {
        fprintf(stderr, "usage: tcp-flow connect HOST PORT|listen PORT send|receive [MIB]\n");
        return 2;
    }
    char **rest = argv + (is_connect ? 4 : 3);
    int is_send = strcmp(rest[0], "send") == 0;
    unsigned long mib = rest[1] != NULL ? strtoul(rest[1], NULL, 10) : 1;
    signal(SIGPIPE, SIG_IGN);
    int fd = is_connect ? open_connection(argv[2], argv[3]) : accept_connection(argv[2]);

    struct timeval stall = {.tv_sec = STALL_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof stall);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall);
    uint64_t random = 42, sum = 0, held = 0, bytes = 0;
    unsigned held_bytes = 0;
    for (size_t i = 0; i < BLOCK / 8; i++)
        block[i] = random = random * 6364136223846793005u + 1442695040888963407u;
    double begun = now();
    for (unsigned long i = 0; is_send && i < mib; i++) {
        block[0] = i; /* no two blocks are the same */
        sum = add_to_sum(sum, (uint8_t *)block, BLOCK, &held, &held_bytes);
        for (size_t done = 0; done < BLOCK;) {
            ssize_t sent = send(fd, (uint8_t *)block + done, BLOCK - done, 0);
            if (sent <= 0)
                fail("send");
            done += (size_t)sent;
        }
        bytes += BLOCK;
    }
    if (is_send) {
        shutdown(fd, SHUT_WR);
        /* The other side closes when it has everything. */
        uint8_t end;
        if (recv(fd, &end, 1, 0) != 0)
            fail("the end");
    }
    while (!is_send) {
        ssize_t got = recv(fd, block, BLOCK, 0);
        if (got < 0)
            fail("receive");
        if (got == 0)
            break;
        sum = add_to_sum(sum, (uint8_t *)block, (size_t)got, &held, &held_bytes);
        bytes += (uint64_t)got;
    }
    double seconds = now() - begun;
    printf("%llu bytes, %.3f s, %.1f MiB/s, sum %016llx\n", (unsigned long long)bytes, seconds,
           (double)bytes / 1048576 / (seconds > 0 ? seconds : 1e-9), (unsigned long long)(sum + held));
    return 0;
}
