// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * disk-verify: writes, reads, zeroes and discards all over a disk, several at a time, and knows at each
 * moment what each block must hold.
 *
 *   disk-verify DEVICE OPERATIONS SEED
 *     ends with a look at every block; prints "verified OPERATIONS", or what is wrong (then the status is 1)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK    4096u
#define LONGEST  64u /* blocks of one operation */
#define DEPTH    8u
#define MAX_DISK (256u << 20)

/* What a block holds: 0: nothing is known (discarded), 1: zeroes, more: what was written at that time. */
typedef struct Disk {
    int fd;
    uint32_t blocks;
    uint32_t *holds;
    uint8_t *busy;
    uint32_t time;
    uint64_t seed;
} Disk;

typedef struct Operation {
    struct iocb request; /* first */
    uint32_t first, count;
    int is_write, in_flight;
    uint8_t *data;
} Operation;

static void die(const char *what)
{
    fprintf(stderr, "disk-verify: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static uint32_t chance(Disk *disk, uint32_t below)
{
    disk->seed += 0x9e3779b97f4a7c15u;
    return (uint32_t)(mix(disk->seed) >> 16) % below;
}

static void fill(uint8_t *data, uint32_t block, uint32_t time)
{
    uint64_t word = time == 1 ? 0 : mix((uint64_t)block << 32 | time);
    for (unsigned i = 0; i < BLOCK / 8; i++) {
        uint64_t value = time == 1 ? 0 : word + i;
        memcpy(data + i * 8, &value, 8);
    }
}

static void check(const Disk *disk, const uint8_t *data, uint32_t first, uint32_t count)
{
    static uint8_t wanted[BLOCK];
    for (uint32_t i = 0; i < count; i++, data += BLOCK) {
        uint32_t time = disk->holds[first + i];
        if (time == 0)
            continue;
        fill(wanted, first + i, time);
        if (memcmp(wanted, data, BLOCK) == 0)
            continue;
        unsigned at = 0;
        while (wanted[at] == data[at])
            at++;
        printf("block %u has 0x%02x instead of 0x%02x at %u, of write %u\n", first + i, data[at], wanted[at],
               at, time);
        exit(1);
    }
}

static int is_free(const Disk *disk, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (disk->busy[first + i])
            return 0;
    }
    return 1;
}

/* A place that nothing in flight touches. */
static void choose(Disk *disk, uint32_t *first, uint32_t *count)
{
    do {
        *count = 1 + chance(disk, chance(disk, 4) == 0 ? LONGEST : 4);
        *first = chance(disk, disk->blocks - *count + 1);
    } while (!is_free(disk, *first, *count));
}

static void set(Disk *disk, uint32_t first, uint32_t count, uint32_t time)
{
    for (uint32_t i = 0; i < count; i++)
        disk->holds[first + i] = time;
}

static void begin(Disk *disk, aio_context_t aio, Operation *operation)
{
    choose(disk, &operation->first, &operation->count);
    operation->is_write = chance(disk, 2) == 0;
    if (operation->is_write) {
        set(disk, operation->first, operation->count, ++disk->time);
        for (uint32_t i = 0; i < operation->count; i++)
            fill(operation->data + i * BLOCK, operation->first + i, disk->time);
    }
    memset(disk->busy + operation->first, 1, operation->count);
    operation->request =
        (struct iocb){.aio_lio_opcode = operation->is_write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                      .aio_fildes = (uint32_t)disk->fd,
                      .aio_buf = (uintptr_t)operation->data,
                      .aio_nbytes = (uint64_t)operation->count * BLOCK,
                      .aio_offset = (int64_t)operation->first * BLOCK};
    struct iocb *list[] = {&operation->request};
    operation->in_flight = 1;
    if (syscall(SYS_io_submit, aio, 1L, list) != 1)
        die("io_submit");
}

static void end(Disk *disk, Operation *operation, int64_t result)
{
    if (result != (int64_t)operation->request.aio_nbytes) {
        errno = result < 0 ? (int)-result : EIO;
        die(operation->is_write ? "a write" : "a read");
    }
    if (!operation->is_write)
        check(disk, operation->data, operation->first, operation->count);
    memset(disk->busy + operation->first, 0, operation->count);
    operation->in_flight = 0;
}

/* Beside what is in flight: zeroes, discards, flushes. */
static void do_other(Disk *disk)
{
    uint32_t first, count;
    unsigned kind = chance(disk, 3);
    choose(disk, &first, &count);
    uint64_t range[2] = {(uint64_t)first * BLOCK, (uint64_t)count * BLOCK};
    if (kind == 0) {
        if (fdatasync(disk->fd) < 0)
            die("fdatasync");
    } else if (ioctl(disk->fd, kind == 1 ? BLKZEROOUT : BLKDISCARD, range) == 0) {
        set(disk, first, count, kind == 1 ? 1 : 0);
    } else if (errno != EOPNOTSUPP) {
        die(kind == 1 ? "BLKZEROOUT" : "BLKDISCARD");
    }
}

static void check_all(Disk *disk, uint8_t *data)
{
    for (uint32_t first = 0; first < disk->blocks; first += LONGEST) {
        uint32_t count = disk->blocks - first < LONGEST ? disk->blocks - first : LONGEST;
        if (pread(disk->fd, data, (size_t)count * BLOCK, (off_t)first * BLOCK) != (ssize_t)count * BLOCK)
            die("read");
        check(disk, data, first, count);
    }
}

int main(int argc, char **argv)
{
    Operation operations[DEPTH] = {0};
    Disk disk = {0};
    aio_context_t aio = 0;
    uint64_t length = 0;
    if (argc != 4) {
        fputs("usage: disk-verify DEVICE OPERATIONS SEED\n", stderr);
        return 2;
    }
    unsigned long wanted = strtoul(argv[2], NULL, 10), done = 0, in_flight = 0;
    disk.seed = strtoull(argv[3], NULL, 10);
    disk.fd = open(argv[1], O_RDWR | O_DIRECT);
    if (disk.fd < 0 || ioctl(disk.fd, BLKGETSIZE64, &length) < 0)
        die(argv[1]);
    disk.blocks = (uint32_t)((length < MAX_DISK ? length : MAX_DISK) / BLOCK);
    if (disk.blocks < 4 * DEPTH * LONGEST) {
        fputs("disk-verify: the disk is too small\n", stderr);
        return 2;
    }
    disk.holds = calloc(disk.blocks, sizeof *disk.holds);
    disk.busy = calloc(disk.blocks, 1);
    disk.time = 1;
    uint8_t *memory = aligned_alloc(BLOCK, (size_t)DEPTH * LONGEST * BLOCK);
    if (disk.holds == NULL || disk.busy == NULL || memory == NULL || syscall(SYS_io_setup, DEPTH, &aio) < 0)
        die("set-up");
    for (unsigned i = 0; i < DEPTH; i++)
        operations[i].data = memory + (size_t)i * LONGEST * BLOCK;
    while (done < wanted || in_flight > 0) {
        for (unsigned i = 0; i < DEPTH && done < wanted; i++) {
            if (operations[i].in_flight)
                continue;
            begin(&disk, aio, &operations[i]);
            in_flight++;
            done++;
        }
        if (chance(&disk, 8) == 0)
            do_other(&disk);
        struct io_event events[DEPTH];
        long count = syscall(SYS_io_getevents, aio, 1L, (long)DEPTH, events, NULL);
        for (long i = 0; i < count; i++)
            end(&disk, (Operation *)(uintptr_t)events[i].obj, events[i].res);
        in_flight -= count > 0 ? (unsigned long)count : 0;
    }
    check_all(&disk, memory);
    printf("verified %lu\n", done);
    return 0;
}
