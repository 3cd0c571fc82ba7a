// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block-io: opens disk images as host-vmm does and does what standard input says, line by line; each line is
 * answered by "ok" or "error: why". For the tests of images.
 *
 *     block-io [--read-only] [--submit] [-blockdev NODE]... NAME
 *
 * --submit: as a device, by block_submit(), instead of blocking. Numbers are bytes, with a suffix k, M or G.
 *
 *     write OFFSET LENGTH BYTE [fua]     read OFFSET LENGTH BYTE (fails if it is something else)
 *     load FILE OFFSET                   dump FILE
 *     discard OFFSET LENGTH              zero OFFSET LENGTH [unmap]
 *     flush      resize LENGTH           length
 *     stamps SEED THREADS COUNT          check-stamps SEED BYTE FLUSHED...
 *
 * stamps has each thread do COUNT operations that follow from SEED, in slots of its own that share clusters
 * with those of others, and print "THREAD N" whenever its first N operations are flushed. check-stamps takes
 * the last N of each thread, wherever stamps was killed, and finds out whether each slot holds what it then
 * may hold. BYTE is what the disk was filled with before.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/block/block.h"

#define SLOT        512u  /* a sector: no more can be relied on to be written as one, */
#define ALIGNMENT   4096u /* and that only from a buffer whose pages do not meet within one */
#define SMALL       8u /* slots: the most of an operation in the shared half, and what a thread has at a time */
#define LARGE       1024u /* slots, in a thread's own part of the other half */
#define FLUSH_EVERY 16u   /* operations */

typedef struct Session {
    BlockNode *node;
    IoContext *context;
    gboolean submit;
} Session;

/* ---- operations ---- */

typedef struct Wait {
    BlockRequest request;
    gboolean done;
    int result;
} Wait;

static void wait_done(BlockRequest *request, int result)
{
    Wait *wait = (Wait *)request;
    wait->done = TRUE;
    wait->result = result;
}

static gboolean is_done(gpointer user_data)
{
    return ((Wait *)user_data)->done;
}

static int do_op(Session *session, BlockOp op, guint64 offset, guint64 length, void *data, guint flags)
{
    struct iovec segment = {data, length};
    if (session->submit) {
        Wait wait = {.request = {.op = op,
                                 .flags = flags,
                                 .offset = offset,
                                 .length = length,
                                 .segments = &segment,
                                 .segment_count = data != NULL ? 1 : 0,
                                 .context = session->context,
                                 .done = wait_done}};
        block_submit(session->node, &wait.request);
        io_context_wait(session->context, is_done, &wait);
        return wait.result;
    }
    switch (op) {
    case BLOCK_READ:
        return block_preadv(session->node, offset, &segment, 1);
    case BLOCK_WRITE:
        return block_pwritev(session->node, offset, &segment, 1, flags);
    case BLOCK_FLUSH:
        return block_flush(session->node);
    case BLOCK_DISCARD:
        return block_discard(session->node, offset, length);
    case BLOCK_WRITE_ZEROES:
        return block_write_zeroes(session->node, offset, length, flags);
    }
    return -EINVAL;
}

/* ---- stamps ---- */

typedef struct Stamp {
    guint64 seed, thread, number, slot;
} Stamp;

typedef struct Action {
    BlockOp op;
    guint flags;
    guint64 first, count; /* slots */
} Action;

typedef struct Worker {
    BlockRequest request; /* first; with --submit */
    struct iovec segment;
    Session *session;
    Stamp *stamps;
    guint64 seed, thread, threads, count;
    guint64 done; /* operations */
    int *running; /* with --submit */
    int result;
} Worker;

/* splitmix64 */
static guint64 mix(guint64 x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static Action action_of(guint64 seed, guint64 thread, guint64 threads, guint64 number, guint64 slots)
{
    guint64 chance = mix(seed ^ mix(thread ^ mix(number)));
    guint64 groups = slots / 2 / SMALL / threads, part = slots / 2 / threads;
    Action action = {.op = BLOCK_WRITE};
    switch (chance % 16) {
    case 0:
        action.op = BLOCK_DISCARD;
        break;
    case 1:
        action.op = BLOCK_WRITE_ZEROES;
        action.flags = BLOCK_MAY_UNMAP;
        break;
    case 2:
        action.op = BLOCK_WRITE_ZEROES;
        break;
    default:
        break;
    }
    guint64 a = mix(chance), b = mix(a), c = mix(b);
    if (chance / 16 % 4 > 0) {
        guint64 group = a % groups * threads + thread;
        action.first = group * SMALL + b % SMALL;
        action.count = 1 + c % (SMALL - b % SMALL);
    } else {
        action.first = a % part;
        action.count = MIN(1 + b % LARGE, part - action.first);
        action.first += slots / 2 + thread * part;
    }
    return action;
}

static void fill_slots(Stamp *stamps, guint64 seed, guint64 thread, guint64 number, const Action *action)
{
    for (guint64 slot = 0; slot < action->count; slot++) {
        for (guint i = 0; i < SLOT / sizeof(Stamp); i++)
            *stamps++ = (Stamp){seed, thread, number, action->first + slot};
    }
}

static Action next_action(Worker *worker)
{
    guint64 slots = block_length(worker->session->node) / SLOT;
    Action action = action_of(worker->seed, worker->thread, worker->threads, worker->done, slots);
    fill_slots(worker->stamps, worker->seed, worker->thread, worker->done, &action);
    return action;
}

static int say_flushed(const Worker *worker)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%d %d\n", (int)worker->thread, (int)worker->done);
    return write(STDOUT_FILENO, line, (gsize)length) < 0 ? -errno : 0;
}

static gpointer run_worker(gpointer data)
{
    Worker *worker = data;
    Session *session = worker->session;
    while (worker->done < worker->count && worker->result == 0) {
        Action action = next_action(worker);
        worker->result = do_op(session, action.op, action.first * SLOT, action.count * SLOT,
                               action.op == BLOCK_WRITE ? worker->stamps : NULL, action.flags);
        if (worker->result < 0 || ++worker->done % FLUSH_EVERY != 0)
            continue;
        worker->result = do_op(session, BLOCK_FLUSH, 0, 0, NULL, 0);
        if (worker->result == 0)
            worker->result = say_flushed(worker);
    }
    return NULL;
}

static void submit_done(BlockRequest *request, int result);

static void submit_next(Worker *worker, gboolean flush)
{
    Action action = {.op = BLOCK_FLUSH};
    if (!flush)
        action = next_action(worker);
    worker->segment = (struct iovec){worker->stamps, action.count * SLOT};
    worker->request = (BlockRequest){.op = action.op,
                                     .flags = action.flags,
                                     .offset = action.first * SLOT,
                                     .length = action.count * SLOT,
                                     .segments = &worker->segment,
                                     .segment_count = action.op == BLOCK_WRITE ? 1 : 0,
                                     .context = worker->session->context,
                                     .done = submit_done};
    block_submit(worker->session->node, &worker->request);
}

static void submit_done(BlockRequest *request, int result)
{
    Worker *worker = (Worker *)request;
    gboolean was_flush = request->op == BLOCK_FLUSH;
    if (result == 0 && was_flush)
        result = say_flushed(worker);
    else if (result == 0)
        worker->done++;
    worker->result = result;
    gboolean flush = !was_flush && worker->done % FLUSH_EVERY == 0;
    if (result < 0 || (worker->done == worker->count && !flush))
        (*worker->running)--;
    else
        submit_next(worker, flush);
}

static gboolean none_running(gpointer user_data)
{
    return *(int *)user_data == 0;
}

/* Each worker is a thread; with --submit each is a request in flight. */
static int do_stamps(Session *session, guint64 seed, guint64 threads, guint64 count)
{
    g_autofree Worker *workers = g_new0(Worker, threads);
    g_autofree GThread **running = g_new0(GThread *, threads);
    int result = 0, requests = (int)threads;
    for (guint i = 0; i < threads; i++) {
        workers[i] = (Worker){.session = session,
                              .stamps = aligned_alloc(ALIGNMENT, LARGE * SLOT),
                              .seed = seed,
                              .thread = i,
                              .threads = threads,
                              .count = count,
                              .running = &requests};
        if (session->submit)
            submit_next(&workers[i], FALSE);
        else
            running[i] = g_thread_new("stamps", run_worker, &workers[i]);
    }
    if (session->submit)
        io_context_wait(session->context, none_running, &requests);
    for (guint i = 0; i < threads; i++) {
        if (running[i] != NULL)
            g_thread_join(running[i]);
        result = MIN(result, workers[i].result);
        free(workers[i].stamps);
    }
    return result;
}

/* What is known of a slot. */
typedef struct Slot {
    guint64 number;       /* of the last flushed operation on it, plus 1; 0: none */
    gboolean is_zero;     /* that one wrote zeroes */
    gboolean may_be_zero; /* a later one, or a discard, may have made it so */
} Slot;

static gboolean touches(const Action *action, guint64 slot)
{
    return slot >= action->first && slot - action->first < action->count;
}

/* NULL, or what is wrong. */
static char *check_slot(const Slot *slot, guint64 number, const guint8 *data, guint8 initial, guint64 seed,
                        guint64 threads, const guint64 *flushed, guint64 slots)
{
    Stamp stamp;
    memcpy(&stamp, data, sizeof stamp);
    gboolean same = memcmp(data, data + sizeof stamp, SLOT - sizeof stamp) == 0;
    gboolean uniform = memcmp(data, data + 1, SLOT - 1) == 0;
    if (uniform && data[0] == 0 && (slot->is_zero || slot->may_be_zero))
        return NULL;
    if (uniform && data[0] == initial && slot->number == 0)
        return NULL;
    if (!same || stamp.seed != seed || stamp.thread >= threads || stamp.slot != number)
        return g_strdup_printf("slot %" G_GUINT64_FORMAT
                               " begins with 0x%02x, its last operation is %" G_GUINT64_FORMAT "%s",
                               number, data[0], slot->number, slot->is_zero ? " (zeroes)" : "");
    Action action = action_of(seed, stamp.thread, threads, stamp.number, slots);
    gboolean is_last = stamp.number + 1 == slot->number && !slot->is_zero;
    gboolean is_later =
        stamp.number >= flushed[stamp.thread] && touches(&action, number) && action.op == BLOCK_WRITE;
    if (is_last || is_later)
        return NULL;
    return g_strdup_printf("slot %" G_GUINT64_FORMAT " has operation %" G_GUINT64_FORMAT
                           " of thread %" G_GUINT64_FORMAT ", its last one was %" G_GUINT64_FORMAT "%s",
                           number, stamp.number, stamp.thread, slot->number,
                           slot->is_zero ? " (zeroes)" : "");
}

static char *do_check_stamps(Session *session, guint64 seed, guint8 initial, guint64 threads,
                             const guint64 *flushed)
{
    guint64 slots = block_length(session->node) / SLOT;
    g_autofree Slot *known = g_new0(Slot, slots);
    for (guint64 thread = 0; thread < threads; thread++) {
        /* What is in flight when a process is killed is a matter of a few operations. */
        for (guint64 i = 0; i < flushed[thread] + 2 * FLUSH_EVERY; i++) {
            Action action = action_of(seed, thread, threads, i, slots);
            for (guint64 slot = action.first; slot < action.first + action.count; slot++) {
                if (action.op == BLOCK_DISCARD || (i >= flushed[thread] && action.op == BLOCK_WRITE_ZEROES))
                    known[slot].may_be_zero = TRUE;
                else if (i < flushed[thread])
                    known[slot] = (Slot){.number = i + 1, .is_zero = action.op == BLOCK_WRITE_ZEROES};
            }
        }
    }
    g_autofree guint8 *data = g_malloc(LARGE * SLOT);
    for (guint64 slot = 0; slot < slots; slot++) {
        if (slot % LARGE == 0) {
            guint64 length = MIN(LARGE, slots - slot) * SLOT;
            int result = do_op(session, BLOCK_READ, slot * SLOT, length, data, 0);
            if (result < 0)
                return g_strdup(g_strerror(-result));
        }
        char *wrong = check_slot(&known[slot], slot, data + slot % LARGE * SLOT, initial, seed, threads,
                                 flushed, slots);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

/* ---- commands ---- */

static guint64 number_of(const char *text)
{
    char *end;
    guint64 value = g_ascii_strtoull(text, &end, 0);
    switch (*end) {
    case 'k':
        return value << 10;
    case 'M':
        return value << 20;
    case 'G':
        return value << 30;
    default:
        return value;
    }
}

static char *answer(int result)
{
    return result < 0 ? g_strdup(g_strerror(-result)) : NULL;
}

static char *do_read(Session *session, guint64 offset, guint64 length, guint8 byte)
{
    g_autofree guint8 *data = g_malloc(length);
    memset(data, (guint8)~byte, length);
    int result = do_op(session, BLOCK_READ, offset, length, data, 0);
    if (result < 0)
        return answer(result);
    for (guint64 i = 0; i < length; i++) {
        if (data[i] != byte)
            return g_strdup_printf("0x%02x at %" G_GUINT64_FORMAT, data[i], offset + i);
    }
    return NULL;
}

static char *do_load(Session *session, const char *path, guint64 offset)
{
    g_autofree char *data = NULL;
    gsize length;
    if (!g_file_get_contents(path, &data, &length, NULL))
        return g_strdup_printf("cannot read %s", path);
    return answer(do_op(session, BLOCK_WRITE, offset, length, data, 0));
}

static char *do_dump(Session *session, const char *path)
{
    const guint64 step = 1 << 20;
    guint64 length = block_length(session->node);
    g_autofree char *data = g_malloc(step);
    int result = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (guint64 at = 0; at < length && result == 0 && fd >= 0; at += step) {
        guint64 part = MIN(step, length - at);
        result = do_op(session, BLOCK_READ, at, part, data, 0);
        if (result == 0 && pwrite(fd, data, part, (off_t)at) != (gssize)part)
            result = -EIO;
    }
    if (fd < 0 || close(fd) < 0)
        result = -errno;
    return answer(result);
}

static char *do_write(Session *session, guint64 offset, guint64 length, guint8 byte, guint flags)
{
    g_autofree guint8 *data = g_malloc(length);
    memset(data, byte, length);
    return answer(do_op(session, BLOCK_WRITE, offset, length, data, flags));
}

static char *run(Session *session, char **words)
{
    guint count = g_strv_length(words);
    guint64 n[16] = {0};
    for (guint i = 1; i < count && i < G_N_ELEMENTS(n); i++)
        n[i - 1] = number_of(words[i]);
    const char *last = words[count - 1];
    if (strcmp(words[0], "write") == 0 && count >= 4)
        return do_write(session, n[0], n[1], (guint8)n[2], strcmp(last, "fua") == 0 ? BLOCK_FUA : 0);
    if (strcmp(words[0], "read") == 0 && count == 4)
        return do_read(session, n[0], n[1], (guint8)n[2]);
    if (strcmp(words[0], "load") == 0 && count == 3)
        return do_load(session, words[1], n[1]);
    if (strcmp(words[0], "dump") == 0 && count == 2)
        return do_dump(session, words[1]);
    if (strcmp(words[0], "discard") == 0 && count == 3)
        return answer(do_op(session, BLOCK_DISCARD, n[0], n[1], NULL, 0));
    if (strcmp(words[0], "zero") == 0 && count >= 3)
        return answer(do_op(session, BLOCK_WRITE_ZEROES, n[0], n[1], NULL,
                            strcmp(last, "unmap") == 0 ? BLOCK_MAY_UNMAP : 0));
    if (strcmp(words[0], "flush") == 0)
        return answer(do_op(session, BLOCK_FLUSH, 0, 0, NULL, 0));
    if (strcmp(words[0], "resize") == 0 && count == 2)
        return answer(block_resize(session->node, n[0]));
    if (strcmp(words[0], "length") == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT, block_length(session->node));
    if (strcmp(words[0], "stamps") == 0 && count == 4)
        return answer(do_stamps(session, n[0], n[1], n[2]));
    if (strcmp(words[0], "check-stamps") == 0 && count > 3 && count < G_N_ELEMENTS(n))
        return do_check_stamps(session, n[0], (guint8)n[1], count - 3, n + 2);
    return g_strdup("no such command");
}

int main(int argc, char **argv)
{
    g_autoptr(BlockSet) set = block_set_new(NULL);
    g_autoptr(GError) error = NULL;
    Session session = {NULL};
    gboolean write = TRUE;
    const char *name = "";
    for (int i = 1; i < argc && error == NULL; i++) {
        if (strcmp(argv[i], "--read-only") == 0) {
            write = FALSE;
        } else if (strcmp(argv[i], "--submit") == 0) {
            session.submit = TRUE;
        } else if (strcmp(argv[i], "-blockdev") == 0 && i + 1 < argc) {
            g_autoptr(OptSet) options = optset_parse("-blockdev", argv[++i], "driver", &error);
            if (options != NULL)
                block_set_add(set, options, &error);
        } else {
            name = argv[i];
        }
    }
    if (error == NULL && (session.node = block_set_find(set, name)) == NULL)
        g_set_error(&error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no node '%s'", name);
    if (error != NULL || !block_attach(session.node, "block-io", write, &error)) {
        printf("error: %s\n", error->message);
        return EXIT_FAILURE;
    }
    session.context = io_context_new_main();
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        g_auto(GStrv) words = g_strsplit_set(g_strstrip(line), " ", -1);
        if (words[0] == NULL)
            continue;
        g_autofree char *wrong = run(&session, words);
        if (wrong != NULL && strcmp(words[0], "length") != 0)
            printf("error: %s\n", wrong);
        else
            printf("%s\n", wrong != NULL ? wrong : "ok");
        fflush(stdout);
    }
    block_detach(session.node, write);
    io_context_free(session.context);
    return EXIT_SUCCESS;
}
