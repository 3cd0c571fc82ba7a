// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * disk-load: what lab guests and benchmarks do to a disk.
 *
 *   disk-load randread|randwrite|read|write FILE DEPTH SECONDS
 *     4 KiB at random, or 1 MiB in order, with O_DIRECT and DEPTH requests in flight: requests a second
 *   disk-load mark FILE
 *     writes numbered blocks for ever; prints "flushed FILE N" when the first N are safe
 *   disk-load check FILE N
 *     whether the first N are there
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH   64
#define RANDOM_SIZE 4096u
#define STREAM_SIZE (1u << 20)
#define MARK_SIZE   4096u
#define MARK_SLOTS  2048u /* the marks go round in so many blocks */
#define MARK_BATCH  16u   /* between flushes */

static void die(const char *what)
{
    fprintf(stderr, "disk-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t length_of(int fd)
{
    struct stat status;
    uint64_t length = 0;
    if (fstat(fd, &status) < 0)
        die("fstat");
    if (S_ISBLK(status.st_mode) && ioctl(fd, BLKGETSIZE64, &length) < 0)
        die("BLKGETSIZE64");
    return S_ISBLK(status.st_mode) ? length : (uint64_t)status.st_size;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- speed ---- */

typedef struct Load {
    int fd, is_write, is_random;
    uint32_t size;
    uint64_t blocks, next, seed;
    aio_context_t aio;
    struct iocb requests[MAX_DEPTH];
} Load;

static void send(Load *load, struct iocb *request)
{
    uint64_t block = load->next++ % load->blocks;
    if (load->is_random) {
        load->seed = load->seed * 6364136223846793005u + 1442695040888963407u;
        block = (load->seed >> 33) % load->blocks;
    }
    request->aio_offset = (int64_t)(block * load->size);
    struct iocb *list[] = {request};
    if (syscall(SYS_io_submit, load->aio, 1L, list) != 1)
        die("io_submit");
}

static void run_load(Load *load, unsigned depth, double seconds)
{
    uint8_t *memory = aligned_alloc(STREAM_SIZE, (size_t)MAX_DEPTH * STREAM_SIZE);
    uint64_t done = 0;
    double begun = now(), passed = 0;
    if (memory == NULL || syscall(SYS_io_setup, MAX_DEPTH, &load->aio) < 0)
        die("io_setup");
    memset(memory, 0xa5, (size_t)depth * load->size);
    for (unsigned i = 0; i < depth; i++) {
        load->requests[i] = (struct iocb){.aio_lio_opcode = load->is_write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                                          .aio_fildes = (uint32_t)load->fd,
                                          .aio_buf = (uintptr_t)(memory + (size_t)i * load->size),
                                          .aio_nbytes = load->size};
        send(load, &load->requests[i]);
    }
    while (passed < seconds) {
        struct io_event events[MAX_DEPTH];
        long count = syscall(SYS_io_getevents, load->aio, 1L, (long)MAX_DEPTH, events, NULL);
        for (long i = 0; i < count; i++) {
            if (events[i].res != load->size) {
                errno = (int)-events[i].res;
                die("a request");
            }
            done++;
            send(load, (struct iocb *)(uintptr_t)events[i].obj);
        }
        passed = now() - begun;
    }
    printf("%.1f\n", (double)done / passed);
    exit(0); /* the kernel waits for what is in flight */
}

/* ---- marks ---- */

typedef struct Mark {
    uint64_t number;
    uint64_t words[MARK_SIZE / 8 - 1]; /* all derived from the number */
} Mark;

static void make_mark(Mark *mark, uint64_t number)
{
    mark->number = number;
    for (unsigned i = 0; i < MARK_SIZE / 8 - 1; i++)
        mark->words[i] = (number + i) * 0x9e3779b97f4a7c15u;
}

static int is_whole(const Mark *mark)
{
    Mark wanted;
    make_mark(&wanted, mark->number);
    return memcmp(mark, &wanted, sizeof wanted) == 0;
}

static void write_marks(int fd, const char *name)
{
    static Mark mark;
    for (uint64_t number = 1;; number++) {
        make_mark(&mark, number);
        if (pwrite(fd, &mark, sizeof mark, (off_t)(number % MARK_SLOTS * MARK_SIZE)) != (ssize_t)sizeof mark)
            die("write");
        if (number % MARK_BATCH != 0)
            continue;
        if (fdatasync(fd) < 0)
            die("fdatasync");
        printf("flushed %s %llu\n", name, (unsigned long long)number);
        fflush(stdout);
    }
}

/* Each block has the last number below N that belongs there, or a later one. What was being written when it
 * all ended may be half of either. */
static int check_marks(int fd, uint64_t flushed)
{
    static Mark mark;
    uint64_t first = flushed > MARK_SLOTS ? flushed - MARK_SLOTS + 1 : 1;
    for (uint64_t number = first; number <= flushed; number++) {
        if (pread(fd, &mark, sizeof mark, (off_t)(number % MARK_SLOTS * MARK_SIZE)) != (ssize_t)sizeof mark)
            die("read");
        int may_be_torn = number + MARK_SLOTS <= flushed + MARK_BATCH + 1;
        if (is_whole(&mark) ? mark.number < number : !may_be_torn) {
            printf("block %llu has %llu instead of %llu\n", (unsigned long long)(number % MARK_SLOTS),
                   (unsigned long long)mark.number, (unsigned long long)number);
            return 1;
        }
    }
    puts("all there");
    return 0;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 2 ? argv[1] : "";
    int is_write = strstr(kind, "write") != NULL || strcmp(kind, "mark") == 0;
    int is_load =
        argc == 5 && strcmp(kind + (strncmp(kind, "rand", 4) == 0 ? 4 : 0), is_write ? "write" : "read") == 0;
    int is_mark = argc == 3 && strcmp(kind, "mark") == 0, is_check = argc == 4 && strcmp(kind, "check") == 0;
    if (!is_load && !is_mark && !is_check) {
        fputs(
            "usage: disk-load randread|randwrite|read|write FILE DEPTH SECONDS | mark FILE | check FILE N\n",
            stderr);
        return 2;
    }
    int fd = open(argv[2], (is_write ? O_RDWR : O_RDONLY) | (is_load ? O_DIRECT : 0));
    if (fd < 0)
        die(argv[2]);
    if (is_mark)
        write_marks(fd, argv[2]);
    if (is_check)
        return check_marks(fd, strtoull(argv[3], NULL, 10));
    static Load load;
    load = (Load){.fd = fd, .is_write = is_write, .is_random = kind[0] == 'r' && kind[1] == 'a', .seed = 1};
    load.size = load.is_random ? RANDOM_SIZE : STREAM_SIZE;
    load.blocks = length_of(fd) / load.size;
    unsigned depth = (unsigned)strtoul(argv[3], NULL, 10);
    if (load.blocks == 0 || depth == 0 || depth > MAX_DEPTH)
        die("size or depth");
    run_load(&load, depth, strtod(argv[4], NULL));
}
