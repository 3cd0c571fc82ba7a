// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a guest's memory and vCPUs are, as the kernel tells of its process (proc(5)), and the moving of
 * pages. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "balloon/daemon/numa-private.h"
#include "balloon/daemon/processes.h"

#define KIB_PER_MIB 1024
#define NS_PER_MS   1000000
/* The kernel walks all pages for numa_maps: 5 to 10 ms a GiB. Of more than this, pages are sampled. */
#define WHOLE_MAX_MIB 1024
#define SAMPLES       2048
#define FILE_MAX      (4 << 20)
#define THREADS_MAX   4096
#define RANGE_MIN     (2 << 20) /* bytes: guest memory is large */
#define PAGE          4096
#define MOVE_FLAG     (1 << 1) /* MPOL_MF_MOVE */
#define BATCH         512
/* Pages that are looked at for a slice: most of a large mapping may be empty. The next goes on from there. */
#define LOOKS_MAX (4 << 20)
/* Fewer samples that hit a page tell nothing. */
#define HITS_MIN 32
/* A policy of its owner for so much is a placement. */
#define BOUND_MIN_MIB 64

/* A file of /proc, as far as FILE_MAX (g_free); NULL. */
static char *read_proc(const char *root, int pid, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/%s", root, pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    char chunk[16 << 10];
    gssize got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0 && text->len < FILE_MAX)
        g_string_append_len(text, chunk, got);
    close(fd);
    return got < 0 ? NULL : g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- memory ---- */

static void add_line(NumaSight *sight, const char *line)
{
    gint64 pages[POLICY_NUMA_NODES] = {0}, kib = 4, all = 0;
    const char *policy = strchr(line, ' ');
    for (const char *word = policy; word != NULL; word = strchr(word + 1, ' ')) {
        char *end;
        if (word[1] == 'N' && g_ascii_isdigit(word[2])) {
            guint64 node = g_ascii_strtoull(word + 2, &end, 10);
            if (*end == '=' && node < POLICY_NUMA_NODES)
                pages[node] += g_ascii_strtoll(end + 1, NULL, 10);
        } else if (g_str_has_prefix(word, " kernelpagesize_kB=")) {
            kib = g_ascii_strtoll(strchr(word, '=') + 1, NULL, 10);
        }
    }
    for (guint n = 0; n < POLICY_NUMA_NODES; n++) {
        sight->resident[n] += pages[n] * kib;
        all += pages[n] * kib;
    }
    if (all >= BOUND_MIN_MIB * KIB_PER_MIB && policy != NULL && !g_str_has_prefix(policy, " default"))
        sight->bound = TRUE;
}

static gboolean take_whole(NumaSight *sight, const char *root, int pid)
{
    g_autofree char *text = read_proc(root, pid, "numa_maps");
    if (text == NULL)
        return FALSE;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        add_line(sight, *line);
    for (guint n = 0; n < POLICY_NUMA_NODES; n++)
        sight->resident[n] /= KIB_PER_MIB;
    return TRUE;
}

typedef struct Range {
    guint64 from, to;
} Range;

/* Where guest memory may be: writable and large. */
static GArray *read_ranges(const char *root, int pid)
{
    g_autofree char *text = read_proc(root, pid, "maps");
    if (text == NULL)
        return NULL;
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        char *at;
        Range range = {.from = g_ascii_strtoull(*line, &at, 16)};
        if (*at != '-')
            continue;
        range.to = g_ascii_strtoull(at + 1, &at, 16);
        if (g_str_has_prefix(at, " rw") && range.to > range.from && range.to - range.from >= RANGE_MIN)
            g_array_append_val(ranges, range);
    }
    return ranges;
}

static gboolean take_samples(NumaSight *sight, const char *root, int pid)
{
    g_autoptr(GArray) ranges = read_ranges(root, pid);
    g_autofree void **pages = g_new0(void *, SAMPLES);
    g_autofree int *nodes = g_new0(int, SAMPLES);
    guint64 all = 0, count = 0, there = 0, seen[POLICY_NUMA_NODES] = {0};
    for (guint i = 0; ranges != NULL && i < ranges->len; i++)
        all += g_array_index(ranges, Range, i).to - g_array_index(ranges, Range, i).from;
    if (all == 0)
        return FALSE;
    guint64 step = MAX(all / SAMPLES, PAGE), at = step / 2;
    for (guint i = 0; i < ranges->len; i++) {
        const Range *range = &g_array_index(ranges, Range, i);
        guint64 size = range->to - range->from;
        for (; at < size && count < SAMPLES; at += step)
            pages[count++] = GSIZE_TO_POINTER((range->from + at) & ~(guint64)(PAGE - 1));
        at -= MIN(at, size);
    }
    if (syscall(SYS_move_pages, pid, (unsigned long)count, pages, NULL, nodes, 0) != 0)
        return FALSE;
    for (guint i = 0; i < count; i++)
        if (nodes[i] >= 0 && nodes[i] < POLICY_NUMA_NODES) {
            seen[nodes[i]]++;
            there++;
        }
    for (guint n = 0; n < POLICY_NUMA_NODES; n++)
        sight->resident[n] = sight->rss * (gint64)seen[n] / (gint64)MAX(there, 1);
    return there >= HITS_MIN;
}

/* ---- threads ---- */

static void clear_thread(gpointer data)
{
    g_free(((NumaThread *)data)->setting);
}

/* The n-th word behind the name in brackets, which may hold anything; 3 is the state (proc(5)). */
static const char *stat_word(const char *text, guint number)
{
    const char *at = strrchr(text, ')');
    for (guint i = 2; at != NULL && i < number; i++)
        at = strchr(at + 1, ' ');
    return at != NULL ? at + 1 : NULL;
}

static gboolean take_thread(NumaThread *thread, const char *root, int pid, int id, gboolean *is_vcpu)
{
    g_autofree char *stat_name = g_strdup_printf("task/%d/stat", id);
    g_autofree char *run_name = g_strdup_printf("task/%d/schedstat", id);
    g_autofree char *stat = read_proc(root, pid, stat_name), *run = read_proc(root, pid, run_name);
    const char *name = stat != NULL ? strchr(stat, '(') : NULL;
    const char *start = stat != NULL ? stat_word(stat, 22) : NULL;
    const char *cpu = stat != NULL ? stat_word(stat, 39) : NULL;
    if (name == NULL || start == NULL || cpu == NULL || run == NULL)
        return FALSE;
    *is_vcpu = g_str_has_prefix(name, "(CPU ") && g_ascii_isdigit(name[5]);
    *thread = (NumaThread){
        .id = id,
        .cpu = (guint)MIN(g_ascii_strtoull(cpu, NULL, 10), G_MAXUINT),
        .ran_ms = g_ascii_strtoll(run, NULL, 10) / NS_PER_MS,
        .setting = g_strdup_printf("%d/%d/%" G_GUINT64_FORMAT, pid, id, g_ascii_strtoull(start, NULL, 10))};
    return TRUE;
}

/* QEMU (as libvirt starts it) and host-vmm name their vCPUs' threads "CPU N/…". */
static void take_threads(NumaSight *sight, const char *root, int pid)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/task", root, pid);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    GArray *others = g_array_new(FALSE, FALSE, sizeof(NumaThread));
    const char *name;
    g_array_set_clear_func(others, clear_thread);
    sight->threads = g_array_new(FALSE, FALSE, sizeof(NumaThread));
    g_array_set_clear_func(sight->threads, clear_thread);
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL &&
           sight->threads->len + others->len < THREADS_MAX) {
        NumaThread thread;
        gboolean is_vcpu;
        int id = processes_number(name);
        if (id > 0 && take_thread(&thread, root, pid, id, &is_vcpu))
            g_array_append_val(is_vcpu ? sight->threads : others, thread);
    }
    if (sight->threads->len == 0) {
        g_array_unref(sight->threads);
        sight->threads = others;
    } else {
        g_array_unref(others);
    }
}

/* ---- the whole ---- */

static gint64 mib_behind(const char *text, const char *word)
{
    gint64 kib = 0;
    return host_number(text, word, &kib) ? kib / KIB_PER_MIB : 0;
}

gboolean numa_sight_take(NumaSight *sight, const char *root, int pid)
{
    *sight = (NumaSight){0};
    g_autofree char *status = read_proc(root, pid, "status");
    if (status == NULL)
        return FALSE;
    gint64 huge = mib_behind(status, "HugetlbPages:");
    sight->rss = mib_behind(status, "VmRSS:") + huge;
    sight->locked = MAX(mib_behind(status, "VmLck:"), mib_behind(status, "VmPin:")) + huge > sight->rss / 2;
    const char *allowed = strstr(status, "Mems_allowed_list:");
    if (allowed != NULL) {
        allowed += strlen("Mems_allowed_list:");
        allowed += strspn(allowed, " \t");
        sight->allowed = g_strndup(allowed, strcspn(allowed, "\n"));
    }
    if (sight->rss <= WHOLE_MAX_MIB ? !take_whole(sight, root, pid) : !take_samples(sight, root, pid)) {
        numa_sight_clear(sight);
        return FALSE;
    }
    take_threads(sight, root, pid);
    return TRUE;
}

void numa_sight_clear(NumaSight *sight)
{
    g_clear_pointer(&sight->allowed, g_free);
    g_clear_pointer(&sight->threads, g_array_unref);
}

/* ---- moving ---- */

typedef struct Shared { /* with the child */
    gint64 moved;       /* pages */
    gint64 looked_at;
    guint64 cursor;
} Shared;

struct NumaMove {
    Shared *shared;
    pid_t child;
    NumaMoveFunc done;
    gpointer data;
};

/* In the child: system calls alone. */
static void move_range(Shared *shared, int pid, int node, const Range *range, gint64 pages)
{
    void *address[BATCH];
    int status[BATCH], wanted[BATCH];
    for (guint64 at = range->from;
         at < range->to && shared->moved < pages && shared->looked_at < LOOKS_MAX;) {
        unsigned long count = 0, away = 0;
        for (; count < BATCH && at < range->to; at += PAGE)
            address[count++] = GSIZE_TO_POINTER(at);
        if (syscall(SYS_move_pages, pid, count, address, NULL, status, 0) != 0)
            return;
        for (unsigned long i = 0; i < count; i++)
            if (status[i] >= 0 && status[i] != node) {
                wanted[away] = node;
                address[away++] = address[i];
            }
        if (away > 0 && syscall(SYS_move_pages, pid, away, address, wanted, status, MOVE_FLAG) >= 0)
            for (unsigned long i = 0; i < away; i++)
                shared->moved += status[i] == node;
        shared->looked_at += (gint64)count;
        shared->cursor = at;
    }
}

/* The child's end of the pipe is closed when it ends. (A child watch of GLib would have a thread.) */
static gboolean on_child(gint fd, GIOCondition condition, gpointer user_data)
{
    NumaMove *move = user_data;
    waitpid(move->child, NULL, 0);
    close(fd);
    if (move->done != NULL)
        move->done(move->shared->moved * PAGE / (1 << 20), move->shared->cursor, move->data);
    munmap(move->shared, sizeof *move->shared);
    g_free(move);
    return G_SOURCE_REMOVE;
}

NumaMove *numa_move_begin(const char *root, int pid, guint node, gint64 mib, guint64 cursor,
                          NumaMoveFunc done, gpointer user_data)
{
    g_autoptr(GArray) ranges = read_ranges(root, pid);
    if (ranges == NULL || root[0] != '\0')
        return NULL;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    Shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED)
        *shared = (Shared){0};
    pid_t child = shared != MAP_FAILED ? fork() : -1;
    if (child == 0) {
        /* It ends with the daemon, and does not hold its lock or sockets. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        syscall(SYS_close_range, 3U, (guint)ends[1] - 1, 0U);
        syscall(SYS_close_range, (guint)ends[1] + 1, G_MAXUINT, 0U);
        for (guint i = 0; i < ranges->len; i++) {
            Range range = g_array_index(ranges, Range, i);
            range.from = MAX(range.from, cursor);
            move_range(shared, pid, (int)node, &range, mib << 8);
        }
        if (shared->moved < mib << 8 && shared->looked_at < LOOKS_MAX)
            shared->cursor = 0; /* that was all */
        _exit(0);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        if (shared != MAP_FAILED)
            munmap(shared, sizeof *shared);
        return NULL;
    }
    NumaMove *move = g_new0(NumaMove, 1);
    *move = (NumaMove){shared, child, done, user_data};
    g_unix_fd_add(ends[0], G_IO_HUP, on_child, move);
    return move;
}

void numa_move_forget(NumaMove *move)
{
    move->done = NULL;
}
